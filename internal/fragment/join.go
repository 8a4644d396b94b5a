package fragment

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// joined holds the rows that a select reads, before it computes anything.
type joined struct {
	*evaluation
	index   map[string]int // of a relation in a row
	sources []Rows
	names   []map[string]int
	columns map[*expr.Expr]int // index of a column in its relation, cached when it is first read
	rows    []joinedRow
}

// joinedRow has the index of each relation's row; -1 if a left join found nothing.
type joinedRow []int32

// at finds a column in a row. ok is false if a left join found nothing.
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

// capped returns the remaining rows of the relations that are capped.
func (v *evaluation) capped(relations []Relation, filter *expr.Expr) map[int]Rows {
	if v.catalog == nil {
		return nil
	}
	caps, err := Caps(relations, filter, v.catalog, NewMemo(nil))
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
	if r.Query == nil {
		return v.table(r.Table).Names
	}
	d := r.Query
	for d.SetOp != "" {
		d = d.Inputs[0]
	}
	return d.names()
}

func (v *evaluation) joinRows(relations []Relation, filter *expr.Expr, capped map[int]Rows) *joined {
	j := &joined{evaluation: v, index: map[string]int{}, columns: map[*expr.Expr]int{}, rows: []joinedRow{{}}}
	for i, r := range relations {
		source, cut := capped[i]
		switch {
		case cut:
		case r.Query != nil:
			source = r.Query.evaluate(v)
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

// with joins the last source, which belongs to relation r, to the rows before it. If columns must be equal, it looks up
// the matching rows.
func (j *joined) with(r Relation, filter *expr.Expr) []joinedRow {
	i := len(j.sources) - 1
	all := make([]int32, len(j.sources[i].Values))
	for k := range all {
		all[k] = int32(k)
	}
	before, own := j.equatedColumns(r, filter)
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

// equatedColumns returns expressions over the rows before a relation, and over its own rows, that are equal in each row
// of the join. Floats are left out: some are equal but written differently.
func (j *joined) equatedColumns(r Relation, filter *expr.Expr) (before, own []*expr.Expr) {
	i := j.index[r.Name]
	conditions := expr.Conjuncts(r.On)
	if r.Join != JoinLeft { // rows that the filter drops later need not be joined
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

// reads reports whether an expression reads columns, and only those of relations for which of is true.
func (j *joined) reads(e *expr.Expr, of func(relation int) bool) bool {
	any, all := false, true
	e.Columns(func(relation, _ string) {
		i, known := j.index[relation]
		any, all = true, all && known && of(i)
	})
	return any && all
}

// keyOf returns a text that rows share if the expressions are equal. NULL equals nothing, so it has none.
func (j *joined) keyOf(exprs []*expr.Expr, row joinedRow) (string, bool) {
	values := make([]value.Value, len(exprs))
	for k, e := range exprs {
		if values[k] = j.evaluate(e, row); values[k].IsNull() {
			return "", false
		}
	}
	return rowKey(values), true
}
