// Package store keeps parts in a file or in PostgreSQL.
package store

import (
	"context"
	"errors"
	"strings"

	"example.com/sample/internal/part"
)

// ErrNotFound says that there is no such part; ErrTaken that its number is in use.
var (
	ErrNotFound = errors.New("no such part")
	ErrTaken    = errors.New("number is taken")
)

// Store keeps parts. All methods are safe for concurrent use.
type Store interface {
	Put(ctx context.Context, p part.Part) error
	Get(ctx context.Context, number string) (part.Part, error)
	List(ctx context.Context) ([]part.Part, error)
	Ping(ctx context.Context) error
	Close() error
}

// Open opens PostgreSQL for a postgres:// address and a file for anything else.
func Open(ctx context.Context, database string) (Store, error) {
	if strings.HasPrefix(database, "postgres://") {
		return openPostgres(ctx, database)
	}
	return openFile(database)
}
