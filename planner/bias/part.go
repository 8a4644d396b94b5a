package bias

import (
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// Number is a noisy number with the term that describes its noise.
type Number struct {
	Amount float64
	Noise  dp.RatioTerm
}

// Within returns an interval of the exact number.
func (n Number) Within(confidence float64) (low, high float64) {
	sum := dp.Ratio{Numerator: n.Amount, Denominator: 1, Terms: []dp.RatioTerm{n.Noise}}
	return sum.Interval(confidence, math.Inf(-1), math.Inf(1))
}

// Part is the part of the data that was left out or moved, as measured with noise.
type Part struct {
	// Amount is in the unit of the measured number. HalfWidth is the half-width of its interval.
	Amount, HalfWidth float64
	// Share is the share of all, and Low and High are the ends of its interval, in [0, 1]. They are NaN if the total is
	// not known.
	Share, Low, High float64
	// Surely is an upper bound of the share, with 99.9 % confidence.
	Surely float64
}

// Left measures what was left out. kept measures what was kept. It is nil if it does not tell the total, as for a sum
// whose values have both signs.
func Left(lost Number, kept *Number, confidence float64) Part {
	return measure(lost, kept, estimate.ShareOf, confidence)
}

// Moved measures how many of all values were moved. all is nil if the values were not counted.
func Moved(moved Number, all *Number, confidence float64) Part {
	p := measure(moved, all, estimate.PartOf, confidence)
	p.Amount = math.Max(0, p.Amount)
	return p
}

// measure computes a share, which of calculates from the two numbers. The interval of each number gets half of the
// error probability. Fieller's interval is a tenth narrower, but takes milliseconds.
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
	p.Share = math.Max(p.Low, math.Min(p.High, of(part.Amount, beside.Amount, 0.5))) // 0.5: if there is only noise
	return p
}
