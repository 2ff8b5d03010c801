//go:build faults

package crash

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// orderVariable names a file with the order to crash. GitLab Runner hands its own environment down to every stage, so that one order holds for
// all stages of a job until it is carried out.
const orderVariable = "GGE_CRASH"

// Order says where to crash.
type Order struct {
	Point  Point
	Nth    int  // the how manyeth time that the point is reached, counted over all processes that were given the order
	Parent bool // the parent crashes too: a stage's is the Runner
}

// Give writes the order into a file, and gives the variable that processes have to be started with.
func (o Order) Give(file string) (variable string, err error) {
	return orderVariable + "=" + file, os.WriteFile(file, fmt.Append(nil, o.Point, " ", o.Nth, " ", o.Parent), 0o600)
}

// CarriedOut says whether a process has crashed by the order in the file.
func CarriedOut(file string) bool {
	_, err := os.Stat(file + carriedOut)
	return err == nil
}

// Trace has processes note in a file which points they reach, one a line, and crash nowhere.
func Trace(file string) (variable string) { return orderVariable + "=" + file + tracing }

const (
	carriedOut = ".carried-out" // what the file of an order is called then
	tracing    = ".trace"
)

var mu sync.Mutex

// At kills this process if it was ordered to crash here.
func At(p Point) {
	file := os.Getenv(orderVariable)
	if file == "" {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	if path, ok := strings.CutSuffix(file, tracing); ok {
		note(path, p)
		return
	}
	var o Order
	data, err := os.ReadFile(file)
	if err != nil {
		return // carried out
	}
	if _, err := fmt.Sscan(string(data), &o.Point, &o.Nth, &o.Parent); err != nil || o.Point != p {
		return
	}
	if o.Nth > 1 {
		o.Nth--
		_, _ = o.Give(file) // a test that waits for the crash tells
		return
	}
	_ = os.Rename(file, file+carriedOut)
	if o.Parent {
		_ = unix.Kill(os.Getppid(), unix.SIGKILL)
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {} // it comes at once, and nothing may be done before
}

func note(path string, p Point) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintln(file, p)
	_ = file.Close()
}
