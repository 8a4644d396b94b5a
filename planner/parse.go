package planner

import "github.com/intramuros/intramuros/internal/value"

// parser reads one statement by recursive descent. It leaves the precedence of AND, OR, NOT
// and of arithmetic to a grammar; see sequence.
type parser struct {
	tokens  []token
	i       int         // the token to read next
	partner map[int]int // of an opening parenthesis, the closing one

	statement *statementSyntax
	schemas   map[string]token // the schema that each table is read from
	common    []string         // names of WITH in scope
	windows   windowScope      // of the SELECT that is being read
	unnamed   []baseWindow     // windows of the query being read that refer to another by name
	first     *termSyntax      // what DISTINCT ON keeps of the last SELECT
	marker    byte             // how parameters are written: ?, $ or :
	reordered bool             // a NATURAL join of the FROM that is being read has its tables in another order
	tables    int              // how many have been read
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
