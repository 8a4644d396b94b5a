package study

import "time"

// Narrowing says in what a custodian allows less than a document. A zero field narrows nothing.
type Narrowing struct {
	Epsilon       float64             `json:"epsilon"` // of the whole budget
	MaxEpsilon    float64             `json:"max_epsilon"`
	MinEpsilon    float64             `json:"min_epsilon"` // a higher least price of a release
	Expires       time.Time           `json:"expires"`
	Sealed        bool                `json:"sealed"` // the hospital adds noise to its numbers, though the document does not require it
	Investigators []string            `json:"investigators"`
	Tables        map[string][]string `json:"tables"`
	Aggregates    []Aggregate         `json:"aggregates"`
}

// Apply returns the narrowed document. If a field is wider than the document, so is the result: Document.Narrows
// detects it.
func (n *Narrowing) Apply(d Document) Document {
	if n.Epsilon > 0 {
		d.Budget.Epsilon = n.Epsilon
	}
	if n.MaxEpsilon > 0 {
		d.MaxEpsilon = n.MaxEpsilon
		d.DefaultEpsilon = min(d.DefaultEpsilon, n.MaxEpsilon)
	}
	if n.MinEpsilon > 0 {
		d.MinEpsilon = n.MinEpsilon
		d.DefaultEpsilon = max(d.DefaultEpsilon, n.MinEpsilon)
	}
	if !n.Expires.IsZero() {
		d.Expires = n.Expires
	}
	if n.Investigators != nil {
		d.Investigators = n.Investigators
	}
	if n.Tables != nil {
		d.Tables = n.Tables
	}
	if n.Aggregates != nil {
		d.Aggregates = n.Aggregates
	}
	d.Sealed = d.Sealed || n.Sealed
	return d
}
