package fragment

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// maxDomain is the largest domain that is inferred for an expression; larger
// ones count as undeclared.
const maxDomain = 1000

// Facts is what is known of an expression's value before any row is read.
type Facts struct {
	Nullable bool
	// Lower and Upper bound a number (or a date's days, a timestamp's
	// microseconds); infinite where nothing is known.
	Lower, Upper float64
	// Domain lists every value that the expression can take, NULL included where
	// it is nullable, sorted; nil where they are not known.
	Domain []value.Value
}

// Bounded reports whether both bounds are known.
func (f Facts) Bounded() bool { return !math.IsInf(f.Lower, 0) && !math.IsInf(f.Upper, 0) }

func unknown(nullable bool) Facts {
	return Facts{Nullable: nullable, Lower: math.Inf(-1), Upper: math.Inf(1)}
}

// Infer derives the facts of an expression; column is asked for those of each
// column and of the hospital's name.
//
// Bounds follow interval arithmetic (Moore 1966), evaluated in float64 and
// widened by one unit in the last place at each operation that may round.
func Infer(e *Expr, column func(*Expr) Facts) Facts {
	if e.Op == OpColumn || e.Op == OpHospital {
		return column(e)
	}
	if e.Op == OpLiteral {
		f := unknown(e.Value.IsNull())
		f.Domain = []value.Value{*e.Value}
		if !f.Nullable && e.Type != value.TypeText {
			f.Lower, f.Upper = within(*e.Value, *e.Value)
		}
		return f
	}
	args := make([]Facts, len(e.Args))
	for i, a := range e.Args {
		args[i] = Infer(a, column)
	}
	f := interval(e, args)
	if e.Type == value.TypeInt {
		f.Lower, f.Upper = math.Max(f.Lower, math.MinInt64), math.Min(f.Upper, math.MaxInt64)
		if f.Lower == math.MinInt64 {
			f.Lower = math.Inf(-1)
		}
		if f.Upper == math.MaxInt64 {
			f.Upper = math.Inf(1)
		}
	}
	f.Domain = domain(e, args, f)
	return f
}

// exactWhole bounds the whole numbers that float64 all holds.
const exactWhole = 1 << 53

// within gives the bounds of values from lower to upper as float64, which may be
// coarser than a 64-bit int.
func within(lower, upper value.Value) (float64, float64) {
	a, b := lower.Float64(), upper.Float64()
	if math.Abs(a) >= exactWhole {
		a = math.Nextafter(a, math.Inf(-1))
	}
	if math.Abs(b) >= exactWhole {
		b = math.Nextafter(b, math.Inf(1))
	}
	return a, b
}

