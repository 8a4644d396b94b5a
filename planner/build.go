package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// planRelease plans one release, without its price. alone tells that it is the whole query.
func planRelease(q Query, fed Federation, syntax *syntax.Query, within *relational.Scope, alone bool) *builder {
	rows := within.TakeRows(syntax)
	if rows == nil {
		rows = relational.New(fed.vocabulary(), within.Extend(syntax.With), nil)
		rows.Read(syntax.Select)
	}
	b := &builder{
		Resolver: rows, query: q, federation: fed, syntax: syntax,
		plan: &Plan{limit: -1}, fragment: &fragment.Fragment{Version: fragment.Oldest, Catalog: fed.digest()},
	}
	b.read()
	b.keys()
	b.groupsAlone()
	b.limits()
	b.outputs()
	b.selection()
	if alone {
		b.centre()
	}
	b.canonicalize()
	b.prove()
	b.splitBudget()
	b.measure()
	b.expectedCounts()
	return b
}

type builder struct {
	*relational.Resolver
	query        Query
	federation   Federation
	syntax       *syntax.Query
	plan         *Plan
	fragment     *fragment.Fragment
	known        *fragment.Scope // of the first knownSources sources
	knownSources int
	cells        int        // the number of declared groups; 0 if the groups are not declared
	counted      *expr.Expr // the key that countOnce gave one row each
	aliasing     int        // depth of output names being resolved, to stop names that refer to each other
}

// read makes sure that each row belongs to one patient.
func (b *builder) read() {
	if b.Patient == nil {
		refuse(CodeNoPatient, b.Sources[0].At, "ask your own copy of them, or join a table with patients", "the query reads public tables only, of which nothing is private")
	}
	b.LinkByForeignKeys()
	b.countOnce()
}

// facts infers what is known of an expression. The names of the hospitals, and which of them are asked, are public.
func (b *builder) facts(e *expr.Expr) expr.Range { return b.scope().RangeWhere(e, b.Filter) }

// scope is the scope of all sources read so far.
func (b *builder) scope() *fragment.Scope {
	if b.known == nil || b.knownSources != len(b.Sources) {
		var err error
		var hospitals []value.Value
		for _, h := range slices.Sorted(slices.Values(b.federation.Hospitals)) {
			hospitals = append(hospitals, value.Text(h))
		}
		if b.known, err = fragment.NewScopeWithin(b.Relations(), b.Catalog.Catalog, b.Catalog.Memo, hospitals...); err != nil {
			b.TooMuch(err)
		}
		b.knownSources = len(b.Sources)
	}
	return b.known
}

// outputs plans SELECT, HAVING, ORDER BY and LIMIT over keys and aggregates.
func (b *builder) outputs() {
	s, p := b.syntax, b.plan
	b.refuseRows()
	for _, item := range b.expanded() {
		e := b.output(item.Term)
		p.Columns = append(p.Columns, Column{Name: item.Name(), Type: e.Type, Noisy: readsAggregate(e), expr: e})
	}
	if having := s.Select.Having; having != nil {
		p.having = b.output(having)
		if p.having.Type != value.TypeBool {
			refuse(CodeType, having.At, "write a comparison, such as COUNT(*) > 100", "HAVING needs a condition")
		}
	}
	for _, o := range s.OrderBy {
		t := o.Term
		if t.Kind == syntax.Literal {
			t = syntax.Ordinal(s.Select.Items, t, "ORDER BY")
		}
		p.order = append(p.order, relational.OrderBy(o, b.output(t)))
	}
	if s.Limit != nil {
		p.limit = relational.RowsAsked(s.Limit, "LIMIT")
	}
	if s.Offset != nil {
		p.offset = relational.RowsAsked(s.Offset, "OFFSET")
	}
}

