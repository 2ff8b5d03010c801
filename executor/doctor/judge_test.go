package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// judged is a finding that is wanted: its state and parts of its texts. All findings that are not ok have a remedy.
type judged struct {
	got     Finding
	state   State
	finding string
	remedy  string
}

func check1(t *testing.T, all map[string]judged) {
	t.Helper()
	for name, j := range all {
		if j.got.State != j.state || !strings.Contains(j.got.Finding, j.finding) || !strings.Contains(j.got.Remedy, j.remedy) {
			t.Errorf("%s: got %+v\nwant %s, %q, %q", name, j.got, j.state, j.finding, j.remedy)
		}
		if (j.got.State == OK) != (j.got.Remedy == "") {
			t.Errorf("%s: what is not ok has a remedy, and nothing else: %+v", name, j.got)
		}
	}
}

func TestSettingsAreForRootAlone(t *testing.T) {
	t.Parallel()
	secrets := []string{"a", "b", "c"}
	judge := func(mode fs.FileMode, owner int, secrets []string) Finding {
		return judgeSettingsFile("/s", mode, owner, secrets)[0]
	}
	check1(t, map[string]judged{
		"secrets that all can read":       {judge(0o644, 0, secrets), Wrong, "holds secrets: a, b and c", "chmod 0600 /s"},
		"secrets that a group can read":   {judge(0o640, 0, secrets), Wrong, "mode 0640", "chmod 0600 /s"},
		"secrets of root":                 {judge(0o600, 0, secrets), OK, "only root can read /s", ""},
		"nothing to hide":                 {judge(0o644, 0, nil), OK, "holds none", ""},
		"nothing to hide, but to falsify": {judge(0o664, 0, nil), Wrong, "can be written by others", "chmod 0600 /s"},
		"another user's":                  {judge(0o600, 1000, nil), Wrong, "belongs to the user 1000", "chown root /s"},
	})
	s := settings.Default()
	s.Cache.S3.SecretKey, s.Stats.Traces.Headers = "x", map[string]string{"a": "b"}
	if got := list(secretKeys(s)); got != "cache.s3.SecretKey and stats.traces.headers" {
		t.Errorf("the secrets are %s", got)
	}
}

func TestTheStateDirectoryIsForRootAlone(t *testing.T) {
	t.Parallel()
	check1(t, map[string]judged{
		"root's":         {judgeFolder("/s", 0o700, 0), OK, "only root enters it", ""},
		"open":           {judgeFolder("/s", 0o755, 0), Warning, "others than root can look into /s", "chmod 0700 /s"},
		"writable":       {judgeFolder("/s", 0o775, 0), Wrong, "others than root can write", "chmod 0700 /s"},
		"another user's": {judgeFolder("/s", 0o700, 1), Wrong, "belongs to the user 1", "chown root /s"},
	})
}

func TestWhichFileSystemsAreFitForTheStateDirectory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, driver string
		want         State
	}{
		{"ext4", "image", OK},
		{"xfs", "auto", OK},
		{"btrfs", "copy", OK},
		{"overlay", "image", Wrong},
		{"overlay", "auto", Warning},
		{"overlay", "copy", OK},
		{"fuse.fuse-overlayfs", "image", Wrong},
		{"tmpfs", "image", Warning},
		{"ramfs", "copy", Warning},
		{"nfs4", "image", Wrong},
		{"nfs", "copy", Wrong},
		{"cifs", "auto", Wrong},
		{"fuse.sshfs", "auto", Wrong},
	} {
		got := judgeFileSystem(c.kind, "/s", c.driver)
		if got.State != c.want || got.State != OK && !strings.Contains(got.Remedy, "state_dir") || !strings.Contains(got.Finding, c.kind) {
			t.Errorf("%s with %s: %+v, want %s", c.kind, c.driver, got, c.want)
		}
	}
}

func TestHowMuchSpaceLayersMayTake(t *testing.T) {
	t.Parallel()
	const mb, gb = int64(1) << 20, int64(1) << 30
	set := settings.Default()
	check1(t, map[string]judged{
		"plenty":                            {space{size: 100 * gb, free: 50 * gb, limit: 20 * gb}.judge(set), OK, "50 GiB of 100 GiB free; layers take 0 B and at most 20 GiB", ""},
		"too little":                        {space{size: 100 * gb, free: 255 * mb, limit: 20 * gb}.judge(set), Wrong, "255 MiB of 100 GiB free, and with less than 256 MiB", "prune --unused"},
		"just enough, and a limit too high": {space{size: gb, free: 256 * mb, limit: 20 * gb}.judge(set), Warning, "has room for 0 B", "use a bigger disk"},
		"less than layers may take":         {space{size: 30 * gb, free: 10 * gb, limit: 20 * gb}.judge(set), Warning, "layers may take 20 GiB", `set max_size to "9984m" or less`},
		"they have taken it":                {space{size: 30 * gb, free: 2 * gb, layers: 19 * gb, limit: 20 * gb}.judge(set), OK, "layers take 19 GiB", ""},
		"no limit":                          {space{size: gb, free: gb}.judge(set), OK, "nothing bounds what layers take", ""},
	})
	if got := (space{size: gb, free: 256 * mb, limit: gb}).judge(set).Remedy; strings.Contains(got, "max_size") {
		t.Errorf("a max_size of 0 is no limit, and the remedy is to %s", got)
	}
}

