//go:build faults

package docker

import (
	"os"
	"time"
)

// callTimeout is what the tests of calls that hang say, so that these take seconds.
var callTimeout = func() time.Duration {
	if limit, err := time.ParseDuration(os.Getenv("GGE_FAULT_CALL_TIMEOUT")); err == nil {
		return limit
	}
	return time.Minute
}()
