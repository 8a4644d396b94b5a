package node

import (
	"sync"
	"time"
)

// Refusals are recorded one by one, up to this many at once and a second; of more, only how many.
const (
	refusalBurst = 500
	refusalRate  = 2 // a second
)

// refusals bounds what a flood of refused requests adds to the ledger.
type refusals struct {
	mu        sync.Mutex
	allowance float64
	seen      time.Time
	left      int // not recorded
}

// allow tells whether one more is recorded, and how many before it were not.
func (r *refusals) allow(now time.Time) (ok bool, left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen.IsZero() {
		r.allowance, r.seen = refusalBurst, now
	}
	r.allowance = min(refusalBurst, r.allowance+max(0, now.Sub(r.seen).Seconds())*refusalRate)
	r.seen = now
	if r.allowance < 1 {
		r.left++
		return false, 0
	}
	r.allowance--
	left, r.left = r.left, 0
	return true, left
}
