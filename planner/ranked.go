package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Before databases had QUANTILE, quartiles were asked for by numbering all rows in an order and taking one by its number. Over
// patients such a window is refused, since it compares patients; but what is meant is a quantile, which can be released. So a
// query that is refused for it is tried once more, with quantiles in the place of what is computed from the numbers:
//
//	MIN(CASE WHEN rn >= 0.5 * n THEN x END)             QUANTILE(x, 0.5)
//	MIN(CASE WHEN rn < 0.5 * n THEN 9999 ELSE x END)    LEAST(9999, QUANTILE(x, 0.5))
//	AVG(x) … WHERE rn IN ((n + 1) / 2, (n + 2) / 2)     QUANTILE(x, 0.5)
//	MIN(x), MAX(x) … GROUP BY NTILE(4) OVER (…)         QUANTILE(x, 0) and QUANTILE(x, 0.25), and so on
//
// where the query within has x, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) AS rn and COUNT(*) OVER (PARTITION BY k) AS n,
// and the query around groups by k. Where x may be NULL it stays refused, since numbers of rows count NULLs and quantiles do not.
// In the same way SELECT DISTINCT k, f OVER (PARTITION BY k) is SELECT k, f GROUP BY k.

// quantiled is a query with quantiles in the place of ranks, and whether there is one.
func quantiled(q *syntax.Query) (*syntax.Query, bool) {
	r := &ranking{}
	out := r.query(q, nil)
	return out, r.found
}

// ranking looks for ranks throughout a query.
type ranking struct{ found bool }

func (r *ranking) query(q *syntax.Query, names []syntax.With) *syntax.Query {
	out := *q
	out.With = slices.Clone(q.With)
	inner := slices.Clone(names)
	for i, w := range out.With {
		out.With[i].Query = r.query(w.Query, inner)
		inner = append(inner, out.With[i])
	}
	if o := q.SetOperation; o != nil {
		both := *o
		both.Left, both.Right = r.query(o.Left, inner), r.query(o.Right, inner)
		out.SetOperation = &both
		return &out
	}
	s := *q.Select
	s.From = slices.Clone(s.From)
	for i, f := range s.From {
		if f.Query != nil {
			s.From[i].Query = r.query(f.Query, inner)
		}
	}
	out.Select = &s
	if grouped, ok := distinctWindows(&s); ok {
		r.found = true
		out.Select = grouped
		return &out
	}
	if len(s.From) != 1 || s.From[0].Function != nil || s.From[0].Lateral {
		return &out
	}
	if rewritten := ranksOf(&out, inner); rewritten != nil {
		r.found = true
		return rewritten
	}
	return &out
}

// distinctWindows writes SELECT DISTINCT k, f OVER (PARTITION BY k) as a grouping.
func distinctWindows(s *syntax.Select) (*syntax.Select, bool) {
	if !s.Distinct || len(s.GroupBy) > 0 || s.Having != nil || s.Qualify != nil {
		return nil, false
	}
	var partition []*syntax.Expr
	windows := 0
	for _, i := range s.Items {
		i.Term.Walk(func(t *syntax.Expr) bool {
			if t.Over == nil {
				return true
			}
			if windows++; len(t.Over.OrderBy) > 0 || t.Over.Frame != nil || !syntax.IsAggregate(t.Name) || windows > 1 && !sameTerms(partition, t.Over.Partition) {
				windows = math.MinInt32
			}
			partition = t.Over.Partition
			return false
		})
	}
	if windows <= 0 {
		return nil, false
	}
	out := *s
	out.Distinct, out.Items = false, nil
	for _, k := range partition { // groups that nothing tells apart may have the same numbers
		out.Distinct = out.Distinct || !slices.ContainsFunc(s.Items, func(i syntax.Item) bool { return sameTerm(i.Term, k) })
	}
	for _, i := range s.Items {
		if i.Term.Window() == nil && !hasTerm(partition, i.Term) {
			return nil, false
		}
		term := i.Term.Rewrite(func(t *syntax.Expr) *syntax.Expr {
			if t.Over == nil {
				return nil
			}
			plain := *t
			plain.Over = nil
			return &plain
		})
		out.Items = append(out.Items, syntax.Item{Term: term, Alias: i.Name()})
	}
	if len(partition) > 0 {
		out.GroupBy = [][]*syntax.Expr{partition}
	}
	return &out, true
}

