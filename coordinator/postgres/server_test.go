package postgres

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/coordinator/postgres/dictionary"
	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/pki"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

const (
	adaToken = "ada-token-0123456789"
	bobToken = "bob-token-0123456789"
)

// fake is a coordinator with one answer, to SELECT … FROM person.
type fake struct {
	mu       sync.Mutex
	requests []coordinator.Request // the requests that ran
	outlined int                   // how often the door asked for an outline
	hang     chan struct{}         // a query signals here that it waits, and that it was canceled
	expired  bool                  // the token has expired
	others   bool                  // bob may sign in too
	book     *identity.Book        // nil: clients show a token
}

var columns = []planner.Column{
	{Name: "city", Type: value.TypeText}, {Name: "n", Type: value.TypeInt, Noisy: true}, {Name: "mean", Type: value.TypeFloat, Noisy: true},
	{Name: "day", Type: value.TypeDate}, {Name: "at", Type: value.TypeTimestamp}, {Name: "old", Type: value.TypeBool},
}

func (f *fake) Authenticate(_ context.Context, token string) (coordinator.Researcher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token == bobToken && f.others {
		return coordinator.Researcher{Name: "bob"}, nil
	}
	if token != adaToken || f.expired {
		return coordinator.Researcher{}, &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "unknown"}
	}
	return coordinator.Researcher{Name: "ada"}, nil
}

func (f *fake) Budget(_ context.Context, _ coordinator.Researcher, study string) (*coordinator.Account, error) {
	if study != "trial" {
		return nil, &coordinator.Error{Code: coordinator.CodeStudyUnknown, Message: "there is none"}
	}
	return &coordinator.Account{}, nil
}

func (f *fake) Outline(_ context.Context, _ coordinator.Researcher, req coordinator.Request) (*coordinator.Outline, error) {
	f.mu.Lock()
	f.outlined++
	f.mu.Unlock()
	if strings.Contains(req.SQL, "*") {
		return nil, &coordinator.Error{Code: coordinator.Code(planner.CodeRowLevel), Message: "rows of patients are never shown"}
	}
	if i := strings.Index(req.SQL, "wrong"); i >= 0 {
		return nil, &coordinator.Error{
			Code: coordinator.Code(planner.CodeColumn), Message: "no column wrong", Hint: "write right", Position: planner.Position{Offset: i, Length: 5, Line: 1, Column: i + 1},
		}
	}
	o := &coordinator.Outline{Columns: columns, Confidence: 0.95, Cost: coordinator.Cost{Epsilon: 0.5}}
	if strings.Contains(req.SQL, "village") {
		o.Warnings, o.Away = []string{"a village is small"}, []coordinator.Absence{{Name: "lille", Why: "is away"}}
		o.Stored = strings.Contains(req.SQL, "again")
	}
	if strings.Contains(req.SQL, "$1") && len(req.Parameters) == 0 {
		o.Parameters = []coordinator.Parameter{{Name: "1", Type: value.TypeInt}, {Name: "2", Type: value.TypeDate}}
		if strings.Contains(req.SQL, "ANY") {
			o.Parameters = []coordinator.Parameter{{Name: "1", Type: value.TypeInt, Array: true}, {Name: "2", Type: value.TypeText, Array: true}, {Name: "3", Type: value.TypeDate, Array: true}}
		}
	}
	return o, nil
}

func (f *fake) Forewarned(ctx context.Context, who coordinator.Researcher, req coordinator.Request, before func(*coordinator.Outline)) (*coordinator.Answer, error) {
	o, err := f.Outline(ctx, who, req)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.outlined-- // this outline is not the door's
	f.mu.Unlock()
	before(o)
	f.mu.Lock()
	f.requests = append(f.requests, req)
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		hang <- struct{}{}
		<-ctx.Done()
		hang <- struct{}{}
		return nil, &coordinator.Error{Code: coordinator.CodeCanceled, Message: "canceled", Charged: true}
	}
	a := &coordinator.Answer{
		Confidence: 0.95, Cost: coordinator.Cost{Epsilon: 0.5}, Remaining: dp.Remaining{Epsilon: 3}, Answered: []string{"lyon"}, Warnings: []string{"it rains"},
		Answer: planner.Answer{Columns: columns},
	}
	for i := range 3 {
		n := int64(10 * i)
		a.Rows = append(a.Rows, []planner.Estimate{
			{Value: value.Text(fmt.Sprint("city ", i))}, {Value: value.Int(n), Low: value.Int(n - 7), High: value.Int(n + 7)},
			{Value: value.Float(0.5), Low: value.Float(0.25), High: value.Null(value.TypeFloat)},
			{Value: value.Date(18321)}, {Value: value.Timestamp(1_500_000)}, {Value: value.Bool(true)},
		})
	}
	return a, nil
}

