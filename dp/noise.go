package dp

import (
	"errors"
	"fmt"
	"math"

	"github.com/google/differential-privacy/go/v3/noise"
	"gonum.org/v1/gonum/stat/distuv"
)

// Mechanism names the distribution that noise is drawn from.
type Mechanism string

const (
	// Laplace noise makes a release epsilon-differentially private; its error grows with l0.
	Laplace Mechanism = "laplace"
	// Gaussian noise makes a release (epsilon, delta)-differentially private; its error grows with sqrt(l0).
	Gaussian Mechanism = "gaussian"
)

const (
	// MaxSites is the largest number of hospitals at which one patient may be counted (m in this package's proofs).
	MaxSites = 1024

	// Saturation is the largest absolute value that Add takes or gives. Clamping to it is
	// 1-Lipschitz, so it raises no sensitivity.
	Saturation = int64(1) << 62

	minEpsilon         = 0x1p-50 // the library's lower limit
	maxEpsilon         = 9e9     // what an int64 holds in units of 1e-9
	minGaussianEpsilon = 1e-5    // below, the library's float64 evaluation of delta loses its digits
	maxExact           = 1 << 53 // integers that a float64 holds exactly

	// Laplace samples are integers times a power of two near scale/2^40; from a scale of 2^39 that
	// power may reach 1 and the library rounds x to it. At 2^52 a sample beyond 2^62 has
	// probability below exp(-1023).
	laplaceResolution = 0x1p40
	maxLaplaceScale   = 0x1p52
	// At sigma <= 2^55 the library's granularity is at most 1/2: it never rounds x.
	maxGaussianScale = 0x1p55
	// The library cuts Gaussian samples at 2*sqrt(ln(sqrtN)/2) sigma, sqrtN in [2^56, 2^57]: at least 8.81 sigma.
	gaussianCut = 8.8
	// The library's sigma lies within this factor above the smallest sufficient one.
	sigmaAccuracy = 1 + 1e-3
	// The delta given to the library, as a part of the delta charged: more than its float64
	// error in evaluating Balle & Wang's formula for epsilon >= minGaussianEpsilon.
	deltaMargin = 1 - 1e-6
)

var (
	// ErrNoise says that a Noise is not a release anybody can make: an unset or impossible parameter.
	ErrNoise = errors.New("noise parameters out of range")
	// ErrSensitivity says that a coordinate's sensitivity is outside what can be drawn exactly on integers.
	ErrSensitivity = errors.New("sensitivity out of range")
)

// Noise describes one release: a vector of integers that together are (Epsilon, Delta)-differentially
// private, see the package comment. The zero value refuses.
type Noise struct {
	Mechanism Mechanism `json:"mechanism"`
	// Epsilon is the whole vector's privacy loss, in (2^-50, 9e9]; for Gaussian from 1e-5.
	// It is read as the shortest decimal that denotes it: 0.1 is one tenth.
	Epsilon float64 `json:"epsilon"`
	// Delta is 0 for Laplace and in (0, 1) for Gaussian.
	Delta float64 `json:"delta"`
	// L0 is the number of coordinates that one patient can change at one site, at least 1, each
	// counted as often as its Weight says: groups a patient times the weights of a group's partial aggregates.
	L0 int64 `json:"l0"`
}

// Coordinate is what the noise on one number of a release depends on, besides the Noise.
type Coordinate struct {
	// LInf is the most that a patient can change it: sites times the bound at one site; at least 1.
	LInf int64
	// Weight is for how many coordinates it counts in L0, at least 1. Its noise is that of the weighty
	// mean of as many: Laplace noise of 1/Weight the scale, Gaussian noise of 1/sqrt(Weight).
	Weight int64
}

// Validate returns nil, or an error wrapping ErrNoise that names the parameter to change.
func (n Noise) Validate() error {
	if !(n.Epsilon > minEpsilon && n.Epsilon <= maxEpsilon) {
		return fmt.Errorf("%w: epsilon is %v; give a number above 0 (at least 2^-50) and at most %g", ErrNoise, n.Epsilon, maxEpsilon)
	}
	if n.L0 < 1 || n.L0 > maxExact {
		return fmt.Errorf("%w: l0 is %d; give the number of coordinates one patient can change, 1 to 2^53", ErrNoise, n.L0)
	}
	switch n.Mechanism {
	case Laplace:
		if n.Delta != 0 {
			return fmt.Errorf("%w: delta is %v; Laplace noise takes delta 0", ErrNoise, n.Delta)
		}
	case Gaussian:
		if !(n.Delta > 0 && n.Delta < 1) {
			return fmt.Errorf("%w: delta is %v; Gaussian noise takes delta between 0 and 1", ErrNoise, n.Delta)
		}
		if n.Epsilon < minGaussianEpsilon {
			return fmt.Errorf("%w: epsilon is %v; Gaussian noise takes at least %g, use Laplace", ErrNoise, n.Epsilon, minGaussianEpsilon)
		}
		if !(n.tail() <= n.Delta) {
			return fmt.Errorf("%w: Gaussian noise at epsilon %v is too narrow, or delta %v too small, for the sampler's cut at %g sigma; use Laplace",
				ErrNoise, n.Epsilon, n.Delta, gaussianCut)
		}
	default:
		return fmt.Errorf("%w: mechanism is %q; give %q or %q", ErrNoise, n.Mechanism, Laplace, Gaussian)
	}
	return nil
}

