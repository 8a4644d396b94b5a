package planner

import (
	"cmp"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/overlap"
	"github.com/intramuros/intramuros/planner/scalar"
)

// cellsOf are a program's cells over these patients, with all groups declared. They have noise if r is not nil.
func cellsOf(t *testing.T, p *Program, patients []map[string]value.Value, r *rand.Rand) (cells [][]Cell) {
	t.Helper()
	for _, release := range p.Releases {
		groups := [][]value.Value{{}}
		for _, k := range release.Fragment.Keys {
			var next [][]value.Value
			for _, g := range groups {
				for _, v := range k.Domain {
					next = append(next, append(append([]value.Value{}, g...), v))
				}
			}
			groups = next
		}
		var all []Cell
		for _, keys := range groups {
			var members []map[string]value.Value
			for _, row := range patients {
				in := true
				for i, k := range release.Fragment.Keys {
					v := expr.Evaluate(k.Expr, func(c *expr.Expr) value.Value { return row[c.Column] })
					in = in && value.Compare(v, keys[i]) == 0
				}
				if in {
					members = append(members, row)
				}
			}
			cell := Cell{Keys: keys, Noisy: partialsOf(release, members)}
			for i, at := range release.places {
				for k := range cell.Noisy[at.start:at.end] {
					if r != nil {
						cell.Noisy[at.start+k] += int64(math.Round(release.noise[i].Quantile(math.Max(r.Float64(), 1e-15))))
					}
				}
			}
			all = append(all, cell)
		}
		r := rand.New(rand.NewPCG(1, 2))
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		cells = append(cells, all)
	}
	return cells
}

const grouped = "FROM patient WHERE gender IN ('Male', 'Female', 'Other') AND unittype IN ('MICU', 'SICU', 'CSICU', 'CTICU')"

// ofUnits are patients with values of both keys.
func ofUnits(n int) []map[string]value.Value {
	patients := somePatients(n)
	r := rand.New(rand.NewPCG(uint64(n), 3))
	for _, row := range patients {
		row["gender"] = value.Text([]string{"Male", "Female", "Female", "Other"}[r.IntN(4)])
		row["unittype"] = value.Text([]string{"MICU", "SICU", "SICU", "SICU", "CSICU", "CTICU"}[r.IntN(6)])
		if r.IntN(3) == 0 {
			row["admissionheight"] = value.Null(value.TypeFloat)
		}
	}
	return patients
}

// composed plans over a catalog in which each patient has one stay.
func composed(t *testing.T, sql string, epsilon float64) *Program {
	t.Helper()
	fed := federation(t, "eicu")
	for _, table := range fed.Catalog.Tables {
		table.OneRowPerPatient = table.OneRowPerPatient || table.Name == "patient"
	}
	p, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: epsilon, Delta: 1e-6}}, fed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTotalsAgreeWithTheirGroups checks that counts and sums of ROLLUP add up in every answer, also if they would be
// below 0.
func TestTotalsAgreeWithTheirGroups(t *testing.T) {
	for _, keys := range []string{"ROLLUP (gender, unittype)", "GROUPING SETS ((gender), (unittype), ())", "GROUPING SETS ((gender), (unittype))", "CUBE (gender, unittype)"} {
		p := composed(t, "SELECT gender, unittype, COUNT(*) AS n, COUNT(admissionheight) AS measured, SUM(CASE WHEN admissionweight > 80 THEN 1 ELSE 0 END) AS heavy, AVG(admissionweight) AS mean "+grouped+" GROUP BY "+keys, 0.7)
		r := rand.New(rand.NewPCG(8, 0))
		for _, size := range []int{20, 500} {
			patients := ofUnits(size)
			for range 20 {
				a, err := p.Finish(cellsOf(t, p, patients, r), 0.95)
				if err != nil {
					t.Fatal(err)
				}
				for column := 2; column <= 4; column++ {
					sums := map[string]float64{}
					for _, row := range a.Rows {
						level := ""
						for i, name := range []string{"gender ", "unittype "} {
							if !row[i].Value.IsNull() {
								level += name
							}
						}
						v := row[column].Value.Float64()
						if v < 0 || row[column].Low.Float64() > v || row[column].High.Float64() < v {
							t.Fatalf("%s: %v", keys, row)
						}
						sums[level] += v
						if level == "gender unittype " && strings.HasPrefix(keys, "ROLLUP") {
							sums["of "+row[0].Value.Str()] += v
						} else if level == "gender " {
							sums["is "+row[0].Value.Str()] += v
						}
					}
					for level, sum := range sums {
						if rest, ok := strings.CutPrefix(level, "of "); ok {
							if sum != sums["is "+rest] {
								t.Fatalf("%s: %s sums to %v and is %v", keys, rest, sum, sums["is "+rest])
							}
						} else if !strings.HasPrefix(level, "is ") && sum != sums["gender "] {
							t.Fatalf("%s: %q sums to %v, gender to %v", keys, level, sum, sums["gender "])
						}
					}
				}
			}
		}
	}
}

