package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"example.com/sample/internal/part"
)

var bucket = []byte("parts") // number → part, so that a walk is in the order of numbers

type file struct{ db *bbolt.DB }

func openFile(path string) (Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return file{db}, nil
}

func (f file) Put(_ context.Context, p part.Part) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return f.db.Update(func(tx *bbolt.Tx) error {
		old, err := find(tx, p.Number)
		switch {
		case err == nil && old.ID != p.ID:
			return fmt.Errorf("%s: %w", p.Number, ErrTaken)
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
		return tx.Bucket(bucket).Put([]byte(p.Number), data)
	})
}

func (f file) Get(_ context.Context, number string) (part.Part, error) {
	var p part.Part
	err := f.db.View(func(tx *bbolt.Tx) (err error) {
		p, err = find(tx, number)
		return err
	})
	return p, err
}

func find(tx *bbolt.Tx, number string) (part.Part, error) {
	data := tx.Bucket(bucket).Get([]byte(number))
	if data == nil {
		return part.Part{}, fmt.Errorf("%s: %w", number, ErrNotFound)
	}
	var p part.Part
	err := json.Unmarshal(data, &p)
	return p, err
}

func (f file) List(context.Context) ([]part.Part, error) {
	var parts []part.Part
	err := f.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(_, data []byte) error {
			var p part.Part
			if err := json.Unmarshal(data, &p); err != nil {
				return err
			}
			parts = append(parts, p)
			return nil
		})
	})
	return parts, err
}

func (f file) Ping(context.Context) error { return f.db.View(func(*bbolt.Tx) error { return nil }) }

func (f file) Close() error { return f.db.Close() }
