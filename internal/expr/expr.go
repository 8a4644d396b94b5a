package expr

import (
	"errors"
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
)

// Op is the operation that an expression applies to its arguments. Operations are grouped in families: leaves, logic,
// numbers, dates and texts.
type Op string

// The leaves have no arguments. The caller of Evaluate says what columns and the hospital are.
const (
	OpColumn   Op = "column"   // the column Relation.Column
	OpLiteral  Op = "literal"  // Value
	OpHospital Op = "hospital" // the name of the node that computes
)

// Expr is a typed expression. It is immutable once built.
type Expr struct {
	Op       Op           `json:"op"`
	Type     value.Type   `json:"type"`
	Relation string       `json:"relation,omitempty"` // OpColumn
	Column   string       `json:"column,omitempty"`   // OpColumn
	Value    *value.Value `json:"value,omitempty"`    // OpLiteral
	Args     []*Expr      `json:"args,omitempty"`

	// size is the number of operations, set by New; 0 stands for one.
	size int
}

// maxSize bounds the number of operations of one expression, counted as a tree. In memory, a part can be shared by
// several parents. On the wire and in SQL, each use is written out and counts.
const maxSize = 50_000

// maxArgs bounds the arguments of one operation.
const maxArgs = 10_000

// ErrExpression says that an operation does not fit its arguments.
var ErrExpression = errors.New("the expression is not well typed")

// ErrTooLarge is an ErrExpression: the expression has too many operations.
var ErrTooLarge = fmt.Errorf("%w: an expression of more than %d operations is too large", ErrExpression, maxSize)

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

// Columns calls fn for every column that the expression reads.
func (e *Expr) Columns(fn func(relation, column string)) {
	if e.Op == OpColumn {
		fn(e.Relation, e.Column)
	}
	for _, a := range e.Args {
		a.Columns(fn)
	}
}

// Replace returns the expression with fn applied to each column in it. It returns e itself if fn changes nothing. fn
// must keep the types.
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

// Equal reports whether two expressions are written in the same way. nil equals nil only.
func (e *Expr) Equal(o *Expr) bool {
	if e == nil || o == nil || e == o {
		return e == o
	}
	if e.Op != o.Op || e.Type != o.Type || e.Relation != o.Relation || e.Column != o.Column || (e.Value == nil) != (o.Value == nil) {
		return false
	}
	return (e.Value == nil || *e.Value == *o.Value) && slices.EqualFunc(e.Args, o.Args, (*Expr).Equal)
}

func isDay(t value.Type) bool { return t == value.TypeDate || t == value.TypeTimestamp }
