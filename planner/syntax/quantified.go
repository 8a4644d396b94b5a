package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// extreme reads x > ALL (SELECT y …) and the like. The greatest or the least y decides the result. Without rows, ALL is
// true and ANY is false. A NULL makes the result unknown unless another row decides it, as the SQL standard says:
//
//	x > ALL: CASE WHEN there is no row THEN true WHEN NOT x > MAX(y) THEN false
//	         WHEN a y is NULL THEN NULL ELSE x > MAX(y) END
//	x > ANY: CASE WHEN there is no row THEN false WHEN x > MIN(y) THEN true
//	         WHEN a y is NULL THEN NULL ELSE x > MIN(y) END
func (p *parser) extreme(left *Expr, t, word token) *Expr {
	all := word.is("all")
	q := p.subquery()
	s := q.Select
	// returns one row
	if s != nil && q.Bare() && len(s.Items) == 1 && s.GroupBy == nil && s.Having == nil && s.Items[0].Term.Aggregate() != nil {
		return NewOperator(t.text, left, &Expr{Kind: Subquery, At: word.at, Query: q})
	}
	if s == nil || !q.Bare() || len(s.Items) != 1 || s.Items[0].Term.Kind == Star || s.Distinct || s.GroupBy != nil || s.Having != nil || s.Qualify != nil || s.Values != nil {
		Refuse(CodeNotSupported, word.at, "select one column of plain rows, or compare with (SELECT MIN(…) …) or (SELECT MAX(…) …)",
			"%s %s of this query is not answered", t.text, strings.ToUpper(word.text))
	}
	ask := func(function string, args ...*Expr) *Expr {
		selected := *s
		selected.Items = []Item{{Term: &Expr{Kind: Call, At: word.at, Name: function, Args: args, Star: args == nil}}}
		return &Expr{Kind: Subquery, At: word.at, Query: &Query{At: q.At, With: q.With, Select: &selected}}
	}
	y := s.Items[0].Term
	function := "max"
	if all == strings.HasPrefix(t.text, "<") {
		function = "min"
	}
	literal := func(v value.Value) *Expr { return NewLiteral(word.at, v) }
	decides := func() *Expr { return NewOperator(t.text, left, ask(function, y)) }
	decided := decides()
	if all {
		decided = negation(decided, true)
	}
	return NewOperator("case",
		NewOperator("=", ask("count"), literal(value.Int(0))), literal(value.Bool(all)),
		decided, literal(value.Bool(!all)),
		NewOperator("<", ask("count", y), ask("count")), literal(value.Null(value.TypeBool)),
		decides())
}

// quantified reads x = ANY (…) and x <> ALL (…), which mean IN and NOT IN.
func (p *parser) quantified(left *Expr, t token) *Expr {
	word := p.take()
	negated := t.text != "="
	if (strings.HasPrefix(t.text, "<") || strings.HasPrefix(t.text, ">")) && t.text != "<>" && p.queryComes(p.i) {
		return p.extreme(left, t, word)
	}
	if negated == !word.is("all") || negated && t.text != "<>" && t.text != "!=" {
		Refuse(CodeNotSupported, word.at, "compare with (SELECT MIN(…) …) or (SELECT MAX(…) …)", "%s %s (…) is not answered",
			t.text, strings.ToUpper(word.text))
	}
	if p.queryComes(p.i) {
		return p.in(left, negated)
	}
	p.i++
	if x, ok := p.array(left, negated); ok {
		p.expect(")", "write ANY(ARRAY[1, 2])")
		return x
	}
	Refuse(CodeNotSupported, p.here().at, "write ANY(ARRAY[1, 2]), or IN (1, 2)",
		"only a list or a SELECT is read after %s", strings.ToUpper(word.text))
	return nil
}
