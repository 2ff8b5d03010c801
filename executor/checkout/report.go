package checkout

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

const maxReport = 16 << 20 // bytes

// ReadReport reads what Run reported from inside a container. A job may have replaced whatever runs there: what is not exactly of
// the form that Run gives is an error.
func ReadReport(from io.Reader) (Report, error) {
	limited := &io.LimitedReader{R: from, N: maxReport + 1}
	decoder := json.NewDecoder(limited)
	decoder.DisallowUnknownFields()
	var r Report
	if err := decoder.Decode(&r); err != nil {
		return Report{}, refuse(limited, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) || limited.N == 0 {
		return Report{}, refuse(limited, errors.New("something follows it"))
	}
	if err := errors.Join(r.Graph.check(), checkSums(r.Sums), r.Times.check(), checkProblems(r.Problems)); err != nil {
		return Report{}, refuse(limited, err)
	}
	return r, nil
}

func refuse(limited *io.LimitedReader, err error) error {
	if limited.N == 0 {
		err = fmt.Errorf("it is larger than %d MiB", maxReport>>20)
	}
	return fmt.Errorf("the report of the checkout is not usable: %w", err)
}

var graphHash = regexp.MustCompile(`^([0-9a-f]{64})?$`)

func (g Graph) check() error {
	if !graphHash.MatchString(g.Hash) {
		return fmt.Errorf("graph.hash is %.80q", g.Hash)
	}
	if g.Toolchain != "" && !validToolchain(g.Toolchain) {
		return fmt.Errorf("graph.toolchain is %.80q", g.Toolchain)
	}
	for i, name := range g.Modules {
		p, v, _ := strings.Cut(name, "@")
		if !validModule(p, v) {
			return fmt.Errorf("graph.modules has %.80q", name)
		}
		if i > 0 && g.Modules[i-1] >= name {
			return fmt.Errorf("graph.modules is not sorted at %.80q", name)
		}
	}
	return nil
}

func checkSums(sums map[string][]string) error {
	for key, values := range sums {
		if !validSumKey(key) || len(values) == 0 {
			return fmt.Errorf("sums has %.80q", key)
		}
		for _, v := range values {
			if !validSum(v) {
				return fmt.Errorf("sums has %.80q for %.80q", v, key)
			}
		}
	}
	return nil
}

func (t Times) check() error {
	switch {
	case !slices.Contains([]string{ModeAll, ModeTestdata, ModeOff, ModeNone}, t.Mode):
		return fmt.Errorf("times.mode is %.80q", t.Mode)
	case len(t.Why) > 40 || t.Why != printable(t.Why):
		return fmt.Errorf("times.why is %.80q", t.Why)
	case t.Files < 0, t.Dirs < 0, t.Dirty < 0, t.Seconds < 0:
		return errors.New("times has a negative number")
	}
	return nil
}

func checkProblems(list []string) error {
	if len(list) > maxProblems {
		return fmt.Errorf("it has %d problems", len(list))
	}
	for _, s := range list {
		if s == "" || s != printable(s) {
			return fmt.Errorf("problems has %.80q", s)
		}
	}
	return nil
}

// validModule says whether a module cache could hold a module of that path and version.
func validModule(modPath, modVersion string) bool {
	return module.Check(modPath, modVersion) == nil && module.CanonicalVersion(modVersion) == modVersion
}

// validSumKey knows the first two fields of a go.sum line.
func validSumKey(key string) bool {
	p, v, ok := strings.Cut(key, " ")
	return ok && validModule(p, strings.TrimSuffix(v, "/go.mod"))
}

// validSum knows the only kind of hash that go.sum files have: h1, a sha256 (golang.org/x/mod/sumdb/dirhash).
func validSum(sum string) bool {
	encoded, ok := strings.CutPrefix(sum, "h1:")
	data, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return ok && err == nil && len(data) == 32 && !strings.ContainsAny(encoded, "\r\n")
}

var toolchainName = regexp.MustCompile(`^go[1-9][0-9A-Za-z.+_-]{0,60}$`)

// validToolchain says whether a name is that of a Go toolchain, and safe as a part of a file's name.
func validToolchain(name string) bool {
	return toolchainName.MatchString(name) && version.IsValid(name)
}
