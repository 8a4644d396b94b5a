package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
)

// determinesPatient reports whether the expression is the patient's id, or a key of
// something that one patient has, such as a visit.
func (r *resolver) determinesPatient(e *expr.Expr) bool {
	return r.readsPatientID(e) || r.keyRead(e) != ""
}

// keyRead is the private table and its key, such as "visit.visit_id", that the
// expression reads, or refers to, in a row that has one; else "".
func (r *resolver) keyRead(e *expr.Expr) string {
	if e.Op != expr.OpColumn {
		return ""
	}
	s := r.of(e.Relation)
	if s == nil || s.table.Public || s.Join == fragment.JoinLeft {
		return ""
	}
	if key := keyOfColumn(s, e.Column); r.privateKey(key) {
		return key
	}
	return ""
}

// privateKey reports whether "table.column" is the key of a private table.
func (r *resolver) privateKey(key string) bool {
	name, _, _ := strings.Cut(key, ".")
	t, ok := r.catalog.Table(name)
	return ok && !t.Public
}

// isPatientID reports whether the column of a source holds the patient's id.
func (r *resolver) isPatientID(s *source, column string) bool {
	if s.Derived != nil {
		return !s.table.Public && strings.EqualFold(s.table.Patient, column)
	}
	return r.catalog.IsPatientID(s.table.Name, column)
}

// readsPatientID reports whether the expression is the patient's id, in a row that has one.
func (r *resolver) readsPatientID(e *expr.Expr) bool {
	if e.Op != expr.OpColumn {
		return false
	}
	s := r.of(e.Relation)
	return s != nil && s.Join != fragment.JoinLeft && r.isPatientID(s, e.Column)
}

// findPatient names the column that holds the patient's id, and joins the tables
// on the way to it where the query has none that does. Without private tables,
// there is no patient.
func (r *resolver) findPatient() {
	first := -1
	for i, s := range r.sources {
		if s.table.Public {
			continue
		}
		if first < 0 || r.sources[first].Join == fragment.JoinLeft {
			first = i
		}
		if s.Join != fragment.JoinLeft && r.isPatientID(s, s.table.Patient) {
			c, _ := s.table.Column(s.table.Patient)
			r.patient = s.expr(c)
			return
		}
	}
	if first < 0 {
		return
	}
	from := r.sources[first]
	if from.Join == fragment.JoinLeft {
		refuse(CodeNoPatient, from.at, "put the table with patients first", "a row of this LEFT JOIN may have no patient")
	}
	r.joinPath(from)
}

// joinPath joins the tables on the way from a table to its patient.
func (r *resolver) joinPath(from *source) {
	path, err := r.catalog.PatientPath(from.table)
	if err != nil {
		refuse(CodeNoPatient, from.at, "ask the federation's operator to mend the catalog", "%s", err)
	}
	for k, step := range path {
		table, _ := r.catalog.Table(step.Table)
		if k > 0 {
			foreign, _ := from.table.Column(path[k-1].Column)
			key, _ := table.Column(step.Key)
			next := &source{table: table, at: from.at, Relation: fragment.Relation{Name: r.freshName(table.Name), Table: table.Name, Join: fragment.JoinInner}}
			next.On = scalar.Apply(from.at, expr.OpEqual, from.expr(foreign), next.expr(key))
			// Right after the table that it belongs to, so that joins after it can be tied to the patient.
			r.sources = slices.Insert(r.sources, r.place(from.Name)+1, next)
			from = next
		}
		if c, ok := table.Column(step.Column); ok {
			r.patient = from.expr(c)
		}
	}
}

// linkByForeignKeys makes sure that all private relations are of one patient. Where a foreign
// key of the catalog joins two tables, it adds that the patients' ids are equal,
// since the key means it.
func (r *resolver) linkByForeignKeys() {
	if r.patient == nil {
		return
	}
	for { // each time, one relation fewer is untied, or the patient is found by another way, which happens once
		names, err := fragment.Unlinked(r.relations(), r.filter, r.catalog.Catalog, r.catalog.domains)
		if err != nil {
			r.tooMuch(err)
		}
		if len(names) == 0 {
			return
		}
		tied := false
		for _, name := range names {
			tied = tied || r.tieByKey(name, names)
		}
		for _, name := range names {
			tied = tied || r.derivePath(name)
		}
		if tied {
			continue
		}
		s := r.of(names[0])
		hint := "join it along the foreign keys that lead to the patient"
		if i := slices.IndexFunc(r.sources, func(s *source) bool { return s.parted != "" }); i >= 0 {
			refuse(CodePatientsMixed, s.at, "say which, such as "+strings.TrimSpace(r.sources[i].alias)+"."+r.sources[i].parted,
				"a row of %s is of one of several tables, and may be another patient's than the rows that it joins", strings.TrimSpace(r.sources[i].alias))
		}
		p := r.of(r.patient.Relation)
		if r.isPatientID(s, s.table.Patient) && p.alias != "" && slices.ContainsFunc(s.columns, func(c column) bool { return strings.EqualFold(c.column, s.table.Patient) }) {
			hint = "add " + p.alias + "." + r.patient.Column + " = " + s.alias + "." + s.table.Patient
		}
		refuse(CodePatientsMixed, s.at, hint, "a row of %s may be another patient's than the rows that it joins", strings.TrimSpace(s.alias))
	}
}

