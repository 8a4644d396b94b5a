package syntax

import (
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// These aggregates depend on the order of rows. Each that takes one row's value becomes FIRST(x ORDER BY y), with a
// place:
//
//	MIN_BY(x, y), MAX_BY(x, y)           the x of the least or greatest y; rows without a y do not count
//	ARG_MIN(x, y), ARG_MAX(x, y)         the same, of rows that have an x as well
//	ARRAY_AGG(x ORDER BY y)[1]           the first of them; [OFFSET(0)], [SAFE_OFFSET(0)], [ORDINAL(1)] in BigQuery
//	LAST(x ORDER BY y)                   the order turned round
//	FIRST(x), LAST(x)                    ANY_VALUE(x): no order is promised

// ordersRows are the aggregates whose arguments may be followed by ORDER BY.
var ordersRows = words("string_agg listagg group_concat array_agg first last any_value")

// orderedArguments reads what may follow the arguments of such an aggregate: IGNORE NULLS, ORDER BY, LIMIT and
// SEPARATOR.
func (p *parser) orderedArguments(of *Expr, args []*Expr) []*Expr {
	if p.accept("ignore", "nulls") {
		of.Filter = negation(NewOperator("is null", args[0]), true)
	}
	if p.accept("order", "by") {
		of.Order = p.orders()
	}
	if p.accept("limit") {
		n := p.take()
		if n.kind != tokenNumber {
			p.i--
			p.unexpected("write a number")
		}
		of.Place = -1 // negative: one of up to that many values is taken
		if v := numberValue(n); v.Type() == value.TypeInt && v.Int64() > 0 && v.Int64() <= maxPlace {
			of.Place = -int(v.Int64())
		}
	}
	if p.accept("separator") && len(args) == 1 {
		s := p.take()
		if s.kind != tokenString {
			p.i--
			p.unexpected("write SEPARATOR ', '")
		}
		args = append(args, word(s.text, s.at))
	}
	return args
}

// ordersWithinGroup reads WITHIN GROUP (ORDER BY x, y).
func (p *parser) ordersWithinGroup() []Order {
	const hint = "write WITHIN GROUP (ORDER BY x)"
	p.i += 2
	p.expect("(", hint)
	p.expect("order", hint)
	p.expect("by", hint)
	orders := p.orders()
	p.expect(")", hint)
	return orders
}

// ordered rewrites an aggregate that takes one row of an order as FIRST. With OVER it becomes a window function.
func (p *parser) ordered(t *Expr) *Expr {
	x := *t
	switch n := len(t.Args); {
	case (t.Name == "first" || t.Name == "last" || t.Name == "any_value") && n == 1 && t.Over != nil && t.Order == nil:
		if x.Name = t.Name + "_value"; t.Name == "any_value" {
			x.Name = "first_value"
		}
	case (t.Name == "first" || t.Name == "last") && n == 1 && t.Order == nil:
		x.Name = "any_value"
	case t.Name == "first" && n == 1, t.Name == "any_value" && n == 1 && t.Order != nil:
		x.Name, x.Place = "first", 1
	case t.Name == "last" && n == 1:
		x.Name, x.Place, x.Order = "first", 1, turned(t.Order)
	case extremesBy[t.Name] && n == 2 && t.Over == nil && !t.Distinct:
		there := negation(NewOperator("is null", t.Args[1]), true)
		if strings.HasPrefix(t.Name, "arg") {
			there = NewOperator("and", negation(NewOperator("is null", t.Args[0]), true), there)
		}
		if t.Filter != nil {
			there = NewOperator("and", t.Filter, there)
		}
		x.Name, x.Place, x.Args, x.Filter = "first", 1, t.Args[:1], there
		x.Order = []Order{{Term: t.Args[1], Descending: strings.Contains(t.Name, "max")}}
	default:
		return t
	}
	return &x
}

var extremesBy = words("min_by max_by arg_min arg_max argmin argmax")

// turned reverses an order.
func turned(orders []Order) []Order {
	all := make([]Order, 0, len(orders))
	for _, o := range orders {
		o.Descending = !o.Descending
		o.Nulls = map[string]string{"first": "last", "last": "first"}[o.Nulls]
		all = append(all, o)
	}
	return all
}

// counted rewrites SIZE(COLLECT_SET(x)) and the like as COUNT(DISTINCT x): the length of a list that is not shown.
// Lists contain no NULLs in Spark and Snowflake, but do in PostgreSQL.
func (p *parser) counted(t *Expr) *Expr {
	if len(t.Args) == 0 || t.Args[0].Kind != Call || t.Over != nil || t.Filter != nil || t.Distinct || !listSizes[t.Name] {
		return t
	}
	list := t.Args[0]
	x := *list
	x.Name, x.Order, x.Place, x.At = "count", nil, 0, t.At
	switch {
	case len(list.Args) != 1 || list.Place != 0 || list.Over != nil:
		return t
	case list.Name == "collect_set":
		x.Distinct = true
	case list.Name == "collect_list", list.Name == "array_agg" && t.Name == "array_size":
	// BigQuery's arrays contain no NULLs either
	case list.Name == "array_agg" && t.Name == "array_length" && list.Distinct && len(t.Args) == 1:
	case list.Name == "array_agg" && !list.Distinct:
		x.Args, x.Star = nil, true
	default:
		return t
	}
	return &x
}

var listSizes = words("size cardinality array_size array_length")

// maxPlace is the last place of a list that can be read.
const maxPlace = 1000

// listed reads the subscript of ARRAY_AGG(x ORDER BY y)[n], or BigQuery's [OFFSET(n)], after the bracket. It returns
// nil for anything else.
func (p *parser) listed(x *Expr) *Expr {
	if x.Kind != Call || x.Name != "array_agg" || len(x.Args) != 1 || x.Over != nil || x.Order == nil || x.Distinct {
		return nil
	}
	const hint = "write (ARRAY_AGG(x ORDER BY y))[1], or [OFFSET(0)]"
	first, known := map[string]int{"offset": 0, "safe_offset": 0, "ordinal": 1, "safe_ordinal": 1}[p.here().text]
	if known {
		p.i++
		p.expect("(", hint)
	} else {
		first = 1
	}
	n := p.take()
	if n.kind != tokenNumber {
		p.i--
		p.unexpected(hint)
	}
	if known {
		p.expect(")", hint)
	}
	p.expect("]", hint)
	place := 0
	if v := numberValue(n); v.Type() == value.TypeInt && v.Int64() <= maxPlace {
		place = int(v.Int64()) - first + 1
	}
	if place < 1 || x.Place < 0 && place > -x.Place {
		Refuse(CodeType, n.at, hint, "a list has no value at this place")
	}
	t := *x
	t.Name, t.Place = "first", place
	return &t
}
