package coordinator

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

const bySex = "SELECT sex, COUNT(*) AS n FROM person GROUP BY sex ORDER BY sex"

func wantCode(t *testing.T, err error, code Code) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code || !errors.Is(err, code) {
		t.Fatalf("error is %v, not %s", err, code)
	}
	return e
}

func TestAnswer(t *testing.T) {
	f := newFederation(t, nil)
	a := f.mustAsk(t, bySex)
	wantRows(t, a, "F 30", "M 15")
	if !slices.Equal(a.Answered, []string{"a", "b", "c"}) || len(a.Missing) > 0 || a.Stored {
		t.Errorf("answered %v, missing %v, stored %v", a.Answered, a.Missing, a.Stored)
	}
	if a.Cost.Epsilon != 0.5 || a.Remaining.Epsilon != 1.5 {
		t.Errorf("cost %v, remaining %v", a.Cost, a.Remaining)
	}
	low, high := a.Rows[0][1].Low, a.Rows[0][1].High
	if !(low.Float64() < 30 && high.Float64() > 30) {
		t.Errorf("the interval is [%v, %v]", low, high)
	}
	f.settled(t, 0.5)
}

func TestNoiseReachesEveryPartial(t *testing.T) {
	f := newFederation(t, nil)
	f.mustAsk(t, "SELECT sex, COUNT(*), SUM(age) FROM person GROUP BY sex")
	plan, err := f.plan(asker("alice"), read(Request{SQL: "SELECT sex, COUNT(*), SUM(age) FROM person GROUP BY sex", Settings: Settings{Study: "s"}}))
	must(t, err)
	partials := len(plan.plan.Fragment.Partials)
	if want := 2 * partials; len(f.draws) != want {
		t.Fatalf("%d draws, not %d", len(f.draws), want)
	}
	for i, d := range f.draws {
		// There are three hospitals, at each of which one patient may change a count by 1 or a sum by a bound.
		if want := (dp.Coordinate{Size: 3 * plan.plan.Proof.Sizes[i%partials], Weight: 1}); d.of != want || d.noise != plan.plan.Noise {
			t.Errorf("draw %d is for %+v and %v, not %+v and %v", i, d.of, d.noise, want, plan.plan.Noise)
		}
		if d.noise.Limit != int64(plan.plan.Proof.Groups*partials) || d.noise.Epsilon != 0.5 {
			t.Errorf("draw %d has %v", i, d.noise)
		}
	}
}

// The production constructor draws the noise of package dp.
func TestOpenDrawsNoise(t *testing.T) {
	f := newFederation(t, nil)
	must(t, f.Close())
	c, err := Open(t.Context(), f.config, f, f.Coordinator.log)
	must(t, err)
	defer c.Close()
	different := false
	n := dp.Noise{Mechanism: dp.Laplace, Epsilon: 1e-6, Limit: 1}
	for range 10 { // each stays with probability below 1e-6
		a, err := c.noise(n, dp.Coordinate{Size: 1, Weight: 1})
		must(t, err)
		x, err := a.Add(0)
		must(t, err)
		different = different || x != 0
	}
	if !different {
		t.Error("ten draws of scale a million are all 0")
	}
}

func TestEmptyGroupsAreThere(t *testing.T) {
	f := newFederation(t, nil)
	for _, h := range f.hospitals {
		h.groups = []group{{[]value.Value{value.Text("M")}, 1}, {[]value.Value{value.Text("X")}, 1000}}
	}
	wantRows(t, f.mustAsk(t, bySex), "F 0", "M 3")
	if len(f.draws) != 2 {
		t.Errorf("%d draws for 2 declared groups", len(f.draws))
	}
}

