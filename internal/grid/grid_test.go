package grid

import (
	"math"
	"testing"
	"time"
)

func TestGrid(t *testing.T) {
	const timeout = 5 * time.Minute
	ticks, before := 0, time.Duration(0)
	for elapsed := time.Duration(0); elapsed < timeout; elapsed = before + 1 {
		tick := Default.Next(elapsed, timeout)
		if tick < elapsed || tick <= before {
			t.Fatalf("the tick after %v is %v", elapsed, tick)
		}
		if again := Default.Next(tick, timeout); again != tick {
			t.Errorf("at the tick %v the next is %v", tick, again)
		}
		if delay := float64(tick) / float64(elapsed); ticks > 0 && delay > 1.2 {
			t.Errorf("a query of %v is delayed by a factor of %v", elapsed, delay)
		}
		if last := Default.Last(elapsed, timeout); last != before && elapsed != tick {
			t.Errorf("the last tick at %v is %v, not %v", elapsed, last, before)
		}
		ticks, before = ticks+1, tick
	}
	if ticks != 62 || math.Log2(float64(ticks)) > 6 {
		t.Errorf("%d ticks in %v", ticks, timeout)
	}
	for elapsed, want := range map[time.Duration]time.Duration{timeout: timeout, timeout + 1: timeout + time.Second, timeout + time.Second: timeout + time.Second} {
		if tick := Default.Next(elapsed, timeout); tick != want {
			t.Errorf("the tick after %v is %v, not %v", elapsed, tick, want)
		}
	}
}