func TestVersionsOfTools(t *testing.T) {
	t.Parallel()
	check1(t, map[string]judged{
		"Debian's":        {judgeTools("sqfstar version 4.5.1 (2022/03/17)\ncopyright"), OK, "sqfstar version 4.5.1", ""},
		"a later one":     {judgeTools("sqfstar version 4.10 (2030/01/01)"), OK, "4.10", ""},
		"the next":        {judgeTools("sqfstar version 5.0"), OK, "5.0", ""},
		"an earlier one":  {judgeTools("sqfstar version 4.4-git.1 (2021)"), Wrong, "4.4-git.1", "squashfs-tools 4.5"},
		"something else":  {judgeTools("usage"), Warning, `"usage"`, "squashfs-tools 4.5"},
		"Runner":          {judgeRunner("Version:      19.4.0\nGit revision: x"), OK, "GitLab Runner 19.4.0", ""},
		"Runner 16.6":     {judgeRunner("Version:      16.6.1"), Warning, "exit codes", "newer GitLab Runner"},
		"Runner 16.5":     {judgeRunner("Version:      16.5.0"), Wrong, "16.5.0 is too old", "newer GitLab Runner"},
		"Runner 17.9":     {judgeRunner("Version:      v17.9.0~beta"), OK, "17.9.0~beta", ""},
		"Runner, unknown": {judgeRunner("Version:      development version"), Warning, "development version", "16.6"},
		"no Runner":       {judgeRunner("hello"), Warning, "unknown", "16.6"},
	})
}

func TestWhatATrialOfMountsFailsFor(t *testing.T) {
	t.Parallel()
	lack := &layer.Lack{What: "no loop devices", Remedy: "try modprobe loop", Err: fs.ErrNotExist}
	unseen := &layer.Lack{What: "opens cannot be watched", Remedy: "fanotify", Err: errUnseen}
	judge := func(driver string, err error) Finding { return judgeTrial(driver, err)[0] }
	check1(t, map[string]judged{
		"nothing":           {judge("image", nil), OK, "was written, mounted and read", ""},
		"the host":          {judge("image", fmt.Errorf("mount: %w", lack)), Wrong, "no loop devices", "try modprobe loop"},
		"the host, by auto": {judge("auto", lack), Warning, "caches are copied", "try modprobe loop"},
		"the mount":         {judge("image", errors.New("mount: wrong fs type")), Wrong, "wrong fs type", "CONFIG_SQUASHFS_LZ4"},
		"copies":            {judge("copy", errors.New("broken")), Wrong, "broken", "dmesg"},
		"watching":          {judge("image", unseen), Warning, "a layer was mounted, and", "hits are not known"},
		"space":             {judge("auto", fmt.Errorf("write: %w", unix.ENOSPC)), Wrong, "no space", "make space"},
	})
}

func TestWhatSELinuxAllows(t *testing.T) {
	t.Parallel()
	check1(t, map[string]judged{
		"unconfined":  {judgeSELinux(false, "system_u:object_r:var_lib_t:s0", "/s"), OK, "does not confine", ""},
		"wrong label": {judgeSELinux(true, "system_u:object_r:var_lib_t:s0", "/s"), Wrong, "var_lib_t", "semanage fcontext -a -t container_file_t '/s(/.*)?'"},
		"right label": {judgeSELinux(true, "system_u:object_r:container_file_t:s0", "/s"), OK, "has a label for containers", ""},
	})
}

