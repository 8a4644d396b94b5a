package dp

import (
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/google/differential-privacy/go/v3/noise"
	"gonum.org/v1/gonum/stat/distuv"
)

// Mechanism names the distribution that noise is drawn from.
type Mechanism string

const (
	// Laplace noise makes a release epsilon-differentially private. Its error grows with a vector's L1 norm.
	Laplace Mechanism = "laplace"
	// Gaussian noise is discrete. It makes a release epsilon²/2-zCDP, as Laplace noise does. Its error grows with the
	// L2 norm.
	Gaussian Mechanism = "gaussian"
)

const (
	// MaxSites is the largest number of hospitals at which one patient may be counted (m in this package's proofs).
	MaxSites = 1024

	// Saturation is the largest absolute value that Add takes or gives. Clamping to it is 1-Lipschitz, so it does not
	// raise sensitivity.
	Saturation = int64(1) << 62

	minEpsilon = 0x1p-50 // the library's lower limit
	maxEpsilon = 9e9     // the largest whole number of epsilon that an int64 holds in units of 1e-9
	maxExact   = 1 << 53 // integers that a float64 holds exactly

	// Laplace samples are integers times a power of two near scale/2^40. Beyond a scale of 2^40 that power is more than
	// 1, and the library rounds x to a multiple of it.
	laplaceResolution = 0x1p40
	// Gaussian noise is drawn on a grid finer than 1/gaussianResolution of sigma, where sigma allows.
	gaussianResolution = 1 << 20
	maxShift           = 60
)

var (
	// ErrNoise says that a Noise describes no possible release: a parameter is unset or out of range.
	ErrNoise = errors.New("noise parameters out of range")
	// ErrSensitivity says that a coordinate's sensitivity is outside what can be drawn exactly on integers.
	ErrSensitivity = errors.New("sensitivity out of range")
)

// Noise describes one release: a vector of integers whose privacy loss is Epsilon (see the package comment). The zero
// value is refused.
type Noise struct {
	Mechanism Mechanism `json:"mechanism"`
	// Epsilon, in (2^-50, 9e9], is the privacy loss of the whole vector: epsilon of pure differential privacy for
	// Laplace noise, rho = Epsilon²/2 of zero-concentrated differential privacy for both. It is read as the shortest
	// decimal that denotes it: 0.1 is one tenth.
	Epsilon float64 `json:"epsilon"`
	// Limit bounds the norm of the vector that one patient changes at one site; it is at least 1. The norm is measured
	// in units of the coordinates' sizes: the sum of Weight times the magnitude under Laplace noise, of Weight times
	// the square under Gaussian noise.
	Limit int64 `json:"limit"`
}

// Coordinate holds what the noise on one number of a release depends on, besides the Noise.
type Coordinate struct {
	// Size is the unit in which its changes are measured: the number of sites times the size at one site; at least 1.
	Size int64
	// Weight is what a change of one Size counts in Limit, 1 to Limit. A larger weight gives less noise: Laplace noise
	// of 1/Weight the scale, Gaussian noise of 1/sqrt(Weight) the scale.
	Weight int64
}

// Validate returns nil, or an error wrapping ErrNoise that names the parameter to change.
func (n Noise) Validate() error {
	if !(n.Epsilon > minEpsilon && n.Epsilon <= maxEpsilon) {
		return fmt.Errorf("%w: epsilon is %v; give a number above 0 (at least 2^-50) and at most %g", ErrNoise, n.Epsilon, maxEpsilon)
	}
	if n.Limit < 1 || n.Limit > maxExact {
		return fmt.Errorf("%w: limit is %d; give how long the vector of one patient may be, 1 to 2^53", ErrNoise, n.Limit)
	}
	if n.Mechanism != Laplace && n.Mechanism != Gaussian {
		return fmt.Errorf("%w: mechanism is %q; give %q or %q", ErrNoise, n.Mechanism, Laplace, Gaussian)
	}
	return nil
}

// Add returns x plus one fresh draw of the coordinate's noise. x is first clamped to ±Saturation, and so is the result.
// Errors wrap ErrNoise or ErrSensitivity and depend on public parameters only. Use an Adder for many numbers.
func (n Noise) Add(x int64, c Coordinate) (int64, error) {
	a, err := n.Adder(c)
	if err != nil {
		return 0, err
	}
	return a.Add(x)
}

// Adder adds noise of one coordinate's distribution to many numbers. It computes the parameters of the draws once. It
// may be used by any number of goroutines.
type Adder struct {
	laplace sampler
	draw    func(sigma uint64) int64 // from the discrete Gaussian
	drawn   drawn
}

// Adder prepares Add for coordinates like c. Its errors are those of Add.
func (n Noise) Adder(c Coordinate) (*Adder, error) { return n.adder(noise.Laplace(), gauss, c) }

func (n Noise) adder(laplace sampler, draw func(uint64) int64, c Coordinate) (*Adder, error) {
	d, err := n.calibrate(c)
	if err != nil {
		return nil, err
	}
	return &Adder{laplace, draw, d}, nil
}

