package planner

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

func checkWire(t *testing.T, p *Plan, fed Federation) {
	t.Helper()
	request := fragment.Request{Fragment: *p.Fragment, Noise: p.Noise}
	request.Fragment.Version = fragment.Least(&request)
	b, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fragment.DecodeRequest(b)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	proof, err := fragment.Check(&r.Fragment, fed.Catalog)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	if proof.Groups != p.Proof.Groups || proof.Rows != p.Proof.Rows {
		t.Fatalf("a node proves %+v where the planner has %+v", proof, p.Proof)
	}
}

// TestIntervalsCover draws noise over known partial aggregates and counts how often each column's interval holds the
// exact value. The required coverage is 6 standard deviations below 95 %. So one check fails by chance less than once
// in 1e8 runs, and all 34 together less than once in 1e6.
func TestIntervalsCover(t *testing.T) {
	for _, c := range []struct {
		sql       string
		simulated bool // simulated, so not exact: coverage of small counts may be lower
	}{
		{sql: "SELECT COUNT(*) FROM patient"},
		{sql: "SELECT SUM(admissionweight) FROM patient"},
		{sql: "SELECT AVG(admissionweight) FROM patient"},
		{sql: "SELECT 100.0 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*) FROM patient"},
		{sql: "SELECT ROUND(AVG(admissionweight) - 60, 1) FROM patient"},
		{sql: "SELECT ABS(COUNT(*) - 500) FROM patient", simulated: true},
	} {
		for _, epsilon := range []float64{0.5, 5} {
			for _, patients := range []float64{20, 1000, 100000} {
				p, err := Build(Query{SQL: c.sql, Ask: Ask{Epsilon: epsilon, Delta: 1e-6}}, federation(t, "eicu"))
				if err != nil {
					t.Fatal(err)
				}
				if c.simulated && patients < 1000 {
					continue
				}
				exact := exactPartials(p, patients)
				truth := p.estimateExact(exact)
				covered, n := 0, 1500
				if c.simulated {
					n = 150 // these are slow
				}
				floor := 0.95 - 6*math.Sqrt(0.95*0.05/float64(n))
				for range n {
					noisy := make([]int64, len(exact))
					for i, x := range exact {
						u := math.Max(rand.Float64(), 1e-15)
						noisy[i] = int64(math.Round(float64(x) + p.noise[i].Quantile(u)))
					}
					answer, err := p.Finish([]Cell{{Noisy: noisy}}, 0.95)
					if err != nil {
						t.Fatal(err)
					}
					e := answer.Rows[0][0]
					slack := 1e-9 * (1 + math.Abs(truth))
					if (e.Low.IsNull() || e.Low.Float64() <= truth+slack) && (e.High.IsNull() || e.High.Float64() >= truth-slack) {
						covered++
					}
				}
				if got := float64(covered) / float64(n); got < floor {
					t.Errorf("%s, epsilon %v, %v patients: %.4f of the intervals cover, want at least %.4f", c.sql, epsilon, patients, got, floor)
				}
			}
		}
	}
}

// exactPartials makes up what nodes would send: that many rows, of which 40 % satisfy a condition, with a mean of 72.5.
func exactPartials(p *Plan, rows float64) []int64 {
	var exact []int64
	for i, partial := range p.Fragment.Partials {
		x := rows
		if g := partial.Grid; g != nil {
			mean := 72.5
			if g.Number(float64(g.Upper)) == 1 {
				mean = 0.4
			}
			x = math.Round(rows * (math.Ldexp(mean, g.Shift) - float64(g.Center)))
		}
		if partial.Kind == fragment.PartialBeyond { // nobody is clipped
			x = 0
		}
		exact = append(exact, int64(x)*p.Proof.Units[i])
	}
	return exact
}

// estimateExact is the value of the first column without noise. It exists only in tests.
func (p *Plan) estimateExact(partials []int64) float64 {
	g := p.group(Cell{Noisy: partials})
	g.asIs = true
	return g.evaluate(p.Columns[0].expr).Float64()
}

