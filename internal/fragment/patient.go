package fragment

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
)

// conjuncts lists the conditions on the rows that the fragment reads.
func (f *Fragment) conjuncts() []condition { return conditionsOf(f.Relations, f.Filter) }

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

// samePatient reports whether equality of the two columns means that the two rows belong to the same patient. That is
// so in three cases: both hold the patient's id; one is the foreign key by which its table reaches the patient, and the
// other is the key it refers to; or both are such foreign keys to the same key.
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

// patientReference returns the key that the column refers to, if its table reaches the patient by this column.
func patientReference(t *catalog.Table, column string) string {
	c, ok := t.Column(column)
	if !ok || !strings.EqualFold(t.Patient, column) {
		return ""
	}
	return strings.ToLower(c.References)
}

// linkedToPatient reports for each private relation whether its rows are proved to belong to the patient of the first
// private one. In the dependencies, the patient of a relation's row, or that there is no row, stands for the row.
func (s *Scope) linkedToPatient(conditions []condition) []bool {
	d := newDependencies(len(s.relations))
	for i, r := range s.relations {
		if !r.table.Public {
			d.add(i)
			break
		}
	}
	for _, c := range conditions {
		a, b, ok := equality(c.Expr)
		if !ok || !s.samePatient(a, b) {
			continue
		}
		// The condition of a left join links the relation that it joins, and no other.
		i, j := s.index[a.Relation], s.index[b.Relation]
		if c.leftJoin == -1 || c.leftJoin == i {
			d.add(i, j)
		}
		if c.leftJoin == -1 || c.leftJoin == j {
			d.add(j, i)
		}
	}
	return d.closure()
}

// singleRow reports for each relation whether the patient determines which row of it is read: all rows of a patient
// read the same one, or all read none.
func (s *Scope) singleRow(conditions []condition) []bool {
	d := s.strictDependencies(s.links(conditions))
	return d.rows(d.patient)
}

// determinedByPatient reports whether all rows of a patient hold the same value in a column: it is read from the same
// row, or is the patient's.
func (s *Scope) determinedByPatient(relation, column string, single []bool) bool {
	i := s.index[relation]
	return single[i] || s.ofPatient(i, column)
}

// ofPatient reports whether a column of relation i has one value per patient: it is the patient's id, or a derived
// relation says so.
func (s *Scope) ofPatient(i int, column string) bool {
	return !s.relations[i].optional && (s.isPatientID(i, column) || s.relations[i].determinant(column) != "")
}

// determinant returns properties.determinedBy of a column.
func (r scopedRelation) determinant(column string) string {
	for k, c := range r.table.Columns {
		if k < len(r.determinedBy) && strings.EqualFold(c.Name, column) {
			return r.determinedBy[k]
		}
	}
	return ""
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
