package planner

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// maxQueryDepth bounds queries within queries.
const maxQueryDepth = 16

// maxQueryTerms bounds the queries that UNION and its like combine in one chain.
const maxQueryTerms = 100

// derived is a planned query within a query: each of its rows is one patient's, or
// all that it reads is public.
type derived struct {
	*fragment.Derived
	table   *catalog.Table
	columns []column // as the query names them
}

// item is a column of a query: what it is called, and what it is.
type item struct {
	name string
	expr *expr.Expr
}

// derive plans a query in place of a table.
func (r *resolver) derive(q *syntax.Query, within *scope, at Position) *derived {
	if r.composer != nil {
		return r.composer.derive(q, within)
	}
	if r.depth >= maxQueryDepth {
		refuse(CodeTooLarge, at, "ask it in fewer steps", "queries nest deeper than %d", maxQueryDepth)
	}
	if limit := cmpOr(q.Limit, q.Offset); limit != nil {
		if r.catalog.readsPublic(q, within) {
			return limited(&resolver{catalog: r.catalog, depth: r.depth + 1}, q, within)
		}
		refuse(CodePatientsMixed, limit.At, "number the rows of each patient with ROW_NUMBER() OVER (PARTITION BY patient ORDER BY …) and keep those you want",
			"LIMIT in a query within a query would choose among patients")
	}
	if in := within.taken(q); in != nil {
		in.linkByForeignKeys()
		return in.selectedFrom(q.Select)
	}
	in := &resolver{catalog: r.catalog, scope: within.with(q.With), depth: r.depth + 1}
	switch {
	case q.SetOperation != nil:
		return in.combine(q.SetOperation, at)
	case readsNoTable(q.Select):
		return in.values(q.Select)
	}
	return in.selected(q.Select)
}

func cmpOr(a, b *syntax.Expr) *syntax.Expr {
	if a != nil {
		return a
	}
	return b
}

// combine plans UNION, INTERSECT and EXCEPT of rows. A chain of them, (a UNION b) UNION c, is one level of queries.
func (r *resolver) combine(c *syntax.SetOperation, at Position) *derived {
	links := []*syntax.SetOperation{c} // the outermost, which is the last, first
	for q := c.Left; q.SetOperation != nil && q.Bare(); q = q.SetOperation.Left {
		if links = append(links, q.SetOperation); len(links) >= maxQueryTerms {
			refuse(CodeTooLarge, at, "ask it in several queries", "more than %d queries are combined", maxQueryTerms)
		}
	}
	slices.Reverse(links)
	left := r.derive(links[0].Left, r.scope, links[0].At)
	for len(links) > 0 {
		first := links[0]
		how := map[string]fragment.Combine{"union": fragment.CombineUnion, "intersect": fragment.CombineIntersect, "except": fragment.CombineExcept}[first.Operator]
		if first.All {
			if how != fragment.CombineUnion {
				refuse(CodeNotSupported, first.At, "leave out ALL", "%s ALL is not answered", strings.ToUpper(first.Operator))
			}
			how = fragment.CombineAll
		}
		sides := []*derived{left}
		for more := true; more; more = len(links) > 0 && first.Operator == "union" && links[0].Operator == "union" && links[0].All == first.All {
			right := r.derive(links[0].Right, r.scope, links[0].At)
			if len(left.columns) != len(right.columns) {
				refuse(CodeType, links[0].At, "select as many columns on both sides", "%s combines %d columns with %d", strings.ToUpper(first.Operator), len(left.columns), len(right.columns))
			}
			if left.table.Public != right.table.Public {
				refuse(CodeNoPatient, links[0].At, "join the public table instead", "%s combines rows of patients with rows that have none", strings.ToUpper(first.Operator))
			}
			sides, links = append(sides, right), links[1:]
		}
		left = r.together(how, sides, first.At, at)
	}
	return left
}

// together puts the rows of several queries together, which are as wide, and all of patients or all public.
func (r *resolver) together(how fragment.Combine, all []*derived, joint, at Position) *derived {
	// All in one form: the visible columns, of one type, then the patient's id where it is not among them.
	sides, items := make([]*resolver, len(all)), make([][]item, len(all))
	types := make([]value.Type, len(all[0].columns))
	for i := range types {
		types[i] = commonType(all, i, joint)
	}
	for k, d := range all {
		sides[k] = &resolver{catalog: r.catalog, depth: r.depth}
		s := sides[k].adopt(d, "", joint)
		for i, column := range d.columns {
			mine, _ := s.table.Column(column.column) // two may have one name
			e := s.expr(mine)
			switch {
			case column.untyped && types[i] != "":
				e = expr.Literal(value.Null(types[i]))
			case !column.untyped && mine.Type != types[i]:
				e, _ = expr.Cast(e, types[i])
			}
			items[k] = append(items[k], item{all[0].columns[i].name, e})
		}
	}
	if !all[0].table.Public && !r.comparable(how, sides, items) {
		refuse(CodePatientsMixed, joint, "select the patient's id as the same column on both sides", "%s would compare rows of different patients", strings.ToUpper(string(how)))
	}
	arms := []*fragment.Derived{}
	for k, whole := range all {
		d := sides[k].aligned(items[k])
		if isIdentity(d.Derived, whole.Derived) {
			d = whole
		}
		if d.Combine == how && how != fragment.CombineExcept && (k == 0 || how != fragment.CombineIntersect) {
			arms = append(arms, d.Arms...) // (a UNION b) UNION c
			continue
		}
		arms = append(arms, d.Derived)
	}
	if how == fragment.CombineAll && fragment.AreConstants(arms) {
		sortConstants(arms)
	}
	out := &fragment.Derived{Combine: how, Arms: arms, Patient: arms[0].Patient}
	projected := sides[0].aligned(items[0])
	visible := projected.columns
	for i := range visible {
		visible[i].untyped = types[i] == ""
	}
	if first := leaf(arms[0]); isIdentity(projected.Derived, all[0].Derived) {
		for i := range visible {
			visible[i].column = first.Columns[i].Name
		}
	}
	return r.settleDerived(out, visible, at)
}

