package report

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/sample/internal/part"
)

func TestWrite(t *testing.T) {
	for file, parts := range map[string][]part.Part{
		"testdata/empty.txt": nil,
		"testdata/parts.txt": {
			{Number: "BO-100", Name: "bolt", Stock: 12},
			{Number: "NU-200", Name: "nut"},
			{Number: "WA-300", Name: "washer", Stock: 30},
		},
	} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Write(&got, parts); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}
