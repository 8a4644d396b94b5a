package integration

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/planner"
)

// All values lie within bounds and domains, so that plain DuckDB reads the same.
var differentialCatalog = testcatalog.YAML(`catalog: differential
max_groups: 5
max_rows: 5`,
	testcatalog.Person(
		"born: {type: int, bounds: [1920, 2020]}",
		"sex: {type: text, domain: [f, m]}",
		"died: {type: date, bounds: [2019-01-01, 2023-12-31]}",
	),
	testcatalog.Keyed("visit",
		"kind: {type: int, nullable: false, bounds: [1, 4]}",
		"began: {type: date, nullable: false, bounds: [2019-01-01, 2023-12-31]}",
		"ended: {type: date, bounds: [2019-01-01, 2023-12-31]}",
	),
	testcatalog.Keyed("drug",
		"code: {type: int, bounds: [1, 9], references: code.code}",
		"days: {type: int, bounds: [0, 60]}",
		"began: {type: date, bounds: [2019-01-01, 2023-12-31]}",
		"unit: {type: text}",
	),
	`  lab:
    key: lab
    patient: visit
    columns:
      lab: {type: int, nullable: false}
      visit: {type: int, nullable: false, references: visit.visit}
      code: {type: int, nullable: false, bounds: [1, 9], references: code.code}
      x: {type: float, bounds: [-50, 250]}
`,
	`  code:
    public: true
    key: code
    columns:
      code: {type: int, nullable: false, bounds: [1, 9]}
      label: {type: text, nullable: false}
      level: {type: int, bounds: [1, 3]}
`,
)

// randomPairing fills the tables of one to five hospitals. A few patients are at two.
func randomPairing(t testing.TB, r *rand.Rand) *pairing {
	t.Helper()
	c := testcatalog.Parse(t, differentialCatalog)
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	day := func() string { return fmt.Sprintf("DATE '2020-01-01' + %d", r.IntN(700)-100) }
	db := newOracle(t)
	root, folders := t.TempDir(), map[string]string{}
	next := 0
	for h := range 1 + r.IntN(5) {
		name := fmt.Sprintf("h%d", h)
		folders[name] = filepath.Join(root, name)
		if err := os.Mkdir(folders[name], 0o700); err != nil {
			t.Fatal(err)
		}
		var person, visit, drug, lab []string
		id := func() int { next++; return next }
		for i := range 3 + r.IntN(10) {
			p := 10*h + i // the last of a hospital may be the first of the next
			person = append(person, fmt.Sprintf("(%d, %s, %s, %s)", p, pick("1950", "1950", "1985", "2003", "NULL"), pick("'f'", "'m'", "NULL"), pick("NULL", "NULL", day())))
			for range r.IntN(5) {
				v := id()
				began := r.IntN(700) - 100
				if r.IntN(3) == 0 {
					began = 59 // many on the same day
				}
				visit = append(visit, fmt.Sprintf("(%d, %d, %d, DATE '2020-01-01' + %d, %s)", v, p, 1+r.IntN(4), began, pick("NULL", fmt.Sprintf("DATE '2020-01-01' + %d", began+r.IntN(20)))))
				for range r.IntN(4) {
					lab = append(lab, fmt.Sprintf("(%d, %d, %d, %s)", id(), v, 1+r.IntN(9), pick("NULL", "1.5", "20.0", "-3.5", "249.5", "0.0")))
				}
			}
			for range r.IntN(4) {
				drug = append(drug, fmt.Sprintf("(%d, %d, %s, %s, %s, %s)", id(), p, pick("1", "2", "7", "9", "NULL"), pick("0", "7", "30", "60", "NULL"), pick(day(), "DATE '2020-03-01'", "NULL"), pick("'a'", "'b'", "'ab'", "''", "'It''s'", "'é'", "NULL")))
			}
		}
		for _, x := range []struct {
			table, columns string
			rows           []string
		}{
			{"person", "id INTEGER, born INTEGER, sex VARCHAR, died DATE", person},
			{"visit", "visit INTEGER, id INTEGER, kind SMALLINT, began DATE, ended DATE", visit},
			{"drug", "drug INTEGER, id INTEGER, code INTEGER, days INTEGER, began DATE, unit VARCHAR", drug},
			{"lab", "lab INTEGER, visit INTEGER, code INTEGER, x DOUBLE", lab},
			{"code", "code INTEGER, label VARCHAR, level INTEGER", []string{"(1, 'one', 1)", "(2, 'two', NULL)", "(7, 'a', 2)", "(9, 'nine', 3)"}},
		} {
			db.do(fmt.Sprintf("CREATE OR REPLACE TABLE x (%s)", x.columns))
			if len(x.rows) > 0 {
				db.do("INSERT INTO x VALUES " + strings.Join(x.rows, ", "))
			}
			db.do(fmt.Sprintf("COPY x TO '%s'", filepath.Join(folders[name], x.table+".parquet")))
		}
	}
	return openPairing(t, c, folders)
}

