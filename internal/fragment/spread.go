package fragment

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of how joins multiply rows. Without them, a list of constants that is joined under a condition on one patient
// could make a query run for hours if and only if that patient exists.
const (
	// MaxSpread is the largest number of rows that joins with public relations may make from one row of a patient, or
	// from one public row.
	MaxSpread = 10_000
	// MaxPublicRows is the largest number of rows of a public relation that joins make.
	MaxPublicRows = 100_000_000
)

// Spread verifies that joins with public relations multiply rows by no more than MaxSpread, given what is known of the
// public tables, which is public. Check does the same under the assumption that each row finds at most one row in a
// table; a node, which has the tables, checks again. The error wraps ErrInvalid, or is most's.
func (f *Fragment) Spread(c *catalog.Catalog, most Multiplicity) error {
	m := NewMemo(nil)
	m.most = most
	on := m.assumed(c)
	on.noDomains = true
	s, err := newScope(f.Relations, on, 0)
	if err != nil {
		return err
	}
	_, err = s.spread(f.conjuncts(), nil)
	return err
}

// multiplicity bounds the number of rows of the public relation i that agree in the columns.
func (s *Scope) multiplicity(i int, columns []string) (float64, error) {
	r := s.relations[i]
	switch {
	case s.hasKey(i, columns):
		return 1, nil
	case r.Query != nil:
		return r.properties.multiplicity(columns)
	case s.budget.most == nil:
		return 1, nil
	}
	var names []string
	for _, c := range r.table.Columns {
		if containsFold(columns, c.Name) {
			names = append(names, c.Name)
		}
	}
	return s.budget.most(r.table.Name, names)
}

// most is the largest number of rows of a list of constants that agree in the columns.
func (d *Query) most(columns []string) int {
	rows := d.Inputs
	if d.Constant() {
		rows = []*Query{d}
	}
	counts, most := map[string]int{}, 0
	for _, row := range rows {
		var key []value.Value
		null := false
		for k, o := range row.Columns {
			if containsFold(columns, rows[0].Columns[k].Name) {
				key, null = append(key, *o.Expr.Value), null || o.Expr.Value.IsNull()
			}
		}
		if null { // NULL equals nothing
			continue
		}
		text := rowKey(key)
		counts[text]++
		most = max(most, counts[text])
	}
	return most
}

// spread bounds the number of rows that the joins make: from one row of a patient, or in all if everything is public.
// fixed are columns whose values are given.
func (s *Scope) spread(conditions []condition, fixed []*expr.Expr) (float64, error) {
	placed, links, factor, first := make([]bool, len(s.relations)), s.links(conditions), 1.0, 1.0
	for i, r := range s.relations {
		if !r.table.Public {
			placed[i] = true
			if i == 0 || !s.hasKey(i, s.equatedColumns(i, placed, links)) {
				factor *= r.rows
			}
		}
	}
	if len(s.multiplying(links)) > 0 { // the number of rows is capped, whatever each relation has
		s.budget.capped, factor = true, multiplied
	}
	start := !slices.Contains(placed, true)
	for slices.Contains(placed, false) {
		next, most := -1, 0.0
		for i := range s.relations {
			if placed[i] {
				continue
			}
			columns := s.equatedColumns(i, placed, links)
			for _, e := range fixed {
				if e.Relation == s.relations[i].Name {
					columns = append(columns, e.Column)
				}
			}
			n, err := s.multiplicity(i, columns)
			if err != nil {
				return 0, err
			}
			if next < 0 || n <= 1 {
				next, most = i, n
			}
			if n <= 1 {
				break
			}
		}
		placed[next] = true
		if start {
			first, start = most, false
			continue
		}
		if factor *= max(1, most); factor > MaxSpread {
			return 0, s.tooWide(next, factor)
		}
	}
	if factor > MaxSpread || factor > 1 && first*factor > MaxPublicRows {
		return 0, s.tooWide(len(s.relations)-1, max(first, 1)*factor)
	}
	return first * factor, nil
}

func (s *Scope) tooWide(i int, rows float64) error {
	return &Limit{Joined: s.relations[i].Name, Message: fmt.Sprintf("joins with public rows make up to %.0f rows of one, and %d are the most", rows, MaxSpread),
		Hint: "join by a column that tells the public rows apart, or shorten the list"}
}

// equatedColumns lists the columns of relation i that equal a constant, or a column of a relation in placed.
func (s *Scope) equatedColumns(i int, placed []bool, links []link) []string {
	var columns []string
	for _, l := range links {
		if l.to == i && (l.leftJoin == i || l.leftJoin == -1 && s.relations[i].Join != JoinLeft) && (l.from == nil || placed[s.index[l.from.Relation]]) {
			columns = append(columns, l.column)
		}
	}
	return columns
}
