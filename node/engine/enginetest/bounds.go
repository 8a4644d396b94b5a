package enginetest

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// promised is nastyCatalog with promises that its rows break: no column is ever NULL, and texts have few values.
func promised(t testing.TB) *catalog.Catalog {
	s := strings.ReplaceAll(nastyCatalog, ", nullable: false", "")
	s = strings.ReplaceAll(s, "{type: ", "{nullable: false, type: ")
	s = strings.Replace(s, "s: {nullable: false, type: text", "s: {nullable: false, type: text, domain: ['1', '12', '-3']", 1)
	s = strings.Replace(s, "u: {nullable: false, type: text", "u: {nullable: false, type: text, domain: ['2020-02-29', a]", 1)
	return testcatalog.Parse(t, s)
}

// bounds: whatever the rows have and the catalog promises, each term of a sum is within its declared bound, and nothing
// raises an error. All rows count, also those for which engines give different values. Grids and buckets are those of a
// planner, which believes the catalog and the filters.
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
	sums := func(f *fragment.Fragment, of ...*expr.Expr) {
		scope := must2(fragment.NewScope(f.Relations, c))
		for _, x := range of {
			f.Partials = append(f.Partials, g.partial(x, scope.RangeWhere(x, f.Filter), f.MaxRows))
		}
	}
	table := fragment.Relation{Name: "T", Table: "t"}
	of := func(r fragment.Relation, rows int) *fragment.Fragment {
		return &fragment.Fragment{Relations: []fragment.Relation{r}, Norm: fragment.L2, MaxGroups: 1, MaxRows: rows}
	}
	for _, x := range g.tiny() {
		f := of(table, 1)
		sums(f, slices.Repeat([]*expr.Expr{x}, 6)...)
		try(f)
	}
	for _, d := range g.trusted(table) {
		for _, x := range g.failing("D") {
			f := of(fragment.Relation{Name: "D", Query: d}, 2)
			f.Filter = op(expr.OpGreater, x, integer(20))
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
			f.Relations, relation = []fragment.Relation{{Name: "D", Query: g.derived(f.Relations[0], 1)}}, "D"
			depth = 2 // a database multiplies expressions that both contain
			if g.IntN(4) == 0 {
				f.Relations = []fragment.Relation{table, {Name: "D", Query: f.Relations[0].Query, Join: fragment.JoinLeft}}
				f.Relations[1].On = op(expr.OpAnd, op(expr.OpEqual, idOf("T"), idOf("D")), g.at("D", g.expr(value.TypeBool, 2)))
				f.MaxRows = 2
			}
		}
		if g.IntN(2) == 0 {
			f.Filter = g.at(relation, g.condition())
			if g.IntN(2) == 0 {
				f.Filter = g.at(relation, op(expr.OpGreater, g.computed(depth), integer(20)))
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

func idOf(relation string) *expr.Expr { return expr.Column(relation, "id", value.TypeInt) }

func must2(s *fragment.Scope, err error) *fragment.Scope {
	if err != nil {
		panic(err)
	}
	return s
}

// broken makes fragments over tables that break their promises.
type broken struct{ generator }

// partial makes a partial aggregate of a number for which a planner would know the range f.
func (g broken) partial(x *expr.Expr, f expr.Range, maxRows int) fragment.Partial {
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

// at replaces T by another relation, which has one column for each type.
func (g broken) at(relation string, e *expr.Expr) *expr.Expr {
	if relation == "T" {
		return e
	}
	return e.Replace(func(c *expr.Expr) *expr.Expr {
		if c.Column == "id" {
			return idOf(relation)
		}
		return expr.Column(relation, string(c.Type), c.Type)
	})
}

// narrowValues are values of a type with which arithmetic cannot fail.
var narrowValues = map[value.Type]func(i int64) value.Value{
	value.TypeInt: func(i int64) value.Value { return value.Int(1 + i*i) }, value.TypeFloat: func(i int64) value.Value { return value.Float(0.5 + float64(i)) },
	value.TypeDate: func(i int64) value.Value { return value.Date(18262 - 20*i) }, value.TypeTimestamp: func(i int64) value.Value { return value.Timestamp(i * 1e14) },
}

// computed is a number: any, or one that cannot fail if the promises about columns, or their filters, hold.
func (g broken) computed(depth int) *expr.Expr {
	if g.IntN(2) == 0 {
		return g.number(1 + g.IntN(depth))
	}
	number := g.believed(pick(g.generator, value.TypeInt, value.TypeFloat))
	other := g.believed(pick(g.generator, value.TypeInt, value.TypeFloat))
	switch g.IntN(7) {
	case 0:
		return op(pick(g.generator, expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide), number, other)
	case 1:
		return op(pick(g.generator, expr.OpSqrt, expr.OpLn, expr.OpLog10, expr.OpExp), number)
	case 2:
		return must(expr.Cast(g.believed(value.TypeFloat), value.TypeInt))
	case 3:
		t := pick(g.generator, value.TypeDate, value.TypeTimestamp)
		day := op(pick(g.generator, expr.OpAdd, expr.OpSubtract, expr.OpAddMonths), g.believed(t), g.believed(value.TypeInt))
		return op(expr.OpExtract, expr.Literal(value.Text("year")), day)
	case 4:
		return op(pick(g.generator, expr.OpMultiply, expr.OpIntDivide, expr.OpModulo, expr.OpAdd), g.believed(value.TypeInt), g.believed(value.TypeInt))
	case 5:
		x := g.believed(value.TypeInt)
		return op(expr.OpLength, op(expr.OpSubstring, g.expr(value.TypeText, 1), x, g.believed(value.TypeInt)))
	}
	x := g.believed(value.TypeInt)
	day := op(expr.OpMakeDate, op(expr.OpAdd, x, integer(1900)), op(expr.OpModulo, x, integer(12)), op(expr.OpModulo, g.believed(value.TypeInt), integer(28)))
	return op(expr.OpExtract, expr.Literal(value.Text("day")), day)
}

// believed is a column, or a column that is clamped by another one that is declared never to be NULL.
func (g broken) believed(t value.Type) *expr.Expr {
	column := func() *expr.Expr { return expr.Column("T", pick(g.generator, nastyColumns[t]...), t) }
	if g.IntN(2) == 0 {
		return column()
	}
	bounded := map[value.Type]string{value.TypeInt: "ib", value.TypeFloat: "fb", value.TypeDate: "db", value.TypeTimestamp: "tb"}[t]
	return op(expr.OpGreatest, op(expr.OpLeast, expr.Column("T", bounded, t), column()), expr.Literal(narrowValues[t](0)))
}

// condition narrows what a planner believes of a column.
func (g broken) condition() *expr.Expr {
	column := func(t value.Type) *expr.Expr {
		return expr.Column("T", pick(g.generator, nastyColumns[t]...), t)
	}
	switch g.IntN(5) {
	case 0:
		return op(expr.OpIn, column(value.TypeInt), integer(1), integer(2), integer(7), integer(100))
	case 1:
		x := column(value.TypeFloat)
		return op(expr.OpAnd, op(expr.OpGreater, x, expr.Literal(value.Float(0))), op(expr.OpLessOrEqual, x, expr.Literal(value.Float(3))))
	case 2:
		x := column(pick(g.generator, value.TypeInt, value.TypeDate, value.TypeTimestamp))
		return op(expr.OpNot, op(expr.OpIsNull, x))
	case 3:
		x := column(pick(g.generator, value.TypeDate, value.TypeTimestamp))
		return op(expr.OpAnd, op(expr.OpGreaterOrEqual, x, g.literal(x.Type)), op(expr.OpLess, x, g.literal(x.Type)))
	}
	x := column(value.TypeInt)
	return op(expr.OpAnd, op(expr.OpNotEqual, x, integer(0)), op(expr.OpGreaterOrEqual, x, integer(1)), op(expr.OpLess, x, integer(101)))
}

// derived makes a relation with one column for each type, named like the type.
func (g broken) derived(from fragment.Relation, depth int) *fragment.Query {
	if depth > 0 && g.IntN(4) == 0 {
		how := pick(g.generator, fragment.SetOpUnionAll, fragment.SetOpUnion, fragment.SetOpIntersect, fragment.SetOpExcept)
		return &fragment.Query{SetOp: how, Inputs: []*fragment.Query{g.derived(from, depth-1), g.derived(from, depth-1)}, Patient: "id"}
	}
	relation := "T"
	if depth > 0 && g.IntN(3) == 0 {
		from, relation = fragment.Relation{Name: "I", Query: g.derived(from, depth-1)}, "I"
	}
	d := &fragment.Query{Relations: []fragment.Relation{from}, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: idOf(relation)}}}
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

// trusted lists relations whose columns are safe for arithmetic, provided that a database computes the arithmetic after
// their filters, joins and set operations.
func (g broken) trusted(from fragment.Relation) []*fragment.Query {
	plain := func(names string, narrow bool) *fragment.Query {
		d := &fragment.Query{Relations: []fragment.Relation{from}, Patient: "id", Columns: []fragment.Output{{Name: "id", Expr: idOf("T")}}}
		var in []*expr.Expr
		for i, name := range strings.Fields(names) {
			x := expr.Column("T", name, []value.Type{value.TypeInt, value.TypeFloat, value.TypeDate}[i])
			d.Columns = append(d.Columns, fragment.Output{Name: string(x.Type), Expr: x})
			list := []*expr.Expr{x} // PostgreSQL tests a short list last; it looks up longer ones in a hash table
			for n := range int64(8) {
				list = append(list, expr.Literal(narrowValues[x.Type](n)))
			}
			in = append(in, op(expr.OpIn, list...))
		}
		if narrow {
			d.Filter = op(expr.OpAnd, in...)
		}
		return d
	}
	both := func(how fragment.SetOp, inputs ...*fragment.Query) *fragment.Query {
		return &fragment.Query{SetOp: how, Inputs: inputs, Patient: "id"}
	}
	known, free := plain("ib fb db", false), plain("i f d", false)
	joined := plain("i f d", false) // narrowed where it is joined
	joined.Relations = append(joined.Relations, fragment.Relation{Name: "N", Query: plain("i f d", true), Join: fragment.JoinInner, On: op(expr.OpEqual, idOf("T"), idOf("N"))})
	for i := range joined.Columns[1:] {
		o := &joined.Columns[1+i]
		o.Expr = expr.Column("N", o.Name, o.Expr.Type)
	}
	return []*fragment.Query{plain("i f d", true), joined, both(fragment.SetOpIntersect, known, free), both(fragment.SetOpExcept, known, free), both(fragment.SetOpUnion, known, free)}
}

// failing lists operations on an int, a float and a date that can fail.
func (g broken) failing(relation string) []*expr.Expr {
	n, x, d := expr.Column(relation, "int", value.TypeInt), expr.Column(relation, "float", value.TypeFloat), expr.Column(relation, "date", value.TypeDate)
	year := func(day *expr.Expr) *expr.Expr {
		return op(expr.OpExtract, expr.Literal(value.Text("year")), day)
	}
	return []*expr.Expr{
		op(expr.OpMultiply, n, n), op(expr.OpAdd, n, n), op(expr.OpNegate, n), op(expr.OpIntDivide, integer(1000), n), op(expr.OpModulo, integer(1000), n),
		op(expr.OpMultiply, x, x), op(expr.OpDivide, integer(1), x), op(expr.OpLn, x), op(expr.OpSqrt, x), op(expr.OpExp, x), op(expr.OpPower, x, x), must(expr.Cast(x, value.TypeInt)),
		op(expr.OpRound, x, integer(9)), year(op(expr.OpAdd, d, n)), year(op(expr.OpSubtract, d, n)), year(op(expr.OpAddMonths, d, n)), year(op(expr.OpMakeDate, op(expr.OpAdd, n, integer(1900)), n, n)),
		op(expr.OpLength, op(expr.OpSubstring, str("abc"), n, n)), year(op(expr.OpAdd, must(expr.Cast(d, value.TypeTimestamp)), n)),
	}
}

// tiny lists functions that fail at 0, of numbers that are not 0 but that an engine may treat as 0.
func (g broken) tiny() []*expr.Expr {
	number := func(x float64) *expr.Expr { return expr.Literal(value.Float(x)) }
	column := func(name string) *expr.Expr { return expr.Column("T", name, value.TypeFloat) }
	half := op(expr.OpGreatest, op(expr.OpLeast, column("fb"), number(0.5001)), number(0.5))
	far := op(expr.OpGreatest, op(expr.OpLeast, column("f"), number(4.0001e150)), number(4e150))
	var list []*expr.Expr
	for _, x := range []*expr.Expr{
		op(expr.OpMultiply, column("fn"), half), op(expr.OpMultiply, half, column("fn")), op(expr.OpMultiply, column("fn"), column("fn")),
		op(expr.OpDivide, column("fn"), half), op(expr.OpDivide, half, far), op(expr.OpMultiply, op(expr.OpNegate, column("fn")), half),
	} {
		list = append(list, x, op(expr.OpLn, x), op(expr.OpLog10, op(expr.OpAbs, x)), op(expr.OpDivide, integer(1), x), op(expr.OpSqrt, x),
			op(expr.OpPower, x, number(-1)), op(expr.OpLn, op(expr.OpMultiply, x, far)))
	}
	for i, x := range list {
		if i%7 == 0 {
			list[i] = op(expr.OpAdd, x, number(math.Copysign(0, -1)))
		}
	}
	return list
}
