package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// maxBound is how many values a bound may have; of more, it keeps all rows.
const maxBound = 5000

// lookupTable begins the names of the tables that lookups are.
const lookupTable = "public "

// public plans a query of public tables alone.
func (c *programPlanner) public(q *syntax.Query, within *relational.Scope) *postProcessing {
	a := c.postProcess(q, within)
	r := fragment.Reading{Relation: a.Derived, Limit: fragment.MaxLookupRows + 1, Offset: a.offset}
	if a.limit >= 0 {
		r.Limit = max(1, min(a.limit, r.Limit))
	}
	for _, o := range a.order {
		if !slices.ContainsFunc(r.Order, func(p fragment.Place) bool { return p.Column == o.Expr.Column }) {
			r.Order = append(r.Order, fragment.Place{Column: o.Expr.Column, Descending: o.Descending, NullsFirst: o.NullsFirst})
		}
	}
	a.Derived, a.offset = c.looked(r, nil, q.At), 0
	return a
}

// looked adds a lookup, and gives the relation that reads its rows.
func (c *programPlanner) looked(r fragment.Reading, bounds []bound, at Position) *fragment.Derived {
	t, err := r.Relation.Table(fmt.Sprintf("%s%d", lookupTable, len(c.lookups)+1), c.catalog.Catalog, c.catalog.Domains)
	if err != nil {
		relational.RefuseInvalid(err, at)
	}
	if !t.Public {
		panic("a lookup of patients") // nodes would refuse it
	}
	if strings.Contains(scalar.Canonical(r.Relation), `"op":"hospital"`) { // no text that is quoted looks so
		refuse(CodeColumn, at, "leave it out", "public tables are alike at all hospitals, so none of their rows is a hospital's")
	}
	c.lookups = append(c.lookups, &Lookup{r, t, bounds})
	c.catalog.Tables = append(c.catalog.Tables, t)
	d := &fragment.Derived{Relations: []fragment.Relation{{Name: "public", Table: t.Name}}}
	for _, column := range t.Columns {
		d.Columns = append(d.Columns, fragment.Output{Name: column.Name, Expr: expr.Column("public", column.Name, column.Type)})
	}
	return d
}

// isPublic reports whether a derived relation reads public tables of the catalog, and nothing that was released or looked up.
func (c *programPlanner) isPublic(r fragment.Relation) bool {
	f := fragment.Fragment{Relations: []fragment.Relation{r}}
	tables := f.Tables()
	return len(tables) > 0 && !slices.ContainsFunc(tables, func(name string) bool {
		return strings.HasPrefix(name, relational.ReleaseTable) || strings.HasPrefix(name, lookupTable)
	})
}

// lookUp gives what is computed from releases with lookups in the place of all that reads public tables.
func (c *programPlanner) lookUp(d *fragment.Derived, at Position) *fragment.Derived {
	return (&looking{c, at, map[*fragment.Derived]*fragment.Derived{}}).derived(d)
}

// looking puts lookups into the place of relations.
type looking struct {
	*programPlanner
	at   Position
	done map[*fragment.Derived]*fragment.Derived
}

func (l *looking) derived(d *fragment.Derived) *fragment.Derived {
	if done := l.done[d]; done != nil {
		return done
	}
	out := *d
	l.done[d] = &out
	if l.isPublic(fragment.Relation{Derived: d}) {
		out = *l.looked(fragment.Reading{Relation: d, Limit: fragment.MaxLookupRows + 1}, nil, l.at)
		return &out
	}
	out.Arms = nil
	for _, arm := range d.Arms {
		out.Arms = append(out.Arms, l.derived(arm))
	}
	out.Relations = slices.Clone(d.Relations)
	var pending []int
	for i, r := range d.Relations {
		switch {
		case l.isPublic(r):
			pending = append(pending, i)
		case r.Derived != nil:
			out.Relations[i].Derived = l.derived(r.Derived)
		}
	}
	for len(pending) > 0 { // what is bound by others comes after them, and what nothing binds first
		next := max(0, slices.IndexFunc(pending, func(i int) bool { return len(l.bounds(&out, i, pending)) > 0 }))
		i := pending[next]
		l.relation(&out, i, l.bounds(&out, i, pending))
		pending = slices.Delete(pending, next, next+1)
	}
	return &out
}

