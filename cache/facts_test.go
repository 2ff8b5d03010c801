package cache

import (
	"errors"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestAHostKnowsWhatItsLayersTakeAndSinceWhenSomethingWaits(t *testing.T) {
	t.Parallel()
	c := farHost(t, store.NewDirectory(t.TempDir()))
	if layers, bytes, err := c.Layers(); layers != 0 || bytes != 0 || err != nil {
		t.Errorf("a new host has %d layers of %d bytes, %v", layers, bytes, err)
	}
	saved := compiled(t, c, request("1"), "a")
	if layers, bytes, err := c.Layers(); layers != 1 || bytes != saved.Bytes || err != nil {
		t.Errorf("%d layers of %d bytes, %v; one of %d was saved", layers, bytes, err, saved.Bytes)
	}
	if since, err := c.WaitingSince(t.Context()); since.IsZero() || err != nil {
		t.Errorf("waits since %v, %v", since, err)
	}
	c.sends(t)
	if since, err := c.WaitingSince(t.Context()); !since.IsZero() || err != nil {
		t.Errorf("all was sent and something waits since %v, %v", since, err)
	}
}

func TestAProbeSaysWhyAStoreFailsNearOrFar(t *testing.T) {
	t.Parallel()
	bad := store.Unusable(errors.New("no credentials"))
	for name, c := range map[string]*Cache{"near": hostOf(t, Options{Store: bad}), "far": farHost(t, bad)} {
		if err := c.Probe(t.Context()); ReasonOf(err) != StoreRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
	near := newCache(t)
	if err := near.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if since, err := near.WaitingSince(t.Context()); !since.IsZero() || err != nil {
		t.Errorf("something waits for a near store since %v, %v", since, err)
	}
}
