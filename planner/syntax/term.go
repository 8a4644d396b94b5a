package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// The terms of SQL. Where databases differ in what binds tighter, the reading is refused.

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

// predicate reads a value, compared with another or not.
func (p *parser) predicate() *Expr {
	x := p.concatenation()
	compared, tested := false, false
	for {
		t := p.here()
		not := t.is("not") && slices.ContainsFunc([]string{"in", "like", "ilike", "between", "similar", "regexp", "rlike"},
			p.token(1).is)
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
			return x
		case kind == "is" && !p.comes("is", "distinct") && !p.comes("is", "not", "distinct"):
			p.i++
			tested = true
			x = p.truth(x)
			continue
		case kind == "isnull":
			if p.token(1).is("(") {
				return x
			}
			p.i++
			tested = true
			x = negation(NewOperator("is null", x), t.is("notnull"))
			continue
		case compared || tested:
			Refuse(CodeSyntax, t.at, "put parentheses around what belongs together",
				"two comparisons in a row can be read in two ways")
		}
		compared = true
		p.i++
		if not {
			p.i++
		}
		switch kind {
		case "comparison":
			x = p.compare(x, word)
		case "in":
			x = p.in(x, not)
		case "between":
			x = p.between(x, not)
		case "like":
			x = p.like(x, word.text, not)
		case "similar":
			p.expect("to", "write SIMILAR TO 'pattern'")
			x = negation(NewOperator("regexp", x, pattern(p.concatenation(), word, similar)), not)
		case "regexp":
			y := p.sum()
			if p.comes("||") {
				Refuse(CodeSyntax, p.here().at, "put parentheses around what belongs together",
					"databases differ in whether || or %s binds tighter", strings.ToUpper(word.text))
			}
			name := "regexp"
			if strings.HasSuffix(word.text, "*") {
				name = "iregexp"
			}
			x = negation(NewOperator(name, x, y), not || strings.HasPrefix(word.text, "!"))
		case "is":
			negated := p.accept("not")
			p.i++ // distinct
			p.expect("from", "write IS DISTINCT FROM")
			x = negation(NewOperator("is distinct from", x, p.concatenation()), negated)
			tested = true
			if p.comesOneOf("is", "isnull", "notnull") {
				Refuse(CodeSyntax, p.here().at, "put parentheses around what belongs together",
					"two comparisons in a row can be read in two ways")
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

// truth reads what follows x IS.
func (p *parser) truth(x *Expr) *Expr {
	negated := p.accept("not")
	isNull := NewOperator("is null", x)
	switch t := p.here(); {
	case p.accept("null"), p.accept("unknown"): // unknown is, of a condition, NULL
		return negation(isNull, negated)
	case p.accept("true"), p.accept("false"):
		// The operand stands once: written twice, it would double with each IS TRUE around it.
		never := NewLiteral(x.At, value.Bool(false))
		return negation(&Expr{Kind: Call, Name: "coalesce", At: x.At, Args: []*Expr{negation(x, t.is("false")), never}}, negated)
	}
	p.unexpected("write IS [NOT] NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM")
	return nil
}

// compare reads the right side of = and its like.
func (p *parser) compare(left *Expr, t token) *Expr {
	if p.comesOneOf("any", "some", "all") && p.token(1).is("(") {
		return p.quantified(left, t)
	}
	name := t.text
	if name == "!=" {
		name = "<>"
	}
	right := p.concatenation()
	if left.IsNull() || right.IsNull() {
		hint := "write IS NULL"
		if name != "=" {
			hint = "write IS NOT NULL, or leave it out"
		}
		Refuse(CodeType, t.at, hint, "nothing is equal to NULL, or differs from it: it is true of no row")
	}
	return comparison(name, left, right)
}

// comparison is x = y and its like. A difference of times that is compared with an interval is not computed: x - y > i is
// x > y + i.
func comparison(name string, x, y *Expr) *Expr {
	difference := func(t *Expr) bool {
		return len(t.Args) == 2 && (t.Kind == Operator && t.Name == "-" && t.Args[1].Kind != Interval || t.Kind == Call && t.Name == "age")
	}
	switch {
	case y.Kind == Interval && difference(x):
		return NewOperator(name, x.Args[0], NewOperator("+", x.Args[1], y))
	case x.Kind == Interval && difference(y):
		return NewOperator(name, NewOperator("+", y.Args[1], x), y.Args[0])
	}
	return NewOperator(name, x, y)
}

// quantified reads x = ANY (…) and x <> ALL (…), which are IN and NOT IN.
func (p *parser) quantified(left *Expr, t token) *Expr {
	word := p.take()
	negated := t.text != "="
	if (strings.HasPrefix(t.text, "<") || strings.HasPrefix(t.text, ">")) && t.text != "<>" && p.queryComes(p.i) {
		return p.extreme(left, t, word)
	}
	if negated == !word.is("all") || negated && t.text != "<>" && t.text != "!=" {
		Refuse(CodeNotSupported, word.at, "compare with (SELECT MIN(…) …) or (SELECT MAX(…) …)", "%s %s (…) is not answered",
			t.text, strings.ToUpper(word.text))
	}
	if p.queryComes(p.i) {
		return p.in(left, negated)
	}
	p.i++
	if x, ok := p.array(left, negated); ok {
		p.expect(")", "write ANY(ARRAY[1, 2])")
		return x
	}
	Refuse(CodeNotSupported, p.here().at, "write ANY(ARRAY[1, 2]), or IN (1, 2)",
		"only a list or a SELECT is read after %s", strings.ToUpper(word.text))
	return nil
}

// among is left IN (list).
func among(left *Expr, list []*Expr, negated bool) *Expr {
	return negation(NewOperator("in", append([]*Expr{left}, list...)...), negated)
}

func (p *parser) in(left *Expr, negated bool) *Expr {
	if p.accept("(", "values") { // IN (VALUES (1), (2)) is IN (1, 2)
		var list []*Expr
		for more := true; more; more = p.accept(",") {
			p.expect("(", "write VALUES (1), (2)")
			list = append(list, p.expression())
			p.expect(")", "compare with rows of one value, or write (a, b) IN (VALUES (1, 2), (3, 4))")
		}
		p.expect(")", "separate the rows by commas")
		return among(left, list, negated)
	}
	if p.accept("unnest", "(") { // BigQuery's IN UNNEST([1, 2])
		x, ok := p.array(left, negated)
		if !ok {
			p.unexpected("write IN UNNEST([1, 2])")
		}
		p.expect(")", "write IN UNNEST([1, 2])")
		return x
	}
	if p.queryComes(p.i) {
		return negation(&Expr{Kind: InSubquery, At: left.At, Args: []*Expr{left}, Query: p.subquery()}, negated)
	}
	p.expect("(", "write IN (1, 2, 3) or IN (SELECT …)")
	x := among(left, p.expressions(), negated)
	p.expect(")", "separate the values by commas")
	return x
}

// expressions reads a list of at least one.
func (p *parser) expressions() []*Expr {
	terms := []*Expr{p.expression()}
	for p.accept(",") {
		terms = append(terms, p.expression())
	}
	return terms
}

func (p *parser) between(x *Expr, negated bool) *Expr {
	symmetric := p.accept("symmetric")
	if !symmetric {
		p.accept("asymmetric")
	}
	a := p.concatenation()
	p.expect("and", "write BETWEEN a AND b")
	b := p.concatenation()
	within := func(a, b *Expr) *Expr { return NewOperator("and", comparison(">=", x, a), comparison("<=", x, b)) }
	if symmetric {
		return negation(NewOperator("or", within(a, b), within(b, a)), negated)
	}
	return negation(within(a, b), negated)
}

func (p *parser) like(left *Expr, name string, negated bool) *Expr {
	if p.comesOneOf("any", "some", "all") {
		return p.likeSeveral(left, name, negated)
	}
	right := p.concatenation()
	if p.accept("escape") {
		escape := p.take()
		if escape.kind != tokenString || len([]rune(escape.text)) > 1 {
			Refuse(CodeSyntax, escape.at, "write ESCAPE '!'", "the escape is one character")
		}
		right = pattern(right, token{kind: tokenWord, text: "escape", at: escape.at}, func(pattern string) string {
			none := rune(-1) // ESCAPE '': a backslash is a character like any other
			for _, r := range escape.text {
				none = r
			}
			return escaped(pattern, none, escape.at)
		})
	}
	return negation(NewOperator(name, left, right), negated)
}

// likeSeveral reads x LIKE ANY ('a%', 'b%') and ALL.
func (p *parser) likeSeveral(left *Expr, name string, negated bool) *Expr {
	const hint = "write LIKE ANY ('a%', 'b%')"
	all := p.take().is("all")
	array := p.accept("(", "array", "[")
	if !array {
		p.expect("(", hint)
	}
	var each []*Expr
	for _, pattern := range p.expressions() {
		each = append(each, negation(NewOperator(name, left, pattern), negated))
	}
	if array {
		p.expect("]", hint)
	}
	p.expect(")", hint)
	switch {
	case len(each) == 1:
		return each[0]
	case all:
		return NewOperator("and", each...)
	}
	return NewOperator("or", each...)
}

// pattern rewrites a pattern, which must be a constant for that.
func pattern(x *Expr, t token, rewrite func(string) string) *Expr {
	if !x.Text {
		Refuse(CodeNotSupported, t.at, "write the pattern as a string", "with %s, only a constant pattern is read",
			strings.ToUpper(t.text))
	}
	c := *x
	c.Literal = value.Text(rewrite(x.Literal.Str()))
	return &c
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
				Refuse(CodeType, at, "double it to match the character itself", "a pattern must not end with its escape character")
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

// concatenation reads values with || between them, which binds less than arithmetic.
func (p *parser) concatenation() *Expr {
	x := p.sum()
	for p.accept("||") {
		x = NewOperator("||", x, p.sum())
	}
	return x
}

// sum reads values with arithmetic.
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

// primary reads one value with what binds to it tighter than any operator.
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

// quantileOf reads APPROX_QUANTILES(x, n)[OFFSET(k)], BigQuery's quantile k of n.
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
	if x.Kind != Call || x.Name != "approx_quantiles" || len(x.Args) != 2 || !known || k.Type() != value.TypeInt {
		Refuse(CodeNotSupported, at, "for a quantile write APPROX_QUANTILES(x, 4)[OFFSET(1)] or QUANTILE(x, 0.25)", "there are no arrays")
	}
	p.i++
	p.expect("(", "write OFFSET(1)")
	p.i++
	p.expect(")", "write OFFSET(1)")
	p.expect("]", "write [OFFSET(1)]")
	of := x.Args[1]
	if of.Kind != Literal || of.Literal.Type() != value.TypeInt || of.Literal.Int64() < 1 || k.Int64() < first || k.Int64()-first > of.Literal.Int64() {
		Refuse(CodeType, x.At, "write APPROX_QUANTILES(x, 100)[OFFSET(50)]", "there is no such quantile")
	}
	t := *x
	t.Name = "quantile"
	t.Args = []*Expr{x.Args[0], {Kind: Literal, At: at, Literal: value.Float(float64(k.Int64()-first) / float64(of.Literal.Int64()))}}
	return &t
}

// value reads a constant, a column, a call, or something in parentheses.
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
		if called { // a column called interval is none when it is called
			return p.call()
		}
		return p.column()
	}
	p.unexpected("write a column, a value or a function")
	return nil
}

// The names of what Query.Today stands for, which no parameter has.
const (
	clockDay    = internal + "day"    // the day
	clockMoment = internal + "moment" // its beginning, as a timestamp
	timeOfDay   = " time"             // the time of the day, which is refused
)

// clock holds what depends on when it is asked.
var clock = map[string]string{
	"current_date": clockDay, "curdate": clockDay, "today": clockDay, "utc_date": clockDay, "sysdate": clockDay,
	"now": clockMoment, "getdate": clockMoment, "getutcdate": clockMoment, "current_timestamp": clockMoment,
	"localtimestamp": clockMoment,
	"sysdatetime":    clockMoment, "utc_timestamp": clockMoment, "statement_timestamp": clockMoment,
	"transaction_timestamp": clockMoment,
	"current_time":          timeOfDay, "localtime": timeOfDay, "curtime": timeOfDay, "clock_timestamp": timeOfDay,
}

// clock reads CURRENT_DATE, NOW() and their like, which stand for the day on which the query is planned: an answer that
// depended on the moment could never be found again.
func (p *parser) clock() *Expr {
	t := p.take()
	if clock[t.text] == timeOfDay {
		Refuse(CodeNotSupported, t.at, "write CURRENT_DATE, or the date, such as DATE '2024-12-31'",
			"%s is not answered: an answer may depend on the day, but not on the time of it", strings.ToUpper(t.text))
	}
	if p.accept("(") {
		if p.here().kind == tokenNumber { // digits of the second
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

// row reads (a, b) = (c, d) and (a, b) IN (…) from the comma after a.
func (p *parser) row(open token, first *Expr) *Expr {
	left := []*Expr{first}
	for p.accept(",") {
		left = append(left, p.expression())
	}
	p.expect(")", "close the parenthesis there")
	t := p.here()
	equal := func() *Expr { // another row in parentheses
		at := p.here().at
		p.expect("(", "write as many values in parentheses")
		right := p.expressions()
		p.expect(")", "separate the values by commas")
		if len(right) != len(left) {
			Refuse(CodeType, at, "compare as many values", "%d values are compared with %d", len(left), len(right))
		}
		var all []*Expr
		for i := range left {
			all = append(all, NewOperator("=", left[i], right[i]))
		}
		return NewOperator("and", all...)
	}
	not := p.accept("not")
	switch {
	case p.accept("in"):
		values := p.comes("(", "values")
		if !values && p.queryComes(p.i) {
			return negation(&Expr{Kind: InSubquery, At: open.at, Args: left, Query: p.subquery()}, not)
		}
		p.expect("(", "write IN ((1, 2), (3, 4)) or IN (SELECT …)")
		if values {
			p.i++
		}
		any := []*Expr{equal()}
		for p.accept(",") {
			any = append(any, equal())
		}
		p.expect(")", "separate the rows by commas")
		if len(any) == 1 {
			return negation(any[0], not)
		}
		return negation(NewOperator("or", any...), not)
	case !not && (p.accept("=") || p.accept("<>") || p.accept("!=")):
		return negation(equal(), t.text != "=")
	case !not && (p.accept("<") || p.accept("<=") || p.accept(">") || p.accept(">=")):
		return p.inOrder(left, t)
	case !not && len(left) == 2 && p.accept("overlaps"):
		return p.overlaps(left)
	}
	Refuse(CodeNotSupported, open.at, "compare the columns one by one", "a row of values is compared by =, <>, <, >, OVERLAPS and IN only")
	return nil
}

// otherRow reads the row of values that another is compared with.
func (p *parser) otherRow(n int) []*Expr {
	at := p.here().at
	p.expect("(", "write as many values in parentheses")
	right := p.expressions()
	p.expect(")", "separate the values by commas")
	if len(right) != n {
		Refuse(CodeType, at, "compare as many values", "%d values are compared with %d", n, len(right))
	}
	return right
}

// inOrder is (a, b) < (c, d): a < c OR a = c AND b < d.
func (p *parser) inOrder(left []*Expr, t token) *Expr {
	right := p.otherRow(len(left))
	last := len(left) - 1
	x := NewOperator(t.text, left[last], right[last])
	for i := last - 1; i >= 0; i-- {
		less := NewOperator(t.text[:1], left[i], right[i])
		x = NewOperator("or", less, NewOperator("and", NewOperator("=", left[i], right[i]), x))
	}
	return x
}

// overlaps is (a, b) OVERLAPS (c, d) of periods whose ends may stand either way round: each is without its end, unless it
// is one instant. Of a period of which one end is NULL, the other is its beginning, as PostgreSQL has it: what is certain
// without the end is said, and the rest is unknown.
func (p *parser) overlaps(left []*Expr) *Expr {
	right := p.otherRow(2)
	none := &Expr{Kind: Literal, At: left[0].At}
	truth := func(v bool) *Expr { return NewLiteral(left[0].At, value.Bool(v)) }
	call := func(name string, of []*Expr) *Expr { return &Expr{Kind: Call, At: of[0].At, Name: name, Args: of} }
	open := func(of []*Expr) *Expr {
		return NewOperator("or", NewOperator("is null", of[0]), NewOperator("is null", of[1]))
	}
	end := func(of []*Expr) *Expr { return NewOperator("case", open(of), none, call("greatest", of)) }
	a, c := call("least", left), call("least", right)
	within := func(x *Expr, other, own []*Expr) *Expr { // x begins within the other, which begins before
		return NewOperator("or", NewOperator("<", x, end(other)), NewOperator("case", open(own), none, truth(false)))
	}
	return NewOperator("case",
		NewOperator(">", a, c), within(a, right, left),
		NewOperator("<", a, c), within(c, left, right),
		NewOperator("=", a, c), NewOperator("case", NewOperator("or", open(left), open(right)), none, truth(true)))
}

// caseTerm yields operator "case": condition, value, …, and the last value, if any.
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
