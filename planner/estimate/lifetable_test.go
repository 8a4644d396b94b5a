package estimate

import (
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

const survivalData = "../../../shared/data/survival/"

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

func numberIn(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// exactTree is the tree of these times without noise.
func exactTree(s LifeTable, times, events []float64) Tree {
	b := s.Buckets(fragment.L2)
	counts := make([]int64, b.Leaves())
	end := float64(s.Steps+1) * s.Step
	place := func(x float64) int {
		return min(s.Steps, int(math.Floor((end-math.Max(0, math.Min(x, end)))/s.Step)))
	}
	for _, x := range times {
		counts[place(x)]++
	}
	for _, x := range events { // events are among all times
		counts[place(x)]--
		counts[len(counts)/2+place(x)]++
	}
	partial := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &b}
	return NewTree(b, 1, partial.Coordinates(counts), dp.Distribution{Mechanism: dp.Laplace})
}

// TestSurvivalEqualsR compares the table without noise with R's survfit for the same data with exact event times.
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
						all = append(all, numberIn(t, row["time"]))
						if row["status"] == c.event {
							events = append(events, numberIn(t, row["time"]))
						}
					}
					s := LifeTable{Steps: 3500, Step: 1, Every: 1}
					lines = s.Lines(exactTree(s, all, events), 0.95)
					tables[name] = lines
				}
				line := lines[slices.IndexFunc(lines, func(l []float64) bool { return l[0] == numberIn(t, want["time"]) })]
				for i, column := range map[int]string{1: "n_risk", 7: "survival", 10: "std_err", 13: "lower95", 16: "upper95"} {
					if got := line[i]; math.Abs(got-numberIn(t, want[column])) > 2e-6 {
						t.Errorf("%s at %s: %s is %.6f, R says %s", name, want["time"], column, got, want[column])
					}
				}
			}
		})
	}
}

// noisyTree is the tree of n subjects who have the event or leave at constant rates, with or without noise.
func noisyTree(s LifeTable, n int, event, leave float64, scale float64, r *rand.Rand) (draw func(noisy bool) Tree) {
	b := s.Buckets(fragment.L2)
	counts := make([]int64, b.Leaves())
	end := float64(s.Steps+1) * s.Step
	for range n {
		at, gone := r.ExpFloat64()/event, r.ExpFloat64()/leave
		place := min(s.Steps, int(math.Floor((end-math.Min(math.Ceil(math.Min(at, gone)), end))/s.Step)))
		if at <= gone && at <= end-s.Step {
			place += len(counts) / 2
		}
		counts[place]++
	}
	noise := dp.Distribution{Mechanism: dp.Gaussian, Scale: scale}
	partial := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &b}
	return func(noisy bool) Tree {
		nodes := slices.Clone(partial.Coordinates(counts))
		for k := range nodes {
			if noisy {
				nodes[k] += int64(math.Round(noise.Quantile(math.Max(r.Float64(), 1e-15))))
			}
		}
		return NewTree(b, 1, nodes, noise)
	}
}

// widest is the largest allowed width of survival's bands, as a multiple of the width that holds 95 % of the errors.
// The bands are those of the least-squares estimate. The fitted curve, which must fall, has smaller errors, but no
// interval is known for it.
const widest = 1.5

