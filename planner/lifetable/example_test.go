package lifetable_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/lifetable"
	"github.com/intramuros/intramuros/planner/syntax"
)

// options reads the options of a table function.
func options(sql string) lifetable.Options {
	s, err := syntax.Parse(sql)
	if err != nil {
		panic(err)
	}
	return lifetable.ReadOptions(s.Query.Select.From[0].Function)
}

func ExampleReadOptions() {
	o := options("SELECT * FROM KAPLAN_MEIER((SELECT days, died FROM stay), horizon => 365, step => 7)")
	table := o.Table(syntax.Position{})
	fmt.Println(table.Steps, table.Step, table.Every)
	// Output: 53 7 21
}

// Back counts steps from the horizon. 30 days in steps of 10 give bucket 0 beyond the horizon, and buckets 1 to 3.
func ExampleBack() {
	table := options("SELECT * FROM KAPLAN_MEIER((SELECT days, died FROM stay), horizon => 30, step => 10)").Table(syntax.Position{})
	back := lifetable.Back(expr.Column("stay", "days", value.TypeInt), syntax.Position{}, table)
	for _, days := range []int64{5, 10, 11, 30, 31, 400} {
		v := expr.Evaluate(back, func(*expr.Expr) value.Value { return value.Int(days) })
		fmt.Println(days, v)
	}
	// Output:
	// 5 3
	// 10 3
	// 11 2
	// 30 1
	// 31 0
	// 400 0
}
