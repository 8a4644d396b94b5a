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

// scope checks that a fragment reads what a study may read here, and asks for nobody by name.
//
// An identifier is a column that tells rows or patients apart: a private table's patient, its key of
// one column, what refers to another private table, and what the catalog calls one. Of one that the study does not list
// itself a fragment may do what compares it with nothing but identifiers of the same kind: as it stands, a column
// of a relation, or that column where a condition holds which reads no such identifier, and NULL elsewhere, it may
//
//   - equal another one of its kind, as a whole condition of a filter or a join;
//   - be tested for NULL, which is how an outer join says that it found no row;
//   - be counted, and its distinct values;
//   - be passed on by a derived relation, be grouped by there, and divide the rows of a window;
//   - order the rows of a window, which are one patient's: of whom they are, their order does not tell. Not a window
//     whose frame is counted in that order's values, which are how far two identifiers lie apart.
//
// Anything else is refused, wherever it stands: `id = 42`, and what amounts to it, asks for one patient. Nor may
// a combination of relations put identifiers beside other values, for its columns are compared like one.
// What singles somebody out by other columns, such as a birth date, no static check can see.
type scope struct {
	catalog  *catalog.Catalog
	document *study.Document
}

// shown is what the columns of a relation are, of those that the study may read.
type shown map[string]shows

type shows struct {
	kind     string // what it identifies: patientKind, or a key as table.column; empty: it is no identifier
	unlisted string // the identifier that it shows and that the study does not list, as table.column; or ""
	null     bool   // it is NULL in every row
}

// patientKind is the kind of the columns that hold the patient's id itself.
const patientKind = "the patient"

// check refuses a fragment, which fragment.Check has accepted.
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
		if kind == fragment.PartialBeyond { // of rows or values that are left out: more of the same
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

// relations checks relations and how they join, and tells what their columns show.
func (s scope) relations(all []fragment.Relation) (map[string]shown, error) {
	out := map[string]shown{}
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

// table tells what the columns of a table are.
func (s scope) table(name string) (shown, error) {
	t, ok := s.catalog.Table(name)
	if !ok {
		return nil, fmt.Errorf("there is no table %s", name)
	}
	out := shown{}
	if t.Public {
		for _, c := range t.Columns {
			out[strings.ToLower(c.Name)] = shows{}
		}
		return out, nil
	}
	listed, ok := s.document.Reads(t.Name)
	if !ok {
		return nil, fmt.Errorf("the study may not read table %s", t.Name)
	}
	for _, c := range t.Columns {
		named := slices.ContainsFunc(listed, func(l string) bool { return strings.EqualFold(l, c.Name) })
		is := shows{kind: s.kind(t, c)}
		if is.kind != "" && !named {
			is.unlisted = strings.ToLower(t.Name + "." + c.Name)
		}
		if named || is.kind != "" || slices.Contains(listed, study.Any) {
			out[strings.ToLower(c.Name)] = is
		}
	}
	return out, nil
}

// kind tells what a column of a private table identifies: what it refers to in the end, or its own table's rows.
func (s scope) kind(t *catalog.Table, c *catalog.Column) string {
	kind := ""
	for range len(s.catalog.Tables) + 1 { // references may turn in a circle
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

// derived checks a derived relation, and tells what its columns show.
func (s scope) derived(d *fragment.Query) (shown, error) {
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
	out := shown{}
	for i := range d.Columns {
		is, err := s.output(&d.Columns[i], relations)
		if err != nil {
			return nil, err
		}
		out[strings.ToLower(d.Columns[i].Name)] = is
	}
	return out, nil
}

// output checks a column of a derived relation, and tells what it shows.
func (s scope) output(o *fragment.Output, relations map[string]shown) (is shows, err error) {
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
	if f := o.Window.Frame; f != nil && f.Values { // it adds to what the rows are ordered by
		return is, s.value(o.Window.Order[0].Expr, relations)
	}
	return is, nil
}

// combined checks relations whose rows are put together, or compared, column by column.
func (s scope) combined(d *fragment.Query) (shown, error) {
	var out shown
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
		for i, name := range outputs(input) { // as many as the first input has, by fragment.Check
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

// outputs names a derived relation's columns: of a combination, as its first input's.
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

// conditions checks a filter or a join's condition. Identifiers of one kind may be equal to each other.
func (s scope) conditions(e *expr.Expr, relations map[string]shown) error {
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

// plain checks what may be an identifier as it stands, but not what is computed from one; nil is neither.
func (s scope) plain(e *expr.Expr, relations map[string]shown) error {
	c, when := standing(e)
	if c == nil {
		return s.value(e, relations)
	}
	if err := s.value(when, relations); err != nil {
		return err
	}
	return s.reads(c, relations)
}

// standing tells of which column an expression has the value: in every row, or in those where a condition holds, and
// NULL in all others. It is nil where the value is computed; the condition is nil where there is none.
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
func (s scope) value(e *expr.Expr, relations map[string]shown) error {
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

// reads checks that every column that an expression reads is one of the study's.
func (s scope) reads(e *expr.Expr, relations map[string]shown) (err error) {
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
