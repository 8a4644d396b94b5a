package coordinator

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

func sealedFederation(t *testing.T, change func(*Config)) *federation {
	t.Helper()
	f := newFederation(t, change)
	f.propose(t, "sealed", func(d *study.Document) {
		d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 5, Delta: 1e-6}
		d.Sealed = true
	})
	return f
}

func (f *federation) askSealed(t *testing.T, sql string) (*Answer, error) {
	t.Helper()
	return f.Query(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "sealed"}}, nil)
}

// The coordinator adds up what hospitals have covered, and draws no noise. Counts, averages and medians are as in a
// central study. Intervals fit the noise of as many hospitals as have answered.
func TestSealed(t *testing.T) {
	f := sealedFederation(t, nil)
	for sql, want := range map[string][]string{
		bySex:                         {"F 30", "M 15"},
		"SELECT count(*) FROM person": {"45"},
		"SELECT avg(age) IS NOT NULL FROM person": {"true"},
	} {
		a, err := f.askSealed(t, sql)
		if err != nil {
			t.Fatal(sql, err)
		}
		if got := rows(a); !slices.Equal(got, want) || !a.Sealed {
			t.Errorf("%s: %v, sealed %v", sql, got, a.Sealed)
		}
	}
	if len(f.draws) > 0 {
		t.Errorf("the coordinator drew noise: %v", f.draws)
	}
	if a := f.mustAsk(t, bySex); a.Sealed || len(f.draws) == 0 {
		t.Error("a study that is not sealed was answered as one")
	}
}

// Noise is as wide as central noise if all answer, and narrower if a hospital is missing. The interval follows.
func TestSealedIntervals(t *testing.T) {
	width := func(change func(*federation), name string) float64 {
		f := sealedFederation(t, func(c *Config) { c.Require.atLeast = 2 })
		f.propose(t, "central", func(d *study.Document) { d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 5, Delta: 1e-6} })
		change(f)
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: "SELECT count(*) AS n FROM person", Settings: Settings{Study: name, Ask: planner.Ask{Epsilon: 0.2}}}, nil)
		must(t, err)
		e := a.Rows[0][0]
		return e.High.Float64() - e.Low.Float64()
	}
	central, whole := width(func(*federation) {}, "central"), width(func(*federation) {}, "sealed")
	if math.Abs(central-whole) > 2 {
		t.Errorf("the interval is %g wide centrally and %g sealed", central, whole)
	}
	two := width(func(f *federation) { f.hospital("b").refuse["execute"] = errors.New("no") }, "sealed")
	if r := two / whole; math.Abs(r-math.Sqrt(2.0/3)) > 0.03 {
		t.Errorf("with two of three hospitals the interval is %g as wide", r)
	}
}

func TestSealedRefuses(t *testing.T) {
	d := study.Document{Sealed: true, Budget: dp.Budget{Accounting: dp.Pure}}
	if err := d.Validate(); err == nil || !strings.Contains(err.Error(), "`sealed` needs `accounting: zcdp`") {
		t.Errorf("a sealed study of pure accounting: %v", err)
	}
}

// A vector that ends early is not an answer, nor is an answer that is not covered.
func TestSealedShort(t *testing.T) {
	f := sealedFederation(t, nil)
	f.hospital("b").short = true
	_, err := f.askSealed(t, bySex)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeHospitalFailed || len(e.Hospitals) != 1 || e.Hospitals[0].Code != absentAnswer {
		t.Errorf("%v", err)
	}
}

// The same question is stored separately for each protection, and is free within it.
func TestSealedStored(t *testing.T) {
	f := sealedFederation(t, nil)
	first, err := f.askSealed(t, bySex)
	must(t, err)
	second, err := f.askSealed(t, bySex)
	must(t, err)
	if first.Stored || !second.Stored || !second.Sealed || !slices.Equal(rows(first), rows(second)) {
		t.Errorf("%v then %v", first, second)
	}
	for _, sealed := range []bool{false, true} { // never in the other order: a sealed study stays sealed
		f.propose(t, "later", func(d *study.Document) {
			d.Budget, d.Sealed = dp.Budget{Accounting: dp.ZCDP, Epsilon: 5, Delta: 1e-6}, sealed
		})
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "later"}}, nil)
		if err != nil || a.Stored || a.Sealed != sealed {
			t.Errorf("sealed %v: %+v, %v", sealed, a, err)
		}
	}
}

