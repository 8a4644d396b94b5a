package planner

import "github.com/intramuros/intramuros/internal/value"

// The syntax tree: what was written, with positions, before names have meaning.

type selectSyntax struct {
	at      Position
	items   []itemSyntax
	from    []fromSyntax
	where   *termSyntax
	groupBy []*termSyntax
	having  *termSyntax
	orderBy []orderSyntax
	limit   *termSyntax
	offset  *termSyntax
}

type itemSyntax struct {
	term  *termSyntax
	alias string // "" without AS
}

type orderSyntax struct {
	term       *termSyntax
	descending bool
}

// fromSyntax is one table and how it joins the tables before it.
type fromSyntax struct {
	at    Position
	table string
	alias string // the table's name without AS
	join  joinKind
	on    *termSyntax
}

type joinKind int

const (
	joinNone joinKind = iota // the first table
	joinCross
	joinInner
	joinLeft
)

type termKind int

const (
	termColumn   termKind = iota // qualifier, name
	termLiteral                  // literal
	termOperator                 // name: an operator of the grammar, args
	termCall                     // name: a function, args, distinct, star
	termStar                     // * or t.*
	termCast                     // args[0] to castType
)

type termSyntax struct {
	kind      termKind
	at        Position
	qualifier string
	name      string
	literal   value.Value
	text      bool // the literal was written as a string, so it may stand for a date or a number
	distinct  bool
	star      bool
	castType  value.Type
	args      []*termSyntax
	bin       int // of HISTOGRAM, once expanded
}
