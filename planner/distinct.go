package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// COUNT(DISTINCT x) is the number of values of x that some patient has. Neither that number nor a patient's part of it
// adds up over hospitals. So a histogram is released: for each possible value of x, the number of rows that have it.
// The result is read from the histogram.
//
// The result cannot be exact: a value that one patient has must look like a value that nobody has. estimate.Distinct
// counts the values whose noisy count passes a threshold. An empty value seldom passes it: half a value too many is
// expected at most. Values with fewer rows than the threshold (estimate.Tree.ThresholdOf, shown by explain) are missed,
// so the result is rather too low.

// distinctLimit is the size of the largest domain whose values are counted.
const distinctLimit = 1000

// values are the partial aggregates that count each value, in the order of the domain.
func (a *argument) values() []fragment.Partial {
	at := a.call.Args[0].At
	cases := make([]*expr.Expr, 0, 2*len(a.domain)+1)
	for i, v := range a.domain {
		cases = append(cases, scalar.Apply(at, expr.OpEqual, a.x.Expr, expr.Literal(v)), expr.Literal(value.Int(int64(i))))
	}
	place := scalar.Apply(at, expr.OpCase, append(cases, expr.Literal(value.Null(value.TypeInt)))...)
	n := max(2, len(a.domain))
	a.value = float64(len(a.domain))
	return []fragment.Partial{{Kind: fragment.PartialBuckets, Expr: place, Buckets: &fragment.Buckets{Upper: float64(n), Branching: n, Levels: 1}}}
}

func (a *argument) size() (lower, upper float64) { return 0, float64(len(a.domain)) }

// distinctFunction is SUM(DISTINCT x) or AVG(DISTINCT x) for an x of these values. All three functions read the counts
// of COUNT(DISTINCT x).
func distinctFunction(name string, x operand, domain []value.Value) *function {
	if !x.Type.Numeric() {
		refuse(CodeType, x.term.At, scalar.AsNumber(x.term.Describe(), x.Type), "%s needs a number, and this is a %s", strings.ToUpper(name), x.Type)
	}
	values := make([]float64, len(domain))
	for i, v := range domain {
		values[i] = v.Float64()
	}
	f := &function{arguments: 1, ofValues: true, partials: (*argument).values}
	if name == "avg" {
		f.bounds = func(*argument) (lower, upper float64) { return slices.Min(values), slices.Max(values) }
		f.read = func(t estimate.Tree, n, confidence float64) (x, low, high float64) {
			return estimate.MeanOf(estimate.Occurring(t, n, confidence), values)
		}
		return f
	}
	f.whole = x.Type == value.TypeInt
	f.bounds = func(*argument) (lower, upper float64) {
		_, lower, upper = estimate.SumOf(estimate.Occurrence{Likely: make([]bool, len(values)), Sure: make([]bool, len(values)), Never: make([]bool, len(values))}, values)
		return lower, upper
	}
	f.read = func(t estimate.Tree, n, confidence float64) (x, low, high float64) {
		return estimate.SumOf(estimate.Occurring(t, n, confidence), values)
	}
	return f
}

// powers are the partial aggregates that count the buckets of APPROX_BOUNDS: see estimate.PowerEdges.
func (a *argument) powers() []fragment.Partial {
	at, x := a.call.Args[0].At, a.x.Expr
	if !x.Type.Numeric() {
		refuse(CodeType, at, scalar.AsNumber(a.call.Args[0].Describe(), x.Type), "APPROX_BOUNDS needs a number, and this is a %s", x.Type)
	}
	literal := func(edge float64) *expr.Expr {
		if x.Type == value.TypeInt {
			return expr.Literal(value.Int(int64(edge)))
		}
		return expr.Literal(value.Float(edge))
	}
	cases := []*expr.Expr{scalar.Apply(at, expr.OpIsNull, x), expr.Literal(value.Null(value.TypeInt))}
	inner := estimate.PowerEdges(x.Type == value.TypeInt)
	for i, edge := range inner {
		cases = append(cases, scalar.Apply(at, expr.OpLess, x, literal(edge)), expr.Literal(value.Int(int64(i))))
	}
	place := scalar.Apply(at, expr.OpCase, append(cases, expr.Literal(value.Int(int64(len(inner)))))...)
	n := len(inner) + 1
	a.value = float64(a.call.Bin)
	return []fragment.Partial{{Kind: fragment.PartialBuckets, Expr: place, Buckets: &fragment.Buckets{Upper: float64(n), Branching: n, Levels: 1}}}
}

// distinctValues plans COUNT(DISTINCT x), SUM or AVG if the values of x are known, and reports whether t is one of
// these.
func (b *builder) distinctValues(a *argument, t *syntax.Expr) bool {
	if t.Name != "count" && t.Name != "sum" && t.Name != "avg" {
		return false
	}
	if !b.Resolves(t.Args[0]) {
		return false
	}
	e := b.Row(t.Args[0])
	patient := false
	e.Columns(func(relation, column string) {
		s := b.Of(relation)
		patient = patient || s != nil && b.IsPatientID(s, column)
	})
	domain := slices.DeleteFunc(slices.Clone(b.facts(e).Domain), value.Value.IsNull)
	if patient || len(domain) == 0 || len(domain) > distinctLimit {
		return false
	}
	a.x, a.domain = operand{Expr: e, term: t.Args[0]}, domain
	return true
}