// derivePath puts a derived relation in the place of a table that reaches its patient through others, and is joined by a
// foreign key: the table's rows with their patient's id, which can then be tied, in whatever order and kind of join.
func (r *resolver) derivePath(name string) bool {
	s := r.of(name)
	if s.Derived != nil || r.isPatientID(s, s.table.Patient) || !slices.ContainsFunc(r.joinedBy(s), func(p keyPair) bool {
		return !p.of.table.Public && r.sameKey(s, p.column, p.of, p.other)
	}) {
		return false
	}
	in := &resolver{catalog: r.catalog, depth: r.depth}
	whole := &source{table: s.table, at: s.at, alias: s.alias, columns: named(s.table), Relation: fragment.Relation{Name: s.table.Name, Table: s.table.Name}}
	in.sources = []*source{whole}
	in.findPatient()
	var items []item
	for _, c := range s.table.Columns {
		items = append(items, item{c.Name, whole.expr(c)})
	}
	d := in.project(items, false)
	s.Table, s.Derived, s.table = "", d.Derived, d.table
	return true
}

// keyPair is an equality of a column with one of another source.
type keyPair struct {
	column string
	of     *source
	other  string
}

// joinedBy lists the equalities that hold where a source's rows are joined with others'.
func (r *resolver) joinedBy(s *source) []keyPair {
	i := r.place(s.Name)
	conditions := expr.Conjuncts(s.On)
	if s.Join != fragment.JoinLeft {
		conditions = append(conditions, expr.Conjuncts(r.filter)...)
		for _, o := range r.sources[i+1:] {
			if o.Join == fragment.JoinInner {
				conditions = append(conditions, expr.Conjuncts(o.On)...)
			}
		}
	}
	var all []keyPair
	for _, c := range conditions {
		if c.Op != expr.OpEqual || c.Args[0].Op != expr.OpColumn || c.Args[1].Op != expr.OpColumn {
			continue
		}
		x, y := c.Args[0], c.Args[1]
		if x.Relation != s.Name {
			x, y = y, x
		}
		if o := r.of(y.Relation); x.Relation == s.Name && o != nil && o != s {
			all = append(all, keyPair{x.Column, o, y.Column})
		}
	}
	return all
}

func (r *resolver) tieByKey(name string, unowned []string) bool {
	i := r.place(name)
	s := r.sources[i]
	if !r.isPatientID(s, s.table.Patient) {
		return false
	}
	for _, pair := range r.joinedBy(s) {
		o := pair.of
		if o.table.Public || slices.Contains(unowned, o.Name) || !r.sameKey(s, pair.column, o, pair.other) {
			continue
		}
		id := r.patient
		if r.isPatientID(o, o.table.Patient) && o.Join != fragment.JoinLeft {
			c, _ := o.table.Column(o.table.Patient)
			id = o.expr(c)
		}
		if id.Relation == name { // the patient's id is this relation's own: the other needs its own way to the patient
			if o.Derived != nil || o.Join == fragment.JoinLeft {
				continue
			}
			r.joinPath(o)
			return true
		}
		mine, _ := s.table.Column(s.table.Patient)
		same := scalar.Apply(s.at, expr.OpEqual, s.expr(mine), id)
		before := r.place(id.Relation) < i
		switch {
		case s.Join == fragment.JoinLeft && !before:
			continue
		case !before || s.On == nil && i == 0:
			r.filter = scalar.Conjunction(append(expr.Conjuncts(r.filter), same))
		case s.On == nil:
			s.Join, s.On = fragment.JoinInner, same
		default:
			s.On = scalar.Conjunction(append(expr.Conjuncts(s.On), same))
		}
		return true
	}
	return false
}

// sameKey reports whether equal values of the two columns mean the same row of
// some private table: one is a foreign key to the other, or both are to the same key.
func (r *resolver) sameKey(s *source, x string, o *source, y string) bool {
	if s == nil || o == nil {
		return false
	}
	a := keyOfColumn(s, x)
	return a != "" && strings.EqualFold(a, keyOfColumn(o, y)) && r.privateKey(a)
}

func keyOfColumn(s *source, column string) string {
	c, ok := s.table.Column(column)
	switch {
	case !ok:
		return ""
	case c.References != "":
		return c.References
	case s.Derived == nil && len(s.table.Key) == 1 && strings.EqualFold(s.table.Key[0], column):
		return s.table.Name + "." + c.Name
	}
	return ""
}