// maskedFederation has hospitals a, b and c. A patient may be at one of them, and two of them are enough for an answer.
func maskedFederation(t *testing.T, change func(*Config)) *federation {
	t.Helper()
	f := openFederation(t, &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}, maxSites: 1}, func(c *Config) {
		c.Sealed.Masks, c.Require.atLeast = true, 2
		if change != nil {
			change(c)
		}
	})
	f.propose(t, "sealed", func(d *study.Document) {
		d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 5, Delta: 1e-6}
		d.Sealed = true
	})
	return f
}

// The masks of the hospitals that answer cancel, also if one was lost before it was done.
func TestMasked(t *testing.T) {
	f := maskedFederation(t, nil)
	a, err := f.askSealed(t, bySex)
	must(t, err)
	if got := rows(a); !slices.Equal(got, []string{"F 30", "M 15"}) || !a.Sealed || len(a.Answered) != 3 {
		t.Errorf("%v of %v", got, a.Answered)
	}
	f.hospital("b").refuse["execute"] = errors.New("no")
	if a, err = f.askSealed(t, "SELECT count(*) FROM person"); err != nil {
		t.Fatal(err)
	}
	if got := rows(a); !slices.Equal(got, []string{"30"}) || len(a.Answered) != 2 || len(a.Missing) != 1 {
		t.Errorf("%v of %v without %v", got, a.Answered, a.Missing)
	}
	if len(f.draws) > 0 {
		t.Errorf("the coordinator drew noise: %v", f.draws)
	}
}

// If numbers would be masked, explain relays the key that each hospital tells, and names the hospitals without a key.
// It does not relay anything that is not a fingerprint. If nothing would be masked, there are no keys.
func TestMaskedExplain(t *testing.T) {
	f := maskedFederation(t, nil)
	f.hospital("a").key, f.hospital("c").key = "00ff"+strings.Repeat(" 12ab", 7), "<b>0000</b> 0000 0000 0000 0000 0000 0000"
	explain := func(name string) (*Explanation, string) {
		settings := Settings{Study: name}
		e, err := f.Explain(t.Context(), asker("alice"), Request{SQL: bySex, Settings: settings})
		must(t, err)
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: "EXPLAIN " + bySex, Settings: settings}, nil)
		must(t, err)
		return e, strings.Join(rows(a), "\n")
	}
	e, text := explain("sealed")
	if want := []HospitalKey{{"a", f.hospital("a").key}, {"b", ""}}; !slices.Equal(e.Keys, want) {
		t.Errorf("the keys are %q, not %q", e.Keys, want)
	}
	if len(e.Problems) != 1 || e.Problems[0].Name != "c" || e.Problems[0].Code != absentAnswer {
		t.Errorf("problems: %+v", e.Problems)
	}
	want := "\nsealed     a " + f.hospital("a").key + "\nsealed     b tells none (an earlier release)\nsealed     The coordinator relays these fingerprints, and could relay wrong ones: "
	if !strings.Contains(text, want) || strings.Contains(text, "<b>") {
		t.Errorf("EXPLAIN says\n%s", text)
	}
	f.hospital("c").key = ""
	if e, text = explain("s"); len(e.Keys) > 0 || strings.Contains(text, "sealed") || strings.Contains(text, "12ab") {
		t.Errorf("unsealed: %q, %s", e.Keys, text)
	}
}

// Once hospitals know of each other, losing one makes the query fail, however many may be missing: a sum whose masks do
// not cancel is never an answer. The charge stays, and nothing remains reserved.
func TestMaskedLost(t *testing.T) {
	f := maskedFederation(t, nil)
	f.hospital("b").refuse["seal"] = errors.New("no")
	_, err := f.askSealed(t, bySex)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeHospitalFailed || len(e.Hospitals) != 1 || e.Hospitals[0].Name != "b" {
		t.Fatalf("%v", err)
	}
	charged, reserved, err := f.ledger.Spent(t.Context(), "study:sealed")
	must(t, err)
	if charged.Rho == 0 || reserved != (dp.Loss{}) {
		t.Errorf("charged %+v, reserved %+v", charged, reserved)
	}
	// It is asked again after a while, and until then left out if the others are enough.
	f.hospital("b").refuse["seal"] = nil
	a, err := f.askSealed(t, bySex)
	if err != nil || len(a.Answered) != 2 || len(a.Missing) != 1 || a.Missing[0].Code != absentLost {
		t.Errorf("asked again at once: %+v, %v", a, err)
	}
	f.Coordinator.now = func() time.Time { return time.Now().Add(61 * time.Second) }
	if a, err := f.askSealed(t, bySex); err != nil || !slices.Equal(rows(a), []string{"F 30", "M 15"}) {
		t.Errorf("asked again: %v, %v", a, err)
	}
}

