package fragment

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Scope resolves columns of a fragment's relations.
type Scope struct {
	assumptions
	relations []scopedRelation
	index     map[string]int
}

// scopedRelation is a relation of a Scope, with what is known of it.
type scopedRelation struct {
	Relation
	properties
	// optional: the relation's columns may be NULL because a left join found nothing.
	optional bool
}

// NewScope resolves relations against the catalog. hospitals are the possible values of the column hospital, sorted;
// without them, they are not known.
func NewScope(relations []Relation, c *catalog.Catalog, hospitals ...value.Value) (*Scope, error) {
	return NewScopeWithin(relations, c, NewMemo(nil), hospitals...)
}

// NewScopeWithin is NewScope with a memo.
func NewScopeWithin(relations []Relation, c *catalog.Catalog, m *Memo, hospitals ...value.Value) (*Scope, error) {
	on := m.assumed(c)
	on.hospitals = hospitals
	return countedScope(relations, on)
}

// countedScope refuses too many relations before it reads any.
func countedScope(relations []Relation, on assumptions) (*Scope, error) {
	if countRelations(relations, maxRelationsInAll+1) > maxRelationsInAll {
		return nil, tooManyRelations()
	}
	return newScope(relations, on, 0)
}

func tooManyRelations() error {
	return fmt.Errorf("%w: more than %d relations in all", ErrInvalid, maxRelationsInAll)
}

// NewEnforced returns an analysis that knows only what a fragment's SQL itself makes true, whatever the data are,
// whatever the catalog promises, and in whatever order a database evaluates the statement. So it may decide that an
// operation needs no guard. Bounds of a column hold, because the SQL that reads it clamps. A derived column has the
// values of its expression. Nothing follows from a column that is declared NOT NULL, from a declared domain, or from a
// filter, a join or a grouping, which a database may apply later. Domains are not known.
func NewEnforced(relations []Relation, c *catalog.Catalog, m *Memo) (*expr.RangeAnalysis, error) {
	on := m.assumed(c)
	on.enforced, on.noDomains = true, true
	s, err := newScope(relations, on, 0)
	if err != nil {
		return nil, err
	}
	return s.analysisWhere(nil), nil
}

func newScope(relations []Relation, on assumptions, depth int) (*Scope, error) {
	s, seen := &Scope{assumptions: on, index: map[string]int{}}, map[string]bool{}
	if len(relations) == 0 || len(relations) > maxRelations {
		return nil, fmt.Errorf("%w: %d relations; from 1 to %d can be read", ErrInvalid, len(relations), maxRelations)
	}
	s.relations = make([]scopedRelation, 0, len(relations))
	for i, r := range relations {
		next := scopedRelation{Relation: r, optional: r.Join == JoinLeft}
		switch {
		case r.Query != nil && r.Table != "":
			return nil, fmt.Errorf("%w: the relation %s is a table and derived", ErrInvalid, r.Name)
		case r.Query != nil:
			derived, err := r.Query.properties(r.Name, on, depth+1)
			if err != nil {
				return nil, err
			}
			next.properties = *derived
		default:
			t, ok := on.catalog.Table(r.Table)
			if !ok {
				return nil, fmt.Errorf("%w: the catalog has no table %s", ErrInvalid, r.Table)
			}
			next.properties = properties{table: t, rows: 1}
			if len(t.Key) > 0 {
				next.keys = [][]string{t.Key}
			}
		}
		name := fold(r.Name)
		if seen[name] || name == "" {
			return nil, fmt.Errorf("%w: the relation name %q is empty or used twice", ErrInvalid, r.Name)
		}
		seen[name], s.index[r.Name] = true, i
		s.relations = append(s.relations, next)
	}
	return s, on.budget.over()
}

// isPatientID reports whether the column of relation i holds the patient's id.
func (s *Scope) isPatientID(i int, column string) bool {
	if r := s.relations[i]; r.Query != nil {
		return !r.table.Public && strings.EqualFold(r.table.Patient, column)
	}
	return s.catalog.IsPatientID(s.relations[i].Table, column)
}

