package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// tell runs statements in the simple protocol, and writes each one's rows, tag or SQLSTATE.
func tell(t *testing.T, c *pgx.Conn, sql string) string {
	t.Helper()
	results, err := c.PgConn().Exec(context.Background(), sql).ReadAll()
	var parts []string
	for _, r := range results {
		for _, row := range r.Rows {
			parts = append(parts, string(row[0]))
		}
		parts = append(parts, r.CommandTag.String())
	}
	var e *pgconn.PgError
	if errors.As(err, &e) {
		parts = append(parts, fmt.Sprintf("%s at %d", e.Code, e.Position))
	} else if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(parts, "|")
}

// TestStatements checks statements that tools send beside questions.
func TestStatements(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	for _, test := range []struct {
		sql, want string
		ran       int // questions paid for since the start
	}{
		{"DECLARE c NO SCROLL CURSOR FOR SELECT … FROM person", "DECLARE CURSOR", 0},
		{"FETCH FORWARD 0 FROM c", "FETCH 0", 1},
		{"FETCH c", "city 0|FETCH 1", 1},
		{"MOVE 1 IN c", "MOVE 1", 1},
		{"FETCH FORWARD ALL FROM c; FETCH NEXT FROM c", "city 2|FETCH 1|FETCH 0", 1},
		{"DECLARE c CURSOR FOR SELECT … FROM person", "42P03 at 0", 1},
		{"CLOSE c", "CLOSE CURSOR", 1},
		{"FETCH 1 FROM c", "34000 at 0", 1},
		{"CLOSE c", "34000 at 0", 1},
		{"BEGIN; DECLARE a CURSOR FOR SELECT … FROM person; DECLARE b CURSOR WITH HOLD FOR SELECT … FROM person; COMMIT; FETCH 1 FROM b", "BEGIN|DECLARE CURSOR|DECLARE CURSOR|COMMIT|city 0|FETCH 1", 2},
		{"FETCH 1 FROM a", "34000 at 0", 2},
		{"CLOSE ALL; FETCH b", "CLOSE CURSOR|34000 at 0", 2},
		{"DECLARE é CURSOR FOR SELECT wrong FROM person", "42703 at 29", 2},
		{"DECLARE c SCROLL CURSOR FOR SELECT … FROM person", "0A000 at 0", 2},
		{"DECLARE c CURSOR FOR SET epsilon = 1", "42601 at 0", 2},
		{"DECLARE c CURSOR FOR SELECT 5; FETCH BACKWARD FROM c", "DECLARE CURSOR|0A000 at 0", 2},
		{"FETCH 2 c; CLOSE c", "5|FETCH 1|CLOSE CURSOR", 2},
		{"DECLARE; FETCH", "42601 at 0", 2},

		{"SELECT … FROM person LIMIT 0", "SELECT 0", 2},
		{"SELECT * FROM person LIMIT 0", "SELECT 0", 2},
		{"SELECT * FROM public.person WHERE 1 <> 1", "SELECT 0", 2},
		{`SELECT * FROM "person" AS "q01" WHERE (0 = 1)`, "SELECT 0", 2},
		{"SELECT * FROM person", "0A000 at 0", 2},
		{"SELECT * FROM person WHERE 1 = 1", "0A000 at 0", 2},
		{"SELECT * FROM person WHERE 0 = 0.0", "0A000 at 0", 2},
		{"SELECT * FROM person UNION SELECT * FROM person WHERE false", "0A000 at 0", 2},
		{"SELECT * FROM (SELECT * FROM person WHERE false)", "0A000 at 0", 2},
		{"SELECT * FROM (SELECT * FROM person) q WHERE (0 = 1)", "SELECT 0", 2},
		{"SELECT COUNT(*) FROM person WHERE 0 = 1", "0A000 at 0", 2}, // it has a row
		{"SELECT * FROM nothing LIMIT 0", "0A000 at 0", 2},

		{"SET intervals = columns; SET statement_name = 'x'; RESET ALL; SHOW intervals", "SET|SET|RESET|none|SHOW", 2},
		{"SET epsilon = 0.25; DISCARD ALL; SHOW epsilon", "SET|DISCARD ALL||SHOW", 2},
		{"DISCARD PLANS; DEALLOCATE ALL; DEALLOCATE PREPARE x; SAVEPOINT x; RELEASE x; ROLLBACK TO x", "DISCARD PLANS|DEALLOCATE|DEALLOCATE|SAVEPOINT|RELEASE|ROLLBACK", 2},
		{"START TRANSACTION READ ONLY; ROLLBACK; END; ABORT", "BEGIN|ROLLBACK|COMMIT|ROLLBACK", 2},
		{"SELECT 1; SELECT 'x'; SHOW server_version", "1|SELECT 1|x|SELECT 1|15.0|SHOW", 2},
		{"COPY (SELECT … FROM person) TO STDOUT", "COPY 3", 3}, // asked once
		{"COPY person FROM STDIN", "0A000 at 0", 3},
	} {
		if got := tell(t, c, test.sql); got != test.want || h.ran() != test.ran {
			t.Errorf("%s: %s, after %d questions; not %s, %d", test.sql, got, h.ran(), test.want, test.ran)
		}
	}
}

