package expr

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// domain infers all values of an expression: from its branches, by applying the operation to all combinations of its
// arguments' values, or from the bounds of a whole number.
func (i *RangeAnalysis) domain(e *Expr, args []Range, f Range) []value.Value {
	if e.Op == OpCase || e.Op == OpCoalesce {
		values := args
		if e.Op == OpCase {
			values = branches(args)
		}
		return merge(e.Type, values, f, i.left)
	}
	if e.Op == OpTruncate && args[1].Domain == nil {
		return beginnings(e, f)
	}
	if d := i.enumerate(e, args); d != nil {
		return d
	}
	if e.Type == value.TypeBool {
		return withNull([]value.Value{value.Bool(false), value.Bool(true)}, f.Nullable)
	}
	whole := operations[e.Op].whole
	if e.Type == value.TypeInt || e.Type == value.TypeDate || whole != nil && whole(e) {
		return wholeDomain(e.Type, f)
	}
	return nil
}

// beginnings lists the beginnings of a unit within bounds, if there are few.
func beginnings(e *Expr, f Range) []value.Value {
	if !f.Bounded() {
		return nil
	}
	f = f.WithinType(e.Type)
	unit, d := Unit(e.Args[0].Value.Str()), []value.Value(nil)
	for n := truncate(unit, e.Type, int64(math.Ceil(f.Lower))); float64(n) <= f.Upper; n = following(unit, e.Type, n) {
		if len(d) >= maxDomain {
			return nil
		}
		if v := ordinal(e.Type, n); !v.IsNull() {
			d = append(d, v)
		}
	}
	return withNull(d, f.Nullable)
}

// Union is the range of a value of type t that is one of several values with known ranges.
func Union(t value.Type, all []Range, left *Budget) Range {
	f := union(all)
	f.Domain = merge(t, all, f, left)
	return f
}

func merge(t value.Type, values []Range, f Range, left *Budget) []value.Value {
	var d []value.Value
	for _, v := range values {
		if left.combinations -= len(v.Domain); v.Domain == nil || left.combinations < 0 {
			return nil
		}
		for _, x := range v.Domain {
			if !x.IsNull() || f.Nullable {
				d = append(d, widen(x, t))
			}
		}
	}
	return distinct(d)
}

func (i *RangeAnalysis) enumerate(e *Expr, args []Range) []value.Value {
	if !e.Op.Exact() {
		return nil
	}
	if d := i.overVariables(e); d != nil {
		return d
	}
	combinations := 1
	for _, a := range args {
		if a.Domain == nil {
			return nil
		}
		if combinations *= len(a.Domain); combinations > 10*maxDomain {
			return nil
		}
	}
	if e.Op == OpRegexp || e.Op == OpIn && len(args) > 2 && combinations > maxDomain {
		return nil
	}
	if i.left.combinations -= combinations; i.left.combinations < 0 {
		return nil
	}
	chosen, left := make([]value.Value, len(args)), i.left
	var d []value.Value
	long := false // one is longer than a key, and every text computed from it would be longer still
	var choose func(i int)
	choose = func(i int) {
		if left.characters < 0 || long {
			return
		}
		if i == len(args) {
			if left.characters -= bytesWritten(e.Op, chosen); left.characters < 0 {
				return
			}
			v := apply(e.Op, e.Type, chosen)
			long = len(v.Str()) > MaxKey
			d = append(d, v)
			return
		}
		for _, v := range args[i].Domain {
			chosen[i] = v
			choose(i + 1)
		}
	}
	choose(0)
	if left.characters < 0 || long {
		return nil
	}
	return distinct(d)
}

// maxOperations bounds the number of operations of an expression that overVariables examines.
const maxOperations = 200

// overVariables lists the values of an expression that reads a variable more than once, such as a month written with
// two digits. Combining its arguments' values independently would include values that no row gives. A variable is a
// column whose values are known, or the smallest part with known values. It returns nil if the values are not known, or
// if no variable is read twice.
func (i *RangeAnalysis) overVariables(e *Expr) []value.Value {
	v := &variables{inference: i, places: map[*Expr]int{}}
	if slices.ContainsFunc(e.Args, func(a *Expr) bool { return !v.find(a) }) || !v.shared {
		return nil
	}
	combinations := 1
	for _, x := range v.all {
		if combinations *= len(i.Range(x).Domain); combinations > 10*maxDomain {
			return nil
		}
	}
	if i.left.combinations -= combinations * (1 + v.operations/10); i.left.combinations < 0 {
		return nil
	}
	chosen := make([]value.Value, len(v.all))
	var d []value.Value
	long := false
	var choose func(k int)
	choose = func(k int) {
		if long || i.left.characters < 0 {
			return
		}
		if k == len(v.all) {
			x := v.evaluate(e, chosen, i.left)
			long = len(x.Str()) > MaxKey
			d = append(d, x)
			return
		}
		for _, x := range i.Range(v.all[k]).Domain {
			chosen[k] = x
			choose(k + 1)
		}
	}
	choose(0)
	if long || i.left.characters < 0 {
		return nil
	}
	return distinct(d)
}

// variables holds the variables of an expression; see overVariables.
type variables struct {
	inference  *RangeAnalysis
	all        []*Expr
	places     map[*Expr]int // index of each in all
	shared     bool          // a variable is read twice
	operations int
	stack      []value.Value // arguments of the operations that are being evaluated; allocating a slice for each would take most of planning time
}

// find collects the variables of an expression. It returns false if one has no known values.
func (v *variables) find(e *Expr) bool {
	if v.operations++; v.operations > maxOperations {
		return false
	}
	if e.Op == OpLiteral {
		return true
	}
	if len(e.Args) > 0 && e.Op.Exact() && e.Op != OpRegexp {
		all, shared := len(v.all), v.shared
		if !slices.ContainsFunc(e.Args, func(a *Expr) bool { return !v.find(a) }) {
			return true
		}
		v.all, v.shared = v.all[:all], shared
	}
	if v.inference.Range(e).Domain == nil {
		return false
	}
	place := slices.IndexFunc(v.all, e.Equal)
	if v.shared = v.shared || place >= 0; place < 0 {
		place = len(v.all)
		v.all = append(v.all, e)
	}
	v.places[e] = place
	return true
}

// evaluate computes the expression for the chosen values of the variables.
func (v *variables) evaluate(e *Expr, chosen []value.Value, left *Budget) value.Value {
	if e.Op == OpLiteral {
		return *e.Value
	}
	if k, ok := v.places[e]; ok {
		return chosen[k]
	}
	at := len(v.stack)
	for _, a := range e.Args {
		x := v.evaluate(a, chosen, left)
		v.stack = append(v.stack, x)
	}
	args := v.stack[at:]
	v.stack = v.stack[:at]
	left.characters -= bytesWritten(e.Op, args)
	return apply(e.Op, e.Type, args)
}

// bytesWritten estimates the bytes that an operation on texts writes before the result is cut.
func bytesWritten(op Op, args []value.Value) int {
	if op == OpReplace {
		return len(args[0].Str()) * max(1, len(args[2].Str()))
	}
	n := 0
	for _, a := range args {
		if a.Type() == value.TypeText {
			n += len(a.Str())
		}
	}
	return n
}