func interval(e *Expr, args []Facts) Facts {
	anyNull := false
	for _, a := range args {
		anyNull = anyNull || a.Nullable
	}
	f := unknown(anyNull)
	// Whether an operation whose exact result may leave the type can do so here.
	mayOverflow := func() bool {
		if e.Type == value.TypeInt {
			return f.Lower <= math.MinInt64 || f.Upper >= math.MaxInt64
		}
		return !f.Bounded()
	}
	var a, b Facts
	if len(args) > 0 {
		a = args[0]
	}
	if len(args) > 1 {
		b = args[1]
	}
	switch e.Op {
	case OpAdd:
		f.Lower, f.Upper = outward(a.Lower+b.Lower, a.Upper+b.Upper)
		f.Nullable = f.Nullable || mayOverflow()
	case OpSubtract:
		f.Lower, f.Upper = outward(a.Lower-b.Upper, a.Upper-b.Lower)
		f.Nullable = f.Nullable || mayOverflow()
	case OpMultiply:
		f.Lower, f.Upper = hull(product(a.Lower, b.Lower), product(a.Lower, b.Upper), product(a.Upper, b.Lower), product(a.Upper, b.Upper))
		f.Nullable = f.Nullable || mayOverflow()
	case OpDivide, OpIntDivide:
		f.Nullable = true
		if b.Lower > 0 || b.Upper < 0 {
			f.Lower, f.Upper = hull(quotient(a.Lower, b.Lower), quotient(a.Lower, b.Upper), quotient(a.Upper, b.Lower), quotient(a.Upper, b.Upper))
			f.Nullable = anyNull || mayOverflow()
			if e.Op == OpIntDivide {
				f.Lower, f.Upper = math.Trunc(f.Lower), math.Trunc(f.Upper)
			}
		} else if e.Op == OpIntDivide { // |a div b| <= |a| for a whole b
			m := math.Max(math.Abs(a.Lower), math.Abs(a.Upper))
			f.Lower, f.Upper = -m, m
		}
	case OpModulo:
		m := math.Min(math.Max(math.Abs(a.Lower), math.Abs(a.Upper)), math.Max(math.Abs(b.Lower), math.Abs(b.Upper)))
		f.Lower, f.Upper = -m, m
		if a.Lower >= 0 {
			f.Lower = 0
		}
		if a.Upper <= 0 {
			f.Upper = 0
		}
		f.Nullable = anyNull || b.Lower <= 0 && b.Upper >= 0
	case OpNegate:
		f.Lower, f.Upper = -a.Upper, -a.Lower
		f.Nullable = f.Nullable || mayOverflow()
	case OpAbs:
		f.Lower, f.Upper = 0, math.Max(math.Abs(a.Lower), math.Abs(a.Upper))
		if a.Lower > 0 || a.Upper < 0 {
			f.Lower = math.Min(math.Abs(a.Lower), math.Abs(a.Upper))
		}
		f.Nullable = f.Nullable || mayOverflow()
	case OpFloor:
		f.Lower, f.Upper = math.Floor(a.Lower), math.Floor(a.Upper)
	case OpCeiling:
		f.Lower, f.Upper = math.Ceil(a.Lower), math.Ceil(a.Upper)
	case OpRound:
		f.Lower, f.Upper = a.Lower, a.Upper
		if e.Type == value.TypeFloat {
			digits := int(e.Args[1].Value.Int64())
			f.Lower, f.Upper = outward(roundTo(a.Lower, digits), roundTo(a.Upper, digits))
			if digits == 0 {
				f.Lower, f.Upper = roundTo(a.Lower, 0), roundTo(a.Upper, 0)
			}
		}
	case OpLeast, OpGreatest:
		f = extreme(e.Op, args)
	case OpCoalesce:
		f = union(args)
		f.Nullable = true
		for _, g := range args {
			f.Nullable = f.Nullable && g.Nullable
		}
	case OpCase:
		f = union(branches(args))
	case OpIsNull:
		f.Nullable = false
	case OpIn, OpEqual, OpNotEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual, OpLike, OpAnd, OpOr, OpNot:
	case OpYear:
		f.Lower, f.Upper = -300_000, 300_000
		if from := e.Args[0].Type; a.Bounded() {
			f.Lower, f.Upper = yearOf(a.Lower, from), yearOf(a.Upper, from)
		}
	case OpMonth:
		f.Lower, f.Upper = 1, 12
	case OpCast:
		f = castFacts(e, a)
	}
	if e.Type == value.TypeBool {
		f.Lower, f.Upper = 0, 1
	}
	return f
}

func yearOf(ordinal float64, t value.Type) float64 {
	if t == value.TypeDate {
		return float64(day(value.Date(int64(ordinal))).Year())
	}
	return float64(day(value.Timestamp(int64(ordinal))).Year())
}

