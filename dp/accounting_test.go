package dp

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func mustLoss(t *testing.T, n Noise, thresholdDelta float64) Loss {
	t.Helper()
	l, err := n.Loss(thresholdDelta)
	if err != nil {
		t.Fatalf("%+v: %v", n, err)
	}
	return l
}

func TestLossTable(t *testing.T) {
	lap := func(epsilon float64) Noise { return Noise{Mechanism: Laplace, Epsilon: epsilon, Limit: 3} }
	for _, c := range []struct {
		n              Noise
		thresholdDelta float64
		want           Loss
	}{
		{lap(1), 0, Loss{Epsilon: 1e9, Rho: 5e8}},
		{lap(0.1), 1e-7, Loss{Epsilon: 1e8, Rho: 5e6, Delta: 1e11}},
		{lap(1e-5), 0, Loss{Epsilon: 1e4, Rho: 1}}, // 5e-11, rounded up
		{lap(1e-14), 0, Loss{Epsilon: 1, Rho: 1}},
		{lap(1e7), 1e-30, Loss{Epsilon: 1e16, Rho: math.MaxInt64, Delta: 1}},
		{lap(9e9), 0, Loss{Epsilon: 9e18, Rho: math.MaxInt64}},
	} {
		if got := mustLoss(t, c.n, c.thresholdDelta); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.n, got, c.want)
		}
	}
	// Gaussian noise costs the same rho as Laplace noise, and has no price under pure accounting.
	g := Noise{Mechanism: Gaussian, Epsilon: 1, Limit: 4}
	if l := mustLoss(t, g, 1e-7); l != (Loss{Epsilon: 1e9, Rho: 5e8, NoiseDelta: math.MaxInt64, Delta: 1e11}) {
		t.Errorf("%+v costs %+v", g, l)
	}
	for _, delta := range []float64{-1, 1, math.NaN()} {
		if _, err := g.Loss(delta); !errors.Is(err, ErrNoise) {
			t.Errorf("threshold delta %v: %v", delta, err)
		}
	}
}

// The charge is never below the parameter that the library gets.
func TestLossNeverRoundsDown(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	exact := func(x float64) *big.Rat { return new(big.Rat).SetFloat64(x) }
	for range 20_000 {
		n := Noise{Mechanism: Laplace, Epsilon: math.Pow(10, r.Float64()*17-8), Limit: 1}
		if r.IntN(2) == 0 { // a decimal that a person may write
			n.Epsilon = float64(r.IntN(99)+1) / math.Pow10(r.IntN(7))
		}
		l := mustLoss(t, n, 0)
		epsilon := exact(math.Nextafter(n.Epsilon, 0)) // the library gets this
		rho := new(big.Rat).Mul(epsilon, epsilon)
		rho.Mul(rho, big.NewRat(1, 2))
		if big.NewRat(l.Epsilon, lossUnits).Cmp(epsilon) < 0 || l.Rho != math.MaxInt64 && big.NewRat(l.Rho, lossUnits).Cmp(rho) < 0 {
			t.Fatalf("%+v costs only %+v", n, l)
		}
		delta := math.Pow(10, -r.Float64()*17)
		if l := mustLoss(t, n, delta/2); big.NewRat(l.Delta, deltaUnits).Cmp(exact(math.Nextafter(delta/2, 0))) < 0 {
			t.Fatalf("delta %v costs only %d", delta/2, l.Delta)
		}
	}
}

func TestPlus(t *testing.T) {
	const top = math.MaxInt64
	for _, c := range []struct {
		a, b, want Loss
		err        error
	}{
		{Loss{1, 2, 3, 4}, Loss{10, 20, 30, 40}, Loss{11, 22, 33, 44}, nil},
		{Loss{Rho: top}, Loss{Rho: 1}, Loss{Rho: top}, nil},
		{Loss{Rho: top}, Loss{Rho: top}, Loss{Rho: top}, nil},
		{Loss{Rho: top - 5}, Loss{Rho: 9}, Loss{Rho: top}, nil},
		{Loss{Epsilon: top}, Loss{Epsilon: 1}, Loss{}, ErrLossOverflow},
		{Loss{NoiseDelta: top}, Loss{NoiseDelta: 1}, Loss{NoiseDelta: top}, nil},
		{Loss{Delta: top}, Loss{Delta: top}, Loss{}, ErrLossOverflow},
		{Loss{Epsilon: -1}, Loss{Epsilon: 2}, Loss{}, ErrLossOverflow},
		{Loss{}, Loss{Rho: -1}, Loss{}, ErrLossOverflow},
	} {
		if got, err := c.a.Plus(c.b); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%+v + %+v = %+v, %v", c.a, c.b, got, err)
		}
	}
}

