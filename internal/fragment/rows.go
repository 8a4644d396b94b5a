package fragment

import (
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Rows is a relation in memory: what a table holds, or what a Derived yields.
type Rows struct {
	Names  []string
	Values [][]value.Value
}

// Evaluate computes a derived relation; table is asked for the rows of each of the
// catalog's tables, by the name in Relation.Table, and hospital is the name of the
// node. It is the reference for what a Derived means, and computes with released
// rows at the coordinator, which are few; engines have better plans.
func (d *Derived) Evaluate(table func(name string) Rows, hospital string) Rows {
	if d.Combine != "" {
		return d.combine(table, hospital)
	}
	from := join(d.Relations, d.Filter, table, hospital)
	out := Rows{}
	for _, o := range d.Columns {
		out.Names = append(out.Names, o.Name)
	}
	if d.Grouped {
		out.Values = d.group(from)
		return out
	}
	columns := make([][]value.Value, len(d.Columns))
	for i := range d.Columns {
		columns[i] = d.Columns[i].over(from)
	}
	for r := range from.rows {
		row := make([]value.Value, len(columns))
		for i := range columns {
			row[i] = columns[i][r]
		}
		out.Values = append(out.Values, row)
	}
	return out
}

func (d *Derived) combine(table func(string) Rows, hospital string) Rows {
	out := d.Arms[0].Evaluate(table, hospital)
	if d.Combine != CombineAll {
		out.Values = distinctRows(out.Values)
	}
	for _, arm := range d.Arms[1:] {
		next := arm.Evaluate(table, hospital).Values
		switch d.Combine {
		case CombineAll:
			out.Values = append(out.Values, next...)
		case CombineUnion:
			out.Values = distinctRows(append(out.Values, next...))
		default:
			in := map[string]bool{}
			for _, row := range next {
				in[rowKey(row)] = true
			}
			out.Values = slices.DeleteFunc(out.Values, func(row []value.Value) bool {
				return in[rowKey(row)] == (d.Combine == CombineExcept)
			})
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

func distinctRows(rows [][]value.Value) [][]value.Value {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(rows), func(row []value.Value) bool {
		key := rowKey(row)
		defer func() { seen[key] = true }()
		return seen[key]
	})
}

// joined is the rows that a select reads, before it computes anything.
type joined struct {
	index    map[string]int // of a relation in a row
	names    []map[string]int
	rows     [][][]value.Value // by row, by relation; nil where a left join found nothing
	hospital string
}

func (j *joined) evaluate(e *Expr, row [][]value.Value) value.Value {
	return Evaluate(e, func(c *Expr) value.Value {
		if c.Op == OpHospital {
			return value.Text(j.hospital)
		}
		i := j.index[c.Relation]
		if i >= len(row) || row[i] == nil {
			return value.Null(c.Type)
		}
		return row[i][j.names[i][strings.ToLower(c.Column)]]
	})
}

func join(relations []Relation, filter *Expr, table func(string) Rows, hospital string) *joined {
	j := &joined{index: map[string]int{}, hospital: hospital, rows: [][][]value.Value{nil}}
	for i, r := range relations {
		var source Rows
		if r.Derived != nil {
			source = r.Derived.Evaluate(table, hospital)
		} else {
			source = table(r.Table)
		}
		names := map[string]int{}
		for k, name := range source.Names {
			names[strings.ToLower(name)] = k
		}
		j.index[r.Name], j.names = i, append(j.names, names)
		var next [][][]value.Value
		for _, left := range j.rows {
			found := false
			for _, right := range source.Values {
				row := append(slices.Clone(left), right)
				if r.On == nil || j.evaluate(r.On, row).True() {
					next, found = append(next, row), true
				}
			}
			if !found && r.Join == JoinLeft {
				next = append(next, append(slices.Clone(left), nil))
			}
		}
		j.rows = next
	}
	if filter != nil {
		j.rows = slices.DeleteFunc(j.rows, func(row [][]value.Value) bool { return !j.evaluate(filter, row).True() })
	}
	return j
}

func (d *Derived) group(from *joined) [][]value.Value {
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
	var out [][]value.Value
	for g, k := range order {
		var row []value.Value
		next := 0
		for i := range d.Columns {
			o := &d.Columns[i]
			if o.Function == "" {
				row = append(row, keys[g][next])
				next++
				continue
			}
			row = append(row, o.of(from, groups[k]))
		}
		out = append(out, row)
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
func (o *Output) over(from *joined) []value.Value {
	out := make([]value.Value, len(from.rows))
	if o.Window == nil {
		for r, row := range from.rows {
			out[r] = from.evaluate(o.Expr, row)
		}
		return out
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
		for i, r := range rows {
			if i == 0 || ordered(rows[i-1], r, false) != 0 {
				rank, dense = i+1, dense+1
			}
			at := func(k int) value.Value {
				if k < 0 || k >= len(rows) {
					return value.Null(o.Type())
				}
				return from.evaluate(o.Expr, from.rows[rows[k]])
			}
			switch o.Function {
			case FunctionRowNumber:
				out[r] = value.Int(int64(i + 1))
			case FunctionRank:
				out[r] = value.Int(int64(rank))
			case FunctionDenseRank:
				out[r] = value.Int(int64(dense))
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
			}
		}
	}
	return out
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
