package planner

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// scalar is a function of the values of one row.
type scalar struct {
	usage       string // as a person writes it
	least, most int    // arguments
	build       func(c *call) *expr.Expr
}

// call is a function, or an operator that is built like one, with its arguments.
type call struct {
	*syntax.Expr
	resolve func(*syntax.Expr) *expr.Expr
}

func newCall(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *call {
	known := map[*syntax.Expr]*expr.Expr{} // each argument is resolved once
	return &call{t, func(t *syntax.Expr) *expr.Expr {
		e, ok := known[t]
		if !ok {
			e = resolve(t)
			known[t] = e
		}
		return e
	}}
}

func (c *call) refuse(i int, hint, format string, args ...any) {
	refuse(CodeType, c.Args[i].At, hint, format, args...)
}

// op applies an operation; one of constants alone is computed here and now.
func (c *call) op(op expr.Op, args ...*expr.Expr) *expr.Expr {
	return folded(apply(c.At, op, args...))
}

func folded(e *expr.Expr) *expr.Expr {
	for _, a := range e.Args {
		if a.Op != expr.OpLiteral {
			return e
		}
	}
	return expr.Literal(expr.Evaluate(e, nil))
}

func (c *call) cast(e *expr.Expr, t value.Type) *expr.Expr {
	x, err := expr.Cast(e, t)
	if err != nil {
		mistyped(c.At, err, "")
	}
	if e.Type == t {
		return e
	}
	return folded(x)
}

// unified resolves all arguments to one type where they can have it.
func (c *call) unified() []*expr.Expr { return unified(c.Args, c.resolve) }

// as resolves argument i, which is of type t if it is a NULL and nothing tells.
func (c *call) as(i int, t value.Type) *expr.Expr {
	e := c.resolve(c.Args[i])
	if isFree(e) {
		return expr.Literal(value.Null(t))
	}
	return e
}

func (c *call) number(i int) *expr.Expr {
	e := c.as(i, value.TypeFloat)
	if !e.Type.Numeric() {
		hint := ""
		if e.Type == value.TypeText {
			hint = "write CAST(" + e.String() + " AS float)"
		}
		c.refuse(i, hint, "%s needs a number, and this is a %s", strings.ToUpper(c.Name), e.Type)
	}
	return e
}

func (c *call) int(i int) *expr.Expr {
	e := c.as(i, value.TypeInt)
	if e.Type != value.TypeInt {
		c.refuse(i, "write CAST(x AS int)", "%s needs a whole number here, and this is a %s", strings.ToUpper(c.Name), e.Type)
	}
	return e
}

func (c *call) text(i int) *expr.Expr {
	e := c.as(i, value.TypeText)
	if e.Type != value.TypeText {
		c.refuse(i, "write CAST(x AS text)", "%s needs a text, and this is a %s", strings.ToUpper(c.Name), e.Type)
	}
	return e
}

// joined resolves an argument of || or CONCAT, which take whatever has one text form.
func (c *call) joined(i int) *expr.Expr {
	e := c.as(i, value.TypeText)
	switch e.Type {
	case value.TypeFloat:
		return c.digits(e)
	case value.TypeTimestamp:
		c.refuse(i, "write CAST(x AS date)", "engines write a %s as different texts", e.Type)
	}
	return c.cast(e, value.TypeText)
}

// day resolves a date or timestamp, which may be written as a string.
func (c *call) day(i int) *expr.Expr {
	e, a := c.as(i, value.TypeDate), c.Args[i]
	if a.Kind == syntax.Literal && a.Text {
		for _, t := range []value.Type{value.TypeDate, value.TypeTimestamp} {
			if v, err := value.Parse(t, a.Literal.Str()); err == nil {
				return expr.Literal(v)
			}
		}
		if at, ok := instant(a.Literal.Str()); ok && at.Int64()%day == 0 {
			return expr.Literal(atDay(at, value.TypeDate))
		}
		c.refuse(i, "write it as 2020-12-31", "%q is no date", a.Literal.Str())
	}
	if e.Type != value.TypeDate && e.Type != value.TypeTimestamp {
		hint := ""
		if e.Type == value.TypeText {
			hint = "write CAST(" + e.String() + " AS date)"
		}
		c.refuse(i, hint, "%s needs a date or a timestamp, and this is a %s", strings.ToUpper(c.Name), e.Type)
	}
	return e
}

// days resolves two dates or two timestamps; a date among timestamps becomes one.
func (c *call) days(i, k int) (a, b *expr.Expr) {
	a, b = c.day(i), c.day(k)
	if a.Type != b.Type {
		a, b = c.cast(a, value.TypeTimestamp), c.cast(b, value.TypeTimestamp)
	}
	return a, b
}

// constant resolves an argument that must be known before any row is read.
func (c *call) constant(i int, hint string) value.Value {
	e := c.resolve(c.Args[i])
	if e.Op != expr.OpLiteral || e.Value.IsNull() {
		c.refuse(i, hint, "%s takes a constant here", strings.ToUpper(c.Name))
	}
	return *e.Value
}

func (c *call) constantText(i int, hint string) *expr.Expr {
	v := c.constant(i, hint)
	if v.Type() != value.TypeText {
		c.refuse(i, hint, "%s takes a constant text here", strings.ToUpper(c.Name))
	}
	return expr.Literal(v)
}

func wholeNumber(n int64) *expr.Expr  { return expr.Literal(value.Int(n)) }
func textual(s string) *expr.Expr     { return expr.Literal(value.Text(s)) }
func nothing(t value.Type) *expr.Expr { return expr.Literal(value.Null(t)) }

// direct is a function that is an operation of the fragment.
func direct(op expr.Op, usage string, least, most int) scalar {
	return scalar{usage, least, most, func(c *call) *expr.Expr { return c.op(op, c.unified()...) }}
}

func ofNumber(op expr.Op, usage string) scalar {
	return scalar{usage, 1, 1, func(c *call) *expr.Expr { return c.op(op, c.number(0)) }}
}

func ofText(op expr.Op, usage string) scalar {
	return scalar{usage, 1, 1, func(c *call) *expr.Expr { return c.op(op, c.text(0)) }}
}

// field is a part of a date as a function: YEAR(d).
func field(f expr.Field, usage string) scalar {
	return scalar{usage, 1, 1, func(c *call) *expr.Expr { return c.field(f, 0) }}
}

// scalars is the one table of functions of a row; its keys are what a query may write. Its parts are what the functions work on.
var scalars = func() map[string]scalar {
	all := map[string]scalar{}
	for _, part := range scalarParts {
		maps.Copy(all, part.functions)
	}
	return all
}()

var scalarParts = []struct {
	of        Works
	functions map[string]scalar
}{{OnNumbers, numeric}, {OnAny, choices}, {OnTimes, temporal}, {OnTexts, ofTexts}}

var numeric = map[string]scalar{
	"abs": ofNumber(expr.OpAbs, "ABS(x)"), "floor": ofNumber(expr.OpFloor, "FLOOR(x)"),
	"ceil": ofNumber(expr.OpCeiling, "CEIL(x)"), "ceiling": ofNumber(expr.OpCeiling, "CEILING(x)"),
	"round": {"ROUND(x[, digits])", 1, 2, (*call).round},
	"trunc": {"TRUNC(x[, digits])", 1, 2, (*call).trunc}, "truncate": {"TRUNCATE(x[, digits])", 1, 2, (*call).trunc},
	"mod": direct(expr.OpModulo, "MOD(a, b)", 2, 2), "sign": {"SIGN(x)", 1, 1, (*call).sign},
	"sqrt": ofNumber(expr.OpSqrt, "SQRT(x)"), "exp": ofNumber(expr.OpExp, "EXP(x)"), "ln": ofNumber(expr.OpLn, "LN(x)"),
	"log10": ofNumber(expr.OpLog10, "LOG10(x)"), "log2": {"LOG2(x)", 1, 1, (*call).log2}, "log": {"LOG(base, x)", 1, 2, (*call).log},
	"power": {"POWER(x, y)", 2, 2, (*call).power}, "pow": {"POW(x, y)", 2, 2, (*call).power},
	"pi":           {"PI()", 0, 0, func(*call) *expr.Expr { return expr.Literal(value.Float(math.Pi)) }},
	"width_bucket": {"WIDTH_BUCKET(x, low, high, n)", 4, 4, (*call).widthBucket},
	"clamp":        {"CLAMP(x, low, high)", 3, 3, (*call).clamp},
}

var choices = map[string]scalar{
	"least": direct(expr.OpLeast, "LEAST(x, …)", 1, 100), "greatest": direct(expr.OpGreatest, "GREATEST(x, …)", 1, 100),
	"coalesce": direct(expr.OpCoalesce, "COALESCE(x, …)", 1, 100), "ifnull": direct(expr.OpCoalesce, "IFNULL(x, y)", 2, 2),
	"nvl": direct(expr.OpCoalesce, "NVL(x, y)", 2, 2), "isnull": {"ISNULL(x[, y])", 1, 2, (*call).isNull},
	"nullif": {"NULLIF(x, y)", 2, 2, (*call).nullIf}, "nvl2": {"NVL2(x, y, z)", 3, 3, (*call).nvl2},
	"if": {"IF(condition, x, y)", 3, 3, (*call).choose}, "iif": {"IIF(condition, x, y)", 3, 3, (*call).choose},
	"decode": {"DECODE(x, a, y, …, z)", 3, 100, (*call).decode},
}

var temporal = map[string]scalar{
	"extract": {"EXTRACT(field FROM d)", 2, 2, (*call).extract}, "date_part": {"DATE_PART('field', d)", 2, 2, (*call).extract},
	"datepart": {"DATEPART(field, d)", 2, 2, (*call).extract},
	"year":     field(expr.FieldYear, "YEAR(d)"), "quarter": field(expr.FieldQuarter, "QUARTER(d)"), "month": field(expr.FieldMonth, "MONTH(d)"),
	"week": field(expr.FieldWeek, "WEEK(d)"), "weekofyear": field(expr.FieldWeek, "WEEKOFYEAR(d)"),
	"day": field(expr.FieldDay, "DAY(d)"), "dayofmonth": field(expr.FieldDay, "DAYOFMONTH(d)"), "dayofyear": field(expr.FieldDOY, "DAYOFYEAR(d)"),
	"isodow": field(expr.FieldISODOW, "ISODOW(d)"), "isoyear": field(expr.FieldISOYear, "ISOYEAR(d)"),
	"hour": field(expr.FieldHour, "HOUR(t)"), "minute": field(expr.FieldMinute, "MINUTE(t)"), "second": field(expr.FieldSecond, "SECOND(t)"),
	"date_trunc": {"DATE_TRUNC('unit', d)", 2, 2, (*call).dateTrunc}, "datetrunc": {"DATETRUNC(unit, d)", 2, 2, (*call).dateTrunc},
	"date_add": {"DATE_ADD(d, INTERVAL n unit)", 2, 3, (*call).dateAdd}, "dateadd": {"DATEADD(unit, n, d)", 3, 3, (*call).dateAdd},
	"timestampadd": {"TIMESTAMPADD(unit, n, d)", 3, 3, (*call).dateAdd}, "date_sub": {"DATE_SUB(d, INTERVAL n unit)", 2, 2, (*call).dateSub},
	"datediff": {"DATEDIFF(unit, from, to)", 2, 3, (*call).dateDiff}, "date_diff": {"DATE_DIFF('unit', from, to)", 3, 3, (*call).dateDiff},
	"timestampdiff": {"TIMESTAMPDIFF(unit, from, to)", 3, 3, (*call).timestampDiff},
	"age_in_years":  {"AGE_IN_YEARS(birth, at)", 2, 2, (*call).ageInYears},
	"last_day":      {"LAST_DAY(d)", 1, 1, (*call).lastDay}, "eomonth": {"EOMONTH(d)", 1, 1, (*call).lastDay},
	"make_date": {"MAKE_DATE(year, month, day)", 3, 3, (*call).makeDate}, "datefromparts": {"DATEFROMPARTS(year, month, day)", 3, 3, (*call).makeDate},
	"make_timestamp": {"MAKE_TIMESTAMP(year, month, day, hour, minute, second)", 6, 6, (*call).makeTimestamp},
	"to_date":        {"TO_DATE(text, 'YYYY-MM-DD')", 1, 2, (*call).toDate}, "to_timestamp": {"TO_TIMESTAMP(text, 'YYYY-MM-DD HH24:MI:SS')", 2, 2, (*call).toTimestamp},
	"to_char": {"TO_CHAR(d, 'YYYY-MM')", 2, 2, (*call).toChar}, "date_format": {"DATE_FORMAT(d, '%Y-%m')", 2, 2, (*call).dateFormat},
	"strftime": {"STRFTIME(d, '%Y-%m')", 2, 2, (*call).dateFormat}, "format": {"FORMAT(d, 'yyyy-MM')", 2, 2, (*call).dateFormat},
	"date": {"DATE(x)", 1, 1, func(c *call) *expr.Expr { return c.cast(c.resolve(c.Args[0]), value.TypeDate) }},
}

var ofTexts = map[string]scalar{
	"lower": ofText(expr.OpLower, "LOWER(s)"), "lcase": ofText(expr.OpLower, "LCASE(s)"),
	"upper": ofText(expr.OpUpper, "UPPER(s)"), "ucase": ofText(expr.OpUpper, "UCASE(s)"),
	"length": ofText(expr.OpLength, "LENGTH(s)"), "char_length": ofText(expr.OpLength, "CHAR_LENGTH(s)"),
	"character_length": ofText(expr.OpLength, "CHARACTER_LENGTH(s)"),
	"trim":             {"TRIM(s[, characters])", 1, 2, (*call).trim}, "btrim": {"BTRIM(s[, characters])", 1, 2, (*call).trim},
	"ltrim": {"LTRIM(s[, characters])", 1, 2, (*call).trim}, "rtrim": {"RTRIM(s[, characters])", 1, 2, (*call).trim},
	"substring": {"SUBSTRING(s, start[, length])", 2, 3, (*call).substring}, "substr": {"SUBSTR(s, start[, length])", 2, 3, (*call).substring},
	"mid":  {"MID(s, start, length)", 3, 3, (*call).substring},
	"left": {"LEFT(s, n)", 2, 2, (*call).left}, "right": {"RIGHT(s, n)", 2, 2, (*call).right},
	"lpad": {"LPAD(s, n[, fill])", 2, 3, (*call).pad}, "rpad": {"RPAD(s, n[, fill])", 2, 3, (*call).pad},
	"concat": {"CONCAT(x, …)", 1, 60, (*call).concat}, "replace": {"REPLACE(s, 'from', 'to')", 3, 3, (*call).replace},
	"position":  {"POSITION(part IN s)", 2, 2, func(c *call) *expr.Expr { return c.position(0, 1) }},
	"locate":    {"LOCATE(part, s)", 2, 2, func(c *call) *expr.Expr { return c.position(0, 1) }},
	"charindex": {"CHARINDEX(part, s)", 2, 2, func(c *call) *expr.Expr { return c.position(0, 1) }},
	"strpos":    {"STRPOS(s, part)", 2, 2, func(c *call) *expr.Expr { return c.position(1, 0) }},
	"instr":     {"INSTR(s, part)", 2, 2, func(c *call) *expr.Expr { return c.position(1, 0) }},
	"contains":  {"CONTAINS(s, part)", 2, 2, func(c *call) *expr.Expr { return c.op(expr.OpGreater, c.position(1, 0), wholeNumber(0)) }},
	"starts_with": {"STARTS_WITH(s, part)", 2, 2, func(c *call) *expr.Expr {
		part := c.text(1)
		return c.op(expr.OpEqual, c.op(expr.OpSubstring, c.text(0), wholeNumber(1), c.op(expr.OpLength, part)), part)
	}},
	"split_part":     {"SPLIT_PART(s, 'separator', n)", 3, 3, (*call).splitPart},
	"regexp_like":    {"REGEXP_LIKE(s, 'pattern')", 2, 2, (*call).regexp},
	"regexp_matches": {"REGEXP_MATCHES(s, 'pattern')", 2, 2, (*call).regexp},
}

// dice would make an answer depend on how often it is asked; what depends on when it
// is asked, the parser refuses.
var dice = map[string]bool{
	"random": true, "rand": true, "newid": true, "uuid": true, "gen_random_uuid": true, "setseed": true, "tablesample": true,
}

// unanswered are functions that mean different things in different databases, or
// would; and what to write instead.
var unanswered = map[string]string{
	"len": "write LENGTH(s), or LENGTH(RTRIM(s)) for what LEN means to SQL Server", "dayofweek": "write EXTRACT(DOW FROM d), Sunday being 0, or ISODOW(d), Monday being 1",
	"weekday": "write EXTRACT(DOW FROM d), Sunday being 0, or ISODOW(d), Monday being 1", "age": "write AGE_IN_YEARS(birth, at), or EXTRACT(YEAR FROM AGE(at, birth))",
	"add_months": "write d + INTERVAL 'n' MONTH; databases differ in what it gives of the last day of a month", "months_between": "write TIMESTAMPDIFF(MONTH, from, to)",
	"concat_ws": "write the separator as a string", "datename": "write TO_CHAR(d, 'FMMonth')",
	"monthname": "write TO_CHAR(d, 'FMMonth'), or TO_CHAR(d, 'Mon')", "dayname": "write TO_CHAR(d, 'FMDay'), or TO_CHAR(d, 'Dy')",
	"regexp_replace": "write REPLACE, SPLIT_PART or SUBSTRING", "regexp_substr": "write SPLIT_PART or SUBSTRING", "regexp_extract": "write SPLIT_PART or SUBSTRING",
	"initcap": "write UPPER or LOWER", "to_number": "write CAST(x AS float)",
	"md5": "group by the column itself", "hash": "group by the column itself", "sha256": "group by the column itself",
	"sleep": "leave it out", "pg_sleep": "leave it out",
}

func buildCall(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
	name := strings.ToUpper(t.Name)
	switch hint, known := unanswered[t.Name]; {
	case dice[t.Name]:
		refuse(CodeNotSupported, t.At, "select by what the columns hold", "an answer must not depend on chance, so there is no %s", name)
	case known:
		refuse(CodeNotSupported, t.At, hint, "%s is not answered", name)
	}
	f, ok := scalars[t.Name]
	if !ok {
		refuseUnknown(t)
	}
	if t.Filter != nil {
		refuse(CodeMisplaced, t.Filter.At, "write it after the aggregate within, or write CASE WHEN", "FILTER chooses what an aggregate reads, and %s is none", name)
	}
	if t.Star || t.Distinct || len(t.Args) < f.least || len(t.Args) > f.most {
		refuse(CodeType, t.At, "write "+f.usage, "%s does not take these arguments", name)
	}
	return f.build(newCall(t, resolve))
}

// refuseUnknown refuses a function that there is not.
func refuseUnknown(t *syntax.Expr) {
	names := append(slices.Collect(maps.Keys(scalars)), slices.Collect(maps.Keys(aggregates))...)
	slices.Sort(names)
	refuse(CodeFunction, t.At, or(syntax.Nearest(t.Name, names), "SHOW FUNCTIONS lists them"), "there is no function %s here", strings.ToUpper(t.Name))
}

// isUnknown reports whether the term calls a function that there is not.
func isUnknown(t *syntax.Expr) bool {
	return t.Kind == syntax.Call && t.Over == nil && scalars[t.Name].build == nil && !syntax.IsAggregate(t.Name) && unanswered[t.Name] == "" && !dice[t.Name]
}

// operations are the operators that are more than one operation of the fragment.
var operations = map[string]func(c *call) *expr.Expr{
	"+": (*call).add, "-": (*call).subtract, "/": (*call).divide, "||": (*call).concatenate,
	"ilike": (*call).ilike, "regexp": (*call).regexp, "iregexp": (*call).regexp,
}

// Numbers.

// divide is /: of two ints, the quotient without its fraction.
func (c *call) divide() *expr.Expr {
	args := c.unified()
	if args[0].Type == value.TypeInt && args[1].Type == value.TypeInt {
		return apply(c.At, expr.OpIntDivide, args...)
	}
	return apply(c.At, expr.OpDivide, args...)
}

func (c *call) round() *expr.Expr {
	digits := wholeNumber(0)
	if len(c.Args) == 2 {
		digits = c.resolve(c.Args[1])
	}
	return apply(c.At, expr.OpRound, c.number(0), digits)
}

// trunc rounds toward zero: at some digits, of x times a power of ten.
func (c *call) trunc() *expr.Expr {
	x, scale := c.number(0), 1.0
	if len(c.Args) == 2 {
		digits := c.constant(1, "write a whole number from 0 to 15")
		if digits.Type() != value.TypeInt || digits.Int64() < 0 || digits.Int64() > 15 {
			c.refuse(1, "write a whole number from 0 to 15", "the digits are out of range")
		}
		scale = math.Pow10(int(digits.Int64()))
	}
	if x.Type == value.TypeInt {
		return x
	}
	by := expr.Literal(value.Float(scale))
	if scale > 1 {
		x = c.op(expr.OpMultiply, x, by)
	}
	cut := c.towardZero(x)
	if scale > 1 {
		cut = c.op(expr.OpDivide, cut, by)
	}
	return cut
}

func (c *call) towardZero(x *expr.Expr) *expr.Expr {
	return c.op(expr.OpCase, c.op(expr.OpLess, x, wholeNumber(0)), c.op(expr.OpCeiling, x), c.op(expr.OpFloor, x))
}

func (c *call) sign() *expr.Expr {
	x, zero := c.number(0), wholeNumber(0)
	return c.op(expr.OpCase, c.op(expr.OpGreater, x, zero), wholeNumber(1), c.op(expr.OpLess, x, zero), wholeNumber(-1),
		c.op(expr.OpEqual, x, zero), zero, nothing(value.TypeInt))
}

func (c *call) log() *expr.Expr {
	if len(c.Args) == 1 {
		refuse(CodeNotSupported, c.At, "write LN(x) or LOG10(x)", "this dialect has no LOG of one argument")
	}
	return c.op(expr.OpDivide, c.op(expr.OpLn, c.number(1)), c.op(expr.OpLn, c.number(0)))
}

func (c *call) log2() *expr.Expr {
	return c.op(expr.OpDivide, c.op(expr.OpLn, c.number(0)), expr.Literal(value.Float(math.Ln2)))
}

func (c *call) power() *expr.Expr { return c.op(expr.OpPower, c.number(0), c.number(1)) }

// widthBucket numbers the buckets from 1 to n, 0 being below and n + 1 above them.
func (c *call) widthBucket() *expr.Expr {
	const hint = "write WIDTH_BUCKET(x, low, high, n) with low < high and 1 to 500 buckets"
	low, high, n := c.constant(1, hint), c.constant(2, hint), c.constant(3, hint)
	for i, v := range []value.Value{low, high, n} {
		if !v.Type().Numeric() || i == 2 && v.Type() != value.TypeInt {
			c.refuse(1+i, hint, "this is a %s", v.Type())
		}
	}
	if low.Float64() >= high.Float64() || n.Int64() < 1 || n.Int64() > 500 {
		c.refuse(1, hint, "the range of the buckets is empty, or they are too many")
	}
	x, first, last := c.number(0), expr.Literal(low), expr.Literal(high)
	share := c.op(expr.OpDivide, c.op(expr.OpSubtract, x, first), expr.Literal(value.Float(high.Float64()-low.Float64())))
	at := c.op(expr.OpAdd, c.cast(c.op(expr.OpFloor, c.op(expr.OpMultiply, share, expr.Literal(n))), value.TypeInt), wholeNumber(1))
	// Rounding cannot lead out of the range.
	at = c.op(expr.OpGreatest, c.op(expr.OpLeast, at, expr.Literal(n)), wholeNumber(1))
	return c.op(expr.OpCase, c.op(expr.OpLess, x, first), wholeNumber(0), c.op(expr.OpLess, x, last), at,
		c.op(expr.OpGreaterOrEqual, x, last), wholeNumber(n.Int64()+1), nothing(value.TypeInt))
}

func (c *call) clamp() *expr.Expr {
	args := c.unified()
	x, lower, upper := args[0], args[1], args[2]
	within := apply(c.At, expr.OpGreatest, apply(c.At, expr.OpLeast, x, upper), lower)
	return apply(c.At, expr.OpCase, apply(c.At, expr.OpIsNull, x), nothing(within.Type), within)
}

// NULL and choices.

func (c *call) isNull() *expr.Expr {
	if len(c.Args) == 1 {
		return apply(c.At, expr.OpIsNull, c.resolve(c.Args[0]))
	}
	return apply(c.At, expr.OpCoalesce, c.unified()...)
}

func (c *call) nullIf() *expr.Expr {
	args := c.unified()
	same := apply(c.At, expr.OpEqual, args...)
	return apply(c.At, expr.OpCase, same, nothing(args[0].Type), args[0])
}

func (c *call) nvl2() *expr.Expr {
	values := unified(c.Args[1:], c.resolve)
	return apply(c.At, expr.OpCase, apply(c.At, expr.OpIsNull, c.resolve(c.Args[0])), values[1], values[0])
}

func (c *call) choose() *expr.Expr { // the condition is no part of the common type
	return apply(c.At, expr.OpCase, append([]*expr.Expr{c.as(0, value.TypeBool)}, unified(c.Args[1:], c.resolve)...)...)
}

// decode compares as Oracle does: a NULL equals a NULL.
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
	values := unified(results, c.resolve)
	var args []*expr.Expr
	for i := 1; i+1 < len(c.Args); i += 2 {
		pair := unified([]*syntax.Expr{c.Args[0], c.Args[i]}, c.resolve)
		same := apply(c.At, expr.OpNot, apply(c.At, expr.OpDistinct, pair...))
		args = append(args, same, values[i/2])
	}
	return apply(c.At, expr.OpCase, append(args, values[len(values)-1])...)
}

