package planner

import (
	"slices"

	"github.com/intramuros/intramuros/planner/syntax"
)

// kind classifies a query that stands so deep within others. Where it takes the rows of a query to tell, they are kept, and
// planning goes on from there.
func (c *programPlanner) kind(q *syntax.Query, within *scope, depth int) kind {
	if c.kinds[q] == 0 {
		c.kinds[q] = c.classify(q, within, depth)
	}
	return c.kinds[q]
}

func (c *programPlanner) classify(q *syntax.Query, within *scope, depth int) kind {
	inner := within.with(q.With)
	if o := q.SetOperation; o != nil {
		left, right := c.kind(o.Left, inner, depth), c.kind(o.Right, inner, depth)
		switch {
		case left == kindRelease || right == kindRelease:
			return kindRelease
		case left == kindConstants && right == kindConstants:
			return kindConstants
		}
		return kindRows
	}
	s := q.Select
	read := c.reads(s, inner, depth)
	switch {
	case readsNoTable(s), len(s.From) > 0 && read == kindConstants:
		return kindConstants
	case read == kindRelease:
		return kindRelease
	case len(s.From) > 0 && s.IsGrouped() && len(s.GroupBy) < 2 && !c.rows(q, within, depth).byPatient(s):
		return kindRelease
	}
	return kindRows
}

// reads classifies what a SELECT reads: constants where nothing else is, a release where one is.
func (c *programPlanner) reads(s *syntax.Select, within *scope, depth int) kind {
	all := kindConstants
	for _, f := range s.From {
		query, scope := within.behind(f)
		switch {
		case f.Lateral:
			all = kindRows
			continue
		case f.Function != nil:
			return kindRelease
		case query == nil:
			all = kindRows
			continue
		}
		switch c.kind(query, scope, depth+1) {
		case kindRelease:
			return kindRelease
		case kindRows:
			all = kindRows
		}
	}
	return all
}

// rows reads the rows of a SELECT over patients, and keeps them for its plan. Without FROM there are none.
func (c *programPlanner) rows(q *syntax.Query, within *scope, depth int) *resolver {
	in := within.kept[q]
	if in == nil {
		in = &resolver{catalog: c.federation.vocabulary(), scope: within.with(q.With), depth: depth}
		if len(q.Select.From) > 0 {
			in.rows(q.Select)
			within.kept[q] = in
		}
	}
	return in
}

// byPatient reports whether a SELECT that groups its rows does so by patient, or reads none: by the patient's id, or by the
// key of something that one patient has.
func (r *resolver) byPatient(s *syntax.Select) bool {
	if r.patient == nil {
		return true
	}
	if len(s.GroupBy) == 0 {
		return false
	}
	items := r.starless(s.Items, false)
	return slices.ContainsFunc(s.GroupBy[0], func(t *syntax.Expr) bool {
		t = r.groupKey(items, t)
		return t.Kind == syntax.Column && r.determinesPatient(r.row(t))
	})
}

// isScalarRelease reports whether a subquery in place of a value, within a SELECT of these rows, aggregates over patients: it
// does where no key tells the patient, and nothing ties it to the row around. Its rows are read again when it is planned:
// relations are named by those around them.
func (c *programPlanner) isScalarRelease(q *syntax.Query, around *resolver) bool {
	if c.kinds[q] == 0 {
		c.kinds[q] = kindRows
		if s := q.Select; s != nil && !readsNoTable(s) && len(s.GroupBy) < 2 {
			inner := around.scope.with(q.With)
			switch c.reads(s, inner, around.depth+1) {
			case kindRelease:
				c.kinds[q] = kindRelease
			case kindRows:
				in := &resolver{catalog: around.catalog, scope: inner, outer: around, depth: around.depth + 1}
				if s.IsGrouped() {
					in.rows(s)
					if !in.readsAround() && !in.byPatient(s) {
						c.kinds[q] = kindRelease
					}
				}
			}
		}
	}
	return c.kinds[q] == kindRelease
}

// readsAround reports whether a subquery's conditions read columns of the query around it.
func (r *resolver) readsAround() bool {
	outer := func(relation string) bool { return r.of(relation) == nil }
	return r.filter != nil && readsAny(r.filter, outer) ||
		slices.ContainsFunc(r.sources, func(s *source) bool { return s.On != nil && readsAny(s.On, outer) })
}
