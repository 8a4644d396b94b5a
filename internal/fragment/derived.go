package fragment

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Limits of derived relations.
const (
	maxDerivedDepth   = 16
	maxDerivedColumns = 200
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

// scheme is what is known of a derived relation before any row is read.
type scheme struct {
	table *catalog.Table // its columns' types, Public, Patient, OneRowPerPatient
	facts []expr.Range   // of each column
	sizes []float64      // likewise, see Scope.size
	keys  [][]string     // sets of columns whose values tell rows apart
	// same tells of each column whether all rows of a patient hold one value there, at one hospital: how it is written, where
	// it is made of the hospital's name and constants alone, so that it is the same in other relations; perPatient, where
	// it is the patient's; "" where rows differ.
	same []string
	rows float64 // see scoped
	most func(columns []string) (float64, error)
}

// Table describes a derived relation as a catalog describes a table: its columns,
// whether it is public, the column of the patient's id, and whether a patient has one
// row. It checks all that Check does. Of a relation with many within each is asked for its table, so that no domains are inferred: a
// table tells none. It spends from the budget of a statement.
func (d *Derived) Table(name string, c *catalog.Catalog, b *expr.Budget) (*catalog.Table, error) {
	if d.count(maxRelationsInAll+1) > maxRelationsInAll {
		return nil, tooManyRelations()
	}
	on := believed(c)
	on.left.Budget, on.bare = b, true
	s, err := d.scheme(name, on, 0)
	if err != nil {
		return nil, err
	}
	return s.table, nil
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

func (d *Derived) scheme(name string, on basis, depth int) (*scheme, error) {
	switch {
	case d == nil:
		return nil, fmt.Errorf("%w: a part of %s is missing", ErrInvalid, name)
	case depth > maxDerivedDepth:
		return nil, &Limit{Message: fmt.Sprintf("queries nest in more than %d levels, of which a window or a grouping makes one more", maxDerivedDepth), Hint: "ask it in fewer steps"}
	}
	var s *scheme
	var err error
	switch {
	case d.Combine != "":
		s, err = d.combined(name, on, depth)
	case d.Constant():
		s, err = d.constant(name)
	default:
		s, err = d.selected(name, on, depth)
	}
	if err != nil {
		return nil, err
	}
	if s.table.Public != (d.Patient == "") {
		return nil, fmt.Errorf("%w: the derived relation %s must name the patient's column if and only if it is private", ErrInvalid, name)
	}
	s.table.Patient = d.Patient
	if len(s.keys) > 0 {
		s.table.Key = s.keys[0]
	}
	most := float64(MaxSpread)
	if s.table.Public {
		most = MaxPublicRows
	}
	if s.rows > most && d.Combine != "" {
		return nil, &Limit{Message: fmt.Sprintf("%s puts up to %.0f rows of one together, and %.0f are the most", d.Combine, s.rows, most), Hint: "ask it in several queries"}
	}
	for _, key := range s.keys {
		if len(key) == 1 && !s.table.Public && strings.EqualFold(key[0], d.Patient) {
			s.table.OneRowPerPatient = true
		}
	}
	if s.table.OneRowPerPatient {
		s.rows = 1
	}
	return s, nil
}

func (d *Derived) combined(name string, on basis, depth int) (*scheme, error) {
	switch d.Combine {
	case CombineAll, CombineUnion, CombineIntersect, CombineExcept:
	default:
		return nil, fmt.Errorf("%w: there is no combination %q", ErrInvalid, d.Combine)
	}
	if len(d.Arms) < 2 || len(d.Arms) > maxArms || len(d.Relations)+len(d.Columns) > 0 || d.Filter != nil || d.Grouped {
		return nil, fmt.Errorf("%w: %s is not combined properly", ErrInvalid, name)
	}
	var all []*scheme
	for _, arm := range d.Arms {
		s, err := arm.scheme(name, on, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	first := all[0]
	out := &scheme{table: &catalog.Table{Name: name, Public: first.table.Public}}
	for _, s := range all {
		out.rows += s.rows
	}
	out.most = d.mostOf(nil, nil, all)
	var names []string
	for i, column := range first.table.Columns {
		var facts []expr.Range
		size := 1.0
		for _, s := range all {
			if len(s.table.Columns) != len(first.table.Columns) || s.table.Columns[i].Type != column.Type {
				return nil, fmt.Errorf("%w: the arms of %s differ in their columns", ErrInvalid, name)
			}
			if s.table.Public != first.table.Public ||
				strings.EqualFold(first.table.Patient, column.Name) != strings.EqualFold(s.table.Patient, s.table.Columns[i].Name) {
				return nil, fmt.Errorf("%w: the arms of %s hold the patient's id in different columns", ErrInvalid, name)
			}
			facts, size = append(facts, s.facts[i]), max(size, s.sizes[i])
		}
		f := facts[0] // what is kept of intersect and except is of the first arm
		// Databases move conditions on a combination into its arms.
		if d.Combine == CombineAll || d.Combine == CombineUnion || on.enforced {
			f = expr.Union(column.Type, facts, on.left.Budget)
		}
		out.facts, out.sizes, out.same = append(out.facts, f), append(out.sizes, size), append(out.same, d.sameValue(all, i))
		copied := *column
		copied.Nullable = f.Nullable
		out.table.Columns = append(out.table.Columns, &copied)
		names = append(names, column.Name)
	}
	if !first.table.Public && !strings.EqualFold(first.table.Patient, d.Patient) {
		return nil, fmt.Errorf("%w: %s does not name the patient's column", ErrInvalid, name)
	}
	if d.Combine != CombineAll {
		out.keys = append(out.keys, names)
	} else {
		out.keys = keysOfConstants(d.Arms)
	}
	if d.Combine == CombineIntersect || d.Combine == CombineExcept {
		out.keys = append(out.keys, first.keys...)
		out.table.OneRowPerPatient = first.table.OneRowPerPatient
	}
	return out, nil
}

// Constant reports whether the relation is one row of constants.
func (d *Derived) Constant() bool {
	return d.Combine == "" && len(d.Relations)+len(d.Arms) == 0
}

// AreConstants reports whether the relations are rows of constants, which together are a list of values.
func AreConstants(arms []*Derived) bool {
	return !slices.ContainsFunc(arms, func(arm *Derived) bool { return !arm.Constant() })
}

// constant is the scheme of one row of constants.
func (d *Derived) constant(name string) (*scheme, error) {
	if d.Filter != nil || d.Grouped || len(d.Columns) == 0 || len(d.Columns) > maxDerivedColumns {
		return nil, fmt.Errorf("%w: %s reads no relation and is no row of constants", ErrInvalid, name)
	}
	out, seen := &scheme{table: &catalog.Table{Name: name, Public: true}, rows: 1, most: d.mostOf(nil, nil, nil)}, map[string]bool{}
	for _, o := range d.Columns {
		if o.Expr == nil || o.Expr.Op != expr.OpLiteral || o.Function != "" || o.Grid != nil || o.Window != nil ||
			o.Name == "" || len(o.Name) > 200 || seen[fold(o.Name)] {
			return nil, fmt.Errorf("%w: %s has a column that is no constant, or has the name of another", ErrInvalid, name)
		}
		if err := o.Expr.CheckType(); err != nil {
			return nil, err
		}
		if err := checkConstant(*o.Expr.Value); err != nil {
			return nil, err
		}
		seen[fold(o.Name)] = true
		f := expr.NewRangeAnalysis(func(*expr.Expr) expr.Range { return expr.Unknown(true) }).Range(o.Expr)
		out.facts, out.sizes = append(out.facts, f), append(out.sizes, 1)
		out.table.Columns = append(out.table.Columns, &catalog.Column{Name: o.Name, Type: o.Expr.Type, Nullable: f.Nullable})
	}
	out.keys = keysOfConstants([]*Derived{d})
	return out, nil
}

// keysOfConstants lists the columns that tell a list of values apart: no two rows have the same there, nor one
// a NULL, which equals nothing, nor a float, of which engines may have neighbours.
func keysOfConstants(rows []*Derived) [][]string {
	var keys [][]string
	if !AreConstants(rows) {
		return nil
	}
	for i, o := range rows[0].Columns {
		seen := map[value.Value]bool{}
		for _, row := range rows {
			if v := *row.Columns[i].Expr.Value; !v.IsNull() && v.Type() != value.TypeFloat {
				seen[v] = true
			}
		}
		if len(seen) == len(rows) {
			keys = append(keys, []string{o.Name})
		}
	}
	return keys
}

func (d *Derived) selected(name string, on basis, depth int) (*scheme, error) {
	if len(d.Arms) > 0 {
		return nil, fmt.Errorf("%w: %s has arms that it does not combine", ErrInvalid, name)
	}
	s, err := newScope(d.Relations, on, depth)
	if err != nil {
		return nil, err
	}
	if len(d.Columns) == 0 || len(d.Columns) > maxDerivedColumns {
		return nil, fmt.Errorf("%w: a derived relation has from 1 to %d columns", ErrInvalid, maxDerivedColumns)
	}
	check, err := s.checkRows(d.Relations, d.Filter)
	if err != nil {
		return nil, err
	}
	conditions := conditionsOf(d.Relations, d.Filter)
	if err := s.checkOwned(conditions); err != nil {
		return nil, err
	}
	out := &scheme{table: &catalog.Table{Name: name, Public: s.public()}}
	if out.rows, err = s.spread(conditions, nil); err != nil {
		return nil, err
	}
	out.most = d.mostOf(s, conditions, nil)
	known := s.inferenceWhere(d.Filter)
	if on.enforced {
		known = s.inferenceWhere(nil)
	}
	single := s.singleRow(conditions)
	seen := map[string]bool{}
	var values []string // plain outputs
	keyless := d.Grouped && !slices.ContainsFunc(d.Columns, func(o Output) bool { return o.Function == "" })
	for i := range d.Columns {
		o := &d.Columns[i]
		if f := fold(o.Name); o.Name == "" || len(o.Name) > 200 || seen[f] {
			return nil, fmt.Errorf("%w: the derived relation %s has a column without a name, or two of one name", ErrInvalid, name)
		} else {
			seen[f] = true
		}
		if err := s.checkOutput(o, d, check); err != nil {
			return nil, err
		}
		f := o.facts(known.Range, keyless)
		out.facts = append(out.facts, f)
		size := 1.0
		if o.Function == "" {
			size = s.size(o.Expr)
		}
		out.sizes = append(out.sizes, size)
		out.same = append(out.same, s.sameValue(o, single))
		column := &catalog.Column{Name: o.Name, Type: o.Type(), Nullable: f.Nullable}
		if o.Function == "" {
			values = append(values, o.Name)
			column.References = s.reference(o.Expr)
		}
		out.table.Columns = append(out.table.Columns, column)
		if o.Name == d.Patient && (o.Function != "" || s.checkPatient(o.Expr) != nil) {
			return nil, fmt.Errorf("%w: the column %s of %s does not hold the patient's id", ErrInvalid, o.Name, name)
		}
	}
	if !out.table.Public && !slices.Contains(values, d.Patient) {
		return nil, fmt.Errorf("%w: %s lacks the patient's id", ErrInvalid, name)
	}
	if err := s.checkOrders(d); err != nil {
		return nil, err
	}
	if d.Grouped {
		out.keys = append(out.keys, values)
	} else {
		out.table.OneRowPerPatient = !out.table.Public && !slices.Contains(single, false)
		out.keys = s.keysOf(d)
	}
	if d.Grouped && !out.table.Public {
		// Rows of one patient fall into one group where the values to group by are of single rows.
		one := true
		for _, o := range d.Columns {
			if o.Function == "" {
				o.Expr.Columns(func(relation, column string) { one = one && s.fixed(relation, column, single) })
			}
		}
		out.table.OneRowPerPatient = one
	}
	return out, nil
}

// perPatient is in scheme.same of a column that is one value a patient.
const perPatient = "patient"

// sameValue is scheme.same of an output.
func (s *Scope) sameValue(o *Output, single []bool) string {
	if o.Function != "" {
		return ""
	}
	same, read := true, false
	o.Expr.Columns(func(relation, column string) { same, read = same && s.fixed(relation, column, single), true })
	switch {
	case !same:
		return ""
	case !read:
		return "= " + o.Expr.String()
	case o.Expr.Op == expr.OpColumn:
		if i := s.index[o.Expr.Relation]; !s.relations[i].optional && s.relations[i].sameIn(o.Expr.Column) != "" {
			return s.relations[i].sameIn(o.Expr.Column)
		}
	}
	return perPatient
}

// sameValue is scheme.same of column i of combined relations.
func (d *Derived) sameValue(arms []*scheme, i int) string {
	same := func(s *scheme) string {
		if i >= len(s.same) {
			return ""
		}
		return s.same[i]
	}
	first := same(arms[0])
	if d.Combine == CombineIntersect || d.Combine == CombineExcept { // rows of the first arm
		return first
	}
	if slices.ContainsFunc(arms, func(s *scheme) bool { return same(s) != first }) || first == perPatient {
		return ""
	}
	return first
}

// keysOf lists sets of outputs that tell the rows of an ungrouped select apart:
// the key of the one table that it reads (a public one joined by its key adds no rows), and the
// partition of a row number with that number.
func (s *Scope) keysOf(d *Derived) [][]string {
	named := func(e *expr.Expr) string {
		for _, o := range d.Columns {
			if o.Function == "" && o.Expr.Op == expr.OpColumn && o.Expr.Relation == e.Relation && strings.EqualFold(o.Expr.Column, e.Column) {
				return o.Name
			}
		}
		return ""
	}
	list := func(exprs []*expr.Expr) []string {
		var names []string
		for _, e := range exprs {
			n := ""
			if e.Op == expr.OpColumn {
				n = named(e)
			}
			if n == "" {
				return nil
			}
			names = append(names, n)
		}
		return names
	}
	var keys [][]string
	if len(s.relations) == 1 {
		for _, key := range s.relations[0].keys {
			var columns []*expr.Expr
			for _, name := range key {
				columns = append(columns, expr.Column(s.relations[0].Name, name, ""))
			}
			if names := list(columns); len(names) > 0 {
				keys = append(keys, names)
			}
		}
	}
	for _, o := range d.Columns {
		if o.Function == FunctionRowNumber {
			if names := list(o.Window.Partition); len(names) == len(o.Window.Partition) {
				keys = append(keys, append(names, o.Name))
			}
		}
	}
	return keys
}

// fold gives names that are one in any letter case the same form: those that
// strings.EqualFold says are equal, such as K and the Kelvin sign.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// reference returns the key that a bare column refers to, or is.
func (s *Scope) reference(e *expr.Expr) string {
	if e.Op != expr.OpColumn {
		return ""
	}
	t := s.relations[s.index[e.Relation]].table
	c, ok := t.Column(e.Column)
	switch {
	case !ok:
		return ""
	case c.References != "":
		return c.References
	case s.relations[s.index[e.Relation]].Derived == nil && len(t.Key) == 1 && strings.EqualFold(t.Key[0], c.Name):
		return t.Name + "." + c.Name
	}
	return ""
}

func (s *Scope) public() bool {
	for _, r := range s.relations {
		if !r.table.Public {
			return false
		}
	}
	return true
}

func (s *Scope) checkOutput(o *Output, d *Derived, check func(*expr.Expr) error) error {
	if o.Expr != nil {
		if err := check(o.Expr); err != nil {
			return err
		}
	}
	none := o.Function == FunctionRows || o.Function == FunctionRowNumber || o.Function == FunctionRank || o.Function == FunctionDenseRank
	if none != (o.Expr == nil) {
		return fmt.Errorf("%w: the column %s has an argument too many or too few", ErrInvalid, o.Name)
	}
	numbers := o.sums()
	switch {
	case o.Function == "" && o.Window != nil, o.Function != "" && o.Window == nil && !o.Function.ofGroups(),
		o.Function != "" && d.Grouped == (o.Window != nil):
		return fmt.Errorf("%w: %q cannot stand for the column %s", ErrInvalid, o.Function, o.Name)
	case numbers && !o.Expr.Type.Numeric(), (o.Function == FunctionEvery || o.Function == FunctionAny) && o.Expr.Type != value.TypeBool:
		return fmt.Errorf("%w: %s does not apply to a %s", expr.ErrExpression, o.Function, o.Expr.Type)
	case o.Grid != nil && !(numbers && o.Expr.Type == value.TypeFloat), o.Grid == nil && numbers && o.Expr.Type == value.TypeFloat && !s.public():
		return fmt.Errorf("%w: a sum of a patient's floats, and only it, has a grid", ErrInvalid)
	case o.Grid != nil && o.Grid.validate(1, innerBits) != nil:
		return o.Grid.validate(1, innerBits)
	}
	if o.Function != "" && !o.Function.ofGroups() && o.Function != FunctionRowNumber && o.Function != FunctionRank && o.Function != FunctionDenseRank &&
		o.Function != FunctionLag && o.Function != FunctionLead && o.Function != FunctionFirst && o.Function != FunctionLast {
		return fmt.Errorf("%w: there is no function %q", ErrInvalid, o.Function)
	}
	if o.Window != nil {
		return s.checkWindow(o, check)
	}
	return nil
}

func (s *Scope) checkWindow(o *Output, check func(*expr.Expr) error) error {
	w := o.Window
	exprs := append(slices.Clone(w.Partition), w.Ties...)
	for _, order := range w.Order {
		exprs = append(exprs, order.Expr)
	}
	if len(exprs) > maxDerivedColumns {
		return fmt.Errorf("%w: a window is too large", ErrInvalid)
	}
	for _, e := range exprs {
		if err := check(e); err != nil {
			return err
		}
	}
	switch {
	case !s.public() && (len(w.Partition) == 0 || s.checkPatient(w.Partition[0]) != nil):
		return fmt.Errorf("%w: a window must be partitioned by the patient", ErrInvalid)
	case (o.Function == FunctionLag || o.Function == FunctionLead) != (w.Offset != 0) || w.Offset < 0 || w.Offset > 1000:
		return fmt.Errorf("%w: a window's offset is out of range", ErrInvalid)
	case len(w.Order) == 0 && (!o.Function.ofGroups() || w.Frame != nil):
		return fmt.Errorf("%w: %q needs an order", ErrInvalid, o.Function)
	case w.Frame != nil && (!o.Function.ofGroups() || o.Function == FunctionDistinct || w.Frame.From > w.Frame.To ||
		w.Frame.From < -Unbounded || w.Frame.From == Unbounded || w.Frame.To > Unbounded || w.Frame.To == -Unbounded):
		return fmt.Errorf("%w: a window's frame is out of range", ErrInvalid)
	case w.Frame != nil && w.Frame.Values && (len(w.Order) != 1 || w.Order[0].Expr.Type != value.TypeInt):
		return fmt.Errorf("%w: a frame of values needs one order, by an int", ErrInvalid)
	case o.Function == FunctionDistinct && len(w.Order) > 0:
		return fmt.Errorf("%w: distinct values are counted over the whole window", ErrInvalid)
	case !o.Tied() && len(w.Ties) > 0:
		return fmt.Errorf("%w: %q needs no ties", ErrInvalid, o.Function)
	}
	return nil
}

// checkOrders refuses outputs that depend on how a database happens to keep rows:
// that order may follow from other patients' rows. Nor may public rows, which private ones are joined
// to: in which order a database reads them may follow from what else it does. An output whose order tells rows
// apart by a key depends on the rows alone. The others must be of one order, by
// everything that the outputs read: what it leaves tied are rows that are alike, and
// where these change places, they do so in all outputs at once.
func (s *Scope) checkOrders(d *Derived) error {
	var one *Window
	for i := range d.Columns {
		o := &d.Columns[i]
		if o.Window == nil || !o.Tied() || s.ordersByKey(o.Window) {
			continue
		}
		if one == nil {
			one = o.Window
		}
		if !sameExprs(one.by(), o.Window.by()) || !slices.EqualFunc(one.Order, o.Window.Order, func(a, b Order) bool {
			return a.Descending == b.Descending && a.NullsFirst == b.NullsFirst && a.Expr.Equal(b.Expr)
		}) {
			return fmt.Errorf("%w: %s is of a second order of rows, and no key tells rows apart that either leaves tied", ErrInvalid, o.Name)
		}
	}
	if one == nil {
		return nil
	}
	known := one.by()
	for i := range d.Columns {
		o := &d.Columns[i]
		read := []*expr.Expr{o.Expr}
		if o.Window != nil {
			read = append(read, o.Window.by()...)
		}
		for _, e := range read {
			if e != nil && e.Op != expr.OpLiteral && e.Op != expr.OpHospital && !slices.ContainsFunc(known, e.Equal) {
				return fmt.Errorf("%w: rows that differ in %s may be tied in the order of another column", ErrInvalid, o.Name)
			}
		}
	}
	return nil
}

// by lists what the window orders rows by, its partition first.
func (w *Window) by() []*expr.Expr {
	all := slices.Clone(w.Partition)
	for _, by := range w.Order {
		all = append(all, by.Expr)
	}
	return append(all, w.Ties...)
}

// ordersByKey reports whether the window orders rows by a key of the one relation
// that they are of.
func (s *Scope) ordersByKey(w *Window) bool {
	by := w.by()
	return len(s.relations) == 1 && slices.ContainsFunc(s.relations[0].keys, func(key []string) bool {
		return !slices.ContainsFunc(key, func(k string) bool {
			return !slices.ContainsFunc(by, func(e *expr.Expr) bool { return e.Op == expr.OpColumn && strings.EqualFold(e.Column, k) })
		})
	})
}

func sameExprs(a, b []*expr.Expr) bool { return slices.EqualFunc(a, b, (*expr.Expr).Equal) }

// facts derives what is known of an output; keyless: a group may be of no row.
func (o *Output) facts(facts func(*expr.Expr) expr.Range, keyless bool) expr.Range {
	count := func(least float64) expr.Range { return expr.Range{Lower: least, Upper: math.Inf(1)} }
	var x expr.Range
	if o.Expr != nil {
		x = facts(o.Expr)
	}
	empty := keyless || o.Window != nil && o.Window.Frame != nil // there may be no row to read
	switch o.Function {
	case FunctionRows:
		if empty {
			return count(0)
		}
		return count(1)
	case FunctionRowNumber, FunctionRank, FunctionDenseRank:
		return count(1)
	case FunctionCount, FunctionDistinct:
		f := count(0)
		if !x.Nullable && !empty {
			f.Lower = 1
		}
		// A declared domain bounds nothing: data may hold more, and no group shows it.
		if whole := o.Function == FunctionDistinct && (o.Expr.Type == value.TypeInt || o.Expr.Type == value.TypeDate || o.Expr.Type == value.TypeBool); whole && x.Bounded() {
			f.Upper = math.Max(0, math.Floor(x.Upper)-math.Ceil(x.Lower)+1)
		}
		return f
	case FunctionSum:
		f := expr.Unknown(true)
		if o.Grid != nil {
			x = o.Grid.within(x)
		}
		if x.Lower >= 0 {
			f.Lower = 0
		}
		if x.Upper <= 0 {
			f.Upper = 0
		}
		return f
	case FunctionAverage:
		x.Domain = nil
		if o.Grid != nil {
			x = o.Grid.within(x)
		}
		if x.Bounded() { // the sum and the quotient are rounded
			x.Lower, x.Upper = expr.Outward(math.Nextafter(x.Lower, math.Inf(-1)), math.Nextafter(x.Upper, math.Inf(1)))
		}
		x.Nullable = x.Nullable || empty || o.Expr.Type == value.TypeFloat && !x.Bounded()
		return x
	case FunctionLag, FunctionLead:
		return x.OrNull(o.Expr.Type)
	case "", FunctionFirst, FunctionLast:
		return x
	}
	if empty {
		x = x.OrNull(o.Expr.Type)
	}
	return x // min, max, every, any
}

// within bounds a number that counts as a value of the grid, without its center. The
// grid is not the facts' own: it is the coordinator's.
func (g Grid) within(x expr.Range) expr.Range {
	at := func(x float64) float64 {
		return g.Number(math.Min(math.Max(math.Floor(math.Ldexp(x, g.Shift)+0.5), float64(g.Lower)), float64(g.Upper)))
	}
	x.Lower, x.Upper = expr.Outward(at(x.Lower), at(x.Upper))
	return x
}

// Tables lists the catalog's tables that the fragment reads, in derived relations
// too, each once, sorted.
func (f *Fragment) Tables() []string {
	var names []string
	walkRelations(f.Relations, func(r *Relation) {
		if r.Derived == nil {
			names = append(names, r.Table)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
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

// String writes the derived relation as SQL for people; engines have their own
// dialects.
func (d *Derived) String() string {
	if d.Combine != "" {
		var arms []string
		for _, arm := range d.Arms {
			text := arm.String()
			if arm.Combine != "" {
				text = "(\n  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n)"
			}
			arms = append(arms, text)
		}
		return strings.Join(arms, "\n"+strings.ToUpper(string(d.Combine))+"\n")
	}
	var columns, keys []string
	for _, o := range d.Columns {
		text := o.String()
		if o.Function == "" {
			keys = append(keys, o.Name)
		}
		if o.Function != "" || o.Expr.Op != expr.OpColumn || o.Expr.Column != o.Name {
			text += " AS " + o.Name
		}
		columns = append(columns, text)
	}
	var b strings.Builder
	b.WriteString("SELECT " + strings.Join(columns, ", "))
	if len(d.Relations) > 0 {
		b.WriteString("\nFROM ")
	}
	for i, r := range d.Relations {
		if i > 0 {
			b.WriteString("\n" + strings.ToUpper(string(r.Join)) + " JOIN ")
		}
		b.WriteString(r.String())
	}
	if d.Filter != nil {
		fmt.Fprintf(&b, "\nWHERE %s", d.Filter)
	}
	if d.Grouped && len(keys) > 0 {
		b.WriteString("\nGROUP BY " + strings.Join(keys, ", "))
	}
	return b.String()
}

// String writes the relation and how it is joined as SQL for people.
func (r Relation) String() string {
	text := r.Table
	switch {
	case r.Derived != nil:
		text = "(\n  " + strings.ReplaceAll(r.Derived.String(), "\n", "\n  ") + "\n) AS " + r.Name
	case r.Name != r.Table:
		text += " AS " + r.Name
	}
	if r.On != nil {
		text += " ON " + r.On.String()
	}
	return text
}

// String writes what the output is as SQL for people.
func (o *Output) String() string {
	if o.Function == "" {
		return o.Expr.String()
	}
	argument := ""
	if o.Expr != nil {
		argument = o.Expr.String()
	}
	text := map[Function]string{FunctionRows: "COUNT(*)", FunctionDistinct: "COUNT(DISTINCT " + argument + ")", FunctionRowNumber: "ROW_NUMBER()",
		FunctionRank: "RANK()", FunctionDenseRank: "DENSE_RANK()", FunctionFirst: "FIRST_VALUE(" + argument + ")", FunctionLast: "LAST_VALUE(" + argument + ")"}[o.Function]
	if text == "" {
		text = strings.ToUpper(string(o.Function)) + "(" + argument + ")"
	}
	w := o.Window
	if w == nil {
		return text
	}
	if w.Offset > 1 {
		text = strings.TrimSuffix(text, ")") + fmt.Sprintf(", %d)", w.Offset)
	}
	var parts []string
	if len(w.Partition) > 0 {
		var by []string
		for _, e := range w.Partition {
			by = append(by, e.String())
		}
		parts = append(parts, "PARTITION BY "+strings.Join(by, ", "))
	}
	if len(w.Order) > 0 {
		var by []string
		for _, order := range w.Order {
			s := order.Expr.String()
			if order.Descending {
				s += " DESC"
			}
			if order.NullsFirst {
				s += " NULLS FIRST"
			}
			by = append(by, s)
		}
		parts = append(parts, "ORDER BY "+strings.Join(by, ", "))
	}
	if w.Frame != nil {
		unit := "ROWS"
		if w.Frame.Values {
			unit = "RANGE"
		}
		parts = append(parts, fmt.Sprintf("%s %d TO %d", unit, w.Frame.From, w.Frame.To))
	}
	return text + " OVER (" + strings.Join(parts, " ") + ")"
}
