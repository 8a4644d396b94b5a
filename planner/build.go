package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// maxColumns bounds the answer's width.
const maxColumns = 100

// The relations that a released expression reads in place of tables.
const (
	relationKey       = "key"       // column "2": the third group key
	relationAggregate = "aggregate" // column "0": the first aggregate
)

type order struct {
	expr       *fragment.Expr
	descending bool
}

// Build plans a query. The error is always an *Error.
func Build(q Query, fed Federation) (plan *Plan, err error) {
	defer catch(&err)
	start := Position{Line: 1, Column: 1}
	if len(fed.Hospitals) == 0 {
		refuse(CodeParameter, start, "", "the federation has no hospital to ask")
	}
	if q.MaxGroups < 0 || q.MaxRows < 0 || q.MaxGroups > 1_000_000 || q.MaxRows > 1_000_000 {
		refuse(CodeParameter, start, "leave them out for the catalog's defaults", "max_groups and max_rows go from 1 to 1000000")
	}
	statement := parse(q.SQL)
	refuseUnplanned(statement)
	b := &builder{
		resolver: resolver{catalog: fed.Catalog}, query: q, federation: fed, syntax: statement.query,
		plan: &Plan{limit: -1}, fragment: &fragment.Fragment{Version: fragment.Version, Catalog: fed.Catalog.Digest()},
	}
	b.rows()
	b.limits()
	b.keys()
	b.outputs()
	b.selection()
	b.settle()
	b.prove()
	if q.Accuracy != nil {
		b.reach(*q.Accuracy)
	}
	b.release()
	return b.plan, nil
}

type builder struct {
	resolver
	query      Query
	federation Federation
	syntax     *querySyntax
	plan       *Plan
	fragment   *fragment.Fragment
	scope      *fragment.Scope
	cells      int // declared groups, 0 where they are not declared
	aliasing   int // depth of output names being resolved, against names that refer to each other
}

// rows plans which rows are read, and whose they are.
func (b *builder) rows() {
	s := b.syntax.selected
	b.from(s.from)
	if s.where != nil {
		b.fragment.Filter = normalizeConjunction(b.condition(s.where, "WHERE"))
	}
	b.fragment.Relations = b.relations
	first := -1
	for i, t := range b.tables {
		if !t.Public {
			first = i
			break
		}
	}
	if first < 0 {
		refuse(CodeNoPatient, b.at[0], "join a table with patients", "the query reads public tables only")
	}
	if b.relations[first].Join == fragment.JoinLeft {
		refuse(CodeNoPatient, b.at[first], "put the table with patients first", "a row of this LEFT JOIN may have no patient")
	}
	b.tie(first)
	b.findPatient(first)
	var err error
	if b.scope, err = fragment.NewScope(b.fragment.Relations, b.catalog); err != nil {
		refuse(CodeTooLarge, b.at[0], "read fewer tables", "%s", err)
	}
}

// tie makes sure that all private relations are of one patient. Where a foreign
// key of the catalog joins two tables that both hold the patient's id, it adds
// that the ids are equal, since the key means it.
func (b *builder) tie(first int) {
	for {
		names, err := fragment.Unowned(b.fragment, b.catalog)
		if err != nil {
			refuse(CodeTooLarge, b.at[0], "read fewer tables", "%s", err)
		}
		if len(names) == 0 {
			return
		}
		tied := false
		for _, name := range names {
			tied = tied || b.tieByKey(name, names)
		}
		if tied {
			continue
		}
		i := slices.IndexFunc(b.relations, func(r fragment.Relation) bool { return r.Name == names[0] })
		hint := "join it along the foreign keys that lead to the patient"
		if t, f := b.tables[i], b.tables[first]; b.catalog.IsPatientID(t.Name, t.Patient) && b.catalog.IsPatientID(f.Name, f.Patient) {
			hint = "add " + b.aliases[first] + "." + f.Patient + " = " + b.aliases[i] + "." + t.Patient
		}
		refuse(CodePatientsMixed, b.at[i], hint, "a row of %s may be another patient's than the rows that it joins", b.aliases[i])
	}
}

