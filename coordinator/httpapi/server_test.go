package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

func TestMain(m *testing.M) {
	// The noise library's logger flushes for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// desk is a coordinator with prepared answers.
type desk struct {
	answer   *coordinator.Answer
	err      error
	progress []coordinator.Progress
	asked    coordinator.Request
	ready    bool
}

func (d *desk) Authenticate(_ context.Context, token string) (coordinator.Researcher, error) {
	if token != "good" {
		return coordinator.Researcher{}, &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "no"}
	}
	return coordinator.Researcher{Name: "alice"}, nil
}

func (d *desk) Query(_ context.Context, _ coordinator.Researcher, req coordinator.Request, progress func(coordinator.Progress)) (*coordinator.Answer, error) {
	d.asked = req
	for _, p := range d.progress {
		if progress != nil {
			progress(p)
		}
	}
	return d.answer, d.err
}

func (d *desk) Explain(_ context.Context, _ coordinator.Researcher, req coordinator.Request) (*coordinator.Explanation, error) {
	d.asked = req
	return &coordinator.Explanation{
		Plan: "plan", Expected: []planner.Expected{{Column: "n", HalfWidth: math.NaN(), From: 0.45, To: 0.55, Values: 1000, Note: "depends"}, {Column: "m", HalfWidth: 3}},
		Engines: []coordinator.EngineSQL{{Engine: "duckdb", SQL: "SELECT 1", Hospitals: []string{"a"}}},
		Keys:    []coordinator.HospitalKey{{Hospital: "a", Fingerprint: "12ab"}},
	}, d.err
}

func (d *desk) Profile(_ context.Context, _ coordinator.Researcher, req coordinator.ProfileRequest) ([]coordinator.Profile, error) {
	if req.Share > 0.5 {
		return nil, &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: "too large a share"}
	}
	return []coordinator.Profile{{Study: req.Study, Table: "measurement", Patients: 20, Half: 4, NineInTen: 8, NinetyNine: 16, Bounds: map[string][2]float64{"x": {0, 8}}}}, d.err
}

func (d *desk) Budget(_ context.Context, _ coordinator.Researcher, study string) (*coordinator.Account, error) {
	return &coordinator.Account{Study: study, Budget: dp.Budget{Accounting: dp.ZCDP, Epsilon: 1, Delta: 1e-6}, Expires: "2027-01-01T00:00:00Z",
		Researcher: &coordinator.Balance{Budget: dp.Budget{Accounting: dp.Pure, Epsilon: 3}}}, nil
}

func (d *desk) Outline(_ context.Context, _ coordinator.Researcher, req coordinator.Request) (*coordinator.Outline, error) {
	d.asked = req
	return &coordinator.Outline{
		Columns: []planner.Column{{Name: "n", Type: value.TypeInt, Noisy: true}}, Confidence: 0.95,
		Expected: []planner.Expected{{Column: "n", HalfWidth: 3}},
	}, d.err
}

func (d *desk) Spending(context.Context, coordinator.Researcher, string) ([]coordinator.Spent, error) {
	return []coordinator.Spent{{Query: strings.Repeat("0", 32), Researcher: "alice"}}, nil
}

func (d *desk) StudiesOf(coordinator.Researcher) []string { return []string{"s"} }

func (d *desk) Permits(context.Context, coordinator.Researcher, string) ([]coordinator.Permit, error) {
	budget := dp.Budget{Accounting: dp.ZCDP, Epsilon: 1, Delta: 1e-6}
	left := budget.Remaining(dp.Loss{})
	return []coordinator.Permit{{Hospital: "a", Status: study.Approved, Terms: &study.Terms{Budget: budget, Whole: budget}, Left: &left, Whole: &left}, {Hospital: "b"}}, nil
}

func (d *desk) Operation(_ context.Context, who coordinator.Researcher) (*coordinator.Operation, error) {
	if !who.Has(identity.RoleOperator) {
		return nil, &coordinator.Error{Code: coordinator.CodeNotOperator, Message: "only operators"}
	}
	return &coordinator.Operation{Program: "v1", Hospitals: []coordinator.Operated{{Name: "a"}, {Name: "b", Absent: &coordinator.Absence{Name: "b", Code: "NOT_JOINED", Why: "is away"}}}}, nil
}

