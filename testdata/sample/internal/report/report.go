// Package report prints the inventory for people.
package report

import (
	"io"
	"text/template"

	"example.com/sample/internal/part"
)

var page = template.Must(template.New("report").Parse(`INVENTORY
{{range .Parts}}{{printf "%-12s %-20s %6d" .Number .Name .Stock}}{{if not .Stock}}  reorder{{end}}
{{else}}nothing in stock
{{end}}{{len .Parts}} parts, {{.Pieces}} pieces
`))

// Write prints the parts in the order given.
func Write(w io.Writer, parts []part.Part) error {
	pieces := 0
	for _, p := range parts {
		pieces += p.Stock
	}
	return page.Execute(w, map[string]any{"Parts": parts, "Pieces": pieces})
}
