package catalog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/intramuros/intramuros/internal/value"
)

// maxLimit is the largest max_sites, max_groups and max_rows. A larger limit would bound nothing in practice, and
// products of the three must stay far from overflow.
const maxLimit = 1_000_000

// maxPatients is the largest expected_patients.
const maxPatients = 1_000_000_000

// Error is one fault in a catalog file.
type Error struct {
	File    string
	Line    int // from 1; 0 if the fault has no line
	Message string
}

// Error writes the fault as file:line: message.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// Load reads the catalog in the file at path. A readable file that is not valid gives every fault at once: errors of
// type *Error, joined.
func Load(path string) (*Catalog, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the catalog cannot be read: %w", err)
	}
	return Parse(b, path)
}

// Parse reads a catalog from YAML, in the form of the package documentation. name is the file's name in errors, which
// are as in Load.
func Parse(b []byte, name string) (*Catalog, error) {
	r := &reader{
		catalog: &Catalog{MaxGroups: DefaultMaxGroups, MaxRows: DefaultMaxRows},
		at:      map[place]position{},
	}
	r.read(b, name)
	if len(r.faults) == 0 {
		r.validate()
	}
	if len(r.faults) > 0 {
		return nil, r.err()
	}
	return r.catalog, nil
}

type position struct {
	file string
	line int
}

// place is a setting of a *Catalog, *Table or *Column. An empty key means the thing itself.
type place struct {
	of  any
	key string
}

// reader fills one catalog from one file, or from a built-in one and a file that extends it. It remembers where each
// setting was read.
type reader struct {
	catalog *Catalog
	file    string
	at      map[place]position
	faults  []*Error
	divided []division // tables that are divided into parts
}

