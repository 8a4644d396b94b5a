package dp

import (
	"errors"
	"math"
	"math/big"
	"testing"
)

// Every statistical check of this package's tests fails by chance with probability at most falseAlarm. There are fewer
// than 100 checks, so a run fails by chance with probability at most 1e-6.
const falseAlarm = 1e-8

// seldom gives bounds that a Binomial(n, p) count exceeds with probability at most falseAlarm (Chernoff: P(count/n
// beyond q) <= exp(-n KL(q, p)), half of falseAlarm for each side).
func seldom(n int, p float64) (low, high float64) {
	limit := math.Log(2/falseAlarm) / float64(n)
	kl := func(q float64) float64 {
		sum := 0.0
		if q > 0 {
			sum += q * math.Log(q/p)
		}
		if q < 1 {
			sum += (1 - q) * math.Log((1-q)/(1-p))
		}
		return sum
	}
	edge := func(inside, outside float64) float64 {
		for range 60 {
			if mid := (inside + outside) / 2; kl(mid) < limit {
				inside = mid
			} else {
				outside = mid
			}
		}
		return outside * float64(n)
	}
	return edge(p, 0), edge(p, 1)
}

var (
	laplaceOne  = Noise{Mechanism: Laplace, Epsilon: 1, Limit: 1}
	gaussianOne = Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 1}
)

func TestNoiseValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, n := range []Noise{
		{},
		{Mechanism: Laplace, Limit: 1},
		{Mechanism: Laplace, Epsilon: 1},
		{Mechanism: Laplace, Epsilon: -1, Limit: 1},
		{Mechanism: Laplace, Epsilon: nan, Limit: 1},
		{Mechanism: Laplace, Epsilon: inf, Limit: 1},
		{Mechanism: Laplace, Epsilon: 1e10, Limit: 1},
		{Mechanism: Laplace, Epsilon: 0x1p-50, Limit: 1},
		{Mechanism: Laplace, Epsilon: 1, Limit: -1},
		{Mechanism: Laplace, Epsilon: 1, Limit: math.MaxInt64},
		{Mechanism: "none", Epsilon: 1, Limit: 1},
	} {
		if err := n.Validate(); !errors.Is(err, ErrNoise) {
			t.Errorf("%+v: %v, want ErrNoise", n, err)
		}
		if _, err := n.Add(1, one(1)); !errors.Is(err, ErrNoise) {
			t.Errorf("Add with %+v: %v, want ErrNoise", n, err)
		}
		if _, err := n.Loss(0); !errors.Is(err, ErrNoise) {
			t.Errorf("Loss of %+v: %v, want ErrNoise", n, err)
		}
		if _, err := n.Threshold(in(1, 1), one(1), 1e-6); !errors.Is(err, ErrNoise) {
			t.Errorf("Threshold with %+v: %v, want ErrNoise", n, err)
		}
		if w := n.Distribution(one(1)).HalfWidth(0.95); !math.IsInf(w, 1) {
			t.Errorf("%+v: half-width %v, want +Inf", n, w)
		}
	}
	for _, n := range []Noise{
		laplaceOne, gaussianOne,
		{Mechanism: Laplace, Epsilon: 1e7, Limit: 60},
		{Mechanism: Laplace, Epsilon: 9e9, Limit: 1},
		{Mechanism: Gaussian, Epsilon: 10, Limit: 1000},
		{Mechanism: Gaussian, Epsilon: 0.01, Limit: 10},
		{Mechanism: Gaussian, Epsilon: 1e-6, Limit: 10},
		{Mechanism: Gaussian, Epsilon: 9e9, Limit: 1},
	} {
		if err := n.Validate(); err != nil {
			t.Errorf("%+v: %v", n, err)
		}
	}
}

// recorder replaces the library and records its arguments.
type recorder struct {
	x, l0, lInf    int64
	epsilon, delta float64
	sigma          uint64
	gives          int64
}

// one is a coordinate of weight 1.
func one(lInf int64) Coordinate { return Coordinate{Size: lInf, Weight: 1} }

// through is Add with another sampler.
func (n Noise) through(r *recorder, x int64, c Coordinate) (int64, error) {
	a, err := n.adder(r, r.gauss, c)
	if err != nil {
		return 0, err
	}
	return a.Add(x)
}

func (r *recorder) gauss(sigma uint64) int64 {
	r.sigma = sigma
	return r.gives
}

func (r *recorder) AddNoiseInt64(x, l0, lInf int64, epsilon, delta float64) (int64, error) {
	r.x, r.l0, r.lInf, r.epsilon, r.delta = x, l0, lInf, epsilon, delta
	return x + r.gives, nil
}

