package stats

import (
	"context"
	"database/sql"
	"fmt"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
)

// migrations make an older ledger a newer one, one after the other; the first one makes a new ledger. What has been released is never
// changed. The schema's version is SQLite's user_version: how many have been applied.
var migrations = []string{
	`CREATE TABLE jobs (
		instance TEXT NOT NULL, project TEXT NOT NULL, project_path TEXT NOT NULL, job TEXT NOT NULL, name TEXT NOT NULL, pipeline TEXT NOT NULL,
		ref_type TEXT NOT NULL, ref TEXT NOT NULL, tier TEXT NOT NULL, host TEXT NOT NULL,
		image TEXT NOT NULL, platform TEXT NOT NULL, toolchain TEXT NOT NULL, graph TEXT NOT NULL,
		began INTEGER NOT NULL, ended INTEGER NOT NULL, seconds REAL NOT NULL,
		outcome TEXT NOT NULL, reason TEXT NOT NULL, failed_stage TEXT NOT NULL,
		cache_reason TEXT NOT NULL, save_reason TEXT NOT NULL, base_job TEXT NOT NULL, base_tier TEXT NOT NULL, base_graph TEXT NOT NULL,
		layers INTEGER, layer_bytes INTEGER,
		modules_wanted INTEGER, modules_hit_host INTEGER, modules_hit_store INTEGER, modules_missed INTEGER,
		build_available INTEGER, build_hit INTEGER, build_new INTEGER, tests_ok INTEGER, tests_cached INTEGER,
		prefetch_seconds REAL, lookup_seconds REAL, download_seconds REAL, mount_seconds REAL, script_seconds REAL,
		harvest_seconds REAL, write_seconds REAL, upload_seconds REAL,
		downloaded_bytes INTEGER, saved_bytes INTEGER, uploaded_bytes INTEGER,
		cold_job TEXT NOT NULL, seconds_saved REAL,
		detail TEXT NOT NULL,
		number INTEGER PRIMARY KEY AUTOINCREMENT, -- rises with each row that is added, see Ledger.Follow
		UNIQUE (instance, job)
	) STRICT;
	CREATE INDEX jobs_ended ON jobs (ended);
	CREATE INDEX jobs_alike ON jobs (instance, project, name, platform, ended);
	CREATE TABLE marks (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;`,
}

// migrate brings the schema to the version of this program. A ledger of a newer program is left alone and used as it is if it
// has all that this one knows: newer versions only ever add.
func migrate(ctx context.Context, db *sql.DB) (version int, err error) {
	version, err = schemaVersion(ctx, db)
	if err != nil || version >= len(migrations) {
		return version, err
	}
	tx, err := db.BeginTx(ctx, nil) // immediate: one process after the other, see open
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	for ; version < len(migrations); version++ {
		if _, err := tx.ExecContext(ctx, migrations[version]); err != nil {
			return 0, fmt.Errorf("make version %d of the ledger: %w", version+1, err)
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1)); err != nil {
			return 0, err
		}
	}
	crash.At(crash.SchemaStepped)
	return version, tx.Commit()
}

func schemaVersion(ctx context.Context, db *sql.DB) (version int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}
