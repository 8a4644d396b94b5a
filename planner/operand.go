package planner

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// operand returns an argument over the rows, with what is known of it.
func (b *builder) operand(t *syntax.Expr) operand {
	e := b.Row(t)
	o := operand{Expr: e, facts: b.facts(e), term: t, likely: b.likely(e)}
	if !o.facts.Bounded() {
		o.none = b.emptyReason(o)
	}
	return o
}

// timesInFull: if a tree of buckets is read, a patient's number of rows may be this many times the number that counts
// in full. A wide range costs a tree little.
const timesInFull = 16

// bounded returns an operand with bounds. If it is computed from how many rows a patient has and nothing bounds it, it
// is clamped to the number of rows that counts in full, or to a multiple of it for a tree.
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
	within := scalar.Within(t.At, o.Expr, lower, upper)
	if o.facts.Nullable {
		o.Expr = scalar.Clamp(t.At, o.Expr, lower, upper)
	} else {
		o.Expr = within
	}
	o.facts = b.facts(o.Expr)
	b.plan.inFull = append(b.plan.inFull, inFull{within, name, fmt.Sprintf("%s is made of how many rows a patient has, which has no bounds: it counts as %s to %s, by max_rows in the catalog; CLAMP(%[1]s, lowest, highest) says otherwise",
		name, lower, upper)})
	return o
}

// mostInFull: whole numbers up to this are exact as float64.
const mostInFull = 1 << 53

// emptyReason tells why an operand has no value in any row; "" if it may have one.
func (b *builder) emptyReason(o operand) (why string) {
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

// likely is what an earlier release told of a table's column; nil if there was none.
func (b *builder) likely(e *expr.Expr) *Likely {
	if e.Op != expr.OpColumn {
		return nil
	}
	for _, s := range b.Sources {
		if s.Name == e.Relation && s.Query == nil {
			if l, ok := b.federation.Likely[ColumnOf{s.Table, e.Column}]; ok {
				return &l
			}
		}
	}
	return nil
}
