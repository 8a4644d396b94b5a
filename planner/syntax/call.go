package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// call reads a function call with its WITHIN GROUP, FILTER and OVER.
func (p *parser) call() *Expr {
	t := p.take()
	p.i++
	x := &Expr{Kind: Call, Name: t.text, At: t.at}
	switch {
	case p.accept("*", ")"):
		x.Star = true
	case p.accept(")"):
	default:
		if x.Distinct = p.accept("distinct"); !x.Distinct {
			p.accept("all")
		}
		x.Args = p.arguments(t, x)
	}
	if p.comes("within", "group") {
		if spellings[t.text] == "string_agg" || t.is("string_agg") {
			x.Order = p.ordersWithinGroup()
		} else {
			descending, of := p.withinGroup()
			x = orderedSet(x, of, descending)
		}
	}
	if p.accept("filter", "(") {
		p.expect("where", "write FILTER (WHERE condition)")
		condition := p.expression()
		if x.Filter != nil { // set by IGNORE NULLS
			condition = NewOperator("and", x.Filter, condition)
		}
		x.Filter = condition
		p.expect(")", "close FILTER there")
	}
	if p.comes("ignore", "nulls") || p.comes("respect", "nulls") {
		p.nullTreatment()
	}
	if p.comes("over") && (p.token(1).is("(") || p.token(1).isName()) {
		x.Over = p.over()
	}
	if t.kind != tokenWord {
		return x
	}
	return p.dialect.call(p.counted(p.ordered(spelled(x))))
}

func (p *parser) nullTreatment() {
	Refuse(CodeNotSupported, p.here().at, "leave NULLs out with CASE or WHERE", "%s NULLS is not answered",
		strings.ToUpper(p.here().text))
}

// arguments reads the rest of a function's arguments.
func (p *parser) arguments(t token, of *Expr) []*Expr {
	var args []*Expr
	for {
		if x := p.shares(); x != nil && quantileLists[t.text] {
			args = append(args, x)
		} else if x != nil {
			Refuse(CodeNotSupported, x.At, "write IN (…) for a list, and compare columns one by one", "there are no arrays as values")
		} else {
			args = append(args, p.expression())
		}
		if !p.accept(",") {
			break
		}
	}
	if ordersRows[t.text] {
		args = p.orderedArguments(of, args)
	}
	switch next := p.here(); {
	case p.comes("order", "by"):
		Refuse(CodeNotSupported, next.at, "leave it out",
			"of rows in an order, FIRST, LAST, STRING_AGG and ARRAY_AGG(…)[1] are answered")
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

// unitArguments are the functions that may have a unit among their arguments, with their number of arguments.
var unitArguments = map[string]int{
	"datediff": 3, "date_diff": 3, "datetime_diff": 3, "timestamp_diff": 3, "timestampdiff": 3, "dateadd": 3,
	"date_add": 3, "timestampadd": 3,
	"datename": 2, "datepart": 2, "date_part": 2, "datetrunc": 2, "date_trunc": 2, "datetime_trunc": 2, "timestamp_trunc": 2,
	"trunc": 2,
}

// abbreviations are SQL Server's abbreviations of units.
var abbreviations = map[string]string{
	"yy": "year", "yyyy": "year", "qq": "quarter", "q": "quarter", "mm": "month", "m": "month", "wk": "week", "ww": "week",
	"dd": "day", "d": "day",
	"hh": "hour", "mi": "minute", "n": "minute", "ss": "second", "s": "second", "dayofyear": "doy", "dy": "doy",
	"weekday": "weekday", "dw": "weekday",
}

// unitArgument turns the unit in DATEDIFF(day, a, b) and DATE_TRUNC(x, MONTH) into a text. Otherwise it would be read
// as a column.
func unitArgument(function string, args []*Expr) {
	if n, ok := unitArguments[function]; !ok || n != len(args) {
		return
	}
	for _, i := range []int{0, len(args) - 1} {
		x := args[i]
		if x.Kind != Column || x.Qualifier != "" {
			continue
		}
		unit := units[x.Name]
		if unit == "" {
			unit = abbreviations[x.Name]
		}
		if x.Name == "isoweek" && i > 0 {
			unit = x.Name
		}
		if unit != "" {
			args[i] = word(unit, x.At)
			return
		}
	}
}

// withinGroup reads WITHIN GROUP (ORDER BY x).
func (p *parser) withinGroup() (descending bool, x *Expr) {
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

// orderedSet builds PERCENTILE_CONT(q) WITHIN GROUP (ORDER BY x) and similar calls.
func orderedSet(call, of *Expr, descending bool) *Expr {
	t := *call
	switch {
	case call.Name == "mode" && len(call.Args) == 0:
		t.Args = []*Expr{of}
		return &t
	case (call.Name != "percentile_cont" && call.Name != "percentile_disc") || len(call.Args) != 1 || call.Distinct ||
		call.Star:
		Refuse(CodeNotSupported, call.At, "write PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x)",
			"%s WITHIN GROUP is not answered", strings.ToUpper(call.Name))
	}
	q := call.Args[0]
	if descending {
		if q.Kind != Literal || !q.Literal.Type().Numeric() {
			Refuse(CodeNotSupported, q.At, "write the share as a number, or sort upwards",
				"the share of a descending order must be constant")
		}
		q = NewLiteral(q.At, value.Float(1-q.Literal.Float64()))
	}
	t.Name, t.Args = "quantile", []*Expr{of, q}
	return &t
}
