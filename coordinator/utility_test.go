package coordinator

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/memory"
	_ "github.com/duckdb/duckdb-go/v2" // exact answers

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/synth"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/duckdb"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/estimate"
)

// These tests measure the errors of answers. They use the real planner, fragment, DuckDB, merger, release and Finish,
// and compare them with an expert's mechanism at the same price. The exact sums of a question are computed once and
// then get new noise many times.

// The price of each question: rho = 1/8, which is epsilon 0.5 under zCDP.
const (
	utilityEpsilon = 0.5
	utilityDelta   = 1e-6
	// profileEpsilon is the price of a profile.
	profileEpsilon = 0.1
	// utilityGoal is the largest allowed error, as a multiple of the expert's.
	utilityGoal = 1.2
	// utilityFewest is the number of rows that a group needs for its mean or share to be compared. With fewer rows there
	// is mostly noise, in either mechanism.
	utilityFewest = 100
)

// utilitySize is one of the sizes at which the questions are asked.
type utilitySize struct {
	name, title string
	hospitals   []string
	patients    int // synthetic patients; 0: those of the eICU demo
}

var utilitySizes = []utilitySize{
	{"eicu", "The eICU demo in 4 hospitals (2,520 stays of 1,841 patients)", []string{"a", "b", "c", "d"}, 0},
	{"middle", "4 synthetic hospitals, 100,000 patients", []string{"rennes", "lyon", "lille", "bordeaux"}, 100_000},
	{"large", "5 synthetic hospitals, 1,000,000 patients", []string{"rennes", "lyon", "lille", "bordeaux", "marseille"}, 1_000_000},
}

// utilityWorld is a federation of one size: engines over its files, and a database with all rows.
type utilityWorld struct {
	t          *testing.T
	federation planner.Federation
	engines    []*duckdb.Engine
	all        *sql.DB
	wordingOf  func(inquiry) wording
	ladder     bool // whether other max_rows are tried
}

// utilityResult is one row of the table.
type utilityResult struct {
	name                     string
	groups                   int
	exact                    float64 // of one group; the mean of several groups
	rmse, half, expert       float64
	paid                     float64 // the error of the expert who pays for the clip; 0: there is none
	holdsExact, holdsBounded float64 // how often the intervals cover
	intervals                int
	withheld                 int    // numbers that were NULL because there would only be noise
	missed                   string // why there is no number
	exactly                  map[string]float64
	best                     float64 // the error with the best max_rows, which is bestRows; 0: not tried
	bestRows                 int
	others                   map[string]float64 // errors of other libraries, by name
}

// ratio is the error divided by that of an expert who knows only what was paid for.
func (r utilityResult) ratio() float64 { return r.rmse / max(r.expert, r.paid) }

// TestUtility asks a small federation in every run, and checks its errors against known values. With INTRAMUROS_UTILITY
// (make utility), the names of sizes or "all", it asks at those sizes, writes the results into docs/accuracy.md, and
// fails if a row misses the goal. INTRAMUROS_EICU is the folder of the eICU demo's Parquet files.
func TestUtility(t *testing.T) {
	wanted := os.Getenv("INTRAMUROS_UTILITY")
	if wanted == "" {
		small := utilitySize{"small", "", []string{"rennes", "lyon"}, 1500}
		for _, r := range askAll(t, small, 100) {
			if r.name == "survival" && r.withheld > 0 {
				continue // too few have the disease
			}
			checkUtility(t, r, max(utilityGoal, utilityKnown[r.name])*1.4)
		}
		return
	}
	draws := 400
	if text := os.Getenv("INTRAMUROS_UTILITY_DRAWS"); text != "" {
		var err error
		draws, err = strconv.Atoi(text)
		must(t, err)
	}
	for _, size := range utilitySizes {
		t.Run(size.name, func(t *testing.T) {
			if wanted != "all" && !slices.Contains(strings.Split(wanted, ","), size.name) {
				t.Skipf("not run: %s is not among INTRAMUROS_UTILITY=%s", size.name, wanted)
			}
			results := askAll(t, size, draws)
			text := utilityTable(size, results, draws)
			fmt.Print(text)
			if os.Getenv("INTRAMUROS_UTILITY_ASK") == "" {
				writeUtility(t, size.name, text)
			}
			for _, r := range results {
				checkUtility(t, r, utilityGoal)
			}
		})
	}
}

