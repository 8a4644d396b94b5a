package scalar

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

func (c *call) isNull() *expr.Expr {
	if len(c.Args) == 1 {
		return Apply(c.At, expr.OpIsNull, c.resolve(c.Args[0]))
	}
	return Apply(c.At, expr.OpCoalesce, c.unified()...)
}

func (c *call) nullIf() *expr.Expr {
	args := c.unified()
	same := Apply(c.At, expr.OpEqual, args...)
	return Apply(c.At, expr.OpCase, same, nothing(args[0].Type), args[0])
}

func (c *call) nvl2() *expr.Expr {
	values := Unified(c.Args[1:], c.resolve)
	return Apply(c.At, expr.OpCase, Apply(c.At, expr.OpIsNull, c.resolve(c.Args[0])), values[1], values[0])
}

func (c *call) choose() *expr.Expr { // the condition does not count for the common type
	return Apply(c.At, expr.OpCase, append([]*expr.Expr{c.as(0, value.TypeBool)}, Unified(c.Args[1:], c.resolve)...)...)
}

// decode compares as Oracle does: NULL equals NULL.
func (c *call) decode() *expr.Expr {
	var results []*syntax.Expr
	for i := 2; i < len(c.Args); i += 2 {
		results = append(results, c.Args[i])
	}
	if len(c.Args)%2 == 0 {
		results = append(results, c.Args[len(c.Args)-1])
	} else {
		results = append(results, &syntax.Expr{Kind: syntax.Literal, At: c.At})
	}
	values := Unified(results, c.resolve)
	var args []*expr.Expr
	for i := 1; i+1 < len(c.Args); i += 2 {
		pair := Unified([]*syntax.Expr{c.Args[0], c.Args[i]}, c.resolve)
		same := Apply(c.At, expr.OpNot, Apply(c.At, expr.OpDistinct, pair...))
		args = append(args, same, values[i/2])
	}
	return Apply(c.At, expr.OpCase, append(args, values[len(values)-1])...)
}
