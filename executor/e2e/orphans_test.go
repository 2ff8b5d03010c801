package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
)

// owned is somebody who has something on a host, and whether that is nobody's any more.
type owned struct {
	name   string
	labels map[string]string // of its container, network and volume
	record string            // where there is one: the JSON
	ended  bool              // cleanup has begun
	goes   bool
	lost   bool // the ledger says so
}

// lease is that of a job whose Runner is this process, but for changes.
func lease(t *testing.T, changes job) job {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/stat")
	boot, berr := os.ReadFile("/proc/sys/kernel/random/boot_id")
	namespace, nerr := os.Readlink("/proc/self/ns/pid")
	if err := errors.Join(err, berr, nerr); err != nil {
		t.Fatal(err)
	}
	start := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))[19] // proc(5): field 22
	l := job{
		"pid": os.Getpid(), "start": start, "boot": strings.TrimSpace(string(boot)), "namespace": namespace, "deadline": time.Now().Add(time.Hour),
	}
	maps.Copy(l, changes)
	return l
}

// everybody is who may be on a host with the given state label.
func (h *host) everybody(state string) []owned {
	h.t.Helper()
	number := 7000
	var all []owned
	add := func(name string, changes job, who owned) {
		number++
		id := fmt.Sprint(number)
		who.name, who.labels = name, labels(state, h.instance+"/"+id)
		if changes != nil {
			data, err := json.Marshal(job{
				"identity": job{"Instance": h.instance, "Project": "42", "Tier": "protected", "Job": id}, "slot": number,
				"owner":   job{"State": state, "Job": h.instance + "/" + id},
				"created": time.Now(), "lease": lease(h.t, changes), "objects": job{}, "row": job{"instance": h.instance, "project": "42", "job": id},
			})
			if err != nil {
				h.t.Fatal(err)
			}
			who.record = string(data)
		}
		all = append(all, who)
	}
	past := time.Now().Add(-time.Minute)
	dead, alive := owned{goes: true, lost: true}, owned{}
	add("a living job", job{}, alive)
	add("of another PID namespace", job{"pid": 1 << 30, "namespace": "pid:[1]"}, alive)
	add("of another PID namespace, after its deadline", job{"namespace": "pid:[1]", "deadline": past}, dead)
	add("its Runner has ended", job{"pid": 1 << 30}, dead)
	add("its Runner's pid is somebody else's now", job{"start": "1"}, dead)
	add("of another boot", job{"boot": "another"}, dead)
	add("after its deadline", job{"deadline": past}, dead)
	add("its cleanup was killed", job{}, owned{goes: true, ended: true})
	add("without a record", nil, owned{goes: true})
	add("its record is of another release", nil, owned{record: `{"slot": "of another release"}`})
	add("its record is torn", nil, owned{record: `{"identity": {"Inst`})
	for name, labels := range map[string]map[string]string{
		"of another state directory":                     labels(state+"-other", h.instance+"/7008"),
		"of another state directory, by a living name":   labels(state+"-other", h.instance+"/7001"),
		"with an empty state":                            labels("", h.instance+"/7008"),
		"with our label for jobs alone":                  {"gitlab-go-executor.job": h.instance + "/7008"},
		"with our label for the state directory alone":   {"gitlab-go-executor.state": state},
		"without labels, but GitLab Runner's":            {"com.gitlab.gitlab-runner.managed": "true"},
		"of a job whose state directory begins alike":    labels(state+"0", h.instance+"/7008"),
		"with our labels as a part of somebody's labels": {"x.gitlab-go-executor.state": state, "x.gitlab-go-executor.job": h.instance + "/7008"},
	} {
		all = append(all, owned{name: name, labels: labels})
	}
	return all
}

func labels(state, job string) map[string]string {
	return map[string]string{"gitlab-go-executor.state": state, "gitlab-go-executor.job": job}
}

// objects are ids by kind.
type objects struct{ container, network, volume string }