func TestUndeclaredGroupsAreSelected(t *testing.T) {
	f := newFederation(t, nil)
	for _, h := range f.hospitals {
		h.groups = []group{{[]value.Value{value.Text("Zenith")}, 1000}, {[]value.Value{value.Text("Hamlet " + h.name)}, 1}, {[]value.Value{value.Text("Alma")}, 900}}
	}
	wantRows(t, f.mustAsk(t, "SELECT city, COUNT(*) FROM person GROUP BY city"), "Alma 2700", "Zenith 3000")
	for _, h := range f.hospitals { // nothing is left; the reader of the answer is told what it takes to be shown
		h.groups = []group{{[]value.Value{value.Text("Hamlet " + h.name)}, 1}}
	}
	const sql = "SELECT city, COUNT(*), SUM(age) FROM person GROUP BY city"
	a := f.mustAsk(t, sql)
	wantRows(t, a)
	q, err := f.plan(asker("alice"), read(Request{SQL: sql, Settings: Settings{Study: "s"}}))
	must(t, err)
	if want := fmt.Sprintf("from a noisy number of %d patients on", q.plan.Selection.Threshold); len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], want) {
		t.Errorf("warnings %q, not %q", a.Warnings, want)
	}
}

func TestStoredAnswer(t *testing.T) {
	f := newFederation(t, nil)
	first := f.mustAsk(t, bySex)
	for _, h := range f.hospitals {
		h.refuse[actionPrepare] = errors.New("nobody may be asked again")
	}
	// The same in another spelling, with other post-processing.
	again := f.mustAsk(t, "select  P.sex, count(*) as N from person as P group by 1 order by n")
	wantRows(t, again, "M 15", "F 30")
	if !again.Stored || again.Cost.Epsilon != 0 || again.Query == first.Query {
		t.Errorf("stored %v, cost %v", again.Stored, again.Cost)
	}
	f.settled(t, 0.5)
	for i := range f.members { // gossip announces new data: another question
		f.members[i].DataVersion = "v2"
		f.hospital(f.members[i].Name).version = "v2"
		delete(f.hospital(f.members[i].Name).refuse, actionPrepare)
	}
	if f.mustAsk(t, bySex).Stored {
		t.Error("new data, and the old answer")
	}
	f.settled(t, 1)
	for i := range f.members { // gossip lags, so the hospitals' own answer counts
		f.members[i].DataVersion = "v1.5"
	}
	if !f.mustAsk(t, bySex).Stored {
		t.Error("the hospitals' own data version does not find the stored answer")
	}
	f.settled(t, 1)
}

func TestStoredAnswerOutlivesTheCoordinator(t *testing.T) {
	f := newFederation(t, nil)
	f.mustAsk(t, bySex)
	must(t, f.Close())
	var err error
	f.Coordinator, err = Open(t.Context(), f.config, f, f.Coordinator.log)
	must(t, err)
	a := f.mustAsk(t, bySex)
	wantRows(t, a, "F 30", "M 15")
	if !a.Stored {
		t.Error("not stored")
	}
	f.settled(t, 0.5)
}

func TestBudgetExhausted(t *testing.T) {
	f := newFederation(t, nil)
	who := asker("alice")
	for i := range 2 {
		_, err := f.Query(t.Context(), who, Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 1 - float64(i)/100}}}, nil)
		must(t, err)
	}
	before := f.hospital("a").executed
	_, err := f.ask(t.Context(), t, bySex)
	e := wantCode(t, err, CodeBudgetExhausted)
	if e.Charged || !strings.Contains(e.Message, "study s") || !strings.HasPrefix(e.Hint, "ask with an epsilon of at most 0.01;") {
		t.Errorf("%+v", e)
	}
	if f.hospital("a").executed != before {
		t.Error("a hospital ran a query that nobody paid")
	}
	f.settled(t, 1.99)
}

