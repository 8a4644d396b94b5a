package flightsql

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/flight/flightsql"
	gen "github.com/apache/arrow/go/v15/arrow/flight/gen/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/tabular"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

const (
	aliceToken = "alice-token-0123456789"
	bobToken   = "bob-token-0123456789"
)

// fake is a coordinator with one answer.
type fake struct {
	mu       sync.Mutex
	requests []coordinator.Request // the requests that ran
	outlines int
	err      error
	hang     chan struct{} // a query signals here that it waits, and that it was canceled
	expired  bool          // alice's token
}

var columns = []planner.Column{{Name: "city", Type: value.TypeText}, {Name: "n", Type: value.TypeInt, Noisy: true}}

func (f *fake) Authenticate(_ context.Context, token string) (coordinator.Researcher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case token == aliceToken && !f.expired:
		return coordinator.Researcher{Name: "alice"}, nil
	case token == bobToken:
		return coordinator.Researcher{Name: "bob"}, nil
	}
	return coordinator.Researcher{}, &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "unknown"}
}

func (f *fake) Outline(_ context.Context, _ coordinator.Researcher, req coordinator.Request) (*coordinator.Outline, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outlines++
	if req.SQL == "wrong" {
		return nil, &coordinator.Error{
			Code: coordinator.Code(planner.CodeColumn), Message: "no column wrong", Hint: "write right", Position: planner.Position{Offset: 3, Length: 5, Line: 1, Column: 4},
		}
	}
	var parameters []coordinator.Parameter
	if req.SQL == "? ?" && len(req.Parameters) == 0 {
		parameters = []coordinator.Parameter{{Name: "1", Type: value.TypeInt}, {Name: "2", Type: value.TypeText}}
	}
	return &coordinator.Outline{
		Parameters: parameters, Columns: columns, Confidence: 0.95, Cost: coordinator.Cost{Epsilon: 0.5},
		Expected: []planner.Expected{{Column: "n", HalfWidth: 7}},
	}, nil
}

func (f *fake) Query(ctx context.Context, _ coordinator.Researcher, req coordinator.Request, _ func(coordinator.Progress)) (*coordinator.Answer, error) {
	f.mu.Lock()
	f.requests = append(f.requests, req)
	err, hang := f.err, f.hang
	f.mu.Unlock()
	if hang != nil {
		hang <- struct{}{}
		<-ctx.Done()
		hang <- struct{}{}
		return nil, &coordinator.Error{Code: coordinator.CodeCanceled, Message: "canceled", Charged: true}
	}
	if err != nil {
		return nil, err
	}
	return &coordinator.Answer{
		Query: "q", Confidence: 0.95, Cost: coordinator.Cost{Epsilon: 0.5}, Answered: []string{"lyon"},
		Answer: planner.Answer{Columns: columns, Rows: [][]planner.Estimate{
			{{Value: value.Text("Lyon")}, {Value: value.Int(10), Low: value.Int(3), High: value.Int(17)}},
			{{Value: value.Null(value.TypeText)}, {Value: value.Int(0), Low: value.Int(0), High: value.Null(value.TypeInt)}},
		}},
	}, nil
}

func (f *fake) ran() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

func (f *fake) Catalog() *catalog.Catalog { return catalog.OMOP() }

func (f *fake) Federation() coordinator.Federation { return coordinator.Federation{Name: "gironde"} }

