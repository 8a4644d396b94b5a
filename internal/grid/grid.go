// Package grid is the time grid for the release of charged answers: for a coordinator's answers, and for what the
// hospitals of a sealed study send.
package grid

import (
	"context"
	"errors"
	"time"
)

// Grid is a time grid on which answers leave: First, First*Ratio, First*Ratio², and so on after the query's start. The
// computing time of hospitals depends on their data, and noise does not cover durations. An observer learns only which
// of a few ticks it was, which is at most log2 of their number in bits.
//
// The grid is geometric. A grid with steps of equal width either delays short queries much or reveals the time of long
// ones finely. Ratio bounds the delay: a query of at least First/Ratio takes at most Ratio times as long, and
// (Ratio-1)/ln(Ratio) times as long on average.
type Grid struct {
	First time.Duration `yaml:"first"` // at least 1ms
	Ratio float64       `yaml:"ratio"` // from 1.01 to 10
}

// Default delays no query of 5 ms or more by more than 20 %, and most by about 10 %. Within 5 minutes it has 62 ticks,
// so a duration reveals less than 6 bits.
var Default = Grid{First: 5 * time.Millisecond, Ratio: 1.2}

// afterGrid is the width of the grid's steps after the query's time is over.
const afterGrid = time.Second

// Validate refuses steps that are too fine to hide anything, or too coarse to be useful.
func (g Grid) Validate() error {
	if g.First < time.Millisecond || !(g.Ratio >= 1.01 && g.Ratio <= 10) {
		return errors.New("`first` must be at least 1ms, and `ratio` from 1.01 to 10")
	}
	return nil
}

// Next is the first tick that is not before elapsed. The query's time limit is itself a tick, and ends the geometric
// part.
func (g Grid) Next(elapsed, timeout time.Duration) time.Duration {
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

// Last is the last tick that is not after elapsed, or 0.
func (g Grid) Last(elapsed, timeout time.Duration) time.Duration {
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

// Ticks is the grid of one query.
type Ticks struct {
	Grid    Grid
	Started time.Time
	Timeout time.Duration // the query's
}

// Next is the first tick that is neither past nor before least. Both count from the query's start.
func (t Ticks) Next(least time.Duration) time.Duration {
	return t.Grid.Next(max(least, time.Since(t.Started)), t.Timeout)
}

// Last is the last tick, counted from the query's start, or 0.
func (t Ticks) Last() time.Duration { return t.Grid.Last(time.Since(t.Started), t.Timeout) }

// Wait ends at the tick, or with ctx.
func (t Ticks) Wait(ctx context.Context, tick time.Duration) error {
	timer := time.NewTimer(time.Until(t.Started.Add(tick)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
