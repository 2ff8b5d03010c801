//go:build !faults

package docker

import "time"

// callTimeout bounds a call that should be answered at once. It is generous: a daemon that is busy with the start of other
// containers answers even an inspect late.
const callTimeout = time.Minute
