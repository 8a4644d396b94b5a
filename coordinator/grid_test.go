package coordinator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/intramuros/intramuros/internal/grid"
)

// observe asks once in faked time while hospital a computes that long, and returns when the answer and each step of
// progress came.
func observe(t *testing.T, took time.Duration, change func(*federation)) (seen string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) {
			c.AnswerGrid = grid.Grid{First: 25 * time.Millisecond, Ratio: 1.2}
			c.Require.atLeast = 2
		})
		f.hospital("a").took = took
		if change != nil {
			change(f)
		}
		started := time.Now()
		answer, err := f.Query(t.Context(), asker("alice"), Request{SQL: bySex, Settings: Settings{Study: "s"}}, func(p Progress) {
			seen += fmt.Sprintln(p.Hospital, p.State, p.Seconds, time.Since(started))
		})
		if err != nil {
			seen += err.Error()
		} else {
			seen += fmt.Sprint(rows(answer))
		}
		seen += fmt.Sprint(" after ", time.Since(started))
	})
	return seen
}

// Whoever measures times learns in which step of the grid a hospital finished, and nothing finer.
func TestAnswersLeaveAtTicks(t *testing.T) {
	const want = `a prepared 0.025 25ms
a running 0.025 25ms
b prepared 0.025 25ms
b running 0.025 25ms
b answered 0.025 25ms
c prepared 0.025 25ms
c running 0.025 25ms
c answered 0.025 25ms
a answered 0.129 128.994508ms
[F 30 M 15] after 128.994508ms`
	fast, slow := observe(t, 108*time.Millisecond, nil), observe(t, 128*time.Millisecond, nil)
	if fast != want || slow != want {
		t.Errorf("108 ms at a hospital give\n%s\n128 ms give\n%s\nand both should give\n%s", fast, slow, want)
	}
	if later := observe(t, 130*time.Millisecond, nil); later == want {
		t.Error("136 ms are past the tick, and nothing shows it")
	}
}

func TestFailuresAfterTheChargeLeaveAtTicks(t *testing.T) {
	fail := func(f *federation) {
		f.hospital("a").half = true
		f.hospital("b").refuse["execute"] = status.Error(codes.Internal, "NODE_ENGINE: met a fault in its database")
	}
	fast, slow := observe(t, 108*time.Millisecond, fail), observe(t, 128*time.Millisecond, fail)
	if fast != slow {
		t.Errorf("a failure after 108 ms gives\n%s\nafter 128 ms\n%s", fast, slow)
	}
}

// Explain says whether an answer is stored, so it must not be stored before the tick.
func TestNobodySeesAnAnswerBeforeItsTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) { c.AnswerGrid = grid.Grid{First: time.Second, Ratio: 2} })
		request := Request{SQL: bySex, Settings: Settings{Study: "s"}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.mustAsk(t, bySex)
		}()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait() // it has computed, and waits
		q, err := f.plan(asker("alice"), read(request))
		must(t, err)
		if _, stored, err := q.storedCells(t.Context(), q.cellsKey()); stored || err != nil {
			t.Errorf("stored %v (%v) before the tick", stored, err)
		}
		<-done
		if _, stored, err := q.storedCells(t.Context(), q.cellsKey()); !stored || err != nil {
			t.Errorf("stored %v (%v) after the tick", stored, err)
		}
		started := time.Now()
		if !f.mustAsk(t, bySex).Stored || time.Since(started) != 0 {
			t.Errorf("a stored answer took %v", time.Since(started))
		}
		_, err = f.Explain(t.Context(), asker("alice"), request)
		must(t, err)
		if time.Since(started) != time.Second {
			t.Errorf("an explanation took %v, not a tick", time.Since(started))
		}
	})
}

func TestCancelDoesNotWaitForATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) { c.AnswerGrid = grid.Grid{First: 10 * time.Second, Ratio: 2} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(300*time.Millisecond, cancel)
		started := time.Now()
		_, err := f.ask(ctx, t, bySex)
		if e := wantCode(t, err, CodeCanceled); !e.Charged || time.Since(started) != 300*time.Millisecond {
			t.Errorf("charged %v after %v", e.Charged, time.Since(started))
		}
	})
}

func TestRefusalsBeforeTheChargeDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) { c.AnswerGrid = grid.Grid{First: 10 * time.Second, Ratio: 2} })
		f.hospital("b").refuse[actionPrepare] = status.Error(codes.ResourceExhausted, "NODE_BUDGET: has not enough privacy budget left for this")
		started := time.Now()
		_, err := f.ask(t.Context(), t, bySex)
		wantCode(t, err, CodeHospitalRefused)
		if time.Since(started) != 0 {
			t.Errorf("took %v", time.Since(started))
		}
	})
}

func TestTheDeadlineIsATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) {
			c.AnswerGrid, c.QueryTimeout = grid.Grid{First: 10 * time.Second, Ratio: 10}, 30*time.Second
		})
		f.hospital("a").took = 20 * time.Second
		started := time.Now()
		wantRows(t, f.mustAsk(t, bySex), "F 30", "M 15")
		if time.Since(started) != 30*time.Second {
			t.Errorf("took %v", time.Since(started))
		}
	})
}

// watch asks a query of three releases while hospital a computes that long. It returns what anybody in the study sees
// who looks at the budget each millisecond: when it falls, and what is left.
func watch(t *testing.T, took time.Duration) (seen string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newPipedFederation(t, func(c *Config) { c.AnswerGrid = grid.Default })
		f.hospital("a").took = took
		started, done := time.Now(), make(chan struct{})
		go func() {
			defer close(done)
			f.mustAsk(t, "SELECT sex, COUNT(*) FROM person GROUP BY sex UNION ALL SELECT NULL, COUNT(*) FROM person UNION ALL SELECT 'age', SUM(age) FROM person")
		}()
		time.Sleep(time.Millisecond / 2) // nothing else happens at the moments of looking
		for before := -1.0; ; time.Sleep(time.Millisecond) {
			account, err := f.Budget(t.Context(), asker("alice"), "s")
			must(t, err)
			if left := account.Remaining.Epsilon; left != before {
				seen += fmt.Sprintln(left, "left after", time.Since(started))
				before = left
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return seen
}

// The budget is not private, and each release of a query takes its part when the one before is done. So the time that
// the hospitals computed for that one is visible as a tick, and no finer.
func TestAttackWatchingTheBudget(t *testing.T) {
	fast, slow := watch(t, 113*time.Millisecond), watch(t, 130*time.Millisecond)
	if fast != slow || strings.Count(fast, "\n") < 3 {
		t.Errorf("113 ms at a hospital show as\n%s130 ms as\n%s", fast, slow)
	}
	if later := watch(t, 136*time.Millisecond); later == fast {
		t.Error("136 ms are past the tick, and nothing shows it")
	}
}
