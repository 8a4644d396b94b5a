package coordinator

import (
	"math"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner"
)

// Answer is the answer to a query: its releases, which hospitals took part, and what it cost.
type Answer struct {
	Query string // the query's id, 32 hexadecimal digits
	planner.Answer
	Confidence float64 // the probability that a noisy value's exact value is within [Low, High]
	Cost       Cost
	Remaining  dp.Remaining // of the study after this answer, as the hospital with the least left allows
	Answered   []string     // hospitals, by name
	Missing    []Absence
	Stored     bool // answered before over the same data: it cost nothing this time
	// Sealed: each hospital covered its numbers with its own noise before they left. Otherwise the coordinator added the
	// noise.
	Sealed   bool
	Warnings []string
	Public   bool // only public tables were read: the rows are exact and cost nothing
	Informs  bool // nothing was asked about patients: the answer describes the federation or a query, and cost nothing
}

// Cost is what an answer costs.
type Cost struct {
	Mechanism  dp.Mechanism
	Accounting dp.Accounting
	Epsilon    float64 // of all releases together; under zCDP the epsilon that corresponds to Rho
	Delta      float64 // for the selection of groups
	Rho        float64 // under zCDP; 0 under pure accounting
}

// cost adds up the cost of releases. The mechanism is that of the first.
func cost(releases []*planner.Plan, accounting dp.Accounting) Cost {
	c := Cost{Accounting: accounting}
	for i, p := range releases {
		if i == 0 {
			c.Mechanism = p.Noise.Mechanism
		}
		c.Epsilon += float64(p.Loss.Epsilon) / 1e9
		c.Delta += float64(p.Loss.Delta) / 1e18
		if accounting == dp.ZCDP {
			c.Rho += float64(p.Loss.Rho) / 1e9
		}
	}
	if accounting == dp.ZCDP && len(releases) > 1 {
		c.Epsilon = math.Sqrt(2 * c.Rho)
	}
	return c
}
