package scalar

import (
	"math"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

func (c *call) trim() *expr.Expr {
	x, characters := c.text(0), textual(" ")
	if len(c.Args) == 2 {
		characters = c.constantText(1, "write the characters as a string")
	}
	if c.Name != "ltrim" {
		x = c.op(expr.OpRightTrim, x, characters)
	}
	if c.Name != "rtrim" {
		x = c.op(expr.OpLeftTrim, x, characters)
	}
	return x
}

// atLeast refuses a constant below a limit, where databases differ. Values in rows follow the SQL standard.
func (c *call) atLeast(i int, least int64, hint string) *expr.Expr {
	e := c.int(i)
	if e.Op == expr.OpLiteral && !e.Value.IsNull() && e.Value.Int64() < least {
		c.refuse(i, hint, "databases differ in what %d means here", e.Value.Int64())
	}
	return e
}

func (c *call) substring() *expr.Expr {
	start := c.atLeast(1, 1, "count from 1; for the end of a text write RIGHT(s, n)")
	length := wholeNumber(math.MaxInt32)
	if len(c.Args) == 3 {
		length = c.atLeast(2, 0, "write a length of 0 or more")
	}
	return c.op(expr.OpSubstring, c.text(0), start, length)
}

func (c *call) left() *expr.Expr {
	return c.op(expr.OpSubstring, c.text(0), wholeNumber(1), c.atLeast(1, 0, "write a length of 0 or more"))
}

func (c *call) right() *expr.Expr {
	s, n := c.text(0), c.atLeast(1, 0, "write a length of 0 or more")
	start := c.op(expr.OpAdd, c.op(expr.OpSubtract, c.op(expr.OpLength, s), n), wholeNumber(1))
	return c.op(expr.OpSubstring, s, start, n)
}

func (c *call) pad() *expr.Expr {
	const hint = "write a whole number from 0 to 200, and a string"
	n := c.constant(1, hint)
	if n.Type() != value.TypeInt || n.Int64() < 0 || n.Int64() > 200 {
		c.refuse(1, hint, "the length is out of range")
	}
	fill := " "
	if len(c.Args) == 3 {
		if fill = c.constantText(2, hint).Value.Str(); fill == "" {
			c.refuse(2, hint, "there is nothing to fill with")
		}
	}
	length := expr.Literal(n)
	padding := textual(string([]rune(strings.Repeat(fill, int(n.Int64())))[:n.Int64()]))
	s := c.op(expr.OpSubstring, c.text(0), wholeNumber(1), length)
	if c.Name == "rpad" {
		return c.op(expr.OpSubstring, c.op(expr.OpConcat, s, padding), wholeNumber(1), length)
	}
	missing := c.op(expr.OpSubtract, length, c.op(expr.OpLength, s))
	return c.op(expr.OpConcat, c.op(expr.OpSubstring, padding, wholeNumber(1), missing), s)
}

// concatenate builds ||. If an operand is NULL, the result is NULL.
func (c *call) concatenate() *expr.Expr {
	var parts []*expr.Expr
	for i := range c.Args {
		if x := c.joined(i); x.Op == expr.OpConcat {
			parts = append(parts, x.Args...)
		} else {
			parts = append(parts, x)
		}
	}
	return c.op(expr.OpConcat, parts...)
}

// concat builds CONCAT. A NULL adds nothing.
func (c *call) concat() *expr.Expr {
	parts := make([]*expr.Expr, len(c.Args))
	for i := range c.Args {
		parts[i] = c.joined(i)
		if parts[i].Op != expr.OpLiteral || parts[i].Value.IsNull() {
			parts[i] = c.op(expr.OpCoalesce, parts[i], textual(""))
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return c.op(expr.OpConcat, parts...)
}

func (c *call) replace() *expr.Expr {
	const hint = "write both as strings"
	return c.op(expr.OpReplace, c.text(0), c.constantText(1, hint), c.constantText(2, hint))
}

func (c *call) position(part, within int) *expr.Expr {
	return c.op(expr.OpPosition, c.text(part), c.text(within))
}

func (c *call) splitPart() *expr.Expr {
	const hint = "write SPLIT_PART(s, ',', 1), counting from 1"
	return c.op(expr.OpSplit, c.text(0), c.constantText(1, hint), expr.Literal(c.constant(2, hint)))
}

func (c *call) ilike() *expr.Expr {
	pattern := c.constantText(1, "write the pattern as a string")
	return c.op(expr.OpLike, c.op(expr.OpLower, c.text(0)), c.op(expr.OpLower, pattern))
}

func (c *call) regexp() *expr.Expr {
	pattern := c.constantText(1, "write the pattern as a string")
	portable, err := expr.Regexp(pattern.Value.Str(), c.Name == "iregexp")
	if err != nil {
		Mistyped(c.Args[1].At, err, "see the reference for what patterns hold")
	}
	return c.op(expr.OpRegexp, c.text(0), textual(portable))
}
