package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

const events = `
catalog: test
tables:
  event:
    patient: id
    columns:
      id: {type: ID, nullable: false}
      k: {type: int}
      word: {type: text}
      n: {type: int, bounds: [-50, 1000]}
      x: {type: float}
      flag: {type: bool}
`

// record is a row. Its cells are those of a plan that reads k, word, n, x and flag.
type record struct {
	id      int64
	nobody  bool // the id is NULL
	k       value.Value
	word    value.Value
	n, x, b value.Value
}

func records(r *rand.Rand) []record {
	of := func(n int, v value.Value) value.Value {
		if r.IntN(n) == 0 {
			return value.Null(v.Type())
		}
		return v
	}
	var all []record
	patients := 1 + r.IntN(30)
	for range r.IntN(600) {
		id := int64(r.IntN(patients))
		if r.IntN(3) == 0 {
			id = 0 // this patient occurs in all clippings
		}
		all = append(all, record{id * 1e15, r.IntN(20) == 0, of(9, value.Int(int64(r.IntN(6)))), of(9, value.Text([]string{"", "a", "longer than twelve", "é"}[r.IntN(4)])),
			of(5, value.Int(int64(r.IntN(1200)-100))), of(5, value.Float(r.NormFloat64()*20)), of(5, value.Bool(r.IntN(2) == 0))})
	}
	return all
}

// columns turns records into an operator's columns.
func columns(rows []record, text bool, keys []string, cells []string) []Column {
	make_ := func(at func(record) value.Value) Column {
		c := Column{Valid: make([]uint64, len(rows)/64+1)}
		var texts []string
		for i, r := range rows {
			v := at(r)
			if !v.IsNull() {
				c.Valid[i/64] |= 1 << (i % 64)
			}
			c.Ints, c.Floats, texts = append(c.Ints, v.Int64()), append(c.Floats, v.Float64()), append(texts, v.Str())
			c.Bools = append(c.Bools, uint8(v.Int64()&1)) //nolint:gosec // one bit
		}
		c.Text = func(row int) string { return texts[row] }
		return c
	}
	all := []Column{make_(func(r record) value.Value {
		switch {
		case r.nobody && text:
			return value.Null(value.TypeText)
		case r.nobody:
			return value.Null(value.TypeInt)
		case text:
			return value.Text(fmt.Sprint("patient ", r.id))
		}
		return value.Int(r.id)
	})}
	for _, name := range append(slices.Clone(keys), cells...) {
		all = append(all, make_(func(r record) value.Value { return r.column(name) }))
	}
	return all
}

func (r record) column(name string) value.Value {
	return map[string]value.Value{"id": value.Int(r.id), "k": r.k, "word": r.word, "n": r.n, "x": r.x, "flag": r.b}[name]
}

