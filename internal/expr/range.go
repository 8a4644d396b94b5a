package expr

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// maxDomain is the largest domain that is inferred for an expression; larger
// ones count as undeclared.
const maxDomain = 1000

// Range is what is known of an expression's value before any row is read.
type Range struct {
	Nullable bool
	// Lower and Upper bound a number (or a date's days, a timestamp's
	// microseconds); infinite where nothing is known.
	Lower, Upper float64
	// Domain lists every value that the expression can take, NULL included where
	// it is nullable, sorted; nil where they are not known.
	Domain []value.Value
}

// Bounded reports whether both bounds are known.
func (f Range) Bounded() bool { return !math.IsInf(f.Lower, 0) && !math.IsInf(f.Upper, 0) }

// Unknown is of a value of which nothing is known, but whether it may be NULL.
func Unknown(nullable bool) Range {
	return Range{Nullable: nullable, Lower: math.Inf(-1), Upper: math.Inf(1)}
}

// RangeOf derives the facts of an expression; column is asked for those of each
// column and of the hospital's name.
//
// Bounds follow interval arithmetic (Moore 1966), evaluated in float64 and
// widened by one unit in the last place at each operation that may round.
func RangeOf(e *Expr, column func(*Expr) Range) Range { return NewRangeAnalysis(column).Range(e) }

// RangeAnalysis derives the facts of expressions over the same columns, of each part
// once: parts may be used several times, and a compiler asks for them one by one.
type RangeAnalysis struct {
	column func(*Expr) Range
	known  map[*Expr]Range
	left   *Budget
	bare   bool // no domains are wanted
	// conditions hold of every row, and are of what is made of columns.
	conditions []*Expr
}

// NewRangeAnalysis asks column for the facts of each column and of the hospital's name.
func NewRangeAnalysis(column func(*Expr) Range) *RangeAnalysis {
	return &RangeAnalysis{column: column, known: map[*Expr]Range{}, left: NewScopeBudget()}
}

// NewRangeAnalysisWhere is NewRangeAnalysis on rows that fulfil the filter, which may be nil. It spends from a budget, and lists domains
// only if they are wanted. Each column's facts are narrowed once: a hostile filter has many conditions on many columns.
func NewRangeAnalysisWhere(filter *Expr, b *Budget, domains bool, column func(*Expr) Range) *RangeAnalysis {
	type name struct{ relation, column string }
	of := func(e *Expr) name { return name{e.Relation, strings.ToLower(e.Column)} }
	conditions, known := map[name][]*Expr{}, map[name]Range{}
	var made []*Expr // of what is made of columns
	for _, c := range Conjuncts(filter) {
		if of := c.Args; len(of) > 0 && len(of[0].Args) > 0 && len(made) < maxMade {
			made = append(made, c)
		}
		at := c
		for len(at.Args) > 0 {
			at = at.Args[0]
		}
		conditions[of(at)] = append(conditions[of(at)], c)
	}
	i := NewRangeAnalysis(func(e *Expr) Range {
		f, ok := known[of(e)]
		if !ok {
			f = column(e)
			for _, c := range conditions[of(e)] {
				f = f.restrictBy(e, c)
			}
			known[of(e)] = f
		}
		return f
	})
	i.conditions, i.left, i.bare = made, b, !domains
	return i
}

// Range derives what is known of an expression; see RangeOf.
func (i *RangeAnalysis) Range(e *Expr) Range {
	f, ok := i.known[e]
	if !ok {
		f = i.derive(e)
		i.known[e] = f
	}
	return f
}

