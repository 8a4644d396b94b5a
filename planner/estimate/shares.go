package estimate

import "math"

// Parts tell what linear forms are made of: which terms are never below 0, and which are parts of which.
type Parts struct {
	IsCount func(i int) bool
	// WholeOf finds a term of those with weights in a form of which term i is a part: l to u times as much; -1 if there
	// is none.
	WholeOf func(i int, of Form) (whole int, l, u float64)
}

// ShareRange is where a quotient of counts must lie, or a difference. A quotient of sums of the same parts, none of
// them negative, lies between the least and the largest quotient of the parts (the mediant inequality); what is no
// part of the bottom must be part of a part of it. A difference is not below 0 where what is taken away is part of
// what is there.
func (p Parts) ShareRange(q Quotient) (lower, upper float64) {
	lower, upper = math.Inf(-1), math.Inf(1)
	if q.Bottom.IsConstant() {
		if q.Top.Constant >= 0 && q.Bottom.Constant > 0 && p.notNegative(q.Top) {
			lower = q.Top.Constant / q.Bottom.Constant
		}
		return lower, upper
	}
	if q.Top.Constant != 0 || q.Bottom.Constant != 0 {
		return lower, upper
	}
	least, most := map[int]float64{}, map[int]float64{}
	for i, w := range q.Bottom.Weights {
		if w <= 0 || !p.IsCount(i) {
			return lower, upper
		}
		least[i], most[i] = q.Top.Weights[i], q.Top.Weights[i]
	}
	for i, w := range q.Top.Weights {
		if _, both := q.Bottom.Weights[i]; both {
			continue
		}
		whole, l, u := p.WholeOf(i, q.Bottom)
		if whole < 0 {
			return lower, upper
		}
		least[whole], most[whole] = least[whole]+math.Min(w*l, w*u), most[whole]+math.Max(w*l, w*u)
	}
	lower, upper = math.Inf(1), math.Inf(-1)
	for i, w := range q.Bottom.Weights {
		lower, upper = math.Min(lower, least[i]/w), math.Max(upper, most[i]/w)
	}
	return lower, upper
}

// notNegative reports whether the terms of a form cannot sum to less than 0.
func (p Parts) notNegative(f Form) bool {
	left := Form{Weights: map[int]float64{}} // of what is there, what nothing was taken from
	for i, w := range f.Weights {
		if w > 0 && p.IsCount(i) {
			left.Weights[i] = w
		}
	}
	for _, i := range (Quotient{Top: f}).Partials() {
		w := f.Weights[i]
		if w > 0 && p.IsCount(i) || w == 0 {
			continue
		}
		whole, l, u := p.WholeOf(i, left)
		if whole < 0 {
			return false
		}
		if left.Weights[whole] += math.Min(w*l, w*u); left.Weights[whole] < 0 {
			return false
		}
	}
	return true
}

// ShareOf is a of a and b together, which are not below 0 but for noise; of nothing it is what is given.
func ShareOf(a, b, ofNothing float64) float64 {
	if a, b = math.Max(0, a), math.Max(0, b); a+b > 0 {
		return a / (a + b)
	}
	return ofNothing
}

// PartOf is a part of all, which are not below 0 but for noise; of nothing it is what is given.
func PartOf(part, all, ofNothing float64) float64 {
	if part, all = math.Max(0, part), math.Max(0, all); all > 0 {
		return math.Min(1, part/all)
	}
	return ofNothing
}
