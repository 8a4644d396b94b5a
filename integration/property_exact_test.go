package integration

import (
	"database/sql"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner"
)

// TestExactness checks that, without noise and with limits that nobody reaches, every aggregate of a federation is what
// handwritten SQL gives for one database over the union. Sums and numbers computed from them agree up to the steps of
// their grids, and numbers read from trees up to the width of a bucket.
func TestExactness(t *testing.T) {
	c, seed := theCatalog(t), newSeed(t)
	defer func() {
		if t.Failed() {
			t.Logf("repeat with INTRAMUROS_SEED=%d", seed)
		}
	}()
	const days, born = "s.days", "p.born"
	from := "stay s JOIN person p ON p.id = s.id"
	both := " FILTER (WHERE s.days IS NOT NULL AND p.born IS NOT NULL)"
	compared := map[string]int{}
	for i := range 6 {
		w := newWorld(rand.New(rand.NewPCG(seed, uint64(i))), false)
		engines, union := w.open(t, c), w.union(t)
		for _, x := range []struct {
			ours, theirs string // theirs: one or two numbers, and ours must lie between them
			tolerance    float64
			spread       string // at least 1, else all numbers are equal
		}{
			{ours: "COUNT(*)", theirs: "count(*)"},
			{ours: "COUNT(s.days)", theirs: "count(s.days)"},
			{ours: "COUNT(DISTINCT patient)", theirs: "count(DISTINCT s.patient)"},
			{ours: "COUNT(DISTINCT s.days)", theirs: "count(DISTINCT s.days)"},
			{ours: "SUM(DISTINCT s.days)", theirs: "coalesce(sum(DISTINCT s.days), 0)"},
			{ours: "AVG(DISTINCT s.days - 5)", theirs: "avg(DISTINCT s.days - 5)"},
			{ours: "COUNT(DISTINCT CASE WHEN s.days > 5 THEN p.sex END)", theirs: "count(DISTINCT p.sex) FILTER (WHERE s.days > 5 AND p.sex <> 'x')"},
			{ours: "SUM(s.days)", theirs: "coalesce(sum(s.days), 0)"},
			{ours: "SUM(p.born / 7)", theirs: "coalesce(sum(trunc(p.born / 7)), 0)"}, // of integers, divided as in PostgreSQL
			{ours: "SUM((p.born - 1970) / 7)", theirs: "coalesce(sum(trunc((p.born - 1970) / 7)), 0)"},
			{ours: "SUM(p.born / 7.0)", theirs: "coalesce(sum(p.born / 7.0), 0)", tolerance: 0.01},
			{ours: "AVG(s.days)", theirs: "avg(s.days)"},
			{ours: "VAR_POP(s.days)", theirs: "var_pop(s.days)", tolerance: 1e-3},
			{ours: "VAR_SAMP(s.days)", theirs: "var_samp(s.days)", tolerance: 1e-3},
			{ours: "STDDEV_POP(s.days)", theirs: "stddev_pop(s.days)", tolerance: 1e-3, spread: days},
			{ours: "STDDEV_SAMP(s.days)", theirs: "stddev_samp(s.days)", tolerance: 1e-3, spread: days},
			{ours: "COVAR_POP(s.days, p.born)", theirs: "covar_pop(s.days, p.born)", tolerance: 1e-2},
			{ours: "COVAR_SAMP(s.days, p.born)", theirs: "covar_samp(s.days, p.born)", tolerance: 1e-2},
			{ours: "CORR(s.days, p.born)", theirs: "corr(s.days, p.born)", tolerance: 1e-3, spread: days + "," + born},
			{ours: "REGR_SLOPE(s.days, p.born)", theirs: "regr_slope(s.days, p.born)", tolerance: 1e-3, spread: born},
			{ours: "REGR_INTERCEPT(s.days, p.born)", theirs: "regr_intercept(s.days, p.born)", tolerance: 1, spread: born},
			{ours: "MIN(s.days)", theirs: "min(s.days)", tolerance: 0.4},
			{ours: "MAX(s.days)", theirs: "max(s.days)", tolerance: 0.4},
			{ours: "MEDIAN(s.days)", theirs: quantiles(days, 0.5), tolerance: 0.4},
			{ours: "QUANTILE(s.days, 0.9)", theirs: quantiles(days, 0.9), tolerance: 0.4},
			{ours: "QUANTILE(p.born, 0.25)", theirs: quantiles(born, 0.25), tolerance: 0.4},
			{ours: "HISTOGRAM(s.days, 0, 40, 4)", theirs: "count(*) FILTER (WHERE s.days < 10)"},
			{ours: "APPROX_BOUNDS(s.days)", theirs: "CASE WHEN min(s.days) < 1 THEN -1 ELSE 2 ** floor(log2(min(s.days))) END"},
			{ours: "APPROX_BOUNDS(-s.days)", theirs: "CASE WHEN max(s.days) < 1 THEN -1 ELSE -(2 ** ceil(log2(max(s.days)))) END"},
			{ours: "APPROX_BOUNDS(s.days / 8.0)", theirs: "CASE WHEN min(s.days) = 0 THEN -(2.0 ** -20) ELSE 2.0 ** floor(log2(min(s.days) / 8.0)) END"},
		} {
			for _, group := range []string{"", "YEAR(s.began)"} {
				key, by := "", ""
				if group != "" {
					key, by = group+", ", " GROUP BY "+group
				}
				text := "SELECT " + key + x.ours + " FROM " + from + by
				p, err := planner.Build(planner.Query{SQL: text, Ask: planner.Ask{Epsilon: 9e9, Delta: 1e-6, MaxGroups: 500, MaxRows: 200}},
					planner.Federation{Catalog: c, Hospitals: w.hospitals, Accounting: dp.Pure})
				if err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				answer, err := p.Finish(slices.Collect(maps.Values(exact(t, p, engines))), 0.95)
				if err != nil {
					t.Fatal(err)
				}
				spread := "1, 1"
				if x.spread != "" {
					columns := strings.Split(x.spread, ",")
					spread = fmt.Sprintf("var_pop(%s)%s, var_pop(%s)%s", columns[0], both, columns[len(columns)-1], both)
				}
				if !strings.Contains(x.theirs, ";") {
					x.theirs += ";" + x.theirs
				}
				low, high, _ := strings.Cut(x.theirs, ";")
				theirs := ranges(t, union, fmt.Sprintf("SELECT %s %s, %s, count(s.days)%s, %s FROM %s%s", strings.ReplaceAll("coalesce(g::VARCHAR, 'NULL'),", "g", max(group, "''")), low, high, both, spread, from, by))
				for _, row := range answer.Rows {
					name, e := "", row[0]
					if group != "" {
						name, e = row[0].Value.String(), row[1]
					}
					r, ok := theirs[name]
					if !ok || !r.low.Valid || r.n < 2 || r.spread < 1 || e.Value.IsNull() {
						continue // nothing to compare with, or a division by nothing
					}
					compared[x.ours]++
					slack := x.tolerance + 1e-4*(1+math.Abs(r.low.Float64))*math.Min(1, x.tolerance*1e9) + 1e-5*math.Abs(r.low.Float64)
					if v := e.Value.Float64(); v < r.low.Float64-slack || v > r.high.Float64+slack {
						t.Errorf("%s, group %s: the federation says %v, the union [%v, %v]", text, name, v, r.low.Float64, r.high.Float64)
					}
					if b := bucket(p); (!e.Low.IsNull() && e.Low.Float64() > r.high.Float64+slack+b) || (!e.High.IsNull() && e.High.Float64() < r.low.Float64-slack-b) {
						t.Errorf("%s, group %s: the interval is [%s, %s], the union says [%v, %v]", text, name, e.Low, e.High, r.low.Float64, r.high.Float64)
					}
				}
			}
			if i == 5 && compared[x.ours] < 3 {
				t.Errorf("%s was compared %d times: the generator is stale", x.ours, compared[x.ours])
			}
		}
	}
}

