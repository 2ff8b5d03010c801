package settings

import (
	"errors"
	"strings"
	"testing"
)

func TestEveryMistakeIsReportedOnItsLine(t *testing.T) {
	t.Parallel()
	_, err := load(t, `# settings of host 7
state_dir = "var/lib"    # relative

[docker] # memory = "not this one"
image = 7
pull_policy = [
  "always",
  "sometimes",   # "]"
]
memory = """
2 bananas"""
allowed_images = [ "a#b]", "[z" ]
  cpus = 0
pull_timout = "5m"
start_timeout = 30
 "dns" = ["192.0.2.53", "example.com"]

[log]
level = "loud"

[caches]
path = "/x"
`)
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("want *Problems, got %v", err)
	}
	want := []string{
		`config.toml:2: state_dir = "var/lib": has to be an absolute path`,
		`config.toml:5: docker.image = 7: wrong type; has to be a string in quotes`,
		`config.toml:6: docker.pull_policy = "sometimes": unknown value; allowed are always, if-not-present, never`,
		`config.toml:10: docker.memory = "2 bananas": not a size; use for example "512m" or "2g"`,
		`config.toml:12: docker.allowed_images = "[z": not a pattern`,
		`config.toml:13: docker.cpus = 0: not a number of processors; use for example "1.5" or 2`,
		`config.toml:14: docker.pull_timout: unknown key; did you mean docker.pull_timeout?`,
		`config.toml:15: docker.start_timeout = 30: not a duration; use a string with units`,
		`config.toml:16: docker.dns = "example.com": not an IP address`,
		`config.toml:19: log.level = "loud": unknown value; allowed are debug, error,`,
		`config.toml:21: caches: unknown key; did you mean cache?`,
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d problems, want %d:\n%s", len(got), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got  %s\nwant %s…", got[i], want[i])
		}
	}
}

// mistake is the text of a file with one mistake, and what its error has to say.
type mistake struct{ text, want string }

// oneProblemEach checks that each mistake is reported, and as one problem.
func oneProblemEach(t *testing.T, mistakes map[string]mistake) {
	t.Helper()
	for name, test := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
			if lines := strings.Count(err.Error(), "\n") + 1; lines != 1 {
				t.Errorf("one mistake makes %d problems:\n%s", lines, err)
			}
		})
	}
}

func TestMistakesOfForm(t *testing.T) {
	t.Parallel()
	oneProblemEach(t, map[string]mistake{
		"no TOML":                     {"\n[docker\nimage = 1", `config.toml:3: not valid TOML: expected`},
		"a key given twice":           {"state_dir = \"/a\"\nstate_dir = \"/b\"", `config.toml:2: not valid TOML: Key 'state_dir' has already been defined`},
		"UTF-16":                      {"s\x00t\x00", `config.toml:1: not valid TOML: `},
		"a number as pull policy":     {`docker.pull_policy = ["always", 1]`, `docker.pull_policy = ["always", 1]: wrong type; has to be a string or a list of strings`},
		"a string for a list":         {`docker.allowed_services = "postgres"`, `docker.allowed_services = "postgres": wrong type; has to be a list of strings, such as ["a", "b"]`},
		"a quoted number":             {`docker.pids_limit = "100"`, `docker.pids_limit = "100": wrong type; has to be a whole number without quotes`},
		"a date":                      {`log.level = 2026-01-02T03:04:05Z`, `log.level = 2026-01-02T03:04:05Z: wrong type; has to be a string in quotes`},
		"a table that is a value":     {`docker = "yes"`, `docker = "yes": has to be a table; write [docker] on a line of its own`},
		"a table given several times": {"[[docker]]\n[[docker]]", `docker = [{…}]: has to be a table; write [docker]`},
		"a value that is a table":     {"\n[docker.image]\nname = \"x\"", `config.toml:2: docker.image = {…}: wrong type; has to be a string in quotes`},
		"a service that is a name":    {`docker.services = ["redis"]`, `docker.services[0] = "redis": has to be a table; write [[docker.services]] on a line of its own`},
		"services in one table":       {"[docker.services]\nname = \"redis\"", `docker.services = {…}: has to be a list of tables; write [[docker.services]]`},
		"a list in a list":            {`docker.dns = [["192.0.2.1"], "192.0.2.2"]`, `docker.dns = [[…], "192.0.2.2"]: wrong type; has to be a list of strings`},
		"a long value":                {`log.level = "` + strings.Repeat("x", 5000) + `"`, strings.Repeat("x", 79) + `…: unknown value`},
		"a value with a newline":      {`log.level = "info\nlevel=error"`, `log.level = "info\nlevel=error": unknown value`},
	})
}

