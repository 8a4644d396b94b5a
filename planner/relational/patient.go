package relational

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// determinesPatient reports whether the expression is the patient's id, or a key of
// something that one patient has, such as a visit.
func (r *Resolver) determinesPatient(e *expr.Expr) bool {
	return r.ReadsPatientID(e) || r.keyRead(e) != ""
}

// keyRead is the private table and its key, such as "visit.visit_id", that the
// expression reads, or refers to, in a row that has one; else "".
func (r *Resolver) keyRead(e *expr.Expr) string {
	if e.Op != expr.OpColumn {
		return ""
	}
	s := r.Of(e.Relation)
	if s == nil || s.Schema.Public || s.Join == fragment.JoinLeft {
		return ""
	}
	if key := keyOfColumn(s, e.Column); r.privateKey(key) {
		return key
	}
	return ""
}

// privateKey reports whether "table.column" is the key of a private table.
func (r *Resolver) privateKey(key string) bool {
	name, _, _ := strings.Cut(key, ".")
	t, ok := r.Catalog.Table(name)
	return ok && !t.Public
}

// IsPatientID reports whether a column of a source holds the patient's id.
func (r *Resolver) IsPatientID(s *Source, column string) bool {
	if s.Query != nil {
		return !s.Schema.Public && strings.EqualFold(s.Schema.Patient, column)
	}
	return r.Catalog.IsPatientID(s.Schema.Name, column)
}

// ReadsPatientID reports whether the expression is the patient's id, in a row that has one.
func (r *Resolver) ReadsPatientID(e *expr.Expr) bool {
	if e.Op != expr.OpColumn {
		return false
	}
	s := r.Of(e.Relation)
	return s != nil && s.Join != fragment.JoinLeft && r.IsPatientID(s, e.Column)
}

// findPatient finds the column of the patient's id. If no source has it, it joins the tables on the path to the
// patient. Without private tables there is no patient.
func (r *Resolver) findPatient() {
	first := -1
	for i, s := range r.Sources {
		if s.Schema.Public {
			continue
		}
		if first < 0 || r.Sources[first].Join == fragment.JoinLeft {
			first = i
		}
		if s.Join != fragment.JoinLeft && r.IsPatientID(s, s.Schema.Patient) {
			c, _ := s.Schema.Column(s.Schema.Patient)
			r.Patient = s.Expr(c)
			return
		}
	}
	if first < 0 {
		return
	}
	from := r.Sources[first]
	if from.Join == fragment.JoinLeft {
		syntax.Refuse(syntax.CodeNoPatient, from.At, "put the table with patients first; or join it last, group by columns of the others, and count a column of it in place of COUNT(*)", "a row of this LEFT JOIN may have no patient")
	}
	r.joinPath(from)
}

// joinPath joins the tables on the path from a table to its patient.
func (r *Resolver) joinPath(from *Source) {
	path, err := r.Catalog.PatientPath(from.Schema)
	if err != nil {
		syntax.Refuse(syntax.CodeNoPatient, from.At, "ask the federation's operator to mend the catalog", "%s", err)
	}
	for k, step := range path {
		table, _ := r.Catalog.Table(step.Table)
		if k > 0 {
			foreign, _ := from.Schema.Column(path[k-1].Column)
			key, _ := table.Column(step.Key)
			next := &Source{Schema: table, At: from.At, Relation: fragment.Relation{Name: r.freshName(table.Name), Table: table.Name, Join: fragment.JoinInner}}
			next.On = scalar.Apply(from.At, expr.OpEqual, from.Expr(foreign), next.Expr(key))
			// Right after the table that it belongs to, so that joins after it can be tied to the patient.
			r.Sources = slices.Insert(r.Sources, r.place(from.Name)+1, next)
			from = next
		}
		if c, ok := table.Column(step.Column); ok {
			r.Patient = from.Expr(c)
		}
	}
}