// A researcher's own limit applies over all studies, and to nobody else.
func TestResearcherCap(t *testing.T) {
	own := dp.Budget{Accounting: dp.ZCDP, Epsilon: 4.5, Delta: 1e-6} // rho 0.366; a query of epsilon 0.5 costs 0.125
	f := newFederation(t, func(c *Config) {
		a := c.Researchers["alice"]
		a.Budget = &own
		c.Researchers["alice"], c.Researchers["bob"] = a, Access{TokenSHA256: strings.Repeat("ab", 32)}
	})
	f.propose(t, "other", func(d *study.Document) { d.Investigators = []string{"alice", "bob"} })
	ask := func(who, study string, epsilon float64) error {
		_, err := f.Query(t.Context(), asker(who), Request{SQL: bySex, Settings: Settings{Study: study, Ask: planner.Ask{Epsilon: epsilon}}}, nil)
		return err
	}
	must(t, ask("alice", "s", 0.5))
	must(t, ask("alice", "other", 0.5))
	account, err := f.Budget(t.Context(), asker("alice"), "s")
	must(t, err)
	if account.Researcher == nil || account.Researcher.Budget != own || !(account.Researcher.Remaining.Epsilon < 0.5) || account.Remaining.Epsilon != 1.5 {
		t.Errorf("%+v", account)
	}
	explained, err := f.Explain(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.6}}})
	must(t, err)
	if explained.Allowed || explained.Researcher == nil {
		t.Errorf("%+v", explained)
	}
	before := f.hospital("a").executed
	e := wantCode(t, ask("alice", "s", 0.6), CodeBudgetExhausted)
	if e.Charged || !strings.Contains(e.Message, "researcher alice") || f.hospital("a").executed != before {
		t.Errorf("%+v", e)
	}
	if err := ask("alice", "s", 0.5); err != nil {
		t.Errorf("a stored answer is not given: %v", err)
	}
	must(t, ask("bob", "other", 0.6))
	if account, err = f.Budget(t.Context(), asker("bob"), "other"); err != nil || account.Researcher != nil {
		t.Errorf("%+v, %v", account, err)
	}
	f.settled(t, 0.5)
}

func TestRefusalAtOneIsAbandonedAtAll(t *testing.T) {
	f := newFederation(t, nil)
	f.hospital("b").refuse[actionPrepare] = status.Error(codes.ResourceExhausted, "NODE_BUDGET: has not enough privacy budget left for this")
	_, err := f.ask(t.Context(), t, bySex)
	e := wantCode(t, err, CodeHospitalRefused)
	if e.Charged || len(e.Hospitals) != 1 || e.Hospitals[0] != (Absence{"b", "NODE_BUDGET", "has not enough privacy budget left for this"}) {
		t.Errorf("%+v", e)
	}
	for _, name := range []string{"a", "c"} {
		if h := f.hospital(name); h.abandoned != 1 || h.executed != 0 {
			t.Errorf("hospital %s: %d abandoned, %d executed", name, h.abandoned, h.executed)
		}
	}
	f.settled(t, 0)
}

// An earlier release's charge does not keep a later release's reservation.
func TestRefusalOfALaterReleaseIsGivenBack(t *testing.T) {
	f := newFederation(t, nil)
	f.hospital("b").once = true
	_, err := f.ask(t.Context(), t, "SELECT sex, COUNT(*) FROM person GROUP BY sex UNION ALL SELECT NULL, COUNT(*) FROM person")
	if e := wantCode(t, err, CodeHospitalRefused); !e.Charged {
		t.Errorf("%+v", e)
	}
	f.settled(t, 0.25)
}

func TestPriceMustAgree(t *testing.T) {
	f := newFederation(t, nil)
	f.hospital("c").price = dp.Loss{Epsilon: 1}
	_, err := f.ask(t.Context(), t, bySex)
	if e := wantCode(t, err, CodeHospitalRefused); e.Hospitals[0].Code != absentPrice {
		t.Errorf("%+v", e)
	}
	f.settled(t, 0)
}

