package expr

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// Interval arithmetic (Moore 1966), evaluated in float64 and widened by one unit in the last place at each operation
// that may round.

// An engine may treat a real number nearer to zero than nearZero as 0 when it multiplies or divides it. It may also
// treat a number nearer to zero than 1 as 0 when it divides it by a number beyond farFromZero.
const (
	nearZero    = 1e-150
	farFromZero = 0x1p500
)

// within is the range of a value that is NULL where an argument is NULL.
func within(args []Range, lower, upper float64) Range {
	return Range{Nullable: anyNull(args), Lower: lower, Upper: upper}
}

// exactly is like within, for a value that is also NULL where it leaves its type.
func exactly(e *Expr, args []Range, lower, upper float64) Range {
	f := within(args, lower, upper)
	f.Nullable = f.Nullable || f.overflows(e.Type)
	return f
}

// computed is like exactly, for a result that may be rounded.
func computed(e *Expr, args []Range) func(lower, upper float64) Range {
	return func(lower, upper float64) Range {
		lower, upper = Outward(lower, upper)
		return exactly(e, args, lower, upper)
	}
}

// overflows reports whether an exact result may leave the type. RangeAnalysis handles dates and timestamps.
func (f Range) overflows(t value.Type) bool {
	switch {
	case isDay(t):
		return false
	case t == value.TypeInt:
		return f.Lower <= math.MinInt64 || f.Upper >= math.MaxInt64
	}
	return !f.Bounded()
}

// corners gives the least and the greatest result of an operation that is monotone in each argument.
func corners(of func(x, y float64) float64, a, b Range) (least, most float64) {
	all := []float64{of(a.Lower, b.Lower), of(a.Lower, b.Upper), of(a.Upper, b.Lower), of(a.Upper, b.Upper)}
	return slices.Min(all), slices.Max(all)
}

// near extends an interval to 0 if it contains numbers nearer to 0 than limit.
func (f Range) near(limit float64) Range {
	if f.Lower < limit && f.Upper > -limit {
		f.Lower, f.Upper = math.Min(f.Lower, 0), math.Max(f.Upper, 0)
	}
	return f
}

func product(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 0 // also for 0 * infinity: the factor is certainly 0
	}
	return x * y
}

func quotient(x, y float64) float64 {
	if x == 0 || math.IsInf(y, 0) {
		return 0
	}
	return x / y
}

// Outward widens an interval by one unit in the last place, except at ends that are whole numbers and exact in float64.
func Outward(lower, upper float64) (float64, float64) {
	exact := func(x float64) bool { return x == math.Trunc(x) && math.Abs(x) < ExactWhole }
	if math.IsNaN(lower) {
		lower = math.Inf(-1)
	} else if !exact(lower) {
		lower = math.Nextafter(lower, math.Inf(-1))
	}
	if math.IsNaN(upper) {
		upper = math.Inf(1)
	} else if !exact(upper) {
		upper = math.Nextafter(upper, math.Inf(1))
	}
	return lower, upper
}

// loosen moves a bound outward by more than the results of engines' functions differ.
func loosen(x, sign float64) float64 { return x + sign*(math.Abs(x)*1e-13+1e-300) }

func clamp(x, lower, upper float64) float64 { return math.Min(math.Max(x, lower), upper) }
