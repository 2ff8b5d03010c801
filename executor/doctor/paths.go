package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/docker"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

// lookAtPaths finds out whether a container would see what is in the state directory, and what is mounted there after the daemon started. A
// container is made for that, and never started: the daemon looks into it by itself.
func (h *host) lookAtPaths(ctx context.Context) []Finding {
	image, _, err := h.docker.LocalImage(ctx, h.settings.Docker.HelperImage)
	if err == nil && image.ID == "" {
		image, err = h.docker.AnyImage(ctx)
	}
	switch {
	case err != nil:
		return failed(err, "see what the daemon's log says: journalctl -u docker")
	case image.ID == "":
		return []Finding{warning("docker pull "+h.settings.Docker.HelperImage+", then try again", "Docker has no image to try with whether jobs would see this host's files")}
	}
	if err := h.sweep(ctx); err != nil {
		return failed(err, "remove by hand the folders "+trialFolder+"* in state_dir")
	}
	dir, err := os.MkdirTemp(h.settings.StateDir, trialFolder)
	if err != nil {
		return failed(err, "see that root can write to state_dir")
	}
	t := trial{docker: h.docker, image: image, dir: dir}
	seen, err := t.look(ctx)
	err = errors.Join(err, t.end(context.WithoutCancel(ctx)))
	return judgePaths(seen, err, h.settings.StateDir, h.driver())
}

// trial is a folder with a file in it, and with a mount that has one too.
type trial struct {
	docker *docker.Client
	image  docker.Image
	dir    string
}

// Names of a trial's.
const (
	trialFolder = "doctor-" // begin of all folders that the doctor makes in the state directory
	trialMount  = "mount"
	trialTarget = "/doctor" // of the folder, in the container
	trialSuffix = "doctor"
)

// owner signs the container. It has no state directory's id, so that no job and no prune takes it away.
func (t *trial) owner() docker.Owner {
	name := "go-executor-" + filepath.Base(t.dir)
	return docker.Owner{State: "doctor", Job: name, Name: name}
}

// sights are what a container sees.
type sights struct {
	folder  bool
	mount   bool
	mounted error // why nothing could be mounted
}

func (t *trial) look(ctx context.Context) (s sights, err error) {
	nonce := "nonce-" + rand.Text()
	point := filepath.Join(t.dir, trialMount)
	if err := errors.Join(os.WriteFile(filepath.Join(t.dir, nonce), nil, 0o600), os.Mkdir(point, 0o700)); err != nil {
		return s, err
	}
	if s.mounted = unix.Mount("gitlab-go-executor-doctor", point, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "size=1m,mode=0700"); s.mounted == nil {
		if err := os.WriteFile(filepath.Join(point, nonce), nil, 0o600); err != nil {
			return s, err
		}
	}
	id, err := t.docker.Create(ctx, t.owner(), docker.Spec{
		Kind: docker.KindHelper, Suffix: trialSuffix, Image: t.image, Cmd: []string{"never-started"}, Network: "none",
		Mounts: []docker.Mount{{Source: t.dir, Target: trialTarget, ReadOnly: true}, {Source: point, Target: trialTarget + "-" + trialMount, ReadOnly: true}},
	})
	if err != nil {
		return s, err
	}
	if s.folder, err = t.docker.HasFile(ctx, id, path.Join(trialTarget, nonce)); err != nil {
		return s, err
	}
	s.mount, err = t.docker.HasFile(ctx, id, path.Join(trialTarget+"-"+trialMount, nonce))
	return s, err
}

// end takes all away.
func (t *trial) end(ctx context.Context) error {
	return errors.Join(t.docker.RemoveNamed(ctx, t.owner(), trialSuffix), clearAway(t.dir))
}

const (
	sameHost = "use the daemon of this host, and give this program no file system of its own: if it runs in a container, " +
		"the state directory has to be there and on the host under one path"
	sameNamespace = "run GitLab Runner and this program in the mount namespace of Docker: remove PrivateMounts, PrivateTmp, ProtectSystem, ProtectHome and the " +
		`like from their systemd units (systemctl cat gitlab-runner docker), and do not run the Runner in a container; or set cache.driver = "copy", which is slower`
)

func judgePaths(s sights, err error, dir, driver string) []Finding {
	switch {
	case err != nil && strings.Contains(err.Error(), "bind source path does not exist"):
		return []Finding{wrong(sameHost, "Docker does not have %s: its paths are not those of this host", dir)}
	case err != nil:
		return failed(err, "see what the daemon's log says: journalctl -u docker")
	case !s.folder:
		return []Finding{wrong(sameHost, "Docker sees another folder under the path %s: its paths are not those of this host", dir)}
	}
	folder := ok("containers see what is in %s", dir)
	switch {
	case driver == settings.DriverCopy:
		return []Finding{folder}
	case s.mounted != nil:
		return []Finding{folder, warning("run it as root with CAP_SYS_ADMIN", "whether they see what is mounted there is not known, since nothing can be: %v", s.mounted)}
	case !s.mount:
		return []Finding{folder, wrong(sameNamespace, "containers do not see what is mounted in %s: this program, or Docker, is in a mount namespace of its own, and jobs have no caches (unsupported_host)", dir)}
	}
	return []Finding{folder, ok("and what is mounted there")}
}
