package httpapi

import (
	"bytes"
	"context"
	"crypto/tls"
	_ "embed" // the OpenAPI document
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/lobby"
	"github.com/intramuros/intramuros/planner/estimate"
)

// Asker is the part of a coordinator that a query needs. Its errors are of type
// *coordinator.Error.
type Asker interface {
	coordinator.Authenticator
	Profiler
	Query(ctx context.Context, who coordinator.Researcher, req coordinator.Request, progress func(coordinator.Progress)) (*coordinator.Answer, error)
	Explain(ctx context.Context, who coordinator.Researcher, req coordinator.Request) (*coordinator.Explanation, error)
	Outline(ctx context.Context, who coordinator.Researcher, req coordinator.Request) (*coordinator.Outline, error)
}

// Profiler is the part of a coordinator that profiles tables.
type Profiler interface {
	Profile(ctx context.Context, who coordinator.Researcher, req coordinator.ProfileRequest) ([]coordinator.Profile, error)
}

// Informer is the part of a coordinator that informs about the federation.
type Informer interface {
	Budget(ctx context.Context, who coordinator.Researcher, study string) (*coordinator.Account, error)
	Spending(ctx context.Context, who coordinator.Researcher, study string) ([]coordinator.Spent, error)
	StudiesOf(who coordinator.Researcher) []string
	Permits(ctx context.Context, who coordinator.Researcher, study string) ([]coordinator.Permit, error)
	Operation(ctx context.Context, who coordinator.Researcher) (*coordinator.Operation, error)
	Federation() coordinator.Federation
	Catalog() *catalog.Catalog
}

const (
	maxBody     = 1 << 20 // bytes of a request
	headerTime  = 10 * time.Second
	readTime    = 30 * time.Second
	idleTime    = 2 * time.Minute
	writeBeyond = time.Minute // for sending an answer, after its query's time
)

//go:embed openapi.json
var openAPI []byte

// NewServer returns the HTTPS server, to be started with ServeTLS(l, "", ""). If l is a lobby's listener, each
// connection counts as that of the person who last asked over it. Idle connections are closed. A query takes at most
// queryTimeout.
func NewServer(asker Asker, informer Informer, conf *tls.Config, queryTimeout time.Duration, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: NewHandler(asker, informer, log), TLSConfig: conf,
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: queryTimeout + writeBeyond, IdleTimeout: idleTime,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, guestKey{}, lobby.Of(c))
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateHijacked { // a hospital's connection, which has limits of its own
				lobby.Of(c).Leave()
			}
		},
	}
}

// guestKey is the context key of a request's connection in the lobby.
type guestKey struct{}

