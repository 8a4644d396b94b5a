package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// predicate reads a value, or a comparison.
func (p *parser) predicate() *Expr {
	x := p.concatenation()
	compared, tested := false, false
	for {
		t := p.here()
		not := t.is("not") && slices.ContainsFunc([]string{"in", "like", "ilike", "between", "similar", "regexp", "rlike"},
			p.token(1).is)
		word := t
		if not {
			word = p.token(1)
		}
		kind := comparing(word)
		if kind == "regexp" && word.kind == tokenWord && !not && !p.operandComes(1) {
			kind = "" // it is a name
		}
		switch {
		case kind == "":
			return x
		case kind == "is" && !p.comes("is", "distinct") && !p.comes("is", "not", "distinct"):
			p.i++
			tested = true
			x = p.truth(x)
			continue
		case kind == "isnull":
			if p.token(1).is("(") {
				return x
			}
			p.i++
			tested = true
			x = negation(NewOperator("is null", x), t.is("notnull"))
			continue
		case compared || tested:
			Refuse(CodeSyntax, t.at, "put parentheses around what belongs together",
				"two comparisons in a row can be read in two ways")
		}
		compared = true
		p.i++
		if not {
			p.i++
		}
		switch kind {
		case "comparison":
			x = p.compare(x, word)
		case "in":
			x = p.in(x, not)
		case "between":
			x = p.between(x, not)
		case "like":
			x = p.like(x, word.text, not)
		case "similar":
			p.expect("to", "write SIMILAR TO 'pattern'")
			x = negation(NewOperator("regexp", x, pattern(p.concatenation(), word, similar)), not)
		case "regexp":
			y := p.sum()
			if p.comes("||") {
				Refuse(CodeSyntax, p.here().at, "put parentheses around what belongs together",
					"databases differ in whether || or %s binds tighter", strings.ToUpper(word.text))
			}
			name := "regexp"
			if strings.HasSuffix(word.text, "*") {
				name = "iregexp"
			}
			x = negation(NewOperator(name, x, y), not || strings.HasPrefix(word.text, "!"))
		case "is":
			negated := p.accept("not")
			p.i++ // distinct
			p.expect("from", "write IS DISTINCT FROM")
			x = negation(NewOperator("is distinct from", x, p.concatenation()), negated)
			tested = true
			if p.comesOneOf("is", "isnull", "notnull") {
				Refuse(CodeSyntax, p.here().at, "put parentheses around what belongs together",
					"two comparisons in a row can be read in two ways")
			}
		}
	}
}

// comparing returns the kind of comparison that a token starts, or "".
func comparing(t token) string {
	switch {
	case t.kind == tokenSymbol && comparisons[t.text]:
		return "comparison"
	case t.is("~"), t.is("~*"), t.is("!~"), t.is("!~*"), t.is("regexp"), t.is("rlike"):
		return "regexp"
	case t.is("in"), t.is("between"), t.is("similar"), t.is("is"):
		return t.text
	case t.is("like"), t.is("ilike"):
		return "like"
	case t.is("isnull"), t.is("notnull"):
		return "isnull"
	}
	return ""
}

// truth reads what follows x IS.
func (p *parser) truth(x *Expr) *Expr {
	negated := p.accept("not")
	isNull := NewOperator("is null", x)
	switch t := p.here(); {
	case p.accept("null"), p.accept("unknown"): // for a condition, UNKNOWN is NULL
		return negation(isNull, negated)
	case p.accept("true"), p.accept("false"):
		// The operand is written only once. Twice would double it with each IS TRUE around it.
		never := NewLiteral(x.At, value.Bool(false))
		return negation(&Expr{Kind: Call, Name: "coalesce", At: x.At, Args: []*Expr{negation(x, t.is("false")), never}}, negated)
	}
	p.unexpected("write IS [NOT] NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM")
	return nil
}

// compare reads the right side of a comparison such as =.
func (p *parser) compare(left *Expr, t token) *Expr {
	if p.comesOneOf("any", "some", "all") && p.token(1).is("(") {
		return p.quantified(left, t)
	}
	name := t.text
	if name == "!=" {
		name = "<>"
	}
	right := p.concatenation()
	if left.IsNull() || right.IsNull() {
		hint := "write IS NULL"
		if name != "=" {
			hint = "write IS NOT NULL, or leave it out"
		}
		Refuse(CodeType, t.at, hint, "nothing is equal to NULL, or differs from it: it is true of no row")
	}
	return comparison(name, left, right)
}

// comparison builds x = y and the like. If a difference of times is compared with an interval, the difference is not
// computed: x - y > i becomes x > y + i.
func comparison(name string, x, y *Expr) *Expr {
	difference := func(t *Expr) bool {
		return len(t.Args) == 2 && (t.Kind == Operator && t.Name == "-" && t.Args[1].Kind != Interval || t.Kind == Call && t.Name == "age")
	}
	switch {
	case y.Kind == Interval && difference(x):
		return NewOperator(name, x.Args[0], NewOperator("+", x.Args[1], y))
	case x.Kind == Interval && difference(y):
		return NewOperator(name, NewOperator("+", y.Args[1], x), y.Args[0])
	}
	return NewOperator(name, x, y)
}

func (p *parser) in(left *Expr, negated bool) *Expr {
	if p.accept("(", "values") { // IN (VALUES (1), (2)) is IN (1, 2)
		var list []*Expr
		for more := true; more; more = p.accept(",") {
			p.expect("(", "write VALUES (1), (2)")
			list = append(list, p.expression())
			p.expect(")", "compare with rows of one value, or write (a, b) IN (VALUES (1, 2), (3, 4))")
		}
		p.expect(")", "separate the rows by commas")
		return among(left, list, negated)
	}
	if p.accept("unnest", "(") { // BigQuery's IN UNNEST([1, 2])
		x, ok := p.array(left, negated)
		if !ok {
			p.unexpected("write IN UNNEST([1, 2])")
		}
		p.expect(")", "write IN UNNEST([1, 2])")
		return x
	}
	if p.queryComes(p.i) {
		return negation(&Expr{Kind: InSubquery, At: left.At, Args: []*Expr{left}, Query: p.subquery()}, negated)
	}
	p.expect("(", "write IN (1, 2, 3) or IN (SELECT …)")
	x := among(left, p.expressions(), negated)
	p.expect(")", "separate the values by commas")
	return x
}

func (p *parser) between(x *Expr, negated bool) *Expr {
	symmetric := p.accept("symmetric")
	if !symmetric {
		p.accept("asymmetric")
	}
	a := p.concatenation()
	p.expect("and", "write BETWEEN a AND b")
	b := p.concatenation()
	within := func(a, b *Expr) *Expr { return NewOperator("and", comparison(">=", x, a), comparison("<=", x, b)) }
	if symmetric {
		return negation(NewOperator("or", within(a, b), within(b, a)), negated)
	}
	return negation(within(a, b), negated)
}
