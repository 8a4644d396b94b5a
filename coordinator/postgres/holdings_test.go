package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/intramuros/intramuros/internal/lobby"
)

// served connects and asks. This must not take long.
func (h *house) served(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, h.config(t, nil))
	if err != nil {
		t.Fatalf("a client is shut out: %v", err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(ctx, "SELECT 1"); err != nil {
		t.Errorf("a client is not answered: %v", err)
	}
}

func wantState(t *testing.T, err error, state string) {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != state {
		t.Fatalf("not refused with %s: %v", state, err)
	}
}

// Connections that never sign in keep nobody out, however many there are.
func TestIdleConnections(t *testing.T) {
	h := start(t)
	const flood = 5000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range flood {
		c, err := net.Dial("tcp", h.address)
		if err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		defer c.Close()
	}
	h.served(t)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("the door has grown by %d MiB", grown>>20)
	}
	h.Server.mu.Lock()
	conns := len(h.conns)
	h.Server.mu.Unlock()
	if conns > lobby.MaxWaiting+10 {
		t.Errorf("%d connections are kept", conns)
	}
}

// One person may not take all connections, and is told so.
func TestConnectionsOfOnePerson(t *testing.T) {
	h := start(t)
	for range lobby.MaxPersonal {
		h.connect(t, nil)
	}
	_, err := pgx.ConnectConfig(context.Background(), h.config(t, nil))
	wantState(t, err, stateTooMany)
	h.fake.mu.Lock()
	h.fake.others = true
	h.fake.mu.Unlock()
	conf := h.config(t, nil)
	conf.User, conf.Password = "bob", bobToken
	c, err := pgx.ConnectConfig(context.Background(), conf)
	if err != nil {
		t.Fatalf("another person is shut out: %v", err)
	}
	c.Close(context.Background())
}

// Prepared statements are limited in number and in bytes, and free what they took.
func TestPreparedStatementsAreBounded(t *testing.T) {
	h := start(t)
	ctx := context.Background()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	refused := 0
	var conns []*pgx.Conn
	for range 10 {
		c := h.connect(t, nil)
		conns = append(conns, c)
		for i := range 1000 {
			if _, err := c.Prepare(ctx, fmt.Sprint("s", i), "SELECT … FROM person"+strings.Repeat(" ", 20_000)); err != nil {
				wantState(t, err, "54000")
				refused++
				break
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 4*maxHeld || refused == 0 {
		t.Errorf("the door has grown by %d MiB; %d connections were told that it is enough", grown>>20, refused)
	}
	if _, err := conns[0].Exec(ctx, "DEALLOCATE ALL"); err != nil {
		t.Fatal(err)
	}
	if _, err := conns[0].Prepare(ctx, "again", "SELECT … FROM person"); err != nil {
		t.Errorf("after DEALLOCATE ALL: %v", err)
	}
	for _, c := range conns {
		c.Close(ctx)
	}
	h.served(t)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		h.holdings.mu.Lock()
		people := len(h.holdings.bytes)
		h.holdings.mu.Unlock()
		if people == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("somebody who has left still counts")
		}
	}
}

// TestAnswersThatNobodyAsksToSend checks a client that sends messages but neither Sync nor Flush. Its answers are sent
// nevertheless, so they wait in the connection and not in the coordinator's memory.
func TestAnswersThatNobodyAsksToSend(t *testing.T) {
	c := start(t).connect(t, nil)
	const asked = 10 * flushEvery
	front := c.PgConn().Frontend()
	front.SendParse(&pgproto3.Parse{Name: "wide", Query: "SELECT … FROM person"})
	for range asked {
		front.SendDescribe(&pgproto3.Describe{ObjectType: 'S', Name: "wide"})
	}
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	for described := 0; described < asked-flushEvery; {
		m, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.(*pgproto3.RowDescription); ok {
			described++
		}
	}
}

// TestLongLists checks that a parameter with very many values is refused before each of them takes memory, and that the
// list in a portal counts.
func TestLongLists(t *testing.T) {
	c := start(t).connect(t, nil)
	ctx := context.Background()
	const sql = "SELECT … FROM person WHERE a = ANY($1) AND b = ANY($2) AND d = ANY($3)"
	list := func(n int) []byte { return []byte("{" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "}") }
	for n, state := range map[int]string{maxList: "", maxList + 1: "54000", 10 * maxList: "54000", 25 * maxList: "54000"} {
		result := c.PgConn().ExecParams(ctx, sql, [][]byte{list(n), nil, nil}, nil, nil, nil).Read()
		if state == "" && result.Err != nil {
			t.Errorf("%d values: %v", n, result.Err)
		} else if state != "" {
			wantState(t, result.Err, state)
		}
	}
	many := make([]int32, maxList+1)
	_, err := c.Exec(ctx, sql, pgx.QueryExecModeDescribeExec, many, nil, nil) // in binary
	wantState(t, err, "54000")
}