func TestFailureAfterTheChargeStaysCharged(t *testing.T) {
	f := newFederation(t, nil)
	f.hospital("b").half = true
	_, err := f.ask(t.Context(), t, bySex)
	e := wantCode(t, err, CodeHospitalFailed)
	if !e.Charged || len(e.Hospitals) != 1 || e.Hospitals[0].Name != "b" || e.Hospitals[0].Code != absentFault {
		t.Errorf("%+v", e)
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(f.log.String(), "secret") {
		t.Errorf("what the database said came out: %v; log: %s", err, f.log)
	}
	f.settled(t, 0.5)
	if charged := entries(t, f, ledger.KindCharge); charged != 1 {
		t.Errorf("%d charges", charged)
	}
	if answered := entries(t, f, ledger.KindAnswer); answered != 0 {
		t.Errorf("%d answers", answered)
	}
}

func entries(t *testing.T, f *federation, kind ledger.Kind) (n int) {
	t.Helper()
	must(t, f.ledger.Entries(context.Background(), 1, func(e ledger.Entry) error {
		if e.Kind == kind {
			n++
		}
		return nil
	}))
	return n
}

func TestMissingHospitals(t *testing.T) {
	f := newFederation(t, nil)
	f.members[0].Catalog = strings.Repeat("0", 32)
	f.members = append(f.members[:1:1], membership.Member{Role: "node", Name: "stranger", Catalog: f.members[1].Catalog, Flight: "127.0.0.1:1"})
	_, err := f.ask(t.Context(), t, bySex)
	e := wantCode(t, err, CodeHospitalMissing)
	var got []string
	for _, a := range e.Hospitals {
		got = append(got, a.Name+" "+a.Code)
	}
	if want := []string{"a CATALOG_MISMATCH", "b NOT_JOINED", "c NOT_JOINED"}; !slices.Equal(got, want) {
		t.Errorf("missing %v, not %v", got, want)
	}
	f.settled(t, 0)
}

func TestRequireSome(t *testing.T) {
	two := func(c *Config) { c.Require.atLeast = 2 }
	for _, test := range []struct {
		name    string
		break_  func(f *federation)
		missing string
	}{
		{"catalog", func(f *federation) { f.members[1].Catalog = strings.Repeat("0", 32) }, absentCatalog},
		{"down", func(f *federation) { f.hospital("b").server.Stop() }, absentUnreachable},
		{"refuses", func(f *federation) {
			f.hospital("b").refuse[actionPrepare] = status.Error(codes.PermissionDenied, "NODE_STUDY: has not opened this study")
		}, "NODE_STUDY"},
		{"fails half-way", func(f *federation) { f.hospital("b").half = true }, absentFault},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFederation(t, two)
			test.break_(f)
			a := f.mustAsk(t, bySex)
			wantRows(t, a, "F 20", "M 10")
			if !slices.Equal(a.Answered, []string{"a", "c"}) || len(a.Missing) != 1 || a.Missing[0].Name != "b" || a.Missing[0].Code != test.missing || len(a.Warnings) != 1 {
				t.Errorf("answered %v, missing %v, warnings %v", a.Answered, a.Missing, a.Warnings)
			}
			f.settled(t, 0.5)
		})
	}
	t.Run("two are too many", func(t *testing.T) {
		f := newFederation(t, two)
		f.members = f.members[:2]
		f.hospital("b").half = true
		_, err := f.ask(t.Context(), t, bySex)
		if e := wantCode(t, err, CodeHospitalFailed); !e.Charged {
			t.Error("not charged")
		}
		f.settled(t, 0.5)
	})
}

func TestCancelReachesTheHospitals(t *testing.T) {
	f := newFederation(t, nil)
	hang := make(chan struct{}, 2)
	f.hospital("b").hang = hang
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-hang
		cancel()
	}()
	_, err := f.ask(ctx, t, bySex)
	if e := wantCode(t, err, CodeCanceled); !e.Charged {
		t.Error("not charged, although hospitals ran it")
	}
	select {
	case <-hang:
	case <-time.After(5 * time.Second):
		t.Fatal("the hospital does not hear of it")
	}
	wantEnded(t, f.hospital("b"), 1)
	f.settled(t, 0.5)
}

func TestFailureStopsTheOthers(t *testing.T) {
	f := newFederation(t, nil)
	hang := make(chan struct{}, 2)
	f.hospital("b").hang = hang
	f.hospital("c").after = hang // b has begun
	f.hospital("c").refuse["execute"] = status.Error(codes.Internal, "NODE_ENGINE: met a fault in its database")
	_, err := f.ask(t.Context(), t, bySex)
	e := wantCode(t, err, CodeHospitalFailed)
	if len(e.Hospitals) != 1 || e.Hospitals[0].Name != "c" {
		t.Errorf("blames %v", e.Hospitals)
	}
	wantEnded(t, f.hospital("b"), 1)
	wantEnded(t, f.hospital("c"), 0)
}

