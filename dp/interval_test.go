package dp

import (
	"math"
	"slices"
	"testing"
)

func laplaceOf(scale float64) Distribution  { return Distribution{Laplace, scale} }
func gaussianOf(sigma float64) Distribution { return Distribution{Gaussian, sigma} }

// twoLaplaceTail is the textbook formula for p != q.
func twoLaplaceTail(w, p, q float64) float64 {
	return (p*p*math.Exp(-w/p) - q*q*math.Exp(-w/q)) / (p*p - q*q)
}

func TestCombinedHalfWidth(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name       string
		confidence float64
		terms      []Weighted
		want       float64
	}{
		{"nothing", 0.95, nil, 0},
		{"weight 0", 0.95, []Weighted{{0, laplaceOf(9)}}, 0},
		{"no confidence", 0, []Weighted{{1, laplaceOf(9)}}, 0},
		{"all confidence", 1, []Weighted{{1, laplaceOf(9)}}, inf},
		{"NaN confidence", math.NaN(), []Weighted{{1, laplaceOf(9)}, {1, laplaceOf(9)}}, inf},
		{"unset", 0.95, []Weighted{{1, Distribution{}}}, inf},
		{"unset beside another", 0.95, []Weighted{{1, Distribution{}}, {1, laplaceOf(9)}}, inf},
		{"NaN weight", 0.95, []Weighted{{math.NaN(), laplaceOf(9)}}, inf},
		{"single Laplace", 0.95, []Weighted{{-3, laplaceOf(100)}}, 3 * math.Ceil(100*math.Log(20)-0.5)},
		{"single Gaussian", 0.95, []Weighted{{2, gaussianOf(100)}}, 2 * 196},
		{"silent", 0.999, []Weighted{{2, gaussianOf(0.01)}, {5, laplaceOf(0.001)}}, 0},
		{"Gaussians", 0.95, []Weighted{{3, gaussianOf(100)}, {4, gaussianOf(100)}}, 500*1.959963984540054 + 3.5},
		{"equal Laplaces", 0.95, []Weighted{{1, laplaceOf(1e6)}, {-1, laplaceOf(1e6)}}, 4.1130e6 + 1},
	} {
		got := CombinedHalfWidth(c.confidence, c.terms)
		if got != c.want && !(math.Abs(got/c.want-1) < 1e-2) || c.want == 0 && got != 0 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTwoLaplace(t *testing.T) {
	for _, confidence := range []float64{1e-3, 0.5, 0.95, 1 - 1e-9} {
		for _, q := range []float64{1e-9, 0.01, 0.5, 0.9, 0.999} {
			w := twoLaplace(confidence, 7*q, 7)
			if got := twoLaplaceTail(w, 7, 7*q); math.Abs(got/(1-confidence)-1) > 1e-6 {
				t.Errorf("confidence %v, scales 7 and %v: tail %v", confidence, 7*q, got)
			}
		}
		w := twoLaplace(confidence, 7, 7)
		if got := math.Exp(-w/7) * (1 + w/14); math.Abs(got/(1-confidence)-1) > 1e-6 {
			t.Errorf("confidence %v, equal scales: tail %v", confidence, got)
		}
	}
}

func TestNumericHalfWidth(t *testing.T) {
	for _, confidence := range []float64{0.01, 0.5, 0.95, 0.999, 1 - 1e-6} {
		// Three distinct Laplaces, by partial fractions.
		b := []float64{5, 3, 1}
		c := combination{confidence: confidence, laplace: []repeated{{5, 1}, {3, 1}, {1, 1}}}
		w, tail := c.halfWidth(), 0.0
		for i := range b {
			f := math.Exp(-w / b[i])
			for j := range b {
				if j != i {
					f *= b[i] * b[i] / (b[i]*b[i] - b[j]*b[j])
				}
			}
			tail += f
		}
		if miss := 1 - confidence; tail > miss*(1+1e-9) || tail < miss*(1-1e-5)-1e-9 {
			t.Errorf("confidence %v: tail %v", confidence, tail)
		}
		// A Laplace and a Gaussian: P(X+Z > w) has a closed form.
		c = combination{confidence: confidence, laplace: []repeated{{2, 1}}, variance: 9}
		w = c.halfWidth()
		s := 3.0 / 2
		upper := upperNormal(w/3) + math.Exp(s*s/2)/2*(math.Exp(-w/2)*upperNormal(s-w/3)-math.Exp(w/2)*upperNormal(s+w/3))
		if miss := 1 - confidence; 2*upper > miss*(1+1e-8)+1e-12 || 2*upper < miss*(1-1e-5)-1e-9 {
			t.Errorf("confidence %v, mixed: tail %v", confidence, 2*upper)
		}
		// Continuity where the numeric method begins: a third, tiny term is raised to a twentieth of the largest.
		two, three := twoLaplace(confidence, 5, 3), (&combination{confidence: confidence, laplace: []repeated{{5, 1}, {3, 1}, {1e-6, 1}}}).halfWidth()
		if three < two || three > two*1.005 {
			t.Errorf("confidence %v: %v grew to %v", confidence, two, three)
		}
	}
	// Many terms approach the normal distribution; extreme confidence stays an upper bound.
	many := combination{confidence: 0.95}
	for range 100 {
		many.laplace = append(many.laplace, repeated{1, 1})
	}
	if w, want := many.halfWidth(), 1.96*math.Sqrt(200); math.Abs(w/want-1) > 0.01 {
		t.Errorf("100 terms: %v, about %v wanted", w, want)
	}
	sharp := combination{confidence: 1 - 1e-12, laplace: []repeated{{5, 1}, {3, 1}, {1, 1}}}
	if w := sharp.halfWidth(); w < twoLaplace(1-1e-12, 5, 3) || math.IsInf(w, 0) {
		t.Errorf("confidence 1-1e-12: %v", w)
	}
}

func TestHalfWidthCovers(t *testing.T) {
	const draws = 10_000
	for _, n := range []Noise{
		{Mechanism: Laplace, Epsilon: 3, Limit: 1}, {Mechanism: Laplace, Epsilon: 0.1, Limit: 2},
		{Mechanism: Gaussian, Epsilon: 8, Limit: 1}, {Mechanism: Gaussian, Epsilon: 0.1, Limit: 2},
	} {
		for _, lInf := range []int64{1, 50} {
			d := n.Distribution(one(lInf))
			single := d.HalfWidth(0.9)
			both := CombinedHalfWidth(0.9, []Weighted{{1, d}, {-2, d}})
			three := CombinedHalfWidth(0.9, []Weighted{{1, d}, {-2, d}, {0.5, d}})
			var hits [3]int
			for range draws {
				var e [3]float64
				for i := range e {
					y, err := n.Add(0, one(lInf))
					if err != nil {
						t.Fatal(err)
					}
					e[i] = float64(y)
				}
				for i, in := range []bool{math.Abs(e[0]) <= single, math.Abs(e[0]-2*e[1]) <= both, math.Abs(e[0]-2*e[1]+e[2]/2) <= three} {
					if in {
						hits[i]++
					}
				}
			}
			low, _ := seldom(draws, 0.9)
			for i, h := range hits {
				if float64(h) < low {
					t.Errorf("%+v, lInf %d, %d terms: %d of %d covered", n, lInf, i+1, h, draws)
				}
				// Nor is the interval too wide, at scales where rounding does not matter.
				if _, high := seldom(draws, 0.91); d.Scale > 100 && float64(h) > high {
					t.Errorf("%+v, lInf %d, %d terms: %d of %d covered, too wide", n, lInf, i+1, h, draws)
				}
			}
		}
	}
}

// TestHalfWidthIsTheSmallest: the noise has whole values, so no half-width has exactly the confidence. A smaller
// half-width has less than the confidence.
func TestHalfWidthIsTheSmallest(t *testing.T) {
	for scale := 0.2; scale < 100; scale *= 1.3 {
		for _, d := range []Distribution{laplaceOf(scale), gaussianOf(scale)} {
			within := func(w float64) float64 { return d.CDF(w+0.5) - d.CDF(-w-0.5) }
			w := d.HalfWidth(0.95)
			if within(w) < 0.95-1e-12 || w > 0 && within(w-1) >= 0.95 {
				t.Errorf("%+v: noise is within %v with %.4f, and within %v with %.4f", d, w, within(w), w-1, within(w-1))
			}
		}
	}
}

func mean(sum, count float64, s, c Distribution) Ratio {
	return Ratio{Terms: []RatioTerm{{Value: sum, Distribution: s, Numerator: 1}, {Value: count, Distribution: c, Denominator: 1}}}
}

func TestRatioTable(t *testing.T) {
	inf := math.Inf(1)
	silent := laplaceOf(1e-9)
	for _, c := range []struct {
		name                    string
		ratio                   Ratio
		confidence, lo, hi      float64
		wantLow, wantHigh, near float64
	}{
		{"exact", mean(300, 10, silent, silent), 0.95, -inf, inf, 30, 30, 1e-9},
		{"zero by zero", mean(0, 0, silent, silent), 0.95, 0, 9, 0, 9, 0},
		{"empty group", mean(5, 2, laplaceOf(100), laplaceOf(5)), 0.95, -7, 9, -7, 9, 0},
		{"unbounded", mean(5, 2, gaussianOf(100), gaussianOf(5)), 0.95, -inf, inf, -inf, inf, 0},
		{"beyond the clip", mean(300, 10, silent, silent), 0.95, 0, 9, 9, 9, 0},
		{"below the clip", mean(-300, 10, silent, silent), 0.95, 0, 9, 0, 0, 0},
		{"NaN", mean(math.NaN(), 10, laplaceOf(1), laplaceOf(1)), 0.95, 0, 9, 0, 9, 0},
		{"unset noise", mean(1, 10, Distribution{}, laplaceOf(1)), 0.95, 0, 9, 0, 9, 0},
		{"all confidence", mean(1, 10, laplaceOf(1), laplaceOf(1)), 1, 0, 9, 0, 9, 0},
		{"constant denominator", Ratio{Denominator: -2, Terms: []RatioTerm{{Value: 100, Distribution: gaussianOf(10), Numerator: 1}}},
			0.95, -inf, inf, -50 - 10.05, -50 + 10.05, 0.01},
	} {
		low, high := c.ratio.Interval(c.confidence, c.lo, c.hi)
		same := func(a, b float64) bool { return a == b || math.Abs(a-b) <= c.near }
		if !same(low, c.wantLow) || !same(high, c.wantHigh) {
			t.Errorf("%s: [%v, %v], want [%v, %v]", c.name, low, high, c.wantLow, c.wantHigh)
		}
	}
}

// For Gaussian noise Fieller's set solves a quadratic equation; the rounding allowance is negligible at these scales.
func TestRatioAgainstQuadratic(t *testing.T) {
	const z = 1.959963984540054
	for _, v := range [][4]float64{{3e6, 1e5, 4e4, 2e4}, {-3e6, 1e5, 4e4, 2e4}, {0, 1e5, 4e4, 5e4}, {3e6, -1e5, 4e4, 1e4}, {1e9, 2e7, 1e6, 1e7}} {
		s, c, ss, cs := v[0], v[1], v[2], v[3]
		low, high := mean(s, c, gaussianOf(ss), gaussianOf(cs)).Interval(0.95, math.Inf(-1), math.Inf(1))
		a, b, k := c*c-z*z*cs*cs, s*c, s*s-z*z*ss*ss
		r := math.Sqrt(b*b - a*k)
		if w := 2 * r / a; math.Abs(low-(b-r)/a) > 1e-3*w || math.Abs(high-(b+r)/a) > 1e-3*w {
			t.Errorf("%v: [%v, %v], want [%v, %v]", v, low, high, (b-r)/a, (b+r)/a)
		}
	}
}

func TestRatioCovers(t *testing.T) {
	const draws = 6000
	for _, n := range []Noise{{Mechanism: Laplace, Epsilon: 1, Limit: 2}, {Mechanism: Gaussian, Epsilon: 1, Limit: 2}} {
		s, c := n.Distribution(one(60)), n.Distribution(one(1))
		for _, count := range []int64{0, 3, 12, 40, 1000, 1_000_000} { // a mean of 17 within [-60, 60]
			hits := 0
			for range draws {
				noisySum, err := n.Add(17*count, one(60))
				if err != nil {
					t.Fatal(err)
				}
				noisyCount, err := n.Add(count, one(1))
				if err != nil {
					t.Fatal(err)
				}
				low, high := mean(float64(noisySum), float64(noisyCount), s, c).Interval(0.95, -60, 60)
				if low < -60 || high > 60 || low > high {
					t.Fatalf("[%v, %v]", low, high)
				}
				if low <= 17 && 17 <= high {
					hits++
				}
			}
			if low, _ := seldom(draws, 0.95); float64(hits) < low {
				t.Errorf("%+v, count %d: %d of %d covered", n, count, hits, draws)
			}
			// Once the set is an interval, coverage is exact except for the rounding allowance.
			if _, high := seldom(draws, 0.96); count >= 1_000_000 && float64(hits) > high {
				t.Errorf("%+v, count %d: %d of %d covered, too wide", n, count, hits, draws)
			}
		}
	}
}

func BenchmarkRatio(b *testing.B) {
	three := func(d Distribution) Ratio {
		r := mean(5000, 300, d, laplaceOf(2))
		r.Terms = append(r.Terms, RatioTerm{Value: 100, Distribution: d, Numerator: 1})
		return r
	}
	for name, r := range map[string]Ratio{
		"gaussian": mean(5000, 300, gaussianOf(100), gaussianOf(2)),
		"laplace":  mean(5000, 300, laplaceOf(100), laplaceOf(2)),
		"laplace3": three(laplaceOf(100)),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.Interval(0.95, -60, 60)
			}
		})
	}
}

// Several numbers with the same weights are one term.
func TestRatioTermsTogether(t *testing.T) {
	for _, m := range []Mechanism{Laplace, Gaussian} {
		d := Distribution{Mechanism: m, Scale: 3}
		apart := Ratio{Numerator: 1, Terms: []RatioTerm{{Value: 40, Distribution: d, Numerator: 1, Denominator: 1}}}
		together := Ratio{Numerator: 1, Terms: slices.Clone(apart.Terms)}
		sum := 0.0
		for i := range 7 {
			x := 60 + float64(i)
			apart.Terms = append(apart.Terms, RatioTerm{Value: x, Distribution: d, Denominator: 1})
			sum += x
		}
		together.Terms = append(together.Terms, RatioTerm{Value: sum, Distribution: d, Denominator: 1, Count: 7})
		for _, confidence := range []float64{0.5, 0.95, 0.9999} {
			a, b := apart.Interval(confidence, 0, 1)
			c, e := together.Interval(confidence, 0, 1)
			if !(a > 0 && b < 1) || math.Abs(a-c) > 1e-6 || math.Abs(b-e) > 1e-6 {
				t.Errorf("%v at %v: [%v, %v] apart, [%v, %v] together", m, confidence, a, b, c, e)
			}
		}
	}
}
