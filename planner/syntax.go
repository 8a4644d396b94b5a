package planner

import "github.com/intramuros/intramuros/internal/value"

// The syntax tree: what was written, with positions, before names have meaning.

// statementSyntax is one statement.
type statementSyntax struct {
	kind  statementKind
	at    Position
	query *querySyntax // select, explain, explain privacy
	name  string       // describe: the table; set: the setting
	named Position
	value *termSyntax // set
	hints []hintSyntax
	// parameters are the places of ? (named by their number from 1), $1 and :name.
	parameters []parameterSyntax
	reads      int // of names of WITH, while it is planned
}

type statementKind int

const (
	statementSelect statementKind = iota
	statementExplain
	statementExplainPrivacy
	statementShow // name: tables, hospitals, budget, functions
	statementDescribe
	statementSet
)

// hintSyntax is a setting for one query, written /*+ epsilon=0.5 */.
type hintSyntax struct {
	name  string
	value *termSyntax
	at    Position
}

type parameterSyntax struct {
	name string
	at   Position
}

// querySyntax is a SELECT, or two queries combined; with what stands around them.
type querySyntax struct {
	at       Position
	with     []withSyntax  // in scope from where they stand, and in queries within
	selected *selectSyntax // nil where combined is set
	combined *combinedSyntax
	orderBy  []orderSyntax
	limit    *termSyntax
	offset   *termSyntax
}

// combinedSyntax is left UNION [ALL] right, INTERSECT, EXCEPT.
type combinedSyntax struct {
	at          Position
	operator    string // union, intersect, except
	all         bool
	left, right *querySyntax
}

// withSyntax is name [(columns)] AS (query).
type withSyntax struct {
	at      Position
	name    string
	columns []string
	query   *querySyntax
	reads   *int // the statement's
}

type selectSyntax struct {
	at       Position
	distinct bool
	items    []itemSyntax
	// values holds the rows of VALUES (…), (…); then items are those of the first, and all else is empty.
	values [][]*termSyntax
	from   []fromSyntax
	where  *termSyntax
	// groupBy holds the grouping sets: none without GROUP BY, one for a plain one;
	// ROLLUP, CUBE and GROUPING SETS are written out.
	groupBy [][]*termSyntax
	having  *termSyntax
	qualify *termSyntax
}

type itemSyntax struct {
	term  *termSyntax
	alias string // "" without AS
}

type orderSyntax struct {
	term       *termSyntax
	descending bool
	nulls      string // first, last, or "" for the default
}

// fromSyntax is one table, a query in its place, or a table function, and how it
// joins those before it.
type fromSyntax struct {
	at       Position
	table    string
	query    *querySyntax // a derived table
	function *termSyntax  // such as KAPLAN_MEIER(…)
	alias    string       // the table's name without AS; "" for a derived table without one
	columns  []string     // AS t (a, b)
	join     joinKind
	on       *termSyntax
	using    []*termSyntax // JOIN … USING (a, b): bare columns
	natural  bool
	written  int // its place in the text, among all tables: joins may be done in another order
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
	termColumn    termKind = iota // qualifier, name
	termLiteral                   // literal
	termOperator                  // name: an operator of the grammar, args: two or more of AND and OR
	termCall                      // name: a function, args, distinct, star, filter, over
	termStar                      // * or t.*: qualifier
	termCast                      // args[0] to castType
	termInterval                  // args[0] times unit name: day, month, hour …; args[1], if any, is another one to add after it
	termQuery                     // query: a scalar subquery
	termExists                    // query
	termInQuery                   // (args) IN (query)
	termParameter                 // name
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
	query     *querySyntax
	filter    *termSyntax   // FILTER (WHERE …)
	over      *windowSyntax // OVER (…)
	bin       int           // of HISTOGRAM, once expanded
}

// windowSyntax is OVER (PARTITION BY … ORDER BY … frame).
type windowSyntax struct {
	at        Position
	partition []*termSyntax
	orderBy   []orderSyntax
	frame     *frameSyntax // nil: the standard's default
}

// frameSyntax is ROWS BETWEEN from AND to, in rows from the current one: negative
// before it; unbounded ends are the least and the largest int.
type frameSyntax struct {
	from, to int
}
