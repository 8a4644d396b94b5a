package fragment

import (
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// dependencies is a set of functional dependencies among attributes of the joined rows of one patient. A dependency
// says that rows that agree in some attributes agree in another one. If it has no attributes on the left, all rows
// agree.
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

func newDependencies(relations int) dependencies { return dependencies{first: make([]int, relations)} }

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

// link says that a column of the relation to equals a column of the relation from, or a constant if from is -1.
// leftJoin is as in condition.
type link struct {
	to, from, leftJoin int
	column             string
}

// links lists what the conditions say of columns of keys, and of public relations. A value equals at most one value of
// its own type. But two long ints may equal the same float, and engines may have neighbouring floats.
func (s *Scope) links(conditions []condition) []link {
	var all []link
	var seen map[link]bool
	for _, c := range conditions {
		if c.Op != expr.OpEqual {
			continue
		}
		for k, a := range c.Args {
			b := c.Args[1-k]
			if a.Op != expr.OpColumn || a.Type != b.Type || a.Type == value.TypeFloat ||
				b.Op != expr.OpLiteral && b.Op != expr.OpHospital && b.Op != expr.OpColumn {
				continue
			}
			l := link{to: s.index[a.Relation], from: -1, leftJoin: c.leftJoin, column: fold(a.Column)}
			if b.Op == expr.OpColumn {
				l.from = s.index[b.Relation]
			}
			if l.from != l.to && !seen[l] && (s.relations[l.to].table.Public || s.inKey(l.to, a.Column)) {
				if seen == nil {
					seen = map[link]bool{}
				}
				seen[l] = true
				all = append(all, l)
			}
		}
	}
	return all
}

// dependenciesBy returns the dependencies that follow from keys. Links for which holds is true determine the columns of
// keys. given lists further relations on whose rows the row of a relation depends.
func (s *Scope) dependenciesBy(links []link, holds func(link) bool, given func(i int) []int) dependencies {
	d := newDependencies(len(s.relations))
	var columns map[link]int // the columns that something determines, by relation and name
	for _, l := range links {
		if !holds(l) {
			continue
		}
		if columns == nil {
			columns = map[link]int{}
		}
		at := link{to: l.to, column: l.column}
		to, ok := columns[at]
		if !ok {
			to = d.attribute()
			columns[at] = to
		}
		if l.from < 0 {
			d.add(to)
		} else {
			d.add(to, l.from)
		}
	}
	for i, r := range s.relations {
		rest := given(i)
		if r.table.OneRowPerPatient {
			d.add(i, rest...)
		}
		for _, key := range r.keys {
			if needs, ok := s.keyAttributes(i, key, columns); ok {
				d.add(i, append(needs, rest...)...)
			}
		}
	}
	return d
}

// keyAttributes returns the attributes of a key of relation i, without the patient's id. ok is false if nothing
// determines one of them.
func (s *Scope) keyAttributes(i int, key []string, columns map[link]int) (needs []int, ok bool) {
	for _, name := range key {
		if s.isPatientID(i, name) {
			continue
		}
		if columns == nil {
			return nil, false
		}
		a, ok := columns[link{to: i, column: fold(name)}]
		if !ok {
			return nil, false
		}
		needs = append(needs, a)
	}
	return needs, true
}

// inKey reports whether a column of relation i belongs to a key.
func (s *Scope) inKey(i int, column string) bool {
	return slices.ContainsFunc(s.relations[i].keys, func(key []string) bool { return containsFold(key, column) })
}

// hasKey reports whether columns of relation i, with the patient's id, contain one of its keys.
func (s *Scope) hasKey(i int, columns []string) bool {
	return slices.ContainsFunc(s.relations[i].keys, func(key []string) bool {
		return !slices.ContainsFunc(key, func(k string) bool { return !containsFold(columns, k) && !s.isPatientID(i, k) })
	})
}
