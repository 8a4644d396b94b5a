package planner

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// COUNT(DISTINCT visit_occurrence_id) counts things that one patient has each, such as
// visits. So each is counted once among its patient's rows: the release reads a derived
// relation with one row for each patient, group and visit, and counts its rows.

// countOnce puts the derived relation between the rows and the release, where all
// aggregates are COUNT(DISTINCT …) of one such key, or of the patient.
func (b *builder) countOnce() {
	key := b.countedKey()
	if key == nil {
		return
	}
	rows := b.resolver
	d := &fragment.Derived{Relations: rows.relations(), Filter: rows.filter, Grouped: true}
	all := []*expr.Expr{rows.patient, key}
	for _, t := range b.grouping() {
		if e := rows.row(b.key(t)); readsAny(e, rows.has) { // what is alike in all rows of a hospital need not be told
			all = append(all, e)
		}
	}
	for _, e := range scalar.SortedUnique(all) { // one order, whatever the query's
		name := valueOutput(d, e)
		if d.Patient == "" && rows.readsPatientID(e) {
			d.Patient = name
		}
	}
	at := b.sources[0].at
	b.resolver = &resolver{catalog: rows.catalog, scope: rows.scope, behind: rows, moved: d}
	b.adopt(b.settleDerived(d, nil, at), rows.sources[0].alias, at)
	b.counted = b.over(at, key)
}

// countedKey returns the key that is counted, or nil.
func (b *builder) countedKey() *expr.Expr {
	var key *expr.Expr
	only := true
	count := func(t *syntax.Expr) bool {
		if t.Kind != syntax.Call || !syntax.IsAggregate(t.Name) {
			return true
		}
		counted, patients := b.countedBy(t)
		switch {
		case patients:
		case counted == nil, key != nil && !scalar.Same(key, counted):
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
	if !only || b.patient == nil {
		return nil
	}
	return key
}

// aggregatesIn lists the aggregates of a SELECT's items and HAVING.
func aggregatesIn(s *syntax.Select) []*syntax.Expr {
	var all []*syntax.Expr
	add := func(t *syntax.Expr) bool {
		if t.IsAggregate() {
			all = append(all, t)
		}
		return !t.IsAggregate()
	}
	for _, i := range s.Items {
		i.Term.Walk(add)
	}
	if s.Having != nil {
		s.Having.Walk(add)
	}
	return all
}

// severalCounts reports whether a SELECT counts something distinct beside other aggregates.
func severalCounts(s *syntax.Select) bool {
	all := aggregatesIn(s)
	return len(all) > 1 && slices.ContainsFunc(all, func(t *syntax.Expr) bool { return t.Name == "count" && t.Distinct })
}

// countedApart lists the counts of keys, COUNT(DISTINCT visit_occurrence_id), that no one release counts beside the other
// aggregates of a SELECT: see countOnce. Each is a release of its own.
func (c *programPlanner) countedApart(s *syntax.Select, rows *resolver) []*syntax.Expr {
	if rows.patient == nil || !severalCounts(s) {
		return nil
	}
	var apart []*syntax.Expr
	first, only := (*expr.Expr)(nil), true // which countOnce counts, if it may
	for _, t := range aggregatesIn(s) {
		key, patients := rows.countedBy(t)
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
			key, _ := rows.countedBy(t)
			return scalar.Same(key, first)
		})
	}
	return apart
}

// countedBy is the key that an aggregate counts, COUNT(DISTINCT key), or nil; patients: it counts patients.
func (r *resolver) countedBy(t *syntax.Expr) (key *expr.Expr, patients bool) {
	t = t.Unfiltered()
	if t.Name != "count" || !t.Distinct || len(t.Args) != 1 || t.Args[0].Aggregate() != nil || !r.resolves(t.Args[0]) {
		return nil, false
	}
	e := r.row(t.Args[0])
	x := e
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[2].Op == expr.OpLiteral && e.Args[2].Value.IsNull() {
		x = e.Args[1] // COUNT(DISTINCT CASE WHEN c THEN x END)
	}
	switch {
	case x.Op != expr.OpColumn || r.of(x.Relation) == nil:
	case r.isPatientID(r.of(x.Relation), x.Column):
		return nil, x == e && r.readsPatientID(e)
	case r.privateKey(keyOfColumn(r.of(x.Relation), x.Column)) && r.facts(e).Domain == nil:
		return e, false
	}
	return nil, false
}

// over rewrites an expression over the rows behind as one over the relation between.
func (r *resolver) over(at Position, e *expr.Expr) *expr.Expr {
	if i := slices.IndexFunc(r.moved.Columns, func(o fragment.Output) bool { return scalar.Same(o.Expr, e) }); i >= 0 {
		return expr.Column(r.sources[0].Name, r.moved.Columns[i].Name, e.Type)
	}
	if e.Op == expr.OpColumn {
		refuse(CodeNotGrouped, at, "add it to GROUP BY", "%s differs from row to row within a group", e.Column)
	}
	x := *e
	x.Args = nil
	for _, a := range e.Args {
		x.Args = append(x.Args, r.over(at, a))
	}
	return &x
}
