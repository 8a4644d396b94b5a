package relational

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// A subquery in a condition becomes a LEFT JOIN with a derived relation. The relation has one row for each patient and
// correlation key (only the key if the subquery reads public tables alone). The condition then tests whether the row
// exists.

// correlation links a subquery to the outer query: inner = outer.
type correlation struct{ inner, outer *expr.Expr }

// subquery plans EXISTS (…), x IN (…) or a scalar subquery, and returns the expression that replaces it.
func (r *Resolver) subquery(t *syntax.Expr) *expr.Expr {
	if r.joining {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "move the condition to WHERE", "ON cannot hold a subquery")
	}
	switch t.Kind {
	case syntax.Exists:
		in, _ := r.correlated(t.Query, t.At)
		return r.semiJoin(in, nil, t.At)
	case syntax.Subquery:
		return r.scalar(t)
	}
	var left []*expr.Expr // the values before the subquery; its names must not mean theirs
	for _, arg := range t.Args {
		left = append(left, r.Row(arg))
	}
	in, terms := r.correlated(t.Query, t.At)
	terms = in.starless(terms, false)
	if n := len(left); len(terms) != n {
		what := "one value"
		if n > 1 {
			what = strconv.Itoa(n) + " values"
		}
		syntax.Refuse(syntax.CodeType, t.At, "select as many columns as stand before IN", "IN compares %s with a query of %d columns", what, len(terms))
	}
	var pairs []correlation
	var missing []*expr.Expr
	for i, arg := range t.Args {
		x, y := left[i], in.Row(terms[i].Term)
		args := unifiedExprs(arg.At, y, x)
		pairs = append(pairs, correlation{args[0], args[1]})
		if r.facts(x).Nullable {
			missing = append(missing, scalar.Apply(t.At, expr.OpIsNull, x))
		}
		if in.facts(y).Nullable && r.nullMatters > 0 {
			syntax.Refuse(syntax.CodeNotSupported, t.At, "add WHERE "+terms[i].Term.Describe()+" IS NOT NULL to the subquery, or write NOT EXISTS",
				"NOT IN with a query that may give NULL is never true")
		}
	}
	found := r.semiJoin(in, pairs, t.At)
	if len(missing) == 0 {
		return found
	}
	if r.nullMatters == 0 { // here NULL and false have the same effect
		return scalar.Apply(t.At, expr.OpCase, anyOf(t.At, missing), expr.Literal(value.Null(value.TypeBool)), found)
	}
	return scalar.Apply(t.At, expr.OpCase, r.unknown(t, left), expr.Literal(value.Null(value.TypeBool)), found)
}

func anyOf(at syntax.Position, conditions []*expr.Expr) *expr.Expr {
	if len(conditions) == 1 {
		return conditions[0]
	}
	return scalar.Apply(at, expr.OpOr, conditions...)
}

// unknown is the condition under which (a, b) IN (query) is NULL: some of the left values are NULL, and a row of the
// query has the others. If the query has no row, it is false, not NULL.
func (r *Resolver) unknown(t *syntax.Expr, left []*expr.Expr) *expr.Expr {
	var nullable []int
	for i, x := range left {
		if r.facts(x).Nullable {
			nullable = append(nullable, i)
		}
	}
	if len(nullable) > maxNullable {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "write NOT EXISTS", "NOT IN of more than %d columns that may be NULL is not answered", maxNullable)
	}
	var cases []*expr.Expr
	for set := 1; set < 1<<len(nullable); set++ {
		absent := map[int]bool{}
		var conditions []*expr.Expr
		for k, i := range nullable {
			if set>>k&1 == 1 {
				absent[i] = true
				conditions = append(conditions, scalar.Apply(t.At, expr.OpIsNull, left[i]))
			}
		}
		again, terms := r.correlated(t.Query, t.At)
		terms = again.starless(terms, false)
		var rest []correlation
		for i, arg := range t.Args {
			if !absent[i] {
				args := unifiedExprs(arg.At, again.Row(terms[i].Term), left[i])
				rest = append(rest, correlation{args[0], args[1]})
			}
		}
		rest = append(rest, again.splitCorrelation(r, rest, t.At)...)
		// If nothing else links the two, the subquery reads all patients, and has rows.
		if r.linked(again, rest) {
			conditions = append(conditions, r.exists(again, rest, t.At))
		}
		cases = append(cases, scalar.Conjunction(conditions))
	}
	return anyOf(t.At, cases)
}

