package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// hold is a line of script that waits for release.
const hold = "while [ ! -e release ]; do sleep 0.2; done"

// release lets the scripts of this host go on.
func (h *host) release() {
	h.t.Helper()
	checkouts, err := filepath.Glob(filepath.Join(h.StateDir, "builds", "*", "*", "*", "*", "group", "project"))
	if err != nil || len(checkouts) == 0 {
		h.t.Fatalf("no checkout: %v", err)
	}
	for _, dir := range checkouts {
		if err := os.WriteFile(filepath.Join(dir, "release"), nil, 0o600); err != nil {
			h.t.Error(err)
		}
	}
}

// companyNetwork is a network of the administrator's, with a service in it; "" is Docker's default one. It gives their names.
func companyNetwork(t *testing.T, name string) (string, string) {
	t.Helper()
	ctx := context.Background()
	unique := fmt.Sprintf("e2e-company-%d-%d", os.Getpid(), nextJob.Add(1))
	if name == "" {
		made, err := dockerAPI.NetworkCreate(ctx, unique, network.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := dockerAPI.NetworkRemove(ctx, made.ID); err != nil {
				t.Error(err)
			}
		})
		name = unique
	}
	made, err := dockerAPI.ContainerCreate(ctx, &container.Config{Image: serviceImage}, &container.HostConfig{NetworkMode: container.NetworkMode(name)}, nil, nil, unique+"-api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dockerAPI.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	if err := dockerAPI.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	return name, unique + "-api"
}

func TestJobsInTheAdministratorsNetworkReachWhatIsThere(t *testing.T) {
	t.Parallel()
	name, api := companyNetwork(t, "")
	h := newHost(t, fmt.Sprintf("network_mode = %q", name))
	r := h.run(h.newJob(busybox, "wget -q -O - http://"+api+":8080/ | sed s/args=/company=/", "wget -q -O - http://mine:8081/").
		with("services", []job{{"name": serviceImage, "alias": "mine", "command": []string{"-addr", ":8081"}, "variables": []job{{"key": "HEALTHCHECK_TCP_PORT", "value": "8081"}}}}))
	h.succeeded(r)
	h.prints(r, "company=[]", `args=["-addr" ":8081"]`)
	if _, err := dockerAPI.NetworkInspect(t.Context(), name, network.InspectOptions{}); err != nil {
		t.Errorf("the administrator's network did not outlive the job: %v", err)
	}
}

func TestJobsInDockersDefaultNetworkReachLinkedContainers(t *testing.T) {
	t.Parallel()
	_, api := companyNetwork(t, "bridge")
	h := newHost(t, fmt.Sprintf("network_mode = \"bridge\"\nlinks = [\"%s:mirror\"]", api))
	r := h.run(h.newJob(busybox, "wget -q -O - http://mirror:8080/ | grep args", "wget -q -O - http://mine:8080/ | grep hostname | cut -c1-9").
		with("services", []job{{"name": serviceImage, "alias": "mine"}}))
	h.succeeded(r)
	h.prints(r, "args=[]", "hostname=")
}

func TestANetworkThatIsMissingIsTheAdministratorsFault(t *testing.T) {
	t.Parallel()
	h := newHost(t, `network_mode = "nosuch"`)
	r := h.run(h.newJob(busybox, "echo never"))
	h.failed(r, "runner_system_failure", 0)
	h.says(r, "settings: docker.network_mode: Docker has no network \"nosuch\"; `docker network create nosuch` makes one")
}

func TestTheJobsNetworkHasTheNameThatTheJobIsTold(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	j := h.newJob(busybox, "echo network=$CI_BUILD_NETWORK_NAME", hold).variable("FF_NETWORK_PER_BUILD", "true")
	r := h.start(j)
	told := regexp.MustCompile(`O network=(\S+)\n`)
	h.eventually("the job tells its network", func() bool { return told.MatchString(r.log.String()) }, r.log)
	got, err := dockerAPI.NetworkInspect(t.Context(), told.FindStringSubmatch(r.log.String())[1], network.InspectOptions{})
	if err != nil || got.Labels["com.gitlab.gitlab-runner.job.id"] != fmtID(j) {
		t.Errorf("it is %+v, %v", got, err)
	}
	h.release()
	h.succeeded(r.wait())
}
