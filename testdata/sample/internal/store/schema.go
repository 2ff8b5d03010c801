package store

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
)

//go:embed schema/*.sql
var schemas embed.FS

// migrations are the statements of the schema, oldest first; every one can be run again.
func migrations() ([]string, error) {
	names, err := fs.Glob(schemas, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var statements []string
	for _, name := range names {
		data, err := fs.ReadFile(schemas, name)
		if err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		statements = append(statements, string(data))
	}
	return statements, nil
}
