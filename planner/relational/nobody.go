package relational

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// refuseNobody refuses conditions of WHERE that no row can fulfil, whatever the tables contain. Such a query would
// waste budget, and its answer near 0 would seem to say something. Only the text and the catalog's bounds decide. A
// declared domain does not, because rows may have other values.
func (r *Resolver) refuseNobody(where *syntax.Expr) {
	type asked struct {
		of *expr.Expr
		expr.Range
	}
	var all []asked
	for _, t := range where.Conjuncts() {
		if !comparesOne(t) {
			continue
		}
		e := scalar.Normalized(r.Row(t))
		if !comparesConstants(e) {
			continue
		}
		r.refuseBeyond(t, e)
		if r.Patient == nil && r.composer == nil {
			continue // an empty answer about public rows costs nothing
		}
		i := slices.IndexFunc(all, func(a asked) bool { return a.of.Equal(e.Args[0]) })
		if i < 0 && len(all) == maxCompared {
			continue
		}
		if i < 0 {
			i = len(all)
			all = append(all, asked{e.Args[0], expr.Unknown(true)})
		}
		if all[i].Range = restricted(all[i].Range, e); none(all[i].Range) {
			syntax.Refuse(syntax.CodeBounds, t.At, "change one of the conditions; BETWEEN has the lower bound first",
				"no row fulfils this: no value of %s meets all the conditions on it", compared(t).Describe())
		}
	}
}

// maxCompared is the maximum number of terms in one WHERE whose conditions are compared with each other.
const maxCompared = 100

// comparesOne reports whether a condition compares one term with constants.
func comparesOne(t *syntax.Expr) bool {
	if t.Kind != syntax.Operator || t.Name != "in" && (!syntax.IsComparison(t.Name) || t.Name == "<>" || t.Name == "!=") {
		return false
	}
	terms := 0
	for _, a := range t.Args {
		if a.Kind != syntax.Literal {
			terms++
		}
	}
	// A term with a subquery would be joined, so it is not resolved twice.
	joined := func(x *syntax.Expr) bool { return x.Query != nil }
	return terms == 1 && t.Find(joined) == nil
}

// compared returns the term that a comparison compares with constants.
func compared(t *syntax.Expr) *syntax.Expr {
	if t.Args[0].Kind == syntax.Literal {
		return t.Args[1]
	}
	return t.Args[0]
}

// comparesConstants reports whether a condition compares something with constants.
func comparesConstants(e *expr.Expr) bool {
	switch e.Op {
	case expr.OpEqual, expr.OpLess, expr.OpLessOrEqual, expr.OpGreater, expr.OpGreaterOrEqual, expr.OpIn:
	default:
		return false
	}
	for _, a := range e.Args[1:] {
		if a.Op != expr.OpLiteral {
			return false
		}
	}
	return e.Args[0].Op != expr.OpLiteral
}

// restricted narrows a range by a comparison with constants.
func restricted(f expr.Range, by *expr.Expr) expr.Range {
	var values []value.Value
	for _, a := range by.Args[1:] {
		values = append(values, *a.Value)
	}
	return f.Restrict(by.Args[0].Type, by.Op, values...)
}

// none reports whether a range holds no value.
func none(f expr.Range) bool { return f.Lower > f.Upper || f.Domain != nil && len(f.Domain) == 0 }

// refuseBeyond refuses a condition beyond the bounds of a column. Values beyond the bounds count as the nearest bound.
func (r *Resolver) refuseBeyond(t *syntax.Expr, e *expr.Expr) {
	of := e.Args[0]
	s := r.Of(of.Relation)
	if of.Op != expr.OpColumn || s == nil || s.Query != nil {
		return
	}
	c, ok := s.Schema.Column(of.Column)
	if !ok || !c.Lower.Valid() || !c.Type.Numeric() {
		return
	}
	known, err := fragment.NewScope([]fragment.Relation{{Name: s.Name, Table: s.Table}}, r.Catalog.Catalog)
	if err != nil {
		r.TooMuch(err)
	}
	if f := known.RangeWhere(of, e); f.Lower > f.Upper {
		syntax.Refuse(syntax.CodeBounds, t.At, "ask for what is within the bounds; or ask the federation's operator for wider ones",
			"no row fulfils this: by the catalog, %s lies from %s to %s, and what is beyond counts as the nearest of these", compared(t).Describe(), c.Lower, c.Upper)
	}
}
