package fragment

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

func ofStay(columns ...Output) *Query {
	return &Query{Relations: []Relation{{Name: "stay", Table: "stay"}}, Columns: columns, Patient: "id"}
}

func plainOutput(name string, e *expr.Expr) Output { return Output{Name: name, Expr: e} }

func stayColumn(name string) *expr.Expr { return col("stay", name, value.TypeInt) }

// over counts the rows of a derived relation.
func over(d *Query) Fragment {
	patient := "id"
	if d.Patient != "" {
		patient = d.Patient
	}
	return Fragment{Version: Version, Relations: []Relation{{Name: "d", Query: d}}, Patient: col("d", patient, value.TypeInt), Partials: rows(), Norm: L2, MaxGroups: 5, MaxRows: 10}
}

func numbered(order ...*expr.Expr) Output {
	w := &Window{Partition: []*expr.Expr{stayColumn("id")}}
	for _, e := range order {
		w.Order = append(w.Order, Order{Expr: e})
	}
	return Output{Name: "n", Function: FunctionRowNumber, Window: w}
}

func tied(o Output, ties ...*expr.Expr) Output {
	w := *o.Window
	w.Ties = ties
	o.Window = &w
	return o
}

// A hostile coordinator might send these queries to make a node believe something false of rows.
func TestCheckRefusesHostileDerived(t *testing.T) {
	id, days, stay := stayColumn("id"), stayColumn("days"), stayColumn("stay")
	patient := plainOutput("id", id)
	place := Relation{Name: "place", Table: "place", Join: JoinLeft, On: eq(t, col("place", "id", value.TypeInt), days)}
	optional := Relation{Name: "stay", Table: "stay", Join: JoinLeft, On: eq(t, col("place", "id", value.TypeInt), days)}
	named := func(d *Query, patient string) *Query { d.Patient = patient; return d }
	inputs := func(how SetOp, all ...*Query) *Query { return &Query{SetOp: how, Inputs: all, Patient: "id"} }
	lag := Output{Name: "before", Function: FunctionLag, Expr: stay, Window: &Window{Partition: []*expr.Expr{id}, Order: []Order{{Expr: days}}, Offset: 1}}
	grouped := func(columns ...Output) *Query { d := ofStay(columns...); d.Grouped = true; return d }
	framed := func(from, to int) *Query {
		o := Output{Name: "s", Function: FunctionSum, Expr: days, Window: &Window{Partition: []*expr.Expr{id}, Order: []Order{{Expr: stay}}, Frame: &Frame{From: from, To: to}, Ties: []*expr.Expr{days, id}}}
		return ofStay(patient, o)
	}
	public := &Query{Relations: []Relation{{Name: "place", Table: "place"}}, Columns: []Output{plainOutput("id", col("place", "id", value.TypeInt))}}
	for name, d := range map[string]*Query{
		"a constant as patient":                 ofStay(plainOutput("id", exprtest.Int(1))),
		"an expression as patient":              ofStay(plainOutput("id", exprtest.New(t, expr.OpAdd, id, exprtest.Int(1)))),
		"another column as patient":             ofStay(plainOutput("id", stay)),
		"no patient":                            named(ofStay(plainOutput("stay", stay)), ""),
		"a patient that is no column":           named(ofStay(patient), "who"),
		"a patient in another letter case":      named(ofStay(patient), "ID"),
		"the greatest patient":                  grouped(Output{Name: "id", Function: FunctionMax, Expr: id}, plainOutput("days", days)),
		"groups over patients":                  named(grouped(plainOutput("days", days), Output{Name: "n", Function: FunctionRows}), "days"),
		"one group of all":                      named(grouped(Output{Name: "n", Function: FunctionRows}), ""),
		"an optional patient":                   {Relations: []Relation{{Name: "place", Table: "place"}, optional}, Columns: []Output{patient}, Patient: "id"},
		"a public table that has a patient":     {Relations: public.Relations, Columns: public.Columns, Patient: "id"},
		"a public table's id as patient":        {Relations: []Relation{{Name: "stay", Table: "stay"}, place}, Columns: []Output{plainOutput("id", col("place", "id", value.TypeInt))}, Patient: "id"},
		"a window over patients":                ofStay(patient, Output{Name: "n", Function: FunctionRows, Window: &Window{Partition: []*expr.Expr{days}}}),
		"a window over all":                     ofStay(patient, Output{Name: "n", Function: FunctionRows, Window: &Window{}}),
		"a window in a grouping":                grouped(patient, Output{Name: "n", Function: FunctionRows, Window: &Window{Partition: []*expr.Expr{id}}}),
		"an order that is left to the database": ofStay(patient, plainOutput("stay", stay), numbered(days)),
		"ties that leave out what is read":      ofStay(patient, plainOutput("stay", exprtest.New(t, expr.OpAbs, stay)), tied(numbered(days), id)),
		"two orders of the same rows":           ofStay(patient, numbered(days), Output{Name: "m", Function: FunctionRowNumber, Window: &Window{Partition: []*expr.Expr{id}, Order: []Order{{Expr: days, Descending: true}}}}),
		"an unordered row before":               ofStay(patient, lag),
		"a frame that begins at the end":        framed(Unbounded, Unbounded),
		"a frame that ends at the beginning":    framed(-Unbounded, -Unbounded),
		"a frame turned round":                  framed(1, 0),
		"a window without order":                ofStay(patient, Output{Name: "n", Function: FunctionRowNumber, Window: &Window{Partition: []*expr.Expr{id}}}),
		"a function that is none":               ofStay(patient, Output{Name: "n", Function: "random", Window: &Window{Partition: []*expr.Expr{id}}}),
		"a value and a window":                  ofStay(patient, Output{Name: "n", Expr: days, Window: &Window{Partition: []*expr.Expr{id}}}),
		"nothing":                               {},
		"arms that are not there":               inputs(SetOpUnionAll, nil, nil),
		"an input that is not there":            inputs(SetOpExcept, ofStay(patient), nil),
		"one arm":                               inputs(SetOpUnionAll, ofStay(patient)),
		"arms of other columns":                 inputs(SetOpUnion, ofStay(patient), ofStay(patient, plainOutput("days", days))),
		"arms with patients at other places":    inputs(SetOpExcept, ofStay(patient, plainOutput("days", days)), ofStay(plainOutput("days", days), patient)),
		"patients and none":                     inputs(SetOpExcept, ofStay(patient), public),
		"none and patients":                     inputs(SetOpExcept, public, ofStay(patient)),
		"an input that forges":                  inputs(SetOpUnion, ofStay(patient), ofStay(plainOutput("id", stay))),
		"a combination that renames":            named(inputs(SetOpUnion, ofStay(patient, plainOutput("days", days)), ofStay(patient, plainOutput("days", days))), "days"),
		"a combination with columns":            {SetOp: SetOpUnionAll, Inputs: []*Query{ofStay(patient), ofStay(patient)}, Columns: []Output{patient}, Patient: "id"},
		"an unknown combination":                inputs("minus", ofStay(patient), ofStay(patient)),
		"a sum of floats without grid": {Relations: []Relation{{Name: "visit", Table: "visit"}, {Name: "vital", Table: "vital", Join: JoinInner, On: eq(t, col("visit", "stay", value.TypeInt), col("vital", "stay", value.TypeInt))}},
			Columns: []Output{plainOutput("id", col("visit", "who", value.TypeInt)), {Name: "s", Function: FunctionSum, Expr: col("vital", "x", value.TypeFloat)}}, Grouped: true, Patient: "id"},
	} {
		f := over(d)
		if p, err := Check(&f, testCatalog(t)); !errors.Is(err, ErrInvalid) && !errors.Is(err, expr.ErrExpression) {
			t.Errorf("%s: %+v, %v, want a refusal", name, p, err)
		}
	}
}

