package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/clamp"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
)

// clamps lists the CLAMPs that may move values and that are to be measured.
func (b *builder) clamps() []clampCount {
	if b.federation.Uncounted {
		return nil
	}
	var all []clampCount
	for _, partial := range b.fragment.Partials {
		if partial.Kind != fragment.PartialSum {
			continue
		}
		for _, c := range clamp.Within(partial.Expr) {
			moved := clamp.Moves(partial.Expr, c, b.syntax.At, b.facts)
			if moved == nil {
				continue
			}
			what := fmt.Sprintf("%s from %s to %s", abridged(c.Args[0].Args[0].String()), c.Args[1], c.Args[0].Args[1])
			i := slices.IndexFunc(all, func(o clampCount) bool { return o.what == what })
			if i < 0 {
				all = append(all, clampCount{of: -1, sums: []*expr.Expr{partial.Expr}, moved: moved, what: what})
				continue
			}
			all[i].sums = append(all[i].sums, partial.Expr)
			if !all[i].moved.Equal(moved) {
				all[i].moved = scalar.Apply(b.syntax.At, expr.OpOr, all[i].moved, moved)
			}
		}
	}
	slices.SortFunc(all, func(x, y clampCount) int { return strings.Compare(x.what, y.what) })
	for i, c := range all {
		all[i].moved = scalar.Apply(b.syntax.At, expr.OpCase, c.moved, expr.Literal(value.Int(1)), expr.Literal(value.Null(value.TypeInt)))
	}
	return all
}

// unmeasured names what may move summed values and is not measured: bounds of columns, which a hospital applies before
// anything else, and CLAMPs in subqueries.
func (b *builder) unmeasured() (all []string) {
	var bounded []string
	add := func(to *[]string, text string) {
		if !slices.Contains(*to, text) {
			*to = append(*to, text)
		}
	}
	for _, partial := range b.fragment.Partials {
		if partial.Kind != fragment.PartialSum {
			continue
		}
		b.unclamped(partial.Expr, func(relation, column string) {
			s := b.Of(relation)
			if s.Query != nil {
				if clamp.Makes(s.Query) {
					add(&all, "what CLAMP moves in a query within this one is not measured")
				}
				return
			}
			if c, ok := s.Schema.Column(column); ok && c.Lower.Valid() && c.Type.Numeric() {
				add(&bounded, fmt.Sprintf("%s.%s %s to %s", s.Schema.Name, c.Name, c.Lower, c.Upper))
			}
		})
		if b.federation.Uncounted && len(clamp.Within(partial.Expr)) > 0 {
			add(&all, "what CLAMP moves is not measured, since the study may not count values")
		}
	}
	if len(bounded) > 0 {
		all = append(all, fmt.Sprintf("values beyond the catalog's bounds count as the nearest, and how many is not measured: %s", strings.Join(bounded, ", ")))
	}
	return all
}

// unclamped calls fn for the columns of an expression. It skips columns inside a measured CLAMP that is narrower than
// their bounds: a value beyond the bounds is then also beyond the CLAMP, and counted there.
func (b *builder) unclamped(e *expr.Expr, fn func(relation, column string)) {
	switch {
	case e.Op == expr.OpColumn:
		fn(e.Relation, e.Column)
	case e.Op == expr.OpIsNull: // bounds do not change whether a value is NULL
		return
	case clamp.Is(e) && !b.federation.Uncounted && e.Args[0].Args[0].Op == expr.OpColumn:
		x, upper, lower := e.Args[0].Args[0], e.Args[0].Args[1].Value, e.Args[1].Value
		s := b.Of(x.Relation)
		if c, ok := s.Schema.Column(x.Column); ok && s.Query == nil && c.Lower.Valid() && lower.Float64() > c.Lower.Float64() && upper.Float64() < c.Upper.Float64() {
			return
		}
	}
	for _, a := range e.Args {
		b.unclamped(a, fn)
	}
}

// countOf is the index of the partial aggregate that counts the values of one of the sums; -1 if there is none.
func (b *builder) countOf(sums []*expr.Expr, partials []fragment.Partial) int {
	return slices.IndexFunc(partials, func(p fragment.Partial) bool {
		return slices.ContainsFunc(sums, func(e *expr.Expr) bool {
			return p.Kind == fragment.PartialValues && p.Expr.Equal(e) || p.Kind == fragment.PartialRows && !b.facts(e).Nullable
		})
	})
}

// Moved is how many values CLAMP moved to the nearest of its bounds, over all groups, measured with noise.
type Moved struct {
	Amount, HalfWidth float64
	// Share of all values, with the ends of its interval, in [0, 1]; NaN if the values were not counted.
	Share, Low, High float64
	// Surely is an upper bound of the share at 99.9 % confidence.
	Surely float64
}

