package relational

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/syntax"
)

// In some tables, rows belong to patients by one of several paths, and a column says by which. The catalog has one
// table for each path (catalog.Part). A query that reads the whole table reads the part that its conditions select, or
// the union of all parts. In each case, a row has its patient's id.

// parts lists the parts of a FROM table that the conditions leave; nil if the table has no parts.
func (r *Resolver) parts(f syntax.From) []*catalog.Table {
	all := r.Catalog.Parts(f.Table)
	if len(all) == 0 || f.Query != nil {
		return nil
	}
	left := all
	for _, t := range slices.Concat(r.where.Conjuncts(), f.On.Conjuncts()) {
		if t.Kind != syntax.Operator || t.Name != "=" && t.Name != "in" {
			continue
		}
		column, values := t.Args[0], t.Args[1:]
		if t.Name == "=" && column.Kind == syntax.Literal {
			column, values = t.Args[1], t.Args[:1]
		}
		if column.Kind != syntax.Column || column.Qualifier != "" && column.Qualifier != f.Alias || !strings.EqualFold(column.Name, all[0].Part.Column) ||
			slices.ContainsFunc(values, func(v *syntax.Expr) bool { return v.Kind != syntax.Literal || !v.Literal.Valid() }) {
			continue
		}
		left = slices.DeleteFunc(slices.Clone(left), func(p *catalog.Table) bool {
			return !slices.ContainsFunc(values, func(v *syntax.Expr) bool { return v.Literal.String() == p.Part.Value })
		})
	}
	if len(left) == 0 { // no row satisfies it, which the condition itself shows
		return all
	}
	return left
}

// united plans the rows of all parts.
func (r *Resolver) united(parts []*catalog.Table, at syntax.Position) *Derived {
	var all []*Derived
	for _, t := range parts {
		in := &Resolver{Catalog: r.Catalog, Depth: r.Depth + 1}
		whole := &Source{Schema: t, At: at, Alias: t.Name, Named: named(t), Relation: fragment.Relation{Name: t.Name, Table: t.Name}}
		in.Sources = []*Source{whole}
		in.findPatient()
		var items []item
		for _, c := range t.Columns {
			items = append(items, item{name: strings.ToLower(c.Name), expr: whole.Expr(c)})
		}
		all = append(all, in.aligned(items))
	}
	return (&Resolver{Catalog: r.Catalog, Depth: r.Depth + 1}).applySetOp(fragment.SetOpUnionAll, all, at, at)
}
