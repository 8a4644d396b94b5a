package synth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

const ward = `catalog: ward
hospital_column: true
tables:
  unit:
    public: true
    key: unit
    columns:
      unit: {type: text, nullable: false, domain: [icu, ward]}
      beds: {type: int, nullable: false, bounds: [4, 40]}
  stay:
    key: stay
    patient: pid
    typical_rows: 3
    columns:
      stay: {type: int, nullable: false}
      pid: {type: text, nullable: false}
      unit: {type: text, nullable: false, references: unit.unit}
      before: {type: int, references: stay.stay}
      arrived: {type: timestamp, nullable: false, bounds: ["2020-01-01T00:00:00", "2020-12-31T00:00:00"]}
      born: {type: date}
      weight: {type: float, bounds: [0.5, 250]}
      age: {type: text}
      alive: {type: bool}
      big: {type: int, nullable: false, bounds: [-9223372036854775808, 9223372036854775807]}
      file: {type: text, nullable: false, identifier: true}
  outcome:
    key: stay
    patient: stay
    columns:
      stay: {type: int, nullable: false, references: stay.stay}
      died: {type: bool, nullable: false}
  reading:
    patient: stay
    max_rows: 100
    columns:
      stay: {type: int, nullable: false, references: stay.stay}
      order_id: {type: int, nullable: false, references: prescription.prescription}
      x: {type: int, nullable: false, bounds: [1, 3]}
  prescription:
    key: prescription
    patient: stay
    columns:
      prescription: {type: int, nullable: false}
      stay: {type: int, nullable: false, references: stay.stay}
  pair:
    public: true
    key: [a, b]
    columns:
      a: {type: text, nullable: false, references: unit.unit}
      b: {type: text, nullable: false, references: unit.unit}
`

