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
	Confidence float64 // with which a noisy value's exact one lies within [Low, High]
	Cost       Cost
	Remaining  dp.Remaining // of the study, after this, as far as the narrowest hospital allows
	Answered   []string     // hospitals, by name
	Missing    []Absence
	Stored     bool // given before over the same data: this time it cost nothing
	// Sealed: each hospital covered its numbers with noise of its own before they left. Otherwise the coordinator added
	// the noise.
	Sealed   bool
	Warnings []string
	Public   bool // public tables alone were read: the rows are as they are, and cost nothing
	Informs  bool // nothing was asked of patients: the answer tells of the federation, or of a query, and cost nothing
}

// Cost is what an answer costs.
type Cost struct {
	Mechanism  dp.Mechanism
	Accounting dp.Accounting
	Epsilon    float64 // of all releases together; under zCDP the one whose rho is Rho
	Delta      float64 // of selecting groups
	Rho        float64 // as zCDP counts it; 0 under pure accounting
}

// cost adds up what releases cost. The mechanism is that of the first.
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