// A cursor in the extended protocol: psycopg binds DECLARE, and describes the portal by the cursor's name.
func TestBoundCursor(t *testing.T) {
	h := start(t)
	c := h.connect(t, nil)
	ctx := context.Background()
	if _, err := c.Exec(ctx, "DECLARE c CURSOR FOR SELECT … FROM person WHERE $1 AND $2", pgx.QueryExecModeDescribeExec, 5, "2020-02-29"); err != nil {
		t.Fatal(err)
	}
	f := c.PgConn().Frontend()
	f.SendDescribe(&pgproto3.Describe{ObjectType: 'P', Name: "c"})
	f.SendSync(&pgproto3.Sync{})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	columns := 0
	for {
		m, err := f.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := m.(*pgproto3.RowDescription); ok {
			columns = len(d.Fields)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			break
		}
	}
	if columns != 6 {
		t.Errorf("the cursor has %d columns", columns)
	}
	rows, err := c.Query(ctx, "FETCH FORWARD 2 FROM c")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != 2 || rows.CommandTag().String() != "FETCH 2" {
		t.Errorf("%d rows, %v, %v", n, rows.CommandTag(), err)
	}
	if p := h.last().Parameters; len(p) != 2 || p["1"].Int64() != 5 {
		t.Errorf("the values are %v", p)
	}
	if _, err := c.Exec(ctx, "CLOSE c"); err != nil {
		t.Error(err)
	}
}

// A token that expires or is withdrawn ends the connection at its next message. Nothing is answered, not even about the
// catalog.
func TestTokenExpires(t *testing.T) {
	h := start(t)
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
		c := h.connect(t, nil)
		if _, err := c.Exec(ctx, "SELECT 1", mode); err != nil {
			t.Fatal(err)
		}
		ran := h.ran()
		h.expire(true)
		for _, sql := range []string{"SELECT 1", "SELECT … FROM person"} {
			_, err := c.Exec(ctx, sql, mode)
			var e *pgconn.PgError
			if sql == "SELECT 1" && (!errors.As(err, &e) || e.Code != "28P01" || e.Severity != "FATAL") {
				t.Errorf("%v: %v", mode, err)
			}
			if err == nil {
				t.Errorf("%v: %s was answered", mode, sql)
			}
		}
		if h.ran() != ran {
			t.Errorf("%v: a question ran", mode)
		}
		if conf := h.config(t, nil); true {
			if again, err := pgx.ConnectConfig(ctx, conf); err == nil {
				again.Close(ctx)
				t.Error("an expired token was admitted")
			}
		}
		h.expire(false)
	}
}

func (f *fake) expire(now bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.expired = now
}

// statement_timeout, which tools set, ends a question that takes longer.
func TestStatementTimeout(t *testing.T) {
	h := start(t)
	h.hang = make(chan struct{})
	c := h.connect(t, nil)
	tell(t, c, "SET statement_timeout = '20ms'")
	ended := make(chan string, 1)
	go func() { ended <- tell(t, c, "SELECT … FROM person") }()
	<-h.hang
	<-h.hang
	if got := <-ended; !strings.Contains(got, "57014") {
		t.Errorf("the question ended with %s", got)
	}
	for text, want := range map[string]time.Duration{"1500": 1500 * time.Millisecond, "2s": 2 * time.Second, "0": 0, "": 0, "-1": 0, "5 min": 5 * time.Minute, "x": 0, "3 years": 0, "1e300": 0} {
		if got := milliseconds(text); got != want {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// Tools that cannot send a cancel request ask for the connection's number, and stop it from another connection.
func TestStopFromAnotherConnection(t *testing.T) {
	h := start(t)
	h.hang = make(chan struct{})
	c, other := h.connect(t, nil), h.connect(t, nil)
	pid := tell(t, c, "SELECT pg_backend_pid()")
	if want := fmt.Sprintf("%d|SELECT 1", c.PgConn().PID()); pid != want {
		t.Errorf("the number is %s, not %s", pid, want)
	}
	if got := tell(t, other, "SELECT pg_cancel_backend(1)"); got != "f|SELECT 1" {
		t.Errorf("stopping nobody: %s", got)
	}
	ended := make(chan string, 1)
	go func() { ended <- tell(t, c, "SELECT … FROM person") }()
	<-h.hang
	sql := fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='%d'", c.PgConn().PID())
	if got := tell(t, other, sql); got != "t|SELECT 1" {
		t.Errorf("%s: %s", sql, got)
	}
	<-h.hang
	if got := <-ended; !strings.Contains(got, "57014") {
		t.Errorf("the question ended with %s", got)
	}
}
