package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// dependencies is a set of functional dependencies among attributes of joined rows. A dependency says that rows that
// agree in some attributes agree in another one. If it has no attributes on the left, all rows agree.
//
// The first attributes stand for the rows of the relations: which row of a relation is read, or that none is, if a left
// join found nothing. So a dependency on a row is strict under every kind of join. Further attributes are added by
// number.
type dependencies struct {
	all   []dependency
	uses  []use
	first []int // for each attribute: the index in uses, plus 1, of the first dependency that needs it
}

type dependency struct {
	needs int // how many attributes
	to    int
}

// use is a dependency that needs an attribute. next is the index, plus 1, of the attribute's next use; 0: there is
// none.
type use struct{ dependency, next int }

func newDependencies(relations int) dependencies {
	return dependencies{first: make([]int, relations, 2*relations+2), all: make([]dependency, 0, 4*relations), uses: make([]use, 0, 4*relations)}
}

// attribute adds an attribute and returns its number.
func (d *dependencies) attribute() int {
	d.first = append(d.first, 0)
	return len(d.first) - 1
}

// add adds the dependency: the attributes determine to.
func (d *dependencies) add(to int, attributes ...int) {
	for _, a := range attributes {
		d.uses = append(d.uses, use{len(d.all), d.first[a]})
		d.first[a] = len(d.uses)
	}
	d.all = append(d.all, dependency{len(attributes), to})
}

// closure reports, for each attribute, whether the attributes of determine it (Beeri and Bernstein 1979, in linear
// time).
func (d *dependencies) closure(of ...int) []bool {
	known, numbers := make([]bool, len(d.first)), make([]int, 2*len(d.all)+len(of))
	needs, next := numbers[:len(d.all)], numbers[len(d.all):len(d.all)]
	next = append(next, of...)
	for i, one := range d.all {
		if needs[i] = one.needs; one.needs == 0 {
			next = append(next, one.to)
		}
	}
	for len(next) > 0 {
		a := next[len(next)-1]
		next = next[:len(next)-1]
		if known[a] {
			continue
		}
		known[a] = true
		for n := d.first[a]; n > 0; n = d.uses[n-1].next {
			i := d.uses[n-1].dependency
			if needs[i]--; needs[i] == 0 {
				next = append(next, d.all[i].to)
			}
		}
	}
	return known
}

// condition is a conjunct. leftJoin is the index of the relation whose left join has it in its ON, or -1. Such a
// condition holds if that join found a row, and says nothing of the relations before it.
type condition struct {
	*expr.Expr
	leftJoin int
}

// conditionsOf lists the conjuncts of all ON clauses and of the filter.
func conditionsOf(relations []Relation, filter *expr.Expr) []condition {
	var all []condition
	for i, r := range relations {
		leftJoin := -1
		if r.Join == JoinLeft {
			leftJoin = i
		}
		for _, e := range expr.Conjuncts(r.On) {
			all = append(all, condition{e, leftJoin})
		}
	}
	for _, e := range expr.Conjuncts(filter) {
		all = append(all, condition{e, -1})
	}
	return all
}

// conditions lists the conditions on the rows of the scope that fulfil the filter.
func (s *Scope) conditions(filter *expr.Expr) []condition {
	relations := make([]Relation, len(s.relations))
	for i, r := range s.relations {
		relations[i] = r.Relation
	}
	return conditionsOf(relations, filter)
}

// holdsFor reports whether the rows of relation i fulfil the condition wherever one counts.
func (c condition) holdsFor(i int, r Relation) bool {
	return c.leftJoin == i || c.leftJoin == -1 && r.Join != JoinLeft
}

// ConditionsOn lists the conditions, of all ON clauses and of the filter, that the rows of relation i fulfil wherever
// one counts.
func ConditionsOn(relations []Relation, filter *expr.Expr, i int) []*expr.Expr {
	var all []*expr.Expr
	for _, c := range conditionsOf(relations, filter) {
		if c.holdsFor(i, relations[i]) {
			all = append(all, c.Expr)
		}
	}
	return all
}

