package fragment

import (
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// TestCaps cuts the rows of a patient that would multiply beyond the limit, and no others. enginetest checks that
// engines do the same.
func TestCaps(t *testing.T) {
	c := testCatalog(t)
	table := func(string) Rows {
		r := Rows{Names: []string{"stay", "id", "days"}}
		for patient, n := range []int{1200, 800, 1} {
			for range n {
				r.Values = append(r.Values, []value.Value{value.Int(int64(len(r.Values))), value.Int(int64(patient)), value.Int(int64(len(r.Values) % 100))})
			}
		}
		return r
	}
	days := col("b", "days", value.TypeInt)
	for name, at := range map[string]struct {
		on     *expr.Expr
		filter *expr.Expr
		want   [2][3]int // remaining rows of each patient, for either relation
	}{
		"alike":    {eq(t, personID("a"), personID("b")), nil, [2][3]int{{1000, 800, 1}, {1000, 800, 1}}},
		"uneven":   {exprtest.New(t, expr.OpAnd, eq(t, personID("a"), personID("b")), exprtest.New(t, expr.OpLess, days, expr.Literal(value.Int(75)))), nil, [2][3]int{{1111, 800, 1}, {900, 600, 1}}},
		"filtered": {eq(t, personID("a"), personID("b")), exprtest.New(t, expr.OpLess, days, expr.Literal(value.Int(10))), [2][3]int{{1200, 800, 1}, {120, 80, 1}}},
		"by a key": {exprtest.New(t, expr.OpAnd, eq(t, personID("a"), personID("b")), eq(t, col("a", "stay", value.TypeInt), col("b", "stay", value.TypeInt))), nil, [2][3]int{}},
	} {
		relations := []Relation{{Name: "a", Table: "stay"}, {Name: "b", Table: "stay", Join: JoinInner, On: at.on}}
		kept := (&evaluation{table: table, catalog: c}).capped(relations, at.filter)
		var got [2][3]int
		for i, rows := range kept {
			for _, row := range rows.Values {
				got[i][row[1].Int64()]++
			}
		}
		if got != at.want {
			t.Errorf("%s: of either relation stay %v, not %v", name, got, at.want)
		}
	}
}
