package fragment

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Proof is what Check derives from a fragment and the catalog alone, and what
// the release's sensitivity and the engine's SQL rest upon.
type Proof struct {
	// OneRow: a patient has at most one row, so no per-patient grouping is needed.
	OneRow bool
	// KeysPerPatient: all rows of a patient fall into one group.
	KeysPerPatient bool
	// Groups is in how many groups one patient may be without being clipped, at one node.
	Groups int
	// Capped: there are joins in which rows of a patient beyond MaxPatientRows are left out, see Cap.
	Capped bool
	// Rows is how many rows one patient may have without being clipped, at one node.
	Rows int
	// Unclipped: no patient can have more, as the fragment is and by what the proof rests on.
	Unclipped bool
	// Cells is the number of groups where every key's domain is declared (1
	// without keys), and 0 where one is not: then the groups need selection.
	Cells int
	// Units is, for each partial aggregate, as what 1 counts in the integers that a node sends: a power of two.
	Units []int64
	// Sizes is the size of each partial aggregate, in its integers: a patient whose part of it is that much, in one
	// group, and nothing else, has a vector that is its weight long.
	Sizes []int64
}

// Check verifies a fragment against the catalog: its form, its types, that every
// row belongs to one patient, and its limits. Every error wraps ErrInvalid or
// ErrExpression and holds no value of any row.
func Check(f *Fragment, c *catalog.Catalog) (*Proof, error) {
	on := believed(c)
	on.bare = true // the declared domains of keys are the fragment's own
	s, err := countedScope(f.Relations, on)
	if err != nil {
		return nil, err
	}
	if err := f.checkForm(s); err != nil {
		return nil, err
	}
	if err := checkSums(f.Relations); err != nil {
		return nil, err
	}
	if err := s.checkOwned(f.conjuncts()); err != nil {
		return nil, err
	}
	if err := s.checkPatient(f.Patient); err != nil {
		return nil, err
	}
	if _, err := s.spread(f.conjuncts(), nil); err != nil {
		return nil, err
	}
	p := &Proof{Rows: f.MaxRows, Groups: f.MaxGroups, Cells: 1, Capped: s.left.capped}
	single := s.singleRow(f.conjuncts())
	p.OneRow, p.KeysPerPatient = true, true
	for i := range s.relations {
		p.OneRow = p.OneRow && single[i]
	}
	for _, k := range f.Keys {
		k.Expr.Columns(func(relation, column string) {
			p.KeysPerPatient = p.KeysPerPatient && s.fixed(relation, column, single)
		})
		p.Cells *= len(k.Domain)
		if p.Cells > MaxCells || p.Cells*f.Width() > MaxIntegers {
			return nil, fmt.Errorf("%w: the declared keys span more than %d groups", ErrInvalid, MaxCells)
		}
	}
	if p.OneRow {
		p.Rows = 1
	}
	p.Unclipped = p.clipsNobody(f)
	possible := p.Cells // 0: any number
	if p.OneRow || p.KeysPerPatient {
		possible = 1
	}
	if possible > 0 {
		p.Groups = min(p.Groups, possible)
	}
	for _, partial := range f.Partials {
		size, u := partial.size(p.Rows), int64(1)
		if !p.Unclipped {
			u = unit(size)
		}
		p.Units, p.Sizes = append(p.Units, u), append(p.Sizes, size*u)
	}
	return p, nil
}

// clipsNobody: a patient has one row; or patients are counted, and there are no more groups than one patient may be in.
func (p *Proof) clipsNobody(f *Fragment) bool {
	if p.OneRow {
		return true
	}
	few := p.KeysPerPatient || p.Cells > 0 && p.Cells <= p.Groups
	return few && !slices.ContainsFunc(f.Partials, func(p Partial) bool {
		return p.Kind != PartialPatients && !(p.Kind == PartialBeyond && p.Of == PartialPatients)
	})
}

