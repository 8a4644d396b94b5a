package planner

import "testing"

// A name of WITH means the innermost query of that name, also if the query that reads it is rewritten.
func TestInnermostWithIsMeant(t *testing.T) {
	const outer = "WITH x AS (SELECT year_of_birth AS age, ROW_NUMBER() OVER (ORDER BY year_of_birth) AS rn, COUNT(*) OVER () AS n FROM person) "
	plan := func(name string) string {
		sql := outer + "SELECT median FROM (WITH " + name +
			" AS (SELECT 2020 - year_of_birth AS age, ROW_NUMBER() OVER (ORDER BY year_of_birth DESC) AS rn, COUNT(*) OVER () AS n FROM person)" +
			" SELECT MIN(CASE WHEN rn >= 0.5 * n THEN age END) AS median FROM " + name + ") q"
		p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1}}, federation(t, "omop"))
		if err != nil {
			t.Fatal(err)
		}
		return p.Releases[0].Fragment.Partials[0].Expr.String()
	}
	if of, want := plan("x"), plan("y"); of != want {
		t.Errorf("the median is of %s, and not of %s", of, want)
	}
}
