package expr

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// maxDomain is the size of the largest domain that is inferred for an expression. Larger domains count as not declared.
const maxDomain = 1000

// Range is what is known of an expression's value before any row is read.
type Range struct {
	Nullable bool
	// Lower and Upper bound a number, or a date's days, or a timestamp's microseconds. They are infinite if nothing is
	// known.
	Lower, Upper float64
	// Domain lists every value that the expression can take, sorted, with NULL if it is nullable. It is nil if the
	// values are not known.
	Domain []value.Value
}

// Bounded reports whether both bounds are known.
func (f Range) Bounded() bool { return !math.IsInf(f.Lower, 0) && !math.IsInf(f.Upper, 0) }

// Unknown is the range of a value of which nothing is known, except whether it may be NULL.
func Unknown(nullable bool) Range {
	return Range{Nullable: nullable, Lower: math.Inf(-1), Upper: math.Inf(1)}
}

func dayLimits(t value.Type) (least, most float64) {
	if t == value.TypeDate {
		return value.MinDate, value.MaxDate
	}
	return Bounds(value.Timestamp(value.MinTimestamp), value.Timestamp(value.MaxTimestamp))
}

// WithinType narrows the bounds of a date or timestamp to the values of the type.
func (f Range) WithinType(t value.Type) Range {
	if isDay(t) {
		least, most := dayLimits(t)
		f.Lower, f.Upper = math.Max(f.Lower, least), math.Min(f.Upper, most)
	}
	return f
}

// Values lists the values of a column of type t, if there are few: the declared values, or all values within the
// bounds.
func (f Range) Values(t value.Type, declared []value.Value) Range {
	switch {
	case declared != nil && len(declared) < maxDomain:
		f.Domain = withNull(slices.Clone(declared), f.Nullable)
	case t == value.TypeBool:
		f.Domain = withNull([]value.Value{value.Bool(false), value.Bool(true)}, f.Nullable)
	case t == value.TypeInt || t == value.TypeDate:
		f.Domain = wholeDomain(t, f)
	}
	return f
}

// OrNull adds NULL to the range of a value of type t.
func (f Range) OrNull(t value.Type) Range {
	f.Nullable = true
	if f.Domain != nil && !slices.ContainsFunc(f.Domain, value.Value.IsNull) {
		f.Domain = append(slices.Clone(f.Domain), value.Null(t))
	}
	return f
}

// Size is the number of values, or infinite if it is not known.
func (f Range) Size(discrete bool) float64 {
	switch {
	case f.Domain != nil:
		return float64(max(1, len(f.Domain)))
	case discrete && f.Bounded():
		return math.Max(1, math.Floor(f.Upper)-math.Ceil(f.Lower)+1) + map[bool]float64{true: 1}[f.Nullable]
	}
	return math.Inf(1)
}

// ExactWhole bounds the whole numbers that float64 holds without gaps.
const ExactWhole = 1 << 53

// Bounds converts bounds to float64, which may be coarser than a 64-bit int; it then widens them.
func Bounds(lower, upper value.Value) (float64, float64) {
	a, b := lower.Float64(), upper.Float64()
	if math.Abs(a) >= ExactWhole {
		a = math.Nextafter(a, math.Inf(-1))
	}
	if math.Abs(b) >= ExactWhole {
		b = math.Nextafter(b, math.Inf(1))
	}
	return a, b
}

// wholeDomain lists the whole numbers within bounds, if there are few.
func wholeDomain(t value.Type, f Range) []value.Value {
	if !f.Bounded() || f.Upper-f.Lower >= maxDomain || math.Abs(f.Lower) >= ExactWhole || math.Abs(f.Upper) >= ExactWhole {
		return nil
	}
	var d []value.Value
	for x := math.Ceil(f.Lower); x <= f.Upper; x++ {
		switch t {
		case value.TypeInt:
			d = append(d, value.Int(int64(x)))
		case value.TypeDate:
			d = append(d, value.Date(int64(x)))
		default:
			d = append(d, value.Float(x))
		}
	}
	return withNull(d, f.Nullable)
}

func withNull(d []value.Value, nullable bool) []value.Value {
	if nullable && len(d) > 0 {
		d = append(d, value.Null(d[0].Type()))
	}
	return d
}

// equals lists the values of type t that equal one of others, which may have another number type: 10 equals 10.0. It
// returns nil if a float equals more than one int.
func equals(t value.Type, others []value.Value) []value.Value {
	d := []value.Value{}
	for _, v := range others {
		switch {
		case v.Type() == t:
			d = append(d, v)
		case t == value.TypeFloat && v.Type() == value.TypeInt:
			d = append(d, value.Float(v.Float64()))
		case t == value.TypeInt && v.Type() == value.TypeFloat:
			x := v.Float64()
			if math.Abs(x) >= ExactWhole {
				return nil
			}
			if x == math.Trunc(x) {
				d = append(d, value.Int(int64(x)))
			}
		}
	}
	return distinct(d)
}

func distinct(d []value.Value) []value.Value {
	slices.SortFunc(d, value.Compare)
	d = slices.CompactFunc(d, func(a, b value.Value) bool { return a == b })
	if len(d) > maxDomain {
		return nil
	}
	return d
}
