package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/seal"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
)

func sealedStudy(d *study.Document) {
	d.Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 10, Delta: 1e-6}
	d.Sealed = true
}

// sealedConfig has the study "sealed", and "open" under the same budget.
func sealedConfig(t *testing.T, sealed Sealed) Config {
	t.Helper()
	conf := testConfig(federation(t))
	conf.Sealed = sealed
	open := func(d *study.Document) { sealedStudy(d); d.Sealed = false }
	few := func(d *study.Document) { sealedStudy(d); d.Hospitals = []string{"lyon", "rennes"} }
	for id, change := range map[string]func(*study.Document){"sealed": sealedStudy, "open": open, "few": few} {
		propose(conf, id, 1, change)
		decide(conf, study.Approve, id, 1, 1, change)
	}
	return conf
}

// covered is a request for covered numbers.
func covered(h *hospital, id string, sites int) *fragment.Request {
	r := request(h.catalog, 0.25)
	r.Study, r.Noise, r.Fragment.Norm = id, dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.25, Limit: 1}, fragment.L2
	r.Cover = &fragment.Cover{Sites: sites}
	return r
}

// vector executes a ticket of a covered answer.
func vector(ctx context.Context, c flight.Client, ticket string, size int) ([]int64, error) {
	stream, err := c.DoGet(ctx, &flight.Ticket{Ticket: []byte(ticket)})
	if err != nil {
		return nil, err
	}
	r, err := flight.NewRecordReader(stream)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var got []int64
	for r.Next() {
		if got, err = fragment.ReadCovered(r.Record(), got, size); err != nil {
			return nil, err
		}
	}
	return got, r.Err()
}

// The vector that leaves has the length of the fragment, and this node's noise of the right width on each number. The
// ledger says so and has no exact groups.
func TestNoiseReachesEveryPartial(t *testing.T) {
	h := start(t, sealedConfig(t, Sealed{Hospitals: 3}), newEngine())
	c := h.client(t, "coordinator-paris")
	const runs = 40
	var squares [2]float64
	seen := map[int64]bool{}
	shares, err := (&request(h.catalog, 0.25).Fragment).Shares(fragment.Cover{Sites: 3}, 3, dp.Noise{Mechanism: dp.Gaussian, Epsilon: 0.25, Limit: 1},
		&fragment.Proof{Sizes: []int64{1}, Cells: 2})
	must(t, err)
	for i := range runs {
		r := covered(h, "sealed", 3)
		r.Query = fmt.Sprintf("%032x", i+1)
		ticket, err := prepare(c, r)
		must(t, err)
		got, err := vector(t.Context(), c, ticket, 2)
		must(t, err)
		if len(got) != 2 {
			t.Fatalf("%d numbers left", len(got))
		}
		for j, x := range got {
			if seen[x] {
				t.Errorf("the number %d left twice", x)
			}
			seen[x] = true
			noise := math.Ldexp(float64(x), -int(shares[0].Shift())) - float64(2+j) // two women, three men
			squares[j] += noise * noise / runs
		}
	}
	want := 3 * 16.0 // a third of the variance of noise for a patient at three hospitals: 3²/0.25²/3
	for j, v := range squares {
		if v < want/3 || v > 3*want {
			t.Errorf("number %d has noise of variance %g, not %g", j, v, want)
		}
	}
	answers := 0
	for _, e := range h.entries(t) {
		if e.Kind == "answer" {
			answers++
			var d struct {
				Rows    int
				Covered bool
			}
			must(t, json.Unmarshal(e.Detail, &d))
			if !strings.HasPrefix(e.Text, "A vector of 2 numbers, each covered by this hospital's own noise, left for ") || d.Rows != 2 || !d.Covered {
				t.Errorf("the ledger says %s %s", e.Text, e.Detail)
			}
		}
		if e.Kind == "charge" && !strings.Contains(e.Text, "added by this hospital before anything leaves") {
			t.Errorf("the charge says %s", e.Text)
		}
	}
	if answers != runs {
		t.Errorf("%d answers", answers)
	}
}

