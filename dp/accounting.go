package dp

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// Accounting says how the losses of many releases add up. It is fixed when a study opens.
type Accounting string

const (
	// ZCDP adds up rho of approximate zero-concentrated differential privacy, and the deltas of thresholds.
	ZCDP Accounting = "zcdp"
	// Pure adds up epsilons, and all deltas.
	Pure Accounting = "pure"
)

const (
	lossUnits  = 1_000_000_000             // in 1 of epsilon or rho
	deltaUnits = 1_000_000_000_000_000_000 // in 1 of delta
)

var (
	// ErrLossOverflow says that a sum of losses is out of range; no budget is that large.
	ErrLossOverflow = errors.New("privacy loss out of range")
	// ErrBudget says that a budget is unset or impossible.
	ErrBudget = errors.New("privacy budget out of range")
	// ErrBudgetExhausted says that a release would cost more than is left.
	ErrBudgetExhausted = errors.New("privacy budget exhausted")
)

// Loss is what releases cost, under either accounting, in whole units. Each release is rounded up once, so sums are
// exact. Each part composes by addition; none is ever negative.
type Loss struct {
	// Epsilon in units of 1e-9. Pure charges it. Under ZCDP it is another way to state Rho of one release.
	Epsilon int64 `json:"epsilon"`
	// Rho in units of 1e-9; math.MaxInt64 means infinite.
	Rho int64 `json:"rho"`
	// NoiseDelta in units of 1e-18. Only Pure charges it; math.MaxInt64 means infinite, as for Gaussian noise, which
	// Pure does not accept. (Former versions wrote the delta of their Gaussian noise here.)
	NoiseDelta int64 `json:"noise_delta"`
	// Delta in units of 1e-18, for thresholds; both accountings charge it.
	Delta int64 `json:"delta"`
}

// Loss is the cost of one release with this noise. thresholdDelta is the delta given to Threshold, or 0 where every
// group is declared and nothing is withheld. Errors wrap ErrNoise.
func (n Noise) Loss(thresholdDelta float64) (Loss, error) {
	if err := n.Validate(); err != nil {
		return Loss{}, err
	}
	if !(thresholdDelta >= 0 && thresholdDelta < 1) {
		return Loss{}, fmt.Errorf("%w: the threshold's delta is %v; give a number from 0 to 1", ErrNoise, thresholdDelta)
	}
	none := int64(0)
	if n.Mechanism == Gaussian {
		none = math.MaxInt64 // no delta buys Gaussian noise under pure accounting
	}
	return Loss{
		Epsilon:    roundUp(decimal(n.Epsilon), lossUnits),
		Rho:        rhoUnits(n.Epsilon),
		NoiseDelta: none,
		Delta:      roundUp(decimal(thresholdDelta), deltaUnits),
	}, nil
}

// rhoUnits is what noise of epsilon costs under ZCDP, epsilon²/2 (Laplace: Bun & Steinke 2016, Proposition 1.4;
// Gaussian: see the package comment), in the units of Loss.
func rhoUnits(epsilon float64) int64 {
	rho := decimal(epsilon)
	rho.Mul(rho, rho).Mul(rho, big.NewRat(1, 2))
	return roundUp(rho, lossUnits)
}

// Plus adds two losses exactly. A sum of Rho or NoiseDelta that overflows becomes infinite. A sum of Epsilon or Delta
// that overflows, or a negative part, gives ErrLossOverflow.
func (l Loss) Plus(o Loss) (Loss, error) {
	for _, v := range [...]int64{l.Epsilon, l.Rho, l.NoiseDelta, l.Delta, o.Epsilon, o.Rho, o.NoiseDelta, o.Delta} {
		if v < 0 {
			return Loss{}, fmt.Errorf("%w: a loss is never negative", ErrLossOverflow)
		}
	}
	// Two non-negative int64 that overflow give a negative sum.
	sum := Loss{l.Epsilon + o.Epsilon, l.Rho + o.Rho, l.NoiseDelta + o.NoiseDelta, l.Delta + o.Delta}
	if sum.Rho < 0 {
		sum.Rho = math.MaxInt64
	}
	if sum.NoiseDelta < 0 {
		sum.NoiseDelta = math.MaxInt64
	}
	if sum.Epsilon < 0 || sum.Delta < 0 {
		return Loss{}, fmt.Errorf("%w: the sum does not fit", ErrLossOverflow)
	}
	return sum, nil
}