// draw draws a fragment, and the plan with the names of its columns.
func draw(t *testing.T, r *rand.Rand, c *catalog.Catalog, text bool) (*fragment.Fragment, *fragment.Proof, *Plan, []string, []string) {
	t.Helper()
	id := value.TypeInt
	if text {
		id = value.TypeText
	}
	types := map[string]value.Type{"id": id, "k": value.TypeInt, "word": value.TypeText, "n": value.TypeInt, "x": value.TypeFloat, "flag": value.TypeBool}
	col := func(name string) *expr.Expr { return expr.Column("e", name, types[name]) }
	f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: col("id"),
		Norm: []fragment.Norm{fragment.L1, fragment.L2}[r.IntN(2)], MaxGroups: 1 + r.IntN(4), MaxRows: 1 + r.IntN(6)}
	var keys []string
	for range r.IntN(3) {
		k := []string{"k", "word", "flag"}[r.IntN(3)]
		keys = append(keys, k)
		f.Keys = append(f.Keys, fragment.Key{Expr: col(k)})
	}
	grid := func(lower, upper float64, whole bool) *fragment.Grid {
		g, err := fragment.NewGrid(lower, upper, whole, r.IntN(2) == 0, f.MaxRows)
		if err != nil {
			t.Fatal(err)
		}
		return &g
	}
	all := []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows}, {Kind: fragment.PartialPatients, Expr: col("flag")},
		{Kind: fragment.PartialSum, Expr: col("n"), Grid: grid(0, 400, true)}, {Kind: fragment.PartialSum, Expr: col("x"), Grid: grid(-10, 30, false)},
		{Kind: fragment.PartialValues, Expr: col("x")}, {Kind: fragment.PartialSum, Expr: col("x"), Grid: grid(-1e9, 1e12, false)},
		{Kind: fragment.PartialBuckets, Expr: col("x"), Buckets: &fragment.Buckets{Lower: -10, Upper: 30, Branching: 3, Levels: 2}},
		{Kind: fragment.PartialBuckets, Expr: col("x"), Buckets: &fragment.Buckets{Lower: -10, Upper: 30, Branching: 4, Levels: 1}}}
	cells, of, names := []Cell(nil), []int(nil), []string(nil)
	for range 1 + r.IntN(5) {
		p := all[r.IntN(len(all))]
		if r.IntN(4) == 0 {
			p.Share = 1 + r.IntN(5)
		}
		f.Partials = append(f.Partials, p)
		if p.Expr == nil {
			of = append(of, -1)
			continue
		}
		of, names = append(of, len(cells)), append(names, p.Expr.Column)
		cell := Cell{Type: p.Expr.Type, Upper: 1}
		switch {
		case p.Grid != nil:
			cell.Lower, cell.Upper, cell.Center, cell.Half = p.Grid.Lower, p.Grid.Upper, p.Grid.Center, 0.5
			cell.Scale = math.Ldexp(1, p.Grid.Shift)
			if p.Expr.Type == value.TypeInt {
				cell.Bounded, cell.Least, cell.Most = true, -50, 1000
			}
		case p.Buckets != nil:
			cell.From, cell.Scale, cell.Upper = p.Buckets.Lower, p.Buckets.Density(), int64(p.Buckets.Leaves()-1)
		case p.Expr.Type == value.TypeFloat: // what counts is that it is not NULL
			cell.Upper = 7
			cell.Scale = 1
		}
		cells = append(cells, cell)
	}
	for i, p := range f.Partials {
		if p.Buckets == nil && r.IntN(3) == 0 { // the left-out part reads the same cell
			p.Kind, p.Of, p.Most, p.Share = fragment.PartialBeyond, p.Kind, 1+r.IntN(6), 1
			f.Partials, of = append(f.Partials, p), append(of, of[i])
		}
	}
	proof, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	plan := New(f, proof, of)
	plan.Cells = cells
	return f, proof, plan, keys, names
}

// raw adds up a patient's rows of one group, before units.
func raw(f *fragment.Fragment, rows []record) []*big.Int {
	var out []*big.Int
	for _, p := range f.Partials {
		if p.Kind == fragment.PartialBeyond {
			p.Kind = p.Of
		}
		n, sum := int64(0), big.NewInt(0)
		leaves := make([]int64, p.Width())
		for _, r := range rows {
			v := value.Bool(true)
			if p.Expr != nil {
				v = r.column(p.Expr.Column)
			}
			if p.Expr != nil && p.Expr.Column == "n" && !v.IsNull() {
				v = value.Int(max(-50, min(v.Int64(), 1000)))
			}
			if v.IsNull() || p.Kind == fragment.PartialPatients && !v.True() {
				continue
			}
			n++
			if p.Buckets != nil {
				leaves[p.Buckets.Leaf(v.Float64())]++
			}
			if g := p.Grid; g != nil {
				x := math.Floor(math.Ldexp(v.Float64(), g.Shift) + 0.5)
				sum.Add(sum, big.NewInt(max(g.Lower, min(int64(x), g.Upper))-g.Center))
			}
		}
		switch p.Kind {
		case fragment.PartialPatients:
			out = append(out, big.NewInt(min(n, 1)))
		case fragment.PartialSum:
			out = append(out, sum)
		case fragment.PartialBuckets:
			for _, l := range leaves {
				out = append(out, big.NewInt(l))
			}
		default:
			out = append(out, big.NewInt(n))
		}
	}
	return out
}

