package main

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestAVersionSaysWhatItWasBuiltOf(t *testing.T) {
	t.Parallel()
	noted := func(module string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: module}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123abc"}
	for _, c := range []struct {
		name, version string
		info          *debug.BuildInfo
		want          string
	}{
		{"a release", "v1.2.3", noted("v1.2.3", commit, debug.BuildSetting{Key: "vcs.modified", Value: "false"}), "v1.2.3 (commit 0123abc, GO)"},
		{"with changes", "v1.2.3-dirty", noted("(devel)", commit, debug.BuildSetting{Key: "vcs.modified", Value: "true"}), "v1.2.3-dirty (commit 0123abc with changes, GO)"},
		{"of the Makefile, after a release", "v1.2.3-4-g0123abc", noted("v1.2.4-0.20260102030405-0123abc"), "v1.2.3-4-g0123abc (GO)"},
		{"go install", unversioned, noted("v1.2.3"), "v1.2.3 (GO)"},
		{"go build without a repository", unversioned, noted("(devel)"), "dev (GO)"},
		{"nothing is noted", "v1.2.3", nil, "v1.2.3 (GO)"},
	} {
		var out bytes.Buffer
		if err := buildOf(c.version, c.info).print(&out); err != nil {
			t.Fatal(err)
		}
		about := []byte(runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH)
		if got := string(bytes.Replace(out.Bytes(), about, []byte("GO"), 1)); got != "gitlab-go-executor "+c.want+"\n" {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
