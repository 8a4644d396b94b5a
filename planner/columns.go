package planner

import (
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// maxColumns bounds the answer's width.
const maxColumns = 100

// ref is what a released expression reads in place of a table's column. In the expression it is a column: its kind
// stands as the relation, and its index as the name.
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

// refOf reads a column that ref.expr wrote.
func refOf(relation, column string) ref { return ref{refKind(relation), indexOf(column)} }

// origin is a number of a release's row. In what fragment.Trace tells it is a column.
type origin struct{ release, row, column int }

func (o origin) expr(t value.Type) *expr.Expr {
	return expr.Column(strconv.Itoa(o.release), strconv.Itoa(o.row)+" "+strconv.Itoa(o.column), t)
}

// originOf reads a column that origin.expr wrote.
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
		panic(err) // written here
	}
	return i
}

// surely is the confidence with which there is something to divide by, or to seek a quantile in.
const surely = 0.95
