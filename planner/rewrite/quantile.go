package rewrite

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// term rewrites a term of the outer SELECT.
func (r *ranked) term(t *syntax.Expr) *syntax.Expr {
	out := t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
		switch {
		case t.IsAggregate():
			return r.aggregate(t, r.within)
		case r.ranks[r.column(t)] && r.isWhole(r.column(t)) && len(r.GroupBy) > 0: // a number of the group
			return r.ofGroup(r.items[r.column(t)].Term)
		}
		return nil
	})
	r.failed = r.failed || r.readsRank(out)
	return out
}

// isWhole reports whether an item of the inner query is an aggregate over its whole partition, and nothing else.
func (r *ranked) isWhole(i int) bool { return isWhole(r.items[i].Term) }

func isWhole(t *syntax.Expr) bool {
	w := t.Over
	return t.Kind == syntax.Call && w != nil && syntax.IsAggregate(t.Name) && len(w.OrderBy) == 0 && w.Frame == nil && t.Filter == nil
}

// ofGroup turns an aggregate over a partition into an aggregate of the group, over columns that the inner query passes
// on.
func (r *ranked) ofGroup(t *syntax.Expr) *syntax.Expr {
	plain := *t
	plain.Over, plain.Args = nil, nil
	for _, a := range t.Args {
		plain.Args = append(plain.Args, a.Rewrite(func(x *syntax.Expr) *syntax.Expr {
			i := slices.IndexFunc(r.items, func(i syntax.Item) bool { return sameTerm(i.Term, x) })
			switch {
			case i >= 0:
				return &syntax.Expr{Kind: syntax.Column, At: t.At, Name: r.items[i].Alias}
			case x.Kind == syntax.Column:
				r.failed = true
			}
			return nil
		}))
	}
	r.used = r.used || !t.Star
	return &plain
}

// keys are the groups of the outer SELECT; they must be the partition of the ranks. A tile among them is returned
// separately.
func (r *ranked) keys() (out [][]*syntax.Expr, tile *tiles) {
	var own []*syntax.Expr
	if len(r.GroupBy) == 1 {
		for _, k := range r.GroupBy[0] {
			t := k
			if k.Kind == syntax.Literal {
				t = syntax.Ordinal(r.Items, k, "GROUP BY")
			} else if named := syntax.Aliased(r.Items, k); named != nil && r.column(k) < 0 {
				t = named
			}
			i := r.column(t)
			switch {
			case i >= 0 && r.ranks[i] && r.isWhole(i):
			case i >= 0 && r.ranks[i] && r.items[i].Term.Name == "ntile" && tile == nil:
				n, _, ok := r.number(r.items[i].Term.Args[0], 0)
				r.failed = r.failed || !ok || n < 2 || n > maxTiles || n != math.Trunc(n)
				tile = &tiles{int(n), t}
			case i >= 0:
				own = append(own, r.items[i].Term)
				out = append(out, []*syntax.Expr{t})
			default:
				r.failed = true
			}
		}
	}
	if r.failed = r.failed || !sameTerms(own, r.partition); len(out) > 0 {
		return [][]*syntax.Expr{slices.Concat(out...)}, tile
	}
	return nil, tile
}

// aggregate writes an aggregate over a part of the rows.
func (r *ranked) aggregate(t *syntax.Expr, over part) *syntax.Expr {
	failed := func() *syntax.Expr {
		r.failed = true
		return t
	}
	plain := *t
	var otherwise *syntax.Expr // the value for rows outside the part
	var also part
	if t.Filter != nil && r.readsRank(t.Filter) {
		p, ok := r.condition(t.Filter)
		if !ok {
			return failed()
		}
		plain.Filter, over = nil, both(over, p)
	}
	if x := plain.Args; len(x) == 1 && x[0].Kind == syntax.Operator && x[0].Name == "case" && r.readsRank(x[0]) {
		var ok bool
		if plain.Args, otherwise, also, ok = r.cases(x[0].Args); !ok {
			return failed()
		}
		over = both(over, also)
	}
	for _, a := range plain.Args {
		// with these, a value that is equal in all rows stays as it is
		alike := t.Name == "min" || t.Name == "max" || t.Name == "avg"
		if i := r.column(a); alike && r.ranks[i] && r.isWhole(i) {
			return r.ofGroup(r.items[i].Term)
		}
		if r.readsRank(a) {
			return failed()
		}
	}
	if over == whole01 {
		return &plain
	}
	if over.from > over.to || plain.Distinct || plain.Filter != nil {
		return failed()
	}
	if r.begins && over.from > 0 || r.ends && over.to < 1 {
		return failed()
	}
	if t.Name == "count" && plain.Star && !r.begins && !r.ends && over.from < over.to && otherwise == nil {
		share := syntax.NewLiteral(t.At, value.Float(over.to-over.from))
		product := syntax.NewOperator("*", &plain, share)
		rounded := &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "round", Args: []*syntax.Expr{product}}
		return &syntax.Expr{Kind: syntax.Cast, At: t.At, Type: value.TypeInt, Args: []*syntax.Expr{rounded}}
	}
	out := r.quantile(&plain, over)
	if out == nil {
		return failed()
	}
	if otherwise != nil && otherwise.Literal.Valid() {
		name := map[string]string{"min": "least", "max": "greatest"}[t.Name]
		if name == "" {
			return failed()
		}
		out = &syntax.Expr{Kind: syntax.Call, At: t.At, Name: name, Args: []*syntax.Expr{otherwise, out}}
	}
	return out
}

