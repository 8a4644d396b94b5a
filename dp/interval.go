package dp

import "math"

// Weighted is one draw of noise times a public weight.
type Weighted struct {
	Weight       float64
	Distribution Distribution
}

// CombinedHalfWidth gives a w with P(|sum of weight*noise| <= w) >= confidence, for independent draws. It is 0 for
// confidence <= 0 and +Inf for confidence >= 1.
//
// One term gives the smallest such w. For more terms, w is the smallest for the noise before rounding, plus half of
// each |weight| for the rounding. It is exact for Gaussian noise alone and for two Laplace terms. Otherwise the
// characteristic function is inverted, with scales below a twentieth of the largest raised to it (never too narrow: the
// sum becomes less peaked, Birnbaum 1948), to an absolute error in probability below 1e-10. Beyond confidence 1 - 1e-7
// that last case uses the union bound.
func CombinedHalfWidth(confidence float64, terms []Weighted) float64 {
	last, count := 0, 0
	for i, t := range terms {
		if t.Weight != 0 && !t.Distribution.silent() {
			last, count = i, count+1
		}
	}
	if count == 1 && !math.IsNaN(terms[last].Weight) {
		if confidence <= 0 {
			return 0
		}
		return math.Abs(terms[last].Weight) * terms[last].Distribution.HalfWidth(confidence)
	}
	c := combination{confidence: confidence}
	for _, t := range terms {
		c.add(t.Weight, t.Distribution, 1)
	}
	return c.halfWidth()
}

// combination collects weighted terms. Its halfWidth is a norm of the weights, which Ratio.Interval relies on: the
// quantile of a symmetric log-concave measure along a direction is a norm (Meyer & Reisner 1991, Bobkov 2010).
type combination struct {
	confidence float64
	normal     float64 // cached normalSpread(confidence), 0 when not yet computed
	laplace    []repeated
	variance   float64 // of the Gaussian terms together
	rounding   float64
	invalid    bool
}

// repeated is count Laplace terms of the same scale, the weight included.
type repeated struct {
	scale float64
	count int
}

func (c *combination) reset() {
	c.laplace, c.variance, c.rounding, c.invalid = c.laplace[:0], 0, 0, false
}

func (c *combination) add(weight float64, d Distribution, count int) {
	if weight == 0 || d.silent() {
		return
	}
	scale := math.Abs(weight) * d.Scale
	switch {
	case !(d.Scale > 0) || !(scale < math.Inf(1)):
		c.invalid = true
	case d.Mechanism == Laplace:
		c.laplace = append(c.laplace, repeated{scale, count})
	case d.Mechanism == Gaussian:
		c.variance += float64(count) * scale * scale
	default:
		c.invalid = true
	}
	c.rounding += float64(count) * math.Abs(weight) / 2
}

func (c *combination) halfWidth() float64 {
	if c.confidence <= 0 || !c.invalid && len(c.laplace) == 0 && c.variance == 0 {
		return 0
	}
	if c.invalid || !(c.confidence < 1) {
		return math.Inf(1)
	}
	if c.variance > 0 && c.normal == 0 {
		c.normal = normalSpread(c.confidence)
	}
	switch n := c.terms(); {
	case n == 0:
		return c.normal*math.Sqrt(c.variance) + c.rounding
	case n == 1 && c.variance == 0:
		return twoLaplace(c.confidence, c.laplace[0].scale, 0) + c.rounding
	case n == 2 && c.variance == 0:
		return twoLaplace(c.confidence, c.laplace[0].scale, c.laplace[len(c.laplace)-1].scale) + c.rounding
	}
	return c.numeric() + c.rounding
}

// terms is the number of Laplace terms.
func (c *combination) terms() int {
	n := 0
	for _, r := range c.laplace {
		n += r.count
	}
	return n
}

