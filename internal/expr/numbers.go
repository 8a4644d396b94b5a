package expr

import (
	"math"
	"math/bits"

	"github.com/intramuros/intramuros/internal/value"
)

// Numbers. The types of arguments are in parentheses. NULL arguments give NULL.
const (
	OpAdd       Op = "+"   // (number, number); (date, int days); (timestamp, int microseconds); or the int first
	OpSubtract  Op = "-"   // as +, with the int second; (date, date): int days; (timestamp, timestamp): int microseconds
	OpMultiply  Op = "*"   // (number, number)
	OpDivide    Op = "/"   // (number, number), always a float
	OpIntDivide Op = "div" // (int, int), truncated toward zero
	OpModulo    Op = "%"   // (int, int), with the sign of the dividend
	OpNegate    Op = "neg" // (number)

	OpRound   Op = "round" // (number, literal int 0..15): half away from zero
	OpFloor   Op = "floor" // (number)
	OpCeiling Op = "ceil"  // (number)
	OpAbs     Op = "abs"   // (number)

	// Real functions give NULL where they are undefined or beyond MostPower. sqrt is exact to the last bit. The others
	// are exact to a few units in the last place, and engines differ.
	OpSqrt  Op = "sqrt"  // (number)
	OpExp   Op = "exp"   // (number)
	OpLn    Op = "ln"    // (number)
	OpLog10 Op = "log10" // (number), exact for powers of ten
	OpPower Op = "power" // (number, number); 0 to the power of 0 is 1
)

// MostPower and LeastPower bound the results of exp and power. Larger results are NULL, and results nearer to 0 are 0.
// So no engine comes near its own limits.
const (
	MostPower  = 1e300
	LeastPower = 1e-300
)

