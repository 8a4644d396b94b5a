package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/intramuros/intramuros/internal/value"
)

// Op says what an expression does with its arguments.
type Op string

// The operations. Arguments are of the types in parentheses; NULL arguments give
// NULL unless said otherwise.
const (
	OpColumn   Op = "column"   // the column Relation.Column
	OpLiteral  Op = "literal"  // Value
	OpHospital Op = "hospital" // the name of the node that computes

	OpAdd       Op = "+"   // (number, number); (date, int days); (timestamp, int microseconds); or the int first
	OpSubtract  Op = "-"   // as +, the int second; (date, date): int days; (timestamp, timestamp): int microseconds
	OpMultiply  Op = "*"   // (number, number)
	OpDivide    Op = "/"   // (number, number), always a float
	OpIntDivide Op = "div" // (int, int), truncated toward zero
	OpModulo    Op = "%"   // (int, int), the sign of the dividend
	OpNegate    Op = "neg" // (number)

	OpEqual          Op = "="
	OpNotEqual       Op = "<>"
	OpLess           Op = "<"
	OpLessOrEqual    Op = "<="
	OpGreater        Op = ">"
	OpGreaterOrEqual Op = ">="
	OpIn             Op = "in"     // (any, literal...)
	OpLike           Op = "like"   // (text, literal text): % any characters, _ one, \ escapes; case counts
	OpRegexp         Op = "regexp" // (text, literal pattern of Regexp): a part of the text matches
	OpIsNull         Op = "is null"
	OpDistinct       Op = "is distinct from" // <>, but a NULL equals a NULL and nothing else

	OpAnd Op = "and" // (bool, bool...), three-valued
	OpOr  Op = "or"  // (bool, bool...), three-valued
	OpNot Op = "not"

	OpCase     Op = "case"     // (bool, any, bool, any, ..., any): the first true condition's value, else the last argument
	OpCoalesce Op = "coalesce" // the first that is not NULL
	OpLeast    Op = "least"    // NULLs are left out
	OpGreatest Op = "greatest" // NULLs are left out

	OpRound   Op = "round" // (number, literal int 0..15): half away from zero
	OpFloor   Op = "floor" // (number)
	OpCeiling Op = "ceil"  // (number)
	OpAbs     Op = "abs"   // (number)

	// Real functions: NULL where undefined or beyond MostPower; sqrt is exact to the
	// last bit, the others to a few units in the last place, engine by engine.
	OpSqrt  Op = "sqrt"  // (number)
	OpExp   Op = "exp"   // (number)
	OpLn    Op = "ln"    // (number)
	OpLog10 Op = "log10" // (number), exact for the powers of ten
	OpPower Op = "power" // (number, number); 0 to the power of 0 is 1

	// Dates. A result outside of the years 1 to 9999 is NULL.
	OpExtract   Op = "extract"    // (literal Field, date or timestamp): int; hour, minute and second of a timestamp only
	OpTruncate  Op = "date_trunc" // (literal Unit, date or timestamp): its beginning, of the same type; smaller units than a day of a timestamp only
	OpAddMonths Op = "add_months" // (date or timestamp, int): the same day and time of the month, or the month's last day
	OpMonths    Op = "months"     // (date, date) or (timestamp, timestamp): complete months from the first to the second, negative where the second is earlier
	OpMakeDate  Op = "make_date"  // (int year, int month, int day): NULL where there is no such day

	// Texts, in Unicode code points counted from 1; nothing depends on a locale. See MaxText.
	OpConcat    Op = "||"         // (text, text...), its first MaxGrown
	OpLower     Op = "lower"      // (text): A to Z and the other letters of ISO 8859-15 alone
	OpUpper     Op = "upper"      // (text): the reverse
	OpLeftTrim  Op = "ltrim"      // (text, literal characters): without those at its beginning
	OpRightTrim Op = "rtrim"      // (text, literal characters): without those at its end
	OpSubstring Op = "substring"  // (text, int start, int length): the characters at the places p >= 1 with start <= p < start + length
	OpLength    Op = "length"     // (text)
	OpReplace   Op = "replace"    // (text, literal text, literal text): all occurrences from left to right; see MaxGrown
	OpPosition  Op = "position"   // (text, text): where the first begins in the second, 0 where it is not in it, 1 where it is empty
	OpSplit     Op = "split_part" // (text, literal separator, literal int n >= 1): the n-th part, empty where there is none

	OpCast Op = "cast" // to Type; what cannot be converted is NULL
)