func (b *builder) tieByKey(name string, unowned []string) bool {
	i := slices.IndexFunc(b.relations, func(r fragment.Relation) bool { return r.Name == name })
	conditions := fragment.Conjuncts(b.relations[i].On)
	if b.relations[i].Join != fragment.JoinLeft {
		conditions = append(conditions, fragment.Conjuncts(b.fragment.Filter)...)
	}
	for _, c := range conditions {
		if c.Op != fragment.OpEqual || c.Args[0].Op != fragment.OpColumn || c.Args[1].Op != fragment.OpColumn {
			continue
		}
		x, y := c.Args[0], c.Args[1]
		if x.Relation != name {
			x, y = y, x
		}
		j := slices.IndexFunc(b.relations, func(r fragment.Relation) bool { return r.Name == y.Relation })
		if x.Relation != name || j < 0 || j == i || slices.Contains(unowned, y.Relation) || !b.refers(i, x.Column, j, y.Column) && !b.refers(j, y.Column, i, x.Column) {
			continue
		}
		p, q := b.tables[i].Patient, b.tables[j].Patient
		if b.tables[j].Public || !b.catalog.IsPatientID(b.tables[i].Name, p) || !b.catalog.IsPatientID(b.tables[j].Name, q) {
			continue
		}
		pc, _ := b.tables[i].Column(p)
		qc, _ := b.tables[j].Column(q)
		same := apply(b.at[i], fragment.OpEqual, fragment.Column(name, pc.Name, pc.Type), fragment.Column(y.Relation, qc.Name, qc.Type))
		if b.relations[i].On == nil {
			b.relations[i].Join, b.relations[i].On = fragment.JoinInner, same
		} else {
			b.relations[i].On = normalizeConjunction(apply(b.at[i], fragment.OpAnd, b.relations[i].On, same))
		}
		return true
	}
	return false
}

// refers reports whether table i's column is a foreign key to table j's column.
func (b *builder) refers(i int, column string, j int, key string) bool {
	c, ok := b.tables[i].Column(column)
	return ok && strings.EqualFold(c.References, b.tables[j].Name+"."+key)
}

// findPatient names the column that holds the patient's id, and joins the tables
// on the way to it where the query has none that does.
func (b *builder) findPatient(first int) {
	for i, t := range b.tables {
		if !t.Public && b.relations[i].Join != fragment.JoinLeft && b.catalog.IsPatientID(t.Name, t.Patient) {
			c, _ := t.Column(t.Patient)
			b.fragment.Patient = fragment.Column(b.relations[i].Name, c.Name, c.Type)
			return
		}
	}
	path, err := b.catalog.PatientPath(b.tables[first])
	if err != nil {
		refuse(CodeNoPatient, b.at[first], "ask the federation's operator to mend the catalog", "%s", err)
	}
	from := b.relations[first].Name
	for k, step := range path {
		table, _ := b.catalog.Table(step.Table)
		if k > 0 {
			previous, _ := b.catalog.Table(path[k-1].Table)
			foreign, _ := previous.Column(path[k-1].Column)
			key, _ := table.Column(step.Key)
			name := b.freshName(table.Name)
			on := apply(b.at[first], fragment.OpEqual, fragment.Column(from, foreign.Name, foreign.Type), fragment.Column(name, key.Name, key.Type))
			b.relations = append(b.relations, fragment.Relation{Name: name, Table: table.Name, Join: fragment.JoinInner, On: on})
			from = name
		}
		if c, ok := table.Column(step.Column); ok {
			b.fragment.Patient = fragment.Column(from, c.Name, c.Type)
		}
	}
	b.fragment.Relations = b.relations
}

// limits sets the contribution limits: the query's, or the catalog's.
func (b *builder) limits() {
	b.fragment.MaxGroups, b.fragment.MaxRows = b.query.MaxGroups, b.query.MaxRows
	if b.fragment.MaxGroups == 0 {
		b.fragment.MaxGroups = b.catalog.MaxGroups
	}
	if b.fragment.MaxRows == 0 {
		for _, t := range b.tables {
			if !t.Public {
				b.fragment.MaxRows = max(b.fragment.MaxRows, b.catalog.RowLimit(t))
			}
		}
	}
}

