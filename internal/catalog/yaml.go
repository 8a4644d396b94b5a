package catalog

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/value"
)

// entry is one key of a mapping, with the nodes of key and value.
type entry struct {
	key         string
	name, value *yaml.Node
}

// named returns the entries of a mapping from names of tables or columns. It lower-cases the names.
func (r *reader) named(n *yaml.Node, what, each string) []entry {
	entries := r.mapping(n, what, nil)
	var good []entry
	for _, e := range entries {
		e.key = strings.ToLower(e.key)
		switch {
		case !identifier.MatchString(e.key):
			r.fault(e.name, "%s: %q is no name for %s; use letters a to z, digits and underscores, and begin with no digit", what, e.key, each)
		case slices.ContainsFunc(good, func(g entry) bool { return g.key == e.key }):
			r.fault(e.name, "%s: %s is there twice (letter case does not count)", what, e.key)
		default:
			good = append(good, e)
		}
	}
	return good
}

// mapping returns the entries of a mapping. known lists the keys that it may have; nil allows any.
func (r *reader) mapping(n *yaml.Node, what string, known []string) []entry {
	if n.Kind != yaml.MappingNode {
		r.fault(n, "%s: want a mapping, `key: value` lines or {key: value, …}", what)
		return nil
	}
	entries := []entry{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry{n.Content[i].Value, n.Content[i], n.Content[i+1]}
		switch {
		case !r.scalar(e.name, "a key of "+what):
		case known != nil && !slices.Contains(known, e.key):
			r.fault(e.name, "%s: there is no key %q%s; the keys are %s", what, e.key, meant(e.key, known), strings.Join(known, ", "))
		case slices.ContainsFunc(entries, func(g entry) bool { return g.key == e.key }):
			r.fault(e.name, "%s: the key %q is there twice", what, e.key)
		default:
			entries = append(entries, e)
		}
	}
	return entries
}

func (r *reader) scalar(n *yaml.Node, what string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fault(n, "%s: anchors and aliases are not read; write it out", what)
	case n.Kind != yaml.ScalarNode:
		r.fault(n, "%s: want one value, not a list or a mapping", what)
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n, "%s: YAML tags such as %s are not read; leave it out", what, n.Tag)
	default:
		return true
	}
	return false
}

// text returns the entry's text, or "" if it has a fault.
func (r *reader) text(e entry) string {
	if !r.scalar(e.value, e.key) {
		return ""
	}
	if e.value.ShortTag() == "!!null" || e.value.Value == "" && e.key != "description" {
		r.fault(e.value, "%s: the value is missing; give one, or leave the key out", e.key)
		return ""
	}
	return e.value.Value
}

func (r *reader) boolean(e entry) bool {
	s := r.text(e)
	if s != "true" && s != "false" && s != "" {
		r.fault(e.value, "%s: %q is neither true nor false", e.key, s)
	}
	return s == "true"
}

func (r *reader) count(e entry) int { return r.countTo(e, maxLimit) }

func (r *reader) countTo(e entry, limit int) int {
	s := r.text(e)
	i, err := strconv.Atoi(s)
	if s != "" && (err != nil || i < 1 || i > limit) {
		r.fault(e.value, "%s: %q is not a whole number from 1 to %d", e.key, s, limit)
	}
	return i
}

// meant returns a hint at the known word that is most similar to the given one.
func meant(word string, known []string) string {
	if near, ok := config.Nearest(word, known); ok {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// plain returns the message of an error from package value, without the sentinel, which repeats it.
func plain(err error) string {
	return strings.TrimSuffix(err.Error(), ": "+value.ErrType.Error())
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)

func (r *reader) syntax(err error) {
	f := &Error{File: r.file, Message: "no YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if errors.Is(err, io.EOF) {
		f.Message = "the file is empty; a catalog begins with `catalog: NAME`"
	} else if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Message = "no YAML: " + m[2]
	}
	r.faults = append(r.faults, f)
}
