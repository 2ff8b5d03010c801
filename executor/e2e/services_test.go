package e2e

import (
	"strings"
	"testing"
)

func TestAServiceIsReachedByEachOfItsNames(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox,
		"for name in local__gitlab-go-executor__service local-gitlab-go-executor-service api backend; do wget -q -O - http://$name:8080/ | grep hostname= && echo reached-$name; done",
		"wget -q -O - 'http://api:8080/env?name=SERVICE_MODE'", "wget -q -O - 'http://api:8080/env?name=PUBLIC'",
		"wget -q -O - 'http://api:8080/env?name=PASSWORD' || echo no-secret-there")
	j = j.with("services", []job{{
		"name": serviceImage, "alias": "api, backend", "variables": []job{{"key": "SERVICE_MODE", "value": "mode-of-$PUBLIC"}},
	}})
	j = j.variable("PUBLIC", "everybody").with("variables", append(j["variables"].([]job), variable("PUBLIC", "everybody"),
		job{"key": "PASSWORD", "value": "masked-secret-2", "masked": true}))
	r := h.run(j)
	h.succeeded(r)
	h.prints(r, "reached-local__gitlab-go-executor__service", "reached-local-gitlab-go-executor-service", "reached-api", "reached-backend",
		"mode-of-everybody", "no-secret-there")
}

func TestAServiceThatTakesItsTimeIsWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(busybox, "wget -q -O - http://slow:8080/ | grep hostname").
		with("services", []job{{"name": serviceImage, "alias": "slow", "command": []string{"-delay", "4s"}}}))
	h.succeeded(r)
}

func TestABrokenServiceIsShownWithItsLogAndTheJobGoesOn(t *testing.T) {
	t.Parallel()
	h := newHost(t, `wait_for_services_timeout = 5`)
	r := h.run(h.newJob(busybox, "echo the script ran").with("services", []job{{"name": brokenService}}))
	h.succeeded(r)
	h.says(r, "WARNING: service "+brokenService+" probably didn't start properly", "exit code 1", "told to be broken")
	h.prints(r, "the script ran")
	if strings.Index(r.Log, "told to be broken") > strings.Index(r.Log, "the script ran\n") {
		t.Error("the service's log came after the script")
	}
}
