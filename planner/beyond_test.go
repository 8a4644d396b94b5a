package planner

import (
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
)

// rawOf adds up the rows of a patient for each partial aggregate, before units and clipping.
func rawOf(p *Plan, rows []map[string]value.Value) (raw []*big.Int) {
	for _, partial := range p.Fragment.Partials {
		sums := make([]int64, partial.Width())
		for _, row := range rows {
			v := value.Bool(true)
			if partial.Expr != nil {
				v = expr.Evaluate(partial.Expr, func(c *expr.Expr) value.Value { return row[c.Column] })
			}
			kind := partial.Kind
			if kind == fragment.PartialBeyond {
				kind = partial.Of
			}
			switch {
			case v.IsNull():
			case kind == fragment.PartialPatients:
				sums[0] = 1
			case partial.Buckets != nil:
				sums[partial.Buckets.Leaf(v.Float64())]++
			case kind == fragment.PartialSum:
				g := partial.Grid
				x := math.Floor(math.Ldexp(v.Float64(), g.Shift) + 0.5)
				sums[0] += int64(math.Max(float64(g.Lower), math.Min(float64(g.Upper), x))) - g.Center
			default:
				sums[0]++
			}
		}
		for _, x := range sums {
			raw = append(raw, big.NewInt(x))
		}
	}
	return raw
}

// cellsOfClipped adds up clipped patients by a value of gender, and adds noise to the sums. lost is how much of the
// measured partial aggregate was left out, of whole.
func cellsOfClipped(p *Plan, patients [][]map[string]value.Value, r *rand.Rand) (cells []Cell, lost, whole float64) {
	groups := []value.Value{{}}
	if len(p.Fragment.Keys) > 0 {
		groups = []value.Value{value.Text("Male"), value.Text("Female")}
	}
	sums := make([][]int64, len(groups))
	for i := range sums {
		sums[i] = make([]int64, p.Fragment.Width())
	}
	at := 0
	if p.measured != nil {
		for _, partial := range p.Fragment.Partials[:p.measured.of] {
			at += partial.Width()
		}
	}
	for _, rows := range patients {
		raw := make([][]*big.Int, len(groups))
		for i, group := range groups {
			var of []map[string]value.Value
			for _, row := range rows {
				if len(groups) == 1 || row["gender"] == group {
					of = append(of, row)
				}
			}
			raw[i] = rawOf(p, of)
		}
		for i, part := range p.Proof.Clip(p.Fragment, raw) {
			unclipped, _ := new(big.Float).SetInt(raw[i][at]).Float64()
			whole += unclipped
			lost += unclipped
			if p.measured != nil {
				lost -= float64(part[at]) / float64(p.Proof.Units[p.measured.of])
			}
			for k, x := range part {
				sums[i][k] += x
			}
		}
	}
	for i, group := range groups {
		cell := Cell{}
		if len(p.Fragment.Keys) > 0 {
			cell.Keys = []value.Value{group}
		}
		from := 0
		for k, partial := range p.Fragment.Partials {
			for _, x := range p.Coordinates(k, sums[i][from:from+partial.Width()]) {
				cell.Noisy = append(cell.Noisy, x+int64(math.Round(p.noise[k].Quantile(math.Max(r.Float64(), 1e-15)))))
			}
			from += partial.Width()
		}
		cells = append(cells, cell)
	}
	return cells, lost, whole
}

// stays makes patients, of whom one in ten has many stays.
func stays(n, many int) (patients [][]map[string]value.Value) {
	of := somePatients(n)
	for i, row := range of {
		rows := 1
		if i%10 == 0 {
			rows = many
		}
		var all []map[string]value.Value
		for range rows {
			row["gender"] = value.Text([]string{"Male", "Female"}[i%2])
			all = append(all, row)
		}
		patients = append(patients, all)
	}
	return patients
}

