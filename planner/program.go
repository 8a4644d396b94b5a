package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// maxReleases bounds the releases of one query.
const maxReleases = fragment.MaxReleases

// Program is a query ready to run: its releases, each charged by itself, and what
// is computed from them afterwards, which costs nothing.
type Program struct {
	Releases   []*Plan
	Columns    []Column          // of the answer, in order
	lifeTables map[int]*survival // by the number of the release, from 1
	// after computes the answer from the releases' rows; nil where the answer is that of
	// the one release.
	after *after
}

type after struct {
	*fragment.Derived
	columns []shown
	order   []fragment.Order // by columns of Derived
	limit   int              // -1: all
	offset  int
}

// shown is one column of the answer: what it is called, and its name in the Derived.
type shown struct{ label, name string }

// Build plans a query that is one release, and refuses others. The error is always
// an *Error.
func Build(q Query, fed Federation) (*Plan, error) {
	p, err := Compose(q, fed)
	if err != nil {
		return nil, err
	}
	if p.after != nil {
		return nil, &Error{Code: CodeNotSupported, Position: Position{Line: 1, Column: 1}, Message: "the query is made of several releases"}
	}
	return p.Releases[0], nil
}

// Compose plans a query. The error is always an *Error.
func Compose(q Query, fed Federation) (program *Program, err error) {
	defer catch(&err)
	start := Position{Line: 1, Column: 1}
	if len(fed.Hospitals) == 0 {
		refuse(CodeParameter, start, "", "the federation has no hospital to ask")
	}
	if q.MaxGroups < 0 || q.MaxRows < 0 || q.MaxGroups > 1_000_000 || q.MaxRows > 1_000_000 {
		refuse(CodeParameter, start, "leave them out for the catalog's defaults", "max_groups and max_rows go from 1 to 1000000")
	}
	statement := parse(q.SQL)
	if statement.query == nil {
		refuse(CodeNotSupported, statement.at, "write SELECT …", "this statement is no query")
	}
	statement.query.bind(statement.bound(q.Parameters, q.Today))
	compose := func(shares int) *Program {
		c := &composer{query: q, federation: fed, shares: shares, lifeTables: map[int]*survival{}, noisy: map[noisyColumn]bool{}, constant: map[*querySyntax]bool{}}
		extended := *fed.Catalog
		extended.Tables = slices.Clone(fed.Catalog.Tables)
		c.catalog = &extended
		return c.program(statement.query)
	}
	program = compose(1)
	if n := len(program.Releases); n > 1 { // planned once to count them, and again with each one's share of the budget
		program = compose(n)
	}
	return program, nil
}

// composer plans the releases of one query and what is computed from them.
type composer struct {
	query      Query
	federation Federation
	catalog    *catalog.Catalog // with each release as a public table
	releases   []*Plan
	lifeTables map[int]*survival // by the number of the release, from 1
	noisy      map[noisyColumn]bool
	constant   map[*querySyntax]bool // whether queries read constants alone
	shares     int                   // among how many releases the budget is divided
}

// noisyColumn is a column of a release's table that depends on noise.
type noisyColumn struct{ table, column string }

func (c *composer) program(q *querySyntax) *Program {
	if c.single(q, nil) {
		plan := c.release(q, nil)
		return &Program{Releases: c.releases, Columns: plan.Columns}
	}
	a := c.after(q)
	p := &Program{Releases: c.releases, lifeTables: c.lifeTables, after: a}
	table, err := a.Table("answer", c.catalog)
	if err != nil {
		refuse(CodeNotSupported, q.at, "", "%s", err)
	}
	for _, s := range a.columns {
		column, _ := table.Column(s.name)
		p.Columns = append(p.Columns, Column{Name: s.label, Type: column.Type, Noisy: !c.exact(a.Derived, s.name)})
	}
	return p
}

// exact reports whether a column passes on what is no noisy number, such as a key.
func (c *composer) exact(d *fragment.Derived, name string) bool {
	if d.Combine != "" {
		i := slices.IndexFunc(d.Arms[0].Columns, func(o fragment.Output) bool { return o.Name == name })
		return i >= 0 && !slices.ContainsFunc(d.Arms, func(arm *fragment.Derived) bool {
			return i >= len(arm.Columns) || !c.exact(arm, arm.Columns[i].Name)
		})
	}
	o := d.Columns[slices.IndexFunc(d.Columns, func(o fragment.Output) bool { return o.Name == name })]
	if o.Function != "" {
		return false
	}
	exact := true
	o.Expr.Columns(func(relation, column string) {
		r := d.Relations[slices.IndexFunc(d.Relations, func(r fragment.Relation) bool { return r.Name == relation })]
		if r.Derived != nil {
			exact = exact && c.exact(r.Derived, column)
			return
		}
		exact = exact && !c.noisy[noisyColumn{r.Table, column}]
	})
	return exact
}

