package stats

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite" // also the driver of that name
	sqlite3 "modernc.org/sqlite/lib"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
)

// Ledger is the jobs of a host. Several goroutines and processes may use it at the same time.
type Ledger struct {
	db      *sql.DB
	path    string
	version int // of its schema
}

// busyTimeout is how long a writer waits for another one; each holds the ledger for milliseconds.
const busyTimeout = 10 * time.Second

// Open opens the ledger of a state directory, and makes it, or makes it newer, if need be. It is closed by Close.
func Open(ctx context.Context, stateDir string) (*Ledger, error) {
	path := filepath.Join(stateDir, "ledger.db")
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, failed(path, err)
	}
	// For root alone: it tells of private projects. SQLite gives its other files the mode of the first. One that is there is not opened: with the
	// end of any descriptor of a file a process loses its locks on it (fcntl(2)), and with them those of another Ledger.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = file.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, failed(path, err)
	}
	crash.At(crash.LedgerMade)
	return open(ctx, path, "rw")
}

// OpenToRead opens the ledger of a state directory for questions alone. If there is none yet the error is fs.ErrNotExist, and fs.ErrPermission for
// a user other than root.
func OpenToRead(ctx context.Context, stateDir string) (*Ledger, error) {
	path := filepath.Join(stateDir, "ledger.db")
	// Readers of a WAL write to its shared memory.
	if err := unix.Access(path, unix.R_OK|unix.W_OK); err != nil {
		return nil, failed(path, err)
	}
	return open(ctx, path, "rw")
}

func open(ctx context.Context, path, mode string) (*Ledger, error) {
	query := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"auto_vacuum(incremental)", // before the first table is made
		"journal_mode(wal)",        // readers and a writer do not wait for each other
		"synchronous(normal)",      // the last jobs may be lost with the host's power, and nothing else
	}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, failed(path, err)
	}
	version, err := migrate(ctx, db)
	if err != nil {
		return nil, errors.Join(failed(path, err), db.Close())
	}
	return &Ledger{db: db, path: path, version: version}, nil
}

func (l *Ledger) failed(err error) error {
	if l.version > len(migrations) {
		err = fmt.Errorf("a later release has made it (version %d, and this one knows %d): install that one again, or move it away, with its -wal and -shm: %w",
			l.version, len(migrations), err)
	}
	return failed(l.path, err)
}

// failed says what can be done about a file that is no ledger, or not in one piece.
func failed(path string, err error) error {
	var of *sqlite.Error
	if errors.As(err, &of) && (of.Code()&0xff == sqlite3.SQLITE_NOTADB || of.Code()&0xff == sqlite3.SQLITE_CORRUPT) {
		return fmt.Errorf("the ledger %s is damaged (move it away, with its -wal and -shm, and the next job makes a new one): %w", path, err)
	}
	return fmt.Errorf("the ledger %s: %w", path, err)
}

// Close closes the ledger.
func (l *Ledger) Close() error { return l.db.Close() }

// Add adds a job, or replaces what an earlier attempt of it has said; an attempt that is there already, from before a crash, stays. It decides what the caches have saved: what the newest cold run of the same
// job (instance, project, name, platform) took longer than this one for its scripts with restore and save. Both have to have
// succeeded. A cold run is one that began with no layers.
func (l *Ledger) Add(ctx context.Context, j Job) error {
	return l.do(ctx, func(tx *sql.Tx) error {
		var there bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM jobs WHERE instance = ? AND job = ? AND began = ?)", j.Instance, j.Job, j.Began).Scan(&there)
		if err != nil || there {
			return err
		}
		if err := compareWithCold(ctx, tx, &j); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "REPLACE INTO jobs ("+columnList+") VALUES ("+placeholders+")", j.Fields()...)
		return err
	})
}

