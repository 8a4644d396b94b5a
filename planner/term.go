package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// The terms of SQL, read up to what cannot be a part of them and rewritten for
// the grammar. Precedence among AND, OR, NOT, comparisons and arithmetic is the
// grammar's; where PostgreSQL's differs from it, the reading is refused or, for
// what binds tighter than a comparison, settled here by a call.

// expression reads conditions with AND, OR and NOT.
func (p *parser) expression() string {
	var b strings.Builder
	for {
		for n := 0; p.comes("not"); n++ {
			if n == maxNesting {
				refuse(CodeTooLarge, p.here().at, "simplify the expression", "this is negated more than %d times", maxNesting)
			}
			p.i++
			b.WriteString("not ")
		}
		b.WriteString(p.predicate())
		switch {
		case p.accept("and"):
			b.WriteString(" and ")
		case p.accept("or"):
			b.WriteString(" or ")
		default:
			return b.String()
		}
	}
}

// predicate reads a value, compared with another or not.
func (p *parser) predicate() string {
	text := p.concatenation()
	compared, tested := false, false
	for {
		t := p.here()
		not := t.is("not") && slices.ContainsFunc([]string{"in", "like", "ilike", "between", "similar", "regexp", "rlike"}, p.token(1).is)
		word := t
		if not {
			word = p.token(1)
		}
		kind := comparing(word)
		if kind == "regexp" && word.kind == tokenWord && !not && !p.operandComes(1) {
			kind = "" // a name
		}
		switch {
		case kind == "":
			return text
		case kind == "is" && !p.comes("is", "distinct") && !p.comes("is", "not", "distinct"):
			p.i++
			tested = true
			text += p.truth()
			continue
		case kind == "isnull":
			if p.token(1).is("(") {
				return text
			}
			p.i++
			tested = true
			text += map[bool]string{true: " is null", false: " is not null"}[t.is("isnull")]
			continue
		case compared || tested:
			refuse(CodeSyntax, t.at, "put parentheses around what belongs together", "two comparisons in a row can be read in two ways")
		}
		compared = true
		p.i++
		if not {
			p.i++
		}
		switch kind {
		case "comparison":
			text = p.compare(text, word)
		case "in":
			text = p.in(text, not)
		case "between":
			text = p.between(text, not)
		case "like":
			text = p.like(text, word.text, not)
		case "similar":
			p.expect("to", "write SIMILAR TO 'pattern'")
			text = p.call2("regexp", not, text, p.pattern(p.concatenation(), word, similar))
		case "regexp":
			right := p.sum()
			if p.comes("||") {
				refuse(CodeSyntax, p.here().at, "put parentheses around what belongs together", "databases differ in whether || or %s binds tighter", strings.ToUpper(word.text))
			}
			name := "regexp"
			if strings.HasSuffix(word.text, "*") {
				name = "iregexp"
			}
			text = p.call2(name, not || strings.HasPrefix(word.text, "!"), text, right)
		case "is":
			negated := p.accept("not")
			p.i++ // distinct
			p.expect("from", "write IS DISTINCT FROM")
			text = p.call2("is distinct from", negated, text, p.concatenation())
			tested = true
			if p.comesOneOf("is", "isnull", "notnull") {
				refuse(CodeSyntax, p.here().at, "put parentheses around what belongs together", "two comparisons in a row can be read in two ways")
			}
		}
	}
}

// comparing names the kind of comparison that a token starts, or "".
func comparing(t token) string {
	switch {
	case t.kind == tokenSymbol && comparisons[t.text]:
		return "comparison"
	case t.is("~"), t.is("~*"), t.is("!~"), t.is("!~*"), t.is("regexp"), t.is("rlike"):
		return "regexp"
	case t.is("in"), t.is("between"), t.is("similar"), t.is("is"):
		return t.text
	case t.is("like"), t.is("ilike"):
		return "like"
	case t.is("isnull"), t.is("notnull"):
		return "isnull"
	}
	return ""
}