func (b *builder) facts(e *fragment.Expr) fragment.Facts {
	return fragment.Infer(e, func(c *fragment.Expr) fragment.Facts {
		f := b.scope.Facts(c)
		for _, condition := range fragment.Conjuncts(b.fragment.Filter) {
			f = narrow(f, c, condition)
		}
		if c.Op == fragment.OpHospital { // the names are public, and so is who is asked
			for _, h := range b.federation.Hospitals {
				f.Domain = append(f.Domain, value.Text(h))
			}
			slices.SortFunc(f.Domain, value.Compare)
		}
		return f
	})
}

// narrow applies a condition of WHERE, which every row fulfils, to what is known
// of a column: `column op constant`, IN, and IS NOT NULL.
func narrow(f fragment.Facts, column, condition *fragment.Expr) fragment.Facts {
	switch condition.Op {
	case fragment.OpNot:
		if inner := condition.Args[0]; inner.Op == fragment.OpIsNull && canonical(inner.Args[0]) == canonical(column) {
			f.Nullable = false
			f.Domain = slices.DeleteFunc(slices.Clone(f.Domain), value.Value.IsNull)
		}
	case fragment.OpEqual, fragment.OpLess, fragment.OpLessOrEqual, fragment.OpGreater, fragment.OpGreaterOrEqual, fragment.OpIn:
		if canonical(condition.Args[0]) != canonical(column) {
			return f
		}
		var values []value.Value
		for _, a := range condition.Args[1:] {
			if a.Op != fragment.OpLiteral {
				return f
			}
			values = append(values, *a.Value)
		}
		return f.Where(column.Type, condition.Op, values...)
	}
	return f
}

// keys plans GROUP BY: ordinals, the query's own names, or expressions.
func (b *builder) keys() {
	for _, g := range b.grouping() {
		t := g
		if g.kind == termLiteral {
			t = b.ordinal(g, "GROUP BY")
		} else if item, ok := b.aliased(g); ok && !b.isColumn(g) {
			t = item.term
		}
		if name := aggregateWithin(t); name != nil {
			refuse(CodeMisplaced, name.at, "put conditions on aggregates into HAVING", "%s cannot be grouped by", strings.ToUpper(name.name))
		}
		e := b.row(t)
		if e.Op == fragment.OpColumn {
			if i := slices.IndexFunc(b.relations, func(r fragment.Relation) bool { return r.Name == e.Relation }); b.catalog.IsPatientID(b.relations[i].Table, e.Column) {
				refuse(CodeRowLevel, g.at, "group by what patients share, such as sex, year of birth or diagnosis", "a group per patient would show rows of patients")
			}
		}
		if b.keyOf(e) < 0 {
			domain := b.facts(e).Domain
			if domain != nil && len(domain) == 0 {
				refuse(CodeNotSupported, g.at, "change WHERE, or the key", "by the catalog, no row that fulfils WHERE has a key to group by")
			}
			b.fragment.Keys = append(b.fragment.Keys, fragment.Key{Expr: e, Domain: domain})
		}
	}
	// One order, whatever the query's: the same question has the same fragment.
	slices.SortFunc(b.fragment.Keys, func(x, y fragment.Key) int {
		return strings.Compare(canonical(x.Expr), canonical(y.Expr))
	})
	b.cells = 1
	for _, k := range b.fragment.Keys {
		if b.cells *= len(k.Domain); b.cells > fragment.MaxCells {
			refuse(CodeTooLarge, b.grouping()[0].at, "group by fewer or coarser keys", "the keys span more than %d groups", fragment.MaxCells)
		}
	}
}

// grouping is the keys of GROUP BY.
func (b *builder) grouping() []*termSyntax {
	if len(b.syntax.selected.groupBy) == 0 {
		return nil
	}
	return b.syntax.selected.groupBy[0]
}

func (b *builder) keyOf(e *fragment.Expr) int {
	want := canonical(e)
	return slices.IndexFunc(b.fragment.Keys, func(k fragment.Key) bool { return canonical(k.Expr) == want })
}