func (f *fake) last() coordinator.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[len(f.requests)-1]
}

func (f *fake) ran() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests)
}

// house is a server, and how to reach it.
type house struct {
	*Server
	*fake
	address string
	roots   *x509.CertPool
}

func start(t *testing.T) *house {
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
	d, err := dictionary.Open(context.Background(), patients(t))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{fake: &fake{}, roots: x509.NewCertPool()}
	h.Server = NewServer(h.fake, h.fake, d, conf, slog.New(slog.NewTextHandler(io.Discard, nil)))
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = listener.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(&weary{Listener: listener}) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(h.Shutdown(ctx), <-ended, d.Close()); err != nil {
			t.Error(err)
		}
	})
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	h.roots.AppendCertsFromPEM(pem)
	return h
}

// weary has no file descriptor for the first client. The door must stay open.
type weary struct {
	net.Listener
	once sync.Once
}

func (w *weary) Accept() (net.Conn, error) {
	var none error
	w.once.Do(func() { none = &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE} })
	if none != nil {
		return nil, none
	}
	return w.Listener.Accept()
}

func (h *house) config(t *testing.T, notice func(*pgconn.Notice)) *pgx.ConnConfig {
	t.Helper()
	c, err := pgx.ParseConfig(fmt.Sprintf("postgres://ada:%s@%s/trial?sslmode=require", adaToken, h.address))
	if err != nil {
		t.Fatal(err)
	}
	c.TLSConfig = &tls.Config{RootCAs: h.roots, ServerName: "localhost", MinVersion: tls.VersionTLS13}
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if notice != nil {
			notice(n)
		}
	}
	return c
}

func (h *house) connect(t *testing.T, notice func(*pgconn.Notice)) *pgx.Conn {
	t.Helper()
	c, err := pgx.ConnectConfig(context.Background(), h.config(t, notice))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func TestTypesAndNotices(t *testing.T) {
	h := start(t)
	var notices []string
	c := h.connect(t, func(n *pgconn.Notice) { notices = append(notices, n.Severity+" "+n.Message) })
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		notices = nil
		var city string
		var n int64
		var mean float64
		var day, at time.Time
		var old bool
		if err := c.QueryRow(context.Background(), "SELECT … FROM person", mode).Scan(&city, &n, &mean, &day, &at, &old); err != nil {
			t.Fatalf("%v: %v", mode, err)
		}
		if city != "city 0" || n != 0 || mean != 0.5 || day.Format(time.DateOnly) != "2020-02-29" || at.UnixMicro() != 1_500_000 || !old {
			t.Errorf("%v: %v %v %v %v %v %v", mode, city, n, mean, day, at, old)
		}
		want := "NOTICE cost: epsilon 0.5; the study trial has epsilon 3 left|NOTICE 95 % intervals: n ± 7, mean ± without end; SET intervals = columns shows each|WARNING it rains"
		if got := strings.Join(notices, "|"); got != want {
			t.Errorf("%v: the notices are %s", mode, got)
		}
	}
	if h.ran() != 4 {
		t.Errorf("the query ran %d times, for 4 questions", h.ran())
	}
}

// TestForewarning checks that the client gets the warnings before the query runs. For a stored answer there are none.
func TestForewarning(t *testing.T) {
	h := start(t)
	notices := make(chan string, 10)
	c := h.connect(t, func(n *pgconn.Notice) { notices <- n.Message })
	h.hang = make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.Exec(ctx, "SELECT village FROM person", pgx.QueryExecModeSimpleProtocol) // it is canceled
	}()
	<-h.hang // the query runs and has spent nothing yet
	if got := <-notices; got != "before epsilon 0.5 is spent: a village is small; lille is away" {
		t.Error(got)
	}
	cancel()
	<-h.hang
	<-done
	h.hang = nil
	c = h.connect(t, func(n *pgconn.Notice) { notices <- n.Message })
	if _, err := c.Exec(t.Context(), "SELECT village, again FROM person", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if got := <-notices; strings.Contains(got, "before") {
		t.Error(got)
	}
}