// Cheaper reports whether one costs less than other under this accounting, deltas aside: it compares rho under ZCDP and
// epsilon under Pure.
func (a Accounting) Cheaper(one, other Loss) bool {
	b := Budget{Accounting: a}
	x, _ := b.charged(one)
	y, _ := b.charged(other)
	return x < y
}

// Part is one of n equal parts of a loss, rounded down; n is at least 1. Infinite values stay infinite.
func (l Loss) Part(n int) Loss {
	d := int64(n)
	part := Loss{l.Epsilon / d, l.Rho / d, l.NoiseDelta / d, l.Delta / d}
	if l.Rho == math.MaxInt64 {
		part.Rho = l.Rho
	}
	if l.NoiseDelta == math.MaxInt64 {
		part.NoiseDelta = l.NoiseDelta
	}
	return part
}

// ShareEpsilon gives the largest epsilon, in whole units of 1e-9, at which n releases together cost no more than one
// release of the given epsilon: epsilon/n under Pure, and epsilon/sqrt(n) under ZCDP, since rho adds up.
func ShareEpsilon(epsilon float64, n int, a Accounting) float64 {
	if a == Pure {
		return math.Floor(epsilon*lossUnits/float64(n)) / lossUnits
	}
	units := rhoUnits(epsilon) / int64(n)
	if units == 0 { // far below any allowed price: each release costs a whole unit
		return ShareEpsilon(epsilon, n, Pure)
	}
	rho := toFloat(units, lossUnits, false)
	return math.Floor(math.Sqrt(2*rho)*(1-1e-15)*lossUnits) / lossUnits
}

// pureDelta is NoiseDelta + Delta, at most math.MaxInt64.
func (l Loss) pureDelta() int64 {
	if l.NoiseDelta > math.MaxInt64-l.Delta {
		return math.MaxInt64
	}
	return l.NoiseDelta + l.Delta
}

// Budget is the most that all releases of a study, or of a node, may cost together: everything released is (Epsilon,
// Delta)-differentially private. The zero value is refused.
type Budget struct {
	Accounting Accounting `yaml:"accounting" json:"accounting"`
	// Epsilon in [1e-9, 9e9], read as the shortest decimal that denotes it.
	Epsilon float64 `yaml:"epsilon" json:"epsilon"`
	// Delta in (0, 1), or from 0 under Pure. Under ZCDP one half converts rho to epsilon, the other half pays for
	// thresholds.
	Delta float64 `yaml:"delta" json:"delta"`
}

// Validate returns nil, or an error wrapping ErrBudget that names what to change.
func (b Budget) Validate() error {
	if b.Accounting != ZCDP && b.Accounting != Pure {
		return fmt.Errorf("%w: accounting is %q; give %q or %q", ErrBudget, b.Accounting, ZCDP, Pure)
	}
	if !(b.Epsilon >= 1e-9 && b.Epsilon <= maxEpsilon) {
		return fmt.Errorf("%w: epsilon is %v; give a number from 1e-9 to %g", ErrBudget, b.Epsilon, maxEpsilon)
	}
	if !(b.Delta >= 0 && b.Delta < 1) || b.Accounting == ZCDP && !(b.Delta >= 1e-17) {
		return fmt.Errorf("%w: delta is %v; give a number between 0 and 1, which zcdp accounting needs (at least 1e-17)", ErrBudget, b.Delta)
	}
	return nil
}

// limits gives the totals that the budget fixes, in the units of Loss, rounded down: rho or epsilon, and delta.
func (b Budget) limits() (loss, delta int64) {
	if b.Accounting == Pure {
		return roundDown(decimal(b.Epsilon), lossUnits), roundDown(decimal(b.Delta), deltaUnits)
	}
	// Find the largest rho whose EpsilonFromRho, which rounds up, is within epsilon.
	within := func(rho int64) bool {
		return EpsilonFromRho(toFloat(rho, lossUnits, true), b.conversionDelta()) <= math.Nextafter(b.Epsilon, 0)
	}
	// Start from Bun & Steinke 2016, Proposition 1.3, solved for rho without cancellation. It is below that rho, and
	// near.
	l := -math.Log(b.conversionDelta())
	root := b.Epsilon / (math.Sqrt(l+b.Epsilon) + math.Sqrt(l))
	rho, high := int64(0), int64(1)
	if simple := int64(math.Min(root*root*lossUnits*(1-1e-12), math.MaxInt64/8)); within(simple) {
		rho, high = simple, simple+simple/2+1
	}
	for high < math.MaxInt64/4 && within(high) {
		rho, high = high, 2*high
	}
	for high-rho > 1 {
		if middle := rho + (high-rho)/2; within(middle) {
			rho = middle
		} else {
			high = middle
		}
	}
	return rho, roundDown(new(big.Rat).Mul(decimal(b.Delta), big.NewRat(1, 2)), deltaUnits)
}

