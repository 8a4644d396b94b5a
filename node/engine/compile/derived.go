package compile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// derivedSelect writes the SELECT of a derived relation. It also returns the sizes of the columns, see Dialect.pulled.
func (c *compiler) derivedSelect(d *fragment.Query) (sql string, sizes []int) {
	if d.Constant() {
		return "SELECT " + list(c.constants(d, d)), nil
	}
	if d.SetOp == fragment.SetOpUnionAll && fragment.AreConstants(d.Inputs) {
		return c.values(d), nil
	}
	if d.SetOp != "" {
		var inputs []string
		for _, input := range d.Inputs {
			sql, of := c.derivedSelect(input)
			inputs = append(inputs, "(\n  "+indent(sql)+"\n)")
			if sizes = slices.Grow(sizes, len(of)); len(sizes) < len(of) {
				sizes = sizes[:len(of)]
			}
			for i, n := range of {
				sizes[i] = max(sizes[i], n)
			}
		}
		return strings.Join(inputs, "\n"+strings.ToUpper(string(d.SetOp))+"\n"), sizes
	}
	inner, err := c.target.compiler(d.Relations, c.memo)
	if err != nil {
		c.fail(err)
		return "SELECT NULL", nil
	}
	inner.reads(d.Filter)
	for i := range d.Columns {
		inner.reads(d.Columns[i].Expr)
		if w := d.Columns[i].Window; w != nil {
			inner.reads(append(slices.Clone(w.Partition), w.Ties...)...)
			for _, o := range w.Order {
				inner.reads(o.Expr)
			}
		}
	}
	inner.written, inner.variables, inner.nested = c.written, c.variables, true
	var columns []column
	var group []string
	for i := range d.Columns {
		o := &d.Columns[i]
		columns = append(columns, column{inner.output(o), c.name(o.Name)})
		inner.folded[c.name(o.Name)] = o.Function != ""
		if d.Grouped && o.Function == "" {
			group = append(group, strconv.Itoa(i+1))
		}
	}
	s := inner.selectRows(d.Relations, d.Filter, columns)
	if len(group) > 0 {
		s += "\nGROUP BY " + strings.Join(group, ", ")
	}
	if inner.err != nil {
		c.fail(inner.err)
	}
	if !d.Grouped && c.target.Dialect.apart != "" {
		for _, o := range columns {
			sizes = append(sizes, inner.inlinedLength(o.sql))
		}
		if slices.Max(sizes) > c.target.Dialect.pulled {
			s, sizes = s+c.target.Dialect.apart, nil
		}
	}
	return s, sizes
}

// inlinedLength returns the length of the SQL after the optimizer has replaced the columns of derived relations by
// their definitions.
func (c *compiler) inlinedLength(sql string) int {
	n := len(sql)
	for name, size := range c.sizes {
		n = min(n+strings.Count(sql, name)*size, 1<<30)
	}
	return n
}

// constants writes a row of constants with the column names of the row named.
func (c *compiler) constants(d, named *fragment.Query) []column {
	var columns []column
	for i := range d.Columns {
		e := d.Columns[i].Expr
		columns = append(columns, column{c.byBytes(c.expr(e).sql, e.Type), c.name(named.Columns[i].Name)})
	}
	return columns
}

