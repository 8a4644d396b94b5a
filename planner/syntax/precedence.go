package syntax

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xwb1989/sqlparser"
)

// sequence is an expression whose precedence is not decided yet: operands with binary operators between them and unary
// operators before them. sqlparser reads it with :v0, :v1, … instead of the operands. The operators are and, or, not
// and arithmetic. For these, sqlparser's MySQL grammar agrees with PostgreSQL's.
type sequence struct {
	operands  []*Expr
	operators int
	last      string          // the last operator added
	frugal    bool            // a single operator is read without sqlparser
	text      strings.Builder // :v0 + :v1 * - :v2
	dialect   differences
}

func (s *sequence) operator(name string) {
	s.operators++
	s.last = name
	s.text.WriteString(name + " ")
}

func (s *sequence) operand(t *Expr) {
	s.text.WriteString(":v" + strconv.Itoa(len(s.operands)) + " ")
	s.operands = append(s.operands, t)
}

// maxSettled is how many sequences with a single operator sqlparser reads in one statement.
const maxSettled = 64

// settle returns the tree of a sequence.
func (p *parser) settle(s *sequence) *Expr {
	if s.operators > 0 {
		p.settled++
	}
	s.frugal, s.dialect = p.settled > maxSettled, p.dialect
	return s.precedence()
}

// precedence returns the tree of the sequence.
func (s *sequence) precedence() *Expr {
	switch s.operators {
	case 0:
		return s.operands[0]
	case 1:
		if s.frugal {
			if x := s.single(); x != nil {
				return x
			}
		}
	}
	statement, err := sqlparser.Parse("select " + s.text.String())
	if err != nil {
		panic("planner: sqlparser does not read " + s.text.String())
	}
	return s.tree(statement.(*sqlparser.Select).SelectExprs[0].(*sqlparser.AliasedExpr).Expr)
}

// single returns the tree of one operator, for which precedence does not matter. It returns nil if sqlparser has its
// own name for it. sqlparser allocates 25 kB for each parse, and a statement may have thousands of operators in
// parentheses.
func (s *sequence) single() *Expr {
	x := s.operands[0]
	if len(s.operands) == 1 {
		switch s.last {
		case "not":
			return NewOperator("not", x)
		case "-":
			return negative(x)
		case "+":
			return x
		}
		return nil
	}
	switch y := s.operands[1]; s.last {
	case "*":
		return multiplied(x, y)
	case "/":
		return s.dialect.division(x, y)
	case "and", "or", "+", "-", "%":
		return NewOperator(s.last, x, y)
	}
	return nil
}

func (s *sequence) tree(e sqlparser.Expr) *Expr {
	switch e := e.(type) {
	case *sqlparser.AndExpr:
		return NewOperator("and", s.chain(e, func(e sqlparser.Expr) (left, right sqlparser.Expr) {
			if and, ok := e.(*sqlparser.AndExpr); ok {
				return and.Left, and.Right
			}
			return nil, e
		})...)
	case *sqlparser.OrExpr:
		return NewOperator("or", s.chain(e, func(e sqlparser.Expr) (left, right sqlparser.Expr) {
			if or, ok := e.(*sqlparser.OrExpr); ok {
				return or.Left, or.Right
			}
			return nil, e
		})...)
	case *sqlparser.NotExpr:
		return NewOperator("not", s.tree(e.Expr))
	case *sqlparser.BinaryExpr:
		x, y := s.tree(e.Left), s.tree(e.Right)
		switch e.Operator {
		case sqlparser.MultStr:
			return multiplied(x, y)
		case sqlparser.DivStr:
			return s.dialect.division(x, y)
		}
		return NewOperator(e.Operator, x, y)
	case *sqlparser.UnaryExpr:
		x := s.tree(e.Expr)
		if e.Operator == sqlparser.UMinusStr {
			return negative(x)
		}
		return x
	case *sqlparser.SQLVal:
		if i, err := strconv.Atoi(strings.TrimPrefix(string(e.Val), ":v")); err == nil {
			return s.operands[i]
		}
	}
	panic("planner: sqlparser read " + s.text.String() + " as something else")
}

// chain lists the operands of a AND b AND …. The grammar nests them to the left, one level for each operand.
func (s *sequence) chain(e sqlparser.Expr, split func(sqlparser.Expr) (left, right sqlparser.Expr)) []*Expr {
	var args []*Expr
	for e != nil {
		var last sqlparser.Expr
		e, last = split(e)
		args = append(args, s.tree(last))
	}
	slices.Reverse(args)
	return args
}