// commonType is the type that column i of all takes; "" where each is a NULL and nothing else, which takes any.
func commonType(all []*derived, i int, at Position) value.Type {
	var common value.Type
	for _, d := range all {
		column := d.columns[i]
		if column.untyped {
			continue
		}
		c, _ := d.table.Column(column.column)
		switch pair := [2]value.Type{common, c.Type}; pair {
		case [2]value.Type{value.TypeInt, value.TypeFloat}, [2]value.Type{value.TypeDate, value.TypeTimestamp}, [2]value.Type{"", c.Type}:
			common = c.Type
		case [2]value.Type{value.TypeFloat, value.TypeInt}, [2]value.Type{value.TypeTimestamp, value.TypeDate}, [2]value.Type{c.Type, c.Type}:
		default:
			refuse(CodeType, at, "CAST one of them", "a column is a %s on one side and a %s on the other", common, c.Type)
		}
	}
	return common
}

// comparable reports whether rows of patients may be put together: the patient's id stands in one place, or, where rows are not
// compared or are told apart by something that one patient has, such as a visit, in none.
func (r *resolver) comparable(how fragment.Combine, sides []*resolver, items [][]item) bool {
	place := func(k int) int {
		return slices.IndexFunc(items[k], func(i item) bool { return sides[k].readsPatientID(i.expr) })
	}
	for k := range sides {
		if place(k) != place(0) {
			return false
		}
	}
	if place(0) >= 0 || how == fragment.CombineAll {
		return true
	}
	for i := range items[0] {
		key := sides[0].keyRead(items[0][i].expr)
		shared := key != ""
		for k := range sides {
			shared = shared && sides[k].keyRead(items[k][i].expr) == key
		}
		if shared {
			return true
		}
	}
	return false
}

// isIdentity reports whether a select passes on the columns of a derived relation as
// they are, in their order.
func isIdentity(d, whole *fragment.Derived) bool {
	columns := leaf(whole).Columns
	if d.Filter != nil || d.Grouped || len(d.Columns) != len(columns) {
		return false
	}
	for i, o := range d.Columns {
		if o.Function != "" || o.Expr.Op != expr.OpColumn || o.Expr.Column != columns[i].Name {
			return false
		}
	}
	return true
}

// leaf is the select that names the columns of a derived relation.
func leaf(d *fragment.Derived) *fragment.Derived {
	for d.Combine != "" {
		d = d.Arms[0]
	}
	return d
}

// settleDerived checks a derived relation, as each node will, and learns from it what can be known.
func (r *resolver) settleDerived(d *fragment.Derived, columns []column, at Position) *derived {
	t, err := d.Table("derived", r.catalog.Catalog, r.catalog.domains)
	if err != nil {
		r.invalid(err, at)
	}
	return &derived{Derived: d, table: t, columns: columns}
}

// invalid refuses what the fragment's check refuses: at the table of FROM that is too much, where it is one.
func (r *resolver) invalid(err error, at Position) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		if s := r.of(limit.Relation); s != nil {
			at = s.at
		}
		refuse(CodeTooLarge, at, limit.Hint, "%s", limit.Message)
	}
	_, message, _ := strings.Cut(err.Error(), ": ")
	refuse(CodeNotSupported, at, "", "%s", message)
}

// adopt makes a derived relation the only source of an empty resolver.
func (r *resolver) adopt(d *derived, alias string, at Position) *source {
	s := &source{Relation: fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}, table: d.table, at: at, alias: alias, columns: d.columns}
	if alias == "" {
		s.alias = " " + s.Name
	}
	r.sources = append(r.sources, s)
	r.findPatient()
	return s
}

// selected plans one SELECT whose rows stay those of patients.
func (r *resolver) selected(s *syntax.Select) *derived {
	r.rows(s)
	r.linkByForeignKeys()
	return r.selectedFrom(s)
}

