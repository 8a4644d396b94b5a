package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

var (
	yamlUnmarshaler = reflect.TypeFor[yaml.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
	timeType        = reflect.TypeFor[time.Time]()
	bytesType       = reflect.TypeFor[[]byte]()
)

// checker compares a YAML tree with the Go type that it will fill. The library's own strict mode suggests no key,
// accepts 2.7 for an integer, and quotes values in its messages.
type checker struct {
	name     string
	problems []error
}

func (c *checker) report(line int, key, format string, args ...any) {
	place := fmt.Sprintf("%s:%d", c.name, line)
	if key == "" {
		c.problems = append(c.problems, fmt.Errorf("%s: the file %s", place, fmt.Sprintf(format, args...)))
		return
	}
	c.problems = append(c.problems, fmt.Errorf("%s at %s %s", quoteKey(key), place, fmt.Sprintf(format, args...)))
}

// check compares the node n, the value of key (empty at the top), with t.
func (c *checker) check(n *yaml.Node, t reflect.Type, key string) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		c.report(n.Line, key, "uses an anchor or alias; write the value out")
		return
	}
	for t.Kind() == reflect.Pointer {
		if isNull(n) {
			return
		}
		if decodesItself(t) {
			break
		}
		t = t.Elem()
	}
	if decodesItself(t) {
		c.checkOwn(n, t, key)
		return
	}
	switch {
	case t.Kind() == reflect.Interface:
		return // a part of type any; the decoder itself refuses duplicate keys in it
	case t.Kind() == reflect.Struct && t != timeType:
		if !isNull(n) {
			c.checkStruct(n, t, key)
		}
	case t.Kind() == reflect.Map:
		if !isNull(n) {
			c.checkMap(n, t, key)
		}
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && t != bytesType:
		if !isNull(n) {
			c.checkList(n, t, key)
		}
	default:
		c.checkScalar(n, t, key)
	}
}

func (c *checker) checkStruct(n *yaml.Node, t reflect.Type, key string) {
	known := fieldsOf(t)
	if n.Kind != yaml.MappingNode {
		c.report(n.Line, key, "must be a mapping with the keys %s, not %s", strings.Join(known.names, ", "), have(n))
		return
	}
	for k, v := range c.pairs(n) {
		field, ok := known.types[k.Value]
		if !ok {
			field = known.rest
		}
		if field == nil {
			hint := "known keys here: " + strings.Join(known.names, ", ")
			if near, ok := Nearest(k.Value, known.names); ok {
				hint = "did you mean `" + near + "`?"
			}
			c.problems = append(c.problems, fmt.Errorf("unknown key %s at %s:%d; %s", quoteKey(k.Value), c.name, k.Line, hint))
			continue
		}
		c.check(v, field, k.Value)
	}
}

func (c *checker) checkMap(n *yaml.Node, t reflect.Type, key string) {
	if n.Kind != yaml.MappingNode {
		c.report(n.Line, key, "must be a mapping, not %s", have(n))
		return
	}
	for k, v := range c.pairs(n) {
		if err := k.Decode(reflect.New(t.Key()).Interface()); err != nil {
			c.report(k.Line, k.Value, "must be %s to be a key here", want(t.Key()))
			continue
		}
		c.check(v, t.Elem(), k.Value)
	}
}

func (c *checker) checkList(n *yaml.Node, t reflect.Type, key string) {
	if n.Kind != yaml.SequenceNode {
		c.report(n.Line, key, "must be a list, not %s", have(n))
		return
	}
	if t.Kind() == reflect.Array && len(n.Content) != t.Len() {
		c.report(n.Line, key, "must be a list of %d values, not of %d", t.Len(), len(n.Content))
		return
	}
	for i, item := range n.Content {
		c.check(item, t.Elem(), key+"["+strconv.Itoa(i)+"]")
	}
}

