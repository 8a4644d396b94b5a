package syntax

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xwb1989/sqlparser"
)

// sequence is an expression whose precedence is not settled yet: operands with binary
// operators between them and unary ones before them. sqlparser reads it with :v0, :v1, …
// in place of the operands. The operators are and, or, not, and those of arithmetic; for
// these the grammar of MySQL, which sqlparser has, agrees with PostgreSQL's.
type sequence struct {
	operands  []*Expr
	operators int
	last      string          // the operator that was added last
	frugal    bool            // one operator is read without sqlparser
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

// maxSettled is how many sequences of a statement sqlparser reads although they have one operator only.
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

// single returns the tree of one operator, for which there is no precedence to settle; nil where sqlparser names it. A
// parser of sqlparser's takes 25 kB, and a statement may have thousands of operators in parentheses.
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

// chain lists the operands of a AND b AND …, which the grammar nests to the left as
// deep as there are operands.
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
