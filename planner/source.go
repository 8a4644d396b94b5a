package planner

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

// source is one relation that a SELECT reads, and what the query calls it.
type source struct {
	fragment.Relation
	table *catalog.Table // of the catalog, or what is known of a derived relation
	at    Position
	// alias is the query's name for it; "" for one that no name reaches, because the
	// planner joined it.
	alias   string
	columns []column
	// merged lists the columns that JOIN … USING made one with those of a source before.
	merged []string
	// tables are those whose columns it holds where it is a FULL JOIN of them.
	tables  []string
	written int // its place in the text
	// parted is a condition on the one part that might be meant, where it is all parts of a table; else "".
	parted string
	// signature tells equal subqueries, which are joined once.
	signature string
}

// column is a column that a query can name.
type column struct {
	name   string // the query's
	column string // the relation's
	table  string // whose it is, where the source is a FULL JOIN; "" for a column of USING, and elsewhere
	joint  bool   // it is COALESCE of columns that a FULL JOIN says are equal, and not one of *
	// untyped: it is NULL and nothing else, and takes the type of what it meets.
	untyped bool
	// zero: it counts, and is 0 where the row that the left join lacks would be.
	zero bool
}

// column finds a column by its name, and by its table where the source is a FULL JOIN and a table is named.
func (s *source) column(table, name string) (*catalog.Column, bool) {
	for _, c := range s.columns {
		if c.answers(s, table, name) {
			return s.table.Column(c.column)
		}
	}
	return nil, false
}

// answers reports whether a column of a source is meant by a name, and a table where one is named.
func (c column) answers(s *source, table, name string) bool {
	return strings.EqualFold(c.name, name) && (s.tables == nil || table == "" || table == c.table)
}

// hasMerged reports whether USING of a FULL JOIN made one column of those of the name.
func (s *source) hasMerged(name string) bool {
	return slices.ContainsFunc(s.columns, func(c column) bool { return c.table == "" && strings.EqualFold(c.name, name) })
}

// called reports whether a table of a name, or any where it is empty, is this source, or joined within.
func (s *source) called(table string) bool {
	return table == "" || table == s.alias || slices.Contains(s.tables, table)
}

// untyped reports whether the column of the name is NULL and nothing else.
func (s *source) untyped(table, name string) bool {
	i := slices.IndexFunc(s.columns, func(c column) bool { return c.answers(s, table, name) })
	return i >= 0 && s.columns[i].untyped
}

// counts reports whether the column is a count, 0 where there is no row.
func (s *source) counts(table, name string) bool {
	i := slices.IndexFunc(s.columns, func(c column) bool { return c.answers(s, table, name) })
	return i >= 0 && s.columns[i].zero
}

// ambiguous reports whether two different columns have the name. That of USING, which stands first, is the only one.
func (s *source) ambiguous(table, name string) bool {
	first := ""
	for _, c := range s.columns {
		if !c.answers(s, table, name) {
			continue
		}
		if s.tables != nil && c.table == "" {
			return false
		}
		if first != "" && c.column != first {
			return true
		}
		if first == "" {
			first = c.column
		}
	}
	return false
}

func (s *source) expr(c *catalog.Column) *expr.Expr {
	return expr.Column(s.Name, c.Name, c.Type)
}

// named lists a table's columns under their own names.
func named(t *catalog.Table) []column {
	var all []column
	for _, c := range t.Columns {
		all = append(all, column{name: strings.ToLower(c.Name), column: c.Name})
	}
	return all
}