// Weaker is the proof of the same fragment, sizes and units, for rows of which less is known: what the catalog q was made from promises.
func (p *Proof) Weaker(f *Fragment, q *Proof) *Proof {
	weaker := *p
	weaker.OneRow, weaker.KeysPerPatient = q.OneRow, q.KeysPerPatient
	weaker.Unclipped = weaker.clipsNobody(f)
	return &weaker
}

// checkSums refuses sums of floats without a grid, of public rows too: their last bits would depend on
// the order in which a database adds, and so on what else it does. Only a coordinator, which adds up
// released rows itself, row by row, does without.
func checkSums(relations []Relation) error {
	loose := ""
	walkDerived(relations, func(d *Derived) {
		for _, o := range d.Columns {
			if o.Grid == nil && o.sums() && o.Expr.Type == value.TypeFloat {
				loose = o.Name
			}
		}
	})
	if loose != "" {
		return fmt.Errorf("%w: %s is a sum of floats without a grid", ErrInvalid, loose)
	}
	return nil
}

// conjuncts lists the conditions that hold on every row that the fragment reads,
// with the relation to whose left join a condition is confined, or -1.
func (f *Fragment) conjuncts() []condition { return conditionsOf(f.Relations, f.Filter) }

func conditionsOf(relations []Relation, filter *expr.Expr) []condition {
	var all []condition
	for i, r := range relations {
		only := -1
		if r.Join == JoinLeft {
			only = i
		}
		for _, e := range expr.Conjuncts(r.On) {
			all = append(all, condition{e, only})
		}
	}
	for _, e := range expr.Conjuncts(filter) {
		all = append(all, condition{e, -1})
	}
	return all
}

// checkOwned refuses private rows that nothing ties to the patient of the first
// private relation. That relation must not be optional: a row needs its patient.
func (s *Scope) checkOwned(conditions []condition) error {
	owned := s.ownership(conditions)
	for i, r := range s.relations {
		if !r.table.Public && !owned[i] {
			return fmt.Errorf("%w: nothing says that a row of %s belongs to the same patient as the rest", ErrInvalid, r.Name)
		}
	}
	return nil
}

// condition is a conjunct. One of a left join's ON holds where that join found a
// row, and says nothing of the relations before it.
type condition struct {
	*expr.Expr
	only int
}

// Scope resolves columns of a fragment's relations.
type Scope struct {
	basis
	relations []scoped
	index     map[string]int
}

// basis is what facts may rest on, for all relations within.
type basis struct {
	catalog *catalog.Catalog
	// enforced: on nothing but what the SQL itself makes true; see NewEnforced.
	enforced bool
	bare     bool // no domains are wanted
	left     *budget
	// hospitals are the values that the column hospital may take; nil where they are not known.
	hospitals []value.Value
}

type scoped struct {
	Relation
	table *catalog.Table
	facts []expr.Range // of a derived relation's columns
	sizes []float64    // of their expressions, see Scope.size
	keys  [][]string   // sets of columns that tell its rows apart
	same  []string     // see scheme
	// rows bounds a derived relation: how many it has where it is public, and for each row of the patient where it is not. most is its
	// Multiplicity where it is public.
	rows float64
	most func(columns []string) (float64, error)
	// optional: the relation's columns may be NULL because a left join found nothing.
	optional bool
}

// NewScope resolves relations against the catalog. hospitals are the values that the column hospital may take, sorted;
// without, they are not known.
func NewScope(relations []Relation, c *catalog.Catalog, hospitals ...value.Value) (*Scope, error) {
	on := believed(c)
	on.hospitals = hospitals
	return countedScope(relations, on)
}

// NewScopeWithin is NewScope that spends from the budget of a statement.
func NewScopeWithin(relations []Relation, c *catalog.Catalog, b *expr.Budget, hospitals ...value.Value) (*Scope, error) {
	on := believed(c)
	on.left.Budget, on.hospitals = b, hospitals
	return countedScope(relations, on)
}

