package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/overlap"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/scalar"
)

// Expected is the expected error of one column, computed before the query runs.
type Expected struct {
	Column string
	// HalfWidth is the half-width of the interval, in the column's unit. It is NaN if it is not known before the
	// answer.
	HalfWidth float64
	// Value is the value for which HalfWidth was computed, if HalfWidth depends on the answer; else NaN.
	Value float64
	// Values is the assumed number of values in each group, if the error depends on it; else 0.
	Values float64
	// From and To belong to a quantile or an extreme. They are the shares of the values under the ends of its interval,
	// in [0, 1]. For other columns both are 0.
	From, To float64
	Note     string
}

// String describes the error in words, without the column.
func (x Expected) String() string {
	if math.IsNaN(x.HalfWidth) {
		return x.Note
	}
	return strings.TrimSpace("± " + number(x.HalfWidth) + " " + x.Note)
}

// Expected returns the expected error of each noisy column at that confidence. It depends only on the plan and on a
// profile. If an error depends on the answer, it is computed for a plausible answer. In this answer, the profile or the
// catalog gives the number of values in each group, or else a round number is assumed, and the values are spread evenly
// over their bounds. The width of a quantile's interval in the unit of its values is not known in advance. So From and
// To tell which shares of the values lie under its ends, which depends only on noise.
func (p *Plan) Expected(confidence float64) (all []Expected) {
	n, note := p.size(confidence)
	g := p.group(p.suppose(nil, n))
	g.asIs = true
	for _, c := range p.Columns {
		if !c.Ranged() {
			continue
		}
		x := p.known(c, confidence)
		if v := g.evaluate(c.expr); p.supposed > 0 && !v.IsNull() {
			x.Value = v.Float64()
		}
		if x.Note == "" && math.IsNaN(x.HalfWidth) {
			x = g.expected(c, confidence)
			if q, ok := g.quotient(scalar.Unrounded(c.expr)); ok && q.Bottom.IsConstant() { // as wide, however many values there are
				x.Note = ""
			} else {
				x.Values, x.Note = n, strings.TrimPrefix(x.Note+", "+note, ", ")
			}
		}
		switch known := !math.IsNaN(x.HalfWidth); {
		case known && c.Type == value.TypeInt: // ends are rounded outward
			x.HalfWidth = math.Ceil(x.HalfWidth)
		case known && c.Type == value.TypeDate:
			x.Note = "days, " + x.Note
		case known && c.Type == value.TypeTimestamp:
			x.HalfWidth /= scalar.MicrosecondsPerSecond
			x.Note = "seconds, " + x.Note
		}
		all = append(all, x)
	}
	return all
}

// known returns the error of a column if it does not depend on the answer. For other columns it sets neither a
// half-width nor a note.
func (p *Plan) known(c Column, confidence float64) Expected {
	x := Expected{Column: c.Name, HalfWidth: math.NaN(), Value: math.NaN()}
	for _, i := range p.aggregatesOf(c.expr) {
		a := &p.Aggregates[i]
		seen := func(t estimate.Tree) float64 { return t.ThresholdOf(a.argument) }
		if a.function == lowestOf || a.function == highestOf || a.function == mostOf {
			seen = func(t estimate.Tree) float64 { return t.ShownFrom(a.argument) }
		}
		switch {
		case a.ofValues:
			x.Note = fmt.Sprintf("values that fewer than about %s rows have are not seen", estimate.Plain(math.Ceil(seen(p.tree(a.Partials[0], nil)))))
			return x
		case a.function == aggregates["approx_bounds"]:
			x.Note = fmt.Sprintf("powers of two that fewer than about %s rows lie between are not seen", estimate.Plain(math.Ceil(p.tree(a.Partials[0], nil).FilledFrom())))
			return x
		}
	}
	of, factor := scalar.Affine(c.expr)
	if factor == 0 {
		return x
	}
	a := &p.Aggregates[refOf(of.Relation, of.Column).index]
	if f, ok := a.linear(); ok {
		x.HalfWidth = math.Abs(factor) * p.halfWidthOf(f, confidence)
	} else if a.function == aggregates["histogram"] && of == c.expr {
		x.HalfWidth = p.tree(a.Partials[0], nil).Noise.HalfWidth(confidence)
	}
	return x
}

