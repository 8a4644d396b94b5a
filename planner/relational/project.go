package relational

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/scalar"
	"github.com/intramuros/intramuros/planner/syntax"
)

// item is an output of a query: its name and its expression.
type item struct {
	name  string
	table string // see Column
	joint bool   // see Column
	expr  *expr.Expr
}

// itemOf is an item of SELECT.
func itemOf(i syntax.Item, e *expr.Expr) item {
	return item{name: i.Name(), table: i.Table, joint: i.Joint, expr: e}
}

// item is an output that passes a column on.
func (c Column) item(e *expr.Expr) item {
	return item{name: c.Name, table: c.table, joint: c.joint, expr: e}
}

// column returns the item as a named column of a relation.
func (i item) column(name string) Column {
	return Column{Name: i.name, Column: name, table: i.table, joint: i.joint}
}

// identityProjection returns the grouped query itself if the SELECT only names its columns.
func identityProjection(rows *Resolver, items []item) *Derived {
	s := rows.Sources[0]
	var columns []Column
	for _, i := range items {
		if i.expr.Op != expr.OpColumn {
			return nil
		}
		columns = append(columns, i.column(i.expr.Column))
	}
	return &Derived{Query: s.Query, Schema: s.Schema, Named: columns}
}

// starless replaces * by its columns. If qualified, it also gives them the names of their tables.
func (r *Resolver) starless(items []syntax.Item, qualified bool) []syntax.Item {
	var all []syntax.Item
	for _, i := range items {
		if i.Term.Kind != syntax.Star {
			all = append(all, i)
			continue
		}
		if len(r.constants) > 0 {
			syntax.Refuse(syntax.CodeNotSupported, i.Term.At, "name the columns", "* beside a query that reads no table is not answered")
		}
		without := map[string]bool{}
		add := func(table, name string) {
			if slices.Contains(i.Term.Except, strings.ToLower(name)) {
				without[strings.ToLower(name)] = true
				return
			}
			all = append(all, syntax.Item{Term: &syntax.Expr{Kind: syntax.Column, At: i.Term.At, Qualifier: table, Name: name}, Alias: name})
			if qualified {
				all[len(all)-1].Table = table
			}
		}
		merged := map[string]*Source{} // by name: the source of the column
		if i.Term.Qualifier == "" {
			for _, s := range slices.Backward(r.Sources) { // columns of the last USING come first
				for _, name := range s.merged {
					if merged[name] == nil {
						merged[name] = r.Sources[slices.IndexFunc(r.Sources, func(o *Source) bool {
							_, has := o.Column("", name)
							return has && o.Alias != ""
						})]
						add(merged[name].Alias, name)
					}
				}
			}
		}
		for _, s := range slices.SortedStableFunc(slices.Values(r.Sources), func(a, b *Source) int { return a.written - b.written }) {
			if s.Alias == "" || !s.hasName(i.Term.Qualifier) {
				continue
			}
			for _, c := range s.Named {
				name, table := strings.ToLower(c.Name), s.Alias
				if c.joint {
					continue
				}
				if s.tables != nil {
					table = c.table
					if i.Term.Qualifier != "" && table != i.Term.Qualifier || i.Term.Qualifier == "" && table != "" && s.hasMerged(name) {
						continue
					}
				}
				if merged[name] != s && !(i.Term.Qualifier == "" && slices.Contains(s.merged, name)) {
					add(table, c.Name)
				}
			}
		}
		for _, name := range i.Term.Except {
			if !without[name] {
				syntax.Refuse(syntax.CodeColumn, i.Term.At, "name columns of the query within", "there is no column %s that * could leave out", name)
			}
		}
	}
	return all
}

// project makes a derived relation of the items. It adds the patient's id if no item is the id. Distinct rows become
// groups by all items.
func (r *Resolver) project(items []item, distinct bool) *Derived {
	d := &fragment.Query{Relations: r.Relations(), Filter: r.Filter, Grouped: distinct}
	at := r.Sources[0].At
	var columns []Column
	for _, i := range items {
		o := AddValue(d, i.expr)
		if d.Patient == "" && r.Patient != nil && r.ReadsPatientID(i.expr) {
			d.Patient = o
		}
		column := i.column(o)
		column.Untyped = scalar.IsNull(i.expr)
		columns = append(columns, column)
	}
	if r.Patient != nil && d.Patient == "" {
		if distinct && !slices.ContainsFunc(items, func(i item) bool { return r.determinesPatient(i.expr) }) {
			syntax.Refuse(syntax.CodePatientsMixed, at, "select the patient's id, too, or leave out DISTINCT; for the values that occur, GROUP BY them and COUNT(*)", "DISTINCT would compare rows of different patients")
		}
		d.Patient = AddValue(d, r.Patient)
	}
	return r.checkDerived(flattened(d), columns, at)
}

