package syntax

import (
	"slices"
	"strconv"
)

// query reads a query: WITH, its SELECTs and their set operations, ORDER BY and LIMIT.
func (p *parser) query() *Query {
	defer func(n int, w windowScope, u []baseWindow) {
		p.common, p.windows, p.unnamed = p.common[:n], w, u
	}(len(p.common), p.windows, p.unnamed)
	p.unnamed = nil
	at := p.here().at
	outer := &Query{At: at, With: p.with()}
	q, closed := p.combination()
	if p.accept("order") {
		p.expect("by", "write ORDER BY")
		orders := p.orders()
		p.nameWindows()
		outer.OrderBy = orders
		if !closed && q.Select != nil {
			for i := range orders {
				orders[i].Term = called(q.Select.Items, orders[i].Term)
			}
		}
		if first := p.first; first != nil && !closed && q.Select != nil {
			for _, o := range orders {
				o.Term = q.Select.chosen(o.Term)
				first.Args[0].Over.OrderBy = append(first.Args[0].Over.OrderBy, o)
			}
		}
	}
	p.limits(outer)
	bare := outer.With == nil && outer.OrderBy == nil && outer.Limit == nil && outer.Offset == nil
	switch {
	case bare:
		return q
	case !closed || q.With == nil && q.OrderBy == nil && q.Limit == nil && q.Offset == nil:
		if q.Limit != nil && (outer.Limit != nil || outer.Offset != nil) {
			Refuse(CodeSyntax, q.Limit.At, "write LIMIT alone", "TOP and LIMIT both say how many rows to return")
		}
		q.At, q.With, q.OrderBy, q.Offset = at, outer.With, outer.OrderBy, outer.Offset
		if outer.Limit != nil {
			q.Limit = outer.Limit
		}
		return q
	}
	// In (SELECT … LIMIT 5) ORDER BY …, the outer clauses apply after the inner ones.
	outer.Select = &Select{
		At: at, Items: []Item{{Term: &Expr{Kind: Star, At: q.At}}}, From: []From{{At: q.At, Query: q}},
	}
	return outer
}

// subquery reads a query in parentheses.
func (p *parser) subquery() *Query {
	p.expect("(", "write it in parentheses")
	p.inner++
	q := p.query()
	p.inner--
	p.expect(")", "end the query there")
	return q
}

// queryComes reports whether the parenthesis at the token contains a whole query: (SELECT …), ((SELECT …) UNION …), but
// not ((SELECT 1) + 1).
func (p *parser) queryComes(i int) bool {
	if !p.tokens[i].is("(") {
		return false
	}
	next := p.tokens[i+1]
	if next.is("select") || next.is("with") || next.is("values") && p.tokens[i+2].is("(") {
		return true
	}
	if !next.is("(") || !p.queryComes(i+1) {
		return false
	}
	after := p.tokens[p.partner[i+1]+1]
	return slices.ContainsFunc([]string{")", "union", "intersect", "except", "order", "limit", "offset", "fetch"},
		after.is)
}

// with reads WITH name [(columns)] AS (query), …
func (p *parser) with() []With {
	if !p.accept("with") {
		return nil
	}
	if t := p.here(); t.is("recursive") && p.token(1).isName() {
		Refuse(CodeNotSupported, t.at, "join the table with itself as often as needed",
			"a query that reads itself is not answered")
	}
	var all []With
	for {
		t := p.name("write WITH name AS (SELECT …)")
		w := With{At: t.at, Name: t.text, Columns: p.columnList()}
		if slices.ContainsFunc(all, func(o With) bool { return o.Name == w.Name }) {
			Refuse(CodeAmbiguous, t.at, "give one of them another name", "%s stands for two queries", t.text)
		}
		p.expect("as", "write WITH "+t.text+" AS (SELECT …)")
		if !p.accept("not", "materialized") { // how it is computed does not change its meaning
			p.accept("materialized")
		}
		if !p.queryComes(p.i) {
			if p.accept("(") {
				p.unexpected("write a SELECT")
			}
			p.unexpected("write WITH " + t.text + " AS (SELECT …)")
		}
		w.Query = p.subquery()
		p.common = append(p.common, w.Name)
		all = append(all, w)
		if !p.accept(",") {
			return all
		}
	}
}

// columnList reads (a, b), if it comes next.
func (p *parser) columnList() []string {
	if !p.accept("(") {
		return nil
	}
	var names []string
	for {
		names = append(names, p.name("write a column's name").text)
		if p.accept(",") {
			continue
		}
		p.expect(")", "separate the columns by commas")
		return names
	}
}

