package planner

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// LIMIT in a query within a query keeps the first rows of an order, which are told by
// numbering them: of released rows all, of patients' rows those of each patient.

// numbering numbers the rows of in; what is read of them is added by keep.
type numbering struct {
	w *windowing
}

func (r *resolver) numbering() *numbering {
	return &numbering{&windowing{in: r, inner: r.row, next: &resolver{catalog: r.catalog, depth: r.depth, composer: r.composer}}}
}

// keep passes a value on, and returns its name beside the numbers.
func (n *numbering) keep(e *expr.Expr) string { return valueOutput(&n.w.d, e) }

// rows numbers the rows of each partition in the order, and returns those with numbers
// from first to last; at the place that asks for it.
func (n *numbering) rows(partition []*expr.Expr, order []fragment.Order, first, last int64, at Position) *resolver {
	window := &fragment.Window{Partition: scalar.SortedUnique(partition), Order: order}
	if p := n.w.in.patient; p != nil { // the patient first, as in other windows
		window.Partition = append([]*expr.Expr{p}, slices.DeleteFunc(window.Partition, n.w.in.readsPatientID)...)
	}
	place := functionOutput(&n.w.d, fragment.Output{Function: fragment.FunctionRowNumber, Window: window}, "place")
	rows := n.w.done(at)
	number := expr.Column(rows.sources[0].Name, place, value.TypeInt)
	rows.filter = scalar.Apply(at, expr.OpLessOrEqual, number, expr.Literal(value.Int(last)))
	if first > 1 {
		rows.filter = scalar.Conjunction([]*expr.Expr{rows.filter, scalar.Apply(at, expr.OpGreaterOrEqual, number, expr.Literal(value.Int(first)))})
	}
	return rows
}

// first plans the first row of a scalar subquery, SELECT x … ORDER BY … LIMIT 1, among
// those that each row around is tied to, as the rows of a query that has only that one.
func (r *resolver) first(q *syntax.Query, pairs []correlation) (rows *resolver, tied []correlation, x *expr.Expr) {
	r.linkByForeignKeys()
	n := r.numbering()
	var partition []*expr.Expr
	for _, p := range pairs {
		partition = append(partition, p.inner)
	}
	var order []fragment.Order
	for _, o := range q.OrderBy {
		order = append(order, orderBy(o, r.row(syntax.Ordered(q.Select.Items, o.Term))))
	}
	value := r.row(q.Select.Items[0].Term)
	name := n.keep(value)
	names := make([]string, len(pairs))
	for i, p := range pairs {
		names[i] = n.keep(p.inner)
	}
	rows = n.rows(partition, order, 1, 1, q.Limit.At)
	s := rows.sources[0]
	for i, p := range pairs {
		tied = append(tied, correlation{expr.Column(s.Name, names[i], p.inner.Type), p.outer})
	}
	return rows, tied, expr.Column(s.Name, name, value.Type)
}

// limitedRows plans LIMIT and OFFSET of released or public rows that a query around reads; over is an empty resolver, in which
// the query is planned.
func limitedRows(over *resolver, q *syntax.Query, within *scope) *derived {
	first, last := int64(1), int64(1)<<32
	if q.Offset != nil {
		first += int64(rowsAsked(q.Offset, "OFFSET"))
	}
	if q.Limit != nil {
		last = first - 1 + int64(rowsAsked(q.Limit, "LIMIT"))
	}
	inner, places := withOrder(q)
	within.hand(q, inner)
	d := over.derive(inner, within, q.At)
	r := &resolver{catalog: over.catalog, composer: over.composer, depth: over.depth}
	s := r.adopt(d, "", q.At)
	n := r.numbering()
	column := func(i int) *expr.Expr {
		c, _ := s.table.Column(d.columns[i].column)
		return s.expr(c)
	}
	var order []fragment.Order
	for i, o := range q.OrderBy {
		order = append(order, orderBy(o, column(places(len(d.columns), i))))
	}
	visible := len(d.columns)
	if inner.Select != nil {
		visible -= len(inner.Select.Items) - len(q.Select.Items)
	}
	var names []string
	for i := range visible {
		names = append(names, n.keep(column(i)))
		if len(q.OrderBy) == 0 { // released rows come by their columns
			order = append(order, fragment.Order{Expr: column(i)})
		}
	}
	rows := n.rows(nil, order, first, last, cmpOr(q.Limit, q.Offset).At)
	var items []item
	for i, name := range names {
		items = append(items, item{d.columns[i].name, expr.Column(rows.sources[0].Name, name, column(i).Type)})
	}
	return rows.project(items, false)
}