func (b *builder) isColumn(t *termSyntax) bool {
	if t.kind != termColumn {
		return false
	}
	for i, table := range b.tables {
		if _, ok := table.Column(t.name); ok && (t.qualifier == "" || t.qualifier == b.aliases[i]) {
			return true
		}
	}
	return false
}

// aliased returns the item of SELECT that a bare name refers to.
func (b *builder) aliased(t *termSyntax) (itemSyntax, bool) {
	if t.kind == termColumn && t.qualifier == "" {
		for _, item := range b.syntax.selected.items {
			if item.alias == t.name {
				return item, true
			}
		}
	}
	return itemSyntax{}, false
}

func (b *builder) ordinal(t *termSyntax, where string) *termSyntax {
	n := t.literal.Int64()
	if t.literal.Type() != value.TypeInt || n < 1 || n > int64(len(b.syntax.selected.items)) {
		refuse(CodeSyntax, t.at, "write a column, or its number from 1", "%s %s names no column of SELECT", where, t.literal)
	}
	return b.syntax.selected.items[n-1].term
}

// aggregateWithin returns the first aggregate call in a term.
func aggregateWithin(t *termSyntax) *termSyntax {
	if t.kind == termCall && isAggregate(t.name) {
		return t
	}
	for _, a := range t.args {
		if found := aggregateWithin(a); found != nil {
			return found
		}
	}
	return nil
}

// outputs plans SELECT, HAVING, ORDER BY and LIMIT over keys and aggregates.
func (b *builder) outputs() {
	s, p := b.syntax, b.plan
	b.refuseRows()
	for _, item := range b.expanded() {
		e := b.output(item.term)
		p.Columns = append(p.Columns, Column{Name: item.name(), Type: e.Type, Noisy: readsAggregate(e), expr: e})
	}
	if having := s.selected.having; having != nil {
		p.having = b.output(having)
		if p.having.Type != value.TypeBool {
			refuse(CodeType, having.at, "write a comparison, such as COUNT(*) > 100", "HAVING needs a condition")
		}
	}
	for _, o := range s.orderBy {
		t := o.term
		if t.kind == termLiteral {
			t = b.ordinal(t, "ORDER BY")
		}
		p.order = append(p.order, order{b.output(t), o.descending})
	}
	if s.limit != nil {
		p.limit = count(s.limit, "LIMIT")
	}
	if s.offset != nil {
		p.offset = count(s.offset, "OFFSET")
	}
}

// expanded lists the items of SELECT; a HISTOGRAM becomes one column a bin.
func (b *builder) expanded() []itemSyntax {
	var items []itemSyntax
	for _, item := range b.syntax.selected.items {
		t := item.term
		if t.kind != termCall || t.name != "histogram" || len(t.args) != 4 {
			items = append(items, item)
			continue
		}
		low, high, bins := b.constant(t.args[1], "HISTOGRAM"), b.constant(t.args[2], "HISTOGRAM"), b.constant(t.args[3], "HISTOGRAM")
		if !(bins >= 1 && bins <= maxColumns) {
			refuse(CodeTooLarge, t.args[3].at, "ask for 2 to 100", "that many bins are not released")
		}
		for i := range int(bins) {
			one := *t
			one.bin = i
			step := (high - low) / bins
			name := fmt.Sprintf("%s [%.4g, %.4g)", item.name(), low+float64(i)*step, low+float64(i+1)*step)
			items = append(items, itemSyntax{term: &one, alias: name})
		}
	}
	if len(items) > maxColumns {
		refuse(CodeTooLarge, b.syntax.selected.items[0].term.at, "ask for fewer columns", "more than %d columns", maxColumns)
	}
	return items
}

// refuseRows refuses a SELECT without aggregates and groups.
func (b *builder) refuseRows() {
	s := b.syntax.selected
	all := slices.Clone(s.items)
	if s.having != nil {
		all = append(all, itemSyntax{term: s.having})
	}
	for _, o := range b.syntax.orderBy {
		all = append(all, itemSyntax{term: o.term})
	}
	for _, item := range all {
		if item.term.kind == termStar {
			b.row(item.term)
		}
		if aggregateWithin(item.term) != nil {
			return
		}
	}
	if len(b.grouping()) == 0 {
		refuse(CodeRowLevel, s.items[0].term.at, "ask for aggregates, such as COUNT(*) or AVG(x), with GROUP BY", "rows of patients are never shown")
	}
}