// link says that a column of a relation equals another column, or a constant if from is nil. leftJoin is as in
// condition.
type link struct {
	to       int // the relation
	column   string
	from     *expr.Expr
	leftJoin int
}

// links lists what the conditions say of columns. A value equals at most one value of its own type. But two long ints
// may equal the same float, and engines may have neighbouring floats. given are expressions that count as constants.
func (s *Scope) links(conditions []condition, given ...*expr.Expr) []link {
	var all []link
	for _, c := range conditions {
		if c.Op != expr.OpEqual {
			continue
		}
		for k, a := range c.Args {
			b := c.Args[1-k]
			if a.Op != expr.OpColumn || a.Type != b.Type || a.Type == value.TypeFloat || s.isPatientID(s.index[a.Relation], a.Column) {
				continue
			}
			l := link{to: s.index[a.Relation], column: fold(a.Column), leftJoin: c.leftJoin}
			switch {
			case b.Op == expr.OpLiteral, b.Op == expr.OpHospital, slices.ContainsFunc(given, b.Equal):
			case b.Op == expr.OpColumn:
				l.from = b
			default:
				continue
			}
			all = append(all, l)
		}
	}
	return all
}

// joinDependencies are the dependencies among the patient, the rows of the relations and the values of their columns,
// in the rows that a select joins. They follow from keys, which the node verifies, and from conditions; of the
// catalog's other promises none is among them, since proofs rest on these.
type joinDependencies struct {
	*Scope
	dependencies
	patient int
	columns map[columnOf]int
	given   []*expr.Expr // the rows that are compared agree in these
	// present: the dependencies hold in those joined rows that read a row of just these relations, and a row of NULLs
	// of the others. nil: they hold in all joined rows.
	present []bool
}

// columnOf is a column of a relation. found: its value if the left join of the relation finds a row. That it is
// determined is a lax dependency of the column itself, which is NULL in other rows.
type columnOf struct {
	relation int
	name     string
	found    bool
}

// strictDependencies returns the dependencies that hold in all joined rows. The rows that are compared agree in the
// given expressions.
func (s *Scope) strictDependencies(links []link, given ...*expr.Expr) *joinDependencies {
	holds := func(l link) bool { return l.leftJoin == -1 || l.leftJoin == l.to }
	return s.dependenciesOf(links, holds, nil, given...)
}

// dependenciesOf returns the dependencies that links for which holds is true give.
func (s *Scope) dependenciesOf(links []link, holds func(link) bool, present []bool, given ...*expr.Expr) *joinDependencies {
	d := &joinDependencies{Scope: s, dependencies: newDependencies(len(s.relations)), given: given, present: present}
	d.patient = d.attribute()
	for _, l := range links {
		if holds(l) {
			d.column(d.target(l))
		}
	}
	for _, e := range given {
		if e.Op == expr.OpColumn {
			d.add(d.column(columnOf{s.index[e.Relation], fold(e.Column), false}))
		}
	}
	for _, l := range links {
		switch to := d.columns[d.target(l)]; {
		case !holds(l):
		case l.from == nil:
			d.add(to)
		default:
			d.add(to, d.read(l.from.Relation, l.from.Column))
		}
	}
	for i := range s.relations {
		d.addRow(i)
	}
	return d
}

// target is the column that a link determines.
func (d *joinDependencies) target(l link) columnOf {
	return columnOf{l.to, l.column, d.present == nil && l.leftJoin == l.to}
}

// column returns the attribute of a column, which it adds if there is none.
func (d *joinDependencies) column(c columnOf) int {
	a, ok := d.columns[c]
	if !ok {
		if d.columns == nil {
			d.columns = map[columnOf]int{}
		}
		a = d.attribute()
		d.add(a, c.relation)
		d.columns[c] = a
	}
	return a
}

// read returns an attribute that determines a column: its own, or that of its row.
func (d *joinDependencies) read(relation, column string) int {
	i := d.index[relation]
	if a, ok := d.columns[columnOf{i, fold(column), false}]; ok {
		return a
	}
	if d.ofPatient(i, column) {
		return d.patient
	}
	return i
}

