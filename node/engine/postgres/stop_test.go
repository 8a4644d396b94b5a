package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// TestStubborn checks statements that ignore a cancel request, in a loop that catches it or in a stopped process. They
// delay nobody: each ends within its second of grace, even if there are more of them than connections. Others are
// answered meanwhile, and the server's sessions are terminated where possible.
func TestStubborn(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, `CREATE FUNCTION public.stubborn() RETURNS BIGINT LANGUAGE plpgsql AS $$ BEGIN LOOP BEGIN PERFORM pg_sleep(1000); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$`)
	schema := s.Fill(t, enginetest.Table{Name: "person", Columns: []enginetest.Column{{Name: "id", Type: "int"}}, Rows: [][]any{{int64(1)}}})
	e, err := Open(context.Background(), Config{Host: s.Folder, Port: s.Port, Database: postgrestest.Database, User: postgrestest.Reader, Schema: schema}, testcatalog.Parse(t, enginetest.WardCatalog), "A", []byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ask := func(ctx context.Context, sql string) (pid int32, err error) {
		err = e.driver.Query(ctx, sql, false, func(row []any) error {
			pid, _ = row[0].(int32)
			return nil
		})
		return pid, err
	}
	stuck := func(sql string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		begun := time.Now()
		_, err := ask(ctx, sql)
		var f *engine.Fault
		if !errors.As(err, &f) || f.Reason() != engine.ReasonDeadline || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, engine.ErrKilled) || time.Since(begun) > 3*time.Second {
			t.Errorf("%s, after %v: %v", sql, time.Since(begun), err)
		}
	}
	const left = "SELECT CAST(count(*) AS INTEGER) FROM pg_stat_activity WHERE usename = current_user AND query LIKE '%stubborn%' AND pid <> pg_backend_pid()"
	for range 2 { // as many as there are connections, twice
		var four sync.WaitGroup
		for range 4 {
			four.Go(func() { stuck("SELECT public.stubborn()") })
		}
		four.Wait()
		begun := time.Now()
		if _, err := ask(context.Background(), "SELECT pg_backend_pid()"); err != nil || time.Since(begun) > 3*time.Second {
			t.Errorf("afterwards, in %v: %v", time.Since(begun), err)
		}
	}
	e.driver.endings.Wait()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		n, err := ask(context.Background(), left)
		if err == nil && n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d sessions go on at the server, %v", n, err)
		}
	}
	// The system has stopped this process in the middle of a statement: nothing can end it until it continues.
	var backend int32
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	begun := time.Now()
	err = e.driver.Query(ctx, "SELECT pg_backend_pid(), repeat('x', 1000000) FROM generate_series(1, 100000)", false, func(row []any) error {
		if backend == 0 {
			backend, _ = row[0].(int32)
			if err := syscall.Kill(int(backend), syscall.SIGSTOP); err != nil {
				return fmt.Errorf("this test cannot stop a backend: %w", err)
			}
		}
		return nil
	})
	defer syscall.Kill(int(backend), syscall.SIGCONT)
	if !errors.Is(err, engine.ErrKilled) || time.Since(begun) > 5*time.Second {
		t.Errorf("a stopped server, after %v: %v", time.Since(begun), err)
	}
	if _, err := ask(context.Background(), "SELECT pg_backend_pid()"); err != nil {
		t.Error(err)
	}
}
