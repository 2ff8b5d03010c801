package oplog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// formats are those of the settings.
var formats = []string{settings.FormatText, settings.FormatJSON}

// record returns what a log of a format holds once a test has used it.
func record(t *testing.T, format string, use func(*logrus.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	log, closer := start(t, settings.Log{Level: "trace", Format: format}, Options{Stderr: &out})
	use(log)
	finish(t, closer)
	return out.String()
}

// registry is a struct that somebody logs as a whole.
type registry struct {
	Name  string
	Login *struct{ Password string }
}

// lost is an error type that is logged as a nil pointer.
type lost struct{ text string }

func (l *lost) Error() string { return l.text }

func TestNoSecretReachesTheLog(t *testing.T) {
	t.Parallel()
	const secret = `p@ss "word"/1`
	failed := fmt.Errorf("cannot log in: %w", errors.New("user ci, password "+secret))
	login := &struct{ Password string }{secret}
	for name, use := range map[string]func(*logrus.Logger){
		"message": func(l *logrus.Logger) { l.Info("password is " + secret) },
		"twice":   func(l *logrus.Logger) { l.Infof("%s%s", secret, secret) },
		"error":   func(l *logrus.Logger) { l.WithError(failed).Error("login") },
		"field":   func(l *logrus.Logger) { l.WithField(FieldReason, secret).Warn("login") },
		"quoted":  func(l *logrus.Logger) { l.Infof("tried %q", secret) },
		"URL":     func(l *logrus.Logger) { l.Info("https://ci:p@ss%20%22word%22%2F1@example.com") },
		"query":   func(l *logrus.Logger) { l.Info("?token=p%40ss+%22word%22%2F1") },
		"bytes":   func(l *logrus.Logger) { l.WithField("body", []byte(secret)).Info("sent") },
		"list":    func(l *logrus.Logger) { l.WithField("args", []string{"-p", secret}).Info("ran") },
		"struct":  func(l *logrus.Logger) { l.WithField("registry", registry{"example.com", login}).Info("using") },
		"pointer": func(l *logrus.Logger) { l.WithField("login", login).Info("using") },
		"file's last line": func(l *logrus.Logger) {
			l.AddHook(Redact([]string{"token-of-a-file\n"}))
			l.Info("have token-of-a-file")
		},
	} {
		for _, format := range formats {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				got := record(t, format, func(l *logrus.Logger) {
					l.AddHook(Redact([]string{"other", secret, ""}))
					use(l)
				})
				for _, part := range []string{"p@ss", "word", "p%40ss", "token-of"} {
					if strings.Contains(strings.ReplaceAll(got, "password", ""), part) {
						t.Errorf("%q is in the log: %s", part, got)
					}
				}
				if !strings.Contains(got, Masked) && name != "struct" { // whose pointer is written as an address
					t.Errorf("nothing is masked: %s", got)
				}
			})
		}
	}
}

func TestMaskingLeavesTheRestReadable(t *testing.T) {
	t.Parallel()
	got := record(t, settings.FormatText, func(l *logrus.Logger) {
		l.AddHook(Redact([]string{"1", "abc", "4711", "token", "token-long"}))
		l.WithFields(logrus.Fields{FieldJob: 4711, "ok": true, "seconds": 1.5}).Info("abc 1 token-long token")
	})
	if want := ` msg="abc 1 [MASKED] [MASKED]" job=4711 ok=true seconds=1.5`; !strings.HasSuffix(strings.TrimSpace(got), want) {
		t.Errorf("got %s, want …%s", got, want)
	}
}

func TestOneLoggersFieldsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	record(t, settings.FormatText, func(l *logrus.Logger) {
		l.AddHook(Redact([]string{"hunter2"}))
		entry := l.WithField("password", "hunter2")
		entry.Info("masked")
		if entry.Data["password"] != "hunter2" {
			t.Errorf("the caller's own fields were changed: %v", entry.Data)
		}
	})
}

func TestHostileNamesStayOnTheirLine(t *testing.T) {
	t.Parallel()
	for name, hostile := range map[string]string{
		"a forged line":      "build\ntime=\"2026-01-01T00:00:00Z\" level=error msg=forged",
		"a carriage return":  "build\rlevel=error",
		"a terminal escape":  "\x1b[2J\x1b]0;owned\a",
		"a quote":            `build" level=error msg="forged`,
		"JSON":               `","level":"error","x":"`,
		"a line separator":   "build\u2028forged\u2029",
		"no UTF-8":           "build\xff\xfe\n",
		"an end of a string": "build\x00",
	} {
		for _, format := range formats {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				got := record(t, format, func(l *logrus.Logger) {
					l.WithFields(logrus.Fields{FieldJob: hostile, FieldProject: hostile}).WithError(errors.New(hostile)).Info(hostile)
				})
				line, rest, _ := strings.Cut(got, "\n")
				if rest != "" || strings.ContainsAny(line, "\r\x00\x1b\a\u2028\u2029") {
					t.Fatalf("got %q", got)
				}
				if format == settings.FormatJSON {
					var fields map[string]string
					if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["level"] != "info" || len(fields) != 6 {
						t.Errorf("%v: got %v", err, fields)
					}
				}
			})
		}
	}
}

func TestNoFieldCostsTheLine(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"nothing": nil, "no number": math.NaN(), "infinity": math.Inf(1), "channel": make(chan int), "nil error": (*lost)(nil), "map": map[any]any{1: "a"},
	} {
		for _, format := range formats {
			t.Run(name+"/"+format, func(t *testing.T) {
				t.Parallel()
				got := record(t, format, func(l *logrus.Logger) { l.WithField("odd", value).Info("still here") })
				if !strings.Contains(got, "still here") || !strings.Contains(got, "odd") {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}
