package estimate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestForest checks that sums are exact without noise. With noise the errors have the stated deviation, and are smaller
// than with the fewest counts that make up the sum.
func TestForest(t *testing.T) {
	const branching, levels, draws = 4, 3, 4000
	r := rand.New(rand.NewPCG(1, 2))
	leaves := make([]float64, 64)
	for i := range leaves {
		leaves[i] = float64(r.IntN(9))
	}
	nodes := func(noise float64) []float64 {
		var all []float64
		for span := 16; span >= 1; span /= branching {
			for i := 0; i < len(leaves); i += span {
				all = append(all, sum(leaves[i:i+span])+noise*r.NormFloat64())
			}
		}
		return all
	}
	exact := NewForest(branching, nodes(0))
	for _, q := range []float64{0, 0.5, 0.9} {
		squares, told := make([]float64, 65), make([]float64, 65)
		for range draws {
			f := NewForest(branching, nodes(1))
			for i := range squares {
				got, deviation := f.Under(i, q)
				want := sum(leaves[:i]) - q*sum(leaves)
				if x, _ := exact.Under(i, q); math.Abs(x-want) > 1e-9 {
					t.Fatalf("%d leaves less %v of all: %v, want %v", i, q, x, want)
				}
				squares[i] += (got - want) * (got - want) / draws
				told[i] = deviation
			}
		}
		whole := 0.0
		for i := range squares {
			if ratio := math.Sqrt(squares[i]) / told[i]; told[i] > 1e-9 && math.Abs(ratio-1) > 0.08 { // 7 standard deviations
				t.Errorf("%d leaves less %v of all err by %.3f, and told is %.3f", i, q, math.Sqrt(squares[i]), told[i])
			}
			naive := float64(i/16)*(1-q)*(1-q) + float64(4-i/16)*q*q + float64(i%16/4+i%4)
			whole += told[i] * told[i] / (naive + 1e-12) / 65
		}
		if whole > 0.8 {
			t.Errorf("less %v of all: the variance is %.2f of that of the fewest counts", q, whole)
		}
	}
}

// TestSpread checks that the errors of counts between two edges, and of any weighted sum, have the stated variance.
func TestSpread(t *testing.T) {
	const branching, draws = 4, 20_000
	r := rand.New(rand.NewPCG(3, 4))
	weights := make([]float64, 65)
	for i := range weights {
		weights[i] = r.NormFloat64()
	}
	between, all := make(map[[2]int]float64), 0.0
	for i := range 64 {
		between[[2]int{i, i + 1 + r.IntN(64-i)}] = 0
	}
	var f *Forest
	for range draws {
		counts := make([]float64, 4+16+64)
		for i := range counts {
			counts[i] = r.NormFloat64()
		}
		f = NewForest(branching, counts)
		for of := range between {
			between[of] += math.Pow(f.under[of[1]]-f.under[of[0]], 2) / draws
		}
		sum := 0.0
		for i, w := range weights {
			sum += w * f.under[i]
		}
		all += sum * sum / draws
	}
	near := func(told, got float64) bool { return math.Abs(got/told-1) < 0.06 } // 6 standard deviations
	for of, got := range between {
		if told := f.Between(of[0], of[1]); !near(told, got) {
			t.Errorf("leaves %v err by the variance %.3f, and told is %.3f", of, got, told)
		}
		only := make([]float64, 65)
		only[of[0]], only[of[1]] = -1, 1
		if told, same := f.Between(of[0], of[1]), f.Spread(only); math.Abs(told-same) > 1e-9 {
			t.Errorf("leaves %v: %v or %v", of, told, same)
		}
	}
	if told := f.Spread(weights); !near(told, all) {
		t.Errorf("a sum of all errs by the variance %.3f, and told is %.3f", all, told)
	}
	if f.Between(7, 7) != 0 {
		t.Error("nothing errs")
	}
}