// conversionDelta is the half of Delta that converts rho to epsilon under ZCDP.
func (b Budget) conversionDelta() float64 { return math.Nextafter(b.Delta, 0) / 2 }

// charged gives the two parts of a loss that this accounting charges.
func (b Budget) charged(l Loss) (loss, delta int64) {
	if b.Accounting == Pure {
		return l.Epsilon, l.pureDelta()
	}
	return l.Rho, l.Delta
}

// Check returns nil if the spent loss and the next loss together fit the budget. Otherwise the error wraps
// ErrBudgetExhausted and says what is left. It wraps ErrBudget or ErrLossOverflow where an argument is impossible. A
// next loss of 0 is impossible, since every release costs something.
func (b Budget) Check(spent, next Loss) error {
	if err := b.Validate(); err != nil {
		return err
	}
	if cost, _ := b.charged(next); cost == 0 {
		return fmt.Errorf("%w: a release that costs nothing was never priced", ErrLossOverflow)
	}
	total, err := spent.Plus(next)
	if err != nil {
		return err
	}
	loss, delta := b.charged(total)
	lossLimit, deltaLimit := b.limits()
	name := "epsilon"
	if b.Accounting == ZCDP {
		name = "rho"
	}
	if b.Accounting == Pure && next.NoiseDelta == math.MaxInt64 {
		return fmt.Errorf("%w: Gaussian noise has no price under pure accounting; ask under a study of pure accounting", ErrBudgetExhausted)
	}
	before, deltaBefore := b.charged(spent)
	cost, deltaCost := b.charged(next)
	if loss > lossLimit || loss == math.MaxInt64 {
		return fmt.Errorf("%w: this costs %s %g and %g of %g is left; ask with a smaller epsilon", ErrBudgetExhausted, name,
			toFloat(cost, lossUnits, true), toFloat(max(0, lossLimit-before), lossUnits, false), toFloat(lossLimit, lossUnits, false))
	}
	if delta > deltaLimit {
		return fmt.Errorf("%w: this costs delta %g and %g of %g is left; group by columns with a declared domain, or ask with a smaller delta", ErrBudgetExhausted,
			toFloat(deltaCost, deltaUnits, true), toFloat(max(0, deltaLimit-deltaBefore), deltaUnits, false), toFloat(deltaLimit, deltaUnits, false))
	}
	return nil
}

// Remaining says what a budget still allows, rounded down.
type Remaining struct {
	// Epsilon is the largest epsilon of one more release: what is left under Pure, sqrt(2 rho) under ZCDP.
	Epsilon float64 `json:"epsilon"`
	// Rho left under ZCDP; 0 under Pure.
	Rho float64 `json:"rho"`
	// Delta left for thresholds.
	Delta float64 `json:"delta"`
	// Spent is the part of epsilon or rho that is spent, in [0, 1].
	Spent float64 `json:"spent"`
	// Fraction is Spent as well: under its earlier name, which reads like the part that is left. Clients of before read
	// it.
	Fraction float64 `json:"fraction"`
}

// Remaining gives what is left after spent. An invalid budget has nothing left.
func (b Budget) Remaining(spent Loss) Remaining {
	if b.Validate() != nil {
		return Remaining{Spent: 1, Fraction: 1}
	}
	lossLimit, deltaLimit := b.limits()
	loss, delta := b.charged(spent)
	left := toFloat(max(0, lossLimit-loss), lossUnits, false)
	r := Remaining{Epsilon: left, Delta: toFloat(max(0, deltaLimit-delta), deltaUnits, false), Spent: 1, Fraction: 1}
	if loss < lossLimit {
		r.Spent = float64(loss) / float64(lossLimit)
		r.Fraction = r.Spent
	}
	if b.Accounting == ZCDP {
		r.Rho, r.Epsilon = left, math.Sqrt(2*left)*(1-1e-12)
	}
	return r
}

