package planner

import (
	"math"
	"strconv"

	"github.com/intramuros/intramuros/dp"
)

// reach finds the smallest epsilon, to three digits, at which every count and sum
// is expected to be as accurate as asked for.
func (b *builder) reach(a Accuracy) {
	start := Position{Line: 1, Column: 1}
	if a.Relative {
		refuse(CodeAccuracy, start, "ask for a half-width in the unit of the answer, such as 50 patients", "a share of an answer that nobody knows yet cannot be promised")
	}
	if !(a.HalfWidth > 0) || !(a.Confidence > 0 && a.Confidence < 1) || !(b.query.MaxEpsilon > 0) {
		refuse(CodeParameter, start, "give a number above 0", "the accuracy is out of range")
	}
	errorAt := func(epsilon float64) (widest float64) {
		b.query.Epsilon = epsilon
		b.release()
		for _, x := range b.plan.Expected(a.Confidence) {
			if math.IsNaN(x.HalfWidth) {
				refuse(CodeAccuracy, start, "ask for an epsilon; averages and quotients depend on how many values there are", "the error of %s depends on the answer", x.Column)
			}
			widest = math.Max(widest, x.HalfWidth)
		}
		return widest
	}
	enough := a.HalfWidth * (1 - 1e-6) // an end just beyond a whole number is rounded outward to the next
	if got := errorAt(b.query.MaxEpsilon); got > enough {
		refuse(CodeAccuracy, start, "ask for less, lower max_rows or max_groups, or group more coarsely", "at the largest epsilon allowed, %g, the half-width is %.3g", b.query.MaxEpsilon, got)
	}
	low, high := 0.0, b.query.MaxEpsilon
	for high-low > high/1000 && high > 1e-6 {
		if middle := (low + high) / 2; errorAt(middle) > enough {
			low = middle
		} else {
			high = middle
		}
	}
	decimals := 2 - int(math.Floor(math.Log10(high)))
	unit := math.Pow10(decimals)
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(math.Ceil(high*unit)/unit, 'f', max(decimals, 0), 64), 64)
	if err != nil {
		panic(err) // a formatted number parses
	}
	b.query.Epsilon = math.Min(b.query.MaxEpsilon, rounded)
}

// release chooses the noise and prices it.
func (b *builder) release() {
	p, proof, at := b.plan, b.plan.Proof, b.syntax.at
	var err error
	l0 := int64(proof.Groups) * p.Fragment.Weight()
	if !(b.query.Delta > 0 && b.query.Delta < 1) && (p.Selection != nil || b.query.Delta != 0) {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "give a number well below one over the number of patients, such as 1e-9", "delta is out of range")
	}
	noiseDelta := b.query.Delta
	if p.Selection != nil {
		noiseDelta /= 2
	}
	p.Noise = dp.Choose(l0, b.query.Epsilon, noiseDelta, b.federation.Accounting)
	for i, partial := range p.Fragment.Partials {
		// Beyond, the sampler rounds each count of a tree, and a patient touches more
		// of them than the weight of a tree allows for.
		if partial.Buckets != nil && p.Noise.Distribution(p.LInf(i)).Scale > 1<<39 {
			refuse(CodeParameter, at, "ask with a larger epsilon, or lower max_rows", "the noise on a tree of counts would be too coarse")
		}
	}
	threshold := 0.0
	if p.Selection != nil {
		threshold = b.query.Delta - p.Noise.Delta
		p.Selection.Delta = threshold
		if p.Selection.Threshold, err = p.Noise.Threshold(int64(proof.Groups), int64(p.Sites), threshold); err != nil {
			refuse(CodeParameter, at, "", "%s", err)
		}
	}
	if p.Loss, err = p.Noise.Loss(threshold); err != nil {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "", "%s", err)
	}
}
