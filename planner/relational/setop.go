package relational

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// MaxQueryTerms bounds the queries in one chain of set operations.
const MaxQueryTerms = 100

// Combine plans UNION, INTERSECT and EXCEPT of rows. A chain such as (a UNION b) UNION c is one nesting level.
func (r *Resolver) Combine(c *syntax.SetOperation, at syntax.Position) *Derived {
	links := []*syntax.SetOperation{c} // the outermost first, which is written last
	for q := c.Left; q.SetOperation != nil && q.Bare(); q = q.SetOperation.Left {
		if links = append(links, q.SetOperation); len(links) >= MaxQueryTerms {
			syntax.Refuse(syntax.CodeTooLarge, at, "ask it in several queries", "more than %d queries are combined", MaxQueryTerms)
		}
	}
	slices.Reverse(links)
	left := r.Derive(links[0].Left, r.Scope, links[0].At)
	for len(links) > 0 {
		first := links[0]
		how := map[string]fragment.SetOp{"union": fragment.SetOpUnion, "intersect": fragment.SetOpIntersect, "except": fragment.SetOpExcept}[first.Operator]
		if first.All {
			if how != fragment.SetOpUnion {
				syntax.Refuse(syntax.CodeNotSupported, first.At, "leave out ALL", "%s ALL is not answered", strings.ToUpper(first.Operator))
			}
			how = fragment.SetOpUnionAll
		}
		sides := []*Derived{left}
		for more := true; more; more = len(links) > 0 && first.Operator == "union" && links[0].Operator == "union" && links[0].All == first.All {
			right := r.Derive(links[0].Right, r.Scope, links[0].At)
			if len(left.Named) != len(right.Named) {
				syntax.Refuse(syntax.CodeType, links[0].At, "select as many columns on both sides", "%s combines %d columns with %d", strings.ToUpper(first.Operator), len(left.Named), len(right.Named))
			}
			if left.Schema.Public != right.Schema.Public {
				syntax.Refuse(syntax.CodeNoPatient, links[0].At, "join the public table instead", "%s combines rows of patients with rows that have none", strings.ToUpper(first.Operator))
			}
			sides, links = append(sides, right), links[1:]
		}
		left = r.applySetOp(how, sides, first.At, at)
	}
	return left
}

// applySetOp combines the rows of several queries. They have the same number of columns, and all or none read patients.
func (r *Resolver) applySetOp(how fragment.SetOp, all []*Derived, joint, at syntax.Position) *Derived {
	// All get one form: the visible columns in one type, then the patient's id if it is not among them.
	sides, items := make([]*Resolver, len(all)), make([][]item, len(all))
	types := make([]value.Type, len(all[0].Named))
	for i := range types {
		types[i] = commonType(all, i, joint)
	}
	for k, d := range all {
		sides[k] = &Resolver{Catalog: r.Catalog, Depth: r.Depth}
		s := sides[k].Adopt(d, "", joint)
		for i, column := range d.Named {
			mine, _ := s.Schema.Column(column.Column) // two columns may have one name
			e := s.Expr(mine)
			switch {
			case column.Untyped && types[i] != "":
				e = expr.Literal(value.Null(types[i]))
			case !column.Untyped && mine.Type != types[i]:
				e, _ = expr.Cast(e, types[i])
			}
			items[k] = append(items[k], all[0].Named[i].item(e))
		}
	}
	if !all[0].Schema.Public && !r.comparable(how, sides, items) {
		syntax.Refuse(syntax.CodePatientsMixed, joint, "select the patient's id as the same column on both sides", "%s would compare rows of different patients", strings.ToUpper(string(how)))
	}
	arms := []*fragment.Query{}
	for k, whole := range all {
		d := sides[k].aligned(items[k])
		if isIdentity(d.Query, whole.Query) {
			d = whole
		}
		if d.SetOp == how && how != fragment.SetOpExcept && (k == 0 || how != fragment.SetOpIntersect) {
			arms = append(arms, d.Inputs...) // (a UNION b) UNION c
			continue
		}
		arms = append(arms, d.Query)
	}
	if how == fragment.SetOpUnionAll && fragment.AreConstants(arms) {
		sortConstants(arms)
	}
	out := &fragment.Query{SetOp: how, Inputs: arms, Patient: arms[0].Patient}
	projected := sides[0].aligned(items[0])
	visible := projected.Named
	for i := range visible {
		visible[i].Untyped = types[i] == ""
	}
	if first := Leaf(arms[0]); isIdentity(projected.Query, all[0].Query) {
		for i := range visible {
			visible[i].Column = first.Columns[i].Name
		}
	}
	return r.checkDerived(out, visible, at)
}

