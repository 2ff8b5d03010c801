package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/sample/internal/part"
)

func open(t *testing.T) Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "parts.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(t *testing.T, s Store, number, name string, stock int) part.Part {
	t.Helper()
	p, err := part.New(number, name, stock)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsPutIsFound(t *testing.T) {
	s := open(t)
	nut, bolt := put(t, s, "NU-200", "nut", 2), put(t, s, "BO-100", "bolt", 1)

	got, err := s.Get(t.Context(), "NU-200")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(nut, got); diff != "" {
		t.Error(diff)
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]part.Part{bolt, nut}, list); diff != "" {
		t.Error(diff)
	}
}

func TestPutAgainReplaces(t *testing.T) {
	s := open(t)
	p := put(t, s, "NU-200", "nut", 2)
	p.Stock = 5
	if err := s.Put(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), p.Number); err != nil || got.Stock != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	s := open(t)
	put(t, s, "NU-200", "nut", 2)
	if _, err := s.Get(t.Context(), "NU-201"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	double, err := part.New("NU-200", "another nut", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), double); !errors.Is(err, ErrTaken) {
		t.Errorf("got %v", err)
	}
}

func TestPostgresErrorsAreOurs(t *testing.T) {
	for from, want := range map[error]error{
		fmt.Errorf("query: %w", pgx.ErrNoRows): ErrNotFound,
		&pgconn.PgError{Code: uniqueViolation}: ErrTaken,
	} {
		if got := explain("NU-200", from); !errors.Is(got, want) {
			t.Errorf("%v: got %v, want %v", from, got, want)
		}
	}
}