// utilityKnown are the ratios of the small federation that miss the goal, so that they do not get worse. With 100
// draws, the error of a number has a standard deviation of 7 %, and TestUtility allows 40 % more.
var utilityKnown = map[string]float64{
	"stays": 2.9, "stays by kind": 2.1, "median age": 4.5, "share that died": 1.7, "mean length of stay": 9.5,
	"mean length of stay, by group": 9, "median length of stay": 85, "days of stay in all": 4.3, "correlation": 8.5,
	"readings in all": 17.5, "mean systolic pressure": 3.1, "patients by diagnosis, undeclared": 2,
}

func checkUtility(t *testing.T, r utilityResult, most float64) {
	t.Helper()
	switch {
	case r.missed != "":
		t.Errorf("%s: %s", r.name, r.missed)
	case !(r.ratio() <= most):
		t.Errorf("%s: errs by %.4g, %.2f times the %.4g of an expert; the goal is %v", r.name, r.rmse, r.ratio(), max(r.expert, r.paid), most)
	}
}

func askAll(t *testing.T, size utilitySize, draws int) []utilityResult {
	t.Helper()
	w := openUtility(t, size)
	w.ladder = size.name == "eicu" || size.name == "middle"
	if size.name != "small" {
		w.profile()
	}
	var all []utilityResult
	held, intervals := 0.0, 0
	only := os.Getenv("INTRAMUROS_UTILITY_ASK")
	for _, q := range inquiries {
		if only != "" && !slices.Contains(strings.Split(only, ";"), q.name) {
			continue
		}
		r := w.ask(q.name, w.wordingOf(q), draws)
		held += r.holdsBounded * float64(r.intervals)
		intervals += r.intervals
		all = append(all, r)
	}
	if python := os.Getenv("INTRAMUROS_UTILITY_OTHERS"); python != "" && size.patients == 0 {
		w.askOthers(python, all)
	}
	// Groups and columns of an answer share part of their noise. So the limit is six standard deviations of as many draws
	// as there are questions.
	if share, n := held/float64(intervals), float64(draws*len(inquiries)); share < 0.95-6*math.Sqrt(0.95*0.05/n)-0.01 {
		t.Errorf("%.4f of the intervals hold the bounded answer, which they state, not 0.95", share)
	}
	return all
}

// profile takes the profile of each table in which patients may have several rows, as the study would: with epsilon
// 0.1. For five tables that is about 2 % of a budget of (10, 1e-6).
func (w *utilityWorld) profile() {
	w.t.Helper()
	ladders := map[planner.LadderOf]estimate.Ladder{}
	honest := &Coordinator{noise: drawn}
	for _, table := range w.federation.Catalog.Tables {
		if table.Public || table.OneRowPerPatient || !w.offers(table.Name) {
			continue
		}
		p := Profile{Table: table.Name}
		key := usualKey(w.federation.Catalog, table, func(*catalog.Column) bool { return true })
		for _, q := range (profiling{table: table, key: key}).questions() {
			program, err := planner.Compose(planner.Query{SQL: q.sql, Ask: planner.Ask{Epsilon: profileEpsilon, Delta: utilityDelta, MaxGroups: q.groups}}, w.federation)
			must(w.t, err)
			cells, err := honest.release(w.t.Context(), program.Releases[0], w.sums(program)[0])
			must(w.t, err)
			answer, err := program.Finish([][]planner.Cell{cells}, 0.95)
			must(w.t, err)
			q.read(&p, answer.Rows)
		}
		if ladders[planner.LadderOf{Table: table.Name}] = p.Steps.With(p.Hidden); len(p.Steps) > 0 {
			w.t.Logf("%s: %+v; %s: %+v, %+v", table.Name, p.Steps, p.Key, p.Groups, p.OfGroup)
		}
		p.addLadders(ladders)
	}
	w.federation.Ladders = ladders
}

// offers reports whether there are rows of a table.
func (w *utilityWorld) offers(table string) bool {
	_, err := w.all.ExecContext(w.t.Context(), "SELECT 1 FROM "+table+" LIMIT 1")
	return err == nil
}

