//go:build parity

package e2e

import "fmt"

// serviceCases is the part of the table about services and the network.
func serviceCases() []parityCase {
	const (
		usersFault = "a mistake in the job's definition is the job's failure, and not tried again"
		long       = "local-gitlab-go-executor-service"
		longer     = "local__gitlab-go-executor__service"
		own        = "^(HOSTNAME|CI_RUNNER_SHORT_TOKEN)="
	)
	with := func(services []job, script ...string) func(*host) job {
		return func(h *host) job { return h.newJob(busybox, shown(script...)).with("services", services) }
	}
	secret := func(services []job, script ...string) func(*host) job {
		return func(h *host) job {
			j := with(services, script...)(h).variable("OPEN", "everybody")
			return j.with("variables", append(j["variables"].([]job), job{"key": "SECRET", "value": "masked-secret-3", "masked": true},
				job{"key": "KEY", "value": "content", "file": true}))
		}
	}
	get := func(url string) string {
		return "timeout 5 wget -q -O - 'http://" + url + "' 2>/dev/null | grep -v hostname= || echo nobody"
	}
	// shell is a service that serves what a line of shell writes into a folder.
	shell := func(alias, line string, more ...job) job {
		return job{
			"name": busybox, "alias": alias, "entrypoint": []string{"sh", "-c", "mkdir /tmp/www && cd /tmp/www && { " + line + "; } && exec httpd -f -p 8080"},
			"variables": append([]job{{"key": "HEALTHCHECK_TCP_PORT", "value": "8080"}}, more...),
		}
	}
	one := func(more job) []job {
		service := job{"name": serviceImage, "alias": "api"}
		for key, value := range more {
			service[key] = value
		}
		return []job{service}
	}
	settings := func(more string) string {
		return fmt.Sprintf("services = [{name = %q, alias = \"admins\", command = [\"-addr\", \":8080\"], environment = [\"SERVICE_A=of-$OPEN\", \"SERVICE_B=b=c\"]}]\n%s", serviceImage, more)
	}
	return []parityCase{
		{name: "a service by the names of its image", job: with([]job{{"name": serviceImage}}, get(long+":8080/"), get(longer+":8080/"))},
		{name: "a service by several names", job: with(one(job{"alias": "api, back-end  db"}), get("api:8080/"), get("back-end:8080/"), get("db:8080/"), get(long+":8080/"))},
		{name: "a name of two services is the first one's", job: with([]job{
			{"name": serviceImage, "alias": "db", "command": []string{"-addr", ":8080"}},
			{"name": serviceImage, "alias": "db second", "command": []string{"-addr", ":8081"}, "variables": []job{{"key": "HEALTHCHECK_TCP_PORT", "value": "8081"}}},
		}, get("db:8080/"), get("second:8081/"), get("second:8080/"))},
		{name: "a service without a name of its own is not started", job: with([]job{
			{"name": serviceImage}, {"name": serviceImage, "command": []string{"-addr", ":8081"}},
		}, get(long+":8080/"), get(long+":8081/"))},
		{name: "names for tools that look up hosts", job: with(one(nil), "ping -c 1 -w 5 api >/dev/null && echo answered", "nc -w 5 api 8080 </dev/null && echo connected")},
		{name: "variables of a service", job: secret(one(job{"variables": []job{
			{"key": "SERVICE_MODE", "value": "mode-of-$OPEN"},
			{"key": "SERVICE_PASSWORD", "value": "$SECRET"},
			{"key": "SERVICE_RAW", "value": "$OPEN", "raw": true},
			{"key": "SERVICE_PRICE", "value": "5$$"},
			{"key": "SERVICE_NONE", "value": "<$NOTHING>"},
			{"key": "SERVICE_OTHER", "value": "${SERVICE_RAW}"},
			{"key": "SERVICE_FILE", "value": "$KEY"},
		}}), "{ "+get("api:8080/")+"; } | sort")},
		{name: "secrets in a service", job: secret(one(nil), get("api:8080/env?name=OPEN"), get("api:8080/env?name=SECRET"), get("api:8080/env?name=KEY"), get("api:8080/env?name=CI_JOB_TOKEN"))},
		{name: "environment of a service", job: secret([]job{shell("api", "env | grep -vE '"+own+"' | sort >env")}, get("api:8080/env"))},
		{name: "entrypoint of a service", job: with(one(job{"entrypoint": []string{"/service", "-addr", ":8080"}}), get("api:8080/"))},
		{name: "empty entrypoint and command of a service", job: with(one(job{"entrypoint": []string{}, "command": []string{}}), get("api:8080/"))},
		{name: "command of a service", job: with(one(job{"command": []string{"-addr", ":8080", "-delay", "0s"}}), get("api:8080/"))},
		{name: "user of a service", job: with([]job{func() job {
			s := shell("api", "id -u >id")
			s["executor_opts"] = job{"docker": job{"user": "1000"}}
			return s
		}()}, get("api:8080/id"))},
		{name: "pull policy of a service", job: with(one(job{"pull_policy": []string{"never"}}), get("api:8080/"))},
		{name: "pull policy of a service that is not allowed", differs: usersFault, job: with(one(job{"pull_policy": []string{"always"}}), "echo ran")},
		{name: "a broken service", docker: "wait_for_services_timeout = 3\n", job: with([]job{{"name": brokenService}}, "echo ran")},
		{name: "a slow service", job: with(one(job{"command": []string{"-delay", "5s"}}), get("api:8080/"))},
		{name: "a slow service that nobody waits for", docker: "wait_for_services_timeout = -1\n", job: with(one(job{"command": []string{"-delay", "2m"}}), get("api:8080/"))},
		{name: "a service that is too slow", docker: "wait_for_services_timeout = 2\n", job: with(one(job{"command": []string{"-delay", "2m"}}), get("api:8080/"))},
		{name: "a service without ports", job: with([]job{{
			"name": busybox, "alias": "api", "entrypoint": []string{"sh", "-c", "sleep 3; mkdir /tmp/www; cd /tmp/www; echo up >up; exec httpd -f -p 8080"},
		}}, get("api:8080/up"))},
		{name: "the port of a service's health", job: with(one(job{
			"command": []string{"-addr", ":9000", "-delay", "5s"}, "variables": []job{{"key": "HEALTHCHECK_TCP_PORT", "value": "9000"}},
		}), get("api:9000/"))},
		{name: "a service that is not allowed", differs: usersFault, docker: "allowed_services = [\"postgres:*\"]\n", job: with(one(nil), "echo ran")},
		{name: "an unknown service", differs: usersFault, job: with([]job{{"name": "local/nosuch:service"}}, "echo ran")},
		{name: "the administrator's service", docker: settings(""), job: secret(nil, get("admins:8080/"), get(long+":8080/"))},
		{name: "the administrator's service may be a job's", docker: settings("allowed_services = [\"postgres:*\"]\n"), job: with(one(nil), get("admins:8080/"), get("api:8080/"), get(long+":8080/"))},
		{name: "as many services as allowed", docker: settings("services_limit = 2\n"), job: with(one(nil), get("api:8080/"))},
		{name: "more services than allowed", differs: usersFault, docker: settings("services_limit = 1\n"), job: with(one(nil), "echo ran")},
		{name: "a service sees the checkout", job: with(one(nil), "echo made >made", get("api:8080/file?name=/builds/group/project/README.md"), get("api:8080/file?name=/builds/group/project/made"))},
		{name: "services reach each other", docker: "", differs: "services know each other's names, as with FF_NETWORK_PER_BUILD", job: with([]job{
			{"name": serviceImage, "alias": "api"}, shell("front", "for i in 1 2 3 4 5; do timeout 5 wget -q -O - http://api:8080/ | grep args >answer && break; sleep 1; done; [ -s answer ] || echo nobody >answer"),
		}, get("front:8080/answer"))},
		{name: "a network per build", job: func(h *host) job {
			return with(one(nil), get("api:8080/"), "echo ${CI_BUILD_NETWORK_NAME:+told}", "ping -c 1 -w 5 build >/dev/null && echo build")(h).variable("FF_NETWORK_PER_BUILD", "true")
		}},
		{name: "Docker's default network", docker: "network_mode = \"bridge\"\n", job: with(one(nil), get("api:8080/"), "awk '/^[0-9]/ && !/^127|runner-/ { sub(/^[0-9a-f]{12}$/, \"its id\", $2); print $2 }' /etc/hosts | sort")},
		{name: "the host's network", docker: "network_mode = \"host\"\nwait_for_services_timeout = 2\n", job: with(one(job{"command": []string{"-addr", "127.0.0.1:18473"}}), get("127.0.0.1:18473/"))},
		{name: "no network", docker: "network_mode = \"none\"\n", job: func(h *host) job {
			return h.newJob(busybox, shown("ls /sys/class/net")).variable("GIT_STRATEGY", "none")
		}},
		{name: "a network that is not there", docker: "network_mode = \"nosuch\"\n", job: func(h *host) job { return h.newJob(busybox, "echo '| ran'") }},
	}
}
