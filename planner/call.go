package planner

import (
	"math"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// windowScope holds the windows that a SELECT names.
type windowScope map[string]*windowSyntax

// call reads a function's call with what may follow it: WITHIN GROUP, FILTER and
// OVER.
func (p *parser) call() *termSyntax {
	t := p.take()
	p.i++
	x := &termSyntax{kind: termCall, name: t.text, at: t.at}
	switch {
	case p.accept("*", ")"):
		x.star = true
	case p.accept(")"):
	default:
		if x.distinct = p.accept("distinct"); !x.distinct {
			p.accept("all")
		}
		x.args = p.arguments(t)
	}
	if p.comes("within", "group") {
		descending, of := p.withinGroup()
		x = orderedSet(x, of, descending)
	}
	if p.accept("filter", "(") {
		p.expect("where", "write FILTER (WHERE condition)")
		x.filter = p.expression()
		p.expect(")", "close FILTER there")
	}
	if p.comes("ignore", "nulls") || p.comes("respect", "nulls") {
		p.nullTreatment()
	}
	if p.comes("over") && (p.token(1).is("(") || p.token(1).isName()) {
		x.over = p.over()
	}
	return x
}

func (p *parser) nullTreatment() {
	refuse(CodeNotSupported, p.here().at, "leave NULLs out with CASE or WHERE", "%s NULLS is not answered", strings.ToUpper(p.here().text))
}

// arguments reads the rest of a function's arguments.
func (p *parser) arguments(t token) []*termSyntax {
	args := p.expressions()
	switch next := p.here(); {
	case p.comes("order", "by"):
		refuse(CodeNotSupported, next.at, "leave it out", "an aggregate in an order is not answered: what it gives depends on single rows")
	case p.comes("ignore", "nulls"), p.comes("respect", "nulls"):
		p.nullTreatment()
	case next.is("from"), next.is("as"), next.is("separator"):
		p.unexpected("separate the arguments of " + strings.ToUpper(t.text) + " by commas")
	}
	p.expect(")", "separate the arguments by commas")
	if t.kind == tokenWord {
		unitArgument(t.text, args)
	}
	return args
}

// unitArguments are the functions with a unit among their arguments, and how many
// those are.
var unitArguments = map[string]int{
	"datediff": 3, "date_diff": 3, "datetime_diff": 3, "timestamp_diff": 3, "timestampdiff": 3, "dateadd": 3, "date_add": 3, "timestampadd": 3,
	"datepart": 2, "date_part": 2, "datetrunc": 2, "date_trunc": 2, "datetime_trunc": 2, "timestamp_trunc": 2,
}

// abbreviations are SQL Server's.
var abbreviations = map[string]string{
	"yy": "year", "yyyy": "year", "qq": "quarter", "q": "quarter", "mm": "month", "m": "month", "wk": "week", "ww": "week", "dd": "day", "d": "day",
	"hh": "hour", "mi": "minute", "n": "minute", "ss": "second", "s": "second", "dayofyear": "doy", "dy": "doy", "weekday": "weekday", "dw": "weekday",
}

// unitArgument makes a text of the unit in DATEDIFF(day, a, b) and DATE_TRUNC(x,
// MONTH), which would be read as a column.
func unitArgument(function string, args []*termSyntax) {
	if n, ok := unitArguments[function]; !ok || n != len(args) {
		return
	}
	for _, i := range []int{0, len(args) - 1} {
		x := args[i]
		if x.kind != termColumn || x.qualifier != "" {
			continue
		}
		unit := units[x.name]
		if unit == "" {
			unit = abbreviations[x.name]
		}
		if unit != "" {
			args[i] = word(unit, x.at)
			return
		}
	}
}

// withinGroup reads WITHIN GROUP (ORDER BY x).
func (p *parser) withinGroup() (descending bool, x *termSyntax) {
	const hint = "write WITHIN GROUP (ORDER BY x)"
	p.i += 2
	p.expect("(", hint)
	p.expect("order", hint)
	p.expect("by", hint)
	x = p.expression()
	if descending = p.accept("desc"); !descending {
		p.accept("asc")
	}
	p.expect(")", hint)
	return descending, x
}

// orderedSet is PERCENTILE_CONT(q) WITHIN GROUP (ORDER BY x) and its like.
func orderedSet(call, of *termSyntax, descending bool) *termSyntax {
	t := *call
	switch {
	case call.name == "mode" && len(call.args) == 0:
		t.args = []*termSyntax{of}
		return &t
	case (call.name != "percentile_cont" && call.name != "percentile_disc") || len(call.args) != 1 || call.distinct || call.star:
		refuse(CodeNotSupported, call.at, "write PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x)", "%s WITHIN GROUP is not answered", strings.ToUpper(call.name))
	}
	q := call.args[0]
	if descending {
		if q.kind != termLiteral || !q.literal.Type().Numeric() {
			refuse(CodeNotSupported, q.at, "write the share as a number, or sort upwards", "the share of a descending order must be constant")
		}
		q = &termSyntax{kind: termLiteral, at: q.at, literal: value.Float(1 - q.literal.Float64())}
	}
	t.name, t.args = "quantile", []*termSyntax{of, q}
	return &t
}

// over reads OVER name or OVER (…).
func (p *parser) over() *windowSyntax {
	at := p.take().at
	if p.accept("(") {
		w, base := p.window(at)
		if base != nil {
			p.unnamed = append(p.unnamed, baseWindow{w, *base, false})
		}
		return w
	}
	t := p.name("write OVER (…)")
	w := &windowSyntax{at: t.at}
	p.unnamed = append(p.unnamed, baseWindow{w, t, true})
	return w
}

// baseWindow is a window that takes another by its name, whole or but for its order.
type baseWindow struct {
	*windowSyntax
	base  token
	whole bool
}

// nameWindows gives the windows read so far what they take from others.
func (p *parser) nameWindows() {
	for _, w := range p.unnamed {
		p.windows.extend(w)
	}
	p.unnamed = nil
}

func (scope windowScope) extend(w baseWindow) {
	named, ok := scope[w.base.text]
	switch {
	case !ok:
		refuse(CodeSyntax, w.base.at, "define it with WINDOW "+w.base.text+" AS (…)", "there is no window %s", w.base.text)
	case w.whole:
		w.frame = named.frame
	case len(w.partition) > 0 || len(named.orderBy) > 0 && len(w.orderBy) > 0 || named.frame != nil:
		refuse(CodeSyntax, w.base.at, "write the window out", "window %s says already what this one says", w.base.text)
	}
	w.partition = named.partition
	if len(w.orderBy) == 0 {
		w.orderBy = named.orderBy
	}
}

// namedWindows reads WINDOW name AS (…), …
func (p *parser) namedWindows() {
	for {
		t := p.name("write WINDOW name AS (…)")
		if p.windows[t.text] != nil {
			refuse(CodeAmbiguous, t.at, "give one of them another name", "%s stands for two windows", t.text)
		}
		p.expect("as", "write WINDOW name AS (…)")
		p.expect("(", "write WINDOW name AS (…)")
		w, base := p.window(t.at)
		if base != nil {
			p.windows.extend(baseWindow{w, *base, false})
		}
		p.windows[t.text] = w
		if !p.accept(",") {
			return
		}
	}
}

// window reads the rest of (name PARTITION BY … ORDER BY … frame).
func (p *parser) window(at Position) (w *windowSyntax, base *token) {
	w = &windowSyntax{at: at}
	if t := p.here(); t.isName() && !(p.comes("partition", "by") || p.comesOneOf("rows", "range", "groups") && !p.token(1).is(")")) {
		base = &t
		p.i++
	}
	if p.accept("partition") {
		p.expect("by", "write PARTITION BY")
		w.partition = p.expressions()
	}
	if p.accept("order") {
		p.expect("by", "write ORDER BY")
		w.orderBy = p.orders()
	}
	w.frame = p.frame()
	p.expect(")", "close OVER there")
	return w, base
}

// orders reads ORDER BY's list.
func (p *parser) orders() (orders []orderSyntax) {
	for {
		o := orderSyntax{term: p.expression()}
		switch {
		case p.comes("using"):
			refuse(CodeNotSupported, p.here().at, "write ASC or DESC", "an order by an operator is not answered")
		case p.accept("desc"):
			o.descending = true
		default:
			p.accept("asc")
		}
		if p.accept("nulls") {
			if !p.comesOneOf("first", "last") {
				p.unexpected("write NULLS FIRST or NULLS LAST")
			}
			o.nulls = p.take().text
		}
		orders = append(orders, o)
		if !p.accept(",") {
			return orders
		}
	}
}

// frame reads ROWS BETWEEN … AND …, or nil for the standard's default.
func (p *parser) frame() *frameSyntax {
	t := p.here()
	if !p.comesOneOf("rows", "range", "groups") {
		return nil
	}
	p.i++
	f := &frameSyntax{}
	if p.accept("between") {
		f.from = p.bound()
		p.expect("and", "write ROWS BETWEEN 1 PRECEDING AND CURRENT ROW")
		f.to = p.bound()
	} else {
		f.from = p.bound()
	}
	switch {
	case p.comes("exclude"):
		p.unexpected("leave it out")
	case f.from > f.to || f.from == math.MaxInt || f.to == math.MinInt:
		refuse(CodeSyntax, t.at, "write the earlier end first", "the window ends before it starts")
	case t.is("rows"):
		return f
	case f.from == math.MinInt && f.to == math.MaxInt: // every row, however they are counted
		return f
	case t.is("range") && f.from == math.MinInt && f.to == 0: // the default
		return nil
	}
	refuse(CodeNotSupported, t.at, "write ROWS BETWEEN …; or join the rows with those of the same patient and dates near theirs, and group by the key", "a window by %s is not answered", strings.ToUpper(t.text))
	return nil
}

// bound reads one end of a frame, in rows from the current one.
func (p *parser) bound() int {
	n := 0
	switch t := p.here(); {
	case p.accept("current", "row"):
		return 0
	case p.accept("unbounded"):
		n = math.MaxInt
	case t.kind == tokenNumber:
		p.i++
		v := numberValue(t)
		if n = int(v.Int64()); v.Type() != value.TypeInt || n > 1<<31 {
			refuse(CodeType, t.at, "write a smaller whole number", "this is no number of rows")
		}
	default:
		p.unexpected("write UNBOUNDED PRECEDING, 1 PRECEDING, CURRENT ROW, 1 FOLLOWING or UNBOUNDED FOLLOWING")
	}
	switch {
	case p.accept("following"):
		return n
	case p.accept("preceding") && n == math.MaxInt:
		return math.MinInt
	case p.token(-1).is("preceding"):
		return -n
	}
	p.unexpected("write PRECEDING or FOLLOWING")
	return 0
}