// reference computes what the definition says.
func reference(f *fragment.Fragment, p *fragment.Proof, keys []string, rows []record) map[string][]int64 {
	groups := map[int64]map[string][]record{}
	for _, r := range rows {
		if r.nobody {
			continue
		}
		var of []value.Value
		for _, k := range keys {
			of = append(of, r.column(k))
		}
		if groups[r.id] == nil {
			groups[r.id] = map[string][]record{}
		}
		id := fmt.Sprintf("%q", of)
		groups[r.id][id] = append(groups[r.id][id], r)
	}
	out := map[string][]int64{}
	for _, patient := range groups {
		var names []string
		var parts [][]*big.Int
		for k, rows := range patient {
			names, parts = append(names, k), append(parts, raw(f, rows))
		}
		for g, part := range p.Clip(f, parts) {
			if out[names[g]] == nil {
				out[names[g]] = make([]int64, f.Width())
			}
			for i, x := range part {
				out[names[g]][i] += x
			}
		}
	}
	if len(keys) == 0 && len(out) == 0 {
		out["[]"] = make([]int64, f.Width())
	}
	return out
}

// nothing reports whether a group may be left out because nobody counts in it.
func nothing(sums []int64) bool {
	return !slices.ContainsFunc(sums, func(x int64) bool { return x != 0 })
}

// run gives rows to an operator in batches, in some order and from several goroutines, as often as it asks. how is how
// it kept them.
func run(t *testing.T, r *rand.Rand, plan *Plan, rows []record, text bool, keys, cells []string, room int64) (got map[string][]int64, readings int, how int32, err error) {
	t.Helper()
	op, err := plan.New(room)
	if err != nil {
		return nil, 0, 0, err
	}
	if r.IntN(2) == 0 {
		op.blocks.most = r.IntN(30)
	}
	for again := true; again; readings++ {
		rows := slices.Clone(rows)
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		var work sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			part := rows[i*len(rows)/len(errs) : (i+1)*len(rows)/len(errs)]
			size := 1 + r.IntN(100)
			work.Go(func() {
				for batch := range slices.Chunk(part, size) {
					if errs[i] == nil {
						errs[i] = op.Add(len(batch), columns(batch, text, keys, cells))
					}
				}
			})
		}
		work.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, readings, 0, err
		}
		if op.Rows() != int64(len(rows)) {
			t.Errorf("it was given %d rows, not %d", op.Rows(), len(rows))
		}
		if again, err = op.EndPass(context.Background(), 2); err != nil {
			return nil, readings, 0, err
		}
	}
	got = map[string][]int64{}
	var last []value.Value
	err = op.Each(func(keys []value.Value, partials []int64) error {
		if last != nil && slices.CompareFunc(last, keys, value.Compare) >= 0 {
			t.Errorf("group %v comes after %v", keys, last)
		}
		last = slices.Clone(keys)
		got[fmt.Sprintf("%q", keys)] = slices.Clone(partials)
		return nil
	})
	return got, readings, op.how.Load(), err
}

// narrow makes the operator group by k as the key says, and returns the rows that count, with their group values.
func narrow(plan *Plan, keys []string, rows []record, key Key) []record {
	for i, name := range keys {
		if name == "k" {
			plan.Keys[i] = key
		}
	}
	var all []record
	for _, row := range rows {
		if key.Bounded && !row.k.IsNull() {
			row.k = value.Int(max(key.Least, min(row.k.Int64(), key.Most)))
		}
		if !key.Declared || !row.k.IsNull() && key.First <= row.k.Int64() && row.k.Int64() <= key.Last {
			all = append(all, row)
		}
	}
	return all
}

