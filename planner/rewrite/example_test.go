package rewrite_test

import (
	"fmt"

	"github.com/intramuros/intramuros/planner/rewrite"
	"github.com/intramuros/intramuros/planner/syntax"
)

func parse(sql string) *syntax.Query {
	s, err := syntax.Parse(sql)
	if err != nil {
		panic(err)
	}
	return s.Query
}

// Several grouping sets become one query each.
func ExampleGroupingSets() {
	q := rewrite.GroupingSets(parse("SELECT sex, COUNT(*) FROM person GROUP BY ROLLUP (sex)"))
	for _, side := range []*syntax.Query{q.SetOperation.Left, q.SetOperation.Right} {
		fmt.Println(len(side.Select.GroupBy), side.Select.Items[0].Term.Describe())
	}
	// Output:
	// 1 sex
	// 0 NULL
}

// The value at the middle row number over patients is the median. A median does not need to number the patients.
func ExampleQuantiles() {
	q, found := rewrite.Quantiles(parse(`
		WITH ranked AS (SELECT age, ROW_NUMBER() OVER (ORDER BY age) AS r, COUNT(*) OVER () AS n FROM person)
		SELECT MIN(CASE WHEN r >= 0.5 * n THEN age END) AS middle FROM ranked`), nil)
	median := q.Select.Items[0].Term
	fmt.Println(found, median.Name, median.Args[0].Name, median.Args[1].Literal)
	// Output: true quantile age 0.5
}