func (i itemSyntax) name() string {
	switch {
	case i.alias != "":
		return i.alias
	case i.term.kind == termColumn || i.term.kind == termCall:
		return i.term.name
	}
	return "column"
}

func count(t *termSyntax, where string) int {
	if t.kind != termLiteral || t.literal.Type() != value.TypeInt || t.literal.Int64() < 0 || t.literal.Int64() > 1<<31 {
		refuse(CodeSyntax, t.at, "write a whole number", "%s needs a number of rows", where)
	}
	return int(t.literal.Int64())
}

func readsAggregate(e *fragment.Expr) bool {
	found := false
	e.Columns(func(relation, _ string) { found = found || relation == relationAggregate })
	return found
}

// output resolves a term over the groups: a key, an aggregate, a constant, or an
// operation on such.
func (b *builder) output(t *termSyntax) *fragment.Expr {
	if t.kind == termCall && isAggregate(t.name) {
		return b.aggregate(t)
	}
	if t.kind == termStar {
		return b.row(t)
	}
	inner := aggregateWithin(t)
	if inner == nil && t.kind != termLiteral {
		if item, ok := b.aliased(t); ok && !b.groupedColumn(t) && b.aliasing < len(b.syntax.selected.items) {
			b.aliasing++
			defer func() { b.aliasing-- }()
			return b.output(item.term)
		}
		if e := b.tryRow(t); e != nil {
			if i := b.keyOf(e); i >= 0 {
				return fragment.Column(relationKey, index(i), e.Type)
			}
		}
	}
	if t.kind == termColumn {
		b.row(t) // an unknown name is refused as such
		hint := "add it to GROUP BY, or aggregate it, such as COUNT(" + t.describe() + ")"
		refuse(CodeNotGrouped, t.at, hint, "%s differs from row to row within a group", t.describe())
	}
	return build(t, b.output)
}

// groupedColumn reports whether the term is a column that is a group key.
func (b *builder) groupedColumn(t *termSyntax) bool {
	return b.isColumn(t) && b.keyOf(b.row(t)) >= 0
}

// tryRow resolves a term over rows, or returns nil where names in it are not
// columns but the query's own.
func (b *builder) tryRow(t *termSyntax) (e *fragment.Expr) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(*Error); !ok {
				panic(r)
			}
			e = nil
		}
	}()
	return b.row(t)
}

// aggregate plans one aggregate call and returns the column that stands for it.
func (b *builder) aggregate(t *termSyntax) *fragment.Expr {
	f, ok := aggregateNamed(t.name)
	if !ok {
		refuse(CodeNotSupported, t.at, notYet[t.name], "%s is not answered yet", strings.ToUpper(t.name))
	}
	for _, a := range t.args {
		if inner := aggregateWithin(a); inner != nil {
			refuse(CodeMisplaced, inner.at, "aggregate once, and compute with the results", "an aggregate cannot stand within another")
		}
	}
	a := b.argument(t, f)
	released := Aggregate{function: f, argument: a.value, whole: len(t.args) > 0 && a.x.Expr != nil && a.x.Type == value.TypeInt}
	for _, partial := range f.partials(a) {
		released.Partials = append(released.Partials, b.partial(partial))
		scale, center := 1.0, 0.0
		if g := partial.Grid; g != nil {
			scale, center = g.Number(1), g.Number(float64(g.Center))
			released.whole = released.whole && g.Shift == 0
		}
		released.scale, released.center = append(released.scale, scale), append(released.center, center)
	}
	released.whole = released.whole && len(released.Partials) == 1 && f.read == nil // a median of ints may lie between two
	released.lower, released.upper = f.bounds(a)
	i := slices.IndexFunc(b.plan.Aggregates, func(o Aggregate) bool {
		return o.function == released.function && o.argument == released.argument && slices.Equal(o.Partials, released.Partials)
	})
	if i < 0 {
		i = len(b.plan.Aggregates)
		b.plan.Aggregates = append(b.plan.Aggregates, released)
	}
	return fragment.Column(relationAggregate, index(i), released.valueType())
}

