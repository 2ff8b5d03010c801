package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestMistakesOfSenseInTheContainersOfAJob(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "profile.json")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	oneProblemEach(t, map[string]mistake{
		"swap without memory":                {`docker.memory_swap = "1g"`, `docker.memory_swap = "1g": is memory and swap together, so it needs docker.memory`},
		"less swap than memory":              {"docker.memory = \"2g\"\ndocker.memory_swap = \"1g\"", `has to be no less than that`},
		"a reservation beyond the memory":    {"docker.memory = \"1g\"\ndocker.memory_reservation = \"2g\"", `docker.memory_reservation = "2g": has to be between "6m" and docker.memory`},
		"a service's swap without memory":    {`docker.service_memory_swap = "1g"`, `so it needs docker.service_memory`},
		"a service's crumb":                  {`docker.service_memory = "1m"`, `docker.service_memory = "1m": Docker refuses less than "6m"`},
		"jobs may ask for less":              {"docker.memory = \"2g\"\ndocker.max_memory = \"1g\"", `docker.max_memory = "1g": is less than docker.memory`},
		"jobs may ask for fewer":             {"docker.cpus = 2\ndocker.max_cpus = 1", `docker.max_cpus = 1: is less than docker.cpus, which is "2"`},
		"a limit of nobody's":                {`docker.ulimit = { nofiles = "1" }`, `docker.ulimit = "nofiles": not a limit (invalid ulimit type: nofiles)`},
		"a limit that is no number":          {`docker.ulimit.nofile = "many"`, `docker.ulimit = "nofile": not a limit`},
		"a soft limit above the hard":        {`docker.ulimit.nofile = "2:1"`, `docker.ulimit = "nofile": not a limit`},
		"a limit without quotes":             {`docker.ulimit.nofile = 1024`, `docker.ulimit = {…}: wrong type; has to be a table of strings`},
		"a string for a table":               {`docker.tmpfs = "/scratch"`, `docker.tmpfs = "/scratch": wrong type; has to be a table of strings`},
		"devices that are no lists":          {`docker.services_devices = { a = "/dev/kvm" }`, `wrong type; has to be a table of lists of strings`},
		"read only, in words":                {`docker.read_only = "yes"`, `docker.read_only = "yes": wrong type; has to be true or false`},
		"a relative folder in memory":        {`docker.tmpfs = { "scratch" = "rw" }`, `docker.tmpfs = "scratch": not a path below /`},
		"checkouts in memory":                {`docker.tmpfs = { "/builds/" = "rw" }`, `docker.tmpfs = "/builds/": /builds holds the checkouts`},
		"a device without a path":            {`docker.devices = ["fuse"]`, `docker.devices = "fuse": not a device; use "/dev/fuse"`},
		"a device's pattern":                 {`docker.services_devices = { "[a" = ["/dev/kvm"] }`, `docker.services_devices = "[a": not a pattern`},
		"a rule for devices":                 {`docker.device_cgroup_rules = ["x 1:1 r"]`, `docker.device_cgroup_rules = "x 1:1 r": not a rule`},
		"a capability with a comma":          {`docker.cap_add = ["A,B"]`, `docker.cap_add = "A,B": not a capability`},
		"a profile that is not there":        {`docker.security_opt = ["seccomp=/no/such.json"]`, `the profile cannot be read`},
		"a profile with a relative path":     {`docker.services_security_opt = ["seccomp=p.json"]`, `the profile has to be the absolute path`},
		"a profile that is broken":           {`docker.security_opt = ["seccomp=` + broken + `"]`, `the profile is not valid JSON`},
		"processors by words":                {`docker.cpuset_cpus = "all"`, `docker.cpuset_cpus = "all": not a list of numbers; use for example "0-3"`},
		"gpus by words":                      {`docker.gpus = "many"`, `docker.gpus = "many": not a request for GPUs ("many" is no number, and not all)`},
		"gpus by number and name":            {`docker.service_gpus = "2,device=0"`, `count and device exclude each other`},
		"another user namespace":             {`docker.userns_mode = "private"`, `docker.userns_mode = "private": unknown value; allowed are host`},
		"the processes of nobody":            {`docker.pid_mode = "container:"`, `docker.pid_mode = "container:": unknown value; allowed are host and container:NAME`},
		"shared memory of nobody":            {`docker.ipcmode = "public"`, `docker.ipcmode = "public": unknown value; allowed are private,`},
		"a host's name with a space":         {`docker.hostname = "ci host"`, `docker.hostname = "ci host": not the name of a host`},
		"a label of ours":                    {`docker.container_labels = { "gitlab-go-executor.job" = "1" }`, `docker.container_labels = "gitlab-go-executor.job": not the name of a label, or one of this program's own`},
		"an option of another log":           {`docker.log_options = { "max-size" = "1g" }`, `docker.log_options = "max-size": unknown value; allowed are env, labels`},
		"a user that is not allowed":         {"docker.user = \"ci\"\ndocker.allowed_users = [\"1000\"]", `docker.allowed_users = ["1000"]: does not allow docker.user, which is ci`},
		"a group with a space":               {`docker.group_add = ["a b"]`, `docker.group_add = "a b": not a group`},
		"half a MAC address":                 {`docker.mac_address = "92:d0"`, `docker.mac_address = "92:d0": not a MAC address`},
		"a packet of nothing":                {`docker.network_mtu = 1`, `docker.network_mtu = 1: out of range; has to be between 68 and 65535`},
		"a domain with a space":              {`docker.dns_search = ["a b"]`, `docker.dns_search = "a b": not a domain`},
		"a relative cache":                   {`docker.cache_dir = "cache"`, `docker.cache_dir = "cache": has to be an absolute path`},
		"volumes of nobody":                  {`docker.volumes_from = ["a:rx"]`, `docker.volumes_from = "a:rx": not a container`},
		"out of the kernel's range":          {`docker.oom_score_adjust = 1001`, `docker.oom_score_adjust = 1001: out of range`},
		"a kernel parameter without a dot":   {`docker.sysctls = { "somaxconn" = "1" }`, `docker.sysctls = "somaxconn": not the name of a kernel parameter`},
		"shares below nothing":               {`docker.cpu_shares = -1`, `docker.cpu_shares = -1: too small`},
		"a flavor with a tag":                {`docker.helper_image_flavor = "ubuntu:1"`, `docker.helper_image_flavor = "ubuntu:1": not a flavor`},
		"a remote daemon's certificates":     {`docker.tls_cert_path = "/certs"`, `docker.tls_cert_path: is for a daemon on another host`},
		"containers of Windows":              {`docker.isolation = "hyperv"`, `docker.isolation: is for containers of Windows`},
		"slots of GitLab Runner":             {`docker.service_slot_cgroup_template = "a/${slot}"`, `use cgroup_parent and service_cgroup_parent`},
		"a service that is suspended":        {"[[docker.services]]\nname = \"a\"\nsuspend_data_path = \"/data\"", `config.toml:3: docker.services[0].suspend_data_path: is for jobs of Kubernetes`},
		"privileged images that cannot be":   {`docker.allowed_privileged_images = ["!a"]`, `a pattern cannot exclude`},
		"privileged services, not in a list": {`docker.allowed_privileged_services = "docker:*"`, `wrong type; has to be a list of strings`},
	})
}