// TestOperator checks that the integers are those of the definition, whatever the order of rows, the batches, the
// threads and the memory.
func TestOperator(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clipped, twice, tooMuch, kept := 0, 0, 0, map[int32]int{}
	for i := range 1500 {
		text := i%3 == 0
		of := "int"
		if text {
			of = "text"
		}
		c := testcatalog.Parse(t, strings.ReplaceAll(events, "ID", of))
		f, proof, plan, keys, cells := draw(t, r, c, text)
		rows := records(r)
		given := rows
		if at := slices.Index(keys, "k"); at >= 0 && r.IntN(2) == 0 {
			rows = narrow(plan, keys, rows, Key{Type: value.TypeInt, Bounded: r.IntN(2) == 0, Least: 1, Most: 4, Declared: r.IntN(2) == 0, First: int64(r.IntN(3)), Last: int64(2 + r.IntN(3))})
		}
		room := int64(1 << 30)
		if i%2 == 0 {
			room = int64(5_000 + r.IntN(40_000))
		}
		got, readings, how, err := run(t, r, plan, given, text, keys, cells, room)
		if errors.Is(err, ErrTooMuch) && room < 1<<30 {
			tooMuch++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if readings > 1 {
			twice++
		}
		kept[how]++
		want := reference(f, proof, keys, rows)
		whole := *proof
		whole.Unclipped = true
		if !gocmp.Equal(want, reference(f, &whole, keys, rows)) {
			clipped++
		}
		for k, sums := range want { // nobody counts in this group
			if got[k] == nil && len(keys) > 0 && nothing(sums) {
				delete(want, k)
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("case %d: %d rows in %d readings: %v\n%s", i, len(given), readings, f.Partials, diff)
		}
	}
	t.Logf("%d clipped, %d read more than once, %d too much; %d counted, %d numbered, %d scattered", clipped, twice, tooMuch, kept[counted], kept[numbered], kept[scattered])
	if clipped < 500 || twice < 50 || tooMuch > 500 || min(kept[counted], kept[numbered], kept[scattered]) < 20 {
		t.Error("the cases are not those that this is for")
	}
}

// feed gives rows to an operator in their order, from several goroutines, as often as it asks, and returns its answer.
// readings is how often it asked; tallied is the number of patients' records before the last reading.
func feed(t *testing.T, op *Operator, rows []record, keys, cells []string) (got map[string][]int64, readings, tallied int, err error) {
	t.Helper()
	for again := true; again; readings++ {
		var work sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			part := rows[i*len(rows)/len(errs) : (i+1)*len(rows)/len(errs)]
			work.Go(func() {
				for batch := range slices.Chunk(part, 500) {
					if errs[i] == nil {
						errs[i] = op.Add(len(batch), columns(batch, false, keys, cells))
					}
				}
			})
		}
		work.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, readings, tallied, err
		}
		for _, thread := range op.all {
			tallied += thread.people.n // pages
		}
		if again, err = op.EndPass(t.Context(), 2); err != nil {
			return nil, readings, tallied, err
		}
	}
	got = map[string][]int64{}
	err = op.Each(func(keys []value.Value, partials []int64) error {
		got[fmt.Sprintf("%q", keys)] = slices.Clone(partials)
		return nil
	})
	return got, readings, tallied, err
}

// TestTally checks patients whose rows are counted as they come or as they lie in their partition. They are added up
// like patients whose rows are gathered: for any number, in any order, and if memory runs out in between.
func TestTally(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := testcatalog.Parse(t, strings.ReplaceAll(events, "ID", "int"))
	twice, once, counted, tooMuch := 0, 0, 0, 0
	for range 200 {
		_, _, plan, keys, cells := draw(t, r, c, false)
		if !plan.tallies() {
			continue
		}
		patients, apart := 1+r.IntN(20_000), []int{0, 1, 2, 8, 40}[r.IntN(5)]
		rows := make([]record, r.IntN(3*patients))
		for i := range rows {
			rows[i] = record{id: int64(r.IntN(patients)) << apart, nobody: r.IntN(50) == 0, k: value.Null(value.TypeInt), word: value.Null(value.TypeText),
				n: value.Int(int64(r.IntN(1200) - 100)), x: value.Null(value.TypeFloat), b: value.Bool(r.IntN(2) == 0)}
			if r.IntN(5) > 0 {
				rows[i].x = value.Float(r.NormFloat64() * 20)
			}
		}
		if r.IntN(2) == 0 { // some come patient by patient
			some := rows[:r.IntN(1+len(rows))]
			for i := range some {
				some[i].id /= 50
			}
			slices.SortFunc(some, func(a, b record) int { return cmp.Compare(a.id, b.id) })
		}
		op, err := plan.New(int64(200_000 + r.IntN(2_000_000)))
		if err != nil {
			t.Fatal(err)
		}
		got, readings, tallied, err := feed(t, op, rows, keys, cells)
		if errors.Is(err, ErrTooMuch) {
			tooMuch++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case readings > 1:
			twice++
		case tallied > 0:
			counted++
		default:
			once++
		}
		gathered, err := plan.New(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		gathered.tallies = false
		want, _, _, err := feed(t, gathered, rows, keys, cells)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%d rows of %d patients in %d readings, %d pages: %s", len(rows), patients, readings, tallied, diff)
		}
	}
	t.Logf("%d were read twice; of the others in %d rows were counted as they came, and in %d not; %d were too much", twice, counted, once, tooMuch)
	if twice < 3 || counted < 3 || once < 3 { // 8, 8 and 17; threads decide which memory runs out first
		t.Error("the cases are not those that this is for")
	}
}