// Add returns x plus one fresh draw of the coordinate's noise. x is first clamped to ±Saturation,
// and so is the result. Errors wrap ErrNoise or ErrSensitivity and depend on public parameters only.
// See Adder for many numbers.
func (n Noise) Add(x int64, c Coordinate) (int64, error) {
	a, err := n.adder(n.sampler(), c)
	if err != nil {
		return 0, err
	}
	return a.Add(x)
}

// Adder adds noise of one coordinate's distribution to any number of numbers: what can be computed
// before a draw is computed once.
type Adder struct {
	noise sampler
	drawn drawn
}

// Adder prepares Add for coordinates of that kind; errors are those of Add.
func (n Noise) Adder(c Coordinate) (*Adder, error) { return n.adder(n.sampler(), c) }

func (n Noise) adder(s sampler, c Coordinate) (*Adder, error) {
	d, err := n.calibrate(c)
	if err != nil {
		return nil, err
	}
	return &Adder{s, d}, nil
}

// Add is Noise.Add.
func (a *Adder) Add(x int64) (int64, error) {
	x = min(max(x, -Saturation), Saturation)
	var y int64
	var err error
	if d := a.drawn; d.mechanism == Gaussian {
		// What AddNoiseInt64 does where the granularity is below 1, as calibrate sees to: a draw on the
		// sampler's grid, rounded, for a sensitivity that need not be a whole number.
		var z float64
		z, err = a.noise.AddNoiseFloat64(0, d.l0, d.sensitivity, d.epsilon, d.delta)
		y = x + int64(math.Round(z))
	} else {
		y, err = a.noise.AddNoiseInt64(x, d.l0, d.lInf, d.epsilon, d.delta)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoise, err)
	}
	return min(max(y, -Saturation), Saturation), nil
}

// sampler is what this package uses of the library's noise.
type sampler interface {
	AddNoiseInt64(x, l0Sensitivity, lInfSensitivity int64, epsilon, delta float64) (int64, error)
	AddNoiseFloat64(x float64, l0Sensitivity int64, lInfSensitivity, epsilon, delta float64) (float64, error)
}

func (n Noise) sampler() sampler {
	if n.Mechanism == Gaussian {
		return noise.Gaussian()
	}
	return noise.Laplace()
}

// inside gives the parameters just inside the decimals that are charged.
func (n Noise) inside() (epsilon, delta float64) {
	return math.Nextafter(n.Epsilon, 0), n.Delta * deltaMargin
}

// drawn are the parameters that the library runs with for one coordinate, and the scale of what it then draws.
type drawn struct {
	mechanism      Mechanism
	l0             int64
	lInf           int64   // Laplace: an integer, since the library may round x as well
	sensitivity    float64 // Gaussian
	epsilon, delta float64
	scale          float64
}

// calibrate gives the parameters of a coordinate's draw.
func (n Noise) calibrate(c Coordinate) (drawn, error) {
	if err := n.Validate(); err != nil {
		return drawn{}, err
	}
	if c.LInf < 1 || c.Weight < 1 || c.Weight > n.L0 {
		return drawn{}, fmt.Errorf("%w: bound %d and weight %d; a coordinate needs a bound of at least 1 and a weight from 1 to l0, which is %d",
			ErrSensitivity, c.LInf, c.Weight, n.L0)
	}
	tooFine := fmt.Errorf("%w: %d units of the integer grid for each of %d coordinates at epsilon %g; use a coarser grid or narrower bounds",
		ErrSensitivity, c.LInf, n.L0, n.Epsilon)
	d := drawn{mechanism: n.Mechanism, l0: n.L0}
	d.epsilon, d.delta = n.inside()
	if n.Mechanism == Gaussian {
		if c.LInf > maxExact {
			return drawn{}, tooFine
		}
		d.sensitivity = float64(c.LInf)
		if c.Weight > 1 {
			d.sensitivity /= math.Nextafter(math.Sqrt(float64(c.Weight)), 0)
		}
		d.scale = noise.SigmaForGaussian(d.l0, d.sensitivity, d.epsilon, d.delta)
		if !(d.scale > 0 && d.scale <= maxGaussianScale) {
			return drawn{}, tooFine
		}
		return d, nil
	}
	if c.Weight > 1 { // l0*lInf/(weight*epsilon), without a rounding in the wrong direction
		d.epsilon = math.Nextafter(d.epsilon*float64(c.Weight), 0)
	}
	// The library rounds x to a multiple of the granularity g if that is 1 or more, which can move
	// a coordinate's difference by g more. m sites can touch m*l0 coordinates, each site lInf/m in
	// l0 of them, so lInf + m*g covers it (proof in the package comment).
	d.lInf = c.LInf
	for {
		if d.lInf > maxExact/n.L0 {
			return drawn{}, tooFine
		}
		l1 := float64(d.lInf * n.L0)
		g := granularity(l1 / d.epsilon)
		d.scale = (l1 + g) / d.epsilon
		if d.scale > maxLaplaceScale {
			return drawn{}, tooFine
		}
		next := c.LInf
		if g >= 1 {
			next += MaxSites * int64(g)
		}
		if next <= d.lInf {
			return d, nil
		}
		if next-c.LInf > c.LInf/64 { // coarse beside the bound itself
			return drawn{}, tooFine
		}
		d.lInf = next
	}
}

