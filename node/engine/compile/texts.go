package compile

import (
	"math"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

var texts = map[expr.Op]written{
	expr.OpConcat: {duckDB: (*compiler).concat},
	expr.OpLower: {
		duckDB:     letters(expr.UpperLetters, expr.LowerLetters, "strlen(%[1]s)"),
		postgreSQL: postgresLetters(expr.UpperLetters, expr.LowerLetters),
		trino:      letters(expr.UpperLetters, expr.LowerLetters, "length(to_utf8(%[1]s))"),
	},
	expr.OpUpper: {
		duckDB:     letters(expr.LowerLetters, expr.UpperLetters, "strlen(%[1]s)"),
		postgreSQL: postgresLetters(expr.LowerLetters, expr.UpperLetters),
		trino:      letters(expr.LowerLetters, expr.UpperLetters, "length(to_utf8(%[1]s))"),
	},
	// TRIM(LEADING … FROM …) means the same, but old versions of Trino do not know it.
	expr.OpLeftTrim:  {duckDB: template("ltrim(%s, %s)")},
	expr.OpRightTrim: {duckDB: template("rtrim(%s, %s)")},
	expr.OpSubstring: {duckDB: (*compiler).substring, postgreSQL: (*compiler).postgresSubstring},
	expr.OpLength: {
		duckDB: func(c *compiler, e *expr.Expr) code { return c.f("length(%s)", c.comparable(e.Args[0])) },
		postgreSQL: func(c *compiler, e *expr.Expr) code {
			return c.f("CAST(length(%s) AS BIGINT)", c.comparable(e.Args[0]))
		},
	},
	expr.OpReplace: {duckDB: (*compiler).replace},
	expr.OpPosition: {
		duckDB: func(c *compiler, e *expr.Expr) code {
			return c.f("strpos(%s, %s)", c.comparable(e.Args[1]), c.comparable(e.Args[0]))
		},
		postgreSQL: func(c *compiler, e *expr.Expr) code {
			return c.f("CAST(strpos(%s, %s) AS BIGINT)", c.byBytes(c.comparable(e.Args[1]), value.TypeText), c.comparable(e.Args[0]))
		},
	},
	expr.OpSplit: {
		// DuckDB's split_part is a macro for this, but reads its text twice, which would double the SQL at each level.
		duckDB:     split("CASE WHEN %[1]s IS NOT NULL THEN coalesce(string_split(%[1]s, %[2]s)[%[3]s], '') END"),
		postgreSQL: (*compiler).postgresSplit,
		trino:      split("CASE WHEN %[1]s IS NOT NULL THEN coalesce(split_part(%[1]s, %[2]s, %[3]s), '') END"),
	},

	expr.OpLike: {duckDB: (*compiler).like},
	expr.OpRegexp: {
		duckDB: template("regexp_matches(%s, %s)"),
		postgreSQL: func(c *compiler, e *expr.Expr) code {
			return c.f("(%s ~ %s)", c.byBytes(c.finiteOrNull(e.Args[0]), value.TypeText), c.literal(*e.Args[1].Value, false).sql)
		},
		trino: func(c *compiler, e *expr.Expr) code {
			return c.f("regexp_like(%s, %s)", c.finiteOrNull(e.Args[0]), c.literal(value.Text(javaPattern(e.Args[1].Value.Str())), false).sql)
		},
	},
}

// cutToRoom writes a text, cut to the length that a text operation has room for.
func (c *compiler) cutToRoom(e *expr.Expr) string {
	if e.Op == expr.OpColumn {
		return c.cut(c.comparable(e), e, expr.MaxGrown)
	}
	return c.cut(c.finiteOrNull(e), e, expr.MaxGrown)
}

// concat joins texts. It cuts a result as soon as it may be longer than MaxGrown, so that no step gets much longer.
func (c *compiler) concat(e *expr.Expr) code {
	all, longest := c.cutToRoom(e.Args[0]), min(e.Args[0].Longest(), expr.MaxGrown)
	for _, a := range e.Args[1:] {
		all = c.f("%s || %s", all, c.cutToRoom(a)).sql
		if longest += min(a.Longest(), expr.MaxGrown); longest > expr.MaxGrown {
			all, longest = c.f("substring(%s, 1, %s)", all, strconv.Itoa(expr.MaxGrown)).sql, expr.MaxGrown
		}
	}
	return c.f("(%s)", all)
}

// letters replaces letters by others. The engine's own function maps more letters than are wanted. For ASCII texts it
// is right and faster than looking up each character.
func letters(from, to, bytes string) write {
	return func(c *compiler, e *expr.Expr) code {
		return c.f("CASE WHEN "+bytes+" = length(%[1]s) THEN %[2]s(%[1]s) ELSE translate(%[1]s, '%[3]s', '%[4]s') END",
			c.finiteOrNull(e.Args[0]), string(e.Op), from, to)
	}
}

// postgresLetters is letters for PostgreSQL. With COLLATE "C" its own function maps only the 26 ASCII letters, so
// translate maps the others.
func postgresLetters(from, to string) write {
	return func(c *compiler, e *expr.Expr) code {
		return c.f("translate(%s(%s), '%s', '%s')", string(e.Op), c.byBytes(c.finiteOrNull(e.Args[0]), value.TypeText), from[26:], to[26:])
	}
}

func (c *compiler) replace(e *expr.Expr) code {
	from, to := c.literal(*e.Args[1].Value, false).sql, c.literal(*e.Args[2].Value, false).sql
	if !e.Grows() {
		return c.f("replace(%s, %s, %s)", c.finiteOrNull(e.Args[0]), from, to)
	}
	return c.f("substring(replace(%s, %s, %s), 1, %s)", c.cutToRoom(e.Args[0]), from, to, strconv.Itoa(expr.MaxGrown))
}

// split writes SPLIT_PART in a form with a text, the separator and the number of the part.
func split(form string) write {
	return func(c *compiler, e *expr.Expr) code {
		return c.f(form, c.finiteOrNull(e.Args[0]), c.literal(*e.Args[1].Value, false).sql, strconv.FormatInt(e.Args[2].Value.Int64(), 10))
	}
}

func (c *compiler) postgresSplit(e *expr.Expr) code {
	if n := e.Args[2].Value.Int64(); n > math.MaxInt32 {
		return c.f("left(%s, 0)", c.finiteOrNull(e.Args[0]))
	}
	return split("split_part(%s, %s, %s)")(c, e)
}

// longest exceeds the length of any text, and engines can count to it.
const longest = 1 << 31

// substring moves a start before the text to its beginning. Some engines would count such a start from the text's end.
func (c *compiler) substring(e *expr.Expr) code {
	x, start, length := c.finiteOrNull(e.Args[0]), e.Args[1], e.Args[2]
	if inside(c.facts(start), 1, longest) && inside(c.facts(length), 0, longest) {
		return c.f("substring(%s, %s, %s)", x, c.untypedLiteral(start), c.untypedLiteral(length))
	}
	// NULL stays NULL, unlike with LEAST and GREATEST.
	clamped := func(s string, lower int) string {
		return c.f("CASE WHEN %[1]s > %[2]s THEN %[2]s WHEN %[1]s < %[3]s THEN %[3]s ELSE TRY_CAST(%[1]s AS BIGINT) END", s, strconv.Itoa(longest), strconv.Itoa(lower)).sql
	}
	s, n := c.finiteOrNull(start), c.finiteOrNull(length)
	inner := c.f("substring(%s, %s, %s)", x, clamped(s, 1), clamped(n, 0))
	if c.facts(start).Lower >= 1 {
		return inner
	}
	rest := c.f("(CAST(%s AS %s) + %s - 1)", s, c.target.Dialect.wide, n).sql
	return c.f("CASE WHEN %[2]s >= 1 THEN %[3]s ELSE substring(%[1]s, 1, %[4]s) END", x, s, inner.sql, clamped(rest, 0))
}

func (c *compiler) untypedLiteral(e *expr.Expr) string {
	if e.Op == expr.OpLiteral {
		return c.literal(*e.Value, true).sql
	}
	return c.finiteOrNull(e)
}

// postgresSubstring is compiler.substring for PostgreSQL. There a length below 0 would raise, and positions have 32
// bits.
func (c *compiler) postgresSubstring(e *expr.Expr) code {
	x, start := c.finiteOrNull(e.Args[0]), c.facts(e.Args[1])
	s, n := c.finiteOrNull(e.Args[1]), c.finiteOrNull(e.Args[2])
	const most = 1 << 30
	clamped := func(sql string, f expr.Range, least int) string {
		if !inside(f, float64(least), most) {
			sql = c.f("CASE WHEN %[1]s > %[2]s THEN %[2]s WHEN %[1]s < %[3]s THEN %[3]s ELSE %[1]s END", sql, strconv.Itoa(most), strconv.Itoa(least)).sql
		}
		return c.f("CAST(%s AS INTEGER)", sql).sql
	}
	inner := c.f("substr(%s, %s, %s)", x, clamped(s, start, 1), clamped(n, c.facts(e.Args[2]), 0))
	if start.Lower >= 1 {
		return inner
	}
	rest := c.f("(CAST(%s AS NUMERIC) + %s - 1)", s, n).sql
	return c.f("CASE WHEN %s >= 1 THEN %s ELSE substr(%s, 1, %s) END", s, inner.sql, x, clamped(rest, expr.Range{Lower: math.Inf(-1), Upper: math.Inf(1)}, 0))
}

// like rewrites a pattern so that only %, _ and \ are escaped. If a _ follows several %, engines try every way to
// divide the text among them, which takes time exponential in their number. Such a pattern is written as a regular
// expression.
func (c *compiler) like(e *expr.Expr) code {
	if expr.SlowLike(e.Args[1].Value.Str()) {
		pattern, err := expr.LikeRegexp(e.Args[1].Value.Str())
		if err == nil {
			e, err = expr.New(expr.OpRegexp, e.Args[0], expr.Literal(value.Text(pattern)))
		}
		if err != nil {
			c.fail(err)
			return code{sql: "NULL"}
		}
		return c.expr(e)
	}
	var b strings.Builder
	escaped, special := false, false
	for _, r := range e.Args[1].Value.Str() {
		if !escaped && r == '\\' {
			escaped = true
			continue
		}
		if escaped && strings.ContainsRune(`%_\`, r) {
			b.WriteByte('\\')
			special = true
		}
		b.WriteRune(r)
		escaped = false
	}
	pattern, escape := c.literal(value.Text(b.String()), false).sql, ""
	if special {
		escape = ` ESCAPE '\'`
	}
	return c.f("(%s LIKE %s%s)", c.comparable(e.Args[0]), pattern, escape)
}

// javaPattern writes a portable regular expression for Java, where $ also matches before a final line feed. It writes
// "no character follows" instead. (\z means the same, but Trino's matcher overlooks it after a character of four
// bytes.)
func javaPattern(p string) string {
	var b strings.Builder
	escaped := false
	for _, r := range p {
		if r == '$' && !escaped {
			b.WriteString(`(?![\s\S])`)
		} else {
			b.WriteRune(r)
		}
		escaped = r == '\\' && !escaped
	}
	return b.String()
}
