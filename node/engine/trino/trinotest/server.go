// Package trinotest starts a real Trino for tests, in one process of Java.
package trinotest

import (
	"bufio"
	"context"
	"database/sql"
	_ "embed" // the server's main program
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/trinodb/trino-go-client/trino" // the driver

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

//go:embed Main.java
var program []byte

// Password is accepted over HTTPS for any user.
const Password = "the password of tests"

// Server is a Trino whose catalog `memory` is empty.
type Server struct {
	URL     string // by HTTP, without a password
	Secure  string // by HTTPS, with Password or a token of Token
	CA      string // the file of the authority that signed its certificate
	folder  string
	db      *sql.DB
	schemas atomic.Int64
	output  tail
	stdin   io.Closer     // the server runs while it is open
	ended   chan struct{} // closed when the server has ended
}

// one and warm start the server for all tests or benchmarks of a process. That takes some seconds.
var (
	one  = sync.OnceValues(func() (*Server, error) { return launch(false) })
	warm = sync.OnceValues(func() (*Server, error) { return launch(true) })
)

// running is that server.
var running atomic.Pointer[Server]

func launch(bench bool) (*Server, error) {
	s, err := start(program, os.Getenv("INTRAMUROS_TRINO"), bench, "", "query.max-hash-partition-count=1", "query.min-hash-partition-count=1",
		"query.max-length=100000000") // rows of tests are sent as SQL
	if err == nil {
		running.Store(s)
	}
	return s, err
}

// older adapts the program to the classes of Trino 368.
var older = strings.NewReplacer("io.trino.grammar.sql", "io.trino.sql.parser", "setSystemAccessControl(rules)", "setSystemAccessControls(java.util.List.of(rules))")

// StartPostgreSQL starts another server, a Trino 368, whose catalog `warehouse` is the PostgreSQL at a JDBC URL. It
// uses the libraries in the folder of the environment variable INTRAMUROS_TRINO_POSTGRES, and skips the test if that is
// not set. The server ends with the test.
func StartPostgreSQL(t testing.TB, url string) *Server {
	t.Helper()
	libraries := os.Getenv("INTRAMUROS_TRINO_POSTGRES")
	if libraries == "" {
		t.Skip("run this test by: make test-trino")
	}
	s, err := start([]byte(older.Replace(string(program))), libraries, false, url, "query.initial-hash-partitions=1", "query.max-length=100000000")
	if err != nil {
		t.Fatalf("Trino does not start: %v\n%s", err, s.output.String())
	}
	t.Cleanup(s.stop)
	return s
}

// Start returns the server of this process's tests. The first call starts it, with the libraries in the folder of the
// environment variable INTRAMUROS_TRINO, and skips the test if that is not set: see `make test-trino`. The server ends
// with Stop, or with the process.
func Start(t testing.TB) *Server {
	t.Helper()
	if os.Getenv("INTRAMUROS_TRINO") == "" {
		t.Skip("run this test by: make test-trino")
	}
	get := one
	if _, bench := t.(*testing.B); bench {
		get = warm
	}
	s, err := get()
	if err != nil {
		t.Fatalf("Trino does not start: %v\n%s", err, s.output.String())
	}
	t.Cleanup(func() {
		select {
		case <-s.ended:
			t.Logf("Trino ended; it said at last:\n%s", s.output.String())
		default:
		}
	})
	return s
}

// Stop ends the server, if one was started. Start must not be called again.
func Stop() {
	if s := running.Load(); s != nil {
		s.stop()
	}
}

func (s *Server) stop() {
	s.db.Close()
	http.DefaultClient.CloseIdleConnections()
	s.stdin.Close()
	<-s.ended
	os.RemoveAll(s.folder)
}

func start(program []byte, libraries string, bench bool, postgresql string, more ...string) (*Server, error) {
	s := &Server{ended: make(chan struct{})}
	folder, err := os.MkdirTemp("", "intramuros-trino-")
	if err != nil {
		return s, err
	}
	s.folder = folder
	main := filepath.Join(folder, "Main.java")
	if err := os.WriteFile(main, program, 0o600); err != nil {
		return s, err
	}
	key, err := s.certify()
	if err != nil {
		return s, err
	}
	if err := os.WriteFile(s.rules(), []byte(everything), 0o600); err != nil {
		return s, err
	}
	args := []string{
		// Every query is compiled to classes of its own. So there is room for their code (by default 48 MB, after which the
		// quick compiler stops), no verification of it, and one thread that collects garbage.
		"-XX:ReservedCodeCacheSize=512m", "-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote", "-XX:+UseSerialGC",
		"-Xms1g", "-Xmn600m", "-Xmx3g", "-Xss8m", "-XX:+ExitOnOutOfMemoryError", "-Djava.io.tmpdir=" + folder,
		"-cp", filepath.Join(libraries, "*"), main, Password, s.rules(), postgresql,
		"http-server.http.enabled=true", "http-server.authentication.allow-insecure-over-http=true",
		"http-server.https.enabled=true", "http-server.https.port=0", "http-server.https.keystore.path=" + key,
		// this file must exist, but is not read
		"http-server.authentication.type=PASSWORD,JWT", "password-authenticator.config-files=" + main,
		"http-server.authentication.jwt.key-file=" + filepath.Join(folder, "jwt"),
		// Queries are small, and there are few processors.
		"redistribute-writes=false",
		// Most of its memory would be for plans and texts of ended queries.
		"query.max-history=2", "compiler.expression-cache-size=20",
	}
	args = append(args, more...)
	if !bench { // the slow compiler is not worth it for code that runs once
		args = append([]string{"-XX:TieredStopAtLevel=1"}, args...)
	}
	java := exec.Command("java", args...)
	if s.stdin, err = java.StdinPipe(); err != nil {
		return s, err
	}
	stderr, err := java.StderrPipe()
	if err != nil {
		return s, err
	}
	if err := java.Start(); err != nil {
		return s, err
	}
	ready := make(chan []string, 1)
	go func() {
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			if _, urls, ok := strings.Cut(line, "ready http"); ok {
				ready <- strings.Fields("http" + urls)
			}
			s.output.add(line)
			if err != nil {
				break
			}
		}
		s.output.add(fmt.Sprintf("it ended: %v\n", java.Wait()))
		close(s.ended)
		close(ready)
	}()
	select {
	case urls := <-ready:
		if len(urls) != 2 {
			return s, errors.New("it ended")
		}
		s.URL, s.Secure = urls[0], urls[1]
	case <-time.After(5 * time.Minute):
		java.Process.Kill()
		return s, errors.New("it took more than five minutes")
	}
	if s.db, err = sql.Open("trino", strings.Replace(s.URL, "://", "://admin@", 1)+"?catalog=memory"); err != nil {
		return s, err
	}
	return s, nil
}

