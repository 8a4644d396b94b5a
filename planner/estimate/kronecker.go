package estimate

import (
	"math"

	"github.com/intramuros/intramuros/dp"
)

// Points is how many points a simulation evaluates; the quantiles of 95 % then rest on the 50 lowest and highest.
const Points = 2000

// Draws are possible draws of noises, points of each: a Kronecker sequence (Niederreiter 1992) pushed through their
// quantiles. They are fixed, so that the same answer always has the same interval.
func Draws(noise []dp.Distribution) [][]float64 {
	root, step := generalizedGolden(len(noise)), 1.0
	var all [][]float64
	for _, d := range noise {
		step /= root
		of := make([]float64, Points)
		for k := range of {
			_, u := math.Modf(0.5 + float64(k+1)*step)
			of[k] = d.Quantile(math.Max(u, 1e-9))
		}
		all = append(all, of)
	}
	return all
}

// generalizedGolden is the root above 1 of x^(d+1) = x + 1, whose inverse powers
// make the Kronecker sequence of d dimensions spread evenly (Roberts 2018).
func generalizedGolden(d int) float64 {
	x := 2.0
	for range 50 {
		x = math.Pow(1+x, 1/float64(d+1))
	}
	return x
}
