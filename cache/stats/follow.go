package stats

import (
	"context"
	"database/sql"
	"errors"
)

// followAtOnce is how many jobs are read in one step.
const followAtOnce = 1000

// Follow gives a reader, by its name, each job that was added since it was called last, in the order in which they were added, and remembers
// how far it came. A job whose attempt was replaced comes again. If use fails, its job comes again the next time.
func (l *Ledger) Follow(ctx context.Context, reader string, use func(Job) error) error {
	for {
		mark, err := l.mark(ctx, reader)
		if err != nil {
			return err
		}
		jobs, last, err := l.read(ctx, " WHERE number > ? ORDER BY number LIMIT ?", []any{mark, followAtOnce})
		if err != nil {
			return err
		}
		for i := range jobs {
			if failed := use(jobs[i]); failed != nil {
				return errors.Join(failed, l.setMark(ctx, reader, last[i]-1))
			}
		}
		if len(jobs) == 0 {
			return nil
		}
		if err := l.setMark(ctx, reader, last[len(last)-1]); err != nil {
			return err
		}
	}
}

func (l *Ledger) mark(ctx context.Context, reader string) (number int64, err error) {
	err = l.db.QueryRowContext(ctx, "SELECT number FROM marks WHERE name = ?", reader).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, l.failed(err)
	}
	return number, nil
}

func (l *Ledger) setMark(ctx context.Context, reader string, number int64) error {
	return l.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "REPLACE INTO marks (name, number) VALUES (?, ?)", reader, number)
		return err
	})
}