func castFacts(e *Expr, a Facts) Facts {
	f := unknown(a.Nullable)
	switch from := e.Args[0].Type; {
	case from == e.Type:
		return a
	case from == value.TypeText:
		f.Nullable = true
	case from == value.TypeInt && e.Type == value.TypeFloat, from == value.TypeBool && e.Type == value.TypeInt:
		f.Lower, f.Upper = outward(a.Lower, a.Upper)
		if a.Bounded() && math.Abs(a.Lower) < exactWhole && math.Abs(a.Upper) < exactWhole {
			f.Lower, f.Upper = a.Lower, a.Upper
		}
	case from == value.TypeFloat:
		f.Lower, f.Upper = roundTo(a.Lower, 0), roundTo(a.Upper, 0)
		f.Nullable = a.Nullable || !(f.Lower > -(1<<63) && f.Upper < 1<<63)
	case e.Type == value.TypeTimestamp:
		f.Lower, f.Upper = a.Lower*86_400e6, a.Upper*86_400e6
		f.Nullable = a.Nullable || !(math.Abs(f.Lower) < 1<<62 && math.Abs(f.Upper) < 1<<62)
	case e.Type == value.TypeDate:
		f.Lower, f.Upper = math.Floor(a.Lower/86_400e6), math.Floor(a.Upper/86_400e6)
	}
	return f
}

func branches(args []Facts) []Facts {
	var values []Facts
	for i, a := range args {
		if i%2 == 1 || i == len(args)-1 {
			values = append(values, a)
		}
	}
	return values
}

// null reports whether the facts are those of a NULL and nothing else.
func (f Facts) null() bool { return len(f.Domain) == 1 && f.Domain[0].IsNull() }

func union(args []Facts) Facts {
	f := Facts{Lower: math.Inf(1), Upper: math.Inf(-1)}
	for _, a := range args {
		f.Nullable = f.Nullable || a.Nullable
		if !a.null() {
			f.Lower, f.Upper = math.Min(f.Lower, a.Lower), math.Max(f.Upper, a.Upper)
		}
	}
	if f.Lower > f.Upper {
		return unknown(true)
	}
	return f
}

func extreme(op Op, args []Facts) Facts {
	f := union(args)
	f.Nullable = true
	for _, a := range args {
		if a.Nullable {
			continue // left out where NULL, so it bounds nothing for sure
		}
		f.Nullable = false
		if op == OpLeast {
			f.Upper = math.Min(f.Upper, a.Upper)
		} else {
			f.Lower = math.Max(f.Lower, a.Lower)
		}
	}
	return f
}

func product(x, y float64) float64 {
	if x == 0 || y == 0 {
		return 0 // also for 0 * infinity: the factor is 0 for sure
	}
	return x * y
}

func quotient(x, y float64) float64 {
	if x == 0 || math.IsInf(y, 0) {
		return 0
	}
	return x / y
}

func hull(xs ...float64) (lower, upper float64) { return outward(slices.Min(xs), slices.Max(xs)) }

// outward widens an interval by one unit in the last place unless its ends are
// whole numbers that float64 holds exactly.
func outward(lower, upper float64) (float64, float64) {
	exact := func(x float64) bool { return x == math.Trunc(x) && math.Abs(x) < exactWhole }
	if math.IsNaN(lower) {
		lower = math.Inf(-1)
	} else if !exact(lower) {
		lower = math.Nextafter(lower, math.Inf(-1))
	}
	if math.IsNaN(upper) {
		upper = math.Inf(1)
	} else if !exact(upper) {
		upper = math.Nextafter(upper, math.Inf(1))
	}
	return lower, upper
}

// domain infers every value of an expression: from its branches, or by applying
// the operation to all combinations of its arguments' values, or from the bounds
// of a whole number.
func domain(e *Expr, args []Facts, f Facts) []value.Value {
	if e.Op == OpCase || e.Op == OpCoalesce {
		values := args
		if e.Op == OpCase {
			values = branches(args)
		}
		return merge(e, values, f)
	}
	if d := enumerate(e, args); d != nil {
		return d
	}
	if e.Type == value.TypeBool {
		return withNull([]value.Value{value.Bool(false), value.Bool(true)}, f.Nullable)
	}
	whole := e.Type == value.TypeInt || e.Op == OpFloor || e.Op == OpCeiling ||
		e.Op == OpRound && e.Args[1].Value.Int64() == 0
	if whole {
		return wholeDomain(e.Type, f)
	}
	return nil
}

