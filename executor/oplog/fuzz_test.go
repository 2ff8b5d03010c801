package oplog

import (
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
)

// FuzzRedact logs a secret amid anything: neither it nor a form of it is in the line.
func FuzzRedact(f *testing.F) {
	for _, seed := range [][3]string{
		{"hunter2", "user ", " logged in"}, {"p@ss word\n", "https://u:", "@host"}, {"\"quoted\"", "", ""}, {"aaaa", "a", "a"}, {"MASK", "x", "y"}, {"abc", "", ""}, {"\xff\xfe\x00\x1b", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		hook := Redact([]string{secret, "another secret"})
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strconv.Quote(secret)} {
			line := &logrus.Entry{Message: before + form + after, Data: logrus.Fields{"a": before + form, "b": []string{form + after}, "c": 1}}
			if err := hook.Fire(line); err != nil {
				t.Fatal(err)
			}
			if len(secret) < shortestSecret {
				continue
			}
			// What is left beside the mask is what was around it, so that it may hold a part of it at most.
			for _, text := range []string{line.Message, line.Data["a"].(string), line.Data["b"].(string)} {
				if !strings.Contains(text, Masked) {
					t.Errorf("%q in %q is logged as %q", secret, form, text)
				}
			}
			if line.Data["c"] != 1 {
				t.Errorf("a number is logged as %v", line.Data["c"])
			}
		}
	})
}
