package estimate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
)

// TestPlacesAreCovered checks that the interval of the first, the last and the most frequent value covers as often as
// stated. If counts are far above the noise, the index is exact.
func TestPlacesAreCovered(t *testing.T) {
	const draws, confidence = 2000, 0.9
	noise := dp.Distribution{Mechanism: dp.Gaussian, Scale: 4}
	random := rand.New(rand.NewPCG(1, 2))
	for _, counts := range [][]float64{{0, 3, 40, 0, 41, 9, 0}, {0, 0, 900, 0, 500}, {1, 1, 1}, {0, 0, 0, 12}} {
		first, last, most := -1.0, -1.0, 0.0
		for i, n := range counts {
			if n > 0 {
				last = float64(i)
				if first < 0 {
					first = last
				}
			}
			if n > counts[int(most)] {
				most = float64(i)
			}
		}
		missed, wrong := map[string]int{}, 0
		n := float64(len(counts))
		for range draws {
			noisy := Tree{Buckets: fragment.Buckets{Upper: n, Branching: len(counts), Levels: 1}, unit: 1, Noise: noise}
			for _, c := range counts {
				noisy.Counts = append(noisy.Counts, c+noise.Scale*random.NormFloat64())
			}
			for name, read := range map[string]struct {
				of    func(Tree, float64, float64) (x, low, high float64)
				truth float64
			}{"first": {Lowest, first}, "last": {Highest, last}, "most": {Most, most}} {
				x, low, high := read.of(noisy, n, confidence)
				if !math.IsNaN(x) && (x < low || x > high) || low < 0 || high > n-1 {
					t.Fatalf("%s of %v is %g in [%g, %g]", name, counts, x, low, high)
				}
				if read.truth < low || read.truth > high {
					missed[name]++
				}
				if counts[min(2, len(counts)-1)] == 900 && x != read.truth {
					wrong++
				}
			}
		}
		if wrong > 3*draws*2*placeAlarm {
			t.Errorf("of %v, %d of %d are wrong", counts, wrong, 3*draws)
		}
		for name, k := range missed {
			if share := float64(k) / draws; share > 1-confidence+0.03 {
				t.Errorf("%s of %v is missed in %.3f of the draws", name, counts, share)
			}
		}
	}
}
