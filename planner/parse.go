package planner

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/xwb1989/sqlparser"

	"github.com/intramuros/intramuros/internal/value"
)

// The words that mean something to the grammar; every other word is a name.
var keywords = map[string]bool{
	"select": true, "distinct": true, "all": true, "from": true, "where": true, "group": true, "by": true, "having": true,
	"order": true, "limit": true, "offset": true, "as": true, "on": true, "join": true, "inner": true, "left": true,
	"outer": true, "cross": true, "and": true, "or": true, "not": true, "in": true, "between": true, "like": true, "is": true,
	"null": true, "true": true, "false": true, "case": true, "when": true, "then": true, "else": true, "end": true,
	"asc": true, "desc": true, "div": true, "cast": true,
}

// What is valid SQL elsewhere and not answered here (yet): the word, and what to write instead.
var unsupported = map[string]string{
	"with":          "write the subquery's joins and conditions into one SELECT",
	"union":         "run the queries one by one",
	"intersect":     "run the queries one by one",
	"except":        "run the queries one by one",
	"over":          "window functions are not answered; aggregate with GROUP BY",
	"window":        "window functions are not answered; aggregate with GROUP BY",
	"filter":        "write SUM(CASE WHEN condition THEN 1 ELSE 0 END)",
	"within":        "ordered-set aggregates are not answered yet",
	"natural":       "write JOIN … ON with the columns",
	"using":         "write ON a.column = b.column",
	"full":          "write LEFT JOIN or INNER JOIN",
	"right":         "swap the tables and write LEFT JOIN",
	"exists":        "join the table instead",
	"interval":      "compare with a date, such as '2020-01-01'",
	"extract":       "write YEAR(date) or MONTH(date)",
	"ilike":         "write LIKE",
	"similar":       "write LIKE",
	"regexp":        "write LIKE",
	"rlike":         "write LIKE",
	"convert":       "write CAST(x AS type)",
	"nulls":         "leave it out: NULL comes last",
	"fetch":         "write LIMIT n",
	"escape":        "a backslash escapes % and _ in a pattern",
	"collate":       "texts compare by their bytes",
	"lateral":       "join the tables plainly",
	"into":          "answers come to the client only",
	"for":           "nothing is locked or changed here",
	"any":           "write IN (…)",
	"some":          "write IN (…)",
	"xor":           "write (a AND NOT b) OR (b AND NOT a)",
	"straight_join": "write JOIN",
	"qualify":       "window functions are not answered",
	"grouping":      "group by each set in a query of its own",
	"rollup":        "group by each set in a query of its own",
	"cube":          "group by each set in a query of its own",
	"array":         "write IN (…)",
	"row":           "compare the columns one by one",
}

// What symbols mean elsewhere, and what to write here.
var unsupportedSymbols = map[string]string{
	"||": "to join conditions write OR; texts are not concatenated yet", "&&": "write AND", "::": "write CAST(x AS type)", "==": "write =",
	"<=>": "write a = b OR (a IS NULL AND b IS NULL)", "!": "write NOT", "?": "parameters are not supported yet; write the value",
	"$": "parameters are not supported yet; write the value", ":": "parameters are not supported yet; write the value",
	"@": "there are no variables", "^": "write a product", "&": "", "|": "", "~": "", "<<": "", ">>": "", "->": "", "->>": "", "[": "", "]": "", "{": "", "}": "",
	"#": "start a comment with --", "\\": "", ":=": "there are no variables", "!~": "write NOT LIKE", "~*": "write LIKE",
}

var castTypes = map[string]value.Type{
	"int": value.TypeInt, "integer": value.TypeInt, "bigint": value.TypeInt, "smallint": value.TypeInt, "signed": value.TypeInt,
	"signed integer": value.TypeInt, "int4": value.TypeInt, "int8": value.TypeInt,
	"float": value.TypeFloat, "double": value.TypeFloat, "double precision": value.TypeFloat, "real": value.TypeFloat, "float8": value.TypeFloat,
	"text": value.TypeText, "varchar": value.TypeText, "char": value.TypeText, "character varying": value.TypeText, "string": value.TypeText,
	"date": value.TypeDate, "timestamp": value.TypeTimestamp, "datetime": value.TypeTimestamp, "timestamp without time zone": value.TypeTimestamp,
}

