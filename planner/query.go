package planner

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// maxValues bounds the rows of VALUES.
const maxValues = 1000

// maxGroupingSets bounds what ROLLUP, CUBE and GROUPING SETS become.
const maxGroupingSets = 64

// query reads a query: WITH, SELECTs and how they combine, and what stands around
// them.
func (p *parser) query() *querySyntax {
	defer func(n int, w windowScope, u []baseWindow) {
		p.common, p.windows, p.unnamed = p.common[:n], w, u
	}(len(p.common), p.windows, p.unnamed)
	p.unnamed = nil
	at := p.here().at
	outer := &querySyntax{at: at, with: p.with()}
	q, closed := p.combination()
	if p.accept("order") {
		p.expect("by", "write ORDER BY")
		orders := p.orders()
		p.nameWindows()
		outer.orderBy = orders
		if first := p.first; first != nil && !closed && q.selected != nil {
			for _, o := range orders {
				o.term = q.selected.chosen(o.term)
				first.args[0].over.orderBy = append(first.args[0].over.orderBy, o)
			}
		}
	}
	p.limits(outer)
	bare := outer.with == nil && outer.orderBy == nil && outer.limit == nil && outer.offset == nil
	switch {
	case bare:
		return q
	case !closed || q.with == nil && q.orderBy == nil && q.limit == nil && q.offset == nil:
		if q.limit != nil && (outer.limit != nil || outer.offset != nil) {
			refuse(CodeSyntax, q.limit.at, "write LIMIT alone", "TOP and LIMIT both say how many rows to return")
		}
		q.at, q.with, q.orderBy, q.offset = at, outer.with, outer.orderBy, outer.offset
		if outer.limit != nil {
			q.limit = outer.limit
		}
		return q
	}
	// (SELECT … LIMIT 5) ORDER BY …: what is outside comes after what is inside.
	outer.selected = &selectSyntax{
		at: at, items: []itemSyntax{{term: &termSyntax{kind: termStar, at: q.at}}}, from: []fromSyntax{{at: q.at, query: q}},
	}
	return outer
}

// subquery reads a query in parentheses.
func (p *parser) subquery() *querySyntax {
	p.expect("(", "write it in parentheses")
	p.inner++
	q := p.query()
	p.inner--
	p.expect(")", "end the query there")
	return q
}

// queryComes reports whether a whole query stands within the parenthesis at the
// token: (SELECT …), ((SELECT …) UNION …), but not ((SELECT 1) + 1).
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
	return slices.ContainsFunc([]string{")", "union", "intersect", "except", "order", "limit", "offset", "fetch"}, after.is)
}

// with reads WITH name [(columns)] AS (query), …
func (p *parser) with() []withSyntax {
	if !p.accept("with") {
		return nil
	}
	if t := p.here(); t.is("recursive") && p.token(1).isName() {
		refuse(CodeNotSupported, t.at, "join the table with itself as often as needed", "a query that reads itself is not answered")
	}
	var all []withSyntax
	for {
		t := p.name("write WITH name AS (SELECT …)")
		w := withSyntax{at: t.at, name: t.text, columns: p.columnList(), reads: &p.statement.reads}
		if slices.ContainsFunc(all, func(o withSyntax) bool { return o.name == w.name }) {
			refuse(CodeAmbiguous, t.at, "give one of them another name", "%s stands for two queries", t.text)
		}
		p.expect("as", "write WITH "+t.text+" AS (SELECT …)")
		if !p.accept("not", "materialized") { // how it is computed is no part of what it means
			p.accept("materialized")
		}
		if !p.queryComes(p.i) {
			if p.accept("(") {
				p.unexpected("write a SELECT")
			}
			p.unexpected("write WITH " + t.text + " AS (SELECT …)")
		}
		w.query = p.subquery()
		p.common = append(p.common, w.name)
		all = append(all, w)
		if !p.accept(",") {
			return all
		}
	}
}

// columnList reads (a, b), if it comes.
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

// combination reads SELECTs with UNION and EXCEPT between them, which bind alike
// and from the left; closed is set where it is one query in parentheses.
func (p *parser) combination() (left *querySyntax, closed bool) {
	at := p.here().at
	left, closed = p.intersection()
	for p.comesOneOf("union", "except") {
		left, closed = p.combined(left, at, func() *querySyntax { q, _ := p.intersection(); return q }), false
	}
	return left, closed
}

