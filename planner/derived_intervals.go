package planner

import (
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"slices"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/overlap"
	"github.com/intramuros/intramuros/planner/scalar"
)

// derivedIntervals gives intervals for numbers that are computed from released ones. fragment.Trace tells, for each
// number that the answer shows, which released numbers it was computed from. With its confidence, an interval covers
// the result of the same computation over the same rows, but with exact numbers:
//
//   - A quotient of sums of partial aggregates, such as a percentage of a total or a running sum, has Fieller's
//     interval, as within one release. The noise on each partial aggregate of each group is independent, unless two
//     releases are the same.
//   - Everything else is interval arithmetic over the intervals of the n released numbers that are read. Each has a
//     higher confidence, so that all hold together with the stated one (Bonferroni).
type derivedIntervals struct {
	program     *Program
	cells       [][]Cell
	confidence  float64
	tables      []fragment.Rows // the rows of the releases, with their origins
	rows        [][]groupRow    // by release; nil for a life table
	noise       []noisyNumber   // every partial aggregate of every group shown
	places      map[string]int  // by group: where its numbers begin in noise
	terms       int             // how many terms may still be examined
	sameRelease []int           // by release: the first release that equals it
	fits        []*fitted       // by release; nil if its released numbers are used as they are
	notes       []string
	public      *expr.RangeAnalysis         // what is known of a number before anything is released
	within      map[int]*expr.RangeAnalysis // by how many numbers share the confidence
	quotients   map[*expr.Expr]result       // shared results, since expressions share terms
	exact       map[*expr.Expr]result       // the same for the exact numbers
	simplified  map[*expr.Expr]*expr.Expr
}

// noisyNumber is a released partial aggregate.
type noisyNumber struct {
	value float64
	noise dp.Distribution
	count bool // the exact number is not below 0
	// of is the release and partial the index of its partial aggregate. The group's first number stands partial places
	// before this one.
	of      *Plan
	partial int
}

type result struct {
	estimate.Quotient
	ok bool
}

// maxTerms bounds the terms of all quotients of an answer, and so the time and memory for its intervals. Beyond it,
// interval arithmetic is used.
const maxTerms = 1_000_000

// compute prepares the releases' rows and their intervals.
func (p *Program) compute(cells [][]Cell, confidence float64) (*derivedIntervals, error) {
	c := &derivedIntervals{
		program: p, cells: cells, confidence: confidence, rows: make([][]groupRow, len(cells)), places: map[string]int{},
		terms: maxTerms, within: map[int]*expr.RangeAnalysis{}, quotients: map[*expr.Expr]result{}, exact: map[*expr.Expr]result{},
		simplified: map[*expr.Expr]*expr.Expr{},
	}
	for i, release := range p.Releases {
		c.sameRelease = append(c.sameRelease, slices.IndexFunc(p.Releases[:i+1], func(of *Plan) bool {
			first := slices.Index(p.Releases, of)
			return first == i || of.Fingerprint() == release.Fingerprint() && reflect.DeepEqual(cells[first], cells[i])
		}))
	}
	c.reconcile()
	for i, release := range p.Releases {
		rows, err := release.shown(cells[i], c.fits[i])
		if err != nil {
			return nil, err
		}
		if p.lifeTables[i+1] == nil {
			c.rows[i] = rows
		}
	}
	c.tables = c.released(confidence)
	for i := range c.tables {
		c.trace(i)
	}
	c.public = expr.NewRangeAnalysis(c.facts)
	return c, nil
}

// released returns the rows of the releases, with intervals of that confidence.
func (c *derivedIntervals) released(confidence float64) []fragment.Rows {
	tables := make([]fragment.Rows, len(c.cells))
	for i, release := range c.program.Releases {
		if s := c.program.lifeTables[i+1]; s != nil {
			tables[i] = s.rows(release, c.cells[i], confidence)
		} else {
			tables[i] = release.rows(release.answer(c.rows[i], confidence))
		}
	}
	return tables
}