// operandComes reports whether a value can start at the token that far ahead.
func (p *parser) operandComes(ahead int) bool {
	switch t := p.token(ahead); t.kind {
	case tokenString, tokenNumber, tokenParameter:
		return true
	default:
		return t.isName() || t.is("(") || t.is("case") || t.is("cast")
	}
}

func (p *parser) call2(name string, negated bool, x, y string) string {
	return p.form(func(args []*termSyntax) *termSyntax { return negation(operator(name, args...), negated) }, x, y)
}

// truth reads what follows IS.
func (p *parser) truth() string {
	text := " is "
	if p.accept("not") {
		text += "not "
	}
	switch t := p.here(); {
	case p.comesOneOf("null", "true", "false"):
		p.i++
		return text + t.text
	case p.accept("unknown"): // of a condition, NULL
		return text + "null"
	}
	p.unexpected("write IS [NOT] NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM")
	return ""
}

// compare reads the right side of = and its like.
func (p *parser) compare(left string, t token) string {
	if p.comesOneOf("any", "some", "all") && p.token(1).is("(") {
		return p.quantified(left, t)
	}
	name := t.text
	if name == "!=" {
		name = "<>"
	}
	return left + " " + name + " " + p.concatenation()
}

// quantified reads x = ANY (…) and x <> ALL (…), which are IN and NOT IN.
func (p *parser) quantified(left string, t token) string {
	word := p.take()
	negated := t.text != "="
	if negated == !word.is("all") || negated && t.text != "<>" && t.text != "!=" {
		refuse(CodeNotSupported, word.at, "compare with (SELECT MIN(…) …) or (SELECT MAX(…) …)", "%s %s (…) is not answered", t.text, strings.ToUpper(word.text))
	}
	switch {
	case p.queryComes(p.i):
		return p.in(left, negated)
	case p.comes("(", "array", "["):
		p.i += 3
		text := p.list(left, negated)
		p.expect("]", "write ANY(ARRAY[1, 2])")
		p.expect(")", "write ANY(ARRAY[1, 2])")
		return text
	}
	p.i++
	refuse(CodeNotSupported, p.here().at, "write ANY(ARRAY[1, 2]), or IN (1, 2)", "only a list or a SELECT is read after %s", strings.ToUpper(word.text))
	return ""
}

func (p *parser) in(left string, negated bool) string {
	if p.accept("(", "values") { // IN (VALUES (1), (2)) is IN (1, 2)
		not := ""
		if negated {
			not = " not"
		}
		var texts []string
		for more := true; more; more = p.accept(",") {
			p.expect("(", "write VALUES (1), (2)")
			texts = append(texts, p.expression())
			p.expect(")", "compare with rows of one value, or write (a, b) IN (VALUES (1, 2), (3, 4))")
		}
		p.expect(")", "separate the rows by commas")
		return left + not + " in (" + strings.Join(texts, ", ") + ")"
	}
	if p.queryComes(p.i) {
		q := p.subquery()
		return p.form(func(args []*termSyntax) *termSyntax {
			return negation(&termSyntax{kind: termInQuery, at: args[0].at, args: args, query: q}, negated)
		}, left)
	}
	p.expect("(", "write IN (1, 2, 3) or IN (SELECT …)")
	text := p.list(left, negated)
	p.expect(")", "separate the values by commas")
	return text
}

func (p *parser) list(left string, negated bool) string {
	not := ""
	if negated {
		not = " not"
	}
	return left + not + " in (" + strings.Join(p.expressions(), ", ") + ")"
}

// expressions reads a list of at least one.
func (p *parser) expressions() []string {
	texts := []string{p.expression()}
	for p.accept(",") {
		texts = append(texts, p.expression())
	}
	return texts
}

func (p *parser) between(left string, negated bool) string {
	symmetric := p.accept("symmetric")
	if !symmetric {
		p.accept("asymmetric")
	}
	low := p.concatenation()
	p.expect("and", "write BETWEEN a AND b")
	high := p.concatenation()
	if !symmetric {
		not := ""
		if negated {
			not = " not"
		}
		return left + not + " between " + low + " and " + high
	}
	return p.form(func(args []*termSyntax) *termSyntax {
		x, a, b := args[0], args[1], args[2]
		within := func(a, b *termSyntax) *termSyntax { return operator("and", operator(">=", x, a), operator("<=", x, b)) }
		return negation(operator("or", within(a, b), within(b, a)), negated)
	}, left, low, high)
}

