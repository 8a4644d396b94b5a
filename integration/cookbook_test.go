package integration

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/synth"
)

// recipe is one question of a cookbook.
type recipe struct {
	title, sql string
}

var sqlBlock = regexp.MustCompile("(?s)\n### ([^\n]+)\n\n[^\n]+\n\n```sql\n(.+?)\n```\n")

// readCookbook reads every question from a cookbook: a heading, a sentence, the SQL.
func readCookbook(t testing.TB, path string) []recipe {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []recipe
	for _, m := range sqlBlock.FindAllStringSubmatch(string(text), -1) {
		all = append(all, recipe{m[1], m[2]})
	}
	if n := strings.Count(string(text), "```sql"); n != len(all) {
		t.Fatalf("%s: %d of %d blocks have a heading and a sentence", path, len(all), n)
	}
	return all
}

// syntheticPairing is a small synthetic federation.
func syntheticPairing(t testing.TB, patients int) *pairing {
	t.Helper()
	root := t.TempDir()
	hospitals := []string{"rennes", "lyon", "lille"}
	if err := synth.Generate(t.Context(), synth.Config{Seed: 7, Hospitals: hospitals, Patients: patients, Folder: root}, nil); err != nil {
		t.Fatal(err)
	}
	folders, o := map[string]string{}, newOracle(t)
	for _, h := range hospitals {
		folders[h] = filepath.Join(root, h)
		o.do(fmt.Sprintf(`COPY (SELECT row_number() OVER (ORDER BY cost_domain_id, cost_event_id) AS cost_id, *, 0 AS cost_type_concept_id FROM (
			SELECT visit_occurrence_id AS cost_event_id, 'Visit' AS cost_domain_id, visit_occurrence_id %% 997 AS total_paid, visit_occurrence_id %% 31 AS paid_by_patient, 5000 AS total_cost FROM '%[1]s/visit_occurrence.parquet'
			UNION ALL SELECT drug_exposure_id, 'Drug', drug_exposure_id %% 53, drug_exposure_id %% 7, 20 FROM '%[1]s/drug_exposure.parquet')) TO '%[1]s/cost.parquet'`, folders[h]))
	}
	return openPairing(t, catalog.OMOP(), folders)
}

// run asks a recipe in both ways and compares the answers, in order.
func (r recipe) run(t *testing.T, p *pairing) comparison {
	t.Helper()
	program, err := p.compose(r.sql)
	if err != nil {
		t.Errorf("%s\n%v", r.sql, err)
		return comparison{}
	}
	// A text that is no number is NULL in a federation, because nobody there can correct the rows.
	want, err := p.want(strings.ReplaceAll(lifeTables(r.sql), "CAST(", "TRY_CAST("))
	if err != nil {
		t.Errorf("the union does not run it: %v\n%s", err, r.sql)
		return comparison{}
	}
	c := p.compare(program, p.answer(t, program), want, strings.Contains(r.sql, "ORDER BY"))
	if c.difference != "" {
		t.Errorf("%s\n%s", r.sql, c.difference)
	}
	return c
}

var kaplanMeier = regexp.MustCompile(`(?s)KAPLAN_MEIER\(\((.+)\), step => (\d+), horizon => (\d+), every => (\d+)\)`)

var incidenceRate = regexp.MustCompile(`(?s)INCIDENCE_RATE\(\((.+)\), horizon => (\d+), per => (\d+)\)`)

// lifeTables writes KAPLAN_MEIER and INCIDENCE_RATE as one database computes them: d of the n at risk in step k have
// the event. At a time when nobody is at risk there is no survival, as in R.
func lifeTables(sql string) string {
	sql = incidenceRate.ReplaceAllString(sql, `(
		WITH s(t, e) AS ($1), r AS (SELECT SUM(e::int) AS events, SUM(LEAST(GREATEST(t, 0), $2)) AS person_time FROM s)
		SELECT *, $3.0 * events / person_time AS rate FROM r) AS ir`)
	return kaplanMeier.ReplaceAllString(sql, `(
		WITH s(t, e) AS ($1),
		b AS (SELECT GREATEST(1, CAST(CEIL(t / $2.0) AS int)) AS k, e FROM s WHERE t IS NOT NULL),
		n AS (SELECT i.k, (SELECT COUNT(*) FROM b WHERE b.k >= i.k) AS n, (SELECT COUNT(*) FROM b WHERE b.k = i.k AND e) AS d
			FROM (SELECT unnest(generate_series(0, $3 // $2)) AS k) AS i),
		l AS (SELECT k, n, EXP(SUM(LN(1 - d / GREATEST(n, 1.0))) OVER (ORDER BY k)) AS survival, SUM(d) OVER (ORDER BY k) AS d FROM n)
		SELECT k * $2 AS time, n AS at_risk, d - LAG(d, 1, 0) OVER (ORDER BY k) AS events, CASE WHEN n > 0 THEN survival END AS survival FROM l WHERE (k * $2) % $4 = 0) AS km`)
}

