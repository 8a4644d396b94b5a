package coordinator

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
)

// benchExact is each hospital's number of patients in each group.
const benchExact = 10

// computes is how long the hospital's database takes.
func (h *hospital) computes() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.took
}

// crew lets a few hospitals compute at a time, because one machine does the work of all. With 100,000 groups each takes
// tens of megabytes.
var crew = make(chan struct{}, 8)

func atWork() (rest func()) {
	crew <- struct{}{}
	return func() { <-crew }
}

// record is the answer of a hospital that has patients in each group.
func (h *hospital) record(r *fragment.Request) arrow.Record {
	b := array.NewRecordBuilder(memory.NewGoAllocator(), r.Fragment.Schema())
	defer b.Release()
	partials := slices.Repeat([]int64{benchExact}, r.Fragment.Width())
	for _, keys := range r.Fragment.Groups() {
		fragment.AppendRow(b, keys, partials)
	}
	return b.NewRecord()
}

func (h *hospital) sendExact(r *fragment.Request, stream flight.DataStreamWriter) error {
	defer atWork()()
	w := flight.NewRecordWriter(stream, ipc.WithSchema(r.Fragment.Schema()))
	defer w.Close()
	record := h.record(r)
	defer record.Release()
	return w.Write(record)
}

// compute returns the numbers, covered for that many hospitals.
func (h *hospital) compute(ctx context.Context, r *fragment.Request, hospitals int) ([]int64, error) {
	defer atWork()()
	exact := fragment.NewDense(&r.Fragment)
	if err := exact.Add(h.record(r)); err != nil {
		return nil, err
	}
	proof, err := fragment.Check(&r.Fragment, h.real)
	if err != nil {
		return nil, err
	}
	shares, err := r.Fragment.Shares(*r.Cover, hospitals, r.Noise, proof)
	if err != nil {
		return nil, err
	}
	return exact.Covered(ctx, shares)
}

// coverReally does what a node does with its record if nothing is masked.
func (h *hospital) coverReally(r *fragment.Request, stream flight.FlightService_DoGetServer) error {
	ticks := grid.Ticks{Grid: grid.Default, Started: time.Now(), Timeout: time.Minute}
	vector, err := h.compute(stream.Context(), r, 1)
	if err != nil {
		return err
	}
	if err := ticks.Wait(stream.Context(), ticks.Next(0)); err != nil {
		return err
	}
	return sendVector(vector, stream)
}

// sealReally does what a node does with its record: ticks, shares of noise, signatures and masks.
func (h *hospital) sealReally(r *fragment.Request, stream flight.FlightService_DoExchangeServer) error {
	ctx := stream.Context()
	ticks := grid.Ticks{Grid: grid.Default, Started: time.Now(), Timeout: time.Minute}
	time.Sleep(h.computes())
	vector, err := h.compute(ctx, r, len(r.Cover.Among)) // for all that are asked; here all answer
	if err != nil {
		return err
	}
	key, err := seal.NewKey()
	if err != nil {
		return err
	}
	// one key for all: checking pinned keys is not timed
	signer := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	request := seal.Request{Federation: "test", Study: r.Study, Query: r.Query, Digest: r.Digest()}
	own, err := json.Marshal(request.Member(h.name, key, signer))
	if err != nil {
		return err
	}
	if err := ticks.Wait(ctx, ticks.Next(0)); err != nil {
		return err
	}
	if err := stream.Send(&flight.FlightData{AppMetadata: own}); err != nil {
		return err
	}
	told, err := stream.Recv()
	if err != nil {
		return err
	}
	members, err := seal.ParseMembers(told.AppMetadata)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Name == h.name {
			continue
		}
		if err := request.Verify(m, signer.Public().(ed25519.PublicKey)); err != nil {
			return err
		}
	}
	if err := request.Mask(vector, h.name, key, members); err != nil {
		return err
	}
	h.mu.Lock()
	h.sent = slices.Clone(vector) // what a coordinator may keep
	h.mu.Unlock()
	return sendVector(vector, stream)
}