// makeFor makes what somebody has: a container, a volume, and for those with a record a network.
func (h *host) makeFor(who owned) (o objects) {
	h.t.Helper()
	ctx := context.Background()
	v, err := dockerAPI.VolumeCreate(ctx, volume.CreateOptions{Labels: who.labels})
	if err != nil {
		h.t.Fatal(err)
	}
	o.volume = v.Name
	c, err := dockerAPI.ContainerCreate(ctx, &container.Config{Image: busybox, Labels: who.labels}, nil, nil, nil, "")
	if err != nil {
		h.t.Fatal(err)
	}
	o.container = c.ID
	if who.name == "a living job" || who.name == "without a record" || who.name == "of another state directory" { // networks are few
		n, err := dockerAPI.NetworkCreate(ctx, "gge-orphans-"+v.Name[:12], network.CreateOptions{Labels: who.labels})
		if err != nil {
			h.t.Fatal(err)
		}
		o.network = n.ID
	}
	if who.record == "" {
		return o
	}
	dir := h.recordOf(who)
	err = errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "record.json"), []byte(who.record), 0o600))
	if who.ended {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, "ended"), nil, 0o600))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

func (h *host) recordOf(who owned) string {
	return filepath.Join(h.StateDir, "jobs", who.labels["gitlab-go-executor.job"])
}

// there says which of the objects exist.
func (o objects) there() []string {
	ctx := context.Background()
	var found []string
	if _, err := dockerAPI.ContainerInspect(ctx, o.container); err == nil {
		found = append(found, "container")
	}
	if _, err := dockerAPI.NetworkInspect(ctx, o.network, network.InspectOptions{}); err == nil && o.network != "" {
		found = append(found, "network")
	}
	if _, err := dockerAPI.VolumeInspect(ctx, o.volume); err == nil {
		found = append(found, "volume")
	}
	return found
}

func (o objects) remove() {
	ctx := context.Background()
	_ = dockerAPI.ContainerRemove(ctx, o.container, container.RemoveOptions{Force: true})
	_ = dockerAPI.VolumeRemove(ctx, o.volume, true)
	if o.network != "" {
		_ = dockerAPI.NetworkRemove(ctx, o.network)
	}
}

func TestWhatDeadJobsLeftIsRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	for by, remove := range map[string]func(h *host) (said string){
		"prepare": func(h *host) string {
			h.succeeded(h.run(h.newJob(busybox, "true")))
			return h.operatorLog()
		},
		"prune": func(h *host) string {
			said, err := h.pruneWith("")
			if err == nil {
				h.t.Error("prune passes over records that it cannot read")
			}
			return said
		},
		"serve": func(h *host) string {
			defer h.serve()()
			h.eventually("serve has gone round", func() bool { return strings.Contains(h.operatorLog(), "what killed jobs left cannot be removed") }, nil)
			return h.operatorLog()
		},
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, "")
			state := fmt.Sprintf("orphans-%s-%d", by, os.Getpid())
			h.write(filepath.Join("state", "id"), state)
			t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(h.StateDir, "jobs", h.instance)) })
			all, made := h.everybody(state), map[string]objects{}
			for _, who := range all {
				o := h.makeFor(who)
				t.Cleanup(o.remove)
				made[who.name] = o
			}
			if said := remove(h); strings.Count(said, "its record cannot be read, so it is left alone") != 2 {
				t.Errorf("of the records that cannot be read it says:\n%s", said)
			}
			h.checkOwned(all, made)
		})
	}
}

func (h *host) checkOwned(all []owned, made map[string]objects) {
	h.t.Helper()
	rows := h.rows()
	for _, who := range all {
		there, had := made[who.name].there(), 2
		if made[who.name].network != "" {
			had = 3
		}
		if who.goes && len(there) > 0 || !who.goes && len(there) != had {
			h.t.Errorf("%s: there is now %v", who.name, there)
		}
		if who.record == "" {
			continue
		}
		_, err := os.Stat(h.recordOf(who))
		if (err == nil) == who.goes {
			h.t.Errorf("%s: its record: %v", who.name, err)
		}
		word := rows[filepath.Base(who.labels["gitlab-go-executor.job"])].word("outcome")
		if (word == "lost") != who.lost {
			h.t.Errorf("%s: in the ledger as %q", who.name, word)
		}
	}
}