// A hospital that is lost repeatedly is asked more and more rarely, and no query is paid for meanwhile.
func TestMaskedLostAgain(t *testing.T) {
	f := maskedFederation(t, func(c *Config) { c.Require.atLeast = 3 })
	f.propose(t, "sealed", func(d *study.Document) { d.Expires = time.Now().Add(100 * time.Hour) })
	f.hospital("b").refuse["seal"] = errors.New("no")
	at := time.Now()
	f.Coordinator.now = func() time.Time { return at }
	paid := 0
	for i := range 24 * 60 {
		at = at.Add(time.Minute)
		_, err := f.Query(t.Context(), asker("alice"), Request{SQL: fmt.Sprintf("SELECT count(*) FROM person WHERE age <> %d", i), Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.01}}}, nil)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if e.Charged {
			paid++
		} else if e.Code != CodeHospitalMissing || e.Hospitals[0].Code != absentLost || !strings.Contains(e.Hint, "nothing was charged") {
			t.Fatalf("%v", err)
		}
	}
	if paid < 5 || paid > 11 {
		t.Errorf("%d queries of a day were paid for", paid)
	}
}

// Too few hospitals are done, and one is silent: as in a central study.
func TestMaskedTooFew(t *testing.T) {
	f := maskedFederation(t, nil)
	f.hospital("a").refuse["execute"] = errors.New("no")
	f.hospital("b").refuse["execute"] = errors.New("no")
	_, err := f.askSealed(t, bySex)
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeHospitalFailed || len(e.Hospitals) != 2 {
		t.Errorf("%v", err)
	}
	f = maskedFederation(t, nil)
	f.hospital("c").silent = map[string]bool{"execute": true, actionPing: true}
	a, err := f.askSealed(t, bySex)
	if err != nil || len(a.Answered) != 2 || len(a.Missing) != 1 {
		t.Errorf("with a silent hospital: %+v, %v", a, err)
	}
}

// With masks the interval is that of two honest hospitals: √(3/2) times the central one. Without masks it is √3 times.
func TestMaskedIntervals(t *testing.T) {
	width := func(masks bool) float64 {
		f := maskedFederation(t, func(c *Config) { c.Sealed.Masks = masks })
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: "SELECT count(*) AS n FROM person", Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
		must(t, err)
		e := a.Rows[0][0]
		return e.High.Float64() - e.Low.Float64()
	}
	if r := width(false) / width(true); math.Abs(r-math.Sqrt(2)) > 0.05 {
		t.Errorf("masks make the interval %g times narrower, not √2", r)
	}
}

