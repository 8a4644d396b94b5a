package enginetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// promised is nastyCatalog with promises that none of its rows keeps: no column is ever NULL, and texts are few.
func promised(t testing.TB) *catalog.Catalog {
	s := strings.ReplaceAll(nastyCatalog, ", nullable: false", "")
	s = strings.ReplaceAll(s, "{type: ", "{nullable: false, type: ")
	s = strings.Replace(s, "s: {nullable: false, type: text", "s: {nullable: false, type: text, domain: ['1', '12', '-3']", 1)
	s = strings.Replace(s, "u: {nullable: false, type: text", "u: {nullable: false, type: text, domain: ['2020-02-29', a]", 1)
	return parse(t, s)
}

// bounds: whatever the rows hold and the catalog promises, what enters a sum is within the bound that is
// declared of it, and nothing raises. All rows count, also those of which engines give different values.
// Grids and buckets are those that a planner would choose, which believes the catalog and the filters.
func (k Kind) bounds(t *testing.T) {
	c := promised(t)
	one, many := k.nastyTable(150), k.nastyTable(300)
	many.Name = "visit"
	for i, r := range many.Rows {
		many.Columns[0].Name, r[0] = "id", int64(i%60)
	}
	e := k.Open(t, c, "a secret of the node, for tests only", one, many)
	g := broken{generator{rand.New(rand.NewPCG(23, 5))}}
	tooLarge := 0
	try := func(f *fragment.Fragment) {
		f.Patient = idOf(f.Relations[0].Name)
		f.Keys = []fragment.Key{{Expr: f.Patient}}
		got, _, p, err := partials(t, e, c, f)
		text, _, compileError := e.Compile(f, p)
		if errors.Is(compileError, compile.ErrTooLarge) {
			tooLarge++
			return
		}
		if err != nil {
			t.Fatalf("%v: %v\n%.6000s", err, errors.Unwrap(err), text)
		}
		for patient, sums := range got {
			if length := Length(f, p, map[string][]int64{"": sums}, nil); length > float64(p.NormLimit(f))*(1+1e-12) {
				t.Fatalf("patient %s: %v is %g long, more than %d\n%.6000s", patient, sums, length, p.NormLimit(f), text)
			}
		}
	}
	sums := func(f *fragment.Fragment, of ...*fragment.Expr) {
		scope := must2(fragment.NewScope(f.Relations, c))
		for _, x := range of {
			f.Partials = append(f.Partials, g.partial(x, scope.FactsWhere(x, f.Filter), f.MaxRows))
		}
	}
	table := fragment.Relation{Name: "T", Table: "t"}
	of := func(r fragment.Relation, rows int) *fragment.Fragment {
		return &fragment.Fragment{Relations: []fragment.Relation{r}, Norm: fragment.L2, MaxGroups: 1, MaxRows: rows}
	}
	for _, x := range g.tiny() {
		f := of(table, 1)
		sums(f, slices.Repeat([]*fragment.Expr{x}, 6)...)
		try(f)
	}
	for _, d := range g.trusted(table) {
		for _, x := range g.failing("D") {
			f := of(fragment.Relation{Name: "D", Derived: d}, 2)
			f.Filter = op(fragment.OpGreater, x, integer(20))
			sums(f, x)
			try(f)
		}
	}
	n := k.times(300)
	for range n {
		f, relation, depth := of(table, 1), "T", 4
		if g.IntN(3) == 0 {
			f.MaxRows, f.Relations[0].Table = 1+g.IntN(3), "visit"
		}
		if g.IntN(3) > 0 {
			f.Relations, relation = []fragment.Relation{{Name: "D", Derived: g.derived(f.Relations[0], 1)}}, "D"
			depth = 2 // a database multiplies what both mention
			if g.IntN(4) == 0 {
				f.Relations = []fragment.Relation{table, {Name: "D", Derived: f.Relations[0].Derived, Join: fragment.JoinLeft}}
				f.Relations[1].On = op(fragment.OpAnd, op(fragment.OpEqual, idOf("T"), idOf("D")), g.at("D", g.expr(value.TypeBool, 2)))
				f.MaxRows = 2
			}
		}
		if g.IntN(2) == 0 {
			f.Filter = g.at(relation, g.condition())
			if g.IntN(2) == 0 {
				f.Filter = g.at(relation, op(fragment.OpGreater, g.computed(depth), integer(20)))
			}
		}
		for range 6 {
			sums(f, g.at(relation, g.computed(depth)))
		}
		try(f)
	}
	if tooLarge*10 > n {
		t.Errorf("%d of %d queries are too large to compile", tooLarge, n)
	}
}

