package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

var logic = map[expr.Op]written{
	expr.OpColumn:  {duckDB: (*compiler).column},
	expr.OpLiteral: {duckDB: func(c *compiler, e *expr.Expr) code { return c.literal(*e.Value, false) }},
	expr.OpHospital: {duckDB: func(c *compiler, _ *expr.Expr) code {
		return c.literal(value.Text(c.target.Hospital), false)
	}},
	expr.OpAnd:    {duckDB: connective(" AND ")},
	expr.OpOr:     {duckDB: connective(" OR ")},
	expr.OpNot:    {duckDB: template("(NOT %s)")},
	expr.OpIsNull: {duckDB: (*compiler).isNull},

	expr.OpEqual:          {duckDB: (*compiler).comparison},
	expr.OpNotEqual:       {duckDB: (*compiler).comparison},
	expr.OpLess:           {duckDB: (*compiler).comparison},
	expr.OpLessOrEqual:    {duckDB: (*compiler).comparison},
	expr.OpGreater:        {duckDB: (*compiler).comparison},
	expr.OpGreaterOrEqual: {duckDB: (*compiler).comparison},
	expr.OpDistinct: {duckDB: func(c *compiler, e *expr.Expr) code {
		return c.f("(%s IS DISTINCT FROM %s)", c.compared(e.Args[0], e.Args[1]), c.compared(e.Args[1], e.Args[0]))
	}},
	expr.OpIn: {duckDB: (*compiler).in},

	expr.OpCase: {duckDB: (*compiler).conditional},
	expr.OpCoalesce: {
		duckDB: func(c *compiler, e *expr.Expr) code {
			return c.f("coalesce(%s)", strings.Join(c.alternatives(e), ", "))
		},
		trino: func(c *compiler, e *expr.Expr) code {
			if len(e.Args) == 1 {
				return c.as(e.Args[0], e.Type)
			}
			return c.f("coalesce(%s)", strings.Join(c.alternatives(e), ", "))
		},
	},
	expr.OpLeast:    {duckDB: func(c *compiler, e *expr.Expr) code { return c.f("%s", c.target.Dialect.least(c.alternatives(e))) }},
	expr.OpGreatest: {duckDB: func(c *compiler, e *expr.Expr) code { return c.f("%s", c.target.Dialect.greatest(c.alternatives(e))) }},
}

func connective(operator string) write {
	return func(c *compiler, e *expr.Expr) code { return c.f("(%s)", strings.Join(c.each(e.Args), operator)) }
}

// alternatives writes the arguments of an operation that returns one of them.
func (c *compiler) alternatives(e *expr.Expr) []string {
	var args []string
	for _, a := range e.Args {
		args = append(args, c.byBytes(c.finite(c.as(a, e.Type)).sql, e.Type))
	}
	return args
}

func (c *compiler) isNull(e *expr.Expr) code {
	x := c.expr(e.Args[0])
	if isText(e.Args[0]) {
		x.sql = c.comparable(e.Args[0])
	}
	if x.maybeNonFinite {
		return c.f("CASE WHEN %s THEN false ELSE true END", fmt.Sprintf(c.target.Dialect.finite, x.sql))
	}
	return c.f("(%s IS NULL)", x.sql)
}

// compared writes one side of a comparison with the other.
func (c *compiler) compared(e, other *expr.Expr) string {
	switch {
	case other.Type == value.TypeFloat:
		return c.finite(c.real(e)).sql
	case e.Op == expr.OpLiteral:
		return c.literal(*e.Value, true).sql
	case other.Op == expr.OpLiteral:
		return c.unclamped(e, []*expr.Expr{other})
	}
	return c.comparable(e)
}

// unclamped reads a column without clamping it, if it is compared only with constants strictly within its bounds.
// Clamping is monotone, so the outcome is the same, and the database can skip blocks of rows by their minimum and
// maximum.
func (c *compiler) unclamped(e *expr.Expr, constants []*expr.Expr) string {
	if e.Op != expr.OpColumn || e.Type == value.TypeFloat || e.Type == value.TypeText {
		return c.comparable(e)
	}
	s, col := c.storedColumn(e)
	if !col.Lower.Valid() {
		return c.finiteOrNull(e)
	}
	for _, a := range constants {
		if a.Type != e.Type || !a.Value.IsNull() && (value.Compare(*a.Value, col.Lower) <= 0 || value.Compare(*a.Value, col.Upper) >= 0) {
			return c.finiteOrNull(e)
		}
	}
	return s
}