// expanded lists the items of SELECT. A HISTOGRAM becomes one column for each bin.
func (b *builder) expanded() []syntax.Item {
	var items []syntax.Item
	for _, item := range b.syntax.Select.Items {
		t := item.Term
		if t.Kind == syntax.Call && t.Name == "approx_bounds" {
			low, high := *t, *t
			high.Bin = 1
			items = append(items, syntax.Item{Term: &low, Alias: item.Name() + " low"}, syntax.Item{Term: &high, Alias: item.Name() + " high"})
			continue
		}
		if t.Kind != syntax.Call || t.Name != "histogram" || len(t.Args) != 4 {
			items = append(items, item)
			continue
		}
		low, high, bins := b.constant(t.Args[1], "HISTOGRAM"), b.constant(t.Args[2], "HISTOGRAM"), b.constant(t.Args[3], "HISTOGRAM")
		if !(bins >= 1 && bins <= maxColumns) {
			refuse(CodeTooLarge, t.Args[3].At, "ask for 2 to 100", "that many bins are not released")
		}
		for i := range int(bins) {
			one := *t
			one.Bin = i
			step := (high - low) / bins
			name := fmt.Sprintf("%s [%.4g, %.4g)", item.Name(), low+float64(i)*step, low+float64(i+1)*step)
			items = append(items, syntax.Item{Term: &one, Alias: name})
		}
	}
	if len(items) > maxColumns {
		refuse(CodeTooLarge, b.syntax.Select.Items[0].Term.At, "ask for fewer columns", "more than %d columns", maxColumns)
	}
	return items
}

// refuseRows refuses a SELECT that has neither aggregates nor groups.
func (b *builder) refuseRows() {
	s := b.syntax.Select
	all := slices.Clone(s.Items)
	if s.Having != nil {
		all = append(all, syntax.Item{Term: s.Having})
	}
	for _, o := range b.syntax.OrderBy {
		all = append(all, syntax.Item{Term: o.Term})
	}
	for _, item := range all {
		if item.Term.Kind == syntax.Star {
			b.Row(item.Term)
		}
		if item.Term.Aggregate() != nil {
			return
		}
	}
	for _, item := range all {
		if unknown := item.Term.Find(scalar.IsUnknown); unknown != nil { // another dialect may have it as an aggregate
			scalar.RefuseUnknown(unknown)
		}
	}
	if len(b.grouping()) == 0 {
		refuse(CodeRowLevel, s.Items[0].Term.At, "ask for aggregates, such as COUNT(*) or AVG(x), with GROUP BY", "rows of patients are never shown")
	}
}

// output resolves a term over the groups: a key, an aggregate, a constant, or an operation on these.
func (b *builder) output(t *syntax.Expr) *expr.Expr {
	if e := b.determined(t); e != nil && b.keyOf(e) >= 0 {
		return ref{refKey, b.keyOf(e)}.expr(e.Type)
	}
	if t.Kind == syntax.Call && syntax.IsAggregate(t.Name) {
		if t.Name == "any_value" && len(t.Args) == 1 && b.Resolves(t.Args[0]) && t.Filter == nil {
			if i := b.keyOf(b.Row(t.Args[0])); i >= 0 { // each group has one value of it
				return b.output(t.Args[0])
			}
		}
		return b.aggregate(t)
	}
	if t.Kind == syntax.Star {
		return b.Row(t)
	}
	inner := t.Aggregate()
	if inner == nil && t.Kind != syntax.Literal {
		if named := syntax.Aliased(b.syntax.Select.Items, t); named != nil && !b.groupedColumn(t) && b.aliasing < len(b.syntax.Select.Items) {
			b.aliasing++
			defer func() { b.aliasing-- }()
			return b.output(named)
		}
		if b.Resolves(t) {
			e := b.Row(t)
			if i := b.keyOf(e); i >= 0 {
				return ref{refKey, i}.expr(e.Type)
			}
		}
	}
	if t.Kind == syntax.Column {
		b.Row(t) // refuses a name that is unknown
		hint := "add it to GROUP BY, or aggregate it, such as COUNT(" + t.Describe() + ")"
		refuse(CodeNotGrouped, t.At, hint, "%s differs from row to row within a group", t.Describe())
	}
	return scalar.Build(t, b.output)
}