// sameTerm compares terms of one SELECT, whose columns may have their table before them or not.
func sameTerm(a, b *syntax.Expr) bool {
	if a.Kind == syntax.Column && b.Kind == syntax.Column {
		return a.Name == b.Name && (a.Qualifier == b.Qualifier || a.Qualifier == "" || b.Qualifier == "")
	}
	return a.Equal(b)
}

func hasTerm(all []*syntax.Expr, t *syntax.Expr) bool {
	return slices.ContainsFunc(all, func(o *syntax.Expr) bool { return sameTerm(o, t) })
}

func sameTerms(a, b []*syntax.Expr) bool {
	in := func(x, y []*syntax.Expr) bool {
		return !slices.ContainsFunc(x, func(t *syntax.Expr) bool { return !hasTerm(y, t) })
	}
	return in(a, b) && in(b, a)
}

// ranked is a SELECT that reads a query with ranks.
type ranked struct {
	*syntax.Select
	alias string
	items []syntax.Item // of the query within, by the names that the SELECT around has for them
	ranks map[int]bool  // those that rank, or count all
	order syntax.Order
	// partition is what ranks start anew with.
	partition []*syntax.Expr
	// Rows that tie have one RANK, that of the first, and one CUME_DIST, that of the last: so ranks tell where a part ends, and
	// CUME_DIST where one begins.
	begins, ends bool
	used         bool    // a condition reads a rank
	rows         float64 // for which ranks are compared with what they are compared with
	within       part    // of the ranks, of which WHERE keeps rows
	failed       bool
}

// part is the part of the rows of an order from a share of them, not included, to one that is; of a point, which both are, the row
// there.
type part struct{ from, to float64 }

var whole01 = part{0, 1}

// Ranks are compared for many rows, so that a row more or less makes no difference, and for a few, so that more than that does.
const (
	many = 1e9
	few  = 1e3
	// oneOrTwo is what a row or two more make in few.
	oneOrTwo = 2.1 / few
)

// ranksOf is a query with quantiles in the place of the ranks of the query that it reads; nil: it has none that are so used.
func ranksOf(q *syntax.Query, names []syntax.With) *syntax.Query {
	s := q.Select
	r := &ranked{Select: s, ranks: map[int]bool{}, within: whole01, rows: many}
	within := r.read(s.From[0], names)
	if within == nil || s.Qualify != nil || len(s.GroupBy) > 1 || s.Distinct {
		return nil
	}
	out := *s
	f := s.From[0]
	f.Table, f.Query, f.Columns, f.Alias = "", within, nil, r.alias
	out.From = []syntax.From{f}
	if s.Where != nil {
		var ok bool
		if r.within, ok = r.condition(s.Where); !ok {
			return nil
		}
		out.Where = nil
	}
	var tile *tiles
	out.GroupBy, tile = r.keys()
	if r.failed {
		return nil
	}
	if tile != nil {
		return r.tiled(q, &out, tile)
	}
	out.Items = nil
	for _, i := range s.Items {
		out.Items = append(out.Items, syntax.Item{Term: r.term(i.Term), Alias: i.Name()})
	}
	if s.Having != nil {
		out.Having = r.term(s.Having)
	}
	if len(out.Items) == 0 || r.failed || !r.used {
		return nil
	}
	rewritten := *q
	rewritten.Select = &out
	return &rewritten
}

// read reads the query within, and gives it without its ranks.
func (r *ranked) read(f syntax.From, names []syntax.With) *syntax.Query {
	query, columns := f.Query, f.Columns
	if query == nil {
		i := slices.IndexFunc(names, func(w syntax.With) bool { return w.Name == f.Table })
		if i < 0 {
			return nil
		}
		if query = names[i].Query; columns == nil {
			columns = names[i].Columns
		}
	}
	if r.alias = f.Alias; r.alias == "" {
		r.alias = f.Table
	}
	if query.Select == nil || query.Limit != nil || query.Offset != nil || query.Select.Qualify != nil {
		return nil
	}
	s := *query.Select
	s.Items = nil
	for i, item := range query.Select.Items {
		name := item.Name()
		if i < len(columns) {
			name = columns[i]
		}
		r.items = append(r.items, syntax.Item{Term: item.Term, Alias: name})
		switch r.rank(item.Term) {
		case 1:
			r.ranks[i] = true
		case 0:
			if item.Term.Kind != syntax.Star {
				item.Alias = name
			}
			s.Items = append(s.Items, item)
		default:
			return nil
		}
	}
	if len(r.ranks) == 0 || r.order.Term == nil || len(s.Items) == 0 || s.Distinct {
		return nil
	}
	out := *query
	out.Select, out.OrderBy = &s, nil
	return &out
}

