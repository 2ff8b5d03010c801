//go:build faults

package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestMain doubles as the process that crashes.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_CRASH") != "" {
		for range 2 {
			At(LayerStaged)
			At(LayerPlaced)
		}
		return
	}
	os.Exit(m.Run())
}

func TestFaultAProcessCrashesWhereItIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		order   Order
		crashes []bool // each process that is started
	}{
		"the first time":             {Order{LayerPlaced, 1, false}, []bool{true, false}},
		"the second":                 {Order{LayerPlaced, 2, false}, []bool{true, false}},
		"the second process's first": {Order{LayerPlaced, 3, false}, []bool{false, true, false}},
		"never":                      {Order{LayerPlaced, 9, false}, []bool{false}},
		"elsewhere":                  {Order{EntryWritten, 1, false}, []bool{false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "order")
			variable, err := test.order.Give(file)
			if err != nil {
				t.Fatal(err)
			}
			want := false
			for i, crashes := range test.crashes {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), "TEST_CRASH=1", variable)
				_ = cmd.Run()
				if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() != crashes {
					t.Errorf("process %d: %v", i, status)
				}
				if want = want || crashes; CarriedOut(file) != want {
					t.Errorf("after process %d: carried out is %v", i, !want)
				}
			}
		})
	}
}

func TestFaultAParentCrashesToo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "order")
	variable, err := Order{LayerPlaced, 1, true}.Give(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `"$0"; echo survived`, os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_CRASH=1", variable)
	if out, err := cmd.CombinedOutput(); len(out) > 0 || err == nil || !CarriedOut(file) {
		t.Errorf("%s, %v", out, err)
	}
}
