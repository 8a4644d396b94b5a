package dictionary

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/worker"
)

func start(t testing.TB, memory int64) *Dictionary {
	t.Helper()
	d, err := Start(context.Background(), parsed(t), memory, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func question(ctx context.Context, d *Dictionary, text string) ([][]any, error) {
	q, err := d.Prepare(ctx, sqltoken.Statements(text)[0], ada)
	if err != nil {
		return nil, err
	}
	return q.Run(ctx, nil)
}

// TestWorkersKill checks that a question that takes all memory, or that never ends and ignores interrupts, soon fails
// as not covered. Others are answered meanwhile.
func TestWorkersKill(t *testing.T) {
	d := start(t, Memory)
	// DuckDB makes a text of a gigabyte while it prepares this.
	longer := ", 'a', '" + strings.Repeat("a", 10_000) + "')"
	long := "SELECT length(replace(replace('aaaaaaaaaa'" + longer + longer + ")"
	for _, test := range []struct {
		text, says string
		why        worker.Reason
		within     time.Duration
	}{
		{long, "takes more memory", worker.Memory, timeout + 10*time.Second},
		{"SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100000) c", "takes more than 4s", "", timeout + 10*time.Second},
	} {
		var stuck sync.WaitGroup
		begun := time.Now()
		before := uint64(0)
		if test.why != "" {
			before = d.Restarts(test.why)
		}
		stuck.Go(func() {
			_, err := question(context.Background(), d, test.text)
			if !errors.Is(err, ErrNotCovered) || !strings.Contains(err.Error(), test.says) || time.Since(begun) > test.within {
				t.Errorf("%.40s, after %v: %v", test.text, time.Since(begun), err)
			}
		})
		for range 3 {
			asked := time.Now()
			if rows, err := question(context.Background(), d, "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'person'"); err != nil || len(rows) != 1 || time.Since(asked) > 2*time.Second {
				t.Errorf("beside it, after %v: %v, %v", time.Since(asked), rows, err)
			}
		}
		stuck.Wait()
		if test.why != "" && d.Restarts(test.why) == before {
			t.Errorf("%.40s: no worker was replaced", test.text)
		}
	}
}

// TestNobodyTakesAll checks that others are answered at once, however many endless questions one person asks.
func TestNobodyTakesAll(t *testing.T) {
	d := start(t, Memory)
	eve := ada
	eve.User = "eve"
	ctx, cancel := context.WithCancel(context.Background())
	var stuck sync.WaitGroup
	for range 3 * processes {
		stuck.Go(func() {
			q, err := d.Prepare(ctx, sqltoken.Statements("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100000) c")[0], eve)
			if err == nil {
				_, err = q.Run(ctx, nil)
			}
			if !errors.Is(err, ErrNotCovered) {
				t.Error(err)
			}
		})
	}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		asked := time.Now()
		if _, err := question(context.Background(), d, "SELECT count(*) FROM pg_catalog.pg_class"); err != nil || time.Since(asked) > 2*time.Second {
			t.Errorf("beside them, after %v: %v", time.Since(asked), err)
		}
	}
	cancel()
	stuck.Wait()
	if n := len(d.host.(inWorkers).seats.held); n != 0 {
		t.Errorf("%d people are remembered who ask nothing", n)
	}
}
