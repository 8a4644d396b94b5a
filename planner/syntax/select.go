package syntax

import "github.com/intramuros/intramuros/internal/value"

// selection reads one SELECT, without ORDER BY and LIMIT.
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

// firstOf is the condition of DISTINCT ON (a, b): of the rows that agree in these, the first in the query's order,
// which has row number 1. The order is added later.
func (p *parser) firstOf(at Position, terms []*Expr) *Expr {
	number := &Expr{Kind: Call, Name: "row_number", At: at, Over: &Window{At: at, Partition: terms}}
	return NewOperator("=", number, NewLiteral(at, value.Int(1)))
}

// chosen resolves a term of DISTINCT ON, or of its order, for use in a window. There, positions and aliases of SELECT
// must be replaced by their terms.
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

// top reads TOP n, which is SQL Server's LIMIT.
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

// items reads the items of SELECT, up to FROM.
func (p *parser) items(s *Select) {
	for {
		s.Items = append(s.Items, eachQuantile(p.item())...)
		if !p.accept(",") || p.comes("from") { // some databases allow a comma after the last
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
			return Item{Term: x, Alias: t.label()}
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
		return Item{Term: x, Alias: t.label()}
	}
	// "YEAR" is the column year, shown as written
	if t := p.token(-1); x.Kind == Column && t.written != x.Name && t.kind == tokenName {
		return Item{Term: x, Alias: t.written}
	}
	if first.kind == tokenWord && end == p.i-1 && respelled(first.text) &&
		(x.Kind != Call || x.Name != first.text) { // a call is shown as it is written
		return Item{Term: x, Alias: first.text}
	}
	return Item{Term: x}
}

// star reads * or t.*, if it comes next.
func (p *parser) star() *Expr {
	n := 0 // the number of names before the star
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
