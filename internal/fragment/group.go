package fragment

import (
	"math"
	"math/big"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

func (d *Query) group(from *joined) Rows {
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
		order, keys = append(order, ""), append(keys, nil) // without keys, all rows are one group, even if there are no rows
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
	t := o.accumulator()
	for _, r := range rows {
		t.add(from, r)
	}
	return t.result()
}

// accumulator is a function of the rows that were added to it, one after the other.
type accumulator struct {
	*Output
	rows, values int
	best         value.Value     // min, max, every, any
	seen         map[string]bool // distinct
	float        float64         // a sum of floats without a grid
	sum          big.Int
}

func (o *Output) accumulator() *accumulator { return &accumulator{Output: o, seen: map[string]bool{}} }

func (t *accumulator) add(from *joined, row int) {
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

func (t *accumulator) result() value.Value {
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