// parser hands tokens to sqlparser in a form that it cannot misread, and keeps
// what each stood for: a name becomes `name#7`, a constant becomes :v7, where 7
// is the number of its token, so the tree that comes back has positions.
type parser struct {
	tokens   []token
	literals map[int]*termSyntax
	casts    map[int]value.Type
}

// parse reads one statement.
func parse(sql string) *statementSyntax {
	p := &parser{tokens: scan(sql), literals: map[int]*termSyntax{}, casts: map[int]value.Type{}}
	statement, err := sqlparser.Parse(p.rewrite())
	if err != nil {
		p.syntaxError(err)
	}
	s, ok := statement.(*sqlparser.Select)
	if !ok {
		refuse(CodeNotSupported, p.tokens[0].at, "write one SELECT", "only a SELECT is answered")
	}
	return &statementSyntax{at: p.tokens[0].at, query: p.queryOf(s)}
}

func (p *parser) syntaxError(err error) {
	// The parser names the token that it choked on: `... near 'x#12'`.
	if _, near, ok := strings.Cut(err.Error(), " near '"); ok {
		near = strings.Trim(strings.TrimSuffix(near, "'"), "`")
		if i := p.tokenOf(near); i >= 0 {
			refuse(CodeSyntax, p.tokens[i].at, "", "%q does not fit here", p.tokens[i].text)
		}
		for _, t := range p.tokens {
			if t.is(near) && (keywords[near] || t.kind == tokenSymbol) {
				refuse(CodeSyntax, t.at, "look before and after it", "the query does not read as SQL near %q", near)
			}
		}
	}
	refuse(CodeSyntax, p.tokens[len(p.tokens)-1].at, "", "the query ends too early or does not read as SQL")
}

// rewrite writes the text for sqlparser.
func (p *parser) rewrite() string {
	first := p.tokens[0]
	switch {
	case first.kind == tokenEnd:
		refuse(CodeSyntax, first.at, "write SELECT …", "the query is empty")
	case first.is("with"):
		refuse(CodeNotSupported, first.at, unsupported["with"], "WITH is not answered yet")
	case !first.is("select"):
		refuse(CodeNotSupported, first.at, "write one SELECT", "only a SELECT is answered")
	}
	var b bytes.Buffer
	castDepth := []int{} // depth of parentheses at each CAST( that awaits its AS
	depth := 0
	for i := 0; i < len(p.tokens); i++ {
		t := p.tokens[i]
		b.WriteByte(' ')
		switch t.kind {
		case tokenEnd:
		case tokenString, tokenNumber:
			p.literals[i] = literalOf(t)
			b.WriteString(":v" + strconv.Itoa(i))
		case tokenName:
			b.WriteString(tagged(t.text, i))
		case tokenSymbol:
			i = p.symbol(&b, i, &depth)
			if t.is(")") && len(castDepth) > 0 && depth < castDepth[len(castDepth)-1] {
				castDepth = castDepth[:len(castDepth)-1]
			}
		case tokenWord:
			next, previous := p.token(i+1), p.token(i-1)
			hint, refused := unsupported[t.text]
			switch {
			case previous.is("."):
				b.WriteString(tagged(t.text, i))
			case refused && (p.isKeywordHere(i)):
				refuse(CodeNotSupported, t.at, hint, "%s is not answered", strings.ToUpper(t.text))
			case t.is("left") && next.is("("):
				refuse(CodeFunction, t.at, "", "there is no function LEFT")
			case t.is("cast") && next.is("("):
				castDepth = append(castDepth, depth+1)
				b.WriteString("cast")
			case t.is("as") && len(castDepth) > 0 && depth == castDepth[len(castDepth)-1]:
				i = p.castType(&b, i)
			case (t.is("date") || t.is("timestamp")) && next.kind == tokenString:
				p.literals[i] = p.typedLiteral(t, next)
				b.WriteString(":v" + strconv.Itoa(i))
				i++
			case (t.is("true") || t.is("false") || t.is("null")) && !previous.is("is") && !(previous.is("not") && p.token(i-2).is("is")):
				p.literals[i] = constantOf(t)
				b.WriteString(":v" + strconv.Itoa(i))
			case keywords[t.text]:
				b.WriteString(t.text)
			default:
				b.WriteString(tagged(t.text, i))
			}
		}
	}
	return b.String()
}

