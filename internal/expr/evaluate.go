package expr

import (
	"math"
	"math/bits"
	"regexp"
	"strconv"

	"github.com/intramuros/intramuros/internal/value"
)

// Evaluate computes an expression; column is asked for each column's value and
// for the hospital's name. It never fails: what cannot be computed is NULL.
func Evaluate(e *Expr, column func(*Expr) value.Value) value.Value {
	switch e.Op {
	case OpColumn, OpHospital:
		return column(e)
	case OpLiteral:
		return *e.Value
	}
	args := make([]value.Value, len(e.Args))
	for i, a := range e.Args {
		args[i] = Evaluate(a, column)
		if a.Op == OpColumn && a.Type == value.TypeText && !e.readsWhole() {
			args[i] = Cut(args[i], MaxText)
		}
	}
	return apply(e.Op, e.Type, args)
}

// apply computes one operation on values.
func apply(op Op, t value.Type, args []value.Value) value.Value {
	switch op {
	case OpAnd, OpOr:
		absorbing := op == OpOr // OR: one true decides; AND: one false
		null := false
		for _, a := range args {
			if a.IsNull() {
				null = true
			} else if a.True() == absorbing {
				return value.Bool(absorbing)
			}
		}
		if null {
			return value.Null(value.TypeBool)
		}
		return value.Bool(!absorbing)
	case OpIsNull:
		return value.Bool(args[0].IsNull())
	case OpDistinct:
		return value.Bool(value.Compare(args[0], args[1]) != 0) // which takes two NULLs for equal
	case OpCase:
		for i := 0; i+1 < len(args); i += 2 {
			if args[i].True() {
				return widen(args[i+1], t)
			}
		}
		return widen(args[len(args)-1], t)
	case OpCoalesce, OpLeast, OpGreatest:
		best := value.Null(t)
		for _, a := range args {
			switch {
			case a.IsNull():
			case best.IsNull(), op == OpLeast && value.Compare(a, best) < 0, op == OpGreatest && value.Compare(a, best) > 0:
				if best.IsNull() || op != OpCoalesce {
					best = widen(a, t)
				}
			}
		}
		return best
	case OpIn:
		return in(args)
	}
	for _, a := range args {
		if a.IsNull() {
			return value.Null(t)
		}
	}
	switch op {
	case OpNot:
		return value.Bool(!args[0].True())
	case OpEqual, OpNotEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual:
		return value.Bool(compares(op, value.Compare(args[0], args[1])))
	case OpLike:
		p, err := likePattern(args[1].Str())
		if err != nil {
			return value.Null(t)
		}
		return value.Bool(p.MatchString(args[0].Str()))
	case OpRegexp:
		p, err := regexp.Compile(args[1].Str())
		if err != nil {
			return value.Null(t)
		}
		return value.Bool(p.MatchString(args[0].Str()))
	case OpExtract, OpTruncate, OpAddMonths, OpMonths, OpMakeDate:
		return dateOperation(op, args)
	case OpConcat, OpLower, OpUpper, OpLeftTrim, OpRightTrim, OpSubstring, OpLength, OpReplace, OpPosition, OpSplit:
		return textOperation(op, args)
	case OpAdd, OpSubtract:
		if isDay(t) {
			if sum := integer(op, args); !sum.IsNull() {
				return ordinal(t, sum.Int64())
			}
			return value.Null(t)
		}
	case OpCast:
		return convert(args[0], t)
	}
	if t == value.TypeInt {
		return integer(op, args)
	}
	return real(op, args)
}

func widen(v value.Value, t value.Type) value.Value {
	switch {
	case v.IsNull():
		return value.Null(t)
	case t == value.TypeFloat:
		return value.Float(v.Float64())
	}
	return v
}

func in(args []value.Value) value.Value {
	if args[0].IsNull() {
		return value.Null(value.TypeBool)
	}
	null := false
	for _, a := range args[1:] {
		if a.IsNull() {
			null = true
		} else if value.Compare(args[0], a) == 0 {
			return value.Bool(true)
		}
	}
	if null {
		return value.Null(value.TypeBool)
	}
	return value.Bool(false)
}

func compares(op Op, order int) bool {
	switch op {
	case OpEqual:
		return order == 0
	case OpNotEqual:
		return order != 0
	case OpLess:
		return order < 0
	case OpLessOrEqual:
		return order <= 0
	case OpGreater:
		return order > 0
	}
	return order >= 0
}

func integer(op Op, args []value.Value) value.Value {
	a, b := args[0].Int64(), int64(0)
	if len(args) > 1 {
		b = args[1].Int64()
	}
	null := value.Null(value.TypeInt)
	switch op {
	case OpAdd:
		if s := a + b; (s > a) == (b > 0) {
			return value.Int(s)
		}
	case OpSubtract:
		if s := a - b; (s < a) == (b > 0) {
			return value.Int(s)
		}
	case OpMultiply:
		if p, ok := multiply(a, b); ok {
			return value.Int(p)
		}
	case OpIntDivide:
		if b != 0 && !(a == math.MinInt64 && b == -1) {
			return value.Int(a / b)
		}
	case OpModulo:
		if b == -1 {
			return value.Int(0)
		}
		if b != 0 {
			return value.Int(a % b)
		}
	case OpNegate, OpAbs:
		if a == math.MinInt64 {
			return null
		}
		if op == OpNegate || a < 0 {
			a = -a
		}
		return value.Int(a)
	case OpRound, OpFloor, OpCeiling:
		return args[0]
	}
	return null
}