// tail keeps the last lines of a text.
type tail struct {
	sync.Mutex
	lines []string
}

func (t *tail) add(line string) {
	t.Lock()
	defer t.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 30 {
		t.lines = t.lines[1:]
	}
}

func (t *tail) String() string {
	t.Lock()
	defer t.Unlock()
	return strings.Join(t.lines, "")
}

// everything are rules that allow all users everything.
const everything = "{}"

func (s *Server) rules() string { return filepath.Join(s.folder, "rules.json") }

// Rules replaces the server's rules of file-based access control until the test ends. Exec runs as an administrator,
// who is named admin in them.
func (s *Server) Rules(t testing.TB, rules string) {
	t.Helper()
	put := func(text string) {
		// This is done in one step, because the server may read the file at any time.
		next := s.rules() + ".next"
		if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, s.rules())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // it checks every 10 ms
	}
	put(rules)
	t.Cleanup(func() { put(everything) })
}

// Exec runs statements.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if _, err := s.db.ExecContext(context.Background(), q); err != nil {
			t.Fatalf("%.300s: %v", q, err)
		}
	}
}

// Count runs a SELECT of one number.
func (s *Server) Count(t testing.TB, query string) (n int64) {
	t.Helper()
	if err := s.db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		t.Fatalf("%.300s: %v", query, err)
	}
	return n
}

// Schema makes a new schema, and returns its name.
func (s *Server) Schema(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("s%d", s.schemas.Add(1))
	s.Exec(t, "CREATE SCHEMA memory."+name)
	return name
}

// Fill makes a new schema of tables, and returns its name.
func (s *Server) Fill(t testing.TB, tables ...enginetest.Table) string {
	t.Helper()
	schema := s.Schema(t)
	for _, table := range tables {
		var columns []string
		for _, c := range table.Columns {
			columns = append(columns, c.Name+" "+compile.Trino.Type(c.Type))
		}
		s.Exec(t, "CREATE TABLE memory."+schema+"."+table.Name+"("+strings.Join(columns, ", ")+")")
		const together = 2500
		for rows := table.Rows; len(rows) > 0; rows = rows[min(together, len(rows)):] {
			s.Exec(t, insert("memory."+schema+"."+table.Name, table.Columns, rows[:min(together, len(rows))]))
		}
	}
	return schema
}

// Series follows FROM, for n rows whose column i counts from 0.
func Series(n int) string {
	return fmt.Sprintf("(SELECT a * 10000 + b AS i FROM UNNEST(sequence(0, %d)) AS x(a) CROSS JOIN UNNEST(sequence(0, 9999)) AS y(b) WHERE a * 10000 + b < %d) AS s", n/10000, n)
}

// insert writes the cells of a column as one text that the server splits. Trino plans each literal of a VALUES
// separately, which takes ten times as long.
func insert(table string, columns []enginetest.Column, rows [][]any) string {
	var cells, names, values []string
	for i, c := range columns {
		texts := make([]string, len(rows))
		for k, r := range rows {
			texts[k] = cellText(r[i])
		}
		name := fmt.Sprintf("c%d", i)
		cells, names = append(cells, "split('"+strings.Join(texts, ",")+"', ',')"), append(names, name)
		values = append(values, fmt.Sprintf(reading[c.Type], "NULLIF("+name+", '')"))
	}
	return "INSERT INTO " + table + " SELECT " + strings.Join(values, ", ") + " FROM UNNEST(" + strings.Join(cells, ", ") + ") AS cells(" + strings.Join(names, ", ") + ")"
}

// reading is how the server reads what cellText writes.
var reading = map[value.Type]string{
	value.TypeBool: "CAST(%s AS BOOLEAN)", value.TypeInt: "CAST(%s AS BIGINT)", value.TypeFloat: "CAST(%s AS DOUBLE)",
	value.TypeText: "from_utf8(from_hex(substr(%s, 2)))", value.TypeDate: "date_add('day', CAST(%s AS BIGINT), DATE '1970-01-01')",
	value.TypeTimestamp: "CAST(from_unixtime_nanos(CAST(%s AS DECIMAL(38, 0)) * 1000) AT TIME ZONE 'UTC' AS TIMESTAMP(6))",
}

func cellText(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case float64:
		if math.IsInf(v, 0) {
			return strings.Replace(strconv.FormatFloat(v, 'g', -1, 64), "Inf", "Infinity", 1)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return "x" + hex.EncodeToString([]byte(v))
	case enginetest.Day:
		return strconv.FormatInt(int64(v), 10)
	case enginetest.Instant:
		return strconv.FormatInt(int64(v), 10)
	}
	return fmt.Sprint(cell)
}
