package fragment

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/value"
)

// assumptions say what a proof may rest on, for a relation and all relations within it.
type assumptions struct {
	catalog *catalog.Catalog
	// enforced: only what the SQL itself makes true; see NewEnforced.
	enforced  bool
	noDomains bool // the domains of columns are not needed
	budget    *budget
	// hospitals are the possible values of the column hospital; nil if they are not known.
	hospitals []value.Value
}

// properties are what is known of a relation before any row is read.
type properties struct {
	table  *catalog.Table // its columns' types, Public, Patient, OneRowPerPatient
	ranges []expr.Range   // of each column of a derived relation
	sizes  []float64      // of each column of a derived relation: that of its expression, see Scope.size
	keys   [][]string     // sets of columns whose values tell rows apart
	// determinedBy says, for each column of a derived relation, what determines its value at one hospital:
	//   - perPatient: the patient, so that all rows of a patient hold one value
	//   - the column's expression, written out: the hospital's name and constants alone, so that it is the same in
	//     other relations
	//   - "": nothing of these, so that rows differ
	determinedBy []string
	// rows bounds the rows of a public relation, or the rows of a private one for each row of the patient.
	rows float64
	// multiplicity bounds how many rows of a public derived relation agree in the columns.
	multiplicity func(columns []string) (float64, error)
}

// perPatient is the value of properties.determinedBy for a column with one value per patient.
const perPatient = "patient"

// budget is the remaining work of Check on one fragment, with all relations within. Without it, a hostile fragment
// could exhaust a machine.
type budget struct {
	*expr.Budget
	*Memo
	// texts: see maxTexts.
	texts int
	// capped: rows of a patient are capped somewhere, see Cap.
	capped bool
}

// maxTexts bounds the texts that a fragment computes for one row, all together. Each counts with the most characters
// that it can have, up to MaxGrown. An engine computes a few thousand rows at once, and keeps them all.
const maxTexts = 1 << 19

// over refuses a fragment that would take too long to check. A query counts again at each level above it, and at each
// place that reads it.
func (b *budget) over() error {
	if !b.Spent() {
		return nil
	}
	return &Limit{Message: "its queries have too many operations, with those of the queries that they read each time that these are read", Hint: "ask it in several queries, or read a long query of WITH fewer times"}
}

// spendText counts a text that is computed for each row.
func (b *budget) spendText(e *expr.Expr) error {
	if b.texts -= min(e.Longest(), expr.MaxGrown); b.texts < 0 {
		return &Limit{Message: fmt.Sprintf("the texts that are computed for one row have more than %d characters in all", maxTexts), Hint: "compute fewer or shorter texts"}
	}
	return nil
}

// Multiplicity bounds how many rows of a public table of the catalog agree in the columns. Without columns, it bounds
// the number of rows.
type Multiplicity func(table string, columns []string) (float64, error)

// Memo caches the properties of queries, so that each query's properties are derived once. It belongs to one statement,
// one fragment or one compilation, and is not safe for concurrent use.
//
// A change cannot make an entry wrong: a Memo holds each query as it was when its properties were derived, and derives
// them again if the query has changed or reads another table. The limits do not depend on the cache: a query counts
// each time that it is read.
type Memo struct {
	budget *expr.Budget // of a statement; nil: each scope has one of its own
	most   Multiplicity // about public tables; nil: nothing is known of them
	kept   map[memoKey]*derivation
}

// memoKey is a query with everything else that its properties depend on.
type memoKey struct {
	query               *Query
	catalog             *catalog.Catalog
	enforced, noDomains bool
	hospitals           string
}

// derivation holds the properties of a query.
type derivation struct {
	*properties
	query  Query            // a copy, without the queries in it
	tables []*catalog.Table // that its relations read; nil for a query
	within []*derivation    // of the queries that it reads
	levels int              // of queries, it among them
	texts  int              // characters that it spends of budget.texts
	visits int              // that it spends of an expr.Budget
	capped bool             // see budget.capped
}

// NewMemo returns an empty Memo. Checks are charged to b, the budget of a statement; nil: each scope has its own.
func NewMemo(b *expr.Budget) *Memo { return &Memo{budget: b, kept: map[memoKey]*derivation{}} }

// assumed returns assumptions that include the catalog's promises and the filters.
func (m *Memo) assumed(c *catalog.Catalog) assumptions {
	return assumptions{catalog: c, budget: m.newBudget()}
}

// newBudget returns the budget of one scope.
func (m *Memo) newBudget() *budget {
	b := &budget{Budget: m.budget, Memo: m, texts: maxTexts}
	if b.Budget == nil {
		b.Budget = expr.NewScopeBudget()
	}
	return b
}

