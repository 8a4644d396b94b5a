package node

import (
	"context"
	"sync"
	"time"

	"github.com/intramuros/intramuros/internal/pki"
)

// Bounds of what is kept for coordinators that prepare but do not execute.
const (
	maxReservations     = 256
	maxReservationBytes = 64 << 20 // of encoded requests
)

// reservations are the fragments that were prepared and not yet executed.
type reservations struct {
	mu    sync.Mutex
	held  map[string]reservation
	count int // kept and promised
	bytes int
	// running are the executions in progress.
	running map[string]execution
}

// execution is a running reservation. Its peer can end it.
type execution struct {
	peer pki.Identity
	end  context.CancelCauseFunc
}

// run returns the context in which a taken reservation is executed. done ends it.
func (rs *reservations) run(ctx context.Context, id string, peer pki.Identity) (within context.Context, done func()) {
	within, end := context.WithCancelCause(ctx)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.running[id] = execution{peer, end}
	return within, func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		delete(rs.running, id)
		end(nil)
	}
}

// end ends the execution of a peer's reservation with errEnded. It is false if there is none.
func (rs *reservations) end(id string, peer pki.Identity) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	x, ok := rs.running[id]
	if !ok || x.peer != peer {
		return false
	}
	x.end(errEnded)
	return true
}

type reservation struct {
	admitted
	peer    pki.Identity // the owner
	version string       // the data version at prepare
	expires time.Time
	bytes   int
}

// promise reserves room for one more, or reports that there is none. Each promise must be followed by one put or one
// withdraw.
func (rs *reservations) promise(bytes int) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.count >= maxReservations || rs.bytes+bytes > maxReservationBytes {
		return false
	}
	rs.count++
	rs.bytes += bytes
	return true
}

func (rs *reservations) withdraw(bytes int) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.count--
	rs.bytes -= bytes
}

func (rs *reservations) put(id string, r reservation) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.held[id] = r
}

// number is the number of reservations kept.
func (rs *reservations) number() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.held)
}

// take returns the reservation to its owner, once. For anybody else it does not exist.
func (rs *reservations) take(id string, peer pki.Identity) (reservation, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.held[id]
	if !ok || r.peer != peer {
		return reservation{}, false
	}
	rs.drop(id, r)
	return r, true
}

// expired removes and returns the expired reservations.
func (rs *reservations) expired(now time.Time) map[string]reservation {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	out := map[string]reservation{}
	for id, r := range rs.held {
		if !r.expires.After(now) {
			rs.drop(id, r)
			out[id] = r
		}
	}
	return out
}

// drop must be called with the lock held.
func (rs *reservations) drop(id string, r reservation) {
	delete(rs.held, id)
	rs.count--
	rs.bytes -= r.bytes
}
