package fragment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
)

// condition is a conjunct. leftJoin is the index of the relation whose left join has it in its ON, or -1: such a
// condition holds where that join found a row, and says nothing of the relations before it.
type condition struct {
	*expr.Expr
	leftJoin int
}

// conjuncts lists the conditions on the rows that the fragment reads.
func (f *Fragment) conjuncts() []condition { return conditionsOf(f.Relations, f.Filter) }

// conditionsOf lists the conjuncts of all ON and of the filter.
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

// checkLinked refuses private relations whose rows nothing links to the patient of the first private one.
func (s *Scope) checkLinked(conditions []condition) error {
	linked := s.linkedToPatient(conditions)
	for i, r := range s.relations {
		if !r.table.Public && !linked[i] {
			return fmt.Errorf("%w: nothing says that a row of %s belongs to the same patient as the rest", ErrInvalid, r.Name)
		}
	}
	return nil
}

// equality returns the two columns of a condition column = column.
func equality(e *expr.Expr) (a, b *expr.Expr, ok bool) {
	if e.Op != expr.OpEqual || e.Args[0].Op != expr.OpColumn || e.Args[1].Op != expr.OpColumn {
		return nil, nil, false
	}
	return e.Args[0], e.Args[1], true
}

// samePatient reports whether equality of the two columns means that the two
// rows belong to the same patient: both hold the patient's id; or one is the
// foreign key by which its table reaches the patient and the other is the key it
// refers to; or both are such foreign keys to the same key.
func (s *Scope) samePatient(a, b *expr.Expr) bool {
	i, j := s.index[a.Relation], s.index[b.Relation]
	r, q := s.relations[i].table, s.relations[j].table
	if r.Public || q.Public || i == j {
		return false
	}
	if s.isPatientID(i, a.Column) && s.isPatientID(j, b.Column) {
		return true
	}
	if s.relations[i].Query != nil || s.relations[j].Query != nil {
		return false // a derived relation holds the patient's id itself
	}
	x, y := patientReference(r, a.Column), patientReference(q, b.Column)
	return x != "" && (x == y || x == strings.ToLower(q.Name+"."+b.Column)) ||
		y != "" && y == strings.ToLower(r.Name+"."+a.Column)
}

// patientReference returns what the column refers to if it is the one by which its
// table reaches the patient.
func patientReference(t *catalog.Table, column string) string {
	c, ok := t.Column(column)
	if !ok || !strings.EqualFold(t.Patient, column) {
		return ""
	}
	return strings.ToLower(c.References)
}

// linkedToPatient says of each private relation whether its rows are proved to belong to the patient of the first
// private one.
func (s *Scope) linkedToPatient(conditions []condition) []bool {
	linked := make([]bool, len(s.relations))
	for i, r := range s.relations {
		if !r.table.Public {
			linked[i] = true
			break
		}
	}
	for changed := true; changed; {
		changed = false
		for _, c := range conditions {
			a, b, ok := equality(c.Expr)
			if !ok || !s.samePatient(a, b) {
				continue
			}
			i, j := s.index[a.Relation], s.index[b.Relation]
			if linked[i] {
				i, j = j, i
			}
			// A left join's condition ties the relation that it joins, no other.
			if linked[j] && !linked[i] && (c.leftJoin == -1 || c.leftJoin == i) {
				linked[i], changed = true, true
			}
		}
	}
	return linked
}

// singleRow says of each relation whether the patient determines which row of it is read: all rows of a patient read
// the same one, or all read none. That holds of a private table of one row a patient, and of a table whose whole key is
// equated with constants or with columns of such relations. A left join reads a row or none by its whole condition,
// which therefore must depend on such relations alone.
func (s *Scope) singleRow(conditions []condition) []bool {
	single := make([]bool, len(s.relations))
	for changed := true; changed; {
		changed = false
		for i, r := range s.relations {
			if !single[i] && (r.table.OneRowPerPatient || s.keyDeterminedByPatient(i, single, conditions)) && s.joinDeterminedByPatient(i, single) {
				single[i], changed = true, true
			}
		}
	}
	return single
}

// joinDeterminedByPatient reports whether the condition of relation i, if it is a left join's, reads nothing but that
// relation, single ones, and the patient's id, which is the same in all rows of a patient.
func (s *Scope) joinDeterminedByPatient(i int, single []bool) bool {
	r := s.relations[i]
	determined := true
	if r.Join == JoinLeft {
		r.On.Columns(func(relation, column string) {
			j := s.index[relation]
			id := !s.relations[j].optional && s.isPatientID(j, column)
			determined = determined && (j == i || single[j] || id)
		})
	}
	return determined
}

// determinedByPatient reports whether all rows of a patient hold the same value in a column: it is read from the same
// row, or is the patient's id, or a derived relation says so.
func (s *Scope) determinedByPatient(relation, column string, single []bool) bool {
	i := s.index[relation]
	return single[i] || !s.relations[i].optional && (s.isPatientID(i, column) || s.relations[i].determinant(column) != "")
}

// determinant is properties.determinedBy of a column.
func (r scopedRelation) determinant(column string) string {
	for k, c := range r.table.Columns {
		if k < len(r.determinedBy) && strings.EqualFold(c.Name, column) {
			return r.determinedBy[k]
		}
	}
	return ""
}

// keyDeterminedByPatient reports whether each column of one of relation i's keys equals a constant, the patient's id,
// or a column of a relation that is already known to be single.
func (s *Scope) keyDeterminedByPatient(i int, single []bool, conditions []condition) bool {
	r := s.relations[i]
	fixed := map[string]bool{}
	for _, c := range conditions {
		if c.Op != expr.OpEqual || c.leftJoin != -1 && c.leftJoin != i {
			continue
		}
		for k, a := range c.Args {
			b := c.Args[1-k]
			known := b.Op == expr.OpLiteral || b.Op == expr.OpHospital || b.Op == expr.OpColumn && single[s.index[b.Relation]]
			// Of one type: two long ints may equal the same float.
			if a.Type == b.Type && a.Op == expr.OpColumn && a.Relation == r.Name && known {
				fixed[strings.ToLower(a.Column)] = true
			}
		}
	}
	return slices.ContainsFunc(r.keys, func(key []string) bool {
		for _, k := range key {
			if !fixed[strings.ToLower(k)] && !s.isPatientID(i, k) {
				return false
			}
		}
		return true
	})
}

// Unlinked returns the names of the private relations whose rows nothing links to the patient of the first private one.
func Unlinked(relations []Relation, filter *expr.Expr, c *catalog.Catalog, m *Memo) ([]string, error) {
	on := m.assumed(c)
	on.noDomains = true
	s, err := countedScope(relations, on)
	if err != nil {
		return nil, err
	}
	var names []string
	for i, linked := range s.linkedToPatient(conditionsOf(relations, filter)) {
		if !linked && !s.relations[i].table.Public {
			names = append(names, s.relations[i].Name)
		}
	}
	return names, nil
}
