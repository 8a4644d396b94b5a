package estimate

import "math"

// Bracket is an interval in which a number lies. Interval arithmetic (Moore 1966) is sound whatever joint values the
// numbers have.
type Bracket struct{ Low, High float64 }

// Minus subtracts.
func (s Bracket) Minus(o Bracket) Bracket { return Bracket{s.Low - o.High, s.High - o.Low} }

// Times multiplies.
func (s Bracket) Times(o Bracket) Bracket {
	a, b, c, d := product(s.Low, o.Low), product(s.Low, o.High), product(s.High, o.Low), product(s.High, o.High)
	return Bracket{min(a, b, c, d), max(a, b, c, d)}
}

// product of 0 and infinity is 0: the factor is 0 for sure.
func product(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 0
	}
	return x * y
}

// over divides by what is not negative.
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

// Root is the square root; that of what is negative is 0.
func (s Bracket) Root() Bracket { return Bracket{Root(s.Low), Root(s.High)} }
