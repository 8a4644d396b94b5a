package relational

import (
	"cmp"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// windowing plans window functions over one patient's rows. An inner query computes them beside the columns that the
// SELECT reads, and the SELECT reads the inner query.
type windowing struct {
	in    *Resolver
	inner func(*syntax.Expr) *expr.Expr // resolves a term over the rows of in
	d     fragment.Query
	next  *Resolver
}

const windowRelation = "derived"

// output resolves a term over the rows with their window functions.
func (w *windowing) output(t *syntax.Expr) *expr.Expr {
	if t.Over != nil && len(t.Args) == 3 && (t.Name == "lag" || t.Name == "lead") {
		return w.output(withDefault(t))
	}
	if moments := byMoments(t); moments != nil && t.Over != nil {
		return w.output(moments)
	}
	if plain := byNumbers(t); plain != nil {
		w.partition(t)
		return w.output(plain)
	}
	if t.Over != nil {
		o, name := w.window(t)
		name = functionOutput(&w.d, o, name)
		return expr.Column(windowRelation, name, o.Type())
	}
	if t.Window() == nil && t.Kind != syntax.Literal {
		e := w.inner(t)
		return expr.Column(windowRelation, AddValue(&w.d, e), e.Type)
	}
	return scalar.Build(t, w.output)
}

// withDefault rewrites LAG(x, n, y) as CASE WHEN LAG(1, n) IS NULL THEN y ELSE LAG(x, n) END. So y replaces a missing
// row, but not a NULL x in an existing row.
func withDefault(t *syntax.Expr) *syntax.Expr {
	there, x := *t, *t
	there.Args = []*syntax.Expr{syntax.NewLiteral(t.At, value.Int(1)), t.Args[1]}
	x.Args = t.Args[:2]
	return syntax.NewOperator("case", syntax.NewOperator("is null", &there), t.Args[2], &x)
}

// byNumbers rewrites PERCENT_RANK, CUME_DIST and NTILE by row numbers and counts. It returns nil for other functions.
func byNumbers(t *syntax.Expr) *syntax.Expr {
	arguments, known := map[string]int{"percent_rank": 0, "cume_dist": 0, "ntile": 1}[t.Name]
	if t.Over == nil || !known {
		return nil
	}
	name := strings.ToUpper(t.Name)
	if len(t.Args) != arguments || t.Star || t.Distinct || t.Filter != nil {
		syntax.Refuse(syntax.CodeType, t.At, "", "%s does not take these arguments", name)
	}
	if len(t.Over.OrderBy) == 0 {
		syntax.Refuse(syntax.CodeSyntax, t.At, "add ORDER BY and a date within OVER (…)", "%s needs an order", name)
	}
	ordered := &syntax.Window{At: t.Over.At, Partition: t.Over.Partition, OrderBy: t.Over.OrderBy}
	whole := &syntax.Window{At: t.Over.At, Partition: t.Over.Partition}
	count := func(over *syntax.Window) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "count", Star: true, Over: over}
	}
	number := func(n int64) *syntax.Expr { return syntax.NewLiteral(t.At, value.Int(n)) }
	ranked := func(name string) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: name, Over: ordered}
	}
	op, n := syntax.NewOperator, count(whole)
	switch t.Name {
	case "percent_rank":
		part := op(syntax.Divide, op("-", ranked("rank"), number(1)), op("-", n, number(1)))
		return op("case", op("=", n, number(1)), syntax.NewLiteral(t.At, value.Float(0)), part)
	case "cume_dist":
		return op(syntax.Divide, count(ordered), n)
	}
	k := t.Args[0]
	if k.Kind != syntax.Literal || k.Literal.Type() != value.TypeInt || k.Literal.Int64() < 1 || k.Literal.Int64() > 1000 {
		syntax.Refuse(syntax.CodeType, k.At, "write a whole number from 1 to 1000", "NTILE needs a constant number of parts")
	}
	// The first parts have one row more, as many of them as the remainder of the division.
	size, larger, row := op("div", n, k), op("%", n, k), op("-", ranked("row_number"), number(1))
	inLarger := op("*", larger, op("+", size, number(1)))
	return op("case", op("<", row, inLarger), op("+", op("div", row, op("+", size, number(1))), number(1)),
		op("+", op("+", op("div", op("-", row, inLarger), size), larger), number(1)))
}

// aliases replaces aliases of SELECT in QUALIFY by their terms.
func (w *windowing) aliases(t *syntax.Expr, terms []syntax.Item) *syntax.Expr {
	return t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
		if t.Over != nil {
			return t
		}
		if named := syntax.Aliased(terms, t); named != nil && named.Window() != nil {
			return named
		}
		return nil
	})
}

