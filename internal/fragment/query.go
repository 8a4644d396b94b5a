package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of derived relations, those that a Query computes.
const (
	maxDerivedDepth   = 16
	maxDerivedColumns = 200
	maxColumnName     = 200  // bytes
	maxInputs         = 1000 // of one set operation
)

// Query is a derived relation, one that is computed from others: a select over relations, or a set operation over the
// rows of several queries. A select over no relation is one row of constants, which is public; UNION ALL of such rows
// is a list of values. A Query is private where a relation that it reads is. Then each of its rows belongs to one
// patient, whose id it holds in the column Patient, and is a function of that patient's rows alone.
type Query struct {
	Relations []Relation `json:"relations,omitempty"`
	Filter    *expr.Expr `json:"filter,omitempty"`
	// Grouped: the outputs that are plain values group the rows, the others are functions of a group. A private
	// grouping has the patient's id among its values, so that a group is of one patient. NULL is a value to group by.
	Grouped bool     `json:"grouped,omitempty"`
	Columns []Output `json:"columns,omitempty"`
	// SetOp puts the rows of the inputs together. The other fields but Patient are empty then, and the columns are
	// named and typed as the first input's.
	SetOp  SetOp    `json:"combine,omitempty"`
	Inputs []*Query `json:"arms,omitempty"`
	// Patient is the column that holds the patient's id; empty where all is public.
	Patient string `json:"patient,omitempty"`
}

// SetOp is how the rows of several queries make one relation.
type SetOp string

// The set operations. All but SetOpUnionAll yield distinct rows.
const (
	SetOpUnionAll  SetOp = "union all"
	SetOpUnion     SetOp = "union"
	SetOpIntersect SetOp = "intersect"
	SetOpExcept    SetOp = "except"
)

// Output is one column of a Query: a value (Function is empty), a function of a group, or with Window a function of
// rows around.
type Output struct {
	Name     string     `json:"name"`
	Function Function   `json:"function,omitempty"`
	Expr     *expr.Expr `json:"expr,omitempty"` // what it is, or the function's argument
	// Grid makes a sum or an average of floats exact: its terms are floor(x*2^Shift+1/2). One over released rows, which
	// a coordinator computes, needs none.
	Grid   *Grid   `json:"grid,omitempty"`
	Window *Window `json:"window,omitempty"`
}

// Function is what an Output computes from several rows.
type Function string

// The functions of groups and of windows. They leave out NULL arguments. Of no value the result is NULL, of a count 0.
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

	// Of windows alone. Rows that Order leaves tied are told apart by Window.Ties.
	FunctionRowNumber Function = "row number"
	FunctionRank      Function = "rank"
	FunctionDenseRank Function = "dense rank"
	FunctionLag       Function = "lag"   // Expr, Window.Offset rows before
	FunctionLead      Function = "lead"  // Expr, Window.Offset rows after
	FunctionFirst     Function = "first" // Expr in the first row of the partition, NULL as it may be
	FunctionLast      Function = "last"  // Expr in the last row of the partition
)

// Window says which rows an output's function reads: those of the same partition. Where the rows are private, the
// partition's first expression is the patient's id. A function that groups have too reads, where Order is given, the
// rows up to the current one and its peers.
type Window struct {
	Partition []*expr.Expr `json:"partition"`
	Order     []Order      `json:"order,omitempty"`
	// Ties orders the rows that Order leaves tied. Without it, some functions would depend on how a database happens to
	// store rows, and so on other patients. Check wants a key among Partition, Order and Ties; or one order for all
	// such outputs, with all that they read.
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

// Frame is the rows from From to To, counted from the current one: negative numbers are before it. Unbounded reaches
// the partition's end.
type Frame struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Values: From and To are not counted in rows but in the value of the one order, an int: the frame is the rows
	// whose value is so far after the current row's, in the direction of the order. A value beyond ±MaxFrameValue is
	// ordered as NULL; rows of NULL see each other at a bounded end.
	Values bool `json:"values,omitempty"`
}

// MaxFrameValue bounds what a frame of values is counted in, so that no engine overflows.
const MaxFrameValue = 1 << 60

// Unbounded is a Frame's To without an end; -Unbounded its From without a start.
const Unbounded = 1 << 30

// ofGroups reports whether the function applies to groups; the others need a window.
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

// AreConstants reports whether the relations are rows of constants, which together are a list of values.
func AreConstants(inputs []*Query) bool {
	return !slices.ContainsFunc(inputs, func(input *Query) bool { return !input.Constant() })
}

// by lists what the window orders rows by, its partition first.
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

// walkRelations calls fn for each relation and those within.
func walkRelations(relations []Relation, fn func(*Relation)) {
	for i := range relations {
		fn(&relations[i])
		if d := relations[i].Query; d != nil {
			d.walk(fn)
		}
	}
}

// walkDerived calls fn for each derived relation, those within and the inputs of combinations.
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

// countRelations is how many relations there are, with those within, up to most: it counts no further, since a chain of
// queries in which each reads the one before twice stands for powers of two.
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

// count is countRelations of those within.
func (d *Query) count(most int) int {
	n := countRelations(d.Relations, most)
	for _, input := range d.Inputs {
		if input != nil && n < most {
			n += input.count(most - n)
		}
	}
	return n
}

// Join is how a relation joins those before it.
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