// maxNullable bounds the nullable columns before NOT IN: each set of them needs another join.
const maxNullable = 2

// unifiedExprs converts two compared expressions to one type.
func unifiedExprs(at syntax.Position, a, b *expr.Expr) [2]*expr.Expr {
	switch {
	case scalar.IsFree(a):
		a = expr.Literal(value.Null(b.Type))
	case scalar.IsFree(b):
		b = expr.Literal(value.Null(a.Type))
	}
	if a.Type == value.TypeDate && b.Type == value.TypeTimestamp {
		a, _ = expr.Cast(a, b.Type)
	}
	if b.Type == value.TypeDate && a.Type == value.TypeTimestamp {
		b, _ = expr.Cast(b, a.Type)
	}
	scalar.Apply(at, expr.OpEqual, a, b) // refuses types that cannot be compared
	return [2]*expr.Expr{a, b}
}

// correlated resolves a subquery that may read columns of the outer query. It returns the subquery's rows and the items
// of its SELECT.
func (r *Resolver) correlated(q *syntax.Query, at syntax.Position) (*Resolver, []syntax.Item) {
	if r.Depth >= MaxQueryDepth {
		syntax.Refuse(syntax.CodeTooLarge, at, "ask it in fewer steps", "queries nest deeper than %d", MaxQueryDepth)
	}
	in := r.Inner(r.Scope.Extend(q.With))
	if s := q.Select; s != nil && q.Limit == nil && q.Offset == nil && simple(s) && !ReadsNoTable(s) {
		in.Read(s)
		return in, s.Items
	}
	q, outer := r.uncorrelated(q)
	d := r.Derive(q, r.Scope, at)
	in.Adopt(d, "", at)
	for i, t := range outer {
		tie := d.Named[len(d.Named)-len(outer)+i]
		mine, _ := in.Sources[0].Schema.Column(tie.Column)
		args := unifiedExprs(t.At, in.Sources[0].Expr(mine), r.Row(t))
		in.Filter = in.and(scalar.Apply(t.At, expr.OpEqual, args[0], args[1]))
	}
	var items []syntax.Item
	for _, c := range d.Named[:len(d.Named)-len(outer)] {
		items = append(items, syntax.Item{Term: &syntax.Expr{Kind: syntax.Column, At: at, Name: c.Name, Qualifier: in.Sources[0].Alias}, Alias: c.Name})
	}
	return in, items
}

func isCount(t *syntax.Expr) bool { return t.IsAggregate() && t.Name == "count" }

// absentOfNone reports whether a term over aggregates is NULL if there is no row, as the column of a left join is.
func absentOfNone(t *syntax.Expr) bool {
	switch {
	case t.IsAggregate():
		return t.Name != "count"
	case t.Kind == syntax.Cast, t.Kind == syntax.Operator && (syntax.IsArithmetic(t.Name) || t.Name == "neg"):
		return slices.ContainsFunc(t.Args, absentOfNone)
	}
	return false
}

// simple reports whether a SELECT returns its rows unchanged.
func simple(s *syntax.Select) bool {
	if len(s.GroupBy) > 0 || s.Having != nil || s.Qualify != nil {
		return false
	}
	for _, i := range s.Items {
		if i.Term.Aggregate() != nil || i.Term.Window() != nil {
			return false
		}
	}
	return true
}

// semiJoin joins the matching rows of in to r, and returns the condition that there is one.
func (r *Resolver) semiJoin(in *Resolver, pairs []correlation, at syntax.Position) *expr.Expr {
	return r.exists(in, append(pairs, in.splitCorrelation(r, pairs, at)...), at)
}

// exists is match with all correlations given.
func (r *Resolver) exists(in *Resolver, pairs []correlation, at syntax.Position) *expr.Expr {
	s := r.leftJoinSubquery(in, pairs, nil, at)
	if s.Join == fragment.JoinCross { // the count of no rows is zero
		c := s.Schema.Columns[0]
		return scalar.Apply(at, expr.OpGreater, s.Expr(c), expr.Literal(value.Int(0)))
	}
	name := s.Schema.Patient
	if s.Schema.Public {
		name = s.Schema.Columns[0].Name
	}
	c, _ := s.Schema.Column(name)
	return scalar.Apply(at, expr.OpNot, scalar.Apply(at, expr.OpIsNull, s.Expr(c)))
}

