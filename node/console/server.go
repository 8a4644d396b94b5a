package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/signin"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/web"
	"github.com/intramuros/intramuros/node"
)

//go:embed assets
var assets embed.FS

// Custodian is what a custodian can do with a node.
type Custodian interface {
	Standing(ctx context.Context) (*node.Standing, error)
	SetHold(ctx context.Context, h node.Hold) error
	Draft(d node.Decision) (*study.Record, error)
	Take(ctx context.Context, r *study.Record) error
	DraftRelease(by, reason string) (*node.Release, error)
	TakeRelease(ctx context.Context, r *node.Release) error
}

// Ledger is the ledger, to read.
type Ledger interface {
	Head(ctx context.Context) (sequence int64, hash [sha256.Size]byte, err error)
	Entries(ctx context.Context, from int64, fn func(ledger.Entry) error) error
	Verify(ctx context.Context) (ledger.Report, error)
}

var (
	_ Custodian = (*node.Node)(nil)
	_ Ledger    = (*ledger.Ledger)(nil)
)

const (
	maxBody    = 1 << 20 // bytes of a request
	pageLength = 20      // entries of one answer
	window     = 500     // entries read at once, backward from the end
)

// NewServer returns the page's server: HTTPS with conf, or plain HTTP if conf is nil.
func NewServer(custodian Custodian, l Ledger, who Admission, conf *tls.Config, log *slog.Logger) (*http.Server, error) {
	handler, err := newHandler(custodian, l, who, log)
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler: handler, TLSConfig: conf, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}, nil
}

func newHandler(custodian Custodian, l Ledger, who Admission, log *slog.Logger) (http.Handler, error) {
	site, err := web.NewSite(assets)
	if err != nil {
		return nil, err
	}
	door, err := openDoor(who)
	if err != nil {
		return nil, err
	}
	p := &page{custodian, l, log}
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/standing", p.standing)
	api.HandleFunc("GET /v1/entries", p.entries)
	api.HandleFunc("GET /v1/verify", p.verify)
	api.HandleFunc("POST /v1/hold", p.hold)
	api.HandleFunc("POST /v1/hold/draft", p.draftRelease)
	api.HandleFunc("POST /v1/hold/records", p.release)
	api.HandleFunc("POST /v1/draft", p.draft)
	api.HandleFunc("POST /v1/records", p.record)
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/") {
			site.ServeHTTP(w, r)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		name, err := door.admit(r)
		if err != nil {
			log.Warn("the custodian's page let nobody in", slog.String("path", r.URL.Path), slog.String("person", name), slog.Any("error", err))
			refuse(w, err)
			return
		}
		// Reading is logged with its filters. Acts are logged by their own methods.
		log.Info("the custodian's page", slog.String("person", name), slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.String("study", r.URL.Query().Get("study")), slog.String("kind", r.URL.Query().Get("kind")))
		api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, name)))
	})
	return signin.NewHandler(guarded, who.SignIn, who.Issuers, time.Now, log)
}

type page struct {
	custodian Custodian
	ledger    Ledger
	log       *slog.Logger
}

type personKey struct{}

// person returns who sends an admitted request.
func person(r *http.Request) string {
	name, _ := r.Context().Value(personKey{}).(string)
	return name
}

// Standing is the state of the node, for the visitor.
type Standing struct {
	*node.Standing
	You string `json:"you"` // who is admitted; a fixed name for the token without a name
}

func (p *page) standing(w http.ResponseWriter, r *http.Request) {
	s, err := p.custodian.Standing(r.Context())
	if err != nil {
		p.fault(w, err)
		return
	}
	write(w, http.StatusOK, Standing{s, person(r)})
}

// Entry is one entry of the ledger.
type Entry struct {
	Sequence   int64           `json:"sequence"`
	Time       time.Time       `json:"time"`
	Kind       ledger.Kind     `json:"kind"`
	Study      string          `json:"study"`
	Researcher string          `json:"researcher"`
	Query      string          `json:"query"`
	Epsilon    float64         `json:"epsilon"` // what was spent, if kind is charge
	Text       string          `json:"text"`
	Detail     json.RawMessage `json:"detail"` // null if there is none
	Asked      *Asked          `json:"asked"`  // of a query; null for other entries
	Hash       string          `json:"hash"`
}

// Entries is a page of the ledger, newest first.
type Entries struct {
	Entries []Entry `json:"entries"`
	Next    int64   `json:"next"` // the sequence before which the next page begins; 0 if there is no more
}

func (p *page) entries(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	head, _, err := p.ledger.Head(r.Context())
	if err != nil {
		p.fault(w, err)
		return
	}
	before, err := strconv.ParseInt(q.Get("before"), 10, 64)
	if err != nil || before < 1 || before > head {
		before = head + 1
	}
	out := Entries{Entries: []Entry{}}
	for before > 1 && len(out.Entries) < pageLength {
		from := max(1, before-window)
		var some []Entry
		if err := p.ledger.Entries(r.Context(), from, func(e ledger.Entry) error {
			if e.Sequence >= before {
				return errEnough
			}
			if k := q.Get("kind"); k != "" && k != string(e.Kind) || q.Get("study") != "" && q.Get("study") != e.Study {
				return nil
			}
			detail := e.Detail
			if len(detail) == 0 {
				detail = json.RawMessage("null")
			}
			some = append(some, Entry{e.Sequence, e.Time, e.Kind, e.Study, e.Researcher, e.Query, float64(e.Loss.Epsilon) / 1e9, e.Text, detail, askedOf(e), hex.EncodeToString(e.Hash[:])})
			return nil
		}); err != nil && !errors.Is(err, errEnough) {
			p.fault(w, err)
			return
		}
		slices.Reverse(some)
		before = from
		if room := pageLength - len(out.Entries); len(some) > room {
			some = some[:room]
			before = some[room-1].Sequence
		}
		out.Entries = append(out.Entries, some...)
	}
	if before > 1 {
		out.Next = before
	}
	write(w, http.StatusOK, out)
}

