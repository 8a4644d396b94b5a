package coordinator

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
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
	w := flight.NewRecordWriter(stream, ipc.WithSchema(r.Fragment.Schema()))
	defer w.Close()
	record := h.record(r)
	defer record.Release()
	return w.Write(record)
}

// coverReally does what a node does once it has its record, where nothing is masked.
func (h *hospital) coverReally(r *fragment.Request, stream flight.FlightService_DoGetServer) error {
	ticks := grid.Ticks{Grid: grid.Default, Started: time.Now(), Timeout: time.Minute}
	exact := fragment.NewDense(&r.Fragment)
	if err := exact.Add(h.record(r)); err != nil {
		return err
	}
	proof, err := fragment.Check(&r.Fragment, h.real)
	if err != nil {
		return err
	}
	shares, err := r.Fragment.Shares(*r.Cover, 1, r.Noise, proof)
	if err != nil {
		return err
	}
	vector, err := exact.Covered(stream.Context(), shares)
	if err != nil {
		return err
	}
	if err := ticks.Wait(stream.Context(), ticks.Next(0)); err != nil {
		return err
	}
	return sendVector(vector, stream)
}

// sealReally does what a node does once it has its record: ticks, shares of noise, signatures and masks.
func (h *hospital) sealReally(r *fragment.Request, stream flight.FlightService_DoExchangeServer) error {
	ctx := stream.Context()
	ticks := grid.Ticks{Grid: grid.Default, Started: time.Now(), Timeout: time.Minute}
	exact := fragment.NewDense(&r.Fragment)
	if err := exact.Add(h.record(r)); err != nil {
		return err
	}
	if err := ticks.Wait(ctx, ticks.Next(0)); err != nil {
		return err
	}
	key, err := seal.NewKey()
	if err != nil {
		return err
	}
	signer := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)) // of all: who pins whom is not timed
	request := seal.Request{Federation: "test", Study: r.Study, Query: r.Query, Digest: r.Digest()}
	own, err := json.Marshal(request.Member(h.name, key, signer))
	if err != nil {
		return err
	}
	if err := stream.Send(&flight.FlightData{AppMetadata: own}); err != nil {
		return err
	}
	told, err := stream.Recv()
	if err != nil {
		return err
	}
	ticks = grid.Ticks{Grid: grid.Grid{First: 5 * time.Millisecond, Ratio: 1.2}, Started: time.Now(), Timeout: time.Minute}
	members, err := seal.ParseMembers(told.AppMetadata)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := request.Verify(m, signer.Public().(ed25519.PublicKey)); err != nil {
			return err
		}
	}
	proof, err := fragment.Check(&r.Fragment, h.real)
	if err != nil {
		return err
	}
	shares, err := r.Fragment.Shares(*r.Cover, len(members), r.Noise, proof)
	if err != nil {
		return err
	}
	vector, err := exact.Covered(ctx, shares)
	if err != nil {
		return err
	}
	if err := request.Mask(vector, h.name, key, members); err != nil {
		return err
	}
	h.mu.Lock()
	h.told, h.sent = len(told.AppMetadata), slices.Clone(vector) // bytes; what a coordinator may keep
	h.mu.Unlock()
	if err := ticks.Wait(ctx, ticks.Next(0)); err != nil {
		return err
	}
	return sendVector(vector, stream)
}