// selectedFrom plans what a SELECT makes of the rows that it reads.
func (r *resolver) selectedFrom(s *syntax.Select) *derived {
	if len(s.GroupBy) > 1 {
		refuse(CodeNotSupported, s.At, "group by one set of keys here", "several grouping sets within a query are not answered")
	}
	terms := r.starless(s.Items, s.Qualified)
	aggregates := func(t *syntax.Expr) bool { return t != nil && t.Aggregate() != nil }
	aggregated := len(s.GroupBy) > 0 || aggregates(s.Having)
	windowed := s.Qualify != nil
	for _, t := range terms {
		aggregated = aggregated || aggregates(t.Term)
		windowed = windowed || t.Term.Window() != nil
	}
	rows, resolve := r, r.row
	if aggregated {
		g := r.grouped(s, terms)
		rows, resolve = g.next, g.output
		if s.Having != nil {
			having := g.output(s.Having)
			if having.Type != value.TypeBool {
				refuse(CodeType, s.Having.At, "write a comparison, such as COUNT(*) > 1", "HAVING needs a condition")
			}
			rows.filter = scalar.Normalized(having)
		}
	} else if s.Having != nil {
		refuse(CodeSyntax, s.Having.At, "write the condition into WHERE", "HAVING needs GROUP BY or an aggregate")
	}
	if windowed {
		w := &windowing{in: rows, inner: resolve, next: &resolver{catalog: r.catalog, depth: r.depth}}
		var items []item
		for _, t := range terms {
			items = append(items, item{t.Name(), w.output(t.Term)})
		}
		var qualify *expr.Expr
		if s.Qualify != nil {
			q := s.Qualify
			if named := syntax.Aliased(terms, q); named != nil {
				q = named
			}
			qualify = w.output(w.aliases(q, terms))
		}
		rows = w.done(s.At)
		if qualify != nil {
			if qualify.Type != value.TypeBool {
				refuse(CodeType, s.Qualify.At, "write a comparison, such as ROW_NUMBER() OVER (…) = 1", "QUALIFY needs a condition")
			}
			rows.filter = scalar.Normalized(qualify)
		}
		if d := identityProjection(rows, items); d != nil && qualify == nil && !s.Distinct {
			return d
		}
		return rows.project(items, s.Distinct)
	}
	var items []item
	for _, t := range terms {
		items = append(items, item{t.Name(), resolve(t.Term)})
	}
	if aggregated && !s.Distinct && rows.filter == nil {
		if d := identityProjection(rows, items); d != nil {
			return d
		}
	}
	return rows.project(items, s.Distinct)
}

// identityProjection returns the grouped query itself, where the SELECT merely names its columns.
func identityProjection(rows *resolver, items []item) *derived {
	s := rows.sources[0]
	var columns []column
	for _, i := range items {
		if i.expr.Op != expr.OpColumn {
			return nil
		}
		columns = append(columns, column{name: i.name, column: i.expr.Column})
	}
	return &derived{Derived: s.Derived, table: s.table, columns: columns}
}

// starless writes * out as the columns that it stands for, and where they are qualified names them by their tables, too.
func (r *resolver) starless(items []syntax.Item, qualified bool) []syntax.Item {
	var all []syntax.Item
	for _, i := range items {
		if i.Term.Kind != syntax.Star {
			all = append(all, i)
			continue
		}
		if len(r.constants) > 0 {
			refuse(CodeNotSupported, i.Term.At, "name the columns", "* beside a query that reads no table is not answered")
		}
		without := map[string]bool{}
		add := func(table, name string) {
			if slices.Contains(i.Term.Except, strings.ToLower(name)) {
				without[strings.ToLower(name)] = true
				return
			}
			all = append(all, syntax.Item{Term: &syntax.Expr{Kind: syntax.Column, At: i.Term.At, Qualifier: table, Name: name}, Alias: name})
			if qualified {
				all[len(all)-1].Alias = table + "." + name
			}
		}
		merged := map[string]*source{} // by name, whose column it is
		if i.Term.Qualifier == "" {
			for _, s := range slices.Backward(r.sources) { // those of the last USING come first
				for _, name := range s.merged {
					if merged[name] == nil {
						merged[name] = r.sources[slices.IndexFunc(r.sources, func(o *source) bool {
							_, has := o.column("", name)
							return has && o.alias != ""
						})]
						add(merged[name].alias, name)
					}
				}
			}
		}
		for _, s := range slices.SortedStableFunc(slices.Values(r.sources), func(a, b *source) int { return a.written - b.written }) {
			if s.alias == "" || !s.called(i.Term.Qualifier) {
				continue
			}
			for _, c := range s.columns {
				name, table := strings.ToLower(c.name), s.alias
				if c.joint {
					continue
				}
				if s.tables != nil {
					table = c.table
					if i.Term.Qualifier != "" && table != i.Term.Qualifier || i.Term.Qualifier == "" && table != "" && s.hasMerged(name) {
						continue
					}
				}
				if merged[name] != s && !(i.Term.Qualifier == "" && slices.Contains(s.merged, name)) {
					add(table, c.name)
				}
			}
		}
		for _, name := range i.Term.Except {
			if !without[name] {
				refuse(CodeColumn, i.Term.At, "name columns of the query within", "there is no column %s that * could leave out", name)
			}
		}
	}
	return all
}

