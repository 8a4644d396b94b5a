package compile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// ErrTooLarge means that a fragment's SQL would exceed what this engine compiles. It is a fragment.Limit, and ends with the
// expression that is too much, where there is one.
var ErrTooLarge error = &fragment.Limit{Message: "the SQL of an expression would be longer than this engine compiles", Hint: "compute a part of it in a simpler way"}

// tooLarge is ErrTooLarge of an expression.
func tooLarge(e *expr.Expr) error {
	text := []rune(e.String())
	if len(text) > 100 {
		text = append(text[:100], '…')
	}
	return fmt.Errorf("%w: %s", ErrTooLarge, string(text))
}

// Patterns of texts that convert, without the anchors that regexp_full_match implies.
var patterns = map[value.Type]string{
	value.TypeInt:       strings.Trim(expr.IntPattern, "^$"),
	value.TypeFloat:     strings.Trim(expr.FloatPattern, "^$"),
	value.TypeDate:      strings.Trim(expr.DatePattern, "^$"),
	value.TypeTimestamp: strings.Trim(expr.TimePattern, "^$"),
}

// code is the SQL of an expression, of exactly the type of the expression.
type code struct {
	sql string
	// loose: it may be NaN or infinite where the expression is NULL.
	loose bool
}

// compiler turns one select of a fragment, and the expressions in it, into SQL.
type compiler struct {
	target  *Target
	known   *expr.RangeAnalysis       // what this SQL enforces itself
	tables  map[string]*catalog.Table // by relation
	instead map[string]string         // what stands after FROM in a relation's place: see caps
	derived map[string]bool           // relations whose columns hold what they should
	read    map[string][]string       // the columns that are read, by relation
	written *int                      // by f, for the fragment
	// variables counts the names of let, for the fragment, and bound has what stands for arguments that are being used.
	variables *int
	bound     map[*expr.Expr]code
	sizes     map[string]int // of columns of derived relations, by relation and column: see Dialect.pulled
	// aggregating: what is written holds aggregates or windows, to which no let may be put around.
	aggregating bool
	folded      map[string]bool // columns that are aggregates or windows
	nested      bool            // it is of a derived relation
	err         error           // the first
}

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// maxWritten bounds all that is written for one fragment, parts of longer texts included: a
// hostile one could have thousands of expressions, each as long as the dialect allows.
const maxWritten = 16 << 20

// f writes SQL, and stops at the size limits.
func (c *compiler) f(format string, args ...any) code {
	n := len(format)
	for _, a := range args {
		if s, ok := a.(string); ok {
			n += len(s) * max(1, strings.Count(format, "%[1]s")) // an upper bound is enough
		}
	}
	*c.written += n
	args, wrap := c.repeated(format, args)
	if c.err == nil && (n > c.target.Dialect.maxSQL || *c.written > maxWritten) {
		c.fail(ErrTooLarge)
	}
	if c.err != nil {
		return code{sql: "NULL"}
	}
	return code{sql: wrap(fmt.Sprintf(format, args...))}
}

// facts tells what the SQL of an expression can yield, whatever the data are: it decides which guards are needed.
func (c *compiler) facts(e *expr.Expr) expr.Range { return c.known.Range(e) }

// strict gives the SQL of an expression that is NULL where the expression is.
func (c *compiler) strict(e *expr.Expr) string { return c.finite(c.expr(e)).sql }

func (c *compiler) finite(x code) code {
	if !x.loose {
		return x
	}
	return c.f("CASE WHEN "+fmt.Sprintf(c.target.Dialect.finite, "%[1]s")+" THEN %[1]s END", x.sql)
}

// real gives the SQL of a number as a DOUBLE.
func (c *compiler) real(e *expr.Expr) code {
	if e.Type == value.TypeInt {
		if e.Op == expr.OpLiteral {
			return c.literal(widen(*e.Value), false)
		}
		return c.f("CAST(%s AS %s)", c.expr(e).sql, c.sqlType(value.TypeFloat))
	}
	return c.expr(e)
}

// as gives the SQL of a branch of an expression of type t.
func (c *compiler) as(e *expr.Expr, t value.Type) code {
	if t == value.TypeFloat {
		return c.real(e)
	}
	return c.expr(e)
}

