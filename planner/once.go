package planner

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// COUNT(DISTINCT visit_occurrence_id) counts things such as visits, each of which belongs to one patient. So each is
// counted once among its patient's rows: the release reads a derived relation with one row for each patient, group and
// visit, and counts its rows.

// countOnce puts the derived relation between the rows and the release. It does so if all aggregates are COUNT(DISTINCT
// …) of one such key, or of the patient.
func (b *builder) countOnce() {
	key := b.countedKey()
	if key == nil {
		return
	}
	rows := b.Resolver
	d := &fragment.Query{Relations: rows.Relations(), Filter: rows.Filter, Grouped: true}
	all := []*expr.Expr{rows.Patient, key}
	for _, t := range b.grouping() {
		// a key that is the same in all rows of a hospital is not needed
		if e := rows.Row(b.key(t)); relational.ReadsAny(e, rows.Has) {
			all = append(all, e)
		}
	}
	for _, e := range scalar.SortedUnique(all) { // one order, whatever the query's
		name := relational.AddValue(d, e)
		if d.Patient == "" && rows.ReadsPatientID(e) {
			d.Patient = name
		}
	}
	at := b.Sources[0].At
	b.Resolver = rows.Regrouped(d, at)
	b.counted = b.Over(at, key)
}

// countedKey returns the key that is counted, or nil.
func (b *builder) countedKey() *expr.Expr {
	var key *expr.Expr
	only := true
	count := func(t *syntax.Expr) bool {
		if t.Kind != syntax.Call || !syntax.IsAggregate(t.Name) {
			return true
		}
		counted, patients := b.CountedBy(t)
		switch {
		case patients:
		case counted == nil, key != nil && !key.Equal(counted):
			only = false
		default:
			key = counted
		}
		return false
	}
	for _, i := range b.syntax.Select.Items {
		i.Term.Walk(count)
	}
	if having := b.syntax.Select.Having; having != nil {
		having.Walk(count)
	}
	for _, o := range b.syntax.OrderBy {
		o.Term.Walk(count)
	}
	b.known = nil
	if !only || b.Patient == nil {
		return nil
	}
	return key
}

// severalCounts reports whether a SELECT has a COUNT(DISTINCT …) beside other aggregates.
func severalCounts(s *syntax.Select) bool {
	all := s.Aggregates()
	return len(all) > 1 && slices.ContainsFunc(all, func(t *syntax.Expr) bool { return t.Name == "count" && t.Distinct })
}

// countedApart lists the counts of keys, such as COUNT(DISTINCT visit_occurrence_id), that cannot share a release with
// the other aggregates of a SELECT: see countOnce. Each becomes a release of its own.
func (c *programPlanner) countedApart(s *syntax.Select, rows *relational.Resolver) []*syntax.Expr {
	if rows.Patient == nil || !severalCounts(s) {
		return nil
	}
	var apart []*syntax.Expr
	first, only := (*expr.Expr)(nil), true // the key that countOnce counts, if there are no other aggregates
	for _, t := range s.Aggregates() {
		key, patients := rows.CountedBy(t)
		switch {
		case patients:
		case key == nil:
			only = false
		default:
			if first == nil {
				first = key
			}
			apart = append(apart, t)
		}
	}
	if only {
		apart = slices.DeleteFunc(apart, func(t *syntax.Expr) bool {
			key, _ := rows.CountedBy(t)
			return key.Equal(first)
		})
	}
	return apart
}
