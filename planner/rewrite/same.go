package rewrite

import (
	"slices"

	"github.com/intramuros/intramuros/planner/syntax"
)

// sameTerm compares terms of one SELECT. Their columns may or may not be qualified.
func sameTerm(a, b *syntax.Expr) bool {
	if a.Kind == syntax.Column && b.Kind == syntax.Column {
		return a.Name == b.Name && (a.Qualifier == b.Qualifier || a.Qualifier == "" || b.Qualifier == "")
	}
	return a.Equal(b)
}

func sameOrder(a, b syntax.Order) bool {
	return sameTerm(a.Term, b.Term) && a.Descending == b.Descending
}

func hasTerm(all []*syntax.Expr, t *syntax.Expr) bool {
	return slices.ContainsFunc(all, func(o *syntax.Expr) bool { return sameTerm(o, t) })
}

func sameTerms(a, b []*syntax.Expr) bool {
	in := func(x, y []*syntax.Expr) bool {
		return !slices.ContainsFunc(x, func(t *syntax.Expr) bool { return !hasTerm(y, t) })
	}
	return in(a, b) && in(b, a)
}
