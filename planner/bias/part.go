package bias

import (
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// Number is a noisy number, of which the noise is one term.
type Number struct {
	Amount float64
	Noise  dp.RatioTerm
}

// Within is an interval of the exact number.
func (n Number) Within(confidence float64) (low, high float64) {
	sum := dp.Ratio{Numerator: n.Amount, Denominator: 1, Terms: []dp.RatioTerm{n.Noise}}
	return sum.Interval(confidence, math.Inf(-1), math.Inf(1))
}

// Part is how much of the data was left out, or moved, as measured with noise.
type Part struct {
	// Amount in the unit of what is measured, and the half-width of its interval.
	Amount, HalfWidth float64
	// Share of all, with the ends of its interval, in [0, 1]; NaN where it is not known how much there is.
	Share, Low, High float64
	// Surely is what the share is below with 99.9 % confidence.
	Surely float64
}

// Left is what was left out beside what was kept, which is nil where it does not tell how much there is: of a sum of
// both signs.
func Left(lost Number, kept *Number, confidence float64) Part {
	return measure(lost, kept, estimate.ShareOf, confidence)
}

// Moved is how many of all were moved; nil: all were not counted.
func Moved(moved Number, all *Number, confidence float64) Part {
	p := measure(moved, all, estimate.PartOf, confidence)
	p.Amount = math.Max(0, p.Amount)
	return p
}

// measure reads a share, which of makes of the two numbers. Each of these holds with half of what may go wrong.
// Fieller's interval is a tenth narrower, and takes milliseconds.
func measure(part Number, beside *Number, of func(a, b, ofNothing float64) float64, confidence float64) Part {
	low, high := part.Within(confidence)
	p := Part{Amount: part.Amount, HalfWidth: (high - low) / 2, Share: math.NaN(), Low: math.NaN(), High: math.NaN()}
	if beside == nil {
		return p
	}
	within := func(of func(a, b, ofNothing float64) float64, each float64) (low, high float64) {
		least, most := part.Within(each)
		leastBeside, mostBeside := beside.Within(each)
		return of(least, mostBeside, 0), of(most, leastBeside, 1)
	}
	const surely = 0.999
	p.Low, p.High = within(of, (1+confidence)/2)
	_, p.Surely = within(of, surely)
	p.Share = math.Max(p.Low, math.Min(p.High, of(part.Amount, beside.Amount, 0.5))) // 0.5: noise alone
	return p
}