func (c *compiler) literal(v value.Value, bare bool) code {
	s, err := c.target.Dialect.literal(v, bare)
	if err != nil {
		c.fail(err)
	}
	return code{sql: inLine(s)}
}

func (c *compiler) number(x float64) string { return c.target.Dialect.real(x) }

func (c *compiler) sqlType(t value.Type) string { return c.target.Dialect.types[t] }

func (c *compiler) name(s string) string {
	q, err := Name(s)
	if err != nil {
		c.fail(err)
	}
	return inLine(q)
}

func (c *compiler) expr(e *expr.Expr) code {
	if c.err != nil {
		return code{sql: "NULL"}
	}
	if x, ok := c.bound[e]; ok {
		return x
	}
	return c.once(e)
}

// operation writes an operation, whose arguments it may repeat.
func (c *compiler) operation(e *expr.Expr) code {
	if own := c.target.Dialect.operation; own != nil {
		if x, ok := own(c, e); ok {
			return x
		}
	}
	switch e.Op {
	case expr.OpColumn:
		return c.column(e)
	case expr.OpLiteral:
		return c.literal(*e.Value, false)
	case expr.OpHospital:
		return c.literal(value.Text(c.target.Hospital), false)
	case expr.OpAnd, expr.OpOr:
		return c.f("(%s)", strings.Join(c.each(e.Args), " "+strings.ToUpper(string(e.Op))+" "))
	case expr.OpNot:
		return c.f("(NOT %s)", c.strict(e.Args[0]))
	case expr.OpIsNull:
		x := c.expr(e.Args[0])
		if isText(e.Args[0]) {
			x.sql = c.whole(e.Args[0])
		}
		if x.loose {
			return c.f("CASE WHEN %s THEN false ELSE true END", fmt.Sprintf(c.target.Dialect.finite, x.sql))
		}
		return c.f("(%s IS NULL)", x.sql)
	case expr.OpEqual, expr.OpNotEqual, expr.OpLess, expr.OpLessOrEqual, expr.OpGreater, expr.OpGreaterOrEqual:
		return c.comparison(e)
	case expr.OpIn:
		return c.in(e)
	case expr.OpLike:
		return c.like(e)
	case expr.OpCase:
		return c.conditional(e)
	case expr.OpCoalesce, expr.OpLeast, expr.OpGreatest:
		var args []string
		for _, a := range e.Args {
			args = append(args, c.byBytes(c.finite(c.as(a, e.Type)).sql, e.Type))
		}
		switch e.Op {
		case expr.OpLeast:
			return c.f("%s", c.target.Dialect.least(args))
		case expr.OpGreatest:
			return c.f("%s", c.target.Dialect.greatest(args))
		}
		return c.f("coalesce(%s)", strings.Join(args, ", "))
	case expr.OpDistinct:
		return c.f("(%s IS DISTINCT FROM %s)", c.compared(e.Args[0], e.Args[1]), c.compared(e.Args[1], e.Args[0]))
	case expr.OpExtract:
		return c.extract(e)
	case expr.OpTruncate, expr.OpAddMonths, expr.OpMonths, expr.OpMakeDate:
		return c.date(e)
	case expr.OpConcat, expr.OpLower, expr.OpUpper, expr.OpLeftTrim, expr.OpRightTrim, expr.OpSubstring,
		expr.OpLength, expr.OpReplace, expr.OpPosition, expr.OpSplit, expr.OpRegexp:
		return c.text(e)
	case expr.OpSqrt, expr.OpExp, expr.OpLn, expr.OpLog10, expr.OpPower:
		return c.transcendental(e)
	case expr.OpCast:
		return c.cast(e)
	}
	switch {
	case (e.Op == expr.OpAdd || e.Op == expr.OpSubtract) && !(e.Args[0].Type.Numeric() && e.Args[1].Type.Numeric()):
		return c.shift(e)
	case e.Type == value.TypeInt:
		return c.integer(e)
	}
	return c.arithmetic(e)
}

func (c *compiler) each(args []*expr.Expr) []string {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = c.strict(a)
	}
	return list
}

// raw gives a column as its view has it, and what the catalog says of it.
func (c *compiler) raw(e *expr.Expr) (string, *catalog.Column) {
	if t := c.tables[e.Relation]; t != nil {
		if col, ok := t.Column(e.Column); ok {
			return c.name(e.Relation) + "." + c.name(col.Name), col
		}
	}
	c.fail(fmt.Errorf("%w: %s", fragment.ErrInvalid, e))
	return "NULL", &catalog.Column{}
}