// wantEnded checks how often a hospital was told that its execution is ended for a reason that is not its fault.
func wantEnded(t *testing.T, h *hospital, want int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended != want {
		t.Errorf("%s was told %d times that a query is ended, not %d", h.name, h.ended, want)
	}
}

func TestTimeout(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.QueryTimeout = 500 * time.Millisecond })
	hang := make(chan struct{}, 2)
	f.hospital("b").hang = hang
	_, err := f.ask(t.Context(), t, bySex)
	if e := wantCode(t, err, CodeTimeout); !e.Charged {
		t.Error("not charged")
	}
	wantEnded(t, f.hospital("b"), 0) // being too slow is its failure
	f.settled(t, 0.5)
}

func TestProgress(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Require.atLeast = 2 })
	f.hospital("c").half = true
	steps := map[string][]string{}
	var mu sync.Mutex
	_, err := f.Query(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}}, func(p Progress) {
		if !mu.TryLock() {
			t.Error("two calls at once")
			return
		}
		defer mu.Unlock()
		step := string(p.State)
		if p.Absent != nil {
			step += " " + p.Absent.Code
		}
		steps[p.Hospital] = append(steps[p.Hospital], step)
	})
	must(t, err)
	want := "map[a:[prepared running answered] b:[prepared running answered] c:[prepared running failed NODE_ERROR]]"
	if got := fmt.Sprint(steps); got != want {
		t.Errorf("steps are %s, not %s", got, want)
	}
}

// These users are asked for a proof, and those for the token itself.
func TestChallenge(t *testing.T) {
	const hash = "5f2b51ca2fdc5baa31ec02e002f69aec3d1c3ad7ea1bd2e8d6e0b7e5ca6d5f1c"
	keys, err := identity.NewScramKeys(alice)
	must(t, err)
	for _, test := range []struct{ suffix, proved, shown string }{
		{"none", "alice made nobody nobody@else Nobody", "old"},
		{"@else", "alice made nobody", "old x@else"},
		{"", "alice made", "old nobody x@else"},
	} {
		f := newFederation(t, func(c *Config) {
			c.Researchers["made"] = Access{TokenSHA256: hash, Scram: keys.String(), Roles: []string{"operator"}}
			c.Researchers["old"] = Access{TokenSHA256: hash}
			if test.suffix != "none" {
				c.Issuers = []identity.Issuer{{Issuer: "https://idp.example", Audience: "x", Suffix: test.suffix}}
			}
		})
		for _, name := range strings.Fields(test.proved) {
			if f.Challenge(name, &x509.Certificate{}) == nil {
				t.Errorf("with a provider's suffix %q, %s is asked for a token", test.suffix, name)
			}
		}
		for _, name := range strings.Fields(test.shown) {
			if f.Challenge(name, &x509.Certificate{}) != nil {
				t.Errorf("with a provider's suffix %q, %s is asked for a proof", test.suffix, name)
			}
		}
		for _, name := range []string{"alice", "made", "nobody"} {
			c := f.Challenge(name, &x509.Certificate{})
			if c == nil {
				continue
			}
			if _, err := f.Proved(c); !errors.Is(err, CodeUnauthorized) {
				t.Errorf("%s has proved nothing: %v", name, err)
			}
			client, err := scram.SHA256.NewClient("", alice, "")
			must(t, err)
			talk := client.NewConversation()
			said, err := talk.Step("")
			must(t, err)
			said, err = c.First(identity.Scram, said)
			must(t, err)
			said, err = talk.Step(said)
			must(t, err)
			_, _ = c.Final(said)
			who, err := f.Proved(c)
			switch {
			case name == "nobody":
				if !errors.Is(err, CodeUnauthorized) || who.Name != "" {
					t.Errorf("nobody became %+v, %v", who, err)
				}
			case err != nil || who.Name != name || len(who.Roles) != 1 || (who.Roles[0] == identity.RoleOperator) != (name == "made"):
				t.Errorf("%s became %+v, %v", name, who, err)
			}
		}
	}
}