// groupedColumn reports whether the term is a column that is also a group key.
func (b *builder) groupedColumn(t *syntax.Expr) bool {
	return b.IsColumn(t) && b.keyOf(b.Row(t)) >= 0
}

// aggregate plans one aggregate call and returns the column that stands for it.
func (b *builder) aggregate(t *syntax.Expr) *expr.Expr {
	t = t.Unfiltered()
	standard, hint := syntax.AggregateNamed(t.Name)
	if standard == "" {
		name := strings.ToUpper(t.Name)
		if t.Name == "first" { // the other spellings are rewritten to FIRST
			name = "FIRST, LAST, MIN_BY or MAX_BY"
		}
		refuse(CodeNotSupported, t.At, hint, "over patients %s would show values of single rows", name)
	}
	f := aggregates[standard]
	for _, a := range t.Args {
		if inner := a.Aggregate(); inner != nil {
			refuse(CodeMisplaced, inner.At, "aggregate once, and compute with the results", "an aggregate cannot stand within another")
		}
	}
	a := b.argument(t, f)
	f = a.outermost(f)
	placed := a.placed != nil
	if placed {
		f = a.placed
	} else if a.domain != nil {
		if f = countDistinct; t.Name != "count" {
			f = distinctFunction(t.Name, a.x, a.domain)
		}
	}
	partials := f.partials(a)
	of := value.Type("")
	if f.ofTree && !a.x.Type.Numeric() {
		of = a.x.Type
	}
	released := Aggregate{function: f, argument: a.value, of: of, whole: len(t.Args) > 0 && a.x.Expr != nil && a.x.Type == value.TypeInt}
	for _, partial := range partials {
		released.Partials = append(released.Partials, b.partial(partial))
		scale, center := 1.0, 0.0
		if g := partial.Grid; g != nil {
			scale, center = g.Number(1), g.Number(float64(g.Center))
			released.whole = released.whole && g.Shift == 0
		}
		released.scale, released.center = append(released.scale, scale), append(released.center, center)
	}
	// the median of ints may lie between two of them
	released.whole = released.whole && len(released.Partials) == 1 && f.read == nil
	released.lower, released.upper = f.bounds(a)
	i := slices.IndexFunc(b.plan.Aggregates, func(o Aggregate) bool {
		return o.function == released.function && o.argument == released.argument && o.of == released.of && slices.Equal(o.Partials, released.Partials)
	})
	if i < 0 {
		i = len(b.plan.Aggregates)
		b.plan.Aggregates = append(b.plan.Aggregates, released)
	}
	e := ref{refAggregate, i}.expr(released.valueType())
	if placed {
		return valueAt(t.At, e, a.domain)
	}
	return e
}

// partial returns the index of a partial aggregate and adds it if it is new. Several aggregates can share one, and it
// is paid for once.
func (b *builder) partial(p fragment.Partial) int {
	i := slices.IndexFunc(b.fragment.Partials, p.Equal)
	if i < 0 {
		i = len(b.fragment.Partials)
		b.fragment.Partials = append(b.fragment.Partials, p)
	}
	return i
}

