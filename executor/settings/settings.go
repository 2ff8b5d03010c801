// Package settings reads the settings file of the executor.
//
// The file is strict: an unknown key, a wrong type or a value out of range is an error, and all errors of a file
// are reported at once, each with its line. A key that GitLab Runner has in [runners.docker] keeps its name and its
// meaning here, so that a section can be moved over from a runner of the docker executor.
//
// A new key takes one field in a struct below, one line in (*Settings).check, and its entry in config.example.toml.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/docker/go-units"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Settings is the settings file. Default gives one that works; Load reads one; every other one is unchecked.
type Settings struct {
	// StateDir is the folder of the host tier: checkouts, caches, records of running jobs.
	StateDir string `toml:"state_dir"`
	// LayerIdle is how long a layer of the caches that no job uses stays mounted.
	LayerIdle Duration `toml:"layer_idle"`
	// MaxSize is what the layers of the caches may take on this host; 0 means no limit.
	MaxSize Bytes  `toml:"max_size"`
	Docker  Docker `toml:"docker"`
	Cache   Cache  `toml:"cache"`
	Stats   Stats  `toml:"stats"`
	Log     Log    `toml:"log"`
}

// Cache says what of Go's caches is kept, and how.
type Cache struct {
	// Kinds are KindModules and KindBuild; none means none of Go's own caches.
	Kinds []string `toml:"kinds"`
	// Extra are the caches of tools beside Go.
	Extra []Extra `toml:"extra,omitempty"`
	// Driver is how jobs see their caches: DriverAuto, DriverImage or DriverCopy.
	Driver string `toml:"driver"`
	// RestoreTimeout and SaveTimeout bound what a job waits for its caches before and after its scripts.
	RestoreTimeout Duration `toml:"restore_timeout"`
	SaveTimeout    Duration `toml:"save_timeout"`
	// SigningKey signs what is written to the store; what is not signed with it is not believed. Empty means no signatures.
	SigningKey string `toml:"signing_key,omitempty"`
	// Directory is the store, unless S3 names one.
	Directory Directory `toml:"directory"`
	// S3 is the bucket that several hosts have for their store. A zero one is none.
	S3 store.S3Config `toml:"s3,omitempty"`
}

// Extra is the cache of a tool that keeps it as Go keeps its build cache.
type Extra struct {
	// Name is its folder in the job and its segment in the store's keys.
	Name string `toml:"name"`
	// Variable is what tells the tool where its cache is.
	Variable string `toml:"variable"`
	// MaxSize is what a job may add to it; 0 is no limit of its own.
	MaxSize Bytes `toml:"max_size,omitempty"`
}

// Directory is a store that is a folder.
type Directory struct {
	// Path is the folder; empty means StateDir/store, see StoreDir.
	Path string `toml:"path,omitempty"`
}

// The kinds of caches.
const (
	KindModules = "modules"
	KindBuild   = "build"
)

// The drivers.
const (
	DriverAuto  = "auto"  // image where the host can, else copy
	DriverImage = "image" // layers are mounted
	DriverCopy  = "copy"  // layers are unpacked and copied
)

// Shared says whether the store is a bucket.
func (c *Cache) Shared() bool { return c.S3 != store.S3Config{} }

// StoreDir is the folder of the store, where that is none.
func (s *Settings) StoreDir() string {
	if s.Cache.Directory.Path != "" {
		return s.Cache.Directory.Path
	}
	return filepath.Join(s.StateDir, "store")
}

// Log says what the operator log holds and where it goes.
type Log struct {
	// Level is the least severe level that is logged.
	Level string `toml:"level"`
	// Format is FormatText or FormatJSON.
	Format string `toml:"format"`
	// File is appended to; empty means standard error.
	File string `toml:"file,omitempty"`
}

// The formats of the operator log.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// Default returns the settings of an empty file.
func Default() *Settings {
	return &Settings{
		StateDir:  "/var/lib/gitlab-go-executor",
		LayerIdle: Duration{time.Hour},
		MaxSize:   20 * units.GiB,
		Cache: Cache{
			Kinds: []string{KindModules, KindBuild}, Driver: DriverAuto,
			RestoreTimeout: Duration{30 * time.Second}, SaveTimeout: Duration{2 * time.Minute},
		},
		Docker: defaultDocker(),
		Stats:  defaultStats(),
		Log:    Log{Level: "info", Format: FormatText},
	}
}

// Load reads and checks a settings file; what the file leaves out has its default. What is wrong in the file is
// reported as one *Problems.
func Load(path string) (*Settings, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no settings file %s: create it (config.example.toml explains every key) or name another one with --config", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the settings file (--config names another one): %w", err)
	}
	return parse(path, data)
}

// parse is Load for the content of a file.
func parse(path string, data []byte) (*Settings, error) {
	s := Default()
	found := &report{file: path}
	decode(data, s, found)
	s.check(found)
	if err := found.err(); err != nil {
		return nil, err
	}
	s.Docker.complete(found.lines)
	return s, nil
}

// Write writes the settings to a file that Load accepts, readable by its owner only. Settings that Load would refuse
// are not written. The file appears complete or not at all.
func (s *Settings) Write(path string) error {
	found := &report{file: path}
	s.check(found)
	if err := found.err(); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(s); err != nil {
		return fmt.Errorf("cannot write settings as TOML: %w", err)
	}
	if err := replace(path, text.Bytes()); err != nil {
		return fmt.Errorf("cannot write the settings file %s: %w", path, err)
	}
	return nil
}

// replace writes a file under another name, with mode 0600, and renames it into place.
func replace(path string, data []byte) (err error) {
	staged, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(staged.Name()))
		}
	}()
	if _, err = staged.Write(data); err != nil {
		return errors.Join(err, staged.Close())
	}
	if err := staged.Close(); err != nil {
		return err
	}
	return os.Rename(staged.Name(), path)
}
