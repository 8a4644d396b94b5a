package planner

import (
	"cmp"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// row resolves a term over the columns of a row; aggregates have no place in it.
func (r *resolver) row(t *syntax.Expr) *expr.Expr {
	if r.behind != nil {
		return r.over(t.At, r.behind.row(t))
	}
	switch t.Kind {
	case syntax.Column:
		return r.column(t)
	case syntax.Star:
		refuse(CodeRowLevel, t.At, "ask for aggregates, such as COUNT(*) or AVG(x)", "rows of patients are never shown")
	case syntax.Subquery, syntax.Exists, syntax.InSubquery:
		if t.Kind == syntax.Subquery {
			if e := r.ofConstants(t.Query); e != nil {
				return e
			}
		}
		return r.subquery(t)
	case syntax.Call:
		if t.Over != nil {
			refuse(CodeMisplaced, t.At, "compute it in a query of its own, in FROM, over the rows of one patient",
				"%s OVER (…) cannot stand here", strings.ToUpper(t.Name))
		}
		if syntax.IsAggregate(t.Name) {
			refuse(CodeMisplaced, t.At, "use it in SELECT, HAVING or ORDER BY", "%s cannot stand here", strings.ToUpper(t.Name))
		}
	}
	return scalar.Build(t, func(a *syntax.Expr) *expr.Expr {
		if distinguishesNull(t, a) {
			r.nullMatters++
			defer func() { r.nullMatters-- }()
		}
		return r.row(a)
	})
}

// condition resolves a term that must be a condition.
func (r *resolver) condition(t *syntax.Expr, where string) *expr.Expr {
	e := r.row(t)
	if e.Type != value.TypeBool {
		refuse(CodeType, t.At, "write a comparison, such as "+t.Describe()+" = …", "%s needs a condition, and this is a %s", where, e.Type)
	}
	return e
}

// distinguishesNull reports whether t differs where an argument, a condition, is NULL and where it is FALSE. In a
// condition, AND and OR differ no more than the argument itself.
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

// column resolves a name: a column of the SELECT, else one of the SELECT around it.
func (r *resolver) column(t *syntax.Expr) *expr.Expr {
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
	if t.Qualifier == "" && r.catalog.HospitalColumn {
		names = append(names, "hospital")
	}
	for _, s := range r.sources {
		aliases = append(append(aliases, s.alias), s.tables...)
		if s.alias != "" && s.called(t.Qualifier) {
			known = true
			for _, c := range s.columns {
				names = append(names, c.name)
			}
		}
	}
	switch {
	case t.Qualifier != "" && !known:
		refuse(CodeTable, t.At, cmp.Or(syntax.Nearest(t.Qualifier, aliases), "its tables are "+listed(aliases)), "the query has no table called %s", t.Qualifier)
	case t.Qualifier == "" && t.Name == "hospital" && r.composer == nil:
		if !r.catalog.HospitalColumn {
			refuse(CodeColumn, t.At, "ask without it", "this federation does not tell its hospitals apart")
		}
		return expr.Hospital()
	}
	if slices.Contains(rowColumns, t.Name) {
		refuse(CodeColumn, t.At, "group by what the columns hold", "%s would tell rows apart, and there are no rows of patients to be seen", t.Describe())
	}
	refuse(CodeColumn, t.At, cmp.Or(syntax.Nearest(t.Name, names), textHint(t), "DESCRIBE with a table's name lists its columns"), "there is no column %s", t.Describe())
	return nil
}

// rowColumns are the columns that PostgreSQL adds to each table.
var rowColumns = []string{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}

// textHint is for a name in double quotes that is no column: likely a text.
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
		if a != "" && a[0] != ' ' {
			names = append(names, a)
		}
	}
	return strings.Join(names, ", ")
}

// lookup finds a column of this SELECT, or the patient; nil where there is none. A name of two columns is refused.
func (r *resolver) lookup(t *syntax.Expr) *expr.Expr {
	e, ambiguity := r.find(t)
	if ambiguity != nil {
		panic(ambiguity)
	}
	return e
}

// isColumn reports whether the term is the name of one column of this SELECT.
func (r *resolver) isColumn(t *syntax.Expr) bool {
	if t.Kind != syntax.Column {
		return false
	}
	e, ambiguity := r.find(t)
	return e != nil && ambiguity == nil
}

// resolves reports whether row reads the term: all its names are columns, and it holds no aggregate and no window.
func (r *resolver) resolves(t *syntax.Expr) bool {
	return t.Find(func(t *syntax.Expr) bool {
		switch t.Kind {
		case syntax.Column:
			known := t.Qualifier == "" && t.Name == "hospital" && r.catalog.HospitalColumn
			for o := r; o != nil && !known; o = o.outer {
				known = o.isColumn(t)
			}
			return !known
		case syntax.Call:
			return t.Over != nil || syntax.IsAggregate(t.Name)
		}
		return t.Kind == syntax.Star
	}) == nil
}

// find is lookup, with the refusal of a name of two columns beside.
func (r *resolver) find(t *syntax.Expr) (found *expr.Expr, ambiguity *Error) {
	if r.behind != nil {
		return r.behind.find(t)
	}
	for _, s := range r.sources {
		if s.alias == "" || !s.called(t.Qualifier) || t.Qualifier == "" && slices.Contains(s.merged, t.Name) {
			continue
		}
		c, ok := s.column(t.Qualifier, t.Name)
		if !ok {
			continue
		}
		if found != nil || s.ambiguous(t.Qualifier, t.Name) {
			return nil, ambiguous(t, "write "+strings.TrimSpace(s.alias)+"."+t.Name)
		}
		found = s.expr(c)
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
	if found == nil && t.Qualifier == "" && t.Name == "patient" && r.patient != nil {
		return r.patient, nil
	}
	if found == nil && t.Qualifier != "" && t.Name == "hospital" && r.catalog.HospitalColumn && r.composer == nil && // a column of every table
		slices.ContainsFunc(r.sources, func(s *source) bool { return s.called(t.Qualifier) }) {
		return expr.Hospital(), nil
	}
	return found, nil
}