// Range returns what is known of a column or of the hospital's name.
func (s *Scope) Range(e *expr.Expr) expr.Range {
	f := expr.Unknown(true)
	if e.Op == expr.OpHospital {
		f.Nullable, f.Domain = false, s.hospitals
		return f
	}
	if s.enforced {
		f = f.WithinType(e.Type) // a stored value beyond its type reads as NULL
	}
	i, ok := s.index[e.Relation]
	if !ok {
		return f
	}
	if s.relations[i].Query != nil {
		return s.derivedRange(i, e)
	}
	c, ok := s.relations[i].table.Column(e.Column)
	if !ok {
		return f
	}
	if c.Lower.Valid() {
		f.Lower, f.Upper = expr.Bounds(c.Lower, c.Upper)
	}
	if s.enforced {
		return f
	}
	f.Nullable = c.Nullable || s.relations[i].optional
	return f.Values(c.Type, c.Domain)
}

// derivedRange returns what is known of a column of the derived relation i.
func (s *Scope) derivedRange(i int, e *expr.Expr) expr.Range {
	r := s.relations[i]
	for k, c := range r.table.Columns {
		if strings.EqualFold(c.Name, e.Column) {
			f := r.ranges[k]
			if r.optional { // a domain may exclude NULL even where Nullable is set
				f = f.OrNull(c.Type)
			}
			return f
		}
	}
	return expr.Unknown(true)
}

// RangeWhere infers the range of an expression on rows that satisfy the filter, which may be nil.
func (s *Scope) RangeWhere(e, filter *expr.Expr) expr.Range { return s.analysisWhere(filter).Range(e) }

// BoundsWhere infers the bounds of expressions on rows that satisfy the filter, which may be nil. It examines each part
// once, and lists no values.
func (s *Scope) BoundsWhere(filter *expr.Expr) *expr.RangeAnalysis {
	return expr.NewRangeAnalysisWhere(filter, s.budget.Budget, false, s.Range)
}

// analysisWhere infers the ranges of expressions on rows that satisfy the filter.
func (s *Scope) analysisWhere(filter *expr.Expr) *expr.RangeAnalysis {
	return expr.NewRangeAnalysisWhere(filter, s.budget.Budget, !s.noDomains, s.Range)
}

// size counts the operations of an expression, with derived columns replaced by their expressions. Some databases do
// that replacement, and a column that reads another one several times, on each of several levels, would overwhelm them.
// The results of aggregates and windows are not replaced.
func (s *Scope) size(e *expr.Expr) float64 {
	if e.Op == expr.OpColumn {
		r := &s.relations[s.index[e.Relation]]
		for i, c := range r.table.Columns {
			if i < len(r.sizes) && strings.EqualFold(c.Name, e.Column) {
				return r.sizes[i]
			}
		}
	}
	if e.Op == expr.OpLiteral { // a long list costs little
		return 0
	}
	size := 1.0
	for _, a := range e.Args {
		size += s.size(a)
	}
	return size
}

func (s *Scope) public() bool {
	for _, r := range s.relations {
		if !r.table.Public {
			return false
		}
	}
	return true
}