func TestParametersReachTheSampler(t *testing.T) {
	n := Noise{Mechanism: Laplace, Epsilon: 0.3, Limit: 7}
	var r recorder
	if _, err := n.through(&r, -42, one(5)); err != nil {
		t.Fatal(err)
	}
	if r.x != -42 || r.l0 != 7 || r.lInf != 5 || r.epsilon >= n.Epsilon || r.epsilon < n.Epsilon*(1-1e-15) || r.delta != 0 {
		t.Errorf("%+v reached the library as %+v", n, r)
	}
	g := Noise{Mechanism: Gaussian, Epsilon: 0.5, Limit: 4}
	a, err := g.Adder(one(5))
	if err != nil {
		t.Fatal(err)
	}
	if want := 5 * 2 / 0.5; a.drawn.scale != want { // exact, apart from the grid, which is a power of two
		t.Errorf("sigma is %v, not %v", a.drawn.scale, want)
	}
	r = recorder{gives: 3 << a.drawn.shift}
	if got, err := g.through(&r, -42, one(5)); err != nil || got != -39 || r.sigma != a.drawn.sigma {
		t.Errorf("%d, %v, of sigma %d", got, err, r.sigma)
	}
}

func TestRoundShift(t *testing.T) {
	for _, c := range []struct {
		z     int64
		shift uint
		want  int64
	}{{5, 0, 5}, {-5, 0, -5}, {1, 1, 1}, {-1, 1, 0}, {-3, 1, -1}, {3, 2, 1}, {1, 2, 0}, {2, 2, 1}, {-2, 2, 0}, {-3, 2, -1}, {math.MaxInt64, 60, 8}} {
		if got := roundShift(c.z, c.shift); got != c.want {
			t.Errorf("%d/2^%d is %d, not %d", c.z, c.shift, got, c.want)
		}
	}
}

func TestAddSaturates(t *testing.T) {
	for _, c := range []struct{ x, noise, want int64 }{
		{math.MaxInt64, 0, Saturation}, {math.MinInt64, 0, -Saturation},
		{Saturation, 5, Saturation}, {-Saturation, -5, -Saturation},
		{Saturation, -5, Saturation - 5}, {3, 4, 7},
	} {
		if got, err := laplaceOne.through(&recorder{gives: c.noise}, c.x, one(1)); err != nil || got != c.want {
			t.Errorf("%d with noise %d: %d, %v; want %d", c.x, c.noise, got, err, c.want)
		}
	}
}

func TestSensitivityLimits(t *testing.T) {
	for _, c := range []struct {
		n    Noise
		lInf int64
	}{
		{laplaceOne, 0}, {laplaceOne, -1}, {gaussianOne, 0},
		{laplaceOne, math.MaxInt64}, {laplaceOne, 1<<53 + 1}, {laplaceOne, 1<<40 + 1}, {gaussianOne, 1<<53 + 1},
		{Noise{Mechanism: Laplace, Epsilon: 1, Limit: 1 << 20}, 1 << 44}, // the product would overflow
		{Noise{Mechanism: Laplace, Epsilon: 1e-3, Limit: 1}, 1 << 44},    // the noise would overflow
		{Noise{Mechanism: Laplace, Epsilon: 1e-14, Limit: 1 << 10}, 1},   // the granularity would exceed the bound
		{Noise{Mechanism: Gaussian, Epsilon: 1e-4, Limit: 1}, 1 << 50},
	} {
		if _, err := c.n.Add(0, one(c.lInf)); !errors.Is(err, ErrSensitivity) {
			t.Errorf("%+v at lInf %d: %v, want ErrSensitivity", c.n, c.lInf, err)
		}
	}
}

// The library never rounds x. A patient may touch any number of coordinates, and rounding would move each by up to one
// granule.
func TestLibraryDoesNotRound(t *testing.T) {
	for _, size := range []int64{1, 1 << 20, 1<<39 - 1, 1 << 39, 1<<40 - 1, 1 << 40, 1<<40 + 1, 3 << 41, 1 << 50} {
		var r recorder
		if _, err := laplaceOne.through(&r, 12345, one(size)); err != nil {
			if !errors.Is(err, ErrSensitivity) || size < 1<<40 {
				t.Errorf("size %d: %v", size, err)
			}
			continue
		}
		if g := granularity(float64(r.lInf) / r.epsilon); g > 1 || r.lInf != size || size > 1<<40 {
			t.Errorf("size %d became %d at granularity %g", size, r.lInf, g)
		}
	}
}

