// Package postgrestest starts a real PostgreSQL for tests.
package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// Server is a PostgreSQL with a database, its superuser, and the role of a node, which may read the schemas that it is
// given.
type Server struct {
	Folder  string // of its socket
	Port    int    // of the socket and, on 127.0.0.1, of TCP
	Admin   *pgx.Conn
	Version int // such as 15
	schema  atomic.Int64
}

// The names in a Server.
const (
	Database = "hospital"
	Reader   = "intramuros"        // a role as docs/postgresql-role.sql makes it
	Password = "not a real secret" // of Reader, over TCP
)

// Start starts a server in a temporary directory. It skips the test if PostgreSQL is not installed. The server stops at
// the end of the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	bin := binaries(t)
	folder, err := os.MkdirTemp("", "pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	account := account(t)
	if account != nil {
		if err := os.Chown(folder, int(account.Uid), int(account.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(bin, name), args...)
		c.Dir = folder
		c.SysProcAttr = &syscall.SysProcAttr{}
		if account != nil {
			c.SysProcAttr.Credential = account
		}
		return c
	}
	data := filepath.Join(folder, "data")
	initdb := []string{"-D", data, "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync"}
	if version(t, bin) >= 15 { // a default collation that does not sort texts by their bytes
		initdb = append(initdb, "--locale-provider=icu", "--icu-locale=fr-FR", "--locale=C.UTF-8")
	}
	if out, err := command("initdb", initdb...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	hba := "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Folder: folder, Port: freePort(t), Version: version(t, bin)}
	args := []string{"-D", data, "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(s.Port), "-c", "fsync=off", "-c", "max_connections=60", "-c", "password_encryption=scram-sha-256"}
	for _, set := range settings {
		args = append(args, "-c", strings.ReplaceAll(set, "FOLDER", folder))
	}
	server := command("postgres")
	// A backend that takes all memory then ends with an error and does not stop the machine.
	server.Path, server.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -v 4000000 2>/dev/null; exec "$0" "$@"`, server.Path}, args...)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	t.Cleanup(func() {
		if s.Admin != nil {
			s.Admin.Close(ctx)
		}
		server.Process.Signal(syscall.SIGINT) // a fast shutdown
		if err := server.Wait(); err != nil {
			t.Logf("postgres: %v\n%s", err, log.Bytes())
		}
	})
	s.Admin = s.connect(t, "postgres", &log)
	for _, q := range []string{"CREATE DATABASE " + Database, "CREATE ROLE " + Reader + " LOGIN PASSWORD '" + Password + "'"} {
		if _, err := s.Admin.Exec(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	s.Admin.Close(ctx)
	s.Admin = s.connect(t, Database, &log)
	return s
}

func (s *Server) connect(t testing.TB, database string, log *bytes.Buffer) *pgx.Conn {
	t.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.Connect(context.Background(), fmt.Sprintf("host=%s port=%d user=admin database=%s", s.Folder, s.Port, database))
		if err == nil {
			return conn
		}
		last = err
	}
	text := ""
	if log != nil {
		text = log.String()
	}
	t.Fatalf("the server does not answer: %v\n%s", last, text)
	return nil
}

// Exec runs statements as the superuser.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if _, err := s.Admin.Exec(context.Background(), q); err != nil {
			t.Fatalf("%.300s: %v", q, err)
		}
	}
}

// Role creates a role with psql and the script that hospitals run, docs/postgresql-role.sql at path. The role may read
// the schema. more are variables of psql, such as strict=1. The role logs in over TCP with Password.
func (s *Server) Role(t testing.TB, path, role, schema string, more ...string) {
	t.Helper()
	if out, err := s.Script(t, "admin", path, append([]string{"role=" + role, "database=" + Database, "schema=" + schema}, more...)...); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, out)
	}
	s.Exec(t, "ALTER ROLE "+role+" PASSWORD '"+Password+"'")
}

// Script runs a file of statements with psql, as a user and with variables, name=value. It returns psql's output.
func (s *Server) Script(t testing.TB, user, path string, variables ...string) (string, error) {
	t.Helper()
	args := []string{"-X", "-h", s.Folder, "-p", strconv.Itoa(s.Port), "-U", user, "-d", Database, "-f", path}
	for _, set := range variables {
		args = append(args, "-v", set)
	}
	bin := filepath.Join(binaries(t), "psql")
	if _, err := os.Stat(bin); err != nil {
		bin = "psql" // the psql of another version also works
	}
	out, err := exec.Command(bin, args...).CombinedOutput()
	return string(out), err
}

// Access replaces pg_hba.conf, except for the superuser's access.
func (s *Server) Access(t testing.TB, lines ...string) {
	t.Helper()
	s.file(t, "data/pg_hba.conf", []byte("local all admin trust\n"+strings.Join(lines, "\n")+"\n"))
	s.Exec(t, "SELECT pg_reload_conf()")
}

// TLS gives the server a certificate with its key, and the authority of its clients, all in PEM.
func (s *Server) TLS(t testing.TB, certificate, key, authority []byte) {
	t.Helper()
	for name, pem := range map[string][]byte{"cert_file": certificate, "key_file": key, "ca_file": authority} {
		s.Exec(t, "ALTER SYSTEM SET ssl_"+name+" = '"+s.file(t, name, pem)+"'")
	}
	s.Exec(t, "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()")
}

// file writes a file that the server can read.
func (s *Server) file(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(s.Folder, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if a := account(t); a != nil {
		if err := os.Chown(path, int(a.Uid), int(a.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Session runs a statement as the superuser in a new session. At the end of the session the server updates its
// statistics.
func (s *Server) Session(t testing.TB, q string) {
	t.Helper()
	conn := s.connect(t, Database, nil)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), q); err != nil {
		t.Fatalf("%.300s: %v", q, err)
	}
}

// Fill creates a new schema of tables that Reader may read, and returns its name.
func (s *Server) Fill(t testing.TB, tables ...enginetest.Table) string {
	t.Helper()
	schema := "s" + strconv.FormatInt(s.schema.Add(1), 10)
	s.Exec(t, "CREATE SCHEMA "+schema, "GRANT USAGE ON SCHEMA "+schema+" TO "+Reader)
	for _, table := range tables {
		var columns []string
		for _, c := range table.Columns {
			columns = append(columns, c.Name+" "+compile.PostgreSQL.Type(c.Type))
		}
		s.Exec(t, "CREATE TABLE "+schema+"."+table.Name+"("+strings.Join(columns, ", ")+")", "GRANT SELECT ON "+schema+"."+table.Name+" TO "+Reader)
		var rows []string
		for _, r := range table.Rows {
			var cells []string
			for i, cell := range r {
				cells = append(cells, cellSQL(cell, table.Columns[i].Type))
			}
			rows = append(rows, "("+strings.Join(cells, ", ")+")")
			if len(rows) == 1000 {
				s.Exec(t, "INSERT INTO "+schema+"."+table.Name+" VALUES "+strings.Join(rows, ", "))
				rows = nil
			}
		}
		if len(rows) > 0 {
			s.Exec(t, "INSERT INTO "+schema+"."+table.Name+" VALUES "+strings.Join(rows, ", "))
		}
	}
	return schema
}

func cellSQL(cell any, t value.Type) string {
	switch v := cell.(type) {
	case nil:
		return "NULL::" + compile.PostgreSQL.Type(t)
	case float64:
		return fmt.Sprintf("float8 '%g'", v)
	case int64:
		return fmt.Sprintf("(%d)::BIGINT", v)
	case string:
		s, err := compile.PostgreSQL.Text(v)
		if err != nil {
			panic(err)
		}
		return s
	case enginetest.Day:
		switch v {
		case enginetest.PastDay:
			return "DATE '-infinity'"
		case enginetest.FutureDay:
			return "DATE 'infinity'"
		}
		return fmt.Sprintf("DATE '1970-01-01' + (%d)", v)
	case enginetest.Instant:
		switch v {
		case enginetest.PastInstant:
			return "TIMESTAMP '-infinity'"
		case enginetest.FutureInstant:
			return "TIMESTAMP 'infinity'"
		}
		days, rest := int64(v)/86_400_000_000, int64(v)%86_400_000_000
		return fmt.Sprintf("(DATE '1970-01-01' + (%d))::TIMESTAMP + (%d) * INTERVAL '1 microsecond'", days, rest)
	}
	return fmt.Sprint(cell)
}

// binaries finds the folder of PostgreSQL's programs.
func binaries(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		t.Skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
	}
	return filepath.Dir(found[len(found)-1])
}

func version(t testing.TB, bin string) int {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if n, _, _ := strings.Cut(word, "."); n != "" {
			if v, err := strconv.Atoi(n); err == nil {
				return v
			}
		}
	}
	return 0
}

// account returns an account other than root, because PostgreSQL does not run as root; nil: the test's own.
func account(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Skip("PostgreSQL does not run as root, and there is no account postgres or nobody")
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
