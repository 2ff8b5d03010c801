package dashboard

import "time"

// Facts is what is known of the host besides its jobs. What nobody knows is nil, empty, or the zero time, and is shown as unknown.
type Facts struct {
	Host    string
	Version string
	Taken   time.Time // when the others were looked at

	HostTier Use // layers on this host
	Store    Use // what the store holds
	Ledger   Use
	DiskFree *int64 // bytes of the file system that the state directory is on
	DiskSize *int64

	StoreName   string // where the store is
	StoreHealth Health
	Spool       Spool

	OrphanJobs       *int64 // that are gone and whose remains cannot be removed
	OrphanContainers *int64 // jobs that are gone and of which Docker has what cannot be removed
}

// Use is what something takes, and what it may take.
type Use struct {
	Objects *int64
	Bytes   *int64
	Limit   *int64 // 0: it has none
}

// Health is how the store did when it was used last.
type Health struct {
	Up       *bool     // nil: it has not been used yet
	Answered time.Time // when it did last
	Reason   string    // why it fails, a cache reason
	Problem  string    // what it said, or what went wrong
	Since    time.Time // when it began to fail
}

// Spool is what waits on the host to be sent to the store.
type Spool struct {
	Objects *int64
	Bytes   *int64
	Oldest  time.Time // when what waits longest was saved
}
