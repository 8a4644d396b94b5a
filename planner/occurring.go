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

// MIN, MAX and MODE of values that are known beforehand are read from the counts that COUNT(DISTINCT x) reads. The
// release tells how often each value occurs, and the number read from it is the index of a value. So MIN of a text
// works only if the catalog declares its values; otherwise the least value might be one patient's.

var (
	lowestOf  = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).places, read: estimate.Lowest}
	highestOf = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).places, read: estimate.Highest}
	mostOf    = &function{arguments: 1, whole: true, ofValues: true, partials: (*argument).values, bounds: (*argument).places, read: estimate.Most}
)

// places bound the index of a value in the argument's domain, from 0.
func (a *argument) places() (lower, upper float64) { return 0, float64(max(1, len(a.domain)) - 1) }

// placed plans MODE(x), BOOL_AND(c), BOOL_OR(c), and MIN(x) and MAX(x) of texts and conditions. It reports whether t is
// one of these.
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
		if strings.Contains(x, "…") { // the hint could not write FILTER or CASE
			x, hint = "this", "put the condition into WHERE, as a list of values where they are known: WHERE x IN ('a', 'b')"
		}
		refuse(CodeNotSupported, t.At, hint,
			"%s of %s is answered where at most %d values of it are known beforehand: another value may be a single patient's", name, x, distinctLimit)
	}
	slices.SortFunc(domain, value.Compare)
	a.x, a.domain, a.placed = operand{Expr: e, term: t.Args[0]}, domain, f
	return true
}

// valueAt turns an index in the domain into its value.
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
