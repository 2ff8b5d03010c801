// Package goenv finds out what Go a container image has, and what a job will compile with: that is what keys of the build cache
// are made of. Go's own keys tell apart all that changes what it compiles, but for the C side of an image (cmd/go, buildActionID): so
// platform and toolchain are about finding a full cache soon, and the fingerprint is about never finding a wrong one.
package goenv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
)

// Image is what a container image has of Go, the same for all jobs that run in it.
type Image struct {
	// Go is the version of the go command on its PATH, or else where Go is usually installed, such as "go1.26.8"; "" if there is none, or none
	// that runs.
	Go string `json:"go"`
	// Env is what go env says, of Names. CGO_ENABLED is there only where it is set, or not what cmd/go would take by default.
	Env map[string]string `json:"env"`
	// C is the fingerprint of the C side, in hex; "" if the C compiler of go env does not run.
	C string `json:"c"`
}

// Variables of go env that have a meaning of their own here.
const (
	goos, goarch, gohostos, gohostarch = "GOOS", "GOARCH", "GOHOSTOS", "GOHOSTARCH"
	cgoEnabled, compiler, gotoolchain  = "CGO_ENABLED", "CC", "GOTOOLCHAIN"
	goexperiment, gofips140            = "GOEXPERIMENT", "GOFIPS140"
)

// names are the variables of go env that an Image may have.
var names = append([]string{
	goos, goarch, gohostos, gohostarch, cgoEnabled, compiler, gotoolchain, goexperiment, gofips140,
}, slices.Sorted(maps.Keys(variants))...)

// Limits of what an image may say about itself.
const (
	maxReport = 64 << 10 // bytes, of all
	maxValue  = 1 << 10  // bytes, of one variable
)

var (
	version   = regexp.MustCompile(`^((go|devel )[\x20-\x7e]{1,200})?$`)
	digest    = regexp.MustCompile(`^([0-9a-f]{64})?$`)
	printable = regexp.MustCompile(`^[^\x00-\x1f\x7f]*$`)
)

// ReadImage reads what Probe printed as JSON in an untrusted image.
func ReadImage(r io.Reader) (Image, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxReport+1))
	if err != nil {
		return Image{}, fmt.Errorf("read what Go the image has: %w", err)
	}
	if len(data) > maxReport {
		return Image{}, fmt.Errorf("what the image says about its Go is longer than %d bytes", maxReport)
	}
	var i Image
	if err := json.Unmarshal(data, &i); err != nil {
		return Image{}, fmt.Errorf("read what Go the image has: %w", err)
	}
	return i, i.check()
}

// check keeps out what no image says that means well.
func (i Image) check() error {
	var problems []error
	if !version.MatchString(i.Go) {
		problems = append(problems, fmt.Errorf("the image's Go has the version %.300q, which is none", i.Go))
	}
	if !digest.MatchString(i.C) {
		problems = append(problems, fmt.Errorf("the image's C side has the fingerprint %.100q, which is none", i.C))
	}
	for _, name := range slices.Sorted(maps.Keys(i.Env)) {
		value := i.Env[name]
		if !slices.Contains(names, name) || len(value) > maxValue || !printable.MatchString(value) {
			problems = append(problems, fmt.Errorf("the image's go env has %.100q = %.100q, which is nothing that Go says", name, value))
		}
	}
	return errors.Join(problems...)
}
