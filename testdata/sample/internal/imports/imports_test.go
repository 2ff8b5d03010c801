package imports

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/sample/internal/part"
)

func TestRead(t *testing.T) {
	f, err := os.Open("testdata/good.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parts, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != 3 || parts[1].Number != "NU-200" || parts[1].Stock != 40 {
		t.Errorf("got %+v", parts)
	}
}

// Every bad file is named for the line at fault.
func TestReadRefuses(t *testing.T) {
	files, err := filepath.Glob("testdata/line*.csv")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Read(f)
		f.Close()
		line := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "line"), ".csv")
		if !errors.Is(err, part.ErrInvalid) || !strings.Contains(err.Error(), "line "+line) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
