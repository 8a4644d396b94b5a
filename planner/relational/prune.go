package relational

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// used are the columns of a relation that something reads.
type used map[string]bool

// Prune removes from derived relations what nothing reads. So a query that names more than it needs equals the query
// without, and no database computes the rest.
func Prune(relations []fragment.Relation, exprs ...*expr.Expr) []fragment.Relation {
	reads := map[string]used{}
	note := func(e *expr.Expr) {
		if e == nil {
			return
		}
		e.Columns(func(relation, column string) {
			if reads[relation] == nil {
				reads[relation] = used{}
			}
			reads[relation][column] = true
		})
	}
	for _, e := range exprs {
		note(e)
	}
	for _, r := range relations {
		note(r.On)
	}
	out := slices.Clone(relations)
	for i, r := range out {
		if r.Query != nil {
			out[i].Query = pruned(r.Query, reads[r.Name])
		}
	}
	return out
}

// pruned returns the derived relation with only the columns that are read.
func pruned(d *fragment.Query, reads used) *fragment.Query {
	out := *d
	if d.SetOp != "" {
		return prunedArms(d, reads)
	}
	out.Columns = nil
	var exprs []*expr.Expr
	for _, o := range d.Columns {
		// A value that groups rows decides which rows there are, so it stays.
		if !reads[o.Name] && o.Name != d.Patient && !(d.Grouped && o.Function == "") {
			continue
		}
		out.Columns = append(out.Columns, o)
		exprs = append(exprs, o.Expr)
		if w := o.Window; w != nil {
			exprs = append(append(exprs, w.Partition...), w.Ties...)
			for _, by := range w.Order {
				exprs = append(exprs, by.Expr)
			}
		}
	}
	if len(out.Columns) == 0 { // only the number of rows matters
		out.Columns = d.Columns[:1:1]
		exprs = append(exprs, d.Columns[0].Expr)
	}
	out.Relations = Prune(d.Relations, append(exprs, d.Filter)...)
	if len(out.Columns) == len(d.Columns) && slices.EqualFunc(out.Relations, d.Relations, func(a, b fragment.Relation) bool { return a.Query == b.Query }) {
		return d // keep the pointer: its properties are already known
	}
	return &out
}

func prunedArms(d *fragment.Query, reads used) *fragment.Query {
	out := *d
	out.Inputs = nil
	first := d.Inputs[0]
	for first.SetOp != "" {
		first = first.Inputs[0]
	}
	for _, arm := range d.Inputs {
		keep := used{}
		for i, o := range first.Columns {
			// An operation that compares rows needs all compared columns.
			if d.SetOp != fragment.SetOpUnionAll || arm.SetOp != "" || first != d.Inputs[0] || reads[o.Name] {
				if arm.SetOp == "" {
					keep[arm.Columns[i].Name] = true
				} else {
					keep[o.Name] = true
				}
			}
		}
		out.Inputs = append(out.Inputs, pruned(arm, keep))
	}
	// Each input keeps its patient. If the patients' columns would no longer match, nothing is removed.
	place := func(arm *fragment.Query) int {
		return slices.IndexFunc(arm.Columns, func(o fragment.Output) bool { return o.Name == arm.Patient })
	}
	for _, arm := range out.Inputs {
		if d.SetOp == fragment.SetOpUnionAll && (len(arm.Columns) != len(out.Inputs[0].Columns) || place(arm) != place(out.Inputs[0])) {
			return d
		}
	}
	return &out
}
