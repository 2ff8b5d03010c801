package goenv

import (
	"slices"
	"strings"
)

// variants are the variables that choose among the processors of an architecture, with Go's defaults (internal/buildcfg): a job that
// says what is the default has the same platform as one that says nothing. Where a toolchain was built with another default, the two
// differ, which costs a cache and is not wrong.
var variants = map[string]string{
	"GO386": "sse2", "GOAMD64": "v1", "GOARM": "7", "GOARM64": "v8.0", "GOMIPS": "hardfloat", "GOMIPS64": "hardfloat",
	"GOPPC64": "power8", "GORISCV64": "rva20u64", "GOWASM": "",
}

// variantNames gives the variable of an architecture (buildcfg.GOGOARCH); others have none.
var variantNames = map[string]string{
	"386": "GO386", "amd64": "GOAMD64", "arm": "GOARM", "arm64": "GOARM64", "mips": "GOMIPS", "mipsle": "GOMIPS",
	"mips64": "GOMIPS64", "mips64le": "GOMIPS64", "ppc64": "GOPPC64", "ppc64le": "GOPPC64", "riscv64": "GORISCV64", "wasm": "GOWASM",
}

// variant is the kind of processor, spelled in one way: "7-hardfloat" for both GOARM=7 and none.
func (s settings) variant(arch string) string {
	name, ok := variantNames[arch]
	if !ok {
		return ""
	}
	value := s.get(name)
	if value == "" {
		value = variants[name]
	}
	features := strings.Split(value, ",")
	switch base := features[0]; {
	case name == "GOARM" && len(features) == 1 && base == "5": // buildcfg.goarm
		features = append(features, "softfloat")
	case name == "GOARM" && len(features) == 1:
		features = append(features, "hardfloat")
	case name == "GOARM64" && base != "v8.0": // buildcfg.ParseGoarm64: every later one has it
		features = append(features, "lse")
	}
	slices.Sort(features[1:])
	if name == "GOWASM" { // nothing but features
		slices.Sort(features)
	}
	return strings.Join(slices.Compact(features), "-")
}