// twoLaplace gives the w with P(|X+Y| > w) = 1-confidence for Laplace X, Y of scales p and q.
// For p >= q, writing d = w/q - w/p and e = (1-exp(-d))/d,
//
//	P(|X+Y| > w) = (p²exp(-w/p) - q²exp(-w/q))/(p²-q²) = exp(-w/p)(1 + q·w·e/(p(p+q)))
//
// in a form that stays exact at p = q. Its logarithm is concave, so Newton's steps come down on the root from above.
func twoLaplace(confidence, p, q float64) float64 {
	if p < q {
		p, q = q, p
	}
	q /= p
	target := math.Log1p(-confidence)
	w := -target // in units of p; exact for q = 0, too low otherwise
	if q == 0 {
		return w * p
	}
	for range 50 {
		e := 1.0
		if d := w * (1 - q) / q; d > 0 {
			e = -math.Expm1(-d) / d
		}
		over := q * w * e / (1 + q)
		// log tail - target, times tail/density
		step := (math.Log1p(over) - w - target) * (1 + over) * (1 + q) / (1 + w*e)
		w += step
		if math.Abs(step) <= 1e-12*w {
			break
		}
	}
	return w * p * (1 + 1e-12)
}

// numeric inverts the characteristic function (Gil-Pelaez 1951): with t = (k+1/2)h,
//
//	P(|S| <= w) = (2/pi) sum over k of phi(t) sin(w t)/(k+1/2)
//
// up to two errors: P(|S| > 2pi/h - w), which h keeps below 1e-12, and the terms after phi < 1e-13, which are left out.
func (c *combination) numeric() float64 {
	sigma, n := math.Sqrt(c.variance), float64(c.terms())
	unit := sigma
	for _, b := range c.laplace {
		unit = math.Max(unit, b.scale)
	}
	miss := 1 - c.confidence
	if miss < 1e-7 {
		sum := sigma * normalSpread(1-miss/(n+1))
		for _, b := range c.laplace {
			sum += float64(b.count) * b.scale * math.Log((n+1)/miss)
		}
		return sum
	}
	const floor = 1.0 / 20
	squares := make([]float64, len(c.laplace))
	for i, b := range c.laplace {
		scale := math.Max(b.scale/unit, floor)
		squares[i] = scale * scale
	}
	variance := c.variance / unit / unit
	if variance > 0 {
		variance = math.Max(variance, floor*floor)
	}
	// Chernoff at 3/4: P(|S| > w) <= 2 (16/7)^n exp(9/32) exp(-3w/4), in units of the largest scale.
	reach := func(p float64) float64 { return (1 + 0.83*n - math.Log(p)) / 0.75 }
	most := reach(miss)
	h := 2 * math.Pi / (most + reach(1e-12))
	var coefficients []float64
	for k := 0.5; ; k++ {
		t := k * h
		phi := math.Exp(-variance * t * t / 2)
		for i, s := range squares {
			if c.laplace[i].count == 1 {
				phi /= 1 + s*t*t
			} else {
				phi /= math.Pow(1+s*t*t, float64(c.laplace[i].count))
			}
		}
		if phi < 1e-13 {
			break
		}
		coefficients = append(coefficients, phi/k)
	}
	covered := func(w float64) float64 {
		s, co := math.Sincos(w * h / 2)
		rs, rc := math.Sincos(w * h)
		sum := 0.0
		for _, f := range coefficients {
			sum += f * s
			s, co = s*rc+co*rs, co*rc-s*rs
		}
		return sum*2/math.Pi - c.confidence - 1e-10
	}
	return unit * root(covered, -c.confidence, most, 1e-9)
}

// root brackets the one sign change of f in [0, high] and returns the upper end of the bracket, whose relative width is
// at most tolerance. atZero = f(0) <= 0. It returns +Inf if f(high) is not positive. The method is Illinois' false
// position, with bisection for slow cases.
func root(f func(float64) float64, atZero, high, tolerance float64) float64 {
	low, fLow, fHigh := 0.0, atZero, f(high)
	if !(fLow < 0) {
		return 0
	}
	if !(fHigh > 0) {
		return math.Inf(1)
	}
	for i := 0; i < 200 && high-low > tolerance*high; i++ {
		mid := high - fHigh*(high-low)/(fHigh-fLow)
		if i%3 == 2 {
			mid = low + (high-low)/2
		} else { // step past the root by a little, so that both ends close in
			mid = math.Min(math.Max(mid, low+tolerance*high/4), high-tolerance*high/4)
		}
		if v := f(mid); v > 0 {
			high, fHigh, fLow = mid, v, fLow/2
		} else {
			low, fLow, fHigh = mid, v, fHigh/2
		}
	}
	return high
}

// Ratio is a quotient of two linear forms of released numbers,
//
//	(Numerator + sum a_i X_i) / (Denominator + sum b_i X_i),
//
// where each X_i is an exact number plus independent noise, and everything else is public.
type Ratio struct {
	Numerator, Denominator float64
	Terms                  []RatioTerm
}