// Add is Noise.Add.
func (a *Adder) Add(x int64) (int64, error) {
	x = min(max(x, -Saturation), Saturation)
	d := a.drawn
	if d.mechanism == Gaussian {
		y := x + roundShift(a.draw(d.sigma), d.shift)
		return min(max(y, -Saturation), Saturation), nil
	}
	y, err := a.laplace.AddNoiseInt64(x, d.limit, d.size, d.epsilon, 0)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoise, err)
	}
	return min(max(y, -Saturation), Saturation), nil
}

// SaturatingSum adds a and b within ±Saturation. Clamping both is 1-Lipschitz, so it does not raise sensitivity.
func SaturatingSum(a, b int64) int64 {
	clamp := func(x int64) int64 { return min(max(x, -Saturation), Saturation) }
	a, b = clamp(a), clamp(b)
	switch {
	case b > 0 && a > Saturation-b:
		return Saturation
	case b < 0 && a < -Saturation-b:
		return -Saturation
	}
	return a + b
}

// roundShift gives z/2^shift, rounded to the nearest integer; halves go up.
func roundShift(z int64, shift uint) int64 {
	if shift == 0 {
		return z
	}
	return (z>>(shift-1) + 1) >> 1
}

// sampler is the part of the library's Laplace noise that this package uses.
type sampler interface {
	AddNoiseInt64(x, l0Sensitivity, lInfSensitivity int64, epsilon, delta float64) (int64, error)
}

// drawn holds the parameters of one coordinate's draws, and the scale of the noise.
type drawn struct {
	mechanism Mechanism
	scale     float64
	// Laplace, as the library takes them.
	limit, size int64
	epsilon     float64
	// Gaussian: sigma, in units of 2^-shift.
	sigma uint64
	shift uint
}

// calibrate gives the parameters of a coordinate's draw.
func (n Noise) calibrate(c Coordinate) (drawn, error) {
	if err := n.Validate(); err != nil {
		return drawn{}, err
	}
	if c.Size < 1 || c.Weight < 1 || c.Weight > n.Limit {
		return drawn{}, fmt.Errorf("%w: size %d and weight %d; a coordinate needs a size of at least 1 and a weight from 1 to the limit, which is %d",
			ErrSensitivity, c.Size, c.Weight, n.Limit)
	}
	tooFine := fmt.Errorf("%w: %d units of the integer grid, of weight %d of %d, at epsilon %g; raise epsilon, or use a coarser grid",
		ErrSensitivity, c.Size, c.Weight, n.Limit, n.Epsilon)
	if n.Mechanism == Gaussian {
		return n.gaussian(c, tooFine)
	}
	// The library gets the float64 just below the decimal that is charged.
	d := drawn{mechanism: Laplace, limit: n.Limit, size: c.Size, epsilon: math.Nextafter(n.Epsilon, 0)}
	if c.Weight > 1 { // limit*size/(weight*epsilon), rounded towards more noise
		d.epsilon = math.Nextafter(d.epsilon*float64(c.Weight), 0)
	}
	if c.Size > maxExact/n.Limit {
		return drawn{}, tooFine
	}
	l1 := float64(c.Size * n.Limit)
	g := granularity(l1 / d.epsilon)
	if g > 1 { // the library would round x to a multiple of g, for each of any number of coordinates
		return drawn{}, tooFine
	}
	d.scale = (l1 + g) / d.epsilon
	return d, nil
}

// granularity is the grid on which the library samples Laplace noise of scale l1/epsilon: the smallest power of two
// that is at least scale/2^40.
func granularity(scale float64) float64 {
	fraction, exponent := math.Frexp(scale / laplaceResolution)
	if fraction == 0.5 {
		exponent--
	}
	return math.Ldexp(1, exponent)
}

// gaussian gives the smallest sigma on a fine grid that is at least size*sqrt(limit/weight)/epsilon. It computes in
// integers, so that no rounding makes sigma smaller.
func (n Noise) gaussian(c Coordinate, tooFine error) (drawn, error) {
	if c.Size > maxExact {
		return drawn{}, tooFine
	}
	scale := n.sigma(c)
	if !(scale <= maxSigma/2) {
		return drawn{}, tooFine
	}
	d := drawn{mechanism: Gaussian}
	for d.shift < maxShift && math.Ldexp(scale, int(d.shift)) < gaussianResolution { //nolint:gosec // at most maxShift
		d.shift++
	}
	d.sigma = n.sigmaOn(c, d.shift, 1)
	d.scale = math.Ldexp(float64(d.sigma), -int(d.shift)) //nolint:gosec // at most maxShift
	return d, nil
}

// sigma is that of the coordinate's Gaussian noise, before it is rounded up to the grid.
func (n Noise) sigma(c Coordinate) float64 {
	return float64(c.Size) * math.Sqrt(float64(n.Limit)/float64(c.Weight)) / n.Epsilon
}

