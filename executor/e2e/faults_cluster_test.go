//go:build faults

package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/faulttest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store/s3test"
)

const (
	clusterHosts = 3
	clusterJobs  = 8 // of each host
	clusterNodes = 4
	patience     = 10 * time.Minute // with one job: it is as fast as the machine
)

// failing kills nodes of a cluster and brings them back, one after another, until it is told to stop.
func failing(t *testing.T, cluster *s3test.Cluster, chance *rand.Rand) (stop func() (times int)) {
	t.Helper()
	end, ended, times := make(chan struct{}), make(chan struct{}), 0
	wait := func(most int) bool {
		select {
		case <-end:
			return false
		case <-time.After(time.Duration(chance.IntN(most)) * time.Millisecond):
			return true
		}
	}
	go func() {
		defer close(ended)
		for wait(4000) {
			node := 1 + chance.IntN(clusterNodes-1)
			if chance.IntN(8) == 0 {
				node = 0 // whom the hosts speak to: without it they try the store no more for a while
			}
			cluster.Kill(node)
			times++
			more := wait(6000)
			cluster.Revive(node)
			if !more {
				return
			}
		}
	}()
	return func() int {
		close(end)
		<-ended
		return times
	}
}

func TestFaultHostsOfAClusterThatKeepsLosingNodesLoseNothing(t *testing.T) {
	t.Parallel()
	cluster, config := s3test.NewCluster(t)
	settings := bucket(config)
	each := max(2, faulttest.Times(t, clusterJobs))
	first := newGoHost(t, settings).withPackages(clusterHosts * each)
	first.patience = patience
	first.ran(withoutC(first.goJob("go build ./sum", "go run .")).timeout(1800))
	hosts := []*goHost{first}
	for len(hosts) < clusterHosts {
		g := first.another(settings)
		g.patience = patience
		hosts = append(hosts, g)
	}

	began := time.Now()
	stop := failing(t, cluster, faulttest.Rand(t))
	var group sync.WaitGroup
	for n, g := range hosts {
		group.Go(func() {
			for i := range each {
				g.ran(g.packageJob(n*each + i))
				faulttest.Progress(t, "host %d: job %d of %d, %s", n, i+1, each, time.Since(began).Round(time.Second))
			}
		})
	}
	group.Wait()
	faulttest.Progress(t, "%d jobs of %d hosts took %s, a node was killed %d times", each*clusterHosts, clusterHosts, time.Since(began).Round(time.Second), stop())

	reasons := map[string]int{}
	for n, g := range hosts {
		for id, row := range g.rows() {
			reasons[row.word("cache_reason")]++
			restored, saved := row.seconds("lookup_seconds", "download_seconds", "mount_seconds"), row.seconds("harvest_seconds", "write_seconds", "upload_seconds")
			if row.word("outcome") != "success" || restored > 10+3 || saved > 120+3 { // what bucket and the settings' default say
				t.Errorf("host %d, job %s: %s, %.1f s for its restore, %.1f s for its save", n, id, row.word("outcome"), restored, saved)
			}
		}
		_ = os.Remove(filepath.Join(g.StateDir, "spool", ".down")) // as time would
		if said, err := g.pruneWith(""); err != nil {
			t.Errorf("host %d: what waits cannot be sent: %v\n%s", n, err, said)
		}
	}
	faulttest.Progress(t, "the jobs' caches: %v", reasons)
	if reasons["exact"]+reasons["nearest"] == 0 {
		t.Error("no job has read from the store, so this shows nothing")
	}
	fresh := first.another(settings)
	fresh.patience = patience
	fresh.findsAll()
}
