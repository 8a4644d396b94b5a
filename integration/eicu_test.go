package integration

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The tables of eICU that belong to patients.
var eicuTables = []string{"patient", "admissiondx", "diagnosis", "treatment", "medication", "apachepatientresult", "vitalaperiodic"}

// The hospitals of every run: the 14 with the most stays, among which patients were in 154 and 148, 157 and 155, 165
// and 167; and six more that share patients: 56 and 71, 338 and 331, 345 and 338, 110 and 112.
var someHospitals = []int{146, 123, 157, 171, 167, 155, 154, 243, 310, 165, 328, 68, 148, 56, 71, 338, 331, 345, 110, 112}

func hospitalName(id int) string { return "hospital-" + strconv.Itoa(id) }

// eicu is the data of some of the hospitals, split and in one database.
type eicu struct {
	*oracle
	source    string
	hospitals []int
}

// openEICU loads the hospitals, or all of them if none is given. The tables get one more column, `hospital`.
func openEICU(t testing.TB, hospitals ...int) eicu {
	t.Helper()
	source := dataFolder(t, "eicu-demo")
	where := ""
	if len(hospitals) > 0 {
		where = "WHERE hospitalid IN (" + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(hospitals)), ", "), "[]") + ")"
	}
	o := newOracle(t, "SET threads = 2",
		fmt.Sprintf("CREATE TABLE patient AS SELECT *, 'hospital-' || hospitalid AS hospital FROM '%s/patient.parquet' %s", source, where),
		fmt.Sprintf("CREATE TABLE hospital AS SELECT * FROM '%s/hospital.parquet'", source))
	for _, table := range eicuTables[1:] {
		o.do(fmt.Sprintf("CREATE TABLE %[1]s AS SELECT x.* FROM '%[2]s/%[1]s.parquet' x JOIN patient USING (patientunitstayid)", table, source))
	}
	e := eicu{o, source, nil}
	for _, row := range o.rows("SELECT DISTINCT hospitalid FROM patient ORDER BY 1") {
		e.hospitals = append(e.hospitals, int(row[0].(int64)))
	}
	return e
}

// split writes a folder for each hospital, without the patients for whom `leave` (a condition on patient) holds.
func (e eicu) split(leave string) map[string]string {
	e.t.Helper()
	root := e.t.TempDir()
	folders := map[string]string{}
	for _, id := range e.hospitals {
		folder := filepath.Join(root, hospitalName(id))
		if err := os.Mkdir(folder, 0o700); err != nil {
			e.t.Fatal(err)
		}
		folders[hospitalName(id)] = folder
		copyFile(e.t, filepath.Join(e.source, "hospital.parquet"), filepath.Join(folder, "hospital.parquet"))
	}
	e.do(fmt.Sprintf("CREATE OR REPLACE TEMP TABLE kept AS SELECT patientunitstayid, hospital AS folder FROM patient WHERE NOT (%s)", leave))
	for _, table := range eicuTables {
		parts := filepath.Join(root, table)
		rows := fmt.Sprintf("SELECT x.* %s, folder FROM %s x JOIN kept USING (patientunitstayid)", exclude(table), table)
		e.do(fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, PARTITION_BY (folder), OVERWRITE_OR_IGNORE)", rows, parts))
		e.do(fmt.Sprintf("COPY (SELECT * EXCLUDE (folder) FROM (%s) LIMIT 0) TO '%s.empty' (FORMAT parquet)", rows, parts))
		for name, folder := range folders {
			written, err := filepath.Glob(filepath.Join(parts, "folder="+name, "*.parquet"))
			if err != nil {
				e.t.Fatal(err)
			}
			if len(written) == 0 { // the hospital has no rows of it
				copyFile(e.t, parts+".empty", filepath.Join(folder, table+".parquet"))
				continue
			}
			if err := os.Mkdir(filepath.Join(folder, table), 0o700); err != nil {
				e.t.Fatal(err)
			}
			for _, file := range written {
				if err := os.Rename(file, filepath.Join(folder, table, filepath.Base(file))); err != nil {
					e.t.Fatal(err)
				}
			}
		}
	}
	return folders
}

func exclude(table string) string {
	if table == "patient" {
		return "EXCLUDE (hospital)"
	}
	return ""
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
}

