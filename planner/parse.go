package planner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xwb1989/sqlparser"

	"github.com/intramuros/intramuros/internal/value"
)

// parser reads one statement. The grammar underneath speaks MySQL of 2018, so it
// is handed only what cannot be misread: its own keywords and operators, with
// everything else set aside and numbered. A name, a constant or a subquery becomes
// :v7, the seventh term set aside; what is written like a function, and what SQL
// writes with words (CAST, EXTRACT, OVER, ILIKE), becomes `f7`(…); a table in FROM
// `t7`, the columns of USING `u7`. What comes back is precedence and nesting; the
// terms, with their positions, are ours.
type parser struct {
	tokens  []token
	i       int         // the token to read next
	partner map[int]int // of an opening parenthesis, the closing one

	parked []*termSyntax
	forms  []func(args []*termSyntax) *termSyntax
	tables []fromSyntax
	using  [][]*termSyntax

	statement *statementSyntax
	schemas   map[string]token // the schema that each table is read from
	common    []string         // names of WITH in scope
	windows   windowScope      // of the SELECT that is being read
	first     *termSyntax      // what DISTINCT ON keeps of the last SELECT
	marker    byte             // how parameters are written: ?, $ or :
	reordered bool             // a NATURAL join of the FROM that is being read has its tables in another order
	inner     int              // how many parentheses the query being read stands in
	depth     int              // of expressions being read
}

// parse reads one statement.
func parse(sql string) *statementSyntax {
	p := &parser{tokens: scan(sql), schemas: map[string]token{}}
	p.partner = partners(p.tokens)
	p.statement = &statementSyntax{at: p.tokens[0].at}
	p.read()
	return p.statement
}

// park sets a term aside and returns what stands for it.
func (p *parser) park(t *termSyntax) string {
	p.parked = append(p.parked, t)
	return ":v" + strconv.Itoa(len(p.parked)-1)
}

// parkedIn returns the term that the text stands for, or nil where it is more.
func (p *parser) parkedIn(text string) *termSyntax {
	if number, ok := strings.CutPrefix(text, ":v"); ok {
		if i, err := strconv.Atoi(number); err == nil {
			return p.parked[i]
		}
	}
	return nil
}

// form sets aside how a term is made of its arguments, and returns the call that
// stands for it.
func (p *parser) form(build func(args []*termSyntax) *termSyntax, args ...string) string {
	p.forms = append(p.forms, build)
	return "`f" + strconv.Itoa(len(p.forms)-1) + "`(" + strings.Join(args, ", ") + ")"
}

// numbered reads what the grammar hands back for `f7`, `t7` and `u7`.
func numbered(name string) int {
	i, err := strconv.Atoi(name[1:])
	if err != nil {
		panic("planner: the grammar made up a name")
	}
	return i
}

// grammar parses what the front made of a SELECT.
func (p *parser) grammar(text string, at Position) *sqlparser.Select {
	statement, err := sqlparser.Parse(text)
	if err != nil {
		if strings.Contains(err.Error(), "nesting level") {
			refuse(CodeTooLarge, at, "simplify the expression", "expressions nest too deeply")
		}
		refuse(CodeSyntax, p.blame(text, err, at), "look before and after it, or put parentheses around what belongs together", "the query does not read as SQL here")
	}
	s, ok := statement.(*sqlparser.Select)
	if !ok {
		panic("planner: the grammar read a SELECT as something else")
	}
	return s
}

// blame finds the last term before the place where the grammar gave up.
func (p *parser) blame(text string, err error, at Position) Position {
	_, after, _ := strings.Cut(err.Error(), " at position ")
	number, _, _ := strings.Cut(after, " ")
	end, _ := strconv.Atoi(number)
	text = text[:min(max(end, 0), len(text))]
	i := strings.LastIndex(text, ":v")
	if i < 0 {
		return at
	}
	number = text[i+2:]
	if j := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }); j >= 0 {
		number = number[:j]
	}
	if k, err := strconv.Atoi(number); err == nil && k < len(p.parked) {
		return p.parked[k].at
	}
	return at
}

