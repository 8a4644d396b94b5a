package planner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
)

// noisyCell is what is released for these patients, all in one group.
func noisyCell(p *Plan, patients []map[string]value.Value, r *rand.Rand) Cell {
	var cell Cell
	exact := partialsOf(p, patients)
	for i, at := range p.places {
		for _, x := range exact[at.start:at.end] {
			cell.Noisy = append(cell.Noisy, int64(math.Round(float64(x)+p.noise[i].Quantile(math.Max(r.Float64(), 1e-15)))))
		}
	}
	return cell
}

// TestOutermostQuantiles checks that the quantiles 0 and 1 are MIN and MAX, and not values halfway to the bounds.
func TestOutermostQuantiles(t *testing.T) {
	p := quantilePlan(t, "SELECT APPROX_QUANTILES(admissionweight, 2), PERCENTILE_DISC(1) WITHIN GROUP (ORDER BY admissionweight), MIN(admissionweight), MAX(admissionweight) FROM patient")
	var functions []*function
	for _, a := range p.Aggregates {
		functions = append(functions, a.function)
	}
	if want := []*function{aggregates["min"], aggregates["quantile"], aggregates["max"]}; !slices.Equal(functions, want) {
		t.Errorf("the query has %d aggregates, or others than MIN, a quantile and MAX", len(functions))
	}
}

