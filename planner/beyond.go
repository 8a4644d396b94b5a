package planner

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/estimate"
)

// A partial aggregate has measuring times the weight of the one that measures how much of it was left out. So measuring
// costs 1/20 of the budget and makes the other noise 2.6 % wider. If the plan also measures how much CLAMP moved, each
// of the two gets 1/40. Shares are then multiplied by fine, so that they can be divided that far.
const (
	measuring = 19
	halved    = 40
	fine      = 400
)

// If a patient's rows are clipped, the part that was left out counts at most this many times the part that was kept. A
// larger limit makes the noise wider; a smaller one hides more of the patients with very many rows.
const (
	leastBeyond = 3
	mostBeyond  = 15
)

// measure adds partial aggregates that tell how much clipping leaves out and how many values CLAMP moves. Each gets a
// small part of the budget.
func (b *builder) measure() {
	of, alone := -1, false
	if !b.plan.Proof.Unclipped {
		of, alone = b.measurable()
	}
	asked, places := slices.Clone(b.fragment.Partials), len(b.plan.places)
	if b.addMeasuring(of, alone, b.clamps()) == nil {
		return
	}
	// the fragment with its measurements may be too large
	b.fragment.Partials, b.plan.places = asked, b.plan.places[:places]
	if err := b.addMeasuring(of, alone, nil); err != nil {
		b.Invalid(err, b.syntax.At)
	}
}

// addMeasuring adds the measuring partial aggregates; of is -1 if clipping is not measured. An error comes from the
// proof.
func (b *builder) addMeasuring(of int, alone bool, clamps []clampCount) error {
	p, f := b.plan, b.fragment
	p.measured, p.clamped = nil, nil
	if of < 0 && len(clamps) == 0 {
		return nil
	}
	part, finer := measuring, measuring
	if len(clamps) > 0 {
		part = halved
		if !slices.ContainsFunc(f.Partials, func(p fragment.Partial) bool { return p.ShareOrOne()*fine > fragment.MaxShare }) {
			finer = fine
		}
	}
	base, asked := 0, f.Partials // the weights of the partials that were asked for
	for i := range f.Partials {
		f.Partials[i].Share = finer * int(f.Partials[i].ShareOrOne())
		base += f.Partials[i].Weight()
	}
	for _, c := range clamps {
		c.of, c.partial = b.countOf(c.sums, asked), len(f.Partials)
		f.Partials = append(f.Partials, fragment.Partial{Kind: fragment.PartialValues, Expr: c.moved, Share: max(1, base/(part*len(clamps)))})
		p.clamped = append(p.clamped, c)
	}
	if of >= 0 {
		weight := max(1, f.Partials[of].Share/part)
		if alone { // the values are measured beside trees, which keep the rest
			weight = max(1, base/(2*part))
			f.Partials[of].Share = weight
		}
		beyond := f.Partials[of]
		beyond.Kind, beyond.Of, beyond.Share, beyond.Most = fragment.PartialBeyond, beyond.Kind, weight, b.mostBeyond()
		p.measured = &measured{of, len(f.Partials)}
		f.Partials = append(f.Partials, beyond)
	}
	for i := len(p.places); i < len(f.Partials); i++ {
		end := p.places[i-1].end
		p.places = append(p.places, place{end, end + 1})
	}
	common := 0
	for _, partial := range f.Partials {
		common = estimate.Divisor(common, partial.Share)
	}
	for i := range f.Partials {
		if finer != fine { // weights are whole numbers, so small ones are coarse
			f.Partials[i].Share /= common
		}
	}
	proof, err := fragment.CheckWithin(f, b.Catalog.Catalog, b.Catalog.Memo)
	if err == nil {
		p.Proof = proof
	}
	return err
}

// measures reports whether partial aggregate i measures how much was left out or moved.
func (p *Plan) measures(i int) bool {
	return p.measured != nil && p.measured.beyond == i || slices.ContainsFunc(p.clamped, func(c clampCount) bool { return c.partial == i })
}

