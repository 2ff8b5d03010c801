package stats

import (
	"strings"
	"testing"
)

// A host is rolled back to this release from one whose ledger asks for more than this one knows, against the rule that newer versions only ever add.
func TestALedgerThatThisReleaseCannotWriteStaysAsItIsAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l.add(t, row(1))
	l = laterRelease(t, dir, l,
		"ALTER TABLE jobs ADD COLUMN more TEXT NOT NULL DEFAULT 'later'",
		"CREATE TRIGGER more BEFORE INSERT ON jobs WHEN NEW.more = 'later' BEGIN SELECT RAISE(ABORT, 'want more'); END",
	)
	defer l.Close()
	if err := l.Add(t.Context(), row(2)); err == nil || !strings.Contains(err.Error(), "want more") || !strings.Contains(err.Error(), "later release") {
		t.Errorf("%v", err)
	}
	if jobs := l.all(t, Filter{}); len(jobs) != 1 { // what it holds can still be read
		t.Errorf("%d jobs", len(jobs))
	}
	var more string
	var version int
	if err := l.db.QueryRowContext(t.Context(), "SELECT more FROM jobs").Scan(&more); err != nil || more != "later" {
		t.Errorf("%q, %v", more, err)
	}
	if version, err = schemaVersion(t.Context(), l.db); err != nil || version != len(migrations)+1 {
		t.Errorf("its version is %d (%v)", version, err)
	}
}