// LinkByForeignKeys ensures that all private relations belong to one patient. If a foreign key of the catalog joins two
// tables, it adds the condition that the patients' ids are equal, which the key implies.
func (r *Resolver) LinkByForeignKeys() {
	if r.Patient == nil {
		return
	}
	for { // each time, one relation fewer is untied, or the patient is found by another way, which happens once
		names, err := fragment.Unlinked(r.Relations(), r.Filter, r.Catalog.Catalog, r.Catalog.Memo)
		if err != nil {
			r.TooMuch(err)
		}
		if len(names) == 0 {
			return
		}
		tied := false
		for _, name := range names {
			tied = tied || r.linkByForeignKey(name, names)
		}
		for _, name := range names {
			tied = tied || r.derivePath(name)
		}
		if tied {
			continue
		}
		s := r.Of(names[0])
		hint := "join it along the foreign keys that lead to the patient"
		if i := slices.IndexFunc(r.Sources, func(s *Source) bool { return s.parted != "" }); i >= 0 {
			syntax.Refuse(syntax.CodePatientsMixed, s.At, "say which, such as "+strings.TrimSpace(r.Sources[i].Alias)+"."+r.Sources[i].parted,
				"a row of %s is of one of several tables, and may be another patient's than the rows that it joins", strings.TrimSpace(r.Sources[i].Alias))
		}
		p := r.Of(r.Patient.Relation)
		if r.IsPatientID(s, s.Schema.Patient) && p.Alias != "" && slices.ContainsFunc(s.Named, func(c Column) bool { return strings.EqualFold(c.Column, s.Schema.Patient) }) {
			hint = "add " + p.Alias + "." + r.Patient.Column + " = " + s.Alias + "." + s.Schema.Patient
		}
		syntax.Refuse(syntax.CodePatientsMixed, s.At, hint, "a row of %s may be another patient's than the rows that it joins", strings.TrimSpace(s.Alias))
	}
}

// derivePath puts a derived relation in the place of a table that reaches its patient through others, and is joined by
// a foreign key: the table's rows with their patient's id, which can then be tied, in whatever order and kind of join.
func (r *Resolver) derivePath(name string) bool {
	s := r.Of(name)
	if s.Query != nil || r.IsPatientID(s, s.Schema.Patient) || !slices.ContainsFunc(r.joinedBy(s), func(p keyPair) bool {
		return !p.of.Schema.Public && r.sameKey(s, p.column, p.of, p.other)
	}) {
		return false
	}
	in := &Resolver{Catalog: r.Catalog, Depth: r.Depth}
	whole := &Source{Schema: s.Schema, At: s.At, Alias: s.Alias, Named: named(s.Schema), Relation: fragment.Relation{Name: s.Schema.Name, Table: s.Schema.Name}}
	in.Sources = []*Source{whole}
	in.findPatient()
	var items []item
	for _, c := range s.Schema.Columns {
		items = append(items, item{name: c.Name, expr: whole.Expr(c)})
	}
	d := in.project(items, false)
	s.Table, s.Query, s.Schema = "", d.Query, d.Schema
	return true
}

// keyPair is an equality of a column with a column of another source.
type keyPair struct {
	column string
	of     *Source
	other  string
}