var clippedQueries = []string{
	"COUNT(*)", "COUNT(admissionweight)", "SUM(admissionweight)", "AVG(admissionweight)", "AVG(admissionweight), COUNT(*)", "STDDEV(admissionweight)",
	"CORR(admissionweight, admissionheight)", "MEDIAN(admissionweight)", "HISTOGRAM(admissionweight, 0, 200, 4)", "COUNT(DISTINCT unittype)", "COUNT(DISTINCT patient), AVG(admissionweight)",
	"MEDIAN(admissionweight), MAX(admissionheight), COUNT(*)",
}

// TestBiasIsQuiet checks that a loss that is surely small gives no warning, and that no warning has a useless range.
func TestBiasIsQuiet(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 5))
	for epsilon, want := range map[float64]string{1e6: "", 0.05: "a part of the rows may be beyond the limit of 2 rows a patient (max_rows) and left out: noise hides how much"} {
		p, err := Build(Query{SQL: "SELECT COUNT(*) FROM patient", Ask: Ask{Epsilon: epsilon, MaxRows: 2}}, federation(t, "eicu"))
		if err != nil {
			t.Fatal(err)
		}
		cells, _, _ := cellsOfClipped(p, stays(100, 1), r)
		if got := p.bias(cells, 0.95); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("epsilon %g: %q", epsilon, got)
		}
	}
}

// TestBiasIsTold checks that the answer says when clipping left out more than 1 %, and that the range it gives covers
// the true loss. If the plan proves that nobody is clipped, nothing is measured and nothing said.
func TestBiasIsTold(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 4))
	told := regexp.MustCompile(`of the (rows|values|sum).* (is|are|may be) beyond the limit of \d+ rows? a patient \(max_rows\) and left out`)
	forms := []string{
		"SELECT %s FROM patient", "SELECT gender, %s FROM patient WHERE gender IN ('Male', 'Female') GROUP BY gender",
		"SELECT ethnicity, %s FROM patient GROUP BY ethnicity", // undeclared
	}
	for _, kind := range []string{"zcdp", "sealed", "pure"} {
		accounting := dp.ZCDP
		if kind == "pure" {
			accounting = dp.Pure
		}
		for _, sql := range clippedQueries {
			for _, form := range forms {
				fed := federation(t, "eicu")
				fed.Accounting, fed.Covered = accounting, kind == "sealed"
				p, err := Build(Query{SQL: strings.Replace(form, "%s", sql, 1), Ask: Ask{Epsilon: 1, Delta: 1e-6, MaxRows: 2}}, fed)
				if err != nil {
					t.Fatal(err)
				}
				if p.measured == nil {
					treesAlone := form == forms[2] && slices.ContainsFunc(p.Fragment.Partials, func(p fragment.Partial) bool { return p.Buckets != nil }) && !strings.Contains(sql, "COUNT(*)")
					if !treesAlone && (accounting == dp.ZCDP || sql != "SUM(admissionweight)") {
						t.Fatalf("%s, %s: nothing is measured\n%s", kind, sql, p.Describe())
					}
				} else if cost := p.costOfMeasuring(p.measured.beyond); cost > 0.0501 {
					t.Errorf("%s, %s: measuring costs %g of the budget", kind, sql, cost)
				}
				cells, lost, whole := cellsOfClipped(p, stays(300, 12), r)
				if lost < 0.01*whole {
					t.Fatalf("%s: %g of %g are left out, which shows nothing", sql, lost, whole)
				}
				a, err := p.Finish(cells, 0.95)
				if err != nil {
					t.Fatal(err)
				}
				if len(a.Bias) != 1 || !(told.MatchString(a.Bias[0]) || p.measured == nil && strings.Contains(a.Bias[0], "is not measured")) {
					t.Errorf("%s, %s: the answer says %q", kind, sql, a.Bias)
				}
			}
		}
	}
	for _, sql := range []string{"SELECT COUNT(DISTINCT patient) FROM patient", "SELECT AVG(w) FROM (SELECT patient, AVG(admissionweight) AS w FROM patient GROUP BY patient) AS p"} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1}}, federation(t, "eicu"))
		if err != nil {
			t.Fatal(err)
		}
		if p.measured != nil || p.bias(nil, 0.95) != "" {
			t.Errorf("%s: %s", sql, p.Describe())
		}
	}
}

