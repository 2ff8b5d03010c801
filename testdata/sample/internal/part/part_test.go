package part

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
)

func TestCheck(t *testing.T) {
	data, err := os.ReadFile("testdata/parts.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Part  Part
		Valid bool
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range cases {
		switch err := c.Part.Check(); {
		case err == nil && !c.Valid:
			t.Errorf("%+v: accepted", c.Part)
		case err != nil && (c.Valid || !errors.Is(err, ErrInvalid)):
			t.Errorf("%+v: %v", c.Part, err)
		}
	}
}

func TestNewGivesEachPartAnID(t *testing.T) {
	a, err := New("AB-123", "bolt", 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New("AB-123", "bolt", 1)
	if err != nil {
		t.Fatal(err)
	}
	if a.ID == b.ID {
		t.Errorf("two parts with the id %s", a.ID)
	}
}
