package overlap

import (
	"strconv"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Conditions returns how many conditions may leave out rows: the joined relations, and the parts of the filter.
func Conditions(f *fragment.Fragment) int {
	n := len(f.Relations)
	if f.Filter != nil {
		n += len(expr.Conjuncts(f.Filter))
	}
	return n
}

// Groups returns the keys of the groups of a release: all combinations of declared values. A key without declared
// values gets some made-up ones. It stops at the first key that brings more than most.
func Groups(f *fragment.Fragment, some, most int) [][]value.Value {
	all := [][]value.Value{nil}
	for _, k := range f.Keys {
		domain := k.Domain
		for i := 1; len(k.Domain) == 0 && i <= some; i++ {
			v := value.Text(strconv.Itoa(i))
			if k.Expr.Type != value.TypeText {
				v = value.OfOrdinal(k.Expr.Type, float64(i))
			}
			domain = append(domain, v)
		}
		var longer [][]value.Value
		for _, keys := range all {
			for _, v := range domain {
				longer = append(longer, append(keys[:len(keys):len(keys)], v))
			}
		}
		if all = longer; len(all) > most {
			break
		}
	}
	return all
}