// intersection reads SELECTs with INTERSECT between them, which binds tighter.
func (p *parser) intersection() (left *querySyntax, closed bool) {
	at := p.here().at
	left, closed = p.operandQuery()
	for p.comes("intersect") {
		left, closed = p.combined(left, at, func() *querySyntax { q, _ := p.operandQuery(); return q }), false
	}
	return left, closed
}

func (p *parser) combined(left *querySyntax, at Position, right func() *querySyntax) *querySyntax {
	t := p.take()
	c := &combinedSyntax{at: t.at, operator: t.text, left: left, all: p.accept("all")}
	if !c.all {
		p.accept("distinct")
	}
	c.right = right()
	p.windows = nil
	return &querySyntax{at: at, combined: c}
}

func (p *parser) operandQuery() (q *querySyntax, closed bool) {
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

// values reads VALUES (1, 'a'), (2, 'b'), whose columns are called as PostgreSQL calls them.
func (p *parser) values() *querySyntax {
	at := p.take().at
	s := &selectSyntax{at: at}
	for {
		open := p.here().at
		p.expect("(", "write VALUES (1, 'a'), (2, 'b')")
		row := p.expressions()
		p.expect(")", "separate the values by commas")
		if len(s.values) > 0 && len(row) != len(s.values[0]) {
			refuse(CodeType, open, "write as many values in each row", "a row of VALUES has %d values, and the first has %d", len(row), len(s.values[0]))
		}
		if s.values = append(s.values, row); len(s.values) > maxValues {
			refuse(CodeTooLarge, open, "ask the federation's operator for a public table in the catalog", "VALUES has more than %d rows", maxValues)
		}
		if !p.accept(",") {
			break
		}
	}
	for i, t := range s.values[0] {
		s.items = append(s.items, itemSyntax{term: t, alias: "column" + strconv.Itoa(i+1)})
	}
	p.first = nil
	return &querySyntax{at: at, selected: s}
}

// limits reads LIMIT, OFFSET and FETCH FIRST.
func (p *parser) limits(q *querySyntax) {
	for {
		t := p.here()
		switch {
		case p.accept("limit"):
			if q.limit != nil {
				refuse(CodeSyntax, t.at, "write it once", "there are two limits")
			}
			if p.accept("all") {
				break
			}
			q.limit = p.rowCount("LIMIT")
			if p.comes(",") {
				refuse(CodeSyntax, p.here().at, "write LIMIT n OFFSET m", "which of the two is the offset differs among databases")
			}
		case p.accept("offset"):
			if q.offset != nil {
				refuse(CodeSyntax, t.at, "write it once", "there are two offsets")
			}
			q.offset = p.rowCount("OFFSET")
			if !p.accept("rows") {
				p.accept("row")
			}
		case p.accept("fetch"):
			if q.limit != nil {
				refuse(CodeSyntax, t.at, "write it once", "there are two limits")
			}
			const hint = "write FETCH FIRST n ROWS ONLY"
			if !p.accept("first") && !p.accept("next") {
				p.unexpected(hint)
			}
			if p.comesOneOf("row", "rows") {
				q.limit = literalOf(token{kind: tokenNumber, text: "1", at: p.here().at})
			} else {
				q.limit = p.rowCount("FETCH FIRST")
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

func (p *parser) rowCount(where string) *termSyntax {
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

// selection reads one SELECT up to what may stand around it.
func (p *parser) selection() *querySyntax {
	at := p.take().at
	defer func(r bool) { p.reordered = r }(p.reordered)
	p.reordered, p.windows = false, windowScope{}
	var first *termSyntax // DISTINCT ON
	s := &selectSyntax{at: at}
	q := &querySyntax{at: at, selected: s}
	p.hints()
	if t := p.here(); p.accept("distinct") {
		if p.accept("on") {
			p.expect("(", "write DISTINCT ON (a, b)")
			first = p.firstOf(t.at, p.expressions())
			p.expect(")", "write DISTINCT ON (a, b)")
		} else {
			s.distinct = true
		}
	} else {
		p.accept("all")
	}
	q.limit = p.top()
	p.items(s)
	if p.accept("from") {
		p.from(s)
	}
	if p.accept("where") {
		s.where = p.expression()
	}
	if p.accept("group") {
		p.expect("by", "write GROUP BY")
		s.groupBy = p.grouping()
	}
	if p.accept("having") {
		s.having = p.expression()
	}
	for more := true; more; {
		switch {
		case p.accept("window"):
			p.namedWindows()
		case s.qualify == nil && p.accept("qualify"):
			s.qualify = p.expression()
		default:
			more = false
		}
	}
	p.nameWindows()
	for _, item := range s.items {
		if p.reordered && item.term.kind == termStar && item.term.qualifier == "" {
			refuse(CodeNotSupported, item.term.at, "name the columns", "the joins are done in another order, and so the columns of * would be, which NATURAL makes one")
		}
	}
	if first != nil {
		if s.qualify != nil {
			refuse(CodeNotSupported, s.qualify.at, "use one of them", "DISTINCT ON and QUALIFY both choose rows")
		}
		s.qualify = first
		for i, t := range first.args[0].over.partition {
			first.args[0].over.partition[i] = s.chosen(t)
		}
	}
	p.first = first
	return q
}

// firstOf is DISTINCT ON (a, b): of the rows that are alike in these, the first in
// the order of the query, which is row number 1. The order is known later.
func (p *parser) firstOf(at Position, terms []*termSyntax) *termSyntax {
	number := &termSyntax{kind: termCall, name: "row_number", at: at, over: &windowSyntax{at: at, partition: terms}}
	return operator("=", number, &termSyntax{kind: termLiteral, at: at, literal: value.Int(1)})
}

// chosen resolves a term of DISTINCT ON, or of the order that goes with it, for a
// window, in which a number is no column of SELECT, and a name none of the query's own.
func (s *selectSyntax) chosen(t *termSyntax) *termSyntax {
	i := slices.IndexFunc(s.items, func(i itemSyntax) bool { return t.kind == termColumn && t.qualifier == "" && i.alias == t.name })
	if t.kind == termLiteral {
		i = int(t.literal.Int64()) - 1
		if t.literal.Type() != value.TypeInt || i < 0 || i >= len(s.items) || s.items[i].term.kind == termStar {
			refuse(CodeSyntax, t.at, "write a column, or its number from 1", "%s names no column of SELECT", t.literal)
		}
	}
	if i < 0 {
		return t
	}
	return s.items[i].term
}

// top reads TOP n, as SQL Server writes LIMIT.
func (p *parser) top() *termSyntax {
	if !p.comes("top") || p.token(1).kind != tokenNumber && p.token(1).kind != tokenParameter && !p.token(1).is("(") {
		return nil
	}
	p.i++
	brackets := p.accept("(")
	n := p.rowCount("TOP")
	if brackets {
		p.expect(")", "write TOP (n)")
	}
	if t := p.here(); t.is("percent") || t.is("with") {
		refuse(CodeNotSupported, t.at, "write TOP n", "TOP takes a number of rows only")
	}
	return n
}

// items reads what SELECT asks for, up to FROM.
func (p *parser) items(s *selectSyntax) {
	for {
		s.items = append(s.items, p.item())
		if !p.accept(",") {
			return
		}
	}
}

func (p *parser) item() itemSyntax {
	if star := p.star(); star != nil {
		return itemSyntax{term: star}
	}
	x := p.expression()
	if p.accept("as") {
		switch t := p.here(); t.kind { // after AS, any word is a name
		case tokenWord, tokenName:
			p.i++
			return itemSyntax{x, t.text}
		case tokenString:
			refuse(CodeSyntax, t.at, `write "`+t.text+`"`, "a name stands in double quotes, not in single ones")
		}
		p.unexpected("write a name after AS")
	}
	if t := p.here(); t.isName() {
		if _, elsewhere := unsupported[t.text]; elsewhere && t.kind == tokenWord {
			p.unexpected("")
		}
		p.i++
		return itemSyntax{x, t.text}
	}
	return itemSyntax{term: x}
}

// star reads * or t.*, if it comes.
func (p *parser) star() *termSyntax {
	n := 0 // names before the star
	for p.token(2*n).isName() && p.token(2*n+1).is(".") {
		n++
	}
	t := p.token(2 * n)
	if !t.is("*") || n > 2 {
		return nil
	}
	x := &termSyntax{kind: termStar, at: t.at}
	if n > 0 {
		x.qualifier, x.at = p.token(2*n-2).text, span(p.here().at, t.at)
	}
	p.i += 2*n + 1
	return x
}

// grouping reads GROUP BY's list, and returns the sets of keys to group by: more than
// one with ROLLUP, CUBE and GROUPING SETS, which multiply as the standard says.
func (p *parser) grouping() [][]*termSyntax {
	keys := 0
	at := p.here().at
	if p.comesOneOf("all", "distinct") {
		p.unexpected("name the columns")
	}
	sets := [][]*termSyntax{{}}
	for {
		element := p.groupingElement(&keys)
		if len(sets)*len(element) > maxGroupingSets {
			refuse(CodeTooLarge, at, "ask for fewer at a time", "this groups in more than %d ways", maxGroupingSets)
		}
		var product [][]*termSyntax
		for _, s := range sets {
			for _, e := range element {
				product = append(product, append(slices.Clone(s), e...))
			}
		}
		sets = product
		if !p.accept(",") {
			break
		}
	}
	if t := p.here(); t.is("with") && (p.token(1).is("rollup") || p.token(1).is("cube")) {
		refuse(CodeNotSupported, t.at, "write GROUP BY "+strings.ToUpper(p.token(1).text)+" (…)", "this is not standard SQL")
	}
	return sets
}

func (p *parser) groupingElement(keys *int) [][]*termSyntax {
	switch t := p.here(); {
	case p.comes("rollup", "("):
		p.i += 2
		units := p.units(keys)
		var sets [][]*termSyntax
		for n := len(units); n >= 0; n-- {
			sets = append(sets, slices.Concat(units[:n]...))
		}
		return sets
	case p.comes("cube", "("):
		p.i += 2
		units := p.units(keys)
		if len(units) > 6 {
			refuse(CodeTooLarge, t.at, "name the sets with GROUPING SETS", "this groups in more than %d ways", maxGroupingSets)
		}
		var sets [][]*termSyntax
		for without := range 1 << len(units) { // the first unit's is the highest bit
			set := []*termSyntax{}
			for i, u := range units {
				if without>>(len(units)-1-i)&1 == 0 {
					set = append(set, u...)
				}
			}
			sets = append(sets, set)
		}
		return sets
	case p.accept("grouping", "sets"):
		p.expect("(", "write GROUPING SETS ((a, b), (a), ())")
		var sets [][]*termSyntax
		for {
			sets = append(sets, p.groupingElement(keys)...)
			if len(sets) > maxGroupingSets {
				refuse(CodeTooLarge, t.at, "ask for fewer at a time", "this groups in more than %d ways", maxGroupingSets)
			}
			if !p.accept(",") {
				p.expect(")", "separate the sets by commas")
				return sets
			}
		}
	}
	return [][]*termSyntax{p.unit(keys)}
}

// units reads the rest of ROLLUP (a, (b, c)).
func (p *parser) units(keys *int) [][]*termSyntax {
	var units [][]*termSyntax
	for {
		units = append(units, p.unit(keys))
		if !p.accept(",") {
			p.expect(")", "separate the columns by commas")
			return units
		}
	}
}

// unit reads one key, or several in parentheses, which may be empty.
func (p *parser) unit(keys *int) []*termSyntax {
	if p.accept("(", ")") {
		return []*termSyntax{}
	}
	add := func() *termSyntax {
		if *keys++; *keys > maxColumns {
			refuse(CodeTooLarge, p.here().at, "group by fewer", "there are more than %d keys to group by", maxColumns)
		}
		return p.expression()
	}
	if p.comes("(") && p.severalWithin(p.i) {
		p.i++
		set := []*termSyntax{add()}
		for p.accept(",") {
			set = append(set, add())
		}
		p.expect(")", "separate the columns by commas")
		return set
	}
	return []*termSyntax{add()}
}

// severalWithin reports whether the parenthesis at token i holds a list of more
// than one, and no query.
func (p *parser) severalWithin(i int) bool {
	if p.queryComes(i) {
		return false
	}
	for k := i + 1; k < p.partner[i]; k++ {
		if end, opens := p.partner[k]; opens {
			k = end
		} else if p.tokens[k].is(",") {
			return true
		}
	}
	return false
}