// rank tells of an item of the query within: 1, it is made of ranks and counts over all rows of one order and partition; 0, it has no
// such window; -1, of others.
func (r *ranked) rank(t *syntax.Expr) (is int) {
	t.Walk(func(t *syntax.Expr) bool {
		w := t.Over
		if w == nil || is < 0 {
			return is >= 0
		}
		ordered := slices.Contains([]string{"row_number", "rank", "percent_rank", "cume_dist", "ntile"}, t.Name)
		if !ordered && !(t.Name == "count" && t.Star && t.Filter == nil && len(w.OrderBy) == 0) || w.Frame != nil || ordered && len(w.OrderBy) == 0 {
			return false
		}
		if ordered && r.order.Term != nil && (!sameTerm(r.order.Term, w.OrderBy[0].Term) || r.order.Descending != w.OrderBy[0].Descending) ||
			is+len(r.ranks) > 0 && !sameTerms(r.partition, w.Partition) {
			is = -1
			return false
		}
		if r.partition = w.Partition; ordered {
			r.order = w.OrderBy[0]
		}
		r.begins = r.begins || t.Name == "rank" || t.Name == "percent_rank"
		r.ends = r.ends || t.Name == "cume_dist"
		is = 1
		return false
	})
	return is
}

// column is the item of the query within that a name means, or -1.
func (r *ranked) column(t *syntax.Expr) int {
	if t.Kind != syntax.Column || t.Qualifier != "" && t.Qualifier != r.alias {
		return -1
	}
	return slices.IndexFunc(r.items, func(i syntax.Item) bool { return strings.EqualFold(i.Alias, t.Name) })
}

// readsRank reports whether a term reads a rank.
func (r *ranked) readsRank(t *syntax.Expr) bool {
	return t.Find(func(t *syntax.Expr) bool { return r.ranks[r.column(t)] }) != nil
}

// number is what a term is in the row at a share p of the order; of a tile its place among the tiles, with what is within.
func (r *ranked) number(t *syntax.Expr, p float64) (x float64, tile, ok bool) {
	switch t.Kind {
	case syntax.Literal:
		if t.Literal.Valid() && t.Literal.Type().Numeric() {
			return t.Literal.Float64(), false, true
		}
	case syntax.Column:
		if i := r.column(t); r.ranks[i] {
			return r.number(r.items[i].Term, p)
		}
	case syntax.Cast:
		return r.number(t.Args[0], p)
	case syntax.Call:
		return r.call(t, p)
	case syntax.Operator:
		var args [2]float64
		for i, a := range t.Args {
			var is bool
			if x, is, ok = r.number(a, p); !ok || i > 1 {
				return 0, false, false
			}
			args[i], tile = x, tile || is
		}
		switch {
		case t.Name == "neg":
			return -args[0], tile, true
		case len(t.Args) != 2:
		case t.Name == "+":
			return args[0] + args[1], tile, true
		case t.Name == "-":
			return args[0] - args[1], tile, true
		case t.Name == "*":
			return args[0] * args[1], tile, true
		case t.Name == "/", t.Name == syntax.Divide, t.Name == "div":
			return args[0] / args[1], tile, args[1] != 0
		}
	}
	return 0, false, false
}

func (r *ranked) call(t *syntax.Expr, p float64) (x float64, tile, ok bool) {
	switch {
	case t.Over == nil && len(t.Args) == 1 && slices.Contains([]string{"ceil", "ceiling", "floor", "round", "trunc"}, t.Name):
		return r.number(t.Args[0], p)
	case t.Over == nil:
	case t.Name == "row_number", t.Name == "rank":
		return p * r.rows, false, true
	case t.Name == "count":
		return r.rows, false, true
	case t.Name == "percent_rank", t.Name == "cume_dist":
		return p, false, true
	case t.Name == "ntile" && len(t.Args) == 1:
		n, _, ok := r.number(t.Args[0], p)
		return p * n, true, ok && n >= 1 && n <= maxTiles && n == math.Trunc(n)
	}
	return 0, false, false
}