// part is one of n shares of a budget, in whole units of 1/unit. A loss is charged in these,
// rounded up, and n charges are no more than was asked.
func part(budget float64, n int, unit float64) float64 {
	return math.Floor(budget*unit/float64(n)) / unit
}

// release plans one release.
func (c *composer) release(q *querySyntax, within *scope) *Plan {
	if len(c.releases) >= maxReleases {
		refuse(CodeTooLarge, q.at, "ask it in several queries", "the query makes more than %d releases", maxReleases)
	}
	share := c.query
	if c.shares > 1 {
		share.Epsilon = part(share.Epsilon, c.shares, 1e9)
		share.MaxEpsilon = part(share.MaxEpsilon, c.shares, 1e9)
		share.Delta = part(share.Delta, c.shares, 1e18)
	}
	plan := buildRelease(share, c.federation, q, within)
	c.releases = append(c.releases, plan)
	return plan
}

// single reports whether the query is one release as it stands.
func (c *composer) single(q *querySyntax, within *scope) bool {
	s := q.selected
	if s == nil || len(s.groupBy) > 1 || c.nested(q, within) || c.computes(q, within) {
		return false
	}
	return !slices.ContainsFunc(q.orderBy, func(o orderSyntax) bool { return windowWithin(o.term) != nil })
}

// nested reports whether the query reads other releases instead of patients.
func (c *composer) nested(q *querySyntax, within *scope) bool {
	within = within.with(q.with)
	return slices.ContainsFunc(q.selected.from, func(f fromSyntax) bool {
		query, scope := within.behind(f)
		return f.function != nil || query != nil && c.isRelease(query, scope)
	})
}

// isRelease reports whether a query within a query aggregates over patients.
func (c *composer) isRelease(q *querySyntax, within *scope) (is bool) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			is = e.Code == CodeNested
		}
	}()
	whole := *q // LIMIT is another matter
	whole.limit, whole.offset = nil, nil
	(&resolver{catalog: c.federation.Catalog}).derive(&whole, within, q.at)
	return false
}

// after plans a query over releases: rows that are combined, of several grouping
// sets, or read from queries that are releases.
func (c *composer) after(q *querySyntax) *after {
	a := &after{limit: -1}
	if q.limit != nil {
		a.limit = count(q.limit, "LIMIT")
	}
	if q.offset != nil {
		a.offset = count(q.offset, "OFFSET")
	}
	inner, places := c.ordered(q)
	d := c.derive(inner, nil)
	a.Derived = d.Derived
	visible := d.columns
	for i, o := range q.orderBy {
		at := d.columns[places(len(d.columns), i)]
		column, _ := d.table.Column(at.column)
		a.order = append(a.order, o.order(fragment.Column("", column.Name, column.Type)))
	}
	if inner.selected != nil {
		visible = visible[:len(visible)-(len(inner.selected.items)-len(q.selected.items))]
	}
	if len(visible) > maxColumns {
		refuse(CodeTooLarge, q.at, "ask for fewer columns", "more than %d columns", maxColumns)
	}
	for _, v := range visible {
		a.columns = append(a.columns, shown{v.name, v.column})
	}
	return a
}

// ordered adds what ORDER BY reads to the items of SELECT, and returns the query
// without ORDER BY and LIMIT, and where the i-th of n columns' order stands.
func (c *composer) ordered(q *querySyntax) (*querySyntax, func(n, i int) int) {
	inner := *q
	inner.orderBy, inner.limit, inner.offset = nil, nil, nil
	named := func(items []itemSyntax, t *termSyntax) int {
		if t.kind == termLiteral && t.literal.Type() == value.TypeInt {
			return int(t.literal.Int64()) - 1
		}
		return slices.IndexFunc(items, func(i itemSyntax) bool { return t.kind == termColumn && t.qualifier == "" && i.name() == t.name })
	}
	if q.selected == nil || q.selected.distinct {
		items := columnsOf(q)
		return &inner, func(n, i int) int {
			t := q.orderBy[i].term
			at := named(items, t)
			if at < 0 || at >= n {
				refuse(CodeNotSupported, t.at, "write the name of a column, or its number", "ORDER BY reads what the rows are made of, not what they are made from")
			}
			return at
		}
	}
	s := *q.selected
	s.items = slices.Clone(s.items)
	for _, o := range q.orderBy {
		t := o.term
		if at := named(q.selected.items, t); at >= 0 && (t.kind == termLiteral || q.selected.items[at].alias == t.name) {
			if at >= len(q.selected.items) {
				refuse(CodeSyntax, t.at, "write a column, or its number from 1", "ORDER BY %s names no column of SELECT", t.literal)
			}
			t = q.selected.items[at].term
		}
		s.items = append(s.items, itemSyntax{term: t, alias: " order"})
	}
	inner.selected = &s
	return &inner, func(n, i int) int { return n - len(q.orderBy) + i }
}