func TestTheFlavorChoosesAmongGitLabsHelperImages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`helper_image_flavor = "ubuntu"`:                              helperImage("ubuntu"),
		`helper_image_flavor = "alpine"`:                              Default().Docker.HelperImage,
		"helper_image_flavor = \"ubuntu\"\nhelper_image = \"mine:1\"": "mine:1",
	} {
		got, err := load(t, "[docker]\n"+text)
		if err != nil || got.Docker.HelperImage != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, err, want)
		}
	}
	if !strings.Contains(helperImage("ubuntu"), ":ubuntu-") {
		t.Error(helperImage("ubuntu"))
	}
}

func TestWhoMayRunAJob(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]bool{"": true, "ci": true, "root": false, "0": false} {
		d := Docker{AllowedUsers: []string{"ci"}}
		if d.UserAllowed(user) != want {
			t.Errorf("%q: want %v", user, want)
		}
		if !(&Docker{}).UserAllowed(user) {
			t.Errorf("%q: nobody is refused where no users are named", user)
		}
	}
}

func TestRequestsForGPUs(t *testing.T) {
	t.Parallel()
	gpu, none := []string{"gpu"}, map[string]string{}
	for text, want := range map[GPUs]GPURequest{
		"all":                       {Count: -1, Capabilities: gpu, Options: none},
		"2":                         {Count: 2, Capabilities: gpu, Options: none},
		"device=0":                  {DeviceIDs: []string{"0"}, Capabilities: gpu, Options: none},
		`"device=0,1"`:              {DeviceIDs: []string{"0", "1"}, Capabilities: gpu, Options: none},
		`all,"capabilities=a,b"`:    {Count: -1, Capabilities: []string{"a", "b", "gpu"}, Options: none},
		`driver=nvidia,options=a=b`: {Count: 1, Driver: "nvidia", Capabilities: gpu, Options: map[string]string{"a": "b"}},
	} {
		if got, err := text.Parse(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}
