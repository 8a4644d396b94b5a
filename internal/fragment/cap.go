package fragment

import (
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
)

// MaxPatientRows is the largest number of rows of one patient that a select's joins of private relations may yield, if
// rows of several of them multiply. See Cap.
const MaxPatientRows = 1_000_000

// multiplied is the factor that capped joins count for public relations: these may make at most MaxSpread/multiplied
// rows from each row of such a select.
const multiplied = 10

// Cap is a private relation of a select in which the rows of one patient multiply: two relations with many rows per
// patient, joined by the patient alone, give the product of the two numbers. Let L be MaxPatientRows, k the number of
// such relations, and n_j the number of rows of the patient in relation j. Of each such relation i, the first
// max(⌊L^(1/k)⌋, ⌊L / Π max(1, n_j)⌋) rows of each patient stay, where the product is over j ≠ i and the order is by a
// keyed hash. So a patient whose rows multiply to at most L loses none. And no patient's rows multiply to more than L:
// if they would give P > L rows, each relation keeps L^(1/k) rows or a fraction L/P of its own.
type Cap struct {
	// At is the index of the relation in the select.
	At int
	// Relations are the relation alone, followed by the tables by whose keys its rows reach their patient.
	Relations []Relation
	// Filter holds the conditions that read the relation alone, and that every counted row fulfils; nil: none.
	Filter *expr.Expr
	// Patient is the column of Relations that holds the patient's id.
	Patient *expr.Expr
}

// Root is the least number of rows of a patient that a relation keeps, if k relations are capped.
func Root(k int) int64 {
	n := int64(1)
	for timesItself(n+1, k) <= MaxPatientRows {
		n++
	}
	return n
}

// timesItself returns n^k, or a number beyond MaxPatientRows.
func timesItself(n int64, k int) int64 {
	p := int64(1)
	for range k {
		if p *= n; p > MaxPatientRows {
			break
		}
	}
	return p
}

// Caps lists the private relations of a select whose rows are capped: none, or at least two.
func Caps(relations []Relation, filter *expr.Expr, c *catalog.Catalog, m *Memo) ([]Cap, error) {
	on := m.assumed(c)
	on.noDomains = true
	s, err := newScope(relations, on, 0)
	if err != nil {
		return nil, err
	}
	conditions := conditionsOf(relations, filter)
	var caps []Cap
	for _, i := range s.multiplying(s.links(conditions)) {
		at := Cap{At: i, Filter: s.conditionsOn(i, conditions)}
		if at.Relations, at.Patient, err = s.pathToPatient(i); err != nil {
			return nil, err
		}
		caps = append(caps, at)
	}
	return caps, nil
}

// maxPatterns is the number of left joins up to which all 2^maxPatterns cases of which of them found a row are
// considered.
const maxPatterns = 4

// multiplying lists the private relations whose numbers of rows may multiply, in order.
//
// It considers each case of which left joins found a row. In each case there is a set of relations, the roots, whose
// rows determine the rows of all others: the others are joined by a key, or have one row per patient. With a single
// root there are no more rows than it has. The condition of a left join also says something of the relations before it,
// where it found a row. So VISIT LEFT JOIN MEASUREMENT by the visit's key gives one row for each measurement, or one
// for a visit without any.
func (s *Scope) multiplying(links []link) []int {
	private := 0
	var optional []int
	present := make([]bool, len(s.relations))
	for i, r := range s.relations {
		present[i] = true
		if r.table.Public {
			continue
		}
		if private++; r.optional {
			optional = append(optional, i)
		}
	}
	if private < 2 {
		return nil
	}
	if len(optional) > maxPatterns {
		return severalOf(s.careful(links).roots())
	}
	var roots []int
	for pattern := range 1 << len(optional) {
		for bit, i := range optional {
			present[i] = pattern>>bit&1 == 0
		}
		if found := s.dependenciesAmong(links, present, false).roots(); len(found) > 1 {
			roots = append(roots, found...)
		}
	}
	slices.Sort(roots)
	return severalOf(slices.Compact(roots))
}

func severalOf(roots []int) []int {
	if len(roots) < 2 {
		return nil
	}
	return roots
}