// Expr is a typed expression. It is immutable once built.
type Expr struct {
	Op       Op           `json:"op"`
	Type     value.Type   `json:"type"`
	Relation string       `json:"relation,omitempty"` // OpColumn
	Column   string       `json:"column,omitempty"`   // OpColumn
	Value    *value.Value `json:"value,omitempty"`    // OpLiteral
	Args     []*Expr      `json:"args,omitempty"`

	// size counts the operations of what New built; 0 stands for one.
	size int
}

// MostPower and LeastPower bound the results of exp and power: what is larger is
// NULL, and what is nearer to 0 is 0, so that no engine is near its own limits.
const (
	MostPower  = 1e300
	LeastPower = 1e-300
)

// maxSize bounds one expression as a tree. In memory a part can be used several
// times; written out, on the wire and in SQL, each use counts.
const maxSize = 50_000

// maxArgs bounds the arguments of one operation.
const maxArgs = 10_000

// ErrExpression means that an operation does not fit its arguments.
var ErrExpression = errors.New("the expression is not well typed")

func mistyped(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrExpression, fmt.Sprintf(format, args...))
}

// Literal is a constant.
func Literal(v value.Value) *Expr { return &Expr{Op: OpLiteral, Type: v.Type(), Value: &v} }

// Column is a column of a relation.
func Column(relation, column string, t value.Type) *Expr {
	return &Expr{Op: OpColumn, Type: t, Relation: relation, Column: column}
}

// Hospital is the name of the node that computes.
func Hospital() *Expr { return &Expr{Op: OpHospital, Type: value.TypeText} }

// Cast converts an expression to another type.
func Cast(e *Expr, t value.Type) (*Expr, error) {
	c := &Expr{Op: OpCast, Type: t, Args: []*Expr{e}, size: max(e.size, 1) + 1}
	return c, c.CheckType()
}

// New applies an operation other than a column, a literal, the hospital or a
// cast, and returns ErrExpression where the arguments do not fit it.
func New(op Op, args ...*Expr) (*Expr, error) {
	e := &Expr{Op: op, Args: args, size: 1}
	for _, a := range args {
		if a != nil {
			e.size = min(e.size+max(a.size, 1), maxSize+1)
		}
	}
	if e.size > maxSize {
		return nil, mistyped("an expression of more than %d operations is too large", maxSize)
	}
	t, err := resultType(e)
	if err != nil {
		return nil, err
	}
	e.Type = t
	return e, nil
}

// CheckType recomputes the type of one node whose arguments are already checked.
func (e *Expr) CheckType() error {
	t, err := resultType(e)
	if err != nil {
		return err
	}
	if t != e.Type {
		return mistyped("%q gives %s, not %s", e.Op, t, e.Type)
	}
	return nil
}

var arity = map[Op][2]int{
	OpColumn: {0, 0}, OpLiteral: {0, 0}, OpHospital: {0, 0},
	OpAdd: {2, 2}, OpSubtract: {2, 2}, OpMultiply: {2, 2}, OpDivide: {2, 2}, OpIntDivide: {2, 2}, OpModulo: {2, 2}, OpNegate: {1, 1},
	OpEqual: {2, 2}, OpNotEqual: {2, 2}, OpLess: {2, 2}, OpLessOrEqual: {2, 2}, OpGreater: {2, 2}, OpGreaterOrEqual: {2, 2},
	OpIn: {2, maxArgs}, OpLike: {2, 2}, OpRegexp: {2, 2}, OpIsNull: {1, 1}, OpDistinct: {2, 2},
	OpAnd: {2, maxArgs}, OpOr: {2, maxArgs}, OpNot: {1, 1},
	OpCase: {3, maxArgs}, OpCoalesce: {1, maxArgs}, OpLeast: {1, maxArgs}, OpGreatest: {1, maxArgs},
	OpRound: {2, 2}, OpFloor: {1, 1}, OpCeiling: {1, 1}, OpAbs: {1, 1}, OpCast: {1, 1},
	OpSqrt: {1, 1}, OpExp: {1, 1}, OpLn: {1, 1}, OpLog10: {1, 1}, OpPower: {2, 2},
	OpExtract: {2, 2}, OpTruncate: {2, 2}, OpAddMonths: {2, 2}, OpMonths: {2, 2}, OpMakeDate: {3, 3},
	OpConcat: {2, maxArgs}, OpLower: {1, 1}, OpUpper: {1, 1}, OpLeftTrim: {2, 2}, OpRightTrim: {2, 2}, OpSubstring: {3, 3},
	OpLength: {1, 1}, OpReplace: {3, 3}, OpPosition: {2, 2}, OpSplit: {3, 3},
}