// NewHandler returns the API without the server around it.
func NewHandler(asker Asker, informer Informer, log *slog.Logger) http.Handler {
	d := &door{asker, informer, log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/query", d.authenticated(d.query))
	mux.HandleFunc("POST /v1/explain", d.authenticated(d.explain))
	mux.HandleFunc("POST /v1/outline", d.authenticated(d.outline))
	mux.HandleFunc("POST /v1/profile", d.authenticated(d.profile))
	mux.HandleFunc("GET /v1/me", d.authenticated(d.me))
	mux.HandleFunc("GET /v1/budget", d.authenticated(d.budget))
	mux.HandleFunc("GET /v1/spending", d.authenticated(d.spending))
	mux.HandleFunc("GET /v1/hospitals", d.authenticated(d.hospitals))
	mux.HandleFunc("GET /v1/catalog", d.authenticated(d.catalog))
	mux.HandleFunc("GET /v1/catalog.yaml", d.authenticated(d.catalogFile))
	mux.HandleFunc("GET /v1/permits", d.authenticated(d.permits))
	mux.HandleFunc("GET /v1/operation", d.authenticated(d.operation))
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(openAPI)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, status{"ok"}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !informer.Federation().Ready {
			writeJSON(w, http.StatusServiceUnavailable, status{"too few hospitals are there"})
			return
		}
		writeJSON(w, http.StatusOK, status{"ok"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if _, pattern := mux.Handler(r); pattern == "" {
			noRoute(w, mux, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

type status struct {
	Status string `json:"status"`
}

// noRoute answers in JSON where the mux would answer in plain text.
func noRoute(w http.ResponseWriter, mux *http.ServeMux, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			writeFailure(w, http.StatusMethodNotAllowed, Error{Code: coordinator.CodeInvalidRequest, Message: "this path takes " + method, Hospitals: []coordinator.Absence{}})
			return
		}
	}
	writeFailure(w, http.StatusNotFound, Error{
		Code: coordinator.CodeInvalidRequest, Message: "there is no such path", Hint: "/openapi.json lists the paths", Hospitals: []coordinator.Absence{},
	})
}

// door holds the coordinator behind the handlers.
type door struct {
	asker    Asker
	informer Informer
	log      *slog.Logger
}

type handler func(w http.ResponseWriter, r *http.Request, who coordinator.Researcher)

// authenticated admits requests with a valid bearer token.
func (d *door) authenticated(next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			token = ""
		}
		who, err := d.asker.Authenticate(r.Context(), token)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer realm="intramuros"`)
			d.fail(w, err)
			return
		}
		guest, _ := r.Context().Value(guestKey{}).(*lobby.Guest)
		if err := guest.SignIn(who.Name); err != nil {
			w.Header().Set("Connection", "close")
			d.fail(w, coordinator.Crowded(err))
			return
		}
		next(w, r, who)
	}
}

func (d *door) query(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	form, ok := accepted(r.Header.Get("Accept"))
	if !ok {
		writeFailure(w, http.StatusNotAcceptable, Error{
			Code: coordinator.CodeInvalidRequest, Message: "no such form of an answer", Hospitals: []coordinator.Absence{},
			Hint: "accept one of " + strings.Join(forms, ", "),
		})
		return
	}
	req, err := readRequest(w, r)
	if err != nil {
		d.fail(w, err)
		return
	}
	if form == formNDJSON {
		d.stream(w, r, who, req)
		return
	}
	answer, err := d.asker.Query(r.Context(), who, req.plain(), nil)
	if err != nil {
		d.fail(w, err)
		return
	}
	facts, err := json.Marshal(tabular.NewFacts(req.Study, answer))
	if err != nil {
		d.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", form)
	w.Header().Set("Intramuros-Query", answer.Query)
	paid, err := json.Marshal(Paid{req.Study, answer.Stored, answer.Public, Cost(answer.Cost), answer.Remaining})
	if err != nil {
		d.fail(w, err)
		return
	}
	w.Header().Set("Intramuros-Paid", string(paid))
	for _, warning := range answer.Warnings { // CSV has no other place for them
		w.Header().Add("Intramuros-Warning", warning)
	}
	switch form {
	case formArrow:
		err = writeArrow(w, answer, facts)
	case formCSV:
		err = writeCSV(w, answer)
	case formParquet:
		err = writeParquet(w, answer, facts)
	default:
		err = json.NewEncoder(w).Encode(newAnswer(req.Study, answer))
	}
	if err != nil { // the header is sent, so nothing else can be reported
		d.log.Debug("answer did not leave", slog.String("query", answer.Query), slog.Any("error", err))
	}
}

// stream sends progress events, and then the answer. Until the first line is sent, a refusal has its usual status.
func (d *door) stream(w http.ResponseWriter, r *http.Request, who coordinator.Researcher, req Request) {
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	begun := false
	send := func(e Event) {
		if !begun {
			w.Header().Set("Content-Type", formNDJSON)
			begun = true
		}
		if err := out.Encode(e); err == nil {
			_ = flush.Flush() // if the client disconnects, the request's context is canceled
		}
	}
	answer, err := d.asker.Query(r.Context(), who, req.plain(), func(p coordinator.Progress) {
		send(Event{Event: "progress", Progress: newProgress(p)})
	})
	switch {
	case err == nil:
		send(Event{Event: "answer", Answer: newAnswer(req.Study, answer)})
	case begun:
		e := newError(d.explained(err))
		send(Event{Event: "error", Error: &e})
	default:
		d.fail(w, err)
	}
}

func (d *door) explain(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	req, err := readRequest(w, r)
	if err != nil {
		d.fail(w, err)
		return
	}
	e, err := d.asker.Explain(r.Context(), who, req.plain())
	if err != nil {
		d.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, newExplanation(e))
}

func (d *door) outline(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	req, err := readRequest(w, r)
	if err != nil {
		d.fail(w, err)
		return
	}
	o, err := d.asker.Outline(r.Context(), who, req.plain())
	if err != nil {
		d.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, newOutline(o))
}

func (d *door) profile(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	var req ProfileRequest
	if err := readBody(w, r, &req); err != nil {
		d.fail(w, err)
		return
	}
	// it consists of several queries, each with its own time limit
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	profiles, err := d.asker.Profile(r.Context(), who, coordinator.ProfileRequest(req))
	if err != nil {
		d.fail(w, err)
		return
	}
	out := Profiles{Profiles: profiles, Lines: []string{}}
	for _, p := range profiles {
		out.Lines = append(out.Lines, p.String())
	}
	writeJSON(w, http.StatusOK, out)
}

func (d *door) me(w http.ResponseWriter, _ *http.Request, who coordinator.Researcher) {
	writeJSON(w, http.StatusOK, Me{Researcher: who.Name, Federation: d.informer.Federation().Name, Studies: list(d.informer.StudiesOf(who)), Roles: list(who.Roles)})
}

func (d *door) spending(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	all, err := d.informer.Spending(r.Context(), who, r.URL.Query().Get("study"))
	if err != nil {
		d.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, newSpending(all))
}

func (d *door) budget(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	a, err := d.informer.Budget(r.Context(), who, r.URL.Query().Get("study"))
	if err != nil {
		d.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, newBudget(a))
}

func (d *door) hospitals(w http.ResponseWriter, _ *http.Request, _ coordinator.Researcher) {
	writeJSON(w, http.StatusOK, newFederation(d.informer.Federation()))
}

func (d *door) catalog(w http.ResponseWriter, _ *http.Request, _ coordinator.Researcher) {
	writeJSON(w, http.StatusOK, newCatalog(d.informer.Catalog()))
}

// catalogFile sends the catalog as nodes and this program read it, for dummy data.
func (d *door) catalogFile(w http.ResponseWriter, _ *http.Request, _ coordinator.Researcher) {
	w.Header().Set("Content-Type", "application/yaml")
	_ = d.informer.Catalog().WriteYAML(w) // fails only if the client disconnects
}

func (d *door) permits(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	all, err := d.informer.Permits(r.Context(), who, r.URL.Query().Get("study"))
	if err != nil {
		d.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, newPermits(all))
}

func (d *door) operation(w http.ResponseWriter, r *http.Request, who coordinator.Researcher) {
	o, err := d.informer.Operation(r.Context(), who)
	if err != nil {
		d.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, newOperation(o))
}

// explained returns the error for the researcher. Everything else goes to the log.
func (d *door) explained(err error) *coordinator.Error {
	var e *coordinator.Error
	if !errors.As(err, &e) {
		d.log.Error("request ended by a fault", slog.Any("error", err))
		e = &coordinator.Error{Code: coordinator.CodeInternal, Message: "the coordinator met a fault of its own"}
	}
	return e
}

func (d *door) fail(w http.ResponseWriter, err error) {
	e := d.explained(err)
	writeFailure(w, e.Code.Protocols().HTTP, newError(e))
}

func readRequest(w http.ResponseWriter, r *http.Request) (Request, error) {
	var req Request
	err := readBody(w, r, &req)
	return req, err
}

func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	refuse := func(code coordinator.Code, message string) error {
		return &coordinator.Error{Code: code, Message: message, Hint: `send {"study": "…", "sql": "…"}; /openapi.json tells more`}
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formJSON {
		return refuse(coordinator.CodeInvalidRequest, "the body must be "+formJSON)
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
	}
	if errors.As(err, new(*http.MaxBytesError)) {
		return refuse(coordinator.CodeTooLong, "the body is larger than 1 MiB")
	}
	message := "the body is not a request"
	if field := new(json.UnmarshalTypeError); errors.As(err, &field) {
		message = field.Field[strings.LastIndex(field.Field, ".")+1:] + " must be a " + field.Type.String()
	} else if errors.Is(err, estimate.ErrAccuracy) {
		message = estimate.ErrAccuracy.Error()
	} else if err != nil && strings.HasPrefix(err.Error(), "json: unknown field ") {
		message = "there is no field " + strings.TrimPrefix(err.Error(), "json: unknown field ")
	}
	return refuse(coordinator.CodeInvalidRequest, message)
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", formJSON)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client disconnects
}

func writeFailure(w http.ResponseWriter, code int, e Error) { writeJSON(w, code, Failure{e}) }

func decodeNumber(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}