// wholeDomain lists the whole numbers within bounds, if they are few.
func wholeDomain(t value.Type, f Facts) []value.Value {
	if !f.Bounded() || f.Upper-f.Lower >= maxDomain || math.Abs(f.Lower) >= exactWhole || math.Abs(f.Upper) >= exactWhole {
		return nil
	}
	var d []value.Value
	for x := math.Ceil(f.Lower); x <= f.Upper; x++ {
		switch t {
		case value.TypeInt:
			d = append(d, value.Int(int64(x)))
		case value.TypeDate:
			d = append(d, value.Date(int64(x)))
		default:
			d = append(d, value.Float(x))
		}
	}
	return withNull(d, f.Nullable)
}

func withNull(d []value.Value, nullable bool) []value.Value {
	if nullable && len(d) > 0 {
		d = append(d, value.Null(d[0].Type()))
	}
	return d
}

func merge(e *Expr, values []Facts, f Facts) []value.Value {
	var d []value.Value
	for _, v := range values {
		if v.Domain == nil {
			return nil
		}
		for _, x := range v.Domain {
			if !x.IsNull() || f.Nullable {
				d = append(d, widen(x, e.Type))
			}
		}
	}
	return distinct(d)
}

func enumerate(e *Expr, args []Facts) []value.Value {
	combinations := 1
	for _, a := range args {
		if a.Domain == nil {
			return nil
		}
		if combinations *= len(a.Domain); combinations > 10*maxDomain {
			return nil
		}
	}
	if e.Op == OpIn && len(args) > 2 && combinations > maxDomain {
		return nil
	}
	chosen := make([]value.Value, len(args))
	var d []value.Value
	var choose func(i int)
	choose = func(i int) {
		if i == len(args) {
			d = append(d, apply(e.Op, e.Type, chosen))
			return
		}
		for _, v := range args[i].Domain {
			chosen[i] = v
			choose(i + 1)
		}
	}
	choose(0)
	return distinct(d)
}

func distinct(d []value.Value) []value.Value {
	slices.SortFunc(d, value.Compare)
	d = slices.CompactFunc(d, func(a, b value.Value) bool { return a == b })
	if len(d) > maxDomain {
		return nil
	}
	return d
}

// Where narrows the facts of a column of type t by a condition `column op v`
// that is known to hold.
func (f Facts) Where(t value.Type, op Op, values ...value.Value) Facts {
	f.Nullable = false
	var kept []value.Value
	for _, v := range values {
		if !v.IsNull() {
			kept = append(kept, v)
		}
	}
	if len(kept) == 0 {
		return f
	}
	if t != value.TypeText {
		least, most := within(slices.MinFunc(kept, value.Compare), slices.MaxFunc(kept, value.Compare))
		switch op {
		case OpEqual, OpIn:
			f.Lower, f.Upper = math.Max(f.Lower, least), math.Min(f.Upper, most)
		case OpLess, OpLessOrEqual:
			f.Upper = math.Min(f.Upper, most)
		case OpGreater, OpGreaterOrEqual:
			f.Lower = math.Max(f.Lower, least)
		}
		// Below a whole number lies at most the next one.
		whole := t == value.TypeInt || t == value.TypeDate
		if whole && op == OpLess && most == math.Trunc(most) && math.Abs(most) < exactWhole {
			f.Upper = math.Min(f.Upper, most-1)
		}
		if whole && op == OpGreater && least == math.Trunc(least) && math.Abs(least) < exactWhole {
			f.Lower = math.Max(f.Lower, least+1)
		}
	}
	holds := func(x value.Value) bool {
		return apply(op, value.TypeBool, append([]value.Value{x}, kept...)).True()
	}
	switch {
	case f.Domain != nil:
		f.Domain = slices.DeleteFunc(slices.Clone(f.Domain), func(x value.Value) bool { return !holds(x) })
	case op == OpEqual || op == OpIn:
		f.Domain = distinct(slices.DeleteFunc(slices.Clone(kept), func(x value.Value) bool { return x.Type() != t }))
	case t == value.TypeInt || t == value.TypeDate:
		f.Domain = wholeDomain(t, f)
	}
	return f
}
