package relational

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// scalar plans a subquery that stands for one value.
func (r *Resolver) scalar(t *syntax.Expr) *expr.Expr {
	q := t.Query
	s := q.Select
	if s == nil || len(s.Items) != 1 || len(s.GroupBy) > 0 || s.Having != nil || s.Qualify != nil || s.Distinct {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "select one aggregate, such as MAX(date), tied to the patient", "this subquery is no single value")
	}
	aggregated := s.Items[0].Term.Aggregate() != nil
	if c := r.composer; c != nil && aggregated && !c.Nested(q, r.Scope) { // over patients: one row of another release
		d := c.Derive(q, r.Scope)
		one := r.Adopt(d, "", t.At)
		one.Join = fragment.JoinCross
		value, _ := one.Schema.Column(d.Named[0].Column)
		return one.Expr(value)
	}
	top := q.Limit != nil && !aggregated
	if top && (q.Offset != nil || len(q.OrderBy) == 0 || RowsAsked(q.Limit, "LIMIT") != 1) {
		syntax.Refuse(syntax.CodeType, q.Limit.At, "write ORDER BY … LIMIT 1", "a subquery that stands for one value has one row, the first in an order")
	}
	in := r.Inner(r.Scope.Extend(q.With))
	if in.Depth > MaxQueryDepth {
		syntax.Refuse(syntax.CodeTooLarge, t.At, "ask it in fewer steps", "queries nest deeper than %d", MaxQueryDepth)
	}
	in.Read(s)
	if first := r.Catalog.First; first != nil && in.Patient != nil && aggregated && !in.ReadsAround() {
		return first(q, r.Scope)
	}
	term := s.Items[0].Term
	var functions []fragment.Output
	add := func(o fragment.Output, name string) *expr.Expr {
		i := slices.IndexFunc(functions, func(f fragment.Output) bool { return sameOutput(f, o) })
		if i < 0 {
			i = len(functions)
			o.Name = name
			for slices.ContainsFunc(functions, func(f fragment.Output) bool { return f.Name == o.Name }) {
				o.Name += "_2"
			}
			functions = append(functions, o)
		}
		return expr.Column(scalarRelation, functions[i].Name, functions[i].Type())
	}
	var resolve func(*syntax.Expr) *expr.Expr
	resolve = func(t *syntax.Expr) *expr.Expr {
		if t.IsAggregate() {
			return add(in.function(t, in.Row))
		}
		if t.Kind == syntax.Column {
			in.Row(t)
			syntax.Refuse(syntax.CodeNotGrouped, t.At, "aggregate it, such as MAX("+t.Describe()+")", "%s differs from row to row", t.Describe())
		}
		return scalar.Build(t, resolve)
	}
	var result *expr.Expr
	if aggregated {
		result = resolve(term)
	} else if !top {
		result = add(fragment.Output{Function: fragment.FunctionMax, Expr: in.Row(term)}, "value")
	}
	pairs := in.splitCorrelation(r, nil, t.At)
	if top {
		if in.Patient != nil && len(pairs) == 0 {
			syntax.Refuse(syntax.CodePatientsMixed, t.At, "tie it to the patient, such as WHERE inner.person_id = outer.person_id", "the first row among all patients' would be one patient's")
		}
		var x *expr.Expr
		in, pairs, x = in.first(q, pairs)
		result = add(fragment.Output{Function: fragment.FunctionMax, Expr: x}, "value")
	}
	if in.Patient != nil && aggregated && len(pairs) == 0 {
		syntax.Refuse(syntax.CodeNested, t.At, "ask for it in a query of its own and write the number here, or tie it to the patient", "this subquery aggregates over patients")
	}
	if !aggregated && !top && !in.atMostOneRow(pairs) {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "aggregate it, such as MAX("+term.Describe()+"), or write ORDER BY … LIMIT 1", "this subquery may give several rows")
	}
	joined := r.leftJoinSubquery(in, pairs, functions, t.At)
	return result.Replace(func(e *expr.Expr) *expr.Expr {
		if e.Op != expr.OpColumn || e.Relation != scalarRelation {
			return e
		}
		c, _ := joined.Schema.Column(e.Column)
		x := joined.Expr(c)
		for _, f := range functions {
			if f.Name == e.Column && (f.Function == fragment.FunctionRows || f.Function == fragment.FunctionCount || f.Function == fragment.FunctionDistinct) && joined.Join == fragment.JoinLeft {
				return scalar.Apply(t.At, expr.OpCoalesce, x, expr.Literal(value.Int(0)))
			}
		}
		return x
	})
}

// scalarRelation stands for the subquery until it is joined.
var scalarRelation = syntax.Internal("scalar")

// atMostOneRow reports whether the subquery has at most one row for each outer row.
func (r *Resolver) atMostOneRow(pairs []correlation) bool {
	given := make([]*expr.Expr, len(pairs))
	for i, p := range pairs {
		given[i] = p.inner
	}
	return r.scope().OneRow(r.Filter, given...)
}
