package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// run runs the query from the choice of hospitals to the noisy cells, which it finds stored or computes. Every return
// before the charge gives back the reservations. No return after the charge does.
func (q *query) run(ctx context.Context) (cells []planner.Cell, stored bool, err error) {
	if len(q.parts) < q.required {
		return nil, false, q.tooFew(CodeHospitalMissing, q.missing)
	}
	key := q.cellsKey()
	if cells, ok, err := q.storedCells(ctx, key); ok || err != nil {
		return cells, ok, err
	}
	if q.storedOnly {
		return nil, false, &Error{
			Code: CodeNotStored, Message: "this question has no stored answer over the data as it is now",
			Hint: "ask without `stored_only`; that costs what a new answer costs",
		}
	}
	loss, err := q.request()
	if err != nil {
		return nil, false, err
	}
	reservation, err := q.reserve(ctx, loss)
	if err != nil {
		return nil, false, err
	}
	asked := q.parts
	defer func() {
		q.abandon(ctx, asked)
		if !q.charged {
			q.giveBack(ctx, reservation)
		}
	}()

	q.prepare(ctx, loss)
	before := len(q.missing)
	q.dropFailed()
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if len(q.parts) < q.required {
		return nil, false, q.tooFew(CodeHospitalRefused, q.missing[before:])
	}
	if now := q.cellsKey(); now != key { // other hospitals, or newer data than the roster knew
		if cells, ok, err := q.storedCells(ctx, now); ok || err != nil {
			return cells, ok, err
		}
	}

	if err := q.charge(ctx, reservation); err != nil {
		return nil, false, err
	}
	q.charged = true
	cells, err = q.compute(ctx)
	q.caveats = caveats{}
	for _, p := range q.parts {
		q.caveats.add(q.c.catalog, p.hospital.Name, p.caveats)
	}
	return cells, false, err
}

// compute has the hospitals run the query, adds up their answers, and adds noise to the sums. The checkpoints of the
// hospitals' ledgers are stored with the answer, or by this function if there is no answer.
func (q *query) compute(ctx context.Context) (cells []planner.Cell, err error) {
	known := map[string]*ledger.Checkpoint{}
	for _, p := range q.parts {
		known[p.hospital.Name] = q.c.keptCheckpoint(ctx, p.hospital.Name)
	}
	sums, err := q.execute(ctx)
	shown := map[string]ledger.Checkpoint{}
	for _, p := range q.parts {
		if p.checkpoint != nil {
			shown[p.hospital.Name] = *p.checkpoint
		}
	}
	q.checkpoints = q.c.newerCheckpoints(shown, known, 0)
	defer func() {
		if err != nil {
			q.keepHospitalCheckpoints(ctx)
		}
	}()
	before := len(q.missing)
	q.dropFailed()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, errTooManyGroups) || errors.Is(err, errTooManyNames) {
		return nil, &Error{
			Code: Code(planner.CodeTooLarge), Message: "the query makes more groups than can be held at once",
			Hint: "group by fewer or coarser keys",
		}
	}
	if len(q.parts) < q.required || errors.Is(err, errUnsealed) {
		failed := slices.DeleteFunc(slices.Clone(q.missing[before:]), func(a Absence) bool { return a.Code == absentCanceled })
		if !slices.ContainsFunc(failed, func(a Absence) bool { return a.Code != absentTimeout }) {
			return nil, q.tooFew(CodeTimeout, failed) // a hospital keeps our deadline, and may look at its clock first
		}
		return nil, q.tooFew(CodeHospitalFailed, failed)
	}
	if err != nil {
		return nil, err
	}
	answered := map[string]bool{}
	for _, p := range q.parts {
		answered[p.hospital.Name] = true
	}
	cells, err = q.c.release(ctx, q.plan, sums)
	return slices.DeleteFunc(cells, func(c planner.Cell) bool { return ofAbsent(q.plan.Fragment.Keys, c.Keys, answered) }), err
}

// keepHospitalCheckpoints stores the checkpoints of the hospitals' ledgers if no answer does.
func (q *query) keepHospitalCheckpoints(ctx context.Context) {
	if err := q.c.ledger.Keep(context.WithoutCancel(ctx), q.checkpoints...); err != nil {
		q.c.log.Error("the hospitals' checkpoints were not kept", slog.String("query", q.id), slog.Any("error", err))
	}
}

// ofAbsent reports whether a group belongs to a hospital that has not answered, so its numbers would be nobody's.
func ofAbsent(keys []fragment.Key, group []value.Value, answered map[string]bool) bool {
	for i, k := range keys {
		if k.Expr.Op == expr.OpHospital && !answered[group[i].Str()] {
			return true
		}
	}
	return false
}
