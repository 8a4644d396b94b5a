package relational

import (
	"slices"
	"strconv"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Ordered aggregates of one patient's rows read the row numbers in that order:
//
//	SELECT k, FIRST(x ORDER BY y), COUNT(*) FROM t WHERE c GROUP BY k
//
// is
//
//	SELECT k, MAX(CASE WHEN n = 1 THEN x END), COUNT(*)
//	FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY y) AS n FROM t WHERE c) GROUP BY k
//
// STRING_AGG(x, ', ' ORDER BY y) becomes the values at places 1, 2, … with ', ' between them.

// maxListed is how many values of a group STRING_AGG writes. If there are more, it writes … after them.
const maxListed = 30

// ordering rewrites a SELECT with ordered aggregates over numbered rows.
type ordering struct {
	keys    []*syntax.Expr
	numbers []syntax.Item // window functions of the inner query
}

// ordered returns the SELECT without ordered aggregates; nil if it has none.
func (r *Resolver) ordered(s *syntax.Select) *syntax.Select {
	inOrder := func(t *syntax.Expr) bool {
		return t.Over == nil && t.Kind == syntax.Call && (t.Name == "first" && t.Place > 0 || t.Name == "string_agg")
	}
	has := func(t *syntax.Expr) bool { return t != nil && t.Find(inOrder) != nil }
	if !has(s.Having) && !has(s.Qualify) && !slices.ContainsFunc(s.Items, func(i syntax.Item) bool { return has(i.Term) }) {
		return nil
	}
	if len(s.GroupBy) > 1 {
		return nil // refused later
	}
	o := &ordering{}
	if len(s.GroupBy) == 1 {
		for _, t := range s.GroupBy[0] {
			o.keys = append(o.keys, r.GroupKey(s.Items, t))
		}
	}
	numbered := func(t *syntax.Expr) *syntax.Expr {
		if t == nil {
			return nil
		}
		return t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
			switch {
			case !inOrder(t):
				return nil
			case t.Name == "first":
				return o.first(t)
			}
			return o.listed(t)
		})
	}
	out := *s
	out.Items = nil
	for _, i := range s.Items {
		out.Items = append(out.Items, syntax.Item{Term: numbered(i.Term), Alias: i.Name()})
	}
	out.Having, out.Qualify, out.Where = numbered(s.Having), numbered(s.Qualify), nil
	out.From = o.rows(r, s)
	return &out
}

// rows turns FROM and WHERE of a SELECT into one table. It has the row numbers beside the columns, which keep their
// names.
func (o *ordering) rows(r *Resolver, s *syntax.Select) []syntax.From {
	in := &syntax.Select{At: s.At, Qualified: true, From: slices.Clone(s.From), Where: s.Where}
	joined := syntax.From{At: s.From[0].At, Query: &syntax.Query{At: s.At, Select: in}}
	for i, f := range in.From {
		if f.Alias == "" && f.Tables == nil {
			f.Alias = syntax.Internal("rows " + strconv.Itoa(i+1))
			in.From[i] = f
		}
		joined.Tables = append(joined.Tables, f.Names()...)
		for _, c := range f.Using {
			in.Items = append(in.Items, syntax.Item{Term: c, Alias: c.Name})
			for _, t := range in.From { // each table's columns also keep the table's name
				if own := c.Of(t.Alias); t.Tables == nil && r.Resolves(own) {
					in.Items = append(in.Items, syntax.Item{Term: own, Alias: c.Name, Table: t.Alias})
				}
			}
		}
	}
	in.Items = append(in.Items, syntax.Item{Term: &syntax.Expr{Kind: syntax.Star, At: s.At}})
	in.Items = append(in.Items, o.numbers...)
	return []syntax.From{joined}
}

// number is the column that numbers rows by a window function. Rows that counts selects come first.
func (o *ordering) number(function string, t, counts *syntax.Expr, order []syntax.Order) *syntax.Expr {
	w := &syntax.Window{At: t.At, Partition: o.keys, OrderBy: order}
	if counts != nil {
		last := syntax.NewOperator("case", counts, integer(t.At, 0), integer(t.At, 1))
		w.OrderBy = append([]syntax.Order{{Term: last}}, order...)
	}
	name := syntax.Internal("place " + strconv.Itoa(len(o.numbers)+1))
	o.numbers = append(o.numbers, syntax.Item{Term: &syntax.Expr{Kind: syntax.Call, At: t.At, Name: function, Over: w}, Alias: name})
	return &syntax.Expr{Kind: syntax.Column, At: t.At, Name: name}
}

func integer(at syntax.Position, n int64) *syntax.Expr {
	return syntax.NewLiteral(at, value.Int(n))
}

// at is the condition for x at a place; counts, if not nil, restricts the rows.
func at(place *syntax.Expr, n int64, counts, x *syntax.Expr) *syntax.Expr {
	is := syntax.NewOperator("=", place, integer(place.At, n))
	if counts != nil {
		is = syntax.NewOperator("and", is, counts)
	}
	return &syntax.Expr{Kind: syntax.Call, At: place.At, Name: "max", Args: []*syntax.Expr{syntax.NewOperator("case", is, x)}}
}

func (o *ordering) first(t *syntax.Expr) *syntax.Expr {
	if len(t.Args) != 1 || t.Distinct {
		syntax.Refuse(syntax.CodeType, t.At, "write FIRST(x ORDER BY y)", "this aggregate takes one argument and an order")
	}
	return at(o.number("row_number", t, t.Filter, t.Order), int64(t.Place), t.Filter, t.Args[0])
}

func (o *ordering) listed(t *syntax.Expr) *syntax.Expr {
	if len(t.Args) != 2 || !t.Args[1].Text || t.Place != 0 {
		syntax.Refuse(syntax.CodeNotSupported, t.At, "write STRING_AGG(x, ', ' ORDER BY y)", "STRING_AGG takes a value and a constant text to put between")
	}
	x, between := t.Args[0], t.Args[1]
	counts := syntax.NewOperator("not", syntax.NewOperator("is null", x))
	if t.Filter != nil {
		counts = syntax.NewOperator("and", t.Filter, counts)
	}
	function, order := "row_number", t.Order
	if order == nil {
		order = []syntax.Order{{Term: x}}
	}
	if t.Distinct {
		if function = "dense_rank"; len(order) != 1 || !order[0].Term.Equal(x) {
			syntax.Refuse(syntax.CodeNotSupported, t.At, "order by what is listed", "a list of different values comes in the order of these")
		}
	}
	place := o.number(function, t, counts, order)
	nothing := &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Text(""), Text: true}
	text := func(n int64) *syntax.Expr {
		return at(place, n, counts, &syntax.Expr{Kind: syntax.Cast, At: x.At, Type: value.TypeText, Args: []*syntax.Expr{x}})
	}
	list := text(1)
	for n := int64(2); n <= maxListed+1; n++ {
		next := text(n)
		if n > maxListed {
			more := &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Text("…"), Text: true}
			next = syntax.NewOperator("case", syntax.NewOperator("is null", next), &syntax.Expr{Kind: syntax.Literal, At: t.At}, more)
		}
		after := &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "coalesce", Args: []*syntax.Expr{syntax.NewOperator("||", between, next), nothing}}
		list = syntax.NewOperator("||", list, after)
	}
	return list
}
