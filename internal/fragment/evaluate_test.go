package fragment

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// released has tables of n rows that a coordinator holds: k repeats, n does not, and both are sometimes NULL.
func released(n int) func(string) Rows {
	return func(name string) Rows {
		r := rand.New(rand.NewPCG(uint64(n), uint64(len(name))))
		rows := Rows{Names: []string{"k", "n", "s"}}
		for i := range n {
			row := []value.Value{value.Int(int64(r.IntN(1 + n/3))), value.Int(int64(i)), value.Text([]string{"a", "b", "", "A"}[r.IntN(4)])}
			for k := range row {
				if n < 1000 && r.IntN(10) == 0 {
					row[k] = value.Null(row[k].Type())
				}
			}
			rows.Values = append(rows.Values, row)
		}
		return rows
	}
}

// TestJoinsByHash compares joins that look up equal values with the same joins under hidden conditions, where each row
// is compared with each.
func TestJoinsByHash(t *testing.T) {
	column := func(relation, name string) *expr.Expr {
		return expr.Column(relation, name, map[string]value.Type{"k": value.TypeInt, "n": value.TypeInt, "s": value.TypeText}[name])
	}
	hidden := func(e *expr.Expr) *expr.Expr { return exprtest.New(t, expr.OpNot, exprtest.New(t, expr.OpNot, e)) }
	same := func(a, b *expr.Expr) *expr.Expr { return eq(t, a, b) }
	both := func(a, b *expr.Expr) *expr.Expr { return exprtest.New(t, expr.OpAnd, a, b) }
	for name, at := range map[string]struct {
		join   Join
		on     *expr.Expr
		filter *expr.Expr
	}{
		"inner":      {JoinInner, same(column("a", "k"), column("bb", "k")), nil},
		"left":       {JoinLeft, same(column("bb", "k"), column("a", "k")), nil},
		"two":        {JoinLeft, both(same(column("bb", "k"), column("a", "k")), same(column("a", "s"), column("bb", "s"))), nil},
		"and less":   {JoinInner, both(same(column("bb", "s"), column("a", "s")), exprtest.New(t, expr.OpLess, column("a", "n"), column("bb", "n"))), nil},
		"computed":   {JoinInner, same(exprtest.New(t, expr.OpAdd, column("a", "k"), column("a", "n")), column("bb", "n")), nil},
		"of itself":  {JoinInner, same(column("bb", "k"), column("bb", "n")), nil},
		"filter":     {JoinCross, nil, same(column("a", "k"), column("bb", "n"))},
		"left, then": {JoinLeft, same(column("a", "k"), column("bb", "n")), same(column("a", "s"), column("bb", "s"))},
	} {
		d := func(hide func(*expr.Expr) *expr.Expr) *Query {
			on, filter := at.on, at.filter
			if on != nil {
				on = hide(on)
			}
			if filter != nil {
				filter = hide(filter)
			}
			d := &Query{Relations: []Relation{{Name: "a", Table: "a"}, {Name: "bb", Table: "bb", Join: at.join, On: on}}, Filter: filter}
			for _, c := range []*expr.Expr{column("a", "n"), column("bb", "n"), column("bb", "s")} {
				d.Columns = append(d.Columns, Output{Name: c.Relation + c.Column, Expr: c})
			}
			return d
		}
		want, got := d(hidden).Evaluate(released(60), "h", nil), d(func(e *expr.Expr) *expr.Expr { return e }).Evaluate(released(60), "h", nil)
		if diff := cmp.Diff(texts(want), texts(got)); diff != "" || len(got.Values) == 0 {
			t.Errorf("%s: %d rows\n%s", name, len(got.Values), diff)
		}
	}
}

func texts(r Rows) (all []string) {
	for _, row := range r.Values {
		all = append(all, rowKey(row))
	}
	return all
}

// TestTraceIsBounded computes large results from released rows, and refuses too large ones, in bounded time.
func TestTraceIsBounded(t *testing.T) {
	n, k := expr.Column("a", "n", value.TypeInt), expr.Column("a", "k", value.TypeInt)
	one := []Relation{{Name: "a", Table: "a"}}
	count := []Output{{Name: "c", Function: FunctionRows}}
	order := []Order{{Expr: n}}
	with := func(join Join, on *expr.Expr) []Relation {
		return []Relation{one[0], {Name: "bb", Table: "bb", Join: join, On: on}}
	}
	other := expr.Column("bb", "n", value.TypeInt)
	for name, at := range map[string]struct {
		d    *Query
		rows int
		much bool
	}{
		"equal":         {&Query{Relations: with(JoinInner, eq(t, n, other)), Grouped: true, Columns: count}, 100_000, false},
		"less":          {&Query{Relations: with(JoinInner, exprtest.New(t, expr.OpLess, n, other)), Grouped: true, Columns: count}, 100_000, true},
		"all":           {&Query{Relations: with(JoinCross, nil), Grouped: true, Columns: count}, 5000, true},
		"some":          {&Query{Relations: with(JoinInner, exprtest.New(t, expr.OpLess, n, other)), Grouped: true, Columns: count}, 1200, false},
		"running":       {&Query{Relations: one, Columns: []Output{{Name: "s", Function: FunctionSum, Expr: k, Window: &Window{Order: order}}}}, 100_000, false},
		"of all":        {&Query{Relations: one, Columns: []Output{{Name: "s", Function: FunctionMax, Expr: k, Window: &Window{}}}}, 100_000, false},
		"wide frames":   {&Query{Relations: one, Columns: []Output{{Name: "s", Function: FunctionSum, Expr: k, Window: &Window{Order: order, Ties: []*expr.Expr{k}, Frame: &Frame{From: -5000, To: 5000}}}}}, 50_000, true},
		"narrow frames": {&Query{Relations: one, Columns: []Output{{Name: "s", Function: FunctionSum, Expr: k, Window: &Window{Order: order, Ties: []*expr.Expr{k}, Frame: &Frame{From: -3, To: 3}}}}}, 50_000, false},
	} {
		began := cputime.Used(t)
		rows, err := at.d.Trace(released(at.rows), "h")
		if errors.Is(err, ErrTooMuch) != at.much {
			t.Errorf("%s: %d rows, %v", name, len(rows.Values), err)
		}
		if took := cputime.Used(t) - began; took > 10*time.Second*cputime.Slowness {
			t.Errorf("%s takes %v", name, took)
		} else {
			t.Logf("%s takes %v", name, took)
		}
	}
}
