package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of derived relations: relations that a Query computes.
const (
	maxDerivedDepth   = 16
	maxDerivedColumns = 200
	maxColumnName     = 200  // bytes
	maxInputs         = 1000 // of one set operation
)

// Query is a derived relation, computed from others: a select over relations, or a set operation over the rows of
// several queries. A select over no relation is one row of constants, which is public; UNION ALL of such rows is a list
// of values. A Query is private if a relation that it reads is private. Then each of its rows belongs to one patient,
// has that patient's id in the column Patient, and is a function of that patient's rows alone.
type Query struct {
	Relations []Relation `json:"relations,omitempty"`
	Filter    *expr.Expr `json:"filter,omitempty"`
	// Grouped: the outputs that are plain values group the rows, and the others are functions of a group. A private
	// grouping includes the patient's id, so that a group belongs to one patient. NULL is a value to group by.
	Grouped bool     `json:"grouped,omitempty"`
	Columns []Output `json:"columns,omitempty"`
	// SetOp combines the rows of the inputs. The other fields except Patient are then empty, and the columns have the
	// names and types of the first input.
	SetOp  SetOp    `json:"combine,omitempty"`
	Inputs []*Query `json:"arms,omitempty"`
	// Patient is the column that holds the patient's id. It is empty if everything is public.
	Patient string `json:"patient,omitempty"`
}

// SetOp says how the rows of several queries form one relation.
type SetOp string

// The set operations. All but SetOpUnionAll yield distinct rows.
const (
	SetOpUnionAll  SetOp = "union all"
	SetOpUnion     SetOp = "union"
	SetOpIntersect SetOp = "intersect"
	SetOpExcept    SetOp = "except"
)

// Output is one column of a Query: a value (Function is empty), a function of a group, or, with a Window, a function of
// neighbouring rows.
type Output struct {
	Name     string     `json:"name"`
	Function Function   `json:"function,omitempty"`
	Expr     *expr.Expr `json:"expr,omitempty"` // the value, or the function's argument
	// Grid makes a sum or an average of floats exact: its terms are floor(x*2^Shift+1/2). A function of released rows,
	// which a coordinator computes, needs none.
	Grid   *Grid   `json:"grid,omitempty"`
	Window *Window `json:"window,omitempty"`
}

// Function is a function of several rows that an Output computes.
type Function string

// The functions of groups and of windows. They ignore NULL arguments. Without any value the result is NULL, and a count
// is 0.
const (
	FunctionRows     Function = "count rows"
	FunctionCount    Function = "count"
	FunctionDistinct Function = "count distinct"
	FunctionSum      Function = "sum" // of int: NULL beyond 64 bits
	FunctionAverage  Function = "avg" // the exact sum as float64, divided by the count
	FunctionMin      Function = "min"
	FunctionMax      Function = "max"
	FunctionEvery    Function = "every" // of bool
	FunctionAny      Function = "any"   // of bool

	// Functions of windows only. Window.Ties distinguishes rows that Order leaves tied.
	FunctionRowNumber Function = "row number"
	FunctionRank      Function = "rank"
	FunctionDenseRank Function = "dense rank"
	FunctionLag       Function = "lag"   // Expr, Window.Offset rows before
	FunctionLead      Function = "lead"  // Expr, Window.Offset rows after
	FunctionFirst     Function = "first" // Expr in the first row of the partition, which may be NULL
	FunctionLast      Function = "last"  // Expr in the last row of the partition, which may be NULL
)

// Window says which rows an output's function reads: rows of the same partition. If the rows are private, the
// partition's first expression is the patient's id. With an Order, a function that groups have too reads the rows up to
// the current one and its peers.
type Window struct {
	Partition []*expr.Expr `json:"partition"`
	Order     []Order      `json:"order,omitempty"`
	// Ties orders the rows that Order leaves tied. Without it, some functions would depend on how a database stores
	// rows, and so on other patients. Check requires a key among Partition, Order and Ties; or one common order for all
	// such outputs, which includes everything that they read.
	Ties   []*expr.Expr `json:"ties,omitempty"`
	Offset int          `json:"offset,omitempty"` // lag, lead: 1..1000
	// Frame narrows the rows that a function of groups reads; it needs an Order.
	Frame *Frame `json:"frame,omitempty"`
}

// Order is one expression to order rows by.
type Order struct {
	Expr       *expr.Expr `json:"expr"`
	Descending bool       `json:"descending,omitempty"`
	NullsFirst bool       `json:"nulls_first,omitempty"` // NULLs come last unless it is set, in both directions
}

