package enginetest

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// derived compares random derived relations over random wards with fragment.Query.Evaluate: groups, windows and set
// operations.
func (k Kind) derived(t *testing.T) {
	c := testcatalog.Parse(t, WardCatalog)
	g := deriver{rand.New(rand.NewPCG(11, 11))}
	compared, refused := 0, 0
	for i := range k.times(10) {
		tables := ward(g.Rand)
		e := k.Open(t, c, "a secret of the node, for tests only", tables...)
		for range 25 {
			d := g.derived(2)
			table, err := d.Table("d", c, fragment.NewMemo(expr.NewBudget()))
			if err != nil { // by chance, two different orders of rows with ties
				refused++
				continue
			}
			want := map[string]int64{}
			rows := d.Evaluate(func(name string) fragment.Rows { return rowsOf(c, tables, name) }, Hospital, c)
			patient := -1
			for i, n := range rows.Names {
				if n == d.Patient {
					patient = i
				}
			}
			for _, r := range rows.Values {
				if !r[patient].IsNull() {
					want[keyText(r)]++
				}
			}
			f := &fragment.Fragment{Relations: []fragment.Relation{{Name: "d", Query: d}}, Norm: fragment.L2, MaxGroups: 100_000, MaxRows: 100_000, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
			for _, column := range table.Columns {
				x := expr.Column("d", column.Name, column.Type)
				f.Keys = append(f.Keys, fragment.Key{Expr: x})
				if column.Name == d.Patient {
					f.Patient = x
				}
			}
			got := map[string]int64{}
			partials, _, p := Partials(t, e, c, f)
			for key, n := range partials {
				got[key] = n[0]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				text, _, _ := e.Compile(f, p)
				t.Fatalf("ward %d: %s\n%s", i, diff, text)
			}
			compared += len(want)
		}
	}
	if all := k.times(10) * 25; compared < 100 || refused > all/2 {
		t.Errorf("only %d rows were compared, and %d of %d relations were refused", compared, refused, all)
	}
}

func rowsOf(c *catalog.Catalog, tables []Table, name string) fragment.Rows {
	table, _ := c.Table(name)
	out := fragment.Rows{}
	for _, col := range table.Columns {
		out.Names = append(out.Names, col.Name)
	}
	for _, t := range tables {
		if t.Name != table.Name {
			continue
		}
		for _, r := range read(c, t) {
			var row []value.Value
			for _, n := range out.Names {
				row = append(row, r[n])
			}
			out.Values = append(out.Values, row)
		}
	}
	return out
}

// values is a list of values, or one row of them.
func values(one bool) *fragment.Query {
	row := func(k, label value.Value, n, x, b value.Value, d int64) *fragment.Query {
		o := &fragment.Query{}
		for i, v := range []value.Value{k, label, n, x, b, value.Date(d)} {
			o.Columns = append(o.Columns, fragment.Output{Name: []string{"k", "label", "n", "x", "b", "d"}[i], Expr: expr.Literal(v)})
		}
		return o
	}
	first := row(value.Text("a"), value.Text("it's \\ \"é\""), value.Int(1<<40), value.Float(0.1), value.Bool(true), 0)
	if one {
		return first
	}
	return &fragment.Query{SetOp: fragment.SetOpUnionAll, Inputs: []*fragment.Query{
		first,
		row(value.Text("b"), value.Null(value.TypeText), value.Int(-1<<63), value.Null(value.TypeFloat), value.Null(value.TypeBool), 18262),
		row(value.Text("it's"), value.Text(""), value.Int(7), value.Float(-1e100), value.Bool(false), -400000),
		row(value.Text("it's"), value.Text("Ä"), value.Int(1<<63-1), value.Float(1e-300), value.Bool(false), 2000000),
		row(value.Null(value.TypeText), value.Text("z"), value.Null(value.TypeInt), value.Float(2), value.Bool(true), 1),
	}}
}

// deriver makes random derived relations. All have the columns id (the patient), a (int), b (float), s (text) and f
// (bool), so that they can be combined.
type deriver struct{ *rand.Rand }

func (g deriver) derived(depth int) *fragment.Query {
	if depth > 0 && g.IntN(4) == 0 {
		d := &fragment.Query{SetOp: []fragment.SetOp{fragment.SetOpUnionAll, fragment.SetOpUnion, fragment.SetOpIntersect, fragment.SetOpExcept}[g.IntN(4)], Patient: "id"}
		for range 2 + g.IntN(2) {
			d.Inputs = append(d.Inputs, g.derived(depth-1))
		}
		return d
	}
	// It reads events, persons with their events, or another derived relation.
	relations := events
	id, number, real, text, flag, day := evID, evN, evX, evKind, evUrgent, evDay
	if depth > 0 && g.IntN(3) == 0 {
		relations = []fragment.Relation{{Name: "inner", Query: g.derived(depth - 1)}}
		column := func(name string, t value.Type) *expr.Expr { return expr.Column("inner", name, t) }
		id, number, real, text = column("id", value.TypeInt), column("a", value.TypeInt), column("b", value.TypeFloat), column("s", value.TypeText)
		flag, day = column("f", value.TypeBool), number
	} else if g.IntN(3) == 0 {
		relations, id = []fragment.Relation{persons[0], {Name: "e", Table: "event", Join: fragment.JoinLeft, On: op(expr.OpEqual, evID, pID)}}, pID
	}
	if g.IntN(4) == 0 { // joined with a list of values
		list := fragment.Relation{Name: "list", Query: values(g.IntN(2) == 0), Join: fragment.JoinLeft}
		list.On = op(expr.OpEqual, expr.Column("list", "k", value.TypeText), text)
		relations = append(relations[:len(relations):len(relations)], list)
		number, real = expr.Column("list", "n", value.TypeInt), expr.Column("list", "x", value.TypeFloat)
		flag, text = expr.Column("list", "b", value.TypeBool), expr.Column("list", "label", value.TypeText)
	}
	d := &fragment.Query{Relations: relations, Patient: "id", Grouped: g.IntN(2) == 0}
	if g.IntN(2) == 0 {
		d.Filter = op(expr.OpGreaterOrEqual, number, integer(int64(g.IntN(500))))
	}
	exact := &fragment.Grid{Shift: 10, Lower: -1 << 30, Upper: 1 << 30}
	windowed := func(o fragment.Output) fragment.Output {
		if d.Grouped {
			return o
		}
		o.Window = &fragment.Window{Partition: []*expr.Expr{id}}
		if g.IntN(3) == 0 {
			o.Window.Partition = append(o.Window.Partition, text)
		}
		if o.Function == fragment.FunctionDistinct {
			return o
		}
		if g.IntN(3) > 0 {
			for _, e := range []*expr.Expr{day, text}[:1+g.IntN(2)] {
				o.Window.Order = append(o.Window.Order, fragment.Order{Expr: e, Descending: g.IntN(2) == 0, NullsFirst: g.IntN(2) == 0})
			}
			if g.IntN(2) == 0 {
				ends := []int{-fragment.Unbounded, -3, -1, 0, 1, 2, fragment.Unbounded}
				from := g.IntN(len(ends) - 1)
				to := max(1, from+g.IntN(len(ends)-from))
				o.Window.Frame = &fragment.Frame{From: ends[from], To: ends[to]}
				o.Window.Ties = []*expr.Expr{number, real, text, flag, day}
				if g.IntN(2) == 0 {
					days := number
					if day.Type == value.TypeDate {
						days = op(expr.OpSubtract, day, expr.Literal(value.Date(0)))
					}
					by := []*expr.Expr{number, days, expr.Literal(value.Int(7)), op(expr.OpMultiply, number, expr.Literal(value.Int(1<<62)))}[g.IntN(4)]
					o.Window.Frame.Values, o.Window.Ties = true, nil
					o.Window.Order = []fragment.Order{{Expr: by, Descending: g.IntN(2) == 0, NullsFirst: g.IntN(2) == 0}}
				}
			}
		}
		return o
	}
	ordered := func(o fragment.Output) fragment.Output {
		o.Window = &fragment.Window{Partition: []*expr.Expr{id}, Order: []fragment.Order{{Expr: day, Descending: g.IntN(2) == 0, NullsFirst: g.IntN(2) == 0}}}
		if o.Function != fragment.FunctionRank && o.Function != fragment.FunctionDenseRank {
			o.Window.Ties = []*expr.Expr{number, real, text, flag, day}
		}
		if o.Function == fragment.FunctionLag || o.Function == fragment.FunctionLead {
			o.Window.Offset = 1 + g.IntN(3)
		}
		return o
	}
	ints := []fragment.Output{{Function: fragment.FunctionRows}, {Function: fragment.FunctionCount, Expr: real}, {Function: fragment.FunctionDistinct, Expr: text}, {Function: fragment.FunctionDistinct, Expr: number},
		{Function: fragment.FunctionSum, Expr: number}, {Function: fragment.FunctionMin, Expr: number}, {Function: fragment.FunctionMax, Expr: number}}
	floats := []fragment.Output{{Function: fragment.FunctionAverage, Expr: number}, {Function: fragment.FunctionAverage, Expr: real, Grid: exact}, {Function: fragment.FunctionSum, Expr: real, Grid: exact}, {Function: fragment.FunctionMax, Expr: real}}
	texts := []fragment.Output{{Function: fragment.FunctionMin, Expr: text}, {Function: fragment.FunctionMax, Expr: text}}
	a, b, s := windowed(pick(generator(g), ints...)), windowed(pick(generator(g), floats...)), windowed(pick(generator(g), texts...))
	if !d.Grouped {
		switch g.IntN(3) {
		case 0:
			a = ordered(fragment.Output{Function: pick(generator(g), fragment.FunctionRowNumber, fragment.FunctionRank, fragment.FunctionDenseRank)})
			s = ordered(fragment.Output{Function: pick(generator(g), fragment.FunctionLag, fragment.FunctionLead, fragment.FunctionFirst, fragment.FunctionLast), Expr: text})
		case 1:
			a, b, s = fragment.Output{Expr: number}, fragment.Output{Expr: real}, fragment.Output{Expr: text}
		}
	} else if g.IntN(2) == 0 {
		s = fragment.Output{Expr: text} // a group by the patient and the text
	}
	a.Name, b.Name, s.Name = "a", "b", "s"
	d.Columns = []fragment.Output{{Name: "id", Expr: id}, a, b, s}
	f := fragment.Output{Expr: flag}
	if d.Grouped {
		f = fragment.Output{Function: pick(generator(g), fragment.FunctionEvery, fragment.FunctionAny, fragment.FunctionMin, fragment.FunctionMax), Expr: flag}
	}
	f.Name = "f"
	d.Columns = append(d.Columns, f)
	return d
}
