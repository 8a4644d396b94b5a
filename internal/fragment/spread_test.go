package fragment

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/value"
)

// listOf is a list of n values, of which some are equal.
func listOf(n, equal int) *Query {
	d := &Query{SetOp: SetOpUnionAll}
	for i := range n {
		d.Inputs = append(d.Inputs, &Query{Columns: []Output{{Name: "k", Expr: expr.Literal(value.Int(int64(i / equal)))}, {Name: "v", Expr: expr.Literal(value.Int(int64(i % 7)))}}})
	}
	return d
}

// TestSpread bounds how much joins with public relations multiply rows, however they are nested.
func TestSpread(t *testing.T) {
	c := testCatalog(t)
	stay := Relation{Name: "stay", Table: "stay"}
	days := col("stay", "days", value.TypeInt)
	list := func(name string, d *Query, join Join, on *expr.Expr) Relation {
		return Relation{Name: name, Query: d, Join: join, On: on}
	}
	less := func(name string) *expr.Expr { return exprtest.New(t, expr.OpLess, col(name, "k", value.TypeInt), days) }
	within := func(rs ...Relation) *Query { // a patient's rows joined with lists
		return &Query{Relations: rs, Patient: "id", Columns: []Output{{Name: "id", Expr: personID("stay")}, {Name: "days", Expr: days}}}
	}
	public := func(rs ...Relation) *Query {
		return &Query{Relations: rs, Columns: []Output{{Name: "k", Expr: col(rs[0].Name, "k", value.TypeInt)}}}
	}
	place := Relation{Name: "place", Table: "place"}
	measured := func(table string, columns []string) (float64, error) {
		if table != "place" {
			return 0, fmt.Errorf("asked of %s", table)
		}
		if len(columns) == 0 {
			return 30_000, nil
		}
		return 20, nil
	}
	joined := func(r Relation, join Join, on *expr.Expr) Relation { r.Join, r.On = join, on; return r }
	for name, at := range map[string]struct {
		relations []Relation
		static    bool // refused by Check
		measured  bool // refused if tables are known
	}{
		"one list":             {relations: []Relation{stay, list("a", listOf(1000, 1), JoinCross, nil)}},
		"by a condition":       {relations: []Relation{stay, list("a", listOf(1000, 1), JoinInner, less("a")), list("b", listOf(11, 1), JoinInner, less("b"))}, static: true},
		"two short":            {relations: []Relation{stay, list("a", listOf(100, 1), JoinCross, nil), list("b", listOf(100, 1), JoinLeft, less("b"))}},
		"three short":          {relations: []Relation{stay, list("a", listOf(100, 1), JoinCross, nil), list("b", listOf(100, 1), JoinLeft, less("b")), list("c", listOf(2, 1), JoinCross, nil)}, static: true},
		"by keys":              {relations: []Relation{stay, list("a", listOf(1000, 1), JoinInner, eq(t, col("a", "k", value.TypeInt), days)), list("b", listOf(1000, 1), JoinLeft, eq(t, col("b", "k", value.TypeInt), col("a", "v", value.TypeInt))), list("c", listOf(1000, 1), JoinCross, nil)}},
		"by each other's keys": {relations: []Relation{stay, list("a", listOf(1000, 1), JoinCross, nil), list("b", listOf(1000, 1), JoinInner, eq(t, col("b", "k", value.TypeInt), col("a", "k", value.TypeInt))), list("c", listOf(11, 1), JoinCross, nil)}, static: true},
		"by equal values":      {relations: []Relation{stay, list("a", listOf(1000, 100), JoinInner, eq(t, col("a", "k", value.TypeInt), days)), list("b", listOf(1000, 100), JoinInner, eq(t, col("b", "k", value.TypeInt), days))}},
		"by more equal values": {relations: []Relation{stay, list("a", listOf(1000, 200), JoinInner, eq(t, col("a", "k", value.TypeInt), days)), list("b", listOf(1000, 100), JoinInner, eq(t, col("b", "k", value.TypeInt), days))}, static: true},
		"within":               {relations: []Relation{list("d", within(stay, list("a", listOf(1000, 1), JoinCross, nil)), "", nil), list("b", listOf(11, 1), JoinCross, nil)}, static: true},
		"within, twice": {relations: []Relation{list("d", within(stay, list("a", listOf(101, 1), JoinCross, nil)), "", nil),
			list("e", within(stay, list("b", listOf(100, 1), JoinCross, nil)), JoinInner, eq(t, personID("d"), personID("e"))), list("c", listOf(1000, 1), JoinCross, nil)}},
		"within, twice, and more": {relations: []Relation{list("d", within(stay, list("a", listOf(101, 1), JoinCross, nil)), "", nil),
			list("e", within(stay, list("b", listOf(100, 1), JoinCross, nil)), JoinInner, eq(t, personID("d"), personID("e"))), list("c", listOf(501, 1), JoinCross, nil), list("g", listOf(2, 1), JoinCross, nil)}, static: true},
		"in inputs": {relations: []Relation{list("d", &Query{SetOp: SetOpUnionAll, Patient: "id", Inputs: []*Query{
			within(stay, list("a", listOf(1000, 1), JoinCross, nil)), within(stay, list("a", listOf(1000, 1), JoinCross, nil))}}, "", nil), list("b", listOf(6, 1), JoinCross, nil)}, static: true},
		"lists of lists":              {relations: []Relation{stay, list("p", public(list("a", listOf(1000, 1), "", nil), list("b", listOf(11, 1), JoinCross, nil)), JoinCross, nil)}, static: true},
		"lists of lists by their key": {relations: []Relation{stay, list("p", public(list("a", listOf(1000, 1), "", nil), list("b", listOf(11, 1), JoinCross, nil)), JoinInner, eq(t, col("p", "k", value.TypeInt), days))}},
		"public alone": {relations: []Relation{stay, list("p", &Query{Grouped: true, Columns: []Output{{Name: "n", Function: FunctionRows}},
			Relations: []Relation{list("a", listOf(1000, 1), "", nil), list("b", listOf(1000, 1), JoinCross, nil), list("c", listOf(1000, 1), JoinCross, nil)}}, JoinCross, nil)}, static: true},
		"a table":                   {relations: []Relation{stay, joined(place, JoinCross, nil)}, measured: true},
		"a table by its key":        {relations: []Relation{stay, joined(place, JoinInner, eq(t, col("place", "id", value.TypeInt), days))}},
		"a table under a condition": {relations: []Relation{stay, joined(place, JoinInner, exprtest.New(t, expr.OpLess, col("place", "id", value.TypeInt), days))}, measured: true},
	} {
		f := &Fragment{Version: Version, Relations: at.relations, Patient: personID("stay"), Partials: []Partial{{Kind: PartialRows}}, Norm: L2, MaxGroups: 1, MaxRows: 1}
		if at.relations[0].Name == "d" {
			f.Patient = personID("d")
		}
		_, err := Check(f, c)
		if (err != nil) != at.static || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "rows")) {
			t.Errorf("%s: Check gives %v", name, err)
		}
		if at.static {
			continue
		}
		if err := f.Spread(c, measured); (err != nil) != at.measured {
			t.Errorf("%s: %v where tables are known", name, err)
		}
	}
}
