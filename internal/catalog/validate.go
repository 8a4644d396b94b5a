package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// validate adds a fault for each inconsistency.
func (r *reader) validate() {
	r.checkKeys()
	var patient *Column // patient column of the first private table; all others must agree with it
	var patientName string
	for _, t := range r.catalog.Tables {
		if !r.checkTable(t) {
			continue
		}
		path, err := r.catalog.PatientPath(t)
		if err != nil {
			r.wrong(t, "patient", "%v", err)
			continue
		}
		for _, step := range path {
			r.checkStep(step)
		}
		last := path[len(path)-1]
		end, _ := r.catalog.Table(last.Table)
		id, _ := end.Column(last.Column)
		name := last.Table + "." + last.Column
		switch {
		case id.Type != value.TypeInt && id.Type != value.TypeText:
			r.wrong(end, "patient", "column %s is a %s and cannot be a patient's id, which is an int or a text", name, id.Type)
		case patient == nil:
			patient, patientName = id, name
		case id.Type != patient.Type:
			r.wrong(end, "patient", "column %s holds the patient's id as %s, and %s as %s; a patient has one id in all tables, so add the `references` that leads there, or agree on one type", name, id.Type, patientName, patient.Type)
		}
	}
}

// wrong adds a fault at the setting, or at the thing itself if the setting is missing.
func (r *reader) wrong(of any, key, format string, args ...any) {
	at, ok := r.at[place{of, key}]
	if !ok {
		at = r.at[place{of, ""}]
	}
	f := &Error{at.file, at.line, fmt.Sprintf(format, args...)}
	if !slices.ContainsFunc(r.faults, func(g *Error) bool { return *g == *f }) {
		r.faults = append(r.faults, f)
	}
}

// checkStep adds a fault for bounds on the path to the patient: a value outside them reads as the nearest bound, which
// would merge several patients.
func (r *reader) checkStep(step Step) {
	t, _ := r.catalog.Table(step.Table)
	for _, name := range []string{step.Key, step.Column} {
		if col, ok := t.Column(name); ok && col.Lower.Valid() {
			r.wrong(col, "bounds", "bounds of %s.%s: it tells patients apart, and values beyond bounds count as the nearest bound; leave them out", t.Name, col.Name)
		}
	}
}

// checkTable reports whether t is a private table with settings that are complete enough to look for its patient.
func (r *reader) checkTable(t *Table) bool {
	if len(t.Columns) == 0 {
		r.wrong(t, "columns", "table %s has no columns; list them under `columns`", t.Name)
	}
	for _, name := range t.Key {
		if _, ok := t.Column(name); !ok {
			r.wrong(t, "key", "key: table %s has no column %s%s", t.Name, name, meant(name, columnNames(t)))
		}
	}
	for _, col := range t.Columns {
		r.checkColumn(t, col)
	}
	if t.Part != nil {
		r.checkPart(t)
	}
	if t.OneRowPerPatient && t.MaxRows > 1 {
		r.wrong(t, "max_rows", "table %s has one row a patient, so max_rows: %d means nothing; leave one of the two out", t.Name, t.MaxRows)
	}
	if t.OneRowPerPatient && t.TypicalRows > 1 {
		r.wrong(t, "typical_rows", "table %s has one row a patient, so typical_rows: %d contradicts that; leave one of the two out", t.Name, t.TypicalRows)
	}
	if t.Public {
		if t.ExpectedPatients > 0 || t.TypicalRows > 0 {
			r.wrong(t, "public", "table %s is public, so it has no patients; leave out expected_patients and typical_rows", t.Name)
		}
		if t.Patient != "" {
			r.wrong(t, "public", "table %s is public, so it has no patient; leave out `public` or `patient`", t.Name)
		}
		if t.OneRowPerPatient {
			r.wrong(t, "public", "table %s is public, so it has no rows of a patient; leave out one_row_per_patient", t.Name)
		}
		return false
	}
	if t.Patient == "" {
		r.wrong(t, "", "private table %s does not say how it reaches its patient; give `patient: COLUMN`, or `public: true` where it says nothing about patients", t.Name)
		return false
	}
	if _, ok := t.Column(t.Patient); !ok {
		r.wrong(t, "patient", "patient: table %s has no column %s%s", t.Name, t.Patient, meant(t.Patient, columnNames(t)))
		return false
	}
	return true
}