func TestAdmission(t *testing.T) {
	f := newFederation(t, nil)
	if _, err := f.Authenticate(t.Context(), "wrong-token-0123456789"); !errors.Is(err, CodeUnauthorized) {
		t.Error(err)
	}
	if _, err := f.Authenticate(t.Context(), ""); !errors.Is(err, CodeUnauthorized) {
		t.Error(err)
	}
	who, err := f.Authenticate(t.Context(), alice)
	must(t, err)
	for _, test := range []struct {
		req  Request
		code Code
	}{
		{Request{SQL: bySex}, CodeStudyUnknown},
		{Request{SQL: bySex, Settings: Settings{Study: "none"}}, CodeStudyUnknown},
		{Request{SQL: bySex, Settings: Settings{Study: "others"}}, CodeStudyUnknown},
		{Request{SQL: bySex, Settings: Settings{Study: "over"}}, CodeStudyExpired},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 1.01}}}, CodeEpsilonTooLarge},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 1e-9}}}, "EPSILON_TOO_SMALL"},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.009999999}}}, "EPSILON_TOO_SMALL"},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: -1}}}, "INVALID_PARAMETER"},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{MaxRows: -1}}}, CodeInvalidRequest},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.1, Accuracy: &planner.Accuracy{HalfWidth: 50}}}}, CodeInvalidRequest},
		{Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Accuracy: &planner.Accuracy{HalfWidth: 1}}}}, "ACCURACY"},
		{Request{SQL: " ", Settings: Settings{Study: "s"}}, CodeInvalidRequest},
		{Request{SQL: "SELECT * FROM person", Settings: Settings{Study: "s"}}, "ROW_LEVEL"},
	} {
		_, err := f.Query(t.Context(), who, test.req, nil)
		e := wantCode(t, err, test.code)
		if test.code == "ROW_LEVEL" && (e.Line != 1 || e.Hint == "") {
			t.Errorf("no place or no hint: %+v", e)
		}
	}
	f.settled(t, 0)
}

// Nothing costs less than the study's least price: not by its default, not by an accuracy, not as one of many releases.
// The hint of a refusal works.
func TestLeastPrice(t *testing.T) {
	f := newFederation(t, nil)
	f.propose(t, "s", func(d *study.Document) { d.MinEpsilon, d.MaxEpsilon, d.DefaultEpsilon = 0.1, 0.35, 0.1 })
	ask := func(sql string, epsilon float64, a *planner.Accuracy) (*Answer, error) {
		return f.Query(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: epsilon, Accuracy: a}}}, nil)
	}
	const program = "SELECT sex, COUNT(*) FROM person GROUP BY GROUPING SETS ((sex), ())"
	_, err := ask(program, 0, nil) // the default is enough for one
	e := wantCode(t, err, "EPSILON_TOO_SMALL")
	if want := "ask with an epsilon of at least 0.2, or for fewer releases at once"; e.Hint != want {
		t.Errorf("the hint is %q, not %q", e.Hint, want)
	}
	_, err = ask("SELECT sex, COUNT(*) FROM person GROUP BY GROUPING SETS ((sex), ()) UNION ALL SELECT 'x', SUM(age) FROM person UNION ALL SELECT 'y', COUNT(*) FROM person WHERE age > 4", 0.35, nil)
	if e := wantCode(t, err, "EPSILON_TOO_SMALL"); e.Hint != "ask for fewer releases at once, in several queries" {
		t.Errorf("the hint is %q", e.Hint)
	}
	f.settled(t, 0)
	a, err := ask(program, 0.2, nil)
	must(t, err)
	if a.Cost.Epsilon != 0.2 {
		t.Errorf("two releases cost %v", a.Cost.Epsilon)
	}
	a, err = ask("SELECT SUM(age) FROM person", 0, &planner.Accuracy{HalfWidth: 1e5})
	must(t, err)
	if a.Cost.Epsilon != 0.1 {
		t.Errorf("a coarse accuracy costs %v", a.Cost.Epsilon)
	}
	x, err := f.Explain(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}})
	must(t, err)
	if x.MinEpsilon != 0.1 {
		t.Errorf("explain tells a least price of %v", x.MinEpsilon)
	}
}

