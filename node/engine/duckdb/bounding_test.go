package duckdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

const wardCatalog = `
catalog: ward
hospital_column: true
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: int, nullable: false}
      sex: {type: text, domain: [F, M]}
      age: {type: int, bounds: [0, 120]}
  event:
    patient: id
    columns:
      id: {type: int, nullable: false, references: person.id}
      unit: {type: int, bounds: [1, 6]}
      kind: {type: text}
      x: {type: float, bounds: [-10, 10]}
      n: {type: int, bounds: [0, 1000]}
      day: {type: date, bounds: [2000-01-01, 2030-12-31]}
      urgent: {type: bool}
      free: {type: float}
  kinds:
    public: true
    key: kind
    columns:
      kind: {type: text, nullable: false}
      label: {type: text}
`

var (
	evID     = fragment.Column("e", "id", value.TypeInt)
	evUnit   = fragment.Column("e", "unit", value.TypeInt)
	evKind   = fragment.Column("e", "kind", value.TypeText)
	evX      = fragment.Column("e", "x", value.TypeFloat)
	evN      = fragment.Column("e", "n", value.TypeInt)
	evFree   = fragment.Column("e", "free", value.TypeFloat)
	evDay    = fragment.Column("e", "day", value.TypeDate)
	evUrgent = fragment.Column("e", "urgent", value.TypeBool)
	pID      = fragment.Column("p", "id", value.TypeInt)
	pSex     = fragment.Column("p", "sex", value.TypeText)
	pAge     = fragment.Column("p", "age", value.TypeInt)
	kKind    = fragment.Column("k", "kind", value.TypeText)
	kLabel   = fragment.Column("k", "label", value.TypeText)

	events  = []fragment.Relation{{Name: "e", Table: "event"}}
	persons = []fragment.Relation{{Name: "p", Table: "person"}}
	both    = append(persons[:1:1], fragment.Relation{Name: "e", Table: "event", Join: fragment.JoinInner, On: op(fragment.OpEqual, evID, pID)})
)

func op(o fragment.Op, args ...*fragment.Expr) *fragment.Expr { return must(fragment.New(o, args...)) }

func integer(i int64) *fragment.Expr { return fragment.Literal(value.Int(i)) }
func str(s string) *fragment.Expr    { return fragment.Literal(value.Text(s)) }

func grid(lower, upper float64, whole, centered bool, maxRows int) *fragment.Grid {
	g, err := fragment.NewGrid(lower, upper, whole, centered, maxRows)
	if err != nil {
		panic(err)
	}
	return &g
}

func domain(values ...value.Value) []value.Value { return values }

// run returns the partial aggregates by group.
func run(t testing.TB, e *Engine, f *fragment.Fragment) (map[string][]int64, *fragment.Proof) {
	t.Helper()
	f.Version = fragment.Version
	p, err := fragment.Check(f, e.catalog)
	if err != nil {
		t.Fatal(err)
	}
	alloc := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer alloc.AssertSize(t, 0)
	got := map[string][]int64{}
	err = e.Run(context.Background(), f, p, alloc, func(r arrow.Record) error {
		return fragment.ReadRecord(f, r, func(keys []value.Value, partials []int64) error {
			k := keyText(keys)
			if _, twice := got[k]; twice {
				return fmt.Errorf("group %s comes twice", k)
			}
			got[k] = append([]int64(nil), partials...)
			return nil
		})
	})
	if err != nil {
		text, _ := e.Compile(f, p)
		t.Fatalf("%v: %v\n%s", err, errors.Unwrap(err), text)
	}
	return got, p
}

func keyText(keys []value.Value) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%v|", k)
	}
	return b.String()
}

type row = map[string]value.Value // by relation.column