// splitCorrelation removes from the subquery's conditions those that read the outer query, and returns the
// correlations. Equalities are used directly. For other conditions, the subquery reads the outer table's rows again and
// correlates them by key.
func (r *Resolver) splitCorrelation(around *Resolver, known []correlation, at syntax.Position) []correlation {
	outer := func(relation string) bool { return r.Of(relation) == nil }
	for _, s := range r.Sources {
		if s.On != nil && ReadsAny(s.On, outer) {
			syntax.Refuse(syntax.CodeNotSupported, s.At, "move the condition to the subquery's WHERE", "ON reads a table of the query around")
		}
	}
	var pairs []correlation
	var local, rest []*expr.Expr
	nearer := map[string]*Source{}
	for _, c := range expr.Conjuncts(r.Filter) {
		c = r.rewriteDistantReferences(around, c, nearer, at)
		switch {
		case !ReadsAny(c, outer):
			local = append(local, c)
		case c.Op == expr.OpEqual && !ReadsAny(c.Args[0], outer) && !ReadsAny(c.Args[1], r.Has):
			pairs = append(pairs, correlation{c.Args[0], c.Args[1]})
		case c.Op == expr.OpEqual && !ReadsAny(c.Args[1], outer) && !ReadsAny(c.Args[0], r.Has):
			pairs = append(pairs, correlation{c.Args[1], c.Args[0]})
		default:
			rest = append(rest, c)
		}
	}
	if len(rest) > 0 && r.Patient != nil && !around.linked(r, slices.Concat(known, pairs)) {
		refuseUnlinked(at) // before a copy of the outer row, which has its patient, links the two
	}
	copies := r.copiesOf(around, rest, &pairs, at)
	for _, c := range rest {
		local = append(local, c.Replace(func(e *expr.Expr) *expr.Expr {
			if e.Op != expr.OpColumn || r.Has(e.Relation) {
				return e
			}
			return expr.Column(copies[e.Relation].Name, e.Column, e.Type)
		}))
	}
	r.Filter = nil
	if len(local) > 0 {
		r.Filter = scalar.Conjunction(local)
	}
	for _, p := range pairs {
		if ReadsAny(p.outer, func(relation string) bool { return around.Of(relation) == nil }) {
			syntax.Refuse(syntax.CodeNotSupported, at, "refer only to the query directly around", "the subquery reads a query further out")
		}
	}
	return pairs
}

// rewriteDistantReferences rewrites a condition that reads a query further out than the directly outer one. A patient's
// id is replaced by that of the directly outer query, since both belong to one patient or are refused. A table with a
// key is read again by the directly outer query and linked by its key to the row further out. Exactly one row matches,
// so the outer query keeps its rows.
func (r *Resolver) rewriteDistantReferences(around *Resolver, c *expr.Expr, known map[string]*Source, at syntax.Position) *expr.Expr {
	return c.Replace(func(e *expr.Expr) *expr.Expr {
		if e.Op != expr.OpColumn || r.Has(e.Relation) || around.Has(e.Relation) {
			return e
		}
		further := around.outer
		for further != nil && !further.Has(e.Relation) {
			further = further.outer
		}
		if further == nil || around.Patient == nil {
			return e // refused when it is read
		}
		o := further.Of(e.Relation)
		if further.IsPatientID(o, e.Column) && o.Join != fragment.JoinLeft {
			return around.Patient
		}
		twin := known[e.Relation]
		if twin == nil {
			twin = &Source{Relation: fragment.Relation{Name: r.freshName(o.Schema.Name), Table: o.Table, Query: o.Query, Join: fragment.JoinInner}, Schema: o.Schema, At: at}
			id, ok := twin.Schema.Column(twin.Schema.Patient)
			if len(o.Schema.Key) == 0 || o.Join == fragment.JoinLeft || !ok || !further.IsPatientID(o, id.Name) {
				return e
			}
			twin.On = scalar.Apply(at, expr.OpEqual, twin.Expr(id), around.Patient)
			for _, k := range o.Schema.Key {
				mine, _ := twin.Schema.Column(k)
				for _, p := range nullSafe(twin.Expr(mine), o.Expr(mine), mine.Nullable, at) {
					around.Filter = around.and(scalar.Apply(at, expr.OpEqual, p.inner, p.outer))
				}
			}
			around.Sources = append(around.Sources, twin)
			known[e.Relation] = twin
		}
		return expr.Column(twin.Name, e.Column, e.Type)
	})
}

