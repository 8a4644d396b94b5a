package planner

import (
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// enforceLeastPrice makes sure that a release costs at least the least price. If the epsilon follows from an accuracy,
// it is raised. If the researcher gave the epsilon, the query is refused, and the hint tells an epsilon that costs
// enough.
//
// The price is checked for each release, not for the query. Each release is executed by itself, so each of them reveals
// whether it failed.
func (b *builder) enforceLeastPrice() {
	if !b.belowLeastPrice() {
		return
	}
	asked, parts := b.query.Epsilon, max(1, b.query.parts)
	at := func(epsilon float64) bool { // epsilon is that of the whole query
		b.query.Epsilon = epsilon
		if parts > 1 {
			b.query.Epsilon = dp.ShareEpsilon(epsilon, parts, b.federation.Accounting)
		}
		b.release()
		return b.belowLeastPrice()
	}
	low, high := asked, 2*asked // asked is one release's share, so it is too little for the whole query
	for at(high) {
		low, high = high, 2*high
	}
	for high-low > high/2000 {
		if middle := (low + high) / 2; at(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	enough := estimate.RoundUp(low)
	for at(enough) {
		enough = estimate.RoundUp(enough * 1.001)
	}
	most := b.query.MaxEpsilon
	if b.query.Accuracy != nil && b.query.Epsilon <= most {
		return // the answer is more accurate than asked for
	}
	query, hint := "the query", "ask with an epsilon of at least "+number(enough)
	if parts > 1 {
		query = "each of the query's " + number(float64(parts)) + " releases"
		hint += ", or for fewer releases at once"
	}
	if most > 0 && b.query.Epsilon > most {
		hint = "ask for fewer releases at once, in several queries"
	}
	mechanism := string(b.plan.Noise.Mechanism)
	refuse(CodePrice, Position{Line: 1, Column: 1}, hint, "%s has %s noise of epsilon %s, and costs less than a release of the study must",
		query, strings.ToUpper(mechanism[:1])+mechanism[1:], number(asked))
}

// belowLeastPrice reports whether the release, at its present price, costs less than the least price.
func (b *builder) belowLeastPrice() bool {
	return b.federation.Accounting.Cheaper(b.plan.Loss, b.query.Least)
}
