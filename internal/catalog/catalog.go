package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Defaults of a catalog file.
const (
	DefaultMaxGroups = 5
	DefaultMaxRows   = 10
)

// Catalog is the data dictionary of one federation. It does not change after loading, so any number of goroutines may
// read it.
type Catalog struct {
	Name           string // of the federation's schema, such as "omop-5.4"
	Description    string
	MaxSites       int      // number of hospitals at which one patient may be; 0: all asked nodes
	HospitalColumn bool     // whether queries may use the virtual column `hospital`
	MaxGroups      int      // default: number of groups at each site in which a patient may be without being clipped where patients are counted
	MaxRows        int      // default: number of rows that a patient may have without being clipped
	Tables         []*Table // sorted by name
}

// Table is one logical table, which each node maps to a source of its own.
type Table struct {
	Name, Description string
	Public            bool      // says nothing about patients; may be released completely
	Key               []string  // columns whose values together identify a row; empty: no key is known
	Patient           string    // private tables: the column that leads to the patient (see PatientPath)
	OneRowPerPatient  bool      // at each site
	MaxRows           int       // overrides the catalog's if above 0
	Columns           []*Column // in the declared order
	// ExpectedPatients is roughly how many patients of the federation are in the table. TypicalRows is the number of
	// rows of a patient with many rows. 0 means that it is not declared. They are public and need not be exact. They
	// serve to predict errors and biases, and no answer depends on them.
	ExpectedPatients, TypicalRows int
	// Part, if not nil: the table is a part of a hospital's table. In that table, a column decides which patient a row
	// belongs to, for example whose bill it is. The rows of one value of that column are a table here, with one path to
	// the patient.
	Part *Part
}

// Part is the rows of a hospital's table in which a column has a value. No table of the catalog has that table's name;
// a query that reads it reads its parts.
type Part struct {
	Of     string // the hospital's table, such as cost
	Column string // such as cost_domain_id
	Value  string // such as Visit, as a text
}

// Source is the hospital's table from which the table is read.
func (t *Table) Source() string {
	if t.Part != nil {
		return t.Part.Of
	}
	return t.Name
}

// Parts lists the parts of a hospital's table, by their names; nil: the table has no parts.
func (c *Catalog) Parts(of string) (parts []*Table) {
	for _, t := range c.Tables {
		if t.Part != nil && strings.EqualFold(t.Part.Of, of) {
			parts = append(parts, t)
		}
	}
	return parts
}

// Column is one column of a table.
type Column struct {
	Name, Description string
	Type              value.Type
	Nullable          bool
	Lower, Upper      value.Value   // inclusive bounds, both Valid or neither; int, float, date and timestamp only
	Domain            []value.Value // every value except NULL, distinct and sorted; nil: not declared
	References        string        // "table.column", the whole key of that table, or ""
	Steady            bool          // nearly all patients have the same value in all their rows, such as sex; used for limits and errors only
	Identifier        bool          // its values identify patients, though it is not a key, such as a number in the hospital's own records
}

// Step is one table on the path from a row to its patient. A row of the previous step's table joins the row of this one
// whose Key equals the previous Column. The first step is the table itself and has no Key.
type Step struct {
	Table, Key, Column string
}

// Shown is a table as queries see it. If the catalog has a column for the hospital, a table with patients has it beside
// its own columns.
func (c *Catalog) Shown(t *Table) *Table {
	if _, taken := t.Column("hospital"); !c.HospitalColumn || t.Public || taken {
		return t
	}
	shown := *t
	shown.Columns = append(slices.Clone(t.Columns), &Column{Name: "hospital", Type: value.TypeText, Description: "the hospital's name"})
	return &shown
}

// Table returns the table of that name in any letter case.
func (c *Catalog) Table(name string) (*Table, bool) {
	for _, t := range c.Tables {
		if strings.EqualFold(t.Name, name) {
			return t, true
		}
	}
	return nil, false
}

// Column returns the column of that name in any letter case.
func (t *Table) Column(name string) (*Column, bool) {
	for _, col := range t.Columns {
		if strings.EqualFold(col.Name, name) {
			return col, true
		}
	}
	return nil, false
}

// RowLimit returns how many rows of one patient count in a group of t: 1 if t has one row per patient, otherwise the
// table's own limit or the catalog's.
func (c *Catalog) RowLimit(t *Table) int {
	switch {
	case t.OneRowPerPatient:
		return 1
	case t.MaxRows > 0:
		return t.MaxRows
	}
	return c.MaxRows
}

// PatientPath returns the steps from a row of the private table t to its patient. The first is {t, "", t.Patient}, and
// the last one's Column has the patient's id. For eICU's vital signs,
//
//	{vitalaperiodic, "", patientunitstayid} {patient, patientunitstayid, uniquepid}
//
// means vitalaperiodic JOIN patient ON vitalaperiodic.patientunitstayid = patient.patientunitstayid, and
// patient.uniquepid is the patient. A reference to a column that is itself the referenced table's Patient (OMOP's
// visit_occurrence.person_id to person.person_id) has the same value, so it adds no step. The error says where the path
// breaks: t is public, a table or column is missing or public, or the path is a cycle.
func (c *Catalog) PatientPath(t *Table) ([]Step, error) {
	if t.Public {
		return nil, fmt.Errorf("table %s is public and has no patient", t.Name)
	}
	if t.Patient == "" {
		return nil, fmt.Errorf("private table %s does not say how it reaches its patient; give `patient: COLUMN`", t.Name)
	}
	path := []Step{{Table: t.Name, Column: t.Patient}}
	seen := map[string]bool{t.Name: true}
	at, column := t, t.Patient
	for {
		col, ok := at.Column(column)
		if !ok {
			return nil, fmt.Errorf("table %s has no column %s, which is to lead to its patient", at.Name, column)
		}
		if col.References == "" {
			return path, nil
		}
		name, key, _ := strings.Cut(col.References, ".")
		next, ok := c.Table(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("column %s.%s references %s, and there is no table %s", at.Name, column, col.References, name)
		case next.Public:
			return nil, fmt.Errorf("the way from table %s to its patient passes through %s, which is public; a patient is found by private tables only", t.Name, name)
		case seen[next.Name]:
			return nil, fmt.Errorf("the way from table %s to its patient turns in a circle at %s", t.Name, next.Name)
		case next.Patient == "":
			return nil, fmt.Errorf("the way from table %s to its patient ends at %s, which names no `patient` column", t.Name, next.Name)
		}
		seen[next.Name] = true
		at, column = next, next.Patient
		if !strings.EqualFold(next.Patient, key) {
			path = append(path, Step{Table: next.Name, Key: key, Column: next.Patient})
		}
	}
}

// IsPatientID reports whether the column itself has the patient's id, so that no join is needed to know the patient of
// a row.
func (c *Catalog) IsPatientID(table, column string) bool {
	t, ok := c.Table(table)
	if !ok || t.Public || !strings.EqualFold(t.Patient, column) {
		return false
	}
	path, err := c.PatientPath(t)
	return err == nil && len(path) == 1
}