// sigma is never below the sigma that rho is charged for, and at most a millionth above it, for each coordinate.
func TestSigmaNeverBelowWhatIsCharged(t *testing.T) {
	for _, epsilon := range []float64{1e-4, 0.01, 0.1, 0.3, 0.5, 1, 2, 5, 1e4} {
		for _, l0 := range []int64{1, 2, 3, 10, 77, 1000, 1 << 40} {
			for _, weight := range []int64{1, 2, 3, 77} {
				for _, lInf := range []int64{1, 3, 1000, 999999937, 1 << 52} {
					n := Noise{Gaussian, epsilon, l0}
					d, err := n.calibrate(Coordinate{lInf, weight})
					if err != nil {
						continue // too coarse, or a weight above l0
					}
					// rho of one coordinate is lInf² l0/(2 weight sigma²), exactly. The whole vector costs l0 such
					// parts.
					sigma := new(big.Rat).SetFrac(new(big.Int).SetUint64(d.sigma), new(big.Int).Lsh(big.NewInt(1), d.shift))
					spent := new(big.Rat).Quo(new(big.Rat).SetInt64(lInf), sigma)
					spent.Mul(spent, spent).Mul(spent, big.NewRat(l0, 2*weight))
					charged := decimal(epsilon)
					charged.Mul(charged, charged).Mul(charged, big.NewRat(1, 2))
					if spent.Cmp(charged) > 0 {
						t.Errorf("%+v, bound %d, weight %d: spends more than is charged", n, lInf, weight)
					}
					share, _ := new(big.Rat).Quo(spent, charged).Float64()
					if share < 1-2e-6 {
						t.Errorf("%+v, bound %d, weight %d: spends %v of what is charged", n, lInf, weight, share)
					}
				}
			}
		}
	}
}

func TestDistributionOfAdd(t *testing.T) {
	const draws = 50_000
	for _, c := range []struct {
		n    Noise
		lInf int64
	}{
		{Noise{Mechanism: Laplace, Epsilon: 5, Limit: 1}, 1},
		{Noise{Mechanism: Laplace, Epsilon: 0.5, Limit: 3}, 2},
		{Noise{Mechanism: Gaussian, Epsilon: 8, Limit: 1}, 1},
		{Noise{Mechanism: Gaussian, Epsilon: 0.5, Limit: 3}, 2},
		{Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 2}, 1 << 42},
	} {
		// A Kolmogorov-Smirnov test on the integers k of a grid of 400 (all of them where the scale is small),
		// by Dvoretzky-Kiefer-Wolfowitz: P(sup |F_n - F| > t) <= 2 exp(-2 n t²), for any F.
		d := c.n.Distribution(one(c.lInf))
		step := max(1, int64(d.Scale/20))
		var below [401]int // below[i] counts noise <= (i-200)*step
		for range draws {
			y, err := c.n.Add(1000, one(c.lInf))
			if err != nil {
				t.Fatal(err)
			}
			for i := range below {
				if y-1000 <= int64(i-200)*step {
					below[i]++
				}
			}
		}
		worst := 0.0
		for i, count := range below {
			want := d.CDF(float64(int64(i-200)*step) + 0.5)
			worst = math.Max(worst, math.Abs(float64(count)/draws-want))
		}
		if limit := math.Sqrt(math.Log(2/falseAlarm) / 2 / draws); worst > limit {
			t.Errorf("%+v, lInf %d: distance %v from %+v, want at most %v", c.n, c.lInf, worst, d, limit)
		}
	}
}

func TestDistributionScale(t *testing.T) {
	l := Noise{Mechanism: Laplace, Epsilon: 0.1, Limit: 4}.Distribution(one(3))
	if want := 4 * 3 / 0.1; l.Scale < want || l.Scale > want*(1+1e-9) {
		t.Errorf("Laplace scale %v, want %v", l.Scale, want)
	}
	if got, want := l.HalfWidth(0.95), math.Ceil(120*math.Log(20)-0.5); got != want {
		t.Errorf("Laplace half-width %v, want %v", got, want)
	}
	g := Noise{Mechanism: Gaussian, Epsilon: 0.1, Limit: 4}.Distribution(one(3))
	if want := 3 * 2 / 0.1; math.Abs(g.Scale/want-1) > 2e-6 {
		t.Errorf("Gaussian sigma %v, want %v", g.Scale, want)
	}
	for _, d := range []Distribution{l, g} {
		for _, p := range []float64{1e-9, 0.01, 0.3, 0.5, 0.8, 0.999} {
			if got := d.CDF(d.Quantile(p)); math.Abs(got/p-1) > 1e-6 {
				t.Errorf("%+v: CDF(Quantile(%v)) = %v", d, p, got)
			}
		}
		if !math.IsNaN(d.Quantile(0)) || !math.IsNaN(d.Quantile(math.NaN())) {
			t.Errorf("%+v has quantiles outside (0, 1)", d)
		}
	}
	if w := (Noise{Mechanism: Laplace, Epsilon: 1e7, Limit: 60}).Distribution(one(8)).HalfWidth(0.999); w != 0 {
		t.Errorf("half-width %v at epsilon 1e7, want 0", w)
	}
}