// TestBeyondCovers checks that the interval of the left-out share covers in 95 % of the answers, if no patient has more
// than is measured.
func TestBeyondCovers(t *testing.T) {
	const draws = 1500
	r := rand.New(rand.NewPCG(12, 5))
	for _, c := range []struct {
		sql  string
		many int // at most four times the limit
		pure bool
	}{{sql: "COUNT(*)", many: 7}, {sql: "COUNT(*)", many: 7, pure: true}, {sql: "AVG(admissionweight)", many: 6}, {sql: "MEDIAN(admissionweight)", many: 5}} {
		fed := federation(t, "eicu")
		if c.pure {
			fed.Accounting = dp.Pure
		}
		p, err := Build(Query{SQL: "SELECT " + c.sql + " FROM patient", Ask: Ask{Epsilon: 1, MaxRows: 2}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		patients := stays(2000, c.many)
		covered := 0
		cells, lost, whole := cellsOfClipped(p, patients, r)
		exact := exactCell(p, patients)
		for range draws {
			for i, at := range p.places {
				for k := at.start; k < at.end; k++ {
					cells[0].Noisy[k] = exact[k] + int64(math.Round(p.noise[i].Quantile(math.Max(r.Float64(), 1e-15))))
				}
			}
			b, ok := p.beyond(cells, 0.95)
			if !ok {
				t.Fatal("not measured")
			}
			if share := lost / whole; b.Low <= share && share <= b.High {
				covered++
			}
		}
		if got := float64(covered) / draws; got < 0.935 {
			t.Errorf("%s: %.3f of the intervals hold the share of %.3f", c.sql, got, lost/whole)
		}
	}
}

// exactCell adds up clipped patients, all in one group.
func exactCell(p *Plan, patients [][]map[string]value.Value) (exact []int64) {
	sums := make([]int64, p.Fragment.Width())
	for _, rows := range patients {
		for k, x := range p.Proof.Clip(p.Fragment, [][]*big.Int{rawOf(p, rows)})[0] {
			sums[k] += x
		}
	}
	at := 0
	for i, partial := range p.Fragment.Partials {
		exact = append(exact, p.Coordinates(i, sums[at:at+partial.Width()])...)
		at += partial.Width()
	}
	return exact
}

// TestProfiledRows checks the row limit if a profile tells how many rows patients have and the query gives no max_rows.
// For totals it is the limit with the smallest error, and for averages that of half of the patients. A limit in the
// query takes precedence. With other tables in the query, the catalog's limit applies.
func TestProfiledRows(t *testing.T) {
	fed := federation(t, "eicu")
	fed.Ladders = map[LadderOf]estimate.Ladder{{Table: "patient"}: {{Rows: 1, Patients: 700}, {Rows: 2, Patients: 200}, {Rows: 4, Patients: 90}, {Rows: 8, Patients: 10}}, {Table: "vitalaperiodic"}: {{Rows: 64, Patients: 100}, {Rows: 128, Patients: 200}}}
	fed.Ladders[LadderOf{Table: "patient", Column: "hospitalid", Value: "7"}] = estimate.Ladder{{Rows: 1, Patients: 700}, {Rows: 2, Patients: 200}}
	fed.Ladders[LadderOf{Table: "patient", Column: "hospitalid", Groups: true}] = estimate.Ladder{{Rows: 1, Patients: 900}}
	for sql, want := range map[string]int{
		"SELECT AVG(admissionweight) FROM patient":                                                     1,
		"SELECT 100.0 * SUM(CASE WHEN admissionweight > 80 THEN 1 ELSE 0 END) / COUNT(*) FROM patient": 4,
		"SELECT STDDEV(admissionweight) FROM patient":                                                  1,
		"SELECT COUNT(*) FROM patient":                                                                 7,
		// a fourth
		"SELECT SUM(admissionweight) FROM patient":                                                     2,
		"SELECT AVG(admissionweight), COUNT(*) FROM patient":                                           7,
		"SELECT AVG(noninvasivesystolic) FROM vitalaperiodic":                                          41,
		"SELECT COUNT(*) FROM patient p JOIN diagnosis d ON d.patientunitstayid = p.patientunitstayid": 20,
		"SELECT COUNT(*) FROM (SELECT * FROM patient WHERE admissionweight > 80) s":                    7,
		"SELECT COUNT(DISTINCT patientunitstayid) FROM patient":                                        7,
		// stays are at most as many as rows of that table
		"SELECT COUNT(DISTINCT patientunitstayid) FROM vitalaperiodic":                                              7,
		"SELECT AVG(n) FROM (SELECT patientunitstayid, COUNT(*) AS n FROM vitalaperiodic GROUP BY 1) s WHERE n < 9": 1,
		// Rows of one kind that the profile knows.
		"SELECT COUNT(*) FROM patient WHERE hospitalid = 7": 2,
		"SELECT COUNT(*) FROM patient WHERE hospitalid = 8": 7,
	} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 2}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		if p.Proof.Rows != want {
			t.Errorf("%s: max_rows %d, want %d", sql, p.Proof.Rows, want)
		}
		if p, err = Build(Query{SQL: sql, Ask: Ask{Epsilon: 2, MaxRows: 3}}, fed); err != nil || p.Proof.Rows != 3 {
			t.Errorf("%s: max_rows %d, and the query says 3: %v", sql, p.Proof.Rows, err)
		}
	}
	for sql, want := range map[string]int{ // the catalog's max_groups is 3
		"SELECT icd9code, COUNT(DISTINCT patient) FROM diagnosis GROUP BY 1":        3,
		"SELECT apacheadmissiondx, COUNT(DISTINCT patient) FROM patient GROUP BY 1": 2,
		// there are two groups
		"SELECT gender, COUNT(*) FROM patient WHERE gender IN ('Male', 'Female') GROUP BY 1":     2,
		"SELECT patientunitstayid % 7, COUNT(DISTINCT patient) FROM vitalaperiodic v GROUP BY 1": 10,
		// at most the number of hospitals
		"SELECT hospitalid % 5, COUNT(DISTINCT patient) FROM patient GROUP BY 1":                                            1,
		"SELECT h.region, COUNT(DISTINCT patient) FROM patient p JOIN hospital h ON h.hospitalid = p.hospitalid GROUP BY 1": 1,
	} {
		p, err := Build(Query{SQL: strings.Replace(sql, "apacheadmissiondx", "unittype", 1), Ask: Ask{Epsilon: 0.1, Delta: 1e-6}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		if p.Proof.Groups != want {
			t.Errorf("%s: max_groups %d, want %d", sql, p.Proof.Groups, want)
		}
	}
	program, err := Compose(Query{SQL: "SELECT AVG(admissionweight) FROM patient", Ask: Ask{Epsilon: 2}}, fed)
	if err != nil {
		t.Fatal(err)
	}
	// 200 + 225 + 55 of 700 + 400 + 315 + 65 rows.
	if said := strings.Join(program.Warnings(), ""); !strings.Contains(said, "about 32 % of all rows are beyond the limit of 1 a patient (max_rows)") {
		t.Errorf("explain says %q", said)
	}
	for where, want := range map[string]string{
		"hospitalid = 7":       " % of the rows of this kind are beyond the limit of 2",
		"admissionweight > 80": " % of all rows of patient (of those that the query keeps it may be far more or less) are beyond the limit of 2",
	} {
		if program, err = Compose(Query{SQL: "SELECT AVG(admissionweight) FROM patient WHERE " + where, Ask: Ask{Epsilon: 2, MaxRows: 2}}, fed); err != nil {
			t.Fatal(err)
		}
		if said := strings.Join(program.Warnings(), ""); !strings.Contains(said, want) {
			t.Errorf("of rows where %s explain says %q", where, said)
		}
	}
}

// TestLimitsOfDerivedRelations checks that a relation with at most the rows of a table has the table's limit, and that
// a union has the sum of its inputs' limits.
func TestLimitsOfDerivedRelations(t *testing.T) {
	// in OMOP: 20 visits, 20 conditions, 30 drug exposures, 50 measurements, else 10
	for sql, want := range map[string]int{
		"SELECT COUNT(DISTINCT visit_occurrence_id) FROM visit_occurrence":                                                                                          20,
		"SELECT COUNT(DISTINCT visit_occurrence_id) FROM measurement":                                                                                               20,
		"SELECT COUNT(*) FROM (SELECT DISTINCT person_id, measurement_concept_id FROM measurement) m":                                                               50,
		"SELECT COUNT(*) FROM (SELECT person_id, visit_start_date FROM visit_occurrence) v":                                                                         20,
		"SELECT COUNT(*) FROM (SELECT person_id, drug_concept_id FROM drug_exposure UNION ALL SELECT person_id, condition_concept_id FROM condition_occurrence) e":  50,
		"SELECT COUNT(*) FROM (SELECT person_id, 1 AS x FROM drug_exposure UNION ALL SELECT person_id, 2 FROM drug_exposure WHERE drug_concept_id = 3) e":           30,
		"SELECT COUNT(*) FROM (SELECT person_id, visit_start_date FROM visit_occurrence EXCEPT SELECT person_id, condition_start_date FROM condition_occurrence) e": 20,
		"SELECT COUNT(*) FROM (SELECT DISTINCT person_id FROM death) a FULL JOIN (SELECT DISTINCT person_id FROM drug_exposure) b ON a.person_id = b.person_id":     1,
		"SELECT COUNT(*) FROM (SELECT DISTINCT person_id FROM visit_occurrence) a FULL JOIN (SELECT DISTINCT person_id FROM drug_exposure) b USING (person_id)":     1,
		"SELECT COUNT(*) FROM death a FULL JOIN drug_exposure b ON a.person_id = b.person_id":                                                                       30,
		// A patient may have a row from each side: a death without such a drug, and a drug without such a death.
		"SELECT COUNT(*) FROM (SELECT person_id, MIN(drug_concept_id) AS d FROM drug_exposure GROUP BY 1) a FULL JOIN death b ON a.person_id = b.person_id AND a.d = b.cause_concept_id": 2,
	} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1}}, federation(t, "omop"))
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if p.Proof.Rows != want {
			t.Errorf("%s: max_rows %d, want %d", sql, p.Proof.Rows, want)
		}
	}
}