// indexed writes that the text x is equal to one of constants, none of them NULL. For a stored column it adds the same
// test in the column's own collation, which its index has. Texts of equal bytes are equal in every collation. Texts
// that differ, and are equal in a collation that ignores case, fail the second test.
func (c *compiler) indexed(e *expr.Expr, x, equal, constants string) code {
	test := c.f("(%s %s %s)", x, equal, constants)
	if c.target.Dialect.collate == "" || e.Op != expr.OpColumn || e.Type != value.TypeText || c.derived[e.Relation] {
		return test
	}
	s, _ := c.storedColumn(e)
	return c.f("(%s %s %s AND CASE WHEN %s THEN true ELSE %s IS NULL END)", s, equal, constants, test.sql, s)
}

func (c *compiler) comparison(e *expr.Expr) code {
	a, b := e.Args[0], e.Args[1]
	x, y := c.compared(a, b), c.compared(b, a)
	switch {
	case e.Op != expr.OpEqual && e.Op != expr.OpNotEqual:
		x = c.byBytes(x, a.Type)
	case e.Op == expr.OpEqual && b.Op == expr.OpLiteral && !b.Value.IsNull():
		return c.indexed(a, x, "=", y)
	case e.Op == expr.OpEqual && a.Op == expr.OpLiteral && !a.Value.IsNull():
		return c.indexed(b, y, "=", x)
	}
	return c.f("(%s %s %s)", x, string(e.Op), y)
}

func (c *compiler) in(e *expr.Expr) code {
	x, constants := e.Args[0], e.Args[1:]
	if x.Type != value.TypeInt && x.Type != value.TypeFloat {
		sql := c.unclamped(x, constants)
		if slices.ContainsFunc(constants, func(a *expr.Expr) bool { return a.Value.IsNull() }) {
			return c.among(sql, constants)
		}
		return c.indexed(x, sql, "IN", c.list(constants))
	}
	var whole, real []*expr.Expr
	for _, a := range constants {
		if x.Type == value.TypeInt && a.Type == value.TypeInt {
			whole = append(whole, a)
		} else {
			real = append(real, expr.Literal(widen(*a.Value)))
		}
	}
	var tests []string
	if len(whole) > 0 {
		tests = append(tests, c.among(c.unclamped(x, whole), whole).sql)
	}
	if len(real) > 0 {
		tests = append(tests, c.among(c.finite(c.real(x)).sql, real).sql)
	}
	if len(tests) == 1 {
		return code{sql: tests[0]}
	}
	return c.f("(%s OR %s)", tests[0], tests[1])
}

func widen(v value.Value) value.Value {
	if v.IsNull() {
		return value.Null(value.TypeFloat)
	}
	return value.Float(v.Float64())
}

func (c *compiler) among(x string, constants []*expr.Expr) code {
	return c.f("(%s IN %s)", x, c.list(constants))
}

// list writes constants for IN.
func (c *compiler) list(constants []*expr.Expr) string {
	list := make([]string, len(constants))
	for i, a := range constants {
		list[i] = c.literal(*a.Value, true).sql
	}
	return "(" + strings.Join(list, ", ") + ")"
}

func (c *compiler) conditional(e *expr.Expr) code {
	var b strings.Builder
	maybeNonFinite := false
	branch := func(a *expr.Expr) string {
		x := c.as(a, e.Type)
		maybeNonFinite = maybeNonFinite || x.maybeNonFinite
		return x.sql
	}
	for i := 0; i+1 < len(e.Args); i += 2 {
		b.WriteString(" WHEN " + c.finiteOrNull(e.Args[i]) + " THEN " + branch(e.Args[i+1]))
	}
	x := c.f("CASE%s ELSE %s END", b.String(), branch(e.Args[len(e.Args)-1]))
	x.maybeNonFinite = maybeNonFinite
	return x
}