func resultType(e *Expr) (value.Type, error) {
	limits, known := arity[e.Op]
	if !known {
		return "", mistyped("there is no operation %q", e.Op)
	}
	if n := len(e.Args); n < limits[0] || n > limits[1] {
		return "", mistyped("%q has %d arguments", e.Op, n)
	}
	for _, a := range e.Args {
		if a == nil {
			return "", mistyped("%q lacks an argument", e.Op)
		}
	}
	if e.Op != OpColumn && (e.Relation != "" || e.Column != "") || e.Op != OpLiteral && e.Value != nil {
		return "", mistyped("%q has fields of another operation", e.Op)
	}
	all := func(fits func(value.Type) bool, what string) error {
		for _, a := range e.Args {
			if !fits(a.Type) {
				return mistyped("%s needs %s, and %s is a %s", e.Op, what, a, a.Type)
			}
		}
		return nil
	}
	isBool := func(t value.Type) bool { return t == value.TypeBool }
	isInt := func(t value.Type) bool { return t == value.TypeInt }
	isText := func(t value.Type) bool { return t == value.TypeText }
	switch e.Op {
	case OpColumn:
		if e.Relation == "" || e.Column == "" {
			return "", mistyped("a column lacks its name")
		}
		return value.ParseType(string(e.Type))
	case OpLiteral:
		if e.Value == nil || !e.Value.Valid() {
			return "", mistyped("a literal lacks its value")
		}
		return e.Value.Type(), nil
	case OpHospital:
		return value.TypeText, nil
	case OpAdd, OpSubtract:
		if t, ok := shiftType(e.Op, e.Args[0].Type, e.Args[1].Type); ok {
			return t, nil
		}
		return commonType(e.Args), all(value.Type.Numeric, "a number")
	case OpMultiply, OpNegate, OpAbs, OpFloor, OpCeiling:
		return commonType(e.Args), all(value.Type.Numeric, "a number")
	case OpDivide:
		return value.TypeFloat, all(value.Type.Numeric, "a number")
	case OpIntDivide, OpModulo:
		return value.TypeInt, all(isInt, "an int")
	case OpRound:
		d := e.Args[1]
		if d.Op != OpLiteral || d.Type != value.TypeInt || d.Value.IsNull() || d.Value.Int64() < 0 || d.Value.Int64() > 15 {
			return "", mistyped("round takes a constant number of digits from 0 to 15")
		}
		if !e.Args[0].Type.Numeric() {
			return "", mistyped("round needs a number, and %s is a %s", e.Args[0], e.Args[0].Type)
		}
		return e.Args[0].Type, nil
	case OpEqual, OpNotEqual, OpLess, OpLessOrEqual, OpGreater, OpGreaterOrEqual, OpDistinct:
		if !comparable2(e.Args[0], e.Args[1]) {
			return "", mistyped("%s does not compare with %s", e.Args[0].Type, e.Args[1].Type)
		}
		return value.TypeBool, nil
	case OpIn:
		for _, a := range e.Args[1:] {
			if a.Op != OpLiteral {
				return "", mistyped("in takes constants")
			}
			if !comparable2(e.Args[0], a) {
				return "", mistyped("%s does not compare with %s", e.Args[0].Type, a.Type)
			}
		}
		return value.TypeBool, nil
	case OpLike:
		p := e.Args[1]
		if e.Args[0].Type != value.TypeText || p.Op != OpLiteral || p.Type != value.TypeText || p.Value.IsNull() {
			return "", mistyped("like compares a text with a constant pattern")
		}
		if _, err := likePattern(p.Value.Str()); err != nil {
			return "", err
		}
		return value.TypeBool, nil
	case OpIsNull:
		return value.TypeBool, nil
	case OpAnd, OpOr, OpNot:
		return value.TypeBool, all(isBool, "a condition")
	case OpCase:
		if len(e.Args)%2 == 0 {
			return "", mistyped("case lacks its last value")
		}
		var values []*Expr
		for i, a := range e.Args {
			switch {
			case i%2 == 1 || i == len(e.Args)-1:
				values = append(values, a)
			case a.Type != value.TypeBool:
				return "", mistyped("case needs a condition, and %s is a %s", a, a.Type)
			}
		}
		return unify(e.Op, values)
	case OpCoalesce, OpLeast, OpGreatest:
		return unify(e.Op, e.Args)
	case OpSqrt, OpExp, OpLn, OpLog10, OpPower:
		return value.TypeFloat, all(value.Type.Numeric, "a number")
	case OpExtract, OpTruncate, OpAddMonths, OpMonths, OpMakeDate:
		return dateType(e, all)
	case OpConcat, OpLower, OpUpper, OpLength, OpPosition, OpLeftTrim, OpRightTrim, OpReplace, OpSubstring, OpSplit, OpRegexp:
		if e.Op == OpSubstring || e.Op == OpSplit {
			if e.Args[0].Type != value.TypeText {
				return "", mistyped("%s needs a text, and %s is a %s", e.Op, e.Args[0], e.Args[0].Type)
			}
		} else if err := all(isText, "a text"); err != nil {
			return "", err
		}
		return textType(e)
	case OpCast:
		if !castable(e.Args[0].Type, e.Type) {
			return "", mistyped("a %s does not convert to %s", e.Args[0].Type, e.Type)
		}
		return value.ParseType(string(e.Type))
	}
	return "", mistyped("there is no operation %q", e.Op)
}