// outcome is that of one random query.
type outcome struct {
	text    string
	refused string // the planner's code and text without the position, or why the union does not run it
	comparison
}

// trial writes the query of a tape and asks it in both ways.
func trial(t *testing.T, p *pairing, choices []byte) (o outcome) {
	g := &generator{tape: tape{bytes: choices}}
	text, ordered := g.statement()
	o.text = text
	defer func() {
		if r := recover(); r != nil {
			o.difference = fmt.Sprintf("panic: %v", r)
		}
	}()
	slow := time.AfterFunc(5*time.Second, func() { fmt.Fprintln(os.Stderr, "slow: "+text) })
	defer slow.Stop()
	program, err := p.compose(text)
	var refused *planner.Error
	switch {
	case errors.As(err, &refused):
		o.refused = string(refused.Code) + ": " + refused.Message
		return o
	case err != nil:
		o.difference = err.Error()
		return o
	}
	want, err := p.want(text)
	if err != nil {
		o.difference = "the union does not run it: " + err.Error()
		return o
	}
	o.comparison = p.compare(program, p.answer(t, program), want, ordered)
	return o
}

// shrink cuts the tape as long as the query still differs.
func shrink(t *testing.T, p *pairing, choices []byte) outcome {
	best := trial(t, p, choices)
	deadline := time.Now().Add(20 * time.Second)
	for size := max(1, len(choices)/2); time.Now().Before(deadline); {
		smaller := false
		for at := 0; at < len(choices) && time.Now().Before(deadline); {
			cut := slices.Concat(choices[:at], choices[min(len(choices), at+size):])
			zeroed := slices.Clone(choices)
			clear(zeroed[at:min(len(zeroed), at+size)])
			found := false
			for _, candidate := range [][]byte{cut, zeroed} {
				if bytes.Equal(candidate, choices) {
					continue
				}
				if o := trial(t, p, candidate); o.difference != "" && len(o.text) < len(best.text) {
					best, choices, found, smaller = o, candidate, true, true
					break
				}
			}
			if !found {
				at += size
			}
		}
		if size == 1 && !smaller {
			break
		}
		size = max(1, size/2)
	}
	return best
}

// TestDifferential asks random queries of random tables: 1 to 5 hospitals must answer like one database. make test asks
// some hundred, and make test-full many thousand.
func TestDifferential(t *testing.T) {
	worlds, queries, enough := 6, 80, 300
	if os.Getenv("INTRAMUROS_FULL") != "" {
		worlds, queries, enough = 60, 500, 15_000
	}
	seed := rand.Uint64()
	if text := os.Getenv("INTRAMUROS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	compared, substance, refusals := 0, 0, map[string]int{}
	for i := range worlds {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			p := randomPairing(t, r)
			failures := 0
			for range queries {
				choices := make([]byte, 200)
				for k := range choices {
					choices[k] = byte(r.IntN(256))
				}
				o := trial(t, p, choices)
				switch {
				case o.difference != "":
					if failures++; failures > 3 {
						t.Fatal("and more")
					}
					small := shrink(t, p, choices)
					t.Errorf("repeat with INTRAMUROS_SEED=%d; %d hospitals; tape %s\n%s\n%s\nfrom\n%s", seed, len(p.hospitals), hex.EncodeToString(choices), small.text, small.difference, o.text)
				case o.refused != "":
					refusals[o.refused]++
				default:
					compared++
					if o.substance {
						substance++
					}
				}
			}
		})
	}
	if compared < enough || substance < compared/4 {
		t.Errorf("only %d queries were compared, %d of them with numbers other than 0: the generator is stale", compared, substance)
	}
	t.Logf("%d queries compared, %d with numbers other than 0", compared, substance)
	if testing.Verbose() {
		reasons := slices.SortedFunc(maps.Keys(refusals), func(a, b string) int { return refusals[b] - refusals[a] })
		for _, r := range reasons[:min(len(reasons), 30)] {
			t.Logf("%4d refused: %s", refusals[r], r)
		}
	}
}

// FuzzDifferential lets the fuzzer write the tape; make fuzz runs it. The tables are always the same.
func FuzzDifferential(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		choices := make([]byte, 200)
		for k := range choices {
			choices[k] = byte(r.IntN(256))
		}
		f.Add(choices)
	}
	p := randomPairing(f, rand.New(rand.NewPCG(3, 4)))
	f.Fuzz(func(t *testing.T, choices []byte) {
		if o := trial(t, p, choices); o.difference != "" {
			t.Errorf("%s\n%s", o.text, o.difference)
		}
	})
}
