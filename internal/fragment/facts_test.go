package fragment

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

// What may leave out a guard follows from the SQL alone. The same expressions are known better where the catalog and the
// filters are believed, which is for accuracy.
func TestEnforced(t *testing.T) {
	c, err := catalog.Parse([]byte(`
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
`), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	person := Relation{Name: "p", Table: "person"}
	column := func(relation, name string) *Expr { return col(relation, name, value.TypeInt) }
	k, n, d := column("p", "k"), column("p", "n"), column("p", "d")
	few := must(t, OpIn, n, num(1), num(3))
	of := func(name string, e *Expr, filter *Expr) *Derived {
		return &Derived{Relations: []Relation{person}, Filter: filter, Patient: "id", Columns: []Output{{Name: "id", Expr: column("p", "id")}, {Name: name, Expr: e}}}
	}
	derived := func(d *Derived, join Join) []Relation {
		r := Relation{Name: "s", Derived: d}
		if join == "" {
			return []Relation{r}
		}
		r.Join, r.On = join, must(t, OpAnd, eq(t, column("p", "id"), column("s", "id")), must(t, OpLess, column("s", "x"), num(4)))
		return []Relation{person, r}
	}
	both := func(how Combine, a, b *Expr) *Derived {
		return &Derived{Combine: how, Arms: []*Derived{of("x", a, nil), of("x", b, nil)}, Patient: "id"}
	}
	grouped := of("x", k, nil)
	grouped.Grouped, grouped.Columns[1].Function = true, FunctionMax
	x := column("s", "x")
	inf := math.Inf(1)
	for name, test := range map[string]struct {
		relations []Relation
		e         *Expr
		want      Facts
	}{
		"a column that is never NULL":  {[]Relation{person}, n, Facts{true, -inf, inf, nil}},
		"a column that is clamped":     {[]Relation{person}, k, Facts{true, 0, 10, nil}},
		"a domain":                     {[]Relation{person}, d, Facts{true, -inf, inf, nil}},
		"least of two":                 {[]Relation{person}, must(t, OpLeast, k, n), Facts{true, -inf, inf, nil}},
		"the greater of a constant":    {[]Relation{person}, must(t, OpGreatest, n, num(3)), Facts{false, 3, inf, nil}},
		"one or the other":             {[]Relation{person}, must(t, OpCoalesce, k, num(3)), Facts{false, 0, 10, nil}},
		"a day":                        {[]Relation{person}, col("p", "day", value.TypeDate), Facts{true, value.MinDate, value.MaxDate, nil}},
		"narrowed within":              {derived(of("x", n, few), ""), x, Facts{true, -inf, inf, nil}},
		"computed within":              {derived(of("x", must(t, OpAdd, k, num(1)), few), ""), x, Facts{true, 1, 11, nil}},
		"never NULL within":            {derived(of("x", must(t, OpCoalesce, k, num(1)), nil), ""), x, Facts{false, 0, 10, nil}},
		"never NULL, and not found":    {derived(of("x", must(t, OpCoalesce, k, num(1)), nil), JoinLeft), x, Facts{true, 0, 10, nil}},
		"narrowed where it is joined":  {derived(of("x", n, nil), JoinInner), x, Facts{true, -inf, inf, nil}},
		"the greatest of a group":      {derived(grouped, ""), x, Facts{true, 0, 10, nil}},
		"what is in both":              {derived(both(CombineIntersect, k, n), ""), x, Facts{true, -inf, inf, nil}},
		"what is in one and not other": {derived(both(CombineExcept, k, n), ""), x, Facts{true, -inf, inf, nil}},
		"what is in either":            {derived(both(CombineUnion, k, num(20)), ""), x, Facts{true, 0, 20, nil}},
	} {
		known, err := NewEnforced(test.relations, c)
		if err != nil {
			t.Fatal(err)
		}
		if f := known.Facts(test.e); f.Nullable != test.want.Nullable || f.Lower != test.want.Lower || f.Upper != test.want.Upper || f.Domain != nil {
			t.Errorf("%s: %+v, want %+v", name, f, test.want)
		}
	}
	scope, err := NewScope(derived(of("x", must(t, OpLeast, k, n), few), ""), c)
	if err != nil {
		t.Fatal(err)
	}
	if f := scope.Facts(x); f.Nullable || f.Lower != 0 || f.Upper != 3 {
		t.Errorf("what a planner believes is %+v", f)
	}
}

// An interval holds the exact result: of whole numbers, which engines multiply exactly, where float64 would round it away.
func TestIntervalsOfWholeNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20_000 {
		a, b := r.Int64N(1<<33)-1<<32, r.Int64N(1<<31)-1<<30
		f := Infer(must(t, OpMultiply, num(a), num(b)), constantFacts)
		p := new(big.Float).SetInt(new(big.Int).Mul(big.NewInt(a), big.NewInt(b)))
		if p.Cmp(big.NewFloat(f.Lower)) < 0 || p.Cmp(big.NewFloat(f.Upper)) > 0 {
			t.Fatalf("%d * %d is outside [%v, %v]", a, b, f.Lower, f.Upper)
		}
	}
}

