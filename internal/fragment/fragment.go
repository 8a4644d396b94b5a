package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Fragment is what one node computes. See the package comment for its meaning.
type Fragment struct {
	Version   int        `json:"version"`
	Catalog   string     `json:"catalog"` // digest of the catalog it was planned with
	Relations []Relation `json:"relations"`
	Patient   *expr.Expr `json:"patient"` // the column that holds the patient's id
	Filter    *expr.Expr `json:"filter,omitempty"`
	Keys      []Key      `json:"keys,omitempty"`
	Partials  []Partial  `json:"partials"`
	// A patient is clipped to the norm of a patient in MaxGroups groups, with MaxRows rows in all. Each is at least 1.
	// See the package comment.
	Norm      Norm `json:"norm"`
	MaxGroups int  `json:"max_groups"`
	MaxRows   int  `json:"max_rows"`
}

// Key is an expression to group by.
type Key struct {
	Expr *expr.Expr `json:"expr"`
	// Domain lists every value of the key, with NULL if it is one. Rows with another key are left out. Nil: the keys
	// are not declared.
	Domain []value.Value `json:"domain,omitempty"`
}

// Norm says how the vector of one patient is measured.
type Norm string

// The norms.
const (
	L1 Norm = "l1" // adds up magnitudes; for Laplace noise
	L2 Norm = "l2" // adds up squares; for Gaussian noise
)

// Width is the number of integers that a node sends for a group.
func (f *Fragment) Width() int {
	n := 0
	for _, p := range f.Partials {
		n += p.Width()
	}
	return n
}

// Weight is the number of a group's integers that one patient changes, each counted with the weight of its Share.
func (f *Fragment) Weight() int64 {
	n := int64(0)
	for _, p := range f.Partials {
		if p.Kind != PartialBeyond {
			n += int64(p.Weight())
			continue
		}
		if i := f.measured(p); i >= 0 { // the other one may use up all of the block's norm
			of := f.Partials[i].ShareOrOne()
			n += (p.ShareOrOne()*f.singleWeight() + of - 1) / of
		}
	}
	return n
}

// singleWeight returns the weight of the partial aggregates of one integer, which are clipped as one vector.
func (f *Fragment) singleWeight() int64 {
	weight := int64(0)
	for _, p := range f.Partials {
		if p.Buckets == nil && p.Kind != PartialBeyond {
			weight += p.ShareOrOne()
		}
	}
	return weight
}

// measured returns the index of the partial aggregate whose cut-off part p measures, p being of kind beyond; -1: there
// is none.
func (f *Fragment) measured(p Partial) int {
	return slices.IndexFunc(f.Partials, func(o Partial) bool {
		return p.Kind == PartialBeyond && o.Kind == p.Of && o.Buckets == nil && o.Kind != PartialBeyond && o.Expr.Equal(p.Expr) && alike(o.Grid, p.Grid)
	})
}

// Tables lists the catalog's tables that the fragment reads, those of derived relations included, sorted and without
// duplicates.
func (f *Fragment) Tables() []string {
	var names []string
	walkRelations(f.Relations, func(r *Relation) {
		if r.Query == nil {
			names = append(names, r.Table)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}
