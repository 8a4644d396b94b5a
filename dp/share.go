package dp

import (
	"fmt"
	"math"
	"math/bits"
)

// Shares says how hospitals draw the noise of a release where each draws its own share of it.
type Shares struct {
	// Sites is the number of hospitals at which one patient may be, m of the package comment. The Size of the
	// coordinates must count the same number. From 1 to MaxSites.
	Sites int
	// Honest is the number of shares of noise that a hospital may rely on, its own included: H of the package comment.
	// At least 1. At 1 each share protects its hospital by itself.
	Honest int
}

const (
	shareResolution = 1 << 10 // a share's grid is finer than 1/shareResolution of its sigma
	maxShareSigma   = 1 << 52 // the noise of 1,024 hospitals adds up to less than 2^62
	sharePatients   = 26      // 2^26 patients at the bound add up to less than 2^61 (a longer vector may exceed the bound in one place)
	shareReach      = 61
)

// Share is the noise that a hospital adds to its numbers of one kind of coordinate. It may be used by any number of
// goroutines.
type Share struct {
	sigma uint64 // in units of 2^-shift
	shift uint
	draw  func(sigma uint64) int64
}

// Share gives a hospital's share of the coordinate's noise: discrete Gaussian noise, of the variance of the whole noise
// divided by max(Sites, Honest). The noise must be Gaussian, because a share of Laplace noise protects nothing by
// itself. Errors wrap ErrNoise or ErrSensitivity and depend on public parameters only.
func (n Noise) Share(c Coordinate, s Shares) (*Share, error) { return n.share(gauss, c, s) }

func (n Noise) share(draw func(uint64) int64, c Coordinate, s Shares) (*Share, error) {
	if n.Mechanism == Laplace {
		return nil, fmt.Errorf("%w: Laplace noise has no shares that cover", ErrNoise)
	}
	if s.Sites < 1 || s.Sites > MaxSites || s.Honest < 1 {
		return nil, fmt.Errorf("%w: shares for a patient at %d hospitals, of which %d count", ErrNoise, s.Sites, s.Honest)
	}
	if _, err := n.calibrate(c); err != nil {
		return nil, err
	}
	tooFine := fmt.Errorf("%w: %d units of the integer grid for each of %d coordinates at epsilon %g; use a coarser grid or narrower bounds",
		ErrSensitivity, c.Size, n.Limit, n.Epsilon)
	parts := max(s.Sites, s.Honest)
	scale := n.sigma(c) / math.Sqrt(float64(parts))
	bound := uint64(c.Size-1)/uint64(s.Sites) + 1 //nolint:gosec // both are at least 1
	most := uint(max(0, shareReach-sharePatients-bits.Len64(bound-1)))
	share := &Share{draw: draw}
	for share.shift < most && math.Ldexp(scale, int(share.shift)) < gaussianResolution { //nolint:gosec // at most 35
		share.shift++
	}
	on := math.Ldexp(scale, int(share.shift)) //nolint:gosec // at most 35
	if !(on >= shareResolution && on <= maxShareSigma) {
		return nil, tooFine
	}
	share.sigma = n.sigmaOn(c, share.shift, int64(parts))
	return share, nil
}

// Cover returns x with fresh noise, in units of 2^-Shift. x is first clamped to ±2^(61-Shift), so that the sum of what
// all hospitals send fits in 64 bits.
func (s *Share) Cover(x int64) int64 {
	limit := int64(1) << (shareReach - s.shift)
	return min(max(x, -limit), limit)<<s.shift + s.draw(s.sigma)
}

// Read turns a sum of covered numbers into a number. It rounds to the nearest integer and clamps to ±Saturation.
func (s *Share) Read(sum int64) int64 {
	return min(max(roundShift(sum, s.shift), -Saturation), Saturation)
}

// Shift is the number of binary digits after the point of a covered number, 0 to 35.
func (s *Share) Shift() uint { return s.shift }

// Total is the distribution of the noise on the sum of the covered numbers of so many hospitals.
func (s *Share) Total(hospitals int) Distribution {
	return Distribution{Mechanism: Gaussian, Scale: math.Ldexp(float64(s.sigma)*math.Sqrt(float64(hospitals)), -int(s.shift))} //nolint:gosec // at most 35
}
