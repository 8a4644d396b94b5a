package expr

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// maxDomain is the largest domain that is inferred for an expression; larger
// ones count as undeclared.
const maxDomain = 1000

// Range is what is known of an expression's value before any row is read.
type Range struct {
	Nullable bool
	// Lower and Upper bound a number (or a date's days, a timestamp's
	// microseconds); infinite where nothing is known.
	Lower, Upper float64
	// Domain lists every value that the expression can take, NULL included where
	// it is nullable, sorted; nil where they are not known.
	Domain []value.Value
}

// Bounded reports whether both bounds are known.
func (f Range) Bounded() bool { return !math.IsInf(f.Lower, 0) && !math.IsInf(f.Upper, 0) }

// Unknown is of a value of which nothing is known, but whether it may be NULL.
func Unknown(nullable bool) Range {
	return Range{Nullable: nullable, Lower: math.Inf(-1), Upper: math.Inf(1)}
}

func dayLimits(t value.Type) (least, most float64) {
	if t == value.TypeDate {
		return value.MinDate, value.MaxDate
	}
	return Bounds(value.Timestamp(value.MinTimestamp), value.Timestamp(value.MaxTimestamp))
}

// WithinType narrows the facts of a date or timestamp to what the type can hold.
func (f Range) WithinType(t value.Type) Range {
	if isDay(t) {
		least, most := dayLimits(t)
		f.Lower, f.Upper = math.Max(f.Lower, least), math.Min(f.Upper, most)
	}
	return f
}

// Values lists the values of a column of type t, if they are few: those that are declared, or else all within the
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

// OrNull is of a value of type t that may be NULL as well.
func (f Range) OrNull(t value.Type) Range {
	f.Nullable = true
	if f.Domain != nil && !slices.ContainsFunc(f.Domain, value.Value.IsNull) {
		f.Domain = append(slices.Clone(f.Domain), value.Null(t))
	}
	return f
}

// Size is how many values there are, infinite where that is not known.
func (f Range) Size(discrete bool) float64 {
	switch {
	case f.Domain != nil:
		return float64(max(1, len(f.Domain)))
	case discrete && f.Bounded():
		return math.Max(1, math.Floor(f.Upper)-math.Ceil(f.Lower)+1) + map[bool]float64{true: 1}[f.Nullable]
	}
	return math.Inf(1)
}

// ExactWhole bounds the whole numbers that float64 all holds.
const ExactWhole = 1 << 53

// Bounds gives those of values from lower to upper as float64, which may be
// coarser than a 64-bit int.
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

// wholeDomain lists the whole numbers within bounds, if they are few.
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

// equals lists the values of a type that equal one of others, which may be of another number type: 10 is 10.0. nil
// where a float equals more ints than one.
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
