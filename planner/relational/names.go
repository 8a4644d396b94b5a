package relational

import (
	"cmp"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Row resolves a term over the columns of a row. It refuses aggregates.
func (r *Resolver) Row(t *syntax.Expr) *expr.Expr {
	if r.behind != nil {
		return r.Over(t.At, r.behind.Row(t))
	}
	switch t.Kind {
	case syntax.Column:
		return r.column(t)
	case syntax.Star:
		syntax.Refuse(syntax.CodeRowLevel, t.At, "ask for aggregates, such as COUNT(*) or AVG(x)", "rows of patients are never shown")
	case syntax.Subquery, syntax.Exists, syntax.InSubquery:
		if t.Kind == syntax.Subquery {
			if e := r.ofConstants(t.Query); e != nil {
				return e
			}
		}
		return r.subquery(t)
	case syntax.Call:
		if t.Over != nil {
			syntax.Refuse(syntax.CodeMisplaced, t.At, "compute it in a query of its own, in FROM, over the rows of one patient",
				"%s OVER (…) cannot stand here", strings.ToUpper(t.Name))
		}
		if syntax.IsAggregate(t.Name) {
			syntax.Refuse(syntax.CodeMisplaced, t.At, "use it in SELECT, HAVING or ORDER BY", "%s cannot stand here", strings.ToUpper(t.Name))
		}
	}
	return scalar.Build(t, func(a *syntax.Expr) *expr.Expr {
		if distinguishesNull(t, a) {
			r.nullMatters++
			defer func() { r.nullMatters-- }()
		}
		return r.Row(a)
	})
}

// Condition resolves a term that must be a condition.
func (r *Resolver) Condition(t *syntax.Expr, where string) *expr.Expr {
	e := r.Row(t)
	if e.Type != value.TypeBool {
		syntax.Refuse(syntax.CodeType, t.At, "write a comparison, such as "+t.Describe()+" = …", "%s needs a condition, and this is a %s", where, e.Type)
	}
	return e
}

// distinguishesNull reports whether the result of t changes if its argument, a condition, is NULL instead of FALSE.
// Within a condition, AND and OR do not distinguish more than the argument itself.
func distinguishesNull(t, argument *syntax.Expr) bool {
	if t.Kind != syntax.Operator {
		return true
	}
	switch t.Name {
	case "and", "or":
		return false
	case "case":
		i := slices.Index(t.Args, argument)
		return i%2 == 1 || i == len(t.Args)-1
	}
	return true
}

// column resolves a name: a column of the SELECT, or else one of the outer SELECT.
func (r *Resolver) column(t *syntax.Expr) *expr.Expr {
	if e := r.lookup(t); e != nil {
		return e
	}
	for o := r.outer; o != nil; o = o.outer {
		if e := o.lookup(t); e != nil {
			return e
		}
	}
	var names, aliases []string
	known := false
	if t.Qualifier == "" && r.Catalog.HospitalColumn {
		names = append(names, "hospital")
	}
	for _, s := range r.Sources {
		aliases = append(append(aliases, s.Alias), s.tables...)
		if s.Alias != "" && s.hasName(t.Qualifier) {
			known = true
			for _, c := range s.Named {
				names = append(names, c.Name)
			}
		}
	}
	switch {
	case t.Qualifier != "" && !known:
		syntax.Refuse(syntax.CodeTable, t.At, cmp.Or(syntax.Nearest(t.Qualifier, aliases), "its tables are "+listed(aliases)), "the query has no table called %s", t.Qualifier)
	case t.Qualifier == "" && t.Name == "hospital" && r.composer == nil:
		if !r.Catalog.HospitalColumn {
			syntax.Refuse(syntax.CodeColumn, t.At, "ask without it", "this federation does not tell its hospitals apart")
		}
		return expr.Hospital()
	}
	if slices.Contains(rowColumns, t.Name) {
		syntax.Refuse(syntax.CodeColumn, t.At, "group by what the columns hold", "%s would tell rows apart, and there are no rows of patients to be seen", t.Describe())
	}
	syntax.Refuse(syntax.CodeColumn, t.At, cmp.Or(syntax.Nearest(t.Name, names), textHint(t), "DESCRIBE with a table's name lists its columns"), "there is no column %s", t.Describe())
	return nil
}

// rowColumns are the columns that PostgreSQL adds to every table.
var rowColumns = []string{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}

// textHint returns a hint for a name in double quotes that is no column: probably a text was meant.
func textHint(t *syntax.Expr) string {
	if t.Qualifier != "" || t.At.Length != len(t.Name)+len(`""`) {
		return ""
	}
	return "what stands in double quotes is a name; a text stands in single ones, 'text'"
}

// listed writes the names that a query gave to its tables.
func listed(aliases []string) string {
	var names []string
	for _, a := range aliases {
		if a != "" && !syntax.IsInternal(a) {
			names = append(names, a)
		}
	}
	return strings.Join(names, ", ")
}

// lookup finds a column of this SELECT, or the patient; nil if there is none. It refuses an ambiguous name.
func (r *Resolver) lookup(t *syntax.Expr) *expr.Expr {
	e, ambiguity := r.find(t)
	if ambiguity != nil {
		panic(ambiguity)
	}
	return e
}

// IsColumn reports whether the term is the name of one column of this SELECT.
func (r *Resolver) IsColumn(t *syntax.Expr) bool {
	if t.Kind != syntax.Column {
		return false
	}
	e, ambiguity := r.find(t)
	return e != nil && ambiguity == nil
}

// Resolves reports whether Row accepts the term: all its names are columns, and it contains no aggregate and no window.
func (r *Resolver) Resolves(t *syntax.Expr) bool {
	return t.Find(func(t *syntax.Expr) bool {
		switch t.Kind {
		case syntax.Column:
			known := t.Qualifier == "" && t.Name == "hospital" && r.Catalog.HospitalColumn
			for o := r; o != nil && !known; o = o.outer {
				known = o.IsColumn(t)
			}
			return !known
		case syntax.Call:
			return t.Over != nil || syntax.IsAggregate(t.Name)
		}
		return t.Kind == syntax.Star
	}) == nil
}

// find is lookup, but it returns the error for an ambiguous name.
func (r *Resolver) find(t *syntax.Expr) (found *expr.Expr, ambiguity *syntax.Error) {
	if r.behind != nil {
		return r.behind.find(t)
	}
	for _, s := range r.Sources {
		if s.Alias == "" || !s.hasName(t.Qualifier) || t.Qualifier == "" && slices.Contains(s.merged, t.Name) {
			continue
		}
		c, ok := s.Column(t.Qualifier, t.Name)
		if !ok {
			continue
		}
		if found != nil || s.ambiguous(t.Qualifier, t.Name) {
			return nil, ambiguous(t, "write "+strings.TrimSpace(s.Alias)+"."+t.Name)
		}
		found = s.Expr(c)
		if s.counts(t.Qualifier, t.Name) {
			found = scalar.Apply(t.At, expr.OpCoalesce, found, expr.Literal(value.Int(0)))
		}
		if s.untyped(t.Qualifier, t.Name) {
			found = expr.Literal(value.Null(c.Type))
		}
	}
	if c, ambiguity := r.constant(t); c != nil || ambiguity != nil {
		if c != nil && found != nil {
			return nil, ambiguous(t, "put the table before the name")
		}
		return c, ambiguity
	}
	if found == nil && t.Qualifier == "" && t.Name == "patient" && r.Patient != nil {
		return r.Patient, nil
	}
	// every table has this column
	if found == nil && t.Qualifier != "" && t.Name == "hospital" && r.Catalog.HospitalColumn && r.composer == nil &&
		slices.ContainsFunc(r.Sources, func(s *Source) bool { return s.hasName(t.Qualifier) }) {
		return expr.Hospital(), nil
	}
	return found, nil
}

// GroupKey returns the term that a position or name of a SELECT item stands for in GROUP BY.
func (r *Resolver) GroupKey(items []syntax.Item, t *syntax.Expr) *syntax.Expr {
	if t.Kind == syntax.Literal {
		return syntax.Ordinal(items, t, "GROUP BY")
	}
	if named := syntax.Aliased(items, t); named != nil && !r.IsColumn(t) {
		return named
	}
	return t
}
