package enginetest

import (
	"errors"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

type row = map[string]value.Value // by relation.column

var wardColumns = map[string][]Column{
	"person": {{"id", value.TypeInt}, {"sex", value.TypeText}, {"age", value.TypeInt}},
	"event": {{"id", value.TypeInt}, {"unit", value.TypeInt}, {"kind", value.TypeText}, {"x", value.TypeFloat}, {"n", value.TypeInt},
		{"day", value.TypeDate}, {"urgent", value.TypeBool}, {"free", value.TypeFloat}},
	"kinds": {{"kind", value.TypeText}, {"label", value.TypeText}},
}

// ward makes random tables of a small ward.
func ward(r *rand.Rand) []Table {
	cell := func(n int, make func() any) any {
		if r.IntN(n) == 0 {
			return nil
		}
		return make()
	}
	tables := make([]Table, 3)
	for i, name := range []string{"person", "event", "kinds"} {
		tables[i] = Table{Name: name, Columns: wardColumns[name]}
	}
	for id := range r.IntN(12) {
		tables[0].Rows = append(tables[0].Rows, []any{int64(id), cell(5, func() any { return []string{"F", "M", "X"}[r.IntN(3)] }), cell(5, func() any { return int64(r.IntN(200) - 40) })})
	}
	for range r.IntN(150) {
		tables[1].Rows = append(tables[1].Rows, []any{
			cell(30, func() any { return int64(r.IntN(12)) }), cell(8, func() any { return int64(r.IntN(8)) }), cell(8, func() any { return string(rune('a' + r.IntN(5))) }),
			cell(6, func() any { return r.Float64()*30 - 15 }), cell(6, func() any { return int64(r.IntN(1400) - 100) }), cell(9, func() any { return Day(10957 + r.IntN(60)) }),
			cell(4, func() any { return r.IntN(2) == 0 }), cell(4, func() any { return math.Ldexp(r.Float64()-0.5, r.IntN(400)-100) })})
	}
	for i := range r.IntN(5) {
		tables[2].Rows = append(tables[2].Rows, []any{string(rune('a' + i)), cell(4, func() any { return "label " + string(rune('p'+r.IntN(3))) })})
	}
	return tables
}

// relation returns the rows of a table as those of a relation.
func relation(c *catalog.Catalog, t Table, name string) []row {
	var rows []row
	for _, r := range read(c, t) {
		named := row{}
		for column, v := range r {
			named[name+"."+column] = v
		}
		rows = append(rows, named)
	}
	return rows
}

// join pairs the rows that agree in a column of each.
func join(left, right []row, a, b string) []row {
	var rows []row
	for _, l := range left {
		for _, r := range right {
			if !l[a].IsNull() && l[a] == r[b] {
				both := maps.Clone(l)
				maps.Copy(both, r)
				rows = append(rows, both)
			}
		}
	}
	return rows
}

// reference computes every patient's clipped parts in every group, as doc.go of internal/fragment defines them.
func reference(f *fragment.Fragment, p *fragment.Proof, rows []row) map[int64]map[string][]int64 {
	at := func(e *expr.Expr, r row) value.Value {
		return expr.Evaluate(e, func(c *expr.Expr) value.Value {
			if c.Op == expr.OpHospital {
				return value.Text(Hospital)
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
			v := expr.Cut(at(k.Expr, r), expr.MaxKey)
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
	raw, names := map[int64][][]*big.Int{}, map[int64][]string{}
	for c, rows := range groups {
		var part []*big.Int
		for _, partial := range f.Partials {
			part = append(part, sums(partial, rows, at)...)
		}
		raw[c.patient], names[c.patient] = append(raw[c.patient], part), append(names[c.patient], c.keys)
	}
	parts := map[int64]map[string][]int64{}
	for patient, groups := range raw {
		parts[patient] = map[string][]int64{}
		for g, part := range p.Clip(f, groups) {
			parts[patient][names[patient][g]] = part
		}
	}
	return parts
}

// sums computes a partial aggregate of rows before clipping.
func sums(p fragment.Partial, rows []row, at func(*expr.Expr, row) value.Value) []*big.Int {
	if p.Buckets != nil {
		return leaves(*p.Buckets, p.Expr, rows, at)
	}
	if p.Kind == fragment.PartialBeyond { // it measures what clipping cuts off the same rows
		p.Kind = p.Of
	}
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
		return []*big.Int{big.NewInt(min(n, 1))}
	case fragment.PartialSum:
		return []*big.Int{sum}
	}
	return []*big.Int{big.NewInt(n)}
}

func leaves(b fragment.Buckets, e *expr.Expr, rows []row, at func(*expr.Expr, row) value.Value) []*big.Int {
	counts := make([]*big.Int, b.Leaves())
	for i := range counts {
		counts[i] = new(big.Int)
	}
	for _, r := range rows {
		if v := at(e, r); !v.IsNull() {
			n := counts[b.Leaf(v.Float64())]
			n.Add(n, big.NewInt(1))
		}
	}
	return counts
}

// bounding compares Run with the definition on small random wards.
func (k Kind) bounding(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	r := rand.New(rand.NewPCG(7, 7))
	null := value.Null(value.TypeText)
	keys := []fragment.Key{
		{Expr: evKind}, {Expr: evKind, Domain: domain(value.Text("a"), value.Text("b"), value.Text("zz"), null)}, {Expr: evKind, Domain: domain(value.Text("c"))}, {Expr: evKind, Domain: domain(null)},
		{Expr: evUnit}, {Expr: evUnit, Domain: domain(value.Int(2), value.Int(3), value.Int(4), value.Null(value.TypeInt))}, {Expr: evUrgent}, {Expr: evDay}, {Expr: op(expr.OpDivide, evX, evX)},
		{Expr: pSex}, {Expr: pSex, Domain: domain(value.Text("F"), value.Text("M"))}, {Expr: expr.Hospital(), Domain: domain(value.Text(Hospital))},
		{Expr: op(expr.OpRound, evFree, integer(0))},
	}
	clipped := 0
	wards := k.times(25)
	for i := range wards {
		tables := ward(r)
		e := k.Open(t, c, "a secret of the node, for tests only", tables...)
		persons := relation(c, tables[0], "p")
		joined := join(persons, relation(c, tables[1], "e"), "p.id", "e.id")
		for range min(8, k.times(150)) {
			f := &fragment.Fragment{Relations: both, Patient: evID, Norm: []fragment.Norm{fragment.L1, fragment.L2}[r.IntN(2)], MaxGroups: 1 + r.IntN(4), MaxRows: 1 + r.IntN(5)}
			rows := joined
			choose := keys
			if r.IntN(4) == 0 { // one row per patient
				f.Relations, f.Patient, rows, choose = both[:1], pID, persons, keys[9:12]
			}
			for range r.IntN(3) {
				f.Keys = append(f.Keys, choose[r.IntN(len(choose))])
			}
			partials := []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows},
				{Kind: fragment.PartialPatients, Expr: op(expr.OpGreater, pAge, integer(50))}, {Kind: fragment.PartialValues, Expr: pAge},
				{Kind: fragment.PartialSum, Expr: pAge, Grid: grid(0, 120, true, r.IntN(2) == 0, f.MaxRows)},
				{Kind: fragment.PartialBuckets, Expr: pAge, Buckets: &fragment.Buckets{Lower: 0, Upper: 120, Branching: 4, Levels: 2}}}
			if len(f.Relations) == 2 {
				partials = append(partials, fragment.Partial{Kind: fragment.PartialPatients, Expr: evUrgent}, fragment.Partial{Kind: fragment.PartialValues, Expr: evX},
					fragment.Partial{Kind: fragment.PartialValues, Expr: evFree},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-10, 10, false, r.IntN(2) == 0, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-3, 2, false, r.IntN(2) == 0, f.MaxRows)}, // narrower than the column
					fragment.Partial{Kind: fragment.PartialSum, Expr: evN, Grid: grid(10, 500, true, r.IntN(2) == 0, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evN, Grid: &fragment.Grid{Shift: -3, Lower: 2, Upper: 100}},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evFree, Grid: grid(-1e6, 1e6, false, false, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: evFree, Grid: grid(-1e300, 1e305, false, true, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialSum, Expr: op(expr.OpMultiply, evX, evX), Grid: grid(0, 100, false, true, f.MaxRows)},
					fragment.Partial{Kind: fragment.PartialBuckets, Expr: evFree, Buckets: &fragment.Buckets{Lower: -1e3, Upper: 1e9, Branching: 3, Levels: 2}},
					fragment.Partial{Kind: fragment.PartialBuckets, Expr: evX, Buckets: &fragment.Buckets{Lower: -1, Upper: 10, Branching: 10, Levels: 1}})
				if r.IntN(2) == 0 {
					f.Filter = op(expr.OpGreater, evN, integer(200))
				}
			}
			for range 1 + r.IntN(5) {
				next := partials[r.IntN(len(partials))]
				f.Partials = append(f.Partials, next)
				if next.Buckets == nil && r.IntN(3) == 0 {
					beyond := next
					beyond.Kind, beyond.Of, beyond.Most = fragment.PartialBeyond, next.Kind, 1+r.IntN(4)
					f.Partials = append(f.Partials, beyond)
				}
			}
			got, _, p := Exact(t, e, c, f)
			want := map[string][]int64{}
			if len(f.Keys) == 0 {
				want[""] = make([]int64, f.Width())
			}
			for _, parts := range reference(f, p, rows) {
				for group, part := range parts {
					if want[group] == nil {
						want[group] = make([]int64, f.Width())
					}
					for i := range part {
						want[group][i] += part[i]
					}
				}
			}
			clipped += k.alone(f, p, rows)
			present(f, p, want)
			if diff := cmp.Diff(want, got); diff != "" {
				text, _, _ := e.Compile(f, p)
				t.Fatalf("ward %d: %s\n%+v\n%s", i, diff, *p, text)
			}
		}
	}
	if wards >= 5 && clipped < 2*wards { // with fewer wards the number depends on chance
		t.Errorf("only %d patients were clipped; the test tests little", clipped)
	}
}

// present removes the undeclared groups that do not appear.
func present(f *fragment.Fragment, p *fragment.Proof, groups map[string][]int64) {
	for i := range f.Partials {
		if p.Selects(f, i) {
			at := 0
			for _, partial := range f.Partials[:i] {
				at += partial.Width()
			}
			maps.DeleteFunc(groups, func(_ string, part []int64) bool { return part[at] == 0 })
		}
	}
}

// alone counts the patients who are clipped.
func (k Kind) alone(f *fragment.Fragment, p *fragment.Proof, rows []row) int {
	wide := *p
	wide.Unclipped = true
	clipped, whole, n := reference(f, p, rows), reference(f, &wide, rows), 0
	for patient := range clipped {
		if !cmp.Equal(clipped[patient], whole[patient]) {
			n++
		}
	}
	return n
}

// heavy: a patient with so many rows that the norm exceeds what float64 holds exactly counts as in the reference.
func (k Kind) heavy(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	const rows = 350
	event := Table{Name: "event", Columns: wardColumns["event"]}
	for range rows {
		event.Rows = append(event.Rows, []any{int64(1), int64(2), "a", nil, nil, nil, nil, nil})
	}
	e := k.Open(t, c, "a secret of the node, for tests only", event)
	again := fragment.Relation{Name: "again", Table: "event", Join: fragment.JoinInner, On: op(expr.OpEqual, evID, expr.Column("again", "id", value.TypeInt))}
	for _, norm := range []fragment.Norm{fragment.L1, fragment.L2} {
		f := &fragment.Fragment{Relations: append(events[:1:1], again), Patient: evID, Norm: norm, MaxGroups: 1, MaxRows: 1, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
		got, _, p := Exact(t, e, c, f)
		if want := p.Clip(f, [][]*big.Int{{big.NewInt(rows * rows)}})[0]; !cmp.Equal(got[""], want) || want[0] < 1000 || want[0] > 1024 {
			t.Errorf("%s: %d rows of a patient count as %v of 1024, want %v", norm, rows*rows, got[""], want)
		}
	}
}

// appearing: if one patient makes an undeclared group appear, the group has no more than that patient. Others have rows
// in it too, but so little is left of them that they make no group appear. If they counted in it nevertheless, one
// patient would change a hospital's answer by all of them, and also the sum over hospitals if others make the group
// appear.
func (k Kind) appearing(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	event := Table{Name: "event", Columns: wardColumns["event"]}
	add := func(patient int64, kind string) {
		event.Rows = append(event.Rows, []any{patient, int64(2), kind, 9.0, int64(300), nil, nil, nil})
	}
	for patient := range int64(30) {
		for range 40 {
			add(patient, "a")
		}
	}
	without := k.Open(t, c, "a secret of the node, for tests only", event)
	add(99, "a")
	with := k.Open(t, c, "a secret of the node, for tests only", event)
	for _, norm := range []fragment.Norm{fragment.L1, fragment.L2} {
		f := &fragment.Fragment{Relations: events, Patient: evID, Norm: norm, MaxGroups: 1, MaxRows: 1, Keys: []fragment.Key{{Expr: evKind}},
			Partials: []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows},
				{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-10, 10, false, false, 1)},
				{Kind: fragment.PartialBuckets, Expr: evX, Buckets: &fragment.Buckets{Lower: -1, Upper: 10, Branching: 3, Levels: 2}}}}
		before, _, p := Exact(t, without, c, f)
		after, _, _ := Exact(t, with, c, f)
		if len(before) != 0 || len(after) != 1 {
			t.Errorf("%s: %d groups appear without the patient and %d with", norm, len(before), len(after))
		}
		if length := Length(f, p, before, after); length > float64(p.NormLimit(f))*(1+1e-12) {
			t.Errorf("%s: the patient moves the vector by a length of %g, more than %d: %v", norm, length, p.NormLimit(f), after)
		}
	}
}

