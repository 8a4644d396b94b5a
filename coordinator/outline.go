package coordinator

import "github.com/intramuros/intramuros/planner"

// Outline is what can be told of a query without asking anybody: the form of its
// answer, and its price. Doors whose clients prepare a query before they run it show it.
type Outline struct {
	Columns    []planner.Column
	Cost       Cost // of the answer, if it is not stored already
	Confidence float64
	Expected   []planner.Expected // error of each noisy number
}

// Outline plans a query and prices it, and does nothing else: it asks no hospital,
// reads no ledger, and costs nothing. Errors are those of Query up to planning.
func (c *Coordinator) Outline(who Researcher, req Request) (*Outline, error) {
	if statement, err := planner.Read(req.SQL); err == nil && informs(statement) != nil {
		return &Outline{Columns: informs(statement), Confidence: c.config.Confidence}, nil
	}
	q, err := c.plan(who, req)
	if err != nil {
		return nil, err
	}
	return &Outline{
		Columns: q.program.Columns, Cost: cost(q.program.Releases, q.study.Budget.Accounting), Confidence: c.config.Confidence,
		Expected: q.program.Expected(c.config.Confidence),
	}, nil
}
