package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// ErrTooLarge reports that a fragment's SQL would exceed the engine's limit. It is a fragment.Limit, which ends with
// the expression that is too large, if there is one.
var ErrTooLarge error = &fragment.Limit{Message: "the SQL of an expression would be longer than this engine compiles", Hint: "compute a part of it in a simpler way"}

// tooLarge is ErrTooLarge with the expression.
func tooLarge(e *expr.Expr) error {
	text := []rune(e.String())
	if len(text) > 100 {
		text = append(text[:100], '…')
	}
	return fmt.Errorf("%w: %s", ErrTooLarge, string(text))
}

// code is the SQL of an expression, in exactly the expression's type.
type code struct {
	sql string
	// maybeNonFinite: the SQL may yield NaN or an infinity where the expression is NULL.
	maybeNonFinite bool
}

// compiler writes one select of a fragment, and its expressions, as SQL.
type compiler struct {
	target  *Target
	memo    *fragment.Memo            // of the fragment
	known   *expr.RangeAnalysis       // what this SQL itself enforces
	tables  map[string]*catalog.Table // by relation
	instead map[string]string         // what replaces a relation in FROM: see caps
	derived map[string]bool           // relations whose columns already have valid values
	read    map[string][]string       // the columns that are read, by relation
	written *int                      // bytes written by f for the fragment
	// variables counts the names of let in the fragment. bound holds the SQL that replaces arguments in use.
	variables *int
	bound     map[*expr.Expr]code
	sizes     map[string]int // sizes of derived relations' columns, by relation and column: see Dialect.pulled
	// aggregating: the SQL holds aggregates or windows, so no let may stand around it.
	aggregating bool
	folded      map[string]bool // columns that contain aggregates or window functions
	nested      bool            // it writes a derived relation
	err         error           // the first error
}

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// maxWritten bounds all SQL that is written for one fragment, parts of longer texts included. A hostile fragment could
// have thousands of expressions, each as long as the dialect allows.
const maxWritten = 16 << 20

// f formats SQL, and records an error at the size limits.
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

// facts returns the range of an expression's SQL on any data. It decides which guards are needed.
func (c *compiler) facts(e *expr.Expr) expr.Range { return c.known.Range(e) }

// finiteOrNull writes an expression, with NULL in place of NaN and infinities.
func (c *compiler) finiteOrNull(e *expr.Expr) string { return c.finite(c.expr(e)).sql }

func (c *compiler) finite(x code) code {
	if !x.maybeNonFinite {
		return x
	}
	return c.f("CASE WHEN "+fmt.Sprintf(c.target.Dialect.finite, "%[1]s")+" THEN %[1]s END", x.sql)
}

// real writes a number as a DOUBLE.
func (c *compiler) real(e *expr.Expr) code {
	if e.Type == value.TypeInt {
		if e.Op == expr.OpLiteral {
			return c.literal(widen(*e.Value), false)
		}
		return c.f("CAST(%s AS %s)", c.expr(e).sql, c.sqlType(value.TypeFloat))
	}
	return c.expr(e)
}

// as writes a branch of an expression of type t.
func (c *compiler) as(e *expr.Expr, t value.Type) code {
	if t == value.TypeFloat {
		return c.real(e)
	}
	return c.expr(e)
}

func (c *compiler) literal(v value.Value, untyped bool) code {
	s, err := c.target.Dialect.literal(v, untyped)
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
	return c.bindRepeated(e)
}

// operation writes an operation. It may repeat the arguments.
func (c *compiler) operation(e *expr.Expr) code {
	if c.target.Dialect.folds {
		if x, ok := c.constant(e); ok {
			return x
		}
	}
	write, ok := c.target.Dialect.operations[e.Op]
	if !ok {
		c.fail(fmt.Errorf("%w: there is no operation %q", fragment.ErrInvalid, e.Op))
		return code{sql: "NULL"}
	}
	return write(c, e)
}

// constant evaluates an expression without columns.
func (c *compiler) constant(e *expr.Expr) (code, bool) {
	if e.Op == expr.OpLiteral || e.Op == expr.OpHospital {
		return code{}, false
	}
	columns := false
	e.Columns(func(string, string) { columns = true })
	if columns {
		return code{}, false
	}
	v := expr.Evaluate(e, func(*expr.Expr) value.Value { return value.Text(c.target.Hospital) })
	s, err := c.target.Dialect.literal(v, false)
	return code{sql: inLine(s)}, err == nil
}

func (c *compiler) each(args []*expr.Expr) []string {
	list := make([]string, len(args))
	for i, a := range args {
		list[i] = c.finiteOrNull(a)
	}
	return list
}

// storedColumn returns a column as its view has it, and the catalog's entry of it.
func (c *compiler) storedColumn(e *expr.Expr) (string, *catalog.Column) {
	if t := c.tables[e.Relation]; t != nil {
		if col, ok := t.Column(e.Column); ok {
			return c.name(e.Relation) + "." + c.name(col.Name), col
		}
	}
	c.fail(fmt.Errorf("%w: %s", fragment.ErrInvalid, e))
	return "NULL", &catalog.Column{}
}

// column reads a column: clamped to its bounds, or NULL for values that the catalog's type does not have.
func (c *compiler) column(e *expr.Expr) code {
	s, col := c.storedColumn(e)
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
			return code{sql: s, maybeNonFinite: true}
		case value.TypeDate, value.TypeTimestamp:
			return c.inRangeOrNull(code{sql: s}, e.Type, false)
		}
		return code{sql: s}
	}
	nan := ""
	if e.Type == value.TypeFloat {
		nan = "WHEN " + c.target.Dialect.NaN(s) + " THEN NULL "
	}
	lower, upper := c.literal(col.Lower, true).sql, c.literal(col.Upper, true).sql
	// LEAST(GREATEST()) would replace a NULL by a bound.
	return c.f("CASE %[1]sWHEN %[2]s < %[3]s THEN %[3]s WHEN %[2]s > %[4]s THEN %[4]s ELSE %[2]s END", nan, s, lower, upper)
}

func isText(e *expr.Expr) bool { return e.Type == value.TypeText }

// comparable writes an expression that is compared, sorted, grouped or passed on. The text of a stored column is not
// cut.
func (c *compiler) comparable(e *expr.Expr) string {
	if e.Op != expr.OpColumn || !isText(e) {
		return c.finiteOrNull(e)
	}
	s, _ := c.storedColumn(e)
	if c.derived[e.Relation] { // it has the collation of the inner select
		return s
	}
	return c.byBytes(s, e.Type)
}

// cut writes the first n characters of the text e, of which s is the SQL. If the text may be much longer, its bytes are
// counted first, which does not read it.
func (c *compiler) cut(s string, e *expr.Expr, n int) string {
	switch {
	case e.Op == expr.OpColumn:
		s = c.f("CASE WHEN "+c.target.Dialect.bytes+" > %[2]s THEN substring(%[1]s, 1, %[2]s) ELSE %[1]s END", s, strconv.Itoa(n)).sql
	case e.Longest() > n:
		s = c.f("substring(%s, 1, %s)", s, strconv.Itoa(n)).sql
	}
	return c.byBytes(s, value.TypeText)
}

// byBytes makes a text compare by its bytes.
func (c *compiler) byBytes(sql string, t value.Type) string {
	if c.target.Dialect.collate == "" || t != value.TypeText || strings.HasSuffix(sql, c.target.Dialect.collate+")") {
		return sql
	}
	return "(" + sql + c.target.Dialect.collate + ")"
}

// domainTest writes the test that a row's key, the column named k, is in the domain.
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