// column reads a column: clamped to its bounds, or without the values that the
// type of the catalog does not have.
func (c *compiler) column(e *expr.Expr) code {
	s, col := c.raw(e)
	if c.derived[e.Relation] && e.Type != value.TypeText {
		return code{sql: s}
	}
	if e.Type == value.TypeText {
		return code{sql: c.cut(s, e, expr.MaxText)}
	}
	if own := c.target.Dialect.column; own != nil {
		return own(c, e)
	}
	if !col.Lower.Valid() {
		switch e.Type {
		case value.TypeFloat:
			return code{sql: s, loose: true}
		case value.TypeDate, value.TypeTimestamp:
			return c.existing(code{sql: s}, e.Type, false)
		}
		return code{sql: s}
	}
	nan := ""
	if e.Type == value.TypeFloat {
		nan = "WHEN " + c.target.Dialect.NaN(s) + " THEN NULL "
	}
	lower, upper := c.literal(col.Lower, true).sql, c.literal(col.Upper, true).sql
	// Not LEAST(GREATEST()), which would take a bound for a NULL.
	return c.f("CASE %[1]sWHEN %[2]s < %[3]s THEN %[3]s WHEN %[2]s > %[4]s THEN %[4]s ELSE %[2]s END", nan, s, lower, upper)
}

func isText(e *expr.Expr) bool { return e.Type == value.TypeText }

// whole gives the SQL of what is compared, ordered, grouped by or passed on: the text of a bare column is read to its end.
func (c *compiler) whole(e *expr.Expr) string {
	if e.Op != expr.OpColumn || !isText(e) {
		return c.strict(e)
	}
	s, _ := c.raw(e)
	if c.derived[e.Relation] { // which has the collation of the select within
		return s
	}
	return c.byBytes(s, e.Type)
}

// cut gives the first n characters of e's text, of which s is the SQL. Where it may be much longer, its bytes are counted first: that
// reads none of it.
func (c *compiler) cut(s string, e *expr.Expr, n int) string {
	switch {
	case e.Op == expr.OpColumn:
		s = c.f("CASE WHEN "+c.target.Dialect.bytes+" > %[2]s THEN substring(%[1]s, 1, %[2]s) ELSE %[1]s END", s, strconv.Itoa(n)).sql
	case e.Longest() > n:
		s = c.f("substring(%s, 1, %s)", s, strconv.Itoa(n)).sql
	}
	return c.byBytes(s, value.TypeText)
}

// compared gives one side of a comparison with the other.
func (c *compiler) compared(e, other *expr.Expr) string {
	switch {
	case other.Type == value.TypeFloat:
		return c.finite(c.real(e)).sql
	case e.Op == expr.OpLiteral:
		return c.literal(*e.Value, true).sql
	case other.Op == expr.OpLiteral:
		return c.unclamped(e, []*expr.Expr{other})
	}
	return c.whole(e)
}

// unclamped reads a column without its bounds where it is compared with
// constants strictly within them only: clamping is monotone, so the outcome is
// the same, and the database can skip blocks of rows by their minimum and maximum.
func (c *compiler) unclamped(e *expr.Expr, constants []*expr.Expr) string {
	if e.Op != expr.OpColumn || e.Type == value.TypeFloat || e.Type == value.TypeText {
		return c.whole(e)
	}
	s, col := c.raw(e)
	if !col.Lower.Valid() {
		return c.strict(e)
	}
	for _, a := range constants {
		if a.Type != e.Type || !a.Value.IsNull() && (value.Compare(*a.Value, col.Lower) <= 0 || value.Compare(*a.Value, col.Upper) >= 0) {
			return c.strict(e)
		}
	}
	return s
}

// indexed writes that a text, of the SQL x, is one of constants, none of them NULL. Of a stored column in its own
// collation too, which its index has: texts of the same bytes are equal in any collation, and what else is equal in
// one that ignores case, say, is not by the second condition.
func (c *compiler) indexed(e *expr.Expr, x, equal, constants string) code {
	test := c.f("(%s %s %s)", x, equal, constants)
	if c.target.Dialect.collate == "" || e.Op != expr.OpColumn || e.Type != value.TypeText || c.derived[e.Relation] {
		return test
	}
	s, _ := c.raw(e)
	return c.f("(%s %s %s AND CASE WHEN %s THEN true ELSE %s IS NULL END)", s, equal, constants, test.sql, s)
}

