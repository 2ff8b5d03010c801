package layer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
)

func TestWhatAHostLacksIsToldEachByItself(t *testing.T) {
	t.Parallel()
	loop, kernel := &layer.Lack{What: "no loop devices", Remedy: "modprobe loop", Err: fs.ErrNotExist}, &layer.Lack{What: "no squashfs", Remedy: "modprobe squashfs"}
	all := fmt.Errorf("try: %w", errors.Join(fmt.Errorf("first: %w", loop), errors.New("other"), kernel))
	got := layer.Lacks(all)
	if len(got) != 2 || got[0] != loop || got[1] != kernel {
		t.Errorf("got %v", got)
	}
	if !errors.Is(all, layer.ErrUnsupported) || !errors.Is(loop, fs.ErrNotExist) || errors.Is(kernel, fs.ErrNotExist) {
		t.Error("the errors within are not found")
	}
	if got := layer.Lacks(errors.New("other")); got != nil || layer.Lacks(nil) != nil {
		t.Errorf("got %v of nothing", got)
	}
	if want := "unsupported by this host: no loop devices (modprobe loop): file does not exist"; loop.Error() != want {
		t.Errorf("got %q, want %q", loop, want)
	}
}
