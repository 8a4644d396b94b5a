package engine

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/stream"
)

// The catalog promises that keys identify rows and that some tables have one row for each patient. Proofs use these
// promises, but a promise is not a bound. So a fragment relies only on what is sure for the rows that it reads:
//
//   - a constraint that the database enforces; the statement itself checks that it still exists (PostgreSQL);
//   - a check of a state of the data that has an exact name, which is the same before and after the statement (DuckDB);
//   - otherwise nothing: the statement groups by patient and clips each patient to the declared limits, whatever the
//     data holds.
//
// A statement needs the keys by which rows reach their patient, and those that order a patient's rows. If they are not
// sure by one of the first two rules, the statement also searches for rows with equal keys, and is not answered if it
// finds any.

// promises says which of the catalog's promises about a table are sure.
type promises struct{ key, oneRow bool }

// verifiedState is what is known about one state of the data.
type verifiedState struct {
	turn  chan struct{} // a lock: holds one element while somebody uses the other fields
	state string
	sure  map[string]promises // by table
}

// enforced returns the promises that the database itself enforces for a table, by its schema when it was opened.
func (e *Engine) enforced(t *catalog.Table) promises {
	key := !e.views[t.Name].keyless && e.views[t.Name].identified(e.driver, t)
	return promises{key, key && t.OneRowPerPatient && slices.Equal(t.Key, []string{t.Patient}) && e.catalog.IsPatientID(t.Name, t.Patient)}
}

// verifyPromises reads the rows of a table. It returns the promises that hold, and the contradictions.
func (e *Engine) verifyPromises(ctx context.Context, t *catalog.Table) (promises, []Finding, error) {
	v := e.views[t.Name]
	keys, err := e.verifyKey(ctx, t)
	if err != nil {
		return promises{}, nil, err
	}
	rows, err := e.verifyOneRow(ctx, t)
	if err != nil {
		return promises{}, nil, err
	}
	whole := !v.keyless && len(t.Key) > 0 && !slices.ContainsFunc(t.Key, func(k string) bool { _, ok := v.columns[k]; return !ok })
	return promises{whole && len(keys) == 0, t.OneRowPerPatient && len(rows) == 0}, append(keys, rows...), nil
}

var errChanged = errors.New("the data changed while it was read")

// changed is the fault of data that changed while it was read.
func changed(ctx context.Context) error {
	return NewFault(ctx, "the data changed while it was read; ask again once it is whole", errChanged)
}

// name returns the name of the data's state; empty if it has none.
func (e *Engine) name(ctx context.Context) (string, error) {
	if e.state == nil {
		return "", nil
	}
	state, err := e.state(ctx)
	if err != nil {
		return "", NewFault(ctx, "the state of the data cannot be told: a file cannot be read", err)
	}
	return state, nil
}

// remember caches what was found, if the data was in the same state before and after.
func (e *Engine) remember(ctx context.Context, state string, sure map[string]promises) error {
	if now, err := e.name(ctx); err != nil || state == "" || now != state {
		return err
	}
	select {
	case e.known.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.known.turn }()
	if e.known.state != state {
		e.known.state, e.known.sure = state, map[string]promises{}
	}
	for t, p := range sure {
		e.known.sure[t] = p
	}
	return nil
}

