package layer_test

import (
	"errors"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

// Not parallel: it changes the environment.
func TestAHostWithoutTheToolsIsToldWhatToInstall(t *testing.T) {
	f := layertest.New(t, newImage)
	digest := f.Write(map[string]string{"a": "a"})
	t.Setenv("PATH", t.TempDir())
	_, written := f.Host.Write(t.Context(), nil, layertest.Files())
	_, mounted := f.Driver.Layer(t.Context(), digest)
	_, unpacked := layer.NewCopy(f.Host).Layer(t.Context(), digest)
	for install, err := range map[string]error{
		"squashfs-tools, 4.5": written, "util-linux": mounted, "squashfs-tools": unpacked,
		"install util-linux": layer.NewImage(f.Host).Probe(t.Context()), "install squashfs-tools": layer.NewCopy(f.Host).Probe(t.Context()),
	} {
		if !errors.Is(err, layer.ErrUnsupported) || !strings.Contains(err.Error(), install) {
			t.Errorf("got error %v, want one about %q", err, install)
		}
	}
}

func TestAStateDirectoryOnAnOverlayIsUnsupported(t *testing.T) {
	t.Parallel()
	f := layertest.New(t, newImage)
	inner := layer.Host{Dir: f.Mount("outer").Merged()} // as in a container
	if err := layer.NewImage(inner).Probe(t.Context()); !errors.Is(err, layer.ErrUnsupported) {
		t.Errorf("got error %v, want %v", err, layer.ErrUnsupported)
	}
	w := layer.Work{Dir: inner.Dir + "/job"}
	if err := layer.NewOldImage(inner).Mount(t.Context(), w, nil); !errors.Is(err, layer.ErrUnsupported) {
		t.Errorf("got error %v, want %v", err, layer.ErrUnsupported)
	}
}
