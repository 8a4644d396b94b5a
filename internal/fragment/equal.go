package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
)

// Equal reports whether two queries are written in the same way, so that they yield the same rows.
func (d *Query) Equal(o *Query) bool {
	if d == nil || o == nil || d == o {
		return d == o
	}
	return d.Grouped == o.Grouped && d.SetOp == o.SetOp && d.Patient == o.Patient && d.Filter.Equal(o.Filter) &&
		slices.EqualFunc(d.Relations, o.Relations, Relation.Equal) && slices.EqualFunc(d.Columns, o.Columns, Output.Equal) &&
		slices.EqualFunc(d.Inputs, o.Inputs, (*Query).Equal)
}

// Equal reports whether two relations are the same and are joined in the same way.
func (r Relation) Equal(o Relation) bool {
	return r.Name == o.Name && r.Table == o.Table && r.Join == o.Join && r.On.Equal(o.On) && r.Query.Equal(o.Query)
}

// Equal reports whether two outputs are the same and have the same name.
func (o Output) Equal(other Output) bool {
	return o.Name == other.Name && o.Function == other.Function && o.Expr.Equal(other.Expr) && alike(o.Grid, other.Grid) &&
		o.Window.Equal(other.Window)
}

// Equal reports whether two windows are the same.
func (w *Window) Equal(o *Window) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.Offset == o.Offset && alike(w.Frame, o.Frame) && slices.EqualFunc(w.Partition, o.Partition, (*expr.Expr).Equal) &&
		slices.EqualFunc(w.Order, o.Order, Order.Equal) && slices.EqualFunc(w.Ties, o.Ties, (*expr.Expr).Equal)
}

// Equal reports whether two orders are by the same expression, in the same direction.
func (o Order) Equal(other Order) bool {
	return o.Descending == other.Descending && o.NullsFirst == other.NullsFirst && o.Expr.Equal(other.Expr)
}

// Equal reports whether two partial aggregates are the same, with the same share of the noise.
func (p Partial) Equal(o Partial) bool {
	return p.Kind == o.Kind && p.Of == o.Of && p.Most == o.Most && p.Share == o.Share && p.Expr.Equal(o.Expr) &&
		alike(p.Grid, o.Grid) && alike(p.Buckets, o.Buckets)
}

func alike[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
