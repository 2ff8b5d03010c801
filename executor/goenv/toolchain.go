package goenv

import (
	"fmt"
	goversion "go/version"
	"regexp"
	"strings"
)

// oldest is the first Go that knows other toolchains than itself.
const oldest = "go1.21"

// localVersion finds the version in what go env GOVERSION says: "go1.26.8", "go1.26.8 X:nocoverageredesign", "devel go1.27-0123abc Mon …".
var localVersion = regexp.MustCompile(`go1[^ ]*`)

// toolchain tells which Go compiles when the go command of version local is called, as cmd/go/internal/toolchain.Select does: setting is
// GOTOOLCHAIN, wants the newer one of the go and toolchain lines. Whether a toolchain comes from PATH or from the network makes no
// difference here.
func toolchain(local, setting, wants string) (name, problem string) {
	own := localVersion.FindString(local)
	if setting == "" || goversion.Compare(own, oldest) < 0 {
		return local, "" // it knows no others
	}
	name = own
	least, mode, plus := strings.Cut(setting, "+")
	switch {
	case setting == "auto", setting == "path":
		mode = setting
	case plus && mode != "auto" && mode != "path", least != "local" && !isToolchain(least):
		return local, fmt.Sprintf("GOTOOLCHAIN is %.100q, which Go refuses: use local, auto, or a version such as go1.26.8 or go1.26.8+auto", setting)
	case least != "local":
		name = least
	}
	if mode != "" && isToolchain(wants) && goversion.Compare(wants, name) > 0 {
		name = wants
		if goversion.Lang(wants) == wants && goversion.Compare(wants, oldest) >= 0 { // since Go 1.21 a language has a first release of its own: go1.27.0
			name += ".0"
		}
	}
	if name == own {
		return local, ""
	}
	return name, ""
}

// isToolchain says whether a name is one of a toolchain (gover.FromToolchain).
func isToolchain(name string) bool {
	return goversion.IsValid(name) && !strings.ContainsAny(name, `\/`)
}
