package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/clamp"
	"github.com/intramuros/intramuros/planner/estimate"
)

// splitBudget gives each partial aggregate its share of the budget. A share is the largest weight of the columns that
// read it. All shares are divided by their greatest common divisor.
//
// Without weights all shares are equal, except those of function.shares.
func (b *builder) splitBudget() {
	p := b.plan
	if len(b.query.Weights) == 0 {
		b.usualShares()
		return
	}
	shares := make([]int, len(p.Fragment.Partials))
	unused := len(b.query.Weights)
	for _, w := range b.query.Weights {
		if w < 1 || w > maxWeight {
			refuse(CodeParameter, Position{Line: 1, Column: 1}, "give weights from 1 to 1000", "a weight is out of range")
		}
	}
	seen := map[string]bool{}
	for _, c := range p.Columns {
		name := c.Name
		w, ok := b.query.Weights[name]
		if !ok {
			name, _, _ = strings.Cut(name, " [") // a bin of a histogram
			w, ok = b.query.Weights[name]
		}
		if ok && !seen[name] {
			seen[name] = true
			unused--
		}
		if ok && !c.Noisy {
			refuse(CodeParameter, Position{Line: 1, Column: 1}, "give weights to columns that are aggregates", "the column %s has no noise, and so no weight", c.Name)
		}
		for _, a := range p.aggregatesOf(c.expr) {
			for _, partial := range p.Aggregates[a].Partials {
				shares[partial] = max(shares[partial], w)
			}
		}
	}
	if unused > 0 {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "give weights by the names of columns of the answer: "+strings.Join(p.noisyNames(), ", "), "a weight is given to a column that is not there")
	}
	b.apportion(shares)
}

// usualShares gives what one aggregate alone reads the shares of its function, where these suit: see TestUsualShares.
func (b *builder) usualShares() {
	shares := slices.Repeat([]int{usualShare}, len(b.fragment.Partials))
	for i := range b.plan.Aggregates {
		a := &b.plan.Aggregates[i]
		shared := slices.ContainsFunc(a.Partials, func(i int) bool { return b.countReaders(i) > 1 })
		for k, s := range a.shares {
			if b.fragment.Norm == fragment.L2 && !shared && !(a.function == aggregates["avg"] && a.lower >= 0 && a.upper <= 1) {
				shares[a.Partials[k]] = s
			}
		}
	}
	b.apportion(shares)
}

func (b *builder) apportion(shares []int) {
	for i, s := range estimate.Apportion(shares) {
		b.fragment.Partials[i].Share = s
	}
}

func (p *Plan) noisyNames() []string {
	var names []string
	for _, c := range p.Columns {
		if c.Noisy {
			names = append(names, c.Name)
		}
	}
	return names
}

// solveEpsilon finds the smallest epsilon, to three digits, with which every noisy column is expected to reach the
// asked accuracy.
func (b *builder) solveEpsilon(a Accuracy) {
	start := Position{Line: 1, Column: 1}
	if !(a.HalfWidth > 0) || !(a.Confidence > 0 && a.Confidence < 1) || !(b.query.MaxEpsilon > 0) || !(a.Of >= 0) || math.IsInf(a.Of, 1) {
		refuse(CodeParameter, start, "give a number above 0", "the accuracy is out of range")
	}
	if a.Of > 0 {
		b.plan.supposed = a.Of
	}
	b.plan.evenly = true
	if a.Relative && b.plan.supposed == 0 {
		refuse(CodeAccuracy, start, "say how many values to expect in each group, such as `accuracy = 5 % of 1000`, or ask for a half-width in the unit of the answer, such as 50 patients",
			"a share of an answer that nobody knows yet cannot be promised, and the catalog does not tell how many patients there are")
	}
	// errorAt is the widest half-width, as a multiple of the asked one.
	errorAt := func(epsilon float64) (widest float64) {
		b.query.Epsilon = epsilon
		b.release()
		for _, x := range b.plan.Expected(a.Confidence) {
			target := a.HalfWidth
			if a.Relative {
				target *= math.Abs(x.Value)
			}
			switch {
			case math.IsNaN(x.HalfWidth) || x.Values > 0 && b.plan.supposed == 0:
				refuse(CodeAccuracy, start, "say how many values to expect in each group, such as `accuracy = 2 of 1000`, or ask for an epsilon",
					"the error of %s depends on how many values there are", x.Column)
			case a.Relative && (math.IsNaN(target) || target == 0):
				refuse(CodeAccuracy, start, "ask for a half-width in the unit of the answer", "%s may well be 0, of which there is no share", x.Column)
			}
			widest = math.Max(widest, x.HalfWidth/target)
		}
		return widest
	}
	const enough = 1 - 1e-6 // an end just beyond a whole number is rounded outward to the next
	if got := errorAt(b.query.MaxEpsilon); got > enough {
		refuse(CodeAccuracy, start, "ask for a wider interval, lower max_rows or max_groups, or group more coarsely",
			"at the largest epsilon allowed, %g, an interval is %s times as wide as asked for", b.query.MaxEpsilon, number(got))
	}
	low, high := 0.0, b.query.MaxEpsilon
	for high-low > high/1000 && high > 1e-6 {
		if middle := (low + high) / 2; errorAt(middle) > enough {
			low = middle
		} else {
			high = middle
		}
	}
	b.query.Epsilon = math.Min(b.query.MaxEpsilon, estimate.RoundUp(high))
}

