// Package rate limits each of many callers: how often they ask, how many requests run at the same time, and how many
// bytes they cause. So a caller who floods a daemon slows down nobody else.
//
// Contract: Enter accepts at most AtOnce running requests of one caller, and PerMinute in a minute, of which a burst
// may come at once. Each Enter that returns nil must be ended by one Leave. Take gives each caller a burst of bytes,
// and refills it within a day. Callers do not influence each other, and a caller whose allowance is full again uses no
// memory.
package rate

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

var (
	// ErrAtOnce says that too many of the caller's requests are running.
	ErrAtOnce = errors.New("too many are under way at once")
	// ErrPerMinute says that the caller asked too often.
	ErrPerMinute = errors.New("too many in a minute")
)

// Limiter limits callers' requests. Its methods may be called from any goroutine.
type Limiter struct {
	callers
	atOnce int
}

// New makes a limiter; both numbers must be at least 1.
func New(perMinute, atOnce int) *Limiter {
	return &Limiter{callers{limit: rate.Limit(float64(perMinute) / 60), burst: perMinute, of: map[string]*caller{}}, atOnce}
}

// Enter counts one more request of a caller, or returns ErrAtOnce or ErrPerMinute.
func (l *Limiter) Enter(who string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.caller(who, now)
	switch {
	case c.held >= l.atOnce:
		return ErrAtOnce
	case !c.AllowN(now, 1):
		return ErrPerMinute
	}
	c.held++
	return nil
}

// Spent reports whether Enter would return ErrPerMinute. It counts nothing.
func (l *Limiter) Spent(who string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.of[who]
	return ok && c.TokensAt(now) < 1
}

// Leave ends a request that Enter accepted.
func (l *Limiter) Leave(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.of[who]; ok {
		c.held--
	}
}

// Volume limits the bytes that callers make a daemon write. Its methods may be called from any goroutine.
type Volume struct{ callers }

// NewVolume gives each caller so many bytes at once, and so many per day; both must be at least 1.
func NewVolume(atOnce, perDay int) *Volume {
	const day = 24 * 60 * 60
	return &Volume{callers{limit: rate.Limit(float64(perDay) / day), burst: atOnce, of: map[string]*caller{}}}
}

// Take reports whether the caller may have so many more bytes. If so, they are counted.
func (v *Volume) Take(who string, bytes int, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caller(who, now).AllowN(now, bytes)
}

// callers has a token bucket for each caller.
type callers struct {
	limit rate.Limit
	burst int

	mu    sync.Mutex
	of    map[string]*caller
	swept time.Time
}

type caller struct {
	*rate.Limiter
	held int // running requests
}

// caller returns a caller's bucket. Once a minute it forgets the full buckets.
func (cs *callers) caller(who string, now time.Time) *caller {
	if now.Sub(cs.swept) >= time.Minute {
		cs.swept = now
		for name, c := range cs.of {
			if c.held == 0 && c.TokensAt(now) >= float64(cs.burst) {
				delete(cs.of, name)
			}
		}
	}
	c, ok := cs.of[who]
	if !ok {
		c = &caller{Limiter: rate.NewLimiter(cs.limit, cs.burst)}
		cs.of[who] = c
	}
	return c
}
