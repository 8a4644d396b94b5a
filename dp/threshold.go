package dp

import (
	"fmt"
	"math"
)

// Threshold gives the smallest T >= 1 such that releasing exactly those undeclared groups whose
// noisy patient count is at least T shows a group that only one patient has with probability at
// most delta, over all of that patient's groups at all sites.
//
// The noisy patient count is Add(count, patients) of this same Noise, where patients.LInf is the number of
// sites, m, 1 to MaxSites; groups is the most groups a patient touches at one site (L0 of the query, not L0 times
// aggregates), at least 1; delta is in (0, 1) and is what Loss charges for thresholding.
//
// A patient alone in a group counts c there, the number of sites at which that patient is in it:
// 1 <= c <= m, and the c of all such groups add up to at most m*groups. So
//
//	P(any is released) <= sum f(c) <= m*groups * max over c of f(c)/c,   f(c) = P(noise >= T-c).
//
// Errors wrap ErrNoise or ErrSensitivity.
func (n Noise) Threshold(groups int64, patients Coordinate, delta float64) (int64, error) {
	sites := patients.LInf
	if err := n.Validate(); err != nil {
		return 0, err
	}
	if groups < 1 || groups > n.L0 {
		return 0, fmt.Errorf("%w: a patient touches %d groups; give 1 to l0, which is %d", ErrNoise, groups, n.L0)
	}
	if sites < 1 || sites > MaxSites {
		return 0, fmt.Errorf("%w: a patient may be at %d sites; give 1 to %d", ErrNoise, sites, MaxSites)
	}
	if !(delta > 0 && delta < 1) {
		return 0, fmt.Errorf("%w: the threshold's delta is %v; give a number between 0 and 1", ErrNoise, delta)
	}
	d := n.Distribution(patients)
	if !(d.Scale <= laplaceResolution/4) { // beyond, the library may round the count itself
		return 0, fmt.Errorf("%w: noise of scale %g on a patient count; raise epsilon", ErrSensitivity, d.Scale)
	}
	safe := func(t int64) bool {
		worst := 0.0
		for c := int64(1); c <= sites; c++ {
			worst = math.Max(worst, d.atLeast(t-c)/float64(c))
		}
		// 1e-9 is far above the float64 error of these few operations and of delta as a decimal.
		return float64(sites)*float64(groups)*worst*(1+1e-9) <= delta
	}
	low, high := int64(0), int64(1) // low is not safe (or 0), high is
	for !safe(high) {
		low, high = high, 2*high
		if high > Saturation/2 {
			return 0, fmt.Errorf("%w: no threshold keeps delta %g", ErrSensitivity, delta)
		}
	}
	for low+1 < high {
		if mid := low + (high-low)/2; safe(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high, nil
}

// atLeast bounds P(integer noise >= k) from above.
//
// The library draws an integer X with P(X >= j) = q^j/(1+q) for j >= 0, q = exp(-g/b), and adds
// round(g*X) with g <= 1/2, halves away from zero; (k-1/2)/g is an integer, so for k >= 1
// P(noise >= k) = exp(-(k-1/2)/b)/(1+q), where 1/(1+q) <= (1+g/b)/2 and g/b <= 2^-39.
//
// A discrete Gaussian draw z of sigma s is at least m with a probability of at most that of a continuous one
// being at least m-1 (Canonne, Kamath & Steinke 2020, Proposition 25), and s is at least gaussianResolution, or the
// shift is maxShift and k far beyond s: one step of its grid is at most 2^-20 of the scale.
func (d Distribution) atLeast(k int64) float64 {
	if k < 1 {
		return 1
	}
	x := float64(k) - 0.5
	if d.Mechanism == Gaussian {
		return upperNormal(x/d.Scale-1.0/gaussianResolution) * (1 + 1e-12)
	}
	return math.Exp(-x/d.Scale) / 2 * (1 + 0x1p-39)
}
