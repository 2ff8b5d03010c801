package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func (h *host) operatorLog() string {
	h.t.Helper()
	data, err := os.ReadFile(h.OperatorLog())
	if err != nil {
		h.t.Error(err)
	}
	return string(data)
}

// logLine is the line of the operator log that says this of a job.
func (h *host) logLine(message string, j job) map[string]any {
	h.t.Helper()
	for text := range strings.Lines(h.operatorLog()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			h.t.Fatal(err)
		}
		if line["msg"] == message && line["job"] == fmtID(j) {
			return line
		}
	}
	h.t.Fatalf("the operator log does not say %q of job %s:\n%s", message, fmtID(j), h.operatorLog())
	return nil
}

// endedWith checks what the operator is told of a job as a whole.
func (h *host) endedWith(j job, outcome string) {
	h.t.Helper()
	if line := h.logLine("job ended", j); line["outcome"] != outcome {
		h.t.Errorf("job %s ended with %v in the operator log, want %s: %v", fmtID(j), line["outcome"], outcome, line)
	}
}

// Standard error of the stages is the job log, all but cleanup's, which is the Runner's own log.
func TestWithoutAFileTheOperatorLogIsInTheRunnersLog(t *testing.T) {
	t.Parallel()
	h := newHost(t, "[log]\nlevel = \"info\"\n")
	running := h.start(h.newJob(busybox, "exit 6"))
	r := running.wait()
	h.failed(r, "script_failure", 6)
	h.neverSays(r, "stage ended", "job ended", "outcome=")
	for _, want := range []string{"stage=build_script", "job ended", "outcome=script_failed", "reason=exit_code", "project=42"} {
		if !strings.Contains(running.errs.String(), want) {
			t.Errorf("the Runner's log does not say %q:\n%s", want, running.errs)
		}
	}
}

func TestASecretInAnErrorIsMaskedInTheOperatorLog(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob("registry.example.com/masked-secret-3:1", "echo never")
	j = j.with("variables", append(j["variables"].([]job), job{"key": "PASSWORD", "value": "masked-secret-3", "masked": true}))
	h.failed(h.run(j), "script_failure", 1)
	log := h.operatorLog()
	if strings.Contains(log, "masked-secret-3") || !strings.Contains(log, "registry.example.com/[MASKED]:1 is not on this runner's host") {
		t.Errorf("the operator log says\n%s", log)
	}
}

func TestEachLineOfTheOperatorLogSaysWhichJob(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "echo fine")
	h.succeeded(h.run(j))
	stages := map[string]bool{}
	for text := range strings.Lines(h.operatorLog()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		stages[line["stage"].(string)] = true
		if line["project"] != "42" || line["job"] == nil {
			t.Errorf("the line does not tell job and project: %s", text)
		}
		if strings.HasSuffix(line["msg"].(string), " ended") && (line["outcome"] != "success" || line["reason"] != "") {
			t.Errorf("the line does not tell outcome and reason: %s", text)
		}
	}
	for _, stage := range []string{"config", "prepare", "prepare_script", "get_sources", "build_script", "cleanup_file_variables", "cleanup"} {
		if !stages[stage] {
			t.Errorf("stage %s has no line", stage)
		}
	}
}

// verdict is the outcome and the reason of a job, as the operator log has it.
func (h *host) verdict(j job) string {
	h.t.Helper()
	var last map[string]any
	for text := range strings.Lines(h.operatorLog()) { // of several attempts the last one counts
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			h.t.Fatal(err)
		}
		if line["job"] == fmtID(j) && (line["msg"] == "job ended" || line["msg"] == "stage failed" && line["stage"] == "prepare") { // before it has a record
			last = line
		}
	}
	return strings.TrimSpace(fmt.Sprint(last["outcome"], " ", last["reason"]))
}
