package fragment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// Table describes a derived relation as a catalog describes a table: its columns, whether it is public, the column of
// the patient's id, and whether a patient has one row. It checks all that Check does. It infers no domains, since a
// table has none. It spends from the budget of a statement.
func (d *Query) Table(name string, c *catalog.Catalog, m *Memo) (*catalog.Table, error) {
	if d.count(maxRelationsInAll+1) > maxRelationsInAll {
		return nil, tooManyRelations()
	}
	on := m.assumed(c)
	on.noDomains = true
	s, err := d.properties(name, on, 0)
	if err != nil {
		return nil, err
	}
	return s.describe(name), nil
}

// describe returns a new table, so that changing it does not change the memo.
func (p *properties) describe(name string) *catalog.Table {
	t, columns := *p.table, make([]catalog.Column, len(p.table.Columns))
	t.Name, t.Key, t.Columns = name, slices.Clone(t.Key), make([]*catalog.Column, len(columns))
	for i, c := range p.table.Columns {
		columns[i] = *c
		t.Columns[i] = &columns[i]
	}
	return &t
}

// properties checks a derived relation and derives what is known of it. depth counts the levels around it.
func (d *Query) properties(name string, on assumptions, depth int) (*properties, error) {
	switch {
	case d == nil:
		return nil, fmt.Errorf("%w: a part of %s is missing", ErrInvalid, name)
	case depth > maxDerivedDepth:
		return nil, &Limit{Message: fmt.Sprintf("queries nest in more than %d levels, of which a window or a grouping makes one more", maxDerivedDepth), Hint: "ask it in fewer steps"}
	}
	return on.derived(d, depth, func() (*properties, error) { return d.derive(name, on, depth) })
}

