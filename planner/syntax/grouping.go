package syntax

import (
	"slices"
	"strings"
)

// maxKeys bounds the number of GROUP BY keys.
const maxKeys = 100

// maxGroupingSets bounds the number of sets that ROLLUP, CUBE and GROUPING SETS make.
const maxGroupingSets = 64

// grouping reads the list of GROUP BY and returns the sets of keys. There are several sets with ROLLUP, CUBE and
// GROUPING SETS, which multiply as the standard says.
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

// allKeys are the keys of GROUP BY ALL: the items of SELECT without an aggregate.
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

// rollup returns the sets of ROLLUP, the longest first.
func rollup(units [][]*Expr) (sets [][]*Expr) {
	for n := len(units); n >= 0; n-- {
		sets = append(sets, slices.Concat(units[:n]...))
	}
	return sets
}

// cube returns the sets of CUBE.
func cube(units [][]*Expr, t token) (sets [][]*Expr) {
	if len(units) > 6 {
		Refuse(CodeTooLarge, t.at, "name the sets with GROUPING SETS", "this groups in more than %d ways", maxGroupingSets)
	}
	for without := range 1 << len(units) { // the first unit has the highest bit
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

// severalWithin reports whether the parenthesis at token i contains a list of several items, and not a query.
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