func TestWhichDaemonsWillDo(t *testing.T) {
	t.Parallel()
	good := docker.Daemon{Version: "20.10.24+dfsg1", Product: "Docker", Host: "h", Kernel: "6.1", OS: "linux", Architecture: "amd64", Storage: "overlay2", Cgroup: "2"}
	judge := func(change func(d *docker.Daemon)) Finding {
		d := good
		change(&d)
		return judgeDaemon(d, "6.1", "amd64")
	}
	check1(t, map[string]judged{
		"a good one":      {judge(func(*docker.Daemon) {}), OK, "Docker 20.10.24+dfsg1 on linux/amd64, storage driver overlay2, cgroup v2", ""},
		"an old one":      {judge(func(d *docker.Daemon) { d.Version = "19.03.15" }), Wrong, "too old", "20.10"},
		"a newer one":     {judge(func(d *docker.Daemon) { d.Version = "28.5.2" }), OK, "28.5.2", ""},
		"who knows":       {judge(func(d *docker.Daemon) { d.Version = "dev" }), Warning, `"dev"`, "20.10"},
		"Podman":          {judge(func(d *docker.Daemon) { d.Product = "Podman Engine" }), Wrong, "this is Podman Engine", "docker.host"},
		"Windows":         {judge(func(d *docker.Daemon) { d.OS = "windows" }), Wrong, "of windows", "Linux containers"},
		"another machine": {judge(func(d *docker.Daemon) { d.Kernel = "5.4" }), Wrong, "another machine (h with Linux 5.4, this host has 6.1)", "this very host"},
		"an architecture": {judge(func(d *docker.Daemon) { d.Architecture = "arm64" }), Wrong, "arm64", "for arm64"},
		"slow storage":    {judge(func(d *docker.Daemon) { d.Storage = "vfs" }), Warning, "vfs", "overlay2"},
	})
	check1(t, map[string]judged{
		"no socket":  {judgeDial("unix:///s", fs.ErrNotExist), Wrong, "there is no socket unix:///s", "install Docker Engine"},
		"no daemon":  {judgeDial("unix:///s", unix.ECONNREFUSED), Wrong, "does not run", "systemctl start docker"},
		"no rights":  {judgeDial("unix:///s", unix.EACCES), Wrong, "may not use", "sudo"},
		"no luck":    {judgeDial("unix:///s", errors.New("luck")), Wrong, "luck", "systemctl"},
		"a variable": {judgeVariable("tcp://h:1", "unix:///s"), Warning, "DOCKER_HOST is tcp://h:1", "unset DOCKER_HOST"},
	})
}

func TestWhichHelperImagesWillDo(t *testing.T) {
	t.Parallel()
	never, both := []string{"never"}, []string{"never", "always"}
	check1(t, map[string]judged{
		"there":                {judgeHelper("i", true, "amd64", "amd64", never), OK, "i is there, for amd64", ""},
		"of another machine":   {judgeHelper("i", true, "arm64", "amd64", never), Wrong, "is for arm64", "for amd64"},
		"not there":            {judgeHelper("i", false, "", "amd64", never), Wrong, "every job fails", "docker pull i"},
		"not there, but pulls": {judgeHelper("i", false, "", "amd64", both), Warning, "the first job pulls it (pull_policy = never and always)", "docker pull i"},
	})
}

func TestWhatContainersSee(t *testing.T) {
	t.Parallel()
	last := func(s sights, err error, driver string) Finding {
		all := judgePaths(s, err, "/s", driver)
		return all[len(all)-1]
	}
	check1(t, map[string]judged{
		"all":                     {last(sights{folder: true, mount: true}, nil, "image"), OK, "mounted", ""},
		"no mounts":               {last(sights{folder: true}, nil, "image"), Wrong, "unsupported_host", "PrivateMounts"},
		"no mounts, by auto":      {last(sights{folder: true}, nil, "auto"), Wrong, "unsupported_host", `cache.driver = "copy"`},
		"no mounts, by copy":      {last(sights{folder: true}, nil, "copy"), OK, "/s", ""},
		"what cannot be mounted":  {last(sights{folder: true, mounted: unix.EPERM}, nil, "image"), Warning, "not permitted", "CAP_SYS_ADMIN"},
		"another folder":          {last(sights{}, nil, "image"), Wrong, "another folder", "under one path"},
		"no folder":               {last(sights{}, errors.New("x bind source path does not exist: /s"), "copy"), Wrong, "Docker does not have /s", "under one path"},
		"nothing, since it fails": {last(sights{}, errors.New("broken"), "copy"), Wrong, "broken", "journalctl"},
	})
}