// TestQuantilesAreInOrder checks MIN ≤ quantiles ≤ MAX in every answer, however few values there are.
func TestQuantilesAreInOrder(t *testing.T) {
	p := quantilePlan(t, "SELECT MIN(admissionweight), QUANTILE(admissionweight, 0.01), QUANTILE(admissionweight, 0.25), MEDIAN(admissionweight), QUANTILE(admissionweight, 0.99), MAX(admissionweight) FROM patient")
	r := rand.New(rand.NewPCG(5, 0))
	numbers := 0
	for _, size := range []int{5, 30, 60, 100, 200, 1000} {
		patients := somePatients(size)
		for range 60 {
			a, err := p.Finish([]Cell{noisyCell(p, patients, r)}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			before := math.Inf(-1)
			for i, e := range a.Rows[0] {
				if e.Value.IsNull() {
					continue
				}
				numbers++
				if x := e.Value.Float64(); x < before || e.Low.Float64() > x || e.High.Float64() < x {
					t.Fatalf("%d patients: %s is %v in [%v, %v], after %v", size, a.Columns[i].Name, x, e.Low, e.High, before)
				}
				before = e.Value.Float64()
			}
		}
	}
	if numbers < 500 {
		t.Errorf("%d numbers were compared", numbers)
	}
}

// TestNothingOfNoiseAlone checks that a division by a count is NULL if there is nobody, and that the answer says so.
func TestNothingOfNoiseAlone(t *testing.T) {
	p := quantilePlan(t, "SELECT AVG(admissionweight) AS mean, MEDIAN(admissionweight) AS middle, MIN(admissionheight) AS least, CORR(admissionweight, admissionheight) AS r, STDDEV(admissionheight) AS s, "+
		"100.0 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*) AS percent, COUNT(*) AS n FROM patient")
	r := rand.New(rand.NewPCG(6, 0))
	const draws = 400
	null := make([]int, len(p.Columns))
	for range draws {
		a, err := p.Finish([]Cell{noisyCell(p, nil, r)}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		_, listed, _ := strings.Cut(strings.Join(a.Notes, ""), "too few: ")
		listed, _, _ = strings.Cut(strings.NewReplacer(" are ", ",", " is ", ",").Replace(", "+listed), "NULL")
		for i, e := range a.Rows[0] {
			if e.Value.IsNull() {
				null[i]++
			}
			if e.Value.IsNull() != strings.Contains(listed, " "+p.Columns[i].Name+",") {
				t.Fatalf("%s is %v, and the notes say %q", p.Columns[i].Name, e.Value, a.Notes)
			}
		}
	}
	for i, c := range p.Columns[:6] {
		if null[i] < draws*95/100 { // 97.5 % are expected
			t.Errorf("%s is NULL in %d of %d answers about nobody", c.Name, null[i], draws)
		}
	}
	if null[6] > 0 {
		t.Error("a count is NULL")
	}
	for range 100 { // with many patients nothing is NULL
		if a, err := p.Finish([]Cell{noisyCell(p, somePatients(3000), r)}, 0.95); err != nil || len(a.Notes) > 0 {
			t.Fatal(a.Notes, err)
		}
	}
}

// TestSharesLieWithin checks which quotients the plan bounds, and that answers and intervals stay within the bounds.
func TestSharesLieWithin(t *testing.T) {
	inf := math.Inf(1)
	r := rand.New(rand.NewPCG(7, 0))
	for _, c := range []struct {
		sql          string
		lower, upper float64
	}{
		{"100.0 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*)", 0, 100},
		{"100.0 * COUNT(*) FILTER (WHERE gender = 'Male') / COUNT(*)", 0, 100},
		{"1.0 - 1.0 * COUNT(admissionweight) / COUNT(*)", 0, 1},
		{"1.0 * (COUNT(*) - COUNT(CASE WHEN gender = 'Male' THEN 1 END)) / COUNT(*)", 0, 1},
		{"1.0 * COUNT(DISTINCT CASE WHEN gender = 'Male' THEN patient END) / COUNT(DISTINCT patient)", 0, 1},
		{"1.0 * COUNT(CASE WHEN gender = 'Male' AND admissionheight > 150 THEN 1 END) / COUNT(CASE WHEN gender = 'Male' THEN 1 END)", 0, 1},
		{"1.0 * SUM(CASE WHEN gender = 'Male' AND admissionheight > 150 THEN 1 ELSE 0 END) / SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END)", 0, 1},
		{"SUM(admissionweight) / COUNT(admissionweight)", 0, 300},
		{"1.0 * COUNT(*) / (COUNT(*) + COUNT(CASE WHEN gender = 'Male' THEN 1 END))", 0, 1},
		{"100 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*)", 0, 100},
		{"COUNT(*) - COUNT(admissionweight)", 0, inf},
		{"2 * COUNT(*) - COUNT(CASE WHEN gender = 'Male' THEN 1 END) - COUNT(CASE WHEN gender = 'Female' THEN 1 END)", 0, inf},
		// These have no bounds: the parts belong to different wholes.
		{"1.0 * COUNT(CASE WHEN gender = 'Male' THEN 1 END) / COUNT(CASE WHEN gender = 'Female' THEN 1 END)", -inf, inf},
		{"1.0 * COUNT(CASE WHEN gender = 'Male' OR admissionheight > 150 THEN 1 END) / COUNT(CASE WHEN gender = 'Male' THEN 1 END)", -inf, inf},
		{"1.0 * COUNT(*) / COUNT(admissionweight)", -inf, inf},
		{"1.0 * (COUNT(admissionheight) - COUNT(admissionweight)) / COUNT(CASE WHEN gender = 'Male' THEN 1 END)", -inf, inf},
		{"1.0 * (COUNT(*) - COUNT(CASE WHEN gender = 'Male' THEN 1 END) - COUNT(CASE WHEN gender = 'Female' THEN 1 END)) / 7 / COUNT(admissionheight)", -inf, inf},
		{"1.0 * COUNT(*) / COUNT(DISTINCT patient)", -inf, inf},
		{"1.0 * (COUNT(*) + 1) / COUNT(*)", -inf, inf},
		{"1.0 * COUNT(admissionweight) / (COUNT(*) - COUNT(admissionheight))", -inf, inf},
	} {
		p := quantilePlan(t, "SELECT "+c.sql+", ROUND("+c.sql+", 1) FROM patient")
		if len(p.divisions) != 2 {
			t.Fatalf("%s has %d divisions", c.sql, len(p.divisions))
		}
		near := func(x, y float64) bool { return x == y || math.Abs(x-y) < 1e-9 }
		if d := p.divisions[0]; !near(d.lower, c.lower) || !near(d.upper, c.upper) {
			t.Errorf("%s is within [%v, %v], want [%v, %v]", c.sql, d.lower, d.upper, c.lower, c.upper)
		}
		if math.IsInf(c.lower, 0) {
			continue
		}
		patients := somePatients(40)
		for i := range patients {
			patients[i]["gender"] = value.Text([]string{"Male", "Female"}[i/39])
		}
		for range 50 {
			a, err := p.Finish([]Cell{noisyCell(p, patients, r)}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range a.Rows[0] {
				within := func(v value.Value) bool {
					return v.IsNull() || v.Float64() >= c.lower-1e-9 && v.Float64() <= c.upper+1e-9
				}
				if !within(e.Value) || !within(e.Low) || !within(e.High) {
					t.Fatalf("%s is %v in [%v, %v]", c.sql, e.Value, e.Low, e.High)
				}
			}
		}
	}
}

// TestFilteredByWhatIsShown checks that HAVING and ORDER BY use the numbers that are shown.
func TestFilteredByWhatIsShown(t *testing.T) {
	p := quantilePlan(t, "SELECT gender, 100.0 * SUM(CASE WHEN admissionheight > 150 THEN 1 ELSE 0 END) / COUNT(*) AS percent FROM patient WHERE gender IN ('Male', 'Female', 'Other') GROUP BY 1 "+
		"HAVING 100.0 * SUM(CASE WHEN admissionheight > 150 THEN 1 ELSE 0 END) / COUNT(*) <= 100 ORDER BY percent DESC, gender")
	cell := func(gender string, some, all int64) Cell {
		noisy := make([]int64, len(p.Fragment.Partials))
		for i, partial := range p.Fragment.Partials {
			if noisy[i] = all * p.Proof.Units[i]; partial.Grid != nil {
				noisy[i] = some * p.Proof.Units[i]
			}
		}
		return Cell{Keys: []value.Value{value.Text(gender)}, Noisy: noisy}
	}
	a, err := p.Finish([]Cell{cell("Male", 105, 100), cell("Female", 103, 100), cell("Other", 0, 1)}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, row := range a.Rows {
		got += fmt.Sprintf("%s %s; ", row[0].Value, row[1].Value)
	}
	if got != "Female 100; Male 100; " { // the others have too few for a percentage
		t.Error(got)
	}
}

// TestDatesHaveQuantiles checks that MIN, quantiles and MAX of days and instants are days and instants, in order, and
// that their intervals cover the exact values.
func TestDatesHaveQuantiles(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 0))
	var patients []map[string]value.Value
	var days []float64
	for range 800 {
		day := 16436 + r.Int64N(3650) // from 2015 on
		days = append(days, float64(day))
		patients = append(patients, map[string]value.Value{"death_date": value.Date(day), "death_datetime": value.Timestamp(day*86_400_000_000 + r.Int64N(86_400_000_000))})
	}
	p, err := Build(Query{SQL: "SELECT MIN(death_date) AS a, QUANTILE(death_date, 0.25) AS b, MEDIAN(death_date) AS c, MAX(death_date) AS d, MEDIAN(death_datetime) AS e, " +
		"MAX(death_date) - MIN(death_date) AS f, CAST(MEDIAN(death_date) AS timestamp) AS g FROM death WHERE death_date BETWEEN '2014-01-01' AND '2026-12-31' AND death_datetime BETWEEN '2014-01-01' AND '2027-01-01'", Ask: Ask{Epsilon: 2, Delta: 1e-6}}, federation(t, "omop"))
	if err != nil {
		t.Fatal(err)
	}
	day := func(q float64) float64 { return quantileOf(days, q) }
	const instants = 86_400e6
	exact := []float64{day(0), day(0.25), day(0.5), day(1), (day(0.5) + 0.5) * instants, day(1) - day(0), day(0.5) * instants}
	types := []value.Type{value.TypeDate, value.TypeDate, value.TypeDate, value.TypeDate, value.TypeTimestamp, value.TypeInt, value.TypeTimestamp}
	held := make([]int, len(exact))
	const draws = 200
	for range draws {
		a, err := p.Finish([]Cell{noisyCell(p, patients, r)}, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		row := a.Rows[0]
		for i, e := range row {
			if e.Value.Type() != types[i] || e.Low.Type() != types[i] || e.High.Type() != types[i] {
				t.Fatalf("%s is %v in [%v, %v]", p.Columns[i].Name, e.Value, e.Low, e.High)
			}
			// a bucket is 1.2 days wide
			slack := map[value.Type]float64{value.TypeDate: 2, value.TypeInt: 4, value.TypeTimestamp: 2 * instants}[types[i]]
			if e.Low.Float64() <= exact[i]+slack && e.High.Float64() >= exact[i]-slack {
				held[i]++
			}
			if i > 0 && i < 4 && value.Compare(row[i-1].Value, e.Value) > 0 {
				t.Fatalf("%v after %v", e.Value, row[i-1].Value)
			}
		}
	}
	for i, n := range held {
		if n < draws*88/100 {
			t.Errorf("%s: %d of %d intervals cover %v", p.Columns[i].Name, n, draws, exact[i])
		}
	}
}