// texts: groups of texts are distinguished and ordered by their bytes.
func (k Kind) texts(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	kinds := Table{Name: "kinds", Columns: wardColumns["kinds"]}
	event := Table{Name: "event", Columns: wardColumns["event"]}
	var want []string
	for i, s := range []string{"a", "A", "á", "ä", "a\u0301", "B", "b", "ß", "ss", "SS", "", " ", "a ", " a", "a-b", "ab", "aB", "Z", "z", "\u00e9", "É", "日本", "😀", "\uffff", "ﬀ", "ff", "ı", "i", "I", "İ", "1", "10", "2"} {
		event.Rows = append(event.Rows, []any{int64(i), nil, s, nil, nil, nil, nil, nil})
		kinds.Rows = append(kinds.Rows, []any{s, s})
		want = append(want, s)
	}
	slices.Sort(want)
	e := k.Open(t, c, "a secret of the node, for tests only", event, kinds)
	f := &fragment.Fragment{Relations: append(events[:1:1], fragment.Relation{Name: "k", Table: "kinds", Join: fragment.JoinInner, On: op(expr.OpEqual, kKind, evKind)}), Patient: evID, Norm: fragment.L2, MaxGroups: 5, MaxRows: 1,
		Keys: []fragment.Key{{Expr: kLabel}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
	f.Version = fragment.Version
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = e.Run(t.Context(), f, p, memory.DefaultAllocator, func(r arrow.Record) error {
		return fragment.ReadRecord(f, r, func(keys []value.Value, partials []int64) error {
			got = append(got, keys[0].Str())
			if partials[0] != p.Units[0] {
				t.Errorf("%q has %d rows in units of %d", keys[0].Str(), partials[0], p.Units[0])
			}
			return nil
		})
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	// Try it as an expression and as a filter, for which an engine may use an index or another server.
	f = &fragment.Fragment{Relations: events, Patient: evID, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1}
	var counts []int64
	for i, a := range want {
		for o, n := range map[expr.Op]int64{expr.OpLess: int64(i), expr.OpEqual: 1} {
			x := op(o, evKind, str(a))
			f.Partials, counts = append(f.Partials, fragment.Partial{Kind: fragment.PartialPatients, Expr: x}), append(counts, n)
			if i%max(1, int(0.25/k.Queries)) != 0 {
				continue
			}
			f := &fragment.Fragment{Relations: events, Patient: evID, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1, Filter: x, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
			if got, _, _ := Partials(t, e, c, f); got[""][0] != n {
				t.Errorf("%d texts pass the filter %s, want %d", got[""][0], x, n)
			}
		}
	}
	if got, _, _ := Partials(t, e, c, f); !cmp.Equal(got[""], counts) {
		t.Errorf("so many texts are below and equal to each: %v, want %v", got[""], counts)
	}
}

// empty: without rows there is one group if there are no keys, and no group otherwise.
func (k Kind) empty(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	e := k.Open(t, c, "a secret of the node, for tests only", Table{Name: "event", Columns: wardColumns["event"]})
	f := &fragment.Fragment{Relations: events, Patient: evID, Norm: fragment.L2, MaxGroups: 2, MaxRows: 3, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialRows},
		{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-10, 10, false, true, 3)}, {Kind: fragment.PartialBuckets, Expr: evX, Buckets: &fragment.Buckets{Lower: 0, Upper: 1, Branching: 2, Levels: 1}}}}
	if got, _, _ := Partials(t, e, c, f); !cmp.Equal(got, map[string][]int64{"": {0, 0, 0, 0, 0}}) {
		t.Errorf("nothing gives %v", got)
	}
	f.Partials = f.Partials[3:]
	if got, _, _ := Partials(t, e, c, f); !cmp.Equal(got, map[string][]int64{"": {0, 0}}) {
		t.Errorf("nothing gives %v", got)
	}
	f.Keys = []fragment.Key{{Expr: evKind}}
	if got, _, _ := Partials(t, e, c, f); len(got) != 0 {
		t.Errorf("nothing gives %v", got)
	}
}

// send: an error of send ends the run and is returned.
func (k Kind) send(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	e := k.Open(t, c, "a secret of the node, for tests only", Table{Name: "event", Columns: wardColumns["event"]})
	f := &fragment.Fragment{Version: fragment.Version, Relations: events, Patient: evID, Norm: fragment.L2, MaxGroups: 2, MaxRows: 3, Partials: []fragment.Partial{{Kind: fragment.PartialPatients}}}
	p, err := fragment.Check(f, c)
	if err != nil {
		t.Fatal(err)
	}
	ours := errors.New("the coordinator hung up")
	if err := e.Run(t.Context(), f, p, memory.DefaultAllocator, func(arrow.Record) error { return ours }); !errors.Is(err, ours) {
		t.Errorf("the run gives %v", err)
	}
}
