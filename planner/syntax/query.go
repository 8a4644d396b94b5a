package syntax

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// maxKeys bounds the keys of GROUP BY.
const maxKeys = 100

// maxGroupingSets bounds what ROLLUP, CUBE and GROUPING SETS become.
const maxGroupingSets = 64

// query reads a query: WITH, SELECTs and how they combine, and what stands around
// them.
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
	// (SELECT … LIMIT 5) ORDER BY …: what is outside comes after what is inside.
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
		if !p.accept("not", "materialized") { // how it is computed is no part of what it means
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
func (p *parser) combination() (left *Query, closed bool) {
	at := p.here().at
	left, closed = p.intersection()
	for p.comesOneOf("union", "except") {
		left, closed = p.combined(left, at, func() *Query { q, _ := p.intersection(); return q }), false
	}
	return left, closed
}

// intersection reads SELECTs with INTERSECT between them, which binds tighter.
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

// values reads VALUES (1, 'a'), (2, 'b'), whose columns are called as PostgreSQL calls them.
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

// selection reads one SELECT up to what may stand around it.
func (p *parser) selection() *Query {
	at := p.take().at
	defer func(r bool, semi []*Expr) { p.reordered, p.semi = r, semi }(p.reordered, p.semi)
	p.reordered, p.semi, p.windows = false, nil, windowScope{}
	var first *Expr // DISTINCT ON
	s := &Select{At: at}
	q := &Query{At: at, Select: s}
	p.hints()
	if t := p.here(); p.accept("distinct") {
		if p.accept("on") {
			p.expect("(", "write DISTINCT ON (a, b)")
			first = p.firstOf(t.at, p.expressions())
			p.expect(")", "write DISTINCT ON (a, b)")
		} else {
			s.Distinct = true
		}
	} else {
		p.accept("all")
	}
	q.Limit = p.top()
	if list := p.listComes(); list != nil {
		return p.selectedList(q, list)
	}
	p.items(s)
	if p.accept("from") {
		p.from(s)
	}
	if p.accept("where") {
		s.Where = p.expression()
	}
	s.Where = p.semiJoined(s.Where)
	if p.accept("group") {
		p.expect("by", "write GROUP BY")
		if p.accept("all") {
			s.GroupBy = s.allKeys()
		} else {
			s.GroupBy = p.grouping()
		}
	}
	if p.accept("having") {
		s.Having = p.expression()
	}
	for more := true; more; {
		switch {
		case p.accept("window"):
			p.namedWindows()
		case s.Qualify == nil && p.accept("qualify"):
			s.Qualify = p.expression()
		default:
			more = false
		}
	}
	p.nameWindows()
	s.readJoint()
	for _, item := range s.Items {
		if p.reordered && item.Term.Kind == Star && item.Term.Qualifier == "" {
			Refuse(CodeNotSupported, item.Term.At, "name the columns",
				"the joins are done in another order, and so the columns of * would be, which NATURAL makes one")
		}
	}
	if first != nil {
		if s.Qualify != nil {
			Refuse(CodeNotSupported, s.Qualify.At, "use one of them", "DISTINCT ON and QUALIFY both choose rows")
		}
		s.Qualify = first
		for i, t := range first.Args[0].Over.Partition {
			first.Args[0].Over.Partition[i] = s.chosen(t)
		}
	}
	p.first = first
	return q
}

// firstOf is DISTINCT ON (a, b): of the rows that are alike in these, the first in
// the order of the query, which is row number 1. The order is known later.
func (p *parser) firstOf(at Position, terms []*Expr) *Expr {
	number := &Expr{Kind: Call, Name: "row_number", At: at, Over: &Window{At: at, Partition: terms}}
	return NewOperator("=", number, NewLiteral(at, value.Int(1)))
}

// chosen resolves a term of DISTINCT ON, or of the order that goes with it, for a
// window, in which a number is no column of SELECT, and a name none of the query's own.
func (s *Select) chosen(t *Expr) *Expr {
	x := t
	if named := Aliased(s.Items, t); named != nil {
		x = named
	} else if t.Kind == Literal {
		x = Ordinal(s.Items, t, "")
	}
	if x.Kind == Star {
		Refuse(CodeSyntax, t.At, "write a column, or its number from 1", "%s names no column of SELECT", t.Literal)
	}
	return x
}

// top reads TOP n, as SQL Server writes LIMIT.
func (p *parser) top() *Expr {
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
		Refuse(CodeNotSupported, t.at, "write TOP n", "TOP takes a number of rows only")
	}
	return n
}

// items reads what SELECT asks for, up to FROM.
func (p *parser) items(s *Select) {
	for {
		s.Items = append(s.Items, eachQuantile(p.item())...)
		if !p.accept(",") {
			return
		}
	}
}

func (p *parser) item() Item {
	if star := p.star(); star != nil {
		return Item{Term: star}
	}
	first, end := p.here(), p.partner[p.i+1]
	x := p.expression()
	if p.accept("as") {
		switch t := p.here(); t.kind { // after AS, any word is a name
		case tokenWord, tokenName:
			p.i++
			return Item{x, t.label()}
		case tokenString:
			Refuse(CodeSyntax, t.at, `write "`+t.text+`"`, "a name stands in double quotes, not in single ones")
		}
		p.unexpected("write a name after AS")
	}
	if t := p.here(); t.isName() {
		if _, elsewhere := unsupported[t.text]; elsewhere && t.kind == tokenWord {
			p.unexpected("")
		}
		p.i++
		return Item{x, t.label()}
	}
	if t := p.token(-1); x.Kind == Column && t.written != x.Name && t.kind == tokenName { // "YEAR" is a column year, shown as written
		return Item{x, t.written}
	}
	if first.kind == tokenWord && end == p.i-1 && respelled(first.text) &&
		(x.Kind != Call || x.Name != first.text) { // a call, which is shown as it is written
		return Item{x, first.text}
	}
	return Item{Term: x}
}

