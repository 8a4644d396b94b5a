package planner

import (
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
)

// TestExpectedIsWhatComes compares the expected half-width of a share, a ratio, a mean or a quantile with the median
// over repeated draws. They differ by a factor of at most 1.5 if the profile tells how many rows there are. For a
// quantile, it compares the shares of the values under the ends. The seed is fixed, so that the test never fails by
// chance.
func TestExpectedIsWhatComes(t *testing.T) {
	const patients, draws = 3000, 25
	r := rand.New(rand.NewPCG(12, 7))
	skewed := make([][]map[string]value.Value, patients)
	even := make([][]map[string]value.Value, patients)
	var weights []float64
	for i := range patients {
		w := math.Min(300, 40*math.Exp(0.5*r.NormFloat64()))
		weights = append(weights, w)
		gender := value.Text([]string{"Male", "Female", "Female", "Female"}[i%4])
		skewed[i] = []map[string]value.Value{{"uniquepid": value.Int(int64(i)), "gender": gender, "admissionweight": value.Float(w), "admissionheight": value.Float(170)}}
		even[i] = []map[string]value.Value{{"uniquepid": value.Int(int64(i)), "gender": gender, "admissionweight": value.Float(300 * r.Float64()), "admissionheight": value.Float(250 * r.Float64())}}
	}
	sort.Float64s(weights)
	under := func(x float64) float64 { return float64(sort.SearchFloat64s(weights, x)) / patients }
	fed := federation(t, "eicu")
	fed.Ladders = map[LadderOf]estimate.Ladder{{Table: "patient"}: {{Rows: 1, Patients: patients}}}
	for _, c := range []struct {
		sql  string
		data [][]map[string]value.Value
	}{
		{"100.0 * SUM(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END) / COUNT(*)", skewed},
		{"100.0 * COUNT(CASE WHEN gender = 'Male' THEN 1 END) / COUNT(*)", skewed},
		{"100 * AVG(CASE WHEN gender = 'Male' THEN 1 ELSE 0 END)", skewed},
		{"ROUND(100 * AVG(CASE WHEN gender = 'Male' THEN 1.0 ELSE 0 END), 3)", skewed},
		{"AVG(admissionweight)", skewed},
		{"SUM(admissionweight) / COUNT(*)", skewed},
		{"SUM(admissionweight) / SUM(admissionheight)", even},
		{"STDDEV(admissionweight)", even},
		{"MEDIAN(admissionweight)", skewed},
		{"QUANTILE(admissionweight, 0.9)", skewed},
		{"PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY admissionweight)", skewed},
	} {
		p, err := Build(Query{SQL: "SELECT " + c.sql + " AS x FROM patient", Ask: Ask{Epsilon: 1, MaxRows: 1}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		exact := exactCell(p, c.data)
		x := p.Expected(0.95)[0]
		want, width := x.HalfWidth, func(low, high float64) float64 { return (high - low) / 2 }
		if x.To > 0 {
			want, width = (x.To-x.From)/2, func(low, high float64) float64 { return (under(high) - under(low)) / 2 }
		}
		if x.Values != patients {
			t.Errorf("%s: of %v values", c.sql, x.Values)
		}
		var came []float64
		for range draws {
			cell := Cell{Noisy: make([]int64, len(exact))}
			for i, at := range p.places {
				for k := at.start; k < at.end; k++ {
					cell.Noisy[k] = exact[k] + int64(math.Round(p.noise[i].Quantile(math.Max(r.Float64(), 1e-15))))
				}
			}
			a, err := p.Finish([]Cell{cell}, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			if e := a.Rows[0][0]; !e.Low.IsNull() && !e.High.IsNull() {
				came = append(came, width(e.Low.Float64(), e.High.Float64()))
			}
		}
		slices.Sort(came)
		if len(came) < draws {
			t.Fatalf("%s: %d of %d intervals have ends", c.sql, len(came), draws)
		}
		if ratio := want / came[draws/2]; !(ratio < 1.5 && ratio > 1/1.5) {
			t.Errorf("%s: ± %.4g is expected (%s), and ± %.4g comes", c.sql, want, x.Note, came[draws/2])
		}
	}
}

// TestWideBoundsAreTold: where noise drowns a mean since its bounds are far apart, it is said before it is paid for.
// The CLAMP that is proposed is planned as written, with as much noise as was said.
func TestWideBoundsAreTold(t *testing.T) {
	fed := federation(t, "eicu")
	fed.Ladders = map[LadderOf]estimate.Ladder{{Table: "vitalaperiodic"}: {{Rows: 1, Patients: 2000}}}
	fed.Likely = map[ColumnOf]Likely{{Table: "vitalaperiodic", Column: "observationoffset"}: {Lower: 0, Upper: 1024, Taken: "2027-01-01"}}
	ask := func(what string) (*Plan, string) {
		t.Helper()
		p, err := Build(Query{SQL: "SELECT " + what + " AS x FROM vitalaperiodic", Ask: Ask{Epsilon: 0.5, MaxRows: 1}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range p.Warnings {
			if strings.Contains(w, "noise follows from that") {
				return p, w
			}
		}
		return p, ""
	}
	wide, said := ask("AVG(CLAMP(observationoffset, -100000, 100000))")
	if said == "" {
		t.Fatalf("nothing is said of ± %v\n%s", wide.Expected(0.95)[0].HalfWidth, wide.Describe())
	}
	found := regexp.MustCompile(`a mean of 2000 values is expected to err by ± (\S+); .* nearly all values lie in (CLAMP\(\S+, 0, 1024\)), of which it errs by ± (\S+)$`).FindStringSubmatch(said)
	if found == nil {
		t.Fatal(said)
	}
	narrow, still := ask("AVG(" + found[2] + ")")
	if still != "" {
		t.Error(still)
	}
	for i, p := range map[int]*Plan{1: wide, 3: narrow} {
		if want, err := strconv.ParseFloat(found[i], 64); err != nil || math.Abs(want/p.Expected(0.95)[0].HalfWidth-1) > 0.15 {
			t.Errorf("± %s is said, and ± %v expected", found[i], p.Expected(0.95)[0].HalfWidth)
		}
	}
}