// trace gives the numbers of a release their origins. A noisy value without an interval gets none, so nothing is known
// of what is computed from it.
func (c *derivedIntervals) trace(release int) {
	t := &c.tables[release]
	noisy := map[string]bool{}
	if c.rows[release] != nil {
		names := c.program.Releases[release].released()
		for k, column := range c.program.Releases[release].Columns {
			noisy[names[k]] = column.Noisy
		}
	}
	for r, row := range t.Values {
		origins := make([]*expr.Expr, len(row))
		for k, v := range row {
			name := t.Names[k]
			ends := slices.Contains(t.Names, lowEnd(name))
			switch {
			case ends:
				origins[k] = origin{release, r, k}.expr(v.Type())
			case !noisy[name]:
				origins[k] = expr.Literal(v)
			}
		}
		t.Origins = append(t.Origins, origins)
	}
}

// source returns the expression and the group of a released number; nil for a life table.
func (c *derivedIntervals) source(e *expr.Expr) (*expr.Expr, *groupRow) {
	of := originOf(e)
	release, row, k := of.release, of.row, of.column
	if c.rows[release] == nil {
		return nil, nil
	}
	p := c.program.Releases[release]
	return p.Columns[slices.Index(p.released(), c.tables[release].Names[k])].expr, &c.rows[release][row]
}

// facts are what is publicly known of a released number.
func (c *derivedIntervals) facts(e *expr.Expr) expr.Range {
	of, g := c.source(e)
	if of == nil {
		return expr.Range{Nullable: true, Lower: math.Inf(-1), Upper: math.Inf(1)}
	}
	return expr.RangeOf(of, g.facts)
}

// interval is the interval of a value that was computed by e. An end that is unknown is NULL or infinite.
func (c *derivedIntervals) interval(e *expr.Expr, v value.Value) (low, high value.Value) {
	if e != nil && e.Op == expr.OpColumn {
		return c.passed(e)
	}
	l, h := math.Inf(-1), math.Inf(1)
	if e != nil {
		l, h = c.bounds(e)
	}
	return value.Interval(l, h, v, v.Type())
}

// passed is the interval of a released number that is shown unchanged.
func (c *derivedIntervals) passed(e *expr.Expr) (low, high value.Value) {
	of := originOf(e)
	release, row, k := of.release, of.row, of.column
	ends := c.tables[release].Values[row][k+1:]
	return ends[0], ends[1]
}

// unknown reports whether a value depends on a released number that is NULL because of noise.
func (c *derivedIntervals) unknown(e *expr.Expr) bool {
	found := false
	if e != nil {
		e.Columns(func(relation, column string) {
			at := originOf(expr.Column(relation, column, e.Type))
			release, row, k := at.release, at.row, at.column
			found = found || c.tables[release].Values[row][k].IsNull()
		})
	}
	return found
}

func (c *derivedIntervals) bounds(e *expr.Expr) (low, high float64) {
	switch {
	case e.Op == expr.OpRound:
		half := 0.5 * math.Pow10(-int(e.Args[1].Value.Int64()))
		low, high = c.bounds(e.Args[0])
		return low - half, high + half
	case e.Op == expr.OpCast && e.Args[0].Type.Numeric():
		return c.bounds(e.Args[0])
	case e.Op == expr.OpIntDivide:
		low, high = c.bounds(scalar.Untruncated(e))
		return math.Trunc(low), math.Trunc(high)
	case e.Op == expr.OpLiteral:
		if e.Value.IsNull() {
			return math.Inf(-1), math.Inf(1)
		}
		return e.Value.Float64(), e.Value.Float64()
	}
	e = c.simple(e)
	if q, ok := c.quotient(e); ok && !q.Empty() {
		facts := c.public.Range(e)
		low, high = c.shareRange(e)
		facts.Lower, facts.Upper = math.Max(facts.Lower, low), math.Min(facts.Upper, high)
		return estimate.Clipped(dp.Ratio{Numerator: q.Top.Constant, Denominator: q.Bottom.Constant, Terms: c.alike(q)}, c.confidence, facts.Lower, facts.Upper)
	}
	return c.apart(e)
}

