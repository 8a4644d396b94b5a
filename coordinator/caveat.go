package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
)

// caveats are what hospitals report about how they read the tables of a query, by hospital.
type caveats map[string][]fragment.Caveat

// add adds a hospital's caveats. Those that do not name a table and column of the catalog are dropped, so nothing else
// is shown.
func (c caveats) add(of *catalog.Catalog, hospital string, said []fragment.Caveat) {
	for _, s := range said {
		t, ok := of.Table(s.Table)
		if !ok {
			continue
		}
		known := fragment.Caveat{Kind: s.Kind, Table: t.Name}
		switch s.Kind {
		case fragment.CaveatAbsent:
			column, ok := t.Column(s.Column)
			if !ok {
				continue
			}
			known.Column = column.Name
		case fragment.CaveatRejected, fragment.CaveatUnusable:
			if !(s.Share > 0 && s.Share <= 1) {
				continue
			}
			known.Share = s.Share
		default: // a caveat of a later version
			continue
		}
		if !slices.Contains(c[hospital], known) {
			c[hospital] = append(c[hospital], known)
		}
	}
}

// sentences writes the caveats as sentences, sorted. hospitals is the number that answer.
func (c caveats) sentences(hospitals int) []string {
	at := map[fragment.Caveat][]string{} // by everything but the share
	most := map[fragment.Caveat]float64{}
	for _, hospital := range slices.Sorted(maps.Keys(c)) {
		for _, s := range c[hospital] {
			share := s.Share
			s.Share = 0
			at[s] = append(at[s], hospital)
			most[s] = max(most[s], share)
		}
	}
	var all []string
	for s, names := range at {
		share := strconv.FormatFloat(100*most[s], 'g', 4, 64) + " %"
		what := ""
		switch s.Kind {
		case fragment.CaveatAbsent:
			what = fmt.Sprintf("the column %s.%s is absent, and is NULL in every row there", s.Table, s.Column)
		case fragment.CaveatRejected:
			what = fmt.Sprintf("up to %s of the lines of %s may be missing, since they do not fit the rest of their files", share, s.Table)
		case fragment.CaveatUnusable:
			what = fmt.Sprintf("up to %s of a column's values in %s may be unreadable, beyond their bounds or NULL", share, s.Table)
		}
		all = append(all, fmt.Sprintf("at %d of %d hospitals (%s) %s", len(names), hospitals, strings.Join(names, ", "), what))
	}
	slices.Sort(all)
	return all
}