// wardRows makes a ward at random and returns its persons and their joined events.
func wardRows(t *testing.T, r *rand.Rand) (e *Engine, persons, joined []row) {
	t.Helper()
	val := func(n int, make func() value.Value, null value.Type) value.Value {
		if r.IntN(n) == 0 {
			return value.Null(null)
		}
		return make()
	}
	insert := []string{"CREATE TABLE person(id BIGINT, sex VARCHAR, age INTEGER)", "CREATE TABLE event(id BIGINT, unit BIGINT, kind VARCHAR, x DOUBLE, n BIGINT, day DATE, urgent BOOLEAN, free DOUBLE)", "CREATE TABLE kinds(kind VARCHAR, label VARCHAR)"}
	byID := map[int64]row{}
	for id := range int64(r.IntN(12)) {
		p := row{"p.id": value.Int(id), "p.sex": val(5, func() value.Value { return value.Text([]string{"F", "M", "X"}[r.IntN(3)]) }, value.TypeText), "p.age": val(5, func() value.Value { return value.Int(int64(r.IntN(200) - 40)) }, value.TypeInt)}
		byID[id] = p
		persons = append(persons, p)
		insert = append(insert, insertion("person", p, "p.id", "p.sex", "p.age"))
	}
	for range r.IntN(150) {
		ev := row{
			"e.id": val(30, func() value.Value { return value.Int(int64(r.IntN(12))) }, value.TypeInt), "e.unit": val(8, func() value.Value { return value.Int(int64(r.IntN(8))) }, value.TypeInt),
			"e.kind": val(8, func() value.Value { return value.Text(string(rune('a' + r.IntN(5)))) }, value.TypeText), "e.x": val(6, func() value.Value { return value.Float(r.Float64()*30 - 15) }, value.TypeFloat),
			"e.n": val(6, func() value.Value { return value.Int(int64(r.IntN(1400) - 100)) }, value.TypeInt), "e.day": val(9, func() value.Value { return value.Date(int64(10957 + r.IntN(60))) }, value.TypeDate),
			"e.urgent": val(4, func() value.Value { return value.Bool(r.IntN(2) == 0) }, value.TypeBool), "e.free": val(4, func() value.Value { return value.Float(math.Ldexp(r.Float64()-0.5, r.IntN(400)-100)) }, value.TypeFloat)}
		insert = append(insert, insertion("event", ev, "e.id", "e.unit", "e.kind", "e.x", "e.n", "e.day", "e.urgent", "e.free"))
		if p, ok := byID[ev["e.id"].Int64()]; ok && !ev["e.id"].IsNull() {
			maps.Copy(ev, p)
			joined = append(joined, ev)
		}
	}
	e = engineWith(t, wardCatalog, insert...)
	for _, rows := range [][]row{persons, joined} {
		for _, x := range rows {
			for name, v := range x {
				relation, column, _ := strings.Cut(name, ".")
				table, _ := e.catalog.Table(map[string]string{"p": "person", "e": "event"}[relation])
				c, _ := table.Column(column)
				if c.Lower.Valid() && !v.IsNull() {
					if value.Compare(v, c.Lower) < 0 {
						x[name] = c.Lower
					}
					if value.Compare(v, c.Upper) > 0 {
						x[name] = c.Upper
					}
				}
			}
		}
	}
	return e, persons, joined
}

func insertion(table string, r row, columns ...string) string {
	var values []string
	for _, c := range columns {
		s, err := compile.DuckDB.Literal(r[c])
		if err != nil {
			panic(err)
		}
		values = append(values, s)
	}
	return "INSERT INTO " + table + " VALUES (" + strings.Join(values, ", ") + ")"
}

// reference computes every patient's part in every group, as doc.go of
// internal/fragment defines it, before groups are left out.
func reference(f *fragment.Fragment, p *fragment.Proof, rows []row) map[int64]map[string][]int64 {
	at := func(e *fragment.Expr, r row) value.Value {
		return fragment.Evaluate(e, func(c *fragment.Expr) value.Value {
			if c.Op == fragment.OpHospital {
				return value.Text("St. Mary's")
			}
			return r[c.Relation+"."+c.Column]
		})
	}
	type cell struct {
		patient int64
		keys    string
	}
	groups := map[cell][]row{}
rows:
	for _, r := range rows {
		patient := at(f.Patient, r)
		if patient.IsNull() || f.Filter != nil && !at(f.Filter, r).True() {
			continue
		}
		var keys []value.Value
		for _, k := range f.Keys {
			v := at(k.Expr, r)
			in := len(k.Domain) == 0
			for _, d := range k.Domain {
				in = in || d == v
			}
			if !in {
				continue rows
			}
			keys = append(keys, v)
		}
		c := cell{patient.Int64(), keyText(keys)}
		groups[c] = append(groups[c], r)
	}
	parts := map[int64]map[string][]int64{}
	for c, rows := range groups {
		var part []int64
		for _, partial := range f.Partials {
			part = append(part, share(partial, int64(p.Rows), rows, at))
		}
		if parts[c.patient] == nil {
			parts[c.patient] = map[string][]int64{}
		}
		parts[c.patient][c.keys] = part
	}
	return parts
}