// columnsOf lists the columns of a query as its first SELECT names them.
func columnsOf(q *querySyntax) []itemSyntax {
	for q.combined != nil {
		q = q.combined.left
	}
	return q.selected.items
}

// derive plans a query whose rows are released ones.
func (c *composer) derive(q *querySyntax, within *scope) *derived {
	if cmpOr(q.limit, q.offset) != nil {
		return c.limited(q, within)
	}
	if c.onlyConstants(q, within) {
		return (&resolver{catalog: c.catalog}).derive(q, within, q.at)
	}
	r := &resolver{catalog: c.catalog, scope: within.with(q.with), composer: c}
	if q.combined != nil {
		return r.combine(q.combined, q.at)
	}
	if len(q.selected.groupBy) > 1 {
		return c.derive(groupingSets(q), within)
	}
	if c.nested(q, within) {
		return r.selected(q.selected)
	}
	if inner, outer, others := c.split(q, within); inner != nil {
		r.adopt(c.table(c.release(inner, within)), releasedAlias, q.at)
		for i, other := range others {
			r.adopt(c.table(c.release(other, within.with(q.with))), otherAlias(i), q.at).Join = fragment.JoinCross
		}
		return r.selectedFrom(outer)
	}
	return c.table(c.release(q, within))
}

const releasedAlias = " released"

func otherAlias(i int) string { return fmt.Sprintf(" released %d", i) }

// releaseTable begins the names of the tables that releases are; those of a catalog hold no space.
const releaseTable = "release "

// table makes a release a table that is public: what was released is.
func (c *composer) table(p *Plan) *derived {
	t := &catalog.Table{Name: fmt.Sprintf("%s%d", releaseTable, len(c.releases)), Public: true}
	d := &fragment.Derived{Relations: []fragment.Relation{{Name: "release", Table: t.Name}}}
	var columns []column
	for i, name := range p.released() {
		of := p.Columns[i]
		t.Columns = append(t.Columns, &catalog.Column{Name: name, Type: of.Type, Nullable: true})
		c.noisy[noisyColumn{t.Name, name}] = of.Noisy
		d.Columns = append(d.Columns, fragment.Output{Name: name, Expr: fragment.Column("release", name, of.Type)})
		columns = append(columns, column{name: of.Name, column: name, untyped: isNull(of.expr)})
	}
	c.catalog.Tables = append(c.catalog.Tables, t)
	planned, err := d.Table("release", c.catalog)
	if err != nil {
		panic(err) // made here
	}
	return &derived{Derived: d, table: planned, columns: columns}
}

// The ends of a released number's interval stand beside it in the release's rows.
const (
	lowEnd  = " low"
	highEnd = " high"
)

// released names the columns of a release so that no two are alike.
func (p *Plan) released() []string {
	var names []string
	for i, c := range p.Columns {
		name := strings.ToLower(c.Name)
		if slices.Contains(names, name) || name == "" {
			name = fmt.Sprintf("%s %d", name, i+1)
		}
		names = append(names, name)
	}
	return names
}