// A question is planned once when it runs. It is also planned earlier if its columns or parameters are asked for.
func TestPlannedOnce(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	for _, test := range []struct {
		mode pgx.QueryExecMode
		sql  string
		args []any
		want int // the number of outlines in addition to the question's own
	}{
		{pgx.QueryExecModeSimpleProtocol, "SELECT … FROM person", nil, 0},
		{pgx.QueryExecModeSimpleProtocol, "COPY (SELECT … FROM person) TO STDOUT", nil, 0},
		{pgx.QueryExecModeDescribeExec, "SELECT … FROM person WHERE n > $1 AND day > $2", []any{1, time.Now()}, 2},
	} {
		h.fake.mu.Lock()
		h.outlined = 0
		h.fake.mu.Unlock()
		ran := h.ran()
		if _, err := c.Exec(t.Context(), test.sql, append([]any{test.mode}, test.args...)...); err != nil {
			t.Errorf("%v %s: %v", test.mode, test.sql, err)
		}
		h.fake.mu.Lock()
		if h.outlined != test.want || len(h.requests) != ran+1 {
			t.Errorf("%v: %s was outlined %d times, not %d, and ran %d times", test.mode, test.sql, h.outlined, test.want, len(h.requests)-ran)
		}
		h.fake.mu.Unlock()
	}
}

