package cache

import (
	"bytes"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// forge writes an object where an entry of a request's pool would be.
func forge(t *testing.T, remote store.Store, key string, data []byte) {
	t.Helper()
	must(t, remote.Put(t.Context(), key, data))
}

func TestOnlyEntriesOfTheSigningKeyAreBelieved(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	signing := func(key string) *Cache { return hostOf(t, Options{Store: remote, SigningKey: key}) }
	a := signing("one")
	compiled(t, a, request("1"), "a")
	if found, reason := sees(t, signing("one"), request("2"), "a"); found != "a" || reason != Exact {
		t.Errorf("a host with the key finds %q, %s", found, reason)
	}
	if found, _ := sees(t, signing(""), request("3"), "a"); found != "a" {
		t.Errorf("a host that checks nothing finds %q", found)
	}
	for name, key := range map[string]string{"another key": "two", "a key with one more letter": "one1"} {
		j := begin(t, signing(key), request("4"))
		if j.has("a") != "" || len(j.got.Problems) != 1 || ReasonOf(j.got.Problems[0]) != Unsigned {
			t.Errorf("%s: %+v", name, j.got)
		}
	}
}

func TestWhoWritesToTheBucketWithoutTheSigningKeyIsNotBelieved(t *testing.T) {
	t.Parallel()
	remote := store.NewDirectory(t.TempDir())
	honest := hostOf(t, Options{Store: remote, SigningKey: "key"})
	compiled(t, honest, request("1"), "a")
	other := request("1")
	other.Project = "8"
	compiled(t, honest, other, "evil") // what the attacker's own project has, signed
	genuine := journalOf(t, honest, request(""))[0]
	object, err := remote.Get(t.Context(), genuine.Key, maxEntrySize)
	must(t, err)
	foreign, err := remote.Get(t.Context(), journalOf(t, honest, other)[0].Key, maxEntrySize)
	must(t, err)
	body, seal, _ := bytes.Cut(object, []byte("\n"))

	newest := request("").pool("protected", "build").entryKey(time.Now(), request("").Graph, "forged")
	for name, forged := range map[string][]byte{
		"without a signature":             body,
		"with an empty signature":         append(bytes.Clone(body), '\n'),
		"with the signature of another":   append(append(bytes.ReplaceAll(bytes.Clone(body), []byte(`"job":"1"`), []byte(`"job":"9"`)), '\n'), seal...),
		"an entry of another project":     foreign,
		"the genuine one at another time": object,
	} {
		forge(t, remote, newest, forged)
		j := begin(t, hostOf(t, Options{Store: remote, SigningKey: "key"}), request("2"))
		if j.has("a") != "a" || j.has("evil") != "" || len(j.got.Problems) != 1 || ReasonOf(j.got.Problems[0]) != Unsigned {
			t.Errorf("%s: %+v", name, j.got)
		}
		must(t, remote.Delete(t.Context(), newest))
	}
}
