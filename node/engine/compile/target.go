package compile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// ErrNotOffered means that this hospital has no source for a table.
var ErrNotOffered = errors.New("this hospital does not offer the table")

// Target describes one hospital's database, for which SQL is written.
type Target struct {
	Dialect  *Dialect
	Catalog  *catalog.Catalog
	Hospital string
	// Table returns what follows FROM for a catalog table: a relation with at least these columns, in the catalog's types.
	// ok is false if this hospital has no source for it.
	Table func(t *catalog.Table, columns []string) (sql string, ok bool)
}

// Fragment returns the SQL of a fragment. Its columns are those of the Schema, but buckets are packed: see Unpack. The
// two halves of the secret key are its only parameters. Errors wrap fragment.ErrInvalid, ErrNotOffered or ErrTooLarge.
func (t *Target) Fragment(f *fragment.Fragment, p *fragment.Proof) (string, error) {
	c, err := t.compiler(f.Relations, fragment.NewMemo(nil))
	if err != nil {
		return "", err
	}
	c.readsAll(f)
	s := unmarked(c.statement(f, p))
	return s, c.err
}

// Expressions returns the SQL of expressions over relations. A relation has its own quoted name in it.
func (t *Target) Expressions(relations []fragment.Relation, exprs ...*expr.Expr) ([]string, error) {
	c, err := t.compiler(relations, fragment.NewMemo(nil))
	if err != nil {
		return nil, err
	}
	list := c.each(exprs)
	for i := range list {
		list[i] = unmarked(list[i])
	}
	return list, c.err
}

// compiler prepares the compilation of a select over relations. The memo keeps their properties.
func (t *Target) compiler(relations []fragment.Relation, m *fragment.Memo) (*compiler, error) {
	known, err := fragment.NewEnforced(relations, t.Catalog, m)
	if err != nil {
		return nil, err
	}
	c := &compiler{target: t, memo: m, known: known, written: new(int), variables: new(int), bound: map[*expr.Expr]code{}, folded: map[string]bool{}, sizes: map[string]int{}, tables: map[string]*catalog.Table{}, instead: map[string]string{}, derived: map[string]bool{}, read: map[string][]string{}}
	seen := map[string]bool{}
	for _, r := range relations {
		if seen[strings.ToLower(r.Name)] {
			return nil, fmt.Errorf("%w: the relation name %q differs from another only in letter case", fragment.ErrInvalid, r.Name)
		}
		seen[strings.ToLower(r.Name)] = true
		c.reads(r.On)
		if r.Query == nil {
			c.tables[r.Name], _ = t.Catalog.Table(r.Table)
			continue
		}
		if c.tables[r.Name], err = r.Query.Table(r.Name, t.Catalog, m); err != nil {
			return nil, err
		}
		c.derived[r.Name] = true
	}
	return c, nil
}

// reads records the columns that expressions read. An expression may be nil.
func (c *compiler) reads(exprs ...*expr.Expr) {
	for _, e := range exprs {
		if e == nil {
			continue
		}
		e.Columns(func(relation, column string) {
			if !slices.Contains(c.read[relation], column) {
				c.read[relation] = append(c.read[relation], column)
			}
		})
	}
}

// readsAll records the columns that a fragment reads, except in its joins.
func (c *compiler) readsAll(f *fragment.Fragment) {
	c.reads(f.Patient, f.Filter)
	for _, k := range f.Keys {
		c.reads(k.Expr)
	}
	for _, p := range f.Partials {
		c.reads(p.Expr)
	}
}

// columns lists the columns that are read from a relation, with the names of its table.
func (c *compiler) columns(relation string) []string {
	names := []string{}
	for _, n := range c.read[relation] {
		if col, ok := c.tables[relation].Column(n); ok {
			names = append(names, col.Name)
		}
	}
	return names
}