// groupingSets writes a query with several grouping sets as UNION ALL of one query a
// set, in which the other keys are NULL.
func groupingSets(q *querySyntax) *querySyntax {
	s := q.selected
	var keys []*termSyntax
	for _, set := range s.groupBy {
		for _, k := range set {
			if !slices.ContainsFunc(keys, k.same) {
				keys = append(keys, k)
			}
		}
	}
	resolve := func(t *termSyntax) *termSyntax { // numbers and names of SELECT's
		if t.kind == termLiteral && t.literal.Type() == value.TypeInt && t.literal.Int64() >= 1 && t.literal.Int64() <= int64(len(s.items)) {
			return s.items[t.literal.Int64()-1].term
		}
		return t
	}
	for i, k := range keys {
		keys[i] = resolve(k)
	}
	var all *querySyntax
	for _, set := range s.groupBy {
		arm := *s
		arm.groupBy = nil
		var kept []*termSyntax
		for _, k := range set {
			kept = append(kept, resolve(k))
		}
		if len(set) > 0 {
			arm.groupBy = [][]*termSyntax{kept}
		}
		absent := func(t *termSyntax) *termSyntax {
			if t.kind == termCall && t.name == "grouping" && len(t.args) == 1 {
				n := int64(1)
				if slices.ContainsFunc(kept, t.args[0].same) {
					n = 0
				}
				return &termSyntax{kind: termLiteral, at: t.at, literal: value.Int(n)}
			}
			if t.kind == termCall && isAggregate(t.name) && t.over == nil {
				return t // reads the rows, whose keys are as they are
			}
			switch {
			case slices.ContainsFunc(kept, t.same):
				return t // whole: what it is made of may be absent
			case slices.ContainsFunc(keys, t.same):
				return &termSyntax{kind: termLiteral, at: t.at}
			}
			return nil
		}
		arm.items = nil
		for _, i := range s.items {
			arm.items = append(arm.items, itemSyntax{i.term.rewrite(absent), i.name()})
		}
		if s.having != nil {
			arm.having = s.having.rewrite(absent)
		}
		one := &querySyntax{at: q.at, selected: &arm}
		if all == nil {
			all = one
		} else {
			all = &querySyntax{at: q.at, combined: &combinedSyntax{at: q.at, operator: "union", all: true, left: all, right: one}}
		}
	}
	all.with = q.with
	return all
}

// split divides a SELECT into the release that it needs, and what it computes with
// the release's rows: windows, QUALIFY, DISTINCT, and scalar subqueries that are releases,
// the others. inner is nil where nothing is.
func (c *composer) split(q *querySyntax, within *scope) (inner *querySyntax, outer *selectSyntax, others []*querySyntax) {
	s := q.selected
	if !c.computes(q, within) {
		return nil, nil, nil
	}
	within = within.with(q.with)
	in := *s
	in.items, in.distinct, in.qualify = nil, false, nil
	out := &selectSyntax{at: s.at, distinct: s.distinct}
	// What has no window within is a column of the release.
	var move func(t *termSyntax) *termSyntax
	move = func(t *termSyntax) *termSyntax {
		if t.kind == termLiteral {
			return t
		}
		if t.kind == termQuery && c.isRelease(t.query, within) {
			if t.query.selected == nil || len(t.query.selected.items) != 1 || len(t.query.selected.groupBy) > 0 {
				refuse(CodeNotSupported, t.at, "select one aggregate without GROUP BY", "this subquery is no single value")
			}
			others = append(others, t.query)
			name := t.query.selected.items[0].name()
			return &termSyntax{kind: termColumn, at: t.at, qualifier: otherAlias(len(others) - 1), name: name}
		}
		if windowWithin(t) == nil && !c.scalarWithin(t, within) {
			i := slices.IndexFunc(in.items, func(i itemSyntax) bool { return i.term.same(t) })
			if i < 0 {
				i = len(in.items)
				in.items = append(in.items, itemSyntax{t, fmt.Sprintf("%d %s", i, itemSyntax{term: t}.name())})
			}
			return &termSyntax{kind: termColumn, at: t.at, qualifier: releasedAlias, name: in.items[i].alias}
		}
		moved := *t
		moved.args = nil
		for _, a := range t.args {
			moved.args = append(moved.args, move(a))
		}
		if t.filter != nil {
			moved.filter = move(t.filter)
		}
		if t.over != nil {
			w := *t.over
			w.partition, w.orderBy = nil, nil
			for _, p := range t.over.partition {
				w.partition = append(w.partition, move(p))
			}
			for _, o := range t.over.orderBy {
				o.term = move(o.term)
				w.orderBy = append(w.orderBy, o)
			}
			moved.over = &w
		}
		return &moved
	}
	for _, i := range s.items {
		out.items = append(out.items, itemSyntax{move(i.term), i.name()})
	}
	if s.qualify != nil {
		aliased := s.qualify.rewrite(func(t *termSyntax) *termSyntax {
			for _, i := range s.items {
				if t.kind == termColumn && t.qualifier == "" && t.name == i.alias {
					return i.term
				}
			}
			return nil
		})
		out.qualify = move(aliased)
	}
	return &querySyntax{at: q.at, with: q.with, selected: &in}, out, others
}

