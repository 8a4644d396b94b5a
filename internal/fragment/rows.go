package fragment

import (
	"cmp"
	"errors"
	"hash/fnv"
	"math"
	"math/big"
	"slices"
	"sort"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Rows is a relation in memory: what a table holds, or what a Derived yields.
type Rows struct {
	Names  []string
	Values [][]value.Value
	// Origins are of Trace: of what each value is made.
	Origins [][]*expr.Expr
}

// Evaluate computes a derived relation; table is asked for the rows of each of the
// catalog's tables, by the name in Relation.Table, and hospital is the name of the
// node. It is the reference for what a Derived means, and engines have better plans. c is the catalog, of which it
// cuts the rows of a patient that would multiply (see Cap); nil: all that is read is public.
func (d *Derived) Evaluate(table func(name string) Rows, hospital string, c *catalog.Catalog) Rows {
	return d.evaluate(&evaluation{table: table, hospital: hospital, catalog: c})
}

// Trace is Evaluate that tells of what each value is made, too: Origins holds an expression a value, over the
// Origins of the tables' rows (the values themselves, for a table without). Which rows are read, joined, grouped
// together and in which order is taken from the values, as it is in Evaluate. nil stands for what is no such expression,
// such as a rank by numbers that are not constants, or would be too large.
//
// It computes no more than a coordinator can afford: ErrTooMuch says that it would.
func (d *Derived) Trace(table func(name string) Rows, hospital string) (Rows, error) {
	v := &evaluation{table: table, hospital: hospital, trace: &trace{room: maxTraced}, steps: maxSteps}
	out := d.evaluate(v)
	if v.steps < 0 {
		return Rows{}, ErrTooMuch
	}
	return out, nil
}

// maxSteps bounds what Trace computes: rows that are compared, joined (rowSteps each), or read by a function of several.
const (
	maxSteps = 10_000_000
	rowSteps = 8
)

// ErrTooMuch means that what is computed from released rows joins or reads too many of them.
var ErrTooMuch = errors.New("too many rows would be computed from the released ones")

// evaluation is one run of Evaluate or Trace.
type evaluation struct {
	table    func(string) Rows
	hospital string
	catalog  *catalog.Catalog // nil: nothing is private
	trace    *trace           // nil: Evaluate
	steps    int              // of Trace, what is left; below 0: it has ended
}

// spend takes steps, and reports whether there were as many.
func (v *evaluation) spend(steps int) bool {
	if v.trace == nil {
		return true
	}
	if v.steps >= 0 {
		v.steps -= steps
	}
	return v.steps >= 0
}

func (d *Derived) evaluate(v *evaluation) Rows {
	if d.Combine != "" {
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

func (d *Derived) names() []string {
	var names []string
	for _, o := range d.Columns {
		names = append(names, o.Name)
	}
	return names
}

func (d *Derived) combine(v *evaluation) Rows {
	out := d.Arms[0].evaluate(v)
	if d.Combine != CombineAll {
		out = out.distinct()
	}
	for _, arm := range d.Arms[1:] {
		next := arm.evaluate(v)
		switch d.Combine {
		case CombineAll, CombineUnion:
			out.Values, out.Origins = append(out.Values, next.Values...), append(out.Origins, next.Origins...)
			if d.Combine == CombineUnion {
				out = out.distinct()
			}
		default:
			in := map[string]bool{}
			for _, row := range next.Values {
				in[rowKey(row)] = true
			}
			out = out.where(func(row []value.Value) bool { return in[rowKey(row)] != (d.Combine == CombineExcept) })
		}
	}
	return out
}

// where are the rows that keep wants.
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

// rowKey is a text that rows share if and only if they are the same, NULLs included.
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

// joined is the rows that a select reads, before it computes anything.
type joined struct {
	*evaluation
	index   map[string]int // of a relation in a row
	sources []Rows
	names   []map[string]int
	columns map[*expr.Expr]int // where a column of a relation is in it, once it was read
	rows    []joinedRow
}

// joinedRow tells of each relation which row it is; -1 where a left join found nothing.
type joinedRow []int32

// at finds a column in a row; ok is false where a left join found nothing.
func (j *joined) at(c *expr.Expr, row joinedRow) (relation, column int, ok bool) {
	i := j.index[c.Relation]
	if i >= len(row) || row[i] < 0 {
		return 0, 0, false
	}
	column, known := j.columns[c]
	if !known {
		column = j.names[i][strings.ToLower(c.Column)]
		j.columns[c] = column
	}
	return i, column, true
}

func (j *joined) evaluate(e *expr.Expr, row joinedRow) value.Value {
	return expr.Evaluate(e, func(c *expr.Expr) value.Value {
		if c.Op == expr.OpHospital {
			return value.Text(j.hospital)
		}
		i, k, ok := j.at(c, row)
		if !ok {
			return value.Null(c.Type)
		}
		return j.sources[i].Values[row[i]][k]
	})
}

func (v *evaluation) join(relations []Relation, filter *expr.Expr) *joined {
	return v.joinRows(relations, filter, v.capped(relations, filter))
}

// capped gives the rows that stay of the relations of which some are cut.
func (v *evaluation) capped(relations []Relation, filter *expr.Expr) map[int]Rows {
	if v.catalog == nil {
		return nil
	}
	caps, err := Caps(relations, filter, v.catalog)
	if err != nil {
		return nil // Check refuses the relations
	}
	type side struct {
		rows    [][]value.Value
		patient []string
	}
	sides, counts := make([]side, len(caps)), map[string][]int64{}
	for k, at := range caps {
		j := v.joinRows(at.Relations, at.Filter, nil)
		for _, row := range j.rows {
			id := rowKey([]value.Value{j.evaluate(at.Patient, row)})
			sides[k].rows, sides[k].patient = append(sides[k].rows, j.sources[0].Values[row[0]]), append(sides[k].patient, id)
			if counts[id] == nil {
				counts[id] = make([]int64, len(caps))
			}
			counts[id][k]++
		}
	}
	out := map[int]Rows{}
	for k, at := range caps {
		most := func(id string) int64 {
			left := int64(MaxPatientRows)
			for other, n := range counts[id] {
				if other != k {
					left /= max(1, n)
				}
			}
			return max(left, Root(len(caps)))
		}
		order := make([]int, len(sides[k].rows))
		hashes := make([]uint64, len(order))
		for i := range order {
			h := fnv.New64a()
			h.Write([]byte(rowKey(sides[k].rows[i])))
			order[i], hashes[i] = i, h.Sum64()
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(hashes[a], hashes[b]) })
		rows, place := Rows{Names: v.namesOf(at.Relations[0])}, map[string]int64{}
		for _, i := range order {
			id := sides[k].patient[i]
			if place[id]++; place[id] <= most(id) {
				rows.Values = append(rows.Values, sides[k].rows[i])
			}
		}
		out[at.At] = rows
	}
	return out
}

// namesOf lists the columns of a relation.
func (v *evaluation) namesOf(r Relation) []string {
	if r.Derived == nil {
		return v.table(r.Table).Names
	}
	d := r.Derived
	for d.Combine != "" {
		d = d.Arms[0]
	}
	return d.names()
}

func (v *evaluation) joinRows(relations []Relation, filter *expr.Expr, capped map[int]Rows) *joined {
	j := &joined{evaluation: v, index: map[string]int{}, columns: map[*expr.Expr]int{}, rows: []joinedRow{{}}}
	for i, r := range relations {
		source, cut := capped[i]
		switch {
		case cut:
		case r.Derived != nil:
			source = r.Derived.evaluate(v)
		default:
			source = v.table(r.Table)
		}
		if v.trace != nil && source.Origins == nil {
			source.Origins = constants(source.Values)
		}
		names := map[string]int{}
		for k, name := range source.Names {
			names[strings.ToLower(name)] = k
		}
		j.index[r.Name], j.names, j.sources = i, append(j.names, names), append(j.sources, source)
		j.rows = j.with(r, filter)
	}
	if filter != nil {
		j.rows = slices.DeleteFunc(j.rows, func(row joinedRow) bool { return !j.evaluate(filter, row).True() })
	}
	return j
}

// with joins the last source, which is of the relation r, to the rows before it. Where columns are to be equal, it looks up the
// rows that are.
func (j *joined) with(r Relation, filter *expr.Expr) []joinedRow {
	i := len(j.sources) - 1
	all := make([]int32, len(j.sources[i].Values))
	for k := range all {
		all[k] = int32(k)
	}
	before, own := j.equated(r, filter)
	found := map[string][]int32{}
	if len(own) > 0 {
		alone := make(joinedRow, i+1)
		for k := range alone {
			alone[k] = -1
		}
		for _, k := range all {
			if alone[i] = k; j.spend(1) {
				if key, ok := j.keyOf(own, alone); ok {
					found[key] = append(found[key], k)
				}
			}
		}
	}
	var next []joinedRow
	for _, left := range j.rows {
		candidates := all
		if len(own) > 0 {
			candidates = nil
			if key, ok := j.keyOf(before, left); ok {
				candidates = found[key]
			}
		}
		if !j.spend(1 + len(candidates)) {
			return nil
		}
		matches := 0
		for _, k := range candidates {
			row := append(slices.Clip(left[:i]), k)
			if r.On != nil && !j.evaluate(r.On, row).True() {
				continue
			}
			if matches++; !j.spend(rowSteps) {
				return nil
			}
			next = append(next, row)
		}
		if matches == 0 && r.Join == JoinLeft {
			next = append(next, append(left[:i:i], -1))
		}
	}
	return next
}

// equated gives expressions over the rows before a relation, and over its own, that are equal in each row of the join. Of floats some are
// equal that are not written alike.
func (j *joined) equated(r Relation, filter *expr.Expr) (before, own []*expr.Expr) {
	i := j.index[r.Name]
	conditions := expr.Conjuncts(r.On)
	if r.Join != JoinLeft { // what the filter drops later may as well not be joined
		conditions = append(conditions, expr.Conjuncts(filter)...)
	}
	for _, c := range conditions {
		if c.Op != expr.OpEqual || i == 0 {
			continue
		}
		for k, a := range c.Args {
			if b := c.Args[1-k]; a.Type == b.Type && a.Type != value.TypeFloat && j.reads(a, func(at int) bool { return at == i }) &&
				j.reads(b, func(at int) bool { return at < i }) {
				before, own = append(before, b), append(own, a)
				break
			}
		}
	}
	return before, own
}

// reads reports whether an expression reads columns, and of those relations alone.
func (j *joined) reads(e *expr.Expr, of func(relation int) bool) bool {
	any, all := false, true
	e.Columns(func(relation, _ string) {
		i, known := j.index[relation]
		any, all = true, all && known && of(i)
	})
	return any && all
}

// keyOf is a text that rows share where the expressions are equal; of NULL, which equals nothing, there is none.
func (j *joined) keyOf(exprs []*expr.Expr, row joinedRow) (string, bool) {
	values := make([]value.Value, len(exprs))
	for k, e := range exprs {
		if values[k] = j.evaluate(e, row); values[k].IsNull() {
			return "", false
		}
	}
	return rowKey(values), true
}

func (d *Derived) group(from *joined) Rows {
	var keys [][]value.Value
	groups := map[string][]int{}
	var order []string
	values := 0
	for r, row := range from.rows {
		var key []value.Value
		for _, o := range d.Columns {
			if o.Function == "" {
				key = append(key, from.evaluate(o.Expr, row))
			}
		}
		k := rowKey(key)
		if _, known := groups[k]; !known {
			order, keys = append(order, k), append(keys, key)
		}
		groups[k] = append(groups[k], r)
		values = len(key)
	}
	if len(order) == 0 && values == 0 && !slices.ContainsFunc(d.Columns, func(o Output) bool { return o.Function == "" }) {
		order, keys = append(order, ""), append(keys, nil) // without keys, all rows are one group, and so are none
	}
	out := Rows{Names: d.names()}
	for g, k := range order {
		var row []value.Value
		var origins []*expr.Expr
		next := 0
		for i := range d.Columns {
			o := &d.Columns[i]
			var v value.Value
			var origin *expr.Expr
			if o.Function == "" {
				v, origin = keys[g][next], from.origin(o.Expr, groups[k][0])
				next++
			} else {
				v = o.of(from, groups[k])
				origin = o.originOf(from, groups[k], v)
			}
			row, origins = append(row, v), append(origins, origin)
		}
		out.Values = append(out.Values, row)
		if from.trace != nil {
			out.Origins = append(out.Origins, origins)
		}
	}
	return out
}

// of applies a function of groups to rows.
func (o *Output) of(from *joined, rows []int) value.Value {
	t := o.tally()
	for _, r := range rows {
		t.add(from, r)
	}
	return t.result()
}

// tally is a function of the rows that were added to it, one after the other.
type tally struct {
	*Output
	rows, values int
	best         value.Value     // min, max, every, any
	seen         map[string]bool // distinct
	float        float64         // a sum of floats without a grid
	sum          big.Int
}

func (o *Output) tally() *tally { return &tally{Output: o, seen: map[string]bool{}} }

func (t *tally) add(from *joined, row int) {
	t.rows++
	if t.Function == FunctionRows || !from.spend(1) {
		return
	}
	v := from.evaluate(t.Expr, from.rows[row])
	if v.IsNull() {
		return
	}
	t.values++
	switch t.Function {
	case FunctionDistinct:
		if v.Type() == value.TypeFloat {
			v = value.Float(v.Float64() + 0) // 0 and -0 are equal
		}
		t.seen[rowKey([]value.Value{v})] = true
	case FunctionMin, FunctionEvery:
		if t.values == 1 || value.Compare(v, t.best) < 0 {
			t.best = v
		}
	case FunctionMax, FunctionAny:
		if t.values == 1 || value.Compare(v, t.best) > 0 {
			t.best = v
		}
	case FunctionSum, FunctionAverage:
		if t.Expr.Type == value.TypeFloat && t.Grid == nil {
			t.float += v.Float64()
			return
		}
		term := v.Int64()
		if t.Grid != nil {
			term = int64(math.Max(float64(t.Grid.Lower), math.Min(float64(t.Grid.Upper), math.Floor(math.Ldexp(v.Float64(), t.Grid.Shift)+0.5))))
		}
		t.sum.Add(&t.sum, big.NewInt(term))
	}
}

func (t *tally) result() value.Value {
	switch t.Function {
	case FunctionRows:
		return value.Int(int64(t.rows))
	case FunctionCount:
		return value.Int(int64(t.values))
	case FunctionDistinct:
		return value.Int(int64(len(t.seen)))
	}
	if t.values == 0 {
		return value.Null(t.Type())
	}
	switch t.Function {
	case FunctionMin, FunctionEvery, FunctionMax, FunctionAny:
		return t.best
	}
	if t.Expr.Type == value.TypeFloat && t.Grid == nil {
		if t.Function == FunctionAverage {
			return value.Float(t.float / float64(t.values))
		}
		return value.Float(t.float)
	}
	if t.Function == FunctionSum && t.Grid == nil {
		if !t.sum.IsInt64() {
			return value.Null(value.TypeInt)
		}
		return value.Int(t.sum.Int64())
	}
	real, _ := new(big.Float).SetInt(&t.sum).Float64()
	if t.Function == FunctionAverage {
		real /= float64(t.values)
	}
	if t.Grid != nil {
		real = t.Grid.Number(real)
	}
	return value.Float(real)
}

// over computes an output for every row: a value, or a function of a window.
func (o *Output) over(from *joined) (out []value.Value, origins []*expr.Expr) {
	out, origins = make([]value.Value, len(from.rows)), make([]*expr.Expr, len(from.rows))
	if o.Window == nil {
		for r, row := range from.rows {
			out[r], origins[r] = from.evaluate(o.Expr, row), from.origin(o.Expr, r)
		}
		return out, origins
	}
	w := o.Window
	partitions := map[string][]int{}
	for r, row := range from.rows {
		var key []value.Value
		for _, e := range w.Partition {
			key = append(key, from.evaluate(e, row))
		}
		partitions[rowKey(key)] = append(partitions[rowKey(key)], r)
	}
	ordered := func(a, b int, ties bool) int {
		for _, by := range w.Order {
			if c := by.Compare(w.orderValue(by, from, a), w.orderValue(by, from, b)); c != 0 {
				return c
			}
		}
		for _, e := range w.Ties {
			if c := (Order{}).Compare(from.evaluate(e, from.rows[a]), from.evaluate(e, from.rows[b])); ties && c != 0 {
				return c
			}
		}
		return 0
	}
	for _, rows := range partitions {
		slices.SortStableFunc(rows, func(a, b int) int { return ordered(a, b, true) })
		rank, dense := 1, 0
		peers := false
		for i := range rows[1:] {
			peers = peers || ordered(rows[i], rows[i+1], false) == 0
		}
		certain := o.orderedByConstants(from, rows, peers)
		var before *span
		running, first, last := (*tally)(nil), 0, 0 // of the rows from first to last
		for i, r := range rows {
			if !from.spend(0) {
				return out, origins
			}
			if i == 0 || ordered(rows[i-1], r, false) != 0 {
				rank, dense = i+1, dense+1
			}
			at := func(k int) value.Value {
				if k < 0 || k >= len(rows) {
					origins[r] = from.constant(value.Null(o.Type()))
					return value.Null(o.Type())
				}
				origins[r] = from.origin(o.Expr, rows[k])
				return from.evaluate(o.Expr, from.rows[rows[k]])
			}
			number := func(n int) value.Value {
				v := value.Int(int64(n))
				if certain {
					origins[r] = from.constant(v)
				}
				return v
			}
			switch o.Function {
			case FunctionRowNumber:
				out[r] = number(i + 1)
			case FunctionRank:
				out[r] = number(rank)
			case FunctionDenseRank:
				out[r] = number(dense)
			case FunctionLag:
				out[r] = at(i - w.Offset)
			case FunctionLead:
				out[r] = at(i + w.Offset)
			case FunctionFirst:
				out[r] = at(0)
			case FunctionLast:
				out[r] = at(len(rows) - 1)
			default:
				start, to := 0, len(rows)
				switch {
				case w.Frame != nil && w.Frame.Values:
					start, to = w.framed(from, rows, i)
				case w.Frame != nil:
					start, to = max(0, i+w.Frame.From), min(len(rows), i+w.Frame.To+1)
				case len(w.Order) > 0 && i < last: // a peer of the row before
					to = last
				case len(w.Order) > 0: // up to the current row and its peers
					for to = i + 1; to < len(rows) && ordered(r, rows[to], false) == 0; to++ {
					}
				}
				if running == nil || start != first || to < last {
					running, first, last = o.tally(), start, start
				}
				for ; last < to; last++ {
					running.add(from, rows[last])
				}
				var around []int
				if start < to {
					around = rows[start:to]
				}
				out[r] = running.result()
				before = o.spanOf(from, before, start, around, out[r])
				origins[r] = before.expr
			}
		}
	}
	return out, origins
}

// orderValue is what a row is ordered by: in a frame of values, NULL beyond its bounds.
func (w *Window) orderValue(by Order, from *joined, row int) value.Value {
	v := from.evaluate(by.Expr, from.rows[row])
	if w.Frame != nil && w.Frame.Values && !v.IsNull() && (v.Int64() > MaxFrameValue || v.Int64() < -MaxFrameValue) {
		return value.Null(value.TypeInt)
	}
	return v
}

// framed gives the first row and the one after the last of the frame of values of row i, among ordered rows.
func (w *Window) framed(from *joined, rows []int, i int) (start, end int) {
	by := w.Order[0]
	current := w.orderValue(by, from, rows[i])
	// from which row on the order has passed the current value moved by n, or reached it
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

// Compare orders two values: below 0 where a comes first.
func (by Order) Compare(a, b value.Value) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull() || b.IsNull():
		if a.IsNull() == by.NullsFirst {
			return -1
		}
		return 1
	}
	c := value.Compare(a, b)
	if by.Descending {
		return -c
	}
	return c
}
