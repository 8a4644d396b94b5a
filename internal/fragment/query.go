package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of derived relations.
const (
	maxDerivedDepth   = 16
	maxDerivedColumns = 200
	maxColumnName     = 200 // bytes
	// maxArms bounds what one combination puts together.
	maxArms = 1000
)

// Derived is a relation that is computed from others: a select over relations,
// or the rows of several Derived combined. A select over no relation is one row of
// constants, which is public; several combined are a list of values. It is private where a relation that it
// reads is; then each of its rows belongs to one patient, whose id it holds in the
// column Patient, and is a function of that patient's rows alone.
type Derived struct {
	Relations []Relation `json:"relations,omitempty"`
	Filter    *expr.Expr `json:"filter,omitempty"`
	// Grouped: the outputs that are plain values group the rows, the others are
	// functions of a group. A private grouping has the patient's id among its values,
	// so that a group is of one patient. Groups are of NULL, too.
	Grouped bool     `json:"grouped,omitempty"`
	Columns []Output `json:"columns,omitempty"`
	// Combine puts the rows of the arms together; the other fields but Patient are empty
	// then, and the columns are named and typed as the first arm's.
	Combine Combine    `json:"combine,omitempty"`
	Arms    []*Derived `json:"arms,omitempty"`
	// Patient is the column that holds the patient's id; empty where all is public.
	Patient string `json:"patient,omitempty"`
}

// Combine is how the rows of two Derived make one.
type Combine string

// The combinations. All but CombineAll yield distinct rows.
const (
	CombineAll       Combine = "union all"
	CombineUnion     Combine = "union"
	CombineIntersect Combine = "intersect"
	CombineExcept    Combine = "except"
)

// Output is one column of a Derived: a value (Function is empty), a function of a
// group, or with Window a function of rows around.
type Output struct {
	Name     string     `json:"name"`
	Function Function   `json:"function,omitempty"`
	Expr     *expr.Expr `json:"expr,omitempty"` // what it is, or the function's argument
	// Grid makes a sum or an average of floats exact: its terms are floor(x*2^Shift+1/2).
	// One of released rows, which a coordinator reads, may do without.
	Grid   *Grid   `json:"grid,omitempty"`
	Window *Window `json:"window,omitempty"`
}

// Function is what an Output computes from several rows.
type Function string

// The functions of groups and of windows; NULL arguments are left out, and of no
// value the result is NULL, a count's 0.
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

// Window says which rows an output's function reads: those of the same partition,
// whose first expression is the patient's id where the rows are private; and of them, where Order is given and
// the function is one that groups have too, those up to the current row and its peers.
type Window struct {
	Partition []*expr.Expr `json:"partition"`
	Order     []Order      `json:"order,omitempty"`
	// Ties orders rows further that Order leaves tied, for functions that would depend on
	// how a database happens to store them, and so on other patients. Check wants a key among
	// Partition, Order and Ties; or one order for all such outputs, with all that they read.
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

// Frame is the rows from From to To, counted from the current one, negative ones
// before it; Unbounded reaches the partition's end.
type Frame struct {
	From int `json:"from"`
	To   int `json:"to"`
	// Values: From and To are not counted in rows but in the value of the one order, an int: the frame is the rows whose
	// value is so far after the current row's, in the direction of the order. A value beyond ±MaxFrameValue is ordered as
	// NULL; rows of NULL see each other at a bounded end.
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
func (d *Derived) Constant() bool {
	return d.Combine == "" && len(d.Relations)+len(d.Arms) == 0
}

// AreConstants reports whether the relations are rows of constants, which together are a list of values.
func AreConstants(arms []*Derived) bool {
	return !slices.ContainsFunc(arms, func(arm *Derived) bool { return !arm.Constant() })
}

// by lists what the window orders rows by, its partition first.
func (w *Window) by() []*expr.Expr {
	all := slices.Clone(w.Partition)
	for _, by := range w.Order {
		all = append(all, by.Expr)
	}
	return append(all, w.Ties...)
}

func (d *Derived) names() []string {
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
		if d := relations[i].Derived; d != nil {
			d.walk(fn)
		}
	}
}

// walkDerived calls fn for each derived relation, those within and the arms of combinations.
func walkDerived(relations []Relation, fn func(*Derived)) {
	for i := range relations {
		if d := relations[i].Derived; d != nil {
			d.walkDerived(fn)
		}
	}
}

func (d *Derived) walkDerived(fn func(*Derived)) {
	fn(d)
	walkDerived(d.Relations, fn)
	for _, arm := range d.Arms {
		if arm != nil {
			arm.walkDerived(fn)
		}
	}
}

func (d *Derived) walk(fn func(*Relation)) {
	walkRelations(d.Relations, fn)
	for _, arm := range d.Arms {
		if arm != nil {
			arm.walk(fn)
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
		if d := relations[i].Derived; d != nil {
			n += d.count(most - n)
		}
	}
	return n
}

// count is countRelations of those within.
func (d *Derived) count(most int) int {
	n := countRelations(d.Relations, most)
	for _, arm := range d.Arms {
		if arm != nil && n < most {
			n += arm.count(most - n)
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
	Name    string     `json:"name"`
	Table   string     `json:"table,omitempty"` // of the catalog; empty for a derived relation
	Derived *Derived   `json:"derived,omitempty"`
	Join    Join       `json:"join,omitempty"`
	On      *expr.Expr `json:"on,omitempty"` // inner and left
}
