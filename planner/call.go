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
func (p *parser) call() string {
	t := p.take()
	p.i++
	x := &termSyntax{kind: termCall, name: t.text, at: t.at}
	var texts []string
	switch {
	case p.accept("*", ")"):
		x.star = true
	case p.accept(")"):
	default:
		if x.distinct = p.accept("distinct"); !x.distinct {
			p.accept("all")
		}
		texts = p.arguments(t)
	}
	n, within, filter := len(texts), -1, -1
	descending := false
	if p.comes("within", "group") {
		var text string
		descending, text = p.withinGroup()
		within = len(texts)
		texts = append(texts, text)
	}
	if p.accept("filter", "(") {
		p.expect("where", "write FILTER (WHERE condition)")
		filter = len(texts)
		texts = append(texts, p.expression())
		p.expect(")", "close FILTER there")
	}
	if p.comes("ignore", "nulls") || p.comes("respect", "nulls") {
		p.nullTreatment()
	}
	over := func([]*termSyntax) *windowSyntax { return nil }
	first := len(texts)
	if p.comes("over") && (p.token(1).is("(") || p.token(1).isName()) {
		var more []string
		over, more = p.over()
		texts = append(texts, more...)
	}
	return p.form(func(args []*termSyntax) *termSyntax {
		x.args = args[:n:n]
		if within >= 0 {
			x = orderedSet(x, args[within], descending)
		}
		if filter >= 0 {
			x.filter = args[filter]
		}
		x.over = over(args[first:])
		return x
	}, texts...)
}

func (p *parser) nullTreatment() {
	refuse(CodeNotSupported, p.here().at, "leave NULLs out with CASE or WHERE", "%s NULLS is not answered", strings.ToUpper(p.here().text))
}

// arguments reads the rest of a function's arguments.
func (p *parser) arguments(t token) []string {
	texts := p.expressions()
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
		p.unitArgument(t.text, texts)
	}
	return texts
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
func (p *parser) unitArgument(function string, texts []string) {
	if n, ok := unitArguments[function]; !ok || n != len(texts) {
		return
	}
	for _, i := range []int{0, len(texts) - 1} {
		x := p.parkedIn(texts[i])
		if x == nil || x.kind != termColumn || x.qualifier != "" {
			continue
		}
		unit := units[x.name]
		if unit == "" {
			unit = abbreviations[x.name]
		}
		if unit != "" {
			texts[i] = p.park(word(unit, x.at))
			return
		}
	}
}

// withinGroup reads WITHIN GROUP (ORDER BY x).
func (p *parser) withinGroup() (descending bool, text string) {
	const hint = "write WITHIN GROUP (ORDER BY x)"
	p.i += 2
	p.expect("(", hint)
	p.expect("order", hint)
	p.expect("by", hint)
	text = p.expression()
	if descending = p.accept("desc"); !descending {
		p.accept("asc")
	}
	p.expect(")", hint)
	return descending, text
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

// over reads OVER name or OVER (…); the terms of what is returned are the texts.
func (p *parser) over() (build func([]*termSyntax) *windowSyntax, texts []string) {
	at := p.take().at
	if p.comes("(") {
		p.i++
		return p.window(at)
	}
	t, scope := p.name("write OVER (…)"), p.windows
	return func([]*termSyntax) *windowSyntax { return scope.named(t) }, nil
}

func (w windowScope) named(t token) *windowSyntax {
	named, ok := w[t.text]
	if !ok {
		refuse(CodeSyntax, t.at, "define it with WINDOW "+t.text+" AS (…)", "there is no window %s", t.text)
	}
	window := *named
	window.at = t.at
	return &window
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
		build, texts := p.window(t.at)
		p.windows[t.text] = build(p.terms(texts, t.at))
		if !p.accept(",") {
			return
		}
	}
}

// window reads the rest of (name PARTITION BY … ORDER BY … frame).
func (p *parser) window(at Position) (build func([]*termSyntax) *windowSyntax, texts []string) {
	scope := p.windows
	var base *token
	if t := p.here(); t.isName() && !(p.comes("partition", "by") || p.comesOneOf("rows", "range", "groups") && !p.token(1).is(")")) {
		base = &t
		p.i++
	}
	if p.accept("partition") {
		p.expect("by", "write PARTITION BY")
		texts = p.expressions()
	}
	partition := len(texts)
	var orders []orderSyntax
	if p.accept("order") {
		p.expect("by", "write ORDER BY")
		var more []string
		orders, more = p.orders()
		texts = append(texts, more...)
	}
	frame := p.frame()
	p.expect(")", "close OVER there")
	return func(terms []*termSyntax) *windowSyntax {
		w := &windowSyntax{at: at, partition: terms[:partition:partition], orderBy: orders, frame: frame}
		for i := range orders {
			orders[i].term = terms[partition+i]
		}
		if base == nil {
			return w
		}
		named := scope.named(*base)
		if partition > 0 || len(named.orderBy) > 0 && len(orders) > 0 || named.frame != nil {
			refuse(CodeSyntax, base.at, "write the window out", "window %s says already what this one says", base.text)
		}
		w.partition = named.partition
		if len(orders) == 0 {
			w.orderBy = named.orderBy
		}
		return w
	}, texts
}

// orders reads ORDER BY's list; the terms of what is returned are the texts.
func (p *parser) orders() (orders []orderSyntax, texts []string) {
	for {
		texts = append(texts, p.expression())
		var o orderSyntax
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
			return orders, texts
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