func (c *checker) checkScalar(n *yaml.Node, t reflect.Type, key string) {
	switch {
	case isNull(n):
		c.report(n.Line, key, "has no value; write %s or remove the key", want(t))
		return
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!float" && isInteger(t):
		// The library would silently drop the fraction.
	case n.Kind == yaml.ScalarNode && n.Decode(reflect.New(t).Interface()) == nil:
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" && t != durationType {
		c.report(n.Line, key, "must be %s", want(t)) // a number out of range
		return
	}
	c.report(n.Line, key, "must be %s, not %s", want(t), have(n))
}

// checkOwn lets a type decode itself, and adds the place to its error.
func (c *checker) checkOwn(n *yaml.Node, t reflect.Type, key string) {
	err := n.Decode(reflect.New(t).Interface())
	if err == nil {
		return
	}
	var typed *yaml.TypeError
	if errors.As(err, &typed) || strings.HasPrefix(err.Error(), "yaml: ") {
		err = yamlError(c.name, err)
	}
	c.problems = append(c.problems, fmt.Errorf("%s at %s:%d: %w", quoteKey(key), c.name, n.Line, err))
}

// pairs yields the keys and values of a mapping. It reports keys that are not scalars or appear a second time, and
// leaves them out.
func (c *checker) pairs(n *yaml.Node) func(yield func(k, v *yaml.Node) bool) {
	return func(yield func(k, v *yaml.Node) bool) {
		first := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			switch line, seen := first[k.Value]; {
			case k.Kind != yaml.ScalarNode || k.Anchor != "":
				c.problems = append(c.problems, fmt.Errorf("%s:%d: a key must be plain text", c.name, k.Line))
				continue
			case seen:
				c.report(k.Line, k.Value, "is already set at line %d; keep one of the two", line)
				continue
			}
			first[k.Value] = k.Line
			if !yield(k, v) {
				return
			}
		}
	}
}

// fieldSet describes a struct: its keys in the order of declaration, their types, and the type of all other keys if it
// has an inline map.
type fieldSet struct {
	names []string
	types map[string]reflect.Type
	rest  reflect.Type
}

func fieldsOf(t reflect.Type) fieldSet {
	set := fieldSet{types: map[string]reflect.Type{}}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		if tag == "-" || f.PkgPath != "" && !f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !strings.Contains(","+options+",", ",inline,") {
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			set.names = append(set.names, name)
			set.types[name] = f.Type
			continue
		}
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case decodesItself(inner):
			set.rest = reflect.TypeFor[any]()
		case inner.Kind() == reflect.Map:
			set.rest = inner.Elem()
		case inner.Kind() == reflect.Struct:
			sub := fieldsOf(inner)
			set.names = append(set.names, sub.names...)
			for n, ft := range sub.types {
				set.types[n] = ft
			}
			if sub.rest != nil {
				set.rest = sub.rest
			}
		}
	}
	return set
}

func decodesItself(t reflect.Type) bool {
	if t == timeType || t.Kind() == reflect.Interface {
		return false
	}
	p := reflect.PointerTo(t)
	return t.Implements(yamlUnmarshaler) || p.Implements(yamlUnmarshaler) ||
		t.Implements(textUnmarshaler) || p.Implements(textUnmarshaler)
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func isInteger(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Uintptr
}

// want describes a value of type t in the file.
func want(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 30s or 5m"
	case t == timeType:
		return "a time such as 2026-01-31T12:00:00Z"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int8, reflect.Int16, reflect.Int32:
		bits := t.Bits()
		return fmt.Sprintf("a whole number from %d to %d", -int64(1)<<(bits-1), int64(1)<<(bits-1)-1)
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-t.Bits()))
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "text"
	}
	return "a " + t.String()
}

// have describes what the file has, without quoting it.
func have(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int":
		return "a whole number"
	case "!!float":
		return "a number with a fraction"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a time"
	}
	return "text"
}

func quoteKey(key string) string {
	const longest = 64
	if len(key) > longest {
		key = strings.ToValidUTF8(key[:longest], "") + "…"
	}
	if strconv.CanBackquote(key) {
		return "`" + key + "`"
	}
	return strconv.Quote(key)
}