// RatioTerm is one released number X and its two weights, or several numbers that share weights and noise.
type RatioTerm struct {
	Value                  float64 // X, as released; the sum, if there are several
	Distribution           Distribution
	Numerator, Denominator float64 // a and b
	Count                  int     // the number of released numbers; 0 means 1
}

// Interval gives the values in [lo, hi] that the exact ratio may have. The interval contains the exact ratio with at
// least the stated confidence, if the ratio is in [lo, hi], a public range that may be infinite.
//
// It is Fieller's interval (1954). For the exact ratio r, N - r*D is noise alone, sum (a_i - r b_i) e_i. So the set of
// r with |N - r*D| <= CombinedHalfWidth(confidence, {a_i - r b_i}) covers r whatever the exact numbers are. Where D may
// be 0 that set is unbounded and the answer is [lo, hi]. If the set lies outside [lo, hi], both ends of the answer are
// the nearer end of [lo, hi].
func (r Ratio) Interval(confidence, lo, hi float64) (low, high float64) {
	if confidence <= 0 {
		confidence = 0
	}
	num, den := r.Numerator, r.Denominator
	c := combination{confidence: confidence, laplace: make([]repeated, 0, len(r.Terms))}
	for _, t := range r.Terms {
		num += t.Numerator * t.Value
		den += t.Denominator * t.Value
		c.add(t.Denominator, t.Distribution, max(1, t.Count))
	}
	margin := math.Abs(den) - c.halfWidth() // |W(r+s)| <= W(r) + |s|*W(denominator), a norm
	gaussian := len(c.laplace) == 0
	center := num / den
	width := func(x float64) float64 {
		c.reset()
		for _, t := range r.Terms {
			c.add(t.Numerator-x*t.Denominator, t.Distribution, max(1, t.Count))
		}
		return c.halfWidth()
	}
	if !(margin > 1e-12*math.Abs(den)) || math.IsNaN(center) || math.IsInf(center, 0) {
		return lo, hi
	}
	atCenter := width(center)
	if gaussian = gaussian && len(c.laplace) == 0; gaussian && !math.IsInf(atCenter, 0) && !math.IsNaN(atCenter) {
		below, above := r.gaussianSides(center, math.Abs(den), c.normal)
		low, high = center-below, center+above
		return math.Min(math.Max(low, lo), hi), math.Max(math.Min(high, hi), lo)
	}
	reach := atCenter / margin * 1.1 // the numeric half-width is a norm only to within a few percent
	if math.IsNaN(reach) || math.IsInf(reach, 0) {
		return lo, hi
	}
	side := func(sign float64) float64 {
		return root(func(s float64) float64 { return s*math.Abs(den) - width(center+sign*s) }, -atCenter, reach, 1e-6)
	}
	low, high = center-side(-1), center+side(1)
	return math.Min(math.Max(low, lo), hi), math.Max(math.Min(high, hi), lo)
}

// gaussianSides gives how far the interval extends below and above the center where all noise is Gaussian. That is the
// s with s*|D| = z*sqrt(variance(center ± s)) + rounding, a quadratic equation, with the largest possible rounding.
func (r Ratio) gaussianSides(center, den, z float64) (below, above float64) {
	var a, b, c, rounding, roundingPerUnit float64 // variance(center + s) = a + 2bs + cs²
	for _, t := range r.Terms {
		if t.Distribution.silent() {
			continue
		}
		n := float64(max(1, t.Count))
		w, v := t.Numerator-center*t.Denominator, n*t.Distribution.Scale*t.Distribution.Scale
		a, b, c = a+w*w*v, b-w*t.Denominator*v, c+t.Denominator*t.Denominator*v
		rounding += n * math.Abs(w) / 2
		roundingPerUnit += n * math.Abs(t.Denominator) / 2
	}
	d := den - roundingPerUnit
	// (d*s - rounding)² = z²(a + 2bs + cs²), where d > z*sqrt(c), since the denominator cannot be 0
	root := func(b float64) float64 {
		p, q := d*d-z*z*c, d*rounding+z*z*b
		return (q + math.Sqrt(math.Max(0, q*q+p*(z*z*a-rounding*rounding)))) / p
	}
	return root(-b), root(b)
}
