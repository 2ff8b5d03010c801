package settings

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"regexp"

	"github.com/BurntSushi/toml"
)

// Service is started beside every job, like those that the job names itself.
type Service struct {
	// Name is its image, and Alias holds the names under which jobs reach it besides those made of the image's, split at spaces and
	// commas. Both may refer to job variables.
	Name  string `toml:"name"`
	Alias string `toml:"alias,omitempty"`
	// Command and Entrypoint take the place of the image's.
	Command    []string `toml:"command,omitempty"`
	Entrypoint []string `toml:"entrypoint,omitempty"`
	// Environment are NAME=value lines; a value may refer to job variables.
	Environment []string `toml:"environment,omitempty"`
}

// OwnNetwork says whether each job gets a network of its own.
func (d *Docker) OwnNetwork() bool { return d.NetworkMode == "" }

// DefaultBridge says whether jobs are in Docker's default network, which knows no names.
func (d *Docker) DefaultBridge() bool {
	return d.NetworkMode == "bridge" || d.NetworkMode == "default"
}

var (
	networkPattern  = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)
	linkPattern     = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*(:[^:\s]+)?$`)
	variablePattern = regexp.MustCompile(`^[^=\x00]+=[^\x00]*$`)
)

// checkServices is the part of check about services and the network.
func (d *Docker) checkServices(r *report) {
	r.atLeast("docker.services_limit", d.ServicesLimit, -1, "-1 is no limit, 0 is no services")
	r.optional("docker.network_mode", d.NetworkMode, r.network)
	r.each("docker.links", d.Links, func(key, value string) {
		if !linkPattern.MatchString(value) {
			r.add(key, value, `not a link; use "container" or "container:name"`)
		}
	})
	if len(d.Links) > 0 && !d.DefaultBridge() {
		r.add("docker.links", nil, `works with network_mode = "bridge" alone; else put the container into a network and name that in network_mode: its name is known there`)
	}
	for i, s := range d.Services {
		key := fmt.Sprintf("docker.services[%d]", i)
		if s.Name == "" {
			r.addAt(r.lines[key], key+".name", nil, "is missing; name the service's image, for example redis:7")
		} else {
			r.image(key+".name", s.Name)
		}
		r.each(key+".environment", s.Environment, func(key, value string) {
			if !variablePattern.MatchString(value) {
				r.add(key, value, `not a variable; use "NAME=value"`)
			}
		})
	}
}

// network refuses another container's: ours have names and name servers of their own, which Docker does not take together with it.
func (r *report) network(key, value string) {
	if !networkPattern.MatchString(value) {
		r.add(key, value, `not a network; use the name of one that exists (docker network ls), "bridge", "host" or "none"; leave the key out for a network of its own for each job`)
	}
}

// isTables says whether a field is a list of tables, [[written so]].
func isTables(of reflect.Type) bool { return of.Kind() == reflect.Slice && isTable(of.Elem()) }

// tables sets a field that is a list of tables. Each table has its number in its keys: they are what lines are known by.
func (d *decoder) tables(key string, value toml.Primitive, field reflect.Value) {
	var all []toml.Primitive
	if err := d.meta.PrimitiveDecode(value, &all); err != nil {
		d.add(key, d.plain(value), "has to be a list of tables; write [[%s]] on a line of its own and its keys below, once for each", key)
		return
	}
	list := reflect.MakeSlice(field.Type(), len(all), len(all))
	headers := d.headers(key)
	defer func() { d.within = span{} }()
	for i, one := range all {
		numbered := fmt.Sprintf("%s[%d]", key, i)
		if len(headers) == len(all)+1 {
			d.within = span{headers[i], headers[i+1]}
		}
		d.lines[numbered] = d.within.or(d.line(one))
		inner, ok := d.table(one)
		if !ok {
			d.add(numbered, d.plain(one), "has to be a table; write [[%s]] on a line of its own and its keys below", key)
			return
		}
		d.fill(numbered+".", inner, list.Index(i))
	}
	field.Set(list)
}

// span is where a table is: the line of its header, and the first one beyond it.
type span struct{ header, end int }

// or gives the header's line for one that is in another table: what the library says of a key that several tables of a list have is its position in the
// last of them.
func (s span) or(line int) int {
	if s.header > 0 && (line < s.header || line >= s.end) {
		return s.header
	}
	return line
}

// headers are the lines of the headers of a list of tables, and a last one that is beyond the file.
func (d *decoder) headers(key string) (lines []int) {
	header := regexp.MustCompile(`(?m)^[ \t]*\[\[[ \t]*` + regexp.QuoteMeta(key) + `[ \t]*\]\]`)
	for _, at := range header.FindAllIndex(d.data, -1) {
		lines = append(lines, 1+bytes.Count(d.data[:at[0]], []byte("\n")))
	}
	return append(lines, math.MaxInt)
}

// number is what tables put into keys.
var number = regexp.MustCompile(`\[[0-9]+\]`)
