package expr

import (
	"math"
	"regexp"
	"strconv"

	"github.com/intramuros/intramuros/internal/value"
)

// OpCast converts its argument to Type. A value that cannot be converted gives NULL.
const OpCast Op = "cast"

var casts = map[Op]operation{
	OpCast: {
		fewest: 1, most: 1,
		typ: func(e *Expr) (value.Type, error) {
			if !castable(e.Args[0].Type, e.Type) {
				return "", mistyped("a %s does not convert to %s", e.Args[0].Type, e.Type)
			}
			return value.ParseType(string(e.Type))
		},
		evaluate: func(t value.Type, args []value.Value) value.Value { return convert(args[0], t) },
		bounds:   func(e *Expr, args []Range) Range { return castRange(e, args[0]) },
		longest: func(e *Expr, of func(*Expr) int) int {
			if e.Args[0].Type != value.TypeText {
				return longestDigits
			}
			return of(e.Args[0])
		},
		readsWhole: always, // a text that long is neither a number nor a date
	},
}

// The texts that convert to a number or a date. Engines use the same patterns, because each engine accepts other forms
// too.
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

// convert computes a conversion.
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

// castable lists the conversions that mean the same on every engine. A float's digits as text differ between engines.
func castable(from, to value.Type) bool {
	if from == to {
		return true
	}
	switch from {
	case value.TypeText:
		return to != value.TypeBool
	case value.TypeInt:
		return to == value.TypeFloat || to == value.TypeText
	case value.TypeFloat:
		return to == value.TypeInt
	case value.TypeBool:
		return to == value.TypeInt || to == value.TypeText
	case value.TypeDate:
		return to == value.TypeTimestamp || to == value.TypeText
	case value.TypeTimestamp:
		return to == value.TypeDate
	}
	return false
}

// castRange bounds a conversion.
func castRange(e *Expr, a Range) Range {
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

// longestDigits is the length of the longest text of a number or a date.
const longestDigits = 30
