package monitoring

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type source struct{ Type, UID string }

type panel struct {
	ID      int
	Title   string
	Type    string
	GridPos struct{ X, Y, W, H int }

	Datasource source
	Targets    []struct {
		RefID      string `json:"refId"`
		Expr       string
		Datasource source
	}
}

type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type, Query string
			Datasource        source
		}
	}
}

func TestTheDashboardIsWhatGrafanaTakes(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 || len(d.Panels) < 20 {
		t.Errorf("%q, %q, version %d, %d panels", d.UID, d.Title, d.SchemaVersion, len(d.Panels))
	}
	prometheus := source{"prometheus", "${datasource}"}
	variables := map[string]string{}
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Type + " " + v.Query
	}
	if variables["datasource"] != "datasource prometheus" || variables["instance"] != "query label_values(gitlab_go_executor_build_info, instance)" {
		t.Errorf("variables: %v", variables)
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d, %q: not the only one of its number, or without a title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("%q covers %q, or goes beyond the 24th column", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource != prometheus || len(p.Targets) == 0 {
			t.Errorf("%q has %d targets of %v", p.Title, len(p.Targets), p.Datasource)
		}
		for _, target := range p.Targets {
			if target.RefID == "" || target.Datasource != prometheus || !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%q: %+v", p.Title, target)
			}
		}
	}
}

// Prometheus reads the queries as those of rules.
func TestTheQueriesOfTheDashboardAreWhatPrometheusTakes(t *testing.T) {
	t.Parallel()
	variables := strings.NewReplacer("$__rate_interval", "5m", "$__range", "7d", "$instance", ".*")
	var recorded []map[string]string
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			recorded = append(recorded, map[string]string{"record": "panel:query", "expr": variables.Replace(target.Expr)})
		}
	}
	check := func(rules []map[string]string) (string, error) {
		data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "rules.yml")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return promtool(t, "", "check", "rules", "--lint", "none", file)
	}
	if said, err := check(recorded); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	if said, err := check([]map[string]string{{"record": "panel:query", "expr": "sum(rate(x))"}}); err == nil {
		t.Errorf("promtool takes anything: %s", said)
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "grafana.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}