func share(p fragment.Partial, k int64, rows []row, at func(*fragment.Expr, row) value.Value) int64 {
	n := int64(0)
	sum := new(big.Int)
	for _, r := range rows {
		switch {
		case p.Expr == nil:
			n++
		case p.Kind == fragment.PartialPatients:
			if at(p.Expr, r).True() {
				n++
			}
		case !at(p.Expr, r).IsNull():
			n++
			if g := p.Grid; g != nil {
				x := math.Floor(math.Ldexp(at(p.Expr, r).Float64(), g.Shift) + 0.5)
				x = math.Min(math.Max(x, float64(g.Lower)), float64(g.Upper))
				sum.Add(sum, big.NewInt(int64(x)-g.Center))
			}
		}
	}
	switch p.Kind {
	case fragment.PartialPatients:
		return min(n, 1)
	case fragment.PartialSum:
		if n > k {
			sum.Mul(sum, big.NewInt(k))
			sum.Quo(sum, big.NewInt(n)) // toward zero
		}
		return sum.Int64()
	}
	return min(n, k)
}

// TestBounding compares Run with the definition on random small wards.
func TestBounding(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	null := value.Null(value.TypeText)
	keys := []fragment.Key{
		{Expr: evKind}, {Expr: evKind, Domain: domain(value.Text("a"), value.Text("b"), value.Text("zz"), null)}, {Expr: evKind, Domain: domain(value.Text("c"))}, {Expr: evKind, Domain: domain(null)},
		{Expr: evUnit}, {Expr: evUnit, Domain: domain(value.Int(2), value.Int(3), value.Int(4), value.Null(value.TypeInt))}, {Expr: evUrgent}, {Expr: evDay}, {Expr: op(fragment.OpDivide, evX, evX)},
		{Expr: pSex}, {Expr: pSex, Domain: domain(value.Text("F"), value.Text("M"))}, {Expr: fragment.Hospital(), Domain: domain(value.Text("St. Mary's"))},
		{Expr: op(fragment.OpRound, evFree, integer(0))},
	}
	truncated := 0
	for i := range 40 {
		e, persons, joined := wardRows(t, r)
		for range 8 {
			f := &fragment.Fragment{Relations: both, Patient: evID, MaxGroups: 1 + r.IntN(4), MaxRows: 1 + r.IntN(5)}
			rows := joined
			choose := keys
			if r.IntN(4) == 0 { // one row a patient
				f.Relations, f.Patient, rows, choose = both[:1], pID, persons, keys[9:12]
			}
			for range r.IntN(3) {
				f.Keys = append(f.Keys, choose[r.IntN(len(choose))])
			}
			partials := []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows},
				{Kind: fragment.PartialPatients, Expr: op(fragment.OpGreater, pAge, integer(50))}, {Kind: fragment.PartialValues, Expr: pAge},
				{Kind: fragment.PartialSum, Expr: pAge, Grid: grid(0, 120, true, r.IntN(2) == 0, f.MaxRows)}}
			if len(f.Relations) == 2 {
				partials = append(partials, fragment.Partial{Kind: fragment.PartialPatients, Expr: evUrgent}, fragment.Partial{Kind: fragment.PartialValues, Expr: evX},
					fragment.Partial{Kind: fragment.PartialValues, Expr: evFree},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-10, 10, false, r.IntN(2) == 0, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-3, 2, false, r.IntN(2) == 0, f.MaxRows)}, // narrower than the column
					fragment.Partial{Kind: fragment.PartialSum, Expr: evN, Grid: grid(10, 500, true, r.IntN(2) == 0, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evN, Grid: &fragment.Grid{Shift: -3, Lower: 2, Upper: 100}},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evFree, Grid: grid(-1e6, 1e6, false, false, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: op(fragment.OpMultiply, evX, evX), Grid: grid(0, 100, false, true, f.MaxRows)})
				if r.IntN(2) == 0 {
					f.Filter = op(fragment.OpGreater, evN, integer(200))
				}
			}
			for range 1 + r.IntN(5) {
				f.Partials = append(f.Partials, partials[r.IntN(len(partials))])
			}
			got, p := run(t, e, f)
			want := map[string][]int64{}
			if len(f.Keys) == 0 {
				want[""] = make([]int64, len(f.Partials))
			}
			for patient, parts := range reference(f, p, rows) {
				if p.Truncates {
					parts = kept(t, e, f, p, patient, parts)
					truncated++
				}
				for k, part := range parts {
					if want[k] == nil {
						want[k] = make([]int64, len(f.Partials))
					}
					for i := range part {
						want[k][i] += part[i]
						if bound := p.LInf[i]; part[i] > bound || part[i] < -bound {
							t.Fatalf("a part of %d exceeds the proof's bound %d", part[i], bound)
						}
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				text, _ := e.Compile(f, p)
				t.Fatalf("ward %d: %s\n%+v\n%s", i, diff, *p, text)
			}
		}
	}
	if truncated < 100 {
		t.Errorf("only %d patients lost groups; the test tests little", truncated)
	}
}

