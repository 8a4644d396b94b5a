package fragment

import (
	"errors"
	"math"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

func testCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Parse([]byte(testcatalog.YAML(`catalog: test
hospital_column: true`,
		testcatalog.Person(
			"sex: {type: text, nullable: false, domain: [f, m]}",
			"place: {type: int, references: place.id}",
		),
		testcatalog.Keyed("stay", "days: {type: int, bounds: [0, 100]}"),
		`  vital:
    patient: stay
    columns:
      stay: {type: int, nullable: false, references: visit.stay}
      x: {type: float, bounds: [0, 1]}
`,
		`  visit:
    key: stay
    patient: who
    columns:
      stay: {type: int, nullable: false}
      who: {type: int, nullable: false}
`,
		testcatalog.Public("place", "id", "region: {type: text}"),
	)), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func col(relation, column string, t value.Type) *expr.Expr { return expr.Column(relation, column, t) }

func eq(t *testing.T, a, b *expr.Expr) *expr.Expr { return exprtest.New(t, expr.OpEqual, a, b) }

func personID(name string) *expr.Expr { return col(name, "id", value.TypeInt) }

func rows() []Partial { return []Partial{{Kind: PartialRows}} }

func base(relations ...Relation) Fragment {
	return Fragment{Version: Version, Relations: relations, Patient: personID(relations[0].Name), Partials: rows(), Norm: L2, MaxGroups: 5, MaxRows: 10}
}

func TestProofs(t *testing.T) {
	person, stay := Relation{Name: "person", Table: "person"}, Relation{Name: "stay", Table: "stay"}
	joined := func(r Relation, how Join, on *expr.Expr) Relation { r.Join, r.On = how, on; return r }
	sex := Key{Expr: col("person", "sex", value.TypeText), Domain: []value.Value{value.Text("f"), value.Text("m")}}
	days := Key{Expr: col("stay", "days", value.TypeInt)}
	place := Relation{Name: "place", Table: "place", Join: JoinLeft, On: eq(t, col("place", "id", value.TypeInt), col("person", "place", value.TypeInt))}
	loose := place
	loose.On = exprtest.New(t, expr.OpLess, col("place", "id", value.TypeInt), col("person", "place", value.TypeInt))
	keyed := func(f Fragment, keys ...Key) Fragment { f.Keys = keys; return f }
	for _, c := range []struct {
		name string
		f    Fragment
		want Proof
	}{
		{"one row a patient", base(person), Proof{OneRow: true, KeysPerPatient: true, Groups: 1, Rows: 1, Cells: 1}},
		{"its keys", keyed(base(person), sex), Proof{OneRow: true, KeysPerPatient: true, Groups: 1, Rows: 1, Cells: 2}},
		{"joined to a key", base(person, place), Proof{OneRow: true, KeysPerPatient: true, Groups: 1, Rows: 1, Cells: 1}},
		{"joined to no key", base(person, loose), Proof{KeysPerPatient: true, Groups: 1, Rows: 10, Cells: 1}},
		{"many rows", base(stay), Proof{KeysPerPatient: true, Groups: 1, Rows: 10, Cells: 1}},
		{"many rows, the patient's keys", keyed(base(stay, joined(person, JoinInner, eq(t, personID("stay"), personID("person")))), sex),
			Proof{KeysPerPatient: true, Groups: 1, Rows: 10, Cells: 2}},
		{"joined where the patient is the same", keyed(base(stay, joined(person, JoinLeft, eq(t, personID("stay"), personID("person")))), sex),
			Proof{KeysPerPatient: true, Groups: 1, Rows: 10, Cells: 2}},
		// Some stays of a patient find the patient's row by the left join, and others do not.
		{"joined where a stay says so", keyed(base(stay, joined(person, JoinLeft, exprtest.New(t, expr.OpAnd, eq(t, personID("stay"), personID("person")), exprtest.New(t, expr.OpLess, exprtest.Int(5), days.Expr)))), sex),
			Proof{Groups: 2, Rows: 10, Cells: 2}},
		// The same holds for the patient's id there: it is NULL if the join finds nothing.
		{"the patient's id where a stay says so", keyed(base(stay, joined(person, JoinLeft, exprtest.New(t, expr.OpAnd, eq(t, personID("stay"), personID("person")), exprtest.New(t, expr.OpLess, exprtest.Int(5), days.Expr)))), Key{Expr: personID("person")}),
			Proof{Groups: 5, Rows: 10, Cells: 0}},
		{"the patient's id", keyed(base(stay), Key{Expr: personID("stay")}), Proof{KeysPerPatient: true, Groups: 1, Rows: 10, Cells: 0}},
		{"undeclared keys", keyed(base(stay), days), Proof{Groups: 5, Rows: 10, Cells: 0}},
		{"few declared keys", keyed(base(stay), Key{days.Expr, []value.Value{value.Int(1), value.Int(2)}}), Proof{Groups: 2, Rows: 10, Cells: 2}},
		{"one row, undeclared keys", keyed(base(person), Key{Expr: col("person", "sex", value.TypeText)}), Proof{OneRow: true, KeysPerPatient: true, Groups: 1, Rows: 1, Cells: 0}},
	} {
		got, err := Check(&c.f, testCatalog(t))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got.Sizes = nil
		if got.OneRow != c.want.OneRow || got.KeysPerPatient != c.want.KeysPerPatient || got.Groups != c.want.Groups ||
			got.Unclipped != c.want.OneRow || got.Rows != c.want.Rows || got.Cells != c.want.Cells {
			t.Errorf("%s: %+v, want %+v", c.name, *got, c.want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	person, stay := Relation{Name: "person", Table: "person"}, Relation{Name: "stay", Table: "stay"}
	visit := Relation{Name: "visit", Table: "visit"}
	joined := func(r Relation, how Join, on *expr.Expr) Relation { r.Join, r.On = how, on; return r }
	with := func(change func(*Fragment), relations ...Relation) Fragment {
		f := base(relations...)
		change(&f)
		return f
	}
	none := func(*Fragment) {}
	days := col("stay", "days", value.TypeInt)
	second := Relation{Name: "other", Table: "person"}
	third := Relation{Name: "third", Table: "stay"}
	for name, f := range map[string]Fragment{
		"two patients in a row":           with(none, person, joined(stay, JoinCross, nil)),
		"patients tied by another column": with(none, person, joined(stay, JoinInner, eq(t, col("person", "place", value.TypeInt), personID("stay")))),
		"tied on one branch of an OR":     with(none, person, joined(stay, JoinInner, exprtest.New(t, expr.OpOr, eq(t, personID("person"), personID("stay")), eq(t, days, exprtest.Int(1))))),
		"tied by a left join's condition about others": with(none, person, joined(second, JoinInner, eq(t, exprtest.Int(1), exprtest.Int(1))),
			joined(third, JoinLeft, eq(t, personID("person"), personID("other")))),
		"the optional side's patient": with(func(f *Fragment) { f.Patient = personID("stay") }, person, joined(stay, JoinLeft, eq(t, personID("person"), personID("stay")))),
		"a patient that is none":      with(func(f *Fragment) { f.Patient = days }, stay),
		"a foreign key as patient":    with(func(f *Fragment) { f.Patient = col("vital", "stay", value.TypeInt) }, Relation{Name: "vital", Table: "vital"}),
		"different patient ids":       with(none, person, joined(visit, JoinInner, eq(t, personID("person"), col("visit", "stay", value.TypeInt)))),
		"an unknown table":            with(none, Relation{Name: "x", Table: "x"}),
		"an unknown column":           with(func(f *Fragment) { f.Filter = eq(t, col("stay", "y", value.TypeInt), exprtest.Int(1)) }, stay),
		"a column of another type":    with(func(f *Fragment) { f.Filter = eq(t, col("stay", "days", value.TypeFloat), exprtest.Float(1)) }, stay),
		"a filter that is none":       with(func(f *Fragment) { f.Filter = days }, stay),
		"a name twice":                with(none, person, joined(person, JoinCross, nil)),
		"a join without condition":    with(none, person, joined(stay, JoinInner, nil)),
		"no partial":                  with(func(f *Fragment) { f.Partials = nil }, person),
		"no limit":                    with(func(f *Fragment) { f.MaxRows = 0 }, person),
		"no norm":                     with(func(f *Fragment) { f.Norm = "" }, person),
		"rows of an expression":       with(func(f *Fragment) { f.Partials = []Partial{{Kind: PartialRows, Expr: days}} }, stay),
		"buckets beyond float64": with(func(f *Fragment) {
			f.Partials = []Partial{{Kind: PartialBuckets, Expr: days, Buckets: &Buckets{Lower: -1e308, Upper: 1e308, Branching: 2, Levels: 1}}}
		}, stay),
		"a constant with U+0000": with(func(f *Fragment) { f.Filter = eq(t, col("person", "sex", value.TypeText), exprtest.Text("f\x00")) }, person),
		"a domain with U+0000": with(func(f *Fragment) {
			f.Keys = []Key{{col("person", "sex", value.TypeText), []value.Value{value.Text("\x00")}}}
		}, person),
		"a sum without grid":       with(func(f *Fragment) { f.Partials = []Partial{{Kind: PartialSum, Expr: days}} }, stay),
		"a sum on a huge grid":     with(func(f *Fragment) { f.Partials = []Partial{{Kind: PartialSum, Expr: days, Grid: &Grid{Upper: 1 << 50}}} }, stay),
		"a domain of another type": with(func(f *Fragment) { f.Keys = []Key{{days, []value.Value{value.Text("1")}}} }, stay),
		"a lying type": with(func(f *Fragment) {
			f.Filter = &expr.Expr{Op: expr.OpAdd, Type: value.TypeBool, Args: []*expr.Expr{exprtest.Int(1), exprtest.Int(1)}}
		}, stay),
		"an unknown operation": with(func(f *Fragment) {
			f.Filter = &expr.Expr{Op: "sleep", Type: value.TypeBool, Args: []*expr.Expr{exprtest.Int(1)}}
		}, stay),
	} {
		if p, err := Check(&f, testCatalog(t)); !errors.Is(err, ErrInvalid) && !errors.Is(err, expr.ErrExpression) {
			t.Errorf("%s: %+v, %v, want a refusal", name, p, err)
		}
	}
}

func TestTiesThroughKeys(t *testing.T) {
	vital := Relation{Name: "vital", Table: "vital"}
	key := func(r string) *expr.Expr { return col(r, "stay", value.TypeInt) }
	who := col("visit", "who", value.TypeInt)
	visit := Relation{Name: "visit", Table: "visit", Join: JoinInner, On: eq(t, key("vital"), key("visit"))}
	again := Relation{Name: "again", Table: "vital", Join: JoinInner, On: eq(t, key("vital"), key("again"))}
	f := Fragment{Version: Version, Relations: []Relation{vital, visit, again}, Patient: who, Partials: rows(), Norm: L2, MaxGroups: 1, MaxRows: 7}
	p, err := Check(&f, testCatalog(t))
	if err != nil || p.Rows != 7 || p.OneRow {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRequestVerify(t *testing.T) {
	f := base(Relation{Name: "stay", Table: "stay"})
	f.Keys = []Key{{Expr: col("stay", "days", value.TypeInt)}}
	p, err := Check(&f, testCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	noise := dp.Noise{Mechanism: dp.Gaussian, Epsilon: 1, Limit: 5}
	if err := (&Request{Fragment: f, Noise: noise, ThresholdDelta: 1e-6}).Verify(p); err != nil {
		t.Error(err)
	}
	fewer, free, other := noise, noise, noise
	fewer.Limit, free.Epsilon, other.Mechanism = 1, 0, dp.Laplace
	for name, r := range map[string]Request{
		"less noise than length": {Fragment: f, Noise: fewer, ThresholdDelta: 1e-6},
		"noise of another norm":  {Fragment: f, Noise: other, ThresholdDelta: 1e-6},
		"no epsilon":             {Fragment: f, Noise: free, ThresholdDelta: 1e-6},
		"no threshold":           {Fragment: f, Noise: noise},
	} {
		if r.Verify(p) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestGridKeepsSumsWithin64Bits(t *testing.T) {
	for _, bounds := range [][2]float64{{0, 1}, {-1e-9, 1e-9}, {0, 300}, {-1e15, 1e15}, {1e6, 1e6 + 1}, {0, 0}, {-5, -1}, {0, 1e300}} {
		for _, maxRows := range []int{1, 10, 1000, 1_000_000} {
			for _, centered := range []bool{false, true} {
				for _, whole := range []bool{false, bounds[1] < 1e15} {
					g, err := NewGrid(bounds[0], bounds[1], whole, centered, maxRows)
					if err != nil {
						t.Errorf("%v: %v", bounds, err)
						continue
					}
					if err := g.validate(maxRows, sizeBits); err != nil {
						t.Errorf("%v, %d rows, whole %v, centered %v: %+v: %v", bounds, maxRows, whole, centered, g, err)
					}
					if step := g.Number(1); centered && !whole && step > (bounds[1]-bounds[0])/1e3+1e-12*math.Abs(bounds[1]) && bounds[0] != bounds[1] && maxRows < 1e5 {
						t.Errorf("%v, %d rows: a step of %g is coarse", bounds, maxRows, step)
					}
				}
			}
		}
	}
	if g, err := NewGrid(1<<59, 1<<59+128, true, true, 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("whole numbers that float64 confuses have the grid %v, %v", g, err)
	}
	if _, err := NewGrid(0, math.Inf(1), false, false, 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("an unbounded sum has a grid: %v", err)
	}
}

// FuzzBuckets: among accepted buckets each value has one, and a higher value never has a lower bucket. The ends are in
// the first and the last bucket, and an edge is within one bucket of its own.
func FuzzBuckets(f *testing.F) {
	f.Add(0.0, 1.0, 16, 3, 0.5)
	f.Add(-math.MaxFloat64, math.MaxFloat64, 2, 1, 0.0)
	f.Add(-math.MaxFloat64/2, math.MaxFloat64/2, 1000, 1, math.MaxFloat64)
	f.Add(0.0, math.SmallestNonzeroFloat64, 2, 1, 1.0)
	f.Add(0.0, math.MaxFloat64, 16, 4, math.MaxFloat64)
	f.Add(1.0, math.Nextafter(1, 2), 2, 1, 1.0)
	f.Fuzz(func(t *testing.T, lower, upper float64, branching, levels int, x float64) {
		b := Buckets{Lower: lower, Upper: upper, Branching: branching, Levels: levels}
		if b.Validate() != nil || math.IsNaN(x) || math.IsInf(x, 0) { // expressions never have these values
			return
		}
		last := b.Leaves() - 1
		if b.Leaf(lower) != 0 || b.Leaf(upper) < last-1 || b.Leaf(-math.MaxFloat64) != 0 || b.Leaf(math.MaxFloat64) < last-1 {
			t.Errorf("%+v: the ends are in %d and %d of %d", b, b.Leaf(lower), b.Leaf(upper), last)
		}
		at := b.Leaf(x)
		if at < 0 || at > last {
			t.Fatalf("%+v: %g is in %d of %d", b, x, at, last)
		}
		if next := b.Leaf(math.Nextafter(x, math.Inf(1))); next < at {
			t.Errorf("%+v: %g is in %d, and what is above it in %d", b, x, at, next)
		}
	})
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"fragment":{"version":1,"relations":[{"name":"p","table":"person"}],"patient":{"op":"column"},"partials":[{"kind":"rows"}]}}`))
	f.Add([]byte(`{"fragment":{"version":1,"filter":{"op":"and","args":[null]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRequest(b)
		if err != nil {
			return
		}
		if p, err := Check(&r.Fragment, testCatalog(t)); err == nil {
			_ = r.Verify(p)
		}
	})
}