// countedScope refuses too many relations before any is looked at.
func countedScope(relations []Relation, on basis) (*Scope, error) {
	if countRelations(relations, maxRelationsInAll+1) > maxRelationsInAll {
		return nil, tooManyRelations()
	}
	return newScope(relations, on, 0)
}

func tooManyRelations() error {
	return fmt.Errorf("%w: more than %d relations in all", ErrInvalid, maxRelationsInAll)
}

// believed rests facts on the catalog's promises and on filters, too.
func believed(c *catalog.Catalog) basis {
	return basis{catalog: c, left: newBudget()}
}

// NewEnforced tells what a fragment's SQL makes true of expressions over the relations by itself, whatever the
// data are, whatever the catalog promises, and in whatever order a database evaluates the statement: it is what
// may decide that an operation needs no guard. Bounds of a column hold, because the SQL that reads it clamps, and a
// derived column is what its expression gives. Nothing follows from a column that is declared not to be NULL,
// from a declared domain, or from a filter, a join or a grouping, which a database may apply later. Domains are not known.
func NewEnforced(relations []Relation, c *catalog.Catalog) (*expr.RangeAnalysis, error) {
	s, err := newScope(relations, basis{catalog: c, enforced: true, bare: true, left: newBudget()}, 0)
	if err != nil {
		return nil, err
	}
	return s.inferenceWhere(nil), nil
}

func newScope(relations []Relation, on basis, depth int) (*Scope, error) {
	s, seen := &Scope{basis: on, index: map[string]int{}}, map[string]bool{}
	if len(relations) == 0 || len(relations) > maxRelations {
		return nil, fmt.Errorf("%w: %d relations; from 1 to %d can be read", ErrInvalid, len(relations), maxRelations)
	}
	for i, r := range relations {
		next := scoped{Relation: r, optional: r.Join == JoinLeft, rows: 1}
		switch {
		case r.Derived != nil && r.Table != "":
			return nil, fmt.Errorf("%w: the relation %s is a table and derived", ErrInvalid, r.Name)
		case r.Derived != nil:
			derived, err := r.Derived.scheme(r.Name, on, depth+1)
			if err != nil {
				return nil, err
			}
			next.table, next.facts, next.sizes, next.keys, next.rows, next.most = derived.table, derived.facts, derived.sizes, derived.keys, derived.rows, derived.most
			next.same = derived.same
		default:
			t, ok := on.catalog.Table(r.Table)
			if !ok {
				return nil, fmt.Errorf("%w: the catalog has no table %s", ErrInvalid, r.Table)
			}
			next.table = t
			if len(t.Key) > 0 {
				next.keys = [][]string{t.Key}
			}
		}
		if seen[fold(r.Name)] || r.Name == "" {
			return nil, fmt.Errorf("%w: the relation name %q is empty or used twice", ErrInvalid, r.Name)
		}
		seen[fold(r.Name)], s.index[r.Name] = true, i
		s.relations = append(s.relations, next)
	}
	return s, on.left.over()
}

// isPatientID reports whether the column of relation i holds the patient's id.
func (s *Scope) isPatientID(i int, column string) bool {
	if r := s.relations[i]; r.Derived != nil {
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
		f = f.WithinType(e.Type) // what a stored column holds beyond its type reads as NULL
	}
	i, ok := s.index[e.Relation]
	if !ok {
		return f
	}
	if s.relations[i].Derived != nil {
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
			f := r.facts[k]
			if r.optional { // a domain may say what Nullable does not: that there is no NULL
				f = f.OrNull(c.Type)
			}
			return f
		}
	}
	return expr.Unknown(true)
}

// RangeWhere infers what is known of an expression on rows that fulfil the filter,
// which may be nil.
func (s *Scope) RangeWhere(e, filter *expr.Expr) expr.Range { return s.inferenceWhere(filter).Range(e) }

