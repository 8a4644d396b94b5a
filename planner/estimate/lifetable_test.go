package estimate

import (
	"encoding/csv"
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

func real(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// exactTree is the tree of these times without noise.
func exactTree(s LifeTable, times, events []float64) Tree {
	b := s.Buckets()
	counts := make([]int64, b.Leaves())
	end := float64(s.Steps+1) * s.Step
	place := func(x float64) int {
		return min(s.Steps, int(math.Floor((end-math.Max(0, math.Min(x, end)))/s.Step)))
	}
	for _, x := range times {
		counts[place(x)]++
	}
	for _, x := range events { // they are among all
		counts[place(x)]--
		counts[len(counts)/2+place(x)]++
	}
	partial := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &b}
	return NewTree(b, 1, partial.Coordinates(counts), dp.Distribution{Mechanism: dp.Laplace})
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
					s := LifeTable{Steps: 3500, Step: 1, Every: 1}
					lines = s.Lines(exactTree(s, all, events), 0.95)
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

// noisyTree is the tree of n subjects who have the event or leave at constant rates, with noise or without.
func noisyTree(s LifeTable, n int, event, leave float64, scale float64, r *rand.Rand) (draw func(noisy bool) Tree) {
	b := s.Buckets()
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

// widest is how many times as wide as 95 % of the errors bands of survival may be: the curve is fitted so that it falls, and errs less
// than the numbers as released, of which the bands are, since no interval of the fitted ones is known.
const widest = 1.8

// TestSurvivalBandsCover: life tables fall, their parts fit each other, a band stands beside each number, holds what
// the table would be without noise with the confidence, and ends where too few are at risk. Coverage is of all rows
// that are told.
func TestSurvivalBandsCover(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 0))
	for _, c := range []struct {
		steps        int
		every        float64
		n            int
		event, leave float64
		scale        float64
	}{
		{60, 5, 400, 0.005, 0.01, 5}, {60, 5, 400, 0.02, 0.02, 10}, {60, 5, 3000, 0.005, 0.03, 20}, {60, 1, 3000, 0.0001, 0.001, 20},
		{365, 30, 2000, 0.001, 0.002, 10}, {365, 30, 20000, 0.004, 0.01, 30}, {60, 5, 100, 0.02, 0.02, 10},
	} {
		s := LifeTable{Steps: c.steps, Step: 1, Every: c.every}
		draw := noisyTree(s, c.n, c.event, c.leave, c.scale, r)
		silent := draw(false)
		silent.Noise.Scale = 0
		exact := s.Lines(silent, 0.95)
		held, told, risk, hits, rows, width := 0, 0, 0, 0, 0, 0.0
		var widths, errs []float64
		for range 300 {
			before := exact[0]
			for i, l := range s.Lines(draw(true), 0.95) {
				if i == 0 {
					before = l
					continue
				}
				rows++
				for at, count := range map[int]*int{1: &risk, 4: &hits} {
					if l[at+1] <= exact[i][at] && exact[i][at] <= l[at+2] && l[at+1] <= l[at] && l[at] <= l[at+2] && l[at+1] >= 0 {
						*count++
					}
				}
				if l[1] > before[1] || l[1] < 0 || l[4] < 0 {
					t.Fatalf("%+v: at risk %v after %v, events %v", c, l[1], before[1], l[4])
				}
				if math.IsNaN(l[7]) != math.IsNaN(l[8]) || math.IsNaN(l[7]) != math.IsNaN(l[9]) || math.IsNaN(before[7]) && !math.IsNaN(l[7]) {
					t.Fatalf("%+v: a band without a curve: %v after %v", c, l, before)
				}
				if math.IsNaN(l[7]) {
					continue
				}
				if !(l[7] <= before[7] && l[8] <= before[8] && l[9] <= before[9] && 0 <= l[8] && l[8] <= l[7] && l[7] <= l[9] && l[9] <= 1) {
					t.Fatalf("%+v: survival rises or leaves its band: %v after %v", c, l[7:10], before[7:10])
				}
				before = l
				told++
				width += l[9] - l[8]
				widths, errs = append(widths, l[9]-l[8]), append(errs, math.Abs(l[7]-exact[i][7]))
				if l[8] <= exact[i][7]+1e-12 && exact[i][7] <= l[9]+1e-12 {
					held++
				}
			}
		}
		got := float64(held) / float64(max(1, told))
		t.Logf("%+v: %.1f %% of rows are told, %.1f %% of these covered, mean width %.3f; at risk %.1f %%, events %.1f %%", c, 100*float64(told)/float64(rows), 100*got, width/float64(told), 100*float64(risk)/float64(rows), 100*float64(hits)/float64(rows))
		if got < 0.94 && told > rows/2 || told-held > rows/20 {
			t.Errorf("%+v: %.3f of the bands cover", c, got)
		}
		if told > rows/2 { // that is, noise is not all there is
			slices.Sort(widths)
			slices.Sort(errs)
			wide := widths[len(widths)/2] / 2 / errs[len(errs)*19/20]
			t.Logf("%.2f times as wide as 95 %% of the errors", wide)
			if wide > widest {
				t.Errorf("%+v: the bands are %.2f times as wide as 95 %% of the errors", c, wide)
			}
		}
	}
}