// Whatever fails and whenever, an answer is the sum of exactly the hospitals that it names. They are at least as many
// as required, and each drew its share for that number. What was charged once a hospital may have run stays charged.
// There are 200 queries, or 10,000 with INTRAMUROS_FULL, with declared groups and without. Hospitals are lost when they
// prepare, compute, name groups or seal, in the middle of their answer, and silently.
func TestMaskedChaos(t *testing.T) {
	queries := 200
	if os.Getenv("INTRAMUROS_FULL") != "" {
		queries = 10_000
	}
	f := maskedFederation(t, func(c *Config) { c.QueryTimeout = 3 * time.Second })
	f.propose(t, "sealed", func(d *study.Document) {
		d.Budget, d.Expires = dp.Budget{Accounting: dp.ZCDP, Epsilon: 1e4, Delta: 0.1}, time.Now().Add(24*time.Hour)
	})
	for _, h := range f.hospitals {
		h.groups = []group{{[]value.Value{value.Text("F")}, 10}, {[]value.Value{value.Text("M")}, 5}}
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // of a test
	outcomes := map[string]int{}
	for i := range queries {
		disturb(f, random)
		before, _, err := f.ledger.Spent(t.Context(), "study:sealed")
		must(t, err)
		sql := fmt.Sprintf("SELECT count(*) FROM person WHERE age <> %d", i)
		named := i%4 == 0
		if named {
			sql = fmt.Sprintf("SELECT city, count(*) FROM person WHERE age <> %d GROUP BY city", i)
		}
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.02, Delta: 1e-8}}}, nil)
		after, reserved, spent := f.ledger.Spent(t.Context(), "study:sealed")
		must(t, spent)
		var e *Error
		switch {
		case err == nil:
			outcomes["answered"]++
			n := int64(len(a.Answered))
			total := int64(0)
			for _, row := range a.Rows {
				total += row[len(row)-1].Value.Int64()
			}
			if total != 15*n || n < 2 || after == before || named && len(a.Rows) != 2 {
				t.Fatalf("%s: %d patients of %v", sql, total, a.Answered)
			}
			for _, name := range a.Answered {
				h := f.hospital(name)
				h.mu.Lock()
				if h.told != len(a.Answered) {
					t.Fatalf("%s drew its share for %d hospitals, and %v answered", name, h.told, a.Answered)
				}
				h.mu.Unlock()
			}
		case !errors.As(err, &e):
			t.Fatal(err)
		case (e.Code == CodeHospitalFailed || e.Code == CodeTimeout) && after != before, e.Code == CodeHospitalRefused && after == before:
			outcomes[string(e.Code)]++
		default:
			t.Fatalf("%v: spent %+v before, %+v after", err, before, after)
		}
		if reserved != (dp.Loss{}) {
			t.Fatalf("%+v is reserved", reserved)
		}
	}
	t.Logf("%v", outcomes)
	if outcomes["answered"] < queries/4 || outcomes[string(CodeHospitalFailed)] < queries/10 || outcomes[string(CodeHospitalRefused)] == 0 {
		t.Errorf("%v", outcomes)
	}
}

// disturb makes each hospital fail at some step of the next query, or not.
func disturb(f *federation, random *rand.Rand) {
	for name, h := range f.hospitals {
		f.Coordinator.losses.forget(name)
		h.mu.Lock()
		h.refuse, h.silent, h.short, h.told = map[string]error{}, nil, false, 0
		switch step := random.IntN(20); step {
		case 0, 1, 2, 3:
			h.refuse[[]string{actionPrepare, "execute", "seal", "names"}[step]] = errors.New("no")
		case 4: // its connection is cut
			h.refuse[[]string{"execute", "seal", "names"}[random.IntN(3)]] = status.Error(codes.Unavailable, "connection reset")
		case 5:
			h.short = true // only half of a vector comes
		case 6:
			if random.IntN(40) == 0 { // takes a second or three
				h.silent = map[string]bool{"execute": true, actionPing: true}
			}
		}
		h.mu.Unlock()
	}
}

const byCity = "SELECT city, count(*) AS n FROM person GROUP BY city"

