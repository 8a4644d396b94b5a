package clamp_test

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/clamp"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// row is an expression over the table t of whole numbers.
func row(sql string) *expr.Expr {
	s, err := syntax.Parse("SELECT " + sql + " FROM t")
	if err != nil {
		panic(err)
	}
	var resolve func(t *syntax.Expr) *expr.Expr
	resolve = func(t *syntax.Expr) *expr.Expr {
		if t.Kind == syntax.Column {
			return expr.Column("t", t.Name, value.TypeInt)
		}
		return scalar.Build(t, resolve)
	}
	return resolve(s.Query.Select.Items[0].Term)
}

// Within finds a CLAMP anywhere in an expression.
func ExampleWithin() {
	for _, c := range clamp.Within(row("2 * LEAST(GREATEST(x, 0), 10) + GREATEST(LEAST(y, 5), 1)")) {
		fmt.Println(c)
	}
	// Output: GREATEST(LEAST(t.y, 5), 1)
}

// The known range of x decides which of the bounds may move it.
func ExampleMoves() {
	e := row("GREATEST(LEAST(x, 10), 0)")
	known := func(lower, upper float64) func(*expr.Expr) expr.Range {
		return func(*expr.Expr) expr.Range { return expr.Range{Lower: lower, Upper: upper} }
	}
	fmt.Println(clamp.Moves(e, e, syntax.Position{}, known(math.Inf(-1), math.Inf(1))))
	fmt.Println(clamp.Moves(e, e, syntax.Position{}, known(0, 300)))
	fmt.Println(clamp.Moves(e, e, syntax.Position{}, known(0, 10)))
	// Output:
	// t.x < 0 OR t.x > 10
	// t.x > 10
	// <nil>
}