// partial returns the index of a partial aggregate, adding it if it is new: what
// serves several aggregates is bought once.
func (b *builder) partial(p fragment.Partial) int {
	want := canonical(p)
	i := slices.IndexFunc(b.fragment.Partials, func(o fragment.Partial) bool { return canonical(o) == want })
	if i < 0 {
		i = len(b.fragment.Partials)
		b.fragment.Partials = append(b.fragment.Partials, p)
	}
	return i
}

func (b *builder) argument(t *termSyntax, f *function) *argument {
	a := &argument{call: t, maxRows: b.fragment.MaxRows, cells: b.cells}
	name := strings.ToUpper(t.name)
	switch {
	case t.star:
		if t.name != "count" || t.distinct {
			refuse(CodeType, t.at, "write COUNT(*)", "%s needs a column", name)
		}
		return a
	case len(t.args) != f.arguments:
		refuse(CodeType, t.at, "", "%s takes %d %s", name, f.arguments, plural(f.arguments, "argument", "arguments"))
	case t.distinct:
		a.distinct, a.patient = true, b.distinct(t)
		return a
	}
	a.x = b.operand(t.args[0])
	switch {
	case f == aggregates["quantile"]:
		a.value = b.constant(t.args[1], name)
		if !(a.value >= 0 && a.value <= 1) {
			refuse(CodeType, t.args[1].at, "write a share from 0 to 1, such as 0.5 for the median", "the quantile is out of range")
		}
	case f == aggregates["histogram"]:
		b.histogram(a, name)
	case f.arguments == 2:
		a.y = b.operand(t.args[1])
	}
	return a
}

// constant is an argument that must be a number of the query.
func (b *builder) constant(t *termSyntax, name string) float64 {
	if t.kind != termLiteral || !t.literal.Type().Numeric() {
		refuse(CodeType, t.at, "write a number", "%s takes a constant here", name)
	}
	return t.literal.Float64()
}

// histogram reads HISTOGRAM(x, low, high, bins): values outside of [low, high] are
// left out.
func (b *builder) histogram(a *argument, name string) {
	low, high, bins := b.constant(a.call.args[1], name), b.constant(a.call.args[2], name), b.constant(a.call.args[3], name)
	if !(low < high) || bins != math.Trunc(bins) || bins < 2 || bins > 100 {
		refuse(CodeType, a.call.args[1].at, "write HISTOGRAM(x, low, high, bins) with low < high and 2 to 100 bins", "the range of the histogram is empty, or its bins are out of range")
	}
	a.buckets = &fragment.Buckets{Lower: low, Upper: high, Branching: int(bins), Levels: 1}
	at, x := a.call.args[0].at, a.x.Expr
	if !x.Type.Numeric() {
		refuse(CodeType, at, "write CAST("+a.call.args[0].describe()+" AS float)", "%s needs a number, and this is a %s", name, x.Type)
	}
	inside := apply(at, fragment.OpAnd, apply(at, fragment.OpGreaterOrEqual, x, fragment.Literal(value.Float(low))),
		apply(at, fragment.OpLessOrEqual, x, fragment.Literal(value.Float(high))))
	a.x.Expr = apply(at, fragment.OpCase, inside, x, fragment.Literal(value.Null(x.Type)))
	a.value = float64(a.call.bin)
}

func (b *builder) operand(t *termSyntax) operand {
	e := b.row(t)
	return operand{Expr: e, facts: b.facts(e), term: t}
}

