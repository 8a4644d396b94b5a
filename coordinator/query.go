package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// query is one query in progress.
type query struct {
	c     *Coordinator
	id    string
	who   Researcher
	name  string          // of the study
	study *study.Document // the terms in force
	sql   string
	// storedOnly accepts only a stored answer.
	storedOnly bool
	// targets: the question asks for an accuracy, so its cost follows from the plan.
	targets  bool
	program  *planner.Program
	plan     *planner.Plan // the release in progress, one of the program's
	required int
	parts    []*part
	missing  []Absence
	caveats  caveats // of the hospitals that answered the release, now or when it was stored
	progress *reporter
	timeline *timeline
	charged  bool     // hospitals may have computed: the charge stays
	sources  []source // of the public rows that were read
	// checkpoints are the hospitals' checkpoints that must be stored before anything is released.
	checkpoints []ledger.Checkpoint
}

// Query answers one query, and charges the study for it unless the same answer was given before. progress, if not nil,
// is told each hospital's steps, one call at a time, and must return soon. After the charge, the steps and the answer
// or error come at ticks of the configured AnswerGrid. A canceled ctx ends the query at once, also at the hospitals;
// what was charged stays charged. Statements that ask for no data, such as SHOW and EXPLAIN, are answered at once.
// Errors are of type *Error.
func (c *Coordinator) Query(ctx context.Context, who Researcher, req Request, progress func(Progress)) (*Answer, error) {
	return c.query(ctx, who, req, nil, progress)
}

// query is Query. before, if not nil, gets the outline of the planned query.
func (c *Coordinator) query(ctx context.Context, who Researcher, req Request, before func(*Outline), progress func(Progress)) (*Answer, error) {
	question := read(req)
	if question.metadata() != nil {
		return c.inform(ctx, who, question)
	}
	end := time.Now().Add(c.config.QueryTimeout)
	return c.entered(ctx, who, req.Study, func() (*Answer, error) {
		first, err := c.firstProfiles(ctx, who, question, before)
		if err != nil {
			return nil, err
		}
		if first.told {
			before = nil
		}
		if first.due { // together they have the time of one query
			var cancel func()
			ctx, cancel = context.WithDeadline(ctx, end)
			defer cancel()
		}
		a, err := c.ask(ctx, who, question, before, progress)
		return first.beside(a, err)
	})
}

// entered counts a question, or refuses it if there are too many.
func (c *Coordinator) entered(ctx context.Context, who Researcher, study string, ask func() (*Answer, error)) (*Answer, error) {
	leave, err := c.enter(who, study)
	if err != nil {
		_, course := c.begin(ctx, c.ticks())
		course.end(nil, err)
		return nil, err
	}
	defer leave()
	c.lookAgain(ctx, study)
	return ask()
}

// ask answers a counted question.
func (c *Coordinator) ask(ctx context.Context, who Researcher, question parsedRequest, before func(*Outline), progress func(Progress)) (*Answer, error) {
	ctx, course := c.begin(ctx, c.ticks())
	a, err := c.answer(ctx, who, question, course, before, progress)
	course.end(a, err)
	return a, err
}

