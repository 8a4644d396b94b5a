package planner

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/lookup"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/rewrite"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Build plans a query that is one release and refuses others. The error is always an *Error.
func Build(q Query, fed Federation) (*Plan, error) {
	p, err := Compose(q, fed)
	if err != nil {
		return nil, err
	}
	if p.post != nil {
		return nil, &Error{Code: CodeNotSupported, Position: Position{Line: 1, Column: 1}, Message: "the query is made of several releases"}
	}
	return p.Releases[0], nil
}

// Compose plans a query. The error is always an *Error.
func Compose(q Query, fed Federation) (program *Program, err error) {
	defer syntax.Catch(&err)
	start := Position{Line: 1, Column: 1}
	if len(fed.Hospitals) == 0 {
		refuse(CodeParameter, start, "", "the federation has no hospital to ask")
	}
	if q.MaxGroups < 0 || q.MaxRows < 0 || q.MaxGroups > relational.MaxRows || q.MaxRows > relational.MaxRows {
		refuse(CodeParameter, start, "leave them out for the catalog's defaults", "max_groups and max_rows go from 1 to 1000000")
	}
	statement := q.Statement
	if statement == nil {
		if statement, err = syntax.Parse(q.SQL); err != nil {
			return nil, err
		}
	}
	if statement.Query == nil {
		refuse(CodeNotSupported, statement.At, "write SELECT …", "this statement is no query")
	}
	bound, err := statement.Bind(q.Parameters, q.Today)
	if err != nil {
		return nil, err
	}
	program, err = planBound(q, fed, bound, ahead{})
	var refused *Error
	if !errors.As(err, &refused) {
		return program, err
	}
	columns := func(table string) (names []string) {
		if t, ok := fed.Catalog.Table(table); ok {
			for _, c := range t.Columns {
				names = append(names, strings.ToLower(c.Name))
			}
		}
		return names
	}
	for _, write := range rewritings[refused.Code] {
		if again, ok := write(bound, columns); ok {
			if other, err := planBound(q, fed, again, ahead{}); err == nil {
				return other, nil
			}
		}
	}
	return program, err
}

// rewritings lists, for the code of a refusal, other ways to write the query. They are tried in order.
var rewritings = map[Code][]func(*syntax.Query, rewrite.Columns) (*syntax.Query, bool){
	CodeNoPatient:     {rewrite.PublicFirst},
	CodeNested:        {rewrite.LargestGroups, rewrite.OneRow},
	CodeRowLevel:      {rewrite.Quantiles, rewrite.Distinct, rewrite.OneRow},
	CodePatientsMixed: {rewrite.Quantiles, rewrite.Distinct},
	CodeNotSupported:  {rewrite.Quantiles},
}

// planBound plans a query whose parameters are already bound.
func planBound(q Query, fed Federation, bound *syntax.Query, first ahead) (program *Program, err error) {
	defer syntax.Catch(&err)
	fed.memo = fragment.NewMemo(expr.NewBudget())
	c := &programPlanner{query: q, federation: fed, ahead: first, lifeTables: map[int]*survival{}, noisy: map[noisyColumn]bool{}, exactly: map[exactColumn]bool{}, kinds: map[*syntax.Query]kind{}, derived: map[*syntax.Query]*relational.Derived{}}
	if q.Accuracy == nil { // else its price may depend on the numbers
		c.federation.first = c.first
	}
	extended := *fed.Catalog
	extended.Tables = slices.Clone(fed.Catalog.Tables)
	c.catalog = relational.NewVocabulary(&extended, fed.memo)
	c.lookups = lookup.NewPlanner(c.catalog)
	program = c.program(bound, relational.NewScope())
	again := func(given []value.Value) (*Program, error) {
		return planBound(q, fed, bound, ahead{given: given, apart: true})
	}
	if len(c.ahead.releases) > 0 && program.post == nil {
		return again(first.given)
	}
	c.price()
	program.ahead, program.again = c.ahead, again
	return program, nil
}

