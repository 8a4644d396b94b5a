package compile

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// Stream returns the SELECT of the rows that a fragment adds up, with the plan's columns (patient, k0, k1 … and x0, x1
// …), and the plan. It returns no plan if only Fragment can compute the fragment. Its parameters and errors are those
// of Fragment.
func (t *Target) Stream(f *fragment.Fragment, p *fragment.Proof) (string, *stream.Plan, error) {
	if p.OneRow || f.Patient.Type != value.TypeInt && f.Patient.Type != value.TypeText || slices.ContainsFunc(f.Partials, func(p fragment.Partial) bool { return !stream.Knows(p.Kind) }) {
		return "", nil, nil
	}
	c, err := t.compiler(f.Relations, fragment.NewMemo(nil))
	if err != nil {
		return "", nil, err
	}
	c.readsAll(f)
	columns, tests := []column{{c.comparable(f.Patient), "patient"}}, []string(nil)
	keys := make([]stream.Key, len(f.Keys))
	for i, k := range f.Keys {
		name := "k" + strconv.Itoa(i)
		s, key, known := c.streamed(k)
		if !known {
			s = c.key(k)
			if len(k.Domain) > 0 {
				tests = append(tests, c.domainTest(name, k.Domain))
			}
		}
		columns, keys[i] = append(columns, column{s, name}), key
	}
	var cells []stream.Cell
	numbers := map[string]int{} // numbers of columns, by their SQL and cell
	of := make([]int, len(f.Partials))
	for i, partial := range f.Partials {
		of[i] = -1
		if partial.Expr == nil {
			continue
		}
		sql, cell := c.cell(f, partial)
		if !cell.Fits() {
			return "", nil, c.err
		}
		key := sql + mark + cell.String()
		n, known := numbers[key]
		if !known {
			n = len(cells)
			numbers[key] = n
			columns, cells = append(columns, column{sql, "x" + strconv.Itoa(n)}), append(cells, cell)
		}
		of[i] = n
	}
	var names []string
	for _, col := range columns {
		names = append(names, col.name)
	}
	text := selectFrom(plain(names), "(\n  "+indent(c.selectRows(f.Relations, f.Filter, columns))+"\n) AS r",
		strings.Join(tests, " AND "), nil)
	plan := stream.New(f, p, of)
	plan.Keys, plan.Cells = keys, cells
	return unmarked(text), plan, c.err
}

// streamed returns the SQL of a key that is an unclamped column of ints, and which values rows are grouped by. It is
// false if the SQL must compute the key.
func (c *compiler) streamed(k fragment.Key) (string, stream.Key, bool) {
	key := stream.Key{Type: k.Expr.Type}
	if k.Expr.Op != expr.OpColumn || k.Expr.Type != value.TypeInt || c.derived[k.Expr.Relation] {
		return "", key, false
	}
	if n := int64(len(k.Domain)); n > 0 {
		values := slices.SortedFunc(slices.Values(k.Domain), value.Compare) // NULL comes last
		first, last := values[0], values[n-1]
		if last.IsNull() || last.Int64()-first.Int64() != n-1 {
			return "", key, false
		}
		key.Declared, key.First, key.Last = true, first.Int64(), last.Int64()
	}
	s, col := c.storedColumn(k.Expr)
	if col.Lower.Valid() {
		key.Bounded, key.Least, key.Most = true, col.Lower.Int64(), col.Upper.Int64()
	}
	return s, key, true
}

// cell returns the unclamped SQL of what a partial aggregate adds up or counts, and how it is mapped to its grid.
func (c *compiler) cell(f *fragment.Fragment, p fragment.Partial) (string, stream.Cell) {
	e := p.Expr
	if p.Kind == fragment.PartialBeyond {
		p.Kind = p.Of
	}
	switch p.Kind {
	case fragment.PartialPatients:
		return c.finiteOrNull(e), stream.Cell{Type: value.TypeBool, Upper: 1}
	case fragment.PartialSum:
		g := *p.Grid
		cell := stream.Cell{Lower: g.Lower, Upper: g.Upper, Center: g.Center}
		if e.Type == value.TypeInt && g.Shift == 0 {
			return c.number64(e, cell)
		}
		cell.Scale, cell.Half = math.Ldexp(1, g.Shift), 0.5
		return c.number53(e, cell)
	case fragment.PartialBuckets:
		b := *p.Buckets
		cell := stream.Cell{Upper: int64(b.Leaves() - 1)}
		if e.Type == value.TypeInt && b.Lower == 0 && b.Density() == 1 {
			return c.number64(e, cell)
		}
		cell.From, cell.Scale = b.Lower, b.Density()
		return c.number53(e, cell)
	}
	for _, other := range f.Partials { // it is NULL if the value is
		if other.Kind == fragment.PartialSum && other.Expr.Equal(e) {
			return c.cell(f, other)
		}
	}
	return "CASE WHEN " + c.comparable(e) + " IS NOT NULL THEN true END", stream.Cell{Type: value.TypeBool, Upper: 1}
}

// number64 reads an int. A column is read without its bounds.
func (c *compiler) number64(e *expr.Expr, cell stream.Cell) (string, stream.Cell) {
	cell.Type = value.TypeInt
	if e.Op != expr.OpColumn || c.derived[e.Relation] {
		return c.expr(e).sql, cell
	}
	s, col := c.storedColumn(e)
	if col.Lower.Valid() {
		cell.Bounded, cell.Least, cell.Most = true, col.Lower.Int64(), col.Upper.Int64()
	}
	return s, cell
}

// number53 reads a number as a float. A column is read without its bounds.
func (c *compiler) number53(e *expr.Expr, cell stream.Cell) (string, stream.Cell) {
	cell.Type = value.TypeFloat
	if e.Op != expr.OpColumn || c.derived[e.Relation] || e.Type != value.TypeFloat {
		return c.real(e).sql, cell
	}
	s, col := c.storedColumn(e)
	if col.Lower.Valid() {
		cell.Bounded, cell.LeastReal, cell.MostReal = true, col.Lower.Float64(), col.Upper.Float64()
	}
	return s, cell
}
