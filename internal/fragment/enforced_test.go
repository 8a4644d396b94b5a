package fragment

import (
	"math"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// Only what follows from the SQL alone may remove a guard. More is known of the same expressions if the catalog and the
// filters are believed; that serves accuracy.
func TestEnforced(t *testing.T) {
	c := testcatalog.Parse(t, `
catalog: promises
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      k: {type: int, bounds: [0, 10], nullable: false}
      n: {type: int, nullable: false}
      d: {type: int, domain: [1, 2], nullable: false}
      day: {type: date, nullable: false}
`)
	person := Relation{Name: "p", Table: "person"}
	column := func(relation, name string) *expr.Expr { return col(relation, name, value.TypeInt) }
	k, n, d := column("p", "k"), column("p", "n"), column("p", "d")
	few := exprtest.New(t, expr.OpIn, n, exprtest.Int(1), exprtest.Int(3))
	of := func(name string, e *expr.Expr, filter *expr.Expr) *Query {
		return &Query{Relations: []Relation{person}, Filter: filter, Patient: "id", Columns: []Output{{Name: "id", Expr: column("p", "id")}, {Name: name, Expr: e}}}
	}
	derived := func(d *Query, join Join) []Relation {
		r := Relation{Name: "s", Query: d}
		if join == "" {
			return []Relation{r}
		}
		r.Join, r.On = join, exprtest.New(t, expr.OpAnd, eq(t, column("p", "id"), column("s", "id")), exprtest.New(t, expr.OpLess, column("s", "x"), exprtest.Int(4)))
		return []Relation{person, r}
	}
	both := func(how SetOp, a, b *expr.Expr) *Query {
		return &Query{SetOp: how, Inputs: []*Query{of("x", a, nil), of("x", b, nil)}, Patient: "id"}
	}
	grouped := of("x", k, nil)
	grouped.Grouped, grouped.Columns[1].Function = true, FunctionMax
	x := column("s", "x")
	inf := math.Inf(1)
	for name, test := range map[string]struct {
		relations []Relation
		e         *expr.Expr
		want      expr.Range
	}{
		"a column that is never NULL":  {[]Relation{person}, n, expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"a column that is clamped":     {[]Relation{person}, k, expr.Range{Nullable: true, Lower: 0, Upper: 10}},
		"a domain":                     {[]Relation{person}, d, expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"least of two":                 {[]Relation{person}, exprtest.New(t, expr.OpLeast, k, n), expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"the greater of a constant":    {[]Relation{person}, exprtest.New(t, expr.OpGreatest, n, exprtest.Int(3)), expr.Range{Nullable: false, Lower: 3, Upper: inf}},
		"one or the other":             {[]Relation{person}, exprtest.New(t, expr.OpCoalesce, k, exprtest.Int(3)), expr.Range{Nullable: false, Lower: 0, Upper: 10}},
		"a day":                        {[]Relation{person}, col("p", "day", value.TypeDate), expr.Range{Nullable: true, Lower: value.MinDate, Upper: value.MaxDate}},
		"narrowed within":              {derived(of("x", n, few), ""), x, expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"computed within":              {derived(of("x", exprtest.New(t, expr.OpAdd, k, exprtest.Int(1)), few), ""), x, expr.Range{Nullable: true, Lower: 1, Upper: 11}},
		"never NULL within":            {derived(of("x", exprtest.New(t, expr.OpCoalesce, k, exprtest.Int(1)), nil), ""), x, expr.Range{Nullable: false, Lower: 0, Upper: 10}},
		"never NULL, and not found":    {derived(of("x", exprtest.New(t, expr.OpCoalesce, k, exprtest.Int(1)), nil), JoinLeft), x, expr.Range{Nullable: true, Lower: 0, Upper: 10}},
		"narrowed where it is joined":  {derived(of("x", n, nil), JoinInner), x, expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"the greatest of a group":      {derived(grouped, ""), x, expr.Range{Nullable: true, Lower: 0, Upper: 10}},
		"what is in both":              {derived(both(SetOpIntersect, k, n), ""), x, expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"what is in one and not other": {derived(both(SetOpExcept, k, n), ""), x, expr.Range{Nullable: true, Lower: -inf, Upper: inf}},
		"what is in either":            {derived(both(SetOpUnion, k, exprtest.Int(20)), ""), x, expr.Range{Nullable: true, Lower: 0, Upper: 20}},
	} {
		known, err := NewEnforced(test.relations, c, NewMemo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if f := known.Range(test.e); f.Nullable != test.want.Nullable || f.Lower != test.want.Lower || f.Upper != test.want.Upper || f.Domain != nil {
			t.Errorf("%s: %+v, want %+v", name, f, test.want)
		}
	}
	scope, err := NewScope(derived(of("x", exprtest.New(t, expr.OpLeast, k, n), few), ""), c)
	if err != nil {
		t.Fatal(err)
	}
	if f := scope.Range(x); f.Nullable || f.Lower != 0 || f.Upper != 3 {
		t.Errorf("what a planner believes is %+v", f)
	}
}