// readBy appends what determines an expression on rows that agree in the given ones and in the row of relation i.
func (d *joinDependencies) readBy(e *expr.Expr, i int, all []int) []int {
	switch {
	case slices.ContainsFunc(d.given, e.Equal):
		return all
	case e.Op == expr.OpColumn && d.index[e.Relation] != i:
		return append(all, d.read(e.Relation, e.Column))
	}
	for _, a := range e.Args {
		all = d.readBy(a, i, all)
	}
	return all
}

// addRow adds on what the row of relation i depends, and what depends on it.
func (d *joinDependencies) addRow(i int) {
	r := d.relations[i]
	if len(d.present) > 0 && !d.present[i] {
		d.add(i)
	}
	if !r.optional && !r.table.Public {
		d.add(d.patient, i)
	}
	var few [4]int
	rest := few[:0] // a left join finds a row or none by its whole condition
	if r.optional && d.present == nil {
		rest = d.readBy(r.On, i, rest)
	}
	if r.table.OneRowPerPatient {
		rest = append(rest, d.patient)
		d.add(i, rest...)
		rest = rest[:len(rest)-1]
	}
	for _, key := range r.keys {
		d.addKey(i, key, rest)
	}
}

// addKey adds that a key of relation i determines its row; of an optional one, with rest. It adds nothing if nothing
// determines a column of the key.
func (d *joinDependencies) addKey(i int, key []string, rest []int) {
	var few [4]int
	needs := few[:0]
	strict := d.relations[i].Query == nil // a key of a table is NULL just where a left join found nothing
	for _, name := range key {
		if d.isPatientID(i, name) {
			needs, strict = append(needs, d.patient), strict && !d.relations[i].optional
			continue
		}
		a, known := d.columns[columnOf{i, fold(name), false}]
		if found, lax := d.columns[columnOf{i, fold(name), true}]; lax {
			if known {
				d.add(found, a)
			}
			a, known, strict = found, true, false
		}
		if !known {
			return
		}
		needs = append(needs, a)
	}
	if !strict {
		needs = append(needs, rest...)
	}
	d.add(i, needs...)
}

// rows reports for each relation whether the attributes determine which row of it is read, or that none is.
func (d *joinDependencies) rows(by ...int) []bool { return d.closure(by...)[:len(d.relations)] }

// hasKey reports whether columns of relation i, with the patient's id, contain one of its keys.
func (s *Scope) hasKey(i int, columns []string) bool {
	return slices.ContainsFunc(s.relations[i].keys, func(key []string) bool {
		return !slices.ContainsFunc(key, func(k string) bool { return !containsFold(columns, k) && !s.isPatientID(i, k) })
	})
}

// Determines reports whether joined rows that agree in the expressions read the same row of a relation, or all none.
func (s *Scope) Determines(relation string, filter *expr.Expr, by ...*expr.Expr) bool {
	d := s.strictDependencies(s.links(s.conditions(filter), by...), by...)
	return d.rows()[s.index[relation]]
}

// OneRow reports whether a patient has at most one joined row among those that agree in the expressions. Where all is
// public, it reports whether there is at most one of those.
func (s *Scope) OneRow(filter *expr.Expr, by ...*expr.Expr) bool {
	d := s.strictDependencies(s.links(s.conditions(filter), by...), by...)
	return !slices.Contains(d.rows(d.patient), false)
}

// Base returns the index of the one private relation whose row determines the rows of all other private ones, so that
// a select has at most as many rows of a patient, before public rows multiply them. It is -1 if there is no such
// relation, or the relations are not valid.
func Base(relations []Relation, filter *expr.Expr, c *catalog.Catalog, m *Memo) int {
	s, err := NewScopeWithin(relations, c, m)
	if err != nil {
		return -1
	}
	if roots := s.careful(s.links(s.conditions(filter))).roots(); len(roots) == 1 {
		return roots[0]
	}
	return -1
}
