package adversary

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/planner"
)

// hospital is one engine over data: a node.Engine.
type hospital interface {
	Compile(f *fragment.Fragment, p *fragment.Proof) (string, []fragment.Caveat, error)
	Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
	RunCompiled(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error
	Contradictions(ctx context.Context) ([]engine.Finding, error)
}

// opener opens a world in an engine, with the victim or without.
type opener func(t *testing.T, w *world, without bool) hospital

const (
	perWorld = 80
	patience = 20 * time.Second // for one statement
	enduring = 10 * patience    // if only one of two neighbours did not answer
)

// Ways in which a statement ends.
const (
	answer     = "an answer"
	notOffered = "not offered"              // it reads a table that a hospital does not have, or that is refused there
	timedOut   = "its deadline"             // may be caused by the machine's load
	tooLarge   = "too large for the engine" // depends on the fragment alone
)

// secret is the node's secret.
var secret = []byte("the key of the adversary's hospital")

// usual is the seed of ordinary runs, so that they fail only because of a change. Nightly runs draw their own.
const usual = 11

func seed() uint64 {
	if os.Getenv("INTRAMUROS_FULL") != "" {
		return rand.Uint64()
	}
	return usual
}

// number is the value of an environment variable, or the default.
func number[N uint64 | int](t testing.TB, name string, without N) N {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return N(n)
}

// plans are the releases of a statement; none if it is refused.
func plans(c *catalog.Catalog, s statement, maxGroups, maxRows int) []*planner.Plan {
	accounting := []dp.Accounting{dp.ZCDP, dp.Pure}[maxGroups%2] // each has its own norm
	p, err := planner.Compose(planner.Query{SQL: s.String(), Ask: planner.Ask{Epsilon: 1, Delta: 1e-6, MaxGroups: maxGroups, MaxRows: maxRows}},
		planner.Federation{Catalog: c, Hospitals: []string{"h0"}, Accounting: accounting, Digest: "of the test"})
	if err != nil {
		return nil
	}
	return p.Releases
}

// vector is what a hospital computes within a time, by group, or how it ends otherwise. If it adds up rows beside its
// database, the database's SQL must give the same.
func vector(t *testing.T, h hospital, p *planner.Plan, within time.Duration) (map[string][]int64, string) {
	t.Helper()
	text, _, err := h.Compile(p.Fragment, p.Proof)
	if errors.As(err, new(*fragment.Limit)) {
		return nil, tooLarge // before anything is paid
	}
	out, end := outcome(t, p, h.Run, within)
	if err == nil && strings.HasPrefix(text, engine.Streamed) {
		streamed++
		alone, ends := outcome(t, p, h.RunCompiled, within)
		if end != ends && (end == timedOut || ends == timedOut) && within < enduring {
			return vector(t, h, p, enduring) // the machine may have been busy
		}
		if end != ends || !maps.EqualFunc(out, alone, slices.Equal) {
			t.Fatalf("as a stream it ends with %s, in SQL with %s: %v, not %v\n%s", end, ends, out, alone, text)
		}
	}
	return out, end
}

// streamed counts the statements that ran in both ways.
var streamed int

// run is how a hospital runs a fragment.
type run func(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error

// outcome is vector with one way to run a fragment.
func outcome(t *testing.T, p *planner.Plan, run run, within time.Duration) (map[string][]int64, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	out := map[string][]int64{}
	alloc := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer alloc.AssertSize(t, 0)
	err := run(ctx, p.Fragment, p.Proof, alloc, func(r arrow.Record) error {
		return fragment.ReadRecord(p.Fragment, r, func(keys []value.Value, partials []int64) error {
			out[fmt.Sprintf("%q", keys)] = slices.Clone(partials)
			return nil
		})
	})
	var fault *engine.Fault
	switch {
	case errors.Is(err, compile.ErrNotOffered):
		return nil, notOffered
	case errors.Is(err, compile.ErrTooLarge):
		return nil, tooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return nil, timedOut
	case errors.As(err, &fault):
		t.Logf("%.300v", fault.Unwrap()) // it may name something of the engine's, or a value
		return nil, fault.Class()
	case err != nil:
		return nil, err.Error()
	}
	return out, answer
}

// exceeds compares the vectors with and without the victim with what the plan declares; "" if they keep to it.
func exceeds(p *planner.Plan, with, without map[string][]int64) string {
	l1, squares := 0.0, 0.0
	zeros := make([]int64, p.Fragment.Width())
	of := func(m map[string][]int64, k string) []int64 {
		if v, ok := m[k]; ok {
			return v
		}
		return zeros
	}
	keys := map[string]bool{}
	for _, m := range []map[string][]int64{with, without} {
		for k := range m {
			keys[k] = true
		}
	}
	for k := range keys {
		a, b := of(with, k), of(without, k)
		for i, partial := range p.Fragment.Partials {
			x, y := p.Coordinates(i, a[:partial.Width()]), p.Coordinates(i, b[:partial.Width()])
			a, b = a[partial.Width():], b[partial.Width():]
			weight := float64(p.Coordinate(i).Weight)
			for j := range x {
				v := math.Abs(float64(x[j])-float64(y[j])) / float64(p.Coordinate(i).Size)
				l1 += weight * v
				squares += weight * v * v
			}
		}
	}
	if length := map[fragment.Norm]float64{fragment.L1: l1, fragment.L2: squares}[p.Fragment.Norm]; length > float64(p.Noise.Limit)*(1+1e-12) {
		return fmt.Sprintf("the vector changes by a length (%s) of %g, more than %d: %.4g times", p.Fragment.Norm, length, p.Noise.Limit, length/float64(p.Noise.Limit))
	}
	return appears(p, with, without)
}

// appears checks the undeclared groups that only one of the neighbours has. The victim's part in them is not small,
// which bounds their number.
func appears(p *planner.Plan, with, without map[string][]int64) string {
	at := 0
	for i, partial := range p.Fragment.Partials {
		if p.Proof.Selects(p.Fragment, i) {
			for _, pair := range [][2]map[string][]int64{{with, without}, {without, with}} {
				for k, part := range pair[0] {
					if pair[1][k] == nil && part[at]*fragment.LeastPresence < p.Proof.Units[i] {
						return fmt.Sprintf("group %.80s appears for a part of %d of %d", k, part[at], p.Proof.Units[i])
					}
				}
			}
		}
		at += partial.Width()
	}
	return ""
}

// reads lists the tables that relations read.
func reads(relations []fragment.Relation) []string {
	var all []string
	for _, r := range relations {
		all = append(all, readsOf(r.Query)...)
		all = append(all, r.Table)
	}
	return all
}

func readsOf(d *fragment.Query) []string {
	if d == nil {
		return nil
	}
	all := reads(d.Relations)
	for _, arm := range d.Inputs {
		all = append(all, readsOf(arm)...)
	}
	return all
}

// pair is a hospital with and without the victim.
type pair struct {
	world         *world
	with, without hospital
	refused       map[string]bool // tables that are not offered, by Contradictions
}

func openPair(t *testing.T, w *world, open opener) *pair {
	t.Helper()
	p := &pair{w, open(t, w, false), open(t, w, true), map[string]bool{}}
	for _, h := range []hospital{p.with, p.without} {
		found, err := h.Contradictions(context.Background())
		if err != nil {
			t.Fatalf("%v: %v\n%s", err, errors.Unwrap(err), w)
		}
		for _, f := range found {
			if f.Severity == engine.SeverityError {
				p.refused[f.Table] = true
			}
		}
	}
	return p
}

// offered reports whether a plan reads nothing that is refused.
func (p *pair) offered(plan *planner.Plan) bool {
	return !slices.ContainsFunc(reads(plan.Fragment.Relations), func(t string) bool { return p.refused[t] })
}

// difference returns what reveals the victim; "" if nothing does. If only one of the two ran into its deadline, the
// machine may have been busy. Then both are asked again, with enough time for that to pass, and must end alike.
func (p *pair) difference(t *testing.T, plan *planner.Plan) (text, end string) {
	t.Helper()
	with, end := vector(t, p.with, plan, patience)
	without, endWithout := vector(t, p.without, plan, patience)
	if end != endWithout && (end == timedOut || endWithout == timedOut) {
		with, end = vector(t, p.with, plan, enduring)
		without, endWithout = vector(t, p.without, plan, enduring)
	}
	if end != endWithout {
		return fmt.Sprintf("with the victim it ends with %s, without with %s", end, endWithout), end
	}
	if with == nil {
		return "", end
	}
	return exceeds(plan, with, without), end
}

// TestNeighbours checks that leaving out one patient changes a hospital's exact partial aggregates by no more than the
// plan declares, in the norm to which patients are clipped. A statement ends in the same way with the patient as
// without: with an answer, or with the same error.
func TestNeighbours(t *testing.T) {
	for name, open := range openers {
		t.Run(name, func(t *testing.T) { neighbours(t, open(t)) })
	}
}

func neighbours(t *testing.T, open opener) {
	all, seed, n := catalogs(t), number(t, "INTRAMUROS_SEED", seed()), number(t, "INTRAMUROS_TRIPLES", 2000)
	answered, failed, refused, faults, slow, worlds, ranked, centred := 0, 0, 0, 0, 0, 0, 0, 0
	for i := uint64(0); answered < n; i++ {
		if worlds++; worlds > 20+3*n/perWorld {
			t.Fatalf("INTRAMUROS_SEED=%d: of %d worlds, only %d cases were answered: the generator is stale", seed, worlds, answered)
		}
		r := rand.New(rand.NewPCG(seed, i))
		c := all[i%2]
		w := newWorld(r, c)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p := openPair(t, w, open)
			for range min(4*perWorld, n) {
				s := write(r, c, r.IntN(8) == 0)
				maxGroups, maxRows := r.IntN(4), r.IntN(5)
				for _, plan := range plans(c, s, maxGroups, maxRows) {
					if !p.offered(plan) {
						refused++
						continue
					}
					text, end := p.difference(t, plan)
					if text == "" {
						switch end {
						case answer:
							answered++
							for i, partial := range plan.Fragment.Partials {
								switch b := partial.Buckets; {
								case b != nil && b.Levels > 1 && len(plan.Coordinates(i, make([]int64, b.Leaves()))) == b.Leaves():
									ranked++
								case partial.Grid != nil && partial.Grid.Center != 0:
									centred++
								}
							}
						case notOffered, tooLarge:
							refused++
						case timedOut:
							slow++ // in both: the machine may be busy
							t.Logf("%s: %s", end, s)
						default:
							faults++
							t.Logf("%s: %s", end, s)
						}
						continue
					}
					t.Logf("INTRAMUROS_SEED=%d: world %d: %s\n%s", seed, i, text, s) // shrinking takes some time
					s, text, plan = shrink(t, p, c, s, maxGroups, maxRows, text, plan)
					compiled, _, _ := p.with.Compile(plan.Fragment, plan.Proof)
					if len(compiled) > 6000 {
						compiled = compiled[:6000] + "…"
					}
					t.Errorf("INTRAMUROS_SEED=%d: world %d: %s\n%s\n%s\n%s\n%s", seed, i, text, s, plan.Describe(), w, compiled)
					if failed++; failed >= 3 {
						t.FailNow()
					}
				}
			}
		})
		if failed > 0 || t.Failed() {
			break
		}
	}
	if n >= 500 && (ranked < 5 || centred < 5) {
		t.Errorf("%d released ranks, %d sums from the middle of their bounds: the generator is stale", ranked, centred)
	}
	t.Logf("seed %d: %d statements ran both ways, %d numbers were ranks and %d sums from a middle; %d cases in %d worlds answered alike, %d failed alike, %d met their deadline, %d read a table that is not offered", seed, streamed, ranked, centred, answered, worlds, faults, slow, refused)
	if faults > answered/10 {
		t.Errorf("%d statements failed on both neighbours: expressions are not total", faults)
	}
}

// shrink removes parts of a statement as long as it still reveals the victim.
func shrink(t *testing.T, p *pair, c *catalog.Catalog, s statement, maxGroups, maxRows int, text string, plan *planner.Plan) (statement, string, *planner.Plan) {
	t.Helper()
	attempt := func(smaller statement) bool {
		for _, q := range plans(c, smaller, maxGroups, maxRows) {
			if !p.offered(q) {
				continue
			}
			if d, _ := p.difference(t, q); d != "" {
				s, text, plan = smaller, d, q
				return true
			}
		}
		return false
	}
	for again := true; again; {
		again = false
		if s.where != "" {
			smaller := s
			smaller.where = ""
			again = attempt(smaller)
		}
		for i := 0; i < len(s.items) && len(s.items) > 1; i++ {
			smaller := s
			smaller.items = slices.Delete(slices.Clone(s.items), i, i+1)
			again = attempt(smaller) || again
		}
		for i := range s.keys {
			smaller := s
			smaller.keys = slices.Delete(slices.Clone(s.keys), i, i+1)
			if attempt(smaller) {
				again = true
				break
			}
		}
	}
	return s, text, plan
}