// client connects to a server of its own with the token.
func client(t *testing.T, f *fake) *flightsql.Client {
	t.Helper()
	dir := t.TempDir()
	authority, err := pki.CreateAuthority(dir, "gironde", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.Issue(dir, pki.Identity{Federation: "gironde", Role: pki.RoleCoordinator, Name: "hub"}, []string{"localhost"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	conf, err := pki.HTTPServerTLS(filepath.Join(dir, "coordinator-hub.pem"), filepath.Join(dir, "coordinator-hub.key"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServer(f, f, f, conf, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(pem)
	c, err := flightsql.NewClient(listener.Addr().String(), nil, nil,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func as(token string, headers ...string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), append([]string{"authorization", "Bearer " + token}, headers...)...)
}

// read returns what a ticket streams.
func read(ctx context.Context, c *flightsql.Client, ticket *flight.Ticket) (*arrow.Schema, []arrow.Record, error) {
	r, err := c.DoGet(ctx, ticket)
	if err != nil {
		return nil, nil, err
	}
	defer r.Release()
	var all []arrow.Record
	for r.Next() {
		r.Record().Retain()
		all = append(all, r.Record())
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	return r.Schema(), all, nil
}

func TestATicketRunsOnce(t *testing.T) {
	f := &fake{}
	c := client(t, f)
	ctx := as(aliceToken, "study", "cancer", "epsilon", "0.25", "max-groups", "3")
	info, err := c.Execute(ctx, "SELECT …")
	if err != nil {
		t.Fatal(err)
	}
	if f.ran() != 0 {
		t.Fatal("GetFlightInfo ran the query")
	}
	var price tabular.Price
	if err := json.Unmarshal(info.AppMetadata, &price); err != nil || price.Cost.Epsilon != 0.5 || price.Study != "cancer" {
		t.Errorf("the price is %+v, %v", price, err)
	}
	for range 3 {
		schema, records, err := read(ctx, c, info.Endpoint[0].Ticket)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) != 1 || records[0].NumRows() != 2 || records[0].Column(1).(*array.Int64).Value(0) != 10 {
			t.Errorf("the answer is %v", records)
		}
		facts, _ := schema.Metadata().GetValue(tabular.KeyAnswer)
		if !strings.Contains(facts, `"epsilon":0.5`) {
			t.Errorf("the facts are %s", facts)
		}
		for key, want := range map[string]string{
			tabular.KeyNoisy: "true", tabular.KeyConfidence: "0.95", tabular.KeyHalfWidth: "7", tabular.KeyLow: "[3,0]", tabular.KeyHigh: "[17,null]",
		} {
			if got, _ := schema.Field(1).Metadata.GetValue(key); got != want {
				t.Errorf("%s is %q, not %q", key, got, want)
			}
		}
	}
	if f.ran() != 1 {
		t.Errorf("the query ran %d times", f.ran())
	}
	if r := f.requests[0]; r.Study != "cancer" || r.Epsilon != 0.25 || r.MaxGroups != 3 {
		t.Errorf("the request is %+v", r)
	}
	if _, _, err := read(as(bobToken), c, info.Endpoint[0].Ticket); status.Code(err) != codes.InvalidArgument {
		t.Errorf("somebody else's ticket: %v", err)
	}
}

func TestAFailureIsNotTriedAgain(t *testing.T) {
	f := &fake{err: &coordinator.Error{Code: coordinator.CodeHospitalFailed, Message: "failed", Charged: true, Hospitals: []coordinator.Absence{{Name: "lyon", Code: "X", Why: "y"}}}}
	c := client(t, f)
	info, err := c.Execute(as(aliceToken), "SELECT …")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, _, err = read(as(aliceToken), c, info.Endpoint[0].Ticket)
		if status.Code(err) != codes.Internal {
			t.Errorf("the error is %v", err)
		}
	}
	detail := status.Convert(err).Details()[0].(*errdetails.ErrorInfo)
	if detail.Reason != "HOSPITAL_FAILED" || detail.Metadata["charged"] != "true" || detail.Metadata["hospital.lyon"] != "X: y" {
		t.Errorf("the details are %v", detail)
	}
	if f.ran() != 1 {
		t.Errorf("the query ran %d times", f.ran())
	}
}

func TestIntervalsAsColumns(t *testing.T) {
	f := &fake{}
	c := client(t, f)
	ctx := as(aliceToken, "intervals", "columns")
	p, err := c.Prepare(ctx, "SELECT …")
	if err != nil {
		t.Fatal(err)
	}
	info, err := p.Execute(ctx)
	if err != nil {
		t.Fatal(err)
	}
	schema, records, err := read(ctx, c, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, field := range p.DatasetSchema().Fields() {
		names = append(names, field.Name)
	}
	if !slices.Equal(names, []string{"city", "n", "n_low", "n_high"}) || len(schema.Fields()) != 4 {
		t.Errorf("the columns are %v, then %v", names, schema)
	}
	if high := records[0].Column(3).(*array.Int64); high.Value(0) != 17 || !high.IsNull(1) {
		t.Errorf("n_high is %v", high)
	}
	if f.ran() != 1 {
		t.Errorf("the query ran %d times", f.ran())
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Execute(ctx); err == nil {
		t.Error("a closed statement runs")
	}
}

func TestParameters(t *testing.T) {
	f := &fake{}
	c := client(t, f)
	ctx := as(aliceToken)
	p, err := c.Prepare(ctx, "? ?")
	if err != nil {
		t.Fatal(err)
	}
	if s := p.ParameterSchema(); len(s.Fields()) != 2 || s.Field(0).Type.ID() != arrow.INT64 || s.Field(1).Type.ID() != arrow.STRING {
		t.Errorf("the parameters are %v", s)
	}
	fields := []arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int16}, {Name: "b", Type: arrow.BinaryTypes.String}}
	bind := func(rows int) error {
		b := array.NewRecordBuilder(memory.NewGoAllocator(), arrow.NewSchema(fields, nil))
		defer b.Release()
		for range rows {
			b.Field(0).(*array.Int16Builder).Append(5)
			b.Field(1).AppendNull()
		}
		p.SetParameters(b.NewRecord())
		info, err := p.Execute(ctx)
		if err != nil {
			return err
		}
		_, _, err = read(ctx, c, info.Endpoint[0].Ticket)
		return err
	}
	if err := bind(2); err == nil {
		t.Error("two rows are bound")
	}
	if err := bind(1); err != nil {
		t.Fatal(err)
	}
	if got := f.requests[0].Parameters; len(got) != 2 || got["1"] != value.Int(5) || !got["2"].IsNull() {
		t.Errorf("the values are %v", got)
	}
	if _, err := c.Execute(ctx, "? ?"); !strings.Contains(status.Convert(err).Message(), "INVALID_PARAMETER") {
		t.Errorf("without values: %v", err)
	}
}

func TestValuesOfArrow(t *testing.T) {
	pool := memory.NewGoAllocator()
	for _, test := range []struct {
		of   arrow.DataType
		json string
		want value.Value
	}{
		{arrow.FixedWidthTypes.Boolean, "[true]", value.Bool(true)}, {arrow.PrimitiveTypes.Int8, "[-3]", value.Int(-3)}, {arrow.PrimitiveTypes.Uint32, "[7]", value.Int(7)},
		{arrow.PrimitiveTypes.Float32, "[0.5]", value.Float(0.5)}, {arrow.BinaryTypes.LargeString, `["é"]`, value.Text("é")}, {arrow.Null, "[null]", value.Null(value.TypeText)},
		{arrow.FixedWidthTypes.Date32, `["2020-02-29"]`, value.Date(18321)}, {arrow.FixedWidthTypes.Date64, `["2020-02-29"]`, value.Date(18321)},
		{arrow.FixedWidthTypes.Timestamp_ms, `["1970-01-01 00:00:01"]`, value.Timestamp(1_000_000)}, {arrow.PrimitiveTypes.Int64, "[null]", value.Null(value.TypeInt)},
		{&arrow.Decimal128Type{Precision: 19, Scale: 0}, `["9223372036854775807"]`, value.Int(9223372036854775807)}, {&arrow.Decimal128Type{Precision: 9, Scale: 2}, `["74.50"]`, value.Float(74.5)},
		{&arrow.Decimal256Type{Precision: 40, Scale: 0}, `["10000000000000000000"]`, value.Float(1e19)}, {arrow.PrimitiveTypes.Uint64, "[7]", value.Float(7)},
		{arrow.ListOf(arrow.PrimitiveTypes.Int32), "[[1, null, 3]]", value.Text(`{"1",NULL,"3"}`)}, {arrow.LargeListOf(arrow.BinaryTypes.String), `[["a, \"b\\"]]`, value.Text(`{"a, \"b\\"}`)},
		{arrow.ListOf(arrow.FixedWidthTypes.Date32), `[["2020-02-29"]]`, value.Text(`{"2020-02-29"}`)}, {arrow.ListOf(arrow.PrimitiveTypes.Int32), "[null]", value.Null(value.TypeText)},
	} {
		a, _, err := array.FromJSON(pool, test.of, strings.NewReader(test.json))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := valueOf(a, 0); err != nil || got != test.want {
			t.Errorf("%s of %s is %v, %v", test.json, test.of, got, err)
		}
	}
	if _, err := valueOf(array.MakeArrayOfNull(pool, arrow.BinaryTypes.Binary, 1), 0); err == nil {
		t.Error("binary is read")
	}
	b := array.NewFloat64Builder(pool)
	defer b.Release()
	b.AppendValues([]float64{math.NaN(), math.Inf(1)}, nil)
	numbers := b.NewArray()
	defer numbers.Release()
	for i := range numbers.Len() {
		if _, err := valueOf(numbers, i); !errors.Is(err, errNoNumber) {
			t.Errorf("%v: %v", numbers.ValueStr(i), err)
		}
	}
}

func TestErrorsHaveCodePlaceAndHint(t *testing.T) {
	c := client(t, &fake{})
	_, err := c.Execute(as(aliceToken), "wrong")
	s := status.Convert(err)
	if s.Code() != codes.InvalidArgument || s.Message() != "UNKNOWN_COLUMN at line 1, column 4: no column wrong; write right" {
		t.Errorf("the error is %v", err)
	}
	detail := s.Details()[0].(*errdetails.ErrorInfo)
	if detail.Reason != "UNKNOWN_COLUMN" || detail.Metadata["offset"] != "3" || detail.Metadata["hint"] != "write right" {
		t.Errorf("the details are %v", detail)
	}
	for _, headers := range [][]string{{"epsilon", "much"}, {"intervals", "perhaps"}, {"accuracy", "-1"}} {
		if _, err := c.Execute(as(aliceToken, headers...), "SELECT …"); !strings.Contains(status.Convert(err).Message(), "INVALID_REQUEST") {
			t.Errorf("%v: %v", headers, err)
		}
	}
	if _, err := c.ExecuteUpdate(as(aliceToken), "DELETE"); !strings.Contains(status.Convert(err).Message(), "NOT_SUPPORTED") {
		t.Errorf("an update: %v", err)
	}
}

func TestCancel(t *testing.T) {
	for name, cancel := range map[string]func(c *flightsql.Client, ctx context.Context, info *flight.FlightInfo) error{
		"action": func(c *flightsql.Client, ctx context.Context, info *flight.FlightInfo) error {
			r, err := c.CancelFlightInfo(ctx, &flight.CancelFlightInfoRequest{Info: info})
			if err == nil && r.Status != flight.CancelStatusCancelling {
				t.Errorf("the status is %v", r.Status)
			}
			return err
		},
		"stream": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{hang: make(chan struct{})}
			c := client(t, f)
			ctx, stop := context.WithCancel(as(aliceToken))
			defer stop()
			info, err := c.Execute(ctx, "SELECT …")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, _, err := read(ctx, c, info.Endpoint[0].Ticket)
				ended <- err
			}()
			<-f.hang
			if _, _, err := read(as(aliceToken), c, info.Endpoint[0].Ticket); err == nil {
				t.Error("a second reader got something")
			}
			if cancel == nil {
				stop()
			} else if err := cancel(c, as(aliceToken), info); err != nil {
				t.Fatal(err)
			}
			<-f.hang
			if err := <-ended; status.Code(err) != codes.Canceled {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		f := &fake{}
		c := client(t, f)
		info, err := c.Execute(as(aliceToken), "SELECT …")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.CancelFlightInfo(as(bobToken), &flight.CancelFlightInfoRequest{Info: info}); err == nil {
			t.Error("somebody else canceled the query")
		}
		if _, err := c.CancelFlightInfo(as(aliceToken), &flight.CancelFlightInfoRequest{Info: info}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := read(as(aliceToken), c, info.Endpoint[0].Ticket); status.Code(err) != codes.Canceled || f.ran() != 0 {
			t.Errorf("a canceled query ran: %v", err)
		}
	})
}

func TestWhoMayAsk(t *testing.T) {
	c := client(t, &fake{})
	basic := func(user, password string) context.Context {
		return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	for name, test := range map[string]struct {
		ctx context.Context
		ok  bool
	}{
		"bearer": {as(aliceToken), true}, "basic": {basic("alice", aliceToken), true}, "token alone": {basic("", aliceToken), true},
		"none": {context.Background(), false}, "wrong token": {as("mallory-token-0123456789"), false},
		"somebody else's name": {basic("bob", aliceToken), false}, "not base64": {metadata.AppendToOutgoingContext(context.Background(), "authorization", "Basic ?"), false},
	} {
		_, err := c.Execute(test.ctx, "SELECT …")
		if (err == nil) != test.ok || (err != nil && status.Code(err) != codes.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, err := c.Client.AuthenticateBasicToken(context.Background(), "alice", aliceToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Execute(ctx, "SELECT …"); err != nil {
		t.Errorf("after the handshake: %v", err)
	}
	if _, err := c.Client.AuthenticateBasicToken(context.Background(), "alice", bobToken); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a handshake with another's token: %v", err)
	}
}

// A token that expires while its connection is open is refused from then on, for any request: a new question, an
// earlier ticket, the catalog. What was prepared remains for its owner's new token.
func TestTokenExpires(t *testing.T) {
	f := &fake{}
	c := client(t, f)
	info, err := c.Execute(as(aliceToken), "SELECT …")
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := c.Prepare(as(aliceToken), "SELECT …")
	if err != nil {
		t.Fatal(err)
	}
	expire := func(now bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.expired = now
	}
	calls := map[string]func() error{
		"a question":           func() error { _, err := c.Execute(as(aliceToken), "SELECT …"); return err },
		"a ticket":             func() error { _, _, err := read(as(aliceToken), c, info.Endpoint[0].Ticket); return err },
		"a prepared statement": func() error { _, err := prepared.Execute(as(aliceToken)); return err },
		"a cancel": func() error {
			_, err := c.CancelFlightInfo(as(aliceToken), &flight.CancelFlightInfoRequest{Info: info})
			return err
		},
		"the catalog": func() error { _, err := c.GetTables(as(aliceToken), &flightsql.GetTablesOpts{}); return err },
	}
	expire(true)
	for name, call := range calls {
		if err := call(); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.ran() != 0 {
		t.Errorf("%d questions ran", f.ran())
	}
	expire(false)
	if err := calls["a ticket"](); err != nil || f.ran() != 1 {
		t.Errorf("with a good token again: %v, and %d questions ran", err, f.ran())
	}
}

func TestMetadata(t *testing.T) {
	c := client(t, &fake{})
	ctx := as(aliceToken)
	text := func(s string) *string { return &s }
	type call func() (*flight.FlightInfo, error)
	for name, test := range map[string]struct {
		call call
		rows int64
	}{
		"catalogs": {func() (*flight.FlightInfo, error) { return c.GetCatalogs(ctx) }, 1},
		"schemas":  {func() (*flight.FlightInfo, error) { return c.GetDBSchemas(ctx, &flightsql.GetDBSchemasOpts{}) }, 1},
		"no schema": {func() (*flight.FlightInfo, error) {
			return c.GetDBSchemas(ctx, &flightsql.GetDBSchemasOpts{DbSchemaFilterPattern: text("x%")})
		}, 0},
		"table types": {func() (*flight.FlightInfo, error) { return c.GetTableTypes(ctx) }, 1},
		"all tables": {func() (*flight.FlightInfo, error) {
			return c.GetTables(ctx, &flightsql.GetTablesOpts{IncludeSchema: true})
		}, int64(len(catalog.OMOP().Tables))},
		"one table": {func() (*flight.FlightInfo, error) {
			return c.GetTables(ctx, &flightsql.GetTablesOpts{TableNameFilterPattern: text(`PERSO_`)})
		}, 1},
		"views": {func() (*flight.FlightInfo, error) {
			return c.GetTables(ctx, &flightsql.GetTablesOpts{TableTypes: []string{"VIEW"}})
		}, 0},
		"key":      {func() (*flight.FlightInfo, error) { return c.GetPrimaryKeys(ctx, flightsql.TableRef{Table: "person"}) }, 1},
		"types":    {func() (*flight.FlightInfo, error) { return c.GetXdbcTypeInfo(ctx, nil) }, 6},
		"one type": {func() (*flight.FlightInfo, error) { n := int32(91); return c.GetXdbcTypeInfo(ctx, &n) }, 1},
		"info": {func() (*flight.FlightInfo, error) {
			return c.GetSqlInfo(ctx, []flightsql.SqlInfo{flightsql.SqlInfoFlightSqlServerName, 99999})
		}, 1},
		"no info": {func() (*flight.FlightInfo, error) { return c.GetSqlInfo(ctx, []flightsql.SqlInfo{99999}) }, 0},
		"cross reference": {func() (*flight.FlightInfo, error) {
			return c.GetCrossReference(ctx, flightsql.TableRef{Table: "person"}, flightsql.TableRef{Table: "death"})
		}, 1},
	} {
		info, err := test.call()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		schema, records, err := read(ctx, c, info.Endpoint[0].Ticket)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := int64(0)
		for _, r := range records {
			n += r.NumRows()
		}
		promised, err := flight.DeserializeSchema(info.Schema, memory.NewGoAllocator())
		if n != test.rows || err != nil || !promised.Equal(schema) {
			t.Errorf("%s: %d rows, not %d, of %v, promised %v, %v", name, n, test.rows, schema, promised, err)
		}
	}
	info, err := c.GetSqlInfo(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, records, err := read(ctx, c, info.Endpoint[0].Ticket); err != nil || records[0].NumRows() < 80 {
		t.Errorf("all info: %v, %v", records, err)
	}
	exported, err := c.GetExportedKeys(ctx, flightsql.TableRef{Table: "person"})
	if err != nil {
		t.Fatal(err)
	}
	_, records, err := read(ctx, c, exported.Endpoint[0].Ticket)
	if err != nil || records[0].NumRows() < 5 {
		t.Errorf("exported keys: %v, %v", records, err)
	}
}

// Messages that no client sends must not end the coordinator.
func TestBrokenCalls(t *testing.T) {
	f := &fake{}
	c := client(t, f)
	put, err := c.Client.DoPut(as(aliceToken))
	if err != nil {
		t.Fatal(err)
	}
	if err := put.Send(&flight.FlightData{}); err != nil {
		t.Fatal(err)
	}
	if err := put.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := put.Recv(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a put without a command: %v", err)
	}
	// A command of a later Flight SQL, such as ADBC's ingestion of a table, is refused with a message.
	later, err := proto.Marshal(&anypb.Any{TypeUrl: "type.googleapis.com/arrow.flight.protocol.sql.CommandOfTomorrow"})
	if err != nil {
		t.Fatal(err)
	}
	if put, err = c.Client.DoPut(as(aliceToken)); err != nil {
		t.Fatal(err)
	}
	if err := put.Send(&flight.FlightData{FlightDescriptor: &flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: later}}); err != nil {
		t.Fatal(err)
	}
	if err := put.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := put.Recv(); !strings.Contains(status.Convert(err).Message(), "a federation is only read") {
		t.Errorf("a command that is not known: %v", err)
	}
	for _, b := range [][]byte{nil, {1, 2, 3}, []byte("\x0a\x00")} {
		if _, _, err := read(as(aliceToken), c, &flight.Ticket{Ticket: b}); err == nil {
			t.Errorf("the ticket %v gives something", b)
		}
	}
	if _, err := c.Execute(as(aliceToken), "SELECT …"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestParametersThatClaimMemory checks that a message of parameters that claims more than it holds is refused before
// memory is allocated: a compressed body, buffers beyond the body, lists of NULLs without bytes, lists of lists.
func TestParametersThatClaimMemory(t *testing.T) {
	c := client(t, &fake{})
	ctx := as(aliceToken)
	packed := func(m proto.Message) []byte {
		var whole anypb.Any
		if err := whole.MarshalFrom(m); err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(&whole)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	results, err := c.Client.DoAction(ctx, &flight.Action{Type: flightsql.CreatePreparedStatementActionType, Body: packed(&gen.ActionCreatePreparedStatementRequest{Query: "? ?"})})
	if err != nil {
		t.Fatal(err)
	}
	result, err := results.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var made anypb.Any
	var statement gen.ActionCreatePreparedStatementResult
	if err := errors.Join(proto.Unmarshal(result.Body, &made), made.UnmarshalTo(&statement)); err != nil {
		t.Fatal(err)
	}
	fields := []arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}, {Name: "b", Type: arrow.BinaryTypes.String}}
	text := strings.Repeat("x", 10_000)
	b := array.NewRecordBuilder(memory.NewGoAllocator(), arrow.NewSchema(fields, nil))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).Append(5)
	b.Field(1).(*array.StringBuilder).Append(text)
	record := b.NewRecord()
	put := func(record arrow.Record, change func(*flight.FlightData), options ...ipc.Option) error {
		stream, err := c.Client.DoPut(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w := flight.NewRecordWriter(changed{stream, change}, append(options, ipc.WithSchema(record.Schema()))...)
		w.SetFlightDescriptor(&flight.FlightDescriptor{Type: flight.DescriptorCMD, Cmd: packed(&gen.CommandPreparedStatementQuery{PreparedStatementHandle: statement.PreparedStatementHandle})})
		err = errors.Join(w.Write(record), w.Close(), stream.CloseSend())
		for err == nil {
			_, err = stream.Recv()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	asIs := func(*flight.FlightData) {}
	if err := put(record, asIs); err != nil {
		t.Fatalf("parameters as they are: %v", err)
	}
	if err := put(record, asIs, ipc.WithZstd()); !strings.Contains(status.Convert(err).Message(), "compressed") {
		t.Errorf("a compressed body: %v", err)
	}
	for _, at := range []int64{10_000, 10_001, -8} { // the lengths of buffers, and what replaces them
		err := put(record, func(d *flight.FlightData) {
			d.DataHeader = bytes.Replace(d.DataHeader, binary.LittleEndian.AppendUint64(nil, 10_000), binary.LittleEndian.AppendUint64(nil, uint64(at<<24)), 1) //nolint:gosec // any bits
		})
		if !strings.Contains(status.Convert(err).Message(), "not whole") {
			t.Errorf("a buffer of %d bytes: %v", at<<24, err)
		}
	}
	if err := put(record, func(d *flight.FlightData) { d.DataHeader = d.DataHeader[:min(len(d.DataHeader), 9)] }); err == nil {
		t.Error("half a header is read")
	}
	for name, of := range map[string]arrow.DataType{"NULLs": arrow.Null, "lists": arrow.ListOf(arrow.PrimitiveTypes.Int8)} {
		list := array.NewListBuilder(memory.NewGoAllocator(), of)
		list.Append(true)
		for range maxList + 1 {
			list.ValueBuilder().AppendNull()
		}
		column := list.NewArray()
		long := array.NewRecord(arrow.NewSchema([]arrow.Field{{Name: "a", Type: column.DataType()}, {Name: "b", Type: column.DataType()}}, nil), []arrow.Array{column, column}, 1)
		if err := put(long, asIs); err == nil {
			t.Errorf("a long list of %s is read", name)
		}
	}
	if err := put(record, asIs); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// changed is a stream whose rows are changed before they are sent.
type changed struct {
	flight.FlightService_DoPutClient
	rows func(*flight.FlightData)
}

func (c changed) Send(d *flight.FlightData) error {
	if len(d.DataBody) > 0 {
		d = proto.Clone(d).(*flight.FlightData)
		c.rows(d)
	}
	return c.FlightService_DoPutClient.Send(d)
}

func TestLike(t *testing.T) {
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"%", "", true}, {"%", "abc", true}, {"a%c", "abbc", true}, {"a%c", "abb", false}, {"_b_", "abc", true},
		{"_", "", false}, {`a\_b`, "a_b", true}, {`a\_b`, "axb", false}, {`\%`, "%", true}, {`\%`, "a", false}, {"%a%b%", "xxaxxbxx", true}, {"%%", "x", true},
		{strings.Repeat("%a", 30) + "b", strings.Repeat("a", 60), false},
	} {
		if got := like([]rune(test.pattern), []rune(test.s)); got != test.want {
			t.Errorf("%q LIKE %q is %v", test.s, test.pattern, got)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	s := newTTLCache[int](time.Hour, 10*overhead)
	bob := s.put("bob", 1, 0)
	var ids []string
	for i := range 100 {
		ids = append(ids, s.put("alice", i, 0))
	}
	if len(s.items) != 11 {
		t.Errorf("%d things are kept", len(s.items))
	}
	if _, ok := s.get("bob", bob); !ok {
		t.Error("alice's things pushed out bob's")
	}
	if _, ok := s.get("bob", ids[99]); ok {
		t.Error("bob reads alice's things")
	}
	s.add(ids[99], 20*overhead) // more than the limit: only it stays
	if _, ok := s.get("alice", ids[99]); !ok || len(s.items) != 2 {
		t.Errorf("%d things are kept", len(s.items))
	}
	s.drop("bob", ids[99])
	s.drop("alice", ids[99])
	s.drop("bob", bob)
	if len(s.items) != 0 || len(s.held) != 0 {
		t.Errorf("%v and %v are left", s.items, s.held)
	}
}
