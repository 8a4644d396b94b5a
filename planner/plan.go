package planner

import (
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Query is what a researcher asks.
type Query struct {
	SQL string
	// Epsilon, in (0, inf), and Delta, in (0, 1), are the privacy loss that the
	// answer may cost in all.
	Epsilon, Delta float64
	// MaxGroups and MaxRows override the catalog's contribution limits where above 0.
	MaxGroups, MaxRows int
	// Accuracy, if not nil, takes the place of Epsilon: the plan spends the smallest
	// epsilon, up to MaxEpsilon, that is expected to reach it.
	Accuracy   *Accuracy
	MaxEpsilon float64
}

// Accuracy is how far the interval of every count and sum may reach.
type Accuracy struct {
	// Relative: HalfWidth is a share of the answer. Nobody knows the answer before
	// it is bought, so such a target is refused, with the way to an absolute one.
	Relative   bool
	HalfWidth  float64 // in the unit of the column, above 0
	Confidence float64 // of the interval, in (0, 1)
}

// Federation is what planning needs to know of the federation.
type Federation struct {
	Catalog    *catalog.Catalog
	Hospitals  []string // the nodes that will be asked, by name; at least 1
	Accounting dp.Accounting
}

// Plan is a query ready to run.
type Plan struct {
	Fragment *fragment.Fragment
	Proof    *fragment.Proof
	// Sites is m: at how many of the hospitals one patient may be.
	Sites int
	// Noise covers all partial aggregates of all groups as one vector.
	Noise dp.Noise
	// Selection says how groups with undeclared keys are released; nil where all
	// keys are declared.
	Selection *Selection
	// Aggregates are the released aggregates, each from one or two partials.
	Aggregates []Aggregate
	// Columns are the answer's columns, in order.
	Columns []Column
	// Loss is what an answer costs, at the coordinator and at each node.
	Loss dp.Loss

	// places of the partial aggregates in Cell.Noisy.
	places []place
	having *fragment.Expr
	order  []order
	limit  int // -1: all
	offset int
}

// Selection releases a group if its noisy number of patients reaches Threshold.
type Selection struct {
	Partial   int     // index of the patients partial in the fragment
	Place     int     // and in Cell.Noisy
	Delta     float64 // spent on it
	Threshold int64   // patients
}

// Column is one column of the answer.
type Column struct {
	Name string
	Type value.Type
	// Noisy: the column depends on released aggregates and has intervals; else it
	// is made of group keys.
	Noisy bool
	expr  *fragment.Expr
}

type place struct{ start, end int }

// Cell is one group and its noisy partial aggregates: the Coordinates of each, in
// the fragment's order.
type Cell struct {
	Keys  []value.Value
	Noisy []int64
}

// Answer is what is released.
type Answer struct {
	Columns []Column
	Rows    [][]Estimate
}

// Estimate is one released value; Low and High are valid for noisy numbers.
type Estimate struct {
	Value, Low, High value.Value
}

// LInf returns the sensitivity of a partial aggregate over the federation: m
// times one node's.
func (p *Plan) LInf(partial int) int64 { return int64(p.Sites) * p.Proof.LInf[partial] }