// byBytes makes a text compare by its bytes.
func (c *compiler) byBytes(sql string, t value.Type) string {
	if c.target.Dialect.collate == "" || t != value.TypeText || strings.HasSuffix(sql, c.target.Dialect.collate+")") {
		return sql
	}
	return "(" + sql + c.target.Dialect.collate + ")"
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

// list writes constants, for IN.
func (c *compiler) list(constants []*expr.Expr) string {
	list := make([]string, len(constants))
	for i, a := range constants {
		list[i] = c.literal(*a.Value, true).sql
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// like writes a pattern anew, so that only %, _ and \ are ever escaped. Engines try
// every way to divide a text among the %s where _ follows them, which takes time in its
// length to the power of their number: then it is written as a regular expression.
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
	return c.f("(%s LIKE %s%s)", c.whole(e.Args[0]), pattern, escape)
}

func (c *compiler) conditional(e *expr.Expr) code {
	var b strings.Builder
	loose := false
	branch := func(a *expr.Expr) string {
		x := c.as(a, e.Type)
		loose = loose || x.loose
		return x.sql
	}
	for i := 0; i+1 < len(e.Args); i += 2 {
		b.WriteString(" WHEN " + c.strict(e.Args[i]) + " THEN " + branch(e.Args[i+1]))
	}
	x := c.f("CASE%s ELSE %s END", b.String(), branch(e.Args[len(e.Args)-1]))
	x.loose = loose
	return x
}

// fits narrows a wide whole number to an int, or to NULL.
func (c *compiler) fits(wide string) code {
	d := c.target.Dialect
	return c.f("CASE WHEN %[1]s BETWEEN %[2]s AND %[3]s THEN %[4]s(%[1]s AS BIGINT) END", wide, d.whole(math.MinInt64), d.whole(math.MaxInt64), d.cast)
}

// integer writes an operation that gives an int.
func (c *compiler) integer(e *expr.Expr) code {
	a := c.expr(e.Args[0]).sql
	switch e.Op {
	case expr.OpRound, expr.OpFloor, expr.OpCeiling:
		return code{sql: a}
	case expr.OpNegate, expr.OpAbs:
		operator := map[expr.Op]string{expr.OpNegate: "-", expr.OpAbs: "abs"}[e.Op]
		if c.facts(e).Bounded() {
			return c.f("(%s(%s))", operator, a)
		}
		// Not NULLIF, of which DuckDB makes a CASE that reads its argument twice.
		return c.f("CASE WHEN %[2]s <> %[3]s THEN %[1]s(%[2]s) END", operator, a, c.target.Dialect.whole(math.MinInt64))
	}
	b := c.expr(e.Args[1]).sql
	switch e.Op {
	case expr.OpIntDivide:
		// x // 0 is NULL.
		if c.facts(e.Args[0]).Lower > math.MinInt64 || without(c.facts(e.Args[1]), -1) {
			return c.f("(%s // %s)", a, b)
		}
		return c.f("CASE WHEN %[2]s = -1 THEN -NULLIF(%[1]s, %[3]s) ELSE %[1]s // %[2]s END", a, b, c.target.Dialect.whole(math.MinInt64))
	case expr.OpModulo:
		if c.facts(e.Args[0]).Lower > math.MinInt64 || without(c.facts(e.Args[1]), -1) {
			return c.f("(%s %% %s)", a, b)
		}
		return c.f("(%[1]s %% (CASE WHEN %[2]s = -1 THEN 1 ELSE %[2]s END))", a, b)
	}
	if c.facts(e).Bounded() {
		return c.f("(%s %s %s)", a, string(e.Op), b)
	}
	return c.fits(c.f("(CAST(%s AS %s) %s %s)", a, c.target.Dialect.wide, string(e.Op), b).sql)
}

func without(f expr.Range, x float64) bool { return x < f.Lower || x > f.Upper }

// arithmetic writes an operation that gives a float. Where the operation cannot
// hide an argument that is NaN or infinite, the check is left to its consumer.
func (c *compiler) arithmetic(e *expr.Expr) code {
	a := c.real(e.Args[0])
	var x code
	switch e.Op {
	case expr.OpNegate:
		x = c.f("(-(%s))", a.sql)
	case expr.OpAbs, expr.OpFloor, expr.OpCeiling:
		x = c.f("%s(%s)", string(e.Op), a.sql)
	case expr.OpRound:
		x = c.round(a, int(e.Args[1].Value.Int64()), c.facts(e.Args[0]))
	default:
		b := c.real(e.Args[1])
		if e.Op == expr.OpDivide {
			b = c.finite(b) // x/infinity would be 0
		}
		x = c.f("(%s %s %s)", a.sql, string(e.Op), b.sql)
		x.loose = a.loose || b.loose || !c.facts(e).Bounded()
		return x
	}
	x.loose = a.loose
	return x
}

// round follows fragment's roundTo step by step.
func (c *compiler) round(a code, digits int, f expr.Range) code {
	if digits == 0 {
		return c.f("(sign(%[1]s) * floor(abs(%[1]s) + 0.5e0))", a.sql)
	}
	scale := math.Pow10(digits)
	rounded := c.f("(sign(%[1]s) * floor(abs(%[1]s * %[2]s) + 0.5e0) / %[2]s)", a.sql, c.number(scale))
	if f.Bounded() && !math.IsInf(f.Lower*scale, 0) && !math.IsInf(f.Upper*scale, 0) {
		return rounded
	}
	return c.f("CASE WHEN "+fmt.Sprintf(c.target.Dialect.infinite, "%[1]s * %[2]s")+" THEN %[1]s ELSE (sign(%[1]s) * floor(abs(%[1]s * %[2]s) + 0.5e0) / %[2]s) END", a.sql, c.number(scale))
}

func (c *compiler) cast(e *expr.Expr) code {
	a := e.Args[0]
	x := c.expr(a)
	switch from := a.Type; {
	case from == e.Type:
		return code{sql: c.whole(a), loose: x.loose}
	case from == value.TypeText:
		x.sql = c.whole(a)
		pattern := c.literal(value.Text(patterns[e.Type]), false).sql
		s := c.f("CASE WHEN regexp_full_match(%[1]s, %[2]s) THEN TRY_CAST(%[1]s AS %[3]s) END", x.sql, pattern, c.sqlType(e.Type))
		s.loose = e.Type == value.TypeFloat // 1e999
		return s
	case from == value.TypeFloat:
		whole := c.round(x, 0, expr.Range{})
		if f := c.facts(a); !x.loose && math.Abs(f.Lower) < 1<<62 && math.Abs(f.Upper) < 1<<62 {
			return c.f("CAST(%s AS BIGINT)", whole.sql)
		}
		return c.f("CASE WHEN %s BETWEEN %s AND %s THEN TRY_CAST(%s AS BIGINT) END", x.sql,
			c.number(math.MinInt64), c.number(math.Nextafter(1<<63, 0)), whole.sql)
	}
	return c.f("CAST(%s AS %s)", x.sql, c.sqlType(e.Type))
}

// domainTest keeps the rows whose key, the column named k, is in the domain.
func (c *compiler) domainTest(k string, domain []value.Value) string {
	values := slices.Clone(domain)
	slices.SortFunc(values, value.Compare) // NULL last
	null := len(values) > 0 && values[len(values)-1].IsNull()
	if null {
		values = values[:len(values)-1]
	}
	var test string
	switch n := int64(len(values)); {
	case n == 0 && null:
		return "(" + k + " IS NULL)"
	case n > 2 && values[0].Type() == value.TypeInt && values[n-1].Int64()-values[0].Int64() == n-1:
		test = c.f("%s BETWEEN %s AND %s", k, strconv.FormatInt(values[0].Int64(), 10), strconv.FormatInt(values[n-1].Int64(), 10)).sql
	default:
		list := make([]string, n)
		for i, v := range values {
			list[i] = c.literal(v, true).sql
		}
		test = c.f("%s IN (%s)", k, strings.Join(list, ", ")).sql
	}
	if null {
		return "(" + test + " OR " + k + " IS NULL)"
	}
	return "(" + test + ")"
}