// checkPart adds the faults of a table that is a part of another.
func (r *reader) checkPart(t *Table) {
	if _, whole := r.catalog.Table(t.Part.Of); whole || !identifier.MatchString(t.Part.Of) {
		r.wrong(t, "part_of", "table %s is a part of %q, which must be the name of a table, and of none that the catalog has beside its parts", t.Name, t.Part.Of)
	}
	switch col, ok := t.Column(t.Part.Column); {
	case !ok:
		r.wrong(t, "part_of", "table %s is the rows of a value of column %q, which it does not have", t.Name, t.Part.Column)
	case col.Type != value.TypeText && col.Type != value.TypeInt:
		r.wrong(t, "part_of", "table %s is the rows of a value of column %s, which is a %s; take a text or an int", t.Name, col.Name, col.Type)
	default:
		if _, err := value.Parse(col.Type, t.Part.Value); err != nil || t.Part.Value == "" {
			r.wrong(t, "part_of", "table %s: %q is no value of column %s", t.Name, t.Part.Value, col.Name)
		}
	}
	for _, o := range r.catalog.Parts(t.Part.Of) {
		if o != t && (o.Part.Column != t.Part.Column || o.Part.Value == t.Part.Value || !slices.EqualFunc(o.Columns, t.Columns, func(a, b *Column) bool { return a.Name == b.Name && a.Type == b.Type })) {
			r.wrong(t, "part_of", "the parts %s and %s of %s must be of one column, of different values, and have the same columns in one order", o.Name, t.Name, t.Part.Of)
			return
		}
	}
}

func (r *reader) checkColumn(t *Table, col *Column) {
	what := t.Name + "." + col.Name
	if col.Name == "hospital" && r.catalog.HospitalColumn {
		r.wrong(col, "", "column %s: the name hospital is kept for the virtual column that holds the node's name; choose another name, or leave out hospital_column", what)
	}
	if col.Lower.Valid() {
		switch {
		case col.Type == value.TypeBool || col.Type == value.TypeText:
			r.wrong(col, "bounds", "bounds of %s: a %s has none; declare a `domain` if its values are known", what, col.Type)
		case value.Compare(col.Lower, col.Upper) > 0:
			r.wrong(col, "bounds", "bounds of %s: %s is above %s; give the lowest value first", what, col.Lower, col.Upper)
		default:
			for _, v := range col.Domain {
				if value.Compare(v, col.Lower) < 0 || value.Compare(v, col.Upper) > 0 {
					r.wrong(col, "domain", "domain of %s: %s is outside the bounds [%s, %s]", what, v, col.Lower, col.Upper)
				}
			}
		}
	}
	if col.References != "" {
		r.checkReference(t, col, what)
	}
}

func (r *reader) checkReference(t *Table, col *Column, what string) {
	table, key, ok := strings.Cut(col.References, ".")
	if !ok || !identifier.MatchString(table) || !identifier.MatchString(key) {
		r.wrong(col, "references", "column %s: references %q; want TABLE.COLUMN", what, col.References)
		return
	}
	to, ok := r.catalog.Table(table)
	if !ok {
		r.wrong(col, "references", "column %s references %s, and there is no table %s%s", what, col.References, table, meant(table, r.tableNames()))
		return
	}
	other, ok := to.Column(key)
	switch {
	case !ok:
		r.wrong(col, "references", "column %s references %s, and table %s has no column %s%s", what, col.References, table, key, meant(key, columnNames(to)))
	case other.Type != col.Type:
		r.wrong(col, "references", "column %s is %s and references %s, which is %s; the types must be the same", what, col.Type, col.References, other.Type)
	case col.Type == value.TypeFloat:
		r.wrong(col, "references", "column %s is a float, which identifies no row; take int or text for keys", what)
	case t.Public && !to.Public:
		r.wrong(col, "references", "column %s is in a public table and references private table %s, so its values tell about patients; leave `references` and the column out, or make %s private", what, table, t.Name)
	}
}

// checkKeys adds a fault for each column that is referenced but is not the whole key of its table. It adds one fault
// for all references, since one changed key of a built-in catalog may affect a hundred.
func (r *reader) checkKeys() {
	first := map[string]*Column{}
	names := map[string][]string{}
	var targets []string
	for _, t := range r.catalog.Tables {
		for _, col := range t.Columns {
			table, key, _ := strings.Cut(col.References, ".")
			to, ok := r.catalog.Table(table)
			if !ok || len(to.Key) == 1 && to.Key[0] == key {
				continue
			}
			if _, ok := to.Column(key); !ok {
				continue // checkReference reports this
			}
			if first[col.References] == nil {
				first[col.References] = col
				targets = append(targets, col.References)
			}
			names[col.References] = append(names[col.References], t.Name+"."+col.Name)
		}
	}
	for _, target := range targets {
		table, key, _ := strings.Cut(target, ".")
		others := ""
		if n := len(names[target]) - 1; n > 0 {
			others = fmt.Sprintf(" (as %d more do)", n)
		}
		of, setting := any(first[target]), "references"
		to, _ := r.catalog.Table(table)
		if r.at[place{to, "key"}].file == r.file && r.at[place{of, setting}].file != r.file {
			of, setting = to, "key" // the file changed the built-in key, so the fault is there
		}
		r.wrong(of, setting, "column %s references %s%s, which is not the whole key of table %s; give that table `key: %s` if no two of its rows have the same", names[target][0], target, others, table, key)
	}
}

func (r *reader) tableNames() []string {
	var names []string
	for _, t := range r.catalog.Tables {
		names = append(names, t.Name)
	}
	return names
}

func columnNames(t *Table) []string {
	var names []string
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return names
}
