package store

import (
	"context"
	_ "embed" // schema.sql
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/sample/internal/part"
)

const uniqueViolation = "23505"

//go:embed schema.sql
var schema string

type postgres struct{ pool *pgxpool.Pool }

func openPostgres(ctx context.Context, address string) (Store, error) {
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, schema); err != nil {
		pool.Close()
		return nil, fmt.Errorf("schema: %w", err)
	}
	return postgres{pool}, nil
}

func (p postgres) Put(ctx context.Context, one part.Part) error {
	_, err := p.pool.Exec(ctx, `INSERT INTO parts (id, number, name, stock) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET number = excluded.number, name = excluded.name, stock = excluded.stock`,
		one.ID.String(), one.Number, one.Name, one.Stock)
	return explain(one.Number, err)
}

func (p postgres) Get(ctx context.Context, number string) (part.Part, error) {
	rows, err := p.pool.Query(ctx, `SELECT id, number, name, stock FROM parts WHERE number = $1`, number)
	if err != nil {
		return part.Part{}, err
	}
	one, err := pgx.CollectExactlyOneRow(rows, scan)
	return one, explain(number, err)
}

func (p postgres) List(ctx context.Context) ([]part.Part, error) {
	rows, err := p.pool.Query(ctx, `SELECT id, number, name, stock FROM parts ORDER BY number`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

func (p postgres) Ping(ctx context.Context) error { return p.pool.Ping(ctx) }

func (p postgres) Close() error {
	p.pool.Close()
	return nil
}

func scan(row pgx.CollectableRow) (part.Part, error) {
	var p part.Part
	err := row.Scan(&p.ID, &p.Number, &p.Name, &p.Stock)
	return p, err
}

// explain puts what PostgreSQL says into the words of this package.
func explain(number string, err error) error {
	var coded *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%s: %w", number, ErrNotFound)
	case errors.As(err, &coded) && coded.Code == uniqueViolation:
		return fmt.Errorf("%s: %w", number, ErrTaken)
	}
	return err
}
