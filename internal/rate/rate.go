// Package rate bounds how often, how many at once, and with how many bytes each of many
// callers may ask, so that one who floods a daemon slows down nobody else.
//
// Contract: Enter lets in at most AtOnce of one caller's requests at a time, and
// PerMinute in a minute, of which a burst may come at once. Each Enter that returns nil
// is ended by one Leave. Take gives each caller a burst of bytes, and again as much as
// flows in a day. Callers do not influence each other, and one whose allowance is full
// again takes no memory.
package rate

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

var (
	// ErrAtOnce says that too many of the caller's requests are under way.
	ErrAtOnce = errors.New("too many are under way at once")
	// ErrPerMinute says that the caller asked too often.
	ErrPerMinute = errors.New("too many in a minute")
)

// Limiter bounds callers' requests. Its methods may be called from any goroutine.
type Limiter struct {
	callers
	atOnce int
}

// New makes a limiter; both numbers are at least 1.
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

// Spent tells whether Enter would return ErrPerMinute. It counts nothing.
func (l *Limiter) Spent(who string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.of[who]
	return ok && c.TokensAt(now) < 1
}

// Leave ends a request that Enter let in.
func (l *Limiter) Leave(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.of[who]; ok {
		c.held--
	}
}

// Volume bounds the bytes that callers have a daemon write. Its methods may be called from any goroutine.
type Volume struct{ callers }

// NewVolume gives each caller so many bytes at once, and so many a day; both are at least 1.
func NewVolume(atOnce, perDay int) *Volume {
	const day = 24 * 60 * 60
	return &Volume{callers{limit: rate.Limit(float64(perDay) / day), burst: atOnce, of: map[string]*caller{}}}
}

// Take reports whether the caller may have so many bytes more; then they are counted.
func (v *Volume) Take(who string, bytes int, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caller(who, now).AllowN(now, bytes)
}

// callers have a token bucket each.
type callers struct {
	limit rate.Limit
	burst int

	mu    sync.Mutex
	of    map[string]*caller
	swept time.Time
}

type caller struct {
	*rate.Limiter
	held int // requests under way
}

// caller gives a caller's bucket, and forgets those that are full, once a minute.
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
