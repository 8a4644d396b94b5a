package overlap

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
)

// KeyPosition says where each value of a key stands in the key's domain.
type KeyPosition struct {
	Name   string // the key's expression over the tables' columns
	Key    int    // the index among the fragment's keys
	Places map[value.Value]int
}

// Positions are those of a fragment's keys, ordered by name, so that all fragments have the same order.
type Positions []KeyPosition

// PositionsOf returns the positions of a fragment's keys. All keys must have a domain.
func PositionsOf(f *fragment.Fragment) Positions {
	all := make(Positions, len(f.Keys))
	for i, k := range f.Keys {
		all[i] = KeyPosition{scalar.Canonical(Inlined(k.Expr, f.Relations)), i, make(map[value.Value]int, len(k.Domain))}
		for place, v := range k.Domain {
			all[i].Places[v] = place
		}
	}
	slices.SortFunc(all, func(a, b KeyPosition) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Of is the index of a group among all combinations of the keys' values; -1 if the group is not declared.
func (p Positions) Of(keys []value.Value) int {
	at := 0
	for _, k := range p {
		place, ok := k.Places[keys[k.Key]]
		if !ok {
			return -1
		}
		at = at*len(k.Places) + place
	}
	return at
}
