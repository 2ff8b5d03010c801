package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoad(t *testing.T) {
	got, err := Load("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{HTTP: ":80", GRPC: ":9090", Database: "postgres://db/parts", Log: "debug", Trace: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"unknown.toml": `unknown key "datbase"`,
		"empty.toml":   "database is empty",
		"missing.toml": "no such file",
	} {
		if _, err := Load("testdata/" + file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", file, err, want)
		}
	}
}
