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
