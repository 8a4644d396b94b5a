package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// The terms of SQL. Where databases differ in precedence, the text is refused.

// expression reads conditions with AND, OR and NOT.
func (p *parser) expression() *Expr {
	var s sequence
	for {
		for n := 0; p.comes("not"); n++ {
			if n == maxNesting {
				Refuse(CodeTooLarge, p.here().at, "simplify the expression", "this is negated more than %d times", maxNesting)
			}
			p.i++
			s.operator("not")
		}
		s.operand(p.predicate())
		switch {
		case p.accept("and"):
			s.operator("and")
		case p.accept("or"):
			s.operator("or")
		default:
			return p.settle(&s)
		}
	}
}

// operandComes reports whether the token ahead tokens from here can start a value.
func (p *parser) operandComes(ahead int) bool {
	switch t := p.token(ahead); t.kind {
	case tokenString, tokenNumber, tokenParameter:
		return true
	default:
		return t.isName() || t.is("(") || t.is("case") || t.is("cast")
	}
}

// expressions reads a list of at least one expression.
func (p *parser) expressions() []*Expr {
	terms := []*Expr{p.expression()}
	for p.accept(",") {
		terms = append(terms, p.expression())
	}
	return terms
}

// concatenation reads values with || between them. || binds less tightly than arithmetic.
func (p *parser) concatenation() *Expr {
	x := p.sum()
	for p.accept("||") {
		x = NewOperator("||", x, p.sum())
	}
	return x
}

// sum reads arithmetic.
func (p *parser) sum() *Expr {
	var s sequence
	for {
		for n := 0; p.comesOneOf("-", "+"); n++ {
			if n == maxNesting {
				Refuse(CodeTooLarge, p.here().at, "simplify the expression", "this has more than %d signs", maxNesting)
			}
			s.operator(p.take().text)
		}
		s.operand(p.primary())
		switch t := p.here(); {
		case t.kind == tokenSymbol && arithmetic[t.text], t.is("div") && (p.operandComes(1) || p.token(1).is("-")):
			p.i++
			s.operator(t.text)
		default:
			return p.settle(&s)
		}
	}
}

// primary reads one value with the suffixes that bind tighter than any operator.
func (p *parser) primary() *Expr {
	if p.depth++; p.depth > 2*maxNesting {
		Refuse(CodeTooLarge, p.here().at, "simplify the expression", "expressions nest too deeply")
	}
	x := p.value()
	for n := 0; p.comes("::"); n++ {
		if n == maxNesting {
			Refuse(CodeTooLarge, p.here().at, "simplify the expression", "this is cast more than %d times", maxNesting)
		}
		p.i++
		x = p.cast(x)
	}
	switch t := p.here(); {
	case t.is("["):
		x = p.quantileOf(x)
	case p.comes("at", "time", "zone"):
		Refuse(CodeNotSupported, t.at, "leave it out", "times have no zone here")
	case t.is("collate"):
		p.unexpected("")
	}
	p.depth--
	return x
}

// quantileOf reads BigQuery's APPROX_QUANTILES(x, n)[OFFSET(k)], the k-th of n quantiles.
func (p *parser) quantileOf(x *Expr) *Expr {
	at := p.take().at
	if listed := p.listed(x); listed != nil {
		return listed
	}
	place := map[string]int64{"offset": 0, "safe_offset": 0, "ordinal": 1, "safe_ordinal": 1}
	first, known := place[p.here().text]
	n, k := p.token(2), value.Value{}
	if n.kind == tokenNumber {
		k = numberValue(n)
	}
	if listed := x.Kind == Column && known && k.Type() == value.TypeInt; !listed &&
		(x.Kind != Call || x.Name != "approx_quantiles" || len(x.Args) != 2 || !known || k.Type() != value.TypeInt) {
		Refuse(CodeNotSupported, at, "for a quantile write APPROX_QUANTILES(x, 4)[OFFSET(1)] or QUANTILE(x, 0.25)", "there are no arrays")
	}
	p.i++
	p.expect("(", "write OFFSET(1)")
	p.i++
	p.expect(")", "write OFFSET(1)")
	p.expect("]", "write [OFFSET(1)]")
	if x.Kind == Column {
		p.subscripts = true
		return &Expr{Kind: Call, Name: elementOf, At: x.At, Args: []*Expr{x, NewLiteral(n.at, value.Int(k.Int64()-first))}}
	}
	of := x.Args[1]
	if of.Kind != Literal || of.Literal.Type() != value.TypeInt || of.Literal.Int64() < 1 || k.Int64() < first || k.Int64()-first > of.Literal.Int64() {
		Refuse(CodeType, x.At, "write APPROX_QUANTILES(x, 100)[OFFSET(50)]", "there is no such quantile")
	}
	t := *x
	t.Name = "quantile"
	t.Args = []*Expr{x.Args[0], {Kind: Literal, At: at, Literal: value.Float(float64(k.Int64()-first) / float64(of.Literal.Int64()))}}
	return &t
}

