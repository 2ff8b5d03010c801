package logging

import (
	"bytes"
	"encoding/json"
	"testing"

	"go.uber.org/zap"
)

func TestLevel(t *testing.T) {
	var out bytes.Buffer
	log, err := New(&out, "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("too quiet")
	log.Warn("loud enough", zap.String("part", "BO-100"))
	var line struct{ Level, Msg, Part string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if line.Level != "warn" || line.Msg != "loud enough" || line.Part != "BO-100" {
		t.Errorf("got %+v", line)
	}
	if _, err := New(&out, "shout"); err == nil {
		t.Error("a level that does not exist was accepted")
	}
}
