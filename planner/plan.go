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

// Query is what a researcher asks.
type Query struct {
	SQL string
	// Statement, if not nil, takes the place of SQL: what syntax.Parse reads of the text.
	Statement *syntax.Statement
	Ask
	// Parameters are the values of the text's parameters: of ? and $1 by their number,
	// "1", of :name by their name.
	Parameters map[string]value.Value
	// MaxEpsilon is the largest epsilon that an Accuracy may come to.
	MaxEpsilon float64
	// Least is the least that each release may cost, deltas aside, under the federation's accounting; zero: anything.
	// An Accuracy that would cost less is paid for with it; an Epsilon that would is refused.
	Least dp.Loss
	// Today is the day that CURRENT_DATE, NOW() and their like stand for, at UTC. Zero: they are refused.
	Today time.Time
	parts int // of how many releases the query is made, if more than one: Epsilon is then this release's
}

// Federation is what planning needs to know of the federation.
type Federation struct {
	Catalog    *catalog.Catalog
	Hospitals  []string // the nodes that will be asked, by name; at least 1
	Accounting dp.Accounting
	// Covered: each hospital covers its own numbers before they leave. Patients, neighbours and noise are as they are
	// without; accounting must be zCDP. Groups that nobody declared are those that one of them names by its noise.
	Covered bool
	// Masked: they can mask their numbers as well, so that each may rely on the others' noise.
	Masked bool
	// Uncounted: the study may not count values, and so it is not measured how many of a distribution clipping leaves out.
	Uncounted bool
	// Size is of how many hospitals the federation is; 0: as many as are asked.
	Size int
	// Digest is the catalog's, for callers that plan while somebody types: computing it takes as long as
	// planning. Empty: it is computed.
	Digest string
	// Likely are, by "table.column", where the values of a column without bounds lie, as far as that was released before:
	// a refusal for want of bounds proposes them. No answer depends on them.
	Likely map[string]Likely
	// Ladders are, by table, how many rows patients have, as far as that was released before: where a query does not say
	// how many rows a patient counts with, they do. By LadderOfRows they tell of the rows with one value of a column, and
	// by LadderOfGroups how many values of it patients have.
	Ladders map[string]estimate.Ladder
	// memo is what is known of the statement's queries.
	memo *fragment.Memo
}

// Likely is where nearly all values of a column lie, up to powers of two, as was released on a day.
type Likely struct {
	Lower, Upper float64
	Taken        string // the day, such as 2027-01-31
}

func (f Federation) vocabulary() *relational.Vocabulary {
	return relational.NewVocabulary(f.Catalog, f.memo)
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
	// Sites is m: at how many of the hospitals one patient may be.
	Sites int
	// Noise covers all partial aggregates of all groups as one vector.
	Noise dp.Noise
	// Cover, if not nil, says that each hospital draws a share of that noise; else the coordinator draws it.
	Cover *fragment.Cover
	// Selection says how groups with undeclared keys are released; nil where all
	// keys are declared.
	Selection *Selection
	// Aggregates are the released aggregates, each from one or two partials.
	Aggregates []Aggregate
	// Columns are the answer's columns, in order.
	Columns []Column
	// Loss is what an answer costs, at the coordinator and at each node.
	Loss dp.Loss

	// Warnings say which bias the limits and bounds are expected to cause, as far as the catalog tells.
	Warnings []string

	// ranks are the strategies of those partial aggregates that are released as such, by index; of others there is none.
	ranks map[int]*estimate.Ranks
	// places of the partial aggregates in Cell.Noisy.
	places []place
	// measured, if not nil, tells how much of the data was left out of the answer by clipping.
	measured *measured
	clamped  []clampCount // how much CLAMP moved, as measured
	// inFull says which operands were clamped since they are made of how many rows a patient has.
	inFull []string
	// noise on each partial aggregate, in its own unit; of a covered release with as many hospitals as were asked, until
	// Answered tells how many did.
	noise []dp.Distribution
	// supposed is how many values are expected in each group, as far as is public; 0: unknown.
	supposed float64
	asked    int              // hospitals
	naming   *fragment.Naming // where Selection is Local
	// settled is what is evaluated in place of each released expression: divisions have a column of their own.
	settled   map[*expr.Expr]*expr.Expr
	divisions []division
	emptiness map[int]float64 // of each tree of values, how many noise alone may make it count
	having    *expr.Expr
	order     []fragment.Order
	limit     int // -1: all
	offset    int
}

// Selection releases a group if its noisy number of patients reaches Threshold.
type Selection struct {
	Partial   int     // index of the patients partial in the fragment
	Place     int     // and in Cell.Noisy
	Delta     float64 // spent on it
	Threshold int64   // patients
	// Local: in one hospital, which names the group; else in all together.
	Local bool `json:",omitempty"`
}

// Column is one column of the answer.
type Column struct {
	Name string
	Type value.Type
	// Noisy: the column depends on released aggregates and has intervals; else it
	// is made of group keys.
	Noisy bool
	expr  *expr.Expr
}

// Ranged tells whether the column's values have an interval: noisy numbers, dates and timestamps.
func (c Column) Ranged() bool {
	return c.Noisy && (c.Type.Numeric() || c.Type == value.TypeDate || c.Type == value.TypeTimestamp)
}

type place struct{ start, end int }

// Cell is one group and its noisy partial aggregates: the Coordinates of each, in
// the fragment's order.
type Cell struct {
	Keys  []value.Value
	Noisy []int64
}

// Answer is what is released.
type Answer struct {
	Columns []Column
	Rows    [][]Estimate
	// Bias says how much of the data clipping left out, as measured, for people; empty: none.
	Bias []string
	// Notes say why numbers are missing, for people.
	Notes []string
}

// Estimate is one released value; Low and High are valid where the column is Ranged.
type Estimate struct {
	Value, Low, High value.Value
}

// Shares are the hospitals' shares of a covered release's noise, by partial aggregate, where so many answer.
func (p *Plan) Shares(hospitals int) ([]*dp.Share, error) {
	return p.Fragment.Shares(*p.Cover, hospitals, p.Noise, p.Proof)
}

// Answered tells that so many hospitals' numbers are in the release. A covered one has as many shares of noise; to any
// other it makes no difference.
func (p *Plan) Answered(hospitals int) error {
	if p.Cover == nil {
		return nil
	}
	shares, err := p.Shares(hospitals)
	for i, s := range shares {
		p.noise[i] = s.Total(hospitals)
	}
	p.settle()
	return err
}

// What the numbers of one group must be to each other, whatever the noise: MIN ≤ median ≤ MAX, a share of a whole
// between 0 and 1, no mean of nothing. All of it is computed from released numbers and the plan, so it costs nothing.

// division is an expression that divides or subtracts released numbers, and where the plan says that its value lies.
type division struct {
	expr         *expr.Expr
	lower, upper float64 // infinite where the plan says nothing
	bottom       []bottomTerm
	constant     float64 // added to the bottom's terms
	noise        float64 // how far noise may move the bottom
}

// bottomTerm is a partial aggregate that an expression is divided by, and its weight.
type bottomTerm struct {
	partial int
	weight  float64
}

// measured says which partial aggregate tells how much clipping left out, and of which.
type measured struct{ of, beyond int }

// clampCount is a CLAMP within a sum, or an average and its like, that may move values, and the partial aggregate that
// counts those.
type clampCount struct {
	partial int
	of      int          // the partial aggregate that counts all of which some are moved; -1: there is none
	sums    []*expr.Expr // what is added up
	moved   *expr.Expr   // of the rows in which a value is moved
	what    string       // what CLAMP moves, and from where to where
}
