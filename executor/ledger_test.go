package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// knownOf are the columns of a row that are known, as JSON has them.
func knownOf(t *testing.T, row stats.Job) map[string]any {
	t.Helper()
	data, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	var columns map[string]any
	if err := json.Unmarshal(data, &columns); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(columns, func(name string, value any) bool {
		return value == nil || value == "" || name == "began" || name == "ended" || name == "seconds"
	})
	return columns
}

// Each figure is another one, so that none can take the place of another unseen.
func TestEachFigureOfACacheIsInItsColumn(t *testing.T) {
	t.Parallel()
	var row stats.Job
	request := cache.Request{Platform: "linux-amd64-v1", Toolchain: "go1.26.8", Graph: "g", Modules: []string{"example.com/m@v1"}}
	noteRestored(&row, request, cache.Restored{
		Reason: cache.Nearest, Layers: 2, Fetched: 3, Bytes: 4, Wanted: 5, There: 6, Packages: 7, Downloaded: 8, Seconds: 9, Lookup: 10, Download: 11, Mount: 12,
		Changed: []stats.Change{{Path: "example.com/m", Want: "v1"}}, Problems: []error{errors.New("a journal")},
	}, time.UnixMilli(1772366400000).UTC())
	want := map[string]any{
		"platform": "linux-amd64-v1", "toolchain": "go1.26.8", "graph": "g", "cache_reason": "nearest", "layers": 2.0, "layer_bytes": 4.0, "downloaded_bytes": 8.0,
		"lookup_seconds": 10.0, "download_seconds": 11.0, "mount_seconds": 12.0,
		"detail": map[string]any{
			"modules": []any{"example.com/m@v1"}, "changed": []any{map[string]any{"path": "example.com/m", "want": "v1"}}, "problems": []any{"a journal"},
			"starts": map[string]any{"restore": "2026-03-01T12:00:00Z"},
		},
	}
	if got := knownOf(t, row); !reflect.DeepEqual(got, want) {
		t.Errorf("restored: got\n%v\nwant\n%v", got, want)
	}

	Tests{OK: 30, Cached: 13}.addTo(&row)
	Tests{OK: 1, Cached: 1}.addTo(&row)
	saved := cache.Saved{
		Modules: cache.ModuleCount{Wanted: new(15), HitHost: new(16), HitStore: new(17), Missed: new(18)}, Build: cache.BuildCount{Available: new(19), Hit: new(20), New: new(21)},
		Items: 22, Bytes: 23, Reason: cache.DiskFull, Refused: map[string]int{"hash": 24}, Compiled: []string{"a", "a", "b"}, Seconds: 25, Harvest: 26, Write: 27, Problems: []error{errors.New("an entry")},
	}
	noteSaved(&row, saved, sending{Bytes: 28, Seconds: 29}, cache.Because(cache.DiskFull, "no room"))
	figures := map[string]any{
		"modules_wanted": 15.0, "modules_hit_host": 16.0, "modules_hit_store": 17.0, "modules_missed": 18.0, "build_available": 19.0, "build_hit": 20.0, "build_new": 21.0,
		"tests_ok": 31.0, "tests_cached": 14.0, "saved_bytes": 23.0, "save_reason": "disk_full",
	}
	maps.Copy(want, figures)
	maps.Copy(want, map[string]any{"harvest_seconds": 26.0, "write_seconds": 27.0, "upload_seconds": 29.0, "uploaded_bytes": 28.0})
	detail := want["detail"].(map[string]any)
	detail["compiled"], detail["refused"], detail["problems"] = []any{"a", "b"}, map[string]any{"hash": 24.0}, []any{"a journal", "an entry", "no room"}
	if got := knownOf(t, row); !reflect.DeepEqual(got, want) {
		t.Errorf("saved: got\n%v\nwant\n%v", got, want)
	}

	var line bytes.Buffer
	j := &job{log: logrus.NewEntry(&logrus.Logger{Out: &line, Formatter: &logrus.JSONFormatter{DisableTimestamp: true}, Level: logrus.InfoLevel})}
	j.logCaches(row, nil)
	logged := map[string]any{}
	if err := json.Unmarshal(line.Bytes(), &logged); err != nil {
		t.Fatal(err)
	}
	maps.Copy(figures, map[string]any{"msg": "caches", "level": "info", "platform": "linux-amd64-v1", "toolchain": "go1.26.8", "cache_reason": "nearest", "restore_seconds": 10.0 + 11 + 12, "save_seconds": 26.0 + 27 + 29})
	if !reflect.DeepEqual(logged, figures) {
		t.Errorf("the operator log has\n%v\nwant\n%v", logged, figures)
	}

	noteNoCaches(&row, cache.UnsupportedHost, errors.New("no overlay"))
	if got := knownOf(t, row); got["layers"] != nil || got["layer_bytes"] != nil || got["cache_reason"] != "unsupported_host" || row.Detail.Problems[3] != "no overlay" {
		t.Errorf("without caches after all: %v", got)
	}
}

func TestAColdJobNamesNothingAnew(t *testing.T) {
	t.Parallel()
	var row stats.Job
	noteRestored(&row, cache.Request{}, cache.Restored{Reason: cache.FirstRun, Changed: []stats.Change{{Path: "m", Want: "v1"}}}, time.Now())
	noteSaved(&row, cache.Saved{Compiled: []string{"a"}}, sending{}, nil)
	if row.Detail.Changed != nil || row.Detail.Compiled != nil || row.SaveReason != "" || row.Detail.Problems != nil || *row.Layers != 0 || row.ModulesWanted != nil {
		t.Errorf("%+v", row)
	}
}
