package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/study"
)

// scope checks that a fragment reads only what a study may read here, and that it does not ask for a particular
// patient.
//
// An identifier is a column that distinguishes rows or patients: a private table's patient, its key of one column, a
// reference to another private table, and any column that the catalog calls an identifier. If the study does not list
// an identifier itself, a fragment may only compare it with identifiers of the same kind. A relation's column, or that
// column under a condition without such identifiers and otherwise NULL, may
//
//   - equal another one of its kind, as a whole condition of a filter or a join;
//   - be tested for NULL, which is how an outer join shows that it found no row;
//   - be counted, also its distinct values;
//   - be passed on by a derived relation, be one of its group keys, and partition a window;
//   - order the rows of a window. They all belong to one patient, and their order does not tell to whom. A window with
//     a RANGE frame is excluded: it counts the distance between two identifiers.
//
// Anything else is refused everywhere: `id = 42`, and anything equivalent, asks for one patient. A set operation may
// not mix identifiers with other values in a column, because its columns are compared as one. A static check cannot see
// whether other columns, such as a birth date, single somebody out.
type scope struct {
	catalog  *catalog.Catalog
	document *study.Document
}

// columnKinds describes a relation's columns, as far as the study may read them.
type columnKinds map[string]columnKind

type columnKind struct {
	kind     string // what it identifies: patientKind, or a key as table.column; empty if it is no identifier
	unlisted string // the identifier that it shows and the study does not list, as table.column; or ""
	null     bool   // always NULL
}

// patientKind is the kind of columns that hold the patient's id itself.
const patientKind = "the patient"

// check refuses what the study does not allow. fragment.Check has accepted the fragment.
func (s scope) check(f *fragment.Fragment) error {
	relations, err := s.relations(f.Relations)
	if err != nil {
		return err
	}
	if err := s.conditions(f.Filter, relations); err != nil {
		return err
	}
	for _, k := range f.Keys {
		if err := s.value(k.Expr, relations); err != nil {
			return err
		}
	}
	for _, p := range f.Partials {
		kind := p.Kind
		if kind == fragment.PartialBeyond { // the measured part uses the same expressions
			kind = p.Of
		}
		if !slices.Contains(s.document.Aggregates, aggregate(kind)) {
			return fmt.Errorf("the study may not ask for a %s", aggregate(kind))
		}
		check := s.value
		if kind == fragment.PartialValues {
			check = s.plain // it only counts
		}
		if err := check(p.Expr, relations); err != nil {
			return err
		}
	}
	return nil
}

func aggregate(k fragment.PartialKind) study.Aggregate {
	switch k {
	case fragment.PartialPatients, fragment.PartialRows, fragment.PartialValues:
		return study.Count
	case fragment.PartialSum:
		return study.Sum
	}
	return study.Distribution
}

