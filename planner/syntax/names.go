package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// GROUP BY, HAVING, QUALIFY and ORDER BY may name SELECT's items by position or alias. This file resolves them.

// Aliased returns the item with alias t, where t is a bare name, or nil.
func Aliased(items []Item, t *Expr) *Expr {
	i := slices.IndexFunc(items, func(i Item) bool { return t.Kind == Column && t.Qualifier == "" && strings.EqualFold(i.Alias, t.Name) })
	if i < 0 {
		return nil
	}
	return items[i].Term
}

// called returns the item that the answer names by its function if t is that name and no other column has it, as in
// SELECT COUNT(*) … ORDER BY count. Otherwise it returns t.
func called(items []Item, t *Expr) *Expr {
	if t.Kind != Column || t.Qualifier != "" {
		return t
	}
	var found []Item
	for _, i := range items {
		if i.Term.Kind != Star && strings.EqualFold(i.Name(), t.Name) {
			found = append(found, i)
		}
	}
	if len(found) == 1 && found[0].Alias == "" && found[0].Term.Kind == Call {
		return found[0].Term
	}
	return t
}

// Ordinal returns the item at the position t, from 1. It refuses other literals; clause names the clause of t.
func Ordinal(items []Item, t *Expr, clause string) *Expr {
	if n := t.Literal; n.Type() == value.TypeInt && n.Int64() >= 1 && n.Int64() <= int64(len(items)) {
		return items[n.Int64()-1].Term
	}
	Refuse(CodeSyntax, t.At, "write a column, or its number from 1", "%s names no column of SELECT",
		strings.TrimSpace(clause+" "+t.Literal.String()))
	return nil
}

// Ordered returns what a term of ORDER BY orders by: the item of SELECT that its position or alias means, or the term
// itself.
func Ordered(items []Item, t *Expr) *Expr {
	if t.Kind == Literal {
		return Ordinal(items, t, "ORDER BY")
	}
	if named := Aliased(items, t); named != nil {
		return named
	}
	return t
}