// TestClampsAreMeasured checks that the answer says when CLAMP moved more than 1 %, and that the range it gives covers
// the true share. If it surely moved less than a thousandth, nothing is said. If it cannot move anything, nothing is
// measured.
func TestClampsAreMeasured(t *testing.T) {
	patients := stays(2000, 3)
	for _, accounting := range []dp.Accounting{dp.ZCDP, dp.Pure} {
		for _, sql := range []string{
			"AVG(CLAMP(admissionweight, 50, 100))", "SUM(CLAMP(admissionweight, 50, 100))", "STDDEV(CLAMP(admissionweight, 50, 100))",
			"CORR(CLAMP(admissionweight, 50, 100), admissionheight)", "SUM(2 * CLAMP(admissionweight, 50, 100)), AVG(CLAMP(admissionweight, 50, 100))",
			"AVG(CASE WHEN admissionheight > 10 THEN CLAMP(admissionweight, 50, 100) END)", "AVG(CLAMP(admissionweight, 50, 100)) FILTER (WHERE gender <> 'x')",
		} {
			for _, rows := range []int{3, 2} { // nobody is clipped, which the plan does not know; or one in ten
				clampsAreTold(t, sql, accounting, rows, patients)
			}
		}
	}
	r := rand.New(rand.NewPCG(12, 7))
	for sql, want := range map[string]int{
		"AVG(CLAMP(admissionweight, 0, 290))": 1, "AVG(CLAMP(admissionweight, 0, 300))": 0, "MEDIAN(CLAMP(admissionweight, 50, 100))": 0, "AVG(admissionweight)": 0,
	} {
		p, err := Build(Query{SQL: "SELECT " + sql + " FROM patient", Ask: Ask{Epsilon: 1000, MaxRows: 3}}, federation(t, "eicu"))
		if err != nil {
			t.Fatal(err)
		}
		cells, _, _ := cellsOfClipped(p, patients, r)
		a, err := p.Finish(cells, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.clamped) != want || len(a.Bias) > 0 {
			t.Errorf("%s: %d are measured, and the answer says %q", sql, len(p.clamped), a.Bias)
		}
	}
}

