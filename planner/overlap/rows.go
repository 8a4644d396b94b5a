package overlap

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
)

// Rows names the rows that a release reads, whatever columns are computed from them. Unused columns are left out of a
// derived relation, so the relations of two releases may differ. Two releases with the same name read the same rows.
func Rows(f *fragment.Fragment) string {
	in, relations := inliner{}, f.Relations
	return scalar.Canonical([]any{in.relations(relations), in.of(f.Patient, relations), in.of(f.Filter, relations)})
}

// Inlined rewrites an expression over relations as one over the tables' columns. The result does not depend on the
// derived relations in between. Nil stays nil.
func Inlined(e *expr.Expr, relations []fragment.Relation) *expr.Expr {
	return inliner{}.of(e, relations)
}

// inliner replaces columns of derived relations by their expressions, each computed once. A value computed from several
// rows is replaced by a digest of its expression, so texts stay short even if it is read often.
type inliner map[inlinedColumn]*expr.Expr

type inlinedColumn struct {
	of     *fragment.Query
	column int
}

func (in inliner) relations(relations []fragment.Relation) (all []any) {
	for _, r := range relations {
		of := any(r.Table)
		if d := r.Query; d != nil && d.SetOp != "" {
			of = d
		} else if d != nil {
			groups := []*expr.Expr{}
			for _, o := range d.Columns {
				if d.Grouped && o.Function == "" {
					groups = append(groups, in.of(o.Expr, d.Relations))
				}
			}
			of = []any{in.relations(d.Relations), in.of(d.Filter, d.Relations), d.Grouped, groups}
		}
		all = append(all, []any{r.Name, of, r.Join, in.of(r.On, relations)})
	}
	return all
}

func (in inliner) of(e *expr.Expr, relations []fragment.Relation) *expr.Expr {
	if e == nil {
		return nil
	}
	if e.Op != expr.OpColumn {
		other := *e
		other.Args = make([]*expr.Expr, len(e.Args))
		for i, a := range e.Args {
			other.Args[i] = in.of(a, relations)
		}
		return &other
	}
	at := slices.IndexFunc(relations, func(r fragment.Relation) bool { return r.Name == e.Relation })
	if at < 0 || relations[at].Query == nil || relations[at].Query.SetOp != "" {
		return e
	}
	d := relations[at].Query
	i := slices.IndexFunc(d.Columns, func(o fragment.Output) bool { return o.Name == e.Column })
	if i < 0 {
		return e
	}
	known := in[inlinedColumn{d, i}]
	if known == nil {
		if known = in.of(d.Columns[i].Expr, d.Relations); d.Columns[i].Function != "" {
			known = in.function(d, d.Columns[i], known)
		}
		in[inlinedColumn{d, i}] = known
	}
	return inside(e.Relation, known)
}

// function stands for an output that is computed from several rows.
func (in inliner) function(d *fragment.Query, o fragment.Output, argument *expr.Expr) *expr.Expr {
	parts := []any{o.Function, argument, o.Grid}
	if w := o.Window; w != nil {
		of := func(all []*expr.Expr) (out []*expr.Expr) {
			for _, x := range all {
				out = append(out, in.of(x, d.Relations))
			}
			return out
		}
		for _, x := range w.Order {
			parts = append(parts, in.of(x.Expr, d.Relations), x.Descending, x.NullsFirst)
		}
		parts = append(parts, of(w.Partition), of(w.Ties), w.Offset, w.Frame)
	}
	sum := sha256.Sum256([]byte(scalar.Canonical(parts)))
	return expr.Column("", hex.EncodeToString(sum[:]), value.TypeText)
}

// inside marks columns as columns within a relation.
func inside(relation string, e *expr.Expr) *expr.Expr {
	other := *e
	if e.Op == expr.OpColumn {
		other.Relation = relation + "/" + e.Relation
		return &other
	}
	other.Args = make([]*expr.Expr, len(e.Args))
	for i, a := range e.Args {
		other.Args[i] = inside(relation, a)
	}
	return &other
}
