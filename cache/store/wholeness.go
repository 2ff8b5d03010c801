package store

import "sync"

// wholeness knows up to which byte a file is whole that is written in ranges, side by side.
type wholeness struct {
	tell func(upTo int64) // may be nil

	mu   sync.Mutex
	upTo int64
	done map[int64]int64 // ranges behind a gap: where each begins → where it ends
}

// add notes a range that is written.
func (w *wholeness) add(from, end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil {
		w.done = map[int64]int64{}
	}
	w.done[from] = end
	before := w.upTo
	for end, ok := w.done[w.upTo]; ok && end > w.upTo; end, ok = w.done[w.upTo] {
		delete(w.done, w.upTo)
		w.upTo = end
	}
	if w.tell != nil && w.upTo > before {
		w.tell(w.upTo)
	}
}

// anew says that nothing of the file counts any more. Nobody adds at the same time.
func (w *wholeness) anew() {
	if w.tell != nil {
		w.tell(0)
	}
}