// value reads a constant, a column, a call, or a term in parentheses.
func (p *parser) value() *Expr {
	t := p.here()
	called := p.token(1).is("(")
	switch {
	case t.kind == tokenNumber, t.kind == tokenString:
		p.i++
		return literalOf(t)
	case t.kind == tokenParameter:
		return p.parameter()
	case t.is("("):
		return p.parenthesis()
	case t.is("approximate") && p.token(1).isName() && p.token(2).is("("): // Redshift's word for approximate functions
		p.i++
		return p.call()
	case t.is("true"), t.is("false"), t.is("null"):
		p.i++
		return constantOf(t)
	case t.is("case"):
		return p.caseTerm()
	case t.is("exists"):
		p.i++
		if !p.queryComes(p.i) {
			p.unexpected("write EXISTS (SELECT …)")
		}
		return &Expr{Kind: Exists, At: t.at, Query: p.subquery()}
	case t.kind == tokenWord && clock[t.text] != "" && (called || reserved[t.text] || t.text == "sysdate"):
		return p.clock()
	case t.is("current_user"), t.is("session_user"), t.is("user") && !called && !p.token(1).is("."):
		Refuse(CodeNotSupported, t.at, "", "%s is not answered: an answer must not depend on who asks",
			strings.ToUpper(t.text))
	case (t.is("some") || t.is("any")) && called && !p.queryComes(p.i+1): // Spark's
		x := p.call()
		x.Name = "bool_or"
		return x
	case t.is("array"), t.is("row") && called:
		Refuse(CodeNotSupported, t.at, "write IN (…) for a list, and compare columns one by one",
			"there are no arrays and rows as values")
	case t.kind == tokenWord && (p.token(1).kind == tokenString) && typed[t.text]:
		return p.typedLiteral()
	case t.is("values") && called:
		p.unexpected("")
	case t.is("interval"):
		if x := p.interval(); x != nil {
			return x
		}
	case called && (t.isName() || t.is("cast") || t.is("left") || t.is("right")):
		if t.kind == tokenWord {
			if x := p.special(); x != nil {
				return x
			}
		}
		return p.call()
	}
	if t.isName() {
		if called { // interval followed by ( is a function, not a column
			return p.call()
		}
		return p.column()
	}
	p.unexpected("write a column, a value or a function")
	return nil
}

// clock reads CURRENT_DATE, NOW() and the like, which stand for the day on which the query is planned. If an answer
// depended on the moment, it could never be found again.
func (p *parser) clock() *Expr {
	t := p.take()
	if clock[t.text] == timeOfDay {
		Refuse(CodeNotSupported, t.at, "write CURRENT_DATE, or the date, such as DATE '2024-12-31'",
			"%s is not answered: an answer may depend on the day, but not on the time of it", strings.ToUpper(t.text))
	}
	if p.accept("(") {
		if p.here().kind == tokenNumber { // fractional digits of the second
			p.i++
		}
		p.expect(")", "write "+strings.ToUpper(t.text)+"()")
	}
	p.statement.placeholders = true
	return &Expr{Kind: Placeholder, At: t.at, Name: clock[t.text]}
}

// column reads column, table.column, schema.table.column or catalog.schema.table.column.
func (p *parser) column() *Expr {
	names := []token{p.take()}
	for p.accept(".") {
		t := p.here()
		if t.kind != tokenWord && t.kind != tokenName {
			if t.is("*") {
				Refuse(CodeSyntax, t.at, "name a column", "all columns do not fit here")
			}
			p.unexpected("write the column's name after the dot")
		}
		names = append(names, p.take())
	}
	last := names[len(names)-1]
	x := &Expr{Kind: Column, Name: last.text, At: span(names[0].at, last.at)}
	switch {
	case p.comes("("):
		Refuse(CodeFunction, x.At, "write the function's name alone", "functions have no schema here")
	case len(names) > 4:
		Refuse(CodeTable, x.At, "write table.column", "a column's name has four parts at most")
	case len(names) > 1:
		x.Qualifier = names[len(names)-2].text
	}
	return x
}

// parenthesis reads (x) or (SELECT …).
func (p *parser) parenthesis() *Expr {
	t := p.here()
	if p.queryComes(p.i) {
		return &Expr{Kind: Subquery, At: t.at, Query: p.subquery()}
	}
	p.i++
	x := p.expression()
	if p.comes(",") {
		return p.row(t, x)
	}
	p.expect(")", "close the parenthesis there")
	return x
}

// caseTerm reads CASE as operator "case": condition, value, …, and the value of ELSE, if any.
func (p *parser) caseTerm() *Expr {
	const hint = "write CASE WHEN condition THEN value ELSE value END"
	p.i++
	var of *Expr
	if !p.comes("when") {
		of = p.expression()
	}
	if !p.comes("when") {
		p.unexpected(hint)
	}
	var args []*Expr
	for p.accept("when") {
		condition := p.expression()
		if of != nil {
			condition = NewOperator("=", of, condition)
		}
		p.expect("then", hint)
		args = append(args, condition, p.expression())
	}
	if p.accept("else") {
		args = append(args, p.expression())
	}
	p.expect("end", hint)
	return NewOperator("case", args...)
}
