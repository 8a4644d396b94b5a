package planner

import (
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// kind classifies a query, once. depth is how deep it stands within others. Rows that are read to classify it are kept
// for its plan.
func (c *programPlanner) kind(q *syntax.Query, within *relational.Scope, depth int) kind {
	if c.kinds[q] == 0 {
		c.kinds[q] = c.classify(q, within, depth)
	}
	return c.kinds[q]
}

func (c *programPlanner) classify(q *syntax.Query, within *relational.Scope, depth int) kind {
	inner := within.Extend(q.With)
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
	case relational.ReadsNoTable(s), len(s.From) > 0 && read == kindConstants:
		return kindConstants
	case read == kindRelease:
		return kindRelease
	case len(s.From) > 0 && s.IsGrouped() && len(s.GroupBy) < 2 && !c.rows(q, within, depth).ByPatient(s):
		return kindRelease
	}
	return kindRows
}

// reads classifies a SELECT by what it reads: constants if it reads nothing else, a release if it reads one.
func (c *programPlanner) reads(s *syntax.Select, within *relational.Scope, depth int) kind {
	all := kindConstants
	for _, f := range s.From {
		query, scope := within.QueryOf(f)
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

// rows reads the rows of a SELECT over patients and keeps them for its plan. Without FROM there are none.
func (c *programPlanner) rows(q *syntax.Query, within *relational.Scope, depth int) *relational.Resolver {
	return within.Read(q, c.federation.vocabulary(), depth)
}

// isScalarRelease reports whether a scalar subquery within a SELECT over these rows aggregates over patients. It does
// if no key identifies the patient and nothing correlates it with the outer row. Planning reads its rows again, because
// the outer relations decide how relations are named.
func (c *programPlanner) isScalarRelease(q *syntax.Query, around *relational.Resolver) bool {
	if c.kinds[q] == 0 {
		c.kinds[q] = kindRows
		if s := q.Select; s != nil && !relational.ReadsNoTable(s) && len(s.GroupBy) < 2 {
			inner := around.Scope.Extend(q.With)
			switch c.reads(s, inner, around.Depth+1) {
			case kindRelease:
				c.kinds[q] = kindRelease
			case kindRows:
				in := around.Inner(inner)
				if s.IsGrouped() {
					in.Read(s)
					if !in.ReadsAround() && !in.ByPatient(s) {
						c.kinds[q] = kindRelease
					}
				}
			}
		}
	}
	return c.kinds[q] == kindRelease
}