func idOf(relation string) *fragment.Expr { return fragment.Column(relation, "id", value.TypeInt) }

func must2(s *fragment.Scope, err error) *fragment.Scope {
	if err != nil {
		panic(err)
	}
	return s
}

// broken makes fragments over tables that break their promises.
type broken struct{ generator }

// partial makes a partial aggregate of a number, of which a planner would know these facts.
func (g broken) partial(x *fragment.Expr, f fragment.Facts, maxRows int) fragment.Partial {
	whole := x.Type == value.TypeInt
	if !f.Bounded() || g.IntN(8) == 0 {
		f.Lower, f.Upper = pick(g.generator, -1.0, 0, 3), pick(g.generator, 3.0, 8)
	}
	switch g.IntN(4) {
	case 0:
		return fragment.Partial{Kind: fragment.PartialValues, Expr: x}
	case 1:
		b := &fragment.Buckets{Lower: f.Lower, Upper: f.Upper, Branching: 2 + g.IntN(3), Levels: 1 + g.IntN(2)}
		if whole && g.IntN(2) == 0 {
			b.Lower, b.Upper = 0, float64(b.Leaves())
		}
		if b.Validate() == nil {
			return fragment.Partial{Kind: fragment.PartialBuckets, Expr: x, Buckets: b}
		}
	}
	grid, err := fragment.NewGrid(f.Lower, f.Upper, whole, g.IntN(2) == 0, maxRows)
	if err != nil || grid.Lower < -1<<60 || grid.Upper > 1<<60 { // a planner refuses it
		grid = fragment.Grid{Lower: -2, Upper: 3}
	}
	return fragment.Partial{Kind: fragment.PartialSum, Expr: x, Grid: &grid}
}

// at reads another relation, of one column for each type, in the place of T.
func (g broken) at(relation string, e *fragment.Expr) *fragment.Expr {
	if relation == "T" {
		return e
	}
	return e.Replace(func(c *fragment.Expr) *fragment.Expr {
		if c.Column == "id" {
			return idOf(relation)
		}
		return fragment.Column(relation, string(c.Type), c.Type)
	})
}

// narrowValues are values of a type with which arithmetic cannot fail.
var narrowValues = map[value.Type]func(i int64) value.Value{
	value.TypeInt: func(i int64) value.Value { return value.Int(1 + i*i) }, value.TypeFloat: func(i int64) value.Value { return value.Float(0.5 + float64(i)) },
	value.TypeDate: func(i int64) value.Value { return value.Date(18262 - 20*i) }, value.TypeTimestamp: func(i int64) value.Value { return value.Timestamp(i * 1e14) },
}

// computed is a number: any, or one that cannot fail where what is promised of columns, or their filters, holds.
func (g broken) computed(depth int) *fragment.Expr {
	if g.IntN(2) == 0 {
		return g.number(1 + g.IntN(depth))
	}
	number := g.believed(pick(g.generator, value.TypeInt, value.TypeFloat))
	other := g.believed(pick(g.generator, value.TypeInt, value.TypeFloat))
	switch g.IntN(7) {
	case 0:
		return op(pick(g.generator, fragment.OpAdd, fragment.OpSubtract, fragment.OpMultiply, fragment.OpDivide), number, other)
	case 1:
		return op(pick(g.generator, fragment.OpSqrt, fragment.OpLn, fragment.OpLog10, fragment.OpExp), number)
	case 2:
		return must(fragment.Cast(g.believed(value.TypeFloat), value.TypeInt))
	case 3:
		t := pick(g.generator, value.TypeDate, value.TypeTimestamp)
		day := op(pick(g.generator, fragment.OpAdd, fragment.OpSubtract, fragment.OpAddMonths), g.believed(t), g.believed(value.TypeInt))
		return op(fragment.OpExtract, fragment.Literal(value.Text("year")), day)
	case 4:
		return op(pick(g.generator, fragment.OpMultiply, fragment.OpIntDivide, fragment.OpModulo, fragment.OpAdd), g.believed(value.TypeInt), g.believed(value.TypeInt))
	case 5:
		x := g.believed(value.TypeInt)
		return op(fragment.OpLength, op(fragment.OpSubstring, g.expr(value.TypeText, 1), x, g.believed(value.TypeInt)))
	}
	x := g.believed(value.TypeInt)
	day := op(fragment.OpMakeDate, op(fragment.OpAdd, x, integer(1900)), op(fragment.OpModulo, x, integer(12)), op(fragment.OpModulo, g.believed(value.TypeInt), integer(28)))
	return op(fragment.OpExtract, fragment.Literal(value.Text("day")), day)
}

