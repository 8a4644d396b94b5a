package fragment

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

func ofPlace(columns ...Output) *Query {
	return &Query{Relations: []Relation{{Name: "place", Table: "place"}}, Columns: columns}
}

// A hostile coordinator might send these lookups, which cost nothing, to read of patients.
func TestReadingIsPublic(t *testing.T) {
	id, region := col("place", "id", value.TypeInt), col("place", "region", value.TypeText)
	name := plainOutput("region", region)
	stays := func(join Join, on *expr.Expr) *Query {
		return &Query{Relations: []Relation{{Name: "place", Table: "place"}, {Name: "stay", Table: "stay", Join: join, On: on}}, Columns: []Output{name}}
	}
	within := func(d *Query, join Join, on *expr.Expr) *Query {
		return &Query{Relations: []Relation{{Name: "place", Table: "place"}, {Name: "d", Query: d, Join: join, On: on}}, Columns: []Output{name}}
	}
	counted := &Query{Relations: []Relation{{Name: "stay", Table: "stay"}}, Grouped: true, Columns: []Output{{Name: "n", Function: FunctionRows}}}
	tie := eq(t, id, stayColumn("days"))
	reading := func(d *Query, change func(*Reading)) *Reading {
		r := &Reading{Relation: d, Limit: 10}
		if change != nil {
			change(r)
		}
		return r
	}
	for what, r := range map[string]*Reading{
		"a private table":                 reading(ofStay(plainOutput("id", stayColumn("id"))), nil),
		"one without its patient":         reading(&Query{Relations: []Relation{{Name: "stay", Table: "stay"}}, Columns: []Output{plainOutput("days", stayColumn("days"))}}, nil),
		"a count of a private table":      reading(counted, nil),
		"a join with one":                 reading(stays(JoinInner, tie), nil),
		"a left join":                     reading(stays(JoinLeft, tie), nil),
		"a cross join":                    reading(stays(JoinCross, nil), nil),
		"a private relation within":       reading(within(ofStay(plainOutput("id", stayColumn("id"))), JoinLeft, eq(t, id, col("d", "id", value.TypeInt))), nil),
		"a count within":                  reading(within(counted, JoinCross, nil), nil),
		"rows without those of patients":  reading(&Query{SetOp: SetOpExcept, Inputs: []*Query{ofPlace(plainOutput("id", id)), ofStay(plainOutput("id", stayColumn("id")))}}, nil),
		"a filter by another's column":    reading(&Query{Relations: []Relation{{Name: "place", Table: "place"}}, Columns: []Output{name}, Filter: eq(t, id, stayColumn("days"))}, nil),
		"a public one that names patient": reading(&Query{Relations: []Relation{{Name: "place", Table: "place"}}, Columns: []Output{name}, Patient: "region"}, nil),
		"a table that there is not":       reading(&Query{Relations: []Relation{{Name: "x", Table: "x"}}, Columns: []Output{plainOutput("x", col("x", "x", value.TypeInt))}}, nil),
		"nothing":                         reading(nil, nil),
		"no limit":                        reading(ofPlace(name), func(r *Reading) { r.Limit = 0 }),
		"too high a limit":                reading(ofPlace(name), func(r *Reading) { r.Limit = MaxLookupRows + 2 }),
		"an offset before the first":      reading(ofPlace(name), func(r *Reading) { r.Offset = -1 }),
		"an order by no column":           reading(ofPlace(name), func(r *Reading) { r.Order = []Place{{Column: "id"}} }),
	} {
		if table, err := r.Table(testCatalog(t)); !errors.Is(err, ErrInvalid) && !errors.Is(err, expr.ErrExpression) {
			t.Errorf("%s: %+v, %v, want a refusal", what, table, err)
		}
	}
	r := reading(ofPlace(name, plainOutput("id", id)), func(r *Reading) { r.Order = []Place{{Column: "id", Descending: true}} })
	table, err := r.Table(testCatalog(t))
	if err != nil || !table.Public || !reflect.DeepEqual(r.Places(table), []Place{{Column: "id", Descending: true}, {Column: "region"}}) {
		t.Errorf("%+v, %v", table, err)
	}
}

// A lookup's rows arrive as they were sent, whatever they contain.
func TestFoundKeepsValues(t *testing.T) {
	d := ofPlace(plainOutput("region", col("place", "region", value.TypeText)), plainOutput("id", col("place", "id", value.TypeInt)))
	table, err := d.Table("answer", testCatalog(t), NewMemo(expr.NewBudget()))
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]value.Value{{value.Text("NULL"), value.Int(-1 << 63)}, {value.Null(value.TypeText), value.Null(value.TypeInt)}, {value.Text(""), value.Int(7)}, {value.Text("é\n\"\u2028"), value.Int(0)}}
	var f, back Found
	for _, row := range rows {
		f.Append(row)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	got, err := back.Read(table)
	if err != nil || !reflect.DeepEqual(got.Values, rows) {
		t.Errorf("%v, %v", got.Values, err)
	}
	wrong := "x"
	for _, f := range []Found{{Rows: [][]*string{{nil}}}, {Rows: [][]*string{{nil, &wrong}}}} {
		if rows, err := f.Read(table); !errors.Is(err, ErrRecord) {
			t.Errorf("%v, %v", rows, err)
		}
	}
}

func FuzzDecodeLookup(f *testing.F) {
	b, err := json.Marshal(Lookup{Study: "s", Reading: Reading{Relation: ofPlace(plainOutput("id", col("place", "id", value.TypeInt))), Limit: 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"relation":{"combine":"union","arms":[null,null]},"limit":1}`))
	c := testCatalog(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeLookup(b)
		if err != nil {
			return
		}
		if table, err := l.Table(c); err == nil && !table.Public {
			t.Error("a lookup of patients")
		}
	})
}
