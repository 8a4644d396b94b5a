package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
)

// Guards read their operand several times. Written out, an operand would double with each operation around it, and
// engines take more than linear time for nested expressions: DuckDB's optimizer took minutes for a statement of 150
// characters. So a long operand that is read more than once gets a name (LET), in each engine's way, and the SQL grows
// in proportion to the expression.

// maxRepeated is the length up to which SQL may be written more than once.
const maxRepeated = 160

// let gives an operand a name.
type let struct{ name, operand string }

// mark stands before a name of let until the SQL is complete. Names are searched in the SQL and replaced. A
// researcher's text may look like such a name and must not be replaced, since the replacement would stand outside of
// its quotes. Text and Name refuse this character, so only variable writes it.
const mark = "\x00"

func (c *compiler) variable() string {
	*c.variables++
	return mark + "let" + strconv.Itoa(*c.variables) + "_"
}

// newline stands for a line feed within a text or a name until the SQL is complete. Otherwise indent would add blanks
// behind it.
const newline = mark + "n"

// inLine protects quoted text from indent.
func inLine(quoted string) string { return strings.ReplaceAll(quoted, "\n", newline) }

// unmarked returns complete SQL as an engine reads it.
func unmarked(sql string) string {
	return strings.ReplaceAll(strings.ReplaceAll(sql, newline, "\n"), mark, "")
}

// repeated gives names to long arguments that the format reads more than once. It also returns the function that puts
// these names around the SQL.
func (c *compiler) repeated(format string, args []any) ([]any, func(string) string) {
	var lets []let
	if !c.aggregating {
		for i, a := range args {
			s, ok := a.(string)
			if !ok || len(s) <= maxRepeated || strings.Count(format, fmt.Sprintf("%%[%d]s", i+1)) < 2 {
				continue
			}
			if lets == nil {
				args = append([]any(nil), args...)
			}
			lets = append(lets, let{c.variable(), s})
			args[i] = lets[len(lets)-1].name
		}
	}
	return args, func(body string) string {
		for _, l := range lets {
			body = fmt.Sprintf(c.target.Dialect.let, l.name, l.operand, body)
		}
		return body
	}
}

// shared returns a CASE and its arguments. If the value and the condition's operand are the same expression, as in
// NULLIF, it occurs once. An operand comes before the condition that reads it.
func shared(e *expr.Expr) (*expr.Expr, []*expr.Expr) {
	if e.Op != expr.OpCase {
		return e, e.Args
	}
	copied, first := *e, []*expr.Expr(nil)
	copied.Args = slices.Clone(e.Args)
	for i := 0; i+1 < len(e.Args); i += 2 {
		condition := *e.Args[i]
		condition.Args = slices.Clone(condition.Args)
		for j, operand := range condition.Args {
			for _, v := range []*expr.Expr{e.Args[i+1], e.Args[len(e.Args)-1]} {
				if len(operand.Args) > 0 && operand.Equal(v) {
					condition.Args[j] = v
					copied.Args[i] = &condition
					first = append(first, v)
					break
				}
			}
		}
	}
	return &copied, append(first, copied.Args...)
}

// bindRepeated writes an expression in which each long argument occurs once.
func (c *compiler) bindRepeated(e *expr.Expr) code {
	e, args := shared(e)
	var lets []let
	var bound []*expr.Expr
	defer func() {
		for _, a := range bound {
			delete(c.bound, a)
		}
	}()
	for _, a := range args {
		if _, ok := c.bound[a]; ok || a.Op == expr.OpLiteral || a.Op == expr.OpColumn {
			continue
		}
		x := c.bindRepeated(a)
		if len(x.sql) > maxRepeated {
			lets = append(lets, let{c.variable(), x.sql})
			x.sql = lets[len(lets)-1].name
		}
		c.bound[a] = x
		bound = append(bound, a)
	}
	x := c.operation(e)
	for _, l := range slices.Backward(lets) { // an argument may read one before it, which is a part of it
		switch strings.Count(x.sql, l.name) {
		case 0:
		case 1:
			x.sql = strings.Replace(x.sql, l.name, l.operand, 1)
		default:
			x.sql = fmt.Sprintf(c.target.Dialect.let, l.name, l.operand, x.sql)
		}
	}
	if *c.written += len(x.sql); c.err == nil && (len(x.sql) > c.target.Dialect.maxSQL || *c.written > maxWritten) {
		c.fail(tooLarge(e))
	}
	if c.err != nil {
		return code{sql: "NULL"}
	}
	return x
}