// shiftType is the type of a sum or difference with a date or timestamp in it.
func shiftType(op Op, a, b value.Type) (value.Type, bool) {
	switch {
	case isDay(a) && b == value.TypeInt:
		return a, true
	case op == OpAdd && a == value.TypeInt && isDay(b):
		return b, true
	case op == OpSubtract && isDay(a) && a == b:
		return value.TypeInt, true
	}
	return "", false
}

func isDay(t value.Type) bool { return t == value.TypeDate || t == value.TypeTimestamp }

// constantText returns the argument that must be a literal text.
func (e *Expr) constantText(i int) (string, error) {
	a := e.Args[i]
	if a.Op != OpLiteral || a.Type != value.TypeText || a.Value.IsNull() {
		return "", mistyped("%s takes a constant text, and %s is none", e.Op, a)
	}
	return a.Value.Str(), nil
}

func dateType(e *Expr, all func(func(value.Type) bool, string) error) (value.Type, error) {
	if e.Op == OpMakeDate {
		return value.TypeDate, all(func(t value.Type) bool { return t == value.TypeInt }, "an int")
	}
	a, b := e.Args[0], e.Args[1]
	switch e.Op {
	case OpExtract, OpTruncate:
		unit, err := e.constantText(0)
		if err != nil {
			return "", err
		}
		if !isDay(b.Type) {
			return "", mistyped("%s needs a date or a timestamp, and %s is a %s", e.Op, b, b.Type)
		}
		known := units[Unit(unit)]
		if e.Op == OpExtract {
			known = fields[Field(unit)].parent != ""
		}
		if !known || b.Type == value.TypeDate && (unit == "hour" || unit == "minute" || unit == "second") {
			return "", mistyped("a %s has no %s", b.Type, unit)
		}
		if e.Op == OpExtract {
			return value.TypeInt, nil
		}
		return b.Type, nil
	case OpMonths:
		if !isDay(a.Type) || a.Type != b.Type {
			return "", mistyped("there are no months between %s and %s", a.Type, b.Type)
		}
		return value.TypeInt, nil
	}
	if !isDay(a.Type) || b.Type != value.TypeInt {
		return "", mistyped("%s needs a date or a timestamp, and an int; not %s and %s", e.Op, a.Type, b.Type)
	}
	return a.Type, nil
}