// TestCookbook runs every question of docs/cookbook.md on the synthetic federation.
func TestCookbook(t *testing.T) {
	recipes := readCookbook(t, "../docs/cookbook.md")
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(recipes) < 40 || !strings.Contains(string(readme), fmt.Sprintf("| %d clinical questions in SQL |", len(recipes))) {
		t.Errorf("%d questions, which is not what README says", len(recipes))
	}
	p := syntheticPairing(t, 1500)
	for _, r := range recipes {
		t.Run(r.title, func(t *testing.T) {
			if c := r.run(t, p); !c.substance {
				t.Error("the answer is empty, or all zero: the question tests nothing here")
			}
		})
	}
}

// gibleedConcepts replaces the cookbook's concepts by some that GiBleed has.
var gibleedConcepts = strings.NewReplacer(
	"201826", "372328", // type 2 diabetes: otitis media
	"201820", "4283893", // diabetes, with all below it: sinusitis
	"320128", "260139", // hypertension: acute bronchitis
	"316139", "192671", // heart failure: gastrointestinal haemorrhage
	"4329847", "4027663", // myocardial infarction: peptic ulcer
	"443454", "81893", // stroke: ulcerative colitis
	"255573", "40481087", // chronic obstructive lung disease: viral sinusitis
	"255848", "4142905", // pneumonia: fracture of rib
	"46271022", "80502", // chronic kidney disease: osteoporosis
	"4112853", "81151", // breast cancer: sprain of ankle
	"4266367", "28060", // influenza: streptococcal sore throat
	"440383", "440086", // depression: attention deficit disorder
	"134057", "317009", "320136", "80502", // groups: asthma, osteoporosis
	"1503297", "1118084", // metformin: celecoxib
	"1502905", "1124300", // insulin: diclofenac
	"1334456", "19059056", // ramipril: aspirin tablets
	"1332418", "1127433", // amlodipine: acetaminophen tablets
	"1338005", "19059056", // bisoprolol: aspirin tablets
	"956874", "1127433", // furosemide: acetaminophen tablets
	"1545958", "1124300", // atorvastatin: diclofenac
	"40213154", "40213227", // influenza vaccine: tetanus vaccine
	"21600712", "1118084", // drugs against diabetes: celecoxib
)

// TestCookbookGiBleed runs the cookbook on GiBleed, whose persons are distributed over four hospitals, with concepts
// that it has. It has no deaths, laboratory values or lengths of stay.
func TestCookbookGiBleed(t *testing.T) {
	source := dataFolder(t, "gibleed")
	o := newOracle(t)
	root, folders := t.TempDir(), map[string]string{}
	tables, err := filepath.Glob(filepath.Join(source, "*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range omopHospitals {
		name := fmt.Sprintf("site-%d", i)
		folders[name] = filepath.Join(root, name)
		if err := os.Mkdir(folders[name], 0o700); err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			if strings.HasPrefix(filepath.Base(table), "concept") {
				copyFile(t, table, filepath.Join(folders[name], filepath.Base(table)))
				continue
			}
			o.do(fmt.Sprintf("COPY (SELECT * FROM '%s' WHERE person_id %% %d = %d) TO '%s'", table, omopHospitals, i, filepath.Join(folders[name], filepath.Base(table))))
		}
	}
	p := openPairing(t, catalog.OMOP(), folders)
	answered := 0
	for _, r := range readCookbook(t, "../docs/cookbook.md") {
		if regexp.MustCompile(`value_as_number|death|9203`).MatchString(r.sql) {
			continue // of data that GiBleed does not have
		}
		t.Run(r.title, func(t *testing.T) {
			r.sql = gibleedConcepts.Replace(r.sql)
			if r.run(t, p).substance {
				answered++
			} else {
				t.Log("the answer is empty, or all zero")
			}
		})
	}
	if answered < 30 {
		t.Errorf("%d questions have an answer, not 30", answered)
	}
	t.Logf("%d questions answered", answered)
}

