package expr

import (
	"maps"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// operations has all operations. A column, a literal and the hospital's name have no evaluation and no bounds.
var operations = func() map[Op]operation {
	all := map[Op]operation{}
	for _, family := range []map[Op]operation{leaves, logic, numbers, dates, texts, casts} {
		maps.Copy(all, family)
	}
	return all
}()

// Ops lists all operations, sorted.
func Ops() []Op { return slices.Sorted(maps.Keys(operations)) }

// Exact reports whether engines give exactly the value that Evaluate gives, and not a neighbouring float.
func (op Op) Exact() bool { return !operations[op].inexact }

// Cast converts an expression to another type.
func Cast(e *Expr, t value.Type) (*Expr, error) {
	c := &Expr{Op: OpCast, Type: t, Args: []*Expr{e}, size: max(e.size, 1) + 1}
	return c, c.CheckType()
}

// New applies an operation other than a column, a literal, the hospital or a cast. It returns ErrExpression if the
// arguments do not fit the operation, and ErrTooLarge if the expression has too many operations.
func New(op Op, args ...*Expr) (*Expr, error) {
	e := &Expr{Op: op, Args: args, size: 1}
	for _, a := range args {
		if a != nil {
			e.size = min(e.size+max(a.size, 1), maxSize+1)
		}
	}
	if e.size > maxSize {
		return nil, ErrTooLarge
	}
	t, err := resultType(e)
	if err != nil {
		return nil, err
	}
	e.Type = t
	return e, nil
}

// CheckType recomputes the type of one node. The types of its arguments must be checked already.
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

func resultType(e *Expr) (value.Type, error) {
	o, known := operations[e.Op]
	if !known {
		return "", mistyped("there is no operation %q", e.Op)
	}
	if n := len(e.Args); n < o.fewest || n > o.most {
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
	return o.typ(e)
}

// readsWhole reports whether the operation reads a text column as a whole, beyond MaxText.
func (e *Expr) readsWhole() bool {
	whole := operations[e.Op].readsWhole
	return whole != nil && whole(e)
}

// Grows reports whether the operation may make a text longer than its arguments. Such a text is cut at MaxGrown.
func (e *Expr) Grows() bool {
	switch e.Op {
	case OpConcat:
		return lengthOfAll(e, (*Expr).Longest) > MaxGrown
	case OpReplace:
		return longerReplacement(e)
	}
	return false
}

// Longest bounds the number of characters of an expression's text. A bare column counts as MaxText, the part of it that
// operations read.
func (e *Expr) Longest() int {
	if longest := operations[e.Op].longest; longest != nil {
		return longest(e, (*Expr).Longest)
	}
	return MaxText
}

// MakesText reports whether the operation makes a new text. It is false for an operation that returns one of its
// arguments, or that writes a number or date as text.
func (e *Expr) MakesText() bool {
	_, ok := texts[e.Op]
	return ok && e.Type == value.TypeText
}
