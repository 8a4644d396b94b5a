package syntax

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Position is a place in the SQL text.
type Position struct {
	Offset int // bytes from the start
	Length int // bytes; at least 1, but 0 at the end of the text
	Line   int // from 1
	Column int // characters, from 1
}

// span is the position from one token to another.
func span(from, to Position) Position {
	from.Length = to.Offset + to.Length - from.Offset
	return from
}

// Statement is one statement.
type Statement struct {
	Kind  Kind
	At    Position
	Query *Query // for KindSelect, KindExplain and KindExplainPrivacy; else nil
	// Setting is what SET sets. Its name is also what SHOW shows (tables, hospitals, budget or functions) and the table
	// that DESCRIBE describes.
	Setting
	// Hints are settings for this query only, written /*+ epsilon = 0.5 */.
	Hints []Setting
	// Parameters are the places of ? (named by their number from 1), $1 and :name, in order of appearance.
	Parameters []Parameter
	// placeholders: the query has parameters or words that stand for the day.
	placeholders bool
}

// ParameterNames lists the names of the parameters, each once, in order of appearance.
func (s *Statement) ParameterNames() []string {
	var names []string
	for _, p := range s.Parameters {
		if !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	return names
}

// Kind is a kind of statement.
type Kind string

// The kinds of statements.
const (
	KindSelect         Kind = "select"
	KindExplain        Kind = "explain"
	KindExplainPrivacy Kind = "explain privacy"
	KindShow           Kind = "show"
	KindDescribe       Kind = "describe"
	KindSet            Kind = "set"
)

// Setting is a setting and its new value.
type Setting struct {
	Name     string
	Value    value.Value // a number, a text or a boolean
	Position Position    // of the name
}

// Parameter is one place of a parameter.
type Parameter struct {
	Name  string
	At    Position
	Array bool // its value is a list in PostgreSQL's form, {1,2}
}

// Query is a SELECT or a set operation, with WITH, ORDER BY and LIMIT.
type Query struct {
	At           Position
	With         []With        // in scope for later queries of WITH and for inner queries
	Select       *Select       // nil if SetOperation is set
	SetOperation *SetOperation // nil if Select is set
	OrderBy      []Order
	Limit        *Expr // nil: all rows
	Offset       *Expr // nil: from the first
}

// SetOperation is Left UNION [ALL] Right, or with INTERSECT or EXCEPT.
type SetOperation struct {
	At          Position
	Operator    string // union, intersect, except
	All         bool
	Left, Right *Query
}

// With is name [(columns)] AS (query).
type With struct {
	At      Position
	Name    string
	Columns []string // nil: the query's own names
	Query   *Query
}

// Select is one SELECT, or VALUES.
type Select struct {
	At       Position
	Distinct bool
	Items    []Item
	// Qualified: * also gives each column the name of its table: a.x.
	Qualified bool
	// Values holds the rows of VALUES (…), (…). Then Items are those of the first row, and the other fields are empty.
	Values [][]*Expr
	From   []From
	Where  *Expr
	// GroupBy holds the grouping sets: none without GROUP BY, one for a plain GROUP BY, and all sets of ROLLUP, CUBE and
	// GROUPING SETS.
	GroupBy [][]*Expr
	Having  *Expr
	Qualify *Expr
}

// Item is one item of SELECT.
type Item struct {
	Term  *Expr
	Alias string // "" without AS
	// Table is the column's table if the SELECT stands for joined tables (Qualified). It is "" for a column of USING and
	// in other SELECTs.
	Table string
	// Joint: the column holds either side of an equality in a FULL JOIN. It is not part of *.
	Joint bool
}

// Order is one item of ORDER BY.
type Order struct {
	Term       *Expr
	Descending bool
	Nulls      string // first, last, or "" for the default
}

// jointColumn is a column of a FULL JOIN with COALESCE of columns that ON says are equal. It has the value of whichever
// side exists.
type jointColumn struct {
	name string
	of   []string // such as a.x, sorted
}

// From is one table, derived table or table function, and how it is joined with the earlier ones.
type From struct {
	At       Position
	Table    string
	Query    *Query   // a derived table
	Function *Expr    // such as KAPLAN_MEIER(…)
	Alias    string   // the table's name without AS; "" for a derived table without one
	Columns  []string // AS t (a, b)
	Join     Join
	On       *Expr
	Using    []*Expr // JOIN … USING (a, b): bare columns
	Natural  bool
	Lateral  bool // Query may read the tables before it
	// Tables are the tables that a FULL JOIN has joined in Query, by the names that columns use; else nil.
	Tables  []string
	joint   []jointColumn
	Written int // its order in the text among all tables; joins may reorder tables
}

// Named returns the query of WITH that a table means, or nil. names are in scope, the innermost last. before are the
// names that the query itself may read.
func (f From) Named(names []With) (w *With, before []With) {
	if f.Query != nil || f.Function != nil {
		return nil, nil
	}
	for i, w := range slices.Backward(names) {
		if w.Name == f.Table {
			return &names[i], names[:i]
		}
	}
	return nil, nil
}

// Join is a way to join a table with the earlier ones.
type Join int

// The joins. A RIGHT JOIN becomes a LEFT JOIN with its sides exchanged.
const (
	NoJoin Join = iota // the first table
	CrossJoin
	InnerJoin
	LeftJoin
	FullJoin // only while it is read: it becomes a derived table, see From.Tables
)

// ExprKind is a kind of expression. It decides which fields of Expr are set.
type ExprKind int

// The kinds of expressions.
const (
	Column  ExprKind = iota // Qualifier, Name
	Literal                 // Literal, Text
	// Name: an operator of SQL in lower case, or "case", "neg", "in", "is null"; Args: two or more of AND and OR
	Operator
	Call // Name: a function; Args, Distinct, Star, Filter, Over
	Star // * or t.*: Qualifier
	Cast // Args[0] to Type; Name: Truncating, or empty
	// Args[0] times the unit Name (day, month, hour …); Args[1], if any, is another interval that is added after it
	Interval
	Subquery    // Query: a scalar subquery
	Exists      // Query
	InSubquery  // (Args) IN (Query)
	Placeholder // Name: a parameter
)

// Expr is an expression.
type Expr struct {
	Kind      ExprKind
	At        Position
	Qualifier string
	Name      string
	Literal   value.Value // invalid for a NULL, which takes its type from the context
	Text      bool        // the literal was a string, so it may mean a date or a number
	Distinct  bool
	Star      bool // COUNT(*)
	Type      value.Type
	Args      []*Expr
	Query     *Query
	Filter    *Expr    // FILTER (WHERE …)
	Over      *Window  // OVER (…)
	Bin       int      // of HISTOGRAM, after it is expanded
	OfRanks   bool     // of a quantile: read from ranks, which also count rows with NULL
	Except    []string // of a Star: the columns to leave out
	Array     bool     // of a Placeholder: its value is a list that is replaced by its elements
	Order     []Order  // of an aggregate with an order: FIRST, STRING_AGG and ARRAY_AGG
	Place     int      // of FIRST: the number of the row, from 1; negative for LIMIT to that many rows
}

// Window is OVER (PARTITION BY … ORDER BY … frame).
type Window struct {
	At        Position
	Partition []*Expr
	OrderBy   []Order
	Frame     *Frame // nil: the standard's default
}

// Frame is ROWS BETWEEN From AND To, in rows from the current one; negative is before it. Unbounded ends are the least
// and the largest int. With Values it is RANGE, and From and To are counted in values of the order.
type Frame struct {
	From, To int
	Values   bool
	// Days: an end was an interval of that many days. The order must be by dates.
	Days bool
}

// Name is the name of the item's column in the answer.
func (i Item) Name() string {
	switch {
	case i.Alias != "":
		return i.Alias
	case i.Term.Kind == Column || i.Term.Kind == Call:
		return i.Term.Name
	}
	return "column"
}

// Bare reports whether the query has no WITH, ORDER BY, LIMIT or OFFSET.
func (q *Query) Bare() bool {
	return q.With == nil && q.OrderBy == nil && q.Limit == nil && q.Offset == nil
}

// Describe writes the expression for a hint.
func (t *Expr) Describe() string {
	switch t.Kind {
	case Column:
		if t.Qualifier != "" {
			return t.Qualifier + "." + t.Name
		}
		return t.Name
	case Literal:
		if !t.Literal.Valid() {
			return "NULL"
		}
		return t.Literal.String()
	case Call:
		if len(t.Args) == 1 && !t.Distinct && t.Over == nil && t.Filter == nil {
			return strings.ToUpper(t.Name) + "(" + t.Args[0].Describe() + ")"
		}
		return strings.ToUpper(t.Name) + "(…)"
	case Cast:
		return "CAST(" + t.Args[0].Describe() + " AS " + string(t.Type) + ")"
	case Subquery:
		return "(SELECT …)"
	case Operator:
		simple := func(t *Expr) bool { return t.Kind != Operator || t.Name == "case" || t.Name == "neg" }
		switch {
		case t.Name == "case":
			return "CASE … END"
		case arithmetic[t.Name] && simple(t.Args[0]) && simple(t.Args[1]):
			name := strings.ToUpper(t.Name)
			if t.Name == Divide {
				name = "/"
			}
			return t.Args[0].Describe() + " " + name + " " + t.Args[1].Describe()
		}
	}
	return "…"
}

// Equal reports whether two expressions are written alike. A subquery or window equals only itself.
func (t *Expr) Equal(o *Expr) bool {
	if t.Kind != o.Kind || t.Qualifier != o.Qualifier || t.Name != o.Name || t.Literal != o.Literal ||
		t.Distinct != o.Distinct ||
		t.Star != o.Star || t.Type != o.Type || t.Bin != o.Bin || t.OfRanks != o.OfRanks || len(t.Args) != len(o.Args) || t.Query != o.Query ||
		t.Over != o.Over ||
		(t.Filter == nil) != (o.Filter == nil) || t.Filter != nil && !t.Filter.Equal(o.Filter) ||
		t.Place != o.Place || !sameOrders(t.Order, o.Order) {
		return false
	}
	for i := range t.Args {
		if !t.Args[i].Equal(o.Args[i]) {
			return false
		}
	}
	return true
}

func sameOrders(a, b []Order) bool {
	return slices.EqualFunc(a, b, func(x, y Order) bool {
		return x.Descending == y.Descending && x.Nulls == y.Nulls && x.Term.Equal(y.Term)
	})
}

// Divide is the name of the operator whose result has a fraction for all types. "/" of two ints gives an int.
const Divide = "divide"

// maxValues bounds the number of rows of VALUES.
const maxValues = 1000

// IsNull reports whether the expression is the word NULL, which takes its type from the context.
func (t *Expr) IsNull() bool { return t.Kind == Literal && !t.Literal.Valid() }

// NewLiteral returns a constant at a position.
func NewLiteral(at Position, v value.Value) *Expr { return &Expr{Kind: Literal, At: at, Literal: v} }

// NewOperator applies an operator to at least one operand.
func NewOperator(name string, args ...*Expr) *Expr {
	return &Expr{Kind: Operator, Name: name, At: args[0].At, Args: args}
}
