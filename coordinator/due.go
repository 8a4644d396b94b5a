package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/study"
	"github.com/intramuros/intramuros/planner"
)

// If the configuration gives a study a share for first profiles, the first question that reads a table takes the
// table's profile before it is answered. Every door that shows a price shows the profile's price before anything is
// spent.

// failedFirstForm begins the keys, in the store of answers, of tables whose first profile failed after its charge.
const failedFirstForm = "failed first profile 1/"

// firstAgain is how long no first profile is tried after a failed one.
const firstAgain = time.Hour

// mostFailed is how many first profiles of a table may fail after a charge. Then none is tried again.
const mostFailed = 2

// studyTable is a table under a study.
type studyTable struct {
	Study string `json:"study"`
	Table string `json:"table"`
}

// firsts are the first profiles in progress and those that failed.
type firsts struct {
	mu     sync.Mutex
	turns  map[string]chan struct{} // by study: one may take profiles at a time
	failed map[studyTable]int       // how often it failed after a charge
	until  map[studyTable]time.Time // after a failure: when it may be tried again
}

// lock waits until nobody else takes first profiles under the study. The caller must call leave.
func (f *firsts) lock(ctx context.Context, study string) (leave func(), err error) {
	f.mu.Lock()
	if f.turns == nil {
		f.turns = map[string]chan struct{}{}
	}
	turn := f.turns[study]
	if turn == nil {
		turn = make(chan struct{}, 1)
		f.turns[study] = turn
	}
	f.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *firsts) fail(t studyTable) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = map[studyTable]int{}
	}
	f.failed[t]++
}

func (f *firsts) pause(t studyTable, until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.until == nil {
		f.until = map[studyTable]time.Time{}
	}
	f.until[t] = until
}

// tries reports whether a first profile may be tried now.
func (f *firsts) tries(t studyTable, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed[t] < mostFailed && !now.Before(f.until[t])
}

// needsFirstProfile reports whether a table has no profile and may get its first one.
func (c *Coordinator) needsFirstProfile(t studyTable) bool {
	_, has := c.profiles.of(t.Study, t.Table)
	return !has && c.firsts.tries(t, c.now())
}

// loadFailedFirsts reads which first profiles failed after they were charged.
func (c *Coordinator) loadFailedFirsts(ctx context.Context) error {
	return eachKept(ctx, c.ledger, failedFirstForm, c.firsts.fail)
}

// dueProfile is a profile that a question takes first.
type dueProfile struct {
	profiling
	epsilon float64 // of each of its questions
	cost    Cost    // of all of them, if no answer is stored
	part    float64 // as a share of the study's whole budget, in (0, 1]
}

type dueProfiles []dueProfile

// due lists the profiles that the question takes first. There are none if its answer is stored, or if the budgets are
// too small for the profile and the question. There are also none if it asks for an accuracy: then the profile would
// change its price, which was already shown.
func (q *query) due(ctx context.Context) (dueProfiles, error) {
	share := q.c.config.FirstProfiles[q.name]
	if share == 0 || q.storedOnly || q.targets || q.public() || len(q.parts) < q.required || !counts(q.study) {
		return nil, nil
	}
	tables, err := q.c.toProfile(q.study, ProfileRequest{})
	if err != nil {
		return nil, err
	}
	tables = slices.DeleteFunc(tables, func(t *catalog.Table) bool {
		return !q.reads(t.Name) || !q.c.needsFirstProfile(studyTable{q.name, t.Name})
	})
	if len(tables) == 0 { // all of them have profiles
		return nil, nil
	}
	if stored, err := q.answered(ctx); stored || err != nil {
		return nil, err
	}
	loss, err := q.loss()
	if err != nil {
		return nil, err
	}
	var all dueProfiles
	for _, t := range tables {
		d := dueProfile{profiling: q.c.profiling(t, q.study)}
		if !slices.Contains(q.study.Aggregates, study.Distribution) {
			d.columns = nil
		}
		if len(d.questions()) == 0 {
			continue
		}
		d.epsilon = epsilonOfShare(q.study, share, len(d.questions()))
		own, ok := d.price(q)
		if !ok {
			continue
		}
		both, err := loss.Plus(own)
		if err != nil {
			return nil, err
		}
		if reaches, err := q.reaches(ctx, both); err != nil {
			return nil, err
		} else if reaches {
			all, loss = append(all, d), both
		}
	}
	return all, nil
}

// reads reports whether a release of the query reads a table.
func (q *query) reads(table string) bool {
	return slices.ContainsFunc(q.program.Releases, func(p *planner.Plan) bool { return slices.Contains(p.Fragment.Tables(), table) })
}

// reaches reports whether the budgets of the study, the researcher and the hospitals that would be asked still allow a
// loss.
func (q *query) reaches(ctx context.Context, loss dp.Loss) (bool, error) {
	left, err := q.left(ctx)
	if err != nil {
		return false, err
	}
	limits, err := q.limits(ctx, left[0])
	if err != nil {
		return false, err
	}
	for _, l := range limits {
		left = append(left, l.Balance)
	}
	return !slices.ContainsFunc(left, func(b Balance) bool { return b.Budget.Check(b.spent, loss) != nil }), nil
}

// price plans the profile's questions and adds up what they cost. ok is false if one of them would be refused.
func (d *dueProfile) price(q *query) (total dp.Loss, ok bool) {
	var plans []*planner.Plan
	for _, question := range d.questions() {
		of, err := q.c.plan(q.who, question.request(q.name, d.epsilon))
		if err != nil || len(of.parts) < of.required {
			return total, false
		}
		loss, err := of.loss()
		if err != nil {
			return total, false
		}
		if total, err = total.Plus(loss); err != nil {
			return total, false
		}
		plans = append(plans, of.program.Releases...)
	}
	d.cost = cost(plans, q.study.Budget.Accounting)
	d.part = q.study.Budget.Remaining(total).Spent
	return total, true
}

// sentences describe the profiles before they are paid for.
func (all dueProfiles) sentences() []string {
	var lines []string
	for _, d := range all {
		lines = append(lines, fmt.Sprintf(
			"no profile of %s is there yet: one is taken before, once for everyone in the study. It costs %s, "+
				"beside the question's own price; limits that are not given, and errors, then follow from it",
			d.table.Name, d.priceText()))
	}
	return lines
}

// priceText is the price in four digits, with its share of the study's budget.
func (d *dueProfile) priceText() string {
	rho := ""
	if d.cost.Accounting == dp.ZCDP {
		rho = fmt.Sprintf(" (rho %.4g)", d.cost.Rho)
	}
	return fmt.Sprintf("epsilon %.4g%s, %.2g %% of the study's budget", d.cost.Epsilon, rho, 100*d.part)
}
