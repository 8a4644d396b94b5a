package relational

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
)

// Passed is a column of a release that a query over releases returns unchanged.
type Passed struct {
	Release int // its number, from 1
	Column  string
}

// How says how a column of a query over releases is made.
type How int

// A column is computed, or passed on unchanged, or a place in an order of rows.
const (
	IsComputed How = iota
	IsPassed
	IsPlace
)

// PassedFrom follows a column of a query over releases to the columns that it passes on: one for each arm of a set
// operation, and none for a constant.
func PassedFrom(d *fragment.Query, name string) (all []Passed, how How) {
	if d.SetOp != "" {
		at := slices.IndexFunc(Leaf(d).Columns, func(o fragment.Output) bool { return o.Name == name })
		if at < 0 {
			return nil, IsComputed
		}
		for _, arm := range d.Inputs {
			of, how := PassedFrom(arm, Leaf(arm).Columns[at].Name)
			if how != IsPassed {
				return nil, how
			}
			all = append(all, of...)
		}
		return all, IsPassed
	}
	at := slices.IndexFunc(d.Columns, func(o fragment.Output) bool { return o.Name == name })
	if at < 0 {
		return nil, IsComputed
	}
	o := d.Columns[at]
	switch o.Function {
	case "", fragment.FunctionLag, fragment.FunctionLead, fragment.FunctionFirst, fragment.FunctionLast:
	case fragment.FunctionRank, fragment.FunctionDenseRank, fragment.FunctionRowNumber, fragment.FunctionDistinct:
		return nil, IsPlace
	default:
		return nil, IsComputed
	}
	if o.Expr != nil && o.Expr.Op == expr.OpLiteral {
		return nil, IsPassed
	}
	if o.Expr == nil || o.Expr.Op != expr.OpColumn {
		return nil, IsComputed
	}
	for _, r := range d.Relations {
		if r.Name != o.Expr.Relation {
			continue
		}
		if r.Query != nil {
			return PassedFrom(r.Query, o.Expr.Column)
		}
		if n, ok := Release.Of(r.Table); ok {
			return []Passed{{n, o.Expr.Column}}, IsPassed
		}
	}
	return nil, IsComputed
}

// Gathers reports whether a query over releases counts or adds up rows of the release of that number, so that rows that
// are missing there are missing in what it computes.
func Gathers(d *fragment.Query, release int) bool {
	gathers := slices.ContainsFunc(d.Columns, func(o fragment.Output) bool {
		switch o.Function {
		case fragment.FunctionRows, fragment.FunctionCount, fragment.FunctionDistinct, fragment.FunctionSum, fragment.FunctionAverage:
			return true
		}
		return false
	})
	return gathers && readsRelease(d, release) ||
		slices.ContainsFunc(queriesWithin(d), func(q *fragment.Query) bool { return Gathers(q, release) })
}

// readsRelease reports whether rows of a release reach a query, through whatever queries stand between.
func readsRelease(d *fragment.Query, release int) bool {
	return slices.ContainsFunc(d.Relations, func(r fragment.Relation) bool {
		n, ok := Release.Of(r.Table)
		return ok && n == release
	}) || slices.ContainsFunc(queriesWithin(d), func(q *fragment.Query) bool { return readsRelease(q, release) })
}

// queriesWithin are the inputs and derived relations of a query.
func queriesWithin(d *fragment.Query) []*fragment.Query {
	all := slices.Clone(d.Inputs)
	for _, r := range d.Relations {
		if r.Query != nil {
			all = append(all, r.Query)
		}
	}
	return all
}
