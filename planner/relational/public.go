package relational

import (
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Vocabulary is the catalog as one statement reads it, with what is known about the statement's queries.
type Vocabulary struct {
	*catalog.Catalog
	Memo *fragment.Memo
	// First, if not nil, plans a subquery that aggregates over patients as a release that is made first, and returns the
	// constant that stands for its number among rows of patients.
	First func(q *syntax.Query, within *Scope) *expr.Expr
}

// NewVocabulary combines a catalog with a statement's memo.
func NewVocabulary(c *catalog.Catalog, m *fragment.Memo) *Vocabulary {
	return &Vocabulary{Catalog: c, Memo: m}
}

// ReadsPublic reports whether a query reads tables, and all of them are public, at any depth.
func (v *Vocabulary) ReadsPublic(q *syntax.Query, within *Scope) bool {
	w := &tableWalk{Vocabulary: v, seen: map[*syntax.Query]bool{}}
	w.query(q, within)
	return w.public > 0 && !w.other
}

// tableWalk visits the tables of a query.
type tableWalk struct {
	*Vocabulary
	seen   map[*syntax.Query]bool
	public int
	other  bool // a table that is not public or not in the catalog
}

func (w *tableWalk) query(q *syntax.Query, within *Scope) {
	if w.other || w.seen[q] {
		return
	}
	w.seen[q] = true
	inner := within.Extend(q.With)
	for _, o := range q.OrderBy {
		w.expr(o.Term, inner)
	}
	if o := q.SetOperation; o != nil {
		w.query(o.Left, inner)
		w.query(o.Right, inner)
		return
	}
	s := q.Select
	for _, f := range s.From {
		w.from(f, inner)
	}
	for _, i := range s.Items {
		w.expr(i.Term, inner)
	}
	for _, keys := range s.GroupBy {
		for _, k := range keys {
			w.expr(k, inner)
		}
	}
	for _, t := range []*syntax.Expr{s.Where, s.Having, s.Qualify} {
		w.expr(t, inner)
	}
}

func (w *tableWalk) from(f syntax.From, inner *Scope) {
	query, within := inner.QueryOf(f)
	switch {
	case f.Function != nil:
		w.other = true
	case query != nil:
		w.query(query, within)
	default:
		t, ok := w.Table(f.Table)
		w.other = w.other || !ok || !t.Public
		w.public++
	}
	w.expr(f.On, inner)
}

func (w *tableWalk) expr(t *syntax.Expr, within *Scope) {
	if t == nil {
		return
	}
	t.Walk(func(t *syntax.Expr) bool {
		if t.Query != nil {
			w.query(t.Query, within)
		}
		return true
	})
}
