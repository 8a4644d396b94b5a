package estimate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

// TestQuantileEnds checks intervals of quantiles. If the buckets' counts are small beside the noise, they cover 95 to
// 98 %. If a single bucket has many values, an interval is no longer than needed: without its first or its last bucket
// it would cover less than 95 %.
func TestQuantileEnds(t *testing.T) {
	const n = 500
	r := rand.New(rand.NewPCG(5, 5))
	for _, c := range []struct {
		branching, levels, patients int
		scale, share                float64
	}{
		// small counts
		{16, 3, 1000, 5, 0.5}, {16, 3, 1000, 20, 0.5}, {16, 3, 100_000, 500, 0.5}, {16, 3, 100_000, 200, 0.9},
		{16, 3, 10_000, 5, 0.5}, {16, 3, 100_000, 5, 0.5}, {8, 4, 100_000, 50, 0.5}, {10, 2, 1000, 20, 0.5}, {10, 2, 100_000, 20, 0.9},
	} {
		b := fragment.Buckets{Upper: 300, Branching: c.branching, Levels: c.levels}
		values, leaves := make([]float64, c.patients), make([]int64, b.Leaves())
		for i := range values {
			values[i] = math.Max(0, math.Min(300, 120+20*r.NormFloat64()))
			leaves[b.Leaf(values[i])]++
		}
		slices.Sort(values)
		exact := values[int(c.share*float64(c.patients))]
		nodes := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &b}.Coordinates(leaves)
		held, first, last := 0.0, 0.0, 0.0
		for range n {
			noisy := slices.Clone(nodes)
			for k := range noisy {
				noisy[k] += int64(math.Round(c.scale * r.NormFloat64()))
			}
			x, low, high := NewTree(b, 1, noisy, dp.Distribution{Mechanism: dp.Gaussian, Scale: c.scale}).Quantile(c.share, 0.95)
			held += within(low, exact, high) / n
			first += within(low+b.Width(), exact, high) / n
			last += within(low, exact, high-b.Width()) / n
			if x < low || x > high {
				t.Fatalf("%+v: %v is outside [%v, %v]", c, x, low, high)
			}
		}
		t.Logf("%+v: %.3f cover, %.3f without the first bucket, %.3f without the last", c, held, first, last)
		if held < 0.94 || held > 0.983 && max(first, last) > 0.955 {
			t.Errorf("%+v: %.3f cover, %.3f without the first bucket, %.3f without the last", c, held, first, last)
		}
	}
}

// within is 1 if x is between low and high.
func within(low, x, high float64) float64 {
	if low <= x && x <= high {
		return 1
	}
	return 0
}