func (i *RangeAnalysis) derive(e *Expr) Range {
	if e.Op == OpColumn || e.Op == OpHospital {
		return i.column(e)
	}
	if e.Op == OpLiteral {
		f := Unknown(e.Value.IsNull())
		f.Domain = []value.Value{*e.Value}
		if !f.Nullable && e.Type != value.TypeText {
			f.Lower, f.Upper = Bounds(*e.Value, *e.Value)
		}
		return f
	}
	i.left.visits--
	args := make([]Range, len(e.Args))
	for k, a := range e.Args {
		args[k] = i.Range(a)
	}
	f := interval(e, args)
	switch {
	case e.Type == value.TypeInt:
		f.Lower, f.Upper = math.Max(f.Lower, math.MinInt64), math.Min(f.Upper, math.MaxInt64)
		if f.Lower == math.MinInt64 {
			f.Lower = math.Inf(-1)
		}
		if f.Upper == math.MaxInt64 {
			f.Upper = math.Inf(1)
		}
	case isDay(e.Type):
		least, most := dayLimits(e.Type)
		if f.Lower < least || f.Upper > most { // what is beyond is NULL; infinite stays: nobody bounded it
			f.Nullable = true
			if !math.IsInf(f.Lower, 0) {
				f.Lower = math.Max(f.Lower, least)
			}
			if !math.IsInf(f.Upper, 0) {
				f.Upper = math.Min(f.Upper, most)
			}
		}
	}
	if f.Lower > f.Upper { // no value but NULL
		f = Unknown(true)
	}
	if !i.bare {
		f.Domain = i.domain(e, args, f)
	}
	for _, c := range i.conditions {
		f = f.restrictBy(e, c)
	}
	return f
}

func dayLimits(t value.Type) (least, most float64) {
	if t == value.TypeDate {
		return value.MinDate, value.MaxDate
	}
	return Bounds(value.Timestamp(value.MinTimestamp), value.Timestamp(value.MaxTimestamp))
}

// WithinType narrows the facts of a date or timestamp to what the type can hold.
func (f Range) WithinType(t value.Type) Range {
	if isDay(t) {
		least, most := dayLimits(t)
		f.Lower, f.Upper = math.Max(f.Lower, least), math.Min(f.Upper, most)
	}
	return f
}

// ExactWhole bounds the whole numbers that float64 all holds.
const ExactWhole = 1 << 53

// Bounds gives those of values from lower to upper as float64, which may be
// coarser than a 64-bit int.
func Bounds(lower, upper value.Value) (float64, float64) {
	a, b := lower.Float64(), upper.Float64()
	if math.Abs(a) >= ExactWhole {
		a = math.Nextafter(a, math.Inf(-1))
	}
	if math.Abs(b) >= ExactWhole {
		b = math.Nextafter(b, math.Inf(1))
	}
	return a, b
}

