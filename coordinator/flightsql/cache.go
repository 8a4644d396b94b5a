package flightsql

import (
	"crypto/rand"
	"sync"
	"time"
)

// ttlCache keeps values of researchers under ids that nobody can guess. A value is removed if it is not used for life.
// If one researcher's values take more than most bytes, the oldest of them are removed. Values never displace those of
// another researcher.
type ttlCache[T any] struct {
	life time.Duration
	most int64

	mu    sync.Mutex
	items map[string]*item[T]
	held  map[string]int64 // bytes, by researcher
}

type item[T any] struct {
	who     string
	value   T
	bytes   int64
	touched time.Time
}

// overhead is the memory of a value in addition to its bytes.
const overhead = 1 << 10

func newTTLCache[T any](life time.Duration, most int64) *ttlCache[T] {
	return &ttlCache[T]{life: life, most: most, items: map[string]*item[T]{}, held: map[string]int64{}}
}

// put stores the value and returns its id.
func (s *ttlCache[T]) put(who string, value T, bytes int64) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for id, i := range s.items {
		if now.Sub(i.touched) > s.life {
			s.remove(id)
		}
	}
	s.items[id] = &item[T]{who: who, value: value, touched: now}
	s.grow(id, bytes+overhead)
	return id
}

// get returns the value, if it exists and belongs to the researcher.
func (s *ttlCache[T]) get(who, id string) (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.items[id]
	if !ok || i.who != who || time.Since(i.touched) > s.life {
		return value, false
	}
	i.touched = time.Now()
	return i.value, true
}

// add records that a value has grown.
func (s *ttlCache[T]) add(id string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.items[id]; ok {
		s.grow(id, bytes)
	}
}

// grow makes room by removing the researcher's oldest values, but not this one.
func (s *ttlCache[T]) grow(id string, bytes int64) {
	grown := s.items[id]
	grown.bytes += bytes
	s.held[grown.who] += bytes
	for s.held[grown.who] > s.most {
		oldest := ""
		for other, i := range s.items {
			if i.who == grown.who && other != id && (oldest == "" || i.touched.Before(s.items[oldest].touched)) {
				oldest = other
			}
		}
		if oldest == "" {
			return
		}
		s.remove(oldest)
	}
}

// drop removes the value, if it belongs to the researcher.
func (s *ttlCache[T]) drop(who, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.items[id]; ok && i.who == who {
		s.remove(id)
	}
}

func (s *ttlCache[T]) remove(id string) {
	i := s.items[id]
	delete(s.items, id)
	if s.held[i.who] -= i.bytes; s.held[i.who] == 0 {
		delete(s.held, i.who)
	}
}
