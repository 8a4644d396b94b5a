package relational

import (
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/planner/syntax"
)

// constantsOf returns the constants of a FROM item that is a query without tables, or nil.
func (r *Resolver) constantsOf(f syntax.From) *constants {
	query, within, names := f.Query, r.Scope, f.Columns
	if w := r.Scope.find(f.Table); query == nil && w != nil {
		query, within = w.Query, w.within
		if names == nil {
			names = w.Columns
		}
	}
	if query == nil || query.Select == nil || query.Limit != nil || query.Offset != nil {
		return nil
	}
	s := query.Select
	if len(s.Values) > 1 || !ReadsNoTable(s) {
		return nil
	}
	of := &Resolver{Catalog: r.Catalog, Scope: within.Extend(query.With), Depth: r.Depth}
	c := &constants{alias: f.Alias, values: s.Values != nil}
	for i, item := range s.Items {
		name := item.Name()
		if i < len(names) {
			name = names[i]
		}
		c.names, c.exprs = append(c.names, name), append(c.exprs, of.Row(item.Term))
	}
	return c
}

// constant returns the value of a name among the queries without tables, or nil. If two of their columns have the name,
// it also returns the error.
func (r *Resolver) constant(t *syntax.Expr) (found *expr.Expr, ambiguity *syntax.Error) {
	for _, c := range r.constants {
		if t.Qualifier != "" && t.Qualifier != c.alias {
			continue
		}
		for i, name := range c.names {
			if name != t.Name {
				continue
			}
			if found != nil {
				return nil, ambiguous(t, "write "+strings.TrimSpace(c.alias)+"."+t.Name)
			}
			found = c.exprs[i]
		}
	}
	return found, nil
}

// ofConstants resolves (SELECT start FROM params). It returns nil if the query reads a table.
func (r *Resolver) ofConstants(q *syntax.Query) *expr.Expr {
	s := q.Select
	if s == nil || len(s.Items) != 1 || s.Where != nil || len(s.GroupBy) > 0 || s.Having != nil || s.Qualify != nil || q.Limit != nil || q.Offset != nil {
		return nil
	}
	in := &Resolver{Catalog: r.Catalog, Scope: r.Scope.Extend(q.With), Depth: r.Depth + 1}
	for _, f := range s.From {
		c := in.constantsOf(f)
		if c == nil || f.On != nil || f.Using != nil || f.Natural {
			return nil
		}
		in.constants = append(in.constants, c)
	}
	if len(s.From) == 0 || s.Items[0].Term.Aggregate() != nil || s.Items[0].Term.Window() != nil || s.Items[0].Term.Kind == syntax.Star {
		return nil
	}
	return in.Row(s.Items[0].Term)
}
