// Package rate bounds how often and how many at once each of many callers may ask,
// so that one who floods a daemon slows down nobody else.
//
// Contract: Enter lets in at most AtOnce of one caller's requests at a time, and
// PerMinute in a minute, of which a burst may come at once. Each Enter that returns nil
// is ended by one Leave. Callers do not influence each other, and one that was quiet for
// a minute takes no memory.
package rate

import (
	"errors"
	"sync"
	"time"
)

var (
	// ErrAtOnce says that too many of the caller's requests are under way.
	ErrAtOnce = errors.New("too many are under way at once")
	// ErrPerMinute says that the caller asked too often.
	ErrPerMinute = errors.New("too many in a minute")
)

// Limiter bounds callers. Its methods may be called from any goroutine.
type Limiter struct {
	perMinute, atOnce int

	mu      sync.Mutex
	callers map[string]*caller
	swept   time.Time
}

type caller struct {
	allowance float64 // requests that may begin now
	seen      time.Time
	held      int // under way
}

// New makes a limiter; both numbers are at least 1.
func New(perMinute, atOnce int) *Limiter {
	return &Limiter{perMinute: perMinute, atOnce: atOnce, callers: map[string]*caller{}}
}

// Enter counts one more request of a caller, or returns ErrAtOnce or ErrPerMinute.
func (l *Limiter) Enter(who string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	c, ok := l.callers[who]
	if !ok {
		c = &caller{allowance: float64(l.perMinute), seen: now}
		l.callers[who] = c
	}
	c.allowance = min(float64(l.perMinute), c.allowance+max(0, now.Sub(c.seen).Minutes())*float64(l.perMinute))
	c.seen = now
	switch {
	case c.held >= l.atOnce:
		return ErrAtOnce
	case c.allowance < 1:
		return ErrPerMinute
	}
	c.allowance--
	c.held++
	return nil
}

// Leave ends a request that Enter let in.
func (l *Limiter) Leave(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.callers[who]; ok {
		c.held--
	}
}

// sweep forgets those who were quiet for a minute, whose allowance is full again.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for who, c := range l.callers {
		if c.held == 0 && now.Sub(c.seen) > time.Minute {
			delete(l.callers, who)
		}
	}
}
