package scalar_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// term is the first item of SELECT as an expression over t, which has the columns born and age.
func term(sql string) *expr.Expr {
	s, err := syntax.Parse(sql)
	if err != nil {
		panic(err)
	}
	var resolve func(t *syntax.Expr) *expr.Expr
	resolve = func(t *syntax.Expr) *expr.Expr {
		if t.Kind == syntax.Column {
			return expr.Column("t", t.Name, map[string]value.Type{"born": value.TypeDate, "age": value.TypeInt}[t.Name])
		}
		return scalar.Build(t, resolve)
	}
	return resolve(s.Query.Select.Items[0].Term)
}

// A term of the text becomes an expression of typed operations.
func ExampleBuild() {
	fmt.Println(term("SELECT DATE_TRUNC('month', born) + INTERVAL '1 week' FROM t"))
	fmt.Println(term("SELECT CASE WHEN age >= 65 THEN 'old' END FROM t"))
	// Output:
	// DATE_TRUNC('month', t.born) + 7
	// CASE WHEN t.age >= 65 THEN 'old' ELSE NULL END
}

// Equivalent conditions are written in one way. So they are one question, which is paid for once.
func ExampleNormalized() {
	fmt.Println(scalar.Normalized(term("SELECT age < 90 AND 18 <= age AND age < 90 FROM t")))
	// Output: t.age < 90 AND t.age >= 18
}
