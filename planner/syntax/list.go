package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Lists of constants that become rows, in FROM or as the only item of SELECT: UNNEST(ARRAY[1, 2]), UNNEST([1, 2]),
// EXPLODE(ARRAY(1, 2)), FLATTEN(ARRAY_CONSTRUCT(1, 2)), GENERATE_SERIES(1, 9), EXPLODE(SEQUENCE(1, 9)) and
// UNNEST(GENERATE_ARRAY(1, 9)).

// listAt reports whether a list that becomes rows starts ahead tokens from here.
func (p *parser) listAt(ahead int) bool {
	name, of := p.token(ahead), p.token(ahead+2)
	if !p.token(ahead + 1).is("(") {
		return false
	}
	switch {
	case name.is("generate_series"):
		return true
	case name.is("unnest"), name.is("explode"):
		return of.is("array") || of.is("[") || seriesFunctions[of.text] && p.token(ahead+3).is("(")
	case name.is("flatten"):
		return of.is("array_construct") || of.is("input") && p.token(ahead+3).is("=>") && p.token(ahead+4).is("array_construct")
	}
	return false
}

// seriesFunctions are the functions that make lists.
var seriesFunctions = words("generate_array generate_date_array sequence")

// listComes reads a list that becomes rows, or returns nil if none comes next.
func (p *parser) listComes() (list []*Expr) {
	if !p.listAt(0) {
		return nil
	}
	const hint = "write UNNEST(ARRAY[1, 2]), or a list (VALUES (1), (2)) AS v (x)"
	of := p.take()
	p.i++
	p.accept("input", "=>")
	switch t := p.here(); {
	case of.is("generate_series"):
		list = seriesOf(of, p.expressions())
	case seriesFunctions[t.text]:
		p.i += 2
		list = seriesOf(t, p.expressions())
		p.expect(")", hint)
	default:
		list = p.constants()
	}
	p.expect(")", hint)
	if p.comes("with", "offset") || p.comes("with", "ordinality") {
		Refuse(CodeNotSupported, p.here().at, "write (VALUES (1, 'a'), (2, 'b')) AS v (n, x)", "the places of a list's values are not answered")
	}
	return list
}

// constants reads ARRAY[1, 2], [1, 2], ARRAY(1, 2) or ARRAY_CONSTRUCT(1, 2).
func (p *parser) constants() (list []*Expr) {
	const hint = "write ARRAY[1, 2]"
	switch {
	case p.accept("array", "["), p.accept("["):
		list = p.expressions()
		p.expect("]", hint)
	case p.accept("array", "("), p.accept("array_construct", "("):
		list = p.expressions()
		p.expect(")", hint)
	default:
		p.unexpected(hint)
	}
	return list
}

// selectedList reads SELECT of a list, which gives one row for each value.
func (p *parser) selectedList(q *Query, list []*Expr) *Query {
	name := "unnest"
	if p.accept("as") || p.here().isName() {
		name = p.name("write a name after AS").label()
	}
	if p.comes(",") || p.comes("from") {
		Refuse(CodeNotSupported, p.here().at, "write it in FROM: FROM t CROSS JOIN UNNEST(ARRAY[1, 2]) AS v (x)", "a list beside other columns is not answered")
	}
	for _, x := range list {
		q.Select.Values = append(q.Select.Values, []*Expr{x})
	}
	q.Select.Items = []Item{{Term: list[0], Alias: name}}
	p.first = nil
	return q
}

// quantileLists are functions whose share may be a list. They give one column for each share.
var quantileLists = words("percentile_cont percentile_disc percentile percentile_approx approx_percentile quantile quantile_cont")

// severalShares names a list of shares until its columns are known.
const severalShares = internal + "several"

// shares reads a list of shares as an argument of such a function, if one comes next.
func (p *parser) shares() *Expr {
	if !p.comes("array", "[") && !p.comes("array", "(") && !p.comes("[") {
		return nil
	}
	at := p.here().at
	return &Expr{Kind: Call, Name: severalShares, At: at, Args: p.constants()}
}

// eachQuantile splits an item with several quantiles into one item for each.
func eachQuantile(i Item) []Item {
	t := i.Term
	whole := t.Kind == Call && t.Name == "approx_quantiles" && len(t.Args) == 2
	if t.Kind != Call || len(t.Args) != 2 || !whole && !(t.Args[1].Kind == Call && t.Args[1].Name == severalShares) {
		if t := t.Find(func(t *Expr) bool { return t.Kind == Call && t.Name == severalShares }); t != nil {
			Refuse(CodeNotSupported, t.At, "write each share by itself", "a list of shares is read of a quantile that stands alone in SELECT")
		}
		return []Item{i}
	}
	shares := t.Args[1].Args
	if whole {
		n := t.Args[1]
		if n.Kind != Literal || n.Literal.Type() != value.TypeInt || n.Literal.Int64() < 1 || n.Literal.Int64() > 100 {
			Refuse(CodeType, n.At, "write a whole number from 1 to 100, or [OFFSET(1)] behind it for one quantile", "this is no number of parts")
		}
		shares = nil
		for k := range n.Literal.Int64() + 1 {
			share := value.Float(float64(k) / float64(n.Literal.Int64()))
			shares = append(shares, NewLiteral(n.At, share))
		}
	}
	var all []Item
	for _, s := range shares {
		one := *t
		one.Name, one.Args = "quantile", []*Expr{t.Args[0], s}
		all = append(all, Item{Term: &one, Alias: strings.TrimSpace(i.Name() + " " + s.Describe())})
	}
	return slices.Clip(all)
}