func textType(e *Expr) (value.Type, error) {
	switch e.Op {
	case OpLength, OpPosition:
		return value.TypeInt, nil
	case OpRegexp:
		pattern, err := e.constantText(1)
		if err != nil {
			return "", err
		}
		portable, err := Regexp(pattern, false)
		if err == nil && portable != pattern {
			err = mistyped("the pattern is not in its portable form")
		}
		return value.TypeBool, err
	case OpLeftTrim, OpRightTrim, OpReplace:
		for i := range e.Args[1:] {
			s, err := e.constantText(1 + i)
			if err != nil {
				return "", err
			}
			if i == 0 && s == "" {
				return "", mistyped("%s needs something to look for, not an empty text", e.Op)
			}
		}
	case OpSplit:
		separator, err := e.constantText(1)
		if err != nil {
			return "", err
		}
		n := e.Args[2]
		if separator == "" || n.Op != OpLiteral || n.Type != value.TypeInt || n.Value.IsNull() || n.Value.Int64() < 1 || n.Value.Int64() > maxArgs {
			return "", mistyped("split_part takes a constant separator and a constant number from 1 to %d", maxArgs)
		}
	case OpSubstring:
		for _, a := range e.Args[1:] {
			if a.Type != value.TypeInt {
				return "", mistyped("substring needs an int, and %s is a %s", a, a.Type)
			}
		}
	}
	if e.Op == OpReplace {
		from, to := utf8.RuneCountInString(e.Args[1].Value.Str()), utf8.RuneCountInString(e.Args[2].Value.Str())
		if to > from*maxGrowth {
			return "", mistyped("replace puts at most %d times as long a text into the place of another", maxGrowth)
		}
	}
	return value.TypeText, nil
}

// commonType is float where any argument is, else the first one's type.
func commonType(args []*Expr) value.Type {
	for _, a := range args {
		if a.Type == value.TypeFloat {
			return value.TypeFloat
		}
	}
	return args[0].Type
}

func unify(op Op, args []*Expr) (value.Type, error) {
	t := commonType(args)
	for _, a := range args {
		if a.Type != t && (t != value.TypeFloat || !a.Type.Numeric()) {
			return "", mistyped("%s mixes %s and %s", op, t, a.Type)
		}
	}
	return t, nil
}

func comparable2(a, b *Expr) bool {
	return a.Type == b.Type || a.Type.Numeric() && b.Type.Numeric()
}

// castable lists the conversions that mean the same on every engine; a float's
// digits as text do not.
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

// Conjuncts splits a condition at its top-level ANDs; nil gives none.
func Conjuncts(e *Expr) []*Expr {
	if e == nil {
		return nil
	}
	if e.Op != OpAnd {
		return []*Expr{e}
	}
	var all []*Expr
	for _, a := range e.Args {
		all = append(all, Conjuncts(a)...)
	}
	return all
}

// Columns calls fn for every column that the expression reads.
func (e *Expr) Columns(fn func(relation, column string)) {
	if e.Op == OpColumn {
		fn(e.Relation, e.Column)
	}
	for _, a := range e.Args {
		a.Columns(fn)
	}
}

// Replace returns the expression with fn applied to each column within, and the
// same where fn changes nothing. fn must keep the types.
func (e *Expr) Replace(fn func(*Expr) *Expr) *Expr {
	if e.Op == OpColumn {
		return fn(e)
	}
	var args []*Expr
	changed := false
	for _, a := range e.Args {
		b := a.Replace(fn)
		args, changed = append(args, b), changed || a != b
	}
	if !changed {
		return e
	}
	copied := *e
	copied.Args = args
	return &copied
}

