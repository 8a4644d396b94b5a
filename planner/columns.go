package planner

import (
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// maxColumns bounds the number of columns of an answer.
const maxColumns = 100

// ref is what a released expression reads instead of a table's column. It is encoded as a column: the kind is the
// relation, and the index is the name.
type ref struct {
	kind  refKind
	index int // from 0
}

type refKind string

const (
	refKey       refKind = "key"       // of the group
	refAggregate refKind = "aggregate" // of the plan
	refDivision  refKind = "division"  // of the plan's divisions
)

func (r ref) expr(t value.Type) *expr.Expr {
	return expr.Column(string(r.kind), strconv.Itoa(r.index), t)
}

// refOf decodes a column that ref.expr made.
func refOf(relation, column string) ref { return ref{refKind(relation), indexOf(column)} }

// origin is a number in a row of a release. In the expressions of fragment.Trace it is encoded as a column.
type origin struct{ release, row, column int }

func (o origin) expr(t value.Type) *expr.Expr {
	return expr.Column(strconv.Itoa(o.release), strconv.Itoa(o.row)+" "+strconv.Itoa(o.column), t)
}

// originOf decodes a column that origin.expr made.
func originOf(e *expr.Expr) origin {
	row, column, _ := strings.Cut(e.Column, " ")
	return origin{indexOf(e.Relation), indexOf(row), indexOf(column)}
}

func readsAggregate(e *expr.Expr) bool {
	found := false
	e.Columns(func(relation, _ string) { found = found || refKind(relation) == refAggregate })
	return found
}

func indexOf(column string) int {
	i, err := strconv.Atoi(column)
	if err != nil {
		panic(err) // cannot fail: this file wrote the text
	}
	return i
}

// surely is the confidence with which a divisor must differ from 0, or a tree must hold a value to read a quantile.
const surely = 0.95
