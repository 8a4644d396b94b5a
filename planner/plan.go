package planner

import (
	"time"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/relational"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Query is a researcher's query and its settings.
type Query struct {
	SQL string
	// Statement, if not nil, replaces SQL: it is what syntax.Parse made of the text.
	Statement *syntax.Statement
	Ask
	// Parameters are the values of the text's parameters. The name of ? and $1 is their number, "1"; that of :name is
	// "name".
	Parameters map[string]value.Value
	// MaxEpsilon is the largest epsilon that an Accuracy may lead to.
	MaxEpsilon float64
	// Least is the least that each release may cost under the federation's accounting, deltas aside; zero allows anything.
	// If an Accuracy would cost less, it is charged Least. If an Epsilon would, it is refused.
	Least dp.Loss
	// Today is the day, in UTC, that CURRENT_DATE, NOW() and the like stand for. Zero: they are refused.
	Today time.Time
	parts int // the number of the query's releases, if above 1: Epsilon is then the share of one
}

// Federation is what planning needs to know about the federation.
type Federation struct {
	Catalog    *catalog.Catalog
	Hospitals  []string // the nodes that will be asked, by name; at least 1
	Accounting dp.Accounting
	// Covered: each hospital adds its share of the noise before its numbers leave. Patients, neighbouring data and the
	// total noise stay the same. Accounting must be zCDP. A group that is not declared is released if one hospital names
	// it after noise.
	Covered bool
	// Masked: the hospitals can also mask their numbers, so that each may rely on the others' noise.
	Masked bool
	// Uncounted: the study may not count values, so the plan does not measure how many values of a distribution clipping
	// leaves out.
	Uncounted bool
	// Size is the number of hospitals in the federation; 0: as many as are asked.
	Size int
	// Digest is the catalog's digest, for callers that plan while somebody types: computing it takes as long as planning.
	// If empty, it is computed.
	Digest string
	// Likely tells where the values of a column without bounds lie, if an earlier release told it. A
	// refusal for missing bounds proposes them. No answer depends on them.
	Likely map[ColumnOf]Likely
	// Ladders tell how many rows, or groups, patients have, if an earlier release told it. They set the row limit if a
	// query gives none.
	Ladders map[LadderOf]estimate.Ladder
	// memo keeps what was derived about the statement's queries.
	memo *fragment.Memo
	// first plans releases that are made ahead; see relational.Vocabulary.
	first func(q *syntax.Query, within *relational.Scope) *expr.Expr
}

// LadderOf says what a ladder counts for each patient: the rows of a table; the rows with one value of a column, in its
// written form; or, with Groups, the values of the column.
type LadderOf struct {
	Table, Column, Value string
	Groups               bool
}

// ColumnOf names a table's column.
type ColumnOf struct{ Table, Column string }

// Likely is the range, up to powers of two, in which nearly all values of a column lie. It was released on a certain
// day.
type Likely struct {
	Lower, Upper float64
	Taken        string // the day, such as 2027-01-31
}

func (f Federation) vocabulary() *relational.Vocabulary {
	v := relational.NewVocabulary(f.Catalog, f.memo)
	v.First = f.first
	return v
}

func (f Federation) digest() string {
	if f.Digest != "" {
		return f.Digest
	}
	return f.Catalog.Digest()
}

// Plan is a query ready to run.
type Plan struct {
	Fragment *fragment.Fragment
	Proof    *fragment.Proof
	// Sites is m: the largest number of hospitals that one patient may be known to.
	Sites int
	// Noise is added to all partial aggregates of all groups as one vector.
	Noise dp.Noise
	// Cover, if not nil, says that each hospital draws a share of that noise. Otherwise the coordinator draws all of it.
	Cover *fragment.Cover
	// Selection says how groups with undeclared keys are released. It is nil if all keys are declared.
	Selection *Selection
	// Aggregates are the released aggregates. Each reads one or more partials.
	Aggregates []Aggregate
	// Columns are the answer's columns, in order.
	Columns []Column
	// Loss is what the answer costs, at the coordinator and at each node.
	Loss dp.Loss

	// Warnings say which bias the limits and bounds are expected to cause, as far as the catalog tells.
	Warnings []string

	// ranks are the strategies of the partial aggregates that are released as ranks, by index.
	ranks map[int]*estimate.Ranks
	// places are where the partial aggregates stand in Cell.Noisy.
	places []place
	// measured, if not nil, says how it is measured what clipping left out.
	measured *measured
	clamped  []clampCount // how it is measured what CLAMP moved
	// inFull are the operands that were clamped since they are made of how many rows a patient has.
	inFull []inFull
	// noise is the noise on each partial aggregate, in its own unit. For a covered release it assumes that all hospitals
	// that were asked will answer, until Answered tells how many did.
	noise []dp.Distribution
	// supposed is the expected number of values in each group, as far as it is public; 0: unknown.
	supposed float64
	most     float64          // that there may be at most, likewise
	evenly   bool             // a quantile is to be as accurate as that of values spread evenly over their bounds
	asked    int              // the number of hospitals asked
	naming   *fragment.Naming // set if Selection is Local
	// settled is what is evaluated instead of each released expression: divisions are columns of their own in it.
	settled   map[*expr.Expr]*expr.Expr
	divisions []division
	emptiness map[int]float64 // by tree of values: how many values noise alone may make it count
	having    *expr.Expr
	order     []fragment.Order
	limit     int // -1: all
	offset    int
}

// Selection releases a group if its noisy number of patients is at least Threshold.
type Selection struct {
	Partial   int     // index of the patients partial in the fragment
	Place     int     // index of the same in Cell.Noisy
	Delta     float64 // spent on it
	Threshold int64   // patients
	// Local: the number is of one hospital, which names the group; otherwise of all hospitals together.
	Local bool `json:",omitempty"`
}

// Column is one column of the answer.
type Column struct {
	Name string
	Type value.Type
	// Noisy: the column depends on released aggregates and has intervals. Otherwise it is made of group keys.
	Noisy bool
	expr  *expr.Expr
}

// Ranged reports whether the column's values have an interval. Noisy numbers, dates and timestamps do.
func (c Column) Ranged() bool {
	return c.Noisy && (c.Type.Numeric() || c.Type == value.TypeDate || c.Type == value.TypeTimestamp)
}

type place struct{ start, end int }

// Cell is one group with its noisy partial aggregates: the Coordinates of each, in the fragment's order.
type Cell struct {
	Keys  []value.Value
	Noisy []int64
}

// Answer is what is released.
type Answer struct {
	Columns []Column
	Rows    [][]Estimate
	// Bias says, for people, how much of the data clipping left out, as measured. It is empty if there is none.
	Bias []string
	// Notes say, for people, why numbers are missing.
	Notes []string
}

// Estimate is one released value. Low and High are valid if the column is Ranged.
type Estimate struct {
	Value, Low, High value.Value
}

// Shares are the shares of noise that each hospital adds to a covered release, by partial aggregate, if that many
// answer.
func (p *Plan) Shares(hospitals int) ([]*dp.Share, error) {
	return p.Fragment.Shares(*p.Cover, hospitals, p.Noise, p.Proof)
}

// Answered tells the plan how many hospitals' numbers are in the release. A covered release then has that many shares
// of noise. Other releases do not depend on it.
func (p *Plan) Answered(hospitals int) error {
	if p.Cover == nil {
		return nil
	}
	shares, err := p.Shares(hospitals)
	for i, s := range shares {
		p.noise[i] = s.Total(hospitals)
	}
	p.findDivisions()
	return err
}

// The types below describe how the numbers of one group must relate to each other, whatever the noise: MIN ≤ median ≤
// MAX, a share of a whole is between 0 and 1, a mean of nothing has no value. All of it is computed from released
// numbers and the plan, so it costs nothing.

// division is an expression that divides or subtracts released numbers, with the bounds of its value by the plan.
type division struct {
	expr         *expr.Expr
	lower, upper float64 // infinite if the plan tells none
	bottom       []bottomTerm
	constant     float64 // added to the terms of the divisor
	noise        float64 // how far noise may move the divisor
}

// bottomTerm is a partial aggregate in a divisor, with its weight.
type bottomTerm struct {
	partial int
	weight  float64
}

// inFull is what an operand was clamped to, and the text about it.
type inFull struct {
	clamped    *expr.Expr
	name, text string
}

// measured says which partial aggregate (beyond) tells how much clipping left out of which other (of).
type measured struct{ of, beyond int }

// clampCount is a CLAMP within a sum, an average or the like that may move values, and the partial aggregate that
// counts those values.
type clampCount struct {
	partial int
	of      int          // the partial aggregate that counts all values, moved or not; -1 if there is none
	sums    []*expr.Expr // what is added up
	moved   *expr.Expr   // the condition that a value is moved
	what    string       // what CLAMP moves, from where to where
	said    string       // what the warning names: CLAMP, or max_rows if the query has no CLAMP
}
