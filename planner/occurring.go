package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// The least, the greatest and the most frequent of values that are known beforehand are read from the counts that
// COUNT(DISTINCT x) is read from: what is released is how often each occurs, and the number read from it is a value's
// place. So a text has a MIN where the catalog declares its values, and none else, since its least value may be one
// patient's.

var (
	lowestOf  = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).places, read: estimate.Lowest}
	highestOf = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).places, read: estimate.Highest}
	mostOf    = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).places, read: estimate.Most}
)

// places bound the place of a value among those of the argument, from 0.
func (a *argument) places() (lower, upper float64) { return 0, float64(max(1, len(a.domain)) - 1) }

// placed plans MODE(x), BOOL_AND(c) and BOOL_OR(c), and MIN(x) and MAX(x) of texts and conditions, and reports whether
// it is one.
func (b *builder) placed(a *argument, t *syntax.Expr, f *function) bool {
	extreme := f == aggregates["min"] || f == aggregates["max"]
	if !extreme && f != mostOf && f != lowestOf && f != highestOf {
		return false
	}
	e := b.Row(t.Args[0])
	name := strings.ToUpper(t.Name)
	switch {
	case extreme && e.Type != value.TypeText && e.Type != value.TypeBool:
		return false
	case extreme && f == aggregates["min"]:
		f = lowestOf
	case extreme:
		f = highestOf
	case f != mostOf && e.Type != value.TypeBool:
		refuse(CodeType, t.Args[0].At, "write a comparison, such as "+name+"("+t.Args[0].Describe()+" = …)", "%s needs a condition, and this is a %s", name, e.Type)
	}
	domain := slices.DeleteFunc(slices.Clone(b.facts(e).Domain), value.Value.IsNull)
	if e.Type == value.TypeBool {
		domain = []value.Value{value.Bool(false), value.Bool(true)}
	}
	if len(domain) == 0 || len(domain) > distinctLimit || b.ReadsPatientID(e) {
		x := t.Args[0].Describe()
		hint := "release the groups first: SELECT " + name + "(x) FROM (SELECT " + x + " AS x, COUNT(*) AS n FROM … GROUP BY 1) g, in which values of few patients are not shown"
		if f == mostOf {
			hint = "write SELECT " + x + ", COUNT(*) AS n FROM … GROUP BY 1 ORDER BY n DESC LIMIT 1"
		}
		if strings.Contains(x, "…") { // of FILTER or CASE, which the hint could not write
			x, hint = "this", "put the condition into WHERE, as a list of values where they are known: WHERE x IN ('a', 'b')"
		}
		refuse(CodeNotSupported, t.At, hint,
			"%s of %s is answered where at most %d values of it are known beforehand: another value may be a single patient's", name, x, distinctLimit)
	}
	slices.SortFunc(domain, value.Compare)
	a.x, a.domain, a.placed = operand{Expr: e, term: t.Args[0]}, domain, f
	return true
}

// valueAt is the value of whose place e is.
func valueAt(at Position, e *expr.Expr, domain []value.Value) *expr.Expr {
	if domain[0].Type() == value.TypeBool {
		return scalar.Apply(at, expr.OpEqual, e, expr.Literal(value.Int(1)))
	}
	var args []*expr.Expr
	for i, v := range domain {
		args = append(args, scalar.Apply(at, expr.OpEqual, e, expr.Literal(value.Int(int64(i)))), expr.Literal(v))
	}
	return scalar.Apply(at, expr.OpCase, append(args, expr.Literal(value.Null(domain[0].Type())))...)
}