func domain(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// TestBenchSealed times sealed and central answers in one run and compares their errors. It uses 3, 10 and 186
// hospitals, and vectors of 1, 1,000 and 100,000 numbers. All hospitals are in this process. Each has its ticks, its
// noise and its masks, over real TLS, and answers leave the coordinator at its own ticks. If the databases take no
// time, a tick and a round trip take most of the time. A database that computes takes 50 ms, as one with a million rows
// does. With 186 hospitals, the machine does the work of all 186. BenchmarkSeal of internal/seal measures the work of
// one. INTRAMUROS_FULL also asks 186 hospitals for 100,000 numbers, sealed only. To run a single row: -run
// 'TestBenchSealed/10_hospitals/1_numbers,_0s'.
func TestBenchSealed(t *testing.T) {
	if os.Getenv("INTRAMUROS_BENCH") == "" {
		t.Skip("INTRAMUROS_BENCH is not set: the benchmark takes minutes")
	}
	fmt.Printf("\n%-9s %-7s %-8s %11s %11s %5s %8s %8s %12s %16s\n", "hospitals", "numbers", "database", "central", "sealed", "ratio", "claimed", "measured", "bytes a node", "and central")
	for _, hospitals := range []int{3, 10, 186} {
		t.Run(fmt.Sprintf("%d hospitals", hospitals), func(t *testing.T) {
			f := benchFederation(t, hospitals)
			connect := Request{SQL: "SELECT count(*) AS n FROM person", Settings: Settings{Study: "central", Ask: planner.Ask{Epsilon: 0.1}}}
			for try := 1; ; try++ { // all connect at once on one machine
				if _, err := f.Query(t.Context(), asker("alice"), connect, nil); err == nil {
					break
				} else if try == 20 {
					t.Fatal(err)
				}
			}
			for _, q := range []benchQuestion{
				{1, 21, 0, "SELECT count(*) AS n FROM person WHERE age <> %d"},
				{1, 21, 50 * time.Millisecond, "SELECT count(*) AS n FROM person WHERE age <> %d"},
				{1_000, 9, 50 * time.Millisecond, "SELECT code, sex, count(*) AS n FROM person WHERE age <> %d GROUP BY code, sex"},
				{100_000, 1, 50 * time.Millisecond, "SELECT code, place, sex, count(*) AS n FROM person WHERE age <> %d GROUP BY code, place, sex"},
			} {
				t.Run(fmt.Sprintf("%d numbers, %v", q.numbers, q.computes), func(t *testing.T) {
					if hospitals*q.numbers > 2_000_000 && os.Getenv("INTRAMUROS_FULL") == "" {
						t.Skip("INTRAMUROS_FULL is not set: all hospitals' work on one machine takes minutes")
					}
					f.benchSealed(t, q)
				})
			}
		})
	}
	fmt.Println()
}

type benchQuestion struct {
	numbers, runs int
	computes      time.Duration // how long the hospitals' databases take
	sql           string
}

func (f *federation) benchSealed(t *testing.T, q benchQuestion) {
	t.Helper()
	hospitals := len(f.hospitals)
	if hospitals > 100 {
		q.runs = min(q.runs, 3)
	}
	// A central answer would keep the groups of all sending hospitals in memory: more than 7 GB here.
	alone := hospitals*q.numbers > 2_000_000
	for _, h := range f.hospitals {
		h.mu.Lock()
		h.took = q.computes
		h.mu.Unlock()
	}
	var took [2][]time.Duration
	var squares [2]float64
	var travelled [2]int64
	for i := range q.runs {
		for s, id := range []string{"central", "sealed"} {
			if s == 0 && alone {
				took[s] = append(took[s], 0)
				continue
			}
			before := f.travelled.of.Load()
			began := time.Now()
			a, err := f.Query(t.Context(), asker("alice"), Request{SQL: fmt.Sprintf(q.sql, i+1000*q.numbers+int(q.computes)), Settings: Settings{Study: id, Ask: planner.Ask{Epsilon: 0.1}}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			took[s] = append(took[s], time.Since(began))
			travelled[s] = f.travelled.of.Load() - before
			if a.Sealed != (s == 1) || len(a.Answered) != hospitals || len(a.Rows) != q.numbers {
				t.Fatalf("%d rows of %d hospitals, sealed %v", len(a.Rows), len(a.Answered), a.Sealed)
			}
			for _, row := range a.Rows {
				x := float64(row[len(row)-1].Value.Int64() - int64(benchExact*hospitals))
				squares[s] += x * x
			}
		}
	}
	for s := range took {
		slices.Sort(took[s])
	}
	central, sealed := took[0][q.runs/2], took[1][q.runs/2]
	measured := "-"
	if q.numbers > 1 && !alone {
		measured = fmt.Sprintf("%.3f", math.Sqrt(squares[1]/squares[0]))
	}
	claimed := f.claimedError(t, fmt.Sprintf(q.sql, 1))
	times := fmt.Sprintf("%8.1f ms %8.1f ms %5.2f", 1000*central.Seconds(), 1000*sealed.Seconds(), sealed.Seconds()/central.Seconds())
	if alone {
		times = fmt.Sprintf("%11s %8.1f ms %5s", "-", 1000*sealed.Seconds(), "-")
	}
	fmt.Printf("%-9d %-7d %-8v %s %8.3f %8s %12d %16d\n", hospitals, q.numbers, q.computes, times, claimed, measured,
		travelled[1]/int64(hospitals), travelled[0]/int64(hospitals))
	if ratio := sealed.Seconds() / central.Seconds(); hospitals == 10 && q.computes > 0 && q.runs > 1 && ratio > 2 {
		t.Errorf("sealed takes %g times as long as central", ratio)
	}
	if claimed > 1.23 {
		t.Errorf("the error is %g times the central one", claimed)
	}
}

// claimedError is how much larger than centrally the error is, according to the plan.
func (f *federation) claimedError(t *testing.T, sql string) float64 {
	t.Helper()
	p, err := planner.Build(planner.Query{SQL: sql, Ask: planner.Ask{Epsilon: 0.1}},
		planner.Federation{Catalog: f.catalog, Hospitals: f.config.Hospitals, Accounting: dp.ZCDP, Covered: true, Masked: true})
	if err != nil {
		t.Fatal(err)
	}
	hospitals := len(f.hospitals)
	shares, err := p.Shares(hospitals)
	if err != nil {
		t.Fatal(err)
	}
	return shares[0].Total(hospitals).Scale / p.Noise.Distribution(p.Coordinate(0)).Scale
}

func benchFederation(t *testing.T, hospitals int) *federation {
	t.Helper()
	f := &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}, maxSites: 2}
	f.columns = "      code: {type: int, nullable: false, domain: " + domain(500) + "}\n      place: {type: int, nullable: false, domain: " + domain(100) + "}\n"
	openFederation(t, f, func(c *Config) {
		c.Sealed.Masks, c.Hospitals, c.QueryTimeout, c.PrepareTimeout, c.AnswerGrid = true, nil, 30*time.Minute, 10*time.Minute, grid.Default
		for i := range hospitals {
			c.Hospitals = append(c.Hospitals, fmt.Sprintf("h%03d", i))
		}
	})
	f.Coordinator.noise = drawn
	for _, id := range []string{"central", "sealed"} {
		f.propose(t, id, func(d *study.Document) {
			d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 1e3, Delta: 1e-6}
			d.Sealed = id == "sealed"
		})
	}
	for _, h := range f.hospitals {
		h.real = f.catalog
	}
	return f
}

// traffic counts the bytes of the hospitals' connections in both directions, with those of TLS.
type traffic struct{ of atomic.Int64 }

type countedListener struct {
	net.Listener
	all *traffic
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.all}, err
}

type countedConn struct {
	net.Conn
	all *traffic
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.all.of.Add(int64(n))
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.all.of.Add(int64(n))
	return n, err
}
