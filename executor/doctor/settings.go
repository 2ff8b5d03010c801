package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/settings"
)

func (h *host) lookAtUser(context.Context) []Finding {
	if uid := os.Geteuid(); uid != 0 {
		return []Finding{wrong("run it with sudo, as GitLab Runner has to run as root with this executor", "this runs as the user %d and not as root", uid)}
	}
	return []Finding{ok("root")}
}

func (h *host) readSettings(context.Context) []Finding {
	s, err := settings.Load(h.Config)
	_, missing := os.Stat(h.Config)
	var problems *settings.Problems
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		return []Finding{wrong("sudo install -D -m 0600 config.example.toml "+h.Config+", or gitlab-go-executor import-config, which makes settings of a docker runner's; "+
			"--config names another file", "there is no settings file %s", h.Config)}
	case errors.As(err, &problems):
		var found []Finding
		for _, p := range problems.All {
			found = append(found, wrong("correct it in that file; config.example.toml explains every key", "%s", p))
		}
		return found
	case errors.Is(err, fs.ErrPermission):
		return failed(err, "run it with sudo")
	case err != nil:
		return failed(err, "name another file with --config")
	}
	h.settings = s
	return []Finding{ok("%s: every key is known and makes sense", h.Config)}
}

func (h *host) lookAtSecrets(context.Context) []Finding {
	info, err := os.Stat(h.Config)
	if err != nil {
		return failed(err, "see that root can read the file")
	}
	owner := -1
	if stat, is := info.Sys().(*syscall.Stat_t); is {
		owner = int(stat.Uid)
	}
	return judgeSettingsFile(h.Config, info.Mode().Perm(), owner, secretKeys(h.settings))
}

// secretKeys are the keys of the settings that hold secrets.
func secretKeys(s *settings.Settings) (keys []string) {
	for _, secret := range s.Secrets() {
		keys = append(keys, secret.Key)
	}
	return keys
}

// judgeSettingsFile is about who else may read and write a file that makes root do things.
func judgeSettingsFile(path string, mode fs.FileMode, owner int, secrets []string) []Finding {
	switch {
	case owner != 0:
		return []Finding{wrong("chown root "+path, "%s belongs to the user %d, who can make root do anything with it", path, owner)}
	case mode&0o022 != 0:
		return []Finding{wrong("chmod 0600 "+path, "%s can be written by others than root (mode %04o), who can make root do anything with it", path, mode)}
	case mode&0o044 != 0 && len(secrets) > 0:
		return []Finding{wrong("chmod 0600 "+path, "%s can be read by others than root (mode %04o) and holds secrets: %s", path, mode, list(secrets))}
	case len(secrets) > 0:
		return []Finding{ok("only root can read %s, which holds %s", path, list(secrets))}
	}
	return []Finding{ok("%s holds none", path)}
}

func list(names []string) string {
	text := ""
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			text += " and "
		default:
			text += ", "
		}
		text += name
	}
	return text
}

// driver is how jobs see their caches, as far as that is known.
func (h *host) driver() string {
	if h.settings == nil {
		return settings.DriverAuto
	}
	return h.settings.Cache.Driver
}

// noCaches says that the settings ask for none.
func (h *host) noCaches() bool {
	return h.settings != nil && len(h.settings.Cache.Kinds)+len(h.settings.Cache.Extra) == 0
}

// mountless judges what only the driver image needs: without it auto goes on with copies.
func mountless(driver, remedy, format string, args ...any) Finding {
	finding := fmt.Sprintf(format, args...)
	switch driver {
	case settings.DriverImage:
		return wrong(remedy+`; or set cache.driver = "copy", which is slower`, "%s, and jobs have no caches without it (cache.driver = %q)", finding, driver)
	case settings.DriverCopy:
		return ok("%s, which is not needed (cache.driver = %q)", finding, driver)
	}
	return warning(remedy, "%s: caches are copied into each job and not mounted, which is slow (cache.driver = %q)", finding, driver)
}
