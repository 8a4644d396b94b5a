package estimate

import (
	"math"
	"slices"
)

// placeAlarm is the probability that any value that nobody has is taken to occur.
const placeAlarm = 0.01

// ShownFrom is the number of rows above which one of n values is taken as the least, the greatest or the most frequent.
// It is more than COUNT(DISTINCT x) needs: one false value changes a count by one, but a minimum by any amount.
func (t Tree) ShownFrom(n float64) float64 { return -t.Noise.Quantile(placeAlarm / n) }

// Lowest returns the index of the first value that occurs; NaN if likely none does.
func Lowest(t Tree, n, confidence float64) (x, low, high float64) {
	o := Occurring(t, n, confidence)
	threshold := t.ShownFrom(n)
	shown := slices.IndexFunc(t.Counts[:int(n)], func(y float64) bool { return y >= threshold && y > 0 })
	low, high = math.Max(0, float64(slices.Index(o.Never, false))), float64(slices.Index(o.Sure, true))
	switch {
	case shown < 0 && high < 0:
		return math.NaN(), 0, n - 1
	case high < 0:
		high = n - 1
	case shown < 0:
		shown = int(high)
	}
	x = float64(shown)
	return math.Min(x, high), math.Min(low, x), high
}

// Highest returns the index of the last value that occurs, in the same way.
func Highest(t Tree, n, confidence float64) (x, low, high float64) {
	t.Counts = slices.Clone(t.Counts[:int(n)])
	slices.Reverse(t.Counts)
	x, low, high = Lowest(t, n, confidence)
	return n - 1 - x, n - 1 - high, n - 1 - low
}

// Most returns the index of the most frequent value, and the range where it may lie, given the noise; NaN if likely
// none occurs.
func Most(t Tree, n, confidence float64) (x, low, high float64) {
	counts := t.Counts[:int(n)]
	most := slices.Index(counts, slices.Max(counts))
	if counts[most] < t.ShownFrom(n) {
		return math.NaN(), 0, n - 1
	}
	// With this confidence, no noisy count differs from its exact count by more than half.
	half := t.Noise.HalfWidth(1 - (1-confidence)/n)
	may := func(y float64) bool { return y >= counts[most]-2*half }
	first, last := slices.IndexFunc(counts, may), most
	for i, y := range counts {
		if may(y) {
			last = i
		}
	}
	return float64(most), float64(first), float64(last)
}