// believed is a column, or one that is cut by another that is said never to be NULL.
func (g broken) believed(t value.Type) *fragment.Expr {
	column := func() *fragment.Expr { return fragment.Column("T", pick(g.generator, nastyColumns[t]...), t) }
	if g.IntN(2) == 0 {
		return column()
	}
	bounded := map[value.Type]string{value.TypeInt: "ib", value.TypeFloat: "fb", value.TypeDate: "db", value.TypeTimestamp: "tb"}[t]
	return op(fragment.OpGreatest, op(fragment.OpLeast, fragment.Column("T", bounded, t), column()), fragment.Literal(narrowValues[t](0)))
}

// condition narrows what a planner believes of a column.
func (g broken) condition() *fragment.Expr {
	column := func(t value.Type) *fragment.Expr {
		return fragment.Column("T", pick(g.generator, nastyColumns[t]...), t)
	}
	switch g.IntN(5) {
	case 0:
		return op(fragment.OpIn, column(value.TypeInt), integer(1), integer(2), integer(7), integer(100))
	case 1:
		x := column(value.TypeFloat)
		return op(fragment.OpAnd, op(fragment.OpGreater, x, fragment.Literal(value.Float(0))), op(fragment.OpLessOrEqual, x, fragment.Literal(value.Float(3))))
	case 2:
		x := column(pick(g.generator, value.TypeInt, value.TypeDate, value.TypeTimestamp))
		return op(fragment.OpNot, op(fragment.OpIsNull, x))
	case 3:
		x := column(pick(g.generator, value.TypeDate, value.TypeTimestamp))
		return op(fragment.OpAnd, op(fragment.OpGreaterOrEqual, x, g.literal(x.Type)), op(fragment.OpLess, x, g.literal(x.Type)))
	}
	x := column(value.TypeInt)
	return op(fragment.OpAnd, op(fragment.OpNotEqual, x, integer(0)), op(fragment.OpGreaterOrEqual, x, integer(1)), op(fragment.OpLess, x, integer(101)))
}

// derived makes a relation of one column for each type, which are named as their types.
func (g broken) derived(from fragment.Relation, depth int) *fragment.Derived {
	if depth > 0 && g.IntN(4) == 0 {
		how := pick(g.generator, fragment.CombineAll, fragment.CombineUnion, fragment.CombineIntersect, fragment.CombineExcept)
		return &fragment.Derived{Combine: how, Arms: []*fragment.Derived{g.derived(from, depth-1), g.derived(from, depth-1)}, Patient: "id"}
	}
	relation := "T"
	if depth > 0 && g.IntN(3) == 0 {
		from, relation = fragment.Relation{Name: "I", Derived: g.derived(from, depth-1)}, "I"
	}
	d := &fragment.Derived{Relations: []fragment.Relation{from}, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: idOf(relation)}}}
	d.Grouped = g.IntN(3) == 0
	if g.IntN(3) > 0 {
		d.Filter = g.at(relation, g.condition())
	}
	for _, t := range allTypes {
		x := g.at(relation, g.expr(t, g.IntN(2)))
		o := fragment.Output{Name: string(t), Expr: x}
		if d.Grouped {
			o.Function = pick(g.generator, fragment.FunctionMin, fragment.FunctionMax)
			if t == value.TypeInt && g.IntN(2) == 0 {
				o.Function = pick(g.generator, fragment.FunctionCount, fragment.FunctionSum, fragment.FunctionDistinct)
			}
			if t == value.TypeFloat && g.IntN(2) == 0 {
				grid := fragment.Grid{Shift: 3, Lower: -100, Upper: 1000}
				o.Function, o.Grid = pick(g.generator, fragment.FunctionSum, fragment.FunctionAverage), &grid
			}
		}
		d.Columns = append(d.Columns, o)
	}
	return d
}

