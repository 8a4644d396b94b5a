package planner

import (
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

// constants is a query of one row that reads no table, such as WITH params AS (SELECT DATE '2020-01-01' AS start).
// Its columns stand for what they are; it is no relation of the plan.
type constants struct {
	alias string
	names []string
	exprs []*fragment.Expr
	// values: it is VALUES of one row, which may stand for a table as those of more do.
	values bool
}

// constantsOf returns what a table of FROM stands for, where it is a query that reads no table.
func (r *resolver) constantsOf(f fromSyntax) *constants {
	query, within, names := f.query, r.scope, f.columns
	if w := r.scope.find(f.table); query == nil && w != nil {
		query, within = w.query, w.within
		if names == nil {
			names = w.columns
		}
	}
	if query == nil || query.selected == nil || query.limit != nil || query.offset != nil {
		return nil
	}
	s := query.selected
	if len(s.values) > 1 || !s.ofConstants() {
		return nil
	}
	of := &resolver{catalog: r.catalog, scope: within.with(query.with), depth: r.depth}
	c := &constants{alias: f.alias, values: s.values != nil}
	for i, item := range s.items {
		name := item.name()
		if i < len(names) {
			name = names[i]
		}
		c.names, c.exprs = append(c.names, name), append(c.exprs, of.row(item.term))
	}
	return c
}

// constant returns what a name stands for among the queries without a table; nil where it is none.
func (r *resolver) constant(t *termSyntax) *fragment.Expr {
	var found *fragment.Expr
	for _, c := range r.constants {
		if t.qualifier != "" && t.qualifier != c.alias {
			continue
		}
		for i, name := range c.names {
			if name != t.name {
				continue
			}
			if found != nil {
				refuse(CodeAmbiguous, t.at, "write "+strings.TrimSpace(c.alias)+"."+t.name, "%s is a column of more than one table here", t.name)
			}
			found = c.exprs[i]
		}
	}
	return found
}

// ofConstants resolves (SELECT start FROM params); nil where the query reads a table.
func (r *resolver) ofConstants(q *querySyntax) *fragment.Expr {
	s := q.selected
	if s == nil || len(s.items) != 1 || s.where != nil || len(s.groupBy) > 0 || s.having != nil || s.qualify != nil || q.limit != nil || q.offset != nil {
		return nil
	}
	in := &resolver{catalog: r.catalog, scope: r.scope.with(q.with), depth: r.depth + 1}
	for _, f := range s.from {
		c := in.constantsOf(f)
		if c == nil || f.on != nil || f.using != nil || f.natural {
			return nil
		}
		in.constants = append(in.constants, c)
	}
	if len(s.from) == 0 || aggregateWithin(s.items[0].term) != nil || windowWithin(s.items[0].term) != nil || s.items[0].term.kind == termStar {
		return nil
	}
	return in.row(s.items[0].term)
}