// AddSaved adds to a job what was saved of it after its end: it was killed. What was known before stays. at is a time at which the job ran: the row of
// another attempt is left alone, and so is a ledger that has none of the job. To those who Follow it is no news.
func (l *Ledger) AddSaved(ctx context.Context, at time.Time, of Job) error {
	return l.do(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE jobs SET saved_bytes = coalesce(saved_bytes, 0) + ?,
			modules_wanted = coalesce(modules_wanted, ?), modules_hit_host = coalesce(modules_hit_host, ?), modules_hit_store = coalesce(modules_hit_store, ?),
			modules_missed = coalesce(modules_missed, ?), build_available = coalesce(build_available, ?), build_hit = coalesce(build_hit, ?),
			build_new = coalesce(build_new, ?) WHERE instance = ? AND job = ? AND began <= ? AND ended >= ?`,
			of.SavedBytes, of.ModulesWanted, of.ModulesHitHost, of.ModulesHitStore, of.ModulesMissed, of.BuildAvailable, of.BuildHit, of.BuildNew,
			of.Instance, of.Job, at.UnixMilli(), at.UnixMilli())
		return err
	})
}

// work is what is compared of two jobs: the scripts, with what restores and saves.
const work = `script_seconds + coalesce(harvest_seconds, 0) + coalesce(write_seconds, 0) + coalesce(upload_seconds, 0)`

func compareWithCold(ctx context.Context, tx *sql.Tx, j *Job) error {
	if j.Outcome != "success" || j.Layers == nil || *j.Layers == 0 || j.ScriptSeconds == nil {
		return nil
	}
	var cold float64
	err := tx.QueryRowContext(ctx, `SELECT job, `+work+` FROM jobs INDEXED BY jobs_alike WHERE instance = ? AND project = ? AND name = ? AND platform = ?
		AND outcome = 'success' AND layers = 0 AND script_seconds IS NOT NULL ORDER BY ended DESC LIMIT 1`,
		j.Instance, j.Project, j.Name, j.Platform).Scan(&j.ColdJob, &cold)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	saved := cold - *j.ScriptSeconds - j.Save()
	j.SecondsSaved = &saved
	return err
}

// do is one transaction.
func (l *Ledger) do(ctx context.Context, change func(*sql.Tx) error) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err == nil {
		defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
		err = change(tx)
	}
	if err == nil {
		crash.At(crash.RowWritten)
		err = tx.Commit()
	}
	if err != nil {
		return l.failed(err)
	}
	return nil
}

// Trim deletes the oldest jobs until the rest fits into so many bytes, and gives the space back to the disk. What a
// reader keeps from that is for the next call, and no reason to delete more. Trim is for those who have time.
func (l *Ledger) Trim(ctx context.Context, most int64) error {
	if size, err := l.Size(); err != nil || size <= most {
		return err
	}
	for {
		deleted, err := l.deleteBeyond(ctx, most)
		if err != nil {
			return err
		}
		if deleted == 0 {
			break
		}
	}
	crash.At(crash.RowsTrimmed)
	if err := l.giveBack(ctx); err != nil {
		return l.failed(err)
	}
	return nil
}

// giveBack gives free pages back to the disk. It does not wait for readers: writers would wait with it.
func (l *Ledger) giveBack(ctx context.Context) error {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer func() { // it goes back to those that others use
		_ = drain(context.WithoutCancel(ctx), conn, fmt.Sprintf("PRAGMA busy_timeout(%d)", busyTimeout.Milliseconds()))
	}()
	for _, pragma := range []string{"incremental_vacuum", "busy_timeout(0)", "wal_checkpoint(TRUNCATE)"} {
		if err := drain(ctx, conn, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	return nil
}

// deleteBeyond deletes the oldest jobs if the pages in use take more than so many bytes.
func (l *Ledger) deleteBeyond(ctx context.Context, most int64) (deleted int64, err error) {
	err = l.do(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM jobs WHERE number IN (SELECT number FROM jobs ORDER BY ended LIMIT (SELECT 1 + count(*) / 8 FROM jobs))
			AND (SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size) > ?`, most)
		if err == nil {
			deleted, err = result.RowsAffected()
		}
		return err
	})
	return deleted, err
}

// drain runs a pragma to its end: incremental_vacuum frees a page with each row that is asked for.
func drain(ctx context.Context, conn *sql.Conn, pragma string) error {
	rows, err := conn.QueryContext(ctx, pragma)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// Size is what the ledger takes on disk, in bytes, with what was not yet written back.
func (l *Ledger) Size() (bytes int64, err error) { return size(l.path) }

// SizeIn is Size for the ledger of a state directory, which need not be open, or exist.
func SizeIn(stateDir string) (bytes int64, err error) {
	return size(filepath.Join(stateDir, "ledger.db"))
}

func size(path string) (bytes int64, err error) {
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return 0, failed(path, err)
		default:
			bytes += info.Size()
		}
	}
	return bytes, nil
}
