package fragment

import (
	"slices"
	"sort"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// over computes an output for every row: a value, or a function of a window.
func (o *Output) over(from *joined) (out []value.Value, origins []*expr.Expr) {
	out, origins = make([]value.Value, len(from.rows)), make([]*expr.Expr, len(from.rows))
	if o.Window == nil {
		for r, row := range from.rows {
			out[r], origins[r] = from.evaluate(o.Expr, row), from.origin(o.Expr, r)
		}
		return out, origins
	}
	partitions := map[string][]int{}
	for r, row := range from.rows {
		var key []value.Value
		for _, e := range o.Window.Partition {
			key = append(key, from.evaluate(e, row))
		}
		partitions[rowKey(key)] = append(partitions[rowKey(key)], r)
	}
	for _, rows := range partitions {
		p := &partition{Output: o, from: from, rows: rows, values: out, origins: origins}
		if !p.compute() {
			return out, origins
		}
	}
	return out, origins
}

// partition computes a window's output for the rows of one partition.
type partition struct {
	*Output
	from    *joined
	rows    []int         // of the partition, in the window's order
	values  []value.Value // of all rows, by their number
	origins []*expr.Expr  // of all rows, by their number
	// running is the function of the rows from first to last. The next frame may continue from it.
	running     *accumulator
	first, last int
	before      *span // provenance of the previous frame
}

// compute goes through the rows, and reports whether the steps sufficed.
func (p *partition) compute() bool {
	slices.SortStableFunc(p.rows, func(a, b int) int { return p.compare(a, b, true) })
	peers := false
	for i := range p.rows[1:] {
		peers = peers || p.compare(p.rows[i], p.rows[i+1], false) == 0
	}
	certain := p.orderedByConstants(p.from, p.rows, peers)
	rank, dense := 1, 0
	for i, r := range p.rows {
		if !p.from.spend(0) {
			return false
		}
		if i == 0 || p.compare(p.rows[i-1], r, false) != 0 {
			rank, dense = i+1, dense+1
		}
		number := 0
		switch p.Function {
		case FunctionRowNumber:
			number = i + 1
		case FunctionRank:
			number = rank
		case FunctionDenseRank:
			number = dense
		case FunctionLag:
			p.read(r, i-p.Window.Offset)
		case FunctionLead:
			p.read(r, i+p.Window.Offset)
		case FunctionFirst:
			p.read(r, 0)
		case FunctionLast:
			p.read(r, len(p.rows)-1)
		default:
			p.aggregate(i)
		}
		if number > 0 {
			if p.values[r] = value.Int(int64(number)); certain {
				p.origins[r] = p.from.constant(p.values[r])
			}
		}
	}
	return true
}

// compare orders two rows by the window, with or without its Ties. It is below 0 if a comes first.
func (p *partition) compare(a, b int, ties bool) int {
	w := p.Window
	for _, by := range w.Order {
		if c := by.Compare(w.orderValue(by, p.from, a), w.orderValue(by, p.from, b)); c != 0 {
			return c
		}
	}
	for _, e := range w.Ties {
		if c := (Order{}).Compare(p.from.evaluate(e, p.from.rows[a]), p.from.evaluate(e, p.from.rows[b])); ties && c != 0 {
			return c
		}
	}
	return 0
}

// read gives row r the value of the argument in the partition's k-th row, or NULL if there is no such row.
func (p *partition) read(r, k int) {
	if k < 0 || k >= len(p.rows) {
		p.values[r] = value.Null(p.Type())
		p.origins[r] = p.from.constant(p.values[r])
		return
	}
	p.values[r], p.origins[r] = p.from.evaluate(p.Expr, p.from.rows[p.rows[k]]), p.from.origin(p.Expr, p.rows[k])
}

// aggregate gives the partition's i-th row the function of the rows in its frame. It extends the previous frame if it
// can.
func (p *partition) aggregate(i int) {
	start, to := p.frame(i)
	if p.running == nil || start != p.first || to < p.last {
		p.running, p.first, p.last = p.accumulator(), start, start
	}
	for ; p.last < to; p.last++ {
		p.running.add(p.from, p.rows[p.last])
	}
	var around []int
	if start < to {
		around = p.rows[start:to]
	}
	r := p.rows[i]
	p.values[r] = p.running.result()
	p.before = p.spanOf(p.from, p.before, start, around, p.values[r])
	p.origins[r] = p.before.expr
}

// frame returns the first row that the function reads for the partition's i-th row, and the row after the last.
func (p *partition) frame(i int) (start, to int) {
	w := p.Window
	start, to = 0, len(p.rows)
	switch {
	case w.Frame != nil && w.Frame.Values:
		return w.framed(p.from, p.rows, i)
	case w.Frame != nil:
		return max(0, i+w.Frame.From), min(len(p.rows), i+w.Frame.To+1)
	case len(w.Order) > 0 && i < p.last: // a peer of the previous row
		to = p.last
	case len(w.Order) > 0: // up to the current row and its peers
		for to = i + 1; to < len(p.rows) && p.compare(p.rows[i], p.rows[to], false) == 0; to++ {
		}
	}
	return start, to
}

// orderValue is the value that a row is ordered by. In a frame of values, it is NULL beyond the bounds.
func (w *Window) orderValue(by Order, from *joined, row int) value.Value {
	v := from.evaluate(by.Expr, from.rows[row])
	if w.Frame != nil && w.Frame.Values && !v.IsNull() && (v.Int64() > MaxFrameValue || v.Int64() < -MaxFrameValue) {
		return value.Null(value.TypeInt)
	}
	return v
}

// framed returns the first row of the frame of values of row i, and the row after the last, among ordered rows.
func (w *Window) framed(from *joined, rows []int, i int) (start, end int) {
	by := w.Order[0]
	current := w.orderValue(by, from, rows[i])
	// reached finds the first row at which the order has reached, or passed, the current value moved by n.
	reached := func(n int, passed bool) int {
		at := current
		if !current.IsNull() {
			if by.Descending {
				n = -n
			}
			at = value.Int(current.Int64() + int64(n))
		}
		return sort.Search(len(rows), func(k int) bool {
			c := by.Compare(w.orderValue(by, from, rows[k]), at)
			return c > 0 || c == 0 && !passed
		})
	}
	start, end = 0, len(rows)
	if w.Frame.From > -Unbounded {
		start = reached(w.Frame.From, false)
	}
	if w.Frame.To < Unbounded {
		end = reached(w.Frame.To, true)
	}
	return start, max(start, end)
}

// Compare orders two values. It is below 0 if a comes first.
func (o Order) Compare(a, b value.Value) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull() || b.IsNull():
		if a.IsNull() == o.NullsFirst {
			return -1
		}
		return 1
	}
	c := value.Compare(a, b)
	if o.Descending {
		return -c
	}
	return c
}