// TestDummyKeepsTheCatalog looks for values that the catalog does not allow, in the tables of two catalogs: one of its
// own that uses every declaration, and OMOP.
func TestDummyKeepsTheCatalog(t *testing.T) {
	own := testcatalog.Parse(t, ward)
	omop, _ := catalog.Builtin("omop-5.4")
	for _, c := range []*catalog.Catalog{own, omop} {
		folder := t.TempDir()
		if err := (Dummy{Catalog: c, Seed: 3, Hospitals: []string{"a", "b"}, Patients: 300, Out: folder}).Generate(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		db := open(t)
		if err := unite(t.Context(), db, folder, []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		none := func(what, query string) {
			t.Helper()
			if n := number(t, db, query); n != 0 {
				t.Errorf("%s: %s: %g rows", c.Name, what, n)
			}
		}
		wholes := map[string]bool{}
		for _, table := range c.Tables {
			if p := table.Part; p != nil {
				wholes[p.Of] = true
				if _, err := db.Exec(fmt.Sprintf("CREATE VIEW %s AS FROM %s WHERE %s = %s", table.Name, p.Of, p.Column, quote(p.Value))); err != nil {
					t.Fatal(err)
				}
			}
		}
		for whole := range wholes {
			parts := c.Parts(whole)
			none("a key twice in "+whole, fmt.Sprintf("SELECT count(*) - count(DISTINCT %s) FROM %s", parts[0].Key[0], whole))
			none("a row of no part in "+whole, fmt.Sprintf("SELECT count(*) - count(*) FILTER (%s IN (SELECT unnest(%s))) FROM %s",
				parts[0].Part.Column, list(values(parts)), whole))
		}
		if len(wholes) != map[string]int{"omop-5.4": 1}[c.Name] {
			t.Errorf("%s: %d tables are of parts", c.Name, len(wholes))
		}
		for _, table := range c.Tables {
			if n := number(t, db, "SELECT count(*) FROM "+table.Name); n == 0 {
				t.Errorf("%s: %s is empty", c.Name, table.Name)
			}
			if len(table.Key) > 0 {
				rows := "SELECT * FROM " + table.Name
				if table.Public {
					rows += " WHERE hospital = 'a'"
				}
				none("a key twice in "+table.Name, fmt.Sprintf("SELECT count(*) - count(DISTINCT (%s)) FROM (%s)", strings.Join(table.Key, ", "), rows))
			}
			if table.OneRowPerPatient {
				none("two rows of a patient in "+table.Name, fmt.Sprintf("SELECT count(*) - count(DISTINCT %s) FROM %s", table.Patient, table.Name))
			}
			for _, col := range table.Columns {
				name := fmt.Sprintf(`%s."%s"`, table.Name, col.Name)
				where := func(condition string) string {
					return fmt.Sprintf("SELECT count(*) FROM %s WHERE %s", table.Name, condition)
				}
				if !col.Nullable {
					none("NULL in "+name, where(name+" IS NULL"))
				}
				if col.Lower.Valid() {
					none("beyond the bounds of "+name, where(fmt.Sprintf("%s NOT BETWEEN %s AND %s", name, literal(col.Lower), literal(col.Upper))))
				}
				if len(col.Domain) > 0 {
					none("beyond the domain of "+name, where(fmt.Sprintf("NOT list_contains(%s, %s)", list(col.Domain), name)))
				}
				if x := referred(c, col); x != nil && (x.Public || !table.Public) { // also if it has a domain
					none("no row for "+name, where(fmt.Sprintf("%s IS NOT NULL AND %s NOT IN (SELECT %s FROM %s)", name, name, x.Key[0], x.Name)))
				}
			}
		}
	}
}

// values lists the values of the parts' column.
func values(parts []*catalog.Table) (all []value.Value) {
	for _, t := range parts {
		all = append(all, value.Text(t.Part.Value))
	}
	return all
}

// TestDummyPatients: a reference to a patient's row refers to the same patient, and each patient is at one hospital.
// The same seed gives the same rows, in a database and in folders.
func TestDummyPatients(t *testing.T) {
	c := testcatalog.Parse(t, ward)
	folder := t.TempDir()
	d := Dummy{Catalog: c, Seed: 3, Hospitals: []string{"a", "b"}, Patients: 300, Out: filepath.Join(folder, "data")}
	if err := d.Generate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d.Out = filepath.Join(folder, "all.duckdb")
	if err := d.Generate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Generate(t.Context(), nil); err != nil {
		t.Fatalf("what is there is not replaced: %v", err)
	}
	d.Out, d.Seed = filepath.Join(folder, "other"), 4
	if err := d.Generate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	db := open(t)
	if err := unite(t.Context(), db, filepath.Join(folder, "data"), d.Hospitals); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("ATTACH " + quote(filepath.Join(folder, "all.duckdb")) + " AS all_in_one (READ_ONLY)"); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]bool{
		"SELECT count(*) FROM stay s JOIN stay b ON s.before = b.stay WHERE s.pid <> b.pid":                                                                                  false,
		"SELECT count(*) FROM stay s JOIN stay b ON s.before = b.stay":                                                                                                       true,
		"SELECT count(*) FROM reading r JOIN stay s USING (stay) JOIN prescription p ON p.prescription = order_id JOIN stay q ON q.stay = p.stay WHERE s.pid <> q.pid":       false,
		"SELECT count(*) FROM stay a JOIN stay b USING (pid) WHERE a.hospital <> b.hospital":                                                                                 false,
		"SELECT count(*) FROM (FROM stay EXCEPT FROM all_in_one.stay)":                                                                                                       false,
		"SELECT count(*) FROM (FROM all_in_one.reading EXCEPT FROM reading)":                                                                                                 false,
		"SELECT count(*) FROM stay WHERE try_cast(age AS INTEGER) IS NULL":                                                                                                   true,
		"SELECT count(*) FROM stay WHERE try_cast(age AS INTEGER) IS NOT NULL":                                                                                               true,
		"SELECT 4 - count(*) FROM pair WHERE hospital = 'a'":                                                                                                                 false,
		fmt.Sprintf("SELECT count(*) FROM (SELECT * EXCLUDE (hospital) FROM stay EXCEPT FROM read_parquet(%s))", quote(filepath.Join(folder, "other", "*", "stay.parquet"))): true,
	} {
		if n := number(t, db, query); n != 0 != want {
			t.Errorf("%s\nis %g", query, n)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*", "*", "*.partial")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	before, err := os.ReadFile(filepath.Join(folder, "data", "a", "stay.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	d.Out, d.Seed = filepath.Join(folder, "data"), 3
	if err := d.Generate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(filepath.Join(folder, "data", "a", "stay.parquet"))
	if err != nil || !cmp.Equal(before, after) {
		t.Errorf("the same seed gives other bytes: %v", err)
	}
}