// isKeywordHere tells a word of SQL that is not answered from a column or table
// that has its name: such a word is followed by what a name cannot be followed by, or
// follows what a name cannot follow.
func (p *parser) isKeywordHere(i int) bool {
	next := p.token(i + 1)
	if p.token(i - 1).is("as") {
		return false
	}
	switch p.tokens[i].text {
	case "over", "filter", "exists", "extract", "within", "convert", "any", "some", "grouping", "rollup", "cube", "array", "row":
		return next.is("(") || p.tokens[i].text == "within" || next.is("sets")
	case "interval":
		return next.kind == tokenString || next.kind == tokenNumber
	case "window", "for", "into", "fetch", "nulls", "escape", "collate", "lateral", "qualify":
		return next.kind == tokenWord && !keywords[next.text] || next.kind == tokenString || next.kind == tokenName || next.is("(")
	}
	return true
}

func (p *parser) token(i int) token {
	if i < 0 || i >= len(p.tokens) {
		return token{}
	}
	return p.tokens[i]
}

// symbol writes the symbol at i and returns the index of the last token it used.
func (p *parser) symbol(b *bytes.Buffer, i int, depth *int) int {
	t := p.tokens[i]
	if hint, refused := unsupportedSymbols[t.text]; refused {
		refuse(CodeNotSupported, t.at, hint, "the operator %s is not answered", t.text)
	}
	switch t.text {
	case "(":
		*depth++
	case ")":
		*depth--
	case "!=":
		b.WriteString("<>")
		return i
	case ";":
		if p.tokens[i+1].kind != tokenEnd {
			refuse(CodeNotSupported, p.tokens[i+1].at, "send one statement at a time", "there is something after the end of the statement")
		}
		return i
	}
	b.WriteString(t.text)
	return i
}

// castType reads the type after CAST(… AS, which sqlparser would read as one of
// MySQL's few, and writes char(i), i being the token where the type stands.
func (p *parser) castType(b *bytes.Buffer, i int) int {
	start := i + 1
	var words []string
	j := start
	for ; p.tokens[j].kind == tokenWord; j++ {
		words = append(words, p.tokens[j].text)
	}
	name := strings.Join(words, " ")
	at := p.tokens[start].at
	t, ok := castTypes[name]
	if p.tokens[j].is("(") && (name == "varchar" || name == "char" || name == "character varying") {
		refuse(CodeNotSupported, p.tokens[j].at, "write CAST(x AS text)", "texts have no length limit here")
	}
	if !ok || !p.tokens[j].is(")") {
		refuse(CodeType, at, "the types are int, float, text, date and timestamp", "CAST does not know this type")
	}
	p.casts[start] = t
	b.WriteString("as char(" + strconv.Itoa(start) + ")")
	return j - 1
}

func tagged(name string, i int) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "#" + strconv.Itoa(i) + "`"
}

func literalOf(t token) *termSyntax {
	if t.kind == tokenString {
		return &termSyntax{kind: termLiteral, at: t.at, literal: value.Text(t.text), text: true}
	}
	return &termSyntax{kind: termLiteral, at: t.at, literal: numberValue(t)}
}

func constantOf(t token) *termSyntax {
	v := value.Bool(t.is("true"))
	if t.is("null") {
		v = value.Value{} // takes its type from where it stands
	}
	return &termSyntax{kind: termLiteral, at: t.at, literal: v}
}

func (p *parser) typedLiteral(t, text token) *termSyntax {
	v, err := value.Parse(value.Type(t.text), text.text)
	if err != nil {
		refuse(CodeType, text.at, "write it as 2020-12-31", "%q is no %s", text.text, t.text)
	}
	at := t.at
	at.Length = text.at.Offset + text.at.Length - at.Offset
	return &termSyntax{kind: termLiteral, at: at, literal: v}
}

