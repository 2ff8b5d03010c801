package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// authorGuide is where authors find the examples.
const authorGuide = "../../docs/author.md"

// readExamples gives the YAML of the guide by the headings that it stands below.
func readExamples(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(authorGuide)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	heading, inside := "", false
	for line := range strings.Lines(string(data)) {
		title, isHeading := strings.CutPrefix(line, "### ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = strings.TrimSpace(line) == "```yaml"
			if inside && all[heading] != "" {
				t.Fatalf("%s: %q has two examples", authorGuide, heading)
			}
		case inside:
			all[heading] += line
		case isHeading:
			heading = strings.TrimSpace(title)
		}
	}
	return all
}

// ciJob is a job of an example: the keywords that examples use. Another one is an error, since nobody would know whether it does what it says.
type ciJob struct {
	Image        string
	Tags         []string // GitLab's affair
	Rules        []struct{ Changes []string }
	Services     []ciService
	Variables    map[string]string
	BeforeScript []string `yaml:"before_script"`
	Script       []string
	Parallel     struct{ Matrix []map[string][]string }
	Coverage     string
	Artifacts    struct {
		Paths    []string
		ExpireIn string            `yaml:"expire_in"`
		Reports  map[string]string // kind → file
	}

	name string
}

type ciService struct {
	Name, Alias string
	Variables   map[string]string
}

// parseExample gives the jobs of a .gitlab-ci.yml, those of a matrix one by one.
func parseExample(t *testing.T, text string) (jobs []ciJob) {
	t.Helper()
	var file map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(file)) {
		if name == "default" {
			continue
		}
		j := ciJob{name: name}
		for _, from := range []string{"default", name} {
			if node, ok := file[from]; ok {
				decodeStrictly(t, node, &j)
			}
		}
		if len(j.Script) == 0 {
			t.Fatalf("%s has no script", name)
		}
		jobs = append(jobs, j.cells()...)
	}
	return jobs
}

func decodeStrictly(t *testing.T, node yaml.Node, into *ciJob) {
	t.Helper()
	text, err := yaml.Marshal(&node)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// cells are the jobs that GitLab makes of one with a matrix; of any other, the job itself.
func (j ciJob) cells() []ciJob {
	cells := []ciJob{j}
	for _, row := range j.Parallel.Matrix {
		for _, name := range slices.Sorted(maps.Keys(row)) {
			var more []ciJob
			for _, cell := range cells {
				for _, value := range row[name] {
					one := cell
					one.name = fmt.Sprintf("%s, %s", cell.name, value)
					one.Variables = maps.Clone(cell.Variables)
					one.Variables[name] = value
					more = append(more, one)
				}
			}
			cells = more
		}
	}
	return cells
}
