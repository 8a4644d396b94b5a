package lookup

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Planner collects the lookups of one statement.
type Planner struct {
	catalog *relational.Vocabulary // contains each release and each lookup as a public table
	all     []*Lookup
}

// NewPlanner plans the lookups of a statement over a catalog. It adds a public table to the catalog for each lookup.
func NewPlanner(catalog *relational.Vocabulary) *Planner { return &Planner{catalog: catalog} }

// Lookups are the planned lookups, in the order in which they are run.
func (p *Planner) Lookups() []*Lookup { return p.all }

// Add plans the lookup of a reading and returns the relation that reads its rows.
func (p *Planner) Add(r fragment.Reading, at syntax.Position) *fragment.Query {
	return p.add(r, nil, at)
}

func (p *Planner) add(r fragment.Reading, bounds []bound, at syntax.Position) *fragment.Query {
	t, err := r.Relation.Table(relational.Lookup.Table(len(p.all)+1), p.catalog.Catalog, p.catalog.Memo)
	if err != nil {
		relational.RefuseInvalid(err, at)
	}
	if !t.Public {
		panic("a lookup of patients") // nodes would refuse it
	}
	if readsHospital(r.Relation, map[*fragment.Query]bool{}) {
		syntax.Refuse(syntax.CodeColumn, at, "leave it out", "public tables are alike at all hospitals, so none of their rows is a hospital's")
	}
	p.all = append(p.all, &Lookup{r, t, bounds})
	p.catalog.Tables = append(p.catalog.Tables, t)
	d := &fragment.Query{Relations: []fragment.Relation{{Name: "public", Table: t.Name}}}
	for _, column := range t.Columns {
		d.Columns = append(d.Columns, fragment.Output{Name: column.Name, Expr: expr.Column("public", column.Name, column.Type)})
	}
	return d
}

// readsHospital reports whether an expression in the query reads the hospital's name. seen are queries that do not.
func readsHospital(q *fragment.Query, seen map[*fragment.Query]bool) bool {
	if q == nil || seen[q] {
		return false
	}
	seen[q] = true
	return slices.ContainsFunc(expressionsOf(q), isOfHospital) ||
		slices.ContainsFunc(q.Inputs, func(in *fragment.Query) bool { return readsHospital(in, seen) }) ||
		slices.ContainsFunc(q.Relations, func(r fragment.Relation) bool { return readsHospital(r.Query, seen) })
}

func isOfHospital(e *expr.Expr) bool {
	return e.Op == expr.OpHospital || slices.ContainsFunc(e.Args, isOfHospital)
}

// isPublic reports whether a derived relation reads only public tables of the catalog, and nothing released or looked
// up.
func (p *Planner) isPublic(r fragment.Relation) bool {
	f := fragment.Fragment{Relations: []fragment.Relation{r}}
	tables := f.Tables()
	return len(tables) > 0 && !slices.ContainsFunc(tables, relational.IsMade)
}

// Replace replaces everything that reads public tables, in a computation over releases, by lookups.
func (p *Planner) Replace(d *fragment.Query, at syntax.Position) *fragment.Query {
	return (&replacing{p, at, map[*fragment.Query]*fragment.Query{}}).derived(d)
}

// replacing replaces relations by lookups.
type replacing struct {
	*Planner
	at   syntax.Position
	done map[*fragment.Query]*fragment.Query
}

func (l *replacing) derived(d *fragment.Query) *fragment.Query {
	if done := l.done[d]; done != nil {
		return done
	}
	out := *d
	l.done[d] = &out
	if l.isPublic(fragment.Relation{Query: d}) {
		out = *l.Add(fragment.Reading{Relation: d, Limit: fragment.MaxLookupRows + 1}, l.at)
		return &out
	}
	out.Inputs = nil
	for _, arm := range d.Inputs {
		out.Inputs = append(out.Inputs, l.derived(arm))
	}
	out.Relations = slices.Clone(d.Relations)
	var pending []int
	for i, r := range d.Relations {
		switch {
		case l.isPublic(r):
			pending = append(pending, i)
		case r.Query != nil:
			out.Relations[i].Query = l.derived(r.Query)
		}
	}
	for len(pending) > 0 { // relations that others bound come later; relations without bounds come first
		next := max(0, slices.IndexFunc(pending, func(i int) bool { return len(l.bounds(&out, i, pending)) > 0 }))
		i := pending[next]
		l.relation(&out, i, l.bounds(&out, i, pending))
		pending = slices.Delete(pending, next, next+1)
	}
	return &out
}