// from resolves the tables and their joins.
func (r *resolver) from(tables []syntax.From, at Position) {
	for _, f := range tables {
		c := r.constantsOf(f)
		if c != nil && c.values {
			c = nil
		}
		first := len(r.sources) == 0 && len(r.constants) > 0
		if (c != nil || first) && (f.Join == syntax.LeftJoin || f.Using != nil || f.Natural) {
			refuse(CodeNotSupported, f.At, "write CROSS JOIN", "a query that reads no table is joined by CROSS JOIN, or JOIN … ON")
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
	if len(r.sources) == 0 {
		refuse(CodeNoPatient, at, "write FROM and a table of the catalog", "the query reads no table")
	}
}

// source resolves one table, a query named by WITH, or a derived table.
func (r *resolver) source(f syntax.From) *source {
	s := &source{at: f.At, alias: f.Alias, written: f.Written}
	query, within := f.Query, r.scope
	columns := f.Columns
	if f.Function != nil && r.composer == nil {
		refuse(CodeNotSupported, f.At, "", "%s cannot be joined", strings.ToUpper(f.Function.Name))
	}
	if w := r.scope.find(f.Table); query == nil && w != nil {
		query, within = w.read(f.At), w.within
		if columns == nil {
			columns = w.Columns
		}
	}
	if f.Function != nil {
		d := r.composer.tableFunction(f.Function, r.scope)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}
		s.table, s.columns = d.table, d.columns
		if s.alias == "" {
			s.alias = f.Function.Name
		}
		return s
	}
	if t, ok := r.catalog.Table(f.Table); query == nil && r.composer != nil && (ok && !t.Public || len(r.catalog.Parts(f.Table)) > 0) {
		refuse(CodeNested, f.At, "ask for the inner aggregate in a query of its own, and write its number here; or join "+f.Table+" within the query that aggregates",
			"%s has rows of patients, and is joined here with an aggregate over patients, whose noisy answer is needed first", f.Table)
	}
	if parts := r.parts(f); query == nil && len(parts) > 1 {
		d := r.united(parts, f.At)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}
		s.table, s.columns, s.parted = d.table, d.columns, parts[0].Part.Column+" = '"+parts[0].Part.Value+"'"
	} else if query == nil {
		t, ok := r.catalog.Table(f.Table)
		if len(parts) == 1 {
			t, ok = parts[0], true
		}
		if !ok {
			var names []string
			for _, t := range r.catalog.Tables {
				names = append(names, t.Name)
			}
			for w := r.scope; w.next != nil; w = w.next {
				names = append(names, w.Name)
			}
			refuse(CodeTable, f.At, cmp.Or(syntax.Nearest(f.Table, names), "SHOW TABLES lists them"), "the catalog has no table %s", f.Table)
		}
		s.table, s.columns = t, named(t)
		s.Relation = fragment.Relation{Name: r.freshName(t.Name), Table: t.Name}
	} else {
		d := r.derive(query, within, f.At)
		s.Relation = fragment.Relation{Name: r.freshName("derived"), Derived: d.Derived}
		s.columns = d.columns
		s.table = d.table
	}
	if len(columns) > len(s.columns) {
		refuse(CodeColumn, f.At, "name as many columns as the query has", "%s has %d columns", f.Alias, len(s.columns))
	}
	s.columns = slices.Clone(s.columns)
	if s.tables = f.Tables; s.tables != nil {
		for i, c := range s.columns {
			for _, t := range s.tables {
				if name, ok := strings.CutPrefix(c.name, t+"."); ok {
					s.columns[i].name, s.columns[i].table = name, t
				}
			}
			if name, ok := strings.CutPrefix(c.name, "."); ok {
				s.columns[i].name = name
			}
			if name, ok := strings.CutPrefix(c.name, "="); ok {
				s.columns[i].name, s.columns[i].joint = name, true
			}
		}
	}
	for i, name := range columns {
		s.columns[i].name = name
	}
	for _, o := range r.sources {
		if o.alias == f.Alias && f.Alias != "" {
			refuse(CodeAmbiguous, f.At, "give one of them another name with AS", "%s is used for two tables", f.Alias)
		}
	}
	if s.alias == "" {
		s.alias = " " + s.Name // a derived table without a name: its columns can be named, it cannot
	}
	return s
}

// join adds a source as FROM joins it.
func (r *resolver) join(s *source, f syntax.From) {
	using := f.Using
	if f.Natural {
		using = nil
		for _, o := range r.sources {
			for _, c := range o.columns {
				if _, ok := s.column("", c.name); ok && !slices.ContainsFunc(using, func(t *syntax.Expr) bool { return strings.EqualFold(t.Name, c.name) }) {
					using = append(using, &syntax.Expr{Kind: syntax.Column, At: f.At, Name: strings.ToLower(c.name)})
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
		c, ok := s.column("", t.Name)
		if !ok {
			refuse(CodeColumn, t.At, "", "the joined table has no column %s", t.Name)
		}
		conditions = append(conditions, expr.Conjuncts(scalar.Apply(t.At, expr.OpEqual, left, s.expr(c)))...)
		s.merged = append(s.merged, t.Name)
	}
	r.sources = append(r.sources, s)
	if f.On != nil {
		r.joining = true
		conditions = append(conditions, expr.Conjuncts(r.condition(f.On, "ON"))...)
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
		refuse(CodeSyntax, f.At, "add ON and the columns that are equal", "LEFT JOIN lacks its condition")
	}
}

// freshName names a relation by its table, so that plans read well and aliases
// do not tell equal queries apart.
func (r *resolver) freshName(table string) string {
	name := table
	for n := 2; ; n++ {
		taken := false
		for scope := r; scope != nil; scope = scope.outer {
			taken = taken || scope.of(name) != nil
		}
		if !taken {
			return name
		}
		name = table + "_" + strconv.Itoa(n)
	}
}