// flattened merges a select over another select into one if possible. So a chain of WITH that only passes rows on adds
// no depth.
func flattened(d *fragment.Query) *fragment.Query {
	if d.Grouped || len(d.Relations) != 1 || d.Relations[0].Query == nil {
		return d
	}
	inner := d.Relations[0].Query
	if inner.SetOp != "" || inner.Constant() {
		return d
	}
	of := func(column *expr.Expr) int {
		return slices.IndexFunc(inner.Columns, func(o fragment.Output) bool { return strings.EqualFold(o.Name, column.Column) })
	}
	rows := !inner.Grouped && !slices.ContainsFunc(inner.Columns, func(o fragment.Output) bool { return o.Function != "" })
	if !rows && (d.Filter != nil || slices.ContainsFunc(d.Columns, func(o fragment.Output) bool { return o.Expr.Op != expr.OpColumn })) {
		return d
	}
	plain := true // the inner select only passes columns on
	put := func(e *expr.Expr) *expr.Expr {
		return e.Replace(func(c *expr.Expr) *expr.Expr {
			if c.Op != expr.OpColumn {
				return nil
			}
			k := of(c)
			if plain = plain && k >= 0 && inner.Columns[k].Expr.Op == expr.OpColumn; !plain {
				return c
			}
			return inner.Columns[k].Expr
		})
	}
	out, taken := *inner, map[int]bool{}
	out.Columns, out.Patient = nil, d.Patient
	for _, o := range d.Columns {
		next := fragment.Output{Name: o.Name}
		if o.Expr.Op == expr.OpColumn {
			k := of(o.Expr)
			if k < 0 || taken[k] {
				return d
			}
			taken[k] = true
			next = inner.Columns[k]
			next.Name = o.Name
		} else {
			next.Expr = put(o.Expr)
		}
		out.Columns = append(out.Columns, next)
	}
	for k, o := range inner.Columns {
		if inner.Grouped && o.Function == "" && !taken[k] { // it decides which rows there are
			return d
		}
	}
	if d.Filter != nil {
		filter := put(d.Filter)
		if out.Filter == nil {
			out.Filter = filter
		} else if both, err := expr.New(expr.OpAnd, out.Filter, filter); err == nil {
			out.Filter = both
		} else {
			plain = false
		}
	}
	if !plain {
		return d
	}
	return &out
}

// AddValue adds a value to a derived relation and returns its column's name. An equal value keeps the existing name, so
// a query's names make no difference.
func AddValue(d *fragment.Query, e *expr.Expr) string {
	for _, o := range d.Columns {
		if o.Function == "" && o.Expr.Equal(e) {
			return o.Name
		}
	}
	name := "value"
	if e.Op == expr.OpColumn {
		name = e.Column
	}
	d.Columns = append(d.Columns, fragment.Output{Name: freshOutput(d, name), Expr: e})
	return d.Columns[len(d.Columns)-1].Name
}

func freshOutput(d *fragment.Query, name string) string {
	taken := make([]bool, len(d.Columns)+3) // which numbers are taken for this name
	for _, o := range d.Columns {
		if strings.EqualFold(o.Name, name) {
			taken[1] = true
		}
		at := strings.LastIndexByte(o.Name, '_')
		if at < 0 || !strings.EqualFold(o.Name[:at], name) {
			continue
		}
		if n, err := strconv.Atoi(o.Name[at+1:]); err == nil && 1 < n && n < len(taken) {
			taken[n] = true
		}
	}
	if !taken[1] {
		return name
	}
	return name + "_" + strconv.Itoa(2+slices.Index(taken[2:], false))
}

// functionOutput adds a function of rows to a derived relation and returns its column's name.
func functionOutput(d *fragment.Query, o fragment.Output, name string) string {
	for _, other := range d.Columns {
		if sameOutput(other, o) {
			return other.Name
		}
	}
	o.Name = freshOutput(d, name)
	d.Columns = append(d.Columns, o)
	return o.Name
}

// sameOutput reports whether two outputs differ in name only.
func sameOutput(a, b fragment.Output) bool {
	a.Name, b.Name = "", ""
	return a.Equal(b)
}

// Derived is a planned inner query. Each of its rows belongs to one patient, or it reads only public tables.
type Derived struct {
	*fragment.Query
	Schema *catalog.Table
	Named  []Column // with the query's names
}
