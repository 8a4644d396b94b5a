package coordinator

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// Rebuilt is the result of Rebuild.
type Rebuilt struct {
	Hospitals map[string]int // charges of each
	Added     int            // charges that this ledger lacked
	// Rest is the loss that a checkpoint vouches for and no hospital has charged: queries that were charged here and
	// ran nowhere, or at hospitals that were left out. It counts in every study.
	Rest dp.Loss
}

// Rebuild restores what this coordinator's ledger has lost, from the hospitals' ledgers. Every hospital must be there,
// except those in without. No query may be asked meanwhile. by and reason are the operator's.
func (c *Coordinator) Rebuild(ctx context.Context, without []string, by, reason string) (*Rebuilt, error) {
	for _, name := range without {
		if !slices.Contains(c.config.Hospitals, name) {
			return nil, fmt.Errorf("there is no hospital %q to leave out", name)
		}
	}
	hospitals, err := c.waitForHospitals(ctx, without)
	if err != nil {
		return nil, err
	}
	r := &Rebuilt{Hospitals: map[string]int{}}
	found := map[string]paid{}
	var ahead *ledger.Checkpoint
	for _, h := range hospitals {
		known, err := c.checkpointAt(ctx, h)
		if err != nil {
			return nil, fmt.Errorf("hospital %s: %w", h.Name, err)
		}
		if known != nil && (ahead == nil || known.Time.After(ahead.Time)) {
			ahead = known
		}
		if r.Hospitals[h.Name], err = c.charges(ctx, h, found); err != nil {
			return nil, fmt.Errorf("hospital %s: %w", h.Name, err)
		}
	}
	var entries []ledger.Entry
	for _, query := range slices.Sorted(maps.Keys(found)) {
		p := found[query]
		detail, err := json.Marshal(map[string]any{"hospitals": p.hospitals, "rebuilt": true})
		if err != nil {
			return nil, err
		}
		entries = append(entries, ledger.Entry{Study: p.Study, Researcher: p.Researcher, Query: query, Loss: p.Loss, Detail: detail})
	}
	r.Added, r.Rest, err = c.ledger.Rebuild(ctx, entries, ahead, by, reason)
	return r, err
}

// paid is what the hospitals charged for a query.
type paid struct {
	study.Paid
	hospitals []string
}

// waitForHospitals waits until every hospital except those left out can be asked.
func (c *Coordinator) waitForHospitals(ctx context.Context, without []string) (here []Hospital, err error) {
	for {
		here, missing := c.Federation().split()
		here = slices.DeleteFunc(here, func(h Hospital) bool { return slices.Contains(without, h.Name) })
		missing = slices.DeleteFunc(missing, func(a Absence) bool { return slices.Contains(without, a.Name) })
		if len(missing) == 0 {
			return here, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("hospital %s %s, and what it has charged would be missing; leave it out only if it is gone for good", missing[0].Name, missing[0].Why)
		}
	}
}

// checkpointAt returns the checkpoint of this ledger that a hospital keeps, or nil if there is none that this
// coordinator signed.
func (c *Coordinator) checkpointAt(ctx context.Context, h Hospital) (*ledger.Checkpoint, error) {
	body, err := json.Marshal(study.Offer{Known: c.keptCheckpoint(ctx, h.Name)})
	if err != nil {
		return nil, err
	}
	answer, err := c.nodes.act(ctx, h, study.ActionExchange, body)
	if err != nil {
		return nil, err
	}
	var state study.State
	if err := json.Unmarshal(answer, &state); err != nil {
		return nil, invalidAnswer(err)
	}
	if state.Known == nil || state.Known.Verify(c.custody.key.Public().(ed25519.PublicKey)) != nil {
		return nil, nil
	}
	return state.Known, nil
}

// charges adds a hospital's charges to found. A query that several hospitals charged counts with the largest value of
// each component.
func (c *Coordinator) charges(ctx context.Context, h Hospital, found map[string]paid) (n int, err error) {
	var after int64
	for {
		body, err := json.Marshal(study.ChargesAfter{Entry: after})
		if err != nil {
			return n, err
		}
		answer, err := c.nodes.act(ctx, h, study.ActionCharges, body)
		if err != nil {
			return n, err
		}
		var page study.Charges
		if err := json.Unmarshal(answer, &page); err != nil {
			return n, invalidAnswer(err)
		}
		for _, p := range page.Charges {
			was, ok := found[p.Query]
			if ok && (was.Study != p.Study || was.Researcher != p.Researcher) {
				return n, fmt.Errorf("query %s is %s's under %s there, and %s's under %s elsewhere", p.Query, p.Researcher, p.Study, was.Researcher, was.Study)
			}
			p.Loss = dp.Loss{
				Epsilon: max(p.Loss.Epsilon, was.Loss.Epsilon), Rho: max(p.Loss.Rho, was.Loss.Rho),
				NoiseDelta: max(p.Loss.NoiseDelta, was.Loss.NoiseDelta), Delta: max(p.Loss.Delta, was.Loss.Delta),
			}
			found[p.Query] = paid{p, append(was.hospitals, h.Name)}
			n++
		}
		if page.Next == 0 {
			return n, nil
		}
		if page.Next <= after {
			return n, invalidAnswer(errors.New("its pages go back"))
		}
		after = page.Next
	}
}