// TestCookbookEICU runs every question of docs/cookbook-eicu.md on the eICU demo.
func TestCookbookEICU(t *testing.T) {
	recipes := readCookbook(t, "../docs/cookbook-eicu.md")
	if len(recipes) < 25 {
		t.Errorf("%d questions, not 25", len(recipes))
	}
	e := openEICU(t, someHospitals[:8]...)
	c, err := catalog.Load(eicuCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	p := openPairing(t, c, e.split("false"))
	for _, r := range recipes {
		t.Run(r.title, func(t *testing.T) {
			if c := r.run(t, p); !c.substance {
				t.Error("the answer is empty, or all zero: the question tests nothing here")
			}
		})
	}
}

// throughProcesses are the questions that are also asked of real processes. None of their groups can be missing.
var throughProcesses = []string{
	"Prevalence of a disease", "A cohort by inclusion and exclusion", "A cohort from set operations", "Sizes of several cohorts at once",
	"The attrition of a study", "Incidence rate per 1000 person-years", "Recurrence", "A fourfold table and its odds ratio",
	"Treated within 30 days", "Readmission within 30 days", "The last value of each patient", "A rate standardised by age",
}

// TestCookbookProcesses runs some of the questions through real processes, at an epsilon at which noise vanishes.
func TestCookbookProcesses(t *testing.T) {
	p := syntheticPairing(t, 600)
	p.askProcesses(t, startFederation(t, shape{catalog: "builtin:omop-5.4", folders: p.folders}))
}

// askProcesses asks a federation over the same data, at an epsilon at which noise vanishes.
func (p *pairing) askProcesses(t *testing.T, f *federation) {
	t.Helper()
	asked := 0
	for _, r := range readCookbook(t, "../docs/cookbook.md") {
		if !slices.Contains(throughProcesses, r.title) {
			continue
		}
		asked++
		t.Run(r.title, func(t *testing.T) {
			want, err := p.want(r.sql)
			if err != nil {
				t.Fatal(err)
			}
			a, err := f.query(request{SQL: r.sql, Epsilon: exactEpsilon, MaxRows: 200})
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Rows) != len(want) {
				t.Fatalf("%d rows, not\n%s", len(a.Rows), table(want))
			}
			for n, row := range a.Rows {
				for i, c := range row {
					w, number := numeric(want[n][i])
					got, _ := c.Value.(float64)
					if number && math.Abs(got-w) > 0.001*(1+math.Abs(w)) || !number && want[n][i] != nil && c.Value != want[n][i] {
						t.Errorf("row %d, %s: released %v, exact %v", n+1, a.Columns[i].Name, c.Value, want[n][i])
					}
				}
			}
		})
	}
	if asked != len(throughProcesses) {
		t.Errorf("%d of %d questions are in the cookbook", asked, len(throughProcesses))
	}
}

// TestCookbookDummy runs every question of docs/cookbook-eicu.md over dummy data, which are made from the catalog
// alone. A researcher can do this for free before asking hospitals.
func TestCookbookDummy(t *testing.T) {
	c, err := catalog.Load(eicuCatalog(t))
	if err != nil {
		t.Fatal(err)
	}
	root, folders := t.TempDir(), map[string]string{}
	names := []string{"one", "two", "three"}
	if err := (synth.Dummy{Catalog: c, Seed: 1, Hospitals: names, Patients: 400, Out: root}).Generate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		folders[name] = filepath.Join(root, name)
	}
	p := openPairing(t, c, folders)
	found := 0
	for _, r := range readCookbook(t, "../docs/cookbook-eicu.md") {
		t.Run(r.title, func(t *testing.T) {
			if r.run(t, p).substance {
				found++
			}
		})
	}
	if found < 15 {
		t.Errorf("%d questions find something, not 15", found)
	}
	t.Logf("%d questions find something", found)
}
