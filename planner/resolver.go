package planner

import (
	"errors"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// resolver gives the names of one SELECT their columns and its terms their types.
type resolver struct {
	catalog *vocabulary
	scope   *scope
	outer   *resolver // of the SELECT around a subquery, whose columns it may read
	sources []*source
	filter  *expr.Expr
	patient *expr.Expr // the column of the patient's id; nil where all is public
	// joining: ON is being resolved, where a subquery has no place.
	joining bool
	// nullMatters is the depth of operators around the term that is being resolved, such as NOT, that distinguish NULL
	// from FALSE.
	nullMatters int
	depth       int // of queries within queries
	// composer plans the queries within as releases of their own; nil where they are rows of patients.
	composer *programPlanner
	where    *syntax.Expr // WHERE, before it is resolved; nil: there is none
	// constants are the queries of FROM that read no table, and conditions what their joins ask.
	constants  []*constants
	conditions []*syntax.Expr
	// behind has the names, where moved stands between the rows and what reads them (see countOnce).
	behind *resolver
	moved  *fragment.Derived
	// known is what is known of the relations of knownOf.
	known   *fragment.Scope
	knownOf []fragment.Relation
}

func (r *resolver) relations() []fragment.Relation {
	var all []fragment.Relation
	for _, s := range r.sources {
		all = append(all, s.Relation)
	}
	return all
}

// of returns the source of a relation, or nil where it is another SELECT's.
func (r *resolver) of(relation string) *source {
	if i := r.place(relation); i >= 0 {
		return r.sources[i]
	}
	return nil
}

func (r *resolver) place(relation string) int {
	return slices.IndexFunc(r.sources, func(s *source) bool { return s.Name == relation })
}

// rows plans which rows a SELECT reads, and whose they are.
func (r *resolver) rows(s *syntax.Select) {
	r.where = s.Where
	r.from(s.From, s.At)
	r.findPatient()
	for _, on := range r.conditions {
		r.filter = scalar.Normalized(r.and(r.condition(on, "ON")))
	}
	if s.Where != nil {
		r.filter = scalar.Normalized(r.and(r.condition(s.Where, "WHERE")))
		r.refuseBeyond(s.Where)
	}
}

// refuseBeyond refuses a condition of WHERE that lies beyond the bounds of a column, which reads what is beyond them as the
// nearest: no row fulfils it, whatever the table holds, and an answer of 0 would say more than is known.
func (r *resolver) refuseBeyond(where *syntax.Expr) {
	conditions := []*syntax.Expr{where}
	if where.Kind == syntax.Operator && where.Name == "and" {
		conditions = where.Args
	}
	for _, t := range conditions {
		if t.Kind != syntax.Operator || !syntax.IsComparison(t.Name) || t.Name == "<>" || t.Args[0].Kind != syntax.Column || t.Args[1].Kind != syntax.Literal {
			continue
		}
		e := r.row(t.Args[0])
		s := r.of(e.Relation)
		if e.Op != expr.OpColumn || s == nil || s.Derived != nil {
			continue
		}
		c, ok := s.table.Column(e.Column)
		if !ok || !c.Lower.Valid() || !c.Type.Numeric() {
			continue
		}
		known, err := fragment.NewScope([]fragment.Relation{{Name: s.Name, Table: s.Table}}, r.catalog.Catalog)
		if err != nil {
			r.tooMuch(err)
		}
		if f := known.RangeWhere(e, r.row(t)); f.Lower > f.Upper {
			refuse(CodeBounds, t.At, "ask for what is within the bounds; or ask the federation's operator for wider ones",
				"no row fulfils this: by the catalog, %s lies from %s to %s, and what is beyond counts as the nearest of these", t.Args[0].Describe(), c.Lower, c.Upper)
		}
	}
}

// and adds a condition to those of WHERE.
func (r *resolver) and(e *expr.Expr) *expr.Expr {
	if r.filter == nil {
		return e
	}
	return scalar.Conjunction(append(expr.Conjuncts(r.filter), expr.Conjuncts(e)...))
}

// tooMuch refuses relations of which a scope cannot be made.
func (r *resolver) tooMuch(err error) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		r.invalid(err, r.sources[0].at)
	}
	_, message, _ := strings.Cut(err.Error(), ": ")
	refuse(CodeTooLarge, r.sources[0].at, "read fewer tables", "%s", message)
}

// facts infers what is known of an expression on the rows that are read.
func (r *resolver) facts(e *expr.Expr) expr.Range {
	if all := r.relations(); r.known == nil || !slices.Equal(all, r.knownOf) {
		s, err := fragment.NewScopeWithin(all, r.catalog.Catalog, r.catalog.domains)
		if err != nil {
			r.tooMuch(err)
		}
		r.known, r.knownOf = s, all
	}
	return r.known.RangeWhere(e, r.filter)
}

// reads reports whether the expression reads a relation of which f says so.
func readsAny(e *expr.Expr, f func(relation string) bool) bool {
	found := false
	e.Columns(func(relation, _ string) { found = found || f(relation) })
	return found
}

func ambiguous(t *syntax.Expr, hint string) *Error {
	return &Error{Code: CodeAmbiguous, Position: t.At, Hint: hint, Message: t.Name + " is a column of more than one table here"}
}

// maxQueryDepth bounds queries within queries.
const maxQueryDepth = 16

// scope is the queries that WITH names, the innermost first. The last of the list has no query.
type scope struct {
	syntax.With
	within *scope // where its query is planned
	next   *scope
	*memory
}

// memory is what is known of the queries of a statement while it is planned.
type memory struct {
	reads int // of names of WITH
	// kept holds the rows of queries that have been read to classify them, until they are planned.
	kept map[*syntax.Query]*resolver
}

// constants is a query of one row that reads no table, such as WITH params AS (SELECT DATE '2020-01-01' AS start).
// Its columns stand for what they are; it is no relation of the plan.
type constants struct {
	alias string
	names []string
	exprs []*expr.Expr
	// values: it is VALUES of one row, which may stand for a table as those of more do.
	values bool
}
