package coordinator

import (
	"context"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner"
)

// Explanation says what a query would do and cost. An explanation costs nothing.
type Explanation struct {
	Plan       string // in plain text
	Cost       Cost
	MinEpsilon float64      // the least price of a release of the study: that of Laplace noise with this epsilon
	Remaining  dp.Remaining // of the study, before the query
	Researcher *Balance     // over all studies, before the query; nil: no limit
	Stored     bool         // the answer is stored and would cost nothing
	Public     bool         // only public tables would be read, which costs nothing
	Expected   []planner.Expected
	Confidence float64 // of the expected intervals
	Engines    []EngineSQL
	// Keys are the hospitals' keys for masking, by name: one of each hospital that would mask. The coordinator only
	// relays them, so a person must compare them with the hospitals' custodians.
	Keys     []HospitalKey
	Problems []Absence // hospitals that would not answer now
	Allowed  bool      // the budgets suffice
	Warnings []string  // what the answer would say beside its numbers, as far as it is known
}

// EngineSQL is the SQL that an engine would run, and at which hospitals.
type EngineSQL struct {
	Engine    string
	SQL       string
	Hospitals []string
}

// HospitalKey is a hospital's key, as the hospital told it.
type HospitalKey struct {
	Hospital string `json:"hospital"`
	// Fingerprint is what `intramuros ledger show --kind config` shows there. It is empty if the hospital's program is
	// too old to tell it.
	Fingerprint string `json:"fingerprint"`
}

// KeysNote is the note for people beside Explanation.Keys.
const KeysNote = "The coordinator relays these fingerprints, and could relay wrong ones: compare each with the hospital's custodian by telephone."

// Told writes the key in words.
func (k HospitalKey) Told() string {
	if k.Fingerprint == "" {
		return k.Hospital + " tells none (an earlier release)"
	}
	return k.Hospital + " " + k.Fingerprint
}

// Explain plans a query, prices it, and asks the hospitals what they would run. It reserves and spends nothing. It also
// answers at the ticks of the AnswerGrid, because a hospital that computes for somebody else answers more slowly.
// Errors are those of Query up to planning.
func (c *Coordinator) Explain(ctx context.Context, who Researcher, req Request) (*Explanation, error) {
	return c.explain(ctx, who, read(req))
}

func (c *Coordinator) explain(ctx context.Context, who Researcher, req parsedRequest) (*Explanation, error) {
	ticks := c.ticks()
	leave, err := c.enter(who, req.Study)
	if err != nil {
		return nil, err
	}
	defer leave()
	c.lookAgain(ctx, req.Study)
	q, err := c.plan(who, req)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, c.config.PrepareTimeout)
	defer cancel()
	e, err := q.explain(within)
	if err != nil {
		return nil, q.explainFailure(within, err)
	}
	if canceled := ticks.Wait(ctx, ticks.Next(0)); canceled != nil {
		return nil, q.explainFailure(ctx, canceled)
	}
	return e, nil
}