// TestBoundsAreTold checks that a warning before payment names the columns' bounds, because it is not measured how many
// values are beyond them. There is no warning if a narrower CLAMP counts them, or if nothing is added up.
func TestBoundsAreTold(t *testing.T) {
	const told = "values beyond the catalog's bounds count as the nearest, and how many is not measured: "
	for sql, want := range map[string]string{
		"SELECT AVG(admissionweight) FROM patient":                                                                   told + "patient.admissionweight 0 to 300",
		"SELECT SUM(admissionweight / 2), STDDEV(admissionheight) FROM patient":                                      told + "patient.admissionheight 0 to 250, patient.admissionweight 0 to 300",
		"SELECT AVG(CLAMP(admissionweight, 0, 100)) FROM patient":                                                    told + "patient.admissionweight 0 to 300",
		"SELECT AVG(CLAMP(admissionweight, 50, 100)) FROM patient":                                                   "",
		"SELECT COUNT(*), MEDIAN(admissionweight) FROM patient":                                                      "",
		"SELECT AVG(w) FROM (SELECT uniquepid, CLAMP(MAX(admissionweight), 50, 100) AS w FROM patient GROUP BY 1) p": "what CLAMP moves in a query within this one is not measured",
	} {
		program, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1}}, federation(t, "eicu"))
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		all := strings.Join(program.Warnings(), "\n")
		if want != "" && !slices.Contains(program.Warnings(), want) || want == "" && strings.Contains(all, "not measured") {
			t.Errorf("%s: explain says %q, and %q is wanted", sql, all, want)
		}
	}
}