// tokenOf returns the token of a tagged name, or -1.
func (p *parser) tokenOf(name string) int {
	i := strings.LastIndexByte(name, '#')
	if i < 0 {
		if n, ok := strings.CutPrefix(name, ":v"); ok {
			if k, err := strconv.Atoi(n); err == nil && k < len(p.tokens) {
				return k
			}
		}
		return -1
	}
	k, err := strconv.Atoi(name[i+1:])
	if err != nil || k < 0 || k >= len(p.tokens) {
		return -1
	}
	return k
}

// name takes the tag off a name.
func (p *parser) name(tagged string) (string, Position) {
	i := p.tokenOf(tagged)
	if i < 0 {
		return tagged, p.tokens[0].at
	}
	return p.tokens[i].text, p.tokens[i].at
}

// find returns the place of the first such word, for what has no name of its own.
func (p *parser) find(words ...string) Position {
	for i := range p.tokens {
		match := true
		for k, w := range words {
			match = match && p.token(i+k).is(w)
		}
		if match {
			return p.tokens[i].at
		}
	}
	return p.tokens[0].at
}

func (p *parser) queryOf(s *sqlparser.Select) *querySyntax {
	selected := &selectSyntax{at: p.tokens[0].at}
	out := &querySyntax{at: p.tokens[0].at, selected: selected}
	if s.Distinct != "" {
		refuse(CodeNotSupported, p.find("distinct"), "use GROUP BY", "SELECT DISTINCT is not answered yet")
	}
	for _, e := range s.SelectExprs {
		selected.items = append(selected.items, p.item(e))
	}
	for _, t := range s.From {
		selected.from = p.tables(selected.from, t, joinCross)
	}
	if s.Where != nil {
		selected.where = p.term(s.Where.Expr)
	}
	if len(s.GroupBy) > 0 {
		var keys []*termSyntax
		for _, g := range s.GroupBy {
			keys = append(keys, p.term(g))
		}
		selected.groupBy = [][]*termSyntax{keys}
	}
	if s.Having != nil {
		selected.having = p.term(s.Having.Expr)
	}
	for _, o := range s.OrderBy {
		out.orderBy = append(out.orderBy, orderSyntax{term: p.term(o.Expr), descending: o.Direction == sqlparser.DescScr})
	}
	if s.Limit != nil {
		out.limit = p.term(s.Limit.Rowcount)
		if s.Limit.Offset != nil {
			out.offset = p.term(s.Limit.Offset)
		}
	}
	return out
}

func (p *parser) item(e sqlparser.SelectExpr) itemSyntax {
	switch e := e.(type) {
	case *sqlparser.AliasedExpr:
		item := itemSyntax{term: p.term(e.Expr)}
		if !e.As.IsEmpty() {
			item.alias, _ = p.name(e.As.String())
		}
		return item
	case *sqlparser.StarExpr:
		return itemSyntax{term: &termSyntax{kind: termStar, at: p.find("*")}}
	}
	refuse(CodeNotSupported, p.tokens[0].at, "", "this column is not answered")
	return itemSyntax{}
}