// shareRange bounds a quotient of exact numbers. A total in it is written as the sum of its groups.
func (c *derivedIntervals) shareRange(e *expr.Expr) (low, high float64) {
	q, ok := c.exactly(e)
	if !ok {
		return math.Inf(-1), math.Inf(1)
	}
	whole := func(i int, of estimate.Form) (int, float64, float64) {
		for _, d := range (estimate.Quotient{Bottom: of}).Partials() {
			x, y := c.noise[i], c.noise[d]
			if d == i || x.of != y.of || i-x.partial != d-y.partial { // both of one group
				continue
			}
			if l, u, ok := overlap.PartOf(x.of.Fragment.Partials[x.partial], y.of.Fragment.Partials[y.partial]); ok {
				return d, l, u
			}
		}
		return -1, 0, 0
	}
	return estimate.Parts{IsCount: func(i int) bool { return c.noise[i].count }, WholeOf: whole}.ShareRange(q)
}

// possible moves a value into the range where the exact value must lie.
func (c *derivedIntervals) possible(e *expr.Expr, v value.Value) value.Value {
	if e == nil || v.IsNull() || !v.Type().Numeric() {
		return v
	}
	inner := e
	if e.Op == expr.OpRound {
		inner = e.Args[0]
	}
	if inner.Op != expr.OpDivide && inner.Op != expr.OpSubtract {
		return v
	}
	low, high := c.shareRange(c.simple(inner))
	return value.Clamp(v, low, high)
}

// exactly writes an expression as a quotient of linear forms in exact numbers. A total becomes the sum of the groups
// released beside it.
func (c *derivedIntervals) exactly(e *expr.Expr) (estimate.Quotient, bool) {
	if r, ok := c.exact[e]; ok {
		return r.Quotient, r.ok
	}
	if c.terms < 0 {
		return estimate.Quotient{}, false
	}
	q, ok := quotientOf(e, c.exactly, func(e *expr.Expr) (estimate.Quotient, bool) { return c.leafOf(e, c.sum) })
	c.terms -= len(q.Top.Weights) + len(q.Bottom.Weights)
	c.exact[e] = result{q, ok}
	return q, ok
}

// sum adds a group's partial aggregate to a form, as the sum of its finest groups.
func (c *derivedIntervals) sum(f estimate.Form, release int, g *groupRow, partial int, w float64) {
	t := g.fit.of(partial)
	if t == nil {
		f.Weights[c.base(release, g.cell)+partial] += w
		return
	}
	finest, ok := t.family.marginals.Finest()
	if !ok || finest == t.table {
		finest = t.table
	}
	m := t.family.members[finest]
	for _, cell := range t.family.marginals.Within(t.table, g.position, finest) {
		f.Weights[c.base(m.release, t.family.cells[finest][cell])+m.partial] += w
		c.terms--
	}
}

// simple removes NULL handling where no value can be NULL.
func (c *derivedIntervals) simple(e *expr.Expr) *expr.Expr {
	if len(e.Args) == 0 {
		return e
	}
	if s, ok := c.simplified[e]; ok {
		return s
	}
	s := *e
	s.Args = make([]*expr.Expr, len(e.Args))
	constant := true
	for i, a := range e.Args {
		s.Args[i] = c.simple(a)
		constant = constant && s.Args[i].Op == expr.OpLiteral
	}
	of := &s
	switch {
	case e.Op == expr.OpIsNull && !c.public.Range(s.Args[0]).Nullable:
		of = expr.Literal(value.Bool(false))
	case e.Op == expr.OpCoalesce && s.Args[0].Type == e.Type && !c.public.Range(s.Args[0]).Nullable:
		of = s.Args[0]
	case constant:
		of = expr.Literal(expr.Evaluate(&s, nil))
	}
	c.simplified[e] = of
	return of
}

// quotient writes an expression as a quotient of linear forms in the numbers of noise.
func (c *derivedIntervals) quotient(e *expr.Expr) (estimate.Quotient, bool) {
	if r, ok := c.quotients[e]; ok {
		return r.Quotient, r.ok
	}
	if c.terms < 0 {
		return estimate.Quotient{}, false
	}
	q, ok := quotientOf(e, c.quotient, c.leaf)
	c.terms -= len(q.Top.Weights) + len(q.Bottom.Weights)
	c.quotients[e] = result{q, ok}
	return q, ok
}

// leaf writes a released number as a quotient of the numbers of noise.
func (c *derivedIntervals) leaf(e *expr.Expr) (estimate.Quotient, bool) { return c.leafOf(e, c.spread) }

