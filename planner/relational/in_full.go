package relational

import (
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// InFull is the range of an expression over the rows, assuming that no patient has more than times as many rows of a
// table as count in full (max_rows). Nothing enforces this assumption, so the caller must clamp the expression.
func (r *Resolver) InFull(e *expr.Expr, times int) expr.Range {
	f := fullRows{r, float64(times), expr.NewScopeBudget(), map[outputName]expr.Range{}}
	return f.of(e, r.Relations(), r.Filter)
}

// fullRows assumes that no patient has more than times as many rows of a table as count in full.
type fullRows struct {
	*Resolver
	times float64
	left  *expr.Budget
	known map[outputName]expr.Range // results: a column may be read many times at each of many levels
}

type outputName struct {
	query *fragment.Query
	name  string
}

func (r fullRows) of(e *expr.Expr, relations []fragment.Relation, filter *expr.Expr) expr.Range {
	scope, err := fragment.NewScopeWithin(relations, r.Catalog.Catalog, r.Catalog.Memo)
	if err != nil {
		r.TooMuch(err)
	}
	column := func(c *expr.Expr) expr.Range {
		known := scope.Range(c)
		i := slices.IndexFunc(relations, func(of fragment.Relation) bool { return of.Name == c.Relation && of.Query != nil })
		if i < 0 || known.Bounded() {
			return known
		}
		in := r.output(relations[i].Query, c.Column)
		known.Lower, known.Upper = math.Max(known.Lower, in.Lower), math.Min(known.Upper, in.Upper)
		if relations[i].Join != "" { // a row of an outer join may be missing
			known.Nullable = true
		}
		return known
	}
	return expr.NewRangeAnalysisWhere(filter, r.left, false, column).Range(e)
}

// output is the range of a derived relation's column.
func (r fullRows) output(d *fragment.Query, name string) expr.Range {
	of := outputName{d, strings.ToLower(name)}
	known, ok := r.known[of]
	if !ok {
		known = r.outputOf(d, name)
		r.known[of] = known
	}
	return known
}

func (r fullRows) outputOf(d *fragment.Query, name string) expr.Range {
	if d.Patient == "" {
		return expr.Unknown(true)
	}
	if d.SetOp != "" {
		return r.arms(d, name)
	}
	i := slices.IndexFunc(d.Columns, func(o fragment.Output) bool { return strings.EqualFold(o.Name, name) })
	if i < 0 {
		return expr.Unknown(true)
	}
	o, x, limit := d.Columns[i], expr.Unknown(true), 1
	if o.Expr != nil {
		x = r.of(o.Expr, d.Relations, d.Filter)
	}
	for _, of := range d.Relations {
		if known := r.tableOf(of); known == nil || !known.Public {
			limit = max(limit, r.RowLimit(of, known))
		}
	}
	most := r.times * float64(limit)
	switch o.Function {
	case fragment.FunctionRows, fragment.FunctionCount, fragment.FunctionDistinct,
		fragment.FunctionRowNumber, fragment.FunctionRank, fragment.FunctionDenseRank:
		return expr.Range{Upper: most}
	case fragment.FunctionSum:
		if x.Bounded() {
			x.Lower, x.Upper = math.Min(0, most*x.Lower), math.Max(0, most*x.Upper)
		}
	}
	return x // other functions: the range of their argument
}

// arms is the range of a set operation's column. Its columns have the names of the first input.
func (r fullRows) arms(d *fragment.Query, name string) expr.Range {
	first := d.Inputs[0]
	for first.SetOp != "" {
		first = first.Inputs[0]
	}
	k := slices.IndexFunc(first.Columns, func(o fragment.Output) bool { return strings.EqualFold(o.Name, name) })
	if k < 0 {
		return expr.Unknown(true)
	}
	all := expr.Range{Lower: math.Inf(1), Upper: math.Inf(-1)}
	for _, arm := range d.Inputs {
		of := arm
		for of.SetOp != "" {
			of = of.Inputs[0]
		}
		if k >= len(of.Columns) {
			return expr.Unknown(true)
		}
		x := r.output(arm, of.Columns[k].Name)
		all.Lower, all.Upper = math.Min(all.Lower, x.Lower), math.Max(all.Upper, x.Upper)
	}
	return all
}