func constantFacts(*Expr) Facts { panic("no columns here") }

// An interval holds what an engine gives that takes numbers near zero for 0 in products and quotients, and powers
// below the least for 0: from such a result, further guards follow.
func TestIntervalsNearZero(t *testing.T) {
	x, y := col("t", "x", value.TypeFloat), col("t", "y", value.TypeFloat)
	const tiny = 1e-160
	for _, c := range []struct {
		e        *Expr
		x, y     Facts
		contains float64
	}{
		{must(t, OpMultiply, x, y), Facts{Lower: tiny, Upper: 2 * tiny}, Facts{Lower: 0.5, Upper: 0.6}, 0},
		{must(t, OpMultiply, x, y), Facts{Lower: 0.5, Upper: 0.6}, Facts{Lower: -2 * tiny, Upper: -tiny}, 0},
		{must(t, OpMultiply, x, y), Facts{Lower: tiny, Upper: 3}, Facts{Lower: 0.5, Upper: 0.6}, 0},
		{must(t, OpDivide, x, y), Facts{Lower: tiny, Upper: 2 * tiny}, Facts{Lower: 0.5, Upper: 0.6}, 0},
		{must(t, OpDivide, x, y), Facts{Lower: 0.5, Upper: 0.6}, Facts{Lower: 4e150, Upper: 5e150}, 0},
		{must(t, OpDivide, x, y), Facts{Lower: -0.6, Upper: -0.5}, Facts{Lower: -1e200, Upper: -5}, 0},
		{must(t, OpPower, x, y), Facts{Lower: 1e-200, Upper: 1e-199}, Facts{Lower: 2, Upper: 2}, 0},
		{must(t, OpPower, x, num(3)), Facts{Lower: -1.1e-100, Upper: -0.9e-100}, Facts{}, -1.3e-300},
		{must(t, OpPower, x, num(3)), Facts{Lower: -1.01e-100, Upper: -1e-100}, Facts{}, 0},
	} {
		f := Infer(c.e, func(column *Expr) Facts { return map[string]Facts{"x": c.x, "y": c.y}[column.Column] })
		if f.Lower > c.contains || f.Upper < c.contains {
			t.Errorf("%s of [%g, %g] and [%g, %g] may be %g, and is said to be within [%g, %g]", c.e, c.x.Lower, c.x.Upper, c.y.Lower, c.y.Upper, c.contains, f.Lower, f.Upper)
		}
	}
	if f := Infer(must(t, OpMultiply, x, y), func(*Expr) Facts { return Facts{Lower: 0.5, Upper: 0.6} }); f.Lower < 0.24 {
		t.Errorf("the product of numbers far from zero is within [%g, %g]", f.Lower, f.Upper)
	}
}

// TestLongDomains: no domain is made of texts that are longer than a key, nor is memory spent on them.
func TestLongDomains(t *testing.T) {
	i := NewInference(func(*Expr) Facts { return Facts{Domain: []value.Value{value.Text(""), value.Text("x")}} })
	a := Column("p", "a", value.TypeText)
	longer := func(e *Expr) *Expr {
		return must(t, OpReplace, e, Literal(value.Text("x")), Literal(value.Text(strings.Repeat("x", 60))))
	}
	if d := i.Facts(longer(a)).Domain; len(d) != 2 {
		t.Errorf("domain %v", d)
	}
	e := longer(longer(a))
	if d := i.Facts(e).Domain; d != nil {
		t.Errorf("a domain of texts of 3600 characters: %d", len(d))
	}
	left := i.left.characters
	if written(OpConcat, []value.Value{value.Text("ab"), value.Text("cde")}) != 5 || written(OpReplace, []value.Value{value.Text("xx"), value.Text("x"), value.Text("yyy")}) != 6 {
		t.Error("what an operation writes is counted wrong")
	}
	if left > maxCharacters-60-3600 {
		t.Errorf("%d of %d characters are left: what is written before it is cut does not count", left, maxCharacters)
	}
}
