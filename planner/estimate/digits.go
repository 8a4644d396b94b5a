package estimate

import (
	"math"
	"strconv"
)

// RoundUp is the smallest number with three significant digits that is at least x. x is finite and above 0.
func RoundUp(x float64) float64 {
	decimals := 2 - int(math.Floor(math.Log10(x)))
	unit := math.Pow10(decimals)
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(math.Ceil(x*unit)/unit, 'f', max(decimals, 0), 64), 64)
	if err != nil {
		panic(err) // a formatted number parses
	}
	return rounded
}

// Plain is a number with four digits that count, and no exponent where it can do without.
func Plain(x float64) string {
	short := strconv.FormatFloat(x, 'g', 4, 64)
	rounded, err := strconv.ParseFloat(short, 64)
	if err != nil || math.Abs(rounded) >= 1e15 || math.Abs(rounded) < 1e-4 {
		return short
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// Divisor is the greatest common divisor of two whole numbers, neither below 0.
func Divisor(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}
