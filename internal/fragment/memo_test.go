package fragment

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
)

// described is everything that a table of a query says, or the reason why there is none.
func described(d *Query, c *catalog.Catalog, m *Memo) string {
	t, err := d.Table("d", c, m)
	if err != nil {
		return err.Error()
	}
	columns := ""
	for _, c := range t.Columns {
		columns += fmt.Sprintf("; %+v", *c)
	}
	t.Columns = nil
	return fmt.Sprintf("%+v", *t) + columns
}

// memoQuery numbers the rows of a list of values that are joined with a table, inside two queries.
func memoQuery(t *testing.T) (outer, inner, values *Query) {
	id, days, stay := stayColumn("id"), stayColumn("days"), stayColumn("stay")
	real := exprtest.Cast(t, days, "float")
	values = listOf(3, 1)
	inner = ofStay(plainOutput("id", id), plainOutput("days", days), plainOutput("stay", stay), tied(numbered(days), stay, real),
		Output{Name: "s", Function: FunctionSum, Expr: days, Window: &Window{Partition: []*expr.Expr{id}, Order: []Order{{Expr: days}}, Frame: &Frame{From: -1}, Ties: []*expr.Expr{stay, real}}},
		Output{Name: "a", Function: FunctionAverage, Expr: real, Grid: &Grid{Upper: 10}, Window: &Window{Partition: []*expr.Expr{id}}})
	inner.Relations = append(inner.Relations, Relation{Name: "list", Query: values, Join: JoinInner, On: eq(t, days, col("list", values.Inputs[0].Columns[0].Name, "int"))})
	outer = &Query{Relations: []Relation{{Name: "d", Query: inner}}, Patient: "id", Columns: []Output{plainOutput("id", col("d", "id", "int")), plainOutput("n", col("d", "n", "int"))}}
	return outer, inner, values
}

// TestMemoOfWhatChanges changes each part of queries whose properties are cached. The answers must be those of an empty
// memo.
func TestMemoOfWhatChanges(t *testing.T) {
	c := testCatalog(t)
	zero, days := exprtest.Int(0), stayColumn("days")
	for name, change := range map[string]func(outer, inner, values *Query){
		"a name":           func(outer, _, _ *Query) { outer.Columns[1].Name = "m" },
		"a column":         func(outer, _, _ *Query) { outer.Columns[1].Expr = zero },
		"one column fewer": func(_, inner, _ *Query) { inner.Columns = slices.Delete(inner.Columns, 3, 4) },
		"a column within":  func(_, inner, _ *Query) { inner.Columns[3] = plainOutput("n", zero) },
		"the patient":      func(_, inner, _ *Query) { inner.Patient = "days" },
		"groups":           func(outer, _, _ *Query) { outer.Grouped = true },
		"groups within":    func(_, inner, _ *Query) { inner.Grouped = true },
		"an operation":     func(outer, _, _ *Query) { outer.SetOp = SetOpUnion },
		"ties":             func(_, inner, _ *Query) { inner.Columns[3].Window.Ties = nil },
		"a tie":            func(_, inner, _ *Query) { inner.Columns[3].Window.Ties[0] = days },
		"an order":         func(_, inner, _ *Query) { inner.Columns[3].Window.Order[0].Expr = zero },
		"a partition":      func(_, inner, _ *Query) { inner.Columns[3].Window.Partition[0] = days },
		"a frame":          func(_, inner, _ *Query) { inner.Columns[4].Window.Frame.To = -2 },
		"a grid":           func(_, inner, _ *Query) { inner.Columns[5].Grid.Upper = -1 },
		"a filter": func(_, inner, _ *Query) {
			inner.Filter = exprtest.New(t, expr.OpNot, exprtest.New(t, expr.OpIsNull, days))
		},
		"a table":         func(_, inner, _ *Query) { inner.Relations[0].Table = "person" },
		"a join":          func(_, inner, _ *Query) { inner.Relations[1].Join = JoinLeft },
		"a condition":     func(_, inner, _ *Query) { inner.Relations[1].On = exprtest.New(t, expr.OpIsNull, days) },
		"another query":   func(outer, _, values *Query) { outer.Relations[0].Query = values },
		"a value":         func(_, _, values *Query) { values.Inputs[1].Columns[0].Expr = zero },
		"a value's name":  func(_, _, values *Query) { values.Inputs[0].Columns[0].Name = "other" },
		"a value fewer":   func(_, _, values *Query) { values.Inputs = values.Inputs[:2] },
		"values of texts": func(_, _, values *Query) { *values = *listOf(2, 2) },
	} {
		outer, inner, values := memoQuery(t)
		m := NewMemo(nil)
		before := described(outer, c, m)
		if strings.Contains(before, ErrInvalid.Error()) {
			t.Fatal(before)
		}
		if again := described(outer, c, m); again != before {
			t.Fatalf("%s, then %s", before, again)
		}
		change(outer, inner, values)
		kept := described(outer, c, m)
		if want := described(outer, c, NewMemo(nil)); kept != want {
			t.Errorf("%s: %s, not %s", name, kept, want)
		}
	}
}