// A misspelled setting is reported. Other variables of SET have no effect, as clients expect.
func TestMisspelledSetting(t *testing.T) {
	h := start(t)
	var notices []string
	c := h.connect(t, func(n *pgconn.Notice) { notices = append(notices, n.Severity+" "+n.Message) })
	for _, sql := range []string{"SET epsilo = 1", "SET intervalstyle = 'postgres'", "SET enable_nestloop = off", "SET statement_timeout = 0", "SET role = 'none'", "SET max_row = 5"} {
		if _, err := c.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	want := []string{"WARNING epsilo is no setting, and changes nothing; did you mean epsilon?", "WARNING max_row is no setting, and changes nothing; did you mean max_rows?"}
	if !slices.Equal(notices, want) {
		t.Errorf("the notices are %q", notices)
	}
}

func TestSettings(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	// A prepared statement keeps the columns that it announced.
	if _, err := c.Prepare(ctx, "before", "SELECT … FROM person"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"SET epsilon = 0.25", "SET intramuros.max_groups TO 3", "SET SESSION intervals = 'columns'", "SET extra_float_digits = 3", "SET TIME ZONE 'UTC'", "SET TRANSACTION READ ONLY", "BEGIN; COMMIT"} {
		if _, err := c.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	rows, err := c.Query(ctx, "SELECT … FROM person WHERE true")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range rows.FieldDescriptions() {
		names = append(names, f.Name)
	}
	rows.Close()
	if got := strings.Join(names, " "); got != "city n n_low n_high mean mean_low mean_high day at old" {
		t.Errorf("the columns are %s", got)
	}
	if r := h.last(); r.Epsilon != 0.25 || r.MaxGroups != 3 || r.Study != "trial" {
		t.Errorf("the request is %+v", r)
	}
	rows, err = c.Query(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(rows.FieldDescriptions()); n != 6 {
		t.Errorf("the statement prepared before has %d columns", n)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"epsilon": "0.25", "intervals": "columns", "server_version": "15.0", "extra_float_digits": "3", "delta": ""} {
		var got string
		if err := c.QueryRow(ctx, "SHOW "+name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	for _, sql := range []string{"SET epsilon = much", "SET intramuros.nothing = 1", "SHOW nothing", "SET client_encoding = latin1", "SET"} {
		if _, err := c.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err == nil {
			t.Errorf("%s was accepted", sql)
		}
	}
}

func TestParameters(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	day := time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeDescribeExec, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		rows, err := c.Query(ctx, "SELECT … FROM person WHERE $1 AND $2", mode, 5, day)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			t.Fatalf("%v: %v", mode, err)
		}
		got := h.last().Parameters
		if len(got) != 2 || got["1"] != value.Int(5) {
			t.Errorf("%v: the values are %v", mode, got)
		}
		if got["2"] != value.Date(18321) {
			t.Errorf("%v: the values are %v", mode, got)
		}
	}
	rows, err := c.Query(ctx, "SELECT … FROM person WHERE $1 AND $2", pgx.QueryExecModeDescribeExec, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows.Close()
	if got := h.last().Parameters; rows.Err() != nil || !got["1"].IsNull() || !got["2"].IsNull() {
		t.Errorf("the values are %v, %v", got, rows.Err())
	}
}

// TestArrays checks lists as clients send them, in text and in binary, with any declared type.
func TestArrays(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	const sql = "SELECT … FROM person WHERE a = ANY($1) AND b = ANY($2) AND d = ANY($3)"
	days := []time.Time{time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		rows, err := c.Query(ctx, sql, mode, []int32{1, -2}, []string{`a, "b"`, ""}, days)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
		got := h.last().Parameters
		if rows.Err() != nil || got["1"] != value.Text(`{"1","-2"}`) || got["2"] != value.Text(`{"a, \"b\"",""}`) || !strings.HasPrefix(got["3"].Str(), `{"2020-02-29`) {
			t.Errorf("%v: %v, %v", mode, got, rows.Err())
		}
	}
	// A client that leaves the types open, or says text, sends PostgreSQL's text form.
	for _, oid := range []uint32{0, pgtype.TextOID, pgtype.Int4ArrayOID, pgtype.NumericArrayOID} {
		result := c.PgConn().ExecParams(ctx, sql, [][]byte{[]byte("{1,NULL,-2}"), []byte(`{"a, b",c}`), nil}, []uint32{oid}, nil, nil).Read()
		got := h.last().Parameters
		want := value.Text(`{"1",NULL,"-2"}`)
		if oid == pgtype.TextOID {
			want = value.Text("{1,NULL,-2}")
		}
		if result.Err != nil || got["1"] != want || got["2"] != value.Text(`{"a, b","c"}`) || !got["3"].IsNull() {
			t.Errorf("of type %d: %v, %v", oid, got, result.Err)
		}
	}
	if result := c.PgConn().ExecParams(ctx, sql, [][]byte{[]byte("{1"), nil, nil}, nil, nil, nil).Read(); result.Err == nil {
		t.Error("half an array is read")
	}
}

// TestFormats checks that each type that drivers send, as text and in binary, is read as its value, and is returned as
// it came.
func TestFormats(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	types := pgtype.NewMap()
	day := time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)
	id := pgtype.UUID{Valid: true, Bytes: [16]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}
	decimal := func(n int64, exponent int32) pgtype.Numeric {
		return pgtype.Numeric{Int: big.NewInt(n), Exp: exponent, Valid: true}
	}
	moment := time.Date(2020, 2, 29, 12, 30, 15, 250_000_000, time.UTC)
	for _, f := range []struct {
		oid   uint32
		value any
		want  value.Value
	}{
		{pgtype.BoolOID, true, value.Bool(true)}, {pgtype.Int2OID, int16(-3), value.Int(-3)}, {pgtype.Int4OID, int32(7), value.Int(7)},
		{pgtype.Int8OID, int64(9007199254740993), value.Int(9007199254740993)}, {pgtype.Float4OID, float32(1.5), value.Float(1.5)},
		{pgtype.Float8OID, -0.1, value.Float(-0.1)}, {pgtype.NumericOID, decimal(125, -1), value.Float(12.5)}, {pgtype.NumericOID, decimal(9007199254740993, 0), value.Int(9007199254740993)},
		{pgtype.DateOID, day, value.Date(day.Unix() / 86400)}, {pgtype.TimestampOID, moment, value.Timestamp(moment.UnixMicro())},
		{pgtype.TimestamptzOID, moment, value.Timestamp(moment.UnixMicro())}, {pgtype.TextOID, "a 'b'", value.Text("a 'b'")},
		{pgtype.VarcharOID, "é", value.Text("é")}, {pgtype.BPCharOID, "x", value.Text("x")},
		{pgtype.UUIDOID, id, value.Text("00112233-4455-6677-8899-aabbccddeeff")},
	} {
		for _, format := range []int16{pgtype.TextFormatCode, pgtype.BinaryFormatCode} {
			raw, err := types.Encode(f.oid, format, f.value, nil)
			if err != nil {
				t.Fatalf("%d: %v", f.oid, err)
			}
			result := c.PgConn().ExecParams(ctx, "SELECT … FROM person WHERE a = $1 AND d = $2", [][]byte{raw, nil}, []uint32{f.oid}, []int16{format, 0}, nil).Read()
			if result.Err != nil {
				t.Errorf("%v of type %d in format %d: %v", f.value, f.oid, format, result.Err)
				continue
			}
			if got := h.last().Parameters["1"]; result.Err != nil || got != f.want {
				t.Errorf("%v of type %d in format %d is read as %v, %v", f.value, f.oid, format, got, result.Err)
			}
			echo := c.PgConn().ExecParams(ctx, "SELECT $1", [][]byte{raw}, []uint32{f.oid}, []int16{format}, []int16{format}).Read()
			if echo.Err != nil || echo.FieldDescriptions[0].DataTypeOID != f.oid || !bytes.Equal(echo.Rows[0][0], raw) {
				t.Errorf("%v of type %d in format %d comes back as %+v, %v", f.value, f.oid, format, echo, echo.Err)
			}
		}
	}
	echo := c.PgConn().ExecParams(ctx, "SELECT $1, 1 AS one, $2 AS b", [][]byte{[]byte("abc"), nil}, nil, nil, nil).Read()
	if echo.Err != nil || echo.FieldDescriptions[0].DataTypeOID != pgtype.TextOID || string(echo.Rows[0][0]) != "abc" || echo.FieldDescriptions[2].DataTypeOID != pgtype.TextOID {
		t.Errorf("a parameter of no type is %+v, %v", echo, echo.Err)
	}
	// A type that is not supported is refused by its name, and does not become a NULL.
	for oid, raw := range map[uint32][]byte{pgtype.ByteaOID: {1, 2}, pgtype.IntervalOID: make([]byte, 16), pgtype.TimeOID: make([]byte, 8), pgtype.JSONBOID: []byte("\x01{}")} {
		result := c.PgConn().ExecParams(ctx, "SELECT … FROM person WHERE a = $1 AND d = $2", [][]byte{raw, nil}, []uint32{oid}, []int16{pgtype.BinaryFormatCode, 0}, nil).Read()
		name, _ := types.TypeForOID(oid)
		if result.Err == nil || !strings.Contains(result.Err.Error(), "$1 is not understood as "+name.Name) {
			t.Errorf("%s: %v", name.Name, result.Err)
		}
	}
	// A value that is no number does not become a NULL either.
	for oid, v := range map[uint32]any{pgtype.NumericOID: pgtype.Numeric{NaN: true, Valid: true}, pgtype.Float8OID: math.NaN(), pgtype.Float4OID: float32(math.Inf(1)), pgtype.Float8ArrayOID: []float64{1, math.Inf(-1)}} {
		for _, format := range []int16{pgtype.TextFormatCode, pgtype.BinaryFormatCode} {
			raw, err := types.Encode(oid, format, v, nil)
			if err != nil {
				t.Fatal(err)
			}
			result := c.PgConn().ExecParams(ctx, "SELECT … FROM person WHERE a = $1 AND d = $2", [][]byte{raw, nil}, []uint32{oid}, []int16{format, 0}, nil).Read()
			if result.Err == nil || !strings.Contains(result.Err.Error(), "the parameter $1 is no finite number") {
				t.Errorf("%v of type %d in format %d: %v", v, oid, format, result.Err)
			}
		}
	}
	lists := "SELECT … FROM person WHERE a = ANY($1) AND b = ANY($2) AND d = ANY($3)"
	for _, f := range []struct {
		oid   uint32
		value any
		want  string
	}{
		{pgtype.BoolArrayOID, []bool{true, false}, `{"true","false"}`}, {pgtype.Int2ArrayOID, []int16{1, -2}, `{"1","-2"}`},
		{pgtype.Int4ArrayOID, []int32{1, -2}, `{"1","-2"}`}, {pgtype.Int8ArrayOID, []int64{9007199254740993}, `{"9007199254740993"}`},
		{pgtype.Float4ArrayOID, []float32{1.5}, `{"1.5"}`}, {pgtype.Float8ArrayOID, []float64{-0.1}, `{"-0.1"}`},
		{pgtype.NumericArrayOID, []pgtype.Numeric{decimal(125, -1)}, `{"12.5"}`}, {pgtype.DateArrayOID, []time.Time{day}, `{"2020-02-29"}`},
		{pgtype.TimestampArrayOID, []time.Time{moment}, `{"2020-02-29T12:30:15.25"}`}, {pgtype.TextArrayOID, []string{"a, b", ""}, `{"a, b",""}`},
		{pgtype.VarcharArrayOID, []string{"x"}, `{"x"}`}, {pgtype.UUIDArrayOID, []pgtype.UUID{id}, `{"00112233-4455-6677-8899-aabbccddeeff"}`},
	} {
		for _, format := range []int16{pgtype.TextFormatCode, pgtype.BinaryFormatCode} {
			raw, err := types.Encode(f.oid, format, f.value, nil)
			if err != nil {
				t.Fatalf("%d: %v", f.oid, err)
			}
			result := c.PgConn().ExecParams(ctx, lists, [][]byte{raw, nil, nil}, []uint32{f.oid}, []int16{format, 0, 0}, nil).Read()
			if got := h.last().Parameters["1"]; result.Err != nil || got != value.Text(f.want) {
				t.Errorf("%v of type %d in format %d is read as %v, %v", f.value, f.oid, format, got, result.Err)
			}
		}
	}
}

// TestGivenBack checks what pools send before another person uses a connection; the text is asyncpg's.
func TestGivenBack(t *testing.T) {
	c := start(t).connect(t, nil)
	for _, sql := range []string{"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;", "DISCARD ALL"} {
		if _, err := c.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestCopy checks answers in COPY's forms: text, CSV and binary. Anything but a query is refused.
func TestCopy(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	copied := func(sql string) (string, string, error) {
		var b bytes.Buffer
		tag, err := c.PgConn().CopyTo(ctx, &b, sql)
		return b.String(), tag.String(), err
	}
	const lookup = "SELECT * FROM (SELECT 1 AS a, 'b,\"c' AS b, NULL AS c, E'x\ty' AS d, '' AS e FROM pg_class LIMIT 2) t"
	for options, want := range map[string]string{
		"":                                   "1\tb,\"c\t\\N\tx\\ty\t\n",
		"WITH (FORMAT text, DELIMITER ',')":  "1,b\\,\"c,\\N,x\\ty,\n",
		"WITH (FORMAT csv, HEADER)":          "a,b,c,d,e\n" + `1,"b,""c",,x` + "\ty,\"\"\n",
		"CSV HEADER DELIMITER ';' NULL 'NA'": "a;b;c;d;e\n" + `1;"b,""c";NA;x` + "\ty;\n",
		"WITH (FORMAT CSV, FORCE_QUOTE *, ESCAPE '\\', ENCODING 'UTF8', HEADER false)": `"1","b,\"c",,"x` + "\ty\",\"\"\n",
	} {
		got, tag, err := copied("COPY (" + lookup + ") TO STDOUT " + options)
		head := ""
		if i := strings.Index(want, "\n"); strings.HasPrefix(want, "a") {
			head, want = want[:i+1], want[i+1:]
		}
		if err != nil || got != head+want+want || tag != "COPY 2" {
			t.Errorf("%s: %q, %s, %v", options, got, tag, err)
		}
	}
	// A question is asked and paid for once, and its notices come first.
	got, tag, err := copied("COPY (SELECT … FROM person) TO STDOUT (FORMAT csv, HEADER)")
	if err != nil || !strings.HasPrefix(tag, "COPY ") || strings.Count(got, "\n") != 4 {
		t.Errorf("%q, %s, %v", got, tag, err)
	}
	binary, _, err := copied("COPY (SELECT oid, typname FROM pg_type WHERE typname = 'int4') TO STDOUT (FORMAT binary)")
	if want := "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x02\x00\x00\x00\x04\x00\x00\x00\x17\x00\x00\x00\x04int4" + "\xff\xff"; err != nil || binary != want {
		t.Errorf("%q, %v", binary, err)
	}
	for _, sql := range []string{"COPY person TO STDOUT", "COPY person FROM STDIN", "COPY (SELECT 1 FROM pg_class) TO '/tmp/x'", "COPY (SELECT 1 FROM pg_class) TO PROGRAM 'sh'", "COPY (DELETE FROM pg_class) TO STDOUT",
		"COPY (SELECT 1 FROM pg_class) TO STDOUT (FORMAT parquet)", "COPY (SELECT 1 FROM pg_class) TO STDOUT (DELIMITER 'ab')", "COPY (SELECT 1 FROM pg_class TO STDOUT", "COPY"} {
		if got, _, err := copied(sql); err == nil {
			t.Errorf("%s gives %q", sql, got)
		}
	}
	// An error has its position in the query.
	_, _, err = copied("COPY (SELECT é, wrong FROM person) TO STDOUT")
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Position != 17 {
		t.Errorf("%v, at %+v", err, e)
	}
}

// TestListsOfCatalog checks that questions about the catalog take lists too, with and without a type.
func TestListsOfCatalog(t *testing.T) {
	c := start(t).connect(t, nil)
	ctx := context.Background()
	for sql, list := range map[string]any{
		"SELECT typname FROM pg_type t WHERE t.oid = ANY($1)": []uint32{23, 25}, "SELECT typname FROM pg_type WHERE oid = ANY($1::oid[])": []uint32{23, 25},
		"SELECT typname FROM pg_type WHERE typname = ANY($1)": []string{"int4", "text"}, "SELECT typname FROM pg_type WHERE typlen = ANY($1::int2[]) AND typname IN ('int4', 'int2')": []int16{2, 4},
	} {
		rows, err := c.Query(ctx, sql, list)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		n := 0
		for rows.Next() {
			n++
		}
		if rows.Err() != nil || n != 2 {
			t.Errorf("%s: %d rows, %v", sql, n, rows.Err())
		}
	}
}

func TestReadTime(t *testing.T) {
	for text, want := range map[string]string{
		"2020-02-29": "2020-02-29T00:00:00", "2020-02-29 +01": "2020-02-29T00:00:00", "2020-02-29 10:20:30.5+02:00": "2020-02-29T10:20:30.5", "2020-02-29T10:20:30Z": "2020-02-29T10:20:30",
		"2020-02-29 10:20:30-05": "2020-02-29T10:20:30", "2020-02-29 10:20": "2020-02-29T10:20:00", "2020-02-30": "", "yesterday": "", "": "", "+": "",
	} {
		got, err := readTime(text)
		if (err == nil) != (want != "") || err == nil && got.Format("2006-01-02T15:04:05.999") != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

// After an error in the extended protocol, one ReadyForQuery comes, at Sync, and the connection continues.
func TestErrors(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec} {
		_, err := c.Exec(ctx, "BEGIN", mode)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Exec(ctx, "SELECT 'é', wrong FROM person", mode)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "42703" || e.Position != 13 || e.Hint != "write right" || e.Message != "UNKNOWN_COLUMN: no column wrong" {
			t.Errorf("%v: %+v", mode, err)
		}
		var one int
		if err := c.QueryRow(ctx, "SELECT 1", mode).Scan(&one); err != nil || one != 1 {
			t.Errorf("%v: afterwards %v, %v", mode, one, err)
		}
		if _, err := c.Exec(ctx, "ROLLBACK", mode); err != nil {
			t.Error(err)
		}
	}
	// With several statements in one text, the position is that in the whole text, and the statements after the error do
	// not run.
	before := h.ran()
	_, err := c.Exec(ctx, "SELECT 1; SELECT wrong FROM person; SELECT … FROM person", pgx.QueryExecModeSimpleProtocol)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Position != 18 || h.ran() != before {
		t.Errorf("%+v after %d queries", err, h.ran()-before)
	}
	if _, err := c.Exec(ctx, "SELECT $1 FROM person", pgx.QueryExecModeSimpleProtocol); err == nil {
		t.Error("a parameter without value was accepted")
	}
	if _, err := c.Exec(ctx, "DECLARE c CURSOR FOR SELECT wrong FROM person"); err == nil {
		t.Error("a cursor was accepted")
	}
}

func TestPortalInParts(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil).PgConn()
	if err := c.Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	f := c.Frontend()
	f.Send(&pgproto3.Parse{Query: "SELECT … FROM person"})
	f.Send(&pgproto3.Bind{})
	for range 3 {
		f.Send(&pgproto3.Execute{MaxRows: 2})
	}
	f.Send(&pgproto3.Close{ObjectType: 'P'})
	f.Send(&pgproto3.Execute{})
	f.Send(&pgproto3.Parse{Query: "is skipped"})
	f.Send(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.NoticeResponse:
		case *pgproto3.CommandComplete:
			got = append(got, string(m.CommandTag))
		case *pgproto3.ErrorResponse:
			got = append(got, m.Code)
		default:
			got = append(got, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
	want := "ParseComplete BindComplete DataRow DataRow PortalSuspended DataRow SELECT 1 SELECT 0 CloseComplete 22023 ReadyForQuery"
	if strings.Join(got, " ") != want || h.ran() != 1 {
		t.Errorf("got %s, and the query ran %d times", strings.Join(got, " "), h.ran())
	}
}

func TestCancel(t *testing.T) {
	for name, cancel := range map[string]func(h *house, c *pgx.Conn){
		"request": func(_ *house, c *pgx.Conn) {
			if err := c.PgConn().CancelRequest(context.Background()); err != nil {
				t.Error(err)
			}
		},
		"gone":     func(_ *house, c *pgx.Conn) { c.PgConn().Conn().Close() },
		"shutdown": nil,
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			h.hang = make(chan struct{})
			c := h.connect(t, nil)
			ended := make(chan error, 1)
			go func() {
				_, err := c.Exec(context.Background(), "SELECT … FROM person")
				ended <- err
			}()
			<-h.hang
			stopped := make(chan error, 1)
			if cancel != nil {
				// A wrong secret cancels nothing.
				other := &pgproto3.CancelRequest{ProcessID: c.PgConn().PID(), SecretKey: binary.BigEndian.AppendUint32(nil, 12345)}
				h.cancel(other.ProcessID, other.SecretKey)
				select {
				case <-h.hang:
					t.Error("a wrong secret canceled the query")
				case <-time.After(50 * time.Millisecond):
				}
				cancel(h, c)
			} else {
				go func() {
					ctx, done := context.WithTimeout(context.Background(), 50*time.Millisecond)
					defer done()
					stopped <- h.Shutdown(ctx)
				}()
			}
			<-h.hang
			var e *pgconn.PgError
			if err := <-ended; err == nil || name == "request" && (!errors.As(err, &e) || e.Code != "57014" || !strings.Contains(e.Detail, "has paid")) {
				t.Errorf("the error is %v", err)
			}
			if cancel == nil {
				if err := <-stopped; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestWhoMayAsk(t *testing.T) {
	h := start(t)
	for name, test := range map[string]struct {
		change func(*pgx.ConnConfig)
		state  string
	}{
		"wrong token":          {func(c *pgx.ConnConfig) { c.Password = "x" }, "28P01"},
		"somebody else's name": {func(c *pgx.ConnConfig) { c.User = "bob" }, "28P01"},
		"no such study":        {func(c *pgx.ConnConfig) { c.Database = "other" }, "3D000"},
		"no TLS":               {func(c *pgx.ConnConfig) { c.TLSConfig = nil }, "28000"},
		"a wrong option":       {func(c *pgx.ConnConfig) { c.RuntimeParams["options"] = "-c epsilon=much" }, "22023"},
	} {
		conf := h.config(t, nil)
		conf.Fallbacks = nil
		test.change(conf)
		c, err := pgx.ConnectConfig(context.Background(), conf)
		if err == nil {
			c.Close(context.Background())
		}
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != test.state {
			t.Errorf("%s: %v", name, err)
		}
	}
	conf := h.config(t, nil)
	conf.RuntimeParams["options"] = `-c epsilon=0.125 --intervals=columns`
	c, err := pgx.ConnectConfig(context.Background(), conf)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	var epsilon string
	if err := c.QueryRow(context.Background(), "SHOW epsilon").Scan(&epsilon); err != nil || epsilon != "0.125" {
		t.Errorf("epsilon is %s, %v", epsilon, err)
	}
	// TLS from the first byte, as libpq 17 offers it.
	direct, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: "localhost", NextProtos: []string{"postgresql"}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	f := pgproto3.NewFrontend(direct, direct)
	f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion32, Parameters: map[string]string{"user": "ada", "_pq_.tomorrow": "1"}})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	if protocol := direct.ConnectionState().NegotiatedProtocol; protocol != "postgresql" {
		t.Errorf("direct TLS: the protocol is %q", protocol)
	}
	m, err := f.Receive()
	if n, ok := m.(*pgproto3.NegotiateProtocolVersion); !ok || n.NewestMinorProtocol != 3<<16 || !slices.Equal(n.UnrecognizedOptions, []string{"_pq_.tomorrow"}) {
		t.Errorf("of a later version: %+v, %v", m, err)
	}
	if m, err := f.Receive(); err != nil {
		t.Errorf("direct TLS: %v", err)
	} else if _, ok := m.(*pgproto3.AuthenticationCleartextPassword); !ok {
		t.Errorf("direct TLS: %T", m)
	}
}

// Messages that no client sends must not end the coordinator.
func TestBrokenMessages(t *testing.T) {
	h := start(t)
	for _, b := range []string{"", "\x00", "\x00\x00\x00\x08\x04\xd2\x16\x2f\x00", "\x16\x03\x01junk", "GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02", "\xff\xff\xff\xff\x00"} {
		c, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(b)); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	// Within a session: something that is no message, a message that is too long, an empty bind.
	for _, b := range []string{"?\x00\x00\x00\x04", "Q\x7f\xff\xff\xff", "B\x00\x00\x00\x05x", "P\x00\x00\x00\x04", "E\x00\x00\x00\x03"} {
		c := h.connect(t, nil)
		raw := c.PgConn().Conn()
		if _, err := raw.Write([]byte(b)); err != nil {
			t.Error(err)
		}
		_ = raw.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.Copy(io.Discard, raw)
	}
	c := h.connect(t, nil)
	if _, err := c.Exec(context.Background(), "SELECT 1"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// patients is a catalog of one table.
func patients(t *testing.T) *catalog.Catalog {
	t.Helper()
	c := testcatalog.Parse(t, "catalog: test\ntables:\n  person: {key: id, patient: id, one_row_per_patient: true, columns: {id: {type: int, nullable: false}, born: {type: date}}}\n")
	return c
}

// Blanks around the elements of an array have no meaning; blanks within them do.
func TestUnspaced(t *testing.T) {
	for text, want := range map[string]string{
		`{"p", "f"}`: `{"p","f"}`, `{ 1 , 2 }`: `{1,2}`, `{a b, " c "}`: `{a b," c "}`, `{"a\" , b" , c\ }`: `{"a\" , b",c\ }`, ``: ``, `{}`: `{}`, "{ \t}": "{}", `x  y`: `x  y`,
	} {
		if got := string(unspaced([]byte(text))); got != want {
			t.Errorf("%s became %s, not %s", text, got, want)
		}
	}
}
