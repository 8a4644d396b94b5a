package node

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/intramuros/intramuros/internal/fragment"
)

// spreads caches how public tables multiply rows, for one state of the data. These numbers are public, so a refusal may
// depend on them.
type spreads struct {
	data Data
	// turn waits for a query's turn and returns a function to give it back. If a request waited for the database itself,
	// it would learn to the microsecond when another query ended. Turns end at ticks.
	turn    func(ctx context.Context) (rest func(), err error)
	mu      sync.Mutex
	version string
	known   map[string]float64
}

// reading refuses lookups whose joins make too many rows, like check. Lookups cost nothing, and such a lookup would
// delay charged queries.
func (s *spreads) reading(ctx context.Context, p *policy, r *fragment.Reading, over *verified) error {
	return s.check(ctx, p, &fragment.Fragment{Relations: []fragment.Relation{{Name: "answer", Query: r.Relation}}}, over)
}

// check refuses fragments in which joins with public tables turn one row of a patient into too many.
func (s *spreads) check(ctx context.Context, p *policy, f *fragment.Fragment, over *verified) error {
	err := f.Spread(p.catalog, func(table string, columns []string) (float64, error) {
		key := table + "\x00" + strings.Join(columns, "\x00")
		s.mu.Lock()
		if s.version != over.version {
			s.version, s.known = over.version, map[string]float64{}
		}
		n, ok := s.known[key]
		s.mu.Unlock()
		if ok {
			return n, nil
		}
		rest, err := s.turn(ctx)
		if err != nil {
			return 0, err
		}
		defer rest()
		n, err = s.data.Multiplicity(ctx, table, columns)
		if err != nil {
			return 0, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.version == over.version {
			s.known[key] = n
		}
		return n, nil
	})
	var refused *refusal
	switch limit := new(fragment.Limit); {
	case errors.As(err, &limit):
		return &refusal{Code: CodeSpread, cause: err, told: true}
	case errors.As(err, &refused):
		return refused
	case err != nil:
		return refuse(CodeEngine, err)
	}
	return nil
}