// relation puts a lookup into the place of the i-th relation of a select: of the columns that the select reads, and of the rows for which
// hold what conditions say of it alone.
func (l *looking) relation(d *fragment.Derived, i int, bounds []bound) {
	r := &d.Relations[i]
	table, ok := l.catalog.Table(r.Table)
	if r.Derived != nil {
		var err error
		if table, err = r.Derived.Table(r.Name, l.catalog.Catalog, l.catalog.Domains); err != nil {
			relational.RefuseInvalid(err, l.at)
		}
	} else if !ok {
		panic("a table of the catalog is gone") // it was resolved
	}
	in := &fragment.Derived{Relations: []fragment.Relation{{Name: r.Name, Table: r.Table, Derived: r.Derived}}}
	add := func(relation, column string) {
		if c, ok := table.Column(column); ok && relation == r.Name && !slices.ContainsFunc(in.Columns, func(o fragment.Output) bool { return o.Name == c.Name }) {
			in.Columns = append(in.Columns, fragment.Output{Name: c.Name, Expr: expr.Column(r.Name, c.Name, c.Type)})
		}
	}
	for _, e := range expressionsOf(d) {
		e.Columns(add)
	}
	if len(in.Columns) == 0 { // its rows are counted, or just there
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
	read := l.looked(fragment.Reading{Relation: in, Limit: fragment.MaxLookupRows + 1}, bounds, l.at)
	r.Derived, r.Table = nil, read.Relations[0].Table
}

// bounds are the equalities of the i-th relation's columns with those of relations that are not pending.
func (l *looking) bounds(d *fragment.Derived, i int, pending []int) []bound {
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
			all = append(all, bound{mine, &fragment.Derived{Relations: []fragment.Relation{alone}, Grouped: true, Columns: []fragment.Output{{Name: "value", Expr: other}}}})
		}
	}
	return all
}

// conditionsOn lists conditions without which no row of the i-th relation is in the select's rows.
func conditionsOn(d *fragment.Derived, i int) []*expr.Expr {
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
func expressionsOf(d *fragment.Derived) []*expr.Expr {
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

// Read tells what to ask of public tables for the program's i-th lookup, given its releases' cells and what the lookups before it
// found; nil: no row can matter. It reads no data.
func (p *Program) Read(i int, cells [][]Cell, confidence float64, found []fragment.Rows) (*fragment.Reading, error) {
	l := p.Lookups[i]
	if len(l.bounds) == 0 {
		return &l.Reading, nil
	}
	c, err := p.compute(cells, confidence)
	if err != nil {
		return nil, err
	}
	relation := *l.Relation
	var filters []*expr.Expr
	if relation.Filter != nil {
		filters = expr.Conjuncts(relation.Filter)
	}
	for _, b := range l.bounds {
		rows, err := b.values.Trace(p.tables(c, found), "")
		if err != nil {
			return nil, tooMuchComputed()
		}
		args := []*expr.Expr{b.column}
		slices.SortFunc(rows.Values, func(a, b []value.Value) int { return value.Compare(a[0], b[0]) })
		for _, row := range rows.Values {
			if !row[0].IsNull() {
				args = append(args, expr.Literal(row[0]))
			}
		}
		switch {
		case len(args) == 1:
			return nil, nil
		case len(args) > maxBound+1:
			continue
		}
		in, err := expr.New(expr.OpIn, args...)
		if err != nil {
			return nil, err
		}
		filters = append(filters, in)
	}
	if len(filters) > 0 {
		relation.Filter = scalar.Conjunction(filters)
	}
	narrow := l.Reading
	narrow.Relation = &relation
	return &narrow, nil
}

// tables gives the rows of releases and lookups by their names.
func (p *Program) tables(c *computed, found []fragment.Rows) func(name string) fragment.Rows {
	return func(name string) fragment.Rows {
		if number, ok := strings.CutPrefix(name, lookupTable); ok {
			return found[indexOf(number)-1]
		}
		return c.tables[indexOf(strings.TrimPrefix(name, relational.ReleaseTable))-1]
	}
}

func tooMuchComputed() *Error {
	return &Error{Code: CodeTooLarge, Position: Position{Line: 1, Column: 1}, Message: "what the query computes from its released rows would join or read too many of them",
		Hint: "join them by equal values, or group by fewer keys; the same releases are kept, and cost nothing again"}
}

// Empty is what a lookup finds where no row can matter.
func (l *Lookup) Empty() fragment.Rows {
	var rows fragment.Rows
	for _, c := range l.columns.Columns {
		rows.Names = append(rows.Names, c.Name)
	}
	return rows
}

// Columns describes the relation's columns.
func (l *Lookup) Columns() *catalog.Table { return l.columns }

// describe writes the lookups for a person.
func (p *Program) describeLookups(b *strings.Builder) {
	for i, l := range p.Lookups {
		what := fmt.Sprintf("lookup %d of %d", i+1, len(p.Lookups))
		fmt.Fprintf(b, "%s, of public tables, at no cost\n  %s\n", what, strings.ReplaceAll(l.Relation.String(), "\n", "\n  "))
		for _, by := range l.bounds {
			fmt.Fprintf(b, "  where %s is one of the values that are joined with it\n", by.column)
		}
		for _, o := range l.Order {
			direction := ""
			if o.Descending {
				direction = " DESC"
			}
			fmt.Fprintf(b, "  order by %s%s\n", o.Column, direction)
		}
		if l.Limit <= fragment.MaxLookupRows || l.Offset > 0 {
			fmt.Fprintf(b, "  limit %d offset %d\n", l.Limit, l.Offset)
		}
	}
	if len(p.Releases) == 0 {
		b.WriteString("free       public tables only: nothing of a patient is read\n")
	}
}
