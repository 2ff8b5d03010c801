package ci

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/executor/runner"
)

// field is one entry of a mapping.
type field struct {
	name  string
	key   *yaml.Node // where the name stands
	value *yaml.Node // never an alias
}

// fields are the entries of a mapping in the order of the file, merge keys resolved.
type fields []field

// get is the value of a name, or nil.
func (fs fields) get(name string) *yaml.Node {
	for _, f := range fs {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// mapping gives the entries of a mapping; of anything else, none. What a mapping says itself wins over what it merges
// (<<), and of several that it merges the first wins (https://yaml.org/type/merge.html).
func mapping(n *yaml.Node) fields {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var own, merged fields
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		switch {
		case key.Tag != "!!merge":
			own = append(own, field{key.Value, key, value})
		case value.Kind == yaml.SequenceNode:
			for _, m := range value.Content {
				merged = append(merged, mapping(m)...)
			}
		default:
			merged = append(merged, mapping(value)...)
		}
	}
	for _, f := range merged {
		if own.get(f.name) == nil {
			own = append(own, f)
		}
	}
	return own
}

// hasReference reports every !reference in a value.
func (p *parser) hasReference(n *yaml.Node) bool {
	n = resolve(n)
	if n == nil {
		return false
	}
	if n.Tag == "!reference" {
		p.problem(n, "!reference %s", refusedTag)
		return true
	}
	return slices.ContainsFunc(n.Content, p.hasReference)
}

// list gives the entries of a list; a value that is none is reported under the name of its keyword.
func (p *parser) list(keyword string, n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil || n.Tag == "!!null":
		return nil
	case n.Kind != yaml.SequenceNode:
		p.problem(n, "%s is %s, want a list", keyword, kind(n))
		return nil
	}
	entries := make([]*yaml.Node, len(n.Content))
	for i, e := range n.Content {
		entries[i] = resolve(e)
	}
	return entries
}

// text gives a text, a number being one too.
func (p *parser) text(keyword string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.problem(n, "%s is %s, want a text", keyword, kind(n))
		return ""
	}
	return n.Value
}

// texts gives a list of texts; a text alone is a list of one.
func (p *parser) texts(keyword string, n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{p.text(keyword, n)}
	}
	lines := []string{}
	for _, e := range p.list(keyword, n) {
		lines = append(lines, p.text(keyword, e))
	}
	return lines
}

// script gives the lines of a script: a text, a list of texts, or lists in lists, as anchors bring about.
func (p *parser) script(keyword string, n *yaml.Node) []string {
	n = resolve(n)
	switch {
	case n == nil || n.Tag == "!!null":
		return nil
	case n.Kind == yaml.MappingNode:
		p.problem(n, "%s has a mapping where a command is expected: put the line in quotes, for YAML takes its \": \" as key and value", keyword)
		return nil
	case n.Kind == yaml.ScalarNode:
		return []string{n.Value}
	}
	var lines []string
	for _, e := range n.Content {
		lines = append(lines, p.script(keyword, e)...)
	}
	return lines
}

// image gives an image or a service: a name, or a mapping.
func (p *parser) image(keyword string, n *yaml.Node) runner.Image {
	if n.Kind != yaml.MappingNode {
		return runner.Image{Name: p.text(keyword, n)}
	}
	words := []string{"name", "entrypoint", "pull_policy", "docker"}
	if keyword == "services" {
		words = append(words, "alias", "command", "variables")
	}
	var image runner.Image
	for _, f := range mapping(n) {
		name := keyword + ":" + f.name
		if !slices.Contains(words, f.name) {
			if f.name == "ports" || f.name == "kubernetes" { // of the Web IDE, and of another executor
				continue
			}
			p.problem(f.key, "%s %s", name, unknown(f.name, words...))
			continue
		}
		switch f.name {
		case "name":
			image.Name = p.text(name, f.value)
		case "alias":
			image.Alias = p.text(name, f.value)
		case "entrypoint":
			image.Entrypoint = p.texts(name, f.value)
		case "command":
			image.Command = p.texts(name, f.value)
		case "pull_policy":
			image.PullPolicies = p.texts(name, f.value)
		case "variables":
			image.Variables = p.variables(f.value)
		case "docker":
			p.docker(name, f.value, &image)
		}
	}
	if image.Name == "" {
		p.problem(n, "%s has no name: give the image's", keyword)
	}
	return image
}

// docker gives the options of an image that only Docker has.
func (p *parser) docker(keyword string, n *yaml.Node, image *runner.Image) {
	for _, f := range mapping(n) {
		switch f.name {
		case "platform":
			image.Options.Docker.Platform = p.text(keyword+":platform", f.value)
		case "user":
			image.Options.Docker.User = runner.StringOrInt(p.text(keyword+":user", f.value))
		default:
			p.problem(f.key, "%s:%s %s", keyword, f.name, unknown(f.name, "platform", "user"))
		}
	}
}

// exportable is the name of a variable that a shell knows.
var exportable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variables gives variables in the order of the file.
func (p *parser) variables(n *yaml.Node) []runner.Variable {
	switch {
	case n == nil, n.Tag == "!!null", p.hasReference(n):
		return nil
	case n.Kind != yaml.MappingNode:
		p.problem(n, "variables is %s, want KEY: VALUE lines", kind(n))
		return nil
	}
	var all []runner.Variable
	for _, f := range mapping(n) {
		if !exportable.MatchString(f.name) {
			p.problem(f.key, "variables:%s has a name that no shell can export: use letters, digits and underscores, and no digit first", f.name)
		}
		v := runner.Variable{Key: f.name, Public: true}
		if f.value.Kind == yaml.MappingNode {
			p.described(&v, f.value)
		} else {
			v.Value = p.variable(f.name, f.value)
		}
		all = append(all, v)
	}
	return all
}

// described reads a variable that is given as a mapping.
func (p *parser) described(v *runner.Variable, n *yaml.Node) {
	for _, f := range mapping(n) {
		switch f.name {
		case "value":
			v.Value = p.variable(v.Key, f.value)
		case "expand":
			v.Raw = f.value.Value == "false"
		case "description", "options": // for the page on which a pipeline is started by hand
		default:
			p.problem(f.key, "variables:%s:%s %s", v.Key, f.name, unknown(f.name, "value", "expand", "description", "options"))
		}
	}
}

// variable gives the value of a variable in the words of GitLab, to which an unquoted 1.20 is the number 1.2.
func (p *parser) variable(name string, n *yaml.Node) string {
	var number any
	switch {
	case n.Kind != yaml.ScalarNode:
		p.problem(n, "variables:%s is %s, want a text", name, kind(n))
	case n.Tag == "!!bool":
		p.problem(n, "variables:%s is %s without quotes, which GitLab refuses: write %q", name, n.Value, n.Value)
	case n.Tag == "!!null":
		return ""
	case n.Tag == "!!int" || n.Tag == "!!float":
		if err := n.Decode(&number); err != nil {
			return n.Value
		}
		return decimal(number, n.Value)
	}
	return n.Value
}

// decimal writes a number as Ruby does.
func decimal(number any, otherwise string) string {
	switch number := number.(type) {
	case int:
		return strconv.Itoa(number)
	case float64:
		if size := math.Abs(number); size != 0 && (size < 1e-4 || size >= 1e16) || math.IsNaN(number) {
			return otherwise
		}
		text := strconv.FormatFloat(number, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	}
	return otherwise
}

// kind names what a value is, for people.
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Tag == "!!null":
		return "empty"
	}
	return strconv.Quote(n.Value)
}