// expected returns the error of a column in a plausible group.
func (g group) expected(c Column, confidence float64) Expected {
	x := Expected{Column: c.Name, HalfWidth: math.NaN(), Value: math.NaN()}
	of := scalar.Unrounded(c.expr)
	if at, factor := scalar.Affine(of); factor != 0 {
		if a := &g.plan.Aggregates[refOf(at.Relation, at.Column).index]; a.ofTree {
			if x.From, x.To, x.Note = g.shares(a, confidence); !g.plan.evenly {
				return x
			}
			x.Note = ""
		}
	}
	r := g.plan.prepare(c.expr, confidence)
	low, high := g.interval(r.unbounded())
	if math.IsInf(high-low, 0) || math.IsNaN(high-low) {
		low, high = g.interval(g.plan.prepare(c.expr, confidence))
	}
	if x.HalfWidth = (high - low) / 2; math.IsInf(x.HalfWidth, 0) {
		x.HalfWidth = math.NaN()
	}
	if v := g.evaluate(c.expr); !v.IsNull() {
		x.Value = v.Float64()
	}
	if !math.IsNaN(x.Value) && c.Type.Numeric() && !r.trees {
		x.Note = "where it is " + estimate.Plain(x.Value)
	}
	if !r.divided() {
		x.Note = strings.TrimPrefix(x.Note+", if the values lie evenly between their bounds", ", ")
	}
	if g.asIs = false; math.IsNaN(x.HalfWidth) || g.evaluate(c.expr).IsNull() {
		x.Note = "noise may be all there is, and the number NULL"
	}
	return x
}

// shares returns the shares of the values that lie under the ends of a quantile's interval, also in words.
func (g group) shares(a *Aggregate, confidence float64) (from, to float64, note string) {
	t := g.tree(a)
	_, low, high := a.read(*t, a.argument, confidence)
	if t.Whole && high < t.Upper {
		high++ // values up to high lie under the next value
	}
	from, to = (low-t.Lower)/(t.Upper-t.Lower), (high-t.Lower)/(t.Upper-t.Lower)
	return from, to, bias.Percentiles(from, to, a.function == aggregates["min"], a.function == aggregates["max"])
}

// divided reports whether an expression is divided by the number of rows or patients. Then the width of its interval
// does not depend on the values.
func (r *releasedExpr) divided() bool {
	for r.inner != nil {
		r = r.inner
	}
	return r.quotient != nil && !slices.ContainsFunc(r.quotient.used, func(i int) bool {
		return r.quotient.Bottom.Weights[i] != 0 && r.plan.Fragment.Partials[i].Grid != nil
	})
}

// unbounded makes the interval of a quotient as wide as noise makes it, without cutting it to the possible range.
func (r *releasedExpr) unbounded() *releasedExpr {
	for of := r; of != nil; of = of.inner {
		of.bounds.Lower, of.bounds.Upper = math.Inf(-1), math.Inf(1)
	}
	return r
}

// size returns the number of values in each group for which errors are computed, also in words.
func (p *Plan) size(confidence float64) (n float64, note string) {
	const tenth = "with a tenth of them ten times as wide"
	values := "values"
	if len(p.Fragment.Keys) > 0 {
		values = "values in each group"
	}
	switch {
	case p.supposed > 0:
		return p.supposed, fmt.Sprintf("with about %s %s", estimate.Plain(p.supposed), values)
	case p.most > 0:
		return p.most, fmt.Sprintf("with about %s %s, if the query keeps all rows; %s", estimate.Plain(p.most), values, tenth)
	}
	least := 0.0
	for i, partial := range p.Fragment.Partials {
		half := p.noise[i].HalfWidth(confidence) / float64(p.Proof.Units[i])
		switch {
		case p.measures(i):
		case partial.Buckets != nil:
			least = math.Max(least, p.tree(i, nil).TotalHalfWidth(confidence))
		case partial.Grid == nil:
			least = math.Max(least, half)
		case partial.Grid.Center == 0:
			least = math.Max(least, half/math.Max(math.Abs(float64(partial.Grid.Lower)), math.Abs(float64(partial.Grid.Upper))))
		}
	}
	for n = fewValues; n < 10*least; n *= 10 {
	}
	return n, fmt.Sprintf("with %s %s; %s", estimate.Plain(n), values, tenth)
}

// fewValues is the least number of values assumed in a group if the number is not known. The number grows until the
// noise is small compared with it.
const fewValues = 1000

// suppose returns a plausible group of n values, spread evenly over their bounds.
func (p *Plan) suppose(keys []value.Value, n float64) Cell {
	cell := Cell{Keys: keys}
	for _, k := range p.Fragment.Keys[len(keys):] {
		v := value.Null(k.Expr.Type)
		if len(k.Domain) > 0 {
			v = k.Domain[0]
		}
		cell.Keys = append(cell.Keys, v)
	}
	for i, partial := range p.Fragment.Partials {
		unit := float64(p.Proof.Units[i])
		x := []int64{int64(n * unit)}
		switch {
		case p.measures(i): // as if nothing were clipped
			x[0] = 0
		case partial.Kind == fragment.PartialPatients && partial.Expr != nil: // half of all patients
			x[0] /= 2
		case partial.Grid != nil:
			g := partial.Grid
			mean := float64(g.Lower)/2 + float64(g.Upper)/2
			if e := partial.Expr; e.Op == expr.OpMultiply && e.Args[0].Equal(e.Args[1]) {
				mean = float64(g.Upper) / 3 // the mean square of values spread evenly over [-1, 1]
			}
			x[0] = int64(n * (mean - float64(g.Center)) * unit)
		case partial.Buckets != nil:
			leaves := make([]int64, partial.Buckets.Leaves())
			under := func(j int) int64 { return int64(math.Round(n * unit * float64(j) / float64(len(leaves)))) }
			for j := range leaves {
				leaves[j] = under(j+1) - under(j)
			}
			x = p.Coordinates(i, leaves)
		}
		cell.Noisy = append(cell.Noisy, x...)
	}
	return cell
}