func eicuCatalog(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("testdata/eicu.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEICU(t *testing.T) {
	e := openEICU(t, someHospitals...)
	if len(e.hospitals) != len(someHospitals) {
		t.Fatalf("%d hospitals have data, not %d", len(e.hospitals), len(someHospitals))
	}
	questions := readQuestions(t, "testdata/eicu.questions", e.oracle)
	if len(questions) < 25 {
		t.Fatalf("%d questions, not 25", len(questions))
	}
	f := startFederation(t, shape{catalog: eicuCatalog(t), folders: e.split("false"), rows: 10_000})
	testExact(t, f, e.oracle, questions)
	t.Run("intervals", func(t *testing.T) { testIntervals(t, f, e.oracle, questions, 6) })
	t.Run("clipping", func(t *testing.T) { testClipping(t, f, e) })
	t.Run("stored", func(t *testing.T) { testStored(t, f) })
	t.Run("explain", func(t *testing.T) { testExplain(t, f) })
}

// TestEICUFull has a node for every hospital.
func TestEICUFull(t *testing.T) {
	if os.Getenv("INTRAMUROS_FULL") == "" {
		t.Skip("INTRAMUROS_FULL is not set: the federation of all 186 hospitals takes minutes")
	}
	e := openEICU(t)
	if len(e.hospitals) != 186 {
		t.Fatalf("%d hospitals, not 186", len(e.hospitals))
	}
	questions := readQuestions(t, "testdata/eicu.questions", e.oracle)
	f := startFederation(t, shape{catalog: eicuCatalog(t), folders: e.split("false"), rows: 10_000})
	testExact(t, f, e.oracle, questions)
	t.Run("intervals", func(t *testing.T) { testIntervals(t, f, e.oracle, questions, 2) })
	t.Run("clipping", func(t *testing.T) { testClipping(t, f, e) })
}

// testClipping asks for more groups and rows than a patient may have. Each patient counts by the definition in package
// fragment, written here again in SQL for the L1 norm: patients have size 1, and rows size k in each of l0 groups.
func testClipping(t *testing.T, f *federation, e eicu) {
	const l0, k = 2, 3
	a, err := f.query(request{
		SQL: `SELECT d.diagnosispriority, d.activeupondischarge, COUNT(DISTINCT patient) AS patients, COUNT(*) AS n
			FROM diagnosis d GROUP BY 1, 2`,
		Epsilon: exactEpsilon, MaxGroups: l0, MaxRows: k,
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := `WITH parts AS (SELECT p.hospital, p.uniquepid AS patient, d.diagnosispriority AS k1, d.activeupondischarge AS k2, count(*) AS r
			FROM diagnosis d JOIN patient p USING (patientunitstayid) GROUP BY ALL),
		norms AS (SELECT hospital, patient, sum(1 + %[1]d * r / %[2]d.0) AS norm FROM parts GROUP BY ALL)
		SELECT k1, k2, count(*), sum(r), sum(least(1, %[1]d * 2 / norm)), sum(r * least(1, %[1]d * 2 / norm))
		FROM parts JOIN norms USING (hospital, patient) GROUP BY ALL`
	exact := map[string][]any{}
	for _, row := range e.rows(fmt.Sprintf(parts, l0, k)) {
		exact[key(row[0])+key(row[1])] = row
	}
	less := false
	for _, row := range a.Rows {
		w, ok := exact[key(row[0].Value)+key(row[1].Value)]
		for i := 2; i < 4 && ok; i++ {
			got, want := row[i].Value.(float64), number(w[i+2])
			less = less || got < number(w[i])
			// parts are rounded to 1/1024 of their size, and the answer to whole numbers
			if math.Abs(got-want) > 0.5+0.01*want {
				t.Errorf("%v %v: %v, not %v, of %v", row[0].Value, row[1].Value, got, want, w[i])
			}
		}
	}
	if !less {
		t.Error("nobody was clipped, so nothing was tested")
	}
}

// testStored repeats a question in other words: the same answer, at no cost.
func testStored(t *testing.T, f *federation) {
	first, err := f.query(request{SQL: "SELECT unittype, COUNT(*) AS n FROM patient WHERE unitvisitnumber > 1 GROUP BY 1", Epsilon: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	before := f.remaining()
	again, err := f.query(request{SQL: "select p.unittype, count(*) as stays from patient as p where 1 < p.unitvisitnumber group by p.unittype order by p.unittype", Epsilon: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Stored || again.Cost.Epsilon != 0 || f.remaining() != before {
		t.Errorf("stored %v at cost %v; %v left of %v", again.Stored, again.Cost.Epsilon, f.remaining(), before)
	}
	sort := func(rows [][]cell) {
		slices.SortFunc(rows, func(x, y []cell) int { return strings.Compare(key(x[0].Value), key(y[0].Value)) })
	}
	sort(first.Rows)
	sort(again.Rows)
	if fmt.Sprint(first.Rows) != fmt.Sprint(again.Rows) {
		t.Errorf("the answers differ:\n%v\n%v", first.Rows, again.Rows)
	}
}

// testExplain asks what a question would cost, which is free.
func testExplain(t *testing.T, f *federation) {
	before := f.remaining()
	var e struct {
		Plan     string
		Cost     struct{ Epsilon float64 }
		Allowed  bool
		SQL      []struct{ SQL string }
		Problems []absence
	}
	ctx := t.Context()
	if err := f.fetch(ctx, "POST", "/v1/explain", request{SQL: "SELECT gender, AVG(admissionweight) FROM patient GROUP BY 1", Study: studyID, Epsilon: 0.25}, &e); err != nil {
		t.Fatal(err)
	}
	if !e.Allowed || e.Cost.Epsilon != 0.25 || len(e.Problems) != 0 || len(e.SQL) == 0 || !strings.Contains(e.Plan, "patient.uniquepid") {
		t.Errorf("%+v", e)
	}
	if f.remaining() != before {
		t.Error("explaining cost something")
	}
	out, err := f.command(ctx, "explain", "SELECT COUNT(*) FROM patient").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "uniquepid") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = f.command(ctx, "query", "--epsilon", "0.1", "--format", "csv", "SELECT COUNT(*) AS n FROM patient").Output()
	if err != nil || !strings.HasPrefix(string(out), "n,n_low,n_high\n") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = f.command(ctx, "query", "SELECT uniquepid FROM patient").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "ROW_LEVEL") {
		t.Errorf("a question for rows: %v\n%s", err, out)
	}
}

// TestOnePatient leaves one patient out of all hospitals (rule 4). Each exact number changes by at most m·L∞ in a
// group, and m·L0·L∞ over all groups.
func TestOnePatient(t *testing.T) {
	e := openEICU(t, 148, 154, 155, 157)
	sites := e.number("SELECT max(n) FROM (SELECT count(DISTINCT hospitalid) AS n FROM '" + e.source + "/patient.parquet' GROUP BY uniquepid)")
	shared := e.number("SELECT count(*) FROM (SELECT uniquepid FROM '" + e.source + "/patient.parquet' GROUP BY 1 HAVING count(DISTINCT hospitalid) > 1)")
	const m = 2 // max_sites of testdata/eicu.yaml
	if sites != m || shared != 19 {
		t.Fatalf("%v patients were at more than one hospital, at up to %v; the catalog says %d", shared, sites, m)
	}
	const patient = "006-100602" // five stays at 148 and 154
	queries := []struct {
		sql    string
		groups int       // L0
		linf   []float64 // by column that is not a key
	}{
		{"SELECT COUNT(*), COUNT(DISTINCT patient) FROM patient", 1, []float64{5, 1}},
		{"SELECT unittype, unitstaytype, COUNT(*) FROM patient GROUP BY 1, 2", 3, []float64{5}},
		{"SELECT hospital, COUNT(*), SUM(admissionweight) FROM patient GROUP BY hospital", 1, []float64{5, 5 * 300}},
		{"SELECT diagnosispriority, COUNT(*), COUNT(icd9code), COUNT(DISTINCT patient) FROM diagnosis GROUP BY 1", 3, []float64{20, 20, 1}},
		// It is released as the rows n and the sum above the middle of the bounds, c = SUM - 150*n. Together they are clipped
		// to the length of 50 rows at a bound: (c/150)^2 + n^2 <= 2*50^2. So n alone reaches 50*sqrt(2) if c is 0.
		{"SELECT SUM(noninvasivesystolic), COUNT(*) FROM vitalaperiodic", 1, []float64{50 * 300, 50 * math.Sqrt2}},
		{"SELECT p.gender, SUM(CASE WHEN m.prn THEN 1 ELSE 0 END) FROM medication m JOIN patient p ON p.patientunitstayid = m.patientunitstayid GROUP BY 1", 3, []float64{50}},
	}
	answers := map[string][]*answer{}
	for _, leave := range []string{"false", "uniquepid = '" + patient + "'"} {
		func() {
			// Each is a test of its own, so that one federation stops before the other starts.
			t.Run(leave, func(t *testing.T) {
				e := eicu{&oracle{t, e.db}, e.source, e.hospitals}
				f := startFederation(t, shape{catalog: eicuCatalog(t), folders: e.split(leave)})
				for _, q := range queries {
					a, err := f.query(request{SQL: q.sql, Epsilon: exactEpsilon})
					if err != nil {
						t.Fatalf("%s: %v", q.sql, err)
					}
					answers[q.sql] = append(answers[q.sql], a)
				}
			})
		}()
	}
	if t.Failed() {
		return
	}
	for _, q := range queries {
		with, without := answers[q.sql][0], answers[q.sql][1]
		changed := make([]float64, len(q.linf))
		for n, row := range with.Rows {
			keys := len(row) - len(q.linf)
			for i := range keys {
				if key(row[i].Value) != key(without.Rows[n][i].Value) {
					t.Fatalf("%s: the declared groups differ", q.sql)
				}
			}
			for i, bound := range q.linf {
				d := math.Abs(row[keys+i].Value.(float64) - without.Rows[n][keys+i].Value.(float64))
				if d > m*bound+0.01 {
					t.Errorf("%s: column %d of group %d changes by %v, more than %v", q.sql, keys+i, n, d, m*bound)
				}
				changed[i] += d
			}
		}
		for i, d := range changed {
			if limit := float64(m*q.groups) * q.linf[i]; d > limit+0.1 || d == 0 {
				t.Errorf("%s: number %d changes by %v over all groups; the sensitivity is %v", q.sql, i, d, limit)
			}
		}
	}
	// The patient counts once at each of the two hospitals.
	with, without := answers[queries[0].sql][0].Rows[0][1].Value, answers[queries[0].sql][1].Rows[0][1].Value
	if number(with)-number(without) != m {
		t.Errorf("the patient counts %v times, not once at each of %d hospitals", number(with)-number(without), m)
	}
}