// values writes a list of rows. Engines read a long VALUES faster than a UNION of as many SELECTs.
func (c *compiler) values(d *fragment.Query) string {
	var rows, names []string
	for _, input := range d.Inputs {
		var row []string
		for _, column := range c.constants(input, d.Inputs[0]) {
			row = append(row, column.sql)
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
	}
	for _, o := range d.Inputs[0].Columns {
		names = append(names, c.name(o.Name))
	}
	return "SELECT *\nFROM (VALUES " + strings.Join(rows, ", ") + ") AS " + c.name("list") + " (" + strings.Join(names, ", ") + ")"
}

// output writes one column of a derived relation.
func (c *compiler) output(o *fragment.Output) string {
	if o.Function == "" {
		return c.byBytes(c.comparable(o.Expr), o.Expr.Type)
	}
	over := ""
	if o.Window != nil {
		over = c.window(o)
	}
	x := ""
	if o.Expr != nil {
		x = c.byBytes(c.comparable(o.Expr), o.Expr.Type)
	}
	switch o.Function {
	case fragment.FunctionRows:
		return "count(*)" + over
	case fragment.FunctionCount:
		return "count(" + x + ")" + over
	case fragment.FunctionDistinct:
		if o.Window == nil {
			return "count(DISTINCT " + x + ")"
		}
		return c.distinctOver(o, x)
	case fragment.FunctionMin, fragment.FunctionMax:
		name := string(o.Function)
		if o.Expr.Type == value.TypeBool {
			name = map[fragment.Function]string{fragment.FunctionMin: "bool_and", fragment.FunctionMax: "bool_or"}[o.Function]
		}
		return name + "(" + x + ")" + over
	case fragment.FunctionEvery:
		return "bool_and(" + x + ")" + over
	case fragment.FunctionAny:
		return "bool_or(" + x + ")" + over
	case fragment.FunctionSum, fragment.FunctionAverage:
		return c.sum(o, over)
	case fragment.FunctionRowNumber:
		return "row_number()" + over
	case fragment.FunctionRank:
		return "rank()" + over
	case fragment.FunctionDenseRank:
		return "dense_rank()" + over
	case fragment.FunctionLag, fragment.FunctionLead:
		return fmt.Sprintf("%s(%s, %d)%s", o.Function, x, o.Window.Offset, over)
	case fragment.FunctionFirst:
		return "first_value(" + x + ")" + over
	case fragment.FunctionLast:
		return "last_value(" + x + ")" + over
	}
	c.fail(fmt.Errorf("%w: there is no function %q", fragment.ErrInvalid, o.Function))
	return "NULL"
}

// sum writes the exact sum or average of ints, or of floats on a grid.
func (c *compiler) sum(o *fragment.Output, over string) string {
	term := ""
	if o.Grid != nil {
		term = c.clamp(c.onGrid(o.Expr, *o.Grid), o.Grid.Lower, o.Grid.Upper)
	} else {
		if o.Expr.Type != value.TypeInt { // a sum of floats depends on the order of rows
			c.fail(fmt.Errorf("%w: a sum of floats without a grid", fragment.ErrInvalid))
		}
		term = c.expr(o.Expr).sql
	}
	c.aggregating = true
	defer func() { c.aggregating = false }()
	sum := fmt.Sprintf(c.target.Dialect.sum, term) + over
	if o.Function == fragment.FunctionSum && o.Grid == nil {
		return c.fits(sum).sql
	}
	x := c.f("CAST(%s AS %s)", sum, c.sqlType(value.TypeFloat))
	if o.Function == fragment.FunctionAverage {
		x = c.f("(%s / NULLIF(count(%s)%s, 0))", x.sql, term, over)
	}
	if o.Grid != nil && o.Grid.Shift != 0 {
		unit := o.Grid.Number(1)
		if c.target.Dialect.finite != "" {
			x = c.f("(%s * %s)", x.sql, c.number(unit))
			x.maybeNonFinite = true
		} else {
			x = c.f("CASE WHEN abs(%[1]s) <= %[2]s THEN %[1]s * %[3]s END", x.sql, c.number(math.Min(math.MaxFloat64, postgresHuge/unit)), c.number(unit))
		}
	}
	return c.finite(x).sql
}

// distinctOver counts the distinct values of a whole partition: a value's dense rank from the front plus that from the
// back, less one, and less one more if there is a NULL. Most engines have no DISTINCT in window functions.
func (c *compiler) distinctOver(o *fragment.Output, x string) string {
	partition := c.partition(o.Window)
	c.aggregating = true
	defer func() { c.aggregating = false }()
	return c.f("(dense_rank() OVER (%[1]s ORDER BY %[2]s NULLS LAST) + dense_rank() OVER (%[1]s ORDER BY %[2]s DESC NULLS FIRST) - 1"+
		" - CASE WHEN count(*) OVER (%[1]s) > count(%[2]s) OVER (%[1]s) THEN 1 ELSE 0 END)", partition, x).sql
}

// partition writes PARTITION BY, or "" for a window of all rows.
func (c *compiler) partition(w *fragment.Window) string {
	if len(w.Partition) == 0 {
		return ""
	}
	list := make([]string, len(w.Partition))
	for i, e := range w.Partition {
		list[i] = c.comparable(e)
	}
	return "PARTITION BY " + strings.Join(list, ", ")
}

func (c *compiler) window(o *fragment.Output) string {
	w := o.Window
	var order []string
	values := w.Frame != nil && w.Frame.Values
	by := func(e *expr.Expr, descending, nullsFirst bool) {
		s := c.byBytes(c.comparable(e), e.Type)
		if values { // no engine may overflow when it adds to the value
			s = c.f("CASE WHEN %[1]s BETWEEN %[2]d AND %[3]d THEN %[1]s END", s, int64(-fragment.MaxFrameValue), int64(fragment.MaxFrameValue)).sql
		}
		if descending {
			s += " DESC"
		}
		if nullsFirst {
			s += " NULLS FIRST"
		} else {
			s += " NULLS LAST"
		}
		order = append(order, s)
	}
	for _, item := range w.Order {
		by(item.Expr, item.Descending, item.NullsFirst)
	}
	for _, e := range w.Ties {
		by(e, false, false)
	}
	s := " OVER (" + c.partition(w)
	if len(order) > 0 {
		s += " ORDER BY " + strings.Join(order, ", ")
	}
	switch {
	case values:
		s += " RANGE BETWEEN " + frameEnd(w.Frame.From) + " AND " + frameEnd(w.Frame.To)
	case w.Frame != nil:
		s += " ROWS BETWEEN " + frameEnd(w.Frame.From) + " AND " + frameEnd(w.Frame.To)
	case o.Function == fragment.FunctionLast:
		s += " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
	}
	return s + ")"
}

func frameEnd(n int) string {
	switch {
	case n == -fragment.Unbounded:
		return "UNBOUNDED PRECEDING"
	case n == fragment.Unbounded:
		return "UNBOUNDED FOLLOWING"
	case n < 0:
		return strconv.Itoa(-n) + " PRECEDING"
	case n > 0:
		return strconv.Itoa(n) + " FOLLOWING"
	}
	return "CURRENT ROW"
}
