package estimate

import (
	"cmp"
	"math"
	"slices"
)

// ThresholdOf is the number of rows above which one of n values is taken to occur. A value that nobody has passes it
// with probability 1/(2n), so half a value of n is expected to.
func (t Tree) ThresholdOf(n float64) float64 { return -t.Noise.Quantile(1 / (2 * n)) }

// Occurrence says for each of the first n values whether it likely occurs, surely occurs, or surely does not.
type Occurrence struct{ Likely, Sure, Never []bool }

// Occurring decides which values occur.
//
// With the confidence, all values in Sure occur and none in Never does, whatever the counts. Sure are the counts above
// 0 by Holm's procedure (1979), at half of what the confidence leaves. Never are the counts below the least count above
// 0, by the same procedure. There are none unless the noise is much smaller than a row.
func Occurring(t Tree, n, confidence float64) Occurrence {
	counts := t.Counts[:int(n)]
	least := 1 / t.unit
	likely, present, absent := make([]bool, len(counts)), make([]float64, len(counts)), make([]float64, len(counts))
	threshold := t.ThresholdOf(n)
	for i, y := range counts {
		likely[i] = y >= threshold && y > 0
		present[i] = t.Noise.CDF(-y)       // P(noise >= y): the chance of this count if nobody has the value
		absent[i] = t.Noise.CDF(y - least) // the same if somebody has it
	}
	alpha := (1 - confidence) / 2
	o := Occurrence{likely, holm(present, alpha), holm(absent, alpha)}
	for i := range counts {
		if o.Sure[i] && o.Never[i] { // each is wrong with probability at most alpha
			o.Sure, o.Never = make([]bool, len(counts)), make([]bool, len(counts))
		}
	}
	return o
}

// split divides numbers into those of values that surely occur and those of values that may occur.
func (o Occurrence) split(values []float64) (sure, may []float64) {
	for i, v := range values {
		switch {
		case o.Sure[i]:
			sure = append(sure, v)
		case !o.Never[i]:
			may = append(may, v)
		}
	}
	return sure, may
}

// Distinct estimates how many of the first n counts are above 0.
func Distinct(t Tree, n, confidence float64) (x, low, high float64) {
	ones := slices.Repeat([]float64{1}, int(n))
	return SumOf(Occurring(t, n, confidence), ones)
}

// SumOf estimates the sum of the values that occur.
func SumOf(o Occurrence, values []float64) (x, low, high float64) {
	sure, may := o.split(values)
	for _, v := range sure {
		low, high = low+v, high+v
	}
	for _, v := range may {
		low, high = low+math.Min(v, 0), high+math.Max(v, 0)
	}
	for i, v := range values {
		if o.Likely[i] {
			x += v
		}
	}
	return math.Max(low, math.Min(high, x)), low, high
}

// MeanOf estimates the mean of the values that occur; NaN if likely none does.
func MeanOf(o Occurrence, values []float64) (x, low, high float64) {
	sure, may := o.split(values)
	// The least mean takes the sure values and the smallest others, as long as these lower it.
	least := func(sign float64) float64 {
		sum, n := 0.0, 0.0
		for _, v := range sure {
			sum, n = sum+sign*v, n+1
		}
		others := make([]float64, len(may))
		for i, v := range may {
			others[i] = sign * v
		}
		slices.Sort(others)
		for _, v := range others {
			if n > 0 && v >= sum/n {
				break
			}
			sum, n = sum+v, n+1
		}
		if n == 0 {
			return math.Inf(-1)
		}
		return sign * sum / n
	}
	sum, n := 0.0, 0.0
	for i, v := range values {
		if o.Likely[i] {
			sum, n = sum+v, n+1
		}
	}
	low, high = least(1), least(-1)
	if math.IsInf(low, 0) { // surely none occurs
		return math.NaN(), math.Inf(-1), math.Inf(1)
	}
	if n == 0 {
		return math.NaN(), low, high
	}
	return math.Max(low, math.Min(high, sum/n)), low, high
}

// holm decides which hypotheses with these p-values are rejected. A true one is rejected with probability at most alpha
// (Holm 1979).
func holm(p []float64, alpha float64) []bool {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, k int) int { return cmp.Compare(p[i], p[k]) })
	rejected := make([]bool, len(p))
	for n, i := range order {
		if !(p[i] <= alpha/float64(len(p)-n)) {
			break
		}
		rejected[i] = true
	}
	return rejected
}
