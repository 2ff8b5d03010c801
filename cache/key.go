package cache

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/kind"
)

// Keys of the store:
//
//	v1/<instance>/<project>/<tier>/<kind>/[<platform>/<toolchain>/]<inverted time>-<graph hash>-<job>.json   an entry
//	v1/<instance>/<project>/<tier>/layers/<digest>.sqfs                                                     its layer
//
// The inverted time puts the newest entry first. A change of what keys or objects mean takes another version.
const keyVersion = "v1"

var (
	segment = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,199}$`) // an element of a key that is safe as a folder's name too
	hash    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// graphKey is a graph hash in keys and entries, where a word stands for a tree without a go.mod.
func graphKey(hash string) string {
	if hash == "" {
		return "none"
	}
	return hash
}

// pool is what is read and written together: the journal of one kind, tier, platform and toolchain.
type pool struct {
	tier   string // its prefix in the store, with a slash at its end
	prefix string // of its entries, with a slash at its end
	kind   kind.Kind
}

// pools are those that a request reads, by kind, and of each kind the upper tier first.
func (r Request) pools() (all []pool) {
	for _, name := range r.Kinds {
		for _, tier := range r.tiers() {
			all = append(all, r.pool(tier, name))
		}
	}
	return all
}

// pool names one of the pools that a request reads.
func (r Request) pool(tier, kindName string) pool {
	p := pool{tier: strings.Join([]string{keyVersion, r.Instance, r.Project, tier, ""}, "/"), kind: kind.Named(kindName)}
	p.prefix = p.ofKind()
	if !portable(kindName) {
		p.prefix += r.Platform + "/" + r.Toolchain + "/"
	}
	return p
}

// portable says whether a kind holds the same for every platform and toolchain.
func portable(kindName string) bool { return kindName == kind.Modules().Name() }

// ofKind is the prefix of all pools of the same kind and tier.
func (p pool) ofKind() string { return p.tier + p.kind.Name() + "/" }

func (p pool) layerKey(digest string) string { return p.tier + "layers/" + digest + ".sqfs" }

// entryKey is a key that sorts before those of all earlier entries.
func (p pool) entryKey(now time.Time, graph, job string) string {
	return fmt.Sprintf("%s%019d-%s-%s.json", p.prefix, math.MaxInt64-now.UnixNano(), graphKey(graph), job)
}

var entryName = regexp.MustCompile(`^[0-9]{19}-(none|[0-9a-f]{64})-[A-Za-z0-9._+-]+\.json$`)

// isEntry says whether a key of the listing is an entry of this very pool.
func (p pool) isEntry(key string) bool {
	name, ok := strings.CutPrefix(key, p.prefix)
	return ok && entryName.MatchString(name)
}
