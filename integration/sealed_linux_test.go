package integration

import (
	"bytes"
	"cmp"
	"crypto/rand"
	bin "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

const canarySQL = "SELECT sex, SUM(weight) AS w, SUM(born) AS b, COUNT(*) AS n FROM person GROUP BY sex"

// The protections of a study.
const (
	openly  = iota // the coordinator adds the noise
	covered        // each hospital adds its own
	masked         // and masks
)

// startZCDP starts three hospitals under a study of zCDP. If it is sealed, their nodes require that too; if it is
// masked, they pin each other's keys.
func startZCDP(t *testing.T, protection int) *federation {
	t.Helper()
	s := attacked(t)
	s.folders["north"] = t.TempDir()
	o := newOracle(t)
	for table, rows := range attackTables(2000) {
		o.do(fmt.Sprintf("COPY (%s) TO '%s/%s.parquet' (FORMAT parquet)", rows, s.folders["north"], table))
	}
	s.study = func(proposed, central, local *study.Document) {
		for _, d := range []*study.Document{proposed, central, local} {
			d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 9e9, Delta: 1e-6}
			d.MaxEpsilon, d.DefaultEpsilon, d.Sealed = 1e5, 1, protection != openly
		}
	}
	f := newFederation(t, s)
	for _, name := range f.hospitals {
		b, err := os.ReadFile(f.path(name + ".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), budget, "{accounting: zcdp, epsilon: 9e9, delta: 1e-6}")
		if protection == covered {
			text += "sealed: {required: true, hospitals: 3}\n"
		}
		if protection == masked {
			if _, err := pki.CreateSigningKey(f.path(name + ".ledger")); err != nil {
				t.Fatal(err)
			}
			text += "sealed: {required: true, hospitals: 3, peers: {"
			for _, other := range f.hospitals {
				if other != name {
					text += fmt.Sprintf("%[1]s: %[1]s.ledger.pub, ", other)
				}
			}
			text += "}}\n"
		}
		f.write(name+".yaml", text)
	}
	if protection == masked {
		b, err := os.ReadFile(f.path("coordinator.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write("coordinator.yaml", strings.Replace(string(b), "require: all", "require: 2", 1)+"sealed: {masks: true}\n")
	}
	f.startCoordinator()
	for _, name := range f.hospitals {
		f.startNode(name)
	}
	f.await(f.hospitals...)
	return f
}

// zcdpRequest is the request that the coordinator sends for the canary's query.
func (f *federation) zcdpRequest(t *testing.T, protection int) (*fragment.Request, *planner.Plan) {
	t.Helper()
	p, err := planner.Build(planner.Query{SQL: canarySQL, Ask: planner.Ask{Epsilon: 1}}, planner.Federation{Catalog: f.catalog(), Hospitals: f.hospitals, Accounting: dp.ZCDP, Covered: protection != openly, Masked: protection == masked})
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 16)
	rand.Read(id)
	return &fragment.Request{
		Query: hex.EncodeToString(id), Study: studyID, Researcher: "ada", Token: f.token(t, "ada"), Fragment: *p.Fragment, Noise: p.Noise, Cover: p.Cover,
	}, p
}

// raw executes a ticket and returns all received bytes, and each record.
func (a accomplice) raw(t *testing.T, ticket string) []byte {
	t.Helper()
	stream, err := a.DoGet(t.Context(), &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for {
		d, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, d.DataHeader...), d.DataBody...)
	}
}

// exactSums returns a hospital's partial aggregates by group, from a node that does not cover them.
func (a accomplice) exactSums(t *testing.T, f *fragment.Fragment, ticket string) map[string][]int64 {
	t.Helper()
	stream, err := a.DoGet(t.Context(), &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	sums := map[string][]int64{}
	for reader.Next() {
		if err := fragment.ReadRecord(f, reader.Record(), func(keys []value.Value, partials []int64) error {
			sums[keys[0].Str()] = append([]int64(nil), partials...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	return sums
}

// sideBySide returns two adjacent integers as they are in memory, in a record or in a cell, and in the ledger's JSON.
func sideBySide(a, b int64) [][]byte {
	return [][]byte{
		bin.LittleEndian.AppendUint64(bin.LittleEndian.AppendUint64(nil, uint64(a)), uint64(b)),
		fmt.Appendf(nil, "%d,%d", a, b),
	}
}

// memoryOf counts occurrences of the patterns in the memory that a process can write to.
func memoryOf(t *testing.T, pid int, patterns [][]byte) int {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	found, size := 0, 0
	for _, line := range strings.Split(string(maps), "\n") {
		var from, to uint64
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || !strings.HasPrefix(mode, "rw") {
			continue
		}
		const step = 1 << 20
		buffer := make([]byte, step+16)
		for at := from; at < to; at += step { // pieces overlap by the length of a pattern
			n, _ := memory.ReadAt(buffer[:min(uint64(len(buffer)), to-at)], int64(at))
			size += n
			for _, p := range patterns {
				found += bytes.Count(buffer[:n], p)
			}
		}
	}
	if size < 10<<20 {
		t.Errorf("only %d bytes of the coordinator's memory were read", size)
	}
	return found
}

// The canary: a hospital's exact sums are searched for in what the coordinator receives, in its memory and on its disk.
// In a sealed study they are in none of these. In a central study, where the coordinator adds the noise, the same
// search finds them in the first two. They are not on its disk in either case; to show that this search can find
// something, sums are released almost without noise.
func TestSealedCanary(t *testing.T) {
	open := startZCDP(t, openly)
	exact := map[string]map[string][]int64{} // by hospital and sex
	var patterns [][]byte
	totals := map[string][]int64{}
	add := func(a, b int64) { // small numbers may be adjacent by chance
		if max(a, -a) > 1<<14 && max(b, -b) > 1<<14 {
			patterns = append(patterns, sideBySide(a, b)...)
		}
	}
	for _, name := range open.hospitals {
		r, _ := open.zcdpRequest(t, openly)
		a := open.dial(t, name)
		ticket, err := a.prepare(t.Context(), encode(t, r))
		if err != nil {
			t.Fatal(err)
		}
		exact[name] = a.exactSums(t, &r.Fragment, ticket)
		f, m := exact[name]["f"], exact[name]["m"]
		if len(f) != 3 || len(m) != 3 {
			t.Fatalf("%s sends %v", name, exact[name])
		}
		for i := range f {
			add(f[i], m[i])
			add(m[i], f[i])
			add(f[i], f[(i+1)%len(f)])
			add(m[i], m[(i+1)%len(f)])
		}
		for sex, sums := range exact[name] {
			if totals[sex] == nil {
				totals[sex] = make([]int64, len(sums))
			}
			for i, x := range sums {
				totals[sex][i] += x
			}
		}
	}
	for _, sums := range totals {
		for i := range sums {
			add(sums[i], sums[(i+1)%len(sums)])
		}
		// The form in which the ledger stores released numbers of a group; here two of one group. Sums from a middle are
		// small.
		for i, x := range sums {
			for j, y := range sums {
				if i != j && max(y, -y) > 1<<7 {
					patterns = append(patterns, fmt.Appendf(nil, "[%d,%d]", x, y))
				}
			}
		}
	}
	if len(patterns) < 12 {
		t.Fatalf("only %d canaries", len(patterns))
	}
	ask := func(f *federation) *answer {
		var last *answer
		for i := range 5 { // each is another draw
			a, err := f.query(request{SQL: canarySQL, Epsilon: 1 + float64(i)/10})
			if err != nil {
				t.Fatal(err)
			}
			last = a
		}
		return last
	}
	captured := func(f *federation, protection int) (found int) {
		for _, name := range f.hospitals {
			r, _ := f.zcdpRequest(t, protection)
			a := f.dial(t, name)
			ticket, err := a.prepare(t.Context(), encode(t, r))
			if err != nil {
				t.Fatal(err)
			}
			all := a.raw(t, ticket)
			for _, p := range patterns {
				found += bytes.Count(all, p)
			}
		}
		return found
	}
	disk := func(f *federation) (found int) {
		files, err := filepath.Glob(f.path("coordinator*"))
		if err != nil || len(files) < 3 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			if err := filepath.WalkDir(file, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				b, err := os.ReadFile(path)
				for _, p := range patterns {
					found += bytes.Count(b, p)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		return found
	}
	check := func(f *federation, a *answer) {
		_, p := f.zcdpRequest(t, openly)
		whole, err := p.Finish([]planner.Cell{
			{Keys: []value.Value{value.Text("f")}, Noisy: totals["f"]}, {Keys: []value.Value{value.Text("m")}, Noisy: totals["m"]},
		}, 0.95)
		if err != nil || len(a.Rows) != 2 {
			t.Fatal(err, a.Rows)
		}
		for j, row := range a.Rows {
			for i, c := range row[1:] {
				low, high := c.Low.(float64), c.High.(float64)
				want := whole.Rows[j][i+1].Value.Float64()
				if middle := (low + high) / 2; math.Abs(middle-want) > 4*(high-low)/2+1 { // 4 half-widths are 8 deviations
					t.Errorf("%s of %v is %v, and exactly %g", a.Columns[i+1].Name, row[0].Value, c, want)
				}
			}
		}
	}

	var sealed *federation
	answered := ask(open)
	check(open, answered)
	if n := captured(open, openly); n < 3 {
		t.Errorf("central: %d canaries in what the coordinator receives of 3 hospitals", n)
	}
	if n := memoryOf(t, open.coordinator.command.Process.Pid, patterns); n == 0 {
		t.Error("central: no canary in the coordinator's memory, so the search finds nothing")
	}
	if answered.Sealed {
		t.Error("central answers say that they are sealed")
	}
	if n := disk(open); n != 0 {
		t.Errorf("central: %d exact sums on the coordinator's disk", n)
	}
	// its noise rounds to zero
	if _, err := open.query(request{SQL: "SELECT sex, SUM(born) AS b, COUNT(*) AS n FROM person GROUP BY sex", Epsilon: 7e4}); err != nil {
		t.Fatal(err)
	}
	if n := disk(open); n == 0 {
		t.Error("central: no canary on the coordinator's disk, where the sums of all are stored, so the search finds nothing")
	}

	for _, protection := range []int{masked, covered} {
		sealed = startZCDP(t, protection)
		answered = ask(sealed)
		check(sealed, answered)
		if !answered.Sealed || len(answered.Hospitals.Answered) != 3 {
			t.Errorf("the answer says %+v", answered)
		}
		if n := memoryOf(t, sealed.coordinator.command.Process.Pid, patterns); n != 0 {
			t.Errorf("%d exact sums in the coordinator's memory", n)
		}
		if n := disk(sealed); n != 0 {
			t.Errorf("%d exact sums on the coordinator's disk", n)
		}
	}
	if n := captured(sealed, covered); n != 0 {
		t.Errorf("%d exact sums in what the coordinator receives", n)
	}
	// Even somebody with the coordinator's keys cannot get them out of a node.
	r, _ := sealed.zcdpRequest(t, openly)
	if _, err := sealed.dial(t, "east").prepare(t.Context(), encode(t, r)); err == nil || !strings.Contains(err.Error(), "NODE_SEALED") {
		t.Errorf("uncovered: %v", err)
	}
	few, _ := sealed.zcdpRequest(t, covered)
	few.Cover.Sites--
	if _, err := sealed.dial(t, "east").prepare(t.Context(), encode(t, few)); err == nil || !strings.Contains(err.Error(), "NODE_SEALED") {
		t.Errorf("covered for fewer hospitals: %v", err)
	}
	if shown := sealed.must("ledger", "show", "--file", sealed.path("east.ledger"), "--kind", "answer"); !strings.Contains(shown, "each covered by this hospital's own noise") {
		t.Errorf("the ledger says: %s", shown)
	}
}

// session is three real hospitals that are done and wait for the list of members.
type session struct {
	plan    *planner.Plan
	tickets map[string]string
	streams map[string]flight.FlightService_DoExchangeClient
	members []seal.Member
}

// session makes three real hospitals compute, like a coordinator that keeps everything.
func (f *federation) session(t *testing.T) session {
	t.Helper()
	r, plan := f.zcdpRequest(t, masked)
	s := session{plan, map[string]string{}, map[string]flight.FlightService_DoExchangeClient{}, nil}
	for _, name := range f.hospitals {
		a := f.dial(t, name)
		ticket, err := a.prepare(t.Context(), encode(t, r))
		if err != nil {
			t.Fatal(err)
		}
		stream, err := a.DoExchange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&flight.FlightData{AppMetadata: []byte(ticket)}); err != nil {
			t.Fatal(err)
		}
		d, err := stream.Recv()
		if err != nil {
			t.Fatal(name, err)
		}
		var m seal.Member
		if err := json.Unmarshal(d.AppMetadata, &m); err != nil {
			t.Fatal(err)
		}
		s.members, s.streams[name], s.tickets[name] = append(s.members, m), stream, ticket
	}
	slices.SortFunc(s.members, func(a, b seal.Member) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// finish sends a hospital the list of all that are done, and receives its vector.
func (s session) finish(name string) (vector []int64, err error) {
	told, err := json.Marshal(s.members)
	if err != nil {
		return nil, err
	}
	stream := s.streams[name]
	if err := stream.Send(&flight.FlightData{AppMetadata: told}); err != nil {
		return nil, err
	}
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	for reader.Next() {
		if vector, err = fragment.ReadCovered(reader.Record(), vector, 100); err != nil {
			return nil, err
		}
	}
	return vector, nil
}

// A hospital is killed after it is done and before it has sealed. What the others have masked for it is uniform, each
// and both together, and nobody can read it. When the hospital is back, it knows that it was charged and had not
// answered; its key is gone.
func TestSealedKilled(t *testing.T) {
	f := startZCDP(t, masked)
	s := f.session(t)
	f.killNode("west")
	east, err := s.finish("east")
	if err != nil {
		t.Fatal(err)
	}
	north, err := s.finish("north")
	if err != nil {
		t.Fatal(err)
	}
	if len(east) != 6 || len(north) != 6 {
		t.Fatalf("%d and %d numbers", len(east), len(north))
	}
	for i := range east {
		for _, x := range []int64{east[i], north[i], east[i] + north[i]} {
			if max(x, -x) < 1<<40 { // covered numbers are below 2^36; a uniform one is this small once in eight million
				t.Errorf("without the hospital that was killed, %d can be read", x)
			}
		}
	}
	if _, err := s.finish("west"); err == nil {
		t.Error("a hospital that was killed answers")
	}
	f.startNode("west")
	if !f.nodes["west"].logged("msg=ready", time.Minute) {
		t.Fatal(f.nodes["west"].tail(10))
	}
	if shown := f.must("ledger", "show", "--file", f.path("west.ledger"), "--kind", "failure"); !strings.Contains(shown, "failure  study trial") || !f.nodes["west"].logged("code=NODE_STOPPED", time.Minute) {
		t.Errorf("the ledger of the hospital that was killed says: %s", shown)
	}
	stream, err := f.dial(t, "west").DoExchange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&flight.FlightData{AppMetadata: []byte(s.tickets["west"])}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil || !strings.Contains(err.Error(), "NODE_TICKET") {
		t.Errorf("the same ticket again: %v", err)
	}
	f.await(f.hospitals...)
	if a, err := f.query(request{SQL: canarySQL, Epsilon: 1}); err != nil || len(a.Hospitals.Answered) != 3 {
		t.Errorf("the next query: %+v, %v", a, err)
	}
}

// Hospitals are killed at any moment while masked queries run. Each answer comes from exactly the hospitals that it
// names, within its noise, and nothing else is ever an answer. There are 30 queries, or 1,000 with INTRAMUROS_FULL.
func TestSealedChaos(t *testing.T) {
	queries := 30
	if os.Getenv("INTRAMUROS_FULL") != "" {
		queries = 1000
	}
	f := startZCDP(t, masked)
	outcomes, kills := map[string]int{}, 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range queries {
			sql := fmt.Sprintf("SELECT COUNT(*) AS n FROM person WHERE born > %d", 1800+i%100)
			if i%3 == 0 { // not declared
				sql = fmt.Sprintf("SELECT wide, COUNT(*) AS n FROM person WHERE born > %d AND wide = 42 GROUP BY wide", 1800+i%100)
			}
			a, err := f.query(request{SQL: sql, Epsilon: 1 + float64(i)/1e4, Delta: 1e-10})
			var r *refusal
			switch {
			case err == nil:
				outcomes["answered"]++
				want := 150 * float64(len(a.Hospitals.Answered))
				if len(a.Rows) != 1 {
					t.Errorf("%s: %v", sql, a.Rows)
				} else if n := a.Rows[0][len(a.Rows[0])-1].Value.(float64); math.Abs(n-want) > 60 || len(a.Hospitals.Answered) < 2 {
					t.Errorf("%s: %v of %v", sql, n, a.Hospitals.Answered)
				}
			case errors.As(err, &r):
				outcomes[r.Code]++
			default:
				outcomes[err.Error()]++
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	random := mathrand.New(mathrand.NewPCG(uint64(time.Now().UnixNano()), 1)) //nolint:gosec // of a test
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-time.After(time.Duration(200+random.IntN(1500)) * time.Millisecond):
			name := f.hospitals[random.IntN(len(f.hospitals))]
			f.killNode(name)
			f.startNode(name)
			if !f.nodes[name].logged("msg=ready", time.Minute) {
				t.Fatal(f.nodes[name].tail(10))
			}
			kills++
		}
	}
	t.Logf("%d kills; outcomes %v", kills, outcomes)
	if outcomes["answered"] == 0 || kills < 2 {
		t.Error("too little happened: the test shows nothing")
	}
}

// Three real hospitals mask for each other. Each vector that a coordinator keeps is uniform, and so is each sum of two;
// the sum of all three is the answer. An answer needs less noise than without masks, and a killed hospital is left out.
func TestSealedMasks(t *testing.T) {
	f := startZCDP(t, masked)
	const sessions = 25
	ones := map[string]int{}
	bits := 0
	for range sessions {
		s := f.session(t)
		plan := s.plan
		shares, err := plan.Shares(3)
		if err != nil {
			t.Fatal(err)
		}
		sent := map[string][]int64{}
		for _, name := range f.hospitals {
			if sent[name], err = s.finish(name); err != nil {
				t.Fatal(name, err)
			}
		}
		east, north, west := sent["east"], sent["north"], sent["west"]
		if len(east) != 6 || len(north) != 6 || len(west) != 6 {
			t.Fatalf("%d, %d and %d numbers", len(east), len(north), len(west))
		}
		bits += 6 * 64
		for i := range east {
			for name, x := range map[string]int64{"east": east[i], "north": north[i], "west": west[i], "two": east[i] + west[i]} {
				for b := range 64 {
					ones[name] += int(uint64(x) >> b & 1)
				}
			}
			j := i % 3
			total := shares[j].Read(east[i] + north[i] + west[i])
			if plan.Fragment.Partials[j].Kind == fragment.PartialRows || plan.Fragment.Partials[j].Kind == fragment.PartialPatients {
				if total < 225-100 || total > 225+100 { // 225 of each sex, with noise of some units
					t.Errorf("the sum of all three is %d patients", total)
				}
			}
		}
	}
	for name, n := range ones {
		if d := float64(2*n - bits); d*d > 6.5*6.5*float64(bits) {
			t.Errorf("%s: %d of %d bits are ones", name, n, bits)
		}
	}

	a, err := f.query(request{SQL: canarySQL, Epsilon: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Sealed || len(a.Hospitals.Answered) != 3 || len(a.Rows) != 2 {
		t.Errorf("%+v", a)
	}
	for _, row := range a.Rows {
		low, high := row[3].Low.(float64), row[3].High.(float64)
		if low > 225+3*(high-low) || high < 225-3*(high-low) {
			t.Errorf("225 patients are %v", row[3])
		}
	}
	shown := f.must("ledger", "show", "--file", f.path("east.ledger"), "--kind", "answer")
	if !strings.Contains(shown, "masked with those of 2 others (exposure 2)") {
		t.Errorf("the ledger says: %s", shown)
	}
	f.explainsKeys(t)
	f.killNode("west")
	a, err = f.query(request{SQL: canarySQL, Epsilon: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Hospitals.Answered) != 2 || len(a.Hospitals.Missing) != 1 {
		t.Errorf("without west: %+v", a.Hospitals)
	}
	for _, row := range a.Rows {
		if low, high := row[3].Low.(float64), row[3].High.(float64); low > 150+3*(high-low) || high < 150-3*(high-low) {
			t.Errorf("150 patients are %v", row[3])
		}
	}
}

// explainsKeys compares the keys that explain relays with those that custodians read in their ledgers.
func (f *federation) explainsKeys(t *testing.T) {
	t.Helper()
	out, err := f.command(t.Context(), "explain", canarySQL).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "\nsealed: keys of the hospitals that mask\n"
	for _, name := range f.hospitals {
		shown := f.must("ledger", "show", "--file", f.path(name+".ledger"), "--kind", "config")
		_, key, found := strings.Cut(shown, "The key of this hospital, which others pin, is ")
		if key, _, _ = strings.Cut(key, "."); !found || len(key) != 39 {
			t.Fatalf("the ledger of %s says: %s", name, shown)
		}
		want += fmt.Sprintf("  %s %s\n", name, key)
	}
	if want += "  The coordinator relays these fingerprints, and could relay wrong ones: "; !strings.Contains(string(out), want) {
		t.Errorf("explain says\n%s\nnot\n%s", out, want)
	}
}

// Everything that is answered centrally is also answered sealed, covered or masked: trees, life tables, several
// releases. With an epsilon that leaves almost no noise, the numbers agree.
func TestSealedAnswersAll(t *testing.T) {
	questions := []string{
		"SELECT MEDIAN(born) AS m, QUANTILE(weight, 0.9) AS q, MIN(born) AS low FROM person",
		"SELECT ward, AVG(cost) AS c, STDDEV_POP(cost) AS s, COUNT(DISTINCT patient) AS n FROM stay GROUP BY ward",
		"SELECT sex, COUNT(*) AS n FROM person GROUP BY GROUPING SETS ((sex), ())",
		"SELECT COUNT(DISTINCT ward) AS w FROM stay",
		"SELECT HISTOGRAM(days, 0, 90, 9) AS h FROM stay",
		"SELECT time, at_risk, survival FROM KAPLAN_MEIER((SELECT 2020 - born AS years, sex = 'f' AS event FROM person), horizon => 100, step => 5, every => 20) ORDER BY time",
		"SELECT surname, sex, COUNT(*) AS n, AVG(born) AS b FROM person GROUP BY surname, sex ORDER BY sex", // not declared
		"SELECT 'a' AS x, SUM(days) AS d FROM stay UNION ALL SELECT 'b', SUM(weight) FROM person",
	}
	const epsilon = 2_000
	var answers [3][]*answer
	for _, protection := range []int{openly, covered, masked} {
		f := startZCDP(t, protection)
		for _, sql := range questions {
			a, err := f.query(request{SQL: sql, Epsilon: epsilon, Delta: 1e-7, MaxRows: 5})
			if err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if a.Sealed != (protection != openly) || len(a.Hospitals.Answered) != 3 {
				t.Errorf("%s: sealed %v, of %v", sql, a.Sealed, a.Hospitals.Answered)
			}
			answers[protection] = append(answers[protection], a)
		}
		f.stop()
		f.nodes, f.coordinator = map[string]*process{}, nil
	}
	for _, protection := range []int{covered, masked} {
		for i, a := range answers[protection] {
			want := answers[openly][i]
			if len(a.Rows) != len(want.Rows) || len(a.Rows) == 0 {
				t.Errorf("%s: %d rows, centrally %d", questions[i], len(a.Rows), len(want.Rows))
				continue
			}
			for r, row := range a.Rows {
				for c, got := range row {
					x, number := got.Value.(float64)
					y, also := want.Rows[r][c].Value.(float64)
					if number != also || !number && got.Value != want.Rows[r][c].Value || number && math.Abs(x-y) > 0.02*math.Abs(y)+1 {
						t.Errorf("%s, row %d, column %d: %v, centrally %v", questions[i], r, c, got.Value, want.Rows[r][c].Value)
					}
				}
			}
		}
	}
}