// moved reads how many values a clamp moved.
func (p *Plan) moved(c clampCount, cells []Cell, confidence float64) Moved {
	n := max(1, len(cells))
	amount := p.overall(c.partial, cells)
	low, high := p.overallWithin(c.partial, amount, n, confidence)
	m := Moved{Amount: math.Max(0, amount), HalfWidth: (high - low) / 2, Share: math.NaN(), Low: math.NaN(), High: math.NaN()}
	if c.of < 0 {
		return m
	}
	all := p.overall(c.of, cells)
	// each of the two may fail with half of the allowed probability
	within := func(confidence float64) (low, high float64) {
		least, most := p.overallWithin(c.partial, amount, n, (1+confidence)/2)
		leastAll, mostAll := p.overallWithin(c.of, all, n, (1+confidence)/2)
		return estimate.PartOf(least, mostAll, 0), estimate.PartOf(most, leastAll, 1)
	}
	m.Low, m.High = within(confidence)
	_, m.Surely = within(0.999)
	m.Share = math.Max(m.Low, math.Min(m.High, estimate.PartOf(amount, all, 0.5)))
	return m
}

// moves says how many values each clamp moved. It omits a clamp that surely moved less than a thousandth.
func (p *Plan) moves(cells []Cell, confidence float64) (all []string) {
	for _, c := range p.clamped {
		m := p.moved(c, cells, confidence)
		half := math.Max(m.High-m.Share, m.Share-m.Low)
		var much string
		switch {
		case math.IsNaN(m.Share) && m.Amount > m.HalfWidth:
			much = fmt.Sprintf("about %s ± %s of the values", number(math.Round(m.Amount)), number(math.Ceil(m.HalfWidth)))
		case math.IsNaN(m.Share):
			much = fmt.Sprintf("0 to %s of the values", number(math.Ceil(m.Amount+m.HalfWidth)))
		case m.Low <= 0 && m.Surely < 0.001:
			continue
		case m.Low <= 0 && m.High >= hidden:
			all = append(all, fmt.Sprintf("how many of the values CLAMP moves (%s) is hidden by noise, and a larger epsilon would tell: sums and averages are of what it makes of them", p.unqualified(c.what)))
			continue
		case m.Low <= 0:
			much = upTo(m.High) + " of the values"
		default:
			much = fmt.Sprintf("about %s ± %s of the values", percent(m.Share), percent(math.Ceil(1000*half)/1000))
		}
		all = append(all, fmt.Sprintf("%s are outside of CLAMP (%s) and count as the nearest bound: sums and averages are of what it makes of them", much, p.unqualified(c.what)))
	}
	return all
}

// spoken writes an expression for a warning: CLAMP as it is written, a date as a date, without names that planning
// made. For a long expression it lists only the columns.
func (p *Plan) spoken(e *expr.Expr) string {
	const longest = 60
	if e.Op == expr.OpDivide && e.Args[1].Op == expr.OpLiteral && sinceEpoch(e.Args[0]) {
		e = e.Args[0] // the division turns microseconds into seconds
	}
	if sinceEpoch(e) {
		e = e.Args[0]
	}
	if e.Op == expr.OpCase && len(e.Args) == 3 && e.Args[0].Op == expr.OpIsNull && clamp.Is(e.Args[2]) {
		if x := e.Args[2].Args[0]; x.Args[0].Equal(e.Args[0].Args[0]) {
			of, lower, upper := p.spoken(x.Args[0]), e.Args[2].Args[1], x.Args[1]
			if strings.Contains(of, ", ") { // a list of columns would read as arguments
				return fmt.Sprintf("CLAMP(…, %s, %s) of %s", lower, upper, of)
			}
			return fmt.Sprintf("CLAMP(%s, %s, %s)", of, lower, upper)
		}
	}
	text := e.String()
	if utf8.RuneCountInString(text) > longest {
		var columns []string
		e.Columns(func(relation, column string) {
			if c := relation + "." + column; !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		})
		text = strings.Join(columns, ", ")
	}
	return abridged(p.unqualified(text))
}

// ofWhat is " of " and the expression. It is empty for a column that planning named.
func (p *Plan) ofWhat(e *expr.Expr) string {
	if text := p.spoken(e); text != "value" && !strings.HasPrefix(text, "value_") {
		return " of " + text
	}
	return ""
}

// sinceEpoch reports whether an expression turns a date or a timestamp into a number.
func sinceEpoch(e *expr.Expr) bool {
	return e.Op == expr.OpSubtract && e.Args[1].Op == expr.OpLiteral && (*e.Args[1].Value == value.Date(0) || *e.Args[1].Value == value.Timestamp(0))
}

// unqualified removes from a text the names that planning gave to derived relations.
func (p *Plan) unqualified(text string) string {
	for _, r := range p.Fragment.Relations {
		if r.Query != nil {
			text = strings.ReplaceAll(text, r.Name+".", "")
		}
	}
	return text
}