// release chooses the noise and prices it.
func (b *builder) release() {
	p, proof, at := b.plan, b.plan.Proof, b.syntax.At
	var err error
	if !(b.query.Delta > 0 && b.query.Delta < 1) && (p.Selection != nil || b.query.Delta != 0) {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "give a number well below one over the number of patients, such as 1e-9", "delta is out of range")
	}
	p.Noise = dp.Choose(proof.NormLimit(p.Fragment), b.query.Epsilon, b.federation.Accounting)
	p.noise = p.noise[:0]
	for i := range p.Fragment.Partials {
		p.noise = append(p.noise, p.Noise.Distribution(p.Coordinate(i)))
		if math.IsInf(p.noise[i].Scale, 1) && p.Noise.Validate() == nil { // Adder would refuse it
			refuse(CodeParameter, at, "ask with a larger epsilon, or lower max_rows", "the noise would be too wide to be drawn exactly")
		}
	}
	threshold := 0.0
	if s := p.Selection; s != nil {
		threshold = b.query.Delta
		s.Delta = threshold
		t, err := p.Noise.Threshold(proof.Presence(p.Fragment, p.Sites, s.Partial), p.Coordinate(s.Partial), threshold)
		if err != nil {
			refuse(CodeParameter, at, "", "%s", err)
		}
		unit := proof.Units[s.Partial]
		s.Threshold = (t + unit - 1) / unit
	}
	if p.Loss, err = p.Noise.Loss(threshold); err != nil {
		refuse(CodeParameter, Position{Line: 1, Column: 1}, "", "%s", err)
	}
	if b.federation.Covered {
		b.cover()
	}
}

// cover lets each hospital add its share of the noise, if that is possible.
func (b *builder) cover() {
	p, at := b.plan, b.syntax.At
	if p.Noise.Mechanism != dp.Gaussian {
		refuse(CodeSealed, at, "ask under a study whose accounting is zcdp", "the study is sealed, and under pure accounting a hospital's own share of the noise covers nothing")
	}
	p.Cover = &fragment.Cover{Sites: p.Sites, Names: p.Selection != nil}
	asked := len(b.federation.Hospitals)
	p.asked = asked
	if b.federation.Masked {
		masked := *p.Cover
		masked.Colluders, masked.Among = fragment.LeastColluders(max(asked, b.federation.Size)), b.federation.Hospitals
		_, numbers := masked.Parts(p.Noise)
		lost := numbers.Epsilon / p.Noise.Epsilon                       // the part of epsilon spent on naming groups
		if float64(masked.Honest(asked))*lost*lost > float64(p.Sites) { // else masks make nothing more accurate
			p.Cover = &masked
		}
	}
	if s := p.Selection; s != nil {
		naming, err := p.Fragment.Naming(*p.Cover, p.Noise, s.Delta, p.Proof)
		if err != nil {
			refuse(CodeParameter, at, "", "%s", err)
		}
		unit := p.Proof.Units[s.Partial]
		s.Threshold, s.Local, p.naming = (naming.Threshold+unit-1)/unit, true, naming
	}
	if size := p.Proof.Cells * p.Fragment.Released(); size > fragment.MaxCovered {
		refuse(CodeTooLarge, at, "group by fewer values, or ask for fewer quantiles at once", "%d numbers would be released, and hospitals cover at most %d", size, fragment.MaxCovered)
	}
	if err := p.Answered(asked); err != nil {
		refuse(CodeParameter, at, "", "%s", err)
	}
}

// expectedCounts finds the number of values in each group if it is public: the query reads all of one table, and a
// profile tells how many rows there are within the limit, or the catalog how many patients. If the query keeps a part
// of the rows, or joins them to others, that is the most there may be.
func (b *builder) expectedCounts() {
	if b.cells == 0 || len(b.Sources) == 0 {
		return
	}
	p, all := b.plan, 0.0
	s := b.Sources[0]
	if l := b.ladder(); len(l) > 0 {
		lost, rows := l.Lost(p.Proof.Rows)
		all = math.Round(rows - lost)
	} else if t := s.Schema; s.Query == nil {
		all = float64(t.ExpectedPatients) * float64(max(1, min(t.TypicalRows, p.Proof.Rows)))
	}
	if p.most = all / float64(b.cells); len(b.Sources) == 1 && s.Query == nil && b.fragment.Filter == nil {
		p.supposed = p.most
	}
}