// project makes a derived relation of the rows: the items, and the patient's id
// beside them where it is not one. Distinct rows are groups by all items.
func (r *resolver) project(items []item, distinct bool) *derived {
	d := &fragment.Derived{Relations: r.relations(), Filter: r.filter, Grouped: distinct}
	at := r.sources[0].at
	var columns []column
	for _, i := range items {
		o := valueOutput(d, i.expr)
		if d.Patient == "" && r.patient != nil && r.readsPatientID(i.expr) {
			d.Patient = o
		}
		columns = append(columns, column{name: i.name, column: o, untyped: scalar.IsNull(i.expr)})
	}
	if r.patient != nil && d.Patient == "" {
		if distinct && !slices.ContainsFunc(items, func(i item) bool { return r.determinesPatient(i.expr) }) {
			refuse(CodePatientsMixed, at, "select the patient's id, too, or leave out DISTINCT; for the values that occur, GROUP BY them and COUNT(*)", "DISTINCT would compare rows of different patients")
		}
		d.Patient = valueOutput(d, r.patient)
	}
	return r.settleDerived(flattened(d), columns, at)
}

// flattened is a select of another's columns, as they are or computed and filtered, as one select where it can be: a chain of WITH
// that hands rows on is as deep as what it does to them.
func flattened(d *fragment.Derived) *fragment.Derived {
	if d.Grouped || len(d.Relations) != 1 || d.Relations[0].Derived == nil {
		return d
	}
	inner := d.Relations[0].Derived
	if inner.Combine != "" || inner.Constant() {
		return d
	}
	of := func(column *expr.Expr) int {
		return slices.IndexFunc(inner.Columns, func(o fragment.Output) bool { return strings.EqualFold(o.Name, column.Column) })
	}
	rows := !inner.Grouped && !slices.ContainsFunc(inner.Columns, func(o fragment.Output) bool { return o.Function != "" })
	if !rows && (d.Filter != nil || slices.ContainsFunc(d.Columns, func(o fragment.Output) bool { return o.Expr.Op != expr.OpColumn })) {
		return d
	}
	plain := true // what is read is a column of what the inner select reads
	put := func(e *expr.Expr) *expr.Expr {
		return e.Replace(func(c *expr.Expr) *expr.Expr {
			if c.Op != expr.OpColumn {
				return nil
			}
			k := of(c)
			if plain = plain && k >= 0 && inner.Columns[k].Expr.Op == expr.OpColumn; !plain {
				return c
			}
			return inner.Columns[k].Expr
		})
	}
	out, taken := *inner, map[int]bool{}
	out.Columns, out.Patient = nil, d.Patient
	for _, o := range d.Columns {
		next := fragment.Output{Name: o.Name}
		if o.Expr.Op == expr.OpColumn {
			k := of(o.Expr)
			if k < 0 || taken[k] {
				return d
			}
			taken[k] = true
			next = inner.Columns[k]
			next.Name = o.Name
		} else {
			next.Expr = put(o.Expr)
		}
		out.Columns = append(out.Columns, next)
	}
	for k, o := range inner.Columns {
		if inner.Grouped && o.Function == "" && !taken[k] { // it decides which rows there are
			return d
		}
	}
	if d.Filter != nil {
		filter := put(d.Filter)
		if out.Filter == nil {
			out.Filter = filter
		} else if both, err := expr.New(expr.OpAnd, out.Filter, filter); err == nil {
			out.Filter = both
		} else {
			plain = false
		}
	}
	if !plain {
		return d
	}
	return &out
}

// aligned makes a side of UNION and its like: as many columns as items, so that
// columns that are alike on one side still stand beside those of the other.
func (r *resolver) aligned(items []item) *derived {
	d := &fragment.Derived{Relations: r.relations(), Filter: r.filter}
	var columns []column
	for _, i := range items {
		name := "value"
		if i.expr.Op == expr.OpColumn {
			name = i.expr.Column
		}
		name = freshOutput(d, name)
		d.Columns = append(d.Columns, fragment.Output{Name: name, Expr: i.expr})
		if d.Patient == "" && r.patient != nil && r.readsPatientID(i.expr) {
			d.Patient = name
		}
		columns = append(columns, column{name: i.name, column: name, untyped: scalar.IsNull(i.expr)})
	}
	if r.patient != nil && d.Patient == "" {
		d.Patient = valueOutput(d, r.patient)
	}
	return r.settleDerived(d, columns, r.sources[0].at)
}

// valueOutput adds a value to a derived relation, and returns its name there. What
// is there already has its name, so that what a query calls it makes no difference.
func valueOutput(d *fragment.Derived, e *expr.Expr) string {
	for _, o := range d.Columns {
		if o.Function == "" && scalar.Same(o.Expr, e) {
			return o.Name
		}
	}
	name := "value"
	if e.Op == expr.OpColumn {
		name = e.Column
	}
	d.Columns = append(d.Columns, fragment.Output{Name: freshOutput(d, name), Expr: e})
	return d.Columns[len(d.Columns)-1].Name
}

func freshOutput(d *fragment.Derived, name string) string {
	taken := make([]bool, len(d.Columns)+3) // the numbers of those of this name; more than there are columns are none
	for _, o := range d.Columns {
		if strings.EqualFold(o.Name, name) {
			taken[1] = true
		}
		at := strings.LastIndexByte(o.Name, '_')
		if at < 0 || !strings.EqualFold(o.Name[:at], name) {
			continue
		}
		if n, err := strconv.Atoi(o.Name[at+1:]); err == nil && 1 < n && n < len(taken) {
			taken[n] = true
		}
	}
	if !taken[1] {
		return name
	}
	return name + "_" + strconv.Itoa(2+slices.Index(taken[2:], false))
}