func (c *programPlanner) program(q *syntax.Query, within *relational.Scope) *Program {
	var a *postProcessing
	switch {
	case c.catalog.ReadsPublic(q, within):
		a = c.public(q, within)
	case !c.ahead.apart && c.single(q, within):
		plan := c.release(q, within, true)
		return &Program{Releases: []*Plan{plan}, Columns: plan.Columns}
	default:
		a = c.postProcess(q, within)
		a.Query = c.lookups.Replace(a.Query, q.At)
	}
	p := &Program{lifeTables: c.lifeTables, post: a, Lookups: c.lookups.Lookups()}
	for _, b := range c.releases {
		p.Releases = append(p.Releases, b.plan)
	}
	table, err := a.Table("answer", c.catalog.Catalog, c.catalog.Memo)
	if err != nil {
		relational.RefuseInvalid(err, q.At)
	}
	for _, s := range a.columns {
		column, _ := table.Column(s.name)
		p.Columns = append(p.Columns, Column{Name: s.label, Type: column.Type, Noisy: !c.exact(a.Query, s.name)})
	}
	return p
}

// exact reports whether a column passes on a value that is not noisy, such as a key.
func (c *programPlanner) exact(d *fragment.Query, name string) bool {
	of := exactColumn{d, name}
	is, known := c.exactly[of]
	if !known { // asked once for each column: it may be read many times at each of many levels
		is = c.projectsExact(d, name)
		c.exactly[of] = is
	}
	return is
}