// biasWarnings tells which bias the limits and bounds are expected to cause, as far as public information goes.
func (b *builder) biasWarnings() {
	p, proof := b.plan, b.plan.Proof
	p.Warnings = nil
	warn := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(p.Warnings, text) {
			p.Warnings = append(p.Warnings, text)
		}
	}
	rows, patients := false, false
	for _, partial := range p.Fragment.Partials {
		rows = rows || partial.Kind != fragment.PartialPatients && partial.Of != fragment.PartialPatients
		patients = patients || partial.Kind == fragment.PartialPatients
	}
	ladder := b.ladder()
	grouped := false // rows of the profiled table, of which several may count as one
	for _, s := range b.Sources {
		_, one := b.BaseTable(s.Relation, s.Schema)
		grouped = grouped || one
	}
	if rows && len(ladder) > 0 && !proof.OneRow && !grouped {
		lost, all := ladder.Lost(proof.Rows)
		text := fmt.Sprintf("by the profile about %s %% of %s are beyond the limit of %d a patient (max_rows), and left out", number(math.Round(100*lost/all)), b.ladderSubject(ladder), proof.Rows)
		if lost > 0.01*all {
			text += ": counts and sums come out low, and who has more weighs less in averages and shares; " + p.unbiased()
		}
		warn("%s", text)
	}
	for _, s := range b.Sources {
		base, one := b.BaseTable(s.Relation, s.Schema)
		if base == nil || one || !rows || len(ladder) > 0 || proof.OneRow {
			continue
		}
		if typical := base.TypicalRows; typical > proof.Rows {
			warn("a patient may well have %d rows of %s, and counts as one of %d in all (max_rows): counts and sums come out low, and the patient weighs less in averages and shares",
				typical, base.Name, proof.Rows)
			if p.Selection != nil && typical > p.vanishing() {
				warn("the groups are not declared, and a patient of more than %d rows of %s may count in none of them (max_rows): less than 1/8 of one is left",
					p.vanishing(), base.Name)
			}
		}
	}
	if possible := proof.Cells; patients && !proof.Unclipped && !proof.KeysPerPatient && (possible == 0 || possible > proof.Groups) {
		warn("where patients are counted, one of more than %d groups counts as one of %d in all (max_groups): such counts come out low", proof.Groups, proof.Groups)
	}
	if !proof.Unclipped && p.measured == nil {
		warn("%s", bias.Unmeasured(p.limited().Limit))
	}
	for _, text := range append(b.wide(), b.unmeasured()...) {
		warn("%s", text)
	}
	bounds := sync.OnceValue(func() *expr.RangeAnalysis { return b.scope().BoundsWhere(b.Filter) })
	for _, of := range p.inFull {
		warn("%s", of.text)
	}
	for _, partial := range p.Fragment.Partials {
		clamp.Warn(partial.Expr, bounds, warn)
	}
	for i := range p.Aggregates {
		a := &p.Aggregates[i]
		if !a.ofValues && a.function != aggregates["approx_bounds"] {
			continue
		}
		of := a.Partials[0]
		t := p.tree(of, nil)
		switch {
		case a.function == countDistinct:
			warn("COUNT(DISTINCT …) sees values that about %.0f rows or more have: others are missed, so that it comes out low", math.Ceil(t.ThresholdOf(a.argument)))
		case a.function == lowestOf || a.function == highestOf || a.function == mostOf:
			warn("MIN, MAX, MODE, BOOL_AND and BOOL_OR of known values see those that about %.0f rows or more have", math.Ceil(t.ShownFrom(a.argument)))
		case a.ofValues:
			warn("SUM and AVG(DISTINCT …) see values that about %.0f rows or more have", math.Ceil(t.ThresholdOf(a.argument)))
		default:
			warn("APPROX_BOUNDS sees powers of two that about %.0f rows or more lie between", math.Ceil(t.FilledFrom()))
		}
	}
}

// vanishing is the number of rows above which a patient may count in no group at all. All the rows are assumed to be in
// one group, and the groups are not declared.
func (p *Plan) vanishing() int {
	all, rows := 0.0, 0.0 // sums of weights
	for _, partial := range p.Fragment.Partials {
		share := float64(partial.ShareOrOne())
		switch {
		case partial.Buckets != nil, partial.Kind == fragment.PartialBeyond:
			continue
		case partial.Kind != fragment.PartialPatients:
			rows += share
		}
		all += share
	}
	if rows == 0 {
		return math.MaxInt
	}
	beyond := all / rows
	if p.Fragment.Norm == fragment.L2 {
		beyond = math.Sqrt(beyond)
	}
	return int(fragment.LeastPresence * beyond * float64(p.Proof.Rows))
}