func domain(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// TestBenchSealed times sealed and central answers, and compares their errors, in one run: 3, 10 and 186 hospitals, and
// vectors of 1, 1,000 and 100,000 numbers. All hospitals are in this process, each with its ticks, its noise and its masks, over
// real TLS; their databases take no time, which is where a grid and a round trip weigh most. With 186 hospitals the machine does 186
// hospitals' work: BenchmarkSeal of internal/seal tells what each of them does.
func TestBenchSealed(t *testing.T) {
	if os.Getenv("INTRAMUROS_BENCH") == "" {
		t.Skip("INTRAMUROS_BENCH is not set: the benchmark takes minutes")
	}
	fmt.Printf("\n%-10s %-9s %12s %12s %6s %14s %14s %14s\n", "hospitals", "numbers", "central", "sealed", "ratio", "error, claimed", "error, measured", "bytes a node")
	for _, hospitals := range []int{3, 10, 186} {
		f := benchFederation(t, hospitals)
		for _, c := range []struct {
			numbers, runs int
			sql           string
		}{
			{1, 9, "SELECT count(*) AS n FROM person WHERE age <> %d"},
			{1_000, 5, "SELECT code, sex, count(*) AS n FROM person WHERE age <> %d GROUP BY code, sex"},
			{100_000, 1, "SELECT code, place, sex, count(*) AS n FROM person WHERE age <> %d GROUP BY code, place, sex"},
		} {
			if hospitals*c.numbers > 2_000_000 && os.Getenv("INTRAMUROS_FULL") == "" {
				continue // all hospitals' work on one machine: gigabytes, and minutes on few cores
			}
			var took [2][]time.Duration
			var squares [2]float64
			bytes := 0
			for i := range c.runs {
				for s, id := range []string{"central", "sealed"} {
					began := time.Now()
					a, err := f.Query(t.Context(), asker("alice"), Request{SQL: fmt.Sprintf(c.sql, i+1000*c.numbers), Settings: Settings{Study: id, Ask: planner.Ask{Epsilon: 0.1}}}, nil)
					if err != nil {
						t.Fatal(err)
					}
					took[s] = append(took[s], time.Since(began))
					if a.Sealed != (s == 1) || len(a.Answered) != hospitals || len(a.Rows) != c.numbers {
						t.Fatalf("%d rows of %d hospitals, sealed %v", len(a.Rows), len(a.Answered), a.Sealed)
					}
					for _, row := range a.Rows {
						e := row[len(row)-1]
						x := float64(e.Value.Int64() - int64(benchExact*hospitals))
						squares[s] += x * x
					}
				}
			}
			h := f.hospital("h000")
			h.mu.Lock()
			bytes = 8*c.numbers + h.told + 200 // vector, members, own word
			h.mu.Unlock()
			for s := range took {
				slices.Sort(took[s])
			}
			central, sealed := took[0][c.runs/2], took[1][c.runs/2]
			measured := "-"
			if c.numbers > 1 {
				measured = fmt.Sprintf("%.3f", math.Sqrt(squares[1]/squares[0]))
			}
			p, err := planner.Build(planner.Query{SQL: fmt.Sprintf(c.sql, 1), Ask: planner.Ask{Epsilon: 0.1}},
				planner.Federation{Catalog: f.catalog, Hospitals: f.config.Hospitals, Accounting: dp.ZCDP, Covered: true, Masked: true})
			if err != nil {
				t.Fatal(err)
			}
			shares, err := p.Shares(hospitals)
			if err != nil {
				t.Fatal(err)
			}
			claimed := shares[0].Total(hospitals).Scale / p.Noise.Distribution(p.Coordinate(0)).Scale
			fmt.Printf("%-10d %-9d %9.1f ms %9.1f ms %6.2f %14.3f %15s %14d\n", hospitals, c.numbers,
				1000*central.Seconds(), 1000*sealed.Seconds(), sealed.Seconds()/central.Seconds(), claimed, measured, bytes)
			if claimed > 1.23 {
				t.Errorf("the error is %g times the central one", claimed)
			}
		}
	}
	fmt.Println()
}

func benchFederation(t *testing.T, hospitals int) *federation {
	t.Helper()
	f := &federation{hospitals: map[string]*hospital{}, log: &strings.Builder{}, maxSites: 2}
	f.columns = "      code: {type: int, nullable: false, domain: " + domain(500) + "}\n      place: {type: int, nullable: false, domain: " + domain(100) + "}\n"
	openFederation(t, f, func(c *Config) {
		c.Sealed.Masks, c.Hospitals, c.QueryTimeout = true, nil, 10*time.Minute
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