var numbers = map[Op]operation{
	OpAdd: {
		fewest: 2, most: 2, typ: sumType, precedence: 5,
		evaluate: arithmetic(add, func(a, b float64) float64 { return a + b }),
		bounds: func(e *Expr, args []Range) Range {
			a, b := args[0], args[1]
			return computed(e, args)(a.Lower+b.Lower, a.Upper+b.Upper)
		},
	},
	OpSubtract: {
		fewest: 2, most: 2, typ: sumType, precedence: 5,
		evaluate: arithmetic(subtract, func(a, b float64) float64 { return a - b }),
		bounds: func(e *Expr, args []Range) Range {
			a, b := args[0], args[1]
			return computed(e, args)(a.Lower-b.Upper, a.Upper-b.Lower)
		},
	},
	OpMultiply: {
		fewest: 2, most: 2, typ: numberType, precedence: 6,
		evaluate: arithmetic(multiply, func(a, b float64) float64 { return a * b }),
		bounds: func(e *Expr, args []Range) Range {
			a, b := args[0], args[1]
			if e.Type == value.TypeFloat {
				a, b = a.near(nearZero), b.near(nearZero)
			}
			return computed(e, args)(corners(product, a, b))
		},
	},
	OpDivide: {
		fewest: 2, most: 2, typ: realType, precedence: 6,
		// x/0 is infinite or NaN, so it is NULL.
		evaluate: arithmetic(nil, func(a, b float64) float64 { return a / b }),
		bounds:   divideBounds,
	},
	OpIntDivide: {
		fewest: 2, most: 2, typ: takes(value.TypeInt, "an int", value.TypeInt), precedence: 6,
		evaluate: arithmetic(intDivide, nil),
		bounds:   intDivideBounds,
	},
	OpModulo: {
		fewest: 2, most: 2, typ: takes(value.TypeInt, "an int", value.TypeInt), precedence: 6,
		evaluate: arithmetic(modulo, nil),
		bounds:   moduloBounds,
	},
	OpNegate: {
		fewest: 1, most: 1, typ: numberType, precedence: 7,
		evaluate: function(negate, func(a float64) float64 { return -a }),
		bounds: func(e *Expr, args []Range) Range {
			return exactly(e, args, -args[0].Upper, -args[0].Lower)
		},
	},
	OpAbs: {
		fewest: 1, most: 1, typ: numberType,
		evaluate: function(func(a int64) (int64, bool) {
			if a < 0 {
				return negate(a)
			}
			return a, true
		}, math.Abs),
		bounds: func(e *Expr, args []Range) Range {
			a := args[0]
			lower, upper := 0.0, math.Max(math.Abs(a.Lower), math.Abs(a.Upper))
			if a.Lower > 0 || a.Upper < 0 {
				lower = math.Min(math.Abs(a.Lower), math.Abs(a.Upper))
			}
			return exactly(e, args, lower, upper)
		},
	},
	OpFloor:   rounding(math.Floor),
	OpCeiling: rounding(math.Ceil),
	OpRound: {
		fewest: 2, most: 2, typ: roundType,
		evaluate: func(t value.Type, args []value.Value) value.Value {
			if t == value.TypeInt {
				return args[0]
			}
			return value.Float(roundTo(args[0].Float64(), int(args[1].Int64())))
		},
		bounds: func(e *Expr, args []Range) Range {
			a, digits := args[0], int(e.Args[1].Value.Int64())
			switch {
			case e.Type == value.TypeInt:
				return within(args, a.Lower, a.Upper)
			case digits == 0:
				return within(args, roundTo(a.Lower, 0), roundTo(a.Upper, 0))
			}
			lower, upper := Outward(roundTo(a.Lower, digits), roundTo(a.Upper, digits))
			return within(args, lower, upper)
		},
		whole: func(e *Expr) bool { return e.Args[1].Value.Int64() == 0 },
	},

	OpSqrt: {
		fewest: 1, most: 1, typ: realType,
		evaluate: function(nil, math.Sqrt),
		bounds:   sqrtBounds,
	},
	OpExp: {
		fewest: 1, most: 1, typ: realType, inexact: true,
		evaluate: function(nil, func(a float64) float64 { return moderate(math.Exp(a)) }),
		bounds: func(_ *Expr, args []Range) Range {
			return powered(within(args, math.Exp(args[0].Lower), math.Exp(args[0].Upper)))
		},
	},
	OpLn:    logarithm(ln),
	OpLog10: logarithm(log10),
	OpPower: {
		fewest: 2, most: 2, typ: realType, inexact: true,
		evaluate: arithmetic(nil, func(a, b float64) float64 { return moderate(pow(a, b)) }),
		bounds:   func(e *Expr, args []Range) Range { return powerBounds(e, args[0], args[1]) },
	},
}

// arithmetic evaluates an operation on two numbers: with ints if the result is an int, otherwise with reals. A nil
// function means that the result never has that type. An int that does not fit 64 bits, and a float that is not finite,
// are NULL.
func arithmetic(ints func(a, b int64) (int64, bool), reals func(a, b float64) float64) func(value.Type, []value.Value) value.Value {
	return func(t value.Type, args []value.Value) value.Value {
		if t == value.TypeFloat {
			return value.Float(reals(args[0].Float64(), args[1].Float64()))
		}
		n, ok := ints(args[0].Int64(), args[1].Int64())
		return intOf(t, n, ok)
	}
}

// function is like arithmetic, for one number.
func function(ints func(int64) (int64, bool), reals func(float64) float64) func(value.Type, []value.Value) value.Value {
	return func(t value.Type, args []value.Value) value.Value {
		if t == value.TypeFloat {
			return value.Float(reals(args[0].Float64()))
		}
		n, ok := ints(args[0].Int64())
		return intOf(t, n, ok)
	}
}

// intOf is an int, or a date or timestamp with n days or microseconds; NULL unless ok.
func intOf(t value.Type, n int64, ok bool) value.Value {
	switch {
	case !ok:
		return value.Null(t)
	case isDay(t):
		return ordinal(t, n)
	}
	return value.Int(n)
}

