//go:build faults

package e2e

import (
	"fmt"
	"slices"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
)

// crashCase is one crash of the matrix.
type crashCase struct {
	story  string // what is killed: see (*crashed).live
	point  crash.Point
	nth    int
	runner bool // the Runner is killed too
}

func (c crashCase) String() string {
	with := ""
	if c.runner {
		with = " with its Runner"
	}
	return fmt.Sprintf("%s/%s/%d%s", c.story, c.point, c.nth, with)
}

// The stories.
const (
	aJob      = "a job"                // with a service, without Go
	aGoJob    = "a Go job"             // that has something to save
	theNext   = "the job after a lost" // whose Runner was killed while it compiled
	serving   = "serve after a lost job"
	isPruning = "prune after a lost job"
)

// crashesAt are the points of each story, some of which are reached several times.
var crashesAt = map[string]map[crash.Point][]int{
	aJob: {
		crash.LockHeld: {1}, crash.RecordStaged: {1}, crash.RecordPlaced: {1},
		crash.ObjectNoted: {1, 2, 3, 4}, crash.ObjectMade: {1, 2, 3, 4}, // network, helper, service, build container
		crash.HelperStarted: {1}, crash.SourcesRead: {1}, crash.BuildStarted: {1}, crash.ScriptEnded: {1},
		crash.StageNoted: {1, 2, 3, 4}, // prepare_script, get_sources, build_script, cleanup_file_variables
		crash.EndNoted:   {1}, crash.RowEntered: {1}, crash.ContainersRemoved: {1}, crash.ObjectsRemoved: {1},
		crash.CachesAbandoned: {2}, // the first is of prepare, which looks for a record that cannot be read
		crash.FolderBuried:    {1},
	},
	aGoJob: {
		crash.CachesRestored: {1}, crash.NonceWritten: {1}, crash.BuildEnded: {1}, crash.CachesSaved: {1},
		crash.FileStaged: {1}, crash.PlanLeased: {1}, crash.MountPointMade: {1}, crash.LayerMounted: {1}, crash.OverlayMounted: {1},
		crash.WatchBegun: {1}, crash.WatchEnded: {1}, crash.LayerStaged: {1}, crash.LayerStored: {1}, crash.EntryWritten: {1}, crash.CachesUnmounted: {1},
		crash.LedgerMade: {1}, crash.SchemaStepped: {1}, crash.RowWritten: {1},
	},
	theNext: {
		crash.ContainersRemoved: {1}, crash.DeadRemoved: {1}, crash.LostEntered: {1}, crash.CachesAbandoned: {1}, crash.FolderBuried: {1},
		crash.SalvageFolderMade: {1}, crash.SalvageMounted: {1}, crash.SalvageSaved: {1},
	},
	serving:   {crash.ServeBegun: {1}, crash.LostEntered: {1}, crash.HostReaped: {1}, crash.SalvageMounted: {1}, crash.HostTidied: {1}},
	isPruning: {crash.HostReaped: {1}, crash.HostTidied: {1}, crash.SalvageSaved: {1}, crash.LayerUnmounted: {1}, crash.LayerBuried: {1}},
}

// unrecorded are points at which the job that crashes has no record yet, so that nobody knows of it any more once its Runner has gone too.
var unrecorded = map[string][]crash.Point{
	aJob: {crash.LockHeld, crash.RecordStaged},
	theNext: {
		crash.ContainersRemoved, crash.DeadRemoved, crash.LostEntered, crash.CachesAbandoned, crash.FolderBuried, crash.SalvageFolderMade,
	},
}

// decided are points at which cleanup has decided how the job has ended.
var decided = map[string][]crash.Point{
	aJob: {
		crash.EndNoted, crash.RowEntered, crash.ContainersRemoved, crash.ObjectsRemoved, crash.CachesAbandoned, crash.FolderBuried,
	},
	aGoJob: {crash.LedgerMade, crash.SchemaStepped, crash.RowWritten},
}

// ofCaches is what package cache tries at all of its points.
var ofCaches = []string{
	"cache", "restore", "restore, save", "watch", "save", "save, compaction", "spool, directory", "spool", "compaction", "prune", "housekeeping, prune", "salvage",
	"ledger",
}

// crashCases are all of them, in the same order each time.
func crashCases(t *testing.T) (all []crashCase) {
	t.Helper()
	reached := map[crash.Point]bool{}
	for _, story := range []string{aJob, aGoJob, theNext, serving, isPruning} {
		for _, step := range crash.Points() {
			for _, nth := range crashesAt[story][step.Point] {
				reached[step.Point] = true
				all = append(all, crashCase{story, step.Point, nth, false})
				if story != serving && story != isPruning { // which have no Runner
					all = append(all, crashCase{story, step.Point, nth, true})
				}
			}
		}
	}
	for _, step := range crash.Points() {
		if !reached[step.Point] && !slices.Contains(ofCaches, step.Of) {
			t.Errorf("nobody tries a crash at %s", step.Point)
		}
	}
	return all
}
