package overlap

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// PartOf reports whether a patient's x is l to u times their y, counted in rows or patients. Both read the same rows,
// and a patient who is clipped is scaled as a whole, so the relation stays true.
func PartOf(x, y fragment.Partial) (l, u float64, ok bool) {
	switch x.Kind {
	case fragment.PartialPatients:
		return 0, 1, y.Kind == fragment.PartialPatients && (y.Expr == nil || x.Expr != nil && implies(conjuncts(x.Expr), conjuncts(y.Expr)))
	case fragment.PartialValues:
		return 0, 1, y.Kind == fragment.PartialRows || y.Kind == fragment.PartialValues && implies(presence(x.Expr), presence(y.Expr))
	case fragment.PartialSum:
		l, u = math.Min(0, float64(x.Grid.Lower-x.Grid.Center)), math.Max(0, float64(x.Grid.Upper-x.Grid.Center))
		switch {
		case y.Kind == fragment.PartialRows:
			return l, u, true
		case x.Grid.Center != 0:
			return l, u, y.Kind == fragment.PartialValues && x.Expr.Equal(y.Expr)
		case y.Kind == fragment.PartialValues:
			return l, u, x.Expr.Equal(y.Expr) || implies(nonzero(x.Expr), presence(y.Expr))
		case y.Kind == fragment.PartialSum: // a sum of ones and zeros over all rows, with the same weights
			c, ok := indicator(x.Expr)
			d, also := indicator(y.Expr)
			return 0, 1, ok && also && implies(conjuncts(c), conjuncts(d))
		}
	}
	return 0, 0, false
}

// indicator returns the condition c of CASE WHEN c THEN 1 ELSE 0 END.
func indicator(e *expr.Expr) (*expr.Expr, bool) {
	is := func(e *expr.Expr, n float64) bool {
		return e.Op == expr.OpLiteral && !e.Value.IsNull() && e.Type == value.TypeInt && e.Value.Float64() == n
	}
	if e.Op != expr.OpCase || len(e.Args) != 3 || !is(e.Args[1], 1) || !is(e.Args[2], 0) {
		return nil, false
	}
	return e.Args[0], true
}

// condition is a condition, or the condition that an expression is not NULL.
type condition struct {
	of       *expr.Expr
	presence bool
}

func (c condition) same(o condition) bool { return c.presence == o.presence && c.of.Equal(o.of) }

// conjuncts lists the conditions that AND joins.
func conjuncts(c *expr.Expr) []condition {
	var all []condition
	for _, part := range expr.Conjuncts(c) {
		all = append(all, condition{of: part})
	}
	return all
}

// presence lists conditions that hold exactly if an expression is not NULL.
func presence(e *expr.Expr) []condition {
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[2].Op == expr.OpLiteral && e.Args[2].Value.IsNull() {
		all := conjuncts(e.Args[0])
		if then := e.Args[1]; then.Op != expr.OpLiteral || then.Value.IsNull() {
			all = append(all, presence(then)...)
		}
		return all
	}
	return []condition{{e, true}}
}

// nonzero lists conditions that hold if an expression is neither NULL nor 0.
func nonzero(e *expr.Expr) []condition {
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[2].Op == expr.OpLiteral &&
		(e.Args[2].Value.IsNull() || e.Args[2].Type.Numeric() && e.Args[2].Value.Float64() == 0) {
		return append(conjuncts(e.Args[0]), nonzero(e.Args[1])...)
	}
	return []condition{{e, true}}
}

// implies reports whether all of these conditions are among those.
func implies(those, these []condition) bool {
	return !slices.ContainsFunc(these, func(c condition) bool { return !slices.ContainsFunc(those, c.same) })
}
