package relational

import (
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// byMoments rewrites STDDEV and VARIANCE of one patient's rows, or of released rows, by count, sum and sum of squares.
// It returns nil for other functions. Rounding may give a result below 0 instead of 0; then it is 0.
func byMoments(t *syntax.Expr) *syntax.Expr {
	sample := false
	switch t.Name {
	case "stddev", "stddev_samp", "variance", "var_samp":
		sample = true
	case "stddev_pop", "var_pop":
	default:
		return nil
	}
	if t.Kind != syntax.Call || len(t.Args) != 1 || t.Star || t.Distinct {
		return nil
	}
	of := func(name string, x *syntax.Expr) *syntax.Expr {
		m := *t
		m.Name, m.Args = name, []*syntax.Expr{x}
		return &m
	}
	op := syntax.NewOperator
	float := func(x *syntax.Expr) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Cast, At: t.At, Type: value.TypeFloat, Args: []*syntax.Expr{x}}
	}
	number := func(n int64) *syntax.Expr { return syntax.NewLiteral(t.At, value.Int(n)) }
	x := t.Args[0]
	n, sum, squares := of("count", x), float(of("sum", x)), float(of("sum", op("*", x, x)))
	parts := n
	if sample {
		parts = op("-", n, number(1))
	}
	spread := op(syntax.Divide, op("-", squares, op(syntax.Divide, op("*", sum, sum), float(n))), float(parts))
	spread = op("case", op("<", spread, number(0)), number(0), spread)
	if t.Name == "stddev" || t.Name == "stddev_samp" || t.Name == "stddev_pop" {
		return &syntax.Expr{Kind: syntax.Call, Name: "sqrt", At: t.At, Args: []*syntax.Expr{spread}}
	}
	return spread
}