// buildCast converts to the type of a CAST. A bool is made here: from an int, 0
// being false, and from the usual words.
func buildCast(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
	c := newCall(t, resolve)
	x := c.as(0, t.Type)
	if t.Type == value.TypeBool {
		switch x.Type {
		case value.TypeInt:
			return c.op(expr.OpNotEqual, x, wholeNumber(0))
		case value.TypeText:
			said := c.op(expr.OpLower, c.op(expr.OpLeftTrim, c.op(expr.OpRightTrim, x, textual(" ")), textual(" ")))
			among := func(words ...string) *expr.Expr {
				args := []*expr.Expr{said}
				for _, w := range words {
					args = append(args, textual(w))
				}
				return c.op(expr.OpIn, args...)
			}
			return c.op(expr.OpCase, among("true", "t", "yes", "y", "on", "1"), expr.Literal(value.Bool(true)),
				among("false", "f", "no", "n", "off", "0"), expr.Literal(value.Bool(false)), nothing(value.TypeBool))
		}
	}
	if x.Type == t.Type {
		return x
	}
	if t.Name == syntax.Truncating && x.Type == value.TypeFloat {
		x = c.towardZero(x)
	}
	if (t.Type == value.TypeDate || t.Type == value.TypeTimestamp) && x.Op == expr.OpLiteral && x.Type == value.TypeText && !x.Value.IsNull() {
		if at, ok := instant(x.Value.Str()); ok {
			return expr.Literal(atDay(at, t.Type))
		}
	}
	if x.Type == value.TypeFloat && t.Type == value.TypeText {
		return c.digits(x)
	}
	e, err := expr.Cast(x, t.Type)
	if err != nil {
		hint := ""
		switch {
		case t.Type.Numeric() && x.Type == value.TypeDate:
			hint = "write " + c.Args[0].Describe() + " - DATE '1970-01-01', the days since then"
		case t.Type.Numeric() && x.Type == value.TypeTimestamp:
			hint = "write EXTRACT(EPOCH FROM " + c.Args[0].Describe() + "), the seconds since 1970"
		}
		mistyped(t.At, err, hint)
	}
	if f := folded(e); f.Op == expr.OpLiteral && !f.Value.IsNull() {
		return f
	}
	return e
}