// A target accuracy buys as little as is needed, whatever the study's default.
func TestAccuracy(t *testing.T) {
	f := newFederation(t, nil)
	request := Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Accuracy: &planner.Accuracy{HalfWidth: 100}}}}
	e, err := f.Explain(t.Context(), asker("alice"), request)
	must(t, err)
	if w := e.Expected[0].HalfWidth; !(w > 95 && w <= 100) || !(e.Cost.Epsilon < 0.5) {
		t.Errorf("half-width %v for epsilon %v", w, e.Cost.Epsilon)
	}
	a, err := f.Query(t.Context(), asker("alice"), request, nil)
	must(t, err)
	// An interval of whole numbers is rounded outward.
	if low, high := a.Rows[0][1].Low.Int64(), a.Rows[0][1].High.Int64(); high-30 > 101 || low > 30 || a.Cost != e.Cost {
		t.Errorf("interval [%d, %d] at %+v, not %+v", low, high, a.Cost, e.Cost)
	}
}

func TestExplain(t *testing.T) {
	f := newFederation(t, nil)
	f.members = f.members[:2]
	f.hospital("b").refuse[actionExplain] = status.Error(codes.FailedPrecondition, "NODE_SOURCE: cannot compute this")
	e, err := f.Explain(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}})
	must(t, err)
	if e.Plan == "" || e.Cost.Epsilon != 0.5 || !e.Allowed || e.Stored || len(e.Expected) != 1 {
		t.Errorf("%+v", e)
	}
	if len(e.Engines) != 1 || e.Engines[0].SQL != "SELECT 1" || !slices.Equal(e.Engines[0].Hospitals, []string{"a"}) {
		t.Errorf("engines %+v", e.Engines)
	}
	if len(e.Problems) != 2 || e.Problems[0].Code != "NODE_SOURCE" || e.Problems[1].Code != absentNotJoined {
		t.Errorf("problems %+v", e.Problems)
	}
	f.settled(t, 0)
}

