package planner

import (
	"errors"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// derive plans a query in place of a table.
func (r *resolver) derive(q *syntax.Query, within *scope, at Position) *derived {
	if r.composer != nil {
		return r.composer.derive(q, within)
	}
	if r.depth >= maxQueryDepth {
		refuse(CodeTooLarge, at, "ask it in fewer steps", "queries nest deeper than %d", maxQueryDepth)
	}
	if limit := cmpOr(q.Limit, q.Offset); limit != nil {
		if r.catalog.readsPublic(q, within) {
			return limitedRows(&resolver{catalog: r.catalog, depth: r.depth + 1}, q, within)
		}
		refuse(CodePatientsMixed, limit.At, "number the rows of each patient with ROW_NUMBER() OVER (PARTITION BY patient ORDER BY …) and keep those you want",
			"LIMIT in a query within a query would choose among patients")
	}
	if in := within.taken(q); in != nil {
		in.linkByForeignKeys()
		return in.selectedFrom(q.Select)
	}
	in := &resolver{catalog: r.catalog, scope: within.with(q.With), depth: r.depth + 1}
	switch {
	case q.SetOperation != nil:
		return in.combine(q.SetOperation, at)
	case readsNoTable(q.Select):
		return in.values(q.Select)
	}
	return in.selected(q.Select)
}

// settleDerived checks a derived relation, as each node will, and learns from it what can be known.
func (r *resolver) settleDerived(d *fragment.Derived, columns []column, at Position) *derived {
	t, err := d.Table("derived", r.catalog.Catalog, r.catalog.domains)
	if err != nil {
		r.invalid(err, at)
	}
	return &derived{Derived: d, table: t, columns: columns}
}

// invalid refuses what the fragment's check refuses: at the table of FROM that is too much, where it is one.
func (r *resolver) invalid(err error, at Position) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		if s := r.of(limit.Relation); s != nil {
			at = s.at
		}
		refuse(CodeTooLarge, at, limit.Hint, "%s", limit.Message)
	}
	_, message, _ := strings.Cut(err.Error(), ": ")
	refuse(CodeNotSupported, at, "", "%s", message)
}

// adopt makes a derived relation the only source of an empty resolver.
func (r *resolver) adopt(d *derived, alias string, at Position) *source {
	s := &source{Relation: fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}, table: d.table, at: at, alias: alias, columns: d.columns}
	if alias == "" {
		s.alias = " " + s.Name
	}
	r.sources = append(r.sources, s)
	r.findPatient()
	return s
}

// selected plans one SELECT whose rows stay those of patients.
func (r *resolver) selected(s *syntax.Select) *derived {
	r.rows(s)
	r.linkByForeignKeys()
	return r.selectedFrom(s)
}

// selectedFrom plans what a SELECT makes of the rows that it reads.
func (r *resolver) selectedFrom(s *syntax.Select) *derived {
	if len(s.GroupBy) > 1 {
		refuse(CodeNotSupported, s.At, "group by one set of keys here", "several grouping sets within a query are not answered")
	}
	terms := r.starless(s.Items, s.Qualified)
	aggregates := func(t *syntax.Expr) bool { return t != nil && t.Aggregate() != nil }
	aggregated := len(s.GroupBy) > 0 || aggregates(s.Having)
	windowed := s.Qualify != nil
	for _, t := range terms {
		aggregated = aggregated || aggregates(t.Term)
		windowed = windowed || t.Term.Window() != nil
	}
	rows, resolve := r, r.row
	if aggregated {
		g := r.grouped(s, terms)
		rows, resolve = g.next, g.output
		if s.Having != nil {
			having := g.output(s.Having)
			if having.Type != value.TypeBool {
				refuse(CodeType, s.Having.At, "write a comparison, such as COUNT(*) > 1", "HAVING needs a condition")
			}
			rows.filter = scalar.Normalized(having)
		}
	} else if s.Having != nil {
		refuse(CodeSyntax, s.Having.At, "write the condition into WHERE", "HAVING needs GROUP BY or an aggregate")
	}
	if windowed {
		w := &windowing{in: rows, inner: resolve, next: &resolver{catalog: r.catalog, depth: r.depth}}
		var items []item
		for _, t := range terms {
			items = append(items, item{t.Name(), w.output(t.Term)})
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
				refuse(CodeType, s.Qualify.At, "write a comparison, such as ROW_NUMBER() OVER (…) = 1", "QUALIFY needs a condition")
			}
			rows.filter = scalar.Normalized(qualify)
		}
		if d := identityProjection(rows, items); d != nil && qualify == nil && !s.Distinct {
			return d
		}
		return rows.project(items, s.Distinct)
	}
	var items []item
	for _, t := range terms {
		items = append(items, item{t.Name(), resolve(t.Term)})
	}
	if aggregated && !s.Distinct && rows.filter == nil {
		if d := identityProjection(rows, items); d != nil {
			return d
		}
	}
	return rows.project(items, s.Distinct)
}