func (c *programPlanner) projectsExact(d *fragment.Query, name string) bool {
	if d.SetOp != "" {
		i := slices.IndexFunc(d.Inputs[0].Columns, func(o fragment.Output) bool { return o.Name == name })
		return i >= 0 && !slices.ContainsFunc(d.Inputs, func(arm *fragment.Query) bool {
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
		if r.Query != nil {
			exact = exact && c.exact(r.Query, column)
			return
		}
		exact = exact && !c.noisy[noisyColumn{r.Table, column}]
	})
	return exact
}

// share is the query with one release's part of the budget, if there are n releases. Together they cost at most what
// was asked for.
func (c *programPlanner) share(n int) Query {
	const unit = 1e18 // delta is charged in this unit
	share := c.query
	share.Epsilon = dp.ShareEpsilon(share.Epsilon, n, c.federation.Accounting)
	share.MaxEpsilon = dp.ShareEpsilon(share.MaxEpsilon, n, c.federation.Accounting)
	share.Delta = math.Floor(share.Delta*unit/float64(n)) / unit
	return share
}

// release plans one release, without its price. alone tells that it is the whole query.
func (c *programPlanner) release(q *syntax.Query, within *relational.Scope, alone bool) *Plan {
	if len(c.releases) >= maxReleases {
		refuse(CodeTooLarge, q.At, "ask it in several queries", "the query makes more than %d releases", maxReleases)
	}
	b := planRelease(c.query, c.federation, q, within, alone)
	c.releases = append(c.releases, b)
	return b.plan
}

// price gives each release an equal share of the budget, and from it noise and loss.
func (c *programPlanner) price() {
	share := c.query
	if n := len(c.releases); n > 1 {
		share = c.share(n)
		share.parts = n
	}
	for i, b := range c.releases {
		b.query = share
		if c.lifeTables[i+1] != nil {
			b.release()
			b.enforceLeastPrice()
			b.plan.findDivisions()
			continue
		}
		if share.Accuracy != nil {
			b.solveEpsilon(*share.Accuracy)
		}
		b.release()
		b.enforceLeastPrice()
		b.plan.findDivisions()
		b.biasWarnings()
	}
}

// single reports whether the query is one release without further computation.
func (c *programPlanner) single(q *syntax.Query, within *relational.Scope) bool {
	s := q.Select
	if s == nil || len(s.GroupBy) > 1 || c.Nested(q, within) || c.computes(q, within) {
		return false
	}
	return !slices.ContainsFunc(q.OrderBy, func(o syntax.Order) bool { return o.Term.Window() != nil })
}

// Nested reports whether the query reads other releases instead of patients.
func (c *programPlanner) Nested(q *syntax.Query, within *relational.Scope) bool {
	return c.reads(q.Select, within.Extend(q.With), 0) == kindRelease
}

// postProcess plans a query over releases: combined rows, several grouping sets, or rows of subqueries that are
// releases.
func (c *programPlanner) postProcess(q *syntax.Query, within *relational.Scope) *postProcessing {
	a := &postProcessing{limit: -1}
	if q.Limit != nil {
		a.limit = relational.RowsAsked(q.Limit, "LIMIT")
	}
	if q.Offset != nil {
		a.offset = relational.RowsAsked(q.Offset, "OFFSET")
	}
	inner, places := relational.WithOrder(q)
	within.MoveRows(q, inner)
	d := c.Derive(inner, within)
	a.Query = d.Query
	visible := d.Named
	for i, o := range q.OrderBy {
		at := d.Named[places(len(d.Named), i)]
		column, _ := d.Schema.Column(at.Column)
		a.order = append(a.order, relational.OrderBy(o, expr.Column("", column.Name, column.Type)))
	}
	if inner.Select != nil {
		visible = visible[:len(visible)-(len(inner.Select.Items)-len(q.Select.Items))]
	}
	if len(visible) > maxColumns {
		refuse(CodeTooLarge, q.At, "ask for fewer columns", "more than %d columns", maxColumns)
	}
	for _, v := range visible {
		a.columns = append(a.columns, outputColumn{v.Name, v.Column})
	}
	return a
}

// Derive plans a query whose rows are released rows.
func (c *programPlanner) Derive(q *syntax.Query, within *relational.Scope) *relational.Derived {
	if cmp.Or(q.Limit, q.Offset) != nil {
		return relational.New(c.catalog, nil, c).LimitedRows(q, within)
	}
	if c.catalog.ReadsPublic(q, within) {
		if s := q.Select; s != nil && len(s.GroupBy) > 1 {
			q = rewrite.GroupingSets(q)
		}
		return relational.New(c.catalog, nil, nil).Derive(q, within, q.At)
	}
	if c.kind(q, within, 0) == kindConstants {
		return relational.New(c.catalog, nil, nil).Derive(q, within, q.At)
	}
	if d := c.derived[q]; d != nil { // a query of WITH that is read twice is one release
		return d
	}
	d := c.released(q, within)
	c.derived[q] = d
	return d
}

// released plans a query that is a release or reads releases.
func (c *programPlanner) released(q *syntax.Query, within *relational.Scope) *relational.Derived {
	r := relational.New(c.catalog, within.Extend(q.With), c)
	if q.SetOperation != nil {
		return r.Combine(q.SetOperation, q.At)
	}
	if len(q.Select.GroupBy) > 1 {
		return c.Derive(rewrite.GroupingSets(q), within)
	}
	if c.Nested(q, within) {
		return r.Selected(q.Select)
	}
	if inner, outer, others := c.split(q, within); inner != nil {
		r.Adopt(c.table(c.release(inner, within, false)), releasedAlias, q.At)
		for i, other := range others {
			s := r.Adopt(c.Derive(other.query, within.Extend(q.With)), otherAlias(i), q.At)
			s.Join = fragment.JoinCross
			if other.keys > 0 {
				s.Join, s.On = fragment.JoinLeft, sameKeys(r, s, other.keys, q.At)
			}
		}
		if outer.Where != nil {
			r.Filter = scalar.Normalized(r.Condition(outer.Where, "HAVING"))
		}
		return r.SelectedFrom(outer)
	}
	return c.table(c.release(q, within, false))
}

// table turns a release into a public table: what was released is public.
func (c *programPlanner) table(p *Plan) *relational.Derived {
	t := &catalog.Table{Name: relational.Release.Table(len(c.releases)), Public: true}
	d := &fragment.Query{Relations: []fragment.Relation{{Name: "release", Table: t.Name}}}
	var columns []relational.Column
	for i, name := range p.released() {
		of := p.Columns[i]
		t.Columns = append(t.Columns, &catalog.Column{Name: name, Type: of.Type, Nullable: true})
		c.noisy[noisyColumn{t.Name, name}] = of.Noisy
		d.Columns = append(d.Columns, fragment.Output{Name: name, Expr: expr.Column("release", name, of.Type)})
		columns = append(columns, relational.Column{Name: of.Name, Column: name, Untyped: scalar.IsNull(of.expr)})
	}
	c.catalog.Tables = append(c.catalog.Tables, t)
	planned, err := d.Table("release", c.catalog.Catalog, fragment.NewMemo(nil))
	if err != nil {
		panic(err) // cannot fail: the query was made here
	}
	return &relational.Derived{Query: d, Schema: planned, Named: columns}
}

// released gives the columns of a release names that differ.
func (p *Plan) released() []string {
	var names []string
	for i, c := range p.Columns {
		name := strings.ToLower(c.Name)
		for n := i + 1; slices.Contains(names, name) || name == ""; n++ { // the query may call another column by that name
			name = fmt.Sprintf("%s %d", strings.ToLower(c.Name), n)
		}
		names = append(names, name)
	}
	return names
}