// joinedBy lists the equalities that hold where a source's rows are joined with others'.
func (r *Resolver) joinedBy(s *Source) []keyPair {
	i := r.place(s.Name)
	conditions := expr.Conjuncts(s.On)
	if s.Join != fragment.JoinLeft {
		conditions = append(conditions, expr.Conjuncts(r.Filter)...)
		for _, o := range r.Sources[i+1:] {
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
		if o := r.Of(y.Relation); x.Relation == s.Name && o != nil && o != s {
			all = append(all, keyPair{x.Column, o, y.Column})
		}
	}
	return all
}

func (r *Resolver) linkByForeignKey(name string, unlinked []string) bool {
	i := r.place(name)
	s := r.Sources[i]
	if !r.IsPatientID(s, s.Schema.Patient) {
		return false
	}
	for _, pair := range r.joinedBy(s) {
		o := pair.of
		if o.Schema.Public || slices.Contains(unlinked, o.Name) || !r.sameKey(s, pair.column, o, pair.other) {
			continue
		}
		id := r.Patient
		if r.IsPatientID(o, o.Schema.Patient) && o.Join != fragment.JoinLeft {
			c, _ := o.Schema.Column(o.Schema.Patient)
			id = o.Expr(c)
		}
		if id.Relation == name { // the patient's id is this relation's own: the other needs its own way to the patient
			if o.Query != nil || o.Join == fragment.JoinLeft {
				continue
			}
			r.joinPath(o)
			return true
		}
		mine, _ := s.Schema.Column(s.Schema.Patient)
		same := scalar.Apply(s.At, expr.OpEqual, s.Expr(mine), id)
		before := r.place(id.Relation) < i
		switch {
		case s.Join == fragment.JoinLeft && !before:
			continue
		case !before || s.On == nil && i == 0:
			r.Filter = scalar.Conjunction(append(expr.Conjuncts(r.Filter), same))
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
func (r *Resolver) sameKey(s *Source, x string, o *Source, y string) bool {
	if s == nil || o == nil {
		return false
	}
	a := keyOfColumn(s, x)
	return a != "" && strings.EqualFold(a, keyOfColumn(o, y)) && r.privateKey(a)
}

func keyOfColumn(s *Source, column string) string {
	c, ok := s.Schema.Column(column)
	switch {
	case !ok:
		return ""
	case c.References != "":
		return c.References
	case s.Query == nil && len(s.Schema.Key) == 1 && strings.EqualFold(s.Schema.Key[0], column):
		return s.Schema.Name + "." + c.Name
	}
	return ""
}

// ByPatient reports whether a SELECT that groups its rows does so by patient, or reads none: by the patient's id, or by
// the key of something that one patient has.
func (r *Resolver) ByPatient(s *syntax.Select) bool {
	if r.Patient == nil {
		return true
	}
	if len(s.GroupBy) == 0 {
		return false
	}
	items := r.starless(s.Items, false)
	return slices.ContainsFunc(s.GroupBy[0], func(t *syntax.Expr) bool {
		t = r.GroupKey(items, t)
		return t.Kind == syntax.Column && r.determinesPatient(r.Row(t))
	})
}

// ReadsAround reports whether a subquery's conditions read columns of the outer query.
func (r *Resolver) ReadsAround() bool {
	outer := func(relation string) bool { return r.Of(relation) == nil }
	return r.Filter != nil && ReadsAny(r.Filter, outer) ||
		slices.ContainsFunc(r.Sources, func(s *Source) bool { return s.On != nil && ReadsAny(s.On, outer) })
}

// IsKey reports whether an expression is the key of a private table, or refers to one, such as a visit's.
func (r *Resolver) IsKey(e *expr.Expr) bool {
	return e.Op == expr.OpColumn && r.privateKey(keyOfColumn(r.Of(e.Relation), e.Column))
}

// CountedBy is the key that an aggregate counts, COUNT(DISTINCT key), or nil; patients: it counts patients.
func (r *Resolver) CountedBy(t *syntax.Expr) (key *expr.Expr, patients bool) {
	t = t.Unfiltered()
	if t.Name != "count" || !t.Distinct || len(t.Args) != 1 || t.Args[0].Aggregate() != nil || !r.Resolves(t.Args[0]) {
		return nil, false
	}
	e := r.Row(t.Args[0])
	x := e
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[2].Op == expr.OpLiteral && e.Args[2].Value.IsNull() {
		x = e.Args[1] // COUNT(DISTINCT CASE WHEN c THEN x END)
	}
	switch {
	case x.Op != expr.OpColumn || r.Of(x.Relation) == nil:
	case r.IsPatientID(r.Of(x.Relation), x.Column):
		return nil, x == e && r.ReadsPatientID(e)
	case r.IsKey(x) && r.facts(e).Domain == nil:
		return e, false
	}
	return nil, false
}