var errEnough = errors.New("enough")

// Checked is the result of a check of the ledger.
type Checked struct {
	Whole   bool      `json:"whole"`
	Finding string    `json:"finding"` // what is wrong; empty if the ledger is complete
	Entries int64     `json:"entries"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Head    string    `json:"head"` // hash of the last entry, to be noted elsewhere
	Charged dp.Loss   `json:"charged"`
}

func (p *page) verify(w http.ResponseWriter, r *http.Request) {
	report, err := p.ledger.Verify(r.Context())
	var broken *ledger.BrokenError
	switch {
	case errors.As(err, &broken):
		write(w, http.StatusOK, Checked{Finding: broken.Error()})
	case err != nil:
		p.fault(w, err)
	default:
		write(w, http.StatusOK, Checked{
			Whole: true, Entries: report.Entries, First: report.First, Last: report.Last, Head: hex.EncodeToString(report.Head[:]), Charged: report.Charged,
		})
	}
}

func (p *page) hold(w http.ResponseWriter, r *http.Request) {
	var body struct {
		On     bool   `json:"on"`
		Reason string `json:"reason"`
	}
	if !read(w, r, &body) {
		return
	}
	if len(body.Reason) > maxReason || strings.ContainsRune(body.Reason, 0) {
		fail(w, http.StatusBadRequest, codeRequest, "the reason is too long")
		return
	}
	h := node.Hold{On: body.On, Reason: strings.TrimSpace(body.Reason), By: person(r)}
	if h.By == nobody {
		h.By = ""
	}
	if err := p.custodian.SetHold(r.Context(), h); err != nil {
		p.refused(w, err)
		return
	}
	p.standing(w, r)
}

// ReleaseDraft is the text to sign so that a stopped hospital answers again.
type ReleaseDraft struct {
	Record  *node.Release `json:"record"`  // without signature
	Message []byte        `json:"message"` // what the Ed25519 signature signs
}

func (p *page) draftRelease(w http.ResponseWriter, r *http.Request) {
	var body struct {
		By     string `json:"by"`
		Reason string `json:"reason"`
	}
	if !read(w, r, &body) {
		return
	}
	record, err := p.custodian.DraftRelease(body.By, body.Reason)
	if err != nil {
		p.refused(w, err)
		return
	}
	message, err := record.Message()
	if err != nil {
		p.fault(w, err)
		return
	}
	write(w, http.StatusOK, ReleaseDraft{record, message})
}

func (p *page) release(w http.ResponseWriter, r *http.Request) {
	var record node.Release
	if !read(w, r, &record) {
		return
	}
	p.log.Info("a signature under the end of the stop comes by the custodian's page", slog.String("person", person(r)), slog.String("by", record.By))
	if err := p.custodian.TakeRelease(r.Context(), &record); err != nil {
		p.refused(w, err)
		return
	}
	p.standing(w, r)
}

const maxReason = 1000 // bytes

// Draft is a record to sign.
type Draft struct {
	Record  *study.Record `json:"record"`  // without signature
	Message []byte        `json:"message"` // what the Ed25519 signature signs
}

func (p *page) draft(w http.ResponseWriter, r *http.Request) {
	var d node.Decision
	if !read(w, r, &d) {
		return
	}
	record, err := p.custodian.Draft(d)
	if err != nil {
		p.refused(w, err)
		return
	}
	message, err := record.Message()
	if err != nil {
		p.refused(w, err)
		return
	}
	write(w, http.StatusOK, Draft{record, message})
}

func (p *page) record(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, codeRequest, "the record is too large")
		return
	}
	record, err := study.Decode(b)
	if err == nil {
		p.log.Info("a signed record comes by the custodian's page", slog.String("person", person(r)), slog.String("study", record.Study),
			slog.String("act", string(record.Act)), slog.String("by", record.By))
		err = p.custodian.Take(r.Context(), record)
	}
	if err != nil {
		p.refused(w, err)
		return
	}
	p.standing(w, r)
}

// refused answers why a record is not accepted.
func (p *page) refused(w http.ResponseWriter, err error) {
	if !errors.Is(err, study.ErrRecord) {
		p.fault(w, err)
		return
	}
	fail(w, http.StatusConflict, codeRecord, err.Error())
}

// The codes of refusals.
const (
	codeUnauthorized = "UNAUTHORIZED"
	codeForbidden    = "FORBIDDEN"
	codeUnavailable  = "PROVIDER_UNAVAILABLE"
	codeRequest      = "INVALID_REQUEST"
	codeRecord       = "RECORD_REFUSED"
	codeInternal     = "INTERNAL"
)

// fault logs the cause and answers without it.
func (p *page) fault(w http.ResponseWriter, err error) {
	p.log.Error("the custodian's page met a fault", slog.Any("error", err))
	fail(w, http.StatusInternalServerError, codeInternal, "the node met a fault of its own; its log tells more")
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusBadRequest, codeRequest, "the body must be application/json")
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		fail(w, http.StatusBadRequest, codeRequest, "the body is not a request")
		return false
	}
	return true
}

// Failure is the body of every refusal.
type Failure struct {
	Error Error `json:"error"`
}

// Error is a refusal for the custodian to read.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func fail(w http.ResponseWriter, status int, code, message string) {
	write(w, status, Failure{Error{code, message}})
}

func write(w http.ResponseWriter, status int, body any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