// granularity is the grid on which the library samples Laplace noise of scale l1/epsilon: the
// smallest power of two that is at least scale/2^40.
func granularity(scale float64) float64 {
	fraction, exponent := math.Frexp(scale / laplaceResolution)
	if fraction == 0.5 {
		exponent--
	}
	return math.Ldexp(1, exponent)
}

// sigmaUnit is a lower bound on the sigma that is drawn for every coordinate, divided by its
// lInf*sqrt(l0/weight): the library's search may end at another place for each lInf, but always within
// sigmaAccuracy above the smallest sufficient sigma.
func (n Noise) sigmaUnit() float64 {
	epsilon, delta := n.inside()
	return noise.SigmaForGaussian(1, 1, epsilon, delta) / sigmaAccuracy * (1 - 1e-9)
}

// tail bounds the probability that a Gaussian release is one that a neighbour's sampler, cut at
// gaussianCut sigma, could not have drawn. 0 for Laplace.
func (n Noise) tail() float64 {
	if n.Mechanism != Gaussian {
		return 0
	}
	whole := 1 / n.sigmaUnit() // the shift, in sigmas, of a coordinate that has all the weight
	if !(whole < gaussianCut-0.2) {
		return 1
	}
	light := float64(n.L0) * upperNormal(gaussianCut-whole/math.Sqrt(float64(n.L0)))
	return math.Min(1, math.Max(light, upperNormal(gaussianCut-whole))*(1+1e-9))
}

// upperNormal is P(Z >= x) for a standard normal Z.
func upperNormal(x float64) float64 {
	return math.Erfc(x/math.Sqrt2) / 2
}

// Distribution gives the public distribution of the noise that Add draws for the coordinate. Where Add
// would refuse, the scale is +Inf.
func (n Noise) Distribution(c Coordinate) Distribution {
	d := Distribution{Mechanism: n.Mechanism, Scale: math.Inf(1)}
	if drawn, err := n.calibrate(c); err == nil {
		d.Scale = drawn.scale
	}
	return d
}

// Choose gives the noise with the narrower 95 % half-width among Laplace at epsilon and Gaussian at
// (epsilon, delta), on a coordinate of that weight of one release of which a patient changes l0 coordinates,
// weights counted. Pure accounting and delta 0 take Laplace, and so does a delta so large that Gaussian noise
// would cost more rho. The result is to be validated: bad arguments give a Noise that refuses.
func Choose(l0, weight int64, epsilon, delta float64, accounting Accounting) Noise {
	laplace := Noise{Mechanism: Laplace, Epsilon: epsilon, L0: l0}
	gaussian := Noise{Mechanism: Gaussian, Epsilon: epsilon, Delta: delta, L0: l0}
	if accounting == Pure || delta == 0 {
		return laplace
	}
	if !(delta > 0 && delta < 1) {
		return gaussian // Validate says what is wrong with delta
	}
	c := Coordinate{LInf: 1 << 10, Weight: weight} // any bound: both scales are proportional to it
	a, errA := laplace.Loss(0)
	b, errB := gaussian.Loss(0)
	if errA == nil && errB == nil && b.Rho > a.Rho {
		return laplace
	}
	if gaussian.Distribution(c).spread(0.95) < laplace.Distribution(c).spread(0.95) {
		return gaussian
	}
	return laplace
}

// Distribution is the public distribution of one coordinate's noise: a continuous distribution
// symmetric about 0, rounded to the nearest integer. (The sampler's own grid is finer than
// 2^-39 of the scale and is neglected: it moves probabilities by less than 2^-39.) The zero value
// has infinite half-widths.
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

// silent reports that the integer noise is 0 but for a probability below 2e-15.
func (d Distribution) silent() bool {
	return d.Scale > 0 && (d.Mechanism == Laplace && d.Scale < 0.5/34 || d.Mechanism == Gaussian && d.Scale < 0.5/8)
}