// measurable chooses the partial aggregate whose left-out part is measured: rows if there are any, else values, else
// sums. If there are only trees, it adds a count of their values and returns alone. of is -1 if nothing can be
// measured.
func (b *builder) measurable() (of int, alone bool) {
	partials := b.fragment.Partials
	for _, kind := range []fragment.PartialKind{fragment.PartialRows, fragment.PartialValues} {
		if i := slices.IndexFunc(partials, func(p fragment.Partial) bool { return p.Kind == kind }); i >= 0 {
			return i, false
		}
	}
	if i := slices.IndexFunc(partials, func(p fragment.Partial) bool { return p.Kind == fragment.PartialSum }); i >= 0 {
		if b.fragment.Norm == fragment.L1 { // the noise may be too wide to be drawn exactly
			return -1, false
		}
		return i, false
	}
	if i := slices.IndexFunc(partials, func(p fragment.Partial) bool { return p.Buckets != nil }); i >= 0 {
		// Beside counts of patients the values would be clipped later than the tree is, and tell less than it loses.
		if b.federation.Uncounted || slices.ContainsFunc(partials, func(p fragment.Partial) bool { return p.Buckets == nil }) {
			return -1, false
		}
		b.fragment.Partials = append(b.fragment.Partials, fragment.Partial{Kind: fragment.PartialValues, Expr: partials[i].Expr})
		return len(b.fragment.Partials) - 1, true
	}
	return 0, false // patients: one may be in many groups
}

// mostBeyond limits the part that was left out, in multiples of the part that was kept. It follows from how many rows
// the catalog says patients have.
func (b *builder) mostBeyond() int {
	most := leastBeyond
	for _, s := range b.Sources {
		if base, _ := b.BaseTable(s.Relation, s.Schema); base != nil && !base.Public {
			most = max(most, min(mostBeyond, base.TypicalRows/b.plan.Proof.Rows))
		}
	}
	return most
}

// beyond reads how much was left out over all groups. It is false if it was not measured or nothing can be left out.
func (p *Plan) beyond(cells []Cell, confidence float64) (bias.Part, bool) {
	m := p.measured
	if m == nil {
		return bias.Part{}, false
	}
	kept := p.overall(m.of, cells)
	if g := p.Fragment.Partials[m.of].Grid; g != nil && (g.Center != 0 || g.Lower < 0 && g.Upper > 0) {
		return bias.Left(p.overall(m.beyond, cells), nil, confidence), true
	}
	return bias.Left(p.overall(m.beyond, cells), &kept, confidence), true
}

// overall sums a partial aggregate of one number over all groups.
func (p *Plan) overall(i int, cells []Cell) bias.Number {
	unit, all := 1/float64(p.Proof.Units[i]), 0.0
	if g := p.Fragment.Partials[i].Grid; g != nil {
		unit *= g.Number(1)
	}
	for _, c := range cells {
		all += float64(c.Noisy[p.places[i].start]) * unit
	}
	return bias.Number{Amount: all, Noise: dp.RatioTerm{Distribution: p.noise[i], Numerator: unit, Count: max(1, len(cells))}}
}

// bias says how much was left out of the answer, and which query has no such bias. It is empty if nobody was clipped or
// less than a thousandth is left out.
func (p *Plan) bias(cells []Cell, confidence float64) string {
	if p.Proof.Unclipped {
		return ""
	}
	limit := p.limited()
	b, ok := p.beyond(cells, confidence)
	if !ok {
		return bias.Unmeasured(limit.Limit)
	}
	return b.LeftOut(limit)
}

// biases say how much clipping left out and how much CLAMP moved, as measured.
func (p *Plan) biases(cells []Cell, confidence float64) []string {
	all := p.clampWarnings(cells, confidence)
	if bias := p.bias(cells, confidence); bias != "" {
		all = append([]string{bias}, all...)
	}
	return all
}

// limited names what is measured and the limit that clips it.
func (p *Plan) limited() bias.Limit {
	proof := p.Proof
	l := bias.Limit{Are: "are", Limit: fmt.Sprintf("the limit of %d %s a patient (max_rows)", proof.Rows, plural(proof.Rows, "row", "rows")), Instead: p.unbiased()}
	if p.measured == nil {
		return l
	}
	l.Times = p.Fragment.Partials[p.measured.beyond].Most + 1
	switch of := p.Fragment.Partials[p.measured.of]; of.Kind {
	case fragment.PartialRows:
		l.What = "the rows"
	case fragment.PartialValues:
		l.What = "the values" + bias.Of(of.Expr, p.unqualified)
	case fragment.PartialSum:
		l.What, l.Are = "the sum"+bias.Of(of.Expr, p.unqualified), "is"
	default:
		l.What, l.Are = "the count of patients in groups", "is"
		l.Limit = fmt.Sprintf("the limit of %d %s a patient (max_groups)", proof.Groups, plural(proof.Groups, "group", "groups"))
	}
	return l
}

// unbiased says what to ask for to avoid the bias.
func (p *Plan) unbiased() string {
	if p.measured != nil && p.Fragment.Partials[p.measured.of].Kind == fragment.PartialPatients {
		return "raise max_groups, or group more coarsely"
	}
	return "COUNT(DISTINCT patient), and means of each patient's mean or first row, have no such bias, and a larger max_rows has less"
}
