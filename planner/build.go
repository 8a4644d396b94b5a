package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
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

// buildRelease plans one release.
func buildRelease(q Query, fed Federation, syntax *querySyntax, within *scope) *Plan {
	b := &builder{
		resolver: &resolver{catalog: fed.Catalog, scope: within.with(syntax.with)}, query: q, federation: fed, syntax: syntax,
		plan: &Plan{limit: -1}, fragment: &fragment.Fragment{Version: fragment.Version, Catalog: fed.digest()},
	}
	b.read()
	b.limits()
	b.keys()
	b.outputs()
	b.selection()
	b.settle()
	b.prove()
	b.allot()
	b.expect()
	if q.Accuracy != nil {
		b.reach(*q.Accuracy)
	}
	b.release()
	b.warn()
	return b.plan
}

type builder struct {
	*resolver
	query        Query
	federation   Federation
	syntax       *querySyntax
	plan         *Plan
	fragment     *fragment.Fragment
	known        *fragment.Scope // of knownSources sources
	knownSources int
	cells        int            // declared groups, 0 where they are not declared
	counted      *fragment.Expr // what countOnce made each of a row's own
	aliasing     int            // depth of output names being resolved, against names that refer to each other
}

// read plans which rows are read, and whose they are.
func (b *builder) read() {
	b.rows(b.syntax.selected)
	if b.patient == nil {
		refuse(CodeNoPatient, b.sources[0].at, "ask your own copy of them, or join a table with patients", "the query reads public tables only, of which nothing is private")
	}
	b.tie()
	b.countOnce()
}

// limits sets the contribution limits: the query's, or the catalog's.
func (b *builder) limits() {
	b.fragment.MaxGroups, b.fragment.MaxRows = b.query.MaxGroups, b.query.MaxRows
	if b.fragment.MaxGroups == 0 {
		b.fragment.MaxGroups = b.catalog.MaxGroups
	}
	if b.fragment.MaxRows == 0 {
		for _, s := range b.sources {
			if !s.table.Public && s.alias != "" {
				b.fragment.MaxRows = max(b.fragment.MaxRows, b.catalog.RowLimit(s.table))
			}
		}
	}
}

// facts infers what is known of an expression. The hospitals' names are public, and
// so is who is asked.
func (b *builder) facts(e *fragment.Expr) fragment.Facts {
	if b.known == nil || b.knownSources != len(b.sources) {
		var err error
		if b.known, err = fragment.NewScope(b.relations(), b.catalog); err != nil {
			refuse(CodeTooLarge, b.sources[0].at, "read fewer tables", "%s", err)
		}
		for _, h := range b.federation.Hospitals {
			b.known.Hospitals = append(b.known.Hospitals, value.Text(h))
		}
		slices.SortFunc(b.known.Hospitals, value.Compare)
		b.knownSources = len(b.sources)
	}
	return b.known.FactsWhere(e, b.filter)
}

