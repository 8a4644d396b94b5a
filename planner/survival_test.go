package planner

import (
	"encoding/csv"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

const survivalData = "../../shared/data/survival/"

func readCSV(t *testing.T, name string) (rows []map[string]string) {
	t.Helper()
	f, err := os.Open(survivalData + name)
	if os.IsNotExist(err) {
		t.Skipf("%s is not there; it comes beside the project", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all[1:] {
		row := map[string]string{}
		for i, name := range all[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func real(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// exactTree is the tree of these times without noise.
func exactTree(s *survival, times []float64) tree {
	b := s.buckets()
	counts := make([]int64, b.Leaves())
	end := float64(s.steps+1) * s.step
	for _, x := range times {
		counts[min(s.steps, int(math.Floor((end-math.Max(0, math.Min(x, end)))/s.step)))]++
	}
	p := &Plan{Fragment: &fragment.Fragment{Partials: []fragment.Partial{{Kind: fragment.PartialBuckets, Buckets: &b}}}}
	return newTree(b, p.Coordinates(0, counts), dp.Distribution{Mechanism: dp.Laplace})
}

// TestSurvivalEqualsR compares the table without noise with what R's survfit says of
// the same data, by the exact event times.
func TestSurvivalEqualsR(t *testing.T) {
	for _, c := range []struct {
		data, reference, event, by string
		keep                       func(map[string]string) bool
	}{
		{"lung.csv", "lung_km_all.csv", "2", "", nil},
		{"lung.csv", "lung_km_by_sex.csv", "2", "sex", nil},
		{"colon.csv", "colon_death_km_by_rx.csv", "1", "rx", func(r map[string]string) bool { return r["etype"] == "2" }},
	} {
		t.Run(c.reference, func(t *testing.T) {
			subjects := readCSV(t, c.data)
			tables := map[string][][]float64{}
			for _, want := range readCSV(t, c.reference) {
				name := want["strata"]
				lines, done := tables[name]
				if !done {
					var all, events []float64
					for _, row := range subjects {
						if c.keep != nil && !c.keep(row) || c.by != "" && c.by+"="+row[c.by] != name {
							continue
						}
						all = append(all, real(t, row["time"]))
						if row["status"] == c.event {
							events = append(events, real(t, row["time"]))
						}
					}
					s := &survival{steps: 3500, step: 1, every: 1}
					lines = s.lines(exactTree(s, all), exactTree(s, events), 0.95)
					tables[name] = lines
				}
				line := lines[slices.IndexFunc(lines, func(l []float64) bool { return l[0] == real(t, want["time"]) })]
				for i, column := range map[int]string{1: "n_risk", 7: "survival", 10: "std_err", 13: "lower95", 16: "upper95"} {
					if got := line[i]; math.Abs(got-real(t, want[column])) > 2e-6 {
						t.Errorf("%s at %s: %s is %.6f, R says %s", name, want["time"], column, got, want[column])
					}
				}
			}
		})
	}
}