// distinct plans COUNT(DISTINCT patient), also as COUNT(DISTINCT CASE WHEN c THEN
// patient END), and returns the condition c, or nil where every row counts.
func (b *builder) distinct(t *termSyntax) *fragment.Expr {
	x := t.args[0]
	hint := "write COUNT(DISTINCT patient), which counts patients"
	if t.name != "count" {
		refuse(CodeNotSupported, t.at, "write "+strings.ToUpper(t.name)+"(x)", "%s(DISTINCT …) is not answered", strings.ToUpper(t.name))
	}
	if x.kind == termOperator && x.name == "case" && len(x.args) <= 3 {
		if len(x.args) == 3 && (x.args[2].kind != termLiteral || x.args[2].literal.Valid()) {
			refuse(CodeNotSupported, x.args[2].at, "leave out ELSE", "patients are counted where the condition holds")
		}
		condition := b.condition(x.args[0], "CASE WHEN")
		if present := b.patientColumn(x.args[1], hint); present != nil {
			condition = apply(x.at, fragment.OpAnd, condition, present)
		}
		return condition
	}
	return b.patientColumn(x, hint)
}

// patientColumn checks that the term is the patient's id, and returns the
// condition under which it is not NULL, or nil where it never is.
func (b *builder) patientColumn(t *termSyntax, hint string) *fragment.Expr {
	if t.kind == termColumn && t.qualifier == "" && t.name == "patient" && !b.isColumn(t) {
		return nil
	}
	e := b.row(t)
	if e.Op == fragment.OpColumn {
		i := slices.IndexFunc(b.relations, func(r fragment.Relation) bool { return r.Name == e.Relation })
		if b.catalog.IsPatientID(b.relations[i].Table, e.Column) {
			if b.relations[i].Join != fragment.JoinLeft {
				return nil
			}
			return apply(t.at, fragment.OpNot, apply(t.at, fragment.OpIsNull, e))
		}
	}
	refuse(CodeNotSupported, t.at, hint, "only patients are counted with DISTINCT, and %s is not the patient's id", t.describe())
	return nil
}

// selection makes sure that the number of patients is released where groups must
// be selected by it.
func (b *builder) selection() {
	for _, k := range b.fragment.Keys {
		if k.Domain == nil {
			b.plan.Selection = &Selection{Partial: b.partial(fragment.Partial{Kind: fragment.PartialPatients})}
			return
		}
	}
	if len(b.fragment.Partials) == 0 {
		refuse(CodeNotSupported, b.syntax.at, "add an aggregate, such as COUNT(*)", "the groups are declared in the catalog; nothing is asked of the data")
	}
}

// settle puts the partial aggregates into one order, whatever the query's.
func (b *builder) settle() {
	old := slices.Clone(b.fragment.Partials)
	slices.SortFunc(b.fragment.Partials, func(x, y fragment.Partial) int {
		return strings.Compare(canonical(x), canonical(y))
	})
	moved := make([]int, len(old))
	for i, p := range old {
		moved[i] = slices.IndexFunc(b.fragment.Partials, func(o fragment.Partial) bool { return canonical(o) == canonical(p) })
	}
	for i := range b.plan.Aggregates {
		for k, p := range b.plan.Aggregates[i].Partials {
			b.plan.Aggregates[i].Partials[k] = moved[p]
		}
	}
	end := 0
	for _, p := range b.fragment.Partials {
		b.plan.places = append(b.plan.places, place{end, end + width(p)})
		end += width(p)
	}
	if s := b.plan.Selection; s != nil {
		s.Partial = moved[s.Partial]
		s.Place = b.plan.places[s.Partial].start
	}
}

// prove checks the fragment as each node will, and takes from the proof how much
// a patient can change.
func (b *builder) prove() {
	p := b.plan
	p.Fragment = b.fragment
	proof, err := fragment.Check(p.Fragment, b.catalog)
	if err != nil {
		refuse(CodeNotSupported, b.syntax.at, "", "%s", err)
	}
	p.Proof = proof
	p.Sites = len(b.federation.Hospitals)
	if b.catalog.MaxSites > 0 {
		p.Sites = min(p.Sites, b.catalog.MaxSites)
	}
}