// Frame is the rows from From to To, counted from the current row; negative numbers are rows before it. Unbounded
// extends to the partition's end.
type Frame struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Values: From and To count the value of the only order, an int, instead of rows. The frame has the rows whose
	// value differs from the current row's by From to To, in the direction of the order. A value beyond ±MaxFrameValue
	// is ordered as NULL. At a bounded end, rows of NULL see each other.
	Values bool `json:"values,omitempty"`
}

// MaxFrameValue bounds the values that a frame of values counts, so that no engine overflows.
const MaxFrameValue = 1 << 60

// Unbounded is a Frame's To without an end; -Unbounded is its From without a start.
const Unbounded = 1 << 30

// ofGroups reports whether the function applies to groups. The other functions need a window.
func (f Function) ofGroups() bool {
	switch f {
	case FunctionRows, FunctionCount, FunctionDistinct, FunctionSum, FunctionAverage, FunctionMin, FunctionMax, FunctionEvery, FunctionAny:
		return true
	}
	return false
}

// Tied reports whether the output depends on the order of rows that Order leaves tied.
func (o *Output) Tied() bool {
	return !o.Function.ofGroups() && o.Function != FunctionRank && o.Function != FunctionDenseRank || o.Window.Frame != nil && !o.Window.Frame.Values
}

// sums reports whether the output adds up its argument.
func (o *Output) sums() bool { return o.Function == FunctionSum || o.Function == FunctionAverage }

// Type is the type of the output's values.
func (o *Output) Type() value.Type {
	switch o.Function {
	case FunctionRows, FunctionCount, FunctionDistinct, FunctionRowNumber, FunctionRank, FunctionDenseRank:
		return value.TypeInt
	case FunctionAverage:
		return value.TypeFloat
	}
	return o.Expr.Type
}

// Constant reports whether the relation is one row of constants.
func (d *Query) Constant() bool {
	return d.SetOp == "" && len(d.Relations)+len(d.Inputs) == 0
}

// AreConstants reports whether all inputs are rows of constants, which together are a list of values.
func AreConstants(inputs []*Query) bool {
	return !slices.ContainsFunc(inputs, func(input *Query) bool { return !input.Constant() })
}

// by lists the expressions that the window orders rows by, with its partition first.
func (w *Window) by() []*expr.Expr {
	all := slices.Clone(w.Partition)
	for _, by := range w.Order {
		all = append(all, by.Expr)
	}
	return append(all, w.Ties...)
}

func (d *Query) names() []string {
	var names []string
	for _, o := range d.Columns {
		names = append(names, o.Name)
	}
	return names
}

// walkRelations calls fn for each relation, and for the relations inside it.
func walkRelations(relations []Relation, fn func(*Relation)) {
	for i := range relations {
		fn(&relations[i])
		if d := relations[i].Query; d != nil {
			d.walk(fn)
		}
	}
}

// walkDerived calls fn for each derived relation, for those inside it, and for the inputs of set operations.
func walkDerived(relations []Relation, fn func(*Query)) {
	for i := range relations {
		if d := relations[i].Query; d != nil {
			d.walkDerived(fn)
		}
	}
}

func (d *Query) walkDerived(fn func(*Query)) {
	fn(d)
	walkDerived(d.Relations, fn)
	for _, input := range d.Inputs {
		if input != nil {
			input.walkDerived(fn)
		}
	}
}

func (d *Query) walk(fn func(*Relation)) {
	walkRelations(d.Relations, fn)
	for _, input := range d.Inputs {
		if input != nil {
			input.walk(fn)
		}
	}
}

// countRelations counts relations, and those inside them, up to most. It stops there, because a chain of queries that
// each read the previous one twice stands for a power of two.
func countRelations(relations []Relation, most int) int {
	n := 0
	for i := range relations {
		if n++; n >= most {
			return n
		}
		if d := relations[i].Query; d != nil {
			n += d.count(most - n)
		}
	}
	return n
}

// count is countRelations for the relations inside a query.
func (d *Query) count(most int) int {
	n := countRelations(d.Relations, most)
	for _, input := range d.Inputs {
		if input != nil && n < most {
			n += input.count(most - n)
		}
	}
	return n
}

// Join says how a relation joins those before it.
type Join string

// The joins. The first relation has none.
const (
	JoinInner Join = "inner"
	JoinLeft  Join = "left"
	JoinCross Join = "cross"
)

// Relation is a table, or a derived relation, under a name of its own.
type Relation struct {
	Name  string     `json:"name"`
	Table string     `json:"table,omitempty"` // of the catalog; empty for a derived relation
	Query *Query     `json:"derived,omitempty"`
	Join  Join       `json:"join,omitempty"`
	On    *expr.Expr `json:"on,omitempty"` // inner and left
}
