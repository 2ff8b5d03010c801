package goenv

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Target is what keys of the build cache are made of. Both names are safe as one element of a path.
type Target struct {
	Platform  string // "linux-amd64-v1"; with cgo on "linux-amd64-v1-cgo-" and the beginning of the C side's fingerprint
	Toolchain string // "go1.26.8"
	Problem   string // something that the job's author should know; "" if there is nothing
}

// Resolve tells what a job compiles for and with: what its variables say goes before what the image says. wants is the toolchain that
// go.mod or go.work asks for, such as "go1.27.0"; "" if none. What a script sets by itself is not known here, and need not be, since
// Go tells apart what is compiled for several platforms. Only where a script turns cgo on that its job's variables leave off, nobody notices
// that the image's C side has changed.
func (i Image) Resolve(vars map[string]string, wants string) Target {
	job := settings{vars, i}
	toolchain, problem := toolchain(i.Go, job.get(gotoolchain), wants)
	t := Target{Platform: safe(job.platform()), Toolchain: safe(toolchain), Problem: problem}
	if t.Problem == "" && job.cgo() && i.C == "" {
		t.Problem = "CGO_ENABLED is 1, but the image has no C compiler: the caches cannot know when the headers and libraries change that the job installs, " +
			"and go test may take an old result for a new one; use an image that has them"
	}
	return t
}

// Likely tells how a job's "<platform>/<toolchain>" will begin, when nobody has seen its image yet: an image of architecture arch, of which
// it is not known whether it has a C compiler, and that sets nothing that the job does not.
func Likely(vars map[string]string, arch string) string {
	job := settings{vars, Image{Env: map[string]string{goos: "linux", goarch: arch, gohostos: "linux", gohostarch: arch}}}
	switch {
	case job.cgo():
		return safe(job.target()) + "-cgo-"
	case job.native() && job.get(cgoEnabled) != "0":
		return safe(job.target())
	default:
		return safe(job.platform()) + "/"
	}
}

// settings are the variables of go env as a job has them.
type settings struct {
	vars  map[string]string
	image Image
}

// get gives a variable as cmd/go sees it, for which an empty one is not set (cfg.Getenv).
func (s settings) get(name string) string {
	if value := s.vars[name]; value != "" {
		return value
	}
	return s.image.Env[name]
}

// target names system, architecture and kind of processor.
func (s settings) target() string {
	parts := []string{s.get(goos), s.get(goarch)}
	if variant := s.variant(s.get(goarch)); variant != "" {
		parts = append(parts, variant)
	}
	return strings.Join(parts, "-")
}

// platform names what the job compiles for, with all that changes code.
func (s settings) platform() string {
	parts := []string{s.target()}
	if s.cgo() {
		parts = append(parts, "cgo", s.cSide())
	}
	var further []string
	if value := s.get(goexperiment); value != "" {
		further = append(further, goexperiment+"="+value)
	}
	if value := s.get(gofips140); value != "" && value != "off" {
		further = append(further, gofips140+"="+value)
	}
	if len(further) > 0 {
		parts = append(parts, "with", short(strings.Join(further, "\n")))
	}
	return strings.Join(parts, "-")
}

// cgo says whether cgo is on, by the rules of cmd/go (cfg.defaultContext): what is set, else off for another platform, else on if
// there is a compiler; a compiler that is named is not looked for.
func (s settings) cgo() bool {
	if value := s.get(cgoEnabled); value == "0" || value == "1" {
		return value == "1"
	}
	return s.native() && (s.image.C != "" || s.vars[compiler] != "")
}

// native says whether the job compiles for what the go command itself runs on.
func (s settings) native() bool {
	return s.get(goos) == s.image.Env[gohostos] && s.get(goarch) == s.image.Env[gohostarch]
}

// cSide tells the C sides of images apart, and compilers of one image.
func (s settings) cSide() string {
	const digits = 12
	switch named := s.vars[compiler]; {
	case s.image.C == "":
		return "unknown"
	case named != "" && named != s.image.Env[compiler]:
		return short(s.image.C + "\n" + named)
	default:
		return s.image.C[:digits]
	}
}

func short(text string) string {
	const digits = 12
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:digits]
}

const longestName = 100

var safeName, unsafeChars = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`), regexp.MustCompile(`[^a-z0-9.]+`)

// safe gives a name that can be one element of a path. A name that is none is made one, and told apart by a hash.
func safe(name string) string {
	if safeName.MatchString(name) && len(name) <= longestName {
		return name
	}
	const readable = 60
	text := strings.Trim(unsafeChars.ReplaceAllString(strings.ToLower(name), "-"), "-.")
	return strings.TrimLeft(fmt.Sprintf("%.*s-%s", readable, text, short(name)), "-")
}
