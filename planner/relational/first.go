package relational

import (
	"cmp"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// LIMIT in an inner query keeps the first rows of an order. The rows are numbered to find them: released rows as a
// whole, patients' rows for each patient.

// numbering numbers the rows of in; keep adds the values that are read of them.
type numbering struct {
	w *windowing
}

func (r *Resolver) numbering() *numbering {
	return &numbering{&windowing{in: r, inner: r.Row, next: &Resolver{Catalog: r.Catalog, Depth: r.Depth, composer: r.composer}}}
}

// keep passes a value on and returns the name of its column beside the numbers.
func (n *numbering) keep(e *expr.Expr) string { return AddValue(&n.w.d, e) }

// rows numbers the rows of each partition in the order, and returns those with numbers from first to last. at is the
// position of the request.
func (n *numbering) rows(partition []*expr.Expr, order []fragment.Order, first, last int64, at syntax.Position) *Resolver {
	window := &fragment.Window{Partition: scalar.SortedUnique(partition), Order: order}
	if p := n.w.in.Patient; p != nil { // the patient comes first, as in other windows
		window.Partition = append([]*expr.Expr{p}, slices.DeleteFunc(window.Partition, n.w.in.ReadsPatientID)...)
	}
	place := functionOutput(&n.w.d, fragment.Output{Function: fragment.FunctionRowNumber, Window: window}, "place")
	rows := n.w.done(at)
	number := expr.Column(rows.Sources[0].Name, place, value.TypeInt)
	rows.Filter = scalar.Apply(at, expr.OpLessOrEqual, number, expr.Literal(value.Int(last)))
	if first > 1 {
		rows.Filter = scalar.Conjunction([]*expr.Expr{rows.Filter, scalar.Apply(at, expr.OpGreaterOrEqual, number, expr.Literal(value.Int(first)))})
	}
	return rows
}

// first plans a scalar subquery SELECT x … ORDER BY … LIMIT 1. It keeps the first of the rows that correlate with each
// outer row, so the result has at most one row for each.
func (r *Resolver) first(q *syntax.Query, pairs []correlation) (rows *Resolver, tied []correlation, x *expr.Expr) {
	r.LinkByForeignKeys()
	n := r.numbering()
	var partition []*expr.Expr
	for _, p := range pairs {
		partition = append(partition, p.inner)
	}
	var order []fragment.Order
	for _, o := range q.OrderBy {
		order = append(order, OrderBy(o, r.Row(syntax.Ordered(q.Select.Items, o.Term))))
	}
	value := r.Row(q.Select.Items[0].Term)
	name := n.keep(value)
	names := make([]string, len(pairs))
	for i, p := range pairs {
		names[i] = n.keep(p.inner)
	}
	rows = n.rows(partition, order, 1, 1, q.Limit.At)
	s := rows.Sources[0]
	for i, p := range pairs {
		tied = append(tied, correlation{expr.Column(s.Name, names[i], p.inner.Type), p.outer})
	}
	return rows, tied, expr.Column(s.Name, name, value.Type)
}

// LimitedRows plans LIMIT and OFFSET of an inner query over released or public rows, in an empty resolver.
func (r *Resolver) LimitedRows(q *syntax.Query, within *Scope) *Derived {
	first, last := int64(1), int64(1)<<32
	if q.Offset != nil {
		first += int64(RowsAsked(q.Offset, "OFFSET"))
	}
	if q.Limit != nil {
		last = first - 1 + int64(RowsAsked(q.Limit, "LIMIT"))
	}
	inner, places := WithOrder(q)
	within.MoveRows(q, inner)
	d := r.Derive(inner, within, q.At)
	around := &Resolver{Catalog: r.Catalog, composer: r.composer, Depth: r.Depth}
	s := around.Adopt(d, "", q.At)
	n := around.numbering()
	column := func(i int) *expr.Expr {
		c, _ := s.Schema.Column(d.Named[i].Column)
		return s.Expr(c)
	}
	var order []fragment.Order
	for i, o := range q.OrderBy {
		order = append(order, OrderBy(o, column(places(len(d.Named), i))))
	}
	visible := len(d.Named)
	if inner.Select != nil {
		visible -= len(inner.Select.Items) - len(q.Select.Items)
	}
	var names []string
	for i := range visible {
		names = append(names, n.keep(column(i)))
		if len(q.OrderBy) == 0 { // released rows are ordered by their columns
			order = append(order, fragment.Order{Expr: column(i)})
		}
	}
	rows := n.rows(nil, order, first, last, cmp.Or(q.Limit, q.Offset).At)
	var items []item
	for i, name := range names {
		items = append(items, d.Named[i].item(expr.Column(rows.Sources[0].Name, name, column(i).Type)))
	}
	return rows.project(items, false)
}