// roots returns a set of the present private relations whose rows determine those of all others.
func (d *joinDependencies) roots() []int {
	var roots []int
	for i, r := range d.relations {
		if !r.table.Public && d.present[i] {
			roots = append(roots, i)
		}
	}
	for _, i := range slices.Clone(roots) {
		fewer := slices.DeleteFunc(slices.Clone(roots), func(r int) bool { return r == i })
		if len(fewer) > 0 && d.determine(fewer) {
			roots = fewer
		}
	}
	return roots
}

// careful returns the dependencies among joined rows that read a row of each relation. It does not use what left joins
// say of the relations before them.
func (s *Scope) careful(links []link) *joinDependencies {
	return s.dependenciesAmong(links, slices.Repeat([]bool{true}, len(s.relations)), true)
}

// dependenciesAmong returns the dependencies among joined rows that read a row of just the relations that are present.
func (s *Scope) dependenciesAmong(links []link, present []bool, careful bool) *joinDependencies {
	return s.dependenciesOf(links, func(l link) bool { return s.holds(l, present, careful) }, present)
}

// determine reports whether rows of the roots determine at most one row of each other private relation.
func (d *joinDependencies) determine(roots []int) bool {
	known := d.rows(append([]int{d.patient}, roots...)...)
	return !slices.ContainsFunc(d.relations, func(r scopedRelation) bool { return !r.table.Public && !known[d.index[r.Name]] })
}

// holds reports whether a link holds in each row in which the relations are present. Only for private relations is it
// known whether a left join found a row.
func (s *Scope) holds(l link, present []bool, careful bool) bool {
	switch l.leftJoin {
	case -1:
		return !s.relations[l.to].optional
	case l.to:
		return true
	}
	return l.from != nil && !careful && l.leftJoin == s.index[l.from.Relation] && !s.relations[l.leftJoin].table.Public && present[l.leftJoin]
}

// conditionsOn joins the conditions that read relation i alone and that each of its counted rows satisfies.
func (s *Scope) conditionsOn(i int, conditions []condition) *expr.Expr {
	var all *expr.Expr
	for _, c := range conditions {
		reads, others := false, false
		c.Columns(func(relation, _ string) {
			reads, others = reads || s.index[relation] == i, others || s.index[relation] != i
		})
		if !reads || others || !c.holdsFor(i, s.relations[i].Relation) {
			continue
		}
		if all == nil {
			all = c.Expr
		} else if both, err := expr.New(expr.OpAnd, all, c.Expr); err == nil {
			all = both
		}
	}
	return all
}

// pathToPatient returns a private relation with the tables by whose keys its rows reach their patient, and the column
// of the patient's id.
func (s *Scope) pathToPatient(i int) ([]Relation, *expr.Expr, error) {
	r := s.relations[i]
	alone := Relation{Name: r.Name, Table: r.Table, Query: r.Query}
	at, column := alone.Name, r.table.Patient
	all := []Relation{alone}
	if r.Query == nil {
		path, err := s.catalog.PatientPath(r.table)
		if err != nil {
			return nil, nil, err
		}
		column = path[0].Column
		for n, step := range path[1:] {
			next := Relation{Name: "way" + strconv.Itoa(n), Table: step.Table, Join: JoinInner}
			if strings.EqualFold(next.Name, r.Name) {
				next.Name += "_"
			}
			from, err := s.catalogColumn(all[n].Table, at, column)
			if err != nil {
				return nil, nil, err
			}
			to, err := s.catalogColumn(step.Table, next.Name, step.Key)
			if err != nil {
				return nil, nil, err
			}
			if next.On, err = expr.New(expr.OpEqual, from, to); err != nil {
				return nil, nil, err
			}
			all, at, column = append(all, next), next.Name, step.Column
		}
		id, err := s.catalogColumn(all[len(all)-1].Table, at, column)
		return all, id, err
	}
	id, _ := r.table.Column(column)
	return all, expr.Column(at, id.Name, id.Type), nil
}

// catalogColumn returns a column of a table of the catalog.
func (s *Scope) catalogColumn(table, relation, column string) (*expr.Expr, error) {
	t, ok := s.catalog.Table(table)
	if !ok {
		return nil, ErrInvalid
	}
	c, ok := t.Column(column)
	if !ok {
		return nil, ErrInvalid
	}
	return expr.Column(relation, c.Name, c.Type), nil
}