// computes reports whether a SELECT computes with what it releases: see split.
func (c *composer) computes(q *querySyntax, within *scope) bool {
	s := q.selected
	return s.distinct || s.qualify != nil || slices.ContainsFunc(s.items, func(i itemSyntax) bool {
		return windowWithin(i.term) != nil || c.scalarWithin(i.term, within.with(q.with))
	})
}

// scalarWithin reports whether a term holds, outside of its aggregates, a subquery
// that is a release.
func (c *composer) scalarWithin(t *termSyntax, within *scope) bool {
	if t.kind == termQuery {
		return c.isRelease(t.query, within)
	}
	if t.kind == termCall && isAggregate(t.name) && t.over == nil {
		return false
	}
	return slices.ContainsFunc(t.args, func(a *termSyntax) bool { return c.scalarWithin(a, within) })
}

// same reports whether two terms are written alike.
func (t *termSyntax) same(o *termSyntax) bool {
	if t.kind != o.kind || t.qualifier != o.qualifier || t.name != o.name || t.literal != o.literal || t.distinct != o.distinct ||
		t.star != o.star || t.castType != o.castType || t.bin != o.bin || len(t.args) != len(o.args) || t.query != o.query || t.over != o.over ||
		(t.filter == nil) != (o.filter == nil) || t.filter != nil && !t.filter.same(o.filter) {
		return false
	}
	for i := range t.args {
		if !t.args[i].same(o.args[i]) {
			return false
		}
	}
	return true
}

// rewrite replaces the terms for which fn gives another.
func (t *termSyntax) rewrite(fn func(*termSyntax) *termSyntax) *termSyntax {
	if r := fn(t); r != nil {
		return r
	}
	if len(t.args) == 0 {
		return t
	}
	copied := *t
	copied.args = nil
	for _, a := range t.args {
		copied.args = append(copied.args, a.rewrite(fn))
	}
	return &copied
}

// Finish turns the cells of every release into the answer. What is computed from
// them is post-processing and costs nothing. computed says what intervals are.
func (p *Program) Finish(cells [][]Cell, confidence float64) (*Answer, error) {
	if len(cells) != len(p.Releases) {
		return nil, fmt.Errorf("the cells of %d releases where the query has %d", len(cells), len(p.Releases))
	}
	if p.after == nil {
		return p.Releases[0].Finish(cells[0], confidence)
	}
	c, err := p.compute(cells, confidence)
	if err != nil {
		return nil, err
	}
	rows := p.after.Trace(func(name string) fragment.Rows {
		return c.tables[indexOf(strings.TrimPrefix(name, releaseTable))-1]
	}, "")
	return p.after.answer(p.Columns, rows, c.interval), nil
}

// rows are a release's answer as a table.
func (p *Plan) rows(a *Answer) fragment.Rows {
	var rows fragment.Rows
	names := p.released()
	for i, c := range p.Columns {
		rows.Names = append(rows.Names, names[i])
		if c.Noisy && c.Type.Numeric() {
			rows.Names = append(rows.Names, names[i]+lowEnd, names[i]+highEnd)
		}
	}
	for _, row := range a.Rows {
		var values []value.Value
		for i, e := range row {
			values = append(values, e.Value)
			if c := p.Columns[i]; c.Noisy && c.Type.Numeric() {
				values = append(values, e.Low, e.High)
			}
		}
		rows.Values = append(rows.Values, values)
	}
	return rows
}

// answer orders and cuts the rows.
func (a *after) answer(columns []Column, rows fragment.Rows, interval func(*fragment.Expr, value.Value) (low, high value.Value)) *Answer {
	at := map[string]int{}
	for i, name := range rows.Names {
		at[name] = i
	}
	places := make([]int, len(rows.Values))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(i, j int) int {
		x, y := rows.Values[i], rows.Values[j]
		for _, o := range a.order {
			if c := o.Compare(x[at[o.Expr.Column]], y[at[o.Expr.Column]]); c != 0 {
				return c
			}
		}
		return 0
	})
	places = places[min(a.offset, len(places)):]
	if a.limit >= 0 && a.limit < len(places) {
		places = places[:a.limit]
	}
	out := &Answer{Columns: columns, Rows: make([][]Estimate, len(places))}
	for r, place := range places {
		row := rows.Values[place]
		for i, s := range a.columns {
			e := Estimate{Value: row[at[s.name]]}
			if columns[i].Noisy && columns[i].Type.Numeric() {
				e.Low, e.High = interval(rows.Origins[place][at[s.name]], e.Value)
			}
			out.Rows[r] = append(out.Rows[r], e)
		}
	}
	return out
}

