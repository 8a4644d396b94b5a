package console

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/node"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

const token = "a token that is long enough"

// custodian records what it was told.
type custodian struct {
	hold  node.Hold
	taken *study.Record
	err   error
}

func (d *custodian) Standing(context.Context) (*node.Standing, error) {
	return &node.Standing{Hospital: "lyon", Hold: d.hold}, d.err
}

func (d *custodian) SetHold(_ context.Context, h node.Hold) error {
	d.hold = h
	return d.err
}

func (d *custodian) Draft(x node.Decision) (*study.Record, error) {
	if x.Study != "s" {
		return nil, fmt.Errorf("%w: no such study", study.ErrRecord)
	}
	return &study.Record{Act: x.Act, Study: x.Study, Federation: "f", Hospital: "lyon", Number: 1, By: x.By, Time: time.Now(), Reason: x.Reason}, nil
}

func (d *custodian) Take(_ context.Context, r *study.Record) error {
	d.taken = r
	return d.err
}

func (d *custodian) DraftRelease(by, reason string) (*node.Release, error) {
	if !d.hold.On {
		return nil, fmt.Errorf("%w: the hospital is not stopped", study.ErrRecord)
	}
	return &node.Release{Hospital: "lyon", By: by, Reason: reason, Since: d.hold.Since}, nil
}

func (d *custodian) TakeRelease(_ context.Context, r *node.Release) error {
	if len(r.Signature) == 0 {
		return fmt.Errorf("%w: it is not signed", study.ErrRecord)
	}
	d.hold = node.Hold{By: r.By}
	return nil
}

type server struct {
	*custodian
	*httptest.Server
	book *ledger.Ledger
}