// functionOutput adds a function of rows to a derived relation, and returns its name.
func functionOutput(d *fragment.Derived, o fragment.Output, name string) string {
	for _, other := range d.Columns {
		if sameOutput(other, o) {
			return other.Name
		}
	}
	o.Name = freshOutput(d, name)
	d.Columns = append(d.Columns, o)
	return o.Name
}

// sameOutput reports whether two outputs are the same, whatever they are called.
func sameOutput(a, b fragment.Output) bool {
	if a.Function != b.Function || !scalar.Same(a.Expr, b.Expr) {
		return false
	}
	a.Name, b.Name, a.Expr, b.Expr = "", "", nil, nil
	return scalar.Canonical(a) == scalar.Canonical(b)
}

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

// grouping is a GROUP BY of one patient's rows.
type grouping struct {
	in    *resolver
	d     *fragment.Derived
	terms []syntax.Item // of SELECT, for names and numbers in GROUP BY
	next  *resolver     // over the groups
	name  string        // of the groups as a relation of next
}

func (r *resolver) grouped(s *syntax.Select, terms []syntax.Item) *grouping {
	g := &grouping{in: r, terms: terms, d: &fragment.Derived{Relations: r.relations(), Filter: r.filter, Grouped: true}, name: "derived"}
	var keys []*expr.Expr
	determined := r.patient == nil
	if len(s.GroupBy) > 0 {
		for _, t := range s.GroupBy[0] {
			e := r.row(r.groupKey(terms, t))
			determined = determined || r.determinesPatient(e)
			keys = append(keys, e)
		}
	}
	if !determined {
		refuse(CodeNested, s.At, "group by the patient's id, too; or ask for this aggregate in a query of its own", "this query within a query aggregates over patients")
	}
	if r.patient != nil {
		keys = append(keys, r.patient)
	}
	for _, e := range scalar.SortedUnique(keys) { // one order, whatever the query's
		name := valueOutput(g.d, e)
		if r.patient != nil && g.d.Patient == "" && r.readsPatientID(e) {
			g.d.Patient = name
		}
	}
	// All aggregates, so that the groups are known before anything reads them.
	all := slices.Clone(terms)
	if s.Having != nil {
		all = append(all, syntax.Item{Term: s.Having})
	}
	if s.Qualify != nil {
		all = append(all, syntax.Item{Term: s.Qualify})
	}
	for _, i := range all {
		g.collect(i.Term)
	}
	if len(g.d.Columns) == 0 {
		refuse(CodeSyntax, s.At, "", "the query asks for nothing")
	}
	d := r.settleDerived(g.d, nil, s.At)
	g.next = &resolver{catalog: r.catalog, depth: r.depth}
	g.next.adopt(d, "", s.At)
	g.name = g.next.sources[0].Name
	return g
}

// collect adds the aggregates within a term to the groups' columns.
func (g *grouping) collect(t *syntax.Expr) {
	t.Walk(func(t *syntax.Expr) bool {
		aggregate := t.IsAggregate()
		if aggregate {
			g.aggregate(t)
		}
		return !aggregate
	})
}

// output resolves a term over the groups.
func (g *grouping) output(t *syntax.Expr) *expr.Expr {
	if t.IsAggregate() {
		name := g.aggregate(t)
		for _, c := range g.next.sources[0].table.Columns {
			if c.Name == name {
				return expr.Column(g.name, c.Name, c.Type)
			}
		}
	}
	if t.Aggregate() == nil && t.Kind != syntax.Literal {
		if g.in.resolves(t) {
			e := g.in.row(t)
			for _, o := range g.d.Columns {
				if o.Function == "" && scalar.Same(o.Expr, e) {
					return expr.Column(g.name, o.Name, e.Type)
				}
			}
		}
		if named := syntax.Aliased(g.terms, t); named != nil && named != t && !g.in.isColumn(t) {
			return g.output(named)
		}
	}
	if t.Kind == syntax.Column {
		g.in.row(t) // an unknown name is refused as such
		refuse(CodeNotGrouped, t.At, "add it to GROUP BY, or aggregate it, such as MAX("+t.Describe()+")", "%s differs from row to row within a group", t.Describe())
	}
	return scalar.Build(t, g.output)
}

// The functions of one patient's rows, by their SQL names.
var rowFunctions = map[string]fragment.Function{
	"count": fragment.FunctionCount, "sum": fragment.FunctionSum, "avg": fragment.FunctionAverage, "min": fragment.FunctionMin, "max": fragment.FunctionMax,
	"bool_and": fragment.FunctionEvery, "every": fragment.FunctionEvery, "bool_or": fragment.FunctionAny, "any_value": fragment.FunctionMin,
}

// aggregate adds an aggregate of one patient's rows, and returns its column.
func (g *grouping) aggregate(t *syntax.Expr) string {
	o, name := g.in.function(t, g.in.row)
	return functionOutput(g.d, o, name)
}