func (d *desk) Federation() coordinator.Federation {
	return coordinator.Federation{Name: "f", Ready: d.ready, Required: 2, Hospitals: []coordinator.Hospital{
		{Name: "a", DataVersion: "v1"}, {Name: "b", Absent: &coordinator.Absence{Name: "b", Code: "NOT_JOINED", Why: "is away"}},
	}}
}

func (d *desk) Catalog() *catalog.Catalog { return catalog.OMOP() }

func someAnswer() *coordinator.Answer {
	return &coordinator.Answer{
		Query: strings.Repeat("0", 32),
		Answer: planner.Answer{
			Columns: []planner.Column{{Name: "sex", Type: value.TypeText}, {Name: "born", Type: value.TypeDate}, {Name: "n", Type: value.TypeInt, Noisy: true}, {Name: "mean", Type: value.TypeFloat, Noisy: true}},
			Rows: [][]planner.Estimate{
				{{Value: value.Text(`F "1", x`)}, {Value: value.Date(0)}, {Value: value.Int(41), Low: value.Int(38), High: value.Int(44)}, {Value: value.Float(0.5), Low: value.Float(0.25), High: value.Float(math.Inf(1))}},
				{{Value: value.Null(value.TypeText)}, {Value: value.Null(value.TypeDate)}, {Value: value.Int(-1), Low: value.Int(-3), High: value.Int(2)}, {Value: value.Null(value.TypeFloat), Low: value.Float(0), High: value.Float(1)}},
			},
		},
		Confidence: 0.95, Cost: coordinator.Cost{Mechanism: dp.Laplace, Accounting: dp.ZCDP, Epsilon: 0.5},
		Answered: []string{"a"}, Missing: []coordinator.Absence{{Name: "b", Code: "NOT_JOINED", Why: "is away"}},
	}
}