func (p *parser) tables(all []fromSyntax, t sqlparser.TableExpr, how joinKind) []fromSyntax {
	switch t := t.(type) {
	case *sqlparser.AliasedTableExpr:
		name, ok := t.Expr.(sqlparser.TableName)
		if !ok {
			refuse(CodeNotSupported, p.find("(", "select"), "write its joins and conditions into this SELECT", "a subquery in FROM is not answered yet")
		}
		if !name.Qualifier.IsEmpty() {
			_, at := p.name(name.Qualifier.String())
			refuse(CodeTable, at, "write the table's name alone", "tables have no schema here")
		}
		f := fromSyntax{join: how}
		f.table, f.at = p.name(name.Name.String())
		if f.table == "dual" && p.tokenOf(name.Name.String()) < 0 {
			refuse(CodeNoPatient, p.tokens[len(p.tokens)-1].at, "write FROM and a table of the catalog", "the query reads no table")
		}
		f.alias = f.table
		if !t.As.IsEmpty() {
			f.alias, _ = p.name(t.As.String())
		}
		if len(all) == 0 {
			f.join = joinNone
		}
		return append(all, f)
	case *sqlparser.ParenTableExpr:
		for i, e := range t.Exprs {
			if i > 0 || len(t.Exprs) > 1 {
				refuse(CodeNotSupported, p.find("from"), "write JOIN … ON without parentheses", "tables in parentheses are not answered")
			}
			all = p.tables(all, e, how)
		}
		return all
	case *sqlparser.JoinTableExpr:
		if right, nested := t.RightExpr.(*sqlparser.AliasedTableExpr); !nested || right == nil {
			refuse(CodeNotSupported, p.find("from"), "write one JOIN after the other, without parentheses", "a join within a join is not answered")
		}
		if len(all) > 0 { // a, b JOIN c: the comma binds last
			all = p.tables(all, t.LeftExpr, joinCross)
		} else {
			all = p.tables(nil, t.LeftExpr, joinNone)
		}
		kind := joinInner
		switch t.Join {
		case sqlparser.JoinStr:
		case sqlparser.LeftJoinStr:
			kind = joinLeft
		default:
			refuse(CodeNotSupported, p.find("join"), "write JOIN … ON or LEFT JOIN … ON", "a %s is not answered", t.Join)
		}
		all = p.tables(all, t.RightExpr, kind)
		last := &all[len(all)-1]
		if t.Condition.On != nil {
			last.on = p.term(t.Condition.On)
		} else if kind == joinInner {
			last.join = joinCross
		} else {
			refuse(CodeSyntax, last.at, "add ON and the columns that are equal", "LEFT JOIN lacks its condition")
		}
		return all
	}
	refuse(CodeNotSupported, p.find("from"), "", "this FROM is not answered")
	return nil
}

func operator(name string, args ...*termSyntax) *termSyntax {
	return &termSyntax{kind: termOperator, name: name, at: args[0].at, args: args}
}

var comparisons = map[string]bool{"=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}
var arithmetic = map[string]bool{"+": true, "-": true, "*": true, "/": true, "div": true, "%": true}

func (p *parser) term(e sqlparser.Expr) *termSyntax {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		return p.term(e.Expr)
	case *sqlparser.AndExpr:
		return operator("and", p.term(e.Left), p.term(e.Right))
	case *sqlparser.OrExpr:
		return operator("or", p.term(e.Left), p.term(e.Right))
	case *sqlparser.NotExpr:
		return operator("not", p.term(e.Expr))
	case *sqlparser.ComparisonExpr:
		return p.comparison(e)
	case *sqlparser.RangeCond:
		x, from, to := p.term(e.Left), p.term(e.From), p.term(e.To)
		between := operator("and", operator(">=", x, from), operator("<=", x, to))
		if e.Operator == sqlparser.NotBetweenStr {
			return operator("not", between)
		}
		return between
	case *sqlparser.IsExpr:
		return p.is(e)
	case *sqlparser.BinaryExpr:
		if arithmetic[e.Operator] {
			return operator(e.Operator, p.term(e.Left), p.term(e.Right))
		}
	case *sqlparser.UnaryExpr:
		x := p.term(e.Expr)
		switch {
		case e.Operator == "+":
			return x
		case e.Operator == "-" && x.kind == termLiteral && x.literal.Type().Numeric():
			return &termSyntax{kind: termLiteral, at: x.at, literal: negated(x.literal)}
		case e.Operator == "-":
			return operator("neg", x)
		}
	case *sqlparser.SQLVal:
		if i := p.tokenOf(string(e.Val)); e.Type == sqlparser.ValArg && i >= 0 && p.literals[i] != nil {
			return p.literals[i]
		}
	case *sqlparser.ColName:
		t := &termSyntax{kind: termColumn}
		t.name, t.at = p.name(e.Name.String())
		if !e.Qualifier.Name.IsEmpty() {
			var at Position
			t.qualifier, at = p.name(e.Qualifier.Name.String())
			at.Length = t.at.Offset + t.at.Length - at.Offset
			t.at = at
		}
		if !e.Qualifier.Qualifier.IsEmpty() {
			refuse(CodeTable, t.at, "write table.column", "tables have no schema here")
		}
		return t
	case *sqlparser.FuncExpr:
		return p.call(e)
	case *sqlparser.CaseExpr:
		return p.caseOf(e)
	case *sqlparser.ConvertExpr:
		if e.Type.Length != nil {
			if i, err := strconv.Atoi(string(e.Type.Length.Val)); err == nil && p.casts[i] != "" {
				x := p.term(e.Expr)
				return &termSyntax{kind: termCast, at: x.at, castType: p.casts[i], args: []*termSyntax{x}}
			}
		}
	case *sqlparser.Subquery:
		refuse(CodeNotSupported, p.find("(", "select"), "join the table instead", "a subquery is not answered yet")
	}
	refuse(CodeNotSupported, p.tokens[0].at, "", "a part of this query is not answered (%T)", e)
	return nil
}

