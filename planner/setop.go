package planner

import (
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// maxQueryTerms bounds the queries that UNION and its like combine in one chain.
const maxQueryTerms = 100

// combine plans UNION, INTERSECT and EXCEPT of rows. A chain of them, (a UNION b) UNION c, is one level of queries.
func (r *resolver) combine(c *syntax.SetOperation, at Position) *derived {
	links := []*syntax.SetOperation{c} // the outermost, which is the last, first
	for q := c.Left; q.SetOperation != nil && q.Bare(); q = q.SetOperation.Left {
		if links = append(links, q.SetOperation); len(links) >= maxQueryTerms {
			refuse(CodeTooLarge, at, "ask it in several queries", "more than %d queries are combined", maxQueryTerms)
		}
	}
	slices.Reverse(links)
	left := r.derive(links[0].Left, r.scope, links[0].At)
	for len(links) > 0 {
		first := links[0]
		how := map[string]fragment.Combine{"union": fragment.CombineUnion, "intersect": fragment.CombineIntersect, "except": fragment.CombineExcept}[first.Operator]
		if first.All {
			if how != fragment.CombineUnion {
				refuse(CodeNotSupported, first.At, "leave out ALL", "%s ALL is not answered", strings.ToUpper(first.Operator))
			}
			how = fragment.CombineAll
		}
		sides := []*derived{left}
		for more := true; more; more = len(links) > 0 && first.Operator == "union" && links[0].Operator == "union" && links[0].All == first.All {
			right := r.derive(links[0].Right, r.scope, links[0].At)
			if len(left.columns) != len(right.columns) {
				refuse(CodeType, links[0].At, "select as many columns on both sides", "%s combines %d columns with %d", strings.ToUpper(first.Operator), len(left.columns), len(right.columns))
			}
			if left.table.Public != right.table.Public {
				refuse(CodeNoPatient, links[0].At, "join the public table instead", "%s combines rows of patients with rows that have none", strings.ToUpper(first.Operator))
			}
			sides, links = append(sides, right), links[1:]
		}
		left = r.together(how, sides, first.At, at)
	}
	return left
}

// together puts the rows of several queries together, which are as wide, and all of patients or all public.
func (r *resolver) together(how fragment.Combine, all []*derived, joint, at Position) *derived {
	// All in one form: the visible columns, of one type, then the patient's id where it is not among them.
	sides, items := make([]*resolver, len(all)), make([][]item, len(all))
	types := make([]value.Type, len(all[0].columns))
	for i := range types {
		types[i] = commonType(all, i, joint)
	}
	for k, d := range all {
		sides[k] = &resolver{catalog: r.catalog, depth: r.depth}
		s := sides[k].adopt(d, "", joint)
		for i, column := range d.columns {
			mine, _ := s.table.Column(column.column) // two may have one name
			e := s.expr(mine)
			switch {
			case column.untyped && types[i] != "":
				e = expr.Literal(value.Null(types[i]))
			case !column.untyped && mine.Type != types[i]:
				e, _ = expr.Cast(e, types[i])
			}
			items[k] = append(items[k], item{all[0].columns[i].name, e})
		}
	}
	if !all[0].table.Public && !r.comparable(how, sides, items) {
		refuse(CodePatientsMixed, joint, "select the patient's id as the same column on both sides", "%s would compare rows of different patients", strings.ToUpper(string(how)))
	}
	arms := []*fragment.Derived{}
	for k, whole := range all {
		d := sides[k].aligned(items[k])
		if isIdentity(d.Derived, whole.Derived) {
			d = whole
		}
		if d.Combine == how && how != fragment.CombineExcept && (k == 0 || how != fragment.CombineIntersect) {
			arms = append(arms, d.Arms...) // (a UNION b) UNION c
			continue
		}
		arms = append(arms, d.Derived)
	}
	if how == fragment.CombineAll && fragment.AreConstants(arms) {
		sortConstants(arms)
	}
	out := &fragment.Derived{Combine: how, Arms: arms, Patient: arms[0].Patient}
	projected := sides[0].aligned(items[0])
	visible := projected.columns
	for i := range visible {
		visible[i].untyped = types[i] == ""
	}
	if first := leaf(arms[0]); isIdentity(projected.Derived, all[0].Derived) {
		for i := range visible {
			visible[i].column = first.Columns[i].Name
		}
	}
	return r.settleDerived(out, visible, at)
}

// commonType is the type that column i of all takes; "" where each is a NULL and nothing else, which takes any.
func commonType(all []*derived, i int, at Position) value.Type {
	var common value.Type
	for _, d := range all {
		column := d.columns[i]
		if column.untyped {
			continue
		}
		c, _ := d.table.Column(column.column)
		switch pair := [2]value.Type{common, c.Type}; pair {
		case [2]value.Type{value.TypeInt, value.TypeFloat}, [2]value.Type{value.TypeDate, value.TypeTimestamp}, [2]value.Type{"", c.Type}:
			common = c.Type
		case [2]value.Type{value.TypeFloat, value.TypeInt}, [2]value.Type{value.TypeTimestamp, value.TypeDate}, [2]value.Type{c.Type, c.Type}:
		default:
			refuse(CodeType, at, "CAST one of them", "a column is a %s on one side and a %s on the other", common, c.Type)
		}
	}
	return common
}

// comparable reports whether rows of patients may be put together: the patient's id stands in one place, or, where rows are not
// compared or are told apart by something that one patient has, such as a visit, in none.
func (r *resolver) comparable(how fragment.Combine, sides []*resolver, items [][]item) bool {
	place := func(k int) int {
		return slices.IndexFunc(items[k], func(i item) bool { return sides[k].readsPatientID(i.expr) })
	}
	for k := range sides {
		if place(k) != place(0) {
			return false
		}
	}
	if place(0) >= 0 || how == fragment.CombineAll {
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

// isIdentity reports whether a select passes on the columns of a derived relation as
// they are, in their order.
func isIdentity(d, whole *fragment.Derived) bool {
	columns := leaf(whole).Columns
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

// leaf is the select that names the columns of a derived relation.
func leaf(d *fragment.Derived) *fragment.Derived {
	for d.Combine != "" {
		d = d.Arms[0]
	}
	return d
}

// aligned makes a side of UNION and its like: as many columns as items, so that
// columns that are alike on one side still stand beside those of the other.
func (r *resolver) aligned(items []item) *derived {
	d := &fragment.Derived{Relations: r.relations(), Filter: r.filter}
	var columns []column
	for _, i := range items {
		name := "value"
		if i.expr.Op == expr.OpColumn {
			name = i.expr.Column
		}
		name = freshOutput(d, name)
		d.Columns = append(d.Columns, fragment.Output{Name: name, Expr: i.expr})
		if d.Patient == "" && r.patient != nil && r.readsPatientID(i.expr) {
			d.Patient = name
		}
		columns = append(columns, column{name: i.name, column: name, untyped: scalar.IsNull(i.expr)})
	}
	if r.patient != nil && d.Patient == "" {
		d.Patient = valueOutput(d, r.patient)
	}
	return r.settleDerived(d, columns, r.sources[0].at)
}