// relation replaces the i-th relation of a select by a lookup. The lookup has the columns that the select reads, and
// the rows that satisfy the conditions on it alone.
func (l *replacing) relation(d *fragment.Query, i int, bounds []bound) {
	r := &d.Relations[i]
	table, ok := l.catalog.Table(r.Table)
	if r.Query != nil {
		var err error
		if table, err = r.Query.Table(r.Name, l.catalog.Catalog, l.catalog.Memo); err != nil {
			relational.RefuseInvalid(err, l.at)
		}
	} else if !ok {
		panic("a table of the catalog is gone") // cannot fail: it was resolved
	}
	in := &fragment.Query{Relations: []fragment.Relation{{Name: r.Name, Table: r.Table, Query: r.Query}}}
	add := func(relation, column string) {
		if c, ok := table.Column(column); ok && relation == r.Name && !slices.ContainsFunc(in.Columns, func(o fragment.Output) bool { return o.Name == c.Name }) {
			in.Columns = append(in.Columns, fragment.Output{Name: c.Name, Expr: expr.Column(r.Name, c.Name, c.Type)})
		}
	}
	for _, e := range expressionsOf(d) {
		e.Columns(add)
	}
	if len(in.Columns) == 0 { // only its rows are counted, or tested for existence
		add(r.Name, table.Columns[0].Name)
	}
	var own []*expr.Expr
	for _, e := range conditionsOn(d, i) {
		if relational.ReadsAny(e, func(relation string) bool { return relation == r.Name }) && !relational.ReadsAny(e, func(relation string) bool { return relation != r.Name }) {
			own = append(own, e)
		}
	}
	if len(own) > 0 {
		in.Filter = scalar.Conjunction(own)
	}
	read := l.add(fragment.Reading{Relation: in, Limit: fragment.MaxLookupRows + 1}, bounds, l.at)
	r.Query, r.Table = nil, read.Relations[0].Table
}

// bounds are the equalities between columns of the i-th relation and columns of relations that are not pending.
func (l *replacing) bounds(d *fragment.Query, i int, pending []int) []bound {
	var all []bound
	for _, e := range conditionsOn(d, i) {
		if e.Op != expr.OpEqual {
			continue
		}
		for k, mine := range e.Args {
			other := e.Args[1-k]
			at := slices.IndexFunc(d.Relations, func(r fragment.Relation) bool { return r.Name == other.Relation })
			if mine.Op != expr.OpColumn || mine.Relation != d.Relations[i].Name || other.Op != expr.OpColumn || at < 0 || slices.Contains(pending, at) ||
				mine.Type != other.Type || mine.Type == value.TypeFloat {
				continue
			}
			alone := d.Relations[at]
			alone.Join, alone.On = "", nil
			all = append(all, bound{mine, &fragment.Query{Relations: []fragment.Relation{alone}, Grouped: true, Columns: []fragment.Output{{Name: "value", Expr: other}}}})
		}
	}
	return all
}

// conditionsOn lists conditions that every row of the i-th relation in the result must satisfy.
func conditionsOn(d *fragment.Query, i int) []*expr.Expr {
	all := expr.Conjuncts(d.Relations[i].On)
	if d.Relations[i].Join == fragment.JoinLeft {
		return all
	}
	all = append(slices.Clone(all), expr.Conjuncts(d.Filter)...)
	for k, r := range d.Relations {
		if k != i && r.Join == fragment.JoinInner {
			all = append(all, expr.Conjuncts(r.On)...)
		}
	}
	return all
}

// expressionsOf lists the expressions of a select.
func expressionsOf(d *fragment.Query) []*expr.Expr {
	all := []*expr.Expr{d.Filter}
	for _, r := range d.Relations {
		all = append(all, r.On)
	}
	for _, o := range d.Columns {
		all = append(all, o.Expr)
		if w := o.Window; w != nil {
			all = append(append(all, w.Partition...), w.Ties...)
			for _, by := range w.Order {
				all = append(all, by.Expr)
			}
		}
	}
	return slices.DeleteFunc(all, func(e *expr.Expr) bool { return e == nil })
}
