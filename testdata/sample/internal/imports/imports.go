// Package imports reads parts from CSV files.
package imports

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"

	"example.com/sample/internal/part"
)

// Read reads all parts, or none: the first bad line is an error that tells its number.
func Read(r io.Reader) ([]part.Part, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = 3
	if _, err := in.Read(); err != nil {
		return nil, fmt.Errorf("%w: no header: %w", part.ErrInvalid, err)
	}
	var parts []part.Part
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", part.ErrInvalid, err)
		}
		line, _ := in.FieldPos(0)
		stock, err := strconv.Atoi(record[2])
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: stock %q is not a number", part.ErrInvalid, line, record[2])
		}
		p, err := part.New(record[0], record[1], stock)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		parts = append(parts, p)
	}
}