// function plans a function of one patient's rows, and what to call its column.
func (r *resolver) function(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) (fragment.Output, string) {
	f, ok := rowFunctions[t.Name]
	if !ok {
		refuse(CodeNotSupported, t.At, "within one patient's rows, use COUNT, SUM, AVG, MIN, MAX, BOOL_AND or BOOL_OR", "%s is not answered within one patient's rows", strings.ToUpper(t.Name))
	}
	t = t.Unfiltered()
	star := t.Star && f == fragment.FunctionCount
	if !star && len(t.Args) != 1 || t.Star && !star {
		refuse(CodeType, t.At, "", "%s takes one argument", strings.ToUpper(t.Name))
	}
	if star {
		return fragment.Output{Function: fragment.FunctionRows}, "rows"
	}
	x := resolve(t.Args[0])
	o := fragment.Output{Function: f, Expr: x}
	name := t.Name
	if x.Op == expr.OpColumn {
		name += "_" + x.Column
	}
	switch {
	case t.Distinct && f == fragment.FunctionCount:
		o.Function = fragment.FunctionDistinct
	case t.Distinct && (f == fragment.FunctionSum || f == fragment.FunctionAverage):
		refuse(CodeNotSupported, t.At, "write "+strings.ToUpper(t.Name)+"(x) over (SELECT DISTINCT patient, x FROM …)", "%s(DISTINCT …) is not answered", strings.ToUpper(t.Name))
	case f == fragment.FunctionSum || f == fragment.FunctionAverage:
		if !x.Type.Numeric() {
			refuse(CodeType, t.Args[0].At, asNumber(t.Args[0].Describe(), x.Type), "%s needs a number, and this is a %s", strings.ToUpper(t.Name), x.Type)
		}
		if x.Type == value.TypeFloat {
			facts := r.facts(x)
			if !facts.Bounded() && r.ofReleases() {
				return o, name // the coordinator adds them up itself, row by row
			}
			if !facts.Bounded() {
				refuse(CodeBounds, t.Args[0].At, "write "+strings.ToUpper(t.Name)+"(CLAMP("+t.Args[0].Describe()+", lower, upper))",
					"%s needs bounds, so that the sum of floats is exact", strings.ToUpper(t.Name))
			}
			g, err := fragment.NewGrid(facts.Lower, facts.Upper, false, false, 1)
			if err != nil {
				scalar.Mistyped(t.Args[0].At, err, "")
			}
			o.Grid = &g
		}
	case (f == fragment.FunctionEvery || f == fragment.FunctionAny) && x.Type != value.TypeBool:
		refuse(CodeType, t.Args[0].At, "write a comparison, such as "+strings.ToUpper(t.Name)+"("+t.Args[0].Describe()+" = …)", "%s needs a condition, and this is a %s", strings.ToUpper(t.Name), x.Type)
	}
	return o, name
}

// ofReleases reports whether what is read has been released, with public tables or without, so that no hospital
// computes with it.
func (r *resolver) ofReleases() bool {
	f := fragment.Fragment{Relations: r.relations()}
	tables := f.Tables()
	return len(tables) == 0 || slices.ContainsFunc(tables, func(name string) bool { return strings.HasPrefix(name, releaseTable) })
}

// windowing plans functions over windows of one patient's rows: an inner query
// computes them beside the columns that the SELECT reads, and the SELECT reads that.
type windowing struct {
	in    *resolver
	inner func(*syntax.Expr) *expr.Expr // resolves a term over the rows of in
	d     fragment.Derived
	next  *resolver
}

const windowRelation = "derived"

// output resolves a term over the rows with their windows.
func (w *windowing) output(t *syntax.Expr) *expr.Expr {
	if t.Over != nil && len(t.Args) == 3 && (t.Name == "lag" || t.Name == "lead") {
		return w.output(withDefault(t))
	}
	if plain := byNumbers(t); plain != nil {
		w.partition(t)
		return w.output(plain)
	}
	if t.Over != nil {
		o, name := w.window(t)
		name = functionOutput(&w.d, o, name)
		return expr.Column(windowRelation, name, o.Type())
	}
	if t.Window() == nil && t.Kind != syntax.Literal {
		e := w.inner(t)
		return expr.Column(windowRelation, valueOutput(&w.d, e), e.Type)
	}
	return scalar.Build(t, w.output)
}

// withDefault writes LAG(x, n, y) as CASE WHEN LAG(1, n) IS NULL THEN y ELSE LAG(x, n) END: y stands where there
// is no such row, and not where x is NULL in it.
func withDefault(t *syntax.Expr) *syntax.Expr {
	there, x := *t, *t
	there.Args = []*syntax.Expr{{Kind: syntax.Literal, At: t.At, Literal: value.Int(1)}, t.Args[1]}
	x.Args = t.Args[:2]
	return syntax.NewOperator("case", syntax.NewOperator("is null", &there), t.Args[2], &x)
}

