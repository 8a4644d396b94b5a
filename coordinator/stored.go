package coordinator

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/ledger"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// cellsKey names the noisy cells of a release: SHA-256 of everything that they depend on. Post-processing does not
// count. So the same plan over the same data at the same hospitals gives the same noise and costs once, however the
// query is written and whoever in the study asks.
func (q *query) cellsKey() string {
	type site struct{ Name, DataVersion string }
	of := struct {
		Form, Study, Plan string
		Sites             []site
	}{Form: "intramuros cells 1", Study: q.name, Plan: q.plan.Fingerprint()}
	for _, p := range q.parts {
		of.Sites = append(of.Sites, site{p.hospital.Name, p.hospital.DataVersion})
	}
	slices.SortFunc(of.Sites, func(a, b site) int { return cmp.Compare(a.Name, b.Name) })
	b, err := json.Marshal(of)
	if err != nil {
		panic(err) // encoding texts cannot fail
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// storedForm is version 1 of released cells in the ledger's store.
type storedForm struct {
	Version int          `json:"version"`
	Query   string       `json:"query"` // the query that first drew them
	Cells   []storedCell `json:"cells"`
	// Caveats are what the hospitals reported when they answered.
	Caveats caveats `json:"caveats,omitempty"`
}

type storedCell struct {
	Keys  []value.Value `json:"keys"`
	Noisy []int64       `json:"noisy"`
}

// storedCells returns the cells that were released under the key, if there are any. It restores the hospitals' caveats.
func (q *query) storedCells(ctx context.Context, key string) ([]planner.Cell, bool, error) {
	b, ok, err := q.c.ledger.Answer(ctx, key)
	if !ok || err != nil {
		return nil, false, err
	}
	var f storedForm
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, false, fmt.Errorf("a stored answer cannot be read: %w", err)
	}
	if f.Version != 1 {
		return nil, false, fmt.Errorf("a stored answer has version %d; this coordinator reads version 1", f.Version)
	}
	cells := make([]planner.Cell, len(f.Cells))
	for i, c := range f.Cells {
		cells[i] = planner.Cell{Keys: c.Keys, Noisy: c.Noisy}
	}
	q.caveats = f.Caveats
	return cells, true, nil
}

// store stores released cells and the hospitals' checkpoints, durably, and returns the cells to show. If the same
// question was answered in the meantime, these are the cells of that answer. The hospitals that answered are part of
// the key: with one fewer it is another question.
func (q *query) store(ctx context.Context, cells []planner.Cell) ([]planner.Cell, error) {
	f := storedForm{Version: 1, Query: q.id, Cells: make([]storedCell, len(cells)), Caveats: q.caveats}
	for i, c := range cells {
		f.Cells[i] = storedCell{c.Keys, c.Noisy}
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	key := q.cellsKey()
	entry, err := q.answerEntry(key)
	if err != nil {
		return nil, err
	}
	err = q.c.ledger.Release(ctx, key, b, entry, q.checkpoints...)
	if errors.Is(err, ledger.ErrAnswerExists) {
		cells, _, err = q.storedCells(ctx, key)
	}
	if err != nil {
		return nil, err
	}
	return cells, nil
}

// keepAs stores v with the answers, durably, under a new key that begins with the form.
func (c *Coordinator) keepAs(ctx context.Context, form string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.ledger.StoreAnswer(ctx, form+newID(), b)
}

// eachKept passes everything that keepAs stored under a form to take.
func eachKept[T any](ctx context.Context, l *ledger.Ledger, form string, take func(T)) error {
	stored, err := l.AnswersOf(ctx, form)
	if err != nil {
		return err
	}
	for _, b := range stored {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("what is stored as %q cannot be read: %w", form, err)
		}
		take(v)
	}
	return nil
}
