package planner

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
)

// TestSharesAddUp checks that the releases of one query together cost at most what was asked.
func TestSharesAddUp(t *testing.T) {
	fed := federation(t, "omop")
	arm := "SELECT gender_concept_id AS k, COUNT(*) AS n FROM person GROUP BY gender_concept_id"
	for range 60 {
		n := 2 + rand.IntN(6)
		sql := strings.Repeat(arm+" UNION ALL ", n-1) + arm
		if rand.IntN(2) == 0 {
			sql = "SELECT gender_concept_id, race_concept_id, COUNT(*) FROM person GROUP BY " +
				[]string{"ROLLUP (gender_concept_id, race_concept_id)", "CUBE (gender_concept_id, race_concept_id)", "GROUPING SETS ((gender_concept_id), (race_concept_id), ())"}[rand.IntN(3)]
		}
		if rand.IntN(4) == 0 {
			table := "KAPLAN_MEIER((SELECT year_of_birth, gender_concept_id = 8532 FROM person), horizon => 2000, step => 100)"
			sql = "SELECT time, survival FROM " + table + strings.Repeat(" UNION ALL SELECT time, survival FROM "+table, n-1)
		}
		for _, accounting := range []dp.Accounting{dp.Pure, dp.ZCDP} {
			fed.Accounting = accounting
			q := Query{SQL: sql, Ask: Ask{Epsilon: []float64{1, 0.1, 0.3, 2.0 / 3, 0.01 + rand.Float64()}[rand.IntN(5)], Delta: 1e-6}}
			p, err := Compose(q, fed)
			if err != nil {
				t.Fatal(err)
			}
			delta, sum := 0.0, dp.Loss{}
			for _, r := range p.Releases {
				delta += thresholdDelta(r)
				loss, err := r.Noise.Loss(thresholdDelta(r))
				if err != nil {
					t.Fatal(err)
				}
				if sum, err = sum.Plus(loss); err != nil {
					t.Fatal(err)
				}
			}
			whole, err := (dp.Noise{Mechanism: dp.Laplace, Epsilon: q.Epsilon, Limit: 1}).Loss(q.Delta)
			if err != nil {
				t.Fatal(err)
			}
			spent, asked := sum.Epsilon, whole.Epsilon
			if accounting == dp.ZCDP {
				spent, asked = sum.Rho, whole.Rho
			}
			n := int64(len(p.Releases))
			if spent > asked || spent < asked-3*n || sum.Delta > whole.Delta || delta > q.Delta*(1+1e-12) || n < 2 {
				t.Errorf("%s: %d releases are charged %+v, and %+v was asked: %s", accounting, n, sum, whole, sql)
			}
		}
	}
}

func thresholdDelta(p *Plan) float64 {
	if p.Selection == nil {
		return 0
	}
	return p.Selection.Delta
}