// multiply returns a*b and whether it fits in 64 bits.
func multiply(a, b int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	if high != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		if low > 1<<63 {
			return 0, false
		}
		return -int64(low), true //nolint:gosec // wraps for 1<<63 only, to MinInt64, as meant
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

func real(op Op, args []value.Value) value.Value {
	a, b := args[0].Float64(), 0.0
	if len(args) > 1 {
		b = args[1].Float64()
	}
	switch op {
	case OpAdd:
		return value.Float(a + b)
	case OpSubtract:
		return value.Float(a - b)
	case OpMultiply:
		return value.Float(a * b)
	case OpDivide:
		return value.Float(a / b) // x/0 is infinite or NaN, hence NULL
	case OpNegate:
		return value.Float(-a)
	case OpAbs:
		return value.Float(math.Abs(a))
	case OpFloor:
		return value.Float(math.Floor(a))
	case OpCeiling:
		return value.Float(math.Ceil(a))
	case OpRound:
		return value.Float(roundTo(a, int(args[1].Int64())))
	case OpSqrt:
		return value.Float(math.Sqrt(a))
	case OpLn:
		return value.Float(ln(a))
	case OpLog10:
		return value.Float(log10(a))
	case OpExp:
		return power(math.Exp(a))
	case OpPower:
		return power(pow(a, b))
	}
	return value.Null(value.TypeFloat)
}

// power gives the result of exp or power, which engines refuse near their limits.
func power(x float64) value.Value {
	switch {
	case math.Abs(x) > MostPower:
		return value.Null(value.TypeFloat)
	case math.Abs(x) < LeastPower:
		return value.Float(0)
	}
	return value.Float(x)
}

// ln is math.Log, which is wrong for subnormal numbers on some machines.
func ln(x float64) float64 {
	if x > 0 && x < LeastPower {
		return math.Log(x*0x1p100) - 100*math.Ln2
	}
	return math.Log(x)
}

// pow is math.Pow, likewise.
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

// roundTo rounds half away from zero at that many decimal digits. A number whose
// scaling overflows has no such digits and stays as it is.
func roundTo(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	scaled := x * scale
	if math.IsInf(scaled, 0) {
		return x
	}
	return math.Copysign(math.Floor(math.Abs(scaled)+0.5), x) / scale
}

// The texts that convert to a number or a day; engines use the same patterns,
// because each has its own idea of what else is one.
const (
	IntPattern   = `^[+-]?[0-9]{1,18}$`
	FloatPattern = `^[+-]?([0-9]{1,300}([.][0-9]{0,300})?|[.][0-9]{1,300})([eE][+-]?[0-9]{1,3})?$`
	DatePattern  = `^` + yearPattern + `-[0-9]{2}-[0-9]{2}$`
	TimePattern  = `^` + yearPattern + `-[0-9]{2}-[0-9]{2}[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?$`
	yearPattern  = `([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])`
)

var (
	intText   = regexp.MustCompile(IntPattern)
	floatText = regexp.MustCompile(FloatPattern)
	dateText  = regexp.MustCompile(DatePattern)
	timeText  = regexp.MustCompile(TimePattern)
)

func convert(v value.Value, t value.Type) value.Value {
	null := value.Null(t)
	switch from := v.Type(); {
	case from == t:
		return v
	case from == value.TypeText:
		pattern := map[value.Type]*regexp.Regexp{
			value.TypeInt: intText, value.TypeFloat: floatText, value.TypeDate: dateText, value.TypeTimestamp: timeText}[t]
		if pattern == nil || !pattern.MatchString(v.Str()) {
			return null
		}
		if t == value.TypeFloat {
			f, err := strconv.ParseFloat(v.Str(), 64)
			if err != nil {
				return null
			}
			return value.Float(f)
		}
		parsed, err := value.Parse(t, v.Str())
		if err != nil {
			return null
		}
		return parsed
	case t == value.TypeText:
		return value.Text(v.String())
	case t == value.TypeFloat:
		return value.Float(v.Float64())
	case from == value.TypeFloat: // to int, half away from zero
		f := roundTo(v.Float64(), 0)
		if f < -(1<<63) || f >= 1<<63 {
			return null
		}
		return value.Int(int64(f))
	case from == value.TypeBool:
		return value.Int(v.Int64())
	case from == value.TypeDate: // to timestamp
		return value.Timestamp(v.Int64() * microsecondsPerDay)
	case from == value.TypeTimestamp: // to date
		return value.Date(floorDivide(v.Int64(), microsecondsPerDay))
	}
	return null
}

func floorDivide(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
