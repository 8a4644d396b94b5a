package fragment

import (
	"fmt"
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// checkOutputs checks the columns of the select d: their names, that each can be computed, that a private select has
// the patient's id, and that no output depends on a database's order of rows.
func (s *Scope) checkOutputs(name string, d *Query, check func(*expr.Expr) error) error {
	seen, identified := map[string]bool{}, false
	for i := range d.Columns {
		o := &d.Columns[i]
		f := fold(o.Name)
		if o.Name == "" || len(o.Name) > maxColumnName || seen[f] {
			return fmt.Errorf("%w: the derived relation %s has a column without a name, or two of one name", ErrInvalid, name)
		}
		seen[f] = true
		if err := s.checkOutput(o, d, check); err != nil {
			return err
		}
		if o.Name == d.Patient {
			if o.Function != "" || s.checkPatient(o.Expr) != nil {
				return fmt.Errorf("%w: the column %s of %s does not hold the patient's id", ErrInvalid, o.Name, name)
			}
			identified = true
		}
	}
	if !identified && !s.public() {
		return fmt.Errorf("%w: %s lacks the patient's id", ErrInvalid, name)
	}
	return s.checkOrders(d)
}

func (s *Scope) checkOutput(o *Output, d *Query, check func(*expr.Expr) error) error {
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

// checkOrders refuses outputs that depend on the order in which a database keeps rows. For private rows, that order may
// follow from other patients' rows. For public rows, which private ones are joined to, it may follow from the
// database's other work. An output whose order tells rows apart by a key depends on the rows alone. All other outputs
// must have one common order that includes everything they read: rows that it leaves tied are equal in all of it, and
// if they change places, they do so in all outputs at once.
func (s *Scope) checkOrders(d *Query) error {
	var one *Window
	for i := range d.Columns {
		o := &d.Columns[i]
		if o.Window == nil || !o.Tied() || s.OneRow(d.Filter, o.Window.by()...) {
			continue
		}
		if one == nil {
			one = o.Window
		}
		if !sameExprs(one.by(), o.Window.by()) || !slices.EqualFunc(one.Order, o.Window.Order, Order.Equal) {
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

func sameExprs(a, b []*expr.Expr) bool { return slices.EqualFunc(a, b, (*expr.Expr).Equal) }

// valueRange derives the range of an output from the ranges of expressions. keyless: a group may have no row.
func (o *Output) valueRange(known func(*expr.Expr) expr.Range, keyless bool) expr.Range {
	count := func(least float64) expr.Range { return expr.Range{Lower: least, Upper: math.Inf(1)} }
	var x expr.Range
	if o.Expr != nil {
		x = known(o.Expr)
	}
	empty := keyless || o.Window != nil && o.Window.Frame != nil // the function may read no row
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
		// A declared domain does not bound the number: data may have more values, and no group shows them.
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
