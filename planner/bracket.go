package planner

import (
	"math"

	"github.com/intramuros/intramuros/dp"
)

// bracket is where a number lies, as far as can be told: interval arithmetic on them (Moore 1966) is sound
// whatever joint values the numbers have.
type bracket struct{ low, high float64 }

func (s bracket) minus(o bracket) bracket { return bracket{s.low - o.high, s.high - o.low} }

func (s bracket) times(o bracket) bracket {
	a, b, c, d := product(s.low, o.low), product(s.low, o.high), product(s.high, o.low), product(s.high, o.high)
	return bracket{min(a, b, c, d), max(a, b, c, d)}
}

// product of 0 and infinity is 0: the factor is 0 for sure.
func product(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 0
	}
	return x * y
}

// over divides by what is not negative.
func (s bracket) over(o bracket) bracket {
	if o.low <= 0 {
		return bracket{-inf, inf}
	}
	return s.times(bracket{1 / o.high, 1 / o.low})
}

func (s bracket) squared() bracket {
	a, b := s.low*s.low, s.high*s.high
	if s.low <= 0 && s.high >= 0 {
		return bracket{0, max(a, b)}
	}
	return bracket{min(a, b), max(a, b)}
}

func (s bracket) positive() bracket { return bracket{math.Max(0, s.low), math.Max(0, s.high)} }

func (s bracket) root() bracket { return bracket{root(s.low), root(s.high)} }

// means are those of a group's values and products, of which variances and the like are made: sums divided
// by the same count. Each bracket is Fieller's interval, so that it holds at any size of the count.
type means struct {
	g          group
	a          *Aggregate
	confidence float64 // of each
}

// of is the mean that partial i of the aggregate is a sum for; partial 0 is the count.
func (m means) of(i int) bracket {
	n, s := m.a.Partials[0], m.a.Partials[i]
	grid := m.g.plan.Fragment.Partials[s].Grid
	of, scale := m.a.scale[0], m.a.scale[i]
	ratio := dp.Ratio{
		Numerator: scale*m.g.noisy(s) + m.a.center[i]*of*m.g.noisy(n), Denominator: of * m.g.noisy(n),
		Terms: append(m.g.fit.terms(m.g.plan, s, scale, 0), m.g.fit.terms(m.g.plan, n, m.a.center[i]*of, of)...),
	}
	low, high := ratio.Interval(m.confidence, grid.Number(float64(grid.Lower)), grid.Number(float64(grid.Upper)))
	return bracket{low, high}
}

// sample is n/(n-1), which is at most 2.
func (m means) sample() bracket {
	of, scale := m.a.Partials[0], m.a.scale[0]
	n, half := scale*m.g.noisy(of), scale*m.g.halfWidth(of, m.confidence)
	return bracket{sample(n + half), sample(n - half)}
}

func (m means) variance(sum, square int) bracket {
	return m.of(square).minus(m.of(sum).squared()).positive()
}

func (m means) covariance() bracket { return m.of(3).minus(m.of(1).times(m.of(2))) }

func (m means) slope() bracket { return m.covariance().over(m.variance(2, 5)) }

func (m means) correlation() bracket {
	return m.covariance().over(m.variance(1, 4).times(m.variance(2, 5)).root())
}

// sure is how many standard deviations of its noise a number must be away from 0, for what it divides or multiplies to
// be close to linear in the noise, so that a simulation covers as it should; found by TestIntervalCoverage.
const sure = 8

// determined reports whether all numbers by which the expression's aggregates divide, and all
// that are multiplied, are far from 0.
func (g group) determined(all []int) bool {
	for _, i := range all {
		a := &g.plan.Aggregates[i]
		of := a.Partials[0]
		if _, _, ok := a.average(); ok {
			of = a.Partials[1]
		}
		if math.Abs(g.noisy(of)) < sure*deviation(g.plan.noise[of]) {
			return false
		}
	}
	return true
}

func deviation(d dp.Distribution) float64 {
	if d.Mechanism == dp.Laplace {
		return math.Sqrt2 * d.Scale
	}
	return d.Scale
}