// Undeclared groups are those that any hospital names, and all hospitals cover all of them: masked or not, and whether
// or not the hospital has the group.
func TestSealedNames(t *testing.T) {
	for _, masks := range []bool{false, true} {
		f := maskedFederation(t, func(c *Config) { c.Sealed.Masks = masks })
		f.hospital("a").groups = []group{{[]value.Value{value.Text("Lyon")}, 7}, {[]value.Value{value.Text("Évry")}, 1}}
		f.hospital("b").groups = []group{{[]value.Value{value.Text("Lyon")}, 5}}
		f.hospital("c").groups = []group{{[]value.Value{value.Null(value.TypeText)}, 20}}
		want := []string{"Lyon 12", "NULL 20", "Évry 1"}
		check := func(what string, want ...string) {
			t.Helper()
			a, err := f.Query(t.Context(), asker("alice"), Request{SQL: byCity, Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
			if err != nil {
				t.Fatalf("masks %v, %s: %v", masks, what, err)
			}
			got := rows(a)
			slices.Sort(got)
			if !slices.Equal(got, want) || !a.Sealed {
				t.Errorf("masks %v, %s: %v", masks, what, got)
			}
			if a.Stored != (what == "stored") {
				t.Errorf("masks %v, %s: stored %v", masks, what, a.Stored)
			}
		}
		check("all answer", want...)
		check("stored", want...)
		f.hospital("b").version = "v2" // it is asked again
		f.members[1].DataVersion = "v2"
		f.hospital("b").refuse["execute"] = errors.New("no")
		check("one is lost before it names", "Lyon 7", "NULL 20", "Évry 1")
		b := f.hospital("b")
		b.become(b.present(), map[string]error{"names": errors.New("no")})
		f.members[1].DataVersion, f.hospital("b").version = "v3", "v3"
		check("one is lost after it named", "Lyon 7", "NULL 20", "Évry 1")
		b.become(b.present(), map[string]error{"seal": errors.New("no")})
		f.members[1].DataVersion, f.hospital("b").version = "v4", "v4"
		if masks { // others have masked for it
			_, err := f.Query(t.Context(), asker("alice"), Request{SQL: byCity, Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeHospitalFailed {
				t.Errorf("one is lost when it seals: %v", err)
			}
		} else {
			check("one is lost at the end", "Lyon 7", "NULL 20", "Évry 1")
		}
		if len(f.draws) > 0 {
			t.Errorf("the coordinator drew noise: %v", f.draws)
		}
		// Nobody names anything.
		f.Coordinator.losses.forget("b")
		for _, name := range []string{"a", "b", "c"} {
			f.hospital(name).become(nil, map[string]error{})
		}
		f.members[1].DataVersion, f.hospital("b").version = "v5", "v5"
		a, err := f.Query(t.Context(), asker("alice"), Request{SQL: byCity, Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
		if err != nil || len(a.Rows) != 0 || !slices.ContainsFunc(a.Warnings, func(w string) bool { return strings.Contains(w, "patients in one hospital on") }) {
			t.Errorf("masks %v: nobody names anything: %v, %v", masks, a, err)
		}
	}
}

// A hospital that names more than can be covered, or something that cannot be a group, is left out like one with an
// invalid answer.
func TestSealedNamesTooMany(t *testing.T) {
	f := maskedFederation(t, func(c *Config) { c.QueryTimeout = 2 * time.Minute })
	for i := range fragment.MaxNamed / 2 {
		for j, name := range []string{"a", "b", "c"} {
			f.hospital(name).groups = append(f.hospital(name).groups, group{[]value.Value{value.Text(fmt.Sprint(i*3 + j))}, 1})
		}
	}
	_, err := f.Query(t.Context(), asker("alice"), Request{SQL: byCity, Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != Code(planner.CodeTooLarge) || !e.Charged {
		t.Errorf("%v", err)
	}
}

// Intervals of sealed answers cover as often as stated: for 2,000 numbers that three hospitals really cover, with and
// without masks.
func TestSealedCoverage(t *testing.T) {
	for _, masks := range []bool{false, true} {
		f := &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}, maxSites: 2}
		f.columns = "      code: {type: int, nullable: false, domain: " + domain(500) + "}\n"
		openFederation(t, f, func(c *Config) { c.Sealed.Masks = masks })
		f.propose(t, "sealed", func(d *study.Document) {
			d.Budget, d.Sealed = dp.Budget{Accounting: dp.ZCDP, Epsilon: 1e3, Delta: 1e-6}, true
		})
		for _, h := range f.hospitals {
			h.real = f.catalog
		}
		held, all := 0, 0
		for i := range 2 {
			a, err := f.Query(t.Context(), asker("alice"), Request{
				SQL:      fmt.Sprintf("SELECT code, sex, count(*) AS n FROM person WHERE age <> %d GROUP BY code, sex", i),
				Settings: Settings{Study: "sealed", Ask: planner.Ask{Epsilon: 0.5}},
			}, nil)
			must(t, err)
			for _, row := range a.Rows {
				const exact = 3 * benchExact
				if e := row[2]; e.Low.Float64() <= exact && exact <= e.High.Float64() {
					held++
				}
				all++
			}
		}
		// 0.95 of 2,000, at most 6 deviations below. Whole numbers make intervals cover slightly more often.
		if share := float64(held) / float64(all); all != 2000 || share < 0.95-6*math.Sqrt(0.95*0.05/2000) || share > 0.99 {
			t.Errorf("masks %v: %d of %d intervals hold the exact number", masks, held, all)
		}
	}
}
