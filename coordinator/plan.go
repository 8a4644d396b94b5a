package coordinator

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/planner"
)

// plan admits and plans a query. It has no side effects.
func (c *Coordinator) plan(who Researcher, req parsedRequest) (*query, error) {
	if err := c.ledgerIntact(); err != nil {
		return nil, err
	}
	if err := c.certified(); err != nil {
		return nil, err
	}
	if req.statement != nil {
		if err := req.hint(req.statement.Hints); err != nil {
			return nil, err
		}
	}
	study, err := c.admit(who, &req.Request)
	if err != nil {
		return nil, err
	}
	if req.unread != nil {
		return nil, planError(req.unread)
	}
	hospitals := slices.DeleteFunc(slices.Clone(c.config.Hospitals), func(h string) bool { return !study.IncludesHospital(h) })
	chosen, err := ParseSelection(req.Hospitals)
	if err != nil {
		return nil, &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("hospitals cannot be %q", req.Hospitals), Hint: err.Error()}
	}
	if hospitals, err = chosen.of(hospitals, study.Sealed); err != nil {
		return nil, err
	}
	ask := planner.Query{Statement: req.statement, Parameters: req.Parameters, Ask: req.Ask, Today: c.now(), MaxEpsilon: study.MaxEpsilon}
	if req.Accuracy != nil {
		target := *req.Accuracy
		target.Confidence = c.config.Confidence
		ask.Accuracy = &target
	}
	if ask.Least, err = study.Cheapest(); err != nil {
		return nil, internalError(err)
	}
	known, likely, ladders := c.profiled(req.Study)
	program, err := planner.Compose(ask,
		planner.Federation{
			Catalog: known, Hospitals: hospitals, Accounting: study.Budget.Accounting, Digest: c.digest, Likely: likely, Ladders: ladders,
			Covered: study.Sealed, Masked: c.config.Sealed.Masks, Size: len(c.config.Hospitals),
			Uncounted: !counts(study),
		})
	if err != nil {
		return nil, planError(err)
	}
	dearest, err := study.MaxLoss()
	if err != nil {
		return nil, internalError(err)
	}
	for _, plan := range program.Releases { // nodes check each release by itself
		if study.Budget.Accounting.Cheaper(dearest.Part(len(program.Releases)), plan.Loss) {
			return nil, internalError(fmt.Errorf("a plan of epsilon %g passed a cap of %g", plan.Noise.Epsilon, study.MaxEpsilon))
		}
	}
	q := &query{
		c: c, id: newID(), who: who, name: req.Study, study: study, sql: req.SQL, storedOnly: req.StoredOnly, targets: req.Accuracy != nil, program: program,
		required: min(c.config.Require.of(len(hospitals)), len(hospitals)),
	}
	if len(program.Releases) > 0 {
		q.plan = program.Releases[0]
	}
	least := q.least()
	present, missing := c.Federation().split()
	for _, a := range missing {
		if slices.Contains(hospitals, a.Name) {
			q.missing = append(q.missing, a)
		}
	}
	for _, h := range present {
		if !slices.Contains(hospitals, h.Name) {
			continue
		}
		if a := c.closed(h.Name, req.Study); a != nil {
			q.missing = append(q.missing, *a)
			continue
		}
		if a := q.lostAtSeal(h.Name); a != nil {
			q.missing = append(q.missing, *a)
			continue
		}
		version, old := h.wireVersion(least)
		if old != nil {
			q.missing = append(q.missing, *old)
			continue
		}
		q.parts = append(q.parts, &part{hospital: h, version: version})
	}
	return q, nil
}