func (q *query) explain(ctx context.Context) (*Explanation, error) {
	left, err := q.left(ctx)
	if err != nil {
		return nil, err
	}
	loss, err := q.loss()
	if err != nil {
		return nil, err
	}
	e := &Explanation{
		Plan: q.program.Describe(), Cost: cost(q.program.Releases, q.study.Budget.Accounting), Remaining: left[0].Remaining,
		MinEpsilon: q.study.LeastEpsilon(), Expected: q.program.Expected(q.c.config.Confidence), Confidence: q.c.config.Confidence, Allowed: true, Stored: !q.public(), Public: q.public(),
	}
	for _, a := range left {
		e.Allowed = e.Allowed && a.Budget.Check(a.spent, loss) == nil
	}
	if err := e.applyBudgets(ctx, q, left[0], loss); err != nil {
		return nil, err
	}
	if len(left) > 1 {
		e.Researcher = &left[1]
	}
	said, asked := caveats{}, map[string]bool{}
	for i := range q.program.Releases {
		if err := e.release(ctx, q.forRelease(i), said, asked); err != nil {
			return nil, err
		}
	}
	if q.program.Awaits() { // stored answers of later releases are found by the first ones' numbers
		if e.Stored, err = q.answered(ctx); err != nil {
			return nil, err
		}
	}
	e.Warnings = append(q.program.Warnings(), said.sentences(len(asked))...)
	e.Warnings = append(e.Warnings, q.profileLines()...)
	due, err := q.due(ctx)
	if err != nil {
		return nil, err
	}
	e.Warnings = append(e.Warnings, due.sentences()...)
	slices.SortFunc(e.Keys, func(a, b HospitalKey) int { return strings.Compare(a.Hospital, b.Hospital) })
	slices.SortFunc(e.Problems, func(a, b Absence) int { return strings.Compare(a.Name, b.Name) })
	e.Problems = slices.CompactFunc(e.Problems, func(a, b Absence) bool { return a.Name == b.Name })
	return e, nil
}

// applyBudgets applies the budgets of the hospitals that would be asked: what is left is the least that is left at any
// of them. A hospital with too little left would not answer.
func (e *Explanation) applyBudgets(ctx context.Context, q *query, own Balance, loss dp.Loss) error {
	all, err := q.limits(ctx, own)
	if err != nil {
		return err
	}
	e.Remaining = narrowest(all).Remaining
	short := map[string]bool{}
	for _, l := range all[1:] {
		if !short[l.hospital] && l.Budget.Check(l.spent, loss) != nil {
			short[l.hospital] = true
			e.Problems = append(e.Problems, Absence{Name: l.hospital, Code: "NODE_BUDGET", Why: "has not enough privacy budget left for this"})
		}
	}
	e.Allowed = e.Allowed && len(q.parts)-len(short) >= min(q.required, len(q.parts))
	return nil
}

// release adds what the hospitals say about one release, and records which would answer.
func (e *Explanation) release(ctx context.Context, q *query, said caveats, would map[string]bool) error {
	if _, err := q.request(); err != nil {
		return err
	}
	_, stored, err := q.storedCells(ctx, q.cellsKey())
	if err != nil {
		return err
	}
	e.Stored = e.Stored && stored
	explained := make([]fragment.Explained, len(q.parts))
	index := map[*part]int{}
	for i, p := range q.parts {
		index[p] = i
	}
	asked := q.parts
	each(asked, func(p *part) {
		var err error
		if explained[index[p]], err = q.c.nodes.explain(ctx, p.hospital, p.request); err != nil {
			q.fail(p, err)
		}
	})
	if ctx.Err() == context.Canceled {
		return ctx.Err()
	}
	for i, p := range asked {
		if p.absent == nil {
			e.add(explained[i], p.hospital.Name)
			if q.plan.Cover != nil && q.plan.Cover.Masked() {
				e.key(p.hospital.Name, explained[i].Key)
			}
			would[p.hospital.Name] = true
			said.add(q.c.catalog, p.hospital.Name, explained[i].Caveats)
		}
	}
	q.dropFailed()
	e.Problems = append(e.Problems, q.missing...)
	return nil
}

// key adds a hospital's key, once.
func (e *Explanation) key(hospital, fingerprint string) {
	if !slices.ContainsFunc(e.Keys, func(k HospitalKey) bool { return k.Hospital == hospital }) {
		e.Keys = append(e.Keys, HospitalKey{hospital, fingerprint})
	}
}

func (e *Explanation) add(x fragment.Explained, hospital string) {
	for i, have := range e.Engines {
		if have.Engine == x.Engine && have.SQL == x.SQL {
			e.Engines[i].Hospitals = append(e.Engines[i].Hospitals, hospital)
			return
		}
	}
	e.Engines = append(e.Engines, EngineSQL{x.Engine, x.SQL, []string{hospital}})
}