// A coordinator may ask for more noise, but for nothing that the node does not cover.
func TestRefuseWhatIsNotCovered(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sealed Sealed
		change func(*fragment.Request)
		want   Code
	}{
		{"a study that is sealed", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover = nil }, CodeSealed},
		{"a hospital that requires it", Sealed{Required: true, Hospitals: 3}, func(r *fragment.Request) { r.Study, r.Cover = "open", nil }, CodeSealed},
		{"neither", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study, r.Cover = "open", nil }, ""},
		{"covered for fewer hospitals", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 2 }, CodeSealed},
		{"covered for none", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 0 }, CodeSealed},
		{"covered for below none", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = -3 }, CodeSealed},
		{"covered for more", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 9 }, ""},
		{"covered for too many", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Sites = 1 << 20 }, CodeFragment},
		{"covered though nobody asks for it", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study = "open" }, ""},
		{"how many hospitals, nobody knows", Sealed{}, func(*fragment.Request) {}, CodeSealed},
		{"the study tells", Sealed{}, func(r *fragment.Request) { r.Study, r.Cover.Sites = "few", 2 }, ""},
		{"the study tells of more than node.yaml", Sealed{Hospitals: 1}, func(r *fragment.Request) { r.Study, r.Cover.Sites = "few", 1 }, CodeSealed},
		{"the study tells of fewer than node.yaml", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study, r.Cover.Sites = "few", 2 }, ""},
		{"and they are more", Sealed{}, func(r *fragment.Request) { r.Study, r.Cover.Sites = "few", 1 }, CodeSealed},
		{"Laplace noise", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Noise.Mechanism, r.Fragment.Norm = dp.Laplace, fragment.L1 }, CodeFragment},
		{"a study of pure accounting", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Study = "copd" }, CodeBudget},
		{"a study of pure accounting, at a hospital that requires it", Sealed{Required: true, Hospitals: 3}, func(r *fragment.Request) {
			r.Study, r.Cover, r.Noise.Mechanism, r.Fragment.Norm = "copd", nil, dp.Laplace, fragment.L1
		}, CodeSealed},
		{"groups that are not declared, and not named first", Sealed{Hospitals: 3}, func(r *fragment.Request) {
			r.Fragment.Keys[0].Domain, r.ThresholdDelta = nil, 1e-9
		}, CodeFragment},
		{"groups that are declared, and are to be named", Sealed{Hospitals: 3}, func(r *fragment.Request) { r.Cover.Names = true }, CodeFragment},
		{"groups that are to be named", Sealed{Hospitals: 3}, func(r *fragment.Request) {
			r.Fragment.Keys[0].Domain, r.ThresholdDelta, r.Cover.Names = nil, 1e-9, true
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, sealedConfig(t, tc.sealed), newEngine())
			r := covered(h, "sealed", 3)
			tc.change(r)
			_, err := prepare(h.client(t, "coordinator-paris"), r)
			if tc.want == "" {
				must(t, err)
				return
			}
			wantCode(t, err, tc.want)
		})
	}
}

// The duration of the database query is visible only on a grid, whether it answers or fails. Nothing is written while
// it computes.
func TestCoveredLeavesAtTicks(t *testing.T) {
	e := newEngine()
	h := start(t, sealedConfig(t, Sealed{Hospitals: 3}), e)
	c := h.client(t, "coordinator-paris")
	asked := map[string]time.Time{}
	least := grid.Default.Next(130*time.Millisecond, time.Minute)
	for _, fails := range []bool{false, true} {
		e.fail = func(context.Context) error {
			time.Sleep(130 * time.Millisecond)
			if fails {
				return errSecret
			}
			return nil
		}
		r := covered(h, "sealed", 3)
		if fails {
			r.Query = strings.Repeat("ab", 16)
		}
		ticket, err := prepare(c, r)
		must(t, err)
		began := time.Now()
		_, err = vector(t.Context(), c, ticket, 2)
		took := time.Since(began)
		if fails != (err != nil) {
			t.Fatal(err)
		}
		if took < least {
			t.Errorf("fails %v: it left after %v, before the tick at %v", fails, took, least)
		}
		asked[r.Query] = began
	}
	for _, e := range h.entries(t) { // anyone who asks for a checkpoint sees when an entry is written
		if took := e.Time.Sub(asked[e.Query]); (e.Kind == "answer" || e.Kind == "failure") && took < least {
			t.Errorf("the ledger had %q after %v, before the tick at %v", e.Text, took, least)
		}
	}
}