func (r *reader) err() error {
	order := func(f *Error) int { // faults of the file come before those of the built-in catalog that it extends
		if f.File == r.file {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(r.faults, func(a, b *Error) int {
		return cmp.Or(order(a)-order(b), a.Line-b.Line)
	})
	errs := make([]error, len(r.faults))
	for i, f := range r.faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

func (r *reader) fault(n *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, &Error{r.file, n.Line, fmt.Sprintf(format, args...)})
}

func (r *reader) mark(of any, key string, n *yaml.Node) {
	r.at[place{of, key}] = position{r.file, n.Line}
}

func (r *reader) read(b []byte, name string) {
	r.file = name
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	if err := decoder.Decode(&document); err != nil {
		r.syntax(err)
		return
	}
	if err := decoder.Decode(&more); err == nil {
		r.fault(&more, "a second YAML document begins here; a catalog is one document")
		return
	} else if !errors.Is(err, io.EOF) {
		r.syntax(err)
		return
	}
	root := document.Content[0]
	entries := r.mapping(root, "the catalog", []string{"catalog", "description", "extends", "max_sites", "hospital_column", "max_groups", "max_rows", "tables"})
	if entries == nil {
		return
	}
	c := r.catalog
	if i := slices.IndexFunc(entries, func(e entry) bool { return e.key == "extends" }); i >= 0 {
		r.extend(entries[i])
	}
	c.Name = ""
	for _, e := range entries {
		r.mark(c, e.key, e.name)
		switch e.key {
		case "catalog":
			c.Name = r.text(e)
			if c.Name != "" && !schemaName.MatchString(c.Name) {
				r.fault(e.value, "catalog: %q is no name for a schema; use letters, digits, dots, dashes and underscores, such as omop-5.4", c.Name)
			}
		case "description":
			c.Description = r.text(e)
		case "max_sites":
			c.MaxSites = r.count(e)
		case "hospital_column":
			c.HospitalColumn = r.boolean(e)
		case "max_groups":
			c.MaxGroups = r.count(e)
		case "max_rows":
			c.MaxRows = r.count(e)
		case "tables":
			r.tables(e)
		}
	}
	if c.Name == "" && len(r.faults) == 0 {
		r.fault(root, "the catalog has no name; give `catalog: NAME`, the name of the federation's schema")
	}
	if len(c.Tables) == 0 && len(r.faults) == 0 {
		r.fault(root, "the catalog has no tables; list them under `tables`")
	}
	r.divide()
	slices.SortFunc(c.Tables, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
}

// part reads the table of which a table is a part, or the parts into which a table is divided.
func (r *reader) part(e entry, keys []string, t *Table) *Part {
	p := &Part{}
	for _, e := range r.mapping(e.value, e.key+" of table "+t.Name, keys) {
		switch e.key {
		case "table":
			p.Of = strings.ToLower(r.text(e))
		case "column":
			p.Column = strings.ToLower(r.text(e))
		case "value":
			p.Value = r.text(e)
		case "values":
			for _, e := range r.mapping(e.value, "values of table "+t.Name, nil) {
				r.divided = append(r.divided, division{t, e.key, strings.ToLower(r.text(e)), e.name})
			}
		}
	}
	return p
}

// division is one part of a divided table: its rows with this value have a patient by this key.
type division struct {
	of         *Table
	value, key string
	at         *yaml.Node
}

// divide replaces the divided tables by their parts.
func (r *reader) divide() {
	c := r.catalog
	for _, d := range r.divided {
		name := d.of.Name + "_" + strings.ReplaceAll(strings.ToLower(d.value), " ", "_")
		if _, taken := c.Table(name); taken || !identifier.MatchString(name) {
			r.fault(d.at, "parts of table %s: the part %q would be called %s, which is another table's name or none", d.of.Name, d.value, name)
			continue
		}
		t := *d.of
		t.Name, t.Part, t.Columns = name, &Part{d.of.Name, d.of.Part.Column, d.value}, nil
		r.mark(&t, "", d.at)
		for _, whole := range d.of.Columns {
			col := *whole
			for at, position := range r.at {
				if at.of == any(whole) {
					r.at[place{&col, at.key}] = position
				}
			}
			switch col.Name {
			case t.Patient:
				col.References = d.key
			case t.Part.Column:
				if v, err := value.Parse(col.Type, d.value); err == nil {
					col.Domain, col.Nullable = []value.Value{v}, false
				}
			}
			t.Columns = append(t.Columns, &col)
		}
		c.Tables = append(c.Tables, &t)
	}
	for _, d := range r.divided {
		c.Tables = slices.DeleteFunc(c.Tables, func(t *Table) bool { return t == d.of })
	}
	r.divided = nil
}

func (r *reader) extend(e entry) {
	name := r.text(e)
	source, ok := builtins[name]
	switch {
	case name == "":
	case !ok:
		r.fault(e.value, "extends: there is no built-in catalog %q%s; there is: %s", name, meant(name, builtinNames()), strings.Join(builtinNames(), ", "))
	default:
		file := r.file
		r.read(source, name+".yaml")
		r.file = file
	}
}

func (r *reader) tables(e entry) {
	for _, e := range r.named(e.value, "tables", "a table") {
		t, ok := r.catalog.Table(e.key)
		if !ok {
			t = &Table{Name: e.key}
			r.catalog.Tables = append(r.catalog.Tables, t)
		}
		r.mark(t, "", e.name)
		r.table(t, e)
	}
}

func (r *reader) table(t *Table, e entry) {
	for _, e := range r.mapping(e.value, "table "+t.Name, []string{"description", "public", "key", "patient", "one_row_per_patient", "max_rows", "expected_patients", "typical_rows", "part_of", "parts", "columns"}) {
		r.mark(t, e.key, e.name)
		switch e.key {
		case "description":
			t.Description = r.text(e)
		case "public":
			t.Public = r.boolean(e)
		case "key":
			t.Key = r.key(e)
		case "patient":
			t.Patient = strings.ToLower(r.text(e))
		case "one_row_per_patient":
			t.OneRowPerPatient = r.boolean(e)
		case "max_rows":
			t.MaxRows = r.count(e)
		case "expected_patients":
			t.ExpectedPatients = r.countTo(e, maxPatients)
		case "typical_rows":
			t.TypicalRows = r.count(e)
		case "part_of":
			t.Part = r.part(e, []string{"table", "column", "value"}, t)
		case "parts":
			t.Part = r.part(e, []string{"column", "values"}, t)
		case "columns":
			for _, e := range r.named(e.value, "columns of "+t.Name, "a column") {
				col := r.column(t, e)
				r.mark(col, "", e.name)
				i := slices.IndexFunc(t.Columns, func(c *Column) bool { return c.Name == col.Name })
				if i >= 0 {
					t.Columns[i] = col
				} else {
					t.Columns = append(t.Columns, col)
				}
			}
		}
	}
}

func (r *reader) key(e entry) []string {
	if e.value.Kind != yaml.SequenceNode {
		return []string{strings.ToLower(r.text(e))}
	}
	var key []string
	for _, n := range e.value.Content {
		name := strings.ToLower(r.text(entry{e.key, e.name, n}))
		if slices.Contains(key, name) {
			r.fault(n, "key: %s is listed twice", name)
		}
		key = append(key, name)
	}
	if len(key) == 0 {
		r.fault(e.value, "key: the list is empty; leave `key` out where nothing identifies a row")
	}
	return key
}

func (r *reader) column(t *Table, e entry) *Column {
	col := &Column{Name: e.key, Nullable: true}
	what := t.Name + "." + col.Name
	entries := r.mapping(e.value, "column "+what, []string{"description", "type", "nullable", "bounds", "domain", "references", "steady", "identifier"})
	if i := slices.IndexFunc(entries, func(e entry) bool { return e.key == "type" }); i >= 0 {
		if name := r.text(entries[i]); name != "" {
			var err error
			if col.Type, err = value.ParseType(name); err != nil {
				r.fault(entries[i].value, "column %s: %s", what, plain(err))
			}
		}
	} else if entries != nil {
		r.fault(e.name, "column %s has no type; give `type:` bool, int, float, text, date or timestamp", what)
	}
	for _, e := range entries {
		r.mark(col, e.key, e.name)
		switch e.key {
		case "description":
			col.Description = r.text(e)
		case "nullable":
			col.Nullable = r.boolean(e)
		case "steady":
			col.Steady = r.boolean(e)
		case "identifier":
			col.Identifier = r.boolean(e)
		case "references":
			col.References = strings.ToLower(r.text(e))
		case "bounds":
			values := r.values(col, what, e)
			if len(values) != 2 && values != nil {
				r.fault(e.value, "bounds of %s: %d values; give the lowest and the highest, such as [0, 120]", what, len(values))
			} else if values != nil {
				col.Lower, col.Upper = values[0], values[1]
			}
		case "domain":
			col.Domain = r.values(col, what, e)
			if col.Domain != nil && len(col.Domain) == 0 {
				r.fault(e.value, "domain of %s: the list is empty; leave `domain` out where the values are not known", what)
			}
			slices.SortFunc(col.Domain, value.Compare)
			for i := 1; i < len(col.Domain); i++ {
				if col.Domain[i] == col.Domain[i-1] {
					r.fault(e.value, "domain of %s: %q is listed twice", what, col.Domain[i])
				}
			}
		}
	}
	return col
}

// values reads a list of the column's values. It returns nil if the list has a fault.
func (r *reader) values(col *Column, what string, e entry) []value.Value {
	if e.value.Kind != yaml.SequenceNode {
		r.fault(e.value, "%s of %s: want a list, such as [%s]", e.key, what, map[string]string{"bounds": "0, 120", "domain": "F, M"}[e.key])
		return nil
	}
	if col.Type == "" {
		return nil // a fault about the type is already recorded
	}
	values := []value.Value{}
	good := true
	for _, n := range e.value.Content {
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && n.Style&yaml.TaggedStyle == 0 {
			r.fault(n, "%s of %s: NULL is not listed, `nullable` says whether it occurs; put quotes around the word %q", e.key, what, n.Value)
			good = false
			continue
		}
		if !r.scalar(n, e.key+" of "+what) {
			good = false
			continue
		}
		v, err := value.Parse(col.Type, n.Value)
		if err != nil {
			r.fault(n, "%s of %s: %s", e.key, what, plain(err))
			good = false
		}
		values = append(values, v)
	}
	if !good {
		return nil
	}
	return values
}

var (
	identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	schemaName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)
