package syntax

import "github.com/intramuros/intramuros/internal/value"

func negation(t *Expr, negated bool) *Expr {
	if negated {
		return NewOperator("not", t)
	}
	return t
}

// IsComparison reports whether the operator is a comparison, such as = or <>.
func IsComparison(name string) bool { return comparisons[name] }

// IsArithmetic reports whether the operator is arithmetic, such as + or DIV.
func IsArithmetic(name string) bool { return arithmetic[name] }

var comparisons = map[string]bool{"=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

var arithmetic = map[string]bool{"+": true, "-": true, "*": true, "/": true, Divide: true, "div": true, "%": true}

// negative builds -x.
func negative(x *Expr) *Expr {
	switch {
	case x.Kind == Interval:
		t := *x
		t.Args = nil
		for _, a := range x.Args {
			t.Args = append(t.Args, negative(a))
		}
		return &t
	case x.Kind == Literal && x.Literal.Type() == value.TypeInt:
		return NewLiteral(x.At, value.Int(-x.Literal.Int64()))
	case x.Kind == Literal && x.Literal.Type() == value.TypeFloat:
		return NewLiteral(x.At, value.Float(-x.Literal.Float64()))
	}
	return NewOperator("neg", x)
}

// multiplied builds x * y. n * INTERVAL '1' DAY is an interval of n days.
func multiplied(x, y *Expr) *Expr {
	of, n := x, y
	if y.Kind == Interval {
		of, n = y, x
	}
	if of.Kind != Interval || n.Kind == Interval {
		return NewOperator("*", x, y)
	}
	t := *of
	by := n
	if one := of.Args[0]; one.Kind != Literal || one.Literal != value.Int(1) {
		n = NewOperator("*", n, one)
	}
	t.Args = []*Expr{n}
	if len(of.Args) > 1 {
		t.Args = append(t.Args, multiplied(by, of.Args[1]))
	}
	return &t
}

// among builds left IN (list).
func among(left *Expr, list []*Expr, negated bool) *Expr {
	return negation(NewOperator("in", append([]*Expr{left}, list...)...), negated)
}