func both(a, b part) part { return part{math.Max(a.from, b.from), math.Min(a.to, b.to)} }

// cases reads CASE WHEN a condition on ranks THEN x [ELSE y] END, if x or y is a constant. It returns what is
// aggregated, the constant, and the part of the rows that is aggregated.
func (r *ranked) cases(args []*syntax.Expr) (x []*syntax.Expr, otherwise *syntax.Expr, over part, ok bool) {
	if len(args) < 2 || len(args) > 3 {
		return nil, nil, over, false
	}
	if over, ok = r.condition(args[0]); !ok {
		return nil, nil, over, false
	}
	if len(args) == 3 && args[1].Kind == syntax.Literal {
		switch {
		case over.from == 0 && over.to < 1:
			return args[2:], args[1], part{over.to, 1}, true
		case over.to == 1 && over.from > 0:
			return args[2:], args[1], part{0, over.from}, true
		}
		return nil, nil, over, false
	}
	if len(args) == 3 {
		if otherwise = args[2]; otherwise.Kind != syntax.Literal {
			return nil, nil, over, false
		}
	}
	return args[1:2], otherwise, over, true
}

// quantile writes MIN or MAX over a part of the rows, or AVG of one row, as a quantile. The argument must increase or
// decrease with the order; otherwise it returns nil.
func (r *ranked) quantile(t *syntax.Expr, over part) *syntax.Expr {
	if len(t.Args) != 1 {
		return nil
	}
	x := t.Args[0]
	way := r.monotonicity(x)
	if way == 0 {
		return nil
	}
	if way < 0 { // as for the reversed order
		over = part{1 - over.to, 1 - over.from}
	}
	share := over.from
	switch {
	case t.Name == "max":
		share = over.to
	case t.Name == "min":
	case t.Name == "avg" && over.from == over.to:
	default:
		return nil
	}
	if over.from < over.to && (t.Name == "min" && share == 0 || t.Name == "max" && share == 1) {
		return t
	}
	literal := syntax.NewLiteral(t.At, value.Float(math.Round(share*1e6)/1e6))
	return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "quantile", Args: []*syntax.Expr{x, literal}, OfRanks: true}
}

// monotonicity is 1 if a term increases with the order of the ranks, -1 if it decreases, and 0 if that is unknown.
func (r *ranked) monotonicity(x *syntax.Expr) int {
	term := x
	if i := r.column(x); i >= 0 {
		term = r.items[i].Term
	}
	order := r.order.Term
	// Some queries order by the name of an item of the same SELECT.
	if i := r.column(order); i >= 0 && order.Qualifier == "" && !r.ranks[i] {
		if r.items[i].Term.Kind != syntax.Column {
			order = r.items[i].Term
		}
	}
	a, of := sign(term)
	b, by := sign(order)
	if !sameTerm(of, by) {
		return 0
	}
	if r.order.Descending {
		b = -b
	}
	return a * b
}

// sign writes a term as ±x plus a constant, and returns the sign and x.
func sign(t *syntax.Expr) (int, *syntax.Expr) {
	constant := func(t *syntax.Expr) bool { return t.Kind == syntax.Literal }
	switch {
	case t.Kind == syntax.Operator && t.Name == "neg":
		s, of := sign(t.Args[0])
		return -s, of
	case t.Kind != syntax.Operator || len(t.Args) != 2:
	case t.Name == "+" && constant(t.Args[0]):
		return sign(t.Args[1])
	case (t.Name == "+" || t.Name == "-") && constant(t.Args[1]):
		return sign(t.Args[0])
	case t.Name == "-" && constant(t.Args[0]):
		s, of := sign(t.Args[1])
		return -s, of
	}
	return 1, t
}
