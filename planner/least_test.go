package planner

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
)

// Whatever is asked at whatever price, no release costs less than the least price. The epsilon that a refusal names is
// enough, and not much more than enough.
func TestLeastPrice(t *testing.T) {
	programs := []string{
		"SELECT COUNT(*) FROM person",
		"SELECT gender_concept_id, AVG(year_of_birth), MEDIAN(year_of_birth) FROM person GROUP BY 1",
		"SELECT visit_concept_id, COUNT(*) FROM visit_occurrence GROUP BY ROLLUP (visit_concept_id)",
		"SELECT * FROM KAPLAN_MEIER((SELECT year_of_birth - 1900, gender_concept_id = 8507 FROM person), horizon => 50)",
	}
	var arms []string
	for i := range 7 {
		arms = append(arms, fmt.Sprintf("SELECT COUNT(*) FROM person WHERE year_of_birth > %d", 1900+i))
	}
	programs = append(programs, strings.Join(arms, " UNION ALL "))
	refused, gaussian := 0, 0
	for _, accounting := range []dp.Accounting{dp.Pure, dp.ZCDP} {
		for _, least := range []float64{0.01, 0.003, 0.1} {
			cheapest, err := dp.Noise{Mechanism: dp.Laplace, Epsilon: least, Limit: 1}.Loss(0)
			if err != nil {
				t.Fatal(err)
			}
			fed := federation(t, "omop")
			fed.Accounting = accounting
			compose := func(sql string, epsilon float64) (*Program, *Error) {
				p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: epsilon, Delta: 1e-8}, Least: cheapest}, fed)
				var e *Error
				if err != nil && !errors.As(err, &e) {
					t.Fatal(err)
				}
				if e == nil {
					for _, r := range p.Releases {
						if accounting.Cheaper(r.Loss, cheapest) {
							t.Errorf("%s: at epsilon %g a release costs %+v", sql, epsilon, r.Loss)
						}
						if r.Noise.Mechanism == dp.Gaussian {
							gaussian++
						}
					}
				}
				return p, e
			}
			for _, sql := range programs {
				for _, epsilon := range []float64{1e-4, 0.002, 0.01, 0.03, 0.04, 0.2, 0.3} {
					_, e := compose(sql, epsilon)
					if e == nil {
						continue
					}
					if e.Code != CodePrice {
						t.Fatalf("%s: %v", sql, e)
					}
					refused++
					var enough float64
					if _, err := fmt.Sscanf(e.Hint, "ask with an epsilon of at least %g", &enough); err != nil {
						t.Fatalf("%q: %v", e.Hint, err)
					}
					if _, e := compose(sql, enough); e != nil {
						t.Errorf("%s: the hint %g does not work: %v", sql, enough, e)
					}
					if _, e := compose(sql, enough*0.97); e == nil {
						t.Errorf("%s: %g was enough, and %g was asked for", sql, enough*0.97, enough)
					}
				}
				p, err := Compose(Query{SQL: "SELECT COUNT(*) FROM person", Ask: Ask{Delta: 1e-8, Accuracy: &Accuracy{HalfWidth: 1e7, Confidence: 0.95}}, Least: cheapest, MaxEpsilon: 1}, fed)
				if err != nil {
					t.Fatal(err)
				}
				if accounting.Cheaper(p.Releases[0].Loss, cheapest) || p.Releases[0].Noise.Epsilon > 20*least {
					t.Errorf("a coarse accuracy costs epsilon %g", p.Releases[0].Noise.Epsilon)
				}
			}
		}
	}
	if refused < 50 || gaussian == 0 {
		t.Errorf("%d were refused, %d releases were Gaussian; the test shows little", refused, gaussian)
	}
}

// Under pure accounting nothing can be sealed. Such a query is refused with a code, a reason and a hint.
func TestPureIsNotSealed(t *testing.T) {
	fed := federation(t, "eicu")
	fed.Accounting, fed.Covered = dp.Pure, true
	_, err := Compose(Query{SQL: "SELECT COUNT(*) FROM patient", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeSealed || !strings.Contains(e.Hint, "zcdp") {
		t.Errorf("%v", err)
	}
}
