package synth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// shared is a federation of 5000 patients that tests only read.
var shared string

func TestMain(m *testing.M) {
	code := func() int {
		var err error
		if shared, err = os.MkdirTemp("", "synth"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(shared)
		if err := Generate(context.Background(), Config{Seed: 7, Patients: 5000, Folder: shared}, nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// number is the only value of a query; {} stands for the shared federation's folder.
func number(t *testing.T, db *sql.DB, query string) float64 {
	t.Helper()
	var x sql.NullFloat64
	if err := db.QueryRow(strings.ReplaceAll(query, "{}", shared)).Scan(&x); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if !x.Valid {
		t.Fatalf("%s: NULL", query)
	}
	return x.Float64
}

func within(t *testing.T, what string, got, low, high float64) {
	t.Helper()
	if !(got >= low && got <= high) {
		t.Errorf("%s = %g, want %g to %g", what, got, low, high)
	}
}

// digest is a hash of a Parquet file's rows and their order.
func digest(t *testing.T, db *sql.DB, path string) string {
	t.Helper()
	var s string
	q := fmt.Sprintf("SELECT count(*) || ':' || sum(hash(t)::HUGEINT)::VARCHAR FROM read_parquet(%s, file_row_number = true) t", quote(path))
	if err := db.QueryRow(q).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSameSeedSameRows(t *testing.T) {
	db := open(t)
	digests := func(seed uint64) map[string]string {
		folder := t.TempDir()
		c := Config{Seed: seed, Hospitals: []string{"rennes", "nantes"}, Patients: 600, Folder: folder}
		if err := Generate(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
		all := make(map[string]string)
		for _, h := range c.Hospitals {
			for _, table := range tables() {
				all[h+"/"+table.name] = digest(t, db, filepath.Join(folder, h, table.name+".parquet"))
			}
		}
		return all
	}
	first := digests(1)
	if diff := cmp.Diff(first, digests(1)); diff != "" {
		t.Errorf("the same seed gave other rows (-first +second):\n%s", diff)
	}
	other := digests(1 << 63)
	for name := range first {
		switch table := filepath.Base(name); table {
		case "concept", "concept_ancestor", "care_site", "location", "provider": // not drawn
		default:
			if first[name] == other[name] {
				t.Errorf("%s is the same for another seed", name)
			}
		}
	}
}

// omopColumns is the number of columns of each table in the specification of OMOP CDM 5.4.
var omopColumns = map[string]int{
	"location": 12, "care_site": 6, "provider": 13, "concept": 10, "concept_ancestor": 4, "person": 18,
	"observation_period": 5, "visit_occurrence": 17, "visit_detail": 19,
	"condition_occurrence": 16, "drug_exposure": 23, "procedure_occurrence": 16,
	"measurement": 23, "observation": 21, "death": 7, "condition_era": 6, "drug_era": 7,
}

func TestSchemaIsOMOP54(t *testing.T) {
	db := open(t)
	if len(tables()) != len(omopColumns) {
		t.Errorf("%d tables, want %d", len(tables()), len(omopColumns))
	}
	for _, table := range tables() {
		if got, want := len(table.columns), omopColumns[table.name]; got != want {
			t.Errorf("%s has %d columns, OMOP CDM 5.4 has %d", table.name, got, want)
		}
		for _, h := range defaultHospitals {
			path := filepath.Join(shared, h, table.name+".parquet")
			rows, err := db.Query("DESCRIBE FROM read_parquet(" + quote(path) + ")")
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for rows.Next() {
				var name, kind string
				var rest [4]any
				if err := rows.Scan(&name, &kind, &rest[0], &rest[1], &rest[2], &rest[3]); err != nil {
					t.Fatal(err)
				}
				got = append(got, name+" "+kind)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
			for _, c := range table.columns {
				want = append(want, c.name+" "+c.kind)
				if c.required {
					if n := number(t, db, fmt.Sprintf("SELECT count(*) FROM '%s' WHERE %s IS NULL", path, c.name)); n > 0 {
						t.Errorf("%s: %s is NULL in %g rows", path, c.name, n)
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
			if number(t, db, "SELECT count(*) FROM '"+path+"'") == 0 {
				t.Errorf("%s has no rows", path)
			}
		}
	}
}

func TestKeysHold(t *testing.T) {
	db := open(t)
	none := func(what, query string) {
		t.Helper()
		if n := number(t, db, query); n != 0 {
			t.Errorf("%s: %g rows", what, n)
		}
	}
	for _, h := range defaultHospitals {
		file := func(table string) string { return "'{}/" + h + "/" + table + ".parquet'" }
		for _, table := range tables() {
			here := file(table.name)
			key := table.columns[0].name
			if table.name == "concept_ancestor" {
				key = "(ancestor_concept_id, descendant_concept_id)"
			}
			none(h+" "+table.name+": repeated "+key, "SELECT count(*) - count(DISTINCT "+key+") FROM "+here)
			for _, c := range table.columns {
				parent, parentKey := "", c.name
				switch {
				case c.name == "person_id":
					parent = "person"
				case c.name == "preceding_visit_occurrence_id":
					parent, parentKey = "visit_occurrence", "visit_occurrence_id"
				case c.name == "preceding_visit_detail_id":
					parent, parentKey = "visit_detail", "visit_detail_id"
				case strings.HasSuffix(c.name, "concept_id"):
					parent, parentKey = "concept", "concept_id"
				case c.name == "visit_occurrence_id", c.name == "visit_detail_id",
					c.name == "care_site_id", c.name == "location_id", c.name == "provider_id":
					parent = strings.TrimSuffix(c.name, "_id")
				default:
					continue
				}
				none(h+" "+table.name+": "+c.name+" without its "+parent, fmt.Sprintf(
					"SELECT count(*) FROM %s e WHERE %s IS NOT NULL AND NOT EXISTS (FROM %s p WHERE p.%s = e.%s)",
					here, c.name, file(parent), parentKey, c.name))
			}
		}
		for _, event := range []string{"condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement", "observation", "visit_detail"} {
			none(h+" "+event+" at another person's visit", "SELECT count(*) FROM "+file(event)+
				" e JOIN "+file("visit_occurrence")+" v USING (visit_occurrence_id) WHERE e.person_id <> v.person_id")
		}
		none(h+": a measurement outside its visit", "SELECT count(*) FROM "+file("measurement")+" m JOIN "+file("visit_occurrence")+
			" v USING (visit_occurrence_id) WHERE measurement_date NOT BETWEEN visit_start_date AND visit_end_date")
		none(h+": a visit during the one before", "SELECT count(*) FROM "+file("visit_occurrence")+" v JOIN "+file("visit_occurrence")+
			" b ON v.preceding_visit_occurrence_id = b.visit_occurrence_id WHERE v.person_id <> b.person_id OR v.visit_start_date < b.visit_end_date")
		none(h+": a visit after death", "SELECT count(*) FROM "+file("visit_occurrence")+" JOIN "+file("death")+" USING (person_id) WHERE visit_end_date > death_date")
		none(h+": a visit before birth", "SELECT count(*) FROM "+file("visit_occurrence")+" JOIN "+file("person")+" USING (person_id) WHERE visit_start_date < birth_datetime")
		none(h+": a visit that ends before it starts or outside 2019-2024", "SELECT count(*) FROM "+file("visit_occurrence")+
			" WHERE visit_end_date < visit_start_date OR visit_start_date < '2019-01-01' OR visit_end_date > '2024-12-31'")
		none(h+": rows of the measurements out of person order", "SELECT count(*) FROM (SELECT person_id < lag(person_id) OVER (ORDER BY file_row_number) AS back FROM read_parquet("+
			file("measurement")+", file_row_number = true)) WHERE back")
	}
}

func TestPatientsAtTwoHospitals(t *testing.T) {
	db := open(t)
	people := "(SELECT person_id, count(*) AS n, count(DISTINCT (year_of_birth, gender_concept_id)) AS selves FROM '{}/*/person.parquet' GROUP BY person_id)"
	if n := number(t, db, "SELECT count(*) FROM "+people); n != 5000 {
		t.Errorf("%g people, want 5000", n)
	}
	within(t, "share at two hospitals", number(t, db, "SELECT avg((n = 2)::INTEGER) FROM "+people), 0.02, 0.04)
	if n := number(t, db, "SELECT max(n) FROM "+people); n != 2 {
		t.Errorf("a patient is at %g hospitals, want at most 2", n)
	}
	if n := number(t, db, "SELECT max(selves) FROM "+people); n != 1 {
		t.Error("a patient differs between two hospitals")
	}
	// Visits are divided, not copied, and both hospitals have some.
	within(t, "visits at the second hospital a shared patient", number(t, db, "SELECT min(places) FROM (SELECT person_id, count(DISTINCT filename) AS places FROM read_parquet('{}/*/visit_occurrence.parquet', filename = true) GROUP BY 1) JOIN "+people+" USING (person_id) WHERE n = 2"), 2, 2)
}

// The ranges allow several standard deviations at 5000 patients. With a fixed seed the test gives the same result each
// time.
func TestPlausible(t *testing.T) {
	db := open(t)
	const hba1c = `(SELECT value_as_number AS x, d.since <= measurement_date AS diabetes, d.since IS NULL AS never
		FROM '{}/*/measurement.parquet' LEFT JOIN
		(SELECT person_id, min(condition_start_date) AS since FROM '{}/*/condition_occurrence.parquet' WHERE condition_concept_id = 201826 GROUP BY 1) d
		USING (person_id) WHERE measurement_concept_id = 3004410)`
	const sick = `(SELECT p.person_id, 2024 - year_of_birth AS age, coalesce(diabetes, false)::INTEGER AS diabetes
		FROM (SELECT DISTINCT person_id, year_of_birth FROM '{}/*/person.parquet') p LEFT JOIN
		(SELECT person_id, bool_or(condition_concept_id = 201826) AS diabetes FROM '{}/*/condition_occurrence.parquet' GROUP BY 1) USING (person_id))`
	for _, c := range []struct {
		what, query string
		low, high   float64
	}{
		{"mean age in 2024", "SELECT avg(2024 - year_of_birth) FROM '{}/*/person.parquet'", 42, 50},
		{"youngest", "SELECT max(year_of_birth) FROM '{}/*/person.parquet'", 2022, 2024},
		{"oldest", "SELECT min(year_of_birth) FROM '{}/*/person.parquet'", 1925, 1930},
		{"share under 20", "SELECT avg((year_of_birth > 2004)::INTEGER) FROM '{}/*/person.parquet'", 0.13, 0.25},
		{"share of women", "SELECT avg((gender_concept_id = 8532)::INTEGER) FROM '{}/*/person.parquet'", 0.48, 0.56},
		{"HbA1c with diabetes", "SELECT avg(x) FROM " + hba1c + " WHERE diabetes", 7.0, 7.8},
		{"HbA1c without", "SELECT avg(x) FROM " + hba1c + " WHERE never", 5.2, 5.6},
		{"HbA1c, deviation with diabetes", "SELECT stddev(x) FROM " + hba1c + " WHERE diabetes", 0.7, 1.4},
		{"diabetes at 20 to 39", "SELECT avg(diabetes) FROM " + sick + " WHERE age BETWEEN 20 AND 39", 0.003, 0.04},
		{"diabetes at 65 to 84", "SELECT avg(diabetes) FROM " + sick + " WHERE age BETWEEN 65 AND 84", 0.12, 0.30},
		{"metformin among diabetics", "SELECT avg((m.person_id IS NOT NULL)::INTEGER) FROM " + sick + " s LEFT JOIN (SELECT DISTINCT person_id FROM '{}/*/drug_exposure.parquet' WHERE drug_concept_id = 1503297) m USING (person_id) WHERE diabetes = 1", 0.6, 0.95},
		{"influenza from December to February", "SELECT avg((month(condition_start_date) IN (12, 1, 2))::INTEGER) FROM '{}/*/condition_occurrence.parquet' WHERE condition_concept_id = 4266367", 0.9, 1},
		{"median inpatient stay, days", "SELECT median(visit_end_date - visit_start_date) FROM '{}/*/visit_occurrence.parquet' WHERE visit_concept_id = 9201", 3, 6},
		{"mean inpatient stay, days", "SELECT avg(visit_end_date - visit_start_date) FROM '{}/*/visit_occurrence.parquet' WHERE visit_concept_id = 9201", 5, 8},
		{"inpatient readmissions within 30 days", `SELECT avg(coalesce(following BETWEEN visit_end_date + 1 AND visit_end_date + 30, false)::INTEGER) FROM (SELECT visit_end_date, lead(visit_start_date) OVER (PARTITION BY filename, person_id ORDER BY visit_occurrence_id) AS following
			FROM read_parquet('{}/*/visit_occurrence.parquet', filename = true) WHERE visit_concept_id = 9201)`, 0.07, 0.2},
		{"share who died", "SELECT count(DISTINCT person_id) / 5000 FROM '{}/*/death.parquet'", 0.04, 0.12},
		{"mean age at death", "SELECT avg(year(death_date) - year_of_birth) FROM '{}/*/death.parquet' JOIN (SELECT DISTINCT person_id, year_of_birth FROM '{}/*/person.parquet') USING (person_id)", 67, 82},
		{"measurements a patient", "SELECT count(*) / 5000 FROM '{}/*/measurement.parquet'", 30, 50},
		{"most measurements of a patient", "SELECT max(n) FROM (SELECT count(*) AS n FROM '{}/*/measurement.parquet' GROUP BY person_id)", 150, 1000},
		{"patients without any", "SELECT 5000 - count(DISTINCT person_id) FROM '{}/*/measurement.parquet'", 1, 1000},
		{"measurements without a value", "SELECT avg((value_as_number IS NULL)::INTEGER) FROM '{}/*/measurement.parquet'", 0.008, 0.03},
	} {
		within(t, c.what, number(t, db, c.query), c.low, c.high)
	}
}

func TestProgress(t *testing.T) {
	last := make(map[string]int)
	err := Generate(t.Context(), Config{Hospitals: []string{"a", "b"}, Patients: 50, Folder: t.TempDir()}, func(h string, done, total int) {
		if done != last[h]+1 || total != len(tables()) {
			t.Errorf("%s: %d of %d after %d", h, done, total, last[h])
		}
		last[h] = done
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": len(tables()), "b": len(tables())}, last); diff != "" {
		t.Error(diff)
	}
}

func TestCancelStopsPromptly(t *testing.T) {
	for _, after := range []time.Duration{0, 200 * time.Millisecond, 1500 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		folder := t.TempDir()
		start := time.Now()
		err := Generate(ctx, Config{Patients: 400_000, Folder: folder}, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped after %v: error %v", after, err)
		}
		if took := time.Since(start) - after; took > 3*time.Second {
			t.Errorf("stopped after %v, came back %v later", after, took)
		}
		if left, _ := filepath.Glob(folder + "/*/*.partial"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestRefusals(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]Config{
		"no folder":         {},
		"negative patients": {Patients: -1, Folder: folder},
		"too many patients": {Patients: MaxPatients + 1, Folder: folder},
		"a path as a name":  {Hospitals: []string{"../rennes"}, Folder: folder},
		"a name twice":      {Hospitals: []string{"lyon", "lyon"}, Folder: folder},
	} {
		if err := Generate(t.Context(), c, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error %v, want ErrConfig", name, err)
		}
	}
	if err := Measurements(t.Context(), folder, 1, 0, 1, 1); !errors.Is(err, ErrConfig) {
		t.Errorf("no rows: error %v, want ErrConfig", err)
	}
}

func TestMeasurements(t *testing.T) {
	db := open(t)
	write := func(seed uint64) (measurement, person string) {
		folder := t.TempDir()
		if err := Measurements(t.Context(), folder, seed, 300_000, 5000, 200); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(folder, "measurement.parquet"), filepath.Join(folder, "person.parquet")
	}
	measurement, person := write(3)
	for _, c := range []struct {
		what, query string
		low, high   float64
	}{
		{"rows", "SELECT count(*) FROM 'm'", 300_000, 300_000},
		{"patients", "SELECT count(DISTINCT person_id) FROM 'm'", 5000, 5000},
		{"keys", "SELECT count(DISTINCT measurement_concept_id) FROM 'm' WHERE measurement_concept_id BETWEEN 1 AND 200", 200, 200},
		{"mean value", "SELECT avg(value_as_number) FROM 'm'", 99, 101},
		{"least value", "SELECT min(value_as_number) FROM 'm'", 0, 1},
		{"largest value", "SELECT max(value_as_number) FROM 'm'", 199, 200},
		{"people", "SELECT count(DISTINCT person_id) FROM 'p'", 5000, 5000},
		{"person rows", "SELECT count(*) FROM 'p'", 5000, 5000},
	} {
		query := strings.NewReplacer("'m'", quote(measurement), "'p'", quote(person)).Replace(c.query)
		within(t, c.what, number(t, db, query), c.low, c.high)
	}
	again, _ := write(3)
	if digest(t, db, measurement) != digest(t, db, again) {
		t.Error("the same seed gave other rows")
	}
	other, _ := write(4)
	if digest(t, db, measurement) == digest(t, db, other) {
		t.Error("another seed gave the same rows")
	}
}
