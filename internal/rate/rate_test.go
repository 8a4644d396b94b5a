package rate

import (
	"errors"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := New(60, 3)
	for i := range 3 {
		if err := l.Enter("ada", now); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := l.Enter("ada", now); !errors.Is(err, ErrAtOnce) {
		t.Errorf("a fourth at once: %v", err)
	}
	if err := l.Enter("ben", now); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	l.Leave("ada")
	for i := range 57 { // of the minute's 60
		if err := l.Enter("ada", now); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		l.Leave("ada")
	}
	if err := l.Enter("ada", now); !errors.Is(err, ErrPerMinute) {
		t.Errorf("the 61st in a minute: %v", err)
	}
	now = now.Add(time.Second)
	if err := l.Enter("ada", now); err != nil {
		t.Errorf("a second later: %v", err)
	}
	// A clock that goes back gives nothing.
	if err := l.Enter("ada", now.Add(-time.Hour)); err == nil {
		t.Error("a clock that goes back gives an allowance")
	}
}

func TestForgotten(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := New(60, 1)
	for _, who := range []string{"ada", "ben", "cyd"} {
		if err := l.Enter(who, now); err != nil {
			t.Fatal(err)
		}
	}
	l.Leave("ada")
	l.Leave("ben")
	now = now.Add(2 * time.Minute)
	if err := l.Enter("dan", now); err != nil || len(l.callers) != 2 {
		t.Errorf("%v; %d callers are remembered, not cyd, who still runs, and dan", err, len(l.callers))
	}
}
