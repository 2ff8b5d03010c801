package store

import "time"

// Bounds sets how long a bucket is waited for, and how often it is tried.
func (s *S3) Bounds(call, stall time.Duration, attempts int) {
	s.bounds.call, s.bounds.stall, s.bounds.attempts, s.bounds.pause = call, stall, attempts, 10*time.Millisecond
}

// Ranges sets how many ranges of a file are read side by side.
func (s *S3) Ranges(n int) { s.ranges = n }

// The sizes of what is moved at once.
const (
	RangeSize = rangeSize
	PartSize  = smallestPart
)