// If an execution finds the data wrong or changed, the node acts on it at a tick, because others notice at once: what
// they prepare is refused. It also does so if nobody waits for the answer any more.
func TestDistrustAtTicks(t *testing.T) {
	least := grid.Default.Next(130*time.Millisecond, time.Minute)
	for name, found := range map[string]error{"a contradiction": contradiction{}, "other data": nil} {
		for _, canceled := range []bool{false, true} {
			e := newEngine()
			h := start(t, sealedConfig(t, Sealed{Hospitals: 3}), e)
			c := h.client(t, "coordinator-paris")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			e.fail = func(context.Context) error {
				time.Sleep(130 * time.Millisecond)
				if found == nil {
					e.set("v2")
				}
				if canceled {
					cancel()
					time.Sleep(2 * time.Millisecond)
				}
				return found
			}
			ticket, err := prepare(c, covered(h, "sealed", 3))
			must(t, err)
			trusted := h.service.verified.Load()
			began := time.Now()
			changed := make(chan time.Duration, 1)
			go func() {
				for h.service.verified.Load() == trusted && time.Since(began) < 5*time.Second {
					time.Sleep(100 * time.Microsecond)
				}
				changed <- time.Since(began)
			}()
			_, err = vector(ctx, c, ticket, 2)
			if err == nil {
				t.Fatal("it answers")
			}
			if took := <-changed; took < least || took > 4*time.Second {
				t.Errorf("%s, canceled %v: the data was no longer trusted after %v, before the tick at %v", name, canceled, took, least)
			}
		}
	}
}

// Reading public tables for prepare and explain waits for a turn, which ends at a tick, and not for the database.
func TestPlanningWaitsForATurn(t *testing.T) {
	e, all := newEngine(), make(slots, 1)
	s := &spreads{data: e, turn: all.take}
	c, err := catalog.Parse([]byte(catalogText+"  code:\n    public: true\n    columns: {code: {type: text, nullable: false}}\n"), "test.yaml")
	must(t, err)
	f := request(c, 1).Fragment
	f.Relations = append(f.Relations, fragment.Relation{Name: "c", Table: "code", Join: fragment.JoinCross})
	rest, err := all.take(t.Context())
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = s.check(ctx, &policy{catalog: c}, &f, &verified{version: "v1"})
	if !errors.Is(err, CodeTimeout) || e.measured.Load() != 0 {
		t.Errorf("without a turn: %v, asked %d times", err, e.measured.Load())
	}
	rest()
	_ = s.check(t.Context(), &policy{catalog: c}, &f, &verified{version: "v1"})
	if e.measured.Load() != 1 || len(all) != 0 {
		t.Errorf("with a turn it asked %d times, and holds %d", e.measured.Load(), len(all))
	}
}

// A study with fewer hospitals here than the query asks is another study: vectors of two lists are not added.
func TestMaskedOfOtherHospitals(t *testing.T) {
	conf := sealedConfig(t, Sealed{Peers: map[string]string{}})
	for _, name := range []string{"nantes", "rennes"} {
		base := filepath.Join(filepath.Dir(conf.Ledger), name+"-ledger")
		_, err := pki.CreateSigningKey(base)
		must(t, err)
		conf.Sealed.Peers[name] = base + ".pub"
	}
	h := start(t, conf, newEngine())
	c := h.client(t, "coordinator-paris")
	r := maskedRequest(h, strings.Repeat("1", 32)) // asks three hospitals
	r.Study, r.Cover.Sites = "few", 3              // the study lists lyon and rennes
	_, err := prepare(c, r)
	wantCode(t, err, CodeSealed)
	r.Cover.Among = []string{"lyon", "rennes"}
	_, err = prepare(c, r)
	must(t, err)
}

// In a study that is not sealed, the list of hospitals is what one custodian narrowed it to. Others do not rely on it.
func TestHospitalsOfAnOpenStudyDoNotCount(t *testing.T) {
	conf := sealedConfig(t, Sealed{Required: true, Hospitals: 3})
	open := func(d *study.Document) { sealedStudy(d); d.Sealed = false }
	propose(conf, "narrowed", 1, open)
	narrowed := &study.Record{Act: study.Approve, Study: "narrowed", Hospital: "lyon", Number: 1, By: "claire", Document: document("narrowed", 1, open)}
	narrowed.Proposal, narrowed.Document.Hospitals = narrowed.Document.Digest(), []string{"lyon"}
	post(conf, narrowed, claire)
	h := start(t, conf, newEngine())
	_, err := prepare(h.client(t, "coordinator-paris"), covered(h, "narrowed", 1))
	wantCode(t, err, CodeSealed)
	_, err = prepare(h.client(t, "coordinator-paris"), covered(h, "narrowed", 3))
	must(t, err)
}