// Equal reports whether two expressions are the same, written alike.
func (e *Expr) Equal(o *Expr) bool {
	if e.Op != o.Op || e.Type != o.Type || e.Relation != o.Relation || e.Column != o.Column || (e.Value == nil) != (o.Value == nil) {
		return false
	}
	return (e.Value == nil || *e.Value == *o.Value) && slices.EqualFunc(e.Args, o.Args, (*Expr).Equal)
}

// String writes the expression as SQL for people; engines have their own dialects.
func (e *Expr) String() string {
	var b strings.Builder
	e.write(&b, 0)
	return b.String()
}

var precedence = map[Op]int{
	OpOr: 1, OpAnd: 2, OpNot: 3,
	OpEqual: 4, OpNotEqual: 4, OpLess: 4, OpLessOrEqual: 4, OpGreater: 4, OpGreaterOrEqual: 4, OpIn: 4, OpLike: 4, OpIsNull: 4,
	OpRegexp: 4, OpDistinct: 4, OpAdd: 5, OpSubtract: 5, OpConcat: 5, OpMultiply: 6, OpDivide: 6, OpIntDivide: 6, OpModulo: 6, OpNegate: 7,
}

func (e *Expr) write(b *strings.Builder, outer int) {
	p := precedence[e.Op]
	if p != 0 && p < outer {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	list := func(args []*Expr, separator string, level int) {
		for i, a := range args {
			if i > 0 {
				b.WriteString(separator)
			}
			a.write(b, level)
		}
	}
	switch e.Op {
	case OpColumn:
		b.WriteString(e.Relation + "." + e.Column)
	case OpLiteral:
		writeLiteral(b, *e.Value)
	case OpHospital:
		b.WriteString("hospital")
	case OpNegate:
		b.WriteByte('-')
		e.Args[0].write(b, p+1)
	case OpNot:
		b.WriteString("NOT ")
		e.Args[0].write(b, p+1)
	case OpIsNull:
		e.Args[0].write(b, p+1)
		b.WriteString(" IS NULL")
	case OpAnd, OpOr, OpAdd, OpMultiply, OpConcat:
		list(e.Args, " "+strings.ToUpper(string(e.Op))+" ", p)
	case OpIn:
		e.Args[0].write(b, p+1)
		b.WriteString(" IN (")
		list(e.Args[1:], ", ", 0)
		b.WriteByte(')')
	case OpCase:
		b.WriteString("CASE")
		for i := 0; i+1 < len(e.Args); i += 2 {
			b.WriteString(" WHEN ")
			e.Args[i].write(b, 0)
			b.WriteString(" THEN ")
			e.Args[i+1].write(b, 0)
		}
		b.WriteString(" ELSE ")
		e.Args[len(e.Args)-1].write(b, 0)
		b.WriteString(" END")
	case OpExtract:
		b.WriteString(strings.ToUpper(e.Args[0].Value.Str()) + "(")
		e.Args[1].write(b, 0)
		b.WriteByte(')')
	case OpCast:
		b.WriteString("CAST(")
		e.Args[0].write(b, 0)
		b.WriteString(" AS " + string(e.Type) + ")")
	default:
		if p != 0 { // binary operators that do not associate
			e.Args[0].write(b, p)
			b.WriteString(" " + strings.ToUpper(string(e.Op)) + " ")
			e.Args[1].write(b, p+1)
			return
		}
		b.WriteString(strings.ToUpper(string(e.Op)) + "(")
		list(e.Args, ", ", 0)
		b.WriteByte(')')
	}
}

func writeLiteral(b *strings.Builder, v value.Value) {
	switch {
	case v.IsNull():
		b.WriteString("NULL")
	case v.Type() == value.TypeText:
		b.WriteString("'" + strings.ReplaceAll(v.Str(), "'", "''") + "'")
	case v.Type() == value.TypeDate:
		b.WriteString("DATE '" + v.String() + "'")
	case v.Type() == value.TypeTimestamp:
		b.WriteString("TIMESTAMP '" + v.String() + "'")
	default:
		b.WriteString(v.String())
	}
}