// Nor may public rows that are joined to private ones depend on how a database reads them.
func TestCheckRefusesUnorderedPublicRows(t *testing.T) {
	id, region := col("place", "id", value.TypeInt), col("place", "region", value.TypeText)
	last := func(ties ...*expr.Expr) Output {
		return Output{Name: "x", Function: FunctionLast, Expr: id, Window: &Window{Order: []Order{{Expr: region}}, Ties: ties}}
	}
	sum := Output{Name: "x", Function: FunctionSum, Expr: exprtest.Cast(t, id, value.TypeFloat)}
	exact := sum
	exact.Grid = &Grid{Upper: 100}
	for _, c := range []struct {
		name    string
		output  Output
		refused bool
	}{
		{"an order that is left to the database", last(), true},
		{"an order that ends in a key", last(id), false},
		{"a sum of floats in any order", sum, true},
		{"a sum on a grid", exact, false},
	} {
		public := &Query{Relations: []Relation{{Name: "place", Table: "place"}}, Columns: []Output{c.output}, Grouped: c.output.Window == nil}
		within := &Query{SetOp: SetOpUnionAll, Inputs: []*Query{public, public}}
		for _, d := range []*Query{public, within} {
			f := base(Relation{Name: "stay", Table: "stay"}, Relation{Name: "d", Query: d, Join: JoinCross})
			if _, err := Check(&f, testCatalog(t)); errors.Is(err, ErrInvalid) != c.refused || err != nil && !c.refused {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// list has rows of constants, with the columns k and x.
func list(how SetOp, rows ...[2]value.Value) *Query {
	d := &Query{SetOp: how}
	for _, r := range rows {
		d.Inputs = append(d.Inputs, &Query{Columns: []Output{plainOutput("k", expr.Literal(r[0])), plainOutput("x", expr.Literal(r[1]))}})
	}
	if len(rows) == 1 {
		return d.Inputs[0]
	}
	return d
}

// What a list of values tells of the patient's rows that are joined to it, and what does not count as such a list.
func TestLists(t *testing.T) {
	one, two, null := value.Int(1), value.Int(2), value.Null(value.TypeInt)
	a, b := value.Text("a"), value.Text("b")
	joined := func(d *Query, join Join, column string) Fragment {
		list := Relation{Name: "list", Query: d, Join: join}
		list.On = eq(t, col("person", "place", value.TypeInt), col("list", column, value.TypeInt))
		f := base(Relation{Name: "person", Table: "person"}, list)
		f.Patient = personID("person")
		return f
	}
	for name, c := range map[string]struct {
		f    Fragment
		once bool
	}{
		"a key":                {joined(list(SetOpUnionAll, [2]value.Value{one, a}, [2]value.Value{two, a}), JoinInner, "k"), true},
		"a key, or no row":     {joined(list(SetOpUnionAll, [2]value.Value{one, a}, [2]value.Value{two, a}), JoinLeft, "k"), true},
		"a value twice":        {joined(list(SetOpUnionAll, [2]value.Value{one, a}, [2]value.Value{one, b}), JoinInner, "k"), false},
		"a NULL":               {joined(list(SetOpUnionAll, [2]value.Value{one, a}, [2]value.Value{null, b}), JoinInner, "k"), false},
		"one row":              {joined(list("", [2]value.Value{one, a}), JoinInner, "k"), true},
		"the same row, united": {joined(list(SetOpUnion, [2]value.Value{one, a}, [2]value.Value{one, b}), JoinInner, "k"), false},
	} {
		if p, err := Check(&c.f, testCatalog(t)); err != nil || p.OneRow != c.once {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	good := func() *Query { return list(SetOpUnionAll, [2]value.Value{one, a}, [2]value.Value{two, b}) }
	for name, spoil := range map[string]func(d *Query){
		"a patient":          func(d *Query) { d.Patient = "k" },
		"a patient in a row": func(d *Query) { d.Inputs[0].Patient = "k" },
		"a column":           func(d *Query) { d.Inputs[1].Columns[0].Expr = stayColumn("id") },
		"an expression": func(d *Query) {
			d.Inputs[1].Columns[0].Expr = exprtest.New(t, expr.OpAdd, exprtest.Int(1), exprtest.Int(2))
		},
		"nothing":             func(d *Query) { d.Inputs[1].Columns[0].Expr = nil },
		"no value":            func(d *Query) { d.Inputs[1].Columns[0].Expr = &expr.Expr{Op: expr.OpLiteral, Type: value.TypeInt} },
		"another type":        func(d *Query) { d.Inputs[1].Columns[0].Expr = expr.Literal(a) },
		"a type that is none": func(d *Query) { d.Inputs[0].Columns[0].Expr.Type = value.TypeText },
		"U+0000":              func(d *Query) { d.Inputs[0].Columns[1].Expr = expr.Literal(value.Text("a\x00")) },
		"no column":           func(d *Query) { d.Inputs[0].Columns = nil },
		"fewer columns":       func(d *Query) { d.Inputs[1].Columns = d.Inputs[1].Columns[:1] },
		"a name twice":        func(d *Query) { d.Inputs[0].Columns[1].Name = "K" },
		"no name":             func(d *Query) { d.Inputs[0].Columns[1].Name = "" },
		"a function":          func(d *Query) { d.Inputs[0].Columns[0].Function = FunctionMax },
		"a window":            func(d *Query) { d.Inputs[0].Columns[0].Window = &Window{} },
		"a filter":            func(d *Query) { d.Inputs[0].Filter = expr.Literal(value.Bool(true)) },
		"a grouping":          func(d *Query) { d.Inputs[0].Grouped = true },
		"too many rows":       func(d *Query) { d.Inputs = append(d.Inputs, slices.Repeat(d.Inputs[:1], maxInputs)...) },
	} {
		d := good()
		spoil(d)
		f := joined(d, JoinInner, "k")
		if _, err := Check(&f, testCatalog(t)); !errors.Is(err, ErrInvalid) && !errors.Is(err, expr.ErrExpression) {
			t.Errorf("a list of values with %s is taken: %v", name, err)
		}
	}
	f := joined(good(), JoinInner, "k")
	f.Relations = f.Relations[1:]
	f.Relations[0].Join, f.Relations[0].On = "", nil
	f.Patient = col("list", "k", value.TypeInt)
	if _, err := Check(&f, testCatalog(t)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a list of values has patients: %v", err)
	}
}

// A careless comparison of names would take the first column for the patient's, and then each stay would be a patient.
func TestCheckRefusesDoublesOfThePatient(t *testing.T) {
	for _, names := range [][2]string{{"s", "s"}, {"S", "s"}, {"ſ", "s"}, {"K", "k"}, {"İ", "i"}} {
		d := ofStay(plainOutput(names[0], stayColumn("stay")), plainOutput(names[1], stayColumn("id")))
		d.Patient = names[1]
		f := over(d)
		f.Patient = col("d", names[0], value.TypeInt)
		if p, err := Check(&f, testCatalog(t)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is taken for %q: %+v, %v", names[0], names[1], p, err)
		}
	}
}

// What is proved of derived relations' rows, and what must not be believed.
func TestProofsOfDerived(t *testing.T) {
	id, days, stay := stayColumn("id"), stayColumn("days"), stayColumn("stay")
	patient := plainOutput("id", id)
	grouped := func(columns ...Output) *Query { d := ofStay(columns...); d.Grouped = true; return d }
	count := Output{Name: "n", Function: FunctionRows}
	inputs := func(how SetOp, all ...*Query) *Query { return &Query{SetOp: how, Inputs: all, Patient: "id"} }
	first := ofStay(patient, tied(numbered(stay), id))
	where := func(d *Query, e *expr.Expr) Fragment { f := over(d); f.Filter = e; return f }
	n := col("d", "n", value.TypeInt)
	person := &Query{Relations: []Relation{{Name: "person", Table: "person"}}, Columns: []Output{plainOutput("id", personID("person"))}, Patient: "id"}
	for name, c := range map[string]struct {
		f    Fragment
		once bool // a patient has one row
	}{
		// Some of a patient's stays find the patient and some do not: these are two groups, of the id and of NULL.
		"a group an optional patient": {over(&Query{Relations: []Relation{{Name: "stay", Table: "stay"}, {Name: "person", Table: "person", Join: JoinLeft,
			On: exprtest.New(t, expr.OpAnd, eq(t, id, personID("person")), exprtest.New(t, expr.OpLess, days, exprtest.Int(5)))}}, Columns: []Output{patient, plainOutput("other", personID("person")), count}, Grouped: true, Patient: "id"}), false},
		"rows as they are":                       {over(ofStay(patient, plainOutput("days", days))), false},
		"a group a patient":                      {over(grouped(patient, count)), true},
		"a group a patient and value":            {over(grouped(patient, plainOutput("days", days), count)), false},
		"that value fixed":                       {where(grouped(patient, plainOutput("days", days), count), eq(t, col("d", "days", value.TypeInt), exprtest.Int(7))), true},
		"that value compared":                    {where(grouped(patient, plainOutput("days", days), count), exprtest.New(t, expr.OpLess, col("d", "days", value.TypeInt), exprtest.Int(7))), false},
		"that value as a float":                  {where(grouped(patient, plainOutput("days", days), count), eq(t, col("d", "days", value.TypeInt), exprtest.Float(7))), false},
		"the first row":                          {where(first, eq(t, n, exprtest.Int(1))), true},
		"the first two":                          {where(first, exprtest.New(t, expr.OpIn, n, exprtest.Int(1), exprtest.Int(2))), false},
		"the first row or none":                  {where(first, exprtest.New(t, expr.OpOr, eq(t, n, exprtest.Int(1)), exprtest.New(t, expr.OpIsNull, n))), false},
		"the rank, where several are first":      {where(ofStay(patient, Output{Name: "n", Function: FunctionRank, Window: numbered(days).Window}), eq(t, n, exprtest.Int(1))), false},
		"the first of each length":               {where(ofStay(patient, plainOutput("days", days), Output{Name: "n", Function: FunctionRowNumber, Window: &Window{Partition: []*expr.Expr{id, days}, Order: []Order{{Expr: stay}}, Ties: []*expr.Expr{id, days}}}), eq(t, n, exprtest.Int(1))), false},
		"both sides of people":                   {over(inputs(SetOpUnionAll, person, person)), false},
		"distinct people":                        {over(inputs(SetOpUnion, person, person)), true},
		"distinct people with their stays":       {over(inputs(SetOpUnion, ofStay(patient, plainOutput("days", days)), ofStay(patient, plainOutput("days", days)))), false},
		"people but some":                        {over(inputs(SetOpExcept, person, ofStay(patient))), true},
		"people and some":                        {over(inputs(SetOpIntersect, person, ofStay(patient))), true},
		"some of people":                         {over(inputs(SetOpIntersect, ofStay(patient), person)), true},
		"groups of one group, of several":        {over(inputs(SetOpExcept, grouped(patient, plainOutput("days", days)), grouped(patient, plainOutput("days", days)))), false},
		"one row of a group, joined to itself":   {selfJoined(t, grouped(patient, count), eq(t, col("d", "id", value.TypeInt), col("e", "id", value.TypeInt))), true},
		"several rows, joined to one":            {selfJoined(t, grouped(patient, plainOutput("days", days), count), eq(t, col("d", "id", value.TypeInt), col("e", "id", value.TypeInt))), false},
		"several rows, joined by all but a part": {selfJoined(t, ofStay(patient, plainOutput("days", days)), exprtest.New(t, expr.OpAnd, eq(t, col("d", "id", value.TypeInt), col("e", "id", value.TypeInt)), eq(t, col("d", "days", value.TypeInt), col("e", "days", value.TypeInt)))), false},
	} {
		p, err := Check(&c.f, testCatalog(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if p.OneRow != c.once || c.once != (p.Rows == 1) {
			t.Errorf("%s: %+v", name, *p)
		}
	}
}

func selfJoined(t *testing.T, d *Query, on *expr.Expr) Fragment {
	t.Helper()
	f := over(d)
	f.Relations = append(f.Relations, Relation{Name: "e", Query: d, Join: JoinInner, On: on})
	return f
}

// A coordinator's grid bounds a sum whatever the bounds of the numbers are. Without keys, a group may have no row.
func TestFactsOfOutputs(t *testing.T) {
	c := testCatalog(t)
	x := col("vital", "x", value.TypeFloat)
	vitals := []Relation{{Name: "visit", Table: "visit"}, {Name: "vital", Table: "vital", Join: JoinInner, On: eq(t, col("visit", "stay", value.TypeInt), col("vital", "stay", value.TypeInt))}}
	facts := func(d *Query, column string) expr.Range {
		s, err := NewScope([]Relation{{Name: "d", Query: d}}, c)
		if err != nil {
			t.Fatal(err)
		}
		o := d.Columns[len(d.Columns)-1]
		return s.Range(expr.Column("d", column, o.Type()))
	}
	for _, g := range []Grid{{Shift: -900, Lower: 5, Upper: 5}, {Shift: 0, Lower: -7, Upper: -5}, {Shift: 3, Lower: 2, Upper: 4}} {
		for _, f := range []Function{FunctionSum, FunctionAverage} {
			d := &Query{Relations: vitals, Grouped: true, Patient: "id", Columns: []Output{plainOutput("id", col("visit", "who", value.TypeInt)), {Name: "s", Function: f, Expr: x, Grid: &g}}}
			got := facts(d, "s")
			one := d.Columns[1].of(&joined{evaluation: &evaluation{}, index: map[string]int{"vital": 0}, columns: map[*expr.Expr]int{},
				names: []map[string]int{{"x": 0}}, sources: []Rows{{Values: [][]value.Value{{value.Float(0.5)}}}}, rows: []joinedRow{{0}}}, []int{0})
			if x := one.Float64(); x < got.Lower || x > got.Upper {
				t.Errorf("%s on %+v is %v, and was to be within [%g, %g]", f, g, x, got.Lower, got.Upper)
			}
		}
	}
	id := col("place", "id", value.TypeInt)
	for f, zero := range map[Function]bool{FunctionRows: true, FunctionCount: true, FunctionDistinct: true, FunctionMin: false, FunctionMax: false, FunctionAverage: false, FunctionSum: false} {
		o := Output{Name: "s", Function: f, Expr: id}
		if f == FunctionRows {
			o.Expr = nil
		}
		got := facts(&Query{Relations: []Relation{{Name: "place", Table: "place"}}, Grouped: true, Columns: []Output{o}}, "s")
		if zero && got.Lower > 0 || !zero && !got.Nullable {
			t.Errorf("%s of no row: %+v", f, got)
		}
	}
}

// The largest fragments that the wire allows are checked within seconds.
func TestCheckIsBounded(t *testing.T) {
	days := stayColumn("days")
	var all []*expr.Expr
	for range 9_000 {
		all = append(all, exprtest.New(t, expr.OpLess, days, exprtest.Int(1000)))
	}
	filter := &expr.Expr{Op: expr.OpAnd, Type: value.TypeBool, Args: all}
	columns := []Output{plainOutput("id", stayColumn("id"))}
	for i := range maxDerivedColumns - 1 {
		sum := []*expr.Expr{}
		for range 100 {
			sum = append(sum, col("stay", "days", value.TypeInt))
		}
		columns = append(columns, plainOutput("c"+strings.Repeat("x", i), &expr.Expr{Op: expr.OpLeast, Type: value.TypeInt, Args: sum}))
	}
	d := ofStay(columns...)
	d.Filter = filter
	// As many operations as fit, whose values could be listed one by one.
	products := ofStay(plainOutput("id", stayColumn("id")))
	products.Filter = exprtest.New(t, expr.OpLess, days, exprtest.Int(99)) // 99 times 99 values each
	for range 120 {
		var all []*expr.Expr
		for range 120 {
			all = append(all, exprtest.New(t, expr.OpMultiply, stayColumn("days"), exprtest.New(t, expr.OpAdd, stayColumn("days"), exprtest.Int(1))))
		}
		products.Columns = append(products.Columns, plainOutput("c"+strings.Repeat("x", len(products.Columns)), &expr.Expr{Op: expr.OpLeast, Type: value.TypeInt, Args: all}))
	}
	for name, d := range map[string]*Query{"conditions": d, "products": products} {
		f := over(d)
		b, err := json.Marshal(Request{Fragment: f})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = Check(&f, testCatalog(t))
		took := time.Since(start)
		if t.Logf("%s: %d bytes, %v: %v", name, len(b), took, err); err != nil || took > 10*time.Second {
			t.Errorf("Check of %s took %v: %v", name, took, err)
		}
	}
}

// FuzzCheck: whatever the wire brings is checked in time. An accepted fragment can be described and evaluated.
func FuzzCheck(f *testing.F) {
	id, days := stayColumn("id"), stayColumn("days")
	d := ofStay(plainOutput("id", id), plainOutput("days", days))
	window := Output{Name: "n", Function: FunctionSum, Expr: days, Window: &Window{Partition: []*expr.Expr{id}, Order: []Order{{Expr: stayColumn("stay")}}, Frame: &Frame{From: -1, To: 0}}}
	grouped := ofStay(plainOutput("id", id), Output{Name: "n", Function: FunctionDistinct, Expr: days})
	grouped.Grouped = true
	within := &Query{Relations: []Relation{{Name: "r", Query: d}}, Columns: []Output{plainOutput("id", col("r", "id", value.TypeInt)), plainOutput("x", exprtest.Int(1))}, Patient: "id"}
	for _, d := range []*Query{
		d, ofStay(plainOutput("id", id), window), grouped,
		{SetOp: SetOpExcept, Inputs: []*Query{d, d, nil}, Patient: "id"},
		{SetOp: SetOpUnion, Inputs: []*Query{d, within}, Patient: "id"},
	} {
		b, err := json.Marshal(Request{Fragment: over(d)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	c := testCatalog(f)
	table := func(name string) Rows {
		t, _ := c.Table(name)
		out := Rows{Values: [][]value.Value{nil, nil}}
		for _, column := range t.Columns {
			out.Names = append(out.Names, column.Name)
			out.Values[0], out.Values[1] = append(out.Values[0], value.Null(column.Type)), append(out.Values[1], one(column.Type))
		}
		return out
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		start := time.Now()
		_, err = Check(&r.Fragment, c)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("Check took %v", took)
		}
		relations := 0
		walkRelations(r.Fragment.Relations, func(*Relation) { relations++ })
		if err != nil || relations > 8 {
			return
		}
		for _, relation := range r.Fragment.Relations {
			_ = relation.String()
			if relation.Query != nil {
				relation.Query.Evaluate(table, "h", c)
			}
		}
	})
}

// one is a value of type t.
func one(t value.Type) value.Value {
	text := "1"
	switch t {
	case value.TypeBool:
		text = "true"
	case value.TypeDate, value.TypeTimestamp:
		text = "2020-01-01"
	}
	v, err := value.Parse(t, text)
	if err != nil {
		panic(err) // a mistake in the test
	}
	return v
}

// A left join that finds nothing yields NULL, also for a column whose domain has no NULL.
func TestOptionalColumnsMayBeNull(t *testing.T) {
	never := exprtest.New(t, expr.OpAnd, expr.Literal(value.Bool(false)), expr.Literal(value.Null(value.TypeBool)))
	d := ofStay(plainOutput("id", stayColumn("id")), plainOutput("c", never))
	s, err := NewScope([]Relation{{Name: "person", Table: "person"}, {Name: "d", Query: d, Join: JoinLeft, On: eq(t, personID("person"), personID("d"))}}, testCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	if f := s.Range(col("d", "c", value.TypeBool)); !f.Nullable || !slices.ContainsFunc(f.Domain, value.Value.IsNull) {
		t.Errorf("%+v", f)
	}
}