func negated(v value.Value) value.Value {
	if v.Type() == value.TypeInt {
		return value.Int(-v.Int64())
	}
	return value.Float(-v.Float64())
}

func (p *parser) comparison(e *sqlparser.ComparisonExpr) *termSyntax {
	left := p.term(e.Left)
	not := strings.HasPrefix(e.Operator, "not ")
	var t *termSyntax
	switch strings.TrimPrefix(e.Operator, "not ") {
	case "in":
		list, ok := e.Right.(sqlparser.ValTuple)
		if !ok {
			refuse(CodeNotSupported, left.at, "write the values, or join the table", "IN with a subquery is not answered yet")
		}
		args := []*termSyntax{left}
		for _, v := range list {
			args = append(args, p.term(v))
		}
		t = operator("in", args...)
	case "like":
		t = operator("like", left, p.term(e.Right))
	default:
		if !comparisons[e.Operator] {
			refuse(CodeNotSupported, left.at, "", "the comparison %s is not answered", e.Operator)
		}
		return operator(strings.Replace(e.Operator, "!=", "<>", 1), left, p.term(e.Right))
	}
	if not {
		return operator("not", t)
	}
	return t
}

func (p *parser) is(e *sqlparser.IsExpr) *termSyntax {
	x := p.term(e.Expr)
	isNull := operator("is null", x)
	isTrue := func(b bool) *termSyntax {
		want := &termSyntax{kind: termLiteral, at: x.at, literal: value.Bool(b)}
		return operator("and", operator("not", isNull), operator("=", x, want))
	}
	switch e.Operator {
	case sqlparser.IsNullStr:
		return isNull
	case sqlparser.IsNotNullStr:
		return operator("not", isNull)
	case sqlparser.IsTrueStr, sqlparser.IsFalseStr:
		return isTrue(e.Operator == sqlparser.IsTrueStr)
	default: // is not true, is not false
		return operator("not", isTrue(e.Operator == sqlparser.IsNotTrueStr))
	}
}

func (p *parser) call(e *sqlparser.FuncExpr) *termSyntax {
	t := &termSyntax{kind: termCall, distinct: e.Distinct}
	t.name, t.at = p.name(e.Name.String())
	if !e.Qualifier.IsEmpty() {
		refuse(CodeFunction, t.at, "write the function's name alone", "functions have no schema here")
	}
	for _, a := range e.Exprs {
		switch a := a.(type) {
		case *sqlparser.StarExpr:
			t.star = true
		case *sqlparser.AliasedExpr:
			t.args = append(t.args, p.term(a.Expr))
		}
	}
	return t
}

// caseOf yields operator "case": condition, value, …, and the last value, if any.
func (p *parser) caseOf(e *sqlparser.CaseExpr) *termSyntax {
	t := &termSyntax{kind: termOperator, name: "case"}
	for _, w := range e.Whens {
		condition := p.term(w.Cond)
		if e.Expr != nil {
			condition = operator("=", p.term(e.Expr), condition)
		}
		t.args = append(t.args, condition, p.term(w.Val))
	}
	if e.Else != nil {
		t.args = append(t.args, p.term(e.Else))
	}
	t.at = t.args[0].at
	return t
}
