package expr

import (
	"github.com/intramuros/intramuros/internal/value"
)

// operation describes an Op. Package compile has a table of the same families that says how engines write each.
type operation struct {
	// fewest and most bound the number of arguments.
	fewest, most int
	// typ checks the types of the arguments and gives the type of the result. The number of arguments is already
	// checked.
	typ func(e *Expr) (value.Type, error)
	// evaluate computes a value of type t. If an argument is NULL, the result is NULL and evaluate is not called.
	evaluate func(t value.Type, args []value.Value) value.Value
	// nulls says that evaluate is called for NULL arguments too.
	nulls bool
	// bounds gives the range, without a domain, from the ranges of the arguments. Without it, only this is known: the
	// result is not NULL if no argument is NULL.
	bounds func(e *Expr, args []Range) Range
	// inexact says that an engine's value may be a neighbouring float of ours.
	inexact bool
	// whole reports whether a float result is a whole number.
	whole func(e *Expr) bool
	// longest bounds the characters of a text result, given the bounds of the arguments; see Expr.Longest.
	longest func(e *Expr, of func(*Expr) int) int
	// readsWhole reports whether the operation reads a text column as a whole; see MaxText. nil: it does not.
	readsWhole func(e *Expr) bool
	// precedence is the precedence of the operator that String writes, from 1, which binds least. 0: String writes a
	// function.
	precedence int
}

func always(*Expr) bool { return true }

// gives is the typ of an operation that takes arguments of any type.
func gives(t value.Type) func(*Expr) (value.Type, error) {
	return func(*Expr) (value.Type, error) { return t, nil }
}

// takes is the typ of an operation whose arguments all have one type.
func takes(arguments value.Type, what string, result value.Type) func(*Expr) (value.Type, error) {
	return func(e *Expr) (value.Type, error) {
		return result, e.all(func(t value.Type) bool { return t == arguments }, what)
	}
}

// all checks that the types of all arguments fit.
func (e *Expr) all(fits func(value.Type) bool, what string) error {
	for _, a := range e.Args {
		if !fits(a.Type) {
			return mistyped("%s needs %s, and %s is a %s", e.Op, what, a, a.Type)
		}
	}
	return nil
}

// constantText returns argument i, which must be a literal text.
func (e *Expr) constantText(i int) (string, error) {
	a := e.Args[i]
	if a.Op != OpLiteral || a.Type != value.TypeText || a.Value.IsNull() {
		return "", mistyped("%s takes a constant text, and %s is none", e.Op, a)
	}
	return a.Value.Str(), nil
}

// unify gives the common type of arguments: float if ints are mixed with floats.
func (e *Expr) unify(args []*Expr) (value.Type, error) {
	t := commonType(args)
	for _, a := range args {
		if a.Type != t && (t != value.TypeFloat || !a.Type.Numeric()) {
			return "", mistyped("%s mixes %s and %s", e.Op, t, a.Type)
		}
	}
	return t, nil
}

// commonType is float if any argument is a float, otherwise the type of the first.
func commonType(args []*Expr) value.Type {
	for _, a := range args {
		if a.Type == value.TypeFloat {
			return value.TypeFloat
		}
	}
	return args[0].Type
}

// anyNull reports whether any argument may be NULL.
func anyNull(args []Range) bool {
	for _, a := range args {
		if a.Nullable {
			return true
		}
	}
	return false
}