// ask plans the question, lets the hospitals add up, and draws noise.
func (w *utilityWorld) ask(name string, q wording, draws int) utilityResult {
	w.t.Helper()
	r := utilityResult{name: name}
	program := w.plan(q, 0)
	sums := w.sums(program)
	bounded, least := w.finish(unnoised, program, sums), 0.0
	if s := program.Releases[0].Selection; s != nil {
		least = 2 * float64(s.Threshold)
	} else if q.of.value != nil && len(q.of.components) > 0 {
		least = utilityFewest
	}
	groups := make([]string, 0, len(bounded))
	for g := range bounded {
		groups = append(groups, g)
	}
	sigma := float64(program.Releases[0].Sites) / utilityEpsilon
	var exact map[string]float64
	profiled := 0.0
	if w.federation.Ladders != nil {
		profiled = float64(program.Releases[0].Sites) / profileEpsilon
	}
	exact, r.expert, r.paid = q.of.expert(w.rows(q), sigma, profiled, groups, func(n float64) bool { return n >= least })
	r.exactly = exact
	if r.groups = len(exact); r.groups == 0 {
		r.missed = fmt.Sprintf("no group is large enough to be shown: its threshold is %.0f patients", least/2)
		return r
	}
	for _, x := range exact {
		r.exact += x / float64(len(exact))
	}
	w.measure(&r, program, sums, draws)
	if r.missed == "" {
		w.t.Logf("%s: max_rows %d, max_groups %d; %.1f %% of the intervals hold the bounded answer, which they state",
			name, program.Releases[0].Proof.Rows, program.Releases[0].Proof.Groups, 100*r.holdsBounded)
	}
	if w.ladder && r.missed == "" && !program.Releases[0].Proof.OneRow {
		w.climb(&r, q, draws)
	}
	return r
}

// climb finds the max_rows with the smallest error, as the expert's clip is chosen.
func (w *utilityWorld) climb(r *utilityResult, q wording, draws int) {
	for _, rows := range []int{1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000} {
		program, one := w.plan(q, rows), utilityResult{exactly: r.exactly}
		w.measure(&one, program, w.sums(program), draws/4)
		if one.missed == "" && (r.bestRows == 0 || one.rmse < r.best) {
			r.best, r.bestRows = one.rmse, rows
		}
	}
}

func (w *utilityWorld) plan(q wording, rows int) *planner.Program {
	w.t.Helper()
	program, err := planner.Compose(planner.Query{SQL: q.sql, Ask: planner.Ask{Epsilon: utilityEpsilon, Delta: utilityDelta, MaxRows: rows}}, w.federation)
	must(w.t, err)
	return program
}

// measure draws noise, and compares with the exact numbers.
func (w *utilityWorld) measure(r *utilityResult, program *planner.Program, sums []exact, draws int) {
	w.t.Helper()
	bounded := w.finish(unnoised, program, sums)
	honest := &Coordinator{noise: drawn}
	squares, holdsExact, holdsBounded := 0.0, 0, 0
	var halves []float64
	for range draws {
		answer := w.finish(honest, program, sums)
		for g, x := range r.exactly {
			e, ok := answer[g]
			if !ok {
				r.missed = "a group is not in the answer: " + g
				return
			}
			if e.Value.IsNull() || bounded[g].Value.IsNull() {
				r.withheld++
				continue
			}
			v := e.Value.Float64()
			squares += (v - x) * (v - x)
			halves = append(halves, halfOf(e))
			if within(e, x) {
				holdsExact++
			}
			if within(e, bounded[g].Value.Float64()) {
				holdsBounded++
			}
		}
	}
	r.intervals = len(halves)
	if r.withheld > r.intervals {
		r.missed = fmt.Sprintf("too few patients beside the noise: %d %% of the numbers are NULL", 100*r.withheld/(r.withheld+r.intervals))
		return
	}
	n := float64(r.intervals)
	r.rmse, r.holdsExact, r.holdsBounded = math.Sqrt(squares/n), float64(holdsExact)/n, float64(holdsBounded)/n
	slices.Sort(halves)
	r.half = halves[len(halves)/2]
}

