package overlap

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
)

// KeyPosition tells where each of a key's values stands in its domain.
type KeyPosition struct {
	Name   string // the key's expression, of the tables' columns
	Key    int    // its place among the fragment's keys
	Places map[value.Value]int
}

// Positions are those of a fragment's keys, by name, so that they are in one order in all fragments.
type Positions []KeyPosition

// PositionsOf are the positions of a fragment's keys, all of which have a domain.
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

// Of is the place of a group among all combinations of the keys' values; -1 of one that is not declared.
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
