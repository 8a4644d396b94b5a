package planner

import (
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// pay holds a release to the least price. What follows from an accuracy is raised to it; an epsilon that was asked for
// is refused, with the epsilon at which the query costs enough.
//
// The price is that of each release, not of the query: each is executed by itself, so that each tells whether it
// failed.
func (b *builder) pay() {
	if !b.tooCheap() {
		return
	}
	asked, parts := b.query.Epsilon, max(1, b.query.parts)
	at := func(epsilon float64) bool { // of the whole query
		b.query.Epsilon = epsilon
		if parts > 1 {
			b.query.Epsilon = dp.ShareEpsilon(epsilon, parts, b.federation.Accounting)
		}
		b.release()
		return b.tooCheap()
	}
	low, high := asked, 2*asked // asked is a release's share, so that a query that asks for as much has too little
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
		return // more accurate than asked for
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

// tooCheap reports whether the release, as it is priced now, costs less than it must.
func (b *builder) tooCheap() bool { return b.federation.Accounting.Cheaper(b.plan.Loss, b.query.Least) }
