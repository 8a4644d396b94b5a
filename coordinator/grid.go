package coordinator

import (
	"context"
	"errors"
	"time"
)

// AnswerGrid is the time grid on which answers leave: First, First*Ratio,
// First*Ratio², and so on after the query's start. How long hospitals compute
// depends on their data, and noise covers no durations; so whoever measures one
// learns which of a few ticks it was, at most log2 of their number in bits.
//
// The grid is geometric because one with steps of equal width either delays short
// queries by much or tells the time of long ones finely. Ratio bounds the
// delay: a query of at least First/Ratio takes at most Ratio times as long, and
// (Ratio-1)/ln(Ratio) times as long on average.
type AnswerGrid struct {
	First time.Duration `yaml:"first"` // at least 1ms
	Ratio float64       `yaml:"ratio"` // from 1.01 to 10
}

// defaultGrid delays no query of 21 ms or more by more than 20 %, and most by
// 10 %. Within 5 minutes it has 53 ticks, so that a duration tells less than 6 bits.
// Two writes of the ledger and a round trip to a hospital take about 20 ms.
var defaultGrid = AnswerGrid{First: 25 * time.Millisecond, Ratio: 1.2}

// afterGrid is the width of the grid's steps once the query's time is up.
const afterGrid = time.Second

func (g AnswerGrid) validate() error {
	if g.First < time.Millisecond || !(g.Ratio >= 1.01 && g.Ratio <= 10) {
		return errors.New("`answer_grid`: `first` must be at least 1ms, and `ratio` from 1.01 to 10")
	}
	return nil
}

// next is the first tick that is not before elapsed. The query's time itself is
// a tick, and ends the geometric part.
func (g AnswerGrid) next(elapsed, timeout time.Duration) time.Duration {
	if elapsed > timeout {
		over := elapsed - timeout
		return timeout + (over+afterGrid-1)/afterGrid*afterGrid
	}
	tick := float64(g.First)
	for time.Duration(tick) < elapsed {
		tick *= g.Ratio
	}
	return min(time.Duration(tick), timeout)
}

// last is the last tick that is not after elapsed, or 0.
func (g AnswerGrid) last(elapsed, timeout time.Duration) time.Duration {
	if elapsed >= timeout {
		return timeout + (elapsed-timeout)/afterGrid*afterGrid
	}
	if elapsed < g.First {
		return 0
	}
	tick := float64(g.First)
	for time.Duration(tick*g.Ratio) <= elapsed {
		tick *= g.Ratio
	}
	return time.Duration(tick)
}

// ticker is the grid of one query.
type ticker struct {
	grid    AnswerGrid
	started time.Time
	timeout time.Duration
}

func (c *Coordinator) ticks() ticker {
	return ticker{grid: c.config.AnswerGrid, started: time.Now(), timeout: c.config.QueryTimeout}
}

// next is the first tick that is not past, and not before least; both count from
// the query's start.
func (t ticker) next(least time.Duration) time.Duration {
	return t.grid.next(max(least, time.Since(t.started)), t.timeout)
}

// last is the last tick, counted from the query's start, or 0.
func (t ticker) last() time.Duration { return t.grid.last(time.Since(t.started), t.timeout) }

// wait ends at the tick, or with ctx.
func (t ticker) wait(ctx context.Context, tick time.Duration) error {
	timer := time.NewTimer(time.Until(t.started.Add(tick)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
