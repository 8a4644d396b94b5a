package estimate

import "math"

// Bracket is an interval that contains a number. Interval arithmetic (Moore 1966) is sound for any joint values of the
// numbers.
type Bracket struct{ Low, High float64 }

// Minus is the bracket of a difference.
func (s Bracket) Minus(o Bracket) Bracket { return Bracket{s.Low - o.High, s.High - o.Low} }

// Times is the bracket of a product.
func (s Bracket) Times(o Bracket) Bracket {
	a, b, c, d := product(s.Low, o.Low), product(s.Low, o.High), product(s.High, o.Low), product(s.High, o.High)
	return Bracket{min(a, b, c, d), max(a, b, c, d)}
}

// product treats 0 times infinity as 0, because the factor is exactly 0.
func product(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 0
	}
	return x * y
}

// over divides by a number that is not negative.
func (s Bracket) over(o Bracket) Bracket {
	if o.Low <= 0 {
		return Bracket{math.Inf(-1), math.Inf(1)}
	}
	return s.Times(Bracket{1 / o.High, 1 / o.Low})
}

func (s Bracket) squared() Bracket {
	a, b := s.Low*s.Low, s.High*s.High
	if s.Low <= 0 && s.High >= 0 {
		return Bracket{0, max(a, b)}
	}
	return Bracket{min(a, b), max(a, b)}
}

func (s Bracket) positive() Bracket { return Bracket{math.Max(0, s.Low), math.Max(0, s.High)} }

// Root is the square root. A negative number counts as 0.
func (s Bracket) Root() Bracket { return Bracket{Root(s.Low), Root(s.High)} }