func interval(e *Expr, args []Range) Range {
	anyNull := false
	for _, a := range args {
		anyNull = anyNull || a.Nullable
	}
	f := Unknown(anyNull)
	// Whether an operation whose exact result may leave the type can do so here.
	mayOverflow := func() bool {
		if isDay(e.Type) {
			return false // RangeOf knows
		}
		if e.Type == value.TypeInt {
			return f.Lower <= math.MinInt64 || f.Upper >= math.MaxInt64
		}
		return !f.Bounded()
	}
	var a, b Range
	if len(args) > 0 {
		a = args[0]
	}
	if len(args) > 1 {
		b = args[1]
	}
	switch e.Op {
	case OpAdd:
		f.Lower, f.Upper = Outward(a.Lower+b.Lower, a.Upper+b.Upper)
		f.Nullable = f.Nullable || mayOverflow()
	case OpSubtract:
		f.Lower, f.Upper = Outward(a.Lower-b.Upper, a.Upper-b.Lower)
		f.Nullable = f.Nullable || mayOverflow()
	case OpMultiply:
		if e.Type == value.TypeFloat {
			a, b = a.near(nearZero), b.near(nearZero)
		}
		f.Lower, f.Upper = hull(product(a.Lower, b.Lower), product(a.Lower, b.Upper), product(a.Upper, b.Lower), product(a.Upper, b.Upper))
		f.Nullable = f.Nullable || mayOverflow()
	case OpDivide, OpIntDivide:
		f.Nullable = true
		if b.Lower > 0 || b.Upper < 0 {
			if e.Op == OpDivide {
				a = a.near(nearZero)
				if math.Abs(b.Lower) > farFromZero || math.Abs(b.Upper) > farFromZero {
					a = a.near(1)
				}
			}
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
		m := math.Max(math.Abs(b.Lower), math.Abs(b.Upper))
		if m < ExactWhole {
			m = math.Max(0, m-1) // |a % b| < |b|, in ints
		}
		m = math.Min(m, math.Max(math.Abs(a.Lower), math.Abs(a.Upper)))
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
			f.Lower, f.Upper = Outward(roundTo(a.Lower, digits), roundTo(a.Upper, digits))
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
	case OpIsNull, OpDistinct:
		f.Nullable = false
	case OpLength, OpPosition:
		f.Lower = 0
	case OpSqrt, OpExp, OpLn, OpLog10:
		f = growing(e.Op, a)
	case OpPower:
		f = powerFacts(e, a, b)
	case OpExtract, OpTruncate, OpAddMonths, OpMonths, OpMakeDate:
		f = dateFacts(e, args)
	case OpConcat, OpLower, OpUpper, OpLeftTrim, OpRightTrim, OpSubstring, OpReplace, OpSplit, OpRegexp:
	case OpIn, OpEqual, OpNotEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual, OpLike, OpAnd, OpOr, OpNot:
	case OpCast:
		f = castFacts(e, a)
	}
	if e.Type == value.TypeBool {
		f.Lower, f.Upper = 0, 1
	}
	return f
}

// growing bounds a function that only grows, by its values at the ends; these may
// differ from an engine's by a few units in the last place, for which room is left.
func growing(op Op, a Range) Range {
	at := func(x float64) float64 {
		switch op {
		case OpSqrt:
			return math.Sqrt(math.Max(x, 0))
		case OpExp:
			return math.Exp(x)
		case OpLn:
			return ln(math.Max(x, 0))
		}
		return log10(math.Max(x, 0))
	}
	if op != OpExp && (a.Upper < 0 || a.Upper == 0 && op != OpSqrt) {
		return Unknown(true) // NULL and nothing else
	}
	f := Unknown(a.Nullable)
	f.Lower, f.Upper = at(a.Lower), at(a.Upper)
	switch op {
	case OpSqrt:
		f.Nullable = f.Nullable || a.Lower < 0
		f.Upper = math.Min(f.Upper, math.Sqrt(math.MaxFloat64))
	case OpExp:
		f = powered(f)
	default:
		f.Nullable = f.Nullable || a.Lower <= 0
		f.Lower = math.Max(loosen(f.Lower, -1), at(math.SmallestNonzeroFloat64)-1)
		f.Upper = math.Min(loosen(f.Upper, 1), at(math.MaxFloat64)+1)
	}
	return f
}

// loosen moves a bound outward by more than engines' functions differ.
func loosen(x, sign float64) float64 { return x + sign*(math.Abs(x)*1e-13+1e-300) }

// powered bounds a result of exp or power, given its bounds before the limits of
// these: beyond MostPower is NULL, below LeastPower is 0.
func powered(f Range) Range {
	lower, upper := loosen(f.Lower, -1), loosen(f.Upper, 1)
	if f.Lower >= 0 {
		lower = math.Max(lower, 0)
	}
	if f.Upper <= 0 {
		upper = math.Min(upper, 0)
	}
	f.Lower, f.Upper = lower, upper
	f = f.near(2 * LeastPower)
	if !(f.Lower > -MostPower && f.Upper < MostPower) {
		f.Nullable = true
		f.Lower, f.Upper = math.Max(f.Lower, -MostPower), math.Min(f.Upper, MostPower)
	}
	return f
}

func powerFacts(e *Expr, a, b Range) Range {
	f := Unknown(a.Nullable || b.Nullable)
	exponent := e.Args[1]
	whole := exponent.Op == OpLiteral && !exponent.Value.IsNull() && exponent.Value.Float64() == math.Trunc(exponent.Value.Float64()) &&
		exponent.Value.Float64() > 0 && exponent.Value.Float64() < 1000
	switch {
	case a.Lower > 0 || a.Lower == 0 && b.Lower > 0: // a grows or falls along each side
		if !a.Bounded() || !b.Bounded() {
			f.Lower, f.Nullable = 0, true
			f.Upper = MostPower
			return f
		}
		corners := []float64{pow(a.Lower, b.Lower), pow(a.Lower, b.Upper), pow(a.Upper, b.Lower), pow(a.Upper, b.Upper)}
		f.Lower, f.Upper = slices.Min(corners), slices.Max(corners)
	case whole && a.Bounded():
		n := exponent.Value.Float64()
		x, y := pow(a.Lower, n), pow(a.Upper, n)
		f.Lower, f.Upper = math.Min(x, y), math.Max(x, y)
		if math.Mod(n, 2) == 0 && a.Lower < 0 && a.Upper > 0 {
			f.Lower = 0
		}
	default:
		f.Nullable = true
		f.Lower, f.Upper = -MostPower, MostPower
		return f
	}
	return powered(f)
}

// dateFacts bounds the operations on dates. All but the cyclic fields only grow or
// only fall along each argument.
func dateFacts(e *Expr, args []Range) Range {
	nullable := false
	for _, a := range args {
		nullable = nullable || a.Nullable
	}
	f := Unknown(nullable)
	t := e.Args[len(e.Args)-1].Type
	if e.Op == OpAddMonths {
		t = e.Type
	}
	// The ends of an argument, as whole days or microseconds within the type.
	ends := func(a Range) (low, high int64) {
		a = a.WithinType(t)
		return int64(math.Ceil(a.Lower)), int64(math.Floor(a.Upper))
	}
	switch e.Op {
	case OpExtract:
		field := Field(e.Args[0].Value.Str())
		known := fields[field]
		f.Lower, f.Upper = float64(known.lower), float64(known.upper)
		low, high := ends(args[1])
		if field == FieldISOYear && high-low >= 0 {
			f.Lower, f.Upper = math.Max(1, float64(extract(FieldYear, t, low)-1)), float64(extract(FieldYear, t, high)+1)
		} else if known.parent == "ever" || units[known.parent] && truncate(known.parent, t, low) == truncate(known.parent, t, high) {
			f.Lower, f.Upper = float64(extract(field, t, low)), float64(extract(field, t, high))
		}
	case OpTruncate:
		if args[1].Bounded() {
			low, high := ends(args[1])
			unit := Unit(e.Args[0].Value.Str())
			f.Lower, f.Upper = Outward(float64(truncate(unit, t, low)), float64(truncate(unit, t, high)))
		}
	case OpAddMonths:
		n := args[1]
		if !args[0].Bounded() || !n.Bounded() {
			f.Nullable = true
			return f
		}
		low, high := ends(args[0])
		f.Nullable = f.Nullable || n.Lower < -maxMonths || n.Upper > maxMonths
		least, most := math.Max(n.Lower, -maxMonths), math.Min(n.Upper, maxMonths)
		if least > most {
			return Unknown(true)
		}
		f.Lower, f.Upper = Outward(float64(addMonths(t, low, int64(least))), float64(addMonths(t, high, int64(most))))
	case OpMonths:
		if args[0].Bounded() && args[1].Bounded() {
			fromLow, fromHigh := ends(args[0])
			toLow, toHigh := ends(args[1])
			f.Lower, f.Upper = float64(months(t, fromHigh, toLow)), float64(months(t, fromLow, toHigh))
		}
	case OpMakeDate:
		f.Lower, f.Upper = math.Inf(-1), math.Inf(1)
		y, m, d := args[0], args[1], args[2]
		f.Nullable = f.Nullable || y.Lower < 1 || y.Upper > 9999 || m.Lower < 1 || m.Upper > 12 || d.Lower < 1 || d.Upper > 28
		if y.Bounded() {
			made := func(y, m, d float64) float64 {
				return float64(ordinalOf(value.TypeDate, time.Date(int(y), time.Month(int(m)), int(d), 0, 0, 0, 0, time.UTC)))
			}
			f.Lower = made(clamp(y.Lower, 1, 9999), clamp(m.Lower, 1, 12), clamp(d.Lower, 1, 31))
			f.Upper = made(clamp(y.Upper, 1, 9999), clamp(m.Upper, 1, 12), clamp(d.Upper, 1, 31))
		}
	}
	return f
}

func clamp(x, lower, upper float64) float64 { return math.Min(math.Max(x, lower), upper) }

func castFacts(e *Expr, a Range) Range {
	f := Unknown(a.Nullable)
	switch from := e.Args[0].Type; {
	case from == e.Type:
		return a
	case from == value.TypeText:
		f.Nullable = true
	case from == value.TypeInt && e.Type == value.TypeFloat, from == value.TypeBool && e.Type == value.TypeInt:
		f.Lower, f.Upper = Outward(a.Lower, a.Upper)
		if a.Bounded() && math.Abs(a.Lower) < ExactWhole && math.Abs(a.Upper) < ExactWhole {
			f.Lower, f.Upper = a.Lower, a.Upper
		}
	case from == value.TypeFloat:
		f.Lower, f.Upper = roundTo(a.Lower, 0), roundTo(a.Upper, 0)
		f.Nullable = a.Nullable || !(f.Lower > -(1<<63) && f.Upper < 1<<63)
	case e.Type == value.TypeTimestamp:
		f.Lower, f.Upper = Outward(a.Lower*microsecondsPerDay, a.Upper*microsecondsPerDay)
	case e.Type == value.TypeDate:
		f.Lower, f.Upper = math.Floor(a.Lower/microsecondsPerDay), math.Floor(a.Upper/microsecondsPerDay)
	}
	return f
}

func branches(args []Range) []Range {
	var values []Range
	for i, a := range args {
		if i%2 == 1 || i == len(args)-1 {
			values = append(values, a)
		}
	}
	return values
}

// null reports whether the facts are those of a NULL and nothing else.
func (f Range) null() bool { return len(f.Domain) == 1 && f.Domain[0].IsNull() }

func union(args []Range) Range {
	f := Range{Lower: math.Inf(1), Upper: math.Inf(-1)}
	for _, a := range args {
		f.Nullable = f.Nullable || a.Nullable
		if !a.null() {
			f.Lower, f.Upper = math.Min(f.Lower, a.Lower), math.Max(f.Upper, a.Upper)
		}
	}
	if f.Lower > f.Upper {
		return Unknown(true)
	}
	return f
}

func extreme(op Op, args []Range) Range {
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

// An engine may take a real number that is nearer to zero than nearZero for 0 where it multiplies it or divides it, and
// one that is nearer than 1 where it divides it by one beyond farFromZero.
const (
	nearZero    = 1e-150
	farFromZero = 0x1p500
)

// near has 0 in the interval where it has numbers nearer to 0 than a limit.
func (f Range) near(limit float64) Range {
	if f.Lower < limit && f.Upper > -limit {
		f.Lower, f.Upper = math.Min(f.Lower, 0), math.Max(f.Upper, 0)
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

func hull(xs ...float64) (lower, upper float64) { return Outward(slices.Min(xs), slices.Max(xs)) }

// Outward widens an interval by one unit in the last place unless its ends are
// whole numbers that float64 holds exactly.
func Outward(lower, upper float64) (float64, float64) {
	exact := func(x float64) bool { return x == math.Trunc(x) && math.Abs(x) < ExactWhole }
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
	whole := e.Type == value.TypeInt || e.Type == value.TypeDate || e.Op == OpFloor || e.Op == OpCeiling ||
		e.Op == OpRound && e.Args[1].Value.Int64() == 0
	if whole {
		return wholeDomain(e.Type, f)
	}
	return nil
}

// Values lists the values of a column of type t, if they are few: those that are declared, or else all within the bounds.
func (f Range) Values(t value.Type, declared []value.Value) Range {
	switch {
	case declared != nil && len(declared) < maxDomain:
		f.Domain = withNull(slices.Clone(declared), f.Nullable)
	case t == value.TypeBool:
		f.Domain = withNull([]value.Value{value.Bool(false), value.Bool(true)}, f.Nullable)
	case t == value.TypeInt || t == value.TypeDate:
		f.Domain = wholeDomain(t, f)
	}
	return f
}

// OrNull is of a value of type t that may be NULL as well.
func (f Range) OrNull(t value.Type) Range {
	f.Nullable = true
	if f.Domain != nil && !slices.ContainsFunc(f.Domain, value.Value.IsNull) {
		f.Domain = append(slices.Clone(f.Domain), value.Null(t))
	}
	return f
}

// Union is of a value of type t that is one of several, of which these are known.
func Union(t value.Type, all []Range, left *Budget) Range {
	f := union(all)
	f.Domain = merge(t, all, f, left)
	return f
}

// beginnings lists the beginnings of a unit within bounds, if they are few.
func beginnings(e *Expr, f Range) []value.Value {
	if !f.Bounded() {
		return nil
	}
	f = f.WithinType(e.Type)
	unit, d := Unit(e.Args[0].Value.Str()), []value.Value(nil)
	for n := truncate(unit, e.Type, int64(math.Ceil(f.Lower))); float64(n) <= f.Upper; n = next(unit, e.Type, n) {
		if len(d) >= maxDomain {
			return nil
		}
		if v := ordinal(e.Type, n); !v.IsNull() {
			d = append(d, v)
		}
	}
	return withNull(d, f.Nullable)
}

// wholeDomain lists the whole numbers within bounds, if they are few.
func wholeDomain(t value.Type, f Range) []value.Value {
	if !f.Bounded() || f.Upper-f.Lower >= maxDomain || math.Abs(f.Lower) >= ExactWhole || math.Abs(f.Upper) >= ExactWhole {
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

// equals lists the values of a type that equal one of others, which may be of another number type: 10 is 10.0. nil
// where a float equals more ints than one.
func equals(t value.Type, others []value.Value) []value.Value {
	d := []value.Value{}
	for _, v := range others {
		switch {
		case v.Type() == t:
			d = append(d, v)
		case t == value.TypeFloat && v.Type() == value.TypeInt:
			d = append(d, value.Float(v.Float64()))
		case t == value.TypeInt && v.Type() == value.TypeFloat:
			x := v.Float64()
			if math.Abs(x) >= ExactWhole {
				return nil
			}
			if x == math.Trunc(x) {
				d = append(d, value.Int(int64(x)))
			}
		}
	}
	return distinct(d)
}

func (i *RangeAnalysis) enumerate(e *Expr, args []Range) []value.Value {
	if inexact(e.Op) {
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
	long := false // one is longer than a key, and every text made of it would be longer still
	var choose func(i int)
	choose = func(i int) {
		if left.characters < 0 || long {
			return
		}
		if i == len(args) {
			if left.characters -= written(e.Op, chosen); left.characters < 0 {
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

// inexact reports whether an engine's value of the operation may be the neighbour of ours.
func inexact(op Op) bool {
	return op == OpExp || op == OpLn || op == OpLog10 || op == OpPower
}

// maxOperations bounds the expressions whose values are listed as one, over their variables.
const maxOperations = 200

// overVariables lists the values of an expression that reads a variable more than once, such as a month written with two
// digits: the combinations of its arguments' values would hold some that no row gives. A variable is a column whose values
// are known, or else the innermost part that has known values. nil where the values are not known, or no variable is read
// twice.
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

// variables are what an expression is made of, see overVariables.
type variables struct {
	inference  *RangeAnalysis
	all        []*Expr
	places     map[*Expr]int // where each stands in all
	shared     bool          // one is read twice
	operations int
}

// find collects the variables of an expression; false where one has no known values.
func (v *variables) find(e *Expr) bool {
	if v.operations++; v.operations > maxOperations {
		return false
	}
	if e.Op == OpLiteral {
		return true
	}
	if len(e.Args) > 0 && !inexact(e.Op) && e.Op != OpRegexp {
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

// evaluate computes the expression where the variables have these values.
func (v *variables) evaluate(e *Expr, chosen []value.Value, left *Budget) value.Value {
	if e.Op == OpLiteral {
		return *e.Value
	}
	if k, ok := v.places[e]; ok {
		return chosen[k]
	}
	args := make([]value.Value, len(e.Args))
	for k, a := range e.Args {
		args[k] = v.evaluate(a, chosen, left)
	}
	left.characters -= written(e.Op, args)
	return apply(e.Op, e.Type, args)
}

// written is about how many bytes an operation on texts writes before the result is cut.
func written(op Op, args []value.Value) int {
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
func (f Range) Restrict(t value.Type, op Op, values ...value.Value) Range {
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
		least, most := Bounds(slices.MinFunc(kept, value.Compare), slices.MaxFunc(kept, value.Compare))
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
		if whole && op == OpLess && most == math.Trunc(most) && math.Abs(most) < ExactWhole {
			f.Upper = math.Min(f.Upper, most-1)
		}
		if whole && op == OpGreater && least == math.Trunc(least) && math.Abs(least) < ExactWhole {
			f.Lower = math.Max(f.Lower, least+1)
		}
	}
	holds := func(x value.Value) bool {
		return apply(op, value.TypeBool, append([]value.Value{x}, kept...)).True()
	}
	switch {
	case f.Domain != nil && len(f.Domain)*len(kept) <= 100*maxDomain: // a longer list is not worth the time
		f.Domain = slices.DeleteFunc(slices.Clone(f.Domain), func(x value.Value) bool { return !holds(x) })
	case f.Domain != nil:
	case op == OpEqual || op == OpIn:
		f.Domain = equals(t, kept)
	case t == value.TypeInt || t == value.TypeDate:
		f.Domain = wholeDomain(t, f)
	}
	return f
}

// maxMade is how many conditions on what is made of columns are looked at.
const maxMade = 10

// narrow applies a condition that every row fulfils to what is known of a column, or of what is made of columns:
// `x op constant`, IN, and IS NOT NULL.
func (f Range) restrictBy(column, condition *Expr) Range {
	is := func(e *Expr) bool {
		if len(e.Args) > 0 {
			return e.Equal(column)
		}
		return e.Op == column.Op && e.Relation == column.Relation && strings.EqualFold(e.Column, column.Column) &&
			(e.Op == OpColumn || e.Op == OpHospital)
	}
	switch condition.Op {
	case OpNot:
		if inner := condition.Args[0]; inner.Op == OpIsNull && is(inner.Args[0]) {
			f.Nullable = false
			if f.Domain != nil {
				f.Domain = slices.DeleteFunc(slices.Clone(f.Domain), value.Value.IsNull)
			}
		}
	case OpEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual, OpIn:
		if !is(condition.Args[0]) {
			return f
		}
		var values []value.Value
		for _, a := range condition.Args[1:] {
			if a.Op != OpLiteral {
				return f
			}
			values = append(values, *a.Value)
		}
		return f.Restrict(column.Type, condition.Op, values...)
	}
	return f
}

// Size is how many values there are, infinite where that is not known.
func (f Range) Size(discrete bool) float64 {
	switch {
	case f.Domain != nil:
		return float64(max(1, len(f.Domain)))
	case discrete && f.Bounded():
		return math.Max(1, math.Floor(f.Upper)-math.Ceil(f.Lower)+1) + map[bool]float64{true: 1}[f.Nullable]
	}
	return math.Inf(1)
}