// condition is the part of the rows for which a condition on ranks holds.
func (r *ranked) condition(t *syntax.Expr) (part, bool) {
	none := part{}
	if t.Kind != syntax.Operator {
		return none, false
	}
	switch {
	case t.Name == "and":
		all := whole01
		for _, a := range t.Args {
			p, ok := r.condition(a)
			if !ok {
				return none, false
			}
			all = part{math.Max(all.from, p.from), math.Min(all.to, p.to)}
		}
		return all, all.from <= all.to
	case t.Name == "in" && len(t.Args) > 1: // several rows about one share, or neighbouring tiles
		var all []part
		for _, a := range t.Args[1:] {
			p, ok := r.condition(syntax.NewOperator("=", t.Args[0], a))
			if !ok {
				return none, false
			}
			all = append(all, p)
		}
		slices.SortFunc(all, func(a, b part) int { return int(math.Copysign(1, a.from-b.from)) })
		for i := range all[1:] {
			if all[i+1].from != all[i].to {
				return none, false
			}
		}
		return part{all[0].from, all[len(all)-1].to}, true
	case !syntax.IsComparison(t.Name) || t.Name == "<>" || t.Name == "!=" || !r.readsRank(t):
		return none, false
	}
	r.used = true
	return r.comparison(t)
}

// comparison is condition's, of numbers that grow evenly with the rank.
func (r *ranked) comparison(t *syntax.Expr) (part, bool) {
	at := func(p float64) (float64, bool, bool) {
		x, a, ok := r.number(t.Args[0], p)
		y, b, also := r.number(t.Args[1], p)
		return x - y, a || b, ok && also
	}
	first, tile, ok := at(0)
	half, _, _ := at(0.5)
	last, _, _ := at(1)
	if !ok || first == last || math.Abs(first+last-2*half) > 1e-6*(math.Abs(first)+math.Abs(last)) {
		return part{}, false
	}
	r.rows = few
	one, _, _ := at(0)
	other, _, _ := at(1)
	r.rows = many
	root := math.Round(first/(first-last)*1e6) / 1e6
	if math.Abs(one/(one-other)-root) > oneOrTwo || !tile && (root <= 0 || root >= 1) { // a row by its number, and no share
		return part{}, false
	}
	width := 0.0 // of a tile, whose rows all have the number that the last of them has by its share
	if tile {
		width = math.Round(1/math.Abs(last-first)*1e6) / 1e6
	}
	name := t.Name
	if last < first { // the rank stands on the right
		name = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}[name]
	}
	p := part{root - width, root}
	switch {
	case name == ">=" && tile:
		p = part{root - width, 1}
	case name == ">=", name == ">":
		p = part{root, 1}
	case name == "<" && tile:
		p = part{0, root - width}
	case name == "<", name == "<=":
		p = part{0, root}
	}
	return p, p.from >= -1e-9 && p.to <= 1+1e-9 && p.from <= p.to
}

// term writes a term of the SELECT around.
func (r *ranked) term(t *syntax.Expr) *syntax.Expr {
	out := t.Rewrite(func(t *syntax.Expr) *syntax.Expr {
		switch {
		case t.IsAggregate():
			return r.aggregate(t, r.within)
		case r.ranks[r.column(t)] && r.isSize(r.column(t)) && len(r.GroupBy) > 0: // of the group
			return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "count", Star: true}
		}
		return nil
	})
	r.failed = r.failed || r.readsRank(out)
	return out
}

// isSize reports whether an item of the query within counts the rows, and nothing else.
func (r *ranked) isSize(i int) bool {
	t := r.items[i].Term
	return t.Kind == syntax.Call && t.Over != nil && t.Name == "count"
}

// keys are the groups of the SELECT around, which are those of the ranks; a tile among them is apart.
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
			case i >= 0 && r.ranks[i] && r.isSize(i):
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
	var otherwise *syntax.Expr // what stands for rows of the other part
	var also part
	if t.Filter != nil && r.readsRank(t.Filter) {
		p, ok := r.condition(t.Filter)
		if !ok {
			return failed()
		}
		plain.Filter, over = nil, both(over, p)
	}
	if len(plain.Args) == 1 && plain.Args[0].Kind == syntax.Operator && plain.Args[0].Name == "case" && r.readsRank(plain.Args[0]) {
		var ok bool
		if plain.Args, otherwise, also, ok = r.cases(plain.Args[0].Args); !ok {
			return failed()
		}
		over = both(over, also)
	}
	for _, a := range plain.Args {
		if i := r.column(a); r.ranks[i] && r.isSize(i) && (t.Name == "min" || t.Name == "max" || t.Name == "avg") { // alike in all rows
			return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "count", Star: true}
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
		share := &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Float(over.to - over.from)}
		rounded := &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "round", Args: []*syntax.Expr{syntax.NewOperator("*", &plain, share)}}
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

