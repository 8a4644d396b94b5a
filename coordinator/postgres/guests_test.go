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
)

// served connects, and asks; it must not take long.
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

// Connections that never sign in shut nobody out, however many they are.
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
	if conns > maxWaiting+10 {
		t.Errorf("%d connections are kept", conns)
	}
}

// One person may not take all connections, and is told so.
func TestConnectionsOfOnePerson(t *testing.T) {
	h := start(t)
	for range maxPersonal {
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

// Prepared statements are bounded in number and in bytes, and give back what they took.
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
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		h.guests.mu.Lock()
		people := len(h.guests.people)
		h.guests.mu.Unlock()
		if people == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("somebody who has left still counts")
		}
	}
}
