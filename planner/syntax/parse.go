package syntax

import "github.com/intramuros/intramuros/internal/value"

// parser reads one statement by recursive descent. It leaves the precedence of AND, OR, NOT
// and of arithmetic to a grammar; see sequence.
type parser struct {
	tokens  []token
	i       int         // the token to read next
	partner map[int]int // of an opening parenthesis, the closing one

	statement *Statement
	schemas   map[string]token // the schema that each table is read from
	common    []string         // names of WITH in scope
	windows   windowScope      // of the SELECT that is being read
	unnamed   []baseWindow     // windows of the query being read that refer to another by name
	settled   int              // sequences of operators that sqlparser has read
	first     *Expr            // what DISTINCT ON keeps of the last SELECT
	marker    byte             // how parameters are written: ?, $ or :
	reordered bool             // a NATURAL join of the FROM that is being read has its tables in another order
	semi      []*Expr          // what SEMI and ANTI joins of the FROM that is being read require
	fullJoins int              // how many have been read
	tables    int              // how many have been read
	inner     int              // how many parentheses the query being read stands in
	depth     int              // of expressions being read
	dialect   differences
}

// Parse reads one statement of PostgreSQL's dialect. The error is always an *Error.
func Parse(sql string) (s *Statement, err error) { return ParseIn(sql, PostgreSQL) }

// ParseIn reads one statement of a dialect; the zero value is PostgreSQL's. What the dialect decides is decided here: the
// statement has one meaning. The error is always an *Error.
func ParseIn(sql string, d Dialect) (s *Statement, err error) {
	defer Catch(&err)
	d, ok := ParseDialect(string(d))
	if !ok {
		Refuse(CodeParameter, Position{Line: 1, Column: 1}, "write postgres, mysql, bigquery, snowflake, tsql or spark",
			"there is no dialect %q", d)
	}
	p := &parser{tokens: scan(sql, dialects[d]), schemas: map[string]token{}, dialect: dialects[d]}
	p.partner = partners(p.tokens)
	p.statement = &Statement{Kind: KindSelect, At: p.tokens[0].at}
	p.read()
	return p.statement, nil
}

func negation(t *Expr, negated bool) *Expr {
	if negated {
		return NewOperator("not", t)
	}
	return t
}

// IsComparison reports whether the name is =, <> or their like.
func IsComparison(name string) bool { return comparisons[name] }

// IsArithmetic reports whether the name is +, DIV or their like.
func IsArithmetic(name string) bool { return arithmetic[name] }

var comparisons = map[string]bool{"=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}
var arithmetic = map[string]bool{"+": true, "-": true, "*": true, "/": true, Divide: true, "div": true, "%": true}

// negative is -x.
func negative(x *Expr) *Expr {
	switch {
	case x.Kind == Interval:
		t := *x
		t.Args = nil
		for _, a := range x.Args {
			t.Args = append(t.Args, negative(a))
		}
		return &t
	case x.Kind == Literal && x.Literal.Type() == value.TypeInt:
		return NewLiteral(x.At, value.Int(-x.Literal.Int64()))
	case x.Kind == Literal && x.Literal.Type() == value.TypeFloat:
		return NewLiteral(x.At, value.Float(-x.Literal.Float64()))
	}
	return NewOperator("neg", x)
}

// multiplied is x * y; n * INTERVAL '1' DAY is an interval of n days.
func multiplied(x, y *Expr) *Expr {
	of, n := x, y
	if y.Kind == Interval {
		of, n = y, x
	}
	if of.Kind != Interval || n.Kind == Interval {
		return NewOperator("*", x, y)
	}
	t := *of
	by := n
	if one := of.Args[0]; one.Kind != Literal || one.Literal != value.Int(1) {
		n = NewOperator("*", n, one)
	}
	t.Args = []*Expr{n}
	if len(of.Args) > 1 {
		t.Args = append(t.Args, multiplied(by, of.Args[1]))
	}
	return &t
}
