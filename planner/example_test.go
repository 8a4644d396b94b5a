package planner_test

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/planner"
)

// federation is three hospitals with one table.
func federation() planner.Federation {
	c, err := catalog.Parse([]byte(`
catalog: example
max_groups: 1
max_rows: 1
tables:
  person:
    key: person_id
    patient: person_id
    columns:
      person_id: {type: int, nullable: false}
      sex: {type: text, nullable: false, domain: [f, m]}
      age: {type: int, bounds: [0, 120]}
`), "example.yaml")
	if err != nil {
		panic(err)
	}
	return planner.Federation{Catalog: c, Hospitals: []string{"lille", "lyon", "rennes"}, Accounting: dp.Pure}
}

func ExampleCompose() {
	program, err := planner.Compose(planner.Query{SQL: "SELECT sex, AVG(age) FROM person GROUP BY sex", Ask: planner.Ask{Epsilon: 1}}, federation())
	if err != nil {
		panic(err)
	}
	release := program.Releases[0]
	fmt.Println(len(release.Fragment.Partials), "partial aggregates,", len(release.Fragment.Groups()), "groups, epsilon", release.Noise.Epsilon)
	// Output: 2 partial aggregates, 2 groups, epsilon 1
}

// A query for rows of patients is refused before any hospital is asked.
func ExampleError() {
	_, err := planner.Compose(planner.Query{SQL: "SELECT age FROM person", Ask: planner.Ask{Epsilon: 1}}, federation())
	refusal, hint, _ := strings.Cut(err.Error(), "; ")
	fmt.Println(refusal)
	fmt.Println(hint)
	// Output:
	// ROW_LEVEL at line 1, column 8: rows of patients are never shown
	// ask for aggregates, such as COUNT(*) or AVG(x), with GROUP BY
}