func (d *Query) memoKey(on assumptions) memoKey {
	return memoKey{d, on.catalog, on.enforced, on.noDomains, joinedNames(on.hospitals)}
}

func joinedNames(hospitals []value.Value) string {
	all := ""
	for _, h := range hospitals {
		all += h.Str() + "\x00"
	}
	return all
}

// recall returns the cached properties of a query at a depth, and spends what deriving them spent. It returns nil if
// they must be derived: nothing is cached, or a limit is near, whose error only the derivation can give.
func (on assumptions) recall(d *Query, depth int) *properties {
	b := on.budget
	k := b.kept[d.memoKey(on)]
	if k == nil || depth+k.levels > maxDerivedDepth+1 || k.texts > b.texts || k.visits > b.Left() ||
		!k.holds(d, on.catalog) {
		return nil
	}
	b.texts -= k.texts
	b.Spend(k.visits)
	b.capped = b.capped || k.capped
	return k.properties
}

// holds reports whether the query is the same as when its properties were derived.
func (k *derivation) holds(d *Query, c *catalog.Catalog) bool {
	was := &k.query
	if d.Grouped != was.Grouped || d.SetOp != was.SetOp || d.Patient != was.Patient || !d.Filter.Equal(was.Filter) ||
		!slices.EqualFunc(d.Columns, was.Columns, Output.Equal) || !slices.Equal(d.Inputs, was.Inputs) ||
		len(d.Relations) != len(was.Relations) {
		return false
	}
	for i, r := range d.Relations {
		o := was.Relations[i]
		if r.Name != o.Name || r.Table != o.Table || r.Query != o.Query || r.Join != o.Join || !r.On.Equal(o.On) ||
			k.tables[i] != tableOf(r, c) {
			return false
		}
	}
	for i, input := range d.queries() {
		if !k.within[i].holds(input, c) {
			return false
		}
	}
	return true
}

// queries lists the queries that a query reads.
func (d *Query) queries() []*Query {
	all := slices.Clone(d.Inputs)
	for _, r := range d.Relations {
		if r.Query != nil {
			all = append(all, r.Query)
		}
	}
	return all
}

// tableOf returns the table that a relation reads, or nil for a query.
func tableOf(r Relation, c *catalog.Catalog) *catalog.Table {
	if r.Query != nil {
		return nil
	}
	t, _ := c.Table(r.Table)
	return t
}

// derived returns recalled properties, or calls derive and keeps its result. It keeps nothing for constants: lists of
// them are long, and deriving their properties is fast.
func (on assumptions) derived(d *Query, depth int, derive func() (*properties, error)) (*properties, error) {
	if d.Constant() {
		return derive()
	}
	if p := on.recall(d, depth); p != nil {
		return p, nil
	}
	b := on.budget
	texts, visits, capped := b.texts, b.Left(), b.capped
	b.capped = false
	p, err := derive()
	mine := b.capped
	b.capped = capped || mine
	if err != nil {
		return nil, err
	}
	k := d.asItIs(on.catalog)
	k.properties, k.texts, k.visits, k.capped = p, texts-b.texts, visits-b.Left(), mine
	for _, q := range d.queries() {
		in := b.kept[q.memoKey(on)] // it has just been derived or recalled
		if q.Constant() {
			in = q.asItIs(on.catalog)
		}
		k.within, k.levels = append(k.within, in), max(k.levels, in.levels+1)
	}
	b.kept[d.memoKey(on)] = k
	return p, nil
}

// asItIs copies a query, without the queries in it and without expressions, which never change.
func (d *Query) asItIs(c *catalog.Catalog) *derivation {
	k := &derivation{query: *d, levels: 1}
	k.query.Relations, k.query.Inputs = slices.Clone(d.Relations), slices.Clone(d.Inputs)
	k.query.Columns = slices.Clone(d.Columns)
	for i := range k.query.Columns {
		k.query.Columns[i].own()
	}
	for _, r := range d.Relations {
		k.tables = append(k.tables, tableOf(r, c))
	}
	return k
}

// own copies what an output shares, except expressions, which never change.
func (o *Output) own() {
	if o.Grid != nil {
		grid := *o.Grid
		o.Grid = &grid
	}
	if o.Window == nil {
		return
	}
	w := *o.Window
	if w.Frame != nil {
		frame := *w.Frame
		w.Frame = &frame
	}
	w.Partition, w.Order, w.Ties = slices.Clone(w.Partition), slices.Clone(w.Order), slices.Clone(w.Ties)
	o.Window = &w
}