func TestFinishOrdersAndCuts(t *testing.T) {
	p, err := Build(Query{SQL: "SELECT gender, COUNT(*) AS n FROM patient WHERE gender IN ('Male', 'Female', 'Other') GROUP BY gender HAVING n > 5 ORDER BY n DESC, gender LIMIT 2", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	cell := func(gender string, n int64) Cell {
		return Cell{Keys: []value.Value{value.Text(gender)}, Noisy: []int64{n * p.Proof.Units[0], 0}}
	}
	answer, err := p.Finish([]Cell{cell("Other", 3), cell("Female", 50), cell("Male", 50)}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range answer.Rows {
		got = append(got, r[0].Value.String()+" "+r[1].Value.String())
	}
	if len(got) != 2 || got[0] != "Female 50" || got[1] != "Male 50" {
		t.Errorf("rows %q, want Female 50 and Male 50", got)
	}
	if _, err := p.Finish([]Cell{{Noisy: []int64{1}}}, 0.95); err == nil {
		t.Error("a cell without its key passes")
	}
}

func TestGroupsAreTheProductOfDomains(t *testing.T) {
	p, err := Build(Query{SQL: "SELECT gender, region, COUNT(*) FROM patient p JOIN hospital h ON p.hospitalid = h.hospitalid GROUP BY 1, 2", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Fragment.Groups()); n != 6*6 || p.Proof.Cells != n {
		t.Errorf("%d groups, %d cells, want 36", n, p.Proof.Cells)
	}
	p, err = Build(Query{SQL: "SELECT ethnicity, COUNT(*) FROM patient GROUP BY 1", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Fragment.Groups() != nil {
		t.Errorf("undeclared keys give the groups %v", p.Fragment.Groups())
	}
}

func TestNoIntervalClaimsCertainty(t *testing.T) {
	p, err := Build(Query{SQL: "SELECT COUNT(*) FROM patient", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Finish([]Cell{{Noisy: []int64{-500, 0}}}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	e := answer.Rows[0][0]
	if e.Value.Int64() != 0 || e.Low.Int64() != 0 || e.High.Int64() < 10 {
		t.Errorf("a noisy -500 is released as %s in [%s, %s]", e.Value, e.Low, e.High)
	}
}

func TestAccuracyBuysTheSmallestEpsilon(t *testing.T) {
	ask := func(sql string, a Accuracy, most float64) (*Plan, error) {
		return Build(Query{SQL: sql, Ask: Ask{Delta: 1e-6, Accuracy: &a}, MaxEpsilon: most}, federation(t, "eicu"))
	}
	p, err := ask("SELECT gender, COUNT(*) FROM patient GROUP BY gender", Accuracy{HalfWidth: 100, Confidence: 0.95}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Expected(0.95)[0].HalfWidth; got > 100 || got < 95 {
		t.Errorf("epsilon %v gives ±%v, want just under ±100", p.Noise.Epsilon, got)
	}
	for name, c := range map[string]struct {
		sql  string
		a    Accuracy
		most float64
	}{
		"beyond the cap": {"SELECT COUNT(*) FROM patient", Accuracy{HalfWidth: 1, Confidence: 0.95}, 1},
		"relative":       {"SELECT COUNT(*) FROM patient WHERE gender = 'Male'", Accuracy{Relative: true, HalfWidth: 0.05, Confidence: 0.95}, 1},
		"of an average":  {"SELECT AVG(admissionweight) FROM patient WHERE gender = 'Male'", Accuracy{HalfWidth: 1, Confidence: 0.95}, 1},
		"none":           {"SELECT COUNT(*) FROM patient", Accuracy{Confidence: 0.95}, 1},
	} {
		if p, err := ask(c.sql, c.a, c.most); err == nil {
			t.Errorf("%s: planned at epsilon %v", name, p.Noise.Epsilon)
		}
	}
}
