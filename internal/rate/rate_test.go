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
	// A clock that is set back gives nothing.
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
	if err := l.Enter("dan", now); err != nil || len(l.of) != 2 {
		t.Errorf("%v; %d callers are remembered, not cyd, who still runs, and dan", err, len(l.of))
	}
}

func TestVolume(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	v := NewVolume(1000, 86_400)
	if !v.Take("ada", 400, now) || !v.Take("ada", 600, now) || v.Take("ada", 1, now) {
		t.Error("1000 bytes at once are not 1000 bytes")
	}
	if !v.Take("ben", 1000, now) {
		t.Error("somebody else has nothing left")
	}
	if v.Take("cyd", 1001, now) {
		t.Error("more than there ever is")
	}
	now = now.Add(10 * time.Second)
	if v.Take("ada", 11, now) || !v.Take("ada", 10, now) {
		t.Error("10 seconds are not 10 bytes of a byte a second")
	}
	now = now.Add(2 * time.Hour)
	if !v.Take("dan", 1, now) || len(v.of) != 1 {
		t.Errorf("%d callers are remembered", len(v.of))
	}
}