// star reads * or t.*, if it comes.
func (p *parser) star() *Expr {
	n := 0 // names before the star
	for p.token(2*n).isName() && p.token(2*n+1).is(".") {
		n++
	}
	t := p.token(2 * n)
	if !t.is("*") || n > 2 {
		return nil
	}
	x := &Expr{Kind: Star, At: t.at}
	if n > 0 {
		x.Qualifier, x.At = p.token(2*n-2).text, span(p.here().at, t.at)
	}
	p.i += 2*n + 1
	if p.comesOneOf("except", "exclude") && p.token(1).is("(") && !p.queryComes(p.i+1) {
		p.i++
		x.Except = p.columnList()
	}
	return x
}

// grouping reads GROUP BY's list, and returns the sets of keys to group by: more than
// one with ROLLUP, CUBE and GROUPING SETS, which multiply as the standard says.
func (p *parser) grouping() [][]*Expr {
	keys := 0
	at := p.here().at
	if p.comes("distinct") {
		p.unexpected("name the columns")
	}
	sets := [][]*Expr{{}}
	for {
		element := p.groupingElement(&keys)
		if len(sets)*len(element) > maxGroupingSets {
			Refuse(CodeTooLarge, at, "ask for fewer at a time", "this groups in more than %d ways", maxGroupingSets)
		}
		var product [][]*Expr
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
		if len(sets) != 1 {
			Refuse(CodeNotSupported, t.at, "write GROUP BY "+strings.ToUpper(p.token(1).text)+" (…)", "this stands beside other sets of keys")
		}
		p.i += 2
		var units [][]*Expr
		for _, key := range sets[0] {
			units = append(units, []*Expr{key})
		}
		if p.token(-1).is("cube") {
			return cube(units, t)
		}
		return rollup(units)
	}
	return sets
}

// allKeys are the keys of GROUP BY ALL: the items of SELECT that hold no aggregate.
func (s *Select) allKeys() [][]*Expr {
	var keys []*Expr
	for _, i := range s.Items {
		if i.Term.Kind == Star {
			Refuse(CodeNotSupported, i.Term.At, "name the columns", "* beside GROUP BY ALL is not answered")
		}
		if i.Term.Aggregate() == nil && i.Term.Window() == nil && i.Term.Kind != Literal {
			keys = append(keys, i.Term)
		}
	}
	if keys == nil {
		return nil
	}
	return [][]*Expr{keys}
}

// rollup are the sets of ROLLUP, the longest first.
func rollup(units [][]*Expr) (sets [][]*Expr) {
	for n := len(units); n >= 0; n-- {
		sets = append(sets, slices.Concat(units[:n]...))
	}
	return sets
}

// cube are the sets of CUBE.
func cube(units [][]*Expr, t token) (sets [][]*Expr) {
	if len(units) > 6 {
		Refuse(CodeTooLarge, t.at, "name the sets with GROUPING SETS", "this groups in more than %d ways", maxGroupingSets)
	}
	for without := range 1 << len(units) { // the first unit's is the highest bit
		set := []*Expr{}
		for i, u := range units {
			if without>>(len(units)-1-i)&1 == 0 {
				set = append(set, u...)
			}
		}
		sets = append(sets, set)
	}
	return sets
}

func (p *parser) groupingElement(keys *int) [][]*Expr {
	switch t := p.here(); {
	case p.comes("rollup", "("):
		p.i += 2
		return rollup(p.units(keys))
	case p.comes("cube", "("):
		p.i += 2
		return cube(p.units(keys), t)
	case p.accept("grouping", "sets"):
		p.expect("(", "write GROUPING SETS ((a, b), (a), ())")
		var sets [][]*Expr
		for {
			sets = append(sets, p.groupingElement(keys)...)
			if len(sets) > maxGroupingSets {
				Refuse(CodeTooLarge, t.at, "ask for fewer at a time", "this groups in more than %d ways", maxGroupingSets)
			}
			if !p.accept(",") {
				p.expect(")", "separate the sets by commas")
				return sets
			}
		}
	}
	return [][]*Expr{p.unit(keys)}
}

// units reads the rest of ROLLUP (a, (b, c)).
func (p *parser) units(keys *int) [][]*Expr {
	var units [][]*Expr
	for {
		units = append(units, p.unit(keys))
		if !p.accept(",") {
			p.expect(")", "separate the columns by commas")
			return units
		}
	}
}

// unit reads one key, or several in parentheses, which may be empty.
func (p *parser) unit(keys *int) []*Expr {
	if p.accept("(", ")") {
		return []*Expr{}
	}
	add := func() *Expr {
		if *keys++; *keys > maxKeys {
			Refuse(CodeTooLarge, p.here().at, "group by fewer", "there are more than %d keys to group by", maxKeys)
		}
		return p.expression()
	}
	if p.comes("(") && p.severalWithin(p.i) {
		p.i++
		set := []*Expr{add()}
		for p.accept(",") {
			set = append(set, add())
		}
		p.expect(")", "separate the columns by commas")
		return set
	}
	return []*Expr{add()}
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
