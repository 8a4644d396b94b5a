package rewrite

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/planner/syntax"
)

// part is the rows of an order between two shares, (from, to]. If both are equal, it is the row at that share.
type part struct{ from, to float64 }

var whole01 = part{0, 1}

// Ranks are compared twice: for many rows, where one row makes no difference, and for few rows, where three rows do.
const (
	many = 1e9
	few  = 1e3
	// oneOrTwo is the share of one or two rows among few.
	oneOrTwo = 2.1 / few
)

// number is the value of a term in the row at share p of the order. The value of a tile is its number; its fraction is
// the position within the tile.
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

// rounding are functions that make no difference if there are many rows.
var rounding = map[string]bool{"ceil": true, "ceiling": true, "floor": true, "round": true, "trunc": true}

func (r *ranked) call(t *syntax.Expr, p float64) (x float64, tile, ok bool) {
	switch {
	case t.Over == nil && len(t.Args) == 1 && rounding[t.Name]:
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

// comparison returns the part for a comparison of numbers that increase evenly with the rank.
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
	if math.Abs(one/(one-other)-root) > oneOrTwo || !tile && (root <= 0 || root >= 1) {
		// This chooses a row by its number, not by a share.
		return part{}, false
	}
	width := 0.0 // the width of a tile: its rows all have the number of the tile's last row
	if tile {
		width = math.Round(1/math.Abs(last-first)*1e6) / 1e6
	}
	name := t.Name
	if last < first { // the rank is on the right side
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