func TestWhatTheStoreSays(t *testing.T) {
	t.Parallel()
	folder, bucket := settings.Default(), settings.Default()
	bucket.Cache.S3.BucketName = "b"
	steps := []step{{"put", time.Millisecond}, {"get", 2 * time.Second}}
	check1(t, map[string]judged{
		"quick":                 {judgeStore(folder, "n", steps[:1], nil), OK, "n: put 1ms", ""},
		"slow":                  {judgeStore(folder, "n", steps, nil), Warning, "answers slowly: n: put 1ms, get 2s", "nearer"},
		"a folder that is full": {judgeStore(folder, "n", steps, unix.ENOSPC), Wrong, "n: cannot get: no space", "that folder"},
		"a bucket that is gone": {judgeStore(bucket, "n", steps[:1], unix.ECONNREFUSED), Wrong, "cannot put: connection refused", "ServerAddress"},
		"no key":                {judgeSigning(true, false), Warning, "whoever can write", "openssl rand -hex 32"},
		"a key":                 {judgeSigning(true, true), OK, "signed", ""},
		"no need of a key":      {judgeSigning(false, false), OK, "not needed", ""},
		"a good clock":          {judgeClock(-300 * time.Millisecond), OK, "to 1s", ""},
		"a clock that goes":     {judgeClock(-2 * time.Minute), Warning, "2m0s ahead of", "timedatectl"},
		"a clock that is off":   {judgeClock(16 * time.Minute), Wrong, "16m0s behind", "timedatectl"},
	})
}

func TestHowServeIs(t *testing.T) {
	t.Parallel()
	check1(t, map[string]judged{
		"none":              {judgeIdle(false), OK, "need not", ""},
		"none for a bucket": {judgeIdle(true), Warning, "jobs wait", "gitlab-go-executor serve"},
		"well":              {judgeHealth("a", "ok\nledger: ok\n", nil), OK, "well", ""},
		"degraded":          {judgeHealth("a", "degraded\nledger: ok\nstore: fails\n", nil), Warning, "ledger: ok; store: fails", "operator log"},
		"not well":          {judgeHealth("a", "not ok\nledger: cannot be read\n", nil), Wrong, "cannot be read", "restart"},
		"silent":            {judgeHealth("a", "", errors.New("refused")), Wrong, "does not answer at a: refused", "listen_address"},
	})
}

func TestWhereARunnerRuns(t *testing.T) {
	t.Parallel()
	runner := func(user int, mounts string, args ...string) process { return process{7, user, args, mounts} }
	dockerd := process{1, 0, []string{"/usr/bin/dockerd", "-H", "fd://"}, "docker"}
	judge := func(all ...process) Finding { return judgeProcesses(all, "mine")[0] }
	check1(t, map[string]judged{
		"here":                      {judge(runner(0, "mine", "/usr/bin/gitlab-runner", "run", "--user", "gitlab-runner")), OK, "process 7", ""},
		"with Docker":               {judge(dockerd, runner(0, "docker", "gitlab-runner", "run")), OK, "process 7", ""},
		"on its own":                {judge(dockerd, runner(0, "its", "gitlab-runner", "--debug", "run")), Wrong, "namespace of its own (its, here it is mine)", "PrivateMounts"},
		"as another user":           {judge(runner(998, "mine", "gitlab-runner", "run")), Wrong, "as the user 998", "without User="},
		"by a wrapper":              {judge(runner(0, "mine", "/bin/sh", "/opt/gitlab-runner", "run-single")), OK, "process 7", ""},
		"in a job, for artifacts":   {judge(runner(0, "its", "gitlab-runner", "artifacts-uploader")), Warning, "does not run here", "systemctl start"},
		"as an editor's file":       {judge(runner(0, "its", "vi", "/etc/x", "gitlab-runner", "run")), Warning, "does not run here", "systemctl start"},
		"not at all, but a program": {judge(runner(0, "its", "")), Warning, "does not run here", "systemctl start"},
	})
}

func TestOneSocketMayHaveTwoPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, err := range []error{os.WriteFile(dir+"/a", nil, 0o600), os.WriteFile(dir+"/c", nil, 0o600), os.Symlink("a", dir+"/b")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for pair, want := range map[[2]string]bool{
		{"unix://" + dir + "/a", "unix://" + dir + "/b"}: true, {"unix://" + dir + "/a", "unix://" + dir + "/c"}: false,
		{"tcp://h:1", "unix://" + dir + "/a"}: false, {"unix:///nowhere", "unix:///nowhere"}: true,
	} {
		if sameSocket(pair[0], pair[1]) != want {
			t.Errorf("%v: want %v", pair, want)
		}
	}
}

func TestAHostWithExtraCachesAloneHasCaches(t *testing.T) {
	t.Parallel()
	s := settings.Default()
	s.Cache.Kinds = nil
	h := &host{settings: s}
	if !h.noCaches() {
		t.Error("a host without caches has some")
	}
	s.Cache.Extra = []settings.Extra{{Name: "golangci-lint", Variable: "GOLANGCI_LINT_CACHE"}}
	if h.noCaches() {
		t.Error("a host with an extra cache has none")
	}
}