// Expected returns the expected error of each noisy column of the answer.
func (p *Program) Expected(confidence float64) []Expected {
	if p.post == nil {
		return p.Releases[0].Expected(confidence)
	}
	released := make([]map[string]Expected, len(p.Releases))
	for i := range p.Releases {
		released[i] = p.expectedOf(i, confidence)
	}
	var all, trial []Expected
	for i, c := range p.Columns {
		if !c.Ranged() {
			continue
		}
		x, ok := p.passed(p.post.columns[i].name, released)
		if !ok {
			if trial == nil {
				trial = p.trial(confidence)
			}
			x = trial[i]
		}
		x.Column = c.Name
		all = append(all, x)
	}
	return all
}

// passed returns the error of a column that is passed on from releases, the largest of them. ok is false if the column
// is computed.
func (p *Program) passed(name string, released []map[string]Expected) (x Expected, ok bool) {
	from, how := relational.PassedFrom(p.post.Query, name)
	x = Expected{Value: math.NaN()}
	if how == relational.IsPlace {
		x.HalfWidth, x.Note = math.NaN(), "no interval: the order of noisy numbers decides it"
	}
	for i, of := range from {
		next, known := released[of.Release-1][of.Column]
		// the intervals of one arm may be wider than those of another
		if !known || len(from) > 1 && math.IsNaN(next.HalfWidth) {
			return x, false
		}
		if i == 0 || next.HalfWidth > x.HalfWidth {
			x = next
		}
	}
	return x, how != relational.IsComputed
}

// mostTried is the maximum number of released numbers in a trial.
const mostTried = 20_000

// trial returns the expected error of each column that is computed from released numbers: the median half-width and the
// median value of the rows. The rows are computed from plausible releases with the same number of values.
func (p *Program) trial(confidence float64) []Expected {
	all := make([]Expected, len(p.Columns))
	for i := range all {
		all[i] = Expected{HalfWidth: math.NaN(), Value: math.NaN(), Note: "computed from released numbers: its interval comes with the answer, and may be open"}
	}
	groups, most, n, fewest := make([][][]value.Value, len(p.Releases)), 1, 0.0, math.MaxInt
	for i, release := range p.Releases {
		groups[i] = overlap.Groups(release.Fragment, undeclaredGroups, mostTried)
		if most = max(most, len(groups[i])); len(groups[i])*release.places[len(release.places)-1].end > mostTried || p.lifeTables[i+1] != nil {
			return all
		}
		size, _ := release.size(confidence)
		n, fewest = math.Max(n, size*float64(len(groups[i]))), min(fewest, overlap.Conditions(release.Fragment))
	}
	cells := make([][]Cell, len(p.Releases))
	for i, release := range p.Releases {
		of := n / float64(len(groups[i]))
		if overlap.Conditions(release.Fragment) > fewest { // it counts only some of the rows of another release
			of /= 2
		}
		for _, keys := range groups[i] {
			cells[i] = append(cells[i], release.suppose(keys, of))
		}
	}
	c, err := p.compute(cells, confidence)
	if err != nil || len(p.Lookups) > 0 {
		return all
	}
	rows, err := p.post.Trace(p.tables(c, nil), "")
	if err != nil {
		return all
	}
	answer := p.post.answer(p.Columns, rows, c)
	for i, column := range p.Columns {
		var halfWidths, values []float64
		for _, row := range answer.Rows {
			if e := row[i]; column.Ranged() && column.Type.Numeric() && !e.Value.IsNull() && !e.Low.IsNull() && !e.High.IsNull() {
				halfWidths, values = append(halfWidths, (e.High.Float64()-e.Low.Float64())/2), append(values, e.Value.Float64())
			}
		}
		slices.Sort(halfWidths)
		slices.Sort(values)
		if len(values) == 0 || halfWidths[len(values)/2] == 0 { // such as the number of groups, which is not known
			continue
		}
		x := &all[i]
		x.HalfWidth, x.Value, x.Values = halfWidths[len(values)/2], values[len(values)/2], n/float64(most)
		x.Note = fmt.Sprintf("where it is %s, with about %s values", estimate.Plain(x.Value), estimate.Plain(math.Round(x.Values)))
		if most > 1 {
			x.Note += fmt.Sprintf(" in each of %d groups", most)
		}
	}
	return all
}

// expectedOf returns the expected errors of a release by column name.
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
		if release.Columns[k].Ranged() {
			of[name], all = all[0], all[1:]
		}
	}
	return of
}