// TestSurvivalBandsCover checks life tables: survival never rises, and the numbers agree. Each number has a band that
// covers the value without noise with the confidence. The table ends when too few are at risk. Coverage is over all
// rows shown; with plenty of subjects it is 95 % and not more. INTRAMUROS_COVERAGE sets the draws; -v prints the rows
// for docs/privacy.md.
func TestSurvivalBandsCover(t *testing.T) {
	draws := 300
	if text := os.Getenv("INTRAMUROS_COVERAGE"); text != "" {
		var err error
		if draws, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []tried{
		{60, 5, 400, 0.005, 0.01, 5, false}, {60, 5, 400, 0.02, 0.02, 10, false}, {60, 5, 3000, 0.005, 0.03, 20, false},
		{60, 1, 3000, 0.0001, 0.001, 20, false}, {365, 30, 2000, 0.001, 0.002, 10, false}, {365, 30, 20_000, 0.004, 0.01, 30, false},
		{60, 5, 100, 0.02, 0.02, 10, false}, {365, 30, 200_000, 0.004, 0.002, 30, true}, {60, 5, 100_000, 0.002, 0.002, 10, true},
	} {
		got := c.try(t, draws, rand.New(rand.NewPCG(11, uint64(i))))
		line := fmt.Sprintf("| %d | %d | %g %% | %g %% | %g | %.0f %% | %.1f | %.2f | %.1f | %.1f |",
			c.n, c.steps, 100*c.event, 100*c.leave, c.scale, 100*got.told, 100*got.held, got.wide, 100*got.atRisk, 100*got.events)
		t.Log(line)
		if got.told < 0.5 { // there is only noise
			continue
		}
		if got.held < 0.94 || got.atRisk < 0.94 || got.events < 0.94 || c.plenty && got.held > 0.96 {
			t.Errorf("%+v: %+v", c, got)
		}
		if got.wide > widest || c.plenty && got.wide > 1.1 {
			t.Errorf("%+v: the bands are %.2f times as wide as 95 %% of the errors", c, got.wide)
		}
	}
}

// tried are n subjects who have the event or leave at constant rates, in a life table with noise of that scale. plenty:
// there are so many that the curve falls by more than the noise in each step.
type tried struct {
	steps        int
	every        float64
	n            int
	event, leave float64
	scale        float64
	plenty       bool
}

// bands are the share of the rows shown, how often the intervals cover, and the width of survival's intervals as a
// multiple of the width that holds 95 % of a row's errors. They are averages over rows that are mostly shown.
type bands struct{ told, held, atRisk, events, wide float64 }

// try draws noise that many times.
func (c tried) try(t *testing.T, draws int, r *rand.Rand) (b bands) {
	t.Helper()
	s := LifeTable{Steps: c.steps, Step: 1, Every: c.every}
	draw := noisyTree(s, c.n, c.event, c.leave, c.scale, r)
	silent := draw(false)
	silent.Noise.Scale = 0
	exact := s.Lines(silent, 0.95)
	widths, errs := make([]float64, len(exact)), make([][]float64, len(exact))
	rows, told := 0.0, 0.0
	for range draws {
		lines := s.Lines(draw(true), 0.95)
		for i, l := range lines[1:] {
			rows++
			checkLine(t, lines[i], l)
			b.atRisk += held(l[1:4], exact[i+1][1])
			b.events += held(l[4:7], exact[i+1][4])
			if math.IsNaN(l[7]) {
				continue
			}
			told++
			b.held += held(l[7:10], exact[i+1][7])
			widths[i+1] += (l[9] - l[8]) / 2
			errs[i+1] = append(errs[i+1], math.Abs(l[7]-exact[i+1][7]))
		}
	}
	b = bands{told: told / rows, held: b.held / max(1, told), atRisk: b.atRisk / rows, events: b.events / rows}
	mostly := 0.0
	for i, all := range errs {
		if len(all) > draws/2 {
			slices.Sort(all)
			b.wide += widths[i] / float64(len(all)) / all[len(all)*19/20]
			mostly++
		}
	}
	b.wide /= max(1, mostly)
	return b
}

// held is 1 if an interval, which follows its number, covers the exact value.
func held(of []float64, exact float64) float64 {
	if of[1] <= exact+1e-12 && exact <= of[2]+1e-12 {
		return 1
	}
	return 0
}

// checkLine checks that a row of a life table is possible after the row before.
func checkLine(t *testing.T, before, l []float64) {
	t.Helper()
	if l[1] > before[1] || l[1] < 0 || l[4] < 0 || !(0 <= l[2] && l[2] <= l[1] && l[1] <= l[3]) || !(0 <= l[5] && l[5] <= l[4] && l[4] <= l[6]) {
		t.Fatalf("at risk %v after %v, events %v", l[1:4], before[1:4], l[4:7])
	}
	if math.IsNaN(l[7]) != math.IsNaN(l[8]) || math.IsNaN(l[7]) != math.IsNaN(l[9]) || math.IsNaN(before[7]) && !math.IsNaN(l[7]) {
		t.Fatalf("a band without a curve: %v after %v", l, before)
	}
	if !math.IsNaN(l[7]) && !(l[7] <= before[7] && l[8] <= before[8] && l[9] <= before[9] && 0 <= l[8] && l[8] <= l[7] && l[7] <= l[9] && l[9] <= 1) {
		t.Fatalf("survival rises or leaves its band: %v after %v", l[7:10], before[7:10])
	}
}
