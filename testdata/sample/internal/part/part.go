// Package part says what a part is.
package part

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/google/uuid"
)

// ErrInvalid is what every complaint of Check wraps.
var ErrInvalid = errors.New("invalid part")

var number = regexp.MustCompile(`^[A-Z]{2,4}-\d{3,6}$`)

// Part is one kind of thing on the shelves.
type Part struct {
	ID     uuid.UUID `json:"id"`
	Number string    `json:"number"`
	Name   string    `json:"name"`
	Stock  int       `json:"stock"`
}

// New gives the part an id of its own.
func New(number, name string, stock int) (Part, error) {
	p := Part{ID: uuid.New(), Number: number, Name: name, Stock: stock}
	return p, p.Check()
}

// Check tells what is wrong with the part.
func (p Part) Check() error {
	switch {
	case !number.MatchString(p.Number):
		return fmt.Errorf("%w: number %q is not like AB-123", ErrInvalid, p.Number)
	case p.Name == "":
		return fmt.Errorf("%w: %s has no name", ErrInvalid, p.Number)
	case p.Stock < 0:
		return fmt.Errorf("%w: %s has stock %d", ErrInvalid, p.Number, p.Stock)
	}
	return nil
}
