package estimate

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/dp"
)

// Points is the number of points of a simulation. The quantiles for 95 % then rest on the 50 lowest and the 50 highest.
const Points = 2000

// Draws returns possible draws of each noise, Points of them: a Kronecker sequence (Niederreiter 1992) mapped through
// the quantile functions. The draws are fixed, so the same answer always has the same interval.
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

// Central is the central part of a simulation's results that holds the share confidence. Points without a result are
// missing from results. ok is false if too many are missing. It sorts the results.
func Central(results []float64, confidence float64) (low, high float64, ok bool) {
	tail := (1 - confidence) / 2
	if float64(Points-len(results)) > tail*Points {
		return 0, 0, false
	}
	slices.Sort(results)
	cut := int(tail * float64(len(results)))
	return results[cut], results[len(results)-1-cut], true
}

// generalizedGolden is the root above 1 of x^(d+1) = x + 1. Its inverse powers spread the Kronecker sequence of d
// dimensions evenly (Roberts 2018).
func generalizedGolden(d int) float64 {
	x := 2.0
	for range 50 {
		x = math.Pow(1+x, 1/float64(d+1))
	}
	return x
}
