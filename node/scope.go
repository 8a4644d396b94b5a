package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/study"
)

// scope checks that a fragment reads what a study may read here, and asks for nobody by name.
//
// An identifier is a column that tells rows or patients apart: a private table's patient, its key of
// one column, and what refers to another private table. A fragment may use one to join, to tell
// patients apart and to count; to compare it with anything else, to group by it or to compute with it
// takes a study that lists the column itself, since `person_id = 42` asks for one patient.
// What singles somebody out by other columns, such as a birth date, no static check can see.
type scope struct {
	catalog  *catalog.Catalog
	document *study.Document
}

// shown is what the columns of a relation are, of those that the study may read.
type shown map[string]shows

type shows struct {
	identifier bool
	unlisted   string // the identifier that it shows and that the study does not list, as table.column; or ""
}

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
		if !slices.Contains(s.document.Aggregates, aggregate(p.Kind)) {
			return fmt.Errorf("the study may not ask for a %s", aggregate(p.Kind))
		}
		if p.Expr == nil || p.Expr.Op == fragment.OpColumn && p.Kind == fragment.PartialValues {
			if err := s.reads(p.Expr, relations); err != nil { // it only counts
				return err
			}
			continue
		}
		if err := s.value(p.Expr, relations); err != nil {
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
		if r.Derived != nil {
			out[r.Name], err = s.derived(r.Derived)
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
		is := shows{identifier: s.identifies(t, c)}
		if is.identifier && !named {
			is.unlisted = strings.ToLower(t.Name + "." + c.Name)
		}
		if named || is.identifier || slices.Contains(listed, study.Any) {
			out[strings.ToLower(c.Name)] = is
		}
	}
	return out, nil
}

func (s scope) identifies(t *catalog.Table, c *catalog.Column) bool {
	if strings.EqualFold(t.Patient, c.Name) || len(t.Key) == 1 && strings.EqualFold(t.Key[0], c.Name) {
		return true
	}
	name, _, refers := strings.Cut(c.References, ".")
	if !refers {
		return false
	}
	to, ok := s.catalog.Table(name)
	return ok && !to.Public
}

// derived checks a derived relation, and tells what its columns show.
func (s scope) derived(d *fragment.Derived) (shown, error) {
	if len(d.Arms) > 0 {
		first, err := s.derived(d.Arms[0])
		if err != nil {
			return nil, err
		}
		names := outputs(d.Arms[0])
		for _, arm := range d.Arms[1:] {
			other, err := s.derived(arm)
			if err != nil {
				return nil, err
			}
			for i, name := range outputs(arm) { // as many as the first arm has, by fragment.Check
				both := first[names[i]]
				both.identifier = both.identifier && other[name].identifier
				if both.unlisted == "" {
					both.unlisted = other[name].unlisted
				}
				first[names[i]] = both
			}
		}
		return first, nil
	}
	relations, err := s.relations(d.Relations)
	if err != nil {
		return nil, err
	}
	if err := s.conditions(d.Filter, relations); err != nil {
		return nil, err
	}
	out := shown{}
	for _, o := range d.Columns {
		var is shows
		if o.Expr != nil {
			bare := o.Expr.Op == fragment.OpColumn
			check := s.value
			if bare {
				check = s.reads
			}
			if err := check(o.Expr, relations); err != nil {
				return nil, err
			}
			// A number of rows shows no identifier; anything else may be one.
			if bare && o.Function != fragment.FunctionCount && o.Function != fragment.FunctionDistinct {
				is = relations[o.Expr.Relation][strings.ToLower(o.Expr.Column)]
			}
		}
		if o.Window != nil {
			for _, e := range slices.Concat(o.Window.Partition, o.Window.Ties) {
				if err := s.reads(e, relations); err != nil {
					return nil, err
				}
			}
			for _, order := range o.Window.Order {
				if err := s.value(order.Expr, relations); err != nil {
					return nil, err
				}
			}
		}
		out[strings.ToLower(o.Name)] = is
	}
	return out, nil
}

// outputs names a derived relation's columns: of a combination, as its first arm's.
func outputs(d *fragment.Derived) []string {
	for len(d.Arms) > 0 {
		d = d.Arms[0]
	}
	var names []string
	for _, o := range d.Columns {
		names = append(names, strings.ToLower(o.Name))
	}
	return names
}

// conditions checks a filter or a join's condition. Identifiers may be equal to each other.
func (s scope) conditions(e *fragment.Expr, relations map[string]shown) error {
	identifier := func(e *fragment.Expr) bool {
		return e.Op == fragment.OpColumn && relations[e.Relation][strings.ToLower(e.Column)].identifier
	}
	for _, c := range fragment.Conjuncts(e) {
		check := s.value
		if c.Op == fragment.OpEqual && identifier(c.Args[0]) && identifier(c.Args[1]) {
			check = s.reads
		}
		if err := check(c, relations); err != nil {
			return err
		}
	}
	return nil
}

// value checks an expression whose value may show or depend on what it reads. Whether an identifier is
// NULL tells nobody apart: it is how an outer join says that it found no row.
func (s scope) value(e *fragment.Expr, relations map[string]shown) error {
	switch {
	case e == nil:
		return nil
	case e.Op == fragment.OpColumn:
		if err := s.reads(e, relations); err != nil {
			return err
		}
		if is := relations[e.Relation][strings.ToLower(e.Column)]; is.unlisted != "" {
			return fmt.Errorf("%s tells patients apart, and the study does not list it", is.unlisted)
		}
	case e.Op == fragment.OpIsNull && e.Args[0].Op == fragment.OpColumn:
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
func (s scope) reads(e *fragment.Expr, relations map[string]shown) (err error) {
	if e == nil {
		return nil
	}
	e.Columns(func(relation, column string) {
		if _, ok := relations[relation][strings.ToLower(column)]; !ok && err == nil {
			err = fmt.Errorf("the study may not read %s.%s", relation, column)
		}
	})
	return err
}
