package value

import "math"

// OfOrdinal is the day or instant with the ordinal x, or an int for other types. It is NULL outside the possible days.
func OfOrdinal(t Type, x float64) Value {
	switch t {
	case TypeDate:
		return Date(int64(x))
	case TypeTimestamp:
		return Timestamp(int64(x))
	}
	return Int(int64(x))
}

// Clamp moves a number into [lower, upper]. An int stays an int, and a float stays a float.
func Clamp(v Value, lower, upper float64) Value {
	x := math.Max(lower, math.Min(upper, v.Float64()))
	switch {
	case x == v.Float64():
		return v
	case v.Type() == TypeInt:
		return Int(int64(x))
	}
	return Float(x)
}

// Interval converts the ends of an interval to a type, rounded outward, with NULL for an infinite end. It first widens
// the interval to contain v, unless v is NULL.
func Interval(low, high float64, v Value, t Type) (Value, Value) {
	if !v.IsNull() {
		low, high = math.Min(low, v.Float64()), math.Max(high, v.Float64())
	}
	if t == TypeFloat {
		return Float(low), Float(high)
	}
	whole := func(x float64) Value {
		if math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) >= 1<<62 {
			return Null(t)
		}
		return OfOrdinal(t, x)
	}
	return whole(math.Floor(low)), whole(math.Ceil(high))
}