// byNumbers writes PERCENT_RANK, CUME_DIST and NTILE by the number of a row and how many there are; nil where t is none of them.
func byNumbers(t *syntax.Expr) *syntax.Expr {
	arguments, known := map[string]int{"percent_rank": 0, "cume_dist": 0, "ntile": 1}[t.Name]
	if t.Over == nil || !known {
		return nil
	}
	name := strings.ToUpper(t.Name)
	if len(t.Args) != arguments || t.Star || t.Distinct || t.Filter != nil {
		refuse(CodeType, t.At, "", "%s does not take these arguments", name)
	}
	if len(t.Over.OrderBy) == 0 {
		refuse(CodeSyntax, t.At, "add ORDER BY and a date within OVER (…)", "%s needs an order", name)
	}
	ordered := &syntax.Window{At: t.Over.At, Partition: t.Over.Partition, OrderBy: t.Over.OrderBy}
	whole := &syntax.Window{At: t.Over.At, Partition: t.Over.Partition}
	count := func(over *syntax.Window) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "count", Star: true, Over: over}
	}
	number := func(n int64) *syntax.Expr { return &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Int(n)} }
	ranked := func(name string) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: name, Over: ordered}
	}
	op, n := syntax.NewOperator, count(whole)
	switch t.Name {
	case "percent_rank":
		part := op(syntax.Divide, op("-", ranked("rank"), number(1)), op("-", n, number(1)))
		return op("case", op("=", n, number(1)), &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Float(0)}, part)
	case "cume_dist":
		return op(syntax.Divide, count(ordered), n)
	}
	k := t.Args[0]
	if k.Kind != syntax.Literal || k.Literal.Type() != value.TypeInt || k.Literal.Int64() < 1 || k.Literal.Int64() > 1000 {
		refuse(CodeType, k.At, "write a whole number from 1 to 1000", "NTILE needs a constant number of parts")
	}
	// The first parts, as many as the division leaves over, have a row more.
	size, larger, row := op("div", n, k), op("%", n, k), op("-", ranked("row_number"), number(1))
	inLarger := op("*", larger, op("+", size, number(1)))
	return op("case", op("<", row, inLarger), op("+", op("div", row, op("+", size, number(1))), number(1)),
		op("+", op("+", op("div", op("-", row, inLarger), size), larger), number(1)))
}

// aliases puts what SELECT calls by a name in its place within QUALIFY.
func (w *windowing) aliases(t *syntax.Expr, terms []syntax.Item) *syntax.Expr {
	return t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
		if t.Over != nil {
			return t
		}
		if named := syntax.Aliased(terms, t); named != nil && named.Window() != nil {
			return named
		}
		return nil
	})
}

var windowFunctions = map[string]fragment.Function{
	"row_number": fragment.FunctionRowNumber, "rank": fragment.FunctionRank, "dense_rank": fragment.FunctionDenseRank,
	"lag": fragment.FunctionLag, "lead": fragment.FunctionLead, "first_value": fragment.FunctionFirst, "last_value": fragment.FunctionLast,
}

// partition is that of a window, which is within one patient's rows.
func (w *windowing) partition(t *syntax.Expr) []*expr.Expr {
	determined := w.in.patient == nil
	var partition []*expr.Expr
	for _, p := range t.Over.Partition {
		e := w.inner(p)
		if !w.in.readsPatientID(e) || w.in.patient == nil {
			partition = append(partition, e)
		}
		determined = determined || w.in.determinesPatient(e)
	}
	if !determined {
		refuse(CodePatientsMixed, t.At, "add the patient's id to PARTITION BY; for a median or another quantile over patients, write QUANTILE(x, 0.5)", "%s OVER (…) would read rows of different patients", strings.ToUpper(t.Name))
	}
	partition = scalar.SortedUnique(partition)
	if w.in.patient != nil {
		partition = append([]*expr.Expr{w.in.patient}, partition...)
	}
	return partition
}

func (w *windowing) window(t *syntax.Expr) (fragment.Output, string) {
	name := strings.ToUpper(t.Name)
	win := &fragment.Window{Partition: w.partition(t)}
	for _, o := range t.Over.OrderBy {
		win.Order = append(win.Order, orderBy(o, w.inner(o.Term)))
	}
	frame := t.Over.Frame
	f, special := windowFunctions[t.Name]
	if !special {
		if !syntax.IsAggregate(t.Name) && rowFunctions[t.Name] == "" {
			refuse(CodeFunction, t.At, "there are ROW_NUMBER, RANK, DENSE_RANK, PERCENT_RANK, CUME_DIST, NTILE, LAG, LEAD, FIRST_VALUE, LAST_VALUE, COUNT, SUM, AVG, MIN and MAX", "there is no window function %s here", name)
		}
		o, outputName := w.in.function(t, w.inner)
		if frame != nil && len(win.Order) > 0 {
			win.Frame = &fragment.Frame{From: max(frame.From, -fragment.Unbounded), To: min(frame.To, fragment.Unbounded), Values: frame.Values}
			if frame.Values {
				win.Order = orderByUnits(win.Order, frame, t.At)
			}
		}
		o.Window = win
		return o, outputName
	}
	if len(win.Order) == 0 {
		refuse(CodeSyntax, t.At, "add ORDER BY and a date within OVER (…)", "%s needs an order", name)
	}
	o := fragment.Output{Function: f, Window: win}
	arguments := 0
	switch f {
	case fragment.FunctionLag, fragment.FunctionLead:
		arguments, win.Offset = 1, 1
		if len(t.Args) == 2 {
			arguments = 2
			if n := t.Args[1]; n.Kind != syntax.Literal || n.Literal.Type() != value.TypeInt || n.Literal.Int64() < 1 || n.Literal.Int64() > 1000 {
				refuse(CodeType, n.At, "write a whole number from 1 to 1000", "%s needs a constant number of rows", name)
			}
			win.Offset = int(t.Args[1].Literal.Int64())
		}
	case fragment.FunctionFirst, fragment.FunctionLast:
		arguments = 1
	}
	if len(t.Args) != arguments || t.Star || t.Distinct || t.Filter != nil {
		refuse(CodeType, t.At, "", "%s does not take these arguments", name)
	}
	if f == fragment.FunctionLast && (frame == nil || frame.To < fragment.Unbounded) {
		refuse(CodeNotSupported, t.At, "write FIRST_VALUE with the order turned round, or ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
			"LAST_VALUE reads up to the current row only, unless its frame reaches the end")
	}
	if arguments > 0 {
		o.Expr = w.inner(t.Args[0])
	}
	return o, strings.ReplaceAll(string(f), " ", "_")
}