// keys plans GROUP BY: ordinals, the query's own names, or expressions.
func (b *builder) keys() {
	for _, g := range b.grouping() {
		t := b.key(g)
		if name := aggregateWithin(t); name != nil {
			refuse(CodeMisplaced, name.at, "put conditions on aggregates into HAVING", "%s cannot be grouped by", strings.ToUpper(name.name))
		}
		e := b.row(t)
		if e.Op == fragment.OpColumn {
			if b.isPatientID(b.of(e.Relation), e.Column) {
				refuse(CodeRowLevel, g.at, "group by what patients share, such as sex, year of birth or diagnosis", "a group per patient would show rows of patients")
			}
		}
		if b.keyOf(e) < 0 {
			domain := b.facts(e).Domain
			if domain != nil && len(domain) == 0 {
				refuse(CodeNotSupported, g.at, "change WHERE, or the key", "by the catalog, no row that fulfils WHERE has a key to group by")
			}
			if slices.ContainsFunc(domain, func(v value.Value) bool { return v != fragment.Cut(v, fragment.MaxKey) }) {
				domain = nil // what is cut is none of them
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

// key is what a number or a name of SELECT's stands for in GROUP BY.
func (b *builder) key(t *termSyntax) *termSyntax {
	if t.kind == termLiteral {
		return b.ordinal(t, "GROUP BY")
	}
	if item, ok := b.aliased(t); ok && !b.isColumn(t) {
		return item.term
	}
	return t
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
	return t.kind == termColumn && try(func() *fragment.Expr { return b.lookup(t) }) != nil
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
	if t.kind == termCall && isAggregate(t.name) && t.over == nil {
		return t
	}
	for _, a := range t.args {
		if found := aggregateWithin(a); found != nil {
			return found
		}
	}
	if t.over != nil {
		for _, p := range t.over.partition {
			if found := aggregateWithin(p); found != nil {
				return found
			}
		}
		for _, o := range t.over.orderBy {
			if found := aggregateWithin(o.term); found != nil {
				return found
			}
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
		p.order = append(p.order, o.order(b.output(t)))
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
		if t.kind == termCall && t.name == "approx_bounds" {
			low, high := *t, *t
			high.bin = 1
			items = append(items, itemSyntax{term: &low, alias: item.name() + " low"}, itemSyntax{term: &high, alias: item.name() + " high"})
			continue
		}
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
		if e := try(func() *fragment.Expr { return b.row(t) }); e != nil {
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

// filtered writes f(x) FILTER (WHERE c) as f(CASE WHEN c THEN x END).
func filtered(t *termSyntax) *termSyntax {
	if t.filter == nil {
		return t
	}
	plain := *t
	plain.filter, plain.star = nil, false
	x := &termSyntax{kind: termLiteral, at: t.at, literal: value.Int(1)}
	if len(t.args) > 0 {
		x = t.args[0]
	}
	plain.args = append([]*termSyntax{{kind: termOperator, name: "case", at: t.filter.at, args: []*termSyntax{t.filter, x}}}, t.args[min(1, len(t.args)):]...)
	return &plain
}

// aggregate plans one aggregate call and returns the column that stands for it.
func (b *builder) aggregate(t *termSyntax) *fragment.Expr {
	t = filtered(t)
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
	if a.domain != nil {
		if f = countDistinct; t.name != "count" {
			f = distinctFunction(t.name, a.x, a.domain)
		}
	}
	partials := f.partials(a)
	released := Aggregate{function: f, argument: a.value, whole: len(t.args) > 0 && a.x.Expr != nil && a.x.Type == value.TypeInt}
	for _, partial := range partials {
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
	a := &argument{call: t, maxRows: b.fragment.MaxRows, cells: b.cells, oneRow: b.oneRow()}
	name := strings.ToUpper(t.name)
	switch {
	case t.star:
		if t.name != "count" || t.distinct {
			refuse(CodeType, t.at, "write COUNT(*)", "%s needs a column", name)
		}
		return a
	case len(t.args) != f.arguments:
		refuse(CodeType, t.at, "SHOW FUNCTIONS shows how it is written", "%s takes %d %s", name, f.arguments, plural(f.arguments, "argument", "arguments"))
	case t.distinct && b.counted != nil && canonical(b.row(t.args[0])) == canonical(b.counted):
		a.x = b.operand(t.args[0])
		return a
	case t.distinct && b.distinctValues(a, t):
		return a
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
	if a.buckets.Validate() != nil {
		refuse(CodeType, a.call.args[1].at, "write a range of numbers that are neither too far apart nor too near", "the bins of [%g, %g] have no width that float64 holds", low, high)
	}
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
	hint := "write COUNT(DISTINCT patient), which counts patients, or count the values of a column of at most 1000 declared ones"
	switch t.name {
	case "count":
	case "sum", "avg":
		refuse(CodeNotSupported, t.at, "write CLAMP(x, low, high) of whole numbers that are not far apart; or "+strings.ToUpper(t.name)+"(x) over (SELECT DISTINCT patient, x FROM …), where each patient's count",
			"%s(DISTINCT x) is answered where at most %d values of x are known beforehand", strings.ToUpper(t.name), distinctLimit)
	default:
		refuse(CodeNotSupported, t.at, "write "+strings.ToUpper(t.name)+"(x) over (SELECT DISTINCT patient, x FROM …)", "%s(DISTINCT …) is not answered", strings.ToUpper(t.name))
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
		s := b.of(e.Relation)
		if b.isPatientID(s, e.Column) {
			if s.Join != fragment.JoinLeft {
				return nil
			}
			return apply(t.at, fragment.OpNot, apply(t.at, fragment.OpIsNull, e))
		}
	}
	if e.Op == fragment.OpColumn && b.privateKey(keyOfColumn(b.of(e.Relation), e.Column)) {
		hint = "ask for COUNT(DISTINCT " + t.describe() + ") in a query of its own, without other aggregates"
	}
	refuse(CodeNotSupported, t.at, hint, "%s is neither the patient's id nor of values that are known beforehand", t.describe())
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
	b.fragment.Filter, b.fragment.Patient = b.filter, b.patient
	exprs := []*fragment.Expr{b.filter, b.patient}
	for _, k := range b.fragment.Keys {
		exprs = append(exprs, k.Expr)
	}
	for _, partial := range b.fragment.Partials {
		exprs = append(exprs, partial.Expr)
	}
	b.fragment.Relations = prune(b.relations(), exprs...)
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
