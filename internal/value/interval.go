package value

import "math"

// OfOrdinal is the whole number x, or the day or instant that it counts; of another type an int. Beyond the days that
// there are it is NULL.
func OfOrdinal(t Type, x float64) Value {
	switch t {
	case TypeDate:
		return Date(int64(x))
	case TypeTimestamp:
		return Timestamp(int64(x))
	}
	return Int(int64(x))
}

// Clamp moves a number into [lower, upper]. It stays an int, or a float.
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

// Interval writes the ends of an interval in a type, rounded outward, and NULL where it has no end. It is widened to
// hold v, unless that is NULL.
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