// Has reports whether the relation is one of the sources.
func (r *Resolver) Has(relation string) bool { return r.Of(relation) != nil }

// copiesOf reads again, within the subquery, the outer tables that its conditions compare by other than equality. A row
// of such a table is identified by its key. Without a key, it is identified by the patient and the columns that the
// conditions read; rows that agree in these count as one.
func (r *Resolver) copiesOf(around *Resolver, conditions []*expr.Expr, pairs *[]correlation, at syntax.Position) map[string]*Source {
	read := map[string][]string{}
	var outer []*Source
	for _, c := range conditions {
		c.Columns(func(relation, column string) {
			o := around.Of(relation)
			switch {
			case r.Has(relation):
				return
			case o == nil:
				syntax.Refuse(syntax.CodeNotSupported, at, "refer only to the query directly around", "the subquery reads a query further out")
			case read[relation] == nil:
				outer = append(outer, o)
			}
			if !slices.Contains(read[relation], column) {
				read[relation] = append(read[relation], column)
			}
		})
	}
	copies := map[string]*Source{}
	for _, o := range outer {
		copies[o.Name] = r.copyOf(around, o, read[o.Name], pairs, at)
	}
	return copies
}

func (r *Resolver) copyOf(around *Resolver, o *Source, read []string, pairs *[]correlation, at syntax.Position) *Source {
	twin := &Source{Relation: fragment.Relation{Name: r.freshName(o.Schema.Name), Table: o.Table, Query: o.Query, Join: fragment.JoinCross}, Schema: o.Schema, At: at}
	key := o.Schema.Key
	switch {
	case o.Join == fragment.JoinLeft || len(key) == 0 && (o.Schema.Public || !around.IsPatientID(o, o.Schema.Patient)):
		syntax.Refuse(syntax.CodeNotSupported, at, "join the tables instead", "the subquery compares with %s by other than =, and no key tells its rows apart", strings.TrimSpace(o.Alias))
	case len(key) == 0:
		in := &Resolver{Catalog: r.Catalog, Depth: r.Depth}
		in.Sources = []*Source{{Schema: o.Schema, At: at, Alias: o.Alias, Named: named(o.Schema), Relation: fragment.Relation{Name: o.Schema.Name, Table: o.Table, Query: o.Query}}}
		in.findPatient()
		var items []item
		for _, name := range append([]string{o.Schema.Patient}, read...) {
			c, _ := o.Schema.Column(name)
			items = append(items, item{name: name, expr: in.Sources[0].Expr(c)})
		}
		d := in.project(items, true)
		twin.Table, twin.Query, twin.Schema, key = "", d.Query, d.Schema, read
		twin.Name = r.freshName("derived")
	}
	for _, k := range key {
		mine, _ := twin.Schema.Column(k)
		theirs, _ := o.Schema.Column(k)
		*pairs = append(*pairs, nullSafe(twin.Expr(mine), o.Expr(theirs), mine.Nullable, at)...)
	}
	r.Sources = append(r.Sources, twin)
	switch id, ok := twin.Schema.Column(twin.Schema.Patient); {
	case !ok || !r.IsPatientID(twin, id.Name) || twin.Schema.Public:
	case r.Patient != nil:
		twin.Join, twin.On = fragment.JoinInner, scalar.Apply(at, expr.OpEqual, twin.Expr(id), r.Patient)
	case around.IsPatientID(o, id.Name): // the subquery's own rows are public
		r.Patient = twin.Expr(id)
		*pairs = append(*pairs, correlation{r.Patient, o.Expr(id)})
	}
	return twin
}

// nullSafe joins key columns by IS NOT DISTINCT FROM: a group's NULL key matches itself.
func nullSafe(inner, outer *expr.Expr, nullable bool, at syntax.Position) []correlation {
	if !nullable {
		return []correlation{{inner, outer}}
	}
	some := expr.Literal(map[value.Type]value.Value{
		value.TypeBool: value.Bool(false), value.TypeInt: value.Int(0), value.TypeFloat: value.Float(0), value.TypeText: value.Text(""),
		value.TypeDate: value.Date(0), value.TypeTimestamp: value.Timestamp(0),
	}[inner.Type])
	return []correlation{
		{scalar.Apply(at, expr.OpCoalesce, inner, some), scalar.Apply(at, expr.OpCoalesce, outer, some)},
		{scalar.Apply(at, expr.OpIsNull, inner), scalar.Apply(at, expr.OpIsNull, outer)},
	}
}

