package cache

import (
	"fmt"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// A job of an unprotected ref has all that its project ever cached in hand, and writes whatever it likes into its own caches: other outputs for what
// protected jobs have compiled, again and again, while it uses nothing of theirs. It may fool later jobs of its own ref, and nobody else.
func TestAnUnprotectedJobChangesNothingThatOthersRead(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	hosts := []*Cache{farHost(t, remote), farHost(t, remote)}
	ref := func(job, name string) Request {
		r := request(job)
		r.Tier, r.Below = "ref-"+name, "protected"
		return r
	}
	compiled(t, hosts[0], request("honest"), "a", "b")
	hosts[0].sends(t)
	for n := range mergeAt + 2 {
		c := hosts[n%2]
		j := begin(t, c, ref(fmt.Sprint("evil", n), "evil"))
		j.put("a", fmt.Sprint("!<arch>\nevil", n))
		j.opened() // nothing: as if b were dead
		j.end()
		c.sends(t)
		must(t, c.Tend(t.Context(), true))
	}
	if found, _ := sees(t, hosts[0], ref("own", "evil"), "a", "b"); found != "b" {
		t.Errorf("its own ref sees %q, want b: else this attack is none", found)
	}
	_, err := hosts[0].PruneStore(t.Context(), PruneOptions{}, func(string) {}, func(string, int, int) {})
	must(t, err)
	stranger := request("stranger")
	stranger.Project = "8"
	for host, c := range map[string]*Cache{"that took the attack": hosts[0], "that is new": farHost(t, remote)} {
		if found, reason := sees(t, c, request("protected"), "a", "b"); found != "ab" || reason != Exact {
			t.Errorf("on a host %s a protected job finds %q, %s", host, found, reason)
		}
		if found, _ := sees(t, c, ref("neighbour", "other"), "a", "b"); found != "ab" {
			t.Errorf("on a host %s another ref finds %q", host, found)
		}
		if found, reason := sees(t, c, stranger, "a", "b"); found != "" || reason != FirstRun {
			t.Errorf("on a host %s another project finds %q, %s", host, found, reason)
		}
	}
}
