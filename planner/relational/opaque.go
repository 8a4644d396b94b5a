package relational

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Opaque is the i-th of the given values as a constant, from 0, or what stands in for it where there are fewer. Nothing
// is inferred from such a constant of what it is compared with, as it would be from a literal. So a plan that was made
// without the value holds with it.
func Opaque(of value.Type, i int, given []value.Value) *expr.Expr {
	v := standIn(of, i)
	if i < len(given) {
		v = given[i]
	}
	return &expr.Expr{Op: expr.OpCoalesce, Type: of, Args: []*expr.Expr{expr.Literal(v), expr.Literal(v)}}
}

// standIn is a value of a type for the n-th number that is not known yet, from 0; no two are alike, save bools.
func standIn(of value.Type, n int) value.Value {
	switch of {
	case value.TypeInt:
		return value.Int(int64(n + 1))
	case value.TypeFloat:
		return value.Float(float64(n) + 1.5)
	case value.TypeDate:
		return value.Date(int64(10957 + n)) // 2000-01-01
	case value.TypeTimestamp:
		return value.Timestamp(int64(10957+n) * 86400e6)
	case value.TypeBool:
		return value.Bool(true)
	}
	return value.Text(fmt.Sprintf("number %d", n+1))
}