// sigmaOn is sigma divided by the square root of parts, in units of 2^-shift, rounded up to a whole number of at least
// 1.
func (n Noise) sigmaOn(c Coordinate, shift uint, parts int64) uint64 {
	// sigma² = size² limit 4^shift / (weight epsilon² parts)
	epsilon := decimal(n.Epsilon)
	top := new(big.Int).Mul(big.NewInt(c.Size), big.NewInt(c.Size))
	top.Mul(top, big.NewInt(n.Limit)).Lsh(top, 2*shift)
	top.Mul(top, epsilon.Denom()).Mul(top, epsilon.Denom())
	bottom := new(big.Int).Mul(epsilon.Num(), epsilon.Num())
	bottom.Mul(bottom, big.NewInt(c.Weight)).Mul(bottom, big.NewInt(parts))
	variance := new(big.Int).Add(top, new(big.Int).Sub(bottom, big.NewInt(1)))
	variance.Quo(variance, bottom)
	sigma := new(big.Int).Sqrt(variance)
	if new(big.Int).Mul(sigma, sigma).Cmp(variance) < 0 {
		sigma.Add(sigma, big.NewInt(1))
	}
	return max(1, sigma.Uint64())
}

// upperNormal is P(Z >= x) for a standard normal Z.
func upperNormal(x float64) float64 {
	return math.Erfc(x/math.Sqrt2) / 2
}

// Distribution gives the public distribution of the noise that Add draws for the coordinate. Where Add would refuse,
// the scale is +Inf.
func (n Noise) Distribution(c Coordinate) Distribution {
	d := Distribution{Mechanism: n.Mechanism, Scale: math.Inf(1)}
	if drawn, err := n.calibrate(c); err == nil {
		d.Scale = drawn.scale
	}
	return d
}

// Choose gives the noise that has the smallest error at its price. Under ZCDP that is Gaussian noise of rho =
// epsilon²/2: its 95 % half-width is 1.96 sqrt(limit)/epsilon of a coordinate's size, and that of Laplace noise at the
// same rho is 3.00 limit/epsilon. Under Pure it is Laplace noise of epsilon, the only noise that has a price there. The
// caller must validate the result: bad arguments give a Noise that Validate refuses.
func Choose(limit int64, epsilon float64, accounting Accounting) Noise {
	if accounting == Pure {
		return Noise{Mechanism: Laplace, Epsilon: epsilon, Limit: limit}
	}
	return Noise{Mechanism: Gaussian, Epsilon: epsilon, Limit: limit}
}

// Distribution is the public distribution of one coordinate's noise: a continuous distribution symmetric about 0,
// rounded to the nearest integer. (The sampler's own grid is neglected. It is finer than 2^-39 of the scale for Laplace
// and than 2^-20 for Gaussian noise, and changes probabilities by less than that.) The zero value has infinite
// half-widths.
type Distribution struct {
	Mechanism Mechanism `json:"mechanism"`
	// Scale is b of Laplace(0, b) or sigma of N(0, sigma^2), in units of the integer grid.
	Scale float64 `json:"scale"`
}

// HalfWidth is the smallest integer w with P(|noise| <= w) >= confidence, rounding included.
// It is 0 for confidence <= 0 and +Inf for confidence >= 1.
func (d Distribution) HalfWidth(confidence float64) float64 {
	return math.Max(0, math.Ceil(d.spread(confidence)-0.5))
}

// spread is the half-width before rounding to integers.
func (d Distribution) spread(confidence float64) float64 {
	switch {
	case confidence <= 0:
		return 0
	case !(confidence < 1) || !(d.Scale > 0) || math.IsInf(d.Scale, 1):
		return math.Inf(1)
	case d.Mechanism == Laplace:
		return -d.Scale * math.Log1p(-confidence)
	case d.Mechanism == Gaussian:
		return d.Scale * normalSpread(confidence)
	}
	return math.Inf(1)
}

// normalSpread is the z with P(|Z| <= z) = confidence for a standard normal Z.
func normalSpread(confidence float64) float64 {
	return -distuv.UnitNormal.Quantile((1 - confidence) / 2)
}

// StandardDeviation is the standard deviation of the noise before rounding.
func (d Distribution) StandardDeviation() float64 {
	if d.Mechanism == Laplace {
		return math.Sqrt2 * d.Scale
	}
	return d.Scale
}

// Quantile is the p-quantile before rounding, for p in (0, 1); NaN otherwise and for the zero value.
func (d Distribution) Quantile(p float64) float64 {
	switch {
	case !(p > 0 && p < 1):
	case d.Mechanism == Laplace:
		return distuv.Laplace{Scale: d.Scale}.Quantile(p)
	case d.Mechanism == Gaussian:
		return distuv.UnitNormal.Quantile(p) * d.Scale
	}
	return math.NaN()
}

// CDF is P(noise <= x) before rounding: the integer noise is at most k with probability CDF(k + 0.5).
func (d Distribution) CDF(x float64) float64 {
	switch d.Mechanism {
	case Laplace:
		return distuv.Laplace{Scale: d.Scale}.CDF(x)
	case Gaussian:
		return upperNormal(-x / d.Scale)
	}
	return math.NaN()
}

// silent reports that the integer noise is 0, except with a probability below 2e-15.
func (d Distribution) silent() bool {
	return d.Scale > 0 && (d.Mechanism == Laplace && d.Scale < 0.5/34 || d.Mechanism == Gaussian && d.Scale < 0.5/8)
}
