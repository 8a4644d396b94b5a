package expr

import (
	"github.com/intramuros/intramuros/internal/value"
)

// operation is all there is to know of an Op. How engines write it stands in package compile, in a table of the same
// families.
type operation struct {
	// fewest and most bound the number of arguments.
	fewest, most int
	// typ checks the types of the arguments, of which there are as many as there should be, and gives that of the
	// result.
	typ func(e *Expr) (value.Type, error)
	// evaluate computes a value of type t. Where an argument is NULL the result is NULL, and it is not asked.
	evaluate func(t value.Type, args []value.Value) value.Value
	// nulls says that evaluate is asked of arguments that are NULL, too.
	nulls bool
	// bounds gives the range, without a domain, from those of the arguments. Without it all that is known is that no
	// value is NULL where no argument is.
	bounds func(e *Expr, args []Range) Range
	// inexact says that an engine's value may be the neighbour of ours.
	inexact bool
	// whole reports whether a float that it gives is a whole number.
	whole func(e *Expr) bool
	// longest bounds the characters of the text that it gives, from those of an argument's; see Expr.Longest.
	longest func(e *Expr, of func(*Expr) int) int
	// readsWhole reports whether a text that is a bare column is read to its end; see MaxText. nil: it is not.
	readsWhole func(e *Expr) bool
	// precedence is that of the operator as which String writes it, from 1, which binds least; 0: it is written as a
	// function.
	precedence int
}

func always(*Expr) bool { return true }

// gives is of an operation that takes arguments of any type.
func gives(t value.Type) func(*Expr) (value.Type, error) {
	return func(*Expr) (value.Type, error) { return t, nil }
}

// takes is of an operation all of whose arguments are of one type.
func takes(arguments value.Type, what string, result value.Type) func(*Expr) (value.Type, error) {
	return func(e *Expr) (value.Type, error) {
		return result, e.all(func(t value.Type) bool { return t == arguments }, what)
	}
}

// all checks the types of all arguments.
func (e *Expr) all(fits func(value.Type) bool, what string) error {
	for _, a := range e.Args {
		if !fits(a.Type) {
			return mistyped("%s needs %s, and %s is a %s", e.Op, what, a, a.Type)
		}
	}
	return nil
}

// constantText returns the argument that must be a literal text.
func (e *Expr) constantText(i int) (string, error) {
	a := e.Args[i]
	if a.Op != OpLiteral || a.Type != value.TypeText || a.Value.IsNull() {
		return "", mistyped("%s takes a constant text, and %s is none", e.Op, a)
	}
	return a.Value.Str(), nil
}

// unify gives arguments one type: float where ints are mixed with floats.
func (e *Expr) unify(args []*Expr) (value.Type, error) {
	t := commonType(args)
	for _, a := range args {
		if a.Type != t && (t != value.TypeFloat || !a.Type.Numeric()) {
			return "", mistyped("%s mixes %s and %s", e.Op, t, a.Type)
		}
	}
	return t, nil
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

// anyNull reports whether any of several values may be NULL.
func anyNull(args []Range) bool {
	for _, a := range args {
		if a.Nullable {
			return true
		}
	}
	return false
}