// terms parses expressions that stand outside of a SELECT's own clauses.
func (p *parser) terms(texts []string, at Position) []*termSyntax {
	if len(texts) == 0 {
		return nil
	}
	var terms []*termSyntax
	for _, e := range p.grammar("select "+strings.Join(texts, ", "), at).SelectExprs {
		terms = append(terms, p.argument(e))
	}
	return terms
}

func (p *parser) argument(e sqlparser.SelectExpr) *termSyntax {
	a, ok := e.(*sqlparser.AliasedExpr)
	if !ok || !a.As.IsEmpty() {
		panic("planner: the grammar read a term as something else")
	}
	return p.term(a.Expr)
}

// joined lists the tables of one element of FROM, each joined with those before it.
func (p *parser) joined(t sqlparser.TableExpr) []fromSyntax {
	switch t := t.(type) {
	case *sqlparser.AliasedTableExpr:
		f := p.tables[numbered(t.Expr.(sqlparser.TableName).Name.String())]
		f.join = joinNone
		return []fromSyntax{f}
	case *sqlparser.ParenTableExpr:
		return p.joined(t.Exprs[0])
	case *sqlparser.JoinTableExpr:
		// The front wrote the join before its right side: it is known by that table.
		left, right := p.joined(t.LeftExpr), p.joined(t.RightExpr)
		how := fromSyntax{at: right[0].at, join: joinInner}
		if t.Condition.On != nil {
			how.on = p.term(t.Condition.On)
		}
		if t.Condition.Using != nil {
			how.using = p.using[numbered(t.Condition.Using[0].String())]
		}
		switch t.Join {
		case sqlparser.NaturalJoinStr:
			how.natural = true
		case sqlparser.NaturalLeftJoinStr:
			how.natural, how.join = true, joinLeft
		case sqlparser.NaturalRightJoinStr:
			how.natural, how.join, p.reordered = true, joinLeft, true
			left, right = right, left
		case sqlparser.LeftJoinStr:
			how.join = joinLeft
		case sqlparser.RightJoinStr:
			how.join = joinLeft
			left, right = right, left
		default:
			if how.on == nil && how.using == nil {
				how.join = joinCross
			}
		}
		return p.flatten(left, right, how)
	}
	panic("planner: the grammar read a table as something else")
}

func operator(name string, args ...*termSyntax) *termSyntax {
	return &termSyntax{kind: termOperator, name: name, at: args[0].at, args: args}
}

func negation(t *termSyntax, negated bool) *termSyntax {
	if negated {
		return operator("not", t)
	}
	return t
}