// trusted are relations of columns with which arithmetic cannot fail, if it is done after all that their names stand for.
func (g broken) trusted(from fragment.Relation) []*fragment.Derived {
	plain := func(names string, narrow bool) *fragment.Derived {
		d := &fragment.Derived{Relations: []fragment.Relation{from}, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: idOf("T")}}}
		var in []*fragment.Expr
		for i, name := range strings.Fields(names) {
			x := fragment.Column("T", name, []value.Type{value.TypeInt, value.TypeFloat, value.TypeDate}[i])
			d.Columns = append(d.Columns, fragment.Output{Name: string(x.Type), Expr: x})
			list := []*fragment.Expr{x} // which PostgreSQL tests last: it looks longer ones up in a hash table
			for n := range int64(8) {
				list = append(list, fragment.Literal(narrowValues[x.Type](n)))
			}
			in = append(in, op(fragment.OpIn, list...))
		}
		if narrow {
			d.Filter = op(fragment.OpAnd, in...)
		}
		return d
	}
	both := func(how fragment.Combine, arms ...*fragment.Derived) *fragment.Derived {
		return &fragment.Derived{Combine: how, Arms: arms, Patient: "id"}
	}
	known, free := plain("ib fb db", false), plain("i f d", false)
	joined := plain("i f d", false) // narrowed where it is joined
	joined.Relations = append(joined.Relations, fragment.Relation{Name: "N", Derived: plain("i f d", true), Join: fragment.JoinInner, On: op(fragment.OpEqual, idOf("T"), idOf("N"))})
	for i := range joined.Columns[1:] {
		o := &joined.Columns[1+i]
		o.Expr = fragment.Column("N", o.Name, o.Expr.Type)
	}
	return []*fragment.Derived{plain("i f d", true), joined, both(fragment.CombineIntersect, known, free), both(fragment.CombineExcept, known, free), both(fragment.CombineUnion, known, free)}
}

// failing lists what can fail of an int, a float and a date.
func (g broken) failing(relation string) []*fragment.Expr {
	n, x, d := fragment.Column(relation, "int", value.TypeInt), fragment.Column(relation, "float", value.TypeFloat), fragment.Column(relation, "date", value.TypeDate)
	year := func(day *fragment.Expr) *fragment.Expr {
		return op(fragment.OpExtract, fragment.Literal(value.Text("year")), day)
	}
	return []*fragment.Expr{
		op(fragment.OpMultiply, n, n), op(fragment.OpAdd, n, n), op(fragment.OpNegate, n), op(fragment.OpIntDivide, integer(1000), n), op(fragment.OpModulo, integer(1000), n),
		op(fragment.OpMultiply, x, x), op(fragment.OpDivide, integer(1), x), op(fragment.OpLn, x), op(fragment.OpSqrt, x), op(fragment.OpExp, x), op(fragment.OpPower, x, x), must(fragment.Cast(x, value.TypeInt)),
		op(fragment.OpRound, x, integer(9)), year(op(fragment.OpAdd, d, n)), year(op(fragment.OpSubtract, d, n)), year(op(fragment.OpAddMonths, d, n)), year(op(fragment.OpMakeDate, op(fragment.OpAdd, n, integer(1900)), n, n)),
		op(fragment.OpLength, op(fragment.OpSubstring, str("abc"), n, n)), year(op(fragment.OpAdd, must(fragment.Cast(d, value.TypeTimestamp)), n)),
	}
}

// tiny lists functions that raise at 0, of numbers that are not 0 and that an engine may take for 0.
func (g broken) tiny() []*fragment.Expr {
	number := func(x float64) *fragment.Expr { return fragment.Literal(value.Float(x)) }
	column := func(name string) *fragment.Expr { return fragment.Column("T", name, value.TypeFloat) }
	half := op(fragment.OpGreatest, op(fragment.OpLeast, column("fb"), number(0.5001)), number(0.5))
	far := op(fragment.OpGreatest, op(fragment.OpLeast, column("f"), number(4.0001e150)), number(4e150))
	var list []*fragment.Expr
	for _, x := range []*fragment.Expr{
		op(fragment.OpMultiply, column("fn"), half), op(fragment.OpMultiply, half, column("fn")), op(fragment.OpMultiply, column("fn"), column("fn")),
		op(fragment.OpDivide, column("fn"), half), op(fragment.OpDivide, half, far), op(fragment.OpMultiply, op(fragment.OpNegate, column("fn")), half),
	} {
		list = append(list, x, op(fragment.OpLn, x), op(fragment.OpLog10, op(fragment.OpAbs, x)), op(fragment.OpDivide, integer(1), x), op(fragment.OpSqrt, x),
			op(fragment.OpPower, x, number(-1)), op(fragment.OpLn, op(fragment.OpMultiply, x, far)))
	}
	for i, x := range list {
		if i%7 == 0 {
			list[i] = op(fragment.OpAdd, x, number(math.Copysign(0, -1)))
		}
	}
	return list
}
