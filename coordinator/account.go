package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/study"
)

// afterTimeout is how long a reservation stays after its query's time limit.
const afterTimeout = time.Minute

// caps are the budgets that bound a researcher's query under a study: the study's first, then the researcher's own over
// all studies, if there is one.
func (c *Coordinator) caps(who Researcher, name string, terms *study.Document) []ledger.Cap {
	caps := []ledger.Cap{{Scope: "study:" + name, Budget: terms.Budget}}
	if own := c.config.Researchers[who.Name].Budget; own != nil {
		caps = append(caps, ledger.Cap{Scope: "researcher:" + who.Name, Budget: *own})
	}
	return caps
}

// Balance is a budget and what is left of it.
type Balance struct {
	Budget    dp.Budget
	Remaining dp.Remaining
	spent     dp.Loss // including reservations
}

// balances returns what is left under each cap, in the order of caps.
func (c *Coordinator) balances(ctx context.Context, caps []ledger.Cap) ([]Balance, error) {
	var all []Balance
	for _, limit := range caps {
		charged, reserved, err := c.ledger.Spent(ctx, limit.Scope)
		if err != nil {
			return nil, err
		}
		spent, err := charged.Plus(reserved)
		if err != nil {
			return nil, err
		}
		all = append(all, Balance{limit.Budget, limit.Budget.Remaining(spent), spent})
	}
	return all, nil
}

func (q *query) left(ctx context.Context) ([]Balance, error) {
	return q.c.balances(ctx, q.c.caps(q.who, q.name, q.study))
}

// reserve reserves the loss in the coordinator's own ledger.
func (q *query) reserve(ctx context.Context, loss dp.Loss) (string, error) {
	detail, err := json.Marshal(map[string]any{"sql": q.sql, "plan": q.plan.Fingerprint(), "noise": q.plan.Noise, "selection": q.plan.Selection})
	if err != nil {
		return "", err
	}
	id, err := q.c.ledger.Reserve(ctx, ledger.Reservation{
		Study: q.name, Researcher: q.who.Name, Query: q.id, Loss: loss, Detail: detail, Text: q.sentence(),
		Caps:    q.c.caps(q.who, q.name, q.study),
		Expires: q.c.now().Add(q.c.config.QueryTimeout + afterTimeout),
	})
	if errors.Is(err, dp.ErrBudgetExhausted) {
		// The ledger's error names scope, cost and what is left. All of these are public.
		q.recordRefusal(ctx, err)
		return "", &Error{
			Code: CodeBudgetExhausted, Message: strings.TrimSuffix(firstLine(err), "; ask with a smaller epsilon"),
			Hint: q.affordable(ctx) + "; a query that was answered before costs nothing to repeat", cause: err,
		}
	}
	return id, err
}

// recordRefusal records in the ledger that a budget refused the query, unless the researcher's refusals have used up
// their share of the ledger's bytes.
func (q *query) recordRefusal(ctx context.Context, why error) {
	e := ledger.Entry{
		Kind: ledger.KindRefuse, Study: q.name, Researcher: q.who.Name, Query: q.id, Loss: q.plan.Loss,
		Text: fmt.Sprintf("Refused, the privacy budget does not allow it: %s (%s)", q.sentence(), firstLine(why)),
	}
	if !q.c.refused.Take(q.name+" "+q.who.Name, e.Bytes(), q.c.now()) {
		return
	}
	if err := q.c.ledger.Record(context.WithoutCancel(ctx), e); err != nil {
		q.c.log.Error("the ledger did not take a refusal", slog.String("query", q.id), slog.Any("error", err))
	}
}

// affordable says what one more query may cost, in the unit in which researchers ask.
func (q *query) affordable(ctx context.Context) string {
	left, err := q.left(ctx)
	if err != nil {
		return "ask with a smaller epsilon"
	}
	least := math.Inf(1)
	for _, b := range left {
		least = min(least, math.Floor(b.Remaining.Epsilon*1000)/1000)
	}
	if least == 0 {
		return "next to nothing is left"
	}
	return fmt.Sprintf("ask with an epsilon of at most %g", least)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// charge spends the reservation for good. The charge is durable when it returns nil.
func (q *query) charge(ctx context.Context, reservation string) error {
	var names []string
	for _, p := range q.parts {
		names = append(names, p.hospital.Name)
	}
	detail, err := json.Marshal(map[string]any{"sql": q.sql, "plan": q.plan.Fingerprint(), "hospitals": names})
	if err != nil {
		return err
	}
	return q.c.ledger.Charge(ctx, reservation, detail)
}

// giveBack returns the reservation of a query that no hospital runs. A reservation that is not given back expires.
func (q *query) giveBack(ctx context.Context, reservation string) {
	if err := q.c.ledger.Abandon(context.WithoutCancel(ctx), reservation); err != nil {
		q.c.log.Error("reservation not given back; it will run out", slog.String("query", q.id), slog.Any("error", err))
	}
}

// answerEntry is the ledger's entry for an answer that is about to leave.
func (q *query) answerEntry(key string) (ledger.Entry, error) {
	detail, err := json.Marshal(map[string]any{"answer": key, "hospitals": len(q.parts)})
	return ledger.Entry{
		Kind: ledger.KindAnswer, Study: q.name, Researcher: q.who.Name, Query: q.id, Detail: detail,
		Text: fmt.Sprintf("The noisy answer was released to %s, from %d of %d hospitals.", q.who.Name, len(q.parts), len(q.c.config.Hospitals)),
	}, err
}

// sentence describes in plain words what is asked.
func (q *query) sentence() string {
	return fmt.Sprintf("%s asks, under the study %s, for aggregates over %s, covered by %s noise of epsilon %g.",
		q.who.Name, q.name, strings.Join(q.plan.Fragment.Tables(), ", "), q.plan.Noise.Mechanism, q.plan.Noise.Epsilon)
}
