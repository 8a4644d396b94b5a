package relational

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Regrouped returns a resolver over the rows of a derived relation of r. It resolves the same names as r, but to the
// relation's columns.
func (r *Resolver) Regrouped(d *fragment.Query, at syntax.Position) *Resolver {
	over := &Resolver{Catalog: r.Catalog, Scope: r.Scope, behind: r, moved: d}
	over.Adopt(over.checkDerived(d, nil, at), r.Sources[0].Alias, at)
	return over
}

// Over rewrites an expression over the original rows as one over the relation in between.
func (r *Resolver) Over(at syntax.Position, e *expr.Expr) *expr.Expr {
	if b := r.behind; b.ReadsPatientID(e) && e.Type == b.Patient.Type {
		e = b.Patient // of all tables of a row it is one
	}
	if i := slices.IndexFunc(r.moved.Columns, func(o fragment.Output) bool { return o.Expr.Equal(e) }); i >= 0 {
		return expr.Column(r.Sources[0].Name, r.moved.Columns[i].Name, e.Type)
	}
	if e.Op == expr.OpColumn {
		syntax.Refuse(syntax.CodeNotGrouped, at, "add it to GROUP BY", "%s differs from row to row within a group", e.Column)
	}
	x := *e
	x.Args = nil
	for _, a := range e.Args {
		x.Args = append(x.Args, r.Over(at, a))
	}
	return &x
}
