package tabular_test

import (
	"fmt"

	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

var (
	columns = []planner.Column{{Name: "sex", Type: value.TypeText}, {Name: "n", Type: value.TypeInt, Noisy: true}}
	row     = []planner.Estimate{
		{Value: value.Text("f")},
		{Value: value.Int(41), Low: value.Int(38), High: value.Int(44)},
	}
)

// An answer is a flat table in which the ends of intervals are columns.
func ExampleColumns() {
	for _, c := range tabular.Columns(columns, true) {
		fmt.Println(c.Name, tabular.Text(c.Of(row)))
	}
	// Output:
	// sex f
	// n 41
	// n_low 38
	// n_high 44
}

// An answer is also a record batch of Arrow.
func ExampleRecord() {
	flat, rows := tabular.Columns(columns, false), [][]planner.Estimate{row}
	r := tabular.Record(tabular.Schema(flat, 0.95, nil, rows), flat, rows)
	defer r.Release()
	fmt.Println(r.NumRows(), r.ColumnName(1), r.Column(1))
	// Output: 1 n [41]
}
