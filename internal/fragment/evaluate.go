package fragment

import (
	"errors"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Rows is a relation in memory: the rows of a table, or of a Query.
type Rows struct {
	Names  []string
	Values [][]value.Value
	// Origins, set by Trace, has the provenance of each value.
	Origins [][]*expr.Expr
}

// Evaluate computes a derived relation. It asks table for the rows of each of the catalog's tables, by the name in
// Relation.Table; hospital is the name of the node. It is the reference for the meaning of a Query; engines have better
// plans. c is the catalog: by it, rows of a patient that would multiply are cut (see Cap). If c is nil, all that is
// read is public.
func (d *Query) Evaluate(table func(name string) Rows, hospital string, c *catalog.Catalog) Rows {
	return d.evaluate(&evaluation{table: table, hospital: hospital, catalog: c})
}

// Trace is Evaluate with the provenance of each value. Origins holds an expression for each value, over the Origins of
// the tables' rows (or over the values themselves, for a table without). The values decide which rows are read, joined
// and grouped together, and in which order, as in Evaluate. nil means that a value has no such expression, such as a
// rank by numbers that are not constants, or that the expression would be too large.
//
// Its work is limited to what a coordinator can afford. Beyond that it returns ErrTooMuch.
func (d *Query) Trace(table func(name string) Rows, hospital string) (Rows, error) {
	v := &evaluation{table: table, hospital: hospital, trace: &trace{room: maxTraced}, steps: maxSteps}
	out := d.evaluate(v)
	if v.steps < 0 {
		return Rows{}, ErrTooMuch
	}
	return out, nil
}

// maxSteps bounds the work of Trace: rows that are compared, joined (rowSteps each), or read by a function of several
// rows.
const (
	maxSteps = 10_000_000
	rowSteps = 8
)

// ErrTooMuch says that a computation on released rows would join or read too many of them.
var ErrTooMuch = errors.New("too many rows would be computed from the released ones")

// evaluation is one run of Evaluate or Trace.
type evaluation struct {
	table    func(string) Rows
	hospital string
	catalog  *catalog.Catalog // nil: nothing is private
	trace    *trace           // nil: Evaluate
	steps    int              // steps that Trace has left; below 0 it has stopped
}

// spend takes steps from the budget, and reports whether it sufficed.
func (v *evaluation) spend(steps int) bool {
	if v.trace == nil {
		return true
	}
	if v.steps >= 0 {
		v.steps -= steps
	}
	return v.steps >= 0
}

func (d *Query) evaluate(v *evaluation) Rows {
	if d.SetOp != "" {
		return d.combine(v)
	}
	from := v.join(d.Relations, d.Filter)
	if d.Grouped {
		return d.group(from)
	}
	out := Rows{Names: d.names(), Values: make([][]value.Value, len(from.rows))}
	if v.trace != nil {
		out.Origins = make([][]*expr.Expr, len(from.rows))
	}
	for i := range d.Columns {
		values, origins := d.Columns[i].over(from)
		for r := range from.rows {
			out.Values[r] = append(out.Values[r], values[r])
			if v.trace != nil {
				out.Origins[r] = append(out.Origins[r], origins[r])
			}
		}
	}
	return out
}

func (d *Query) combine(v *evaluation) Rows {
	out := d.Inputs[0].evaluate(v)
	if d.SetOp != SetOpUnionAll {
		out = out.distinct()
	}
	for _, input := range d.Inputs[1:] {
		next := input.evaluate(v)
		switch d.SetOp {
		case SetOpUnionAll, SetOpUnion:
			out.Values, out.Origins = append(out.Values, next.Values...), append(out.Origins, next.Origins...)
			if d.SetOp == SetOpUnion {
				out = out.distinct()
			}
		default:
			in := map[string]bool{}
			for _, row := range next.Values {
				in[rowKey(row)] = true
			}
			out = out.where(func(row []value.Value) bool { return in[rowKey(row)] != (d.SetOp == SetOpExcept) })
		}
	}
	return out
}

// where returns the rows for which keep is true.
func (r Rows) where(keep func(row []value.Value) bool) Rows {
	out := Rows{Names: r.Names}
	for i, row := range r.Values {
		if !keep(row) {
			continue
		}
		out.Values = append(out.Values, row)
		if r.Origins != nil {
			out.Origins = append(out.Origins, r.Origins[i])
		}
	}
	return out
}

// rowKey returns a text that two rows share if and only if they are the same, NULLs included.
func rowKey(row []value.Value) string {
	var b strings.Builder
	for _, v := range row {
		text := v.String()
		if v.IsNull() {
			text = "\x00"
		}
		b.WriteString(strings.ReplaceAll(text, "\x01", "\x01\x01") + "\x01,")
	}
	return b.String()
}

func (r Rows) distinct() Rows {
	seen := map[string]bool{}
	return r.where(func(row []value.Value) bool {
		key := rowKey(row)
		defer func() { seen[key] = true }()
		return !seen[key]
	})
}
