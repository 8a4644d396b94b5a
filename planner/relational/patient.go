package relational

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// determinesPatient reports whether the expression is the patient's id, or the key of something that belongs to one
// patient, such as a visit.
func (r *Resolver) determinesPatient(e *expr.Expr) bool {
	return r.ReadsPatientID(e) || r.keyRead(e) != ""
}

// keyRead is keyOf, but "" if a left join may make the expression NULL.
func (r *Resolver) keyRead(e *expr.Expr) string {
	if key := r.keyOf(e); key != "" && r.Of(e.Relation).Join != fragment.JoinLeft {
		return key
	}
	return ""
}

// keyOf returns the key of a private table, such as visit.visit_id, if the expression is this key or refers to it; else
// "".
//
// By the catalog, rows that agree in such a key belong to one patient. The proof does not rely on that: it needs the
// equality of the patients' ids, which the key implies and which is added as a condition.
func (r *Resolver) keyOf(e *expr.Expr) string {
	if e.Op != expr.OpColumn {
		return ""
	}
	s := r.Of(e.Relation)
	if s == nil || s.Schema.Public {
		return ""
	}
	key := s.KeyReferredTo(s.Schema, e.Column)
	if name, _, _ := strings.Cut(key, "."); !r.private(name) {
		return ""
	}
	return strings.ToLower(key)
}

// private reports whether the catalog has a private table of that name.
func (r *Resolver) private(table string) bool {
	t, ok := r.Catalog.Table(table)
	return ok && !t.Public
}

// IsPatientID reports whether a column of a source holds the patient's id.
func (r *Resolver) IsPatientID(s *Source, column string) bool {
	if s.Query != nil {
		return !s.Schema.Public && strings.EqualFold(s.Schema.Patient, column)
	}
	return r.Catalog.IsPatientID(s.Schema.Name, column)
}

// ReadsPatientID reports whether the expression is the patient's id in a row that exists.
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
			// It is inserted right after its table, so that later joins can be linked to the patient.
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
	for { // each round links one more relation, or finds the patient another way, which happens once
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

// derivePath replaces a table that reaches its patient through other tables and is joined by a foreign key. The derived
// relation has the table's rows with their patient's id, so it can be linked in any order and kind of join.
func (r *Resolver) derivePath(name string) bool {
	s := r.Of(name)
	if s.Query != nil || r.IsPatientID(s, s.Schema.Patient) || len(r.joinedByKey(s)) == 0 {
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

// joinedByKey lists the columns of other sources that equal a key where the rows of s are joined with theirs.
func (r *Resolver) joinedByKey(s *Source) []*expr.Expr {
	var others []*expr.Expr
	for _, c := range fragment.ConditionsOn(r.Relations(), r.Filter, r.place(s.Name)) {
		if c.Op != expr.OpEqual {
			continue
		}
		x, y := c.Args[0], c.Args[1]
		if x.Relation != s.Name {
			x, y = y, x
		}
		if key := r.keyOf(x); key != "" && key == r.keyOf(y) && x.Relation == s.Name && y.Relation != s.Name {
			others = append(others, y)
		}
	}
	return others
}

func (r *Resolver) linkByForeignKey(name string, unlinked []string) bool {
	i := r.place(name)
	s := r.Sources[i]
	if !r.IsPatientID(s, s.Schema.Patient) {
		return false
	}
	for _, key := range r.joinedByKey(s) {
		o := r.Of(key.Relation)
		if slices.Contains(unlinked, o.Name) {
			continue
		}
		id := r.Patient
		if r.IsPatientID(o, o.Schema.Patient) && o.Join != fragment.JoinLeft {
			c, _ := o.Schema.Column(o.Schema.Patient)
			id = o.Expr(c)
		}
		// the patient's id belongs to this relation, so the other needs its own path to the patient
		if id.Relation == name {
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

// ByPatient reports whether a SELECT that groups its rows groups them by patient: by the patient's id, or by the key of
// something that belongs to one patient. It is true if the SELECT reads no patients.
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

// IsKey reports whether an expression is or refers to the key of a private table, such as a visit's.
func (r *Resolver) IsKey(e *expr.Expr) bool { return r.keyOf(e) != "" }

// CountedBy returns the key that COUNT(DISTINCT key) counts, or nil. patients says that it counts patients.
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