func numberType(e *Expr) (value.Type, error) {
	return commonType(e.Args), e.all(value.Type.Numeric, "a number")
}

func realType(e *Expr) (value.Type, error) {
	return value.TypeFloat, e.all(value.Type.Numeric, "a number")
}

// sumType is the type of a sum or a difference of numbers, or of one with a date or timestamp.
func sumType(e *Expr) (value.Type, error) {
	switch a, b := e.Args[0].Type, e.Args[1].Type; {
	case isDay(a) && b == value.TypeInt:
		return a, nil
	case e.Op == OpAdd && a == value.TypeInt && isDay(b):
		return b, nil
	case e.Op == OpSubtract && isDay(a) && a == b:
		return value.TypeInt, nil
	}
	return numberType(e)
}

func roundType(e *Expr) (value.Type, error) {
	d := e.Args[1]
	if d.Op != OpLiteral || d.Type != value.TypeInt || d.Value.IsNull() || d.Value.Int64() < 0 || d.Value.Int64() > 15 {
		return "", mistyped("round takes a constant number of digits from 0 to 15")
	}
	if !e.Args[0].Type.Numeric() {
		return "", mistyped("round needs a number, and %s is a %s", e.Args[0], e.Args[0].Type)
	}
	return e.Args[0].Type, nil
}

// rounding is an operation that gives whole numbers. Ints stay as they are.
func rounding(f func(float64) float64) operation {
	return operation{
		fewest: 1, most: 1, typ: numberType,
		evaluate: function(func(a int64) (int64, bool) { return a, true }, f),
		bounds:   func(_ *Expr, args []Range) Range { return within(args, f(args[0].Lower), f(args[0].Upper)) },
		whole:    always,
	}
}

func add(a, b int64) (int64, bool) {
	s := a + b
	return s, (s > a) == (b > 0)
}

func subtract(a, b int64) (int64, bool) {
	s := a - b
	return s, (s < a) == (b > 0)
}

// multiply returns a*b, and whether it fits in 64 bits.
func multiply(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		if low > 1<<63 {
			return 0, false
		}
		return -int64(low), true //nolint:gosec // it wraps only for 1<<63, to MinInt64, as intended
	}
	if low > math.MaxInt64 {
		return 0, false
	}
	return int64(low), true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func negate(a int64) (int64, bool) { return -a, a != math.MinInt64 }

func intDivide(a, b int64) (int64, bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	return a / b, true
}

func modulo(a, b int64) (int64, bool) {
	switch b {
	case 0:
		return 0, false
	case -1:
		return 0, true
	}
	return a % b, true
}

func divideBounds(e *Expr, args []Range) Range {
	a, b := args[0], args[1]
	if b.Lower <= 0 && b.Upper >= 0 {
		return Unknown(true)
	}
	a = a.near(nearZero)
	if math.Abs(b.Lower) > farFromZero || math.Abs(b.Upper) > farFromZero {
		a = a.near(1)
	}
	return computed(e, args)(corners(quotient, a, b))
}

func intDivideBounds(e *Expr, args []Range) Range {
	a, b := args[0], args[1]
	if b.Lower <= 0 && b.Upper >= 0 { // |a div b| <= |a| for a whole number b
		f, m := Unknown(true), math.Max(math.Abs(a.Lower), math.Abs(a.Upper))
		f.Lower, f.Upper = -m, m
		return f
	}
	f := computed(e, args)(corners(quotient, a, b))
	f.Lower, f.Upper = math.Trunc(f.Lower), math.Trunc(f.Upper)
	return f
}

