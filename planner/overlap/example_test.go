package overlap_test

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/overlap"
)

// Patients over 60 are a part of all patients: 0 to 1 times as many.
func ExamplePartOf() {
	age := expr.Column("person", "age", value.TypeInt)
	old, err := expr.New(expr.OpGreater, age, expr.Literal(value.Int(60)))
	if err != nil {
		panic(err)
	}
	all := fragment.Partial{Kind: fragment.PartialPatients}
	some := fragment.Partial{Kind: fragment.PartialPatients, Expr: old}
	fmt.Println(overlap.PartOf(some, all))
	fmt.Println(overlap.PartOf(all, some))
	// Output:
	// 0 1 true
	// 0 1 false
}

// A column of an inner query is replaced by its expression over the table.
func ExampleInlined() {
	d := &fragment.Query{
		Relations: []fragment.Relation{{Name: "person", Table: "person"}},
		Columns:   []fragment.Output{{Name: "years", Expr: expr.Column("person", "age", value.TypeInt)}},
	}
	relations := []fragment.Relation{{Name: "p", Query: d}}
	fmt.Println(overlap.Inlined(expr.Column("p", "years", value.TypeInt), relations))
	// Output: p/person.age
}
