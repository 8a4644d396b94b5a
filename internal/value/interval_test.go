package value

import (
	"math"
	"testing"
)

func TestInterval(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		v         Value
		of        Type
		want      string
	}{
		{1.5, 2.5, Int(2), TypeInt, "1 3"},
		{1.5, 2.5, Float(2), TypeFloat, "1.5 2.5"},
		{1.5, 2.5, Int(7), TypeInt, "1 7"}, // post-processing moved this value
		{math.Inf(-1), 2.5, Int(2), TypeInt, "NULL 3"},
		{math.Inf(-1), 2.5, Null(TypeFloat), TypeFloat, "NULL 2.5"},
		{-0.5, 30.2, Date(3), TypeDate, "1969-12-31 1970-02-01"},
		{0, 1e18, Timestamp(0), TypeTimestamp, "1970-01-01T00:00:00 NULL"}, // beyond the year 9999
	} {
		if low, high := Interval(c.low, c.high, c.v, c.of); low.String()+" "+high.String() != c.want || low.Type() != c.of {
			t.Errorf("[%g, %g] around %s: %s and %s, want %s", c.low, c.high, c.v, low, high, c.want)
		}
	}
}

func TestClamp(t *testing.T) {
	for _, c := range []struct{ v, want Value }{
		{Int(5), Int(5)}, {Int(-3), Int(0)}, {Int(12), Int(10)}, {Float(12.5), Float(10)}, {Float(2.5), Float(2.5)},
	} {
		if got := Clamp(c.v, 0, 10); got != c.want {
			t.Errorf("%s within [0, 10]: %s, want %s", c.v, got, c.want)
		}
	}
}
