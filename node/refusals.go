package node

import (
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/rate"
)

// How many bytes of the ledger refused requests may take, for one researcher under one study and in total. Beyond that,
// only their number is recorded.
const (
	refusalBytes     = 64 << 10 // at once
	refusalBytesDay  = 1 << 20
	refusalsBytes    = 1 << 20 // at once
	refusalsBytesDay = 16 << 20
)

// refusals bounds what a flood of refused requests adds to the ledger.
type refusals struct {
	each, all *rate.Volume

	mu   sync.Mutex
	left int // the number of refusals not recorded
}

func newRefusals() refusals {
	return refusals{each: rate.NewVolume(refusalBytes, refusalBytesDay), all: rate.NewVolume(refusalsBytes, refusalsBytesDay)}
}

// allow reports whether an entry of that many bytes about somebody's request may be recorded. left is how many entries
// before it were not.
func (r *refusals) allow(who string, bytes int, now time.Time) (ok bool, left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.each.Take(who, bytes, now) || !r.all.Take("", bytes, now) {
		r.left++
		return false, 0
	}
	left, r.left = r.left, 0
	return true, left
}
