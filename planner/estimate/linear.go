package estimate

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/dp"
)

// Form is a linear form in noisy numbers: Constant + the sum of Weights[i] times number i.
type Form struct {
	Constant float64
	Weights  map[int]float64
}

func (f Form) plus(o Form, factor float64) Form {
	sum := Form{f.Constant + factor*o.Constant, map[int]float64{}}
	for i, w := range f.Weights {
		sum.Weights[i] += w
	}
	for i, w := range o.Weights {
		sum.Weights[i] += factor * w
	}
	return sum
}

// Times multiplies the form by a number.
func (f Form) Times(factor float64) Form { return Form{}.plus(f, factor) }

// IsConstant reports whether the form reads no number.
func (f Form) IsConstant() bool { return len(f.Weights) == 0 }

func (f Form) equal(o Form) bool {
	if f.Constant != o.Constant || len(f.Weights) != len(o.Weights) {
		return false
	}
	for i, w := range f.Weights {
		if v, ok := o.Weights[i]; !ok || v != w {
			return false
		}
	}
	return true
}

// Quotient is Top / Bottom.
type Quotient struct{ Top, Bottom Form }

// Empty reports whether the quotient reads no number.
func (q Quotient) Empty() bool { return q.Top.IsConstant() && q.Bottom.IsConstant() }

// Partials lists the numbers that the quotient reads, in order.
func (q Quotient) Partials() []int {
	var all []int
	for _, f := range []Form{q.Top, q.Bottom} {
		for i := range f.Weights {
			if !slices.Contains(all, i) {
				all = append(all, i)
			}
		}
	}
	slices.Sort(all)
	return all
}

// LinearForm writes a form as a quotient.
func LinearForm(f Form) Quotient { return Quotient{Top: f, Bottom: Form{Constant: 1}} }

// constant is the quotient's value, if it reads no number.
func (q Quotient) constant() (float64, bool) {
	return q.Top.Constant / q.Bottom.Constant, q.Empty() && q.Bottom.Constant != 0
}

// Plus adds factor times another quotient. It is false if the sum is no quotient of linear forms.
func (q Quotient) Plus(y Quotient, factor float64) (Quotient, bool) {
	c, yConstant := y.constant()
	d, xConstant := q.constant()
	switch {
	case yConstant:
		return Quotient{Top: q.Top.plus(q.Bottom, factor*c), Bottom: q.Bottom}, true
	case xConstant:
		return Quotient{Top: y.Top.Times(factor).plus(y.Bottom, d), Bottom: y.Bottom}, true
	case q.Bottom.equal(y.Bottom):
		return Quotient{Top: q.Top.plus(y.Top, factor), Bottom: q.Bottom}, true
	}
	return Quotient{}, false
}

// Times multiplies by another quotient. It is false if the product is no quotient of linear forms.
func (q Quotient) Times(y Quotient) (Quotient, bool) {
	if c, ok := y.constant(); ok {
		return Quotient{Top: q.Top.Times(c), Bottom: q.Bottom}, true
	}
	if d, ok := q.constant(); ok {
		return Quotient{Top: y.Top.Times(d), Bottom: y.Bottom}, true
	}
	return Quotient{}, false
}

// Over divides by another quotient. It is false if the result is no quotient of linear forms.
func (q Quotient) Over(y Quotient) (Quotient, bool) {
	c, yConstant := y.constant()
	d, xConstant := q.constant()
	switch {
	case yConstant && c != 0:
		return Quotient{Top: q.Top.Times(1 / c), Bottom: q.Bottom}, true
	case q.Bottom.IsConstant() && y.Bottom.IsConstant():
		return Quotient{Top: q.Top.Times(y.Bottom.Constant), Bottom: y.Top.Times(q.Bottom.Constant)}, true
	case xConstant:
		return Quotient{Top: y.Bottom.Times(d), Bottom: y.Top}, true
	}
	return Quotient{}, false
}

// Clipped is Fieller's interval of a quotient, within public bounds. Noise may move the quotient beyond a bound. It is
// then taken to be at the bound, and the interval reaches as far from there as it does from where noise put it: a
// shorter one would claim more than was promised. It holds what the cut interval holds, and more.
func Clipped(r dp.Ratio, confidence, lower, upper float64) (low, high float64) {
	low, high = r.Interval(confidence, lower, upper)
	center := r.Numerator / r.Denominator
	if center >= lower && center <= upper && low <= high {
		return low, high
	}
	wideLow, wideHigh := r.Interval(confidence, math.Inf(-1), math.Inf(1))
	switch {
	case math.IsInf(wideHigh-wideLow, 0) || math.IsNaN(center+wideHigh-wideLow):
		if low < high {
			return low, high
		}
		return lower, upper
	case center < lower:
		return lower, math.Min(upper, lower+wideHigh-center)
	}
	return math.Max(lower, upper-(center-wideLow)), upper
}