// clampsAreTold asks about patients' weights, clamped to [50, 100].
func clampsAreTold(t *testing.T, sql string, accounting dp.Accounting, maxRows int, patients [][]map[string]value.Value) {
	t.Helper()
	r := rand.New(rand.NewPCG(12, 6))
	told := regexp.MustCompile(`^(about|0 to) .* of the values are outside of CLAMP \(patient.admissionweight from 50 to 100\) and count as the nearest bound`)
	moved, all := 0.0, 0.0
	for _, rows := range patients {
		for _, row := range rows {
			if w := row["admissionweight"].Float64(); w < 50 || w > 100 {
				moved++
			}
			all++
		}
	}
	fed := federation(t, "eicu")
	fed.Accounting = accounting
	p, err := Build(Query{SQL: "SELECT " + sql + " FROM patient", Ask: Ask{Epsilon: 4, MaxRows: maxRows}}, fed)
	if err != nil {
		t.Fatal(err)
	}
	cost := 0.0
	for i := range p.Fragment.Partials {
		if p.measures(i) {
			cost += p.costOfMeasuring(i)
		}
	}
	if len(p.clamped) != 1 || cost > 0.0525 {
		t.Fatalf("%s, %s: %d are measured, for %g of the budget\n%s", accounting, sql, len(p.clamped), cost, p.Describe())
	}
	cells, _, _ := cellsOfClipped(p, patients, r)
	a, err := p.Finish(cells, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(a.Bias, told.MatchString) {
		t.Errorf("%s, %s: of %.3f moved values the answer says %q", accounting, sql, moved/all, a.Bias)
	}
	if maxRows < 3 {
		return
	}
	covered := 0
	const draws = 500
	exact := exactCell(p, patients)
	for range draws {
		for i, at := range p.places {
			for k := at.start; k < at.end; k++ {
				cells[0].Noisy[k] = exact[k] + int64(math.Round(p.noise[i].Quantile(math.Max(r.Float64(), 1e-15))))
			}
		}
		m := p.readMoved(p.clamped[0], cells, 0.95)
		if math.IsNaN(m.Share) && math.Abs(m.Amount-moved) <= m.HalfWidth || m.Low <= moved/all && moved/all <= m.High {
			covered++
		}
	}
	if covered < draws*92/100 {
		t.Errorf("%s, %s: %d of %d intervals hold the share of %.3f", accounting, sql, covered, draws, moved/all)
	}
}

// TestBiasSpeaks checks that warnings quote the query as written, not as planning rewrites it. For a long expression
// they name the columns.
func TestBiasSpeaks(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT SUM(CLAMP(noninvasivesystolic, 0, 200)) FROM vitalaperiodic":                                                     "the sum of CLAMP(vitalaperiodic.noninvasivesystolic, 0, 200) is",
		"SELECT AVG(CLAMP(vitalaperiodic.observationoffset + vitalaperiodic.noninvasivesystolic * 2, 0, 9)) FROM vitalaperiodic": "the values of CLAMP(…, 0, 9) of vitalaperiodic.noninvasivesystolic, vitalaperiodic.observationoffset are",
		"SELECT COUNT(m) FROM (SELECT patientunitstayid, observationoffset AS m FROM vitalaperiodic) AS v":                       "the values of observationoffset are",
		"SELECT MEDIAN(x) FROM (SELECT patientunitstayid, noninvasivesystolic * 2 AS x FROM vitalaperiodic) AS v":                "the values are",
		"SELECT APPROX_BOUNDS(observationoffset) FROM vitalaperiodic":                                                            "the values of vitalaperiodic.observationoffset are",
		"SELECT COUNT(DISTINCT unittype) FROM patient WHERE unittype IN ('MICU', 'SICU')":                                        "the values of patient.unittype are",
	} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, MaxRows: 2}}, federation(t, "eicu"))
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got := p.limited(); got.What+" "+got.Are != want {
			t.Errorf("%s: %v, not %q", sql, got, want)
		}
	}
	// An amount of both signs that noise hides is not a number to report.
	p, err := Build(Query{SQL: "SELECT SUM(CLAMP(observationoffset, -100, 20000)) FROM vitalaperiodic", Ask: Ask{Epsilon: 1, MaxRows: 2}}, federation(t, "eicu"))
	if err != nil {
		t.Fatal(err)
	}
	noisy := make([]int64, len(p.Fragment.Partials))
	if got := p.bias([]Cell{{Noisy: noisy}}, 0.95); !strings.HasPrefix(got, "a part of the sum of CLAMP(vitalaperiodic.observationoffset, -100, 20000) may be beyond the limit of 2 rows a patient (max_rows) and left out, up to ") ||
		strings.Contains(got, "e+") {
		t.Error(got)
	}
}

