package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/value"
)

var compareValues = cmp.Comparer(func(a, b value.Value) bool { return a == b })

func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.Contains(path, "fuzz") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			c, err := Parse([]byte(d.Input), "c.yaml")
			if err != nil {
				return err.Error() + "\n"
			}
			switch d.Cmd {
			case "parse":
				return "ok\n"
			case "path":
				return paths(c)
			case "extend":
				return difference(written(t, OMOP()), written(t, c))
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

func paths(c *Catalog) string {
	var b strings.Builder
	for _, t := range c.Tables {
		path, err := c.PatientPath(t)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", t.Name, err)
			continue
		}
		fmt.Fprintf(&b, "%s: %v\n", t.Name, path)
	}
	for _, t := range c.Tables {
		for _, col := range t.Columns {
			if c.IsPatientID(t.Name, strings.ToUpper(col.Name)) {
				fmt.Fprintf(&b, "id: %s.%s\n", t.Name, col.Name)
			}
		}
	}
	return b.String()
}

func written(t *testing.T, c *Catalog) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// difference lists the lines that one text has more often than the other.
func difference(before, after string) string {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[line]--
	}
	for line := range strings.Lines(after) {
		count[line]++
	}
	var b strings.Builder
	for line := range strings.Lines(before) {
		if count[line] < 0 {
			b.WriteString("- " + line)
			count[line]++
		}
	}
	for line := range strings.Lines(after) {
		if count[line] > 0 {
			b.WriteString("+ " + line)
			count[line]--
		}
	}
	return b.String()
}

const eicu = `
catalog: eicu
description: ICU stays
max_sites: 3
hospital_column: true
tables:
  patient:
    description: one unit stay
    key: patientunitstayid
    patient: uniquepid
    columns:
      patientunitstayid: {type: int, nullable: false}
      uniquepid: {type: text, nullable: false}
      age: {type: int, bounds: [0, 120], description: years}
      gender: {type: text, domain: [Male, Female]}
      admitted: {type: timestamp, bounds: [2014-01-01, "2015-12-31 23:59:59.5"]}
      weight: {type: float, bounds: [-0.5, 1e3], domain: [0, 0.5]}
      died: {type: bool, domain: [true, false]}
  death:
    patient: uniquepid
    one_row_per_patient: true
    columns:
      uniquepid: {type: text, nullable: false}
      "on": {type: date, bounds: [2014-01-01, 2016-01-01]}
  vitalaperiodic:
    patient: patientunitstayid
    max_rows: 50
    columns:
      patientunitstayid: {type: int, nullable: false, references: patient.patientunitstayid}
      code: {type: text, domain: ["null", "1", "true", "", "a, b: c", "é\n\t'\"#"]}
  hospital:
    public: true
    key: [region, hospitalid]
    columns:
      region: {type: text}
      hospitalid: {type: int}
`

