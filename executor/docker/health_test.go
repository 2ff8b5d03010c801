package docker

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

func TestHealthChecksTryTheLowestTCPPorts(t *testing.T) {
	t.Parallel()
	exposed := nat.PortSet{"8080/tcp": {}, "53/udp": {}, "80/tcp": {}, "443": {}}
	got, err := healthPorts(&container.Config{ExposedPorts: exposed})
	if err != nil || !slices.Equal(got, []int{80, 443, 8080}) {
		t.Errorf("got %v, %v", got, err)
	}
	many := nat.PortSet{}
	for p := range 30 {
		many[nat.Port(string(rune('1'+p%3))+string(rune('0'+p/3))+"/tcp")] = struct{}{}
	}
	if got, _ := healthPorts(&container.Config{ExposedPorts: many}); len(got) != maxHealthPorts || got[0] != 10 {
		t.Errorf("of 30 ports from 10 on, %v are tried", got)
	}
	if got, err := healthPorts(&container.Config{}); len(got) != 0 || err != nil {
		t.Errorf("no port is exposed, but %v is tried, %v", got, err)
	}
}

func TestAServiceNamesThePortOfItsHealth(t *testing.T) {
	t.Parallel()
	exposed := nat.PortSet{"80/tcp": {}}
	for value, want := range map[string]int{"HEALTHCHECK_TCP_PORT=9000": 9000, "healthcheck_tcp_port=1": 1} {
		got, err := healthPorts(&container.Config{ExposedPorts: exposed, Env: []string{"A=b", value}})
		if err != nil || !slices.Equal(got, []int{want}) {
			t.Errorf("%s: %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "http", "0", "-1", "65536"} {
		_, err := healthPorts(&container.Config{Env: []string{"HEALTHCHECK_TCP_PORT=" + value}})
		if err == nil || !strings.Contains(err.Error(), "want a number from 1 to 65535") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestTheLogOfAServiceSaysWhoseAndKnowsWhereItEnded(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := &serviceLog{to: &log, prefix: "[service:db] "}
	for _, part := range []string{
		"2026-01-02T03:04:05.000000001Z one\n2026-01-02T03:04:05.000000002Z \n", "2026-01-02T03:04:06Z two\n", "a line that a service cut\n",
	} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	want := "[service:db] 2026-01-02T03:04:05.000000001Z one\x1b[0;m\n[service:db] 2026-01-02T03:04:05.000000002Z \x1b[0;m\n" +
		"[service:db] 2026-01-02T03:04:06Z two\x1b[0;m\n[service:db] a line that a service cut\x1b[0;m\n"
	if log.String() != want {
		t.Errorf("got  %q\nwant %q", log.String(), want)
	}
	if !w.shown.Equal(time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)) {
		t.Errorf("shown up to %s", w.shown)
	}
}