// TestMemoOfAnotherCatalog asks about the same query over tables that promise less.
func TestMemoOfAnotherCatalog(t *testing.T) {
	c, m := testCatalog(t), NewMemo(nil)
	d := ofStay(plainOutput("id", stayColumn("id")), plainOutput("stay", stayColumn("stay")))
	with := described(d, c, m)
	i := slices.IndexFunc(c.Tables, func(t *catalog.Table) bool { return t.Name == "stay" })
	less := *c.Tables[i]
	less.Key = nil
	weak := *c
	weak.Tables = slices.Clone(c.Tables)
	weak.Tables[i] = &less
	if got, want := described(d, &weak, m), described(d, &weak, NewMemo(nil)); got != want || got == with {
		t.Errorf("%s, not %s", got, want)
	}
	c.Tables[i] = &less
	if got, want := described(d, c, m), described(d, c, NewMemo(nil)); got != want || got == with {
		t.Errorf("after the catalog changed: %s, not %s", got, want)
	}
}

// TestMemoIsNotShared changes a table that a memo returned.
func TestMemoIsNotShared(t *testing.T) {
	c, m := testCatalog(t), NewMemo(nil)
	d := ofStay(plainOutput("id", stayColumn("id")), plainOutput("stay", stayColumn("stay")))
	table, err := d.Table("d", c, m)
	if err != nil {
		t.Fatal(err)
	}
	want := described(d, c, NewMemo(nil))
	table.Key[0], table.Columns[0].Nullable, table.Columns[1] = "id", !table.Columns[0].Nullable, nil
	if got := described(d, c, m); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// TestMemoSpends reads a query as often as the limits allow, and once more. It does so with one memo that caches it,
// and with a new memo each time: a cached query costs the same.
func TestMemoSpends(t *testing.T) {
	c := testCatalog(t)
	d := &Query{Relations: []Relation{{Name: "person", Table: "person"}}, Patient: "id", Columns: []Output{{Name: "id", Expr: personID("person")}}}
	text := expr.Column("person", "sex", "text")
	for range 4 {
		text = exprtest.New(t, expr.OpConcat, text, text)
	}
	for i := range 20 {
		d.Columns = append(d.Columns, Output{Name: fmt.Sprint("s", i), Expr: text})
	}
	deep := d
	for range maxDerivedDepth {
		deep = &Query{Relations: []Relation{{Name: "d", Query: deep}}, Patient: "id", Columns: []Output{{Name: "id", Expr: personID("d")}}}
	}
	for name, of := range map[string]*Query{"texts": d, "levels": deep} {
		refused := 0
		for n := 1; n < 20; n++ {
			kept, anew := NewMemo(expr.NewBudget()), NewMemo(expr.NewBudget())
			var same, copies []Relation
			for i := range n {
				r := Relation{Name: fmt.Sprint("r", i), Query: of}
				if i > 0 {
					r.Join, r.On = JoinInner, eq(t, personID("r0"), personID(r.Name))
				}
				same = append(same, r)
				copied := *of
				r.Query = &copied
				copies = append(copies, r)
			}
			_, err := NewScopeWithin(same, c, kept)
			_, want := NewScopeWithin(copies, c, anew)
			if fmt.Sprint(err) != fmt.Sprint(want) || !reflect.DeepEqual(kept.budget.Left(), anew.budget.Left()) {
				t.Errorf("%s, read %d times: %v, %d visits left, not %v, %d", name, n, err, kept.budget.Left(), want, anew.budget.Left())
			}
			if err != nil {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%s: none was refused", name)
		}
	}
}
