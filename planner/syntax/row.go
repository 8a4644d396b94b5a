package syntax

import "github.com/intramuros/intramuros/internal/value"

// row reads (a, b) = (c, d) and (a, b) IN (…) after the comma behind a.
func (p *parser) row(open token, first *Expr) *Expr {
	left := []*Expr{first}
	for p.accept(",") {
		left = append(left, p.expression())
	}
	p.expect(")", "close the parenthesis there")
	t := p.here()
	equal := func() *Expr { // another row in parentheses
		at := p.here().at
		p.expect("(", "write as many values in parentheses")
		right := p.expressions()
		p.expect(")", "separate the values by commas")
		if len(right) != len(left) {
			Refuse(CodeType, at, "compare as many values", "%d values are compared with %d", len(left), len(right))
		}
		var all []*Expr
		for i := range left {
			all = append(all, NewOperator("=", left[i], right[i]))
		}
		return NewOperator("and", all...)
	}
	not := p.accept("not")
	switch {
	case p.accept("in"):
		values := p.comes("(", "values")
		if !values && p.queryComes(p.i) {
			return negation(&Expr{Kind: InSubquery, At: open.at, Args: left, Query: p.subquery()}, not)
		}
		p.expect("(", "write IN ((1, 2), (3, 4)) or IN (SELECT …)")
		if values {
			p.i++
		}
		any := []*Expr{equal()}
		for p.accept(",") {
			any = append(any, equal())
		}
		p.expect(")", "separate the rows by commas")
		if len(any) == 1 {
			return negation(any[0], not)
		}
		return negation(NewOperator("or", any...), not)
	case !not && (p.accept("=") || p.accept("<>") || p.accept("!=")):
		return negation(equal(), t.text != "=")
	case !not && (p.accept("<") || p.accept("<=") || p.accept(">") || p.accept(">=")):
		return p.inOrder(left, t)
	case !not && len(left) == 2 && p.accept("overlaps"):
		return p.overlaps(left)
	}
	Refuse(CodeNotSupported, open.at, "compare the columns one by one", "a row of values is compared by =, <>, <, >, OVERLAPS and IN only")
	return nil
}

// otherRow reads the row of values on the right side of a comparison.
func (p *parser) otherRow(n int) []*Expr {
	at := p.here().at
	p.expect("(", "write as many values in parentheses")
	right := p.expressions()
	p.expect(")", "separate the values by commas")
	if len(right) != n {
		Refuse(CodeType, at, "compare as many values", "%d values are compared with %d", n, len(right))
	}
	return right
}

// inOrder builds (a, b) < (c, d) as a < c OR a = c AND b < d.
func (p *parser) inOrder(left []*Expr, t token) *Expr {
	right := p.otherRow(len(left))
	last := len(left) - 1
	x := NewOperator(t.text, left[last], right[last])
	for i := last - 1; i >= 0; i-- {
		less := NewOperator(t.text[:1], left[i], right[i])
		x = NewOperator("or", less, NewOperator("and", NewOperator("=", left[i], right[i]), x))
	}
	return x
}

// overlaps builds (a, b) OVERLAPS (c, d). The ends of a period may come in either order. A period does not include its
// end unless it is one instant. If one end is NULL, the other is the beginning, as in PostgreSQL. The result is unknown
// unless it does not depend on the missing end.
func (p *parser) overlaps(left []*Expr) *Expr {
	right := p.otherRow(2)
	none := &Expr{Kind: Literal, At: left[0].At}
	truth := func(v bool) *Expr { return NewLiteral(left[0].At, value.Bool(v)) }
	call := func(name string, of []*Expr) *Expr { return &Expr{Kind: Call, At: of[0].At, Name: name, Args: of} }
	open := func(of []*Expr) *Expr {
		return NewOperator("or", NewOperator("is null", of[0]), NewOperator("is null", of[1]))
	}
	end := func(of []*Expr) *Expr { return NewOperator("case", open(of), none, call("greatest", of)) }
	a, c := call("least", left), call("least", right)
	within := func(x *Expr, other, own []*Expr) *Expr { // x begins within the other period, which begins earlier
		return NewOperator("or", NewOperator("<", x, end(other)), NewOperator("case", open(own), none, truth(false)))
	}
	return NewOperator("case",
		NewOperator(">", a, c), within(a, right, left),
		NewOperator("<", a, c), within(c, left, right),
		NewOperator("=", a, c), NewOperator("case", NewOperator("or", open(left), open(right)), none, truth(true)))
}