// TestTallyIsForgotten checks that rows that are given again, because memory ran out after they were counted, count
// once.
func TestTallyIsForgotten(t *testing.T) {
	c := testcatalog.Parse(t, strings.ReplaceAll(events, "ID", "int"))
	f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: expr.Column("e", "id", value.TypeInt),
		Norm: fragment.L2, MaxGroups: 1, MaxRows: 50, Partials: []fragment.Partial{{Kind: fragment.PartialRows}, {Kind: fragment.PartialPatients}}}
	proof, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	plan := New(f, proof, []int{-1, -1})
	r := rand.New(rand.NewPCG(7, 8))
	rows := make([]record, 90_000)
	for i := range rows {
		rows[i].id = int64(i / 40) // patient by patient
		if i%30_000 >= 20_000 {
			rows[i].id = int64(r.IntN(400_000))
		}
	}
	sums := func(most int64, tallies bool) (got map[string][]int64, readings int) {
		op, err := plan.New(most)
		if err != nil {
			t.Fatal(err)
		}
		op.tallies = tallies
		got, readings, _, err = feed(t, op, rows, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tallies && op.how.Load() != scattered {
			t.Error("rows were not scattered in the end")
		}
		return got, readings
	}
	want, _ := sums(1<<30, false)
	got, readings := sums(600_000, true)
	if diff := gocmp.Diff(want, got); diff != "" || readings < 2 {
		t.Errorf("in %d readings: %s", readings, diff)
	}
}

