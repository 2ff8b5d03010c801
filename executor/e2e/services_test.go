package e2e

import (
	"regexp"
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
	h.says(r, "*** WARNING:", "Service "+brokenService+" probably didn't start properly.", "Health check error:", "it ended with exit code 1",
		"Service container logs:", "told to be broken")
	h.prints(r, "the script ran")
	if strings.Index(r.Log, "told to be broken") > strings.Index(r.Log, "the script ran\n") {
		t.Error("the service's log came after the script")
	}
}

func TestANameOfTwoServicesIsSaidToBeTheFirstOnes(t *testing.T) {
	t.Parallel()
	h := newHost(t, `wait_for_services_timeout = -1`)
	r := h.run(h.newJob(busybox, "true").with("services", []job{{"name": serviceImage, "alias": "db"}, {"name": serviceImage, "alias": "db other"}}))
	h.succeeded(r)
	h.says(r, `WARNING: Skipping alias "db" for service "`+serviceImage+`" (services[1]): alias is already in use by another service.`,
		"Starting service "+serviceImage+" as other\n")
}

func TestAServiceThatNamesNoPortOfItsHealthFailsTheJobWithASentence(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(busybox, "echo never").with("services", []job{{"name": serviceImage, "variables": []job{{"key": "HEALTHCHECK_TCP_PORT", "value": "http"}}}}))
	h.failed(r, "script_failure", 1)
	h.says(r, "service "+serviceImage+`: variable HEALTHCHECK_TCP_PORT is "http", want a number from 1 to 65535`)
	if prepared(r) != 1 {
		t.Errorf("prepared %d times, want once", prepared(r))
	}
}

// httpd is a service that tells on its standard error what it is asked for.
func httpd(alias string) job {
	return job{
		"name": busybox, "alias": alias, "entrypoint": []string{"sh", "-c", "echo begun; exec httpd -f -vv -p 8080 -h /tmp"},
		"variables": []job{{"key": "HEALTHCHECK_TCP_PORT", "value": "8080"}},
	}
}

// ask is a line of script that asks a service for something that it does not have.
func ask(url string) string { return "wget -q -O - http://" + url + " 2>/dev/null || true" }

func TestWhatServicesPrintIsShownAsItIsPrintedAndOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.start(h.newJob(busybox, ask("api:8080/first"), hold, ask("api:8080/second")).afterScript(ask("api:8080/third")).
		with("services", []job{httpd("api")}).variable("CI_DEBUG_SERVICES", "true"))
	r.waitFor("url:/first") // while the script is waiting
	h.release()
	done := r.wait()
	h.succeeded(done)
	for _, printed := range []string{"begun", "url:/first", "url:/second", "url:/third"} {
		line := regexp.MustCompile(`\[service:local__gitlab-go-executor__busybox-local-gitlab-go-executor-busybox-api\] [-0-9]+T[0-9:.]+Z [^\n]*` + printed)
		if found := line.FindAllString(done.Log, -1); len(found) != 1 {
			t.Errorf("%q is shown %d times, want once:\n%s", printed, len(found), done.Log)
		}
	}
}

func TestWhatServicesPrintIsTheirOwnBusinessByDefault(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(busybox, ask("api:8080/first")).with("services", []job{httpd("api")}))
	h.succeeded(r)
	h.neverSays(r, "url:/first", "[service:")
}

func TestAJobUsesARealDatabase(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(postgresImage, // for its psql
		`export PGPASSWORD=$DB_PASSWORD`, `q() { psql -h db -U "$DB_USER" -d shop -tAc "$1"; }`,
		`q "CREATE TABLE fruit (name text)"`, `q "INSERT INTO fruit VALUES ('apple')"`, `echo "fruit: $(q "SELECT name FROM fruit")"`,
		`echo "connections: $(q "SHOW max_connections")"`, `PGPASSWORD=wrong q "SELECT 1" || echo refused`).
		with("image", job{"name": postgresImage, "entrypoint": []string{""}}).
		with("services", []job{{
			"name": postgresImage, "alias": "db", "command": []string{"-c", "max_connections=17"},
			"variables": []job{{"key": "POSTGRES_PASSWORD", "value": "$DB_PASSWORD"}, {"key": "POSTGRES_USER", "value": "$DB_USER"}, {"key": "POSTGRES_DB", "value": "shop"}},
		}}).variable("DB_USER", "keeper")
	r := h.run(j.with("variables", append(j["variables"].([]job), job{"key": "DB_PASSWORD", "value": "masked-secret-4", "masked": true})))
	h.succeeded(r)
	h.prints(r, "fruit: apple", "connections: 17", "refused")
}

func TestADatabaseWithoutItsPasswordTellsWhyInTheJobLog(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	r := h.run(h.newJob(busybox, "echo the script ran").with("services", []job{{"name": postgresImage, "alias": "db"}}))
	h.succeeded(r)
	h.says(r, "Service "+postgresImage+" probably didn't start properly.", "POSTGRES_PASSWORD is not set")
}

func TestAJobWithoutGoUsesRedis(t *testing.T) {
	t.Parallel()
	h := newHost(t, `services = [{name = "`+redisImage+`", alias = "cache", command = ["--databases", "3"]}]`)
	r := h.run(h.newJob(busybox, `redis() { { printf '%s\r\n' "$@"; sleep 1; } | nc cache 6379 | tr -d '\r' | tail -1; }`,
		`echo "set: $(redis "SET fruit apple")"`, `redis "GET fruit"`, `redis "SELECT 3"`))
	h.succeeded(r)
	h.prints(r, "set: +OK", "apple", "-ERR DB index is out of range")
}
