package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/clamp"
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
			what := fmt.Sprintf("%s from %s to %s", bias.Abridged(c.Args[0].Args[0].String()), c.Args[1], c.Args[0].Args[1])
			said := "CLAMP (" + what + ")"
			if given := slices.IndexFunc(b.plan.inFull, func(of inFull) bool { return of.clamped.Equal(c) }); given >= 0 {
				said = fmt.Sprintf("the limit that max_rows gives (%s from %s to %s)", b.plan.inFull[given].name, c.Args[1], c.Args[0].Args[1])
			}
			i := slices.IndexFunc(all, func(o clampCount) bool { return o.what == what })
			if i < 0 {
				all = append(all, clampCount{of: -1, sums: []*expr.Expr{partial.Expr}, moved: moved, what: what, said: said})
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

// readMoved reads how many values a clamp moved.
func (p *Plan) readMoved(c clampCount, cells []Cell, confidence float64) bias.Part {
	if c.of < 0 {
		return bias.Moved(p.overall(c.partial, cells), nil, confidence)
	}
	all := p.overall(c.of, cells)
	return bias.Moved(p.overall(c.partial, cells), &all, confidence)
}

// clampWarnings says how many values each clamp moved. It omits a clamp that surely moved less than a thousandth.
func (p *Plan) clampWarnings(cells []Cell, confidence float64) (all []string) {
	for _, c := range p.clamped {
		if text := p.readMoved(c, cells, confidence).Outside(p.unqualified(c.said)); text != "" {
			all = append(all, text)
		}
	}
	return all
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