// TestSteady checks that a patient is in one group if all keys are made of columns with one value per patient, unless
// the query says otherwise.
func TestSteady(t *testing.T) {
	fed := federation(t, "eicu")
	patients, _ := fed.Catalog.Table("patient")
	gender, _ := patients.Column("gender")
	gender.Steady = true
	for sql, want := range map[string]int{
		"SELECT gender, COUNT(DISTINCT patient) FROM patient GROUP BY 1":                    1,
		"SELECT gender = 'Male', COUNT(*) FROM patient GROUP BY 1":                          1,
		"SELECT gender, unittype, COUNT(DISTINCT patient) FROM patient GROUP BY 1, 2":       3, // the catalog's limit
		"SELECT g, COUNT(*) FROM (SELECT uniquepid, gender AS g FROM patient) p GROUP BY 1": 3,
	} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		if p.Proof.Groups != want || p.Proof.Unclipped {
			t.Errorf("%s: max_groups %d, want %d; unclipped %v", sql, p.Proof.Groups, want, p.Proof.Unclipped)
		}
		if p, err = Build(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6, MaxGroups: 2}}, fed); err != nil || p.Proof.Groups != 2 {
			t.Errorf("%s: max_groups %d, and the query says 2: %v", sql, p.Proof.Groups, err)
		}
	}
}