// sums are the exact partial aggregates of all hospitals, for each release.
func (w *utilityWorld) sums(program *planner.Program) []exact {
	w.t.Helper()
	var all []exact
	for _, p := range program.Releases {
		total := newExact(p.Fragment)
		for _, e := range w.engines {
			site := total.emptyCopy()
			must(w.t, e.Run(w.t.Context(), p.Fragment, p.Proof, memory.DefaultAllocator, site.addRecord))
			must(w.t, total.merge(site))
		}
		all = append(all, total)
	}
	return all
}

// finish releases, and returns the answer's numbers by their keys. If a row has several numbers, the key includes their
// position.
func (w *utilityWorld) finish(c *Coordinator, program *planner.Program, sums []exact) map[string]planner.Estimate {
	w.t.Helper()
	var cells [][]planner.Cell
	for i, p := range program.Releases {
		one, err := c.release(w.t.Context(), p, sums[i])
		must(w.t, err)
		cells = append(cells, one)
	}
	answer, err := program.Finish(cells, 0.95)
	must(w.t, err)
	numbers := 0
	for _, column := range answer.Columns {
		if column.Noisy {
			numbers++
		}
	}
	by := map[string]planner.Estimate{}
	for _, row := range answer.Rows {
		var keys []string
		for i, column := range answer.Columns {
			if !column.Noisy {
				keys = append(keys, plainText(row[i].Value))
			}
		}
		at := 0
		for i, column := range answer.Columns {
			if !column.Noisy {
				continue
			}
			place := slices.Clone(keys)
			if numbers > 1 {
				place = append(place, "#"+strconv.Itoa(at))
			}
			by[strings.Join(place, "|")] = row[i]
			at++
		}
	}
	return by
}

// still adds no noise. It exists only in tests.
type still struct{}

var unnoised = &Coordinator{noise: func(dp.Noise, dp.Coordinate) (adder, error) { return still{}, nil }}

func (still) Add(x int64) (int64, error) { return x, nil }

func plainText(v value.Value) string {
	if !v.IsNull() && v.Type() == value.TypeText {
		return v.Str()
	}
	return v.String()
}

func halfOf(e planner.Estimate) float64 {
	if e.Low.IsNull() || e.High.IsNull() {
		return math.Inf(1)
	}
	return (e.High.Float64() - e.Low.Float64()) / 2
}

// within allows for the grid on which fractional numbers are added up.
func within(e planner.Estimate, x float64) bool {
	slack := 1e-6 * (1 + math.Abs(x))
	return (e.Low.IsNull() || e.Low.Float64() <= x+slack) && (e.High.IsNull() || e.High.Float64() >= x-slack)
}

// rows are the question's rows by patient and group, over the union of the hospitals. For quantiles and curves they are
// also by value.
func (w *utilityWorld) rows(q wording) []rowsOf {
	t := w.t
	t.Helper()
	columns, by := "", ""
	switch {
	case q.of.quantile != nil:
		columns, by = ", x::DOUBLE", ", x"
	case q.of.survival != nil:
		columns, by = ", x::DOUBLE, y::DOUBLE", ", x, y"
	}
	for _, c := range q.of.components {
		columns += ", sum(" + c + ")::DOUBLE"
	}
	found, err := w.all.QueryContext(t.Context(), fmt.Sprintf(
		"SELECT hospital || '/' || patient, coalesce(k, 'NULL'), count(*)::DOUBLE%s FROM (%s) GROUP BY hospital, patient, k%s", columns, q.rows, by))
	must(t, err)
	defer found.Close()
	var all []rowsOf
	for found.Next() {
		r := rowsOf{sums: make([]float64, strings.Count(columns, "::DOUBLE"))}
		into := []any{&r.patient, &r.group, &r.n}
		for i := range r.sums {
			into = append(into, &r.sums[i])
		}
		must(t, found.Scan(into...))
		all = append(all, r)
	}
	must(t, found.Err())
	return all
}