func (p *parser) like(left, name string, negated bool) string {
	if p.comesOneOf("any", "some", "all") {
		refuse(CodeNotSupported, p.here().at, "write x LIKE 'a%' OR x LIKE 'b%'", "LIKE takes one pattern")
	}
	right := p.concatenation()
	if p.accept("escape") {
		escape := p.take()
		if escape.kind != tokenString || len([]rune(escape.text)) != 1 {
			refuse(CodeSyntax, escape.at, "write ESCAPE '!'", "the escape is one character")
		}
		right = p.pattern(right, token{kind: tokenWord, text: "escape", at: escape.at}, func(pattern string) string {
			return escaped(pattern, []rune(escape.text)[0], escape.at)
		})
	}
	return p.call2(name, negated, left, right)
}

// pattern rewrites a pattern, which must be a constant for that.
func (p *parser) pattern(text string, t token, rewrite func(string) string) string {
	x := p.parkedIn(text)
	if x == nil || !x.text {
		refuse(CodeNotSupported, t.at, "write the pattern as a string", "with %s, only a constant pattern is read", strings.ToUpper(t.text))
	}
	c := *x
	c.literal = value.Text(rewrite(x.literal.Str()))
	return p.park(&c)
}

// escaped writes a pattern of LIKE with another escape character with a
// backslash, the only one that is known further on.
func escaped(pattern string, escape rune, at Position) string {
	var b strings.Builder
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == escape:
			if i++; i == len(runes) {
				refuse(CodeType, at, "double it to match the character itself", "a pattern must not end with its escape character")
			}
			if r = runes[i]; r == '%' || r == '_' || r == '\\' {
				b.WriteRune('\\')
			}
		case r == '\\':
			b.WriteRune('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// similar writes a pattern of SIMILAR TO as a regular expression.
func similar(pattern string) string {
	var b strings.Builder
	b.WriteString("^(?:")
	bracket := false
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && i+1 < len(runes):
			b.WriteRune(r)
			i++
			b.WriteRune(runes[i])
		case bracket:
			bracket = r != ']'
			b.WriteRune(r)
		case r == '[':
			bracket = true
			b.WriteRune(r)
		case r == '%':
			b.WriteString("(?:.|\n)*")
		case r == '_':
			b.WriteString("(?:.|\n)")
		case strings.ContainsRune(".^$", r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + ")$"
}

// concatenation reads values with || between them, which the grammar reads as |.
func (p *parser) concatenation() string {
	var b strings.Builder
	b.WriteString(p.sum())
	for p.accept("||") {
		b.WriteString(" | " + p.sum())
	}
	return b.String()
}

// sum reads values with arithmetic.
func (p *parser) sum() string {
	var b strings.Builder
	for {
		for n := 0; p.comesOneOf("-", "+"); n++ {
			if n == maxNesting {
				refuse(CodeTooLarge, p.here().at, "simplify the expression", "this has more than %d signs", maxNesting)
			}
			b.WriteString(p.take().text + " ")
		}
		b.WriteString(p.primary())
		switch t := p.here(); {
		case t.kind == tokenSymbol && arithmetic[t.text], t.is("div") && (p.operandComes(1) || p.token(1).is("-")):
			p.i++
			b.WriteString(" " + t.text + " ")
		default:
			return b.String()
		}
	}
}

// primary reads one value with what binds to it tighter than any operator.
func (p *parser) primary() string {
	if p.depth++; p.depth > 2*maxNesting {
		refuse(CodeTooLarge, p.here().at, "simplify the expression", "expressions nest too deeply")
	}
	text := p.value()
	for n := 0; p.comes("::"); n++ {
		if n == maxNesting {
			refuse(CodeTooLarge, p.here().at, "simplify the expression", "this is cast more than %d times", maxNesting)
		}
		p.i++
		text = p.form(p.castType(), text)
	}
	switch t := p.here(); {
	case t.is("["):
		refuse(CodeNotSupported, t.at, "", "there are no arrays")
	case p.comes("at", "time", "zone"):
		refuse(CodeNotSupported, t.at, "leave it out", "times have no zone here")
	case t.is("collate"):
		p.unexpected("")
	}
	p.depth--
	return text
}

// value reads a constant, a column, a call, or something in parentheses.
func (p *parser) value() string {
	t := p.here()
	called := p.token(1).is("(")
	switch {
	case t.kind == tokenNumber, t.kind == tokenString:
		p.i++
		return p.park(literalOf(t))
	case t.kind == tokenParameter:
		return p.park(p.parameter())
	case t.is("("):
		return p.parenthesis()
	case t.is("true"), t.is("false"), t.is("null"):
		p.i++
		return p.park(constantOf(t))
	case t.is("case"):
		return p.caseTerm()
	case t.is("exists"):
		p.i++
		if !p.queryComes(p.i) {
			p.unexpected("write EXISTS (SELECT …)")
		}
		return p.park(&termSyntax{kind: termExists, at: t.at, query: p.subquery()})
	case t.kind == tokenWord && clock[t.text] != "" && (called || reserved[t.text] || t.text == "sysdate"):
		return p.park(p.clock())
	case t.is("current_user"), t.is("session_user"), t.is("user") && !called && !p.token(1).is("."):
		refuse(CodeNotSupported, t.at, "", "%s is not answered: an answer must not depend on who asks", strings.ToUpper(t.text))
	case t.is("array"), t.is("row") && called:
		refuse(CodeNotSupported, t.at, "write IN (…) for a list, and compare columns one by one", "there are no arrays and rows as values")
	case t.kind == tokenWord && (p.token(1).kind == tokenString) && typed[t.text]:
		return p.park(p.typedLiteral())
	case t.is("values") && called:
		p.unexpected("")
	case t.is("interval"):
		if text := p.interval(); text != "" {
			return text
		}
	case called && (t.isName() || t.is("cast") || t.is("left") || t.is("right")):
		if t.kind == tokenWord {
			if text := p.special(); text != "" {
				return text
			}
		}
		return p.call()
	}
	if t.isName() {
		if called { // a column called interval is none when it is called
			return p.call()
		}
		return p.column()
	}
	p.unexpected("write a column, a value or a function")
	return ""
}

// The names of what Query.Today stands for, which no parameter has.
const (
	clockDay    = " day"    // the day
	clockMoment = " moment" // its beginning, as a timestamp
	timeOfDay   = " time"   // the time of the day, which is refused
)

// clock holds what depends on when it is asked.
var clock = map[string]string{
	"current_date": clockDay, "curdate": clockDay, "today": clockDay, "utc_date": clockDay, "sysdate": clockDay,
	"now": clockMoment, "getdate": clockMoment, "getutcdate": clockMoment, "current_timestamp": clockMoment, "localtimestamp": clockMoment,
	"sysdatetime": clockMoment, "utc_timestamp": clockMoment, "statement_timestamp": clockMoment, "transaction_timestamp": clockMoment,
	"current_time": timeOfDay, "localtime": timeOfDay, "curtime": timeOfDay, "clock_timestamp": timeOfDay,
}

// clock reads CURRENT_DATE, NOW() and their like, which stand for the day on which the query is planned: an answer that
// depended on the moment could never be found again.
func (p *parser) clock() *termSyntax {
	t := p.take()
	if clock[t.text] == timeOfDay {
		refuse(CodeNotSupported, t.at, "write CURRENT_DATE, or the date, such as DATE '2024-12-31'", "%s is not answered: an answer may depend on the day, but not on the time of it", strings.ToUpper(t.text))
	}
	if p.accept("(") {
		if p.here().kind == tokenNumber { // digits of the second
			p.i++
		}
		p.expect(")", "write "+strings.ToUpper(t.text)+"()")
	}
	return &termSyntax{kind: termParameter, at: t.at, name: clock[t.text]}
}

// column reads column, table.column, schema.table.column or catalog.schema.table.column.
func (p *parser) column() string {
	names := []token{p.take()}
	for p.accept(".") {
		t := p.here()
		if t.kind != tokenWord && t.kind != tokenName {
			if t.is("*") {
				refuse(CodeSyntax, t.at, "name a column", "all columns do not fit here")
			}
			p.unexpected("write the column's name after the dot")
		}
		names = append(names, p.take())
	}
	last := names[len(names)-1]
	x := &termSyntax{kind: termColumn, name: last.text, at: span(names[0].at, last.at)}
	switch {
	case p.comes("("):
		refuse(CodeFunction, x.at, "write the function's name alone", "functions have no schema here")
	case len(names) > 4:
		refuse(CodeTable, x.at, "write table.column", "a column's name has four parts at most")
	case len(names) > 1:
		x.qualifier = names[len(names)-2].text
	}
	return p.park(x)
}

// parenthesis reads (x) or (SELECT …).
func (p *parser) parenthesis() string {
	t := p.here()
	if p.queryComes(p.i) {
		return p.park(&termSyntax{kind: termQuery, at: t.at, query: p.subquery()})
	}
	p.i++
	text := p.expression()
	if p.comes(",") {
		return p.row(t, text)
	}
	p.expect(")", "close the parenthesis there")
	return "(" + text + ")"
}

// row reads (a, b) = (c, d) and (a, b) IN (…) from the comma after a.
func (p *parser) row(open token, first string) string {
	left := []string{first}
	for p.accept(",") {
		left = append(left, p.expression())
	}
	p.expect(")", "close the parenthesis there")
	n, t := len(left), p.here()
	another := func() []string {
		at := p.here().at
		p.expect("(", "write as many values in parentheses")
		texts := p.expressions()
		p.expect(")", "separate the values by commas")
		if len(texts) != n {
			refuse(CodeType, at, "compare as many values", "%d values are compared with %d", n, len(texts))
		}
		return texts
	}
	equal := func(a, b []*termSyntax) *termSyntax {
		var all []*termSyntax
		for i := range a {
			all = append(all, operator("=", a[i], b[i]))
		}
		return operator("and", all...)
	}
	not := p.accept("not")
	switch {
	case p.accept("in"):
		values := p.comes("(", "values")
		if !values && p.queryComes(p.i) {
			q := p.subquery()
			return p.form(func(args []*termSyntax) *termSyntax {
				return negation(&termSyntax{kind: termInQuery, at: open.at, args: args, query: q}, not)
			}, left...)
		}
		p.expect("(", "write IN ((1, 2), (3, 4)) or IN (SELECT …)")
		if values {
			p.i++
		}
		texts := append([]string{}, left...)
		for {
			texts = append(texts, another()...)
			if !p.accept(",") {
				break
			}
		}
		p.expect(")", "separate the rows by commas")
		return p.form(func(args []*termSyntax) *termSyntax {
			var any []*termSyntax
			for i := n; i < len(args); i += n {
				any = append(any, equal(args[:n], args[i:i+n]))
			}
			if len(any) == 1 {
				return negation(any[0], not)
			}
			return negation(operator("or", any...), not)
		}, texts...)
	case !not && (p.accept("=") || p.accept("<>") || p.accept("!=")):
		return p.form(func(args []*termSyntax) *termSyntax {
			return negation(equal(args[:n], args[n:]), t.text != "=")
		}, append(left, another()...)...)
	}
	refuse(CodeNotSupported, open.at, "compare the columns one by one", "a row of values is compared by =, <> and IN only")
	return ""
}

func (p *parser) caseTerm() string {
	const hint = "write CASE WHEN condition THEN value ELSE value END"
	var b strings.Builder
	b.WriteString(p.take().text)
	if !p.comes("when") {
		b.WriteString(" " + p.expression())
	}
	if !p.comes("when") {
		p.unexpected(hint)
	}
	for p.accept("when") {
		b.WriteString(" when " + p.expression())
		p.expect("then", hint)
		b.WriteString(" then " + p.expression())
	}
	if p.accept("else") {
		b.WriteString(" else " + p.expression())
	}
	p.expect("end", hint)
	return b.String() + " end"
}
