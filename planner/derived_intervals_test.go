package planner

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

// compose plans a query of several releases over the catalog eicu.
func compose(t testing.TB, sql string, epsilon float64) *Program {
	t.Helper()
	p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: epsilon, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// exactCells makes up what hospitals would send for each release: cells of declared keys, with rows*(k+1) rows in the
// k-th.
func exactCells(t testing.TB, p *Program, rows float64) [][]Cell {
	t.Helper()
	all := make([][]Cell, len(p.Releases))
	for i, release := range p.Releases {
		keys := [][]value.Value{nil}
		for _, k := range release.Fragment.Keys {
			var next [][]value.Value
			for _, before := range keys {
				for _, v := range k.Domain {
					next = append(next, append(before[:len(before):len(before)], v))
				}
			}
			keys = next
		}
		for k, key := range keys {
			all[i] = append(all[i], Cell{Keys: key, Noisy: exactPartials(release, rows*float64(k+1))})
		}
	}
	return all
}

// drawn adds noise to the cells.
func drawn(p *Program, exact [][]Cell, r *rand.Rand) [][]Cell {
	all := make([][]Cell, len(exact))
	for i, cells := range exact {
		for _, c := range cells {
			noisy := make([]int64, len(c.Noisy))
			for k, at := range p.Releases[i].places {
				for n := at.start; n < at.end; n++ {
					noisy[n] = int64(math.Round(float64(c.Noisy[n]) + p.Releases[i].noise[k].Quantile(math.Max(r.Float64(), 1e-15))))
				}
			}
			all[i] = append(all[i], Cell{Keys: c.Keys, Noisy: noisy})
		}
	}
	return all
}

// computedForms are computed from several released rows. Their last column is tested. Which rows there are, and their
// order, depends only on keys, so it is the same for the exact answer.
var computedForms = []string{
	"SELECT gender, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () FROM patient GROUP BY gender ORDER BY gender",
	"SELECT gender, ROUND(100.0 * n / SUM(n) OVER (), 1) FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender",
	"SELECT gender, SUM(n) OVER (ORDER BY gender) FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender",
	"SELECT gender, n - LAG(n) OVER (ORDER BY gender) FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender",
	"SELECT MAX(n) FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g",
	"SELECT AVG(n) FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g",
	"SELECT SUM(a) FROM (SELECT gender, AVG(admissionweight) AS a FROM patient GROUP BY gender) g",
	"SELECT 100.0 * COUNT(*) / (SELECT COUNT(*) FROM diagnosis) FROM patient",
	"SELECT COUNT(*) - (SELECT SUM(admissionweight) / 100 FROM patient) FROM patient",
	"SELECT gender, GREATEST(n, 50) * 2 / (1 + ABS(MIN(n) OVER ())) FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender",
}

// TestComputedIntervalsCover draws noise over known cells and counts how often the interval of each row's computed
// number covers the number of the exact cells. The required coverage is 6 standard deviations below 95 %. So one number
// fails by chance less than once in 1e8 runs, and all of them, fewer than 100, less than once in 1e6.
// INTRAMUROS_COVERAGE is the number of draws.
func TestComputedIntervalsCover(t *testing.T) {
	n := 150
	if text := os.Getenv("INTRAMUROS_COVERAGE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	floor := 0.95 - 6*math.Sqrt(0.95*0.05/float64(n))
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for _, sql := range computedForms {
		for _, size := range []float64{20, 2000} {
			p := compose(t, sql, 1)
			exact := exactCells(t, p, size)
			truth, err := p.Finish(exact, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			last := len(p.Columns) - 1
			held, finite, width := make([]int, len(truth.Rows)), 0, 0.0
			for range n {
				answer, err := p.Finish(drawn(p, exact, r), 0.95)
				if err != nil {
					t.Fatal(err)
				}
				for i, row := range answer.Rows {
					e, want := row[last], truth.Rows[i][last].Value
					slack := 1e-9 * (1 + math.Abs(want.Float64()))
					if want.IsNull() || (e.Low.IsNull() || e.Low.Float64() <= want.Float64()+slack) && (e.High.IsNull() || e.High.Float64() >= want.Float64()-slack) {
						held[i]++
					}
					if !e.Low.IsNull() && !e.High.IsNull() && !math.IsInf(e.Low.Float64(), 0) && !math.IsInf(e.High.Float64(), 0) {
						finite++
						width += e.High.Float64() - e.Low.Float64()
					}
				}
			}
			for i, k := range held {
				if got := float64(k) / float64(n); got < floor {
					t.Errorf("%s\n%v rows, row %d: %.4f of the intervals cover, want at least %.4f", sql, size, i, got, floor)
				}
			}
			if size == 2000 && finite < n {
				t.Errorf("%s\n%v rows: hardly an interval has ends", sql, size)
			}
			t.Logf("%v rows, %.3f of %d cover, mean width %.4g: %s", size, float64(sum(held))/float64(n*len(held)), n*len(held), width/float64(max(1, finite)), sql)
		}
	}
}

func sum(all []int) int {
	n := 0
	for _, x := range all {
		n += x
	}
	return n
}

// The interval of a sum over many groups grows with the square root of their number, and it is computed fast.
func TestComputedIntervalsOfManyGroups(t *testing.T) {
	sql := "SELECT w, n, SUM(n) OVER (ORDER BY w), 1.0 * n / SUM(n) OVER () FROM (SELECT CAST(admissionweight AS int) AS w, COUNT(*) AS n FROM patient GROUP BY 1) g ORDER BY w"
	p := compose(t, sql, 1)
	answer, err := p.Finish(exactCells(t, p, 100), 0.95)
	if err != nil {
		t.Fatal(err)
	}
	half := func(e Estimate) float64 { return (e.High.Float64() - e.Low.Float64()) / 2 }
	last := answer.Rows[len(answer.Rows)-1]
	one, all := half(last[1]), half(last[2])
	if groups := float64(len(answer.Rows)); groups < 50 || all > one*groups/3 || all < one {
		t.Errorf("of %v groups, one is ±%v, and their sum ±%v", groups, one, all)
	}
	if share := half(last[3]); !(share > 0 && share < 0.1) {
		t.Errorf("a share is ±%v", share)
	}
}

// If noise may have been anything, an interval is open. A number without noise is certain.
func TestComputedIntervalsAreOpen(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT gender, 1 / (n - LAG(n) OVER (ORDER BY gender)) AS x FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender DESC LIMIT 1", "open"},
		{"SELECT gender, RANK() OVER (ORDER BY n) AS x FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender LIMIT 1", "open"},
		{"SELECT gender, RANK() OVER (ORDER BY gender) AS x FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g ORDER BY gender LIMIT 1", "sure"},
		{"SELECT COUNT(*) AS x FROM (SELECT gender, COUNT(*) AS n FROM patient GROUP BY gender) g", "sure"},
		// The two are stored as one release, so they have the same noise.
		{"SELECT COUNT(*) - (SELECT COUNT(*) FROM patient) AS x FROM patient", "sure"},
	} {
		p := compose(t, c.sql, 1)
		cells := exactCells(t, p, 3)
		answer, err := p.Finish(cells, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		e := answer.Rows[0][len(p.Columns)-1]
		open := func(v value.Value) bool { return v.IsNull() || math.IsInf(v.Float64(), 0) }
		got := "wide"
		switch {
		case open(e.Low) && open(e.High):
			got = "open"
		case e.Low == e.Value && e.High == e.Value:
			got = "sure"
		}
		if got != c.want {
			t.Errorf("%s\nis %s: %v in [%v, %v], want %s", c.sql, got, e.Value, e.Low, e.High, c.want)
		}
	}
}
