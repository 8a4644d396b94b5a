package tabular

import (
	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/dp"
)

// Facts are what an answer says beside its rows, as JSON. Fields are added, but never changed or removed.
type Facts struct {
	Query      string       `json:"query"`
	Study      string       `json:"study"`
	Confidence float64      `json:"confidence"`
	Cost       Cost         `json:"cost"`
	Remaining  dp.Remaining `json:"remaining"`
	Stored     bool         `json:"stored"`
	Hospitals  Hospitals    `json:"hospitals"`
	Warnings   []string     `json:"warnings"`
	// Informs: the answer describes the federation or a query (SHOW, EXPLAIN), and the other facts do not apply.
	Informs bool `json:"informs"`
	// Public: only public tables were read; the rows are exact and cost nothing.
	Public bool `json:"public"`
	// Sealed: each hospital covered its numbers with its own noise before they left.
	Sealed bool `json:"sealed"`
}

// Hospitals tells which hospitals an answer comes from.
type Hospitals struct {
	Answered []string              `json:"answered"`
	Missing  []coordinator.Absence `json:"missing"`
}

// Cost is coordinator.Cost.
type Cost struct {
	Mechanism  dp.Mechanism  `json:"mechanism"`
	Accounting dp.Accounting `json:"accounting"`
	Epsilon    float64       `json:"epsilon"`
	Delta      float64       `json:"delta"`
	Rho        float64       `json:"rho"`
}

// NewFacts returns the facts of an answer that the study paid for.
func NewFacts(study string, a *coordinator.Answer) Facts {
	f := Facts{
		Query: a.Query, Study: study, Confidence: a.Confidence, Cost: Cost(a.Cost), Remaining: a.Remaining, Stored: a.Stored,
		Hospitals: Hospitals{Answered: a.Answered, Missing: a.Missing}, Warnings: a.Warnings,
		Informs: a.Informs, Public: a.Public, Sealed: a.Sealed,
	}
	// An empty JSON array, not null.
	if f.Hospitals.Answered == nil {
		f.Hospitals.Answered = []string{}
	}
	if f.Hospitals.Missing == nil {
		f.Hospitals.Missing = []coordinator.Absence{}
	}
	if f.Warnings == nil {
		f.Warnings = []string{}
	}
	return f
}
