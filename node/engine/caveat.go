package engine

import (
	"slices"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
)

// caveats lists where the columns that a fragment reads, by table, have less than the catalog says. It depends only on
// the sources' columns and node.yaml, never on rows.
func (e *Engine) caveats(read map[string][]string) (all []fragment.Caveat) {
	for _, t := range e.catalog.Tables {
		v, columns := e.views[t.Name], read[t.Name]
		if v == nil || columns == nil {
			continue
		}
		for _, c := range t.Columns {
			if _, ok := v.columns[c.Name]; !ok && slices.Contains(columns, c.Name) {
				all = append(all, fragment.Caveat{Kind: fragment.CaveatAbsent, Table: t.Name, Column: c.Name})
			}
		}
		if v.Rejected > 0 {
			all = append(all, fragment.Caveat{Kind: fragment.CaveatRejected, Table: t.Name, Share: v.Rejected})
		}
		if v.declared {
			all = append(all, fragment.Caveat{Kind: fragment.CaveatUnusable, Table: t.Name, Share: v.unusable})
		}
	}
	return all
}

// noting is the target's Table, but it also records which columns of which tables are read.
func (e *Engine) noting(read map[string][]string, sure map[string]promises) func(*catalog.Table, []string) (string, bool) {
	table := e.target().Table
	return func(t *catalog.Table, columns []string) (string, bool) {
		read[t.Name] = append(read[t.Name], columns...)
		if read[t.Name] == nil {
			read[t.Name] = []string{}
		}
		if v := e.views[t.Name]; v != nil && sure[t.Name].key && v.Enforced != nil && v.Alone != "" {
			alone := *v
			alone.SQL = v.Alone
			return "(" + alone.Select(e.driver, e.dialect, columns) + ")", true
		}
		return table(t, columns)
	}
}