// TestTallyLetsGoOfAll checks that all rows are counted again, each once, if memory for patients' texts runs out after
// rows were counted.
func TestTallyLetsGoOfAll(t *testing.T) {
	const patients = 4000
	plan := &Plan{Patient: value.TypeText, Unclipped: true, Parts: []Part{{Kind: fragment.PartialRows, Cell: -1, Unit: 1, Size: 1, Weight: 1, Cap: 1}}}
	rows, texts := make([]record, patients), int64(0)
	for i := range rows {
		rows[i].id = int64(i)
		texts += textBytes + int64(len(fmt.Sprint("patient ", i)))
	}
	op, err := plan.New(texts + 10_000)
	if err != nil {
		t.Fatal(err)
	}
	readings := 0
	for again := true; again; readings++ {
		for batch := range slices.Chunk(rows, 500) {
			if err := op.Add(len(batch), columns(batch, true, nil, nil)); err != nil {
				t.Fatal(err)
			}
		}
		if readings == 0 && op.how.Load() != given {
			t.Fatal("memory did not end after rows were counted")
		}
		if again, err = op.EndPass(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	}
	err = op.Each(func(_ []value.Value, sums []int64) error {
		if sums[0] != patients || readings < 2 {
			t.Errorf("%d rows are counted in %d readings, not %d", sums[0], readings, patients)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTallyIsBounded checks that rows are not counted if there may be more than a record can count: one patient may
// have them all, and would count as NULL in a cell.
func TestTallyIsBounded(t *testing.T) {
	plan := &Plan{
		Patient: value.TypeInt, Single: Clip{Limit: fragment.Steps},
		Parts: []Part{{Kind: fragment.PartialRows, Cell: -1, Unit: 1, Size: 1, Weight: 1, Cap: 1}},
	}
	for _, x := range []struct {
		before int64
		again  bool
	}{{math.MaxUint32 - 2, false}, {math.MaxUint32 - 1, true}} {
		op, err := plan.New(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if err := op.Add(4, []Column{{Ints: []int64{7, 7, 7, 7}}}); err != nil {
			t.Fatal(err)
		}
		op.rows.Store(x.before)
		if err := op.Add(2, []Column{{Ints: []int64{7, 8}}}); err != nil {
			t.Fatal(err)
		}
		if again, err := op.EndPass(t.Context(), 1); err != nil || again != x.again {
			t.Errorf("after %d rows: %t, %v", x.before, again, err)
		}
	}
}

// TestMixTellsApart checks that different patients have different hashes: a word can be computed from its hash.
func TestMixTellsApart(t *testing.T) {
	inverse := func(odd uint64) uint64 {
		x := odd // right in three bits, and in twice as many with each step (Newton)
		for range 5 {
			x *= 2 - odd*x
		}
		return x
	}
	r := rand.New(rand.NewPCG(9, 10))
	for i := range uint64(100_000) {
		x := r.Uint64()
		if i < 1000 {
			x = i
		}
		back := mix(x) * inverse(0xD6E8FEB86659FD93)
		back ^= back >> 32
		if back *= inverse(spread); back != x {
			t.Fatalf("of %x the hash leads back to %x", x, back)
		}
	}
}

// TestFactor checks that the factor of any norm is that of the definition, on both sides of where the norm is divided.
func TestFactor(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	c := testcatalog.Parse(t, strings.ReplaceAll(events, "ID", "int"))
	for range 3000 {
		f, proof, plan, _, _ := draw(t, r, c, false)
		norm := new(big.Int).SetUint64(r.Uint64() >> r.IntN(64))
		norm.Mul(norm, new(big.Int).SetUint64(r.Uint64()>>r.IntN(64)))
		if r.IntN(4) == 0 { // near the point where it is divided
			norm.SetInt64(fragment.Exact + int64(r.IntN(3)) - 1)
			norm.Lsh(norm, uint(32*r.IntN(2))) //nolint:gosec // 0 or 32
		}
		low := new(big.Int).And(norm, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
		got := plan.Single.factor(plan.L2, wide{new(big.Int).Rsh(norm, 64).Uint64(), low})
		if want := proof.Single(f).Factor(norm); int64(got) != want { //nolint:gosec // at most Whole
			t.Fatalf("%s %d of %d gives %d, want %d", f.Norm, norm, plan.Single.Limit, got, want)
		}
	}
}

// TestMeasure checks that a part of any size is measured as the definition says.
func TestMeasure(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		size := 1 + r.Int64N(1<<r.IntN(28)+1)
		x := r.Int64N(1 << r.IntN(48))
		if r.IntN(2) == 0 { // with a whole quotient
			x = x / size * size
		}
		want := (x*fragment.Steps + size - 1) / size
		if got := measure(-x, uint64(size), math.MaxUint64/uint64(size)); got != uint64(want) { //nolint:gosec // from 0
			t.Fatalf("%d of %d measures %d, want %d", x, size, got, want)
		}
	}
}

// TestHeavy checks that a patient with more rows than can be measured counts as the definition says.
func TestHeavy(t *testing.T) {
	c := testcatalog.Parse(t, strings.ReplaceAll(events, "ID", "int"))
	for _, norm := range []fragment.Norm{fragment.L1, fragment.L2} {
		f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "e", Table: "event"}}, Patient: expr.Column("e", "id", value.TypeInt),
			Norm: norm, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialRows}, {Kind: fragment.PartialPatients}}}
		p, err := fragment.Check(f, c)
		if err != nil {
			t.Fatal(err)
		}
		plan := New(f, p, []int{-1, -1})
		const batch = 1 << 16
		rows := plan.Parts[0].Cap/plan.Parts[0].Unit + 3*batch
		op, err := plan.New(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		rows -= rows % batch
		for range rows / batch {
			if err := op.Add(batch, []Column{{Ints: make([]int64, batch)}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := op.EndPass(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		want := p.Clip(f, [][]*big.Int{{big.NewInt(rows), big.NewInt(1)}})[0]
		if err := op.Each(func(_ []value.Value, got []int64) error {
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %d rows: %s", norm, rows, diff)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAddingUpIsCancelled checks that an operator that holds rows ends with its context, and not with a sum.
func TestAddingUpIsCancelled(t *testing.T) {
	plan := &Plan{Patient: value.TypeInt, Unclipped: true, Parts: []Part{{Kind: fragment.PartialRows, Cell: -1, Unit: 1, Size: 1, Weight: 1, Cap: 1}}}
	op, err := plan.New(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	rows := Column{}
	for i := range int64(100_000) {
		rows.Ints = append(rows.Ints, i)
	}
	if err := op.Add(len(rows.Ints), []Column{rows}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := op.EndPass(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

// BenchmarkOperator adds up 40 rows for each patient, for a mean by 200 keys, in any order. An operation is a row.
func BenchmarkOperator(b *testing.B) {
	const batch = 2048
	r := rand.New(rand.NewPCG(7, 8))
	clip := Clip{Limit: 6 << 20, Root: fragment.Whole * 2500}
	plan := &Plan{Patient: value.TypeInt, Keys: []Key{{Type: value.TypeInt}}, L2: true, Single: clip,
		Cells: []Cell{{Type: value.TypeFloat, Bounded: true, MostReal: 100, Scale: 1 << 16, Half: 0.5, Upper: 100 << 16, Center: 50 << 16}},
		Parts: []Part{{Kind: fragment.PartialRows, Cell: -1, Unit: 1024, Size: 40 << 10, Weight: 5, Cap: 1 << 40}, {Kind: fragment.PartialValues, Unit: 1024, Size: 40 << 10, Weight: 5, Cap: 1 << 40},
			{Kind: fragment.PartialSum, Unit: 2, Size: 40 * 100 << 16, Weight: 5, Cap: 1 << 40}}}
	var batches [][]Column
	for range 100 {
		c := []Column{{}, {}, {}}
		for range batch {
			c[0].Ints, c[1].Ints, c[2].Floats = append(c[0].Ints, r.Int64N(int64(b.N)/40+1)), append(c[1].Ints, r.Int64N(200)), append(c[2].Floats, 100*r.Float64())
		}
		batches = append(batches, c)
	}
	op, err := plan.New(4 << 30)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N / batch {
		c := slices.Clone(batches[i%len(batches)])
		for k := range c[0].Ints {
			c[0].Ints[k] = int64(mix(uint64(c[0].Ints[k])) % uint64(b.N/40+1)) //nolint:gosec // any number
		}
		if err := op.Add(batch, c); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := op.EndPass(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
}

// TestKeysTakeMemory checks that an operator's memory for keys counts like that for rows. Otherwise many keys with many
// values, a few bytes each in a row, would fill a node.
func TestKeysTakeMemory(t *testing.T) {
	plan := &Plan{Patient: value.TypeInt, Unclipped: true, Parts: []Part{{Kind: fragment.PartialRows, Cell: -1, Unit: 1, Size: 1, Weight: 1, Cap: 1}}}
	for range 8 {
		plan.Keys = append(plan.Keys, Key{Type: value.TypeInt})
	}
	const rows = 1 << 12
	op, err := plan.New(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]Column, plan.Columns())
	for at := range int64(1 << 18 / rows) {
		for k := range batch {
			batch[k].Ints = make([]int64, rows)
			for i := range batch[k].Ints {
				batch[k].Ints[i] = (at*rows + int64(i)) << 20
			}
		}
		if err = op.Add(rows, batch); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTooMuch) {
		t.Errorf("it held 2^18 rows of 8 keys in 64 MB, which take %d MB: %v", op.used.Load()>>20, err)
	}
}
