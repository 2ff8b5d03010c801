package executor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// FuzzTestCounter passes on what a job prints: every byte of it, counted alike however it is cut, and with no more kept than a line.
func FuzzTestCounter(f *testing.F) {
	f.Add([]byte("ok  \texample.com/a\t0.012s\nok  \texample.com/b\t(cached)\n"), 3)
	f.Add([]byte(`{"Output":"ok  \texample.com/g\t(cached)\n"}`+"\n"), 40)
	f.Add(bytes.Repeat([]byte("ok  \t"), 2000), 4096)
	f.Fuzz(func(t *testing.T, log []byte, at int) {
		at = int(uint(at) % uint(len(log)+1))
		var out bytes.Buffer
		whole, cut := &testCounter{Writer: &bytes.Buffer{}}, &testCounter{Writer: &out}
		_, _ = whole.Write(log)
		for _, piece := range [][]byte{log[:at], log[at:]} {
			if n, err := cut.Write(piece); n != len(piece) || err != nil {
				t.Fatalf("%d of %d bytes, %v", n, len(piece), err)
			}
		}
		if !bytes.Equal(out.Bytes(), log) {
			t.Error("the output was changed on its way")
		}
		if whole.tests != cut.tests || whole.tests.Cached > whole.tests.OK || len(cut.line) > maxLine {
			t.Errorf("%+v, cut after %d bytes %+v; %d bytes are kept", whole.tests, at, cut.tests, len(cut.line))
		}
	})
}

// FuzzRefs reads a list of refs, by which tiers are removed: each tier is a folder's name, and a list that names no branch is none.
func FuzzRefs(f *testing.F) {
	const sha = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
	f.Add([]byte(sha + "\tHEAD\n" + sha + "\trefs/heads/main\n" + sha + "\trefs/tags/v1^{}\n" + sha + "\trefs/merge-requests/5/head\n"))
	f.Add([]byte(sha + "\trefs/heads/../../etc\r\n"))
	f.Add([]byte(sha + "\trefs/tags/v1\n"))
	f.Add([]byte("\x1b[2J\n"))
	f.Fuzz(func(t *testing.T, list []byte) {
		tiers, err := tiersOf(bytes.NewReader(list))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q", err)
			}
			return
		}
		if !tiers[runner.ProtectedTier] || !bytes.Contains(list, []byte("refs/heads/")) {
			t.Errorf("%v of %q", tiers, list)
		}
		for tier := range tiers {
			if !filepath.IsLocal(tier) || strings.ContainsAny(tier, "/\n") || len(tier) > 100 {
				t.Errorf("%q is no folder's name", tier)
			}
		}
	})
}

// FuzzRecord reads back a job's record, of which a crash, a full disk or another release may have left anything: what is read takes part in the
// stages that follow.
func FuzzRecord(f *testing.F) {
	if data, err := json.Marshal(Record{Objects: map[string]string{objectBuild: "0123"}, Failed: &Verdict{}}); err == nil {
		f.Add(data)
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"identity":{"job":"1"},"lease":{"pid":-1,"deadline":"9999-12-31T23:59:59Z"},"objects":{"x":null},"services":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, recordName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir)
		if err != nil {
			return
		}
		if _, err := s.creating(objectHelper, func() (string, error) { return "id", nil }); err != nil {
			t.Fatalf("it cannot be written again: %v", err)
		}
		again, err := openStore(dir)
		if err != nil || again.object(objectHelper) != "id" || again.get().Identity != s.get().Identity || len(again.get().Services) != len(s.get().Services) {
			t.Errorf("%+v is read as %+v, %v", s.get(), again, err)
		}
	})
}

// FuzzLimits reads what a job wishes: it is given no more than the administrator lets it, and what it is told is in one line.
func FuzzLimits(f *testing.F) {
	for _, seed := range [][2]string{{"4g", "1.5"}, {"0x10", "1e300"}, {"-1", "NaN"}, {"9223372036854775807", "Inf"}, {"1\n\x1b[2J", "\r"}} {
		f.Add(seed[0], seed[1])
	}
	d := &settings.Docker{MaxMemory: 1 << 30, MaxCPUs: 2e9}
	f.Fuzz(func(t *testing.T, memory, cpus string) {
		p := &runner.Payload{Variables: []runner.Variable{{Key: memoryVariable, Value: memory}, {Key: cpusVariable, Value: cpus}}}
		l, err := jobLimits(d, p, hostCPUs())
		if l.memory < 0 || l.memory > d.MaxMemory || l.memory != 0 && l.memory < settings.SmallestMemory || l.cpus < 0 || l.cpus > d.MaxCPUs {
			t.Errorf("%q and %q are given %v and %v", memory, cpus, l.memory, l.cpus)
		}
		if err == nil && (memory == "") != (l.memory == 0) {
			t.Errorf("%q is given %v", memory, l.memory)
		}
		if text := strings.Join(l.notes, ""); strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("%q is told", text)
		}
		if err != nil && strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q is told", err)
		}
	})
}
