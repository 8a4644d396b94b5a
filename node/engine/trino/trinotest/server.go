// Package trinotest starts a real Trino for tests, in one process of Java.
package trinotest

import (
	"bufio"
	"context"
	"database/sql"
	_ "embed" // the server's main program
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/trinodb/trino-go-client/trino" // the driver

	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

//go:embed Main.java
var program []byte

// Server is a Trino whose catalog `memory` is empty.
type Server struct {
	URL    string
	db     *sql.DB
	schema atomic.Int64
}

// Start starts a server with the libraries in the folder that the environment variable
// INTRAMUROS_TRINO names, and skips the test where it is not set: see `make test-trino`.
func Start(t testing.TB) *Server {
	t.Helper()
	libraries := os.Getenv("INTRAMUROS_TRINO")
	if libraries == "" {
		t.Skip("run this test by: make test-trino")
	}
	main := filepath.Join(t.TempDir(), "Main.java")
	if err := os.WriteFile(main, program, 0o600); err != nil {
		t.Fatal(err)
	}
	java := exec.Command("java", "-Xmx2g", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libraries, "*"), main)
	stdin, err := java.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := java.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := java.Start(); err != nil {
		t.Fatal(err)
	}
	s := &Server{}
	drained := make(chan struct{})
	t.Cleanup(func() {
		if s.db != nil {
			s.db.Close()
		}
		stdin.Close()
		<-drained
		java.Wait()
	})
	ready := make(chan string, 1)
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		var last []string
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "ready http"); ok {
				ready <- "http" + url
			}
			if last = append(last, lines.Text()); len(last) > 20 {
				last = last[1:]
			}
		}
		select {
		case ready <- "": // it ended before
			t.Logf("Trino: %s", strings.Join(last, "\n"))
		default:
		}
	}()
	select {
	case s.URL = <-ready:
	case <-time.After(5 * time.Minute):
	}
	if s.URL == "" {
		t.Fatal("Trino does not start")
	}
	if s.db, err = sql.Open("trino", strings.Replace(s.URL, "://", "://admin@", 1)+"?catalog=memory"); err != nil {
		t.Fatal(err)
	}
	return s
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

// Fill makes a new schema of tables, and returns its name.
func (s *Server) Fill(t testing.TB, tables ...enginetest.Table) string {
	t.Helper()
	schema := fmt.Sprintf("s%d", s.schema.Add(1))
	s.Exec(t, "CREATE SCHEMA memory."+schema)
	for _, table := range tables {
		var columns []string
		for _, c := range table.Columns {
			columns = append(columns, c.Name+" "+compile.Trino.Type(c.Type))
		}
		s.Exec(t, "CREATE TABLE memory."+schema+"."+table.Name+"("+strings.Join(columns, ", ")+")")
		var rows []string
		for i, r := range table.Rows {
			var cells []string
			for k, cell := range r {
				x := cellSQL(cell)
				if len(rows) == 0 { // the types of the first row are those of all
					x = "CAST(" + x + " AS " + compile.Trino.Type(table.Columns[k].Type) + ")"
				}
				cells = append(cells, x)
			}
			rows = append(rows, "("+strings.Join(cells, ", ")+")")
			if len(rows) == 300 || i == len(table.Rows)-1 {
				s.Exec(t, "INSERT INTO memory."+schema+"."+table.Name+" VALUES "+strings.Join(rows, ", "))
				rows = nil
			}
		}
	}
	return schema
}

func cellSQL(cell any) string {
	switch v := cell.(type) {
	case nil:
		return "NULL"
	case float64:
		switch {
		case math.IsNaN(v):
			return "nan()"
		case math.IsInf(v, 0):
			return fmt.Sprintf("(%d * infinity())", int(math.Copysign(1, v)))
		}
		return "(" + strconv.FormatFloat(v, 'e', -1, 64) + ")"
	case int64:
		return fmt.Sprintf("BIGINT '%d'", v)
	case string:
		s, err := compile.Trino.Text(v)
		if err != nil {
			panic(err)
		}
		return s
	case enginetest.Day:
		return fmt.Sprintf("date_add('day', %d, DATE '1970-01-01')", v)
	case enginetest.Instant:
		return fmt.Sprintf("CAST(from_unixtime_nanos(DECIMAL '%d000') AT TIME ZONE 'UTC' AS TIMESTAMP(6))", v)
	}
	return fmt.Sprint(cell)
}