// digits writes a float with up to 6 digits after the point and no zeros at their end, by
// operations that all engines compute alike; their own texts of a float differ. Beyond 64 bits it is NULL.
func (c *call) digits(x *expr.Expr) *expr.Expr {
	if isWhole(x) {
		return c.cast(c.cast(x, value.TypeInt), value.TypeText)
	}
	const decimals, scale = 6, 1_000_000
	n := c.cast(c.op(expr.OpMultiply, x, expr.Literal(value.Float(scale))), value.TypeInt)
	size, by := c.op(expr.OpAbs, n), wholeNumber(scale)
	units, parts := c.cast(c.op(expr.OpIntDivide, size, by), value.TypeText), c.op(expr.OpModulo, size, by)
	padded := c.op(expr.OpConcat, textual(strings.Repeat("0", decimals)), c.cast(parts, value.TypeText))
	last := c.op(expr.OpSubstring, padded, c.op(expr.OpSubtract, c.op(expr.OpLength, padded), wholeNumber(decimals-1)), wholeNumber(decimals))
	written := c.op(expr.OpConcat, units, textual("."), last)
	written = c.op(expr.OpRightTrim, c.op(expr.OpRightTrim, written, textual("0")), textual("."))
	return c.op(expr.OpCase, c.op(expr.OpLess, n, wholeNumber(0)), c.op(expr.OpConcat, textual("-"), written), written)
}