func newServer(t *testing.T) *server {
	t.Helper()
	book, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger"), "node lyon", time.Now)
	must(t, err)
	t.Cleanup(func() { must(t, book.Close()) })
	s := &server{custodian: &custodian{}, book: book}
	h, err := newHandler(s.custodian, book, Admission{Token: []byte(token)}, slog.New(slog.DiscardHandler))
	must(t, err)
	s.Server = httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) do(t *testing.T, method, path, body, bearer string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := s.Client().Do(r)
	must(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	must(t, err)
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return response.StatusCode
}

// Without the token nothing is shown or done. The page itself holds nothing.
func TestToken(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"GET /v1/standing", "GET /v1/entries", "GET /v1/verify", "POST /v1/hold", "POST /v1/hold/draft", "POST /v1/hold/records", "POST /v1/draft", "POST /v1/records", "GET /v1/none"} {
		method, path, _ := strings.Cut(path, " ")
		for _, bearer := range []string{"", "another token of some length", token + "x"} {
			var f Failure
			if status := s.do(t, method, path, `{"on": true}`, bearer, &f); status != 401 || f.Error.Code != codeUnauthorized {
				t.Errorf("%s with %q: %d", path, bearer, status)
			}
		}
	}
	if s.hold.On {
		t.Error("the stop was pulled without the token")
	}
	for _, path := range []string{"/", "/assets/app.js", "/assets/base.css"} {
		if status := s.do(t, "GET", path, "", "", nil); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	if _, err := newHandler(s.custodian, s.book, Admission{Token: []byte("short")}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a short token is taken")
	}
}

func TestHold(t *testing.T) {
	s := newServer(t)
	var st node.Standing
	if status := s.do(t, "POST", "/v1/hold", `{"on": true, "reason": " An incident. "}`, token, &st); status != 200 || !st.Hold.On || s.hold.Reason != "An incident." {
		t.Errorf("%d %+v", status, st)
	}
	for _, body := range []string{`{"on": "yes"}`, `{"of": true}`, `{"on": true, "reason": "` + strings.Repeat("x", maxReason+1) + `"}`, ``} {
		if status := s.do(t, "POST", "/v1/hold", body, token, nil); status != 400 {
			t.Errorf("%.40s: %d", body, status)
		}
	}
	s.err = ledger.ErrStopped
	var f Failure
	if status := s.do(t, "POST", "/v1/hold", `{"on": false}`, token, &f); status != 500 || strings.Contains(f.Error.Message, "disk") {
		t.Errorf("a fault: %d %s", status, f.Error.Message)
	}
}

// If several must sign the end of a stop, the page passes signatures on, and says why one is refused.
func TestHoldEndsBySignature(t *testing.T) {
	s := newServer(t)
	var f Failure
	if status := s.do(t, "POST", "/v1/hold/draft", `{"by": "claire", "reason": ""}`, token, &f); status != 409 || f.Error.Code != codeRecord {
		t.Errorf("what is not stopped: %d %+v", status, f)
	}
	s.hold = node.Hold{On: true, Since: time.Now()}
	s.err = fmt.Errorf("%w: 2 custodians must sign", study.ErrRecord)
	if status := s.do(t, "POST", "/v1/hold", `{"on": false}`, token, &f); status != 409 || f.Error.Code != codeRecord {
		t.Errorf("without a signature: %d %+v", status, f)
	}
	s.err, s.hold.On = nil, true
	var draft ReleaseDraft
	if status := s.do(t, "POST", "/v1/hold/draft", `{"by": "claire", "reason": "Over."}`, token, &draft); status != 200 || !strings.HasPrefix(string(draft.Message), "intramuros/hold/1\n{") {
		t.Errorf("%d %q", status, draft.Message)
	}
	b, err := json.Marshal(draft.Record)
	must(t, err)
	if status := s.do(t, "POST", "/v1/hold/records", string(b), token, &f); status != 409 {
		t.Errorf("no signature: %d", status)
	}
	draft.Record.Signature = []byte("signed")
	b, err = json.Marshal(draft.Record)
	must(t, err)
	var st node.Standing
	if status := s.do(t, "POST", "/v1/hold/records", string(b), token, &st); status != 200 || st.Hold.On {
		t.Errorf("%d %+v", status, st)
	}
}

// A signature must sign the bytes that a draft shows.
func TestDraftIsSigned(t *testing.T) {
	s := newServer(t)
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	var d Draft
	if status := s.do(t, "POST", "/v1/draft", `{"act": "suspend", "study": "s", "by": "claire", "reason": "A doubt."}`, token, &d); status != 200 {
		t.Fatal(status)
	}
	signed := *d.Record
	must(t, signed.Sign(key))
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), d.Message, signed.Signature) {
		t.Error("the message is not what a signature is of")
	}
	d.Record.Signature = ed25519.Sign(key, d.Message)
	b, err := json.Marshal(d.Record)
	must(t, err)
	if status := s.do(t, "POST", "/v1/records", string(b), token, nil); status != 200 || s.taken == nil || s.taken.Reason != "A doubt." {
		t.Errorf("%d %+v", status, s.taken)
	}
	for _, path := range []string{"/v1/draft", "/v1/records"} {
		var f Failure
		if status := s.do(t, "POST", path, `{"act": "suspend", "study": "none", "by": "claire"}`, token, &f); status != 409 || f.Error.Code != codeRecord {
			t.Errorf("%s: %d %+v", path, status, f)
		}
	}
}

func TestEntries(t *testing.T) {
	s := newServer(t)
	for i := range 70 {
		must(t, s.book.Record(t.Context(), ledger.Entry{Kind: ledger.KindRefuse, Study: []string{"a", "b"}[i%2], Text: fmt.Sprintf("Number %d.", i)}))
	}
	var all []Entry
	next, pages := int64(0), 0
	for {
		var page Entries
		if status := s.do(t, "GET", fmt.Sprintf("/v1/entries?kind=refuse&study=a&before=%d", next), "", token, &page); status != 200 || len(page.Entries) > pageLength {
			t.Fatal(status)
		}
		all = append(all, page.Entries...)
		pages++
		if next = page.Next; next == 0 {
			break
		}
	}
	if len(all) != 35 || all[0].Text != "Number 68." || all[34].Text != "Number 0." || pages != 2 {
		t.Errorf("%d entries in %d pages", len(all), pages)
	}
	for i, e := range all[1:] {
		if e.Sequence >= all[i].Sequence || e.Study != "a" || string(e.Detail) != "null" {
			t.Errorf("after %d comes %+v", all[i].Sequence, e)
		}
	}
	var c Checked
	s.do(t, "GET", "/v1/verify", "", token, &c)
	head, hash, err := s.book.Head(t.Context())
	must(t, err)
	if !c.Whole || c.Entries != head || c.Head != fmt.Sprintf("%x", hash) {
		t.Errorf("%+v", c)
	}
}
