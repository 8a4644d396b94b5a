package duckdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// compiled is an engine that lets DuckDB compute everything.
type compiled struct{ *Engine }

func (c compiled) Run(ctx context.Context, f *fragment.Fragment, p *fragment.Proof, alloc memory.Allocator, send func(arrow.Record) error) error {
	return c.RunCompiled(ctx, f, p, alloc, send)
}

// TestStreamEqualsSQL checks that every shape of the benchmark gives the same integers as a stream and in SQL, in one
// reading and in several, here and in a worker. What does not fit is left to DuckDB.
func TestStreamEqualsSQL(t *testing.T) {
	c := testcatalog.Parse(t, enginetest.BenchCatalog)
	path := newDatabase(t, shapeTables(60_000)...)
	here, err := Open(t.Context(), Config{Database: path}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	apart, err := Start(t.Context(), Config{Database: path, MemoryLimit: "1GB"}, Workers{Most: 1, Log: slog.New(slog.DiscardHandler)}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer apart.Close()
	for _, s := range shapes(t) {
		f := &s.Fragment
		want, _, p := enginetest.Exact(t, compiled{here}, c, f)
		text, _, err := here.Compile(f, p)
		if err != nil {
			t.Fatal(err)
		}
		if streamed := strings.HasPrefix(text, engine.Streamed); streamed == p.OneRow {
			t.Errorf("%s: streamed: %v", s.name, streamed)
		}
		for _, room := range []int64{1 << 30, 600_000, 1000} { // everything fits, a part, too little
			here.driver.db.room = room
			if got, _, _ := enginetest.Exact(t, here, c, f); !cmp.Equal(want, got) {
				t.Errorf("%s in %d bytes: %s", s.name, room, cmp.Diff(want, got))
			}
		}
		if got, _, _ := enginetest.Exact(t, apart, c, f); !cmp.Equal(want, got) {
			t.Errorf("%s in a worker: %s", s.name, cmp.Diff(want, got))
		}
	}
}

// counting is a plan that counts a patient's rows.
func counting() *stream.Plan {
	clip := stream.Clip{Limit: 1 << 40, Root: 1}
	return &stream.Plan{Patient: value.TypeInt, Parts: []stream.Part{{Kind: fragment.PartialRows, Cell: -1, Unit: 1, Size: 1, Weight: 1, Cap: 1 << 40}}, Single: clip}
}

// TestStreamReadsAgain checks that rows that do not fit are read several times, and that one patient who does not fit
// is too much.
func TestStreamReadsAgain(t *testing.T) {
	e := engineWith(t, enginetest.WardCatalog, twoPersons...)
	for _, of := range []struct {
		sql, want string
		room      int64
	}{
		{"SELECT i % 1000 AS patient FROM range(300000) AS t(i)", "[300000] <nil>", 64 << 20},
		{"SELECT i % 1000 AS patient FROM range(300000) AS t(i)", "[300000] <nil>", 1 << 20},
		{"SELECT CASE i % 4 WHEN 0 THEN i ELSE 7 END AS patient FROM range(300000) AS t(i)", "[] " + stream.ErrTooMuch.Error(), 1 << 20},
		// rows of a patient that come together
		{"SELECT 7::BIGINT AS patient FROM range(300000) AS t(i)", "[300000] <nil>", 1 << 20},
		{"SELECT NULL::BIGINT AS patient FROM range(300000) AS t(i)", "[0] <nil>", 1 << 20},
		{"SELECT i AS patient FROM range(0) AS t(i)", "[0] <nil>", 1 << 20},
	} {
		e.driver.db.room = of.room
		var got []any
		err := e.driver.Stream(t.Context(), "", of.sql, counting(), false, func(row []any) error {
			got = append(got, row...)
			return nil
		})
		if text := fmt.Sprint(got, " ", err); strings.Join(strings.Fields(text), " ") != of.want {
			t.Errorf("%s in %d bytes gives %s, want %s", of.sql, of.room, text, of.want)
		}
	}
}

// TestStreamIsCancelled checks that a stream ends within 100 ms of its context, here and in a worker, and that the
// engine continues. (On a busy machine, one of several tries must.)
func TestStreamIsCancelled(t *testing.T) {
	const soon, tries = 100 * time.Millisecond, 30
	apart := start(t, Config{Database: newDatabase(t, twoPersons...)}, 1)
	here := engineWith(t, enginetest.WardCatalog, twoPersons...)
	for name, e := range map[string]*Engine{"here": here, "in a worker": apart} {
		least := time.Hour
		for try := 0; try < tries && least > soon; try++ {
			late, err := lateness(t, e, "SELECT i % 1000 AS patient FROM range(100000000000) AS t(i) WHERE hash(i) % 1000 = 3")
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%s: it ends with %v", name, err)
			}
			least = min(least, late)
			if err := one(t.Context(), e); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if least > soon {
			t.Errorf("%s: at best it ends %v after its context", name, least)
		}
	}
}

// lateness is how long a stream continues after its context ended. The context ends once rows were passed.
func lateness(t *testing.T, e *Engine, rows string) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	at := make(chan time.Time, 1)
	time.AfterFunc(300*time.Millisecond, func() {
		at <- time.Now()
		cancel()
	})
	err := e.driver.Stream(ctx, "", rows, counting(), false, func([]any) error { return nil })
	ended := time.Now()
	return ended.Sub(<-at), err
}

// TestStreamIsOurs checks that nobody else can pass rows to an operator, and that no column is read as another type.
func TestStreamIsOurs(t *testing.T) {
	e := engineWith(t, enginetest.WardCatalog, twoPersons...)
	for _, sql := range []string{"SELECT " + adds + "(1::BIGINT, 2)", "SELECT " + adds + "(i) FROM range(3) AS t(i)"} {
		if err := e.driver.Query(t.Context(), sql, false, func([]any) error { return nil }); err == nil {
			t.Errorf("%s is answered", sql)
		}
	}
	for _, sql := range []string{"SELECT i::INTEGER AS patient FROM range(3) AS t(i)", "SELECT 'a' AS patient", "SELECT 1 AS other"} {
		if err := e.driver.Stream(t.Context(), "", sql, counting(), false, func([]any) error { return nil }); err == nil {
			t.Errorf("%s is answered", sql)
		}
	}
}
