// Package config reads the settings file.
package config

import (
	"fmt"

	"github.com/BurntSushi/toml"
)

// Config is the settings file.
type Config struct {
	HTTP     string `toml:"http"`
	GRPC     string `toml:"grpc"`
	Database string `toml:"database"` // postgres://… or the path of a file
	Log      string `toml:"log"`      // debug, info, warn, error
	Trace    bool   `toml:"trace"`
}

// Load reads the file at path over the defaults and refuses keys that it does not know.
func Load(path string) (Config, error) {
	c := Config{HTTP: ":8080", GRPC: ":9090", Database: "sampled.db", Log: "info"}
	meta, err := toml.DecodeFile(path, &c)
	if err != nil {
		return Config{}, fmt.Errorf("settings: %w", err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return Config{}, fmt.Errorf("settings: %s: unknown key %q", path, unknown[0])
	}
	if c.Database == "" {
		return Config{}, fmt.Errorf("settings: %s: database is empty", path)
	}
	return c, nil
}