// combination reads SELECTs with UNION and EXCEPT, which have equal precedence and associate to the left. closed means
// that it is one query in parentheses.
func (p *parser) combination() (left *Query, closed bool) {
	at := p.here().at
	left, closed = p.intersection()
	for p.comesOneOf("union", "except") {
		left, closed = p.combined(left, at, func() *Query { q, _ := p.intersection(); return q }), false
	}
	return left, closed
}

// intersection reads SELECTs with INTERSECT, which binds tighter.
func (p *parser) intersection() (left *Query, closed bool) {
	at := p.here().at
	left, closed = p.operandQuery()
	for p.comes("intersect") {
		left, closed = p.combined(left, at, func() *Query { q, _ := p.operandQuery(); return q }), false
	}
	return left, closed
}

func (p *parser) combined(left *Query, at Position, right func() *Query) *Query {
	t := p.take()
	c := &SetOperation{At: t.at, Operator: t.text, Left: left, All: p.accept("all")}
	if !c.All {
		p.accept("distinct")
	}
	c.Right = right()
	p.windows = nil
	return &Query{At: at, SetOperation: c}
}

func (p *parser) operandQuery() (q *Query, closed bool) {
	if p.comes("(") {
		if !p.queryComes(p.i) {
			p.i++
			p.unexpected("write a SELECT")
		}
		q := p.subquery()
		p.windows = nil
		return q, true
	}
	if p.comes("values", "(") {
		return p.values(), false
	}
	if !p.comes("select") {
		p.unexpected("write a SELECT")
	}
	return p.selection(), false
}

// values reads VALUES (1, 'a'), (2, 'b'). The columns have PostgreSQL's names.
func (p *parser) values() *Query {
	at := p.take().at
	s := &Select{At: at}
	for {
		open := p.here().at
		p.expect("(", "write VALUES (1, 'a'), (2, 'b')")
		row := p.expressions()
		p.expect(")", "separate the values by commas")
		if len(s.Values) > 0 && len(row) != len(s.Values[0]) {
			Refuse(CodeType, open, "write as many values in each row", "a row of VALUES has %d values, and the first has %d",
				len(row), len(s.Values[0]))
		}
		if s.Values = append(s.Values, row); len(s.Values) > maxValues {
			Refuse(CodeTooLarge, open, "ask the federation's operator for a public table in the catalog",
				"VALUES has more than %d rows", maxValues)
		}
		if !p.accept(",") {
			break
		}
	}
	for i, t := range s.Values[0] {
		s.Items = append(s.Items, Item{Term: t, Alias: "column" + strconv.Itoa(i+1)})
	}
	p.first = nil
	return &Query{At: at, Select: s}
}

// limits reads LIMIT, OFFSET and FETCH FIRST.
func (p *parser) limits(q *Query) {
	for {
		t := p.here()
		switch {
		case p.accept("limit"):
			if q.Limit != nil {
				Refuse(CodeSyntax, t.at, "write it once", "there are two limits")
			}
			if p.accept("all") {
				break
			}
			q.Limit = p.rowCount("LIMIT")
			if p.comes(",") {
				Refuse(CodeSyntax, p.here().at, "write LIMIT n OFFSET m", "which of the two is the offset differs among databases")
			}
		case p.accept("offset"):
			if q.Offset != nil {
				Refuse(CodeSyntax, t.at, "write it once", "there are two offsets")
			}
			q.Offset = p.rowCount("OFFSET")
			if !p.accept("rows") {
				p.accept("row")
			}
		case p.accept("fetch"):
			if q.Limit != nil {
				Refuse(CodeSyntax, t.at, "write it once", "there are two limits")
			}
			const hint = "write FETCH FIRST n ROWS ONLY"
			if !p.accept("first") && !p.accept("next") {
				p.unexpected(hint)
			}
			if p.comesOneOf("row", "rows") {
				q.Limit = literalOf(token{kind: tokenNumber, text: "1", at: p.here().at})
			} else {
				q.Limit = p.rowCount("FETCH FIRST")
			}
			if !p.accept("rows") && !p.accept("row") {
				p.unexpected(hint)
			}
			p.expect("only", hint)
		default:
			return
		}
	}
}

func (p *parser) rowCount(where string) *Expr {
	switch t := p.here(); {
	case t.kind == tokenNumber:
		p.i++
		return literalOf(t)
	case t.kind == tokenParameter:
		return p.parameter()
	}
	p.unexpected("write a number of rows after " + where)
	return nil
}
