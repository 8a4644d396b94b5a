package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// public plans a query that reads public tables only.
func (c *programPlanner) public(q *syntax.Query, within *relational.Scope) *postProcessing {
	a := c.postProcess(q, within)
	r := fragment.Reading{Relation: a.Query, Limit: fragment.MaxLookupRows + 1, Offset: a.offset}
	if a.limit >= 0 {
		r.Limit = max(1, min(a.limit, r.Limit))
	}
	for _, o := range a.order {
		if !slices.ContainsFunc(r.Order, func(p fragment.Place) bool { return p.Column == o.Expr.Column }) {
			r.Order = append(r.Order, fragment.Place{Column: o.Expr.Column, Descending: o.Descending, NullsFirst: o.NullsFirst})
		}
	}
	a.Query, a.offset = c.lookups.Add(r, q.At), 0
	return a
}

// Read tells what to ask of public tables for the program's i-th lookup, given its releases' cells and what earlier
// lookups found. It is nil if no row can matter. It reads no data.
func (p *Program) Read(i int, cells [][]Cell, confidence float64, found []fragment.Rows) (*fragment.Reading, error) {
	l := p.Lookups[i]
	if !l.Bounded() {
		return &l.Reading, nil
	}
	c, err := p.compute(cells, confidence)
	if err != nil {
		return nil, err
	}
	reading, err := l.Narrow(p.tables(c, found))
	if err != nil {
		return nil, tooMuchComputed()
	}
	return reading, nil
}

// tables returns the rows of releases and lookups by their names.
func (p *Program) tables(c *derivedIntervals, found []fragment.Rows) func(name string) fragment.Rows {
	return func(name string) fragment.Rows {
		if n, ok := relational.Lookup.Of(name); ok {
			return found[n-1]
		}
		n, _ := relational.Release.Of(name)
		return c.tables[n-1]
	}
}

func tooMuchComputed() *Error {
	return &Error{Code: CodeTooLarge, Position: Position{Line: 1, Column: 1}, Message: "what the query computes from its released rows would join or read too many of them",
		Hint: "join them by equal values, or group by fewer keys; the same releases are kept, and cost nothing again"}
}

// describeLookups writes the lookups for a person.
func (p *Program) describeLookups(b *strings.Builder) {
	for i, l := range p.Lookups {
		fmt.Fprintf(b, "lookup %d of %d, of public tables, at no cost\n%s", i+1, len(p.Lookups), l.Describe())
	}
	if len(p.Releases) == 0 {
		b.WriteString("free       public tables only: nothing of a patient is read\n")
	}
}