// isWhole reports whether a float has no digits after the point, whatever is read.
func isWhole(e *expr.Expr) bool {
	switch e.Op {
	case expr.OpFloor, expr.OpCeiling:
		return true
	case expr.OpRound:
		digits := e.Args[1]
		return digits.Op == expr.OpLiteral && digits.Value.Int64() == 0
	case expr.OpNegate, expr.OpAbs, expr.OpAdd, expr.OpSubtract, expr.OpMultiply:
		return !slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return a.Type != value.TypeInt && !isWhole(a) })
	case expr.OpLiteral:
		return !e.Value.IsNull() && e.Value.Float64() == math.Trunc(e.Value.Float64())
	}
	return false
}

// Texts.

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

// atLeast refuses a constant below a limit, where databases differ; what rows hold
// is computed by the SQL standard.
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

// concatenate is ||: of a NULL it is NULL.
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

// concat is CONCAT: a NULL adds nothing.
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
		mistyped(c.Args[1].At, err, "see the reference for what patterns hold")
	}
	return c.op(expr.OpRegexp, c.text(0), textual(portable))
}

// Works tells what a function of a row works on.
type Works string

// What functions of a row work on.
const (
	OnNumbers Works = "numbers"
	OnTexts   Works = "texts"
	OnTimes   Works = "times"
	OnAny     Works = "any" // values of whatever type: choices among them
)

