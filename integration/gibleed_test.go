package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// The persons of GiBleed are distributed over four hospitals by their number. Every 450th is also at the next hospital,
// with half of the events.
const (
	omopHospitals = 4
	siteOf        = `'site-' || (person_id %% 4 + CASE WHEN person_id %% 450 = 0 AND %s %% 2 = 1 THEN 1 ELSE 0 END) %% 4`
)

// omopTables are the tables with persons, and the column that identifies events.
var omopTables = map[string]string{
	"condition_occurrence": "condition_occurrence_id", "drug_era": "drug_era_id", "condition_era": "condition_era_id",
	"visit_occurrence": "visit_occurrence_id",
}

func TestGiBleed(t *testing.T) {
	source := dataFolder(t, "gibleed")
	o := newOracle(t, fmt.Sprintf("CREATE TABLE concept AS SELECT * FROM '%s/concept.parquet'", source),
		fmt.Sprintf("CREATE TABLE person AS SELECT *, %s AS hospital FROM '%s/person.parquet'", fmt.Sprintf(siteOf, "0"), source),
		fmt.Sprintf("INSERT INTO person SELECT *, %s AS hospital FROM '%s/person.parquet' WHERE person_id %% 450 = 0", fmt.Sprintf(siteOf, "1"), source))
	for table, id := range omopTables {
		o.do(fmt.Sprintf("CREATE TABLE %[1]s AS SELECT *, %[2]s AS hospital FROM '%[3]s/%[1]s.parquet'", table, fmt.Sprintf(siteOf, id), source))
	}
	folders := map[string]string{}
	for i := range omopHospitals {
		name := fmt.Sprintf("site-%d", i)
		folder := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		folders[name] = folder
		copyFile(t, filepath.Join(source, "concept.parquet"), filepath.Join(folder, "concept.parquet"))
		for _, table := range []string{"person", "condition_occurrence", "drug_era", "condition_era", "visit_occurrence"} {
			o.do(fmt.Sprintf("COPY (SELECT * EXCLUDE (hospital) FROM %[1]s WHERE hospital = '%[2]s') TO '%[3]s/%[1]s.parquet'", table, name, folder))
		}
	}
	questions := readQuestions(t, "testdata/gibleed.questions", o)
	if len(questions) < 15 {
		t.Fatalf("%d questions, not 15", len(questions))
	}
	f := startFederation(t, shape{catalog: "builtin:omop-5.4", folders: folders})
	testExact(t, f, o, questions)
	t.Run("intervals", func(t *testing.T) { testIntervals(t, f, o, questions, 15) })
	t.Run("textbook", func(t *testing.T) {
		a, err := f.query(request{SQL: "SELECT COUNT(DISTINCT patient) FROM condition_occurrence WHERE 192671 = condition_concept_id", Epsilon: exactEpsilon / 2})
		if err != nil {
			t.Fatal(err)
		}
		if n := a.Rows[0][0].Value; n != 479.0 {
			t.Errorf("%v persons had a gastrointestinal haemorrhage; the textbooks say 479", n)
		}
	})
}
