package syntax

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// aggregates are the names of the supported aggregates. The planner's table says what each computes.
var aggregates = []string{
	"approx_bounds", "avg", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp", "histogram", "max", "median", "min", "mode", "quantile",
	"regr_intercept", "regr_slope", "stddev_pop", "stddev_samp", "sum", "var_pop", "var_samp",
}

// synonyms are the names that other systems use for them.
var synonyms = map[string]string{
	"variance": "var_samp", "stddev": "stddev_samp", "var": "var_samp", "std": "stddev_pop", "mean": "avg",
	"percentile": "quantile", "quantile_cont": "quantile", "approx_quantile": "quantile", "every": "bool_and",
	"any_value": "mode",
}

// otherAggregates are aggregates of other systems, each with what to write instead.
var otherAggregates = map[string]string{
	"percentile_cont": "write QUANTILE(x, q)", "percentile_disc": "write QUANTILE(x, q)",
	"group_concat": ofGroups, "string_agg": ofGroups, "array_agg": ofGroups, "collect_list": ofGroups, "collect_set": ofGroups,
	"row_number": "aggregate with GROUP BY", "rank": "aggregate with GROUP BY",
	"first": "take it of each patient, and group by it: SELECT x, COUNT(*) FROM (SELECT patient, MIN_BY(x, y) AS x FROM … GROUP BY patient) f GROUP BY x",
}

const ofGroups = "release the groups first: STRING_AGG(x, ', ') FROM (SELECT x, COUNT(*) AS n FROM … GROUP BY x) g"

// Aggregates lists the names of the supported aggregates, in order.
func Aggregates() []string { return slices.Clone(aggregates) }

// AggregateNamed returns the standard name of a supported aggregate. For an aggregate of another system, standard is ""
// and hint says what to write instead.
func AggregateNamed(name string) (standard, hint string) {
	if s, ok := synonyms[name]; ok {
		name = s
	}
	if slices.Contains(aggregates, name) {
		return name, ""
	}
	return "", otherAggregates[name]
}

// IsAggregate reports whether a function of that name aggregates rows, here or in another system.
func IsAggregate(name string) bool {
	standard, hint := AggregateNamed(name)
	return standard != "" || hint != ""
}

// IsAggregate reports whether the expression itself is an aggregate. A function with OVER is not.
func (t *Expr) IsAggregate() bool { return t.Kind == Call && IsAggregate(t.Name) && t.Over == nil }

// Aggregate returns the first aggregate within the expression, or nil.
func (t *Expr) Aggregate() *Expr { return t.Find((*Expr).IsAggregate) }

// Window returns the first function with OVER within the expression, or nil.
func (t *Expr) Window() *Expr { return t.Find(func(t *Expr) bool { return t.Over != nil }) }

// IsGrouped reports whether a SELECT groups its rows.
func (s *Select) IsGrouped() bool {
	return len(s.GroupBy) > 0 || s.Having != nil && s.Having.Aggregate() != nil ||
		slices.ContainsFunc(s.Items, func(i Item) bool { return i.Term.Aggregate() != nil })
}

// Unfiltered writes f(x) FILTER (WHERE c) as f(CASE WHEN c THEN x END), and COUNT(*) FILTER (WHERE c) as COUNT(CASE
// WHEN c THEN 1 END). Any other call without arguments keeps its FILTER and is refused later.
func (t *Expr) Unfiltered() *Expr {
	if t.Filter == nil || len(t.Args) == 0 && !(t.Star && t.Name == "count") {
		return t
	}
	plain := *t
	plain.Filter, plain.Star = nil, false
	x := NewLiteral(t.At, value.Int(1))
	if len(t.Args) > 0 {
		x = t.Args[0]
	}
	chosen := &Expr{Kind: Operator, Name: "case", At: t.Filter.At, Args: []*Expr{t.Filter, x}}
	plain.Args = append([]*Expr{chosen}, t.Args[min(1, len(t.Args)):]...)
	return &plain
}

// Totals counts the counts and the sums in a SELECT's items, without those that are divided by each other. distinctRows
// says that COUNT(DISTINCT key) counts rows.
func (s *Select) Totals(distinctRows bool) (counts, sums int) {
	for _, item := range s.Items {
		n, m := item.Term.totals(distinctRows)
		counts, sums = counts+n, sums+m
	}
	return counts, sums
}

func (t *Expr) totals(distinctRows bool) (counts, sums int) {
	switch {
	case t.IsAggregate():
		switch {
		case t.Distinct && !distinctRows:
		case t.Name == "count" || t.Name == "histogram":
			counts = 1
		case t.Name == "sum":
			sums = 1
		}
		return counts, sums
	case t.Kind == Operator && t.Name == "/" && len(t.Args) == 2 && t.Args[0].Aggregate() != nil && t.Args[1].Aggregate() != nil:
		return 0, 0
	}
	for _, a := range t.Args {
		n, m := a.totals(distinctRows)
		counts, sums = counts+n, sums+m
	}
	return counts, sums
}

// OnlySums reports whether the SELECT asks only for sums, so that a patient's rows are not counted.
func (s *Select) OnlySums() bool {
	return !slices.ContainsFunc(s.Aggregates(), func(t *Expr) bool { return t.Name != "sum" || t.Distinct })
}

// Bins is the number of bins of the largest HISTOGRAM in a SELECT's items, at most most; 1 if there is none.
func (s *Select) Bins(most int) int {
	bins := 1
	for _, item := range s.Items {
		item.Term.Walk(func(t *Expr) bool {
			if t.Kind == Call && t.Name == "histogram" && len(t.Args) == 4 && t.Args[3].Kind == Literal &&
				t.Args[3].Literal.Type().Numeric() {
				bins = max(bins, int(math.Min(float64(most), t.Args[3].Literal.Float64())))
			}
			return true
		})
	}
	return bins
}