// relations checks relations and their joins, and returns what their columns show.
func (s scope) relations(all []fragment.Relation) (map[string]columnKinds, error) {
	out := map[string]columnKinds{}
	for _, r := range all {
		var err error
		if r.Query != nil {
			out[r.Name], err = s.derived(r.Query)
		} else {
			out[r.Name], err = s.table(r.Table)
		}
		if err != nil {
			return nil, err
		}
		if err := s.conditions(r.On, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// table returns what the columns of a table show.
func (s scope) table(name string) (columnKinds, error) {
	t, ok := s.catalog.Table(name)
	if !ok {
		return nil, fmt.Errorf("there is no table %s", name)
	}
	out := columnKinds{}
	if t.Public {
		for _, c := range t.Columns {
			out[strings.ToLower(c.Name)] = columnKind{}
		}
		return out, nil
	}
	listed, ok := s.document.Reads(t.Name)
	if !ok {
		return nil, fmt.Errorf("the study may not read table %s", t.Name)
	}
	for _, c := range t.Columns {
		named := slices.ContainsFunc(listed, func(l string) bool { return strings.EqualFold(l, c.Name) })
		is := columnKind{kind: s.kind(t, c)}
		if is.kind != "" && !named {
			is.unlisted = strings.ToLower(t.Name + "." + c.Name)
		}
		if named || is.kind != "" || slices.Contains(listed, study.Any) {
			out[strings.ToLower(c.Name)] = is
		}
	}
	return out, nil
}

// kind returns what a column of a private table identifies: the key that it finally refers to, or its own table's key.
func (s scope) kind(t *catalog.Table, c *catalog.Column) string {
	kind := ""
	for range len(s.catalog.Tables) + 1 { // references may form a circle
		if s.catalog.IsPatientID(t.Name, c.Name) {
			return patientKind
		}
		if strings.EqualFold(t.Patient, c.Name) || len(t.Key) == 1 && strings.EqualFold(t.Key[0], c.Name) || c.Identifier {
			kind = strings.ToLower(t.Name + "." + c.Name)
		}
		table, key, _ := strings.Cut(c.References, ".")
		to, ok := s.catalog.Table(table)
		if !ok || to.Public {
			return kind
		}
		next, ok := to.Column(key)
		if !ok {
			return kind
		}
		t, c, kind = to, next, strings.ToLower(to.Name+"."+next.Name)
	}
	return kind
}

// derived checks a derived relation and returns what its columns show.
func (s scope) derived(d *fragment.Query) (columnKinds, error) {
	if len(d.Inputs) > 0 {
		return s.combined(d)
	}
	relations, err := s.relations(d.Relations)
	if err != nil {
		return nil, err
	}
	if err := s.conditions(d.Filter, relations); err != nil {
		return nil, err
	}
	out := columnKinds{}
	for i := range d.Columns {
		is, err := s.output(&d.Columns[i], relations)
		if err != nil {
			return nil, err
		}
		out[strings.ToLower(d.Columns[i].Name)] = is
	}
	return out, nil
}

// output checks a column of a derived relation and returns what it shows.
func (s scope) output(o *fragment.Output, relations map[string]columnKinds) (is columnKind, err error) {
	check := s.value
	switch o.Function {
	case "":
		check = s.plain
		if c, _ := standing(o.Expr); c != nil {
			is = relations[c.Relation][strings.ToLower(c.Column)]
		}
		is.null = is.null || o.Expr.Op == expr.OpLiteral && o.Expr.Value.IsNull()
	case fragment.FunctionCount, fragment.FunctionDistinct:
		check = s.plain
	}
	if err := check(o.Expr, relations); err != nil {
		return is, err
	}
	if o.Window == nil {
		return is, nil
	}
	by := slices.Concat(o.Window.Partition, o.Window.Ties)
	for _, order := range o.Window.Order {
		by = append(by, order.Expr)
	}
	for _, e := range by {
		if err := s.plain(e, relations); err != nil {
			return is, err
		}
	}
	if f := o.Window.Frame; f != nil && f.Values { // it computes with the values of the order
		return is, s.value(o.Window.Order[0].Expr, relations)
	}
	return is, nil
}

// combined checks a set operation, whose inputs are compared column by column.
func (s scope) combined(d *fragment.Query) (columnKinds, error) {
	var out columnKinds
	names := outputs(d)
	for _, input := range d.Inputs {
		other, err := s.derived(input)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = other
			continue
		}
		for i, name := range outputs(input) { // fragment.Check ensures equal numbers of columns
			a, b := out[names[i]], other[name]
			switch {
			case a.null:
				a = b
			case b.null || a.kind == b.kind && a.unlisted == b.unlisted:
			case a.unlisted == "" && b.unlisted == "":
				a.kind = ""
			case a.kind == b.kind: // the study lists one of them
				a.unlisted = max(a.unlisted, b.unlisted)
			default:
				return nil, fmt.Errorf("%s tells patients apart, the study does not list it, and rows are combined in which other values are in its place", max(a.unlisted, b.unlisted))
			}
			out[names[i]] = a
		}
	}
	return out, nil
}

// outputs names a derived relation's columns. A set operation has the names of its first input.
func outputs(d *fragment.Query) []string {
	for len(d.Inputs) > 0 {
		d = d.Inputs[0]
	}
	var names []string
	for _, o := range d.Columns {
		names = append(names, strings.ToLower(o.Name))
	}
	return names
}

// conditions checks a filter or a join condition. Two identifiers of one kind may be compared for equality.
func (s scope) conditions(e *expr.Expr, relations map[string]columnKinds) error {
	kind := func(e *expr.Expr) string {
		if e.Op != expr.OpColumn {
			return ""
		}
		return relations[e.Relation][strings.ToLower(e.Column)].kind
	}
	for _, c := range expr.Conjuncts(e) {
		check := s.value
		if c.Op == expr.OpEqual && kind(c.Args[0]) != "" && kind(c.Args[0]) == kind(c.Args[1]) {
			check = s.reads
		}
		if err := check(c, relations); err != nil {
			return err
		}
	}
	return nil
}

// plain allows an identifier itself, but not a value computed from one. nil is allowed.
func (s scope) plain(e *expr.Expr, relations map[string]columnKinds) error {
	c, when := standing(e)
	if c == nil {
		return s.value(e, relations)
	}
	if err := s.value(when, relations); err != nil {
		return err
	}
	return s.reads(c, relations)
}

// standing returns the column whose value an expression has: always, or under the condition when and NULL otherwise.
// column is nil if the value is computed; when is nil if there is no condition.
func standing(e *expr.Expr) (column, when *expr.Expr) {
	switch {
	case e == nil:
	case e.Op == expr.OpColumn:
		return e, nil
	case e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[1].Op == expr.OpColumn && e.Args[2].Op == expr.OpLiteral && e.Args[2].Value.IsNull():
		return e.Args[1], e.Args[0]
	}
	return nil, nil
}

// value checks an expression whose value may show or depend on what it reads.
func (s scope) value(e *expr.Expr, relations map[string]columnKinds) error {
	switch {
	case e == nil:
		return nil
	case e.Op == expr.OpColumn:
		if err := s.reads(e, relations); err != nil {
			return err
		}
		if is := relations[e.Relation][strings.ToLower(e.Column)]; is.unlisted != "" {
			return fmt.Errorf("%s tells patients apart, and the study does not list it", is.unlisted)
		}
	case e.Op == expr.OpIsNull && e.Args[0].Op == expr.OpColumn:
		return s.reads(e, relations)
	}
	for _, a := range e.Args {
		if err := s.value(a, relations); err != nil {
			return err
		}
	}
	return nil
}

// reads checks that the study may read every column of an expression.
func (s scope) reads(e *expr.Expr, relations map[string]columnKinds) (err error) {
	if e == nil {
		return nil
	}
	e.Columns(func(relation, column string) {
		if _, ok := relations[relation][strings.ToLower(column)]; !ok && err == nil {
			err = fmt.Errorf("the study may not read %.200q", relation+"."+column)
		}
	})
	return err
}