// leafOf writes a released number as a quotient. spread adds each partial aggregate to a form.
func (c *derivedIntervals) leafOf(e *expr.Expr, spread func(estimate.Form, int, *groupRow, int, float64)) (estimate.Quotient, bool) {
	of, g := c.source(e)
	if of == nil {
		return estimate.Quotient{}, false
	}
	q, ok := g.quotient(of)
	if !ok {
		return estimate.Quotient{}, false
	}
	release := originOf(e).release
	moved := func(f estimate.Form) estimate.Form {
		m := estimate.Form{Constant: f.Constant, Weights: map[int]float64{}}
		for i, w := range f.Weights {
			spread(m, release, g, i, w)
		}
		return m
	}
	return estimate.Quotient{Top: moved(q.Top), Bottom: moved(q.Bottom)}, true
}

// spread adds a group's partial aggregate to a form: the released number, or the numbers of all tables that it was
// estimated from.
func (c *derivedIntervals) spread(f estimate.Form, release int, g *groupRow, partial int, w float64) {
	t := g.fit.of(partial)
	if t == nil {
		f.Weights[c.base(release, g.cell)+partial] += w
		return
	}
	for k, m := range t.family.members {
		for cell, share := range t.family.marginals.Weights(t.table, g.position, k) {
			f.Weights[c.base(m.release, t.family.cells[k][cell])+m.partial] += w * share
			c.terms--
		}
	}
}

// base is where a group's partial aggregates begin in noise. Releases that are the same share one place, because their
// cells are stored once.
func (c *derivedIntervals) base(release int, cell Cell) int {
	p := c.program.Releases[release]
	name := fmt.Sprintf("%d %#v", c.sameRelease[release], cell.Keys)
	base, ok := c.places[name]
	if !ok {
		base = len(c.noise)
		c.places[name] = base
		for i := range p.Fragment.Partials {
			c.noise = append(c.noise, noisyNumber{float64(cell.Noisy[p.places[i].start]), p.noise[i], p.isCount(i), p, i})
		}
	}
	return base
}

// alike lists a quotient's terms. Terms with equal weights and noise are merged into one with a count.
func (c *derivedIntervals) alike(q estimate.Quotient) []dp.RatioTerm {
	at := map[dp.RatioTerm]int{}
	var all []dp.RatioTerm
	for _, i := range q.Partials() {
		kind := dp.RatioTerm{Distribution: c.noise[i].noise, Numerator: q.Top.Weights[i], Denominator: q.Bottom.Weights[i]}
		k, ok := at[kind]
		if !ok {
			k = len(all)
			at[kind], all = k, append(all, kind)
		}
		all[k].Value += c.noise[i].value
		all[k].Count++
	}
	return all
}

// apart is interval arithmetic over the released numbers that an expression reads.
func (c *derivedIntervals) apart(e *expr.Expr) (low, high float64) {
	read := map[string]bool{}
	if c.terms >= 0 {
		e.Columns(func(relation, column string) { c.terms--; read[relation+" "+column] = true })
	}
	n := len(read)
	if c.terms < 0 { // then it may read all of them
		n = 0
		for _, t := range c.tables {
			n += len(t.Values) * len(t.Names)
		}
	}
	f := c.sharing(n).Range(e)
	return f.Lower, f.Upper
}

// sharing is interval arithmetic over intervals that hold together with the confidence, for n numbers. n is rounded up
// to a power of two, so that few confidences are needed.
func (c *derivedIntervals) sharing(n int) *expr.RangeAnalysis {
	n = 1 << bits.Len(uint(max(0, n-1)))
	if known := c.within[n]; known != nil {
		return known
	}
	tables := c.released(1 - (1-c.confidence)/float64(n))
	c.within[n] = expr.NewRangeAnalysis(func(e *expr.Expr) expr.Range {
		f := c.public.Range(e)
		of := originOf(e)
		release, row, k := of.release, of.row, of.column
		ends := tables[release].Values[row][k+1:] // they follow the number
		if low := ends[0]; !low.IsNull() {
			f.Lower = math.Max(f.Lower, low.Float64())
		}
		if high := ends[1]; !high.IsNull() {
			f.Upper = math.Min(f.Upper, high.Float64())
		}
		f.Domain = nil
		return f
	})
	return c.within[n]
}
