package estimate

import "math"

// Parts tell about the terms of linear forms: which are never below 0, and which are parts of others.
type Parts struct {
	IsCount func(i int) bool
	// WholeOf finds a term of the form that contains term i: i is l to u times that term. whole is -1 if there is none.
	WholeOf func(i int, of Form) (whole int, l, u float64)
}

// ShareRange bounds a quotient or a difference of counts. If a quotient's sums have the same parts and none is
// negative, it lies between the least and the largest quotient of the parts (the mediant inequality). A term of the top
// that is not in the bottom must be part of a term there. A difference is not below 0 if what is subtracted is part of
// the rest.
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
	left := Form{Weights: map[int]float64{}} // what is left of each term after subtraction
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

// ShareOf is a / (a + b). Both are not below 0 except by noise. If both are 0, it is ofNothing.
func ShareOf(a, b, ofNothing float64) float64 {
	if a, b = math.Max(0, a), math.Max(0, b); a+b > 0 {
		return a / (a + b)
	}
	return ofNothing
}

// PartOf is part / all, at most 1. Both are not below 0 except by noise. If all is 0, it is ofNothing.
func PartOf(part, all, ofNothing float64) float64 {
	if part, all = math.Max(0, part), math.Max(0, all); all > 0 {
		return math.Min(1, part/all)
	}
	return ofNothing
}