var comparisons = map[string]bool{"=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}
var arithmetic = map[string]bool{"+": true, "-": true, "*": true, "/": true, "div": true, "%": true}

// term turns what the grammar read into our own syntax.
func (p *parser) term(e sqlparser.Expr) *termSyntax {
	switch e := e.(type) {
	case *sqlparser.ParenExpr:
		return p.term(e.Expr)
	case *sqlparser.AndExpr:
		return operator("and", p.chain(e, func(e sqlparser.Expr) (left, right sqlparser.Expr) {
			if and, ok := e.(*sqlparser.AndExpr); ok {
				return and.Left, and.Right
			}
			return nil, e
		})...)
	case *sqlparser.OrExpr:
		return operator("or", p.chain(e, func(e sqlparser.Expr) (left, right sqlparser.Expr) {
			if or, ok := e.(*sqlparser.OrExpr); ok {
				return or.Left, or.Right
			}
			return nil, e
		})...)
	case *sqlparser.NotExpr:
		return operator("not", p.term(e.Expr))
	case *sqlparser.ComparisonExpr:
		return p.comparison(e)
	case *sqlparser.RangeCond:
		x, from, to := p.term(e.Left), p.term(e.From), p.term(e.To)
		between := operator("and", operator(">=", x, from), operator("<=", x, to))
		return negation(between, e.Operator == sqlparser.NotBetweenStr)
	case *sqlparser.IsExpr:
		return p.is(e)
	case *sqlparser.BinaryExpr:
		switch {
		case e.Operator == sqlparser.BitOrStr: // it binds as || does in PostgreSQL
			return operator("||", p.term(e.Left), p.term(e.Right))
		case e.Operator == "*":
			return multiplied(p.term(e.Left), p.term(e.Right))
		case arithmetic[e.Operator]:
			return operator(e.Operator, p.term(e.Left), p.term(e.Right))
		}
	case *sqlparser.UnaryExpr:
		if x := p.term(e.Expr); e.Operator == "-" {
			return negative(x)
		} else if e.Operator == "+" {
			return x
		}
	case *sqlparser.SQLVal:
		if t := p.parkedIn(string(e.Val)); e.Type == sqlparser.ValArg && t != nil {
			return t
		}
	case *sqlparser.FuncExpr:
		var args []*termSyntax
		for _, a := range e.Exprs {
			args = append(args, p.argument(a))
		}
		return p.forms[numbered(e.Name.String())](args)
	case *sqlparser.CaseExpr:
		return p.caseOf(e)
	}
	panic("planner: the grammar read a term as something else")
}

// chain lists the operands of a AND b AND …, which the grammar nests to the left, as
// deep as there are many.
func (p *parser) chain(e sqlparser.Expr, split func(sqlparser.Expr) (left, right sqlparser.Expr)) []*termSyntax {
	var args []*termSyntax
	for e != nil {
		var last sqlparser.Expr
		e, last = split(e)
		args = append(args, p.term(last))
	}
	slices.Reverse(args)
	return args
}

// negative is -x.
func negative(x *termSyntax) *termSyntax {
	switch {
	case x.kind == termInterval:
		t := *x
		t.args = nil
		for _, a := range x.args {
			t.args = append(t.args, negative(a))
		}
		return &t
	case x.kind == termLiteral && x.literal.Type() == value.TypeInt:
		return &termSyntax{kind: termLiteral, at: x.at, literal: value.Int(-x.literal.Int64())}
	case x.kind == termLiteral && x.literal.Type() == value.TypeFloat:
		return &termSyntax{kind: termLiteral, at: x.at, literal: value.Float(-x.literal.Float64())}
	}
	return operator("neg", x)
}

// multiplied is x * y; n * INTERVAL '1' DAY is an interval of n days.
func multiplied(x, y *termSyntax) *termSyntax {
	of, n := x, y
	if y.kind == termInterval {
		of, n = y, x
	}
	if of.kind != termInterval || n.kind == termInterval {
		return operator("*", x, y)
	}
	t := *of
	by := n
	if one := of.args[0]; one.kind != termLiteral || one.literal != value.Int(1) {
		n = operator("*", n, one)
	}
	t.args = []*termSyntax{n}
	if len(of.args) > 1 {
		t.args = append(t.args, multiplied(by, of.args[1]))
	}
	return &t
}

func (p *parser) comparison(e *sqlparser.ComparisonExpr) *termSyntax {
	left := p.term(e.Left)
	if list, ok := e.Right.(sqlparser.ValTuple); ok {
		args := []*termSyntax{left}
		for _, v := range list {
			args = append(args, p.term(v))
		}
		return negation(operator("in", args...), e.Operator == sqlparser.NotInStr)
	}
	return operator(strings.Replace(e.Operator, "!=", "<>", 1), left, p.term(e.Right))
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

// caseOf yields operator "case": condition, value, …, and the last value, if any.
func (p *parser) caseOf(e *sqlparser.CaseExpr) *termSyntax {
	t := &termSyntax{kind: termOperator, name: "case"}
	var of *termSyntax
	if e.Expr != nil {
		of = p.term(e.Expr)
	}
	for _, w := range e.Whens {
		condition := p.term(w.Cond)
		if of != nil {
			condition = operator("=", of, condition)
		}
		t.args = append(t.args, condition, p.term(w.Val))
	}
	if e.Else != nil {
		t.args = append(t.args, p.term(e.Else))
	}
	t.at = t.args[0].at
	return t
}
