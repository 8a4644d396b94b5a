package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// This file rewrites what other databases allow in FROM.

// semiJoin reads [LEFT] SEMI JOIN t ON …, which demands a row of t, or ANTI JOIN, which demands that there is none. It
// reports whether one comes next.
func (p *parser) semiJoin(left []From) bool {
	i := p.i
	p.accept("left")
	t := p.here()
	if !p.accept("semi", "join") && !p.accept("anti", "join") {
		p.i = i
		return false
	}
	right := p.tableFactor()
	if len(right) != 1 {
		Refuse(CodeNotSupported, t.at, "write EXISTS (SELECT …)", "a %s JOIN with joined tables is not answered", strings.ToUpper(t.text))
	}
	var on *Expr
	switch at := p.here(); {
	case p.accept("on"):
		on = p.expression()
	case p.accept("using"):
		for _, c := range p.usingColumns(at) {
			if len(left) != 1 || left[0].Alias == "" || right[0].Alias == "" {
				Refuse(CodeNotSupported, at.at, "write ON", "USING is read here between two tables alone")
			}
			equal := NewOperator("=", c.Of(left[0].Alias), c.Of(right[0].Alias))
			if on != nil {
				equal = NewOperator("and", on, equal)
			}
			on = equal
		}
	default:
		p.unexpected("write ON and what must be equal")
	}
	one := NewLiteral(t.at, value.Int(1))
	q := &Query{At: t.at, Select: &Select{At: t.at, Items: []Item{{Term: one}}, From: right, Where: on}}
	p.semi = append(p.semi, negation(&Expr{Kind: Exists, At: t.at, Query: q}, t.is("anti")))
	return true
}

// semiJoined adds the conditions of the SEMI and ANTI joins to WHERE.
func (p *parser) semiJoined(where *Expr) *Expr {
	all := p.semi
	if where != nil {
		all = append([]*Expr{where}, all...)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return NewOperator("and", all...)
}

// pivot reads PIVOT (COUNT(x) FOR y IN (1, 2 AS two)) after a query. It groups by the query's columns that PIVOT does
// not read and adds a column for each value.
func (p *parser) pivot(f *From) {
	t := p.take()
	p.i++
	const hint = "write (SELECT a, b, x FROM …) PIVOT (COUNT(x) FOR b IN (1, 2))"
	if f.Query == nil || f.Query.Select == nil || slices.ContainsFunc(f.Query.Select.Items, func(i Item) bool { return i.Term.Kind == Star }) {
		Refuse(CodeNotSupported, t.at, hint, "PIVOT is read behind a query that names its columns, for it groups by what it does not read")
	}
	var aggregates []Item
	for {
		x := p.expression()
		item := Item{Term: x}
		if p.accept("as") || p.here().isName() && !p.comes("for") {
			item.Alias = p.name("write a name").label()
		}
		if x.Kind != Call || len(x.Args) > 1 || x.Filter != nil || x.Over != nil {
			Refuse(CodeNotSupported, x.At, hint, "PIVOT takes aggregates of one column each")
		}
		aggregates = append(aggregates, item)
		if !p.accept(",") {
			break
		}
	}
	p.expect("for", hint)
	by := p.column()
	p.expect("in", hint)
	p.expect("(", hint)
	s := &Select{At: t.at, From: []From{{At: f.At, Query: f.Query, Alias: "pivot", Written: p.tables}}}
	read := []string{by.Name}
	for _, a := range aggregates {
		a.Term.Walk(func(e *Expr) bool {
			if e.Kind == Column {
				read = append(read, e.Name)
			}
			return true
		})
	}
	var keys []*Expr
	for _, i := range f.Query.Select.Items {
		if name := i.Name(); !slices.Contains(read, strings.ToLower(name)) {
			key := &Expr{Kind: Column, At: i.Term.At, Name: strings.ToLower(name)}
			keys, s.Items = append(keys, key), append(s.Items, Item{Term: key, Alias: name})
		}
	}
	for more := true; more; more = p.accept(",") {
		s.Items = append(s.Items, p.pivoted(aggregates, by)...)
	}
	p.expect(")", "separate the values by commas")
	p.expect(")", hint)
	if keys != nil {
		s.GroupBy = [][]*Expr{keys}
	}
	p.tables++
	f.Query, f.Alias, f.Columns = &Query{At: t.at, Select: s}, "", nil
}

// pivoted reads one value of PIVOT and returns its columns: the aggregates over the rows with that value.
func (p *parser) pivoted(aggregates []Item, by *Expr) (items []Item) {
	t := p.here()
	var of *Expr
	if t.kind == tokenName || t.kind == tokenWord && t.isName() { // [8507] is both the value and the name
		p.i++
		of = word(t.label(), t.at)
	} else {
		of = p.expression()
	}
	if of.Kind != Literal || !of.Literal.Valid() {
		Refuse(CodeNotSupported, t.at, "write FOR y IN (1, 2)", "PIVOT takes constants")
	}
	name := of.Literal.String()
	if p.dialect.baseLast && !p.dialect.numberNames && name != "" && name[0] >= '0' && name[0] <= '9' { // BigQuery
		name = "_" + name
	}
	if p.accept("as") || p.here().isName() {
		name = p.name("write a name").label()
	}
	for _, a := range aggregates {
		x := *a.Term
		if len(aggregates) > 1 || a.Alias != "" {
			called := a.Alias
			if called == "" {
				called = a.Term.Name
			}
			items = append(items, Item{Alias: called + "_" + name})
		} else {
			items = append(items, Item{Alias: name})
		}
		counted := NewLiteral(t.at, value.Int(1))
		if !x.Star && len(x.Args) == 1 {
			counted = x.Args[0]
		}
		x.Star, x.Args = false, []*Expr{NewOperator("case", NewOperator("=", by, of), counted)}
		items[len(items)-1].Term = &x
	}
	return items
}