func moduloBounds(_ *Expr, args []Range) Range {
	a, b := args[0], args[1]
	m := math.Max(math.Abs(b.Lower), math.Abs(b.Upper))
	if m < ExactWhole {
		m = math.Max(0, m-1) // |a % b| < |b| for ints
	}
	m = math.Min(m, math.Max(math.Abs(a.Lower), math.Abs(a.Upper)))
	f := within(args, -m, m)
	if a.Lower >= 0 {
		f.Lower = 0
	}
	if a.Upper <= 0 {
		f.Upper = 0
	}
	f.Nullable = f.Nullable || b.Lower <= 0 && b.Upper >= 0
	return f
}

// moderate limits the result of exp or power, because engines fail near their own limits. NaN stands for NULL.
func moderate(x float64) float64 {
	switch {
	case math.Abs(x) > MostPower:
		return math.NaN()
	case math.Abs(x) < LeastPower:
		return 0
	}
	return x
}

// ln is math.Log, corrected for subnormal numbers, for which math.Log is wrong on some machines.
func ln(x float64) float64 {
	if x > 0 && x < LeastPower {
		return math.Log(x*0x1p100) - 100*math.Ln2
	}
	return math.Log(x)
}

// pow is math.Pow, with the same correction.
func pow(x, y float64) float64 {
	if x != 0 && math.Abs(x) < LeastPower {
		return math.Pow(x*0x1p100, y) * math.Exp2(-100*y)
	}
	return math.Pow(x, y)
}

// log10 is exact for powers of ten, unlike math.Log10.
func log10(x float64) float64 {
	y := ln(x) / math.Ln10
	if whole := math.Round(y); math.Abs(whole) < 300 && math.Pow(10, whole) == x {
		return whole
	}
	return y
}

// roundTo rounds half away from zero at so many decimal digits. If scaling overflows, the number has no such digits and
// stays as it is.
func roundTo(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	scaled := x * scale
	if math.IsInf(scaled, 0) {
		return x
	}
	return math.Copysign(math.Floor(math.Abs(scaled)+0.5), x) / scale
}

func sqrtBounds(_ *Expr, args []Range) Range {
	a := args[0]
	if a.Upper < 0 {
		return Unknown(true) // the only value is NULL
	}
	at := func(x float64) float64 { return math.Sqrt(math.Max(x, 0)) }
	f := within(args, at(a.Lower), math.Min(at(a.Upper), math.Sqrt(math.MaxFloat64)))
	f.Nullable = f.Nullable || a.Lower < 0
	return f
}

// logarithm is an increasing function of positive numbers. An engine's result may differ from ours by a few units in
// the last place; its bounds allow for that.
func logarithm(log func(float64) float64) operation {
	bounds := func(_ *Expr, args []Range) Range {
		a := args[0]
		if a.Upper <= 0 {
			return Unknown(true) // the only value is NULL
		}
		at := func(x float64) float64 { return log(math.Max(x, 0)) }
		f := within(args, math.Max(loosen(at(a.Lower), -1), at(math.SmallestNonzeroFloat64)-1), math.Min(loosen(at(a.Upper), 1), at(math.MaxFloat64)+1))
		f.Nullable = f.Nullable || a.Lower <= 0
		return f
	}
	return operation{fewest: 1, most: 1, typ: realType, inexact: true, evaluate: function(nil, log), bounds: bounds}
}

// powered bounds the result of exp or power, given its bounds before limiting: results beyond MostPower are NULL, and
// results below LeastPower are 0.
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

func powerBounds(e *Expr, a, b Range) Range {
	f := Unknown(a.Nullable || b.Nullable)
	exponent := e.Args[1]
	whole := exponent.Op == OpLiteral && !exponent.Value.IsNull() && exponent.Value.Float64() == math.Trunc(exponent.Value.Float64()) &&
		exponent.Value.Float64() > 0 && exponent.Value.Float64() < 1000
	switch {
	case a.Lower > 0 || a.Lower == 0 && b.Lower > 0: // power is monotone along each side
		if !a.Bounded() || !b.Bounded() {
			f.Lower, f.Nullable = 0, true
			f.Upper = MostPower
			return f
		}
		f.Lower, f.Upper = corners(pow, a, b)
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