// Spent states the loss of everything released so far: together it is (epsilon, delta)-differentially private. Neither
// number is rounded down.
func (b Budget) Spent(spent Loss) (epsilon, delta float64) {
	loss, units := b.charged(spent)
	delta = toFloat(units, deltaUnits, true)
	if b.Accounting != ZCDP || loss == 0 {
		return toFloat(loss, lossUnits, true), delta
	}
	if loss == math.MaxInt64 {
		return math.Inf(1), 1
	}
	return EpsilonFromRho(toFloat(loss, lossUnits, true), b.conversionDelta()), math.Nextafter(delta+b.Delta/2, 2)
}

// EpsilonFromRho gives the smallest epsilon, never rounded down, for which rho-zCDP implies (epsilon,
// delta)-differential privacy by the conversion of Canonne, Kamath & Steinke 2020, Corollary 13 (Lemma 2.2 of their
// journal version): delta = min over alpha > 1 of
//
//	exp((alpha-1)(alpha rho - epsilon)) (1 - 1/alpha)^alpha / (alpha-1)
//
// Any alpha gives a valid epsilon, so the search for the best one need not be exact. The result is +Inf for delta
// outside (0, 1) and for a rho that is not a valid loss.
func EpsilonFromRho(rho, delta float64) float64 {
	if rho == 0 && delta > 0 {
		return 0
	}
	if !(rho > 0) || !(delta > 0 && delta < 1) || math.IsInf(rho, 1) {
		return math.Inf(1)
	}
	// epsilon as a function of u = ln(alpha-1), which has one minimum.
	at := func(u float64) float64 {
		order := math.Exp(u) // alpha-1
		return rho*(order+1) + (-math.Log(delta)-u+(order+1)*-math.Log1p(1/order))/order
	}
	// The search starts near the minimum of rho alpha + ln(1/delta)/(alpha-1), which leaves out the last terms.
	middle := math.Log(-math.Log(delta)/rho+1e-300) / 2
	low, high := middle-12, middle+12
	for range 60 {
		a, b := low+(high-low)/3, high-(high-low)/3
		if at(a) < at(b) {
			high = b
		} else {
			low = a
		}
	}
	// The terms are sums and products of a few logarithms. The error of each is a few units in the last place.
	u := (low + high) / 2
	size := rho*(math.Exp(u)+1) + (math.Abs(math.Log(delta))+math.Abs(u)+(math.Exp(u)+1)*math.Log1p(math.Exp(-u)))/math.Exp(u)
	return max(0, at(u)) + size*1e-14
}

// decimal is the number that a person who writes x means: the shortest decimal that denotes x. It differs from x by at
// most half a unit in the last place. x is finite.
func decimal(x float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(x, 'g', -1, 64))
	return r
}

// roundUp gives x >= 0 in whole units, or math.MaxInt64 if that is too many.
func roundUp(x *big.Rat, units int64) int64 {
	n := new(big.Int).Mul(x.Num(), big.NewInt(units))
	n.Add(n, new(big.Int).Sub(x.Denom(), big.NewInt(1)))
	return saturate(n.Quo(n, x.Denom()))
}

// roundDown gives x >= 0 in whole units, or math.MaxInt64 if that is too many.
func roundDown(x *big.Rat, units int64) int64 {
	n := new(big.Int).Mul(x.Num(), big.NewInt(units))
	return saturate(n.Quo(n, x.Denom()))
}

func saturate(n *big.Int) int64 {
	if !n.IsInt64() {
		return math.MaxInt64
	}
	return n.Int64()
}

// toFloat converts units to the nearest float64 whose decimal is not below the exact value (up), or not above it
// (down).
func toFloat(n, units int64, up bool) float64 {
	exact := big.NewRat(n, units)
	x, _ := exact.Float64()
	switch c := decimal(x).Cmp(exact); {
	case up && c < 0:
		return math.Nextafter(x, math.Inf(1))
	case !up && c > 0:
		return math.Nextafter(x, math.Inf(-1))
	}
	return x
}
