package cache

import (
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// hits are the items of the base that the job opened and did not make itself, by whether their layer was on the host before.
func hits(base []indexed, opened map[string]bool, made []string, counted func(kind.Class) bool) (host, store, available int) {
	own := map[string]bool{}
	for _, id := range made {
		own[id] = true
	}
	seen := map[string]bool{}
	for _, l := range base {
		for _, item := range l.items {
			if seen[item.ID] || !counted(item.Class) {
				continue
			}
			seen[item.ID] = true
			available++
			switch {
			case !opened[item.ID] || own[item.ID]:
			case l.FromStore:
				store++
			default:
				host++
			}
		}
	}
	return host, store, available
}

// count notes what the job hit and made of one kind. Without a watch of its opens only the latter is known.
func (s *saving) count(h kind.Harvest) {
	for word, n := range h.Refused {
		s.saved.Refused[word] += n
	}
	made := len(h.New)
	host, store, available := hits(s.base, s.opened, h.New, s.kind.Counts)
	hit, wanted := host+store, host+store+made
	built := BuildCount{Available: &available, New: &made}
	if s.opened != nil {
		built.Hit = &hit
	}
	switch name := s.kind.Name(); name {
	case kind.Modules().Name():
		s.saved.Modules = ModuleCount{Missed: &made}
		if s.opened != nil {
			s.saved.Modules = ModuleCount{Wanted: &wanted, HitHost: &host, HitStore: &store, Missed: &made}
		}
	case kind.Build().Name():
		s.saved.Build, s.saved.Compiled = built, h.Compiled
	default:
		s.saved.Extras[name] = built
	}
}

// bits are what the job used of each layer of its base; nil if nobody knows, or if it is no evidence: a job that failed early has
// not used what it would have.
func (s *saving) bits() map[string]Bits {
	if s.opened == nil || !s.complete {
		return nil
	}
	all := map[string]Bits{}
	for _, l := range s.base {
		bits := makeBits(len(l.items))
		for i, item := range l.items {
			if s.opened[item.ID] {
				bits.set(i)
			}
		}
		all[l.Digest] = bits
	}
	return all
}
