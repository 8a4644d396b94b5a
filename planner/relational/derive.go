package relational

import (
	"cmp"
	"errors"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Derive plans a query that stands in place of a table.
func (r *Resolver) Derive(q *syntax.Query, within *Scope, at syntax.Position) *Derived {
	if r.composer != nil {
		return r.composer.Derive(q, within)
	}
	if r.Depth >= MaxQueryDepth {
		syntax.Refuse(syntax.CodeTooLarge, at, "ask it in fewer steps", "queries nest deeper than %d", MaxQueryDepth)
	}
	if limit := cmp.Or(q.Limit, q.Offset); limit != nil {
		if r.Catalog.ReadsPublic(q, within) {
			return (&Resolver{Catalog: r.Catalog, Depth: r.Depth + 1}).LimitedRows(q, within)
		}
		if q.Select != nil && q.Select.IsGrouped() {
			syntax.Refuse(syntax.CodeNested, limit.At, "ask for the groups in a query of their own, and write them here: x IN (1, 2)",
				"LIMIT in a query within a query would choose among groups of patients, whose noisy counts are needed first")
		}
		syntax.Refuse(syntax.CodePatientsMixed, limit.At, "number the rows of each patient with ROW_NUMBER() OVER (PARTITION BY patient ORDER BY …) and keep those you want",
			"LIMIT in a query within a query would choose among patients")
	}
	if in := within.TakeRows(q); in != nil {
		in.LinkByForeignKeys()
		return in.SelectedFrom(q.Select)
	}
	in := &Resolver{Catalog: r.Catalog, Scope: within.Extend(q.With), Depth: r.Depth + 1}
	switch {
	case q.SetOperation != nil:
		return in.Combine(q.SetOperation, at)
	case ReadsNoTable(q.Select):
		return in.values(q.Select)
	}
	return in.Selected(q.Select)
}

// checkDerived checks a derived relation as each node will, and learns its properties.
func (r *Resolver) checkDerived(d *fragment.Query, columns []Column, at syntax.Position) *Derived {
	t, err := d.Table("derived", r.Catalog.Catalog, r.Catalog.Memo)
	if err != nil {
		r.Invalid(err, at)
	}
	return &Derived{Query: d, Schema: t, Named: columns}
}

// Invalid reports an error of the fragment's check. If a FROM item exceeds a limit, the error has its position.
func (r *Resolver) Invalid(err error, at syntax.Position) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		if s := r.Of(limit.Joined); s != nil {
			at = s.At
		}
	}
	RefuseInvalid(err, at)
}

// RefuseInvalid refuses what the fragment's check refuses.
func RefuseInvalid(err error, at syntax.Position) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		syntax.Refuse(syntax.CodeTooLarge, at, limit.Hint, "%s", limit.Message)
	}
	_, message, _ := strings.Cut(err.Error(), ": ")
	syntax.Refuse(syntax.CodeNotSupported, at, "", "%s", message)
}

// Adopt makes a derived relation the only source of an empty resolver.
func (r *Resolver) Adopt(d *Derived, alias string, at syntax.Position) *Source {
	s := &Source{Relation: fragment.Relation{Name: r.freshName("derived"), Query: d.Query}, Schema: d.Schema, At: at, Alias: alias, Named: d.Named}
	if alias == "" {
		s.Alias = syntax.Internal(s.Name)
	}
	r.Sources = append(r.Sources, s)
	r.findPatient()
	return s
}

// Selected plans one SELECT over rows of patients.
func (r *Resolver) Selected(s *syntax.Select) *Derived {
	r.Read(s)
	r.LinkByForeignKeys()
	return r.SelectedFrom(s)
}

// SelectedFrom plans the outputs of a SELECT whose rows are already read.
func (r *Resolver) SelectedFrom(s *syntax.Select) *Derived {
	if len(s.GroupBy) > 1 {
		syntax.Refuse(syntax.CodeNotSupported, s.At, "group by one set of keys here", "several grouping sets within a query are not answered")
	}
	if plain := r.ordered(s); plain != nil {
		if r.Depth >= MaxQueryDepth {
			syntax.Refuse(syntax.CodeTooLarge, s.At, "ask it in fewer steps", "queries nest deeper than %d", MaxQueryDepth)
		}
		over := &Resolver{Catalog: r.Catalog, Scope: r.Scope, outer: r.outer, Depth: r.Depth + 1, composer: r.composer}
		return over.Selected(plain)
	}
	terms := r.starless(s.Items, s.Qualified)
	aggregates := func(t *syntax.Expr) bool { return t != nil && t.Aggregate() != nil }
	aggregated := len(s.GroupBy) > 0 || aggregates(s.Having)
	windowed := s.Qualify != nil
	for _, t := range terms {
		aggregated = aggregated || aggregates(t.Term)
		windowed = windowed || t.Term.Window() != nil
	}
	rows, resolve := r, r.Row
	if aggregated {
		g := r.grouped(s, terms)
		rows, resolve = g.next, g.output
		if s.Having != nil {
			having := g.output(s.Having)
			if having.Type != value.TypeBool {
				syntax.Refuse(syntax.CodeType, s.Having.At, "write a comparison, such as COUNT(*) > 1", "HAVING needs a condition")
			}
			rows.Filter = scalar.Normalized(having)
		}
	} else if s.Having != nil {
		syntax.Refuse(syntax.CodeSyntax, s.Having.At, "write the condition into WHERE", "HAVING needs GROUP BY or an aggregate")
	}
	if windowed {
		w := &windowing{in: rows, inner: resolve, next: &Resolver{Catalog: r.Catalog, Depth: r.Depth}}
		var items []item
		for _, t := range terms {
			items = append(items, itemOf(t, w.output(t.Term)))
		}
		var qualify *expr.Expr
		if s.Qualify != nil {
			q := s.Qualify
			if named := syntax.Aliased(terms, q); named != nil {
				q = named
			}
			qualify = w.output(w.aliases(q, terms))
		}
		rows = w.done(s.At)
		if qualify != nil {
			if qualify.Type != value.TypeBool {
				syntax.Refuse(syntax.CodeType, s.Qualify.At, "write a comparison, such as ROW_NUMBER() OVER (…) = 1", "QUALIFY needs a condition")
			}
			rows.Filter = scalar.Normalized(qualify)
		}
		if d := identityProjection(rows, items); d != nil && qualify == nil && !s.Distinct {
			return d
		}
		return rows.project(items, s.Distinct)
	}
	var items []item
	for _, t := range terms {
		items = append(items, itemOf(t, resolve(t.Term)))
	}
	if aggregated && !s.Distinct && rows.Filter == nil {
		if d := identityProjection(rows, items); d != nil {
			return d
		}
	}
	return rows.project(items, s.Distinct)
}