// commonType is the common type of column i; "" if all are only NULL, which takes any type.
func commonType(all []*Derived, i int, at syntax.Position) value.Type {
	var common value.Type
	for _, d := range all {
		column := d.Named[i]
		if column.Untyped {
			continue
		}
		c, _ := d.Schema.Column(column.Column)
		switch pair := [2]value.Type{common, c.Type}; pair {
		case [2]value.Type{value.TypeInt, value.TypeFloat}, [2]value.Type{value.TypeDate, value.TypeTimestamp}, [2]value.Type{"", c.Type}:
			common = c.Type
		case [2]value.Type{value.TypeFloat, value.TypeInt}, [2]value.Type{value.TypeTimestamp, value.TypeDate}, [2]value.Type{c.Type, c.Type}:
		default:
			syntax.Refuse(syntax.CodeType, at, "CAST one of them", "a column is a %s on one side and a %s on the other", common, c.Type)
		}
	}
	return common
}

// comparable reports whether rows of patients may be combined. The patient's id must be in the same column of all. Or
// it is in none, and the rows are not compared or have something that belongs to one patient, such as a visit.
func (r *Resolver) comparable(how fragment.SetOp, sides []*Resolver, items [][]item) bool {
	place := func(k int) int {
		return slices.IndexFunc(items[k], func(i item) bool { return sides[k].ReadsPatientID(i.expr) })
	}
	for k := range sides {
		if place(k) != place(0) {
			return false
		}
	}
	if place(0) >= 0 || how == fragment.SetOpUnionAll {
		return true
	}
	for i := range items[0] {
		key := sides[0].keyRead(items[0][i].expr)
		shared := key != ""
		for k := range sides {
			shared = shared && sides[k].keyRead(items[k][i].expr) == key
		}
		if shared {
			return true
		}
	}
	return false
}

// isIdentity reports whether a select passes on the columns of a derived relation unchanged and in order.
func isIdentity(d, whole *fragment.Query) bool {
	columns := Leaf(whole).Columns
	if d.Filter != nil || d.Grouped || len(d.Columns) != len(columns) {
		return false
	}
	for i, o := range d.Columns {
		if o.Function != "" || o.Expr.Op != expr.OpColumn || o.Expr.Column != columns[i].Name {
			return false
		}
	}
	return true
}

// Leaf returns the select that names the columns of a derived relation.
func Leaf(d *fragment.Query) *fragment.Query {
	for d.SetOp != "" {
		d = d.Inputs[0]
	}
	return d
}

// aligned makes one input of a set operation. It has as many columns as items, so that equal columns still match those
// of the other inputs.
func (r *Resolver) aligned(items []item) *Derived {
	d := &fragment.Query{Relations: r.Relations(), Filter: r.Filter}
	var columns []Column
	for _, i := range items {
		name := "value"
		if i.expr.Op == expr.OpColumn {
			name = i.expr.Column
		}
		name = freshOutput(d, name)
		d.Columns = append(d.Columns, fragment.Output{Name: name, Expr: i.expr})
		if d.Patient == "" && r.Patient != nil && r.ReadsPatientID(i.expr) {
			d.Patient = name
		}
		column := i.column(name)
		column.Untyped = scalar.IsNull(i.expr)
		columns = append(columns, column)
	}
	if r.Patient != nil && d.Patient == "" {
		d.Patient = AddValue(d, r.Patient)
	}
	return r.checkDerived(d, columns, r.Sources[0].At)
}