// kept asks which of the patient's groups count, and checks that they are as many
// as may be, with the parts that they should have.
func kept(t *testing.T, e *Engine, f *fragment.Fragment, p *fragment.Proof, patient int64, parts map[string][]int64) map[string][]int64 {
	t.Helper()
	alone := *f
	alone.Filter = op(fragment.OpEqual, f.Patient, integer(patient))
	if f.Filter != nil {
		alone.Filter = op(fragment.OpAnd, f.Filter, alone.Filter)
	}
	got, _ := run(t, e, &alone)
	if len(got) != min(len(parts), p.Groups) {
		t.Fatalf("%d groups of a patient with %d count, want at most %d", len(got), len(parts), p.Groups)
	}
	for k, part := range got {
		if diff := cmp.Diff(parts[k], part); diff != "" {
			t.Fatalf("group %s: %s", k, diff)
		}
	}
	return got
}

// TestGroupChoice: which groups are kept depends on the key, varies between
// patients, and favours no group.
func TestGroupChoice(t *testing.T) {
	statements := []string{
		"CREATE TABLE person AS SELECT range AS id, 'F' AS sex, 50 AS age FROM range(3000)",
		"CREATE TABLE event AS SELECT id, 'group ' || range AS kind, 1 AS unit FROM person, range(10)"}
	path := newDatabase(t, statements...)
	f := &fragment.Fragment{Version: 1, Relations: events, Patient: evID, MaxGroups: 2, MaxRows: 3, Keys: []fragment.Key{{Expr: evKind}}, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}
	var answers []map[string][]int64
	for _, key := range []string{"0123456789abcdef", "0123456789abcdef", "another key of the node"} {
		e, err := Open(context.Background(), Config{Database: path}, parse(t, wardCatalog), "A", []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := run(t, e, f)
		answers = append(answers, got)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		total := int64(0)
		for k, n := range got {
			total += n[0]
			// Binomial(3000, 1/5): 600 with a standard deviation of 22.
			if n[0] < 450 || n[0] > 750 {
				t.Errorf("%s is kept for %d patients, want about 600", k, n[0])
			}
		}
		if total != 6000 {
			t.Errorf("%d groups are kept, want 2 of each of 3000 patients", total)
		}
	}
	if !cmp.Equal(answers[0], answers[1]) {
		t.Error("the same key chooses other groups")
	}
	if cmp.Equal(answers[0], answers[2]) {
		t.Error("another key chooses the same groups")
	}
}