func parsed(t *testing.T, text string) *Catalog {
	t.Helper()
	c, err := Parse([]byte(text), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParse(t *testing.T) {
	c := parsed(t, eicu)
	if c.Name != "eicu" || c.MaxSites != 3 || !c.HospitalColumn || c.MaxGroups != DefaultMaxGroups || c.MaxRows != DefaultMaxRows {
		t.Errorf("settings: %+v", c)
	}
	patient, ok := c.Table("PATIENT")
	if !ok {
		t.Fatal("no table PATIENT")
	}
	gender, ok := patient.Column("Gender")
	if !ok {
		t.Fatal("no column Gender")
	}
	want := &Column{Name: "gender", Type: value.TypeText, Nullable: true, Domain: []value.Value{value.Text("Female"), value.Text("Male")}}
	if d := cmp.Diff(want, gender, compareValues); d != "" {
		t.Error(d)
	}
	admitted, _ := patient.Column("admitted")
	if admitted.Lower.String() != "2014-01-01T00:00:00" || admitted.Upper.String() != "2015-12-31T23:59:59.5" {
		t.Errorf("bounds of admitted: %s, %s", admitted.Lower, admitted.Upper)
	}
	limits := map[string]int{"patient": 10, "death": 1, "vitalaperiodic": 50}
	for name, want := range limits {
		table, _ := c.Table(name)
		if got := c.RowLimit(table); got != want {
			t.Errorf("RowLimit(%s) = %d, want %d", name, got, want)
		}
	}
	if _, ok := c.Table("nurse"); ok {
		t.Error("there is a table nurse")
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "eicu.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(eicu), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("catalog: x\ntable: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	var e *Error
	if !errors.As(err, &e) || e.File != path || e.Line != 2 {
		t.Errorf("fault without its place: %v", err)
	}
}

func TestWriteYAMLRoundTrips(t *testing.T) {
	for _, c := range []*Catalog{parsed(t, eicu), OMOP()} {
		text := written(t, c)
		again := parsed(t, text)
		if d := cmp.Diff(c, again, compareValues); d != "" {
			t.Errorf("%s changes when written and read:\n%s\n%s", c.Name, d, text)
		}
	}
}

func TestDigestIgnoresWhatMeansNothing(t *testing.T) {
	want := parsed(t, eicu).Digest()
	if len(want) != 64 {
		t.Fatalf("digest %q", want)
	}
	for name, edit := range map[string]func(string) string{
		"comment":             func(s string) string { return "# mine\n" + s },
		"description":         replace("one unit stay", "a stay"),
		"column description":  replace(", description: years", ""),
		"catalog description": replace("description: ICU stays\n", ""),
		"letter case":         replace("vitalaperiodic", "VitalAperiodic"),
		"domain order":        replace("[Male, Female]", "[Female, Male]"),
		"key order":           replace("[region, hospitalid]", "[hospitalid, region]"),
		"spelt-out default":   replace("max_sites", "max_groups: 5\nmax_rows: 10\nmax_sites"),
		"table's default":     replace("patient: uniquepid", "patient: uniquepid\n    max_rows: 10"),
		"nullable: true":      replace("{type: int, bounds", "{type: int, nullable: true, bounds"),
		"public: false":       replace("patient: patientunitstayid\n", "patient: patientunitstayid\n    public: false\n"),
		"same number":         replace("[-0.5, 1e3]", "[-5e-1, 1000]"),
	} {
		edited := edit(eicu)
		if edited == eicu {
			t.Fatalf("%s: the edit does nothing", name)
		}
		if got := parsed(t, edited).Digest(); got != want {
			t.Errorf("%s changes the digest", name)
		}
	}
	c := parsed(t, eicu)
	slices.Reverse(c.Tables)
	for _, table := range c.Tables {
		slices.Reverse(table.Columns)
	}
	if c.Digest() != want {
		t.Error("the order of tables or columns changes the digest")
	}
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func TestDigestTellsMeaningApart(t *testing.T) {
	seen := map[string]string{parsed(t, eicu).Digest(): "the original"}
	for name, change := range map[string]func(c *Catalog, patient *Table, age *Column){
		"name":              func(c *Catalog, _ *Table, _ *Column) { c.Name = "eicu2" },
		"max_sites":         func(c *Catalog, _ *Table, _ *Column) { c.MaxSites = 0 },
		"hospital_column":   func(c *Catalog, _ *Table, _ *Column) { c.HospitalColumn = false },
		"max_groups":        func(c *Catalog, _ *Table, _ *Column) { c.MaxGroups = 6 },
		"max_rows":          func(c *Catalog, _ *Table, _ *Column) { c.MaxRows = 11 },
		"a table less":      func(c *Catalog, _ *Table, _ *Column) { c.Tables = c.Tables[1:] },
		"table name":        func(_ *Catalog, p *Table, _ *Column) { p.Name = "patients" },
		"public":            func(_ *Catalog, p *Table, _ *Column) { p.Public = true },
		"key":               func(_ *Catalog, p *Table, _ *Column) { p.Key = append(p.Key, "uniquepid") },
		"no key":            func(_ *Catalog, p *Table, _ *Column) { p.Key = nil },
		"patient":           func(_ *Catalog, p *Table, _ *Column) { p.Patient = "patientunitstayid" },
		"one row":           func(_ *Catalog, p *Table, _ *Column) { p.OneRowPerPatient = true },
		"table's max_rows":  func(_ *Catalog, p *Table, _ *Column) { p.MaxRows = 3 },
		"a column less":     func(_ *Catalog, p *Table, _ *Column) { p.Columns = p.Columns[1:] },
		"column name":       func(_ *Catalog, _ *Table, age *Column) { age.Name = "years" },
		"type":              func(_ *Catalog, _ *Table, age *Column) { age.Type = value.TypeFloat },
		"nullable":          func(_ *Catalog, _ *Table, age *Column) { age.Nullable = false },
		"lower":             func(_ *Catalog, _ *Table, age *Column) { age.Lower = value.Int(1) },
		"upper":             func(_ *Catalog, _ *Table, age *Column) { age.Upper = value.Int(121) },
		"no bounds":         func(_ *Catalog, _ *Table, age *Column) { age.Lower, age.Upper = value.Value{}, value.Value{} },
		"domain":            func(_ *Catalog, _ *Table, age *Column) { age.Domain = []value.Value{value.Int(1)} },
		"references":        func(_ *Catalog, _ *Table, age *Column) { age.References = "patient.patientunitstayid" },
		"type of the bound": func(_ *Catalog, _ *Table, age *Column) { age.Upper = value.Float(120) },
	} {
		c := parsed(t, eicu)
		patient, _ := c.Table("patient")
		age, _ := patient.Column("age")
		change(c, patient, age)
		d := c.Digest()
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}

// TestPathOfUncheckedCatalog: a catalog that was built in code and never validated gives an error, not an endless loop.
func TestPathOfUncheckedCatalog(t *testing.T) {
	loop := &Table{Name: "a", Patient: "x", Columns: []*Column{{Name: "x", References: "a.y"}}}
	lost := &Table{Name: "b", Patient: "x", Columns: []*Column{{Name: "x", References: "gone"}}}
	bare := &Table{Name: "c", Patient: "x"}
	c := &Catalog{Tables: []*Table{loop, lost, bare}}
	for _, table := range append(c.Tables, &Table{Name: "d"}, &Table{Name: "e", Public: true}) {
		if path, err := c.PatientPath(table); err == nil {
			t.Errorf("%s: path %v, want an error", table.Name, path)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(eicu))
	f.Add([]byte("catalog: x\nextends: omop-5.4\nmax_rows: 7\n"))
	f.Add([]byte("catalog: x\ntables: {a: {public: true, columns: {b: {type: text, domain: [\"\\0\", \"\\x85\", \"\\uFEFF\", ' a ', '- b']}}}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b, "f.yaml")
		if err != nil {
			return
		}
		for _, table := range c.Tables {
			if path, err := c.PatientPath(table); !table.Public && (err != nil || len(path) == 0) {
				t.Fatalf("private table %s of a valid catalog: path %v, %v", table.Name, path, err)
			}
		}
		text := written(t, c)
		again, err := Parse([]byte(text), "again.yaml")
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, text)
		}
		if d := cmp.Diff(c, again, compareValues); d != "" {
			t.Fatalf("changed when written and read:\n%s\n%s", d, text)
		}
		if c.Digest() != again.Digest() {
			t.Fatal("the digest changed")
		}
	})
}

// TestPage: docs/catalog.md has a row for every key of a catalog.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/catalog.md")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse([]byte("catalog: c\nx: 1\ntables:\n  t:\n    x: 1\n    columns:\n      c: {x: 1}\n"), "c.yaml")
	lists := regexp.MustCompile(`the keys are ([a-z_, ]+)`).FindAllStringSubmatch(fmt.Sprint(err), -1)
	if len(lists) != 3 {
		t.Fatalf("keys are refused with %v", err)
	}
	for _, list := range lists {
		for key := range strings.SplitSeq(list[1], ", ") {
			row := regexp.MustCompile("(?m)^\\| `" + key + "[`:].*\\|.*\\|.*\\|.*\\|$|^\\| `[a-z_]+`, `" + key + "` ")
			if key != "tables" && key != "columns" && !row.Match(page) {
				t.Errorf("docs/catalog.md has no row for %s", key)
			}
		}
	}
}

// TestSteady: the setting steady is read and written, and hospitals need not agree on it.
func TestSteady(t *testing.T) {
	const text = "catalog: c\ntables:\n  p:\n    key: id\n    patient: id\n    columns:\n      id: {type: int, nullable: false}\n      sex: {type: text%s}\n"
	parse := func(more string) *Catalog {
		t.Helper()
		c, err := Parse([]byte(fmt.Sprintf(text, more)), "c.yaml")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := parse(", steady: true")
	var b strings.Builder
	if err := c.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	if sex, _ := c.Tables[0].Column("sex"); !sex.Steady || !strings.Contains(b.String(), "steady: true") || c.Digest() != parse("").Digest() {
		t.Errorf("it is written as\n%s", b.String())
	}
}
