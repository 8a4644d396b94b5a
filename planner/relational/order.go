package relational

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// WithOrder adds the terms of ORDER BY to the items of SELECT. It returns the query without ORDER BY and LIMIT, and a
// function: it gives the column of the i-th order, if there are n columns.
func WithOrder(q *syntax.Query) (*syntax.Query, func(n, i int) int) {
	inner := *q
	inner.OrderBy, inner.Limit, inner.Offset = nil, nil, nil
	if q.Select == nil || q.Select.Distinct {
		items := columnsOf(q)
		return &inner, func(n, i int) int {
			t := q.OrderBy[i].Term
			at := slices.IndexFunc(items, func(i syntax.Item) bool {
				return t.Kind == syntax.Column && t.Qualifier == "" && strings.EqualFold(i.Name(), t.Name) ||
					q.Select != nil && t.Kind != syntax.Literal && i.Term.Equal(t)
			})
			if t.Kind == syntax.Literal && t.Literal.Type() == value.TypeInt {
				at = int(t.Literal.Int64()) - 1
			}
			if at < 0 || at >= n {
				syntax.Refuse(syntax.CodeNotSupported, t.At, "write the name of a column, or its number", "ORDER BY reads what the rows are made of, not what they are made from")
			}
			return at
		}
	}
	s := *q.Select
	s.Items = slices.Clone(s.Items)
	for _, o := range q.OrderBy {
		s.Items = append(s.Items, syntax.Item{Term: syntax.Ordered(q.Select.Items, o.Term), Alias: syntax.Internal("order")})
	}
	inner.Select = &s
	return &inner, func(n, i int) int { return n - len(q.OrderBy) + i }
}

// columnsOf lists the columns of a query, with the names of its first SELECT.
func columnsOf(q *syntax.Query) []syntax.Item {
	for q.SetOperation != nil {
		q = q.SetOperation.Left
	}
	return q.Select.Items
}

// RowsAsked is the number of LIMIT or OFFSET; where names the clause. It refuses anything but a whole number from 0 to
// 2^31.
func RowsAsked(t *syntax.Expr, where string) int {
	if t.Kind != syntax.Literal || t.Literal.Type() != value.TypeInt || t.Literal.Int64() < 0 || t.Literal.Int64() > 1<<31 {
		syntax.Refuse(syntax.CodeSyntax, t.At, "write a whole number", "%s needs a number of rows", where)
	}
	return int(t.Literal.Int64())
}

// OrderBy is the order of an ORDER BY term. NULLs are the largest values unless it says otherwise.
func OrderBy(o syntax.Order, e *expr.Expr) fragment.Order {
	return fragment.Order{Expr: e, Descending: o.Descending, NullsFirst: o.Nulls == "first" || o.Nulls == "" && o.Descending}
}