// TestReconciledIntervalsCover checks that intervals of least-squares estimates cover with their confidence: of totals,
// groups and numbers computed from both. They must be narrower than those of the released numbers.
func TestReconciledIntervalsCover(t *testing.T) {
	const draws = 150
	floor := 0.95 - 6*math.Sqrt(0.95*0.05/(draws*3))
	for _, sql := range []string{
		"SELECT gender, unittype, COUNT(*) AS n, AVG(admissionweight) AS mean, SUM(admissionweight) AS kg, STDDEV_POP(admissionweight) AS s, 100.0 * COUNT(admissionheight) / COUNT(*) AS p " + grouped + " GROUP BY ROLLUP (gender, unittype)",
		"SELECT gender, COUNT(*) AS n, 100.0 * COUNT(*) / (SELECT COUNT(*) " + grouped + ") AS percent, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS again " + grouped + " GROUP BY gender ORDER BY gender",
		"SELECT gender, unittype, COUNT(DISTINCT patient) AS n " + grouped + " GROUP BY CUBE (gender, unittype)",
	} {
		p := composed(t, sql, 1)
		patients := ofUnits(600)
		exact, err := composed(t, sql, 1e6).Finish(cellsOf(t, composed(t, sql, 1e6), patients, nil), 0.95)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(9, 0))
		held, total := map[string]int{}, map[string]int{}
		for range draws {
			a, err := p.Finish(cellsOf(t, p, patients, r), 0.95)
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range a.Rows {
				for k, e := range row {
					if !a.Columns[k].Noisy {
						continue
					}
					name, truth := a.Columns[k].Name, exact.Rows[i][k].Value.Float64()
					slack := 1e-6 * (1 + math.Abs(truth))
					total[name]++
					if (e.Low.IsNull() || e.Low.Float64() <= truth+slack) && (e.High.IsNull() || e.High.Float64() >= truth-slack) {
						held[name]++
					}
				}
			}
		}
		for name, n := range total {
			most := 0.985 // ends of whole numbers are rounded outward, and some percentages are of small numbers
			if name == "s" || strings.Contains(sql, "CUBE") {
				most = 1 // small spreads are bounded part by part; half of a cube's noise is on two patients
			}
			if got := float64(held[name]) / float64(n); got < floor || got > most {
				t.Errorf("%s: %s: %.3f of the intervals cover, want %.3f to %.3f", sql, name, got, floor, most)
			} else {
				t.Logf("%s: %.3f", name, got)
			}
		}
		a, err := p.Finish(cellsOf(t, p, patients, r), 0.95)
		if err != nil {
			t.Fatal(err)
		}
		wide, released := 0.0, 0.0
		for _, row := range a.Rows {
			for k, c := range a.Columns {
				if c.Name == "n" {
					wide += row[k].High.Float64() - row[k].Low.Float64()
					released += 2 * p.Releases[0].noise[0].HalfWidth(0.95)
				}
			}
		}
		if len(p.Releases) > 2 && wide > 0.9*released {
			t.Errorf("%s: intervals are %.2f times as wide as those of the numbers as released", sql, wide/released)
		} else {
			t.Logf("%.2f times as wide", wide/released)
		}
	}
}