func TestChoose(t *testing.T) {
	for _, l0 := range []int64{1, 2, 5, 100, 10_000} {
		for _, epsilon := range []float64{0.01, 0.2, 1, 5} {
			n, pure := Choose(l0, epsilon, ZCDP), Choose(l0, epsilon, Pure)
			if n.Validate() != nil || pure.Validate() != nil || pure.Mechanism != Laplace {
				t.Fatalf("%+v, %+v", n, pure)
			}
			// At the same price Gaussian noise has the smaller error, at every weight, in half-width and in root mean
			// square.
			if a, b := mustLoss(t, n, 0).Rho, mustLoss(t, pure, 0).Rho; a != b {
				t.Errorf("%+v costs rho %d, %+v %d", n, a, pure, b)
			}
			for _, w := range []int64{1, l0} {
				c := Coordinate{Size: 1 << 10, Weight: w}
				a, b := n.Distribution(c), pure.Distribution(c)
				if a.HalfWidth(0.95) >= b.HalfWidth(0.95) || a.Scale >= b.Scale*math.Sqrt2 {
					t.Errorf("l0 %d, epsilon %g, weight %d: ± %v with %s, ± %v with Laplace", l0, epsilon, w, a.HalfWidth(0.95), n.Mechanism, b.HalfWidth(0.95))
				}
			}
		}
	}
	if n := Choose(1, math.NaN(), ZCDP); n.Validate() == nil {
		t.Errorf("%+v does not refuse", n)
	}
}

// A coordinate of weight w has 1/w of the Laplace scale, or 1/sqrt(w) of the Gaussian scale. Rounding gives more noise,
// never less.
func TestWeights(t *testing.T) {
	for _, n := range []Noise{
		{Mechanism: Laplace, Epsilon: 0.3, Limit: 60},
		{Mechanism: Gaussian, Epsilon: 0.3, Limit: 60},
	} {
		for _, lInf := range []int64{1, 7, 1 << 30} {
			whole := n.Distribution(one(lInf)).Scale
			for _, w := range []int64{1, 2, 3, 7, 60} {
				want := whole / float64(w)
				if n.Mechanism == Gaussian {
					want = whole / math.Sqrt(float64(w))
				}
				if got := n.Distribution(Coordinate{lInf, w}).Scale; math.Abs(got/want-1) > 4e-6 {
					t.Errorf("%s, bound %d, weight %d: scale %v, want %v", n.Mechanism, lInf, w, got, want)
				}
				var r recorder
				if _, err := n.through(&r, 5, Coordinate{lInf, w}); err != nil {
					t.Fatal(err)
				}
				if n.Mechanism == Laplace { // w*epsilon
					of := func(x float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(x) }
					if spent := of(r.epsilon); spent.Quo(spent, of(float64(w))).Cmp(of(n.Epsilon)) >= 0 {
						t.Errorf("weight %d spends %s of %v", w, spent, n.Epsilon)
					}
				}
			}
			for _, w := range []int64{0, -1, 61} {
				if _, err := n.Add(0, Coordinate{lInf, w}); !errors.Is(err, ErrSensitivity) {
					t.Errorf("weight %d of 60: %v", w, err)
				}
			}
		}
	}
}

func BenchmarkAdd100k(b *testing.B) {
	for _, n := range []Noise{{Mechanism: Laplace, Epsilon: 1, Limit: 20}, {Mechanism: Gaussian, Epsilon: 1, Limit: 20}} {
		b.Run(string(n.Mechanism), func(b *testing.B) {
			for b.Loop() {
				a, err := n.Adder(one(100))
				if err != nil {
					b.Fatal(err)
				}
				for i := range int64(100_000) {
					if _, err := a.Add(i); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkDistribution(b *testing.B) {
	n := Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 20}
	for b.Loop() {
		n.Distribution(one(100))
	}
}