// askOthers runs testdata/utility/others.py, which answers with SmartNoise and OpenDP what these can, over the same
// rows.
func (w *utilityWorld) askOthers(python string, results []utilityResult) {
	t := w.t
	t.Helper()
	type question struct {
		Name  string             `json:"name"`
		Kind  string             `json:"kind"`
		Low   float64            `json:"low"`
		High  float64            `json:"high"`
		Exact map[string]float64 `json:"exact"`
	}
	folder := t.TempDir()
	var asked []question
	for i, q := range inquiries {
		of := w.wordingOf(q)
		if of.of.kind == "" || len(results[i].exactly) == 0 {
			continue
		}
		x := "NULL"
		if of.of.kind != "count" {
			x = "x"
		}
		_, err := w.all.ExecContext(t.Context(), fmt.Sprintf("COPY (SELECT patient, coalesce(k, 'NULL') AS k, %s AS x FROM (%s)) TO '%s/%d.csv' (HEADER)", x, of.rows, folder, len(asked)))
		must(t, err)
		asked = append(asked, question{q.name, of.of.kind, of.of.low, of.of.high, results[i].exactly})
	}
	b, err := json.Marshal(asked)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "questions.json"), b, 0o600))
	c := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "utility", "others.py"), folder)
	c.Stderr = os.Stderr
	b, err = c.Output()
	must(t, err)
	var errs map[string]map[string]float64
	must(t, json.Unmarshal(b, &errs))
	for i := range results {
		results[i].others = errs[results[i].name]
	}
}

func openUtility(t *testing.T, size utilitySize) *utilityWorld {
	t.Helper()
	w := &utilityWorld{t: t, wordingOf: func(q inquiry) wording { return q.omop }}
	w.all = database(t)
	folder := t.TempDir()
	var text []byte
	if size.patients == 0 {
		source := os.Getenv("INTRAMUROS_EICU")
		if _, err := os.Stat(filepath.Join(source, "patient.parquet")); err != nil {
			t.Skipf("not run: %v; give the folder of the eICU demo's Parquet files, make utility EICU=folder", err)
		}
		w.wordingOf = func(q inquiry) wording { return q.eicu }
		splitEICU(t, w.all, source, folder, size.hospitals)
		var err error
		text, err = os.ReadFile(filepath.Join("..", "integration", "testdata", "eicu.yaml"))
		must(t, err)
	} else {
		began := time.Now()
		must(t, synth.Generate(t.Context(), synth.Config{Seed: 1, Hospitals: size.hospitals, Patients: size.patients, Folder: folder}, nil))
		t.Logf("generated in %.1f s", time.Since(began).Seconds())
		text = []byte("catalog: synthetic\nextends: omop-5.4\nmax_sites: 2\n")
	}
	c, err := catalog.Parse(text, size.name+".yaml")
	must(t, err)
	w.federation = planner.Federation{Catalog: c, Hospitals: size.hospitals, Accounting: dp.ZCDP}
	for _, h := range size.hospitals {
		e, err := duckdb.Open(t.Context(), duckdb.Config{Folder: filepath.Join(folder, h), Threads: 2}, c, h, []byte("a key of sixteen bytes or more"))
		must(t, err)
		t.Cleanup(func() { must(t, e.Close()) })
		w.engines = append(w.engines, e)
	}
	if size.patients > 0 {
		unite(t, w.all, folder, size.hospitals)
	}
	return w
}

func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

// splitEICU distributes the demo's hospitals over four, each with a folder. In the union, patient has a column
// `hospital`.
func splitEICU(t *testing.T, db *sql.DB, source, folder string, hospitals []string) {
	t.Helper()
	do := func(format string, args ...any) {
		t.Helper()
		_, err := db.ExecContext(context.Background(), fmt.Sprintf(format, args...))
		must(t, err)
	}
	do("CREATE TABLE patient AS SELECT *, 'abcd'[1 + hospitalid %% 4] AS hospital FROM '%s/patient.parquet'", source)
	tables := []string{"admissiondx", "diagnosis", "treatment", "medication", "apachepatientresult", "vitalaperiodic"}
	for _, table := range tables {
		do("CREATE VIEW %[1]s AS SELECT * FROM '%[2]s/%[1]s.parquet'", table, source)
	}
	for _, h := range hospitals {
		to := filepath.Join(folder, h)
		must(t, os.Mkdir(to, 0o700))
		do("COPY (SELECT * FROM '%s/hospital.parquet') TO '%s/hospital.parquet'", source, to)
		do("COPY (SELECT * EXCLUDE (hospital) FROM patient WHERE hospital = '%s') TO '%s/patient.parquet'", h, to)
		for _, table := range tables {
			do("COPY (SELECT x.* FROM %[1]s x JOIN patient USING (patientunitstayid) WHERE hospital = '%[2]s') TO '%[3]s/%[1]s.parquet'", table, h, to)
		}
	}
}