var windowFunctions = map[string]fragment.Function{
	"row_number": fragment.FunctionRowNumber, "rank": fragment.FunctionRank, "dense_rank": fragment.FunctionDenseRank,
	"lag": fragment.FunctionLag, "lead": fragment.FunctionLead, "first_value": fragment.FunctionFirst, "last_value": fragment.FunctionLast,
}

// inPlaceOf says what to write instead of window functions that are not supported.
var inPlaceOf = map[string]string{"nth_value": "write (ARRAY_AGG(x ORDER BY date))[n] in a query grouped by the patient"}

// partition is the partition of a window. A window stays within one patient's rows.
func (w *windowing) partition(t *syntax.Expr) []*expr.Expr {
	determined := w.in.Patient == nil
	var partition []*expr.Expr
	for _, p := range t.Over.Partition {
		e := w.inner(p)
		if !w.in.ReadsPatientID(e) || w.in.Patient == nil {
			partition = append(partition, e)
		}
		determined = determined || w.in.determinesPatient(e)
	}
	if !determined {
		syntax.Refuse(syntax.CodePatientsMixed, t.At, "add the patient's id to PARTITION BY; for a median or another quantile over patients, write QUANTILE(x, 0.5)", "%s OVER (…) would read rows of different patients", strings.ToUpper(t.Name))
	}
	partition = scalar.SortedUnique(partition)
	if w.in.Patient != nil {
		partition = append([]*expr.Expr{w.in.Patient}, partition...)
	}
	return partition
}

func (w *windowing) window(t *syntax.Expr) (fragment.Output, string) {
	name := strings.ToUpper(t.Name)
	win := &fragment.Window{Partition: w.partition(t)}
	for _, o := range t.Over.OrderBy {
		win.Order = append(win.Order, OrderBy(o, w.inner(o.Term)))
	}
	frame := t.Over.Frame
	f, special := windowFunctions[t.Name]
	if !special {
		if !syntax.IsAggregate(t.Name) && rowFunctions[t.Name] == "" {
			all := "there are ROW_NUMBER, RANK, DENSE_RANK, PERCENT_RANK, CUME_DIST, NTILE, LAG, LEAD, FIRST_VALUE, LAST_VALUE, COUNT, SUM, AVG, MIN and MAX"
			syntax.Refuse(syntax.CodeFunction, t.At, cmp.Or(inPlaceOf[t.Name], all), "there is no window function %s here", name)
		}
		o, outputName := w.in.function(t, w.inner)
		if frame != nil && len(win.Order) > 0 {
			win.Frame = &fragment.Frame{From: max(frame.From, -fragment.Unbounded), To: min(frame.To, fragment.Unbounded), Values: frame.Values}
			if frame.Values {
				win.Order = orderByUnits(win.Order, frame, t.At)
			}
		}
		o.Window = win
		return o, outputName
	}
	if len(win.Order) == 0 {
		syntax.Refuse(syntax.CodeSyntax, t.At, "add ORDER BY and a date within OVER (…)", "%s needs an order", name)
	}
	o := fragment.Output{Function: f, Window: win}
	arguments := 0
	switch f {
	case fragment.FunctionLag, fragment.FunctionLead:
		arguments, win.Offset = 1, 1
		if len(t.Args) == 2 {
			arguments = 2
			if n := t.Args[1]; n.Kind != syntax.Literal || n.Literal.Type() != value.TypeInt || n.Literal.Int64() < 1 || n.Literal.Int64() > 1000 {
				syntax.Refuse(syntax.CodeType, n.At, "write a whole number from 1 to 1000", "%s needs a constant number of rows", name)
			}
			win.Offset = int(t.Args[1].Literal.Int64())
		}
	case fragment.FunctionFirst, fragment.FunctionLast:
		arguments = 1
	}
	if len(t.Args) != arguments || t.Star || t.Distinct || t.Filter != nil {
		syntax.Refuse(syntax.CodeType, t.At, "", "%s does not take these arguments", name)
	}
	if f == fragment.FunctionLast && (frame == nil || frame.To < fragment.Unbounded) {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "write FIRST_VALUE with the order turned round, or ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
			"LAST_VALUE reads up to the current row only, unless its frame reaches the end")
	}
	if arguments > 0 {
		o.Expr = w.inner(t.Args[0])
	}
	return o, strings.ReplaceAll(string(f), " ", "_")
}