// Concurrent queries never spend more than there is.
func TestConcurrentQueries(t *testing.T) {
	f := newFederation(t, nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	for i := range 8 {
		all.Go(func() {
			_, err := f.Query(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.5 + float64(i)/1e6}}}, nil)
			if err == nil {
				mu.Lock()
				answered++
				mu.Unlock()
			} else if !errors.Is(err, CodeBudgetExhausted) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if charged, reserved := f.losses(t); answered != 3 && answered != 4 || charged > 2 || reserved != 0 {
		t.Errorf("%d answers, charged %v, reserved %v", answered, charged, reserved)
	}
}

// EXPLAIN shows the errors of the answer's own columns, and which have no interval.
func TestExplainStatement(t *testing.T) {
	f := newFederation(t, nil)
	a := f.mustAsk(t, "EXPLAIN SELECT sex AS g, COUNT(*) AS n, RANK() OVER (ORDER BY COUNT(*)) AS r, 100.0 * COUNT(*) / SUM(COUNT(*)) OVER () AS percent FROM person GROUP BY sex")
	var got []string
	for _, row := range a.Rows {
		if text := row[0].Value.Str(); strings.HasPrefix(text, "expected") {
			got = append(got, text)
		}
	}
	want := []string{"expected   n: ± 18", "expected   r: no interval: the order of noisy numbers decides it",
		"expected   percent: ± 0.642 where it is 50, with about 1000 values in each of 2 groups"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	f.settled(t, 0)
}

// SELECT 1 and the like test a connection: they cost nothing and ask no hospital.
func TestConstants(t *testing.T) {
	f := newFederation(t, nil)
	a := f.mustAsk(t, "SELECT 1, 'x' AS b, NULL AS c, 9223372036854775807 AS d")
	if !a.Informs || len(a.Rows) != 1 || a.Rows[0][0].Value != value.Int(1) || a.Rows[0][1].Value != value.Text("x") || !a.Rows[0][2].Value.IsNull() || a.Rows[0][3].Value != value.Int(9223372036854775807) {
		t.Errorf("%+v", a)
	}
	if names := []string{a.Columns[0].Name, a.Columns[1].Name}; !slices.Equal(names, []string{"?column?", "b"}) || a.Columns[3].Type != value.TypeInt {
		t.Errorf("%+v", a.Columns)
	}
	o, err := f.Outline(t.Context(), asker("alice"), Request{SQL: "SELECT 1", Settings: Settings{Study: "s"}})
	if err != nil || len(o.Columns) != 1 || o.Cost.Epsilon != 0 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, sql := range []string{"SELECT 1 WHERE TRUE", "SELECT 1 LIMIT 1", "SELECT sex", "SELECT COUNT(*)"} {
		if _, err := f.Query(t.Context(), asker("alice"), Request{SQL: sql, Settings: Settings{Study: "s"}}, nil); err == nil {
			t.Errorf("%s is answered", sql)
		}
	}
	f.settled(t, 0)
}

// CURRENT_DATE is a constant of the plan. The answer of a day is found again on that day only.
func TestTheDayIsPartOfTheQuestion(t *testing.T) {
	f := newFederation(t, nil)
	const sql = "SELECT COUNT(*) AS n FROM person WHERE CURRENT_DATE > DATE '2000-01-01'"
	f.propose(t, "s", func(d *study.Document) { d.Expires = time.Now().Add(72 * time.Hour) })
	day := time.Now()
	f.now = func() time.Time { return day }
	if f.mustAsk(t, sql).Stored || !f.mustAsk(t, sql).Stored {
		t.Error("an answer of nobody's, or a charge for the same day's question")
	}
	day = day.Add(24 * time.Hour)
	if f.mustAsk(t, sql).Stored {
		t.Error("the answer of another day")
	}
	f.settled(t, 1)
}

// Refusals for a missing budget are recorded within limits, and reservations that are given back are not recorded.
func TestRefusalsFillNoDisk(t *testing.T) {
	f := newFederation(t, nil)
	f.propose(t, "s", func(d *study.Document) { d.Budget.Epsilon = 0.4 })
	before, _, err := f.ledger.Head(t.Context())
	must(t, err)
	f.hospital("a").refuse[actionPrepare] = status.Error(codes.PermissionDenied, "NODE_SCOPE: does not allow it")
	long := strings.Repeat(" ", 10_000)
	began := time.Now()
	for range 500 {
		_, err := f.Query(t.Context(), asker("alice"), Request{SQL: bySex + long, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.1}}}, nil)
		wantCode(t, err, CodeHospitalRefused)
		_, err = f.Query(t.Context(), asker("alice"), Request{SQL: bySex + long, Settings: Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.5}}}, nil)
		wantCode(t, err, CodeBudgetExhausted)
	}
	bytes, entries := 0, 0
	must(t, f.ledger.Entries(t.Context(), before+1, func(e ledger.Entry) error {
		if e.Kind != ledger.KindRefuse {
			t.Errorf("the ledger has a %s: %s", e.Kind, e.Text)
		}
		bytes, entries = bytes+e.Bytes(), entries+1
		return nil
	}))
	// on a slow machine, the day's part counts too
	since := int(float64(refusalBytesDay) * time.Since(began).Hours() / 24)
	if bytes > refusalBytes+since || entries < 10 {
		t.Errorf("1,000 refused queries take %d bytes in %d entries", bytes, entries)
	}
	f.settled(t, 0)
}

// Requests that only plan are limited too, and do not use up the rate of queries.
func TestOutlinesAreLimited(t *testing.T) {
	f := newFederation(t, func(c *Config) { c.Limits.PerMinute = 3 })
	var err error
	n := 0
	for ; n < 100 && err == nil; n++ {
		_, err = f.Outline(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}})
	}
	wantCode(t, err, CodeTooMany)
	if n != outlines*3+1 {
		t.Errorf("the %dth outline is refused", n)
	}
	f.mustAsk(t, bySex)
}
