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

// Target is what SQL is written for: one hospital's database.
type Target struct {
	Dialect  *Dialect
	Catalog  *catalog.Catalog
	Hospital string
	// Table gives what stands after FROM for a table of the catalog: something with at
	// least these of the catalog's columns, in their types. False: this hospital has no
	// source for it.
	Table func(t *catalog.Table, columns []string) (sql string, ok bool)
}

// Fragment gives the SQL of a fragment, whose columns are those of its Schema but
// that buckets are packed: see Unpack. The two halves of the secret key are its only
// parameters. Errors wrap fragment.ErrInvalid, ErrNotOffered or ErrTooLarge.
func (t *Target) Fragment(f *fragment.Fragment, p *fragment.Proof) (string, error) {
	c, err := t.compiler(f.Relations, fragment.NewMemo(nil))
	if err != nil {
		return "", err
	}
	c.readsAll(f)
	s := unmarked(c.statement(f, p))
	return s, c.err
}

// Expressions gives the SQL of expressions over relations. A relation r stands in it
// under its own name, quoted.
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

// compiler prepares the compilation of a select over relations, whose properties a memo keeps.
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

// reads notes the columns that expressions, which may be nil, read.
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

// readsAll notes the columns that a fragment reads, but for those of its joins.
func (c *compiler) readsAll(f *fragment.Fragment) {
	c.reads(f.Patient, f.Filter)
	for _, k := range f.Keys {
		c.reads(k.Expr)
	}
	for _, p := range f.Partials {
		c.reads(p.Expr)
	}
}

// columns lists the columns that are read of a relation, as its table names them.
func (c *compiler) columns(relation string) []string {
	names := []string{}
	for _, n := range c.read[relation] {
		if col, ok := c.tables[relation].Column(n); ok {
			names = append(names, col.Name)
		}
	}
	return names
}
