package planner

import (
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// means returns brackets of the means that an aggregate reads in this group, each with the confidence. Each is
// Fieller's interval, so it holds for any count.
func (g group) means(a *Aggregate, confidence float64) estimate.Means {
	n, of := a.Partials[0], a.scale[0]
	mean := func(i int) estimate.Bracket {
		s, scale := a.Partials[i], a.scale[i]
		grid := g.plan.Fragment.Partials[s].Grid
		ratio := dp.Ratio{
			Numerator: scale*g.noisy(s) + a.center[i]*of*g.noisy(n), Denominator: of * g.noisy(n),
			Terms: append(g.fit.terms(g.plan, s, scale, 0), g.fit.terms(g.plan, n, a.center[i]*of, of)...),
		}
		low, high := ratio.Interval(confidence, grid.Number(float64(grid.Lower)), grid.Number(float64(grid.Upper)))
		return estimate.Bracket{Low: low, High: high}
	}
	return estimate.Means{Of: mean, Bessel: func() estimate.Bracket {
		count, half := of*g.noisy(n), of*g.halfWidth(n, confidence)
		return estimate.Bracket{Low: estimate.Bessel(count + half), High: estimate.Bessel(count - half)}
	}}
}

// sureDeviations is how many standard deviations of its noise a divisor or factor must be away from 0. Then the result
// is nearly linear in the noise, and a simulation covers as it should. TestIntervalCoverage found the value.
const sureDeviations = 8

// determined reports whether the divisors and factors of these aggregates are all far from 0.
func (g group) determined(all []int) bool {
	for _, i := range all {
		a := &g.plan.Aggregates[i]
		of := a.Partials[0]
		if _, _, ok := a.average(); ok {
			of = a.Partials[1]
		}
		if math.Abs(g.noisy(of)) < sureDeviations*g.plan.noise[of].StandardDeviation() {
			return false
		}
	}
	return true
}
