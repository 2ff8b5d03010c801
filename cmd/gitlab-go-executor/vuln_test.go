package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// found is a message of govulncheck -format json about a vulnerability: called, or only in what is required.
func found(id, function string) string {
	return fmt.Sprintf(`{"osv": {"id": %q, "summary": "of %s"}}
{"finding": {"osv": %q, "fixed_version": "v2.0.0", "trace": [{"module": "example.com/m", "version": "v1.0.0"}]}}
{"finding": {"osv": %q, "fixed_version": "v2.0.0", "trace": [{"module": "example.com/m", "version": "v1.0.0", "package": "example.com/m", "function": %q}]}}
`, id, id, id, id, function)
}

func TestOnlyAcceptedVulnerabilitiesPass(t *testing.T) {
	t.Parallel()
	script := filepath.Join("..", "..", "scripts", "vuln.sh")
	standIn, err := filepath.Abs(filepath.Join("testdata", "govulncheck"))
	if err != nil {
		t.Fatal(err)
	}
	accepted := found("GO-2026-4883", "Do") + found("GO-2026-4887", "Do")
	config := `{"config": {"protocol_version": "v1.0.0"}}` + "\n"
	for name, c := range map[string]struct{ says, want string }{
		"those that are accepted":          {says: config + accepted},
		"one that is only required":        {says: config + accepted + found("GO-2026-1", "")},
		"one that is not accepted":         {config + accepted + found("GO-2026-1", "Do"), "GO-2026-1 example.com/m@v1.0.0, fixed in v2.0.0: of GO-2026-1\n"},
		"an accepted one is not there":     {config + found("GO-2026-4883", "Do"), "take out of the list in this script: GO-2026-4887\n"},
		"an accepted one is only required": {config + found("GO-2026-4883", "Do") + found("GO-2026-4887", ""), "take out of the list in this script: GO-2026-4887\n"},
		"none":                             {config, "take out of the list in this script: GO-2026-4883 GO-2026-4887\n"},
		"no JSON":                          {"<html>", "can this machine reach file:///"},
		"no database":                      {"", "can this machine reach file:///"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := filepath.Join(t.TempDir(), "database")
			if c.says != "" {
				if err := os.WriteFile(database, []byte(strings.ReplaceAll(c.says, `"function": ""`, `"function": null`)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			said, err := exec.CommandContext(t.Context(), script, standIn, "file://"+database).CombinedOutput()
			if passes := c.want == ""; (err == nil) != passes || !strings.Contains(string(said), c.want) {
				t.Errorf("%v\n%s\nwant %q", err, said, c.want)
			}
		})
	}
}