// samePatient reports whether the correlation is the patient's id on both sides.
func (r *Resolver) samePatient(in *Resolver, p correlation) bool {
	return in.Patient != nil && in.ReadsPatientID(p.inner) && r.ReadsPatientID(p.outer)
}

// linked reports whether the subquery's rows are public, or the pairs link them to the outer row's patient: by the
// patient's id, or by the key of something that belongs to one patient.
func (r *Resolver) linked(in *Resolver, pairs []correlation) bool {
	return in.Patient == nil || slices.ContainsFunc(pairs, func(p correlation) bool {
		key := in.keyOf(p.inner)
		return r.samePatient(in, p) || key != "" && key == r.keyOf(p.outer)
	})
}

func refuseUnlinked(at syntax.Position) {
	hint := "tie it to the patient, such as WHERE inner.person_id = outer.person_id"
	syntax.Refuse(syntax.CodePatientsMixed, at, hint, "the subquery reads rows of other patients than the query around it")
}

// leftJoinSubquery left-joins the subquery's rows, grouped by their correlation with r, together with functions of
// these rows.
func (r *Resolver) leftJoinSubquery(in *Resolver, pairs []correlation, functions []fragment.Output, at syntax.Position) *Source {
	d := &fragment.Query{Grouped: true}
	if in.Patient != nil && r.Patient == nil {
		syntax.Refuse(syntax.CodeNoPatient, at, "read a table with patients in the query around", "the subquery reads patients, and the query around it has none")
	}
	kept := pairs[:0:0]
	for _, p := range pairs {
		if !r.samePatient(in, p) {
			kept = append(kept, p)
		}
	}
	if !r.linked(in, pairs) {
		refuseUnlinked(at)
	}
	in.LinkByForeignKeys()
	d.Relations, d.Filter = in.Relations(), in.Filter
	if in.Patient != nil {
		d.Patient = AddValue(d, in.Patient)
	}
	keys := make([]string, len(kept))
	for i, p := range kept {
		keys[i] = AddValue(d, p.inner)
	}
	for _, f := range functions {
		name := f.Name
		f.Name = ""
		functionOutput(d, f, name)
	}
	if len(d.Columns) == 0 {
		d.Columns = append(d.Columns, fragment.Output{Name: "rows", Function: fragment.FunctionRows})
	}
	if only := in.Sources[0]; len(in.Sources) == 1 && only.Query != nil && in.Filter == nil && len(functions) == 0 && len(kept) == 0 && only.Schema.OneRowPerPatient {
		d = only.Query // already one row for each patient
	}
	planned := in.checkDerived(d, nil, at)
	outer := make([]*expr.Expr, len(kept))
	for i, p := range kept {
		outer[i] = p.outer
	}
	s := &Source{Relation: fragment.Relation{Name: r.freshName("derived"), Query: d, Join: fragment.JoinLeft}, Schema: planned.Schema, At: at, joined: true, outer: outer}
	if i := slices.IndexFunc(r.Sources, func(o *Source) bool {
		return o.joined && s.Query.Equal(o.Query) && slices.EqualFunc(outer, o.outer, (*expr.Expr).Equal)
	}); i >= 0 {
		return r.Sources[i] // an equal subquery is already joined
	}
	var conditions []*expr.Expr
	if in.Patient != nil {
		c, _ := s.Schema.Column(d.Patient)
		conditions = append(conditions, scalar.Apply(at, expr.OpEqual, s.Expr(c), r.Patient))
	}
	for i, p := range kept {
		c, _ := s.Schema.Column(keys[i])
		conditions = append(conditions, scalar.Apply(at, expr.OpEqual, s.Expr(c), p.outer))
	}
	if len(conditions) == 0 {
		s.Join = fragment.JoinCross
	} else {
		s.On = scalar.Conjunction(conditions)
	}
	r.Sources = append(r.Sources, s)
	return s
}
