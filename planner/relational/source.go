package relational

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Source is one relation that a SELECT reads, with the query's names for it.
type Source struct {
	fragment.Relation
	Schema *catalog.Table // from the catalog, or derived
	At     syntax.Position
	// Alias is the query's name for it; "" if the planner joined it and no name can reach it.
	Alias string
	Named []Column
	// merged lists the columns that JOIN … USING merged with those of an earlier source.
	merged []string
	// tables are the joined tables if it is a FULL JOIN; it then holds their columns.
	tables  []string
	written int         // its order in the text
	asked   syntax.From // how the text asks for it
	// parted is the condition that would select the single part that may be meant, if the source is all parts of a table;
	// else "".
	parted string
	// joined: it is a subquery, correlated by outer and the patient. Equal ones are joined once.
	joined bool
	outer  []*expr.Expr
}

// Column is a column that a query can name.
type Column struct {
	Name   string // the query's name
	Column string // the relation's name
	table  string // its table, if the source is a FULL JOIN; "" for a column of USING and elsewhere, see syntax.Item
	joint  bool   // COALESCE of columns that a FULL JOIN says are equal, not part of *, see syntax.Item
	// Untyped: it is only NULL and takes the type of its context.
	Untyped bool
	// zero: it is a count, so it is 0 if the left join finds no row.
	zero bool
}

// Column finds a column by its name, and also by its table if the source is a FULL JOIN and a table is named.
func (s *Source) Column(table, name string) (*catalog.Column, bool) {
	for _, c := range s.Named {
		if c.answers(s, table, name) {
			return s.Schema.Column(c.Column)
		}
	}
	return nil, false
}

// answers reports whether a name, with a table if one is named, means this column of the source.
func (c Column) answers(s *Source, table, name string) bool {
	return strings.EqualFold(c.Name, name) && (s.tables == nil || table == "" || table == c.table)
}

// hasMerged reports whether USING of a FULL JOIN merged the columns of that name.
func (s *Source) hasMerged(name string) bool {
	return slices.ContainsFunc(s.Named, func(c Column) bool { return c.table == "" && strings.EqualFold(c.Name, name) })
}

// hasName reports whether a table name means this source or a table joined in it. An empty name always does.
func (s *Source) hasName(table string) bool {
	return table == "" || table == s.Alias || slices.Contains(s.tables, table)
}

// untyped reports whether the column of that name is only NULL.
func (s *Source) untyped(table, name string) bool {
	i := slices.IndexFunc(s.Named, func(c Column) bool { return c.answers(s, table, name) })
	return i >= 0 && s.Named[i].Untyped
}

// counts reports whether the column is a count, which is 0 if there is no row.
func (s *Source) counts(table, name string) bool {
	i := slices.IndexFunc(s.Named, func(c Column) bool { return c.answers(s, table, name) })
	return i >= 0 && s.Named[i].zero
}

// ambiguous reports whether two different columns have the name. A column of USING, which comes first, is never
// ambiguous.
func (s *Source) ambiguous(table, name string) bool {
	first := ""
	for _, c := range s.Named {
		if !c.answers(s, table, name) {
			continue
		}
		if s.tables != nil && c.table == "" {
			return false
		}
		if first != "" && c.Column != first {
			return true
		}
		if first == "" {
			first = c.Column
		}
	}
	return false
}

// Expr reads one of the source's columns.
func (s *Source) Expr(c *catalog.Column) *expr.Expr {
	return expr.Column(s.Name, c.Name, c.Type)
}

// named lists a table's columns under their own names.
func named(t *catalog.Table) []Column {
	var all []Column
	for _, c := range t.Columns {
		all = append(all, Column{Name: strings.ToLower(c.Name), Column: c.Name})
	}
	return all
}

// from resolves the tables and their joins.
func (r *Resolver) from(tables []syntax.From, at syntax.Position) {
	for _, f := range tables {
		c := r.constantsOf(f)
		if c != nil && c.values {
			c = nil
		}
		first := len(r.Sources) == 0 && len(r.constants) > 0
		if (c != nil || first) && (f.Join == syntax.LeftJoin || f.Using != nil || f.Natural) {
			syntax.Refuse(syntax.CodeNotSupported, f.At, "write CROSS JOIN", "a query that reads no table is joined by CROSS JOIN, or JOIN … ON")
		}
		if c != nil || first {
			if f.On != nil {
				r.conditions = append(r.conditions, f.On)
			}
			f.On, f.Join = nil, syntax.NoJoin
		}
		if c != nil {
			r.constants = append(r.constants, c)
			continue
		}
		if f.Lateral {
			r.lateral(f)
			continue
		}
		r.join(r.source(f), f)
	}
	if len(r.Sources) == 0 {
		syntax.Refuse(syntax.CodeNoPatient, at, "write FROM and a table of the catalog", "the query reads no table")
	}
}