// sure returns what is sure about the tables that a fragment reads, and the state of the data in which it is. It checks
// the rows of tables that are not known yet.
func (e *Engine) sure(ctx context.Context, f *fragment.Fragment) (state string, sure map[string]promises, err error) {
	sure = map[string]promises{}
	if state, err = e.name(ctx); err != nil {
		return "", nil, err
	}
	select {
	case e.known.turn <- struct{}{}:
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	defer func() { <-e.known.turn }()
	for _, name := range f.Tables() {
		t, ok := e.catalog.Table(name)
		if !ok || e.views[t.Name] == nil {
			continue // the compiler refuses it
		}
		p, known := e.known.sure[t.Name]
		switch {
		case state == "" || !e.views[t.Name].Lasting:
			p = e.enforced(t)
		case known && e.known.state == state:
		default:
			if p, _, err = e.verifyPromises(ctx, t); err != nil {
				return "", nil, err
			}
			if now, err := e.name(ctx); err != nil || now != state {
				return "", nil, errors.Join(err, changed(ctx))
			}
			if e.known.state != state {
				e.known.state, e.known.sure = state, map[string]promises{}
			}
			e.known.sure[t.Name] = p
		}
		sure[t.Name] = p
	}
	return state, sure, nil
}

// assumed returns what would be sure if every promise that can be checked held. It reads no data.
func (e *Engine) assumed(f *fragment.Fragment) map[string]promises {
	sure := map[string]promises{}
	for _, name := range f.Tables() {
		if t, ok := e.catalog.Table(name); ok && e.views[t.Name] != nil {
			sure[t.Name] = promises{true, true}
			if e.state == nil || !e.views[t.Name].Lasting {
				sure[t.Name] = e.enforced(t)
			}
		}
	}
	return sure
}

// weakened returns the catalog without the promises that are not sure for the tables that a fragment reads. It keeps
// the keys that the statement itself checks.
func (e *Engine) weakened(f *fragment.Fragment, sure map[string]promises, looked []string) *catalog.Catalog {
	weak := *e.catalog
	weak.Tables = slices.Clone(weak.Tables)
	for i, t := range weak.Tables {
		if !slices.Contains(f.Tables(), t.Name) {
			continue
		}
		less := *t
		if !sure[t.Name].key && !slices.Contains(looked, t.Name) {
			less.Key = nil
		}
		less.OneRowPerPatient = less.OneRowPerPatient && sure[t.Name].oneRow
		weak.Tables[i] = &less
	}
	return &weak
}

// prepared is a fragment in its executable form.
type prepared struct {
	sql     string
	keyed   bool                // it has the secret key as parameters
	guarded bool                // its last column tells whether a key or constraint that it relies on is broken
	read    map[string][]string // by table of the catalog, the columns that it reads
	// rows and plan are for a Streamer; plan is nil if the SQL alone computes the fragment. guard is empty unless it is
	// guarded.
	rows  string
	guard string
	plan  *stream.Plan
}

// prepare writes the SQL of a fragment with proof p. The SQL keeps the sizes that p declares, and relies only on what
// is sure.
func (e *Engine) prepare(f *fragment.Fragment, p *fragment.Proof, sure map[string]promises) (prepared, error) {
	looked := e.leading(f, sure)
	q, err := fragment.Check(f, e.weakened(f, sure, nil))
	if err != nil { // an order needs a key
		for _, name := range f.Tables() {
			if t, ok := e.catalog.Table(name); ok && len(t.Key) > 0 && !sure[t.Name].key && !slices.Contains(looked, t.Name) {
				looked = append(looked, t.Name)
			}
		}
		if q, err = fragment.Check(f, e.weakened(f, sure, looked)); err != nil {
			return prepared{}, err
		}
	}
	read := map[string][]string{}
	target := e.target()
	target.Table = e.noting(read, sure)
	weaker := p.Weaker(f, q)
	text, err := target.Fragment(f, weaker)
	if err != nil {
		return prepared{}, err
	}
	out := prepared{sql: text, keyed: p.Capped, read: read}
	if _, ok := e.driver.(Streamer); ok {
		if out.rows, out.plan, err = target.Stream(f, weaker); err != nil {
			return prepared{}, err
		}
	}
	var broken []string
	for _, name := range f.Tables() {
		t, _ := e.catalog.Table(name)
		v := e.views[t.Name]
		switch {
		case slices.Contains(looked, t.Name):
			key, err := e.reading("t", t, t.Key...)
			if err != nil {
				return prepared{}, err
			}
			broken = append(broken, "EXISTS (SELECT 1 FROM "+e.from(t, t.Key, "t")+" GROUP BY "+strings.Join(key, ", ")+" HAVING count(*) > 1)")
		case sure[t.Name].key && v.Enforced != nil:
			broken = append(broken, "NOT "+v.Enforced(v.local(t.Key)))
		}
	}
	if out.guarded = len(broken) > 0; out.guarded {
		out.guard = "SELECT (" + strings.Join(broken, " OR ") + ") AS broken"
		if e.dialect != compile.PostgreSQL { // PostgreSQL has snapshots; elsewhere one statement must both check and answer
			out.plan = nil
		}
		// not indented: a text in it may have several lines
		out.sql = "SELECT a.*, (" + strings.Join(broken, " OR ") + ") AS broken\nFROM (\n" + text + "\n) AS a"
		for i := range f.Keys {
			if i == 0 {
				out.sql += "\nORDER BY "
			} else {
				out.sql += ", "
			}
			out.sql += strconv.Itoa(i + 1)
		}
	}
	return out, nil
}

// leading lists the tables whose keys link rows of the fragment to their patient and are not sure.
func (e *Engine) leading(f *fragment.Fragment, sure map[string]promises) []string {
	var names []string
	for _, name := range f.Tables() {
		t, ok := e.catalog.Table(name)
		if !ok || t.Public {
			continue
		}
		path, err := e.catalog.PatientPath(t)
		if err != nil {
			continue
		}
		for _, step := range path[1:] {
			if !sure[step.Table].key && !slices.Contains(names, step.Table) && slices.Contains(f.Tables(), step.Table) {
				names = append(names, step.Table)
			}
		}
	}
	return names
}

var errBroken = errors.New("a key of the catalog does not hold in the data")

// Broken is the fault of data that contradicts the catalog.
func Broken(ctx context.Context) error {
	return NewFault(ctx, "a table contradicts the catalog: its key is in several rows, or is not enforced any more; run intramuros catalog check, then start the node anew", errBroken)
}
