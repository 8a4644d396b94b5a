package enginetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// patience is the time limit of a statement over a few rows, on a machine that is busy with other things; see Kind.
const (
	patience     = 5 * time.Second
	slowPatience = 90 * time.Second
)

// nested computes expressions with the deepest allowed nesting, within one expression and over levels of derived
// relations. No engine may take unreasonably long, and the values stay right.
func (k Kind) nested(t *testing.T) {
	c := testcatalog.Parse(t, nastyCatalog)
	table := k.nastyTable(60)
	e := k.Open(t, c, "a secret of the node, for tests only", table)
	rows := read(c, table)
	one, small := integer(1), integer(3)
	steps := map[string]func(x *expr.Expr) *expr.Expr{
		"abs":    func(x *expr.Expr) *expr.Expr { return op(expr.OpAbs, x) },
		"add":    func(x *expr.Expr) *expr.Expr { return op(expr.OpAdd, x, one) },
		"negate": func(x *expr.Expr) *expr.Expr { return op(expr.OpNegate, op(expr.OpSubtract, x, one)) },
		"divide": func(x *expr.Expr) *expr.Expr {
			return op(expr.OpIntDivide, x, op(expr.OpModulo, small, x))
		},
		"case": func(x *expr.Expr) *expr.Expr {
			return op(expr.OpCase, op(expr.OpGreater, x, small), x, op(expr.OpLess, x, one), op(expr.OpAdd, x, one), op(expr.OpMultiply, x, x))
		},
		"square": func(x *expr.Expr) *expr.Expr {
			return op(expr.OpAdd, op(expr.OpMultiply, x, x), op(expr.OpAbs, x))
		},
		"digits": func(x *expr.Expr) *expr.Expr {
			return must(expr.Cast(op(expr.OpReplace, must(expr.Cast(x, value.TypeText)), str("9"), str("10")), value.TypeInt))
		},
		"root": func(x *expr.Expr) *expr.Expr {
			return must(expr.Cast(op(expr.OpMultiply, op(expr.OpSqrt, x), op(expr.OpRound, op(expr.OpDivide, x, small), integer(2))), value.TypeInt))
		},
	}
	limit := patience
	if k.Slow {
		limit = slowPatience
	}
	for name, step := range steps {
		deep := map[string]int{"divide": 6, "case": 5, "square": 5, "root": 6}[name] // the expression itself grows
		if deep == 0 {
			deep = 50
		}
		if k.Slow {
			deep = min(deep, 4)
		}
		x := expr.Column("T", "i", value.TypeInt)
		for range deep {
			x = step(x)
		}
		began := time.Now()
		if err := k.differ(t, e, rows, x); err != nil {
			t.Errorf("%s: %.2000s", name, fmt.Sprint(err))
		}
		if took := time.Since(began); took > limit {
			t.Errorf("%s, %d deep, takes %v", name, deep, took)
		}
		d := &fragment.Query{Relations: []fragment.Relation{{Name: "T", Table: "t"}}, Patient: "id", Columns: []fragment.Output{
			{Name: "id", Expr: expr.Column("T", "id", value.TypeInt)}, {Name: "a", Expr: expr.Column("T", "i", value.TypeInt)}}}
		levels := map[string]int{"case": 5, "square": 8}[name] // larger expressions, after replacing columns, are refused
		if levels == 0 {
			levels = 9
		}
		if k.Slow {
			levels = 3
		}
		for range levels {
			d = &fragment.Query{Relations: []fragment.Relation{{Name: "D", Query: d}}, Patient: "id", Columns: []fragment.Output{
				{Name: "id", Expr: expr.Column("D", "id", value.TypeInt)}, {Name: "a", Expr: step(expr.Column("D", "a", value.TypeInt))}}}
		}
		want := map[string]int64{}
		for _, r := range d.Evaluate(func(name string) fragment.Rows { return rowsOf(c, []Table{table}, name) }, Hospital, c).Values {
			if op := r[1]; !op.IsNull() && op.Int64() > 3 {
				want[keyText(r)]++
			}
		}
		id, a := expr.Column("D", "id", value.TypeInt), expr.Column("D", "a", value.TypeInt)
		f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "D", Query: d}}, Patient: id, Filter: op(expr.OpGreater, a, small), Norm: fragment.L2, MaxGroups: 10, MaxRows: 1,
			Keys: []fragment.Key{{Expr: id}, {Expr: a}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
		began = time.Now()
		got, _, _ := Partials(t, e, c, f)
		if took := time.Since(began); took > limit {
			t.Errorf("%s, over 9 levels, takes %v", name, took)
		}
		for key := range want {
			if got[key] == nil {
				t.Errorf("%s, over 9 levels: there is no %q", name, key)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s, over 9 levels: %d rows, not %d", name, len(got), len(want))
		}
	}
}

// deep nests as many levels of queries as a fragment may have. Each has a window, so that no level can be merged with
// the one around it.
func (k Kind) deep(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	table := Table{Name: "event", Columns: []Column{{"id", value.TypeInt}, {"n", value.TypeInt}}}
	for i := range int64(12) {
		table.Rows = append(table.Rows, []any{i % 3, i * i % 7})
	}
	e := k.Open(t, c, "a secret of the node, for tests only", table)
	levels, limit := 14, patience
	if k.Slow {
		levels, limit = 12, slowPatience
	}
	d := &fragment.Query{Relations: events, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: evID}, {Name: "a", Expr: evN}}}
	id, a := expr.Column("D", "id", value.TypeInt), expr.Column("D", "a", value.TypeInt)
	for i := range levels {
		w := &fragment.Window{Partition: []*expr.Expr{id}}
		if i%2 == 0 {
			w.Partition = append(w.Partition, a)
		}
		d = &fragment.Query{Relations: []fragment.Relation{{Name: "D", Query: d}}, Patient: "id", Columns: []fragment.Output{
			{Name: "id", Expr: id}, {Name: "a", Function: fragment.FunctionRows, Window: w}}}
	}
	want := map[string]int64{}
	for _, r := range d.Evaluate(func(name string) fragment.Rows { return rowsOf(c, []Table{table}, name) }, Hospital, c).Values {
		want[keyText(r)]++
	}
	f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "D", Query: d}}, Patient: id, Norm: fragment.L2, MaxGroups: 10, MaxRows: 100,
		Keys: []fragment.Key{{Expr: id}, {Expr: a}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
	began := time.Now()
	got, _, _ := Partials(t, e, c, f)
	if took := time.Since(began); took > limit {
		t.Errorf("%d levels take %v", levels, took)
	}
	for key, n := range want {
		if len(got[key]) == 0 || got[key][0] != n {
			t.Errorf("of %q there are %v rows, not %d", key, got[key], n)
		}
	}
}
