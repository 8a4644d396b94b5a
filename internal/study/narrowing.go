package study

import "time"

// Narrowing is what a custodian allows less than a document does. A zero field narrows nothing.
type Narrowing struct {
	Epsilon       float64             `json:"epsilon"` // of the whole budget
	MaxEpsilon    float64             `json:"max_epsilon"`
	MinEpsilon    float64             `json:"min_epsilon"` // the least price of a release, raised
	Expires       time.Time           `json:"expires"`
	Sealed        bool                `json:"sealed"` // the hospital covers its numbers, though the document does not ask for it
	Investigators []string            `json:"investigators"`
	Tables        map[string][]string `json:"tables"`
	Aggregates    []Aggregate         `json:"aggregates"`
}

// Apply is the document, narrowed. What it gives may be wider nonetheless, where a field is: Document.Narrows tells.
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