// orderByUnits turns the order of a RANGE frame into an int, in the frame's unit. Dates count in days.
func orderByUnits(order []fragment.Order, frame *syntax.Frame, at syntax.Position) []fragment.Order {
	if len(order) != 1 {
		syntax.Refuse(syntax.CodeNotSupported, at, "order by one date or int", "RANGE BETWEEN … is counted in one order")
	}
	by := order[0]
	switch t := by.Expr.Type; {
	case t == value.TypeDate:
		by.Expr = scalar.Apply(at, expr.OpSubtract, by.Expr, expr.Literal(value.Date(0)))
	case t != value.TypeInt:
		syntax.Refuse(syntax.CodeType, at, "order by a date or an int, such as CAST(x AS date)", "RANGE BETWEEN … cannot be counted in values of type %s", t)
	case frame.Days:
		syntax.Refuse(syntax.CodeType, at, "order by a date, or write a number in place of the interval", "RANGE BETWEEN INTERVAL … is counted in days, and the order is by an int")
	}
	return []fragment.Order{by}
}

// done builds the inner query and returns its rows.
func (w *windowing) done(at syntax.Position) *Resolver {
	d := &w.d
	if w.in.Patient != nil {
		d.Patient = AddValue(d, w.in.Patient)
	}
	if w.ordered() {
		// Only rows that agree in everything that is read may be exchanged in the order.
		read := w.read()
		for i := range d.Columns {
			if o := &d.Columns[i]; o.Window != nil && o.Tied() {
				o.Window.Ties = read
			}
		}
	} else {
		w.number(at)
	}
	d.Relations, d.Filter = w.in.Relations(), w.in.Filter
	w.next.Adopt(w.in.checkDerived(d, named(&catalog.Table{}), at), "", at)
	return w.next
}

// read lists everything that the outputs read, in one order.
func (w *windowing) read() []*expr.Expr {
	var all []*expr.Expr
	for _, o := range w.d.Columns {
		if o.Expr != nil {
			all = append(all, o.Expr)
		}
		if o.Window != nil {
			all = append(all, o.Window.Partition...)
			for _, by := range o.Window.Order {
				all = append(all, by.Expr)
			}
		}
	}
	return scalar.SortedUnique(all)
}

// ordered reports whether all outputs that depend on the order of tied rows use one order. Then rows that agree in
// everything that is read are exchanged in all outputs together.
func (w *windowing) ordered() bool {
	var first *fragment.Window
	for _, o := range w.d.Columns {
		if o.Window == nil || !o.Tied() {
			continue
		}
		if first == nil {
			first = o.Window
		}
		if !slices.EqualFunc(first.Partition, o.Window.Partition, (*expr.Expr).Equal) || !slices.EqualFunc(first.Order, o.Window.Order, fragment.Order.Equal) {
			return false
		}
	}
	return true
}

// number adds an inner query that numbers each patient's rows. The number breaks ties in the same way in all orders.
func (w *windowing) number(at syntax.Position) {
	read := w.read()
	inner := &fragment.Query{Relations: w.in.Relations(), Filter: w.in.Filter}
	window := &fragment.Window{Ties: read}
	if w.in.Patient != nil {
		inner.Patient = AddValue(inner, w.in.Patient)
		window.Partition = []*expr.Expr{w.in.Patient}
	}
	window.Order = []fragment.Order{{Expr: read[0]}}
	for _, e := range read {
		AddValue(inner, e)
	}
	place := fragment.Output{Function: fragment.FunctionRowNumber, Window: window}
	placeName := functionOutput(inner, place, "place")
	rows := &Resolver{Catalog: w.in.Catalog, Depth: w.in.Depth}
	s := rows.Adopt(w.in.checkDerived(inner, nil, at), "", at)
	over := func(e *expr.Expr) *expr.Expr {
		if e == nil {
			return nil
		}
		return expr.Column(s.Name, AddValue(inner, e), e.Type) // it exists already
	}
	for i := range w.d.Columns {
		o := &w.d.Columns[i]
		o.Expr = over(o.Expr)
		if o.Window == nil {
			continue
		}
		moved := *o.Window
		moved.Partition, moved.Order = nil, nil
		for _, e := range o.Window.Partition {
			moved.Partition = append(moved.Partition, over(e))
		}
		for _, by := range o.Window.Order {
			by.Expr = over(by.Expr)
			moved.Order = append(moved.Order, by)
		}
		if o.Tied() {
			moved.Order = append(moved.Order, fragment.Order{Expr: expr.Column(s.Name, placeName, value.TypeInt)})
		}
		o.Window = &moved
	}
	w.in = rows
}
