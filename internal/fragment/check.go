package fragment

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Check verifies a fragment against the catalog: its form, its types, that every row belongs to one patient, and its
// limits. Every error wraps ErrInvalid or ErrExpression, and holds no value of any row.
func Check(f *Fragment, c *catalog.Catalog) (*Proof, error) { return CheckWithin(f, c, NewMemo(nil)) }

// CheckWithin is Check with a memo of properties. It does not spend the budget of a statement: what a node refuses
// depends on the fragment alone.
func CheckWithin(f *Fragment, c *catalog.Catalog, m *Memo) (*Proof, error) {
	on := m.assumed(c)
	on.budget.Budget = expr.NewScopeBudget()
	on.noDomains = true // the declared domains of keys are the fragment's own
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
	if err := s.checkLinked(f.conjuncts()); err != nil {
		return nil, err
	}
	if err := s.checkPatient(f.Patient); err != nil {
		return nil, err
	}
	if _, err := s.spread(f.conjuncts(), nil); err != nil {
		return nil, err
	}
	return s.prove(f)
}

// prove derives the proof of a fragment that has been checked.
func (s *Scope) prove(f *Fragment) (*Proof, error) {
	p := &Proof{Rows: f.MaxRows, Groups: f.MaxGroups, Cells: 1, Capped: s.budget.capped}
	single := s.singleRow(f.conjuncts())
	p.OneRow, p.KeysPerPatient = true, true
	for i := range s.relations {
		p.OneRow = p.OneRow && single[i]
	}
	for _, k := range f.Keys {
		k.Expr.Columns(func(relation, column string) {
			p.KeysPerPatient = p.KeysPerPatient && s.determinedByPatient(relation, column, single)
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

// checkSums refuses sums of floats without a grid, of public rows too. Their last bits would depend on the order of
// addition in the database, and so on its other work. Only a coordinator needs no grid: it adds up released rows
// itself, row by row.
func checkSums(relations []Relation) error {
	loose := ""
	walkDerived(relations, func(d *Query) {
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
