package scalar

import (
	"cmp"
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
	usage       string // its written form, for people
	least, most int    // the number of arguments
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
	syntax.Refuse(syntax.CodeType, c.Args[i].At, hint, format, args...)
}

// op applies an operation. If all arguments are constants, the result is computed at once.
func (c *call) op(op expr.Op, args ...*expr.Expr) *expr.Expr {
	return Fold(Apply(c.At, op, args...))
}

// Fold computes an operation on constants, such as the cast of one.
func Fold(e *expr.Expr) *expr.Expr {
	if len(e.Args) == 0 || slices.ContainsFunc(e.Args, func(a *expr.Expr) bool { return a.Op != expr.OpLiteral }) {
		return e
	}
	return expr.Literal(expr.Evaluate(e, nil))
}

func (c *call) cast(e *expr.Expr, t value.Type) *expr.Expr {
	x, err := expr.Cast(e, t)
	if err != nil {
		Mistyped(c.At, err, "")
	}
	if e.Type == t {
		return e
	}
	return Fold(x)
}

// unified resolves all arguments to one type, if they have a common one.
func (c *call) unified() []*expr.Expr { return Unified(c.Args, c.resolve) }

// as resolves argument i. A NULL whose type nothing tells has type t.
func (c *call) as(i int, t value.Type) *expr.Expr {
	e := c.resolve(c.Args[i])
	if IsFree(e) {
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

// joined resolves an argument of || or CONCAT. They take any type with a single text form.
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

// days resolves two dates or two timestamps. If only one is a date, it becomes a timestamp.
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

// direct describes a function that is one operation of the fragment.
func direct(op expr.Op, usage string, least, most int) scalar {
	return scalar{usage, least, most, func(c *call) *expr.Expr { return c.op(op, c.unified()...) }}
}

func ofNumber(op expr.Op, usage string) scalar {
	return scalar{usage, 1, 1, func(c *call) *expr.Expr { return c.op(op, c.number(0)) }}
}

func ofText(op expr.Op, usage string) scalar {
	return scalar{usage, 1, 1, func(c *call) *expr.Expr { return c.op(op, c.text(0)) }}
}

// field describes a function that reads a part of a date, such as YEAR(d).
func field(f expr.Field, usage string) scalar {
	return scalar{usage, 1, 1, func(c *call) *expr.Expr { return c.field(f, 0) }}
}

// scalars is the only table of functions of one row. Its keys are the names that a query may write. scalarParts groups
// them by what they work on.
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
	"datediff": {"DATEDIFF(unit, from, to)", 2, 3, (*call).dateDiff}, "date_diff": {"DATE_DIFF('unit', from, to)", 2, 3, (*call).dateDiff},
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

// dice are random functions: an answer would depend on how often it is asked. The parser refuses functions of the
// current time.
var dice = map[string]bool{
	"random": true, "rand": true, "newid": true, "uuid": true, "gen_random_uuid": true, "setseed": true, "tablesample": true,
}

// unanswered are functions that mean different things in different databases, each with what to write instead.
var unanswered = map[string]string{
	"len": "write LENGTH(s), or LENGTH(RTRIM(s)) for what LEN means to SQL Server", "dayofweek": "write EXTRACT(DOW FROM d), Sunday being 0, or ISODOW(d), Monday being 1",
	"weekday": "write EXTRACT(DOW FROM d), Sunday being 0, or ISODOW(d), Monday being 1", "age": "write AGE_IN_YEARS(birth, at), or EXTRACT(YEAR FROM AGE(at, birth))",
	"add_months": "write d + INTERVAL 'n' MONTH; databases differ in what it gives of the last day of a month", "months_between": "write TIMESTAMPDIFF(MONTH, from, to)",
	"concat_ws": "write the separator as a string", "datename": "write TO_CHAR(d, 'FMMonth')",
	"monthname": "write TO_CHAR(d, 'FMMonth'), or TO_CHAR(d, 'Mon')", "dayname": "write TO_CHAR(d, 'FMDay'), or TO_CHAR(d, 'Dy')",
	"regexp_replace": "write REPLACE, SPLIT_PART or SUBSTRING", "regexp_substr": "write SPLIT_PART or SUBSTRING", "regexp_extract": "write SPLIT_PART or SUBSTRING",
	"json_build_object": ofColumns, "jsonb_build_object": ofColumns, "json_object": ofColumns, "object_construct": ofColumns,
	"to_json": ofColumns, "to_jsonb": ofColumns, "row_to_json": ofColumns,
	"initcap": "write UPPER or LOWER", "to_number": "write CAST(x AS float)",
	"md5": "group by the column itself", "hash": "group by the column itself", "sha256": "group by the column itself",
	"sleep": "leave it out", "pg_sleep": "leave it out",
}

const ofColumns = "select a column for each value; the HTTP API answers in JSON"

func buildCall(t *syntax.Expr, resolve func(*syntax.Expr) *expr.Expr) *expr.Expr {
	name := strings.ToUpper(t.Name)
	switch hint, known := unanswered[t.Name]; {
	case dice[t.Name]:
		syntax.Refuse(syntax.CodeNotSupported, t.At, "select by what the columns hold", "an answer must not depend on chance, so there is no %s", name)
	case known:
		syntax.Refuse(syntax.CodeNotSupported, t.At, hint, "%s is not answered", name)
	}
	f, ok := scalars[t.Name]
	if !ok {
		RefuseUnknown(t)
	}
	if t.Filter != nil {
		syntax.Refuse(syntax.CodeMisplaced, t.Filter.At, "write it after the aggregate within, or write CASE WHEN", "FILTER chooses what an aggregate reads, and %s is none", name)
	}
	if t.Star || t.Distinct || len(t.Args) < f.least || len(t.Args) > f.most {
		syntax.Refuse(syntax.CodeType, t.At, "write "+f.usage, "%s does not take these arguments", name)
	}
	return f.build(newCall(t, resolve))
}

// RefuseUnknown refuses a function that does not exist here.
func RefuseUnknown(t *syntax.Expr) {
	name, hint := strings.ToUpper(t.Name), "SHOW FUNCTIONS lists them"
	if name == "KAPLAN_MEIER" || name == "INCIDENCE_RATE" {
		hint = "it is a table: write SELECT * FROM " + name + "((SELECT time, event FROM …), horizon => n)"
	} else {
		names := append(slices.Collect(maps.Keys(scalars)), syntax.Aggregates()...)
		slices.Sort(names)
		hint = cmp.Or(syntax.Nearest(t.Name, names), hint)
	}
	syntax.Refuse(syntax.CodeFunction, t.At, hint, "there is no function %s here", name)
}

// IsUnknown reports whether the term calls a function that does not exist here.
func IsUnknown(t *syntax.Expr) bool {
	return t.Kind == syntax.Call && t.Over == nil && scalars[t.Name].build == nil && !syntax.IsAggregate(t.Name) && unanswered[t.Name] == "" && !dice[t.Name]
}

// operations are the operators that need more than one operation of the fragment.
var operations = map[string]func(c *call) *expr.Expr{
	"+": (*call).add, "-": (*call).subtract, "/": (*call).divide, "||": (*call).concatenate,
	"ilike": (*call).ilike, "regexp": (*call).regexp, "iregexp": (*call).regexp,
}

// Works is the kind of values that a function of one row works on.
type Works string

// The kinds of values that functions of one row work on.
const (
	OnNumbers Works = "numbers"
	OnTexts   Works = "texts"
	OnTimes   Works = "times"
	OnAny     Works = "any" // values of any type: choices among them
)

// Function is a function of the values of one row.
type Function struct {
	Usage string // its written form, for people
	Works Works
}

// Functions lists all functions of one row, ordered by name.
func Functions() []Function {
	works := map[string]Works{}
	for _, part := range scalarParts {
		for name := range part.functions {
			works[name] = part.of
		}
	}
	var all []Function
	for _, name := range slices.Sorted(maps.Keys(scalars)) {
		all = append(all, Function{scalars[name].usage, works[name]})
	}
	return all
}