func TestMistakesOfSense(t *testing.T) {
	t.Parallel()
	oneProblemEach(t, map[string]mistake{
		"the whole file system":         {`state_dir = "/"`, `state_dir = "/": has to be an absolute path below /`},
		"the same by another name":      {`state_dir = "/srv/.."`, `has to be an absolute path below /`},
		"no state folder":               {`state_dir = ""`, `state_dir = "": has to be an absolute path`},
		"a remote daemon":               {`docker.host = "tcp://192.0.2.1:2376"`, `config.toml:1: docker.host = "tcp://192.0.2.1:2376": has to be the socket of a daemon on this host`},
		"a socket without its scheme":   {`docker.host = "/var/run/docker.sock"`, `unix:///var/run/docker.sock`},
		"no helper image":               {`docker.helper_image = ""`, `docker.helper_image = "": not the name of an image`},
		"an image beside its variable":  {`docker.image = "golang:${V}:1"`, `docker.image = "golang:${V}:1": not the name of an image`},
		"a runner on the PATH":          {`docker.runner_binary = "gitlab-runner"`, `docker.runner_binary = "gitlab-runner": has to be an absolute path`},
		"no pull policy":                {`docker.pull_policy = []`, `docker.pull_policy = []: an empty list; name at least one of always, if-not-present, never`},
		"an empty pull policy":          {`docker.pull_policy = ""`, `docker.pull_policy = "": unknown value; allowed are`},
		"a pull policy of Kubernetes":   {`docker.pull_policy = "IfNotPresent"`, `allowed are always, if-not-present, never`},
		"pull policies that disagree":   {`docker.allowed_pull_policies = ["never"]`, `docker.allowed_pull_policies = ["never"]: allows nothing of docker.pull_policy, which is always`},
		"an exclusion":                  {`docker.allowed_images = ["**", "!*/kali*"]`, `docker.allowed_images = "!*/kali*": a pattern cannot exclude; list what is allowed`},
		"less memory than Docker takes": {`docker.memory = 1024`, `docker.memory = 1024: Docker refuses less than "6m"`},
		"memory below nothing":          {`docker.memory = -1`, `docker.memory = -1: out of range`},
		"memory beyond all":             {`docker.memory = "99999999999999t"`, `out of range`},
		"a fraction of a byte":          {`docker.shm_size = "0.5"`, `docker.shm_size = "0.5": less than one byte`},
		"a float for a size":            {`docker.shm_size = 1.5`, `docker.shm_size = 1.5: not a size`},
		"a size in hexadecimal":         {`docker.shm_size = "0x1p9"`, `not a size`},
		"infinite processors":           {`docker.cpus = inf`, `docker.cpus = +Inf: not a number of processors`},
		"processors that are none":      {`docker.cpus = "nan"`, `not a number of processors`},
		"hardly a processor":            {`docker.cpus = 0.001`, `from 0.01 to 8192`},
		"a limit below nothing":         {`docker.pids_limit = -1`, `docker.pids_limit = -1: too small; has to be 0 or more (0 is no limit)`},
		"a relative volume":             {`docker.volumes = ["./a:/b"]`, `docker.volumes = "./a:/b": not a volume`},
		"a volume over everything":      {`docker.volumes = ["/a:/"]`, `not a volume`},
		"the same by a detour":          {`docker.volumes = ["/a:/b/.."]`, `not a volume`},
		"a volume option of nobody's":   {`docker.volumes = ["/a:/b:ro,noexec"]`, `docker.volumes = "/a:/b:ro,noexec": unknown volume option; allowed are ro, rw`},
		"too many colons":               {`docker.volumes = ["/a:/b:ro:z"]`, `not a volume`},
		"a host without address":        {`docker.extra_hosts = ["db"]`, `docker.extra_hosts = "db": not a host; use "name:address"`},
		"a user with a space":           {`docker.user = "build user"`, `docker.user = "build user": not a user`},
		"a wait that never ends":        {`docker.wait_for_services_timeout = -2`, `too small; has to be -1 or more (seconds; -1 is no wait, 0 is the default)`},
		"another container's network":   {`docker.network_mode = "container:x"`, `docker.network_mode = "container:x": not a network; use the name of one that exists`},
		"a link in the job's network":   {`docker.links = ["db"]`, `docker.links = ["db"]: works with network_mode = "bridge" alone`},
		"a link to nothing":             {"[docker]\nnetwork_mode = \"bridge\"\nlinks = [\":db\"]", `docker.links = ":db": not a link; use "container" or "container:name"`},
		"services below nothing":        {`docker.services_limit = -2`, `too small; has to be -1 or more (-1 is no limit, 0 is no services)`},
		"a service without an image":    {"[[docker.services]]\nname = \"a\"\n\n[[docker.services]]\nalias = \"db\"", `config.toml:4: docker.services[1].name: is missing; name the service's image`},
		"a service's image":             {"[[docker.services]]\nname = \"A B\"", `config.toml:2: docker.services[0].name = "A B": not the name of an image`},
		"a service's variable":          {"[[docker.services]]\nname = \"a\"\nenvironment = [\"A=b\", \"C\"]", `config.toml:3: docker.services[0].environment = "C": not a variable; use "NAME=value"`},
		"no time to stop":               {`docker.stop_timeout = "0s"`, `docker.stop_timeout = "0s": has to be more than 0`},
		"a duration in words":           {`docker.pull_timeout = "a while"`, `docker.pull_timeout = "a while": not a duration; use a string with units, for example "10s"`},
		"a format of nobody's":          {`log.format = "xml"`, `log.format = "xml": unknown value; allowed are text, json`},
		"a bucket without a name":       {"[cache.s3]", `cache.s3.BucketName: is missing; name a bucket that exists`},
		"a server that is a URL":        {"[cache.s3]\nBucketName = \"b-1\"\nServerAddress = \"https://s3\"", `cache.s3.ServerAddress = "https://s3": has to be a host with or without a port, not a URL; Insecure = true is http, else it is https`},
		"half of the credentials":       {"[cache.s3]\nBucketName = \"b-1\"\nSecretKey = \"hush\"", `cache.s3.AccessKey: is missing, and SecretKey is there; set both or none`},
		"a secret of the wrong type":    {"[cache.s3]\nBucketName = \"b-1\"\nSecretKey = [\"hush\"]", `cache.s3.SecretKey: wrong type; has to be a string in quotes`},
		"a signing key to guess":        {`cache.signing_key = "hush"`, `cache.signing_key: has 4 characters; take at least 32, for example of openssl rand -hex 32`},
		"a kind twice":                  {`cache.kinds = ["build", "build"]`, `cache.kinds = "build": each kind at most once`},
		"a kind of nobody's":            {`cache.kinds = ["fuzz"]`, `cache.kinds = "fuzz": unknown value; allowed are modules, build`},
		"a driver of nobody's":          {`cache.driver = "zfs"`, `cache.driver = "zfs": unknown value; allowed are auto, image, copy`},
		"no time to save":               {`cache.save_timeout = "0s"`, `cache.save_timeout = "0s": has to be more than 0`},
		"a tiny ledger":                 {`stats.max_size = "4k"`, `stats.max_size = "4k": too small; has to be "1m" or more, or 0 for no ledger`},
		"an address without a port":     {`stats.listen_address = "localhost"`, `stats.listen_address = "localhost": has to be an address and a port`},
		"a port that is none":           {`stats.listen_address = ":70000"`, `stats.listen_address = ":70000": has to be an address and a port`},
		"a relative textfile":           {`stats.textfile = "x.prom"`, `stats.textfile = "x.prom": has to be an absolute path`},
		"a gateway without a scheme":    {`stats.push_gateway = "push.example.com"`, `stats.push_gateway: has to be a URL with http or https`},
		"traces to a file":              {`stats.traces.endpoint = "file:///tmp/x"`, `stats.traces.endpoint: has to be a URL with http or https`},
		"no time to restore":            {`cache.restore_timeout = "-1s"`, `cache.restore_timeout = "-1s": has to be more than 0`},
		"never idle":                    {`layer_idle = "0s"`, `layer_idle = "0s": has to be more than 0`},
		"a relative store":              {`cache.directory.path = "store"`, `cache.directory.path = "store": has to be an absolute path`},
		"a relative log":                {`log.file = "executor.log"`, `log.file = "executor.log": has to be an absolute path`},
	})
}

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]mistake{
		"a letter left out":       {`docker.memry = "1g"`, `config.toml:1: docker.memry: unknown key; did you mean docker.memory?`},
		"two letters swapped":     {`[dokcer]`, `config.toml:1: dokcer: unknown key; did you mean docker?`},
		"the wrong table":         {`image = "golang"`, `image: unknown key; did you mean docker.image?`},
		"another case":            {`docker.PidsLimit = 1`, `docker.PidsLimit: unknown key; did you mean docker.pids_limit?`},
		"capitals":                {`docker.Image = "golang"`, `docker.Image: unknown key; did you mean docker.image?`},
		"nothing like it":         {`docker.frobnicate = true`, `docker.frobnicate: unknown key; the keys in [docker] are allowed_images,`},
		"a table below a table":   {"\n[docker.ports]\n\"/tmp\" = \"rw\"", `config.toml:2: docker.ports: unknown key; the keys in [docker] are`},
		"a table that is implied": {"\n\n[runners.docker]\nimage = \"a\"", `config.toml:3: runners: unknown key; the keys at the top level of the file are cache, docker, layer_idle, log, max_size, state_dir`},
		"a service's key":         {"[[docker.services]]\nname = \"a\"\n[[docker.services]]\nname = \"b\"\nimage = \"c\"", `config.toml:5: docker.services[1].image: unknown key; `},
		"nothing a service has":   {"[[docker.services]]\nname = \"a\"\nfrobnicate = 1", `config.toml:3: docker.services[0].frobnicate: unknown key; the keys in [docker.services] are alias, command,`},
		"a key with a dot":        {`"docker.image" = "golang"`, `"docker.image": unknown key; the keys at the top level`},
		"an empty key":            {"[docker]\n\"\" = 1", `config.toml:2: docker."": unknown key`},
		"an inline table":         {"\ndocker = { memory = \"1g\", swap = \"1g\" }", `config.toml:2: docker.swap: unknown key`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, test.text)
			if err == nil || !strings.HasPrefix(strings.TrimPrefix(err.Error(), "config.toml:1: "), strings.TrimPrefix(test.want, "config.toml:1: ")) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestAMisspeltKeyDoesNotShowItsSecret(t *testing.T) {
	t.Parallel()
	_, err := load(t, `secret_kye = "hunter2"`)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the value of an unknown key may be a secret: %v", err)
	}
}
