package relational

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Opaque returns the i-th of the given values as a constant, from 0. If there are fewer values, it returns a stand-in.
// A literal would tell something about the terms that it is compared with. This constant tells nothing, so a plan that
// was made with the stand-in also holds with the value.
func Opaque(of value.Type, i int, given []value.Value) *expr.Expr {
	v := standIn(of, i)
	if i < len(given) {
		v = given[i]
	}
	return &expr.Expr{Op: expr.OpCoalesce, Type: of, Args: []*expr.Expr{expr.Literal(v), expr.Literal(v)}}
}

// standIn returns a value of the type for the n-th unknown number, from 0. All stand-ins differ, except bools.
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