// answer is ask with its timeline.
func (c *Coordinator) answer(
	ctx context.Context, who Researcher, req parsedRequest, course *timeline, before func(*Outline), progress func(Progress),
) (*Answer, error) {
	ticks := course.ticks
	within, cancel := context.WithTimeout(ctx, c.config.QueryTimeout)
	defer cancel()
	q, err := c.plan(who, req)
	if err != nil {
		return nil, err
	}
	q.timeline = course
	course.planned(q)
	q.progress = newReporter(ticks, progress)
	defer q.progress.drop()
	if before != nil {
		if err := q.forewarn(within, before); err != nil {
			return nil, q.explainFailure(within, err)
		}
	}
	releases, err := q.releases(within, ticks)
	if err != nil {
		err = q.explainFailure(within, err)
	}
	tick := ticks.Next(0)
	course.tick = tick
	if q.charged { // its duration may depend on the data
		if canceled := ticks.Wait(ctx, tick); canceled != nil {
			for _, r := range releases {
				r.keepHospitalCheckpoints(ctx)
			}
			return nil, q.explainFailure(ctx, canceled)
		}
	}
	q.progress.end(tick)
	// Answers are stored after the tick, because Explain tells whether an answer is stored. Earlier releases are kept
	// even if a later one fails.
	for i := range releases {
		if r := &releases[i]; !r.stored {
			for _, cell := range r.cells {
				c.metrics.released.Add(float64(len(cell.Noisy)))
			}
			var failed error
			if r.cells, failed = r.store(ctx, r.cells); failed != nil && err == nil {
				err = q.explainFailure(ctx, failed)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	found, err := q.lookups(within, releases)
	if err != nil {
		err = q.explainFailure(within, err)
	}
	if len(q.program.Lookups) > 0 { // a hospital that computes for somebody answers more slowly
		course.tick = ticks.Next(0)
		if canceled := ticks.Wait(ctx, course.tick); canceled != nil {
			return nil, q.explainFailure(ctx, canceled)
		}
	}
	if err != nil {
		return nil, err
	}
	answer, err := q.finish(ctx, releases, found)
	if err != nil {
		return nil, q.explainFailure(ctx, err)
	}
	return answer, nil
}

// released is one release of a query: its noisy cells, and whether they were stored before.
type released struct {
	*query
	cells  []planner.Cell
	stored bool
}

// releases makes the query's releases one after the other. Each is charged by itself. With an error it returns the
// earlier ones.
func (q *query) releases(ctx context.Context, ticks grid.Ticks) ([]released, error) {
	if len(q.program.Releases) > 1 {
		if err := q.affords(ctx); err != nil {
			return nil, err
		}
	}
	var all []released
	for i := range q.program.Releases {
		// Others may observe when the next reservation is made. That must not reveal how long the hospitals computed
		// for the last release.
		if q.charged {
			if err := ticks.Wait(ctx, ticks.Next(0)); err != nil {
				return all, err
			}
		}
		one := q.forRelease(i)
		cells, stored, err := one.run(ctx)
		q.charged = q.charged || one.charged
		if err != nil {
			return all, err
		}
		all = append(all, released{one, cells, stored})
		if err := q.given(all); err != nil {
			return all, err
		}
	}
	return all, nil
}

// given puts released numbers into the later releases that compare patients with them.
func (q *query) given(all []released) error {
	if !q.program.Awaits() {
		return nil
	}
	var cells [][]planner.Cell
	for _, r := range all {
		if err := r.plan.Answered(len(r.parts)); err != nil {
			return err
		}
		cells = append(cells, r.cells)
	}
	next, err := q.program.Given(cells, q.c.config.Confidence)
	if err != nil {
		return planError(err)
	}
	q.program = next
	for i, r := range all {
		r.plan, r.program = next.Releases[i], next
	}
	return nil
}

// forRelease returns the query for its i-th release alone.
func (q *query) forRelease(i int) *query {
	one := *q
	one.plan, one.parts, one.missing = q.program.Releases[i], nil, slices.Clone(q.missing)
	one.charged = false // the charge of another release does not keep this one's reservation
	if i > 0 {
		one.id = newID()
	}
	for _, p := range q.parts {
		one.parts = append(one.parts, &part{hospital: p.hospital, version: p.version})
	}
	return &one
}

// affords refuses a query of several releases if the budget is too small for all of them, before the first is paid for.
func (q *query) affords(ctx context.Context) error {
	left, err := q.left(ctx)
	if err != nil {
		return err
	}
	total, err := q.loss()
	if err != nil {
		return err
	}
	for _, l := range left {
		if err := l.Budget.Check(l.spent, total); err != nil {
			return &Error{
				Code: CodeBudgetExhausted, Message: fmt.Sprintf("the query makes %d releases, and the budget does not reach for all: %s", len(q.program.Releases), firstLine(err)),
				Hint: "ask with a smaller epsilon, or for fewer of them", cause: err,
			}
		}
	}
	return nil
}

// limits are the limits of the hospitals that the query asks or has asked.
func (q *query) limits(ctx context.Context, own Balance) ([]limit, error) {
	var hospitals []string
	for _, p := range q.parts {
		hospitals = append(hospitals, p.hospital.Name)
	}
	return q.c.limits(ctx, q.name, own, hospitals)
}

// loss is the cost of all releases, if none is stored.
func (q *query) loss() (dp.Loss, error) {
	var total dp.Loss
	for _, p := range q.program.Releases {
		var err error
		if total, err = total.Plus(p.Loss); err != nil {
			return total, err
		}
	}
	return total, nil
}

func newID() string {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// finish makes the answer from the releases.
func (q *query) finish(ctx context.Context, releases []released, found []fragment.Rows) (*Answer, error) {
	var cells [][]planner.Cell
	var charged []*planner.Plan
	for _, r := range releases {
		cells = append(cells, r.cells)
		if !r.stored {
			charged = append(charged, r.plan)
		}
	}
	for _, r := range releases {
		if err := r.plan.Answered(len(r.parts)); err != nil {
			return nil, err
		}
	}
	answer, err := q.program.Finish(cells, q.c.config.Confidence, found...)
	if err != nil {
		return nil, planError(err)
	}
	left, err := q.left(ctx)
	if err != nil {
		return nil, err
	}
	limits, err := q.limits(ctx, left[0])
	if err != nil {
		return nil, err
	}
	a := &Answer{
		Query: q.id, Answer: *answer, Confidence: q.c.config.Confidence, Stored: len(charged) == 0 && !q.public(), Public: q.public(),
		Cost: cost(charged, q.study.Budget.Accounting), Remaining: narrowest(limits).Remaining,
	}
	holders, differ := told(q.sources)
	a.Warnings = append(a.Warnings, differ...)
	if a.Public {
		a.Answered = holders
		q.c.log.Info("public tables read", slog.String("query", q.id), slog.String("study", q.name), slog.String("researcher", q.who.Name), slog.Int("rows", len(a.Rows)))
		return a, nil
	}
	a.Cost.Mechanism = q.program.Releases[0].Noise.Mechanism
	a.Sealed = q.study.Sealed
	hospitals := map[string]int{}
	said := caveats{}
	for _, r := range releases {
		for hospital, all := range r.caveats {
			said.add(q.c.catalog, hospital, all)
		}
		for _, p := range r.parts {
			hospitals[p.hospital.Name]++
		}
		for _, m := range r.missing {
			if !slices.ContainsFunc(a.Missing, func(o Absence) bool { return o.Name == m.Name }) {
				a.Missing = append(a.Missing, m)
			}
		}
	}
	for _, p := range releases[0].parts {
		if hospitals[p.hospital.Name] == len(releases) {
			a.Answered = append(a.Answered, p.hospital.Name)
		}
	}
	if len(a.Missing) > 0 {
		a.Warnings = append(a.Warnings, fmt.Sprintf("%d of %d hospitals are not part of this answer", len(a.Missing), len(q.c.config.Hospitals)))
	}
	a.Warnings = append(a.Warnings, said.sentences(len(a.Answered))...)
	if w := emptiness(&a.Answer, q.program.Releases); w != "" {
		a.Warnings = append(a.Warnings, w)
	}
	a.Warnings = append(append(a.Warnings, a.Bias...), a.Notes...)
	q.c.log.Info("query answered", slog.String("query", q.id), slog.String("study", q.name), slog.String("researcher", q.who.Name),
		slog.Bool("stored", a.Stored), slog.Float64("epsilon", a.Cost.Epsilon), slog.Int("hospitals", len(a.Answered)))
	return a, nil
}

// public reports whether the query reads only public tables.
func (q *query) public() bool { return len(q.program.Releases) == 0 }

// emptiness says why an answer may have no row, if groups had to be selected. Most tools show an empty table without
// explanation.
func emptiness(a *planner.Answer, releases []*planner.Plan) string {
	if len(a.Rows) > 0 {
		return ""
	}
	least, where := int64(0), ""
	for _, p := range releases {
		if s := p.Selection; s != nil && s.Threshold > least {
			if least, where = s.Threshold, ""; s.Local {
				where = " in one hospital"
			}
		}
	}
	if least == 0 {
		return ""
	}
	return fmt.Sprintf("no row: a group that the catalog does not declare is shown from a noisy number of %d patients%s on; group more coarsely, or spend a larger epsilon", least, where)
}

// ask is the request to every hospital for one release, without the token and the wire version.
func (q *query) ask(plan *planner.Plan) *fragment.Request {
	r := &fragment.Request{Query: q.id, Study: q.name, Researcher: q.who.Name, Fragment: *plan.Fragment, Noise: plan.Noise, Cover: plan.Cover}
	if n := len(q.program.Releases); n > 1 {
		r.Releases = n
	}
	if plan.Selection != nil {
		r.ThresholdDelta = plan.Selection.Delta
	}
	return r
}

// least is the lowest version of the wire that can express all releases of the query.
func (q *query) least() int {
	least := fragment.Oldest
	for _, plan := range q.program.Releases {
		least = max(least, fragment.Least(q.ask(plan)))
	}
	return least
}

// request encodes the request for each hospital in a version that the hospital reads, and returns its cost.
func (q *query) request() (dp.Loss, error) {
	r := q.ask(q.plan)
	loss, err := r.Price()
	if err != nil {
		return loss, err
	}
	if loss != q.plan.Loss {
		return loss, errors.New("the plan's price is not the request's")
	}
	if r.Token, err = q.c.assertion(q.who); err != nil {
		return loss, err
	}
	written := map[int][]byte{}
	for _, p := range q.parts {
		if written[p.version] == nil {
			r.Fragment.Version = p.version
			if written[p.version], err = json.Marshal(r); err != nil {
				return loss, err
			}
		}
		p.request = written[p.version]
	}
	return loss, nil
}

// explainFailure turns every failure into one that a researcher can read.
func (q *query) explainFailure(ctx context.Context, err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, dp.ErrBudgetExhausted):
		e = &Error{Code: CodeBudgetExhausted, Message: err.Error(), cause: err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e = &Error{
			Code: CodeTimeout, Message: fmt.Sprintf("no answer within %v", q.c.config.QueryTimeout),
			Hint: "ask for less, or ask the federation to raise `query_timeout`", cause: err,
		}
	case ctx.Err() != nil:
		e = &Error{Code: CodeCanceled, Message: "the query was canceled", cause: err}
	default:
		e = internalError(err)
		q.c.log.Error("query ended by a fault", slog.String("query", q.id), slog.Any("error", err))
	}
	e.Charged = q.charged
	return e
}

// parsedRequest is a request whose text was parsed once for all uses.
type parsedRequest struct {
	Request
	statement *syntax.Statement // nil if unread is set
	unread    error
}

func read(req Request) parsedRequest {
	statement, err := syntax.ParseIn(req.SQL, req.Dialect)
	return parsedRequest{req, statement, err}
}

// counts reports whether the study may ask for counts.
func counts(d *study.Document) bool { return slices.Contains(d.Aggregates, study.Count) }
