package fragment

import (
	"math"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// A value that all rows of a patient share gives one group per patient, also after it has passed through derived
// relations.
func TestKeysOfDerivedRelations(t *testing.T) {
	text := func(relation, column string) *expr.Expr { return col(relation, column, value.TypeText) }
	person, stay := Relation{Name: "person", Table: "person"}, Relation{Name: "stay", Table: "stay"}
	tied := stay
	tied.Join, tied.On = JoinInner, eq(t, personID("person"), personID("stay"))
	hospital := ofStay(plainOutput("id", stayColumn("id")), plainOutput("k", expr.Hospital()))
	sex := &Query{Relations: []Relation{person, tied}, Patient: "id", Columns: []Output{plainOutput("id", personID("person")), plainOutput("k", text("person", "sex"))}}
	written, err := expr.Cast(stayColumn("days"), value.TypeText)
	if err != nil {
		t.Fatal(err)
	}
	days := ofStay(plainOutput("id", stayColumn("id")), plainOutput("k", written))
	again := func(d *Query) *Query {
		return &Query{Relations: []Relation{{Name: "d", Query: d}}, Patient: "id", Columns: []Output{plainOutput("id", col("d", "id", value.TypeInt)), plainOutput("k", text("d", "k"))}}
	}
	both := func(how SetOp, a, b *Query) *Query {
		return &Query{SetOp: how, Inputs: []*Query{a, b}, Patient: "id"}
	}
	constant := ofStay(plainOutput("id", stayColumn("id")), plainOutput("k", expr.Literal(value.Text("a"))))
	other := ofStay(plainOutput("id", stayColumn("id")), plainOutput("k", expr.Literal(value.Text("b"))))
	for name, c := range map[string]struct {
		d   *Query
		one bool
	}{
		"the hospital":                       {hospital, true},
		"the hospital, passed on":            {again(again(hospital)), true},
		"the hospital of each of two":        {both(SetOpUnionAll, hospital, again(hospital)), true},
		"what a patient has one of":          {sex, true},
		"and passed on":                      {again(sex), true},
		"of two, which may differ":           {both(SetOpUnionAll, sex, again(sex)), false},
		"of those that are not in the other": {both(SetOpExcept, sex, again(sex)), true},
		"a constant":                         {constant, true},
		"a constant or another":              {both(SetOpUnionAll, constant, other), false},
		"what differs from row to row":       {again(days), false},
		"the hospital, or what differs":      {both(SetOpUnion, hospital, days), false},
	} {
		f := over(c.d)
		f.Keys = []Key{{Expr: text("d", "k")}}
		p, err := Check(&f, testCatalog(t))
		if err != nil || p.KeysPerPatient != c.one {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		// The value is NULL where a left join finds nothing, and not NULL where it finds something.
		left := Relation{Name: "d", Query: c.d, Join: JoinLeft, On: exprtest.New(t, expr.OpAnd, eq(t, personID("stay"), col("d", "id", value.TypeInt)), exprtest.New(t, expr.OpLess, stayColumn("days"), expr.Literal(value.Int(3))))}
		f = base(stay, left)
		f.Keys = []Key{{Expr: text("d", "k")}}
		if p, err := Check(&f, testCatalog(t)); err != nil || p.KeysPerPatient {
			t.Errorf("%s, optional: %+v, %v", name, p, err)
		}
	}
}

// The number of rows of a patient, as far as keys and filters tell.
func TestMostRows(t *testing.T) {
	n := col("d", "n", value.TypeInt)
	first := ofStay(plainOutput("id", stayColumn("id")), plainOutput("days", stayColumn("days")), numbered(stayColumn("stay")))
	grouped := ofStay(plainOutput("id", stayColumn("id")), plainOutput("days", stayColumn("days")))
	grouped.Grouped = true
	derived := func(d *Query) []Relation { return []Relation{{Name: "d", Query: d}} }
	two := exprtest.New(t, expr.OpLessOrEqual, n, expr.Literal(value.Int(2)))
	twice := append(derived(first), Relation{Name: "e", Query: first, Join: JoinInner, On: eq(t, col("d", "id", value.TypeInt), col("e", "id", value.TypeInt))})
	list := Relation{Name: "list", Query: list(SetOpUnionAll, [2]value.Value{value.Int(1), value.Text("a")}, [2]value.Value{value.Int(2), value.Text("b")}), Join: JoinInner}
	byKey, byOther := list, list
	byKey.On, byOther.On = eq(t, n, col("list", "k", value.TypeInt)), exprtest.New(t, expr.OpLess, n, col("list", "k", value.TypeInt))
	both := func(how SetOp, inputs ...*Query) []Relation {
		return derived(&Query{SetOp: how, Inputs: inputs, Patient: "id"})
	}
	// A FULL JOIN is written out as each side with what it finds on the other; rows of the second side come in only if
	// they find nothing.
	ids := func(also ...Output) *Query {
		d := ofStay(append([]Output{plainOutput("id", stayColumn("id"))}, also...)...)
		d.Grouped = true
		return d
	}
	side := func(first, second *Query, alone bool, more ...*expr.Expr) *Query {
		on := eq(t, col("a", "id", value.TypeInt), col("b", "id", value.TypeInt))
		if len(more) > 0 {
			on = exprtest.New(t, expr.OpAnd, append([]*expr.Expr{on}, more...)...)
		}
		d := &Query{Relations: []Relation{{Name: "a", Query: first}, {Name: "b", Query: second, Join: JoinLeft, On: on}}, Patient: "id"}
		d.Columns = []Output{plainOutput("id", col("a", "id", value.TypeInt))}
		if alone {
			d.Filter = exprtest.New(t, expr.OpIsNull, col("b", "id", value.TypeInt))
		}
		return d
	}
	longest := ids(Output{Name: "most", Function: FunctionMax, Expr: stayColumn("days")})
	third := ids()
	third.Filter = exprtest.New(t, expr.OpGreater, stayColumn("days"), expr.Literal(value.Int(10)))
	tenDays := exprtest.New(t, expr.OpGreater, col("b", "most", value.TypeInt), expr.Literal(value.Int(10)))
	for name, c := range map[string]struct {
		relations []Relation
		filter    *expr.Expr
		keys      []*expr.Expr
		want      float64
	}{
		"ids, and others":                  {both(SetOpUnionAll, side(ids(), longest, false), side(longest, ids(), true)), nil, nil, 1},
		"ids, and others, in a condition":  {both(SetOpUnionAll, side(ids(), longest, false, tenDays), side(longest, ids(), true)), nil, nil, 1},
		"ids, and those that do not fit":   {both(SetOpUnionAll, side(longest, ids(), false), side(ids(), longest, true, tenDays)), nil, nil, 2},
		"ids, and all of the others":       {both(SetOpUnionAll, side(ids(), longest, false), side(longest, ids(), false)), nil, nil, 2},
		"ids, and those not of a third":    {both(SetOpUnionAll, side(ids(), longest, false), side(longest, third, true)), nil, nil, 2},
		"two of each":                      {both(SetOpUnionAll, grouped, grouped), nil, nil, 204},
		"what is in both":                  {both(SetOpIntersect, ids(), ids()), nil, nil, 1},
		"what is in one":                   {both(SetOpExcept, ids(), third), nil, nil, 1},
		"any":                              {both(SetOpUnionAll, first, first), nil, nil, math.Inf(1)},
		"numbered":                         {derived(first), nil, nil, math.Inf(1)},
		"the first two":                    {derived(first), two, nil, 2},
		"the first two, by their number":   {derived(first), two, []*expr.Expr{n}, 1},
		"the first two, twice":             {twice, two, nil, math.Inf(1)},
		"beside a list, by its key":        {append(derived(first), byKey), two, nil, 2},
		"beside a list, by what is no key": {append(derived(first), byOther), two, nil, math.Inf(1)},
		"one row a value":                  {derived(grouped), nil, nil, 102}, // 0 to 100, and NULL
		"and by the value":                 {derived(grouped), nil, []*expr.Expr{col("d", "days", value.TypeInt)}, 1},
		"one row a patient":                {[]Relation{{Name: "person", Table: "person"}}, nil, nil, 1},
	} {
		s, err := NewScopeWithin(c.relations, testCatalog(t), NewMemo(expr.NewBudget()))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.MostRows(c.filter, c.keys...); got != c.want {
			t.Errorf("%s: %g, not %g", name, got, c.want)
		}
	}
}

// A condition on a computed expression restricts that expression wherever it occurs.
func TestConditionsOnExpressions(t *testing.T) {
	s, err := NewScope([]Relation{{Name: "stay", Table: "stay"}}, testCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	twice := exprtest.New(t, expr.OpMultiply, stayColumn("days"), expr.Literal(value.Int(2)))
	filter := exprtest.New(t, expr.OpAnd, exprtest.New(t, expr.OpLessOrEqual, twice, expr.Literal(value.Int(30))), exprtest.New(t, expr.OpGreater, twice, expr.Literal(value.Int(10))))
	more := exprtest.New(t, expr.OpAdd, exprtest.New(t, expr.OpMultiply, stayColumn("days"), expr.Literal(value.Int(2))), expr.Literal(value.Int(1)))
	if f := s.RangeWhere(more, filter); f.Lower != 12 || f.Upper != 31 || f.Nullable {
		t.Errorf("%+v", f)
	}
	enforced, err := NewEnforced([]Relation{{Name: "stay", Table: "stay"}}, testCatalog(t), NewMemo(nil))
	if err != nil {
		t.Fatal(err)
	}
	if f := enforced.Range(more); f.Lower != 1 || f.Upper != 201 || !f.Nullable { // an enforced analysis does not believe filters
		t.Errorf("%+v", f)
	}
}