// Function is a function that queries may use.
type Function struct {
	Usage     string // as a person writes it
	Aggregate bool   // of rows of many patients
	Table     bool   // stands in FROM, and makes released rows of a query; else, and if no aggregate, of the values of one row
	Works     Works  // of a function of a row; empty: another one
}

// Name is what stands before the function's arguments, in lower case.
func (f Function) Name() string {
	name, _, _ := strings.Cut(f.Usage, "(")
	return strings.ToLower(name)
}

// Functions lists all functions, by name: aggregates, those that stand in FROM, those of a row.
func Functions() []Function {
	var all []Function
	for _, name := range slices.Sorted(maps.Keys(aggregates)) {
		arguments, ok := map[string]string{"quantile": "x, q", "histogram": "x, low, high, bins", "regr_slope": "y, x", "regr_intercept": "y, x"}[name]
		if !ok {
			arguments = strings.Join([]string{"x", "y"}[:aggregates[name].arguments], ", ")
		}
		all = append(all, Function{Usage: strings.ToUpper(name) + "(" + arguments + ")", Aggregate: true})
	}
	for _, usage := range tableFunctions {
		all = append(all, Function{Usage: usage, Table: true})
	}
	works := map[string]Works{}
	for _, part := range scalarParts {
		for name := range part.functions {
			works[name] = part.of
		}
	}
	for _, name := range slices.Sorted(maps.Keys(scalars)) {
		all = append(all, Function{Usage: scalars[name].usage, Works: works[name]})
	}
	return all
}