// orderByUnits gives the order of a frame of values as an int, in whose units the frame is: a date's are days.
func orderByUnits(order []fragment.Order, frame *syntax.Frame, at Position) []fragment.Order {
	if len(order) != 1 {
		refuse(CodeNotSupported, at, "order by one date or int", "RANGE BETWEEN … is counted in one order")
	}
	by := order[0]
	switch t := by.Expr.Type; {
	case t == value.TypeDate:
		by.Expr = scalar.Apply(at, expr.OpSubtract, by.Expr, expr.Literal(value.Date(0)))
	case t != value.TypeInt:
		refuse(CodeType, at, "order by a date or an int, such as CAST(x AS date)", "RANGE BETWEEN … cannot be counted in values of type %s", t)
	case frame.Days:
		refuse(CodeType, at, "order by a date, or write a number in place of the interval", "RANGE BETWEEN INTERVAL … is counted in days, and the order is by an int")
	}
	return []fragment.Order{by}
}

// done makes the inner query, and returns the rows that it yields.
func (w *windowing) done(at Position) *resolver {
	d := &w.d
	if w.in.patient != nil {
		d.Patient = valueOutput(d, w.in.patient)
	}
	if w.ordered() {
		// Rows that are alike in all that is read may change places; no others.
		read := w.read()
		for i := range d.Columns {
			if o := &d.Columns[i]; o.Window != nil && o.Tied() {
				o.Window.Ties = read
			}
		}
	} else {
		w.number(at)
	}
	d.Relations, d.Filter = w.in.relations(), w.in.filter
	w.next.adopt(w.in.settleDerived(d, named(&catalog.Table{}), at), "", at)
	return w.next
}

// read lists all that the outputs read, in one order.
func (w *windowing) read() []*expr.Expr {
	var all []*expr.Expr
	for _, o := range w.d.Columns {
		if o.Expr != nil {
			all = append(all, o.Expr)
		}
		if o.Window != nil {
			all = append(all, o.Window.Partition...)
			for _, by := range o.Window.Order {
				all = append(all, by.Expr)
			}
		}
	}
	return scalar.SortedUnique(all)
}

// ordered reports whether all outputs that depend on the order of tied rows are of one
// order. Then rows that are alike in all that is read change places in all at once.
func (w *windowing) ordered() bool {
	first := ""
	for _, o := range w.d.Columns {
		if o.Window == nil || !o.Tied() {
			continue
		}
		order := scalar.Canonical(o.Window.Partition) + scalar.Canonical(o.Window.Order)
		if first == "" {
			first = order
		}
		if order != first {
			return false
		}
	}
	return true
}

// number puts a query within, which gives each row of a patient a number, so that all
// orders leave the same row before the other where two are alike.
func (w *windowing) number(at Position) {
	read := w.read()
	inner := &fragment.Derived{Relations: w.in.relations(), Filter: w.in.filter}
	window := &fragment.Window{Ties: read}
	if w.in.patient != nil {
		inner.Patient = valueOutput(inner, w.in.patient)
		window.Partition = []*expr.Expr{w.in.patient}
	}
	window.Order = []fragment.Order{{Expr: read[0]}}
	names := map[string]string{}
	for _, e := range read {
		names[scalar.Canonical(e)] = valueOutput(inner, e)
	}
	place := fragment.Output{Function: fragment.FunctionRowNumber, Window: window}
	placeName := functionOutput(inner, place, "place")
	rows := &resolver{catalog: w.in.catalog, depth: w.in.depth}
	s := rows.adopt(w.in.settleDerived(inner, nil, at), "", at)
	over := func(e *expr.Expr) *expr.Expr {
		if e == nil {
			return nil
		}
		return expr.Column(s.Name, names[scalar.Canonical(e)], e.Type)
	}
	for i := range w.d.Columns {
		o := &w.d.Columns[i]
		o.Expr = over(o.Expr)
		if o.Window == nil {
			continue
		}
		moved := *o.Window
		moved.Partition, moved.Order = nil, nil
		for _, e := range o.Window.Partition {
			moved.Partition = append(moved.Partition, over(e))
		}
		for _, by := range o.Window.Order {
			by.Expr = over(by.Expr)
			moved.Order = append(moved.Order, by)
		}
		if o.Tied() {
			moved.Order = append(moved.Order, fragment.Order{Expr: expr.Column(s.Name, placeName, value.TypeInt)})
		}
		o.Window = &moved
	}
	w.in = rows
}
