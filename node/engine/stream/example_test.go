package stream_test

import (
	"context"
	"fmt"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/stream"
	"github.com/intramuros/intramuros/planner"
)

// release plans a count of visits, of which two for each patient count in full.
func release() *planner.Plan {
	c, err := catalog.Parse([]byte(`
catalog: example
tables:
  visit:
    patient: patient
    columns:
      patient: {type: int, nullable: false}
`), "example.yaml")
	if err != nil {
		panic(err)
	}
	p, err := planner.Compose(
		planner.Query{SQL: "SELECT COUNT(*) FROM visit", Ask: planner.Ask{Epsilon: 1, MaxRows: 2}},
		planner.Federation{Catalog: c, Hospitals: []string{"lille"}, Accounting: dp.ZCDP})
	if err != nil {
		panic(err)
	}
	return p.Releases[0]
}

// visits adds up rows of these patients, in units of a row.
func visits(patients ...int64) float64 {
	r := release()
	op, err := stream.New(r.Fragment, r.Proof, []int{-1, -1}).New(1 << 24)
	if err != nil {
		panic(err)
	}
	if err := op.Add(len(patients), []stream.Column{{Ints: patients}}); err != nil {
		panic(err)
	}
	if again, err := op.EndPass(context.Background(), 1); again || err != nil {
		panic(err)
	}
	var n float64
	err = op.Each(func(_ []value.Value, partials []int64) error {
		n = float64(partials[0]) / float64(r.Proof.Units[0])
		return nil
	})
	if err != nil {
		panic(err)
	}
	return n
}

// A patient's rows are gathered in any order and clipped together.
func ExampleOperator() {
	fmt.Printf("%.1f\n", visits(1, 2, 3))
	fmt.Printf("%.1f\n", visits(1, 1, 1, 1, 1, 1))
	fmt.Printf("%.1f\n", visits(1, 1, 2, 1, 1, 3, 1, 1))
	// Output:
	// 3.0
	// 2.0
	// 4.0
}

// An operator takes columns in the order of its plan: the patient, the keys, the numbers.
func ExamplePlan() {
	r := release()
	plan := stream.New(r.Fragment, r.Proof, []int{-1, -1})
	fmt.Println(plan.Columns(), plan.Type(0), len(plan.Parts), plan.Unclipped)
	// Output: 1 int 2 false
}
