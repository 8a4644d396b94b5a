package fragment

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

// Rows is a relation in memory: what a table holds, or what a Derived yields.
type Rows struct {
	Names  []string
	Values [][]value.Value
	// Origins are of Trace: of what each value is made.
	Origins [][]*Expr
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
func (d *Derived) Trace(table func(name string) Rows, hospital string) Rows {
	return d.evaluate(&evaluation{table: table, hospital: hospital, trace: &trace{room: maxTraced}})
}

// evaluation is one run of Evaluate or Trace.
type evaluation struct {
	table    func(string) Rows
	hospital string
	catalog  *catalog.Catalog // nil: nothing is private
	trace    *trace           // nil: Evaluate
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
		out.Origins = make([][]*Expr, len(from.rows))
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
	index map[string]int // of a relation in a row
	names []map[string]int
	rows  []joinedRow
}

// joinedRow is a row of each relation; nil where a left join found nothing.
type joinedRow struct {
	values  [][]value.Value
	origins [][]*Expr // in Trace
}

func (row joinedRow) beside(values []value.Value, origins []*Expr) joinedRow {
	return joinedRow{append(slices.Clone(row.values), values), append(slices.Clone(row.origins), origins)}
}

// at finds a column in a row; ok is false where a left join found nothing.
func (j *joined) at(c *Expr, row joinedRow) (relation, column int, ok bool) {
	i := j.index[c.Relation]
	if i >= len(row.values) || row.values[i] == nil {
		return 0, 0, false
	}
	return i, j.names[i][strings.ToLower(c.Column)], true
}

func (j *joined) evaluate(e *Expr, row joinedRow) value.Value {
	return Evaluate(e, func(c *Expr) value.Value {
		if c.Op == OpHospital {
			return value.Text(j.hospital)
		}
		i, k, ok := j.at(c, row)
		if !ok {
			return value.Null(c.Type)
		}
		return row.values[i][k]
	})
}

func (v *evaluation) join(relations []Relation, filter *Expr) *joined {
	return v.joinRows(relations, filter, v.capped(relations, filter))
}

// capped gives the rows that stay of the relations of which some are cut.
func (v *evaluation) capped(relations []Relation, filter *Expr) map[int]Rows {
	if v.catalog == nil {
		return nil
	}
	caps, err := Caps(relations, filter, v.catalog)
	if err != nil {
		return nil // Check refuses the relations
	}
	type side struct {
		rows    []joinedRow
		patient []string
	}
	sides, counts := make([]side, len(caps)), map[string][]int64{}
	for k, at := range caps {
		j := v.joinRows(at.Relations, at.Filter, nil)
		for _, row := range j.rows {
			id := rowKey([]value.Value{j.evaluate(at.Patient, row)})
			sides[k].rows, sides[k].patient = append(sides[k].rows, row), append(sides[k].patient, id)
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
			h.Write([]byte(rowKey(sides[k].rows[i].values[0]))) //nolint:errcheck // it cannot fail
			order[i], hashes[i] = i, h.Sum64()
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(hashes[a], hashes[b]) })
		rows, place := Rows{Names: v.namesOf(at.Relations[0])}, map[string]int64{}
		for _, i := range order {
			id := sides[k].patient[i]
			if place[id]++; place[id] <= most(id) {
				rows.Values = append(rows.Values, sides[k].rows[i].values[0])
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

func (v *evaluation) joinRows(relations []Relation, filter *Expr, capped map[int]Rows) *joined {
	j := &joined{evaluation: v, index: map[string]int{}, rows: []joinedRow{{}}}
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
		j.index[r.Name], j.names = i, append(j.names, names)
		var next []joinedRow
		for _, left := range j.rows {
			found := false
			for k, right := range source.Values {
				var origins []*Expr
				if v.trace != nil {
					origins = source.Origins[k]
				}
				row := left.beside(right, origins)
				if r.On == nil || j.evaluate(r.On, row).True() {
					next, found = append(next, row), true
				}
			}
			if !found && r.Join == JoinLeft {
				next = append(next, left.beside(nil, nil))
			}
		}
		j.rows = next
	}
	if filter != nil {
		j.rows = slices.DeleteFunc(j.rows, func(row joinedRow) bool { return !j.evaluate(filter, row).True() })
	}
	return j
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
		var origins []*Expr
		next := 0
		for i := range d.Columns {
			o := &d.Columns[i]
			var v value.Value
			var origin *Expr
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
	if o.Function == FunctionRows {
		return value.Int(int64(len(rows)))
	}
	var values []value.Value
	for _, r := range rows {
		if v := from.evaluate(o.Expr, from.rows[r]); !v.IsNull() {
			values = append(values, v)
		}
	}
	switch o.Function {
	case FunctionCount:
		return value.Int(int64(len(values)))
	case FunctionDistinct:
		slices.SortFunc(values, value.Compare)
		return value.Int(int64(len(slices.CompactFunc(values, func(a, b value.Value) bool { return value.Compare(a, b) == 0 }))))
	}
	if len(values) == 0 {
		return value.Null(o.Type())
	}
	switch o.Function {
	case FunctionMin, FunctionEvery:
		return slices.MinFunc(values, value.Compare)
	case FunctionMax, FunctionAny:
		return slices.MaxFunc(values, value.Compare)
	}
	if o.Type() == value.TypeFloat && o.Grid == nil && o.Expr.Type == value.TypeFloat {
		sum := 0.0
		for _, v := range values {
			sum += v.Float64()
		}
		if o.Function == FunctionAverage {
			sum /= float64(len(values))
		}
		return value.Float(sum)
	}
	sum := new(big.Int)
	for _, v := range values {
		term := v.Int64()
		if o.Grid != nil {
			term = int64(math.Max(float64(o.Grid.Lower), math.Min(float64(o.Grid.Upper), math.Floor(math.Ldexp(v.Float64(), o.Grid.Shift)+0.5))))
		}
		sum.Add(sum, big.NewInt(term))
	}
	if o.Function == FunctionSum && o.Grid == nil {
		if !sum.IsInt64() {
			return value.Null(value.TypeInt)
		}
		return value.Int(sum.Int64())
	}
	real, _ := new(big.Float).SetInt(sum).Float64()
	if o.Function == FunctionAverage {
		real /= float64(len(values))
	}
	if o.Grid != nil {
		real = o.Grid.Number(real)
	}
	return value.Float(real)
}

// over computes an output for every row: a value, or a function of a window.
func (o *Output) over(from *joined) (out []value.Value, origins []*Expr) {
	out, origins = make([]value.Value, len(from.rows)), make([]*Expr, len(from.rows))
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
			if c := by.Compare(from.evaluate(by.Expr, from.rows[a]), from.evaluate(by.Expr, from.rows[b])); c != 0 {
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
		for i, r := range rows {
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
				first, last := 0, len(rows)
				switch {
				case w.Frame != nil:
					first, last = max(0, i+w.Frame.From), min(len(rows), i+w.Frame.To+1)
				case len(w.Order) > 0: // up to the current row and its peers
					for last = i + 1; last < len(rows) && ordered(r, rows[last], false) == 0; last++ {
					}
				}
				var around []int
				if first < last {
					around = rows[first:last]
				}
				out[r] = o.of(from, around)
				before = o.spanOf(from, before, first, around, out[r])
				origins[r] = before.expr
			}
		}
	}
	return out, origins
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