// reach finds the smallest epsilon, to three digits, at which every count and sum
// is expected to be as accurate as asked for.
func (b *builder) reach(a Accuracy) {
	start := Position{Line: 1, Column: 1}
	if a.Relative {
		refuse(CodeAccuracy, start, "ask for a half-width in the unit of the answer, such as 50 patients", "a share of an answer that nobody knows yet cannot be promised")
	}
	if !(a.HalfWidth > 0) || !(a.Confidence > 0 && a.Confidence < 1) || !(b.query.MaxEpsilon > 0) {
		refuse(CodeParameter, start, "give a number above 0", "the accuracy is out of range")
	}
	errorAt := func(epsilon float64) (widest float64) {
		b.query.Epsilon = epsilon
		b.release()
		for _, x := range b.plan.Expected(a.Confidence) {
			if math.IsNaN(x.HalfWidth) {
				refuse(CodeAccuracy, start, "ask for an epsilon; averages and quotients depend on how many values there are", "the error of %s depends on the answer", x.Column)
			}
			widest = math.Max(widest, x.HalfWidth)
		}
		return widest
	}
	enough := a.HalfWidth * (1 - 1e-6) // an end just beyond a whole number is rounded outward to the next
	if got := errorAt(b.query.MaxEpsilon); got > enough {
		refuse(CodeAccuracy, start, "ask for less, lower max_rows or max_groups, or group more coarsely", "at the largest epsilon allowed, %g, the half-width is %.3g", b.query.MaxEpsilon, got)
	}
	low, high := 0.0, b.query.MaxEpsilon
	for high-low > high/1000 && high > 1e-6 {
		if middle := (low + high) / 2; errorAt(middle) > enough {
			low = middle
		} else {
			high = middle
		}
	}
	decimals := 2 - int(math.Floor(math.Log10(high)))
	unit := math.Pow10(decimals)
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(math.Ceil(high*unit)/unit, 'f', max(decimals, 0), 64), 64)
	if err != nil {
		panic(err) // a formatted number parses
	}
	b.query.Epsilon = math.Min(b.query.MaxEpsilon, rounded)
}

// release chooses the noise and prices it.
func (b *builder) release() {
	p, proof, at := b.plan, b.plan.Proof, b.syntax.at
	var err error
	l0 := int64(proof.Groups) * p.Fragment.Weight()
	if !(b.query.Delta > 0 && b.query.Delta < 1) && (p.Selection != nil || b.query.Delta != 0) {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "give a number well below one over the number of patients, such as 1e-9", "delta is out of range")
	}
	noiseDelta := b.query.Delta
	if p.Selection != nil {
		noiseDelta /= 2
	}
	p.Noise = dp.Choose(l0, b.query.Epsilon, noiseDelta, b.federation.Accounting)
	for i, partial := range p.Fragment.Partials {
		// Beyond, the sampler rounds each count of a tree, and a patient touches more
		// of them than the weight of a tree allows for.
		if partial.Buckets != nil && p.Noise.Distribution(p.LInf(i)).Scale > 1<<39 {
			refuse(CodeParameter, at, "ask with a larger epsilon, or lower max_rows", "the noise on a tree of counts would be too coarse")
		}
	}
	threshold := 0.0
	if p.Selection != nil {
		threshold = b.query.Delta - p.Noise.Delta
		p.Selection.Delta = threshold
		if p.Selection.Threshold, err = p.Noise.Threshold(int64(proof.Groups), int64(p.Sites), threshold); err != nil {
			refuse(CodeParameter, at, "", "%s", err)
		}
	}
	if p.Loss, err = p.Noise.Loss(threshold); err != nil {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "", "%s", err)
	}
}

// Groups lists every group where all keys are declared, in the order of the keys
// (one empty group without GROUP BY), and nil where they are not.
func (p *Plan) Groups() [][]value.Value {
	groups := [][]value.Value{{}}
	for _, k := range p.Fragment.Keys {
		var next [][]value.Value
		for _, g := range groups {
			for _, v := range k.Domain {
				next = append(next, append(slices.Clone(g), v))
			}
		}
		groups = next
	}
	return groups
}

// Fingerprint identifies what the noisy partial aggregates depend on besides the
// data: the fragment and the noise, not what is computed from them afterwards.
// Queries that share it can share stored cells, at no cost.
func (p *Plan) Fingerprint() string {
	sum := sha256.Sum256([]byte(canonical(struct {
		Fragment  *fragment.Fragment
		Sites     int
		Noise     dp.Noise
		Selection *Selection
	}{p.Fragment, p.Sites, p.Noise, p.Selection})))
	return hex.EncodeToString(sum[:])
}