// unite makes a view of each table over all hospitals, with a column `hospital`.
func unite(t *testing.T, db *sql.DB, folder string, hospitals []string) {
	t.Helper()
	for _, table := range []string{"person", "death", "visit_occurrence", "measurement", "condition_occurrence", "observation_period", "concept"} {
		var arms []string
		for _, h := range hospitals {
			arms = append(arms, fmt.Sprintf("SELECT *, '%[1]s' AS hospital FROM '%[2]s/%[1]s/%[3]s.parquet'", h, folder, table))
		}
		_, err := db.ExecContext(context.Background(), fmt.Sprintf("CREATE VIEW %s AS %s", table, strings.Join(arms, " UNION ALL ")))
		must(t, err)
	}
}

// utilityTable is the table of docs/accuracy.md for one size.
func utilityTable(size utilitySize, results []utilityResult, draws int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", size.title)
	fmt.Fprintf(&b, "| question | exact | RMSE | ± 95 %% | expert's RMSE | of one who pays | ratio | at max_rows | holds the stated | holds the exact | SmartNoise | OpenDP |\n")
	fmt.Fprintf(&b, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	reached, hindsight := 0, 0
	for _, r := range results {
		name, exact := r.name, brief(r.exact)
		if r.groups > 1 {
			name, exact = fmt.Sprintf("%s (%d numbers)", r.name, r.groups), "mean "+exact
		}
		if r.missed != "" {
			fmt.Fprintf(&b, "| %s | %s | | | | | | | | | | |\n", r.name, r.missed)
			continue
		}
		if r.withheld > 0 {
			name += fmt.Sprintf("; %.0f %% of them NULL", 100*float64(r.withheld)/float64(r.withheld+r.intervals))
		}
		ratio := fmt.Sprintf("%.2f", r.ratio())
		if r.ratio() <= utilityGoal {
			reached++
			if r.rmse <= utilityGoal*r.expert {
				hindsight++
			}
		} else {
			ratio = "**" + ratio + "**"
		}
		at, paid := "", ""
		if r.paid > 0 {
			paid = brief(r.paid)
		}
		if r.bestRows > 0 {
			at = fmt.Sprintf("%.2f at %d", r.best/r.expert, r.bestRows)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %.0f %% | %.0f %% | %s | %s |\n", name, exact, brief(r.rmse), brief(r.half), brief(r.expert), paid, ratio, at, 100*r.holdsBounded, 100*r.holdsExact, r.other("smartnoise"), r.other("opendp"))
	}
	fmt.Fprintf(&b, "\n%d of %d questions reach the goal, %d of them beside the expert with hindsight too; %d draws each.\n\n", reached, len(results), hindsight, draws)
	return b.String()
}

// other is another library's error: "not run" if it was not asked, and empty if it cannot answer the question.
func (r utilityResult) other(library string) string {
	if r.others == nil {
		return "not run"
	}
	if x, ok := r.others[library]; ok {
		return brief(x)
	}
	return ""
}

func brief(x float64) string {
	if math.IsInf(x, 0) {
		return "open"
	}
	if math.Abs(x) >= 1000 {
		return strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// writeUtility replaces a table between its marks in docs/accuracy.md.
func writeUtility(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("..", "docs", "accuracy.md")
	whole, err := os.ReadFile(path)
	must(t, err)
	begin, end := fmt.Sprintf("<!-- %s: made by make utility -->\n", name), fmt.Sprintf("<!-- end of %s -->\n", name)
	before, rest, ok := strings.Cut(string(whole), begin)
	_, after, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s has no marks of %s", path, name)
	}
	must(t, os.WriteFile(path, []byte(before+begin+text+end+after), 0o644))
}