// Parts never add up to more than the whole, and an infinite rho has infinite parts.
func TestPart(t *testing.T) {
	whole := Loss{Epsilon: 10, Rho: 7, NoiseDelta: 3, Delta: 2}
	if got, want := whole.Part(3), (Loss{Epsilon: 3, Rho: 2, NoiseDelta: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := (Loss{Epsilon: 9, Rho: math.MaxInt64}).Part(3); got != (Loss{Epsilon: 3, Rho: math.MaxInt64}) {
		t.Errorf("%+v", got)
	}
}

func TestAMillionChargesDoNotDrift(t *testing.T) {
	step := mustLoss(t, Noise{Mechanism: Laplace, Epsilon: 0.1, Limit: 1}, 1e-13)
	b := Budget{Accounting: Pure, Epsilon: 1e5, Delta: 1e-7}
	var spent Loss
	for i := range 1_000_000 {
		if i%1000 == 0 || i > 999_990 {
			if err := b.Check(spent, step); err != nil {
				t.Fatalf("charge %d: %v", i, err)
			}
		}
		var err error
		if spent, err = spent.Plus(step); err != nil {
			t.Fatal(err)
		}
	}
	if want := (Loss{Epsilon: 1e14, Rho: 5e12, Delta: 1e11}); spent != want {
		t.Errorf("spent %+v, want %+v", spent, want)
	}
	if epsilon, delta := b.Spent(spent); epsilon != 1e5 || delta != 1e-7 {
		t.Errorf("spent (%v, %v)", epsilon, delta)
	}
	if err := b.Check(spent, Loss{Epsilon: 1}); !errors.Is(err, ErrBudgetExhausted) {
		t.Errorf("one more unit: %v", err)
	}
}

func TestBudgetValidate(t *testing.T) {
	for _, b := range []Budget{
		{}, {Accounting: "renyi", Epsilon: 1, Delta: 1e-6}, {Accounting: ZCDP, Epsilon: 1}, {Accounting: ZCDP, Delta: 1e-6},
		{Accounting: ZCDP, Epsilon: 1, Delta: 1}, {Accounting: ZCDP, Epsilon: 1, Delta: 1e-300}, {Accounting: Pure, Epsilon: -1}, {Accounting: Pure, Epsilon: math.NaN()},
		{Accounting: Pure, Epsilon: math.Inf(1)}, {Accounting: Pure, Epsilon: 1, Delta: math.NaN()}, {Accounting: Pure, Epsilon: 1, Delta: -1},
	} {
		if err := b.Validate(); !errors.Is(err, ErrBudget) {
			t.Errorf("%+v: %v", b, err)
		}
		if err := b.Check(Loss{}, Loss{1, 1, 0, 0}); !errors.Is(err, ErrBudget) {
			t.Errorf("%+v allows a charge: %v", b, err)
		}
		if r := b.Remaining(Loss{}); r != (Remaining{Spent: 1, Fraction: 1}) {
			t.Errorf("%+v: %+v left", b, r)
		}
	}
	for _, b := range []Budget{{Pure, 1, 0}, {ZCDP, 1, 1e-6}, {Pure, 9e9, 0.5}} {
		if err := b.Validate(); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

func TestCheck(t *testing.T) {
	pure, zcdp := Budget{Pure, 1, 1e-6}, Budget{ZCDP, 1, 1e-6}
	rho, _ := zcdp.limits()
	for _, c := range []struct {
		b           Budget
		spent, next Loss
		want        error
	}{
		{pure, Loss{}, Loss{Epsilon: 1e9, Rho: math.MaxInt64, Delta: 1e12}, nil},
		{pure, Loss{}, Loss{Epsilon: 1e9 + 1}, ErrBudgetExhausted},
		{pure, Loss{Epsilon: 5e8}, Loss{Epsilon: 5e8}, nil},
		{pure, Loss{Epsilon: 5e8 + 1}, Loss{Epsilon: 5e8}, ErrBudgetExhausted},
		{pure, Loss{NoiseDelta: 5e11}, Loss{Epsilon: 1, Delta: 5e11}, nil},
		{pure, Loss{NoiseDelta: 5e11}, Loss{Epsilon: 1, Delta: 5e11 + 1}, ErrBudgetExhausted},
		{pure, Loss{NoiseDelta: math.MaxInt64}, Loss{Epsilon: 1, Delta: math.MaxInt64}, ErrBudgetExhausted},
		{pure, Loss{Epsilon: math.MaxInt64}, Loss{Epsilon: 1}, ErrLossOverflow},
		{pure, Loss{}, Loss{}, ErrLossOverflow},
		{pure, Loss{}, Loss{Epsilon: -1}, ErrLossOverflow},
		{zcdp, Loss{}, Loss{Rho: rho, Delta: 5e11, NoiseDelta: 1e18, Epsilon: 1e18}, nil},
		{zcdp, Loss{}, Loss{Rho: rho + 1}, ErrBudgetExhausted},
		{zcdp, Loss{Rho: rho}, Loss{Rho: 1}, ErrBudgetExhausted},
		{zcdp, Loss{Delta: 5e11}, Loss{Rho: 1, Delta: 1}, ErrBudgetExhausted},
		{zcdp, Loss{}, Loss{Rho: math.MaxInt64}, ErrBudgetExhausted},
		{Budget{ZCDP, 9e9, 0.5}, Loss{}, Loss{Rho: math.MaxInt64}, ErrBudgetExhausted},
	} {
		if err := c.b.Check(c.spent, c.next); !errors.Is(err, c.want) {
			t.Errorf("%+v, %+v after %+v: %v, want %v", c.b, c.next, c.spent, err, c.want)
		}
	}
	err := pure.Check(Loss{Epsilon: 7e8}, Loss{Epsilon: 5e8})
	if want := "privacy budget exhausted: this costs epsilon 0.5 and 0.3 of 1 is left; ask with a smaller epsilon"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// Whatever is asked, in whatever order, the accepted releases stay within the budget.
func TestFilter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		b := Budget{Accounting: ZCDP, Epsilon: math.Pow(10, r.Float64()*3-1), Delta: math.Pow(10, -r.Float64()*8-2)}
		if r.IntN(2) == 0 {
			b.Accounting = Pure
		}
		var spent Loss
		left := b.Remaining(spent)
		for range 200 {
			n := Choose(int64(1+r.IntN(100)), b.Epsilon*math.Pow(10, -3*r.Float64()), b.Accounting)
			if n.Validate() != nil {
				continue
			}
			next, err := n.Loss(b.Delta * math.Pow(10, -1-4*r.Float64()))
			if err != nil || b.Check(spent, next) != nil {
				continue
			}
			spent, err = spent.Plus(next)
			if err != nil {
				t.Fatal(err)
			}
			now := b.Remaining(spent)
			if now.Epsilon > left.Epsilon || now.Rho > left.Rho || now.Delta > left.Delta || now.Fraction < left.Fraction || now.Fraction > 1 || now.Spent != now.Fraction {
				t.Fatalf("%+v: from %+v to %+v", b, left, now)
			}
			left = now
		}
		if epsilon, delta := b.Spent(spent); epsilon > b.Epsilon || delta > b.Delta*(1+1e-15) {
			t.Fatalf("%+v spent (%v, %v)", b, epsilon, delta)
		}
		if left.Epsilon > 1e-6 { // what Remaining reports can be spent
			next := mustLoss(t, Noise{Mechanism: Laplace, Epsilon: left.Epsilon, Limit: 1}, 0)
			if err := b.Check(spent, next); err != nil {
				t.Fatalf("%+v: %+v left, but %v", b, left, err)
			}
			next = mustLoss(t, Noise{Mechanism: Laplace, Epsilon: left.Epsilon*(1+1e-6) + 1e-6, Limit: 1}, 0)
			if err := b.Check(spent, next); !errors.Is(err, ErrBudgetExhausted) {
				t.Fatalf("%+v: %+v left, but more was let through: %v", b, left, err)
			}
		}
	}
}

// logUpperNormal is ln P(Z >= x). It uses the asymptotic series where the probability is too small for float64.
func logUpperNormal(x float64) float64 {
	if x < 30 {
		return math.Log(upperNormal(x))
	}
	return -x*x/2 - math.Log(x*math.Sqrt(2*math.Pi)) + math.Log1p(-1/(x*x)+3/(x*x*x*x))
}

func TestEpsilonFromRho(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		rho, delta := math.Pow(10, r.Float64()*8-6), math.Pow(10, -r.Float64()*14-0.3)
		got := EpsilonFromRho(rho, delta)
		// The result is never above the simpler conversion of Bun & Steinke 2016, Proposition 1.3.
		if most := rho + 2*math.Sqrt(rho*-math.Log(delta)); got > most*(1+1e-12) {
			t.Fatalf("rho %v, delta %v: %v, and the simpler conversion gives %v", rho, delta, got, most)
		}
		// It is never below what the Gaussian mechanism of that rho needs (Balle & Wang 2018, Theorem 8), and near it.
		mu := math.Sqrt(2 * rho)
		profile := func(epsilon float64) float64 {
			return upperNormal(epsilon/mu-mu/2) - math.Exp(epsilon+logUpperNormal(epsilon/mu+mu/2))
		}
		if exact := profile(got); exact > delta*(1+1e-6) || delta > 1e-9 && got > 0.01 && exact < delta/50 {
			t.Errorf("rho %v, delta %v: at %v the Gaussian mechanism has delta %v", rho, delta, got, exact)
		}
	}
	// A table of the conversion, as in Canonne, Kamath & Steinke 2020: rho 0.1 at 1e-6.
	if got, simple := EpsilonFromRho(0.1, 1e-6), 0.1+2*math.Sqrt(0.1*math.Log(1e6)); got > simple-0.15 {
		t.Errorf("rho 0.1 at 1e-6 converts to %v, hardly below %v", got, simple)
	}
	for _, c := range [][2]float64{{-1, 0.1}, {math.NaN(), 0.1}, {1, 0}, {1, 1}, {1, math.NaN()}, {math.Inf(1), 0.1}} {
		if got := EpsilonFromRho(c[0], c[1]); !math.IsInf(got, 1) {
			t.Errorf("EpsilonFromRho(%v) = %v", c, got)
		}
	}
	if got := EpsilonFromRho(0, 1e-6); got != 0 {
		t.Errorf("no loss: %v", got)
	}
}

// The limit on rho is the largest that converts to at most Epsilon.
func TestRhoLimit(t *testing.T) {
	for _, epsilon := range []float64{1e-3, 0.1, 1, 3, 10, 1000, 1e6} {
		for _, delta := range []float64{0.9, 1e-2, 1e-6, 1e-12} {
			b := Budget{ZCDP, epsilon, delta}
			rho, units := b.limits()
			if got := EpsilonFromRho(float64(rho)/lossUnits, delta/2); got > epsilon {
				t.Errorf("%+v: rho %d converts to %v", b, rho, got)
			}
			if got := EpsilonFromRho((float64(rho)+2)/lossUnits*(1+1e-12), delta/2); got <= epsilon {
				t.Errorf("%+v: rho %d could be larger", b, rho)
			}
			if want := delta / 2 * deltaUnits; math.Abs(float64(units)/want-1) > 1e-6 {
				t.Errorf("%+v: %d units of delta", b, units)
			}
		}
	}
}

// TestReleasesOfABudget checks two numbers in docs/privacy.md, at the default least price: how many releases a budget
// pays for, and how many bits it tells if five of them fail, each with one of five codes.
func TestReleasesOfABudget(t *testing.T) {
	for _, x := range []struct {
		epsilon        float64
		releases, bits int64
	}{{10, 29568, 79}, {1, 458, 49}} {
		limit, _ := Budget{ZCDP, x.epsilon, 1e-6}.limits()
		n := limit / mustLoss(t, Choose(1, 0.01, ZCDP), 0).Rho
		outcomes, chosen := 0.0, 1.0
		for i := 0.0; i <= 5; i++ {
			outcomes += chosen * math.Pow(5, i)
			chosen *= (float64(n) - i) / (i + 1)
		}
		if n != x.releases || int64(math.Round(math.Log2(outcomes))) != x.bits {
			t.Errorf("epsilon %v: %d releases, %.2f bits; the page says %d and %d", x.epsilon, n, math.Log2(outcomes), x.releases, x.bits)
		}
	}
}

// This is the table of docs/privacy.md: how many answers to one count fit a budget of (10, 1e-6), if each is as precise
// as with Laplace noise of epsilon.
func TestAccountingsCompared(t *testing.T) {
	b := Budget{ZCDP, 10, 1e-6}
	limit, _ := b.limits()
	if got := float64(limit) / lossUnits; got < 1.478 || got > 1.479 {
		t.Errorf("rho %v", got)
	}
	c := one(1 << 10)
	for epsilon, want := range map[float64]int64{0.1: 691, 0.2: 172, 0.5: 27, 1: 6} {
		width := Noise{Mechanism: Laplace, Epsilon: epsilon, Limit: 1}.Distribution(c).HalfWidth(0.95)
		same := epsilon
		for Choose(1, same, ZCDP).Distribution(c).HalfWidth(0.95) <= width {
			same *= 0.9995
		}
		if got := limit / mustLoss(t, Choose(1, same, ZCDP), 0).Rho; math.Abs(float64(got-want)) > 0.01*float64(want)+0.5 {
			t.Errorf("epsilon %v: %d answers under zcdp, the table says %d", epsilon, got, want)
		}
	}
}

// TestRenyiFilterCompared counts the answers that a Rényi filter (Feldman & Zrnic 2021) would pay for. Each answer is
// as accurate as Laplace noise of epsilon makes it. With Gaussian noise the filter pays for as many as zcdp: the Rényi
// divergence is alpha times rho at each order, so no order is better than zcdp's. With Laplace noise the divergence is
// at most epsilon, and zcdp bounds it by alpha epsilon²/2. So for large epsilon the filter pays for about as many as
// pure accounting. docs/privacy.md has the table.
func TestRenyiFilterCompared(t *testing.T) {
	b := Budget{ZCDP, 10, 1e-6}
	limit, _ := b.limits()
	c := one(1 << 10)
	cost := map[float64]func(alpha float64) float64{}
	for epsilon, want := range map[float64]struct{ gaussian, laplace, best int }{
		0.1: {691, 311, 691}, 0.2: {172, 84, 172}, 0.5: {27, 20, 27}, 1: {6, 10, 10}, 2: {1, 4, 4},
	} {
		width := Noise{Mechanism: Laplace, Epsilon: epsilon, Limit: 1}.Distribution(c).HalfWidth(0.95)
		same := epsilon
		for Choose(1, same, ZCDP).Distribution(c).HalfWidth(0.95) <= width {
			same *= 0.9995
		}
		rho := float64(mustLoss(t, Choose(1, same, ZCDP), 0).Rho) / lossUnits
		gaussian := func(alpha float64) float64 { return alpha * rho }
		laplace := func(alpha float64) float64 { // Mironov 2017, Rényi Differential Privacy, Proposition 6
			up := math.Log(alpha/(2*alpha-1)) + (alpha-1)*epsilon
			down := math.Log((alpha-1)/(2*alpha-1)) - alpha*epsilon
			return (up + math.Log1p(math.Exp(down-up))) / (alpha - 1)
		}
		cheaper := func(alpha float64) float64 { return math.Min(gaussian(alpha), laplace(alpha)) }
		cost[epsilon] = cheaper
		got := struct{ gaussian, laplace, best int }{b.filtered(gaussian), b.filtered(laplace), b.filtered(cheaper)}
		t.Logf("epsilon %v: zcdp %.1f, pure %.1f, filter %+v", epsilon, float64(limit)/lossUnits/rho, 10/epsilon, got)
		if got != want {
			t.Errorf("epsilon %v: a filter pays for %+v, the table says %+v", epsilon, got, want)
		}
	}
	// A mix: five answers at 0.1 for each one at 1. Here zcdp and pure accounting pay for 6 rounds each.
	if got := b.filtered(func(alpha float64) float64 { return cost[1](alpha) + 5*cost[0.1](alpha) }); got != 8 {
		t.Errorf("of five answers at 0.1 and one at 1, a filter pays for %d rounds, not 8", got)
	}
}

// filtered returns how many releases of that Rényi divergence a filter pays for at the best order. It converts as
// EpsilonFromRho does.
func (b Budget) filtered(divergence func(alpha float64) float64) (most int) {
	for u := -4.0; u < 8; u += 0.001 {
		order := math.Exp(u) // alpha-1
		left := b.Epsilon - (-math.Log(b.conversionDelta())-u+(order+1)*-math.Log1p(1/order))/order
		most = max(most, int(left/divergence(order+1)))
	}
	return most
}