type server struct {
	*desk
	*httptest.Server
	log bytes.Buffer
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{desk: &desk{answer: someAnswer(), ready: true}}
	s.Server = httptest.NewUnstartedServer(nil)
	s.Config = NewServer(s.desk, s.desk, nil, time.Minute, slog.New(slog.NewTextHandler(&s.log, nil)))
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// do returns status and body, and checks the body against the API's description.
func (s *server) do(t *testing.T, method, path, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Authorization", "Bearer good")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.Client().Do(r)
	must(t, err)
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	must(t, err)
	conform(t, method, strings.SplitN(path, "?", 2)[0], response, b)
	return response, b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const query = `{"sql": "SELECT 1", "study": "s", "epsilon": 0.5, "delta": 1e-9, "max_groups": 3, "max_rows": 4}`

func TestQueryJSON(t *testing.T) {
	s := newServer(t)
	response, b := s.do(t, "POST", "/v1/query", query)
	if response.StatusCode != 200 || response.Header.Get("Intramuros-Query") != strings.Repeat("0", 32) {
		t.Fatalf("%s: %s", response.Status, b)
	}
	if want := (coordinator.Request{SQL: "SELECT 1", Settings: coordinator.Settings{Study: "s", Ask: planner.Ask{Epsilon: 0.5, Delta: 1e-9, MaxGroups: 3, MaxRows: 4}}}); !reflect.DeepEqual(s.asked, want) {
		t.Errorf("asked %+v", s.asked)
	}
	for _, want := range []string{
		`"rows":[["F \"1\", x","1970-01-01",{"value":41,"low":38,"high":44},{"value":0.5,"low":0.25,"high":null}],[null,null,`,
		`"hospitals":{"answered":["a"],"missing":[{"name":"b","code":"NOT_JOINED","why":"is away"}]}`, `"stored":false`, `"warnings":[]`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	var back Answer
	must(t, json.Unmarshal(b, &back))
	if !back.Rows[0][2].Noisy || back.Rows[0][2].High != json.Number("44") || back.Rows[1][0].Noisy {
		t.Errorf("read back %+v", back.Rows)
	}
}

// Whole numbers that JavaScript would round are texts.
func TestLargeIntegers(t *testing.T) {
	a := &coordinator.Answer{Answer: planner.Answer{Columns: []planner.Column{{Name: "id", Type: value.TypeInt}, {Name: "n", Type: value.TypeInt, Noisy: true}}}}
	for _, n := range []int64{1 << 53, 1<<53 + 1, -1<<53 - 1, 9223372036854775807} {
		a.Rows = append(a.Rows, []planner.Estimate{{Value: value.Int(n)}, {Value: value.Int(n), Low: value.Int(n), High: value.Int(n)}})
	}
	b, err := json.Marshal(newAnswer("s", a).Rows)
	must(t, err)
	noisy := func(n string) string { return `{"value":` + n + `,"low":` + n + `,"high":` + n + `}` }
	want := `[[9007199254740992,` + noisy("9007199254740992") + `],["9007199254740993",` + noisy("9007199254740993") + `],["-9007199254740993",` + noisy("-9007199254740993") +
		`],["9223372036854775807",` + noisy("9223372036854775807") + `]]`
	if string(b) != want {
		t.Errorf("%s\nis not\n%s", b, want)
	}
}

// A list is an array for = ANY (…), and integers keep all their digits.
func TestListParameters(t *testing.T) {
	s := newServer(t)
	response, b := s.do(t, "POST", "/v1/query", `{"sql": "SELECT 1", "study": "s", "parameters": {"1": [1, null, "a, b"], "2": [], "3": 9223372036854775807}}`)
	want := map[string]value.Value{"1": value.Text(`{"1",NULL,"a, b"}`), "2": value.Text("{}"), "3": value.Int(9223372036854775807)}
	if response.StatusCode != 200 || !reflect.DeepEqual(s.asked.Parameters, want) {
		t.Errorf("%s %s: %v", response.Status, b, s.asked.Parameters)
	}
	if response, b := s.do(t, "POST", "/v1/query", `{"sql": "SELECT 1", "study": "s", "parameters": {"1": {"a": 1}}}`); response.StatusCode != 400 {
		t.Errorf("an object: %s %s", response.Status, b)
	}
}

func TestAccuracyForms(t *testing.T) {
	s := newServer(t)
	for form, want := range map[string]planner.Accuracy{`50`: {HalfWidth: 50}, `"5%"`: {Relative: true, HalfWidth: 0.05}, `"0.5 %"`: {Relative: true, HalfWidth: 0.005}} {
		response, b := s.do(t, "POST", "/v1/query", `{"sql": "SELECT 1", "study": "s", "accuracy": `+form+`}`)
		if response.StatusCode != 200 || s.asked.Accuracy == nil || *s.asked.Accuracy != want {
			t.Errorf("%s: %s %s, asked %+v", form, response.Status, b, s.asked.Accuracy)
			continue
		}
		written, err := json.Marshal(want)
		must(t, err)
		if string(written) != strings.ReplaceAll(form, " ", "") {
			t.Errorf("%s is written %s", form, written)
		}
	}
}

// An error names a field as in the body, wherever the code keeps it.
func TestFieldOfWrongType(t *testing.T) {
	s := newServer(t)
	response, b := s.do(t, "POST", "/v1/query", `{"sql": "SELECT 1", "study": "s", "max_rows": "three"}`)
	if response.StatusCode != 400 || !strings.Contains(string(b), `"max_rows must be a int"`) {
		t.Errorf("%s %s", response.Status, b)
	}
}

func TestQueryCSV(t *testing.T) {
	s := newServer(t)
	s.answer.Warnings = []string{"it rains", "it pours"}
	response, b := s.do(t, "POST", "/v1/query", query, "Accept", "text/csv")
	if got := response.Header.Values("Intramuros-Warning"); !slices.Equal(got, []string{"it rains", "it pours"}) {
		t.Errorf("warnings %q", got)
	}
	if got := response.Header.Get("Intramuros-Paid"); !strings.Contains(got, `"study":"s","stored":`) || !strings.Contains(got, `"remaining":{`) {
		t.Errorf("paid %s", got)
	}
	want := "sex,born,n,n_low,n_high,mean,mean_low,mean_high\n\"F \"\"1\"\", x\",1970-01-01,41,38,44,0.5,0.25,\n,,-1,-3,2,,0,1\n"
	if string(b) != want {
		t.Errorf("%s\nis not\n%s", b, want)
	}
}

func TestQueryArrow(t *testing.T) {
	_, b := newServer(t).do(t, "POST", "/v1/query", query, "Accept", "application/vnd.apache.arrow.stream")
	r, err := ipc.NewReader(bytes.NewReader(b))
	must(t, err)
	defer r.Release()
	var names []string
	for _, f := range r.Schema().Fields() {
		names = append(names, f.Name+":"+f.Type.Name())
	}
	if want := "[sex:utf8 born:date32 n:int64 n_low:int64 n_high:int64 mean:float64 mean_low:float64 mean_high:float64]"; fmt.Sprint(names) != want {
		t.Errorf("schema %v", names)
	}
	meta := r.Schema().Metadata()
	var facts Facts
	must(t, json.Unmarshal([]byte(meta.Values()[meta.FindKey("intramuros.answer")]), &facts))
	if facts.Study != "s" || facts.Cost.Epsilon != 0.5 {
		t.Errorf("facts %+v", facts)
	}
	if !r.Next() {
		t.Fatal("no record")
	}
	rec := r.Record()
	if rec.NumRows() != 2 || rec.Column(2).(*array.Int64).Value(0) != 41 || !rec.Column(7).IsNull(0) || !rec.Column(0).IsNull(1) {
		t.Errorf("record %v", rec)
	}
}

func TestQueryStream(t *testing.T) {
	s := newServer(t)
	s.progress = []coordinator.Progress{
		{Hospital: "a", State: coordinator.StatePrepared},
		{Hospital: "b", State: coordinator.StateFailed, Seconds: 0.3, Absent: &coordinator.Absence{Name: "b", Code: "UNREACHABLE", Why: "cannot be reached"}},
	}
	events := func() (all []Event) {
		_, b := s.do(t, "POST", "/v1/query", query, "Accept", "application/x-ndjson")
		for scan := bufio.NewScanner(bytes.NewReader(b)); scan.Scan(); {
			var e Event
			must(t, json.Unmarshal(scan.Bytes(), &e))
			all = append(all, e)
		}
		return all
	}
	all := events()
	if len(all) != 3 || all[0].Progress.Hospital != "a" || all[1].Progress.Code != "UNREACHABLE" || all[2].Answer == nil {
		t.Errorf("%+v", all)
	}
	s.err = &coordinator.Error{Code: coordinator.CodeHospitalFailed, Message: "b failed", Charged: true}
	if all = events(); len(all) != 3 || all[2].Event != "error" || !all[2].Error.Charged {
		t.Errorf("%+v", all)
	}
	s.progress = nil
	response, _ := s.do(t, "POST", "/v1/query", query, "Accept", "application/x-ndjson")
	if response.StatusCode != http.StatusBadGateway {
		t.Errorf("a failure without progress has status %s", response.Status)
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		err                      error
		status                   int
		code                     coordinator.Code
	}{
		{name: "no token", method: "POST", path: "/v1/query", body: query, header: []string{"Authorization", ""}, status: 401, code: "UNAUTHORIZED"},
		{name: "wrong token", method: "GET", path: "/v1/catalog", header: []string{"Authorization", "Bearer bad"}, status: 401, code: "UNAUTHORIZED"},
		{name: "basic", method: "GET", path: "/v1/hospitals", header: []string{"Authorization", "Basic good"}, status: 401, code: "UNAUTHORIZED"},
		{name: "accept", method: "POST", path: "/v1/query", body: query, header: []string{"Accept", "image/png"}, status: 406, code: "INVALID_REQUEST"},
		{name: "form", method: "POST", path: "/v1/query", body: query, header: []string{"Content-Type", "text/plain"}, status: 400, code: "INVALID_REQUEST"},
		{name: "field", method: "POST", path: "/v1/query", body: `{"sqll": ""}`, status: 400, code: "INVALID_REQUEST"},
		{name: "type", method: "POST", path: "/v1/query", body: `{"sql": 1}`, status: 400, code: "INVALID_REQUEST"},
		{name: "accuracy", method: "POST", path: "/v1/query", body: `{"sql": "x", "study": "s", "accuracy": "50"}`, status: 400, code: "INVALID_REQUEST"},
		{name: "accuracy below", method: "POST", path: "/v1/query", body: `{"sql": "x", "study": "s", "accuracy": -5}`, status: 400, code: "INVALID_REQUEST"},
		{name: "two", method: "POST", path: "/v1/query", body: query + query, status: 400, code: "INVALID_REQUEST"},
		{name: "long", method: "POST", path: "/v1/query", body: `{"sql": "` + strings.Repeat("x", maxBody) + `"}`, status: 413, code: "TOO_LONG"},
		{name: "path", method: "GET", path: "/v2/query", status: 404, code: "INVALID_REQUEST"},
		{name: "method", method: "GET", path: "/v1/query", status: 405, code: "INVALID_REQUEST"},
		{name: "planner", method: "POST", path: "/v1/query", body: query, err: &coordinator.Error{Code: "ROW_LEVEL", Position: planner.Position{Line: 1, Column: 8}}, status: 400, code: "ROW_LEVEL"},
		{name: "budget", method: "POST", path: "/v1/query", body: query, err: &coordinator.Error{Code: coordinator.CodeBudgetExhausted}, status: 403, code: "BUDGET_EXHAUSTED"},
		{name: "missing", method: "POST", path: "/v1/query", body: query, err: &coordinator.Error{Code: coordinator.CodeHospitalMissing}, status: 503, code: "HOSPITAL_MISSING"},
		{name: "timeout", method: "POST", path: "/v1/query", body: query, err: &coordinator.Error{Code: coordinator.CodeTimeout}, status: 504, code: "TIMEOUT"},
		{name: "fault", method: "POST", path: "/v1/explain", body: query, err: errors.New("secret"), status: 500, code: "INTERNAL"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.err = test.err
			response, b := s.do(t, test.method, test.path, test.body, test.header...)
			var f Failure
			if err := json.Unmarshal(b, &f); err != nil || response.StatusCode != test.status || f.Error.Code != test.code {
				t.Errorf("%s: %s (%v)", response.Status, b, err)
			}
			if strings.Contains(string(b), "secret") {
				t.Errorf("a cause came out: %s", b)
			}
		})
	}
}

func TestInformation(t *testing.T) {
	s := newServer(t)
	for path, want := range map[string]string{
		"/v1/budget?study=s": `"study":"s"`, "/v1/hospitals": `"why":"is away"`, "/v1/catalog": `"name":"person"`,
		"/v1/permits?study=s": `{"hospital":"b","status":"","terms":null}`, "/v1/catalog.yaml": "catalog: omop-5.4\n",
		"/healthz": "ok", "/readyz": "ok", "/openapi.json": `"openapi": "3.1.0"`,
	} {
		response, b := s.do(t, "GET", path, "")
		if response.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %s: %.200s", path, response.Status, b)
		}
	}
	if response, b := s.do(t, "GET", "/v1/operation", ""); response.StatusCode != 403 || !strings.Contains(string(b), "NOT_OPERATOR") {
		t.Errorf("a researcher sees how the federation is run: %s: %s", response.Status, b)
	}
	o, err := s.Operation(t.Context(), coordinator.Researcher{Roles: []identity.Role{identity.RoleOperator}})
	must(t, err)
	shown, err := json.Marshal(newOperation(o))
	if err != nil || !strings.Contains(string(shown), `"name":"b","present":false,"data_version":"","code":"NOT_JOINED","why":"is away","outward":false,"wire":null`) {
		t.Errorf("%v: %s", err, shown)
	}
	response, b := s.do(t, "POST", "/v1/explain", query)
	if response.StatusCode != 200 || !strings.Contains(string(b), `{"column":"n","half_width":null,"percentiles":[45,55],"values":1000,"note":"depends"},{"column":"m","half_width":3,"percentiles":null,"values":null,"note":""}`) || !strings.Contains(string(b), `"keys":[{"hospital":"a","fingerprint":"12ab"}]`) {
		t.Errorf("%s: %s", response.Status, b)
	}
	s.ready = false
	if response, _ := s.do(t, "GET", "/readyz", ""); response.StatusCode != 503 {
		t.Errorf("not ready, and %s", response.Status)
	}
}

// document is what these tests need of OpenAPI.
type document struct {
	Paths map[string]map[string]struct {
		Security  []any `json:"security"`
		Responses map[string]struct {
			Content map[string]struct{ Schema map[string]any }
		}
	}
	Components struct{ Schemas map[string]map[string]any }
}

func openDocument(t *testing.T) *document {
	t.Helper()
	var d document
	must(t, json.Unmarshal(openAPI, &d))
	return &d
}

// conform checks that the document describes a response, and that its JSON fits the schema.
func conform(t *testing.T, method, path string, r *http.Response, body []byte) {
	t.Helper()
	d := openDocument(t)
	if path == "/v2/query" || r.StatusCode == http.StatusMethodNotAllowed {
		return // the document does not describe this path
	}
	operation, ok := d.Paths[path][strings.ToLower(method)]
	if !ok {
		t.Fatalf("the document has no %s %s", method, path)
	}
	response, ok := operation.Responses[fmt.Sprint(r.StatusCode)]
	if !ok {
		t.Fatalf("the document has no status %d of %s", r.StatusCode, path)
	}
	kind := r.Header.Get("Content-Type")
	content, ok := response.Content[kind]
	if !ok {
		t.Fatalf("the document has no %s of %s", kind, path)
	}
	switch kind {
	case formJSON:
		var v any
		must(t, json.Unmarshal(body, &v))
		if err := d.match(content.Schema, v); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
	case formNDJSON:
		for line := range bytes.Lines(body) {
			var v any
			must(t, json.Unmarshal(line, &v))
			if err := d.match(content.Schema, v); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
}

// match checks a value against a schema: $ref, type, properties, required, items, enum, const and oneOf, and that the
// schema has every property.
func (d *document) match(schema map[string]any, v any) error {
	if name, ok := schema["$ref"].(string); ok {
		target, ok := d.Components.Schemas[strings.TrimPrefix(name, "#/components/schemas/")]
		if !ok {
			return fmt.Errorf("no schema %s", name)
		}
		return d.match(target, v)
	}
	if one, ok := schema["oneOf"].([]any); ok {
		matches := 0
		var last error
		for _, s := range one {
			if err := d.match(s.(map[string]any), v); err != nil {
				last = err
			} else {
				matches++
			}
		}
		if matches != 1 {
			return fmt.Errorf("%d of oneOf match %v: %w", matches, v, last)
		}
		return nil
	}
	if c, ok := schema["const"]; ok && c != v {
		return fmt.Errorf("%v is not %v", v, c)
	}
	if all, ok := schema["enum"].([]any); ok && !slices.Contains(all, v) && v != "" {
		return fmt.Errorf("%v is not one of %v", v, all)
	}
	types, ok := schema["type"].([]any)
	if !ok && schema["type"] != nil {
		types = []any{schema["type"]}
	}
	if len(types) > 0 && !slices.Contains(types, any(typeOf(v))) && !(typeOf(v) == "number" && slices.Contains(types, any("integer"))) {
		return fmt.Errorf("%v is a %s, not %v", v, typeOf(v), types)
	}
	properties, _ := schema["properties"].(map[string]any)
	if object, ok := v.(map[string]any); ok && properties != nil {
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := object[name.(string)]; !ok {
				return fmt.Errorf("no %s in %v", name, v)
			}
		}
		for name, x := range object {
			s, ok := properties[name].(map[string]any)
			if !ok {
				return fmt.Errorf("the document has no %s", name)
			}
			if err := d.match(s, x); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	items, _ := schema["items"].(map[string]any)
	if list, ok := v.([]any); ok && items != nil {
		for _, x := range list {
			if err := d.match(items, x); err != nil {
				return err
			}
		}
	}
	return nil
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// Request is described field by field, and every path needs a token unless it says otherwise.
func TestDocument(t *testing.T) {
	d := openDocument(t)
	properties := d.Components.Schemas["Request"]["properties"].(map[string]any)
	fields := slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[Request]()), func(f reflect.StructField) bool { return f.Anonymous })
	for _, f := range fields {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, ok := properties[name]; !ok {
			t.Errorf("the document has no field %s of Request", name)
		}
	}
	if len(properties) != len(fields) {
		t.Errorf("the document has %d fields of Request, the code %d", len(properties), len(fields))
	}
	s := newServer(t)
	for path, operations := range d.Paths {
		for method, operation := range operations {
			response, _ := s.do(t, strings.ToUpper(method), path, query, "Authorization", "")
			if open := operation.Security != nil; open == (response.StatusCode == http.StatusUnauthorized) {
				t.Errorf("%s %s without a token: %s", method, path, response.Status)
			}
		}
	}
}

func TestProfile(t *testing.T) {
	s := newServer(t)
	response, body := s.do(t, "POST", "/v1/profile", `{"study": "s", "tables": ["measurement"], "share": 0.1}`)
	var p Profiles
	must(t, json.Unmarshal(body, &p))
	if response.StatusCode != http.StatusOK || len(p.Profiles) != 1 || p.Profiles[0].NineInTen != 8 || !strings.Contains(p.Lines[0], "nine in ten up to 8") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	for _, wrong := range []string{`{"study": "s", "share": 0.9}`, `{"study": "s", "sql": "SELECT 1"}`, `[]`} {
		if response, body := s.do(t, "POST", "/v1/profile", wrong); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, response.StatusCode, body)
		}
	}
}
