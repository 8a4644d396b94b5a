package enginetest

import (
	"fmt"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

const cappedCatalog = `
catalog: capped
tables:
  person:
    key: id
    patient: id
    one_row_per_patient: true
    columns:
      id: {type: text, nullable: false}
  stay:
    key: stay
    patient: id
    columns:
      stay: {type: int, nullable: false}
      id: {type: text, nullable: false, references: person.id}
  event:
    patient: id
    columns:
      id: {type: text, nullable: false, references: person.id}
      n: {type: int, bounds: [0, 10000]}
      x: {type: float}
  vital:
    patient: stay
    columns:
      stay: {type: int, nullable: false, references: stay.stay}
      n: {type: int, bounds: [0, 10000]}
`

// crowd is the number of events and of stays of each patient of the test. A stay has one vital more than its number
// modulo 10.
var crowd = map[string][2]int{"a": {1200, 3}, "b": {2, 2}, "c": {0, 1}, "d": {150, 0}}

// capped joins relations in which the rows of one patient multiply: beyond the limit they are cut, and patients within
// it lose nothing.
func (k Kind) capped(t *testing.T) {
	c := testcatalog.Parse(t, cappedCatalog)
	tables := crowded()
	e := k.Open(t, c, "a secret of the node, for tests only", tables...)
	for name, at := range k.cappedJoins() {
		t.Run(name, func(t *testing.T) {
			id := expr.Column(at.relations[0].Name, "id", value.TypeText)
			f := &fragment.Fragment{Relations: at.relations, Filter: at.filter, Patient: id, Norm: fragment.L2, MaxGroups: 1, MaxRows: 1_000_000,
				Keys: []fragment.Key{{Expr: id}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
			got, _, p := Partials(t, e, c, f)
			if p.Capped != at.capped {
				t.Errorf("capped: %v", p.Capped)
			}
			for who, want := range at.want {
				n := int64(0)
				if g := got[keyText([]value.Value{value.Text(who)})]; g != nil {
					n = g[0]
				}
				if n != want {
					text, _, _ := e.Compile(f, p)
					t.Errorf("%s has %d rows, not %d\n%s", who, n, want, text)
				}
			}
		})
	}
	k.sameCut(t, e)
}

func crowded() []Table {
	text, whole := value.TypeText, value.TypeInt
	person := Table{Name: "person", Columns: []Column{{"id", text}}}
	stay := Table{Name: "stay", Columns: []Column{{"stay", whole}, {"id", text}}}
	event := Table{Name: "event", Columns: []Column{{"id", text}, {"n", whole}, {"x", value.TypeFloat}}}
	vital := Table{Name: "vital", Columns: []Column{{"stay", whole}, {"n", whole}}}
	for _, id := range []string{"a", "b", "c", "d"} {
		person.Rows = append(person.Rows, []any{id})
		for i := range crowd[id][0] {
			event.Rows = append(event.Rows, []any{id, int64(i), float64(i % 7)})
		}
		for range crowd[id][1] {
			number := int64(len(stay.Rows))
			stay.Rows = append(stay.Rows, []any{number, id})
			for i := range number%10 + 1 {
				vital.Rows = append(vital.Rows, []any{number, i})
			}
		}
	}
	return []Table{person, stay, event, vital}
}

type cappedJoin struct {
	relations []fragment.Relation
	filter    *expr.Expr
	capped    bool
	want      map[string]int64
}

func (k Kind) cappedJoins() map[string]cappedJoin {
	table := func(name, table string, join fragment.Join, on *expr.Expr) fragment.Relation {
		return fragment.Relation{Name: name, Table: table, Join: join, On: on}
	}
	id := func(name string) *expr.Expr { return expr.Column(name, "id", value.TypeText) }
	stay := func(name string) *expr.Expr { return expr.Column(name, "stay", value.TypeInt) }
	n := func(name string) *expr.Expr { return expr.Column(name, "n", value.TypeInt) }
	same := func(a, b *expr.Expr) *expr.Expr { return op(expr.OpEqual, a, b) }
	below := func(name string, i int64) *expr.Expr { return op(expr.OpLess, n(name), integer(i)) }
	inner, left := fragment.JoinInner, fragment.JoinLeft
	first := table("e", "event", "", nil)
	distinct := &fragment.Query{Relations: []fragment.Relation{first}, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: id("e")}, {Name: "n", Expr: n("e")}}}
	return map[string]cappedJoin{
		"square":           {[]fragment.Relation{first, table("f", "event", inner, same(id("e"), id("f")))}, nil, true, map[string]int64{"a": 1_000_000, "b": 4, "c": 0, "d": 22_500}},
		"uneven":           {[]fragment.Relation{first, table("f", "event", inner, op(expr.OpAnd, same(id("e"), id("f")), below("f", 900)))}, nil, true, map[string]int64{"a": 900 * 1111, "b": 4}},
		"filtered":         {[]fragment.Relation{first, table("f", "event", inner, same(id("e"), id("f")))}, op(expr.OpAnd, below("e", 800), below("f", 1100)), true, map[string]int64{"a": 800 * 1100, "b": 4}},
		"cube":             {[]fragment.Relation{first, table("f", "event", inner, same(id("e"), id("f"))), table("g", "event", left, op(expr.OpAnd, same(id("g"), id("e")), below("g", 150)))}, nil, true, map[string]int64{"a": 1_000_000, "b": 8, "d": 1_000_000}},
		"left":             {[]fragment.Relation{table("p", "person", "", nil), table("e", "event", left, same(id("e"), id("p")))}, nil, false, map[string]int64{"a": 1200, "b": 2, "c": 1}},
		"a key":            {[]fragment.Relation{table("s", "stay", "", nil), table("v", "vital", inner, same(stay("s"), stay("v")))}, nil, false, map[string]int64{"a": 6, "b": 9, "c": 6, "d": 0}},
		"a key, left":      {[]fragment.Relation{table("s", "stay", "", nil), table("v", "vital", left, same(stay("s"), stay("v")))}, nil, false, map[string]int64{"a": 6, "b": 9, "c": 6, "d": 0}},
		"through another":  {[]fragment.Relation{table("s", "stay", "", nil), table("v", "vital", inner, same(stay("s"), stay("v"))), table("e", "event", inner, same(id("s"), id("e")))}, nil, true, map[string]int64{"a": 6 * 1200, "b": 18, "c": 0}},
		"the longer":       {[]fragment.Relation{table("s", "stay", "", nil), table("v", "vital", inner, same(stay("s"), stay("v"))), table("e", "event", inner, same(id("s"), id("e"))), table("f", "event", inner, op(expr.OpAnd, same(id("e"), id("f")), below("f", 100)))}, nil, true, map[string]int64{"a": 6 * 100 * 1200, "b": 36}},
		"of a derived one": {[]fragment.Relation{{Name: "d", Query: distinct}, table("f", "event", inner, same(id("f"), expr.Column("d", "id", value.TypeText)))}, nil, true, map[string]int64{"a": 1_000_000, "b": 4, "c": 0, "d": 22_500}},
		"twice": {[]fragment.Relation{first, {Name: "d", Join: inner, On: same(id("e"), id("d")), Query: &fragment.Query{Patient: "id",
			Relations: []fragment.Relation{table("f", "event", "", nil), table("g", "event", inner, op(expr.OpAnd, same(id("f"), id("g")), below("g", 2)))}, Columns: []fragment.Output{{Name: "id", Expr: id("f")}}}}},
			nil, true, map[string]int64{"a": 1_000_000, "b": 8, "d": 150 * 300}},
	}
}

// sameCut asks twice, once without another patient: the remaining rows depend only on the patient's own.
func (k Kind) sameCut(t *testing.T, e Engine) {
	c := testcatalog.Parse(t, cappedCatalog)
	id := func(name string) *expr.Expr { return expr.Column(name, "id", value.TypeText) }
	x := expr.Column("e", "n", value.TypeInt)
	f := &fragment.Fragment{Patient: id("e"), Norm: fragment.L2, MaxGroups: 10_000, MaxRows: 1_000_000, Keys: []fragment.Key{{Expr: x}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}},
		Filter:    op(expr.OpIn, id("e"), str("a"), str("c")),
		Relations: []fragment.Relation{{Name: "e", Table: "event"}, {Name: "f", Table: "event", Join: fragment.JoinInner, On: op(expr.OpEqual, id("e"), id("f"))}}}
	all, _, _ := Partials(t, e, c, f)
	if len(all) != 1000 {
		t.Errorf("of 1200 rows of one patient stay %d", len(all))
	}
	var low int
	for i := range 1200 {
		if g := all[keyText([]value.Value{value.Int(int64(i))})]; g != nil && i < 600 {
			low++
		} else if len(g) > 0 && g[0] != 1000 {
			t.Errorf("a row that stays is joined %d times", g[0])
		}
	}
	if low < 400 || low > 599 { // 500 rows of the first half remain on average, chosen by a hash
		t.Errorf("of the first 600 rows stay %d: the order is not by a hash", low)
	}
	others := crowded()
	for i := range others {
		var rows [][]any
		for _, r := range others[i].Rows {
			if fmt.Sprint(r[0]) != "d" && fmt.Sprint(r[0]) != "b" {
				rows = append([][]any{r}, rows...)
			}
		}
		others[i].Rows = rows
	}
	again, _, _ := Partials(t, k.Open(t, c, "a secret of the node, for tests only", others...), c, f)
	for key := range all {
		if again[key] == nil {
			t.Fatalf("without other patients, and in another order, another row stays than %s", key)
		}
	}
}
