package relational

import (
	"errors"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Resolver resolves the names of one SELECT to columns and gives its terms types. After Read, Sources are what FROM
// reads and what planning joined, and Filter is WHERE or nil.
type Resolver struct {
	Catalog *Vocabulary
	Scope   *Scope    // the queries of WITH in scope
	outer   *Resolver // the outer SELECT of a subquery, whose columns it may read
	Sources []*Source
	Filter  *expr.Expr
	Patient *expr.Expr // the column of the patient's id; nil if all rows are public
	// joining: ON is being resolved, where subqueries are not allowed.
	joining bool
	// nullMatters is how many operators around the current term, such as NOT, distinguish NULL from FALSE.
	nullMatters int
	Depth       int // nesting depth of queries
	// composer plans inner queries as releases of their own. It is nil if they are rows of patients.
	composer Composer
	where    *syntax.Expr // WHERE before it is resolved; nil if there is none
	// constants are the queries in FROM that read no table; conditions are the conditions of their joins.
	constants  []*constants
	conditions []*syntax.Expr
	// behind resolves the names if moved stands between the rows and their reader (see Regrouped).
	behind *Resolver
	moved  *fragment.Query
	// known is what is known about the relations knownOf.
	known   *fragment.Scope
	knownOf []fragment.Relation
}

// Composer plans queries as releases of their own. Their rows are then public.
type Composer interface {
	// Derive plans a query that is a release or reads releases.
	Derive(q *syntax.Query, within *Scope) *Derived
	// Nested reports whether a query reads other releases instead of patients.
	Nested(q *syntax.Query, within *Scope) bool
	// TableFunction plans a function in FROM. It computes with a release of its own.
	TableFunction(t *syntax.Expr, within *Scope) *Derived
}

// New returns a resolver for a SELECT in a scope. If c is not nil, it plans inner queries as releases of their own.
func New(v *Vocabulary, within *Scope, c Composer) *Resolver {
	return &Resolver{Catalog: v, Scope: within, composer: c}
}

// Inner returns a resolver for a subquery. The subquery may also read the columns of r.
func (r *Resolver) Inner(within *Scope) *Resolver {
	return &Resolver{Catalog: r.Catalog, Scope: within, outer: r, Depth: r.Depth + 1, composer: r.composer}
}

// Relations returns the relations of the sources, in join order.
func (r *Resolver) Relations() []fragment.Relation {
	var all []fragment.Relation
	for _, s := range r.Sources {
		all = append(all, s.Relation)
	}
	return all
}

// Of returns the source of a relation, or nil if the relation belongs to another SELECT.
func (r *Resolver) Of(relation string) *Source {
	if i := r.place(relation); i >= 0 {
		return r.Sources[i]
	}
	return nil
}

func (r *Resolver) place(relation string) int {
	return slices.IndexFunc(r.Sources, func(s *Source) bool { return s.Name == relation })
}

// Read plans the rows that a SELECT reads and finds their patient.
func (r *Resolver) Read(s *syntax.Select) {
	r.where = s.Where
	r.from(s.From, s.At)
	r.findPatient()
	for _, on := range r.conditions {
		r.Filter = scalar.Normalized(r.and(r.Condition(on, "ON")))
	}
	if s.Where != nil {
		where := r.aliasesInWhere(s)
		r.Filter = scalar.Normalized(r.and(r.Condition(where, "WHERE")))
		r.refuseNobody(where)
	}
}

// aliasesInWhere replaces aliases of SELECT items in WHERE by their terms, if no column has the name. Snowflake reads
// them so.
func (r *Resolver) aliasesInWhere(s *syntax.Select) *syntax.Expr {
	return s.Where.Rewrite(func(t *syntax.Expr) *syntax.Expr {
		if t.Kind != syntax.Column || t.Qualifier != "" || r.Resolves(t) {
			return nil
		}
		if named := syntax.Aliased(s.Items, t); named != nil && named != t && named.Aggregate() == nil && named.Window() == nil && r.Resolves(named) {
			return named
		}
		return nil
	})
}

// and adds a condition to the filter.
func (r *Resolver) and(e *expr.Expr) *expr.Expr {
	if r.Filter == nil {
		return e
	}
	return scalar.Conjunction(append(expr.Conjuncts(r.Filter), expr.Conjuncts(e)...))
}

// TooMuch refuses relations that are too large for a scope.
func (r *Resolver) TooMuch(err error) {
	if limit := new(fragment.Limit); errors.As(err, &limit) {
		r.Invalid(err, r.Sources[0].At)
	}
	_, message, _ := strings.Cut(err.Error(), ": ")
	syntax.Refuse(syntax.CodeTooLarge, r.Sources[0].At, "read fewer tables", "%s", message)
}

// facts infers what is known of an expression over the rows.
func (r *Resolver) facts(e *expr.Expr) expr.Range { return r.scope().RangeWhere(e, r.Filter) }

// scope returns the scope of the relations, and keeps it until they change.
func (r *Resolver) scope() *fragment.Scope {
	if all := r.Relations(); r.known == nil || !slices.Equal(all, r.knownOf) {
		s, err := fragment.NewScopeWithin(all, r.Catalog.Catalog, r.Catalog.Memo)
		if err != nil {
			r.TooMuch(err)
		}
		r.known, r.knownOf = s, all
	}
	return r.known
}

// ReadsAny reports whether the expression reads a relation for which f is true.
func ReadsAny(e *expr.Expr, f func(relation string) bool) bool {
	found := false
	e.Columns(func(relation, _ string) { found = found || f(relation) })
	return found
}

func ambiguous(t *syntax.Expr, hint string) *syntax.Error {
	return &syntax.Error{Code: syntax.CodeAmbiguous, Position: t.At, Hint: hint, Message: t.Name + " is a column of more than one table here"}
}

// MaxQueryDepth bounds the nesting of queries.
const MaxQueryDepth = 16

// Scope holds the queries of WITH, the innermost first. The last element of the list has no query.
type Scope struct {
	syntax.With
	within *Scope // the scope in which its query is planned
	next   *Scope
	*memory
}

// memory is what is known about a statement's queries while it is planned.
type memory struct {
	reads int // how often names of WITH were read
	// kept holds the rows of queries that were read to classify them, until they are planned.
	kept map[*syntax.Query]*Resolver
}

// constants is a query of one row that reads no table, such as WITH params AS (SELECT DATE '2020-01-01' AS start). Its
// columns are replaced by their values; it is no relation of the plan.
type constants struct {
	alias string
	names []string
	exprs []*expr.Expr
	// values: it is VALUES with one row. It may also serve as a table, like VALUES with more rows.
	values bool
}
