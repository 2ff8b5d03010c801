package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/sample/internal/part"
)

type lite struct{ db *sql.DB }

func openSQLite(ctx context.Context, path string) (Store, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // one writer is all that SQLite has
	statements, err := migrations()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(fmt.Errorf("schema: %w", err), db.Close())
		}
	}
	return lite{db}, nil
}

func (l lite) Put(ctx context.Context, p part.Part) error {
	_, err := l.db.ExecContext(ctx, `INSERT INTO parts (id, number, name, stock) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET number = excluded.number, name = excluded.name, stock = excluded.stock`,
		p.ID.String(), p.Number, p.Name, p.Stock)
	var coded *sqlite.Error
	if errors.As(err, &coded) && coded.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		return fmt.Errorf("%s: %w", p.Number, ErrTaken)
	}
	return err
}

func (l lite) Get(ctx context.Context, number string) (part.Part, error) {
	var p part.Part
	err := l.db.QueryRowContext(ctx, `SELECT id, number, name, stock FROM parts WHERE number = ?`, number).
		Scan(&p.ID, &p.Number, &p.Name, &p.Stock)
	if errors.Is(err, sql.ErrNoRows) {
		return part.Part{}, fmt.Errorf("%s: %w", number, ErrNotFound)
	}
	return p, err
}

func (l lite) List(ctx context.Context) ([]part.Part, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT id, number, name, stock FROM parts ORDER BY number`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []part.Part
	for rows.Next() {
		var p part.Part
		if err := rows.Scan(&p.ID, &p.Number, &p.Name, &p.Stock); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, rows.Err()
}

func (l lite) Ping(ctx context.Context) error { return l.db.PingContext(ctx) }

func (l lite) Close() error { return l.db.Close() }