// cases reads CASE WHEN a condition on ranks THEN x [ELSE y] END, of which one is a constant: what is aggregated, the constant, and
// over which part of the rows.
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

// quantile writes MIN, MAX or, of one row, AVG over a part of the rows, of what grows or falls with the order; nil: it does neither.
func (r *ranked) quantile(t *syntax.Expr, over part) *syntax.Expr {
	if len(t.Args) != 1 {
		return nil
	}
	x := t.Args[0]
	way := r.way(x)
	if way == 0 {
		return nil
	}
	if way < 0 { // as of the order turned round
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
	literal := &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Float(math.Round(share*1e6) / 1e6)}
	return &syntax.Expr{Kind: syntax.Call, At: t.At, Name: "quantile", Args: []*syntax.Expr{x, literal}, OfRanks: true}
}

// way is 1 where a term grows with the order of the ranks, -1 where it falls, 0 where that is not known.
func (r *ranked) way(x *syntax.Expr) int {
	term := x
	if i := r.column(x); i >= 0 {
		term = r.items[i].Term
	}
	order := r.order.Term
	if i := r.column(order); i >= 0 && order.Qualifier == "" && !r.ranks[i] { // of the same SELECT's item, as some write it
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

// sign writes a term as another that is turned round or not, and moved by a constant.
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

// maxTiles bounds the tiles of NTILE.
const maxTiles = 100

// tiles are the groups of NTILE(n).
type tiles struct {
	n   int
	key *syntax.Expr
}

// tiled writes a SELECT of groups by a tile: one release, whose quantiles are the rows of a UNION ALL.
func (r *ranked) tiled(q *syntax.Query, out *syntax.Select, tile *tiles) *syntax.Query {
	if len(out.GroupBy) > 0 || r.Having != nil || r.within != whole01 {
		return nil
	}
	const name = " tiles"
	release := &syntax.Select{At: r.At, From: out.From}
	var all *syntax.Query
	for k := range tile.n {
		arm := &syntax.Select{At: r.At, From: []syntax.From{{At: r.At, Table: name, Alias: name}}}
		over := part{float64(k) / float64(tile.n), float64(k+1) / float64(tile.n)}
		for _, i := range r.Items {
			term := i.Term.Rewrite(func(t *syntax.Expr) *syntax.Expr {
				switch {
				case sameTerm(t, tile.key):
					return &syntax.Expr{Kind: syntax.Literal, At: t.At, Literal: value.Int(int64(k + 1))}
				case t.IsAggregate():
					a := r.aggregate(t, over)
					at := slices.IndexFunc(release.Items, func(o syntax.Item) bool { return o.Term.Equal(a) })
					if at < 0 {
						at = len(release.Items)
						release.Items = append(release.Items, syntax.Item{Term: a, Alias: fmt.Sprintf(" tile %d", at)})
					}
					return &syntax.Expr{Kind: syntax.Column, At: t.At, Name: release.Items[at].Alias}
				}
				return nil
			})
			if r.failed = r.failed || r.readsRank(term); r.failed {
				return nil
			}
			arm.Items = append(arm.Items, syntax.Item{Term: term, Alias: i.Name()})
		}
		one := &syntax.Query{At: q.At, Select: arm}
		if all == nil {
			all = one
		} else {
			all = &syntax.Query{At: q.At, SetOperation: &syntax.SetOperation{At: q.At, Operator: "union", All: true, Left: all, Right: one}}
		}
	}
	if len(release.Items) == 0 {
		return nil
	}
	around := *all
	around.With = append(slices.Clone(q.With), syntax.With{At: q.At, Name: name, Query: &syntax.Query{At: q.At, Select: release}})
	around.OrderBy, around.Limit, around.Offset = q.OrderBy, q.Limit, q.Offset
	return &around
}