// If the custodian sealed a study, the console's next approval seals it too.
func TestDraftKeepsTheSeal(t *testing.T) {
	conf := sealedConfig(t, Sealed{Hospitals: 3})
	again := &study.Record{Act: study.Approve, Study: "open", Hospital: "lyon", Number: 2, By: "claire", Document: document("open", 1, func(d *study.Document) { sealedStudy(d); d.Sealed = false })}
	again.Proposal, again.Document.Sealed = again.Document.Digest(), true
	post(conf, again, claire)
	propose(conf, "open", 2, func(d *study.Document) { sealedStudy(d); d.Sealed = false })
	h := start(t, conf, newEngine())
	r, err := h.Draft(Decision{Act: study.Approve, Study: "open", By: "claire"})
	must(t, err)
	if !r.Document.Sealed || r.Document.Version != 2 {
		t.Errorf("the draft is %+v", r.Document)
	}
}

// A key that is pinned twice, or is the hospital's own, would count as two hospitals to rely on.
func TestPeersAreDifferent(t *testing.T) {
	for _, twice := range []string{"nantes", "lyon"} {
		conf := sealedConfig(t, Sealed{Hospitals: 4})
		_, err := pki.OpenSigningKey(conf.Ledger)
		must(t, err)
		base := filepath.Join(t.TempDir(), "nantes")
		_, err = pki.CreateSigningKey(base)
		must(t, err)
		conf.Sealed.Peers = map[string]string{"nantes": base + ".pub", "rennes": base + ".pub"}
		if twice == "lyon" {
			conf.Sealed.Peers = map[string]string{"nantes": base + ".pub", "rennes": conf.Ledger + ".pub"}
		}
		n, err := Open(t.Context(), conf, testCatalog(t), newEngine().database(), slog.New(slog.DiscardHandler))
		if err == nil {
			must(t, n.Close())
		}
		if err == nil || !strings.Contains(err.Error(), "the key of "+twice) {
			t.Errorf("the key of %s again: %v", twice, err)
		}
	}
}

// The time to draw the noise of one number is not visible, since it depends on the noise. It is drawn for all asked
// hospitals before the tick at which this hospital says that it is done. For fewer hospitals it is drawn again, and
// leaves at a tick.
func TestMaskedLeaveAtTicks(t *testing.T) {
	h, peers := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	for i := range 5 {
		r := maskedRequest(h, fmt.Sprintf("%032x", i+1))
		request := seal.Request{Federation: "france", Study: "masked", Query: r.Query, Digest: r.Digest()}
		var told time.Time
		began := time.Now()
		_, err := converse(t, c, r, func(own seal.Member) []seal.Member {
			told = time.Now()
			if took := told.Sub(began); took < grid.Default.First {
				t.Errorf("the hospital was done after %v", took)
			}
			return []seal.Member{own, request.Member("nantes", peers[0].key, peers[0].signer)} // rennes is missing
		})
		must(t, err)
		if took := time.Since(told); took < drawing.First {
			t.Errorf("masked numbers for fewer hospitals left after %v", took)
		}
	}
	drawn := 0
	numbers := covering{hospitals: 3, vector: []int64{7}, anew: func(hospitals int) ([]int64, error) {
		drawn++
		return []int64{int64(hospitals)}, nil
	}}
	for hospitals, want := range map[int]int64{3: 7, 2: 2} {
		told := grid.Ticks{Grid: drawing, Started: time.Now(), Timeout: time.Minute}
		got, err := numbers.of(t.Context(), hospitals, told)
		if must(t, err); len(got) != 1 || got[0] != want {
			t.Errorf("%d hospitals: %v", hospitals, got)
		}
		if took := time.Since(told.Started); hospitals == 2 && took < drawing.First {
			t.Errorf("numbers that were drawn anew are ready after %v", took)
		}
	}
	if drawn != 1 {
		t.Errorf("noise was drawn anew %d times", drawn)
	}
}

var errSecret = fmt.Errorf("row 42 is at fault")

