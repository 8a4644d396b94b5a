package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/notify"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/study"
)

// A running node sends to the custodian's webhook, once, what waits, failed, is suspended, is nearly spent or is about
// to end. The messages have no values, no queries and no text of the database.
func TestNotices(t *testing.T) {
	var mu sync.Mutex
	var bodies []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b := make([]byte, 1<<20)
		n, _ := r.Body.Read(b)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(b[:n]))
	}))
	defer hook.Close()
	conf := testConfig(federation(t))
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte("a secret of the webhook"), 0o600))
	conf.Notify = notify.Config{Webhook: &notify.Webhook{URL: hook.URL, Secret: config.Secret{File: file}}}
	conf.Limits.FailuresAllowed = 2
	propose(conf, "new", 1, func(d *study.Document) { d.Title = "Une étude" })
	e := newEngine()
	e.fail = func(context.Context) error { return errors.New("patient 4711 does not fit") }
	silent := conf
	silent.Notify = notify.Config{}
	h := start(t, silent, e)
	c := h.client(t, "coordinator-paris")
	keys := func() (all []string) {
		events, err := h.notices(t.Context())
		must(t, err)
		for _, x := range events {
			if x.Kind != notify.Certificate {
				all = append(all, x.Key)
			}
		}
		return all
	}
	if got := keys(); !slices.Equal(got, []string{"proposal/new/1"}) {
		t.Errorf("at first it tells %q", got)
	}
	fail := func(epsilon float64) {
		ticket, err := prepare(c, request(h.catalog, epsilon))
		must(t, err)
		if _, err := execute(t.Context(), c, ticket); err == nil {
			t.Fatal("it does not fail")
		}
	}
	fail(0.5)
	if got := keys(); !slices.Equal(got, []string{"failure/copd/1/1", "proposal/new/1"}) {
		t.Errorf("after a failure it tells %q", got)
	}
	fail(0.3)
	must(t, h.SetHold(t.Context(), Hold{On: true, Reason: "An incident."}))
	got := keys()
	if len(got) != 4 || got[0] != "suspended/copd/1/true" || got[1] != "budget/copd/1/1e-06" || !strings.HasPrefix(got[3], "stop/") {
		t.Errorf("after the last failure it tells %q", got)
	}
	h.stop()

	for range 2 { // once, over restarts
		h = start(t, conf, newEngine())
		time.Sleep(300 * time.Millisecond)
		h.stop()
	}
	mu.Lock()
	defer mu.Unlock()
	if len(bodies) != 1 {
		t.Fatalf("%d messages: %q", len(bodies), bodies)
	}
	var told struct{ Events []notify.Event }
	must(t, json.Unmarshal([]byte(bodies[0]), &told))
	if len(told.Events) < 4 {
		t.Errorf("%+v", told.Events)
	}
	for _, want := range []string{"waits for your decision", "intramuros study resume copd", "80 % of the budget of the study copd", "The hospital is stopped"} {
		if !strings.Contains(bodies[0], want) {
			t.Errorf("%q is not told in %s", want, bodies[0])
		}
	}
	for _, private := range []string{"4711", "SELECT", "patient.sex", "a secret of"} {
		if strings.Contains(bodies[0], private) {
			t.Errorf("%q is told: %s", private, bodies[0])
		}
	}
}

// All messages about a study, and all others, are entirely in the configured language.
func TestNoticesInFrench(t *testing.T) {
	english := regexp.MustCompile(`(?i)\b(the|is|of|and|its?|to|or|was|has|by)\b`)
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	d := &study.Document{ID: "copd", Version: 2, Title: "Une étude", LegalBasis: "MR-004", Budget: dp.Budget{Accounting: dp.ZCDP, Epsilon: 2.5, Delta: 1e-6}, MaxEpsilon: 0.5,
		Investigators: []string{"alice"}, Expires: now, Sealed: true}
	all := []study.Study{
		{ID: "copd", Proposal: d},
		{ID: "copd", Proposal: d, Approved: d, Pending: &study.Pending{Act: study.Approve, By: []string{"claire"}, Missing: 1}},
		{ID: "copd", Approved: d, Status: study.Suspended, Pending: &study.Pending{Act: study.Resume, By: []string{"claire"}, Missing: 1}, Failures: 1},
		{ID: "copd", Approved: d, Status: study.Suspended, Failures: 5, Failed: true},
	}
	for _, l := range []notify.Language{notify.French, notify.English, ""} {
		events := append(l.BudgetNotices("", 0.9, d.Budget), l.BudgetNotices("copd", 0.9, d.Budget)...)
		events = append(events, l.CertificateNotice(pki.Term{What: "node", File: "node.pem", Ends: now}, now.Add(-time.Hour)), l.CertificateNotice(pki.Term{What: "node", File: "node.pem", Ends: now}, now))
		for _, x := range all {
			if x.Proposal != nil && x.Approved == nil && l != notify.French {
				continue // the sentence of a proposal comes from its record, see TestNotices
			}
			events = append(events, studyNotices(&x, 5, l)...)
		}
		for _, e := range events {
			text := strings.ReplaceAll(e.Subject+"\n"+e.Text, ", Keys and certificates", "") // a heading of the page
			if found := english.FindString(text); (found != "") == (l == notify.French) || strings.Contains(text, "%!") {
				t.Errorf("in %q: %q in %s", l, found, text)
			}
		}
		if len(events) < 8 {
			t.Errorf("%d events", len(events))
		}
	}
}