// inferenceWhere infers the facts of expressions on rows that fulfil the filter.
func (s *Scope) inferenceWhere(filter *expr.Expr) *expr.RangeAnalysis {
	return expr.NewRangeAnalysisWhere(filter, s.left.Budget, !s.bare, s.Range)
}

func (f *Fragment) checkForm(s *Scope) error {
	if f.MaxGroups < 1 || f.MaxRows < 1 || f.MaxGroups > 1_000_000 || f.MaxRows > 1_000_000 {
		return fmt.Errorf("%w: max_groups and max_rows must be from 1 to 1000000", ErrInvalid)
	}
	if err := f.checkNorm(); err != nil {
		return err
	}
	if len(f.Partials) == 0 || len(f.Partials) > maxPartials || len(f.Keys) > maxKeys {
		return fmt.Errorf("%w: %d keys and %d partial aggregates; at most %d and from 1 to %d are computed", ErrInvalid, len(f.Keys), len(f.Partials), maxKeys, maxPartials)
	}
	check, err := s.checkRows(f.Relations, f.Filter)
	if err != nil {
		return err
	}
	for _, k := range f.Keys {
		if err := checkKey(k, check); err != nil {
			return err
		}
	}
	for _, p := range f.Partials {
		if err := p.checkForm(f.MaxRows, check); err != nil {
			return err
		}
		if p.Kind == PartialBeyond && f.measured(p) < 0 {
			return fmt.Errorf("%w: it asks what was left out of a partial aggregate that it does not ask for", ErrInvalid)
		}
	}
	return nil
}