func (b *builder) argument(t *syntax.Expr, f *function) *argument {
	a := &argument{call: t, maxRows: b.fragment.MaxRows, cells: b.cells, norm: b.fragment.Norm, ranked: b.ranked()}
	name := strings.ToUpper(t.Name)
	switch {
	case t.Star:
		if t.Name != "count" || t.Distinct {
			refuse(CodeType, t.At, "write COUNT(*)", "%s needs a column", name)
		}
		return a
	case len(t.Args) != f.arguments:
		refuse(CodeType, t.At, "SHOW FUNCTIONS shows how it is written", "%s takes %d %s", name, f.arguments, plural(f.arguments, "argument", "arguments"))
	case b.placed(a, t, f):
		return a
	case t.Distinct && b.counted != nil && b.Row(t.Args[0]).Equal(b.counted):
		a.x = b.operand(t.Args[0])
		return a
	case t.Distinct && b.distinctValues(a, t):
		return a
	case t.Distinct:
		a.distinct, a.patient = true, b.distinct(t)
		return a
	}
	a.x = b.bounded(t.Args[0], f)
	switch {
	case f == aggregates["quantile"]:
		a.value = b.constant(t.Args[1], name)
		if !(a.value >= 0 && a.value <= 1) {
			refuse(CodeType, t.Args[1].At, "write a share from 0 to 1, such as 0.5 for the median", "the quantile is out of range")
		}
		if t.OfRanks && a.x.facts.Nullable {
			refuse(CodePatientsMixed, t.At, "add WHERE "+t.Args[0].Describe()+" IS NOT NULL", "ranks count rows of NULL, and quantiles do not")
		}
	case f == aggregates["histogram"]:
		b.histogram(a, name)
	case f.arguments == 2:
		a.y = b.bounded(t.Args[1], f)
	}
	return a
}

// outermost reads the quantiles 0 and 1 as MIN and MAX. As quantiles they would lie between the data and the public
// bound, at a value that nobody has.
func (a *argument) outermost(f *function) *function {
	switch {
	case f != aggregates["quantile"]:
	case a.value == 0:
		return aggregates["min"]
	case a.value == 1:
		a.value = 0
		return aggregates["max"]
	}
	return f
}

// constant reads an argument that must be a number written in the query.
func (b *builder) constant(t *syntax.Expr, name string) float64 {
	if t.Kind != syntax.Literal || !t.Literal.Type().Numeric() {
		refuse(CodeType, t.At, "write a number", "%s takes a constant here", name)
	}
	return t.Literal.Float64()
}

// histogram reads HISTOGRAM(x, low, high, bins). Values outside [low, high] are left out.
func (b *builder) histogram(a *argument, name string) {
	low, high, bins := b.constant(a.call.Args[1], name), b.constant(a.call.Args[2], name), b.constant(a.call.Args[3], name)
	if !(low < high) || bins != math.Trunc(bins) || bins < 2 || bins > 100 {
		refuse(CodeType, a.call.Args[1].At, "write HISTOGRAM(x, low, high, bins) with low < high and 2 to 100 bins", "the range of the histogram is empty, or its bins are out of range")
	}
	a.buckets = &fragment.Buckets{Lower: low, Upper: high, Branching: int(bins), Levels: 1}
	if a.buckets.Validate() != nil {
		refuse(CodeType, a.call.Args[1].At, "write a range of numbers that are neither too far apart nor too near", "the bins of [%g, %g] have no width that float64 holds", low, high)
	}
	at, x := a.call.Args[0].At, a.x.Expr
	if !x.Type.Numeric() {
		refuse(CodeType, at, scalar.AsNumber(a.call.Args[0].Describe(), x.Type), "%s needs a number, and this is a %s", name, x.Type)
	}
	inside := scalar.Apply(at, expr.OpAnd, scalar.Apply(at, expr.OpGreaterOrEqual, x, expr.Literal(value.Float(low))),
		scalar.Apply(at, expr.OpLessOrEqual, x, expr.Literal(value.Float(high))))
	a.x.Expr = scalar.Apply(at, expr.OpCase, inside, x, expr.Literal(value.Null(x.Type)))
	a.value = float64(a.call.Bin)
}

// selection adds the number of patients to the release if undeclared groups must be selected by it.
func (b *builder) selection() {
	for _, k := range b.fragment.Keys {
		if k.Domain == nil {
			b.plan.Selection = &Selection{Partial: b.partial(fragment.Partial{Kind: fragment.PartialPatients})}
			return
		}
	}
	if len(b.fragment.Partials) == 0 {
		refuse(CodeNotSupported, b.syntax.At, "add an aggregate, such as COUNT(*)", "the groups are declared in the catalog; nothing is asked of the data")
	}
}
