package syntax

import (
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// Walk calls visit for the expression. If visit returns true, it does the same for its parts: the arguments, the
// condition of FILTER, and the terms of OVER. It does not enter subqueries.
func (t *Expr) Walk(visit func(*Expr) bool) {
	if !visit(t) {
		return
	}
	for _, a := range t.Args {
		a.Walk(visit)
	}
	if t.Filter != nil {
		t.Filter.Walk(visit)
	}
	for _, o := range t.Order {
		o.Term.Walk(visit)
	}
	if t.Over == nil {
		return
	}
	for _, p := range t.Over.Partition {
		p.Walk(visit)
	}
	for _, o := range t.Over.OrderBy {
		o.Term.Walk(visit)
	}
}

// Conjuncts lists the conditions that AND joins, also in parentheses. It lists none for nil and for TRUE.
func (t *Expr) Conjuncts() []*Expr {
	switch {
	case t == nil || t.Kind == Literal && t.Literal == value.Bool(true):
		return nil
	case t.Kind == Operator && t.Name == "and":
		var all []*Expr
		for _, a := range t.Args {
			all = append(all, a.Conjuncts()...)
		}
		return all
	}
	return []*Expr{t}
}

// Find returns the first expression, in the order of Walk, for which is returns true, or nil.
func (t *Expr) Find(is func(*Expr) bool) (found *Expr) {
	t.Walk(func(t *Expr) bool {
		if found == nil && is(t) {
			found = t
		}
		return found == nil
	})
	return found
}

// Rewrite replaces each expression for which fn returns another. It does not look into what fn returns, nor into
// subqueries. It changes nothing in place; unchanged expressions keep their pointer.
func (t *Expr) Rewrite(fn func(*Expr) *Expr) *Expr { return (&rewriter{fn: fn}).expr(t) }

// Rewrite replaces expressions in the query and in all its inner queries.
func (q *Query) Rewrite(fn func(*Expr) *Expr) *Query {
	return (&rewriter{fn: fn, subqueries: true, done: map[*Expr]*Expr{}}).query(q)
}

// rewriter replaces expressions. If done is not nil, an expression that occurs in several places, such as x in x
// BETWEEN a AND b, is rewritten once.
type rewriter struct {
	fn         func(*Expr) *Expr
	subqueries bool
	done       map[*Expr]*Expr
}

func (r *rewriter) expr(t *Expr) *Expr {
	if t == nil {
		return nil
	}
	if x := r.done[t]; x != nil {
		return x
	}
	x := r.fn(t)
	if x == nil {
		x = r.within(t)
	}
	if r.done != nil {
		r.done[t] = x
	}
	return x
}

// within rewrites the parts of an expression.
func (r *rewriter) within(t *Expr) *Expr {
	x := *t
	x.Args, x.Filter, x.Over, x.Order = r.exprs(t.Args), r.expr(t.Filter), r.window(t.Over), r.orders(t.Order)
	if r.subqueries && t.Query != nil {
		x.Query = r.query(t.Query)
	}
	if x.Filter == t.Filter && x.Over == t.Over && x.Query == t.Query && alike(x.Args, t.Args) && alikeOrders(x.Order, t.Order) {
		return t
	}
	return &x
}

func (r *rewriter) exprs(terms []*Expr) []*Expr {
	if terms == nil {
		return nil
	}
	all := make([]*Expr, len(terms))
	for i, t := range terms {
		all[i] = r.expr(t)
	}
	return all
}

// alike reports whether nothing was replaced.
func alike(a, b []*Expr) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (r *rewriter) window(w *Window) *Window {
	if w == nil {
		return nil
	}
	x := *w
	x.Partition, x.OrderBy = r.exprs(w.Partition), r.orders(w.OrderBy)
	if alike(x.Partition, w.Partition) && alikeOrders(x.OrderBy, w.OrderBy) {
		return w
	}
	return &x
}

func alikeOrders(a, b []Order) bool {
	return slices.EqualFunc(a, b, func(x, y Order) bool { return x.Term == y.Term })
}

func (r *rewriter) orders(orders []Order) []Order {
	if orders == nil {
		return nil
	}
	all := make([]Order, len(orders))
	for i, o := range orders {
		o.Term = r.expr(o.Term)
		all[i] = o
	}
	return all
}

func (r *rewriter) lists(lists [][]*Expr) [][]*Expr {
	if lists == nil {
		return nil
	}
	all := make([][]*Expr, len(lists))
	for i, l := range lists {
		all[i] = r.exprs(l)
	}
	return all
}

func (r *rewriter) query(q *Query) *Query {
	x := *q
	x.With = nil
	for _, w := range q.With {
		w.Query = r.query(w.Query)
		x.With = append(x.With, w)
	}
	x.OrderBy, x.Limit, x.Offset = r.orders(q.OrderBy), r.expr(q.Limit), r.expr(q.Offset)
	if o := q.SetOperation; o != nil {
		both := *o
		both.Left, both.Right = r.query(o.Left), r.query(o.Right)
		x.SetOperation = &both
		return &x
	}
	s := *q.Select
	s.Where, s.Having, s.Qualify = r.expr(s.Where), r.expr(s.Having), r.expr(s.Qualify)
	s.Values, s.GroupBy = r.lists(s.Values), r.lists(s.GroupBy)
	s.Items, s.From = nil, nil
	for _, i := range q.Select.Items {
		i.Term = r.expr(i.Term)
		s.Items = append(s.Items, i)
	}
	for _, f := range q.Select.From {
		f.On, f.Function = r.expr(f.On), r.expr(f.Function)
		if f.Query != nil {
			f.Query = r.query(f.Query)
		}
		s.From = append(s.From, f)
	}
	x.Select = &s
	return &x
}

// Aggregates lists the aggregates in a SELECT's items and HAVING. Of nested ones it lists the outermost.
func (s *Select) Aggregates() []*Expr {
	var all []*Expr
	add := func(t *Expr) bool {
		if t.IsAggregate() {
			all = append(all, t)
		}
		return !t.IsAggregate()
	}
	for _, i := range s.Items {
		i.Term.Walk(add)
	}
	if s.Having != nil {
		s.Having.Walk(add)
	}
	return all
}