// check verifies the types of an expression that may read the first `visible` relations.
func (s *Scope) check(e *expr.Expr, visible, depth int, nodes *int) error {
	if e == nil {
		return fmt.Errorf("%w: an argument is missing", expr.ErrExpression)
	}
	if *nodes++; *nodes > maxNodes || depth > maxDepth {
		return fmt.Errorf("%w: an expression is too large", ErrInvalid)
	}
	s.budget.Visit()
	for _, a := range e.Args {
		if err := s.check(a, visible, depth+1, nodes); err != nil {
			return err
		}
	}
	if err := e.CheckType(); err != nil {
		return err
	}
	if e.MakesText() {
		return s.budget.spendText(e)
	}
	switch e.Op {
	case expr.OpLiteral:
		return checkConstant(*e.Value)
	case expr.OpHospital:
		if !s.catalog.HospitalColumn {
			return fmt.Errorf("%w: this federation's catalog does not allow the column hospital", ErrInvalid)
		}
	case expr.OpColumn:
		i, ok := s.index[e.Relation]
		if !ok || i >= visible {
			return fmt.Errorf("%w: there is no relation %s here", ErrInvalid, e.Relation)
		}
		c, ok := s.relations[i].table.Column(e.Column)
		if !ok || c.Type != e.Type {
			return fmt.Errorf("%w: table %s has no column %s of type %s", ErrInvalid, s.relations[i].Table, e.Column, e.Type)
		}
	}
	return nil
}

// checkConstant refuses texts with the character U+0000: some engines cannot hold it, and some databases end a text
// there. It also refuses a text that is longer than what operations read of a text.
func checkConstant(v value.Value) error {
	switch {
	case v.Type() != value.TypeText || v.IsNull():
	case strings.ContainsRune(v.Str(), 0):
		return fmt.Errorf("%w: a constant holds the character U+0000", ErrInvalid)
	case utf8.RuneCountInString(v.Str()) > expr.MaxText:
		return fmt.Errorf("%w: a constant has more than %d characters", ErrInvalid, expr.MaxText)
	}
	return nil
}

func (s *Scope) checkPatient(e *expr.Expr) error {
	if e == nil || e.Op != expr.OpColumn {
		return fmt.Errorf("%w: it does not name the patient's column", ErrInvalid)
	}
	nodes := 0
	if err := s.check(e, len(s.relations), 0, &nodes); err != nil {
		return err
	}
	r := s.relations[s.index[e.Relation]]
	if !s.isPatientID(s.index[e.Relation], e.Column) {
		return fmt.Errorf("%w: %s does not hold the patient's id", ErrInvalid, e)
	}
	if r.optional {
		return fmt.Errorf("%w: %s is on the optional side of a left join", ErrInvalid, e)
	}
	return nil
}

// checkRows verifies how relations are joined and filtered. It returns the check of an expression that may read all of
// them.
func (s *Scope) checkRows(relations []Relation, filter *expr.Expr) (func(*expr.Expr) error, error) {
	nodes := 0
	check := func(e *expr.Expr, visible int) error {
		if err := s.check(e, visible, 0, &nodes); err != nil {
			return err
		}
		if size := s.size(e); size > maxExpanded {
			return &Limit{
				Message: fmt.Sprintf("an expression has more than %d operations with those of the columns that it reads", maxExpanded),
				Hint:    "compute columns from fewer others, or in fewer steps",
			}
		}
		return nil
	}
	for i, r := range relations {
		conditional := r.Join == JoinInner || r.Join == JoinLeft
		if i == 0 && r.Join != "" || i > 0 && !conditional && r.Join != JoinCross || conditional != (r.On != nil) {
			return nil, fmt.Errorf("%w: relation %s is not joined properly", ErrInvalid, r.Name)
		}
		if r.On == nil {
			continue
		}
		if err := checkCondition(r.On, i+1, check); err != nil {
			return nil, err
		}
	}
	all := len(relations)
	if filter != nil {
		if err := checkCondition(filter, all, check); err != nil {
			return nil, err
		}
	}
	return func(e *expr.Expr) error { return check(e, all) }, nil
}

func checkCondition(e *expr.Expr, visible int, check func(*expr.Expr, int) error) error {
	if err := check(e, visible); err != nil {
		return err
	}
	if e.Type != value.TypeBool {
		return fmt.Errorf("%w: %s is no condition", expr.ErrExpression, e)
	}
	return nil
}

func containsFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, s) })
}

// fold maps names that strings.EqualFold considers equal to the same form; K and the Kelvin sign are an example. A name
// in lower-case ASCII letters is its own form, so nothing is allocated for it.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		return least
	}, name)
}