// checkRows verifies how relations are joined and filtered, and returns the check
// of an expression that may read all of them.
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
		joined := r.Join == JoinInner || r.Join == JoinLeft
		if i == 0 && r.Join != "" || i > 0 && !joined && r.Join != JoinCross || joined != (r.On != nil) {
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

// size counts the operations of an expression, with those of the derived columns that it reads put in their place: some
// databases do so, and a column that reads another several times at each of several levels would stop them.
// What an aggregate or a window computes is put nowhere.
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

func checkCondition(e *expr.Expr, visible int, check func(*expr.Expr, int) error) error {
	if err := check(e, visible); err != nil {
		return err
	}
	if e.Type != value.TypeBool {
		return fmt.Errorf("%w: %s is no condition", expr.ErrExpression, e)
	}
	return nil
}

func checkKey(k Key, check func(*expr.Expr) error) error {
	if err := check(k.Expr); err != nil {
		return err
	}
	seen := map[value.Value]bool{}
	for _, v := range k.Domain {
		if v.Type() != k.Expr.Type || seen[v] {
			return fmt.Errorf("%w: the declared domain of %s holds a value twice or of another type", ErrInvalid, k.Expr)
		}
		if err := checkConstant(v); err != nil {
			return err
		}
		if v != expr.Cut(v, expr.MaxKey) {
			return fmt.Errorf("%w: a declared key has more than %d characters", ErrInvalid, expr.MaxKey)
		}
		seen[v] = true
	}
	return nil
}

func (p Partial) checkForm(maxRows int, check func(*expr.Expr) error) error {
	if p.Expr != nil {
		if err := check(p.Expr); err != nil {
			return err
		}
	}
	if p.Kind == PartialBeyond {
		if p.Most < 1 || p.Most > MostBeyond || p.Of == PartialBuckets || p.Of == PartialBeyond {
			return fmt.Errorf("%w: it asks what was left out of a %q, by at most %d times; there are counts and sums, and 1 to %d", ErrInvalid, p.Of, p.Most, MostBeyond)
		}
		of := p
		of.Kind, of.Of, of.Most = p.Of, "", 0
		return of.checkForm(maxRows, check)
	}
	if p.Of != "" || p.Most != 0 {
		return fmt.Errorf("%w: a %q is of nothing that was left out", ErrInvalid, p.Kind)
	}
	if (p.Kind == PartialSum) != (p.Grid != nil) {
		return fmt.Errorf("%w: a sum, and only a sum, has a grid", ErrInvalid)
	}
	if (p.Kind == PartialBuckets) != (p.Buckets != nil) {
		return fmt.Errorf("%w: buckets, and only they, have a range", ErrInvalid)
	}
	if p.Share < 0 || p.Share > MaxShare {
		return fmt.Errorf("%w: a partial aggregate's share is out of range", ErrInvalid)
	}
	switch {
	case p.Kind == PartialPatients && (p.Expr == nil || p.Expr.Type == value.TypeBool):
		return nil
	case p.Kind == PartialRows && p.Expr == nil:
		return nil
	case p.Kind == PartialValues && p.Expr != nil:
		return nil
	case p.Kind == PartialSum && p.Expr != nil && p.Expr.Type.Numeric():
		return p.Grid.validate(maxRows, sizeBits)
	case p.Kind == PartialBuckets && p.Buckets != nil && p.Expr != nil && p.Expr.Type.Numeric():
		return p.Buckets.Validate()
	}
	return fmt.Errorf("%w: a partial aggregate %q over that expression does not exist", ErrInvalid, p.Kind)
}

// check verifies the types of an expression that may read the first `visible`
// relations.
func (s *Scope) check(e *expr.Expr, visible, depth int, nodes *int) error {
	if e == nil {
		return fmt.Errorf("%w: an argument is missing", expr.ErrExpression)
	}
	if *nodes++; *nodes > maxNodes || depth > maxDepth {
		return fmt.Errorf("%w: an expression is too large", ErrInvalid)
	}
	s.left.Visit()
	for _, a := range e.Args {
		if err := s.check(a, visible, depth+1, nodes); err != nil {
			return err
		}
	}
	if err := e.CheckType(); err != nil {
		return err
	}
	if e.MakesText() {
		return s.left.spendText(e)
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

// checkConstant refuses texts with the character U+0000: some engines cannot hold it, and some
// databases' texts end there. Nor may one be longer than what is read of a text.
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

// equality returns the two columns of a condition column = column.
func equality(e *expr.Expr) (a, b *expr.Expr, ok bool) {
	if e.Op != expr.OpEqual || e.Args[0].Op != expr.OpColumn || e.Args[1].Op != expr.OpColumn {
		return nil, nil, false
	}
	return e.Args[0], e.Args[1], true
}

// SamePatient reports whether equality of the two columns means that the two
// rows belong to the same patient: both hold the patient's id; or one is the
// foreign key by which its table reaches the patient and the other is the key it
// refers to; or both are such foreign keys to the same key.
func (s *Scope) SamePatient(a, b *expr.Expr) bool {
	i, j := s.index[a.Relation], s.index[b.Relation]
	r, q := s.relations[i].table, s.relations[j].table
	if r.Public || q.Public || i == j {
		return false
	}
	if s.isPatientID(i, a.Column) && s.isPatientID(j, b.Column) {
		return true
	}
	if s.relations[i].Derived != nil || s.relations[j].Derived != nil {
		return false // a derived relation holds the patient's id itself
	}
	x, y := wayToPatient(r, a.Column), wayToPatient(q, b.Column)
	return x != "" && (x == y || x == strings.ToLower(q.Name+"."+b.Column)) ||
		y != "" && y == strings.ToLower(r.Name+"."+a.Column)
}

// wayToPatient returns what the column refers to if it is the one by which its
// table reaches the patient.
func wayToPatient(t *catalog.Table, column string) string {
	c, ok := t.Column(column)
	if !ok || !strings.EqualFold(t.Patient, column) {
		return ""
	}
	return strings.ToLower(c.References)
}

// ownership says of each private relation whether its rows are proved to belong
// to the patient of the first private relation.
func (s *Scope) ownership(conditions []condition) []bool {
	owned := make([]bool, len(s.relations))
	for i, r := range s.relations {
		if !r.table.Public {
			owned[i] = true
			break
		}
	}
	for changed := true; changed; {
		changed = false
		for _, c := range conditions {
			a, b, ok := equality(c.Expr)
			if !ok || !s.SamePatient(a, b) {
				continue
			}
			i, j := s.index[a.Relation], s.index[b.Relation]
			if owned[i] {
				i, j = j, i
			}
			// A left join's condition ties the relation that it joins, no other.
			if owned[j] && !owned[i] && (c.only == -1 || c.only == i) {
				owned[i], changed = true, true
			}
		}
	}
	return owned
}

// singleRow says of each relation whether all rows of a patient read the same row
// of it, or all read none: a private table of one row a patient, or a table whose
// whole key is equated with constants or with columns of such relations. A left
// join reads a row or none by its whole condition, which therefore must depend on
// such relations alone.
func (s *Scope) singleRow(conditions []condition) []bool {
	single := make([]bool, len(s.relations))
	for changed := true; changed; {
		changed = false
		for i, r := range s.relations {
			if !single[i] && (r.table.OneRowPerPatient || s.keyed(i, single, conditions)) && s.steady(i, single) {
				single[i], changed = true, true
			}
		}
	}
	return single
}

// steady reports whether the condition of relation i, if it is a left join's, reads
// nothing but that relation, single ones, and the patient's id, which is the same in
// all rows of a patient.
func (s *Scope) steady(i int, single []bool) bool {
	r := s.relations[i]
	steady := true
	if r.Join == JoinLeft {
		r.On.Columns(func(relation, column string) {
			j := s.index[relation]
			id := !s.relations[j].optional && s.isPatientID(j, column)
			steady = steady && (j == i || single[j] || id)
		})
	}
	return steady
}

// fixed reports whether all rows of a patient hold the same value in a column: it is read from the same row, or is the
// patient's id, or what a derived relation says so of.
func (s *Scope) fixed(relation, column string, single []bool) bool {
	i := s.index[relation]
	return single[i] || !s.relations[i].optional && (s.isPatientID(i, column) || s.relations[i].sameIn(column) != "")
}

// sameIn tells what all rows of a patient hold alike in a column of a derived relation; see scheme.same.
func (r scoped) sameIn(column string) string {
	for k, c := range r.table.Columns {
		if k < len(r.same) && strings.EqualFold(c.Name, column) {
			return r.same[k]
		}
	}
	return ""
}

// keyed reports whether each column of one of relation i's keys equals a constant,
// the patient, or a column of a relation that is already known to be single.
func (s *Scope) keyed(i int, single []bool, conditions []condition) bool {
	r := s.relations[i]
	fixed := map[string]bool{}
	for _, c := range conditions {
		if c.Op != expr.OpEqual || c.only != -1 && c.only != i {
			continue
		}
		for k, a := range c.Args {
			b := c.Args[1-k]
			known := b.Op == expr.OpLiteral || b.Op == expr.OpHospital || b.Op == expr.OpColumn && single[s.index[b.Relation]]
			// Of one type: two long ints may equal the same float.
			if a.Type == b.Type && a.Op == expr.OpColumn && a.Relation == r.Name && known {
				fixed[strings.ToLower(a.Column)] = true
			}
		}
	}
	return slices.ContainsFunc(r.keys, func(key []string) bool {
		for _, k := range key {
			if !fixed[strings.ToLower(k)] && !s.isPatientID(i, k) {
				return false
			}
		}
		return true
	})
}

// Unlinked returns the names of the private relations whose rows nothing ties to
// the patient of the first private relation.
func Unlinked(relations []Relation, filter *expr.Expr, c *catalog.Catalog, b *expr.Budget) ([]string, error) {
	on := believed(c)
	on.left.Budget, on.bare = b, true
	s, err := countedScope(relations, on)
	if err != nil {
		return nil, err
	}
	var names []string
	for i, owned := range s.ownership(conditionsOf(relations, filter)) {
		if !owned && !s.relations[i].table.Public {
			names = append(names, s.relations[i].Name)
		}
	}
	return names, nil
}
