package planner

import (
	"math"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// TestCentredSums checks that a sum measured from the middle of its bounds gives the same number and type, with NULLs
// or without. A sum that is divided by other numbers is not centred.
func TestCentredSums(t *testing.T) {
	patients := somePatients(500)
	n, heavy, weighed, weights, tall, male := 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
	for i, row := range patients {
		if i%5 == 0 {
			row["admissionweight"] = value.Null(value.TypeFloat)
		}
		n++
		if w := row["admissionweight"]; !w.IsNull() {
			weighed++
			weights += w.Float64()
			if w.Float64() > 80 {
				heavy++
			}
		}
		if row["admissionheight"].Float64() > 170 {
			tall++
		}
		if row["gender"].Str() == "Male" {
			male++
		}
	}
	const one = "CASE WHEN admissionweight > 80 THEN 1 ELSE 0 END"
	for sql, c := range map[string]struct {
		want    float64
		centred int
	}{
		"SUM(admissionweight) + 0 * COUNT(*)":                                             {weights, 1},
		"1.0 * COUNT(admissionweight) / COUNT(*)":                                         {weighed / n, 1},
		"SUM(admissionweight) / COUNT(admissionweight)":                                   {weights / weighed, 1},
		"SUM(admissionweight) / COUNT(*)":                                                 {weights / n, 1},
		"100.0 * SUM(" + one + ") / COUNT(*)":                                             {100 * heavy / n, 1},
		"1.0 * COUNT(CASE WHEN admissionweight > 80 THEN 1 END) / COUNT(*)":               {heavy / n, 1},
		"1.0 * COUNT(*) FILTER (WHERE admissionweight > 80) / COUNT(*)":                   {heavy / n, 1},
		"COUNT(*) - SUM(" + one + ")":                                                     {n - heavy, 1},
		"SUM(" + one + ")":                                                                {heavy, 0},
		"AVG(admissionweight) + 0 * SUM(admissionweight)":                                 {weights / weighed, 1},
		"COUNT(admissionweight) + 0 * AVG(admissionweight)":                               {weighed, 1},
		"1.0 * SUM(" + one + ") / SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END)":       {heavy / male, 0},
		"1.0 * COUNT(*) / SUM(" + one + ")":                                               {n / heavy, 0},
		"SUM(CASE WHEN admissionheight > 170 THEN 1 ELSE 0 END) + 2 * COUNT(*)":           {tall + 2*n, 1},
		"ROUND(100.0 * SUM(" + one + ") / COUNT(*), 1)":                                   {math.Round(1000*heavy/n) / 10, 1},
		"CASE WHEN COUNT(*) > 3 THEN 1.0 * SUM(" + one + ") / COUNT(*) END":               {heavy / n, 1},
		"SUM(" + one + ") DIV (COUNT(*) - 100)":                                           {math.Trunc(heavy / (n - 100)), 1},
		"SUM(CASE WHEN gender = 'Male' THEN 2 ELSE -2 END) + 0 * COUNT(*) + 0 * COUNT(*)": {4*male - 2*n, 0},
	} {
		p, err := Build(Query{SQL: "SELECT " + sql + " AS x FROM patient", Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		centred := 0
		for _, partial := range p.Fragment.Partials {
			if partial.Kind == fragment.PartialSum && partial.Grid.Center != 0 {
				centred++
			}
		}
		if centred != c.centred {
			t.Errorf("%s has %d sums from a middle, want %d: %v", sql, centred, c.centred, p.Fragment.Partials)
		}
		a, err := p.Finish([]Cell{{Noisy: partialsOf(p, patients)}}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Rows[0][0].Value; got.IsNull() || math.Abs(got.Float64()-c.want) > 1e-4*(1+math.Abs(c.want)) {
			t.Errorf("%s is %v, want %v", sql, got, c.want)
		}
	}
}

// TestShareIsAsOfTwoKinds checks the noise of a share. It must equal that of releasing the two kinds of rows
// separately: at most √((1-p)² + p²)/n times theirs, except for the cost of measuring clipping.
func TestShareIsAsOfTwoKinds(t *testing.T) {
	p, err := Build(Query{SQL: "SELECT 1.0 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*) FROM patient", Ask: Ask{Epsilon: 0.5, Delta: 1e-6}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	const share = 0.08
	g := p.group(Cell{})
	q, ok := g.quotient(p.Columns[0].expr)
	if !ok {
		t.Fatal("it is no quotient")
	}
	count := -1 // of the rows
	for i, partial := range p.Fragment.Partials {
		if partial.Kind == fragment.PartialRows {
			count = i
		}
	}
	squares := 0.0
	for i, w := range q.Top.Weights {
		if i == count {
			w -= share * q.Bottom.Weights[i]
		}
		squares += math.Pow(w*p.noise[i].StandardDeviation(), 2)
	}
	alone := p.Noise
	alone.Limit = 1
	of := dp.Coordinate{Size: p.Coordinate(count).Size, Weight: 1}
	want := alone.Distribution(of).StandardDeviation() / float64(p.Proof.Units[count]) * math.Hypot(1-share, share)
	if got := math.Sqrt(squares); got > want*1.03 || got < want*0.99 {
		t.Errorf("the noise of a share is %v divided by the number of rows, and of two kinds of rows %v", got, want)
	}
}
