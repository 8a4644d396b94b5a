package value

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Type is the type of a value.
type Type string

// The types of Intramuros' SQL.
const (
	TypeBool      Type = "bool"
	TypeInt       Type = "int"       // 64-bit signed
	TypeFloat     Type = "float"     // 64-bit IEEE 754, always finite
	TypeText      Type = "text"      // UTF-8
	TypeDate      Type = "date"      // days since 1970-01-01, proleptic Gregorian, years 1 to 9999
	TypeTimestamp Type = "timestamp" // microseconds since 1970-01-01T00:00:00, no zone, years 1 to 9999
)

// The first and the last date in days, and timestamp in microseconds: the years that every engine supports and that
// have four digits.
const (
	MinDate      = -719_162
	MaxDate      = 2_932_896
	MinTimestamp = MinDate * 86_400_000_000
	MaxTimestamp = (MaxDate+1)*86_400_000_000 - 1
)

// ErrType says that a text is not the name of a type, or not a value of the given type.
var ErrType = errors.New("not a value of this type")

// ParseType returns the type of that name.
func ParseType(name string) (Type, error) {
	switch t := Type(name); t {
	case TypeBool, TypeInt, TypeFloat, TypeText, TypeDate, TypeTimestamp:
		return t, nil
	}
	return "", fmt.Errorf("%q is no type; the types are bool, int, float, text, date and timestamp: %w", name, ErrType)
}

// Numeric reports whether arithmetic applies to the type.
func (t Type) Numeric() bool { return t == TypeInt || t == TypeFloat }

// Value is one value or a NULL of some type. The zero Value is invalid.
type Value struct {
	kind    Type
	null    bool
	integer int64 // bool (0, 1), int, date (days), timestamp (microseconds)
	real    float64
	text    string
}

// Null is the NULL of type t.
func Null(t Type) Value { return Value{kind: t, null: true} }

// Bool is a boolean.
func Bool(b bool) Value {
	v := Value{kind: TypeBool}
	if b {
		v.integer = 1
	}
	return v
}

// Int is an integer.
func Int(i int64) Value { return Value{kind: TypeInt, integer: i} }

// Float is a real number. NaN and the infinities give NULL, and -0 gives 0.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Null(TypeFloat)
	}
	if f == 0 {
		f = 0 // drop the sign of zero, so that == agrees with Compare
	}
	return Value{kind: TypeFloat, real: f}
}

// Text is a character string.
func Text(s string) Value { return Value{kind: TypeText, text: s} }

// Date is the day that many days after 1970-01-01. Outside MinDate to MaxDate it gives NULL.
func Date(days int64) Value {
	if days < MinDate || days > MaxDate {
		return Null(TypeDate)
	}
	return Value{kind: TypeDate, integer: days}
}

// Timestamp is the instant that many microseconds after 1970-01-01T00:00:00. Outside MinTimestamp to MaxTimestamp it
// gives NULL.
func Timestamp(microseconds int64) Value {
	if microseconds < MinTimestamp || microseconds > MaxTimestamp {
		return Null(TypeTimestamp)
	}
	return Value{kind: TypeTimestamp, integer: microseconds}
}

// Type returns the value's type.
func (v Value) Type() Type { return v.kind }

// IsNull reports whether the value is NULL.
func (v Value) IsNull() bool { return v.null }

// Valid reports whether the value is not the zero Value.
func (v Value) Valid() bool { return v.kind != "" }

// True reports whether the value is the boolean true; NULL is not.
func (v Value) True() bool { return v.kind == TypeBool && !v.null && v.integer == 1 }

// Int64 returns an integer's value, a date's days or a timestamp's microseconds.
func (v Value) Int64() int64 { return v.integer }

// Float64 returns a number as a float64. For other types it is the ordinal that bounds use.
func (v Value) Float64() float64 {
	if v.kind == TypeFloat {
		return v.real
	}
	return float64(v.integer)
}

// Str returns a text's characters.
func (v Value) Str() string { return v.text }

// String returns the value as a person writes it, without quotes; NULL is "NULL".
func (v Value) String() string {
	if v.null {
		return "NULL"
	}
	switch v.kind {
	case TypeBool:
		return strconv.FormatBool(v.integer == 1)
	case TypeInt:
		return strconv.FormatInt(v.integer, 10)
	case TypeFloat:
		return strconv.FormatFloat(v.real, 'g', -1, 64)
	case TypeText:
		return v.text
	case TypeDate:
		return time.Unix(v.integer*86400, 0).UTC().Format(time.DateOnly)
	case TypeTimestamp:
		return time.UnixMicro(v.integer).UTC().Format("2006-01-02T15:04:05.999999")
	}
	return "invalid"
}

var timestampLayouts = []string{
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly,
}

// Parse reads what String writes, as a value of type t.
func Parse(t Type, s string) (Value, error) {
	switch t {
	case TypeText:
		return Text(s), nil
	case TypeBool:
		switch strings.ToLower(s) {
		case "true":
			return Bool(true), nil
		case "false":
			return Bool(false), nil
		}
	case TypeInt:
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return Int(i), nil
		}
	case TypeFloat:
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return Float(f), nil
		}
	case TypeDate:
		if d, err := time.Parse(time.DateOnly, s); err == nil && d.Year() > 0 {
			return Date(d.Unix() / 86400), nil
		}
	case TypeTimestamp:
		for _, layout := range timestampLayouts {
			if d, err := time.Parse(layout, s); err == nil && d.Year() > 0 {
				return Timestamp(d.UnixMicro()), nil
			}
		}
	}
	return Value{}, fmt.Errorf("%q is no %s: %w", s, t, ErrType)
}

// Compare orders two values of comparable types: -1, 0 or 1. NULL comes last. An int and a float compare as numbers,
// and texts compare by their bytes.
func Compare(a, b Value) int {
	switch {
	case a.null && b.null:
		return 0
	case a.null:
		return 1
	case b.null:
		return -1
	case a.kind == TypeText && b.kind == TypeText:
		return strings.Compare(a.text, b.text)
	case a.kind == TypeFloat || b.kind == TypeFloat:
		x, y := a.Float64(), b.Float64()
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	case a.integer < b.integer:
		return -1
	case a.integer > b.integer:
		return 1
	}
	return 0
}

// wire is the JSON form: the type, and the text form unless the value is NULL.
type wire struct {
	Type  Type    `json:"type"`
	Value *string `json:"value,omitempty"`
}

// MarshalJSON writes {"type": "int", "value": "42"}, without "value" for NULL.
func (v Value) MarshalJSON() ([]byte, error) {
	w := wire{Type: v.kind}
	if !v.null {
		s := v.String()
		w.Value = &s
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Value) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	t, err := ParseType(string(w.Type))
	if err != nil {
		return err
	}
	if w.Value == nil {
		*v = Null(t)
		return nil
	}
	*v, err = Parse(t, *w.Value)
	return err
}