// quantiles are the two values between which the quantile is, in every definition.
func quantiles(x string, q float64) string {
	at := func(place string) string {
		return fmt.Sprintf("list_sort(list(%[1]s) FILTER (WHERE %[1]s IS NOT NULL))[greatest(1, least(count(%[1]s), %[2]s))::BIGINT]", x, place)
	}
	return at(fmt.Sprintf("ceil(%v * count(%s))", q, x)) + ";" + at(fmt.Sprintf("floor(%v * count(%s)) + 1", q, x))
}

// bucket is the width of the coarsest buckets that the plan reads; 0 if there are none.
func bucket(p *planner.Plan) float64 {
	width := 0.0
	for _, partial := range p.Fragment.Partials {
		if partial.Kind == fragment.PartialBuckets {
			width = max(width, partial.Buckets.Width())
		}
	}
	return width
}

type between struct {
	low, high sql.NullFloat64
	n         int
	spread    float64
}

func ranges(t *testing.T, db *sql.DB, query string) map[string]between {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	all := map[string]between{}
	for rows.Next() {
		var name string
		var b between
		var x, y sql.NullFloat64
		if err := rows.Scan(&name, &b.low, &b.high, &b.n, &x, &y); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		b.spread = min(x.Float64, y.Float64)
		all[name] = b
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