// source resolves one table, a query named by WITH, or a derived table.
func (r *Resolver) source(f syntax.From) *Source {
	s := &Source{At: f.At, Alias: f.Alias, written: f.Written, asked: f}
	query, within := f.Query, r.Scope
	columns := f.Columns
	if f.Function != nil && r.composer == nil {
		syntax.Refuse(syntax.CodeNotSupported, f.At, "", "%s cannot be joined", strings.ToUpper(f.Function.Name))
	}
	if w := r.Scope.find(f.Table); query == nil && w != nil {
		query, within = w.countedQuery(f.At), w.within
		if columns == nil {
			columns = w.Columns
		}
	}
	if f.Function != nil {
		d := r.composer.TableFunction(f.Function, r.Scope)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Query: d.Query}
		s.Schema, s.Named = d.Schema, d.Named
		if s.Alias == "" {
			s.Alias = f.Function.Name
		}
		return s
	}
	if t, ok := r.Catalog.Table(f.Table); query == nil && r.composer != nil && (ok && !t.Public || len(r.Catalog.Parts(f.Table)) > 0) {
		syntax.Refuse(syntax.CodeNested, f.At, "ask for the inner aggregate in a query of its own, and write its number here; or join "+f.Table+" within the query that aggregates",
			"%s has rows of patients, and is joined here with an aggregate over patients, whose noisy answer is needed first", f.Table)
	}
	if parts := r.parts(f); query == nil && len(parts) > 1 {
		d := r.united(parts, f.At)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Query: d.Query}
		s.Schema, s.Named, s.parted = d.Schema, d.Named, parts[0].Part.Column+" = '"+parts[0].Part.Value+"'"
	} else if query == nil {
		t, ok := r.Catalog.Table(f.Table)
		if len(parts) == 1 {
			t, ok = parts[0], true
		}
		ok = ok && !IsMade(f.Table)
		if !ok {
			var names []string
			for _, t := range r.Catalog.Tables {
				if !IsMade(t.Name) {
					names = append(names, t.Name)
				}
			}
			for w := r.Scope; w.next != nil; w = w.next {
				names = append(names, w.Name)
			}
			syntax.Refuse(syntax.CodeTable, f.At, cmp.Or(syntax.Nearest(f.Table, names), "SHOW TABLES lists them"), "the catalog has no table %s", f.Table)
		}
		s.Schema, s.Named = t, named(t)
		s.Relation = fragment.Relation{Name: r.freshName(t.Name), Table: t.Name}
	} else {
		d := r.Derive(query, within, f.At)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Query: d.Query}
		s.Named = d.Named
		s.Schema = d.Schema
	}
	if len(columns) > len(s.Named) {
		syntax.Refuse(syntax.CodeColumn, f.At, "name as many columns as the query has", "%s has %d columns", f.Alias, len(s.Named))
	}
	s.Named = slices.Clone(s.Named)
	s.tables = f.Tables
	for i, name := range columns {
		s.Named[i].Name = name
	}
	for _, o := range r.Sources {
		if o.Alias == f.Alias && f.Alias != "" {
			syntax.Refuse(syntax.CodeAmbiguous, f.At, "give one of them another name with AS", "%s is used for two tables", f.Alias)
		}
	}
	if s.Alias == "" {
		s.Alias = syntax.Internal(s.Name) // a derived table without a name: only its columns can be named
	}
	return s
}

// join adds a source in the way FROM joins it.
func (r *Resolver) join(s *Source, f syntax.From) {
	using := f.Using
	if f.Natural {
		using = nil
		for _, o := range r.Sources {
			for _, c := range o.Named {
				if _, ok := s.Column("", c.Name); ok && !slices.ContainsFunc(using, func(t *syntax.Expr) bool { return strings.EqualFold(t.Name, c.Name) }) {
					using = append(using, &syntax.Expr{Kind: syntax.Column, At: f.At, Name: strings.ToLower(c.Name)})
				}
			}
		}
	}
	switch f.Join {
	case syntax.CrossJoin:
		s.Join = fragment.JoinCross
	case syntax.InnerJoin:
		s.Join = fragment.JoinInner
	case syntax.LeftJoin:
		s.Join = fragment.JoinLeft
	}
	var conditions []*expr.Expr
	for _, t := range using {
		left := r.column(t)
		c, ok := s.Column("", t.Name)
		if !ok {
			syntax.Refuse(syntax.CodeColumn, t.At, "", "the joined table has no column %s", t.Name)
		}
		conditions = append(conditions, expr.Conjuncts(scalar.Apply(t.At, expr.OpEqual, left, s.Expr(c)))...)
		s.merged = append(s.merged, t.Name)
	}
	r.Sources = append(r.Sources, s)
	if f.On != nil {
		r.joining = true
		conditions = append(conditions, expr.Conjuncts(r.Condition(f.On, "ON"))...)
		r.joining = false
	}
	switch {
	case len(conditions) > 0:
		s.On = scalar.Conjunction(conditions)
		if s.Join == fragment.JoinCross {
			s.Join = fragment.JoinInner
		}
	case s.Join == fragment.JoinInner:
		s.Join = fragment.JoinCross
	case s.Join == fragment.JoinLeft:
		syntax.Refuse(syntax.CodeSyntax, f.At, "add ON and the columns that are equal", "LEFT JOIN lacks its condition")
	}
}

// freshName names a relation by its table. So plans read well, and aliases do not make equal queries differ.
func (r *Resolver) freshName(table string) string {
	name := table
	for n := 2; ; n++ {
		taken := false
		for scope := r; scope != nil; scope = scope.outer {
			taken = taken || scope.Of(name) != nil
		}
		if !taken {
			return name
		}
		name = table + "_" + strconv.Itoa(n)
	}
}