// Describe writes the plan for a person: each release, and what is computed from
// them. It reads no data.
func (p *Program) Describe() string {
	if p.after == nil {
		return p.Releases[0].Describe()
	}
	var b strings.Builder
	for i, release := range p.Releases {
		fmt.Fprintf(&b, "release %d of %d\n", i+1, len(p.Releases))
		for _, line := range strings.Split(strings.TrimSuffix(release.Describe(), "\n"), "\n") {
			b.WriteString("  " + line + "\n")
		}
		if s := p.lifeTables[i+1]; s != nil {
			fmt.Fprintf(&b, "  life table %s\n", s)
		}
	}
	b.WriteString("then, at no cost\n")
	for _, line := range strings.Split(p.after.Derived.String(), "\n") {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

// What Expected notes of a number that no release gives as it is.
const (
	noteComputed   = "computed from released numbers: its interval comes with the answer, and may be open"
	noteNoInterval = "no interval: the order of noisy numbers decides it"
)

// Expected tells the error of each noisy number of the answer.
func (p *Program) Expected(confidence float64) []Expected {
	if p.after == nil {
		return p.Releases[0].Expected(confidence)
	}
	released := make([]map[string]Expected, len(p.Releases))
	for i := range p.Releases {
		released[i] = p.expectedOf(i, confidence)
	}
	var all []Expected
	for i, c := range p.Columns {
		if !c.Noisy || !c.Type.Numeric() {
			continue
		}
		x := expectedIn(p.after.Derived, p.after.columns[i].name, released)
		x.Column = c.Name
		all = append(all, x)
	}
	return all
}

// expectedOf gives the expected errors of a release by the names of its columns.
func (p *Program) expectedOf(i int, confidence float64) map[string]Expected {
	of, release := map[string]Expected{}, p.Releases[i]
	if s := p.lifeTables[i+1]; s != nil {
		for _, x := range s.expected(release, confidence) {
			of[x.Column] = x
		}
		return of
	}
	all := release.Expected(confidence)
	for k, name := range release.released() {
		if c := release.Columns[k]; c.Noisy && c.Type.Numeric() {
			of[name], all = all[0], all[1:]
		}
	}
	return of
}

// expectedIn follows a column to the release that it is passed on from.
func expectedIn(d *fragment.Derived, name string, released []map[string]Expected) Expected {
	unknown := Expected{HalfWidth: math.NaN(), Value: math.NaN(), Note: noteComputed}
	if d.Combine != "" {
		at := slices.IndexFunc(leaf(d).Columns, func(o fragment.Output) bool { return o.Name == name })
		if at < 0 {
			return unknown
		}
		widest := expectedIn(d.Arms[0], name, released)
		for _, arm := range d.Arms[1:] {
			switch x := expectedIn(arm, leaf(arm).Columns[at].Name, released); {
			case math.IsNaN(x.HalfWidth) || math.IsNaN(widest.HalfWidth):
				return unknown // the rows of one arm are wider than those of another
			case x.HalfWidth > widest.HalfWidth:
				widest = x
			}
		}
		return widest
	}
	at := slices.IndexFunc(d.Columns, func(o fragment.Output) bool { return o.Name == name })
	if at < 0 {
		return unknown
	}
	o := d.Columns[at]
	switch o.Function {
	case "", fragment.FunctionLag, fragment.FunctionLead, fragment.FunctionFirst, fragment.FunctionLast:
	case fragment.FunctionRank, fragment.FunctionDenseRank, fragment.FunctionRowNumber, fragment.FunctionDistinct:
		unknown.Note = noteNoInterval
		return unknown
	default:
		return unknown
	}
	if o.Expr != nil && o.Expr.Op == fragment.OpLiteral {
		return Expected{Value: math.NaN()}
	}
	if o.Expr == nil || o.Expr.Op != fragment.OpColumn {
		return unknown
	}
	for _, r := range d.Relations {
		if r.Name != o.Expr.Relation {
			continue
		}
		if r.Derived != nil {
			return expectedIn(r.Derived, o.Expr.Column, released)
		}
		if number, ok := strings.CutPrefix(r.Table, releaseTable); ok {
			if x, ok := released[indexOf(number)-1][o.Expr.Column]; ok {
				return x
			}
		}
	}
	return unknown
}