// TestSharesOfTotalsLieWithin checks that intervals of percentages of a total, by a window or a scalar subquery, end at
// 0 and 100.
func TestSharesOfTotalsLieWithin(t *testing.T) {
	p := composed(t, "SELECT gender, 100.0 * COUNT(*) / (SELECT COUNT(*) "+grouped+") AS percent, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS again, 1.0 * COUNT(admissionheight) / SUM(COUNT(*)) OVER () AS part "+grouped+" GROUP BY gender", 0.5)
	r := rand.New(rand.NewPCG(10, 0))
	ends := map[float64]int{}
	for range 100 {
		a, err := p.Finish(cellsOf(t, p, ofUnits(150), r), 0.95)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range a.Rows {
			for i, most := range []float64{100, 100, 1} {
				e := row[1+i]
				if e.Value.Float64() < 0 || e.Value.Float64() > most || e.Low.IsNull() || e.High.IsNull() || e.Low.Float64() < 0 || e.High.Float64() > most {
					t.Fatalf("%s is %v", p.Columns[1+i].Name, e)
				}
				ends[e.Low.Float64()]++
			}
		}
	}
	if ends[0] == 0 {
		t.Error("no interval was cut at 0: the numbers are too large to show it")
	}
}

// TestFamiliesThroughDerivedTables checks that releases of the same rows are recognised whatever columns a derived
// table has for each. Releases of other rows are not.
func TestFamiliesThroughDerivedTables(t *testing.T) {
	for sql, same := range map[string]bool{
		"SELECT sex, COUNT(*) AS n FROM (SELECT uniquepid, gender AS sex, admissionweight AS w FROM patient WHERE gender IN ('Male', 'Female')) p GROUP BY ROLLUP (sex)":                   true,
		"WITH x AS (SELECT uniquepid, CASE WHEN admissionweight > 80 THEN 'heavy' ELSE 'light' END AS w, gender FROM patient) SELECT w, gender, COUNT(*) FROM x GROUP BY CUBE (w, gender)": true,
		"SELECT many, COUNT(*) FROM (SELECT uniquepid, COUNT(*) > 2 AS many, MAX(admissionheight) > 150 AS tall FROM patient GROUP BY uniquepid) g GROUP BY ROLLUP (many)":                 true,
		"SELECT gender, COUNT(*), (SELECT COUNT(*) FROM patient WHERE admissionheight > 150) FROM patient WHERE gender IN ('Male', 'Female') GROUP BY gender":                              false,
		"SELECT COUNT(*), (SELECT COUNT(*) FROM (SELECT uniquepid, gender = 'Male' AS c FROM patient) p WHERE c) FROM (SELECT uniquepid, gender = 'Female' AS c FROM patient) p WHERE c":   false,
		"SELECT COUNT(x), (SELECT COUNT(x) FROM (SELECT uniquepid, admissionheight AS x FROM patient) p) FROM (SELECT uniquepid, admissionweight AS x FROM patient) p":                     false,
	} {
		p := composed(t, sql, 1)
		first := p.Releases[0]
		for _, other := range p.Releases[1:] {
			rows := overlap.Rows(first.Fragment) == overlap.Rows(other.Fragment)
			of := rows && scalar.Canonical(overlap.Inlined(cmp.Or(first.Fragment.Partials[0].Expr, first.Fragment.Patient), first.Fragment.Relations)) == scalar.Canonical(overlap.Inlined(cmp.Or(other.Fragment.Partials[0].Expr, other.Fragment.Patient), other.Fragment.Relations))
			if of != same {
				t.Errorf("%s: the same %v, want %v\n%s\n%s", sql, of, same, overlap.Rows(first.Fragment), overlap.Rows(other.Fragment))
			}
		}
	}
}

// TestContradictionsStand checks that nothing is changed if a total has patients who are in no declared group, and that
// the answer says so.
func TestContradictionsStand(t *testing.T) {
	p := composed(t, "SELECT gender, COUNT(*) AS n "+grouped+" GROUP BY ROLLUP (gender)", 1)
	cells := cellsOf(t, p, ofUnits(100), nil)
	for i, release := range p.Releases {
		if len(release.Fragment.Keys) == 0 {
			cells[i][0].Noisy[0] += 500
		}
	}
	a, err := p.Finish(cells, 0.95)
	if err != nil || len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "differ by more than noise explains") {
		t.Fatal(a.Notes, err)
	}
	if n := a.Rows[len(a.Rows)-1][1].Value.Float64(); n != 600 {
		t.Errorf("the total is %v", n)
	}
}