func TestSealedConfig(t *testing.T) {
	for _, s := range []Sealed{{Required: true}, {Hospitals: -1}, {Hospitals: dp.MaxSites + 1}} {
		if s.validate() == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	if err := (Sealed{Required: true, Hospitals: 3}).validate(); err != nil {
		t.Error(err)
	}
}

// colleague is another hospital, whose key this one has pinned.
type colleague struct {
	name   string
	signer ed25519.PrivateKey
	key    seal.Key
}

// maskedHospital is lyon, which pins nantes and rennes.
func maskedHospital(t *testing.T) (*hospital, []colleague) {
	t.Helper()
	conf := sealedConfig(t, Sealed{Hospitals: 3, Peers: map[string]string{}})
	conf.Limits.FailuresAllowed = 50
	var peers []colleague
	for _, name := range []string{"nantes", "rennes"} {
		base := filepath.Join(filepath.Dir(conf.Ledger), name+"-ledger")
		signer, err := pki.CreateSigningKey(base)
		must(t, err)
		conf.Sealed.Peers[name] = base + ".pub"
		key, err := seal.NewKey()
		must(t, err)
		peers = append(peers, colleague{name, signer, key})
	}
	few := func(d *study.Document) { sealedStudy(d) }
	propose(conf, "masked", 1, few)
	decide(conf, study.Approve, "masked", 1, 1, few)
	return start(t, conf, newEngine()), peers
}

// maskedRequest asks for numbers that lyon covers for a patient at one hospital, relying on all but one of the other
// hospitals.
func maskedRequest(h *hospital, query string) *fragment.Request {
	r := covered(h, "masked", 3)
	r.Query = query
	r.Cover.Colluders, r.Cover.Among = 1, []string{"lyon", "nantes", "rennes"}
	return r
}

// converse executes a masked request. It learns that the hospital is done, tells the members, and takes the vector.
func converse(t *testing.T, c flight.Client, r *fragment.Request, members func(own seal.Member) []seal.Member) ([]int64, error) {
	t.Helper()
	ticket, err := prepare(c, r)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := c.DoExchange(ctx)
	must(t, err)
	must(t, stream.Send(&flight.FlightData{AppMetadata: []byte(ticket)}))
	d, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	var own seal.Member
	must(t, json.Unmarshal(d.AppMetadata, &own))
	b, err := json.Marshal(members(own))
	must(t, err)
	must(t, stream.Send(&flight.FlightData{AppMetadata: b}))
	must(t, stream.CloseSend())
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	var got []int64
	for reader.Next() {
		if got, err = fragment.ReadCovered(reader.Record(), got, 2); err != nil {
			return nil, err
		}
	}
	return got, reader.Err()
}

// The vector is masked. With the masks of exactly the members it gives the covered numbers, and alone it reveals
// nothing. The noise is that of a hospital that relies on one other.
func TestMasked(t *testing.T) {
	h, peers := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	const runs = 20
	squares := 0.0
	for i := range runs {
		r := maskedRequest(h, fmt.Sprintf("%032x", i+1))
		request := seal.Request{Federation: "france", Study: "masked", Query: r.Query, Digest: r.Digest()}
		var members []seal.Member
		got, err := converse(t, c, r, func(own seal.Member) []seal.Member {
			if own.Name != "lyon" || request.Verify(own, h.service.custody.key.Public().(ed25519.PublicKey)) != nil {
				t.Errorf("the hospital says that it is done as %+v", own)
			}
			members = []seal.Member{own, request.Member("nantes", peers[0].key, peers[0].signer), request.Member("rennes", peers[1].key, peers[1].signer)}
			return members
		})
		must(t, err)
		if len(got) != 2 {
			t.Fatalf("%d numbers", len(got))
		}
		if small := math.Ldexp(float64(got[0]), -32); math.Abs(small) < 1 {
			t.Errorf("what left is %d, which no mask covers", got[0])
		}
		for _, p := range peers { // the masks of all three add up to zero
			must(t, request.Mask(got, p.name, p.key, members))
		}
		shares, err := r.Fragment.Shares(*r.Cover, 3, r.Noise, &fragment.Proof{Sizes: []int64{1}, Cells: 2})
		must(t, err)
		for j, x := range got {
			noise := math.Ldexp(float64(x), -int(shares[0].Shift())) - float64(2+j)
			squares += noise * noise / (2 * runs)
		}
	}
	if want := 3 * 16.0; squares < want/3 || squares > 3*want { // max(sites, honest) is 3
		t.Errorf("noise of variance %g, not %g", squares, want)
	}
	for _, e := range h.entries(t) {
		if e.Kind == "answer" && !strings.Contains(e.Text, "masked with those of 2 others (exposure 1)") {
			t.Errorf("the ledger says %s", e.Text)
		}
		if own := pki.Fingerprint(h.service.custody.key.Public().(ed25519.PublicKey)); e.Kind == "config" && !strings.Contains(e.Text, "The key of this hospital, which others pin, is "+own) {
			t.Errorf("nobody can compare the hospital's own key by what the policy says, %s", e.Text)
		}
		if e.Kind == "config" && !strings.Contains(e.Text, "It masks its numbers with those of nantes (key "+pki.Fingerprint(peers[0].signer.Public().(ed25519.PublicKey))) {
			t.Errorf("the policy says %s", e.Text)
		}
	}
}

// A coordinator that lies about who is done is refused, which counts as a failure.
func TestMaskedLiars(t *testing.T) {
	h, peers := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	strangers := []colleague{peers[0], peers[1]}
	_, own, err := ed25519.GenerateKey(nil)
	must(t, err)
	strangers[0].signer = own // the signature of another hospital
	for i, tc := range []struct {
		name    string
		members func(seal.Request, seal.Member) []seal.Member
	}{
		{"without itself", func(r seal.Request, _ seal.Member) []seal.Member {
			return []seal.Member{r.Member("nantes", peers[0].key, peers[0].signer)}
		}},
		{"with another key of its own", func(r seal.Request, own seal.Member) []seal.Member {
			own.Key = r.Member("nantes", peers[0].key, peers[0].signer).Key
			return []seal.Member{own}
		}},
		{"with a hospital that it invented", func(r seal.Request, own seal.Member) []seal.Member {
			return []seal.Member{own, r.Member("zurich", peers[0].key, peers[0].signer)}
		}},
		{"with a key that it made for a hospital", func(r seal.Request, own seal.Member) []seal.Member {
			return []seal.Member{own, r.Member("nantes", strangers[0].key, strangers[0].signer)}
		}},
		{"with an old key", func(r seal.Request, own seal.Member) []seal.Member {
			r.Query = strings.Repeat("0", 32)
			return []seal.Member{own, r.Member("nantes", peers[0].key, peers[0].signer)}
		}},
		{"with one twice", func(r seal.Request, own seal.Member) []seal.Member {
			n := r.Member("nantes", peers[0].key, peers[0].signer)
			return []seal.Member{own, n, n}
		}},
		{"with nobody", func(seal.Request, seal.Member) []seal.Member { return nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := maskedRequest(h, fmt.Sprintf("%032x", 0xabc+i))
			request := seal.Request{Federation: "france", Study: "masked", Query: r.Query, Digest: r.Digest()}
			got, err := converse(t, c, r, func(own seal.Member) []seal.Member { return tc.members(request, own) })
			wantCode(t, err, CodeSealed)
			if got != nil {
				t.Errorf("%v left", got)
			}
		})
	}
}

// Masked numbers are only sent in a conversation, and other numbers never are. The request may not rely on more
// hospitals than allowed.
func TestMaskedRefuses(t *testing.T) {
	h, _ := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	ticket, err := prepare(c, maskedRequest(h, strings.Repeat("1", 32)))
	must(t, err)
	_, err = vector(t.Context(), c, ticket, 2)
	wantCode(t, err, CodeTicket)
	unmasked := covered(h, "masked", 3)
	unmasked.Query = strings.Repeat("2", 32)
	_, err = converse(t, c, unmasked, nil)
	wantCode(t, err, CodeTicket)
	for name, change := range map[string]func(*fragment.Cover){
		"relying on all":      func(c *fragment.Cover) { c.Colluders = -1 },
		"among a stranger":    func(c *fragment.Cover) { c.Among = append(c.Among, "zurich") },
		"for fewer hospitals": func(c *fragment.Cover) { c.Sites = 2 },
	} {
		r := maskedRequest(h, strings.Repeat("3", 32))
		change(r.Cover)
		if _, err := prepare(c, r); err == nil || !strings.Contains(err.Error(), "NODE_SEALED") && !strings.Contains(err.Error(), "NODE_FRAGMENT") {
			t.Errorf("%s: %v", name, err)
		}
	}
	alone := start(t, sealedConfig(t, Sealed{Hospitals: 3}), newEngine())
	r := maskedRequest(alone, strings.Repeat("4", 32))
	r.Study, r.Cover.Among = "sealed", nil
	_, err = prepare(alone.client(t, "coordinator-paris"), r)
	wantCode(t, err, CodeSealed) // it pins no keys
}

// Explaining a masked query shows the fingerprint of the key that the ledger shows and others pin. Explaining any other
// query shows none.
func TestMaskedExplain(t *testing.T) {
	h, _ := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	covered := covered(h, "masked", 3)
	covered.Query = strings.Repeat("2", 32)
	var keys []string
	for _, r := range []*fragment.Request{maskedRequest(h, strings.Repeat("1", 32)), covered} {
		body, err := json.Marshal(r)
		must(t, err)
		var got fragment.Explained
		must(t, act(t.Context(), c, "explain", body, &got))
		keys = append(keys, got.Key)
	}
	var policy struct{ Sealed struct{ Key string } }
	for _, e := range h.entries(t) {
		if e.Kind == ledger.KindConfig {
			must(t, json.Unmarshal(e.Detail, &policy))
		}
	}
	if own := policy.Sealed.Key; len(own) != 39 || keys[0] != own || keys[1] != "" {
		t.Errorf("it explains with the keys %q, and the ledger shows %q", keys, own)
	}
}

// If the stream is cut when a hospital is done, or nothing is said then, the query ends. No number leaves, a failure is
// recorded, and the ticket is used up.
func TestMaskedCut(t *testing.T) {
	for _, silent := range []bool{false, true} {
		h, _ := maskedHospital(t)
		h.service.limits.QueryTimeout = time.Second
		c := h.client(t, "coordinator-paris")
		ticket, err := prepare(c, maskedRequest(h, strings.Repeat("8", 32)))
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := c.DoExchange(ctx)
		must(t, err)
		must(t, stream.Send(&flight.FlightData{AppMetadata: []byte(ticket)}))
		_, err = stream.Recv()
		must(t, err)
		want := CodeCanceled
		if silent {
			want = CodeTimeout
			_, err = stream.Recv()
			wantCode(t, err, CodeTimeout)
		} else {
			cancel()
		}
		var failures []string
		for range 500 {
			failures = nil
			must(t, h.service.ledger.Entries(t.Context(), 1, func(e ledger.Entry) error {
				if e.Kind == ledger.KindFailure || e.Kind == ledger.KindAnswer {
					failures = append(failures, e.Text)
				}
				return nil
			}))
			if len(failures) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if len(failures) != 1 || !strings.Contains(failures[0], string(want)) || !strings.Contains(failures[0], "a vector of 0 numbers") {
			t.Errorf("silent %v: the ledger says %q", silent, failures)
		}
		again, err := c.DoExchange(t.Context())
		must(t, err)
		must(t, again.Send(&flight.FlightData{AppMetadata: []byte(ticket)}))
		_, err = again.Recv()
		wantCode(t, err, CodeTicket)
	}
}

// The same query, sealed twice for the same peers with the same keys, shares no mask: the difference of the answers
// reveals nothing.
func TestMaskedReplay(t *testing.T) {
	h, peers := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	r := maskedRequest(h, strings.Repeat("7", 32))
	request := seal.Request{Federation: "france", Study: "masked", Query: r.Query, Digest: r.Digest()}
	var got [2][]int64
	for i := range got {
		var err error
		got[i], err = converse(t, c, r, func(own seal.Member) []seal.Member {
			return []seal.Member{own, request.Member("nantes", peers[0].key, peers[0].signer), request.Member("rennes", peers[1].key, peers[1].signer)}
		})
		must(t, err)
	}
	for j := range got[0] {
		if d := got[0][j] - got[1][j]; d > -1<<40 && d < 1<<40 {
			t.Errorf("the difference of two answers is %d", d)
		}
	}
}

// namesRequest asks for the number of patients of each sex, as if the groups were not declared.
func namesRequest(h *hospital, query string, masks bool) *fragment.Request {
	r := maskedRequest(h, query)
	if !masks {
		r.Cover.Colluders, r.Cover.Among = 0, nil
	}
	r.Fragment.Keys[0].Domain, r.ThresholdDelta, r.Cover.Names = nil, 1e-9, true
	return r
}

// A hospital names the groups that its own noise allows, and covers the groups that it is then told: also a group that
// it does not have, and one that it has but did not name. With masked numbers, hospitals that were told different
// groups do not seal together.
func TestNames(t *testing.T) {
	h, peers := maskedHospital(t)
	h.engine.many = 497 // 500 men, two women
	c := h.client(t, "coordinator-paris")
	asked := [][]value.Value{{value.Text("f")}, {value.Text("m")}, {value.Text("x")}}
	fragment.SortGroups(asked)
	for _, masks := range []bool{false, true} {
		r := namesRequest(h, fmt.Sprintf("%032x", 77), masks)
		ticket, err := prepare(c, r)
		must(t, err)
		stream, err := c.DoExchange(t.Context())
		must(t, err)
		say := func(b []byte) error { return stream.Send(&flight.FlightData{AppMetadata: b}) }
		hear := func() ([]byte, error) {
			d, err := stream.Recv()
			return d.GetAppMetadata(), err
		}
		must(t, say([]byte(ticket)))
		own, err := r.Fragment.ReadNames(hear)
		must(t, err)
		if len(own) != 1 || own[0][0].Str() != "m" {
			t.Fatalf("it names %v", own)
		}
		must(t, fragment.WriteNames(asked, say))
		hospitals, unmask := 1, func([]int64) {}
		if masks {
			b, err := hear()
			must(t, err)
			var done seal.Member
			must(t, json.Unmarshal(b, &done))
			request := seal.Request{Federation: "france", Study: "masked", Query: r.Query, Digest: fragment.DigestOf(r.Digest(), asked)}
			other := request
			other.Digest = fragment.DigestOf(r.Digest(), asked[:2])
			own := h.service.custody.key.Public().(ed25519.PublicKey)
			if request.Verify(done, own) != nil || other.Verify(done, own) == nil {
				t.Error("what it signs does not depend on the groups that it was told of")
			}
			members := []seal.Member{done, request.Member("nantes", peers[0].key, peers[0].signer), request.Member("rennes", peers[1].key, peers[1].signer)}
			b, err = json.Marshal(members)
			must(t, err)
			must(t, say(b))
			hospitals, unmask = 3, func(v []int64) {
				for _, p := range peers {
					must(t, request.Mask(v, p.name, p.key, members))
				}
			}
		}
		must(t, stream.CloseSend())
		reader, err := flight.NewRecordReader(stream)
		must(t, err)
		var got []int64
		for reader.Next() {
			got, err = fragment.ReadCovered(reader.Record(), got, 3)
			must(t, err)
		}
		reader.Release()
		must(t, reader.Err())
		if len(got) != 3 {
			t.Fatalf("%d numbers", len(got))
		}
		unmask(got)
		proof, err := fragment.Check(&r.Fragment, h.catalog)
		must(t, err)
		shares, err := r.Fragment.Shares(*r.Cover, hospitals, r.Noise, proof)
		must(t, err)
		for i, want := range []int64{2, 500, 0} {
			if x := shares[0].Read(got[i]); x < want-80 || x > want+80 || got[i] == want<<shares[0].Shift() {
				t.Errorf("masks %v: of %v it sends %d", masks, asked[i], x)
			}
		}
	}
	left := 0
	for _, e := range h.entries(t) {
		if e.Kind == "answer" {
			left++
			if !strings.HasPrefix(e.Text, "The names of 1 groups that this hospital's own noise let it name, and a vector of 3 numbers, ") {
				t.Errorf("the ledger says %s", e.Text)
			}
		}
	}
	if left != 2 {
		t.Errorf("%d answers", left)
	}
}

// A coordinator that asks for a group twice, to get two draws of noise, or for something that is no group, gets a
// refusal and no number.
func TestNamesLiars(t *testing.T) {
	h, _ := maskedHospital(t)
	c := h.client(t, "coordinator-paris")
	for i, groups := range [][][]value.Value{
		{{value.Text("f")}, {value.Text("f")}}, {{value.Text("m")}, {value.Text("f")}}, {{value.Int(3)}}, {{}}, {{value.Text("f"), value.Text("m")}},
	} {
		r := namesRequest(h, fmt.Sprintf("%032x", 100+i), false)
		ticket, err := prepare(c, r)
		must(t, err)
		stream, err := c.DoExchange(t.Context())
		must(t, err)
		must(t, stream.Send(&flight.FlightData{AppMetadata: []byte(ticket)}))
		_, err = stream.Recv() // receives the names
		must(t, err)
		must(t, fragment.WriteNames(groups, func(b []byte) error { return stream.Send(&flight.FlightData{AppMetadata: b}) }))
		must(t, stream.CloseSend())
		_, err = stream.Recv()
		wantCode(t, err, CodeSealed)
	}
}