// derive derives properties that the memo does not have.
func (d *Query) derive(name string, on assumptions, depth int) (*properties, error) {
	var s *properties
	var err error
	switch {
	case d.SetOp != "":
		s, err = d.propertiesOfSetOp(name, on, depth)
	case d.Constant():
		s, err = d.propertiesOfConstants(name)
	default:
		s, err = d.propertiesOfSelect(name, on, depth)
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
	if s.rows > most && d.SetOp != "" {
		return nil, &Limit{Message: fmt.Sprintf("%s puts up to %.0f rows of one together, and %.0f are the most", d.SetOp, s.rows, most), Hint: "ask it in several queries"}
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

// propertiesOfSetOp returns the properties of a set operation.
func (d *Query) propertiesOfSetOp(name string, on assumptions, depth int) (*properties, error) {
	switch d.SetOp {
	case SetOpUnionAll, SetOpUnion, SetOpIntersect, SetOpExcept:
	default:
		return nil, fmt.Errorf("%w: there is no combination %q", ErrInvalid, d.SetOp)
	}
	if len(d.Inputs) < 2 || len(d.Inputs) > maxInputs || len(d.Relations)+len(d.Columns) > 0 || d.Filter != nil || d.Grouped {
		return nil, fmt.Errorf("%w: %s is not combined properly", ErrInvalid, name)
	}
	var all []*properties
	for _, input := range d.Inputs {
		s, err := input.properties(name, on, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	first := all[0]
	out := &properties{table: &catalog.Table{Name: name, Public: first.table.Public}}
	for _, s := range all {
		out.rows += s.rows
	}
	out.multiplicity = d.multiplicity(nil, nil, all)
	var names []string
	for i, column := range first.table.Columns {
		var facts []expr.Range
		size := 1.0
		for _, s := range all {
			if len(s.table.Columns) != len(first.table.Columns) || s.table.Columns[i].Type != column.Type {
				return nil, fmt.Errorf("%w: the inputs of %s differ in their columns", ErrInvalid, name)
			}
			if s.table.Public != first.table.Public ||
				strings.EqualFold(first.table.Patient, column.Name) != strings.EqualFold(s.table.Patient, s.table.Columns[i].Name) {
				return nil, fmt.Errorf("%w: the inputs of %s hold the patient's id in different columns", ErrInvalid, name)
			}
			facts, size = append(facts, s.ranges[i]), max(size, s.sizes[i])
		}
		f := facts[0] // the rows of intersect and except are rows of the first input
		// But a database may move conditions on the result into the inputs.
		if d.SetOp == SetOpUnionAll || d.SetOp == SetOpUnion || on.enforced {
			f = expr.Union(column.Type, facts, on.budget.Budget)
		}
		out.ranges, out.sizes, out.determinedBy = append(out.ranges, f), append(out.sizes, size), append(out.determinedBy, d.determinant(all, i))
		copied := *column
		copied.Nullable = f.Nullable
		out.table.Columns = append(out.table.Columns, &copied)
		names = append(names, column.Name)
	}
	if !first.table.Public && !strings.EqualFold(first.table.Patient, d.Patient) {
		return nil, fmt.Errorf("%w: %s does not name the patient's column", ErrInvalid, name)
	}
	if d.SetOp != SetOpUnionAll {
		out.keys = append(out.keys, names)
	} else {
		out.keys = keysOfConstants(d.Inputs)
	}
	if d.SetOp == SetOpIntersect || d.SetOp == SetOpExcept {
		out.keys = append(out.keys, first.keys...)
		out.table.OneRowPerPatient = first.table.OneRowPerPatient
	}
	return out, nil
}

// propertiesOfConstants returns the properties of one row of constants.
func (d *Query) propertiesOfConstants(name string) (*properties, error) {
	if d.Filter != nil || d.Grouped || len(d.Columns) == 0 || len(d.Columns) > maxDerivedColumns {
		return nil, fmt.Errorf("%w: %s reads no relation and is no row of constants", ErrInvalid, name)
	}
	out, seen := &properties{table: &catalog.Table{Name: name, Public: true}, rows: 1, multiplicity: d.multiplicity(nil, nil, nil)}, map[string]bool{}
	for _, o := range d.Columns {
		if o.Expr == nil || o.Expr.Op != expr.OpLiteral || o.Function != "" || o.Grid != nil || o.Window != nil ||
			o.Name == "" || len(o.Name) > maxColumnName || seen[fold(o.Name)] {
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
		out.ranges, out.sizes = append(out.ranges, f), append(out.sizes, 1)
		out.table.Columns = append(out.table.Columns, &catalog.Column{Name: o.Name, Type: o.Expr.Type, Nullable: f.Nullable})
	}
	out.keys = keysOfConstants([]*Query{d})
	return out, nil
}

// keysOfConstants lists the columns that tell the rows of a list of values apart: no two rows have the same value
// there. NULL excludes a column, because it equals nothing, and so does a float, because engines may have neighbouring
// floats.
func keysOfConstants(rows []*Query) [][]string {
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

// propertiesOfSelect returns the properties of a select over relations.
func (d *Query) propertiesOfSelect(name string, on assumptions, depth int) (*properties, error) {
	if len(d.Inputs) > 0 {
		return nil, fmt.Errorf("%w: %s has inputs that it does not combine", ErrInvalid, name)
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
	if err := s.checkLinked(conditions); err != nil {
		return nil, err
	}
	out := &properties{table: &catalog.Table{Name: name, Public: s.public()}}
	if out.rows, err = s.spread(conditions, nil); err != nil {
		return nil, err
	}
	out.multiplicity = d.multiplicity(s, conditions, nil)
	joins := s.strictDependencies(s.links(conditions))
	single := joins.rows(joins.patient)
	if err := s.checkOutputs(name, d, check); err != nil {
		return nil, err
	}
	s.describeOutputs(out, d, single)
	if !d.Grouped {
		out.table.OneRowPerPatient = !out.table.Public && !slices.Contains(single, false)
		out.keys = joins.keysOfSelect(d)
		return out, nil
	}
	var values []string
	one := !out.table.Public // all rows of a patient are one group, if the patient determines the values to group by
	for _, o := range d.Columns {
		if o.Function == "" {
			values = append(values, o.Name)
			o.Expr.Columns(func(relation, column string) { one = one && s.determinedByPatient(relation, column, single) })
		}
	}
	out.keys, out.table.OneRowPerPatient = append(out.keys, values), one
	return out, nil
}

// describeOutputs adds the columns of the select d, with what is known of each.
func (s *Scope) describeOutputs(out *properties, d *Query, single []bool) {
	filter := d.Filter
	if s.enforced {
		filter = nil
	}
	known := s.analysisWhere(filter)
	keyless := d.Grouped && !slices.ContainsFunc(d.Columns, func(o Output) bool { return o.Function == "" })
	n := len(d.Columns)
	out.table.Columns = slices.Grow(out.table.Columns, n)
	out.ranges, out.sizes = slices.Grow(out.ranges, n), slices.Grow(out.sizes, n)
	out.determinedBy = slices.Grow(out.determinedBy, n)
	for i := range d.Columns {
		o := &d.Columns[i]
		r, size := o.valueRange(known.Range, keyless), 1.0
		column := &catalog.Column{Name: o.Name, Type: o.Type(), Nullable: r.Nullable}
		if o.Function == "" {
			size = s.size(o.Expr)
			if e := o.Expr; e.Op == expr.OpColumn {
				r := s.relations[s.index[e.Relation]]
				column.References = r.KeyReferredTo(r.table, e.Column)
			}
		}
		out.table.Columns = append(out.table.Columns, column)
		out.ranges, out.sizes = append(out.ranges, r), append(out.sizes, size)
		out.determinedBy = append(out.determinedBy, s.determinant(o, single))
	}
}

// determinant returns properties.determinedBy of an output.
func (s *Scope) determinant(o *Output, single []bool) string {
	if o.Function != "" {
		return ""
	}
	same, read := true, false
	o.Expr.Columns(func(relation, column string) {
		same, read = same && s.determinedByPatient(relation, column, single), true
	})
	switch {
	case !same:
		return ""
	case !read:
		return "= " + o.Expr.String()
	case o.Expr.Op == expr.OpColumn:
		if i := s.index[o.Expr.Relation]; !s.relations[i].optional && s.relations[i].determinant(o.Expr.Column) != "" {
			return s.relations[i].determinant(o.Expr.Column)
		}
	}
	return perPatient
}

// determinant returns properties.determinedBy of column i of a set operation.
func (d *Query) determinant(inputs []*properties, i int) string {
	same := func(s *properties) string {
		if i >= len(s.determinedBy) {
			return ""
		}
		return s.determinedBy[i]
	}
	first := same(inputs[0])
	if d.SetOp == SetOpIntersect || d.SetOp == SetOpExcept { // rows of the first input
		return first
	}
	if slices.ContainsFunc(inputs, func(s *properties) bool { return same(s) != first }) || first == perPatient {
		return ""
	}
	return first
}

// keysOfSelect lists sets of outputs that distinguish the rows of an ungrouped select: the keys of a relation whose row
// determines those of all others, and the partition of a row number with that number.
func (d *joinDependencies) keysOfSelect(q *Query) [][]string {
	named := func(relation, column string) string {
		for _, o := range q.Columns {
			if o.Function == "" && o.Expr.Op == expr.OpColumn && o.Expr.Relation == relation && strings.EqualFold(o.Expr.Column, column) {
				return o.Name
			}
		}
		return ""
	}
	var keys [][]string
	add := func(names ...string) {
		if len(names) > 0 && !slices.Contains(names, "") {
			keys = append(keys, names)
		}
	}
	for i, r := range d.relations {
		if len(d.relations) > 1 && slices.Contains(d.rows(i), false) {
			continue
		}
		for _, key := range r.keys {
			var names []string
			for _, column := range key {
				names = append(names, named(r.Name, column))
			}
			add(names...)
		}
	}
	for _, o := range q.Columns {
		if o.Function == FunctionRowNumber {
			var names []string
			for _, e := range o.Window.Partition {
				names = append(names, named(e.Relation, e.Column))
			}
			add(append(names, o.Name)...)
		}
	}
	return keys
}

// KeyReferredTo returns the key of a table of the catalog, as table.column, that a column of the relation is or refers
// to, or "" if there is none. t describes the relation.
func (r Relation) KeyReferredTo(t *catalog.Table, column string) string {
	c, ok := t.Column(column)
	switch {
	case !ok:
		return ""
	case c.References != "":
		return c.References
	case r.Query == nil && len(t.Key) == 1 && strings.EqualFold(t.Key[0], c.Name):
		return t.Name + "." + c.Name
	}
	return ""
}

// multiplicity is properties.multiplicity: of a select, s are the relations that it reads; of a set operation, inputs
// are those of its inputs.
func (d *Query) multiplicity(s *Scope, conditions []condition, inputs []*properties) func(columns []string) (float64, error) {
	return func(columns []string) (float64, error) {
		switch {
		case d.Constant() || d.SetOp == SetOpUnionAll && AreConstants(d.Inputs):
			return float64(d.most(columns)), nil
		case d.SetOp != "":
			total := 0.0
			for _, input := range inputs {
				var same []string
				for i, c := range inputs[0].table.Columns {
					if containsFold(columns, c.Name) {
						same = append(same, input.table.Columns[i].Name)
					}
				}
				n, err := input.multiplicity(same)
				if err != nil {
					return 0, err
				}
				total += n
			}
			return total, nil
		}
		var fixed []*expr.Expr
		for _, o := range d.Columns {
			if o.Function == "" && o.Expr.Op == expr.OpColumn && containsFold(columns, o.Name) {
				fixed = append(fixed, o.Expr)
			}
		}
		return s.spread(conditions, fixed)
	}
}
