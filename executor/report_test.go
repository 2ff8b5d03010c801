package executor

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
)

// quietLog is an operator log that nobody reads.
func quietLog() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log.WithField("stage", "test")
}

// reportingJob asks for a report, in a checkout of its own, and has some figures.
func reportingJob(t *testing.T, name string) (j *job, project string, log *bytes.Buffer) {
	t.Helper()
	j = testJob("CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/builds/g/p.tmp", "CUSTOM_ENV_"+reportVariable+"="+name)
	j.tree, log = tree(t.TempDir()), &bytes.Buffer{}
	j.call.Stdout, j.log = log, quietLog()
	j.store.record.Row = stats.Job{TestsOK: new(4), TestsCached: new(3)}
	project = filepath.Join(j.buildsDir(0), "g", "p")
	if err := os.MkdirAll(project, 0o700); err != nil {
		t.Fatal(err)
	}
	return j, project, log
}

func TestAJobGetsItsFiguresWhereItAsksForThem(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"metrics.txt": "metrics.txt", "out/deep/metrics.txt": "out/deep/metrics.txt", "/builds/g/p/metrics.txt": "metrics.txt", "": "",
	} {
		j, project, log := reportingJob(t, name)
		j.writeReport(t.Context())
		if file == "" {
			if entries, _ := os.ReadDir(project); len(entries) > 0 {
				t.Errorf("nobody asked, and there is %v", entries)
			}
			continue
		}
		data, err := os.ReadFile(filepath.Join(project, file))
		if err != nil || !strings.Contains(string(data), "\ngo_cache_tests_cached 3\n") || !strings.HasSuffix(string(data), "# EOF\n") || strings.Contains(string(data), "modules") {
			t.Errorf("%s: %v\n%s\n%s", name, err, data, log)
		}
	}
}

func TestAReportNeverLeavesTheProject(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	for what, c := range map[string]struct {
		name string
		make func(project string) error
	}{
		"a path that goes up":       {"../x.tmp/metrics.txt", func(string) error { return nil }},
		"an absolute path":          {"/etc/metrics.txt", func(string) error { return nil }},
		"a link to a folder":        {"out/metrics.txt", func(p string) error { return os.Symlink(outside, filepath.Join(p, "out")) }},
		"a project that is a link":  {"metrics.txt", func(p string) error { return replaceByLink(p, outside) }},
		"a folder that is a device": {"dev/metrics.txt", func(p string) error { return syscall.Mkfifo(filepath.Join(p, "dev"), 0o600) }},
	} {
		j, project, log := reportingJob(t, c.name)
		if err := c.make(project); err != nil {
			t.Fatal(err)
		}
		j.writeReport(t.Context())
		if !strings.Contains(log.String(), "cannot be written") {
			t.Errorf("%s: the job log says %q", what, log)
		}
		if entries, _ := os.ReadDir(outside); len(entries) > 0 {
			t.Errorf("%s: outside there is %v", what, entries)
		}
	}
}

func replaceByLink(folder, target string) error {
	if err := os.Remove(folder); err != nil {
		return err
	}
	return os.Symlink(target, folder)
}

func TestAReportOpensNothingThatIsThere(t *testing.T) {
	t.Parallel()
	j, project, log := reportingJob(t, "metrics.txt")
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(project, "metrics.txt")
	for what, put := range map[string]func() error{
		"a link":   func() error { return os.Symlink(target, file) },
		"a fifo":   func() error { return syscall.Mkfifo(file, 0o600) }, // an open would wait for a reader
		"a device": func() error { return syscall.Mknod(file, syscall.S_IFCHR|0o600, 1<<8|7) },
	} {
		_ = os.Remove(file)
		if err := put(); err != nil {
			t.Fatal(err)
		}
		j.writeReport(t.Context())
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: now %v %v; %s", what, info, err, log)
		}
	}
	if data, _ := os.ReadFile(target); string(data) != "mine" {
		t.Errorf("the link's target is %q now", data)
	}
}
