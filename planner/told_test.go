package planner

import (
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
)

func composeOMOP(t *testing.T, sql string) *Program {
	t.Helper()
	p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 0.2, Delta: 1e-8}}, Federation{Catalog: catalog.OMOP(), Hospitals: []string{"a"}})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return p
}

// COALESCE of a count or a sum, which is never NULL, has the interval of the count.
func TestCoalesceKeepsTheInterval(t *testing.T) {
	p := composeOMOP(t, "SELECT COUNT(*) AS n, COALESCE(COUNT(*), 0) AS whole, 1.0 * COALESCE(COUNT(*), 0) / 2 AS half FROM person")
	answer, err := p.Finish(exactCells(t, p, 20_000), 0.95)
	if err != nil {
		t.Fatal(err)
	}
	n, whole, half := answer.Rows[0][0], answer.Rows[0][1], answer.Rows[0][2]
	if whole != n || half.Low.Float64() != n.Low.Float64()/2 || half.High.Float64() != n.High.Float64()/2 {
		t.Errorf("the intervals are %v, %v and %v", n, whole, half)
	}
}

// What is linear in counts is as wide, however many values there are, and its error is told as a count's.
func TestLinearErrorsNeedNoNumberOfValues(t *testing.T) {
	for _, x := range composeOMOP(t, "SELECT COUNT(*) / 3.0 AS third, COUNT(*) - COUNT(care_site_id) AS rest, COALESCE(COUNT(*), 0) AS n FROM person").Expected(0.95) {
		if x.Note != "" || x.Values != 0 || !(x.HalfWidth > 1) {
			t.Errorf("%s is expected %s, with %v values", x.Column, x, x.Values)
		}
	}
	for _, x := range composeOMOP(t, "SELECT AVG(year_of_birth) AS mean FROM person").Expected(0.95) {
		if !strings.Contains(x.Note, "with 1000 values") {
			t.Errorf("%s is expected %s", x.Column, x)
		}
	}
}
