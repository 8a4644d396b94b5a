package dp

import (
	"fmt"
	"math"
)

// Presence says how one patient makes undeclared groups appear. Its units are the integers of the released number of
// patients.
type Presence struct {
	// Sites is m, the number of sites at which the patient may be, 1 to MaxSites.
	Sites int64
	// Least and Most bound a patient's non-zero part of a group at one site: 1 <= Least <= Most. A group in which all
	// parts are 0 does not appear.
	Least, Most int64
	// Reach bounds the sum of a patient's parts over all groups at one site; it is at least Most.
	Reach int64
}

// Threshold gives the smallest safe T >= 1 for releasing exactly those undeclared groups whose noisy patient count is
// at least T. Safe means: with probability at least 1-delta, no group that only one patient has is shown, over all
// groups of that patient at all sites.
//
// The noisy count is Add(count, patients) of this same Noise. delta is in (0, 1), and Loss charges it as the
// threshold's delta.
//
// A patient alone in a group counts c there, with p.Least <= c <= m*p.Most, and the c of all such groups add up to at
// most m*p.Reach. So
//
//	P(any is released) <= sum f(c) <= m*p.Reach * max over c of f(c)/c,   f(c) = P(noise >= T-c).
//
// Errors wrap ErrNoise or ErrSensitivity.
func (n Noise) Threshold(p Presence, patients Coordinate, delta float64) (int64, error) {
	if err := n.Validate(); err != nil {
		return 0, err
	}
	if err := p.validate(delta); err != nil {
		return 0, err
	}
	d := n.Distribution(patients)
	if !(d.Scale <= laplaceResolution/4) {
		return 0, fmt.Errorf("%w: noise of scale %g on a patient count; raise epsilon", ErrSensitivity, d.Scale)
	}
	return p.threshold(p.Sites*p.Most, d.atLeast, delta)
}

// Threshold gives the smallest safe T >= 1 for this rule: each hospital names exactly those of its undeclared groups
// whose number of patients, after Cover and Read of this share, is at least T. Safe means: with probability at most
// delta a group that only one patient has at a hospital is named there, over all groups of that patient at all p.Sites
// hospitals.
//
// The bound is that of Noise.Threshold, with one hospital's part of a group, p.Least <= c <= p.Most, in place of all
// hospitals' parts. Errors wrap ErrNoise or ErrSensitivity.
func (s *Share) Threshold(p Presence, delta float64) (int64, error) {
	if err := p.validate(delta); err != nil {
		return 0, err
	}
	// Read gives at least k for a draw z where z >= (k-1/2)*2^shift. By Canonne, Kamath & Steinke 2020, Proposition 25,
	// the probability of that is at most the probability that a continuous draw is at least one step of the grid lower.
	scale, step := math.Ldexp(float64(s.sigma), -int(s.shift)), 1/float64(s.sigma) //nolint:gosec // at most 35
	return p.threshold(p.Most, func(k int64) float64 {
		if k < 1 {
			return 1
		}
		return upperNormal((float64(k)-0.5)/scale-step) * (1 + 1e-12)
	}, delta)
}

func (p Presence) validate(delta float64) error {
	if p.Sites < 1 || p.Sites > MaxSites {
		return fmt.Errorf("%w: a patient may be at %d sites; give 1 to %d", ErrNoise, p.Sites, MaxSites)
	}
	if p.Least < 1 || p.Most < p.Least || p.Reach < p.Most || p.Reach > maxExact {
		return fmt.Errorf("%w: a patient's parts of groups are %d to %d and %d in all; give numbers from 1, in that order", ErrNoise, p.Least, p.Most, p.Reach)
	}
	if !(delta > 0 && delta < 1) {
		return fmt.Errorf("%w: the threshold's delta is %v; give a number between 0 and 1", ErrNoise, delta)
	}
	return nil
}

// threshold is the smallest t at which a group of one patient, who counts at most most in it, is shown with probability
// at most delta. tail bounds P(noise >= k).
func (p Presence) threshold(most int64, tail func(k int64) float64, delta float64) (int64, error) {
	safe := func(t int64) bool {
		// 1e-9 is far above the float64 error of these few operations and of delta as a decimal.
		return float64(p.Sites)*float64(p.Reach)*p.worst(most, tail, t)*(1+1e-9) <= delta
	}
	low, high := int64(0), int64(1) // low is not safe (or is 0), high is safe
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

// worst bounds f(c)/c from above over all possible c: exactly up to 64, and then by f(b)/a over a <= c <= b, where b is
// about a 64th more than a.
func (p Presence) worst(most int64, tail func(k int64) float64, t int64) float64 {
	worst := 0.0
	for a := p.Least; a <= most; {
		b := min(most, a+a/64)
		worst = math.Max(worst, tail(t-b)/float64(a))
		a = b + 1
	}
	return worst
}

// atLeast bounds P(integer noise >= k) from above.
//
// The library draws an integer X with P(X >= j) = q^j/(1+q) for j >= 0, q = exp(-g/b), and adds round(g*X) with g <=
// 1/2, halves away from zero. (k-1/2)/g is an integer. So for k >= 1, P(noise >= k) = exp(-(k-1/2)/b)/(1+q), where
// 1/(1+q) <= (1+g/b)/2 and g/b <= 2^-39.
//
// A discrete Gaussian draw z of sigma s is at least m with at most the probability that a continuous draw is at least
// m-1 (Canonne, Kamath & Steinke 2020, Proposition 25). One step of the grid is at most 2^-20 of the scale, because s
// is at least gaussianResolution; otherwise the shift is maxShift and k is far beyond s.
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
