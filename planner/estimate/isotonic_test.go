package estimate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/intramuros/intramuros/planner/estimate"
)

func ExampleIsotonic() {
	fmt.Println(estimate.Isotonic([]float64{-2, 3, 1, 4}, []float64{1, 1, 1, 1}, 0))
	// Output: [0 2 2 4]
}

// TestIsotonicIsClosest checks that no nearby series that never falls is closer to the numbers.
func TestIsotonicIsClosest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	for range 200 {
		n := 1 + r.IntN(20)
		y, w := make([]float64, n), make([]float64, n)
		for i := range y {
			y[i], w[i] = float64(i)*r.Float64()+3*r.NormFloat64(), 0.1+r.Float64()
		}
		got := estimate.Isotonic(y, w, math.Inf(-1))
		distance := func(x []float64) (sum float64) {
			for i := range x {
				sum += w[i] * (x[i] - y[i]) * (x[i] - y[i])
			}
			return sum
		}
		if !slices.IsSorted(got) {
			t.Fatalf("%v falls", got)
		}
		for range 200 {
			other := slices.Clone(got)
			for i := range other {
				other[i] += 0.01 * r.NormFloat64()
			}
			slices.Sort(other)
			if distance(other) < distance(got)-1e-12 {
				t.Fatalf("%v is closer to %v than %v", other, y, got)
			}
		}
	}
}
