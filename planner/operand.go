package planner

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// operand is an argument over the rows, with what is known of it.
func (b *builder) operand(t *syntax.Expr) operand {
	e := b.Row(t)
	o := operand{Expr: e, facts: b.facts(e), term: t, likely: b.likely(e)}
	if !o.facts.Bounded() {
		o.none = b.none(o)
	}
	return o
}

// timesInFull is how many times as many rows a patient may have as count in full, where a tree of buckets is read,
// which a wide range costs little.
const timesInFull = 16

// bounded is an operand; one that is made of how many rows a patient has, of which nobody gives bounds, is clamped: as
// many count as count in full, or in a tree more.
func (b *builder) bounded(t *syntax.Expr, f *function) operand {
	o := b.operand(t)
	if o.facts.Bounded() || o.none != "" || !o.Type.Numeric() || f == aggregates["approx_bounds"] || f == aggregates["count"] {
		return o
	}
	times := 1
	if f.ofTree {
		times = timesInFull
	}
	most := b.InFull(o.Expr, times)
	bound := func(x float64) *expr.Expr { return expr.Literal(value.Float(x)) }
	if o.Type == value.TypeInt {
		most.Lower, most.Upper = math.Ceil(most.Lower), math.Floor(most.Upper)
		bound = func(x float64) *expr.Expr { return expr.Literal(value.Int(int64(x))) }
	}
	if !most.Bounded() || most.Lower > most.Upper || math.Max(-most.Lower, most.Upper) > mostInFull {
		return o
	}
	name, lower, upper := t.Describe(), bound(most.Lower), bound(most.Upper)
	if o.facts.Nullable {
		o.Expr = scalar.Clamp(t.At, o.Expr, lower, upper)
	} else {
		o.Expr = scalar.Within(t.At, o.Expr, lower, upper)
	}
	o.facts = b.facts(o.Expr)
	b.plan.inFull = append(b.plan.inFull, fmt.Sprintf("%s is made of how many rows a patient has, which has no bounds: it counts as %s to %s, by max_rows in the catalog; CLAMP(%[1]s, lowest, highest) says otherwise",
		name, lower, upper))
	return o
}

// mostInFull is what whole numbers of that size and below are as float64.
const mostInFull = 1 << 53

// none tells why no row has a value of an operand; "" where some may.
func (b *builder) none(o operand) (why string) {
	if d := o.facts.Domain; len(d) == 1 && d[0].IsNull() {
		return alwaysNull
	}
	looked := map[*expr.Expr]bool{}
	var look func(e *expr.Expr)
	look = func(e *expr.Expr) {
		if why != "" || looked[e] {
			return
		}
		looked[e] = true
		if e.Op == expr.OpColumn {
			if f := b.facts(e); f.Lower > f.Upper { // by WHERE, so there is no row
				why = noRow
			}
		}
		for _, a := range e.Args {
			look(a)
		}
	}
	look(o.Expr)
	return why
}

// likely is what was released of a column of a table before; nil where nothing was.
func (b *builder) likely(e *expr.Expr) *Likely {
	if e.Op != expr.OpColumn {
		return nil
	}
	for _, s := range b.Sources {
		if s.Name == e.Relation && s.Query == nil {
			if l, ok := b.federation.Likely[s.Table+"."+e.Column]; ok {
				return &l
			}
		}
	}
	return nil
}
