package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/syntax"
)

// survival makes of one release a life table by Kaplan and Meier (1958).
//
// The release is one tree of bucket counts over time, whose first half is of the subjects without the event, its second
// half of those with it, so that a subject is in one bucket alone. Bucket r of a half holds the subjects whose time is in
// the r-th step counted
// back from the horizon, (horizon - r*step, horizon - (r-1)*step]; bucket 0 those
// beyond the horizon. Hence the number at risk in a step is the count of all buckets up
// to its own, which the tree gives from few nodes, and events of adjacent steps
// telescope, so that the noise on the curve grows with the logarithm of the number of
// steps. Where step is the unit of time, the table is exact but for the noise.
type survival struct {
	steps       int // to the horizon
	step, every float64
	partial     int      // the tree
	strata      []string // the names of the keys' columns, in the order of the SELECT
	keys        []int    // and their places among the fragment's keys
}

// The columns of a life table, after the strata.
var survivalColumns = []string{"time", "at_risk", "events", "survival", "std_err", "lower", "upper"}

// tableFunctions are how the functions in FROM are written.
var tableFunctions = []string{
	"INCIDENCE_RATE((SELECT time, event, strata … FROM …), horizon => n [, per => n])",
	"KAPLAN_MEIER((SELECT time, event, strata … FROM …), horizon => n [, step => n] [, every => n])",
}

// maxSteps bounds the steps of a life table, and reported ones.
const (
	maxSteps    = 20_000
	maxReported = 1000
)

// tableFunction plans a function in FROM, whose first argument is a query of one row a patient.
func (c *programPlanner) tableFunction(t *syntax.Expr, within *scope) *derived {
	name := strings.ToUpper(t.Name)
	if t.Name != "kaplan_meier" && t.Name != "incidence_rate" {
		refuse(CodeFunction, t.At, syntax.Nearest(t.Name, []string{"kaplan_meier", "incidence_rate"}), "there is no table function %s", name)
	}
	if len(t.Args) == 0 || t.Args[0].Kind != syntax.Subquery {
		refuse(CodeSyntax, t.At, "write "+name+"((SELECT time, event, strata … FROM …), option => value)", "%s takes a query", name)
	}
	options := map[string]float64{"horizon": 0, "step": 1, "every": 0}
	if t.Name == "incidence_rate" {
		options = map[string]float64{"horizon": 0, "per": 1}
	}
	var known []string
	for option := range options {
		known = append(known, option)
	}
	slices.Sort(known)
	for _, a := range t.Args[1:] {
		if a.Kind != syntax.Operator || a.Name != "=>" || a.Args[1].Kind != syntax.Literal || !a.Args[1].Literal.Type().Numeric() {
			refuse(CodeSyntax, a.At, "write option => number; the options are "+strings.Join(known, ", "), "this is no option")
		}
		if _, ok := options[a.Args[0].Name]; !ok {
			refuse(CodeParameter, a.Args[0].At, syntax.Nearest(a.Args[0].Name, known), "%s has no option %s", name, a.Args[0].Name)
		}
		x := a.Args[1].Literal.Float64()
		if !(x > 0) || x > 1e9 {
			refuse(CodeParameter, a.Args[1].At, "give a number above 0", "%s is out of range", a.Args[0].Name)
		}
		options[a.Args[0].Name] = x
	}
	if options["horizon"] == 0 {
		refuse(CodeBounds, t.At, "add horizon => the last time of interest, in the unit of time", "%s needs a horizon, since the largest time is a private value", name)
	}
	if t.Name == "incidence_rate" {
		return c.incidence(t, options, within)
	}
	return c.kaplanMeier(t, options, within)
}

// subjects plans the query that a table function reads, up to its keys: time, event,
// and the strata.
func (c *programPlanner) subjects(t *syntax.Expr, within *scope) (b *builder, timeColumn, event *syntax.Expr, strata []syntax.Item) {
	s := &syntax.Select{At: t.At, From: []syntax.From{{At: t.Args[0].At, Query: t.Args[0].Query, Alias: "subjects"}}}
	q := &syntax.Query{At: t.At, Select: s}
	rows := &resolver{catalog: c.federation.vocabulary(), scope: within}
	rows.rows(s)
	b = &builder{
		resolver: rows, query: c.query, federation: c.federation, syntax: q,
		plan: &Plan{limit: -1}, fragment: &fragment.Fragment{Version: fragment.Oldest, Catalog: c.federation.digest()},
	}
	b.read()
	subjects := b.sources[0]
	if !subjects.table.OneRowPerPatient {
		refuse(CodeNotSupported, t.Args[0].At, "GROUP BY the patient's id, or keep one row with ROW_NUMBER", "%s needs one row a patient", strings.ToUpper(t.Name))
	}
	if len(subjects.columns) < 2 {
		refuse(CodeType, t.Args[0].At, "select the time, the event, and then the strata, if any", "%s needs a time and an event", strings.ToUpper(t.Name))
	}
	// By number, since columns need no names to be read here.
	b.syntax.Select.From[0].Columns = nil
	for i := range subjects.columns {
		name := subjects.columns[i].name
		subjects.columns[i].name = fmt.Sprintf(" %d", i)
		b.syntax.Select.From[0].Columns = append(b.syntax.Select.From[0].Columns, subjects.columns[i].name)
		if c, _ := subjects.table.Column(subjects.columns[i].column); i > 1 && !b.isPatientID(subjects, c.Name) {
			strata = append(strata, syntax.Item{Term: b.numbered(t, i), Alias: name})
		}
	}
	return b, b.numbered(t, 0), b.numbered(t, 1), strata
}

func (b *builder) numbered(t *syntax.Expr, i int) *syntax.Expr {
	return &syntax.Expr{Kind: syntax.Column, At: t.Args[0].At, Qualifier: "subjects", Name: fmt.Sprintf(" %d", i)}
}

// happened is the condition that the subject had the event: a boolean, or 1.
func (b *builder) happened(event *syntax.Expr) *expr.Expr {
	e := b.row(event)
	if e.Type == value.TypeInt {
		return apply(event.At, expr.OpEqual, e, expr.Literal(value.Int(1)))
	}
	if e.Type != value.TypeBool {
		refuse(CodeType, event.At, "select a condition, or 1 and 0, as the second column", "the event is a %s", e.Type)
	}
	return e
}

func (c *programPlanner) kaplanMeier(t *syntax.Expr, options map[string]float64, within *scope) *derived {
	steps := math.Ceil(options["horizon"] / options["step"])
	every := options["every"]
	if every == 0 {
		every = options["step"] * math.Ceil(steps/20)
	}
	if steps > maxSteps || options["horizon"]/every > maxReported || every < options["step"] || math.Mod(every, options["step"]) != 0 {
		refuse(CodeParameter, t.At, "give a larger step, or an every that is a multiple of it", "a life table has at most %d steps and shows at most %d", maxSteps, maxReported)
	}
	b, timeTerm, event, strata := c.subjects(t, within)
	b.syntax.Select.Items = strata
	if len(strata) > 0 {
		var keys []*syntax.Expr
		for _, i := range strata {
			keys = append(keys, i.Term)
		}
		b.syntax.Select.GroupBy = [][]*syntax.Expr{keys}
	}
	b.limits()
	b.keys()
	s := &survival{steps: int(steps), step: options["step"], every: every}
	for _, i := range strata {
		s.strata = append(s.strata, i.Alias)
		k := b.keyOf(b.row(i.Term))
		s.keys = append(s.keys, k)
		b.plan.Columns = append(b.plan.Columns, Column{Name: i.Alias, Type: b.fragment.Keys[k].Expr.Type, expr: expr.Column(relationKey, index(k), b.fragment.Keys[k].Expr.Type)})
	}
	back := b.back(timeTerm, s)
	buckets := s.buckets()
	half := expr.Literal(value.Int(int64(buckets.Leaves() / 2)))
	tree := fragment.Partial{Kind: fragment.PartialBuckets, Buckets: &buckets}
	tree.Expr = apply(event.At, expr.OpCase, b.happened(event), apply(event.At, expr.OpAdd, half, back), back)
	b.partial(tree)
	b.selection()
	b.canonicalize()
	b.prove()
	s.partial = b.partial(tree)
	c.releases = append(c.releases, b)
	c.lifeTables[len(c.releases)] = s
	return c.table(s.table(b.plan))
}

// back is the bucket of a subject's time: see survival. A subject without a time is in none.
func (b *builder) back(t *syntax.Expr, s *survival) *expr.Expr {
	x := b.row(t)
	if !x.Type.Numeric() {
		refuse(CodeType, t.At, "select a number of days, such as a difference of dates, as the first column", "the time is a %s", x.Type)
	}
	whole := func(n float64) *expr.Expr { return expr.Literal(value.Int(int64(n))) }
	end := float64(s.steps+1) * s.step
	var bucket *expr.Expr
	if x.Type == value.TypeInt && s.step == math.Trunc(s.step) {
		// From the time first clamped, so that nothing overflows; past the end is bucket 0.
		within := apply(t.At, expr.OpLeast, apply(t.At, expr.OpGreatest, x, whole(0)), whole(end))
		bucket = apply(t.At, expr.OpIntDivide, apply(t.At, expr.OpSubtract, whole(end), within), whole(s.step))
	} else {
		within := apply(t.At, expr.OpLeast, apply(t.At, expr.OpGreatest, x, expr.Literal(value.Float(0))), expr.Literal(value.Float(end)))
		rest := apply(t.At, expr.OpDivide, apply(t.At, expr.OpSubtract, expr.Literal(value.Float(end)), within), expr.Literal(value.Float(s.step)))
		floor, err := expr.Cast(apply(t.At, expr.OpFloor, rest), value.TypeInt)
		if err != nil {
			mistyped(t.At, err, "")
		}
		bucket = floor
	}
	bucket = apply(t.At, expr.OpLeast, bucket, whole(float64(s.steps)))
	return apply(t.At, expr.OpCase, apply(t.At, expr.OpIsNull, x), expr.Literal(value.Null(value.TypeInt)), bucket)
}

// buckets are one a step and one beyond the horizon, with the event and without, in as many levels as err least: more
// levels share the budget, and fewer add up more nodes. The branching is even, so that each half is of whole nodes.
func (s *survival) buckets() (best fragment.Buckets) {
	least := math.Inf(1)
	for levels := 1; levels <= 4; levels++ {
		branching := int(math.Ceil(math.Pow(2*float64(s.steps+1), 1/float64(levels)) - 1e-9))
		b := fragment.Buckets{Branching: branching + branching%2, Levels: levels}
		// The variance of a sum from the beginning of a half, at most.
		if variance := float64(levels * (b.Branching/2 + (levels-1)*(b.Branching-1))); variance < least {
			least, best = variance, b
		}
	}
	best.Upper = float64(best.Leaves())
	return best
}

// table is the life table as a plan's columns, to be read as a release is.
func (s *survival) table(p *Plan) *Plan {
	shown := &Plan{Columns: slices.Clone(p.Columns)}
	for _, name := range survivalColumns {
		shown.Columns = append(shown.Columns, Column{Name: name, Type: value.TypeFloat, Noisy: name != "time", expr: expr.Column("life table", name, value.TypeFloat)})
	}
	return shown
}

// rows computes the life table of every stratum.
func (s *survival) rows(p *Plan, cells []Cell, confidence float64) fragment.Rows {
	var out fragment.Rows
	for _, name := range s.strata {
		out.Names = append(out.Names, strings.ToLower(name))
	}
	for _, name := range survivalColumns {
		out.Names = append(out.Names, name)
		if name != "time" {
			out.Names = append(out.Names, name+lowEnd, name+highEnd)
		}
	}
	ordered := slices.Clone(cells)
	slices.SortFunc(ordered, func(a, b Cell) int { return slices.CompareFunc(a.Keys, b.Keys, value.Compare) })
	for _, cell := range ordered {
		var keys []value.Value
		for _, k := range s.keys {
			keys = append(keys, cell.Keys[k])
		}
		at := p.places[s.partial]
		for _, line := range s.lines(p.tree(s.partial, cell.Noisy[at.start:at.end]), confidence) {
			row := slices.Clone(keys)
			for _, x := range line {
				row = append(row, value.Float(x))
			}
			out.Values = append(out.Values, row)
		}
	}
	return out
}

// lines are the life table's rows: time, at risk at the start of its step, events since
// the row before, survival and the ends of its interval, standard error, and the interval
// for the population from which the subjects come.
//
// Estimates fit each other: subjects who have left, with the event and without, are each a series that never falls (the
// closest one, estimate.Isotonic), so that numbers at risk and survival never rise and no event is counted twice.
//
// The interval of survival is for the noise alone: it covers what the table would be
// without noise. lower and upper add to the variance of log survival that of Greenwood
// (1926), as R's survfit does. Both are by the delta method on the logarithm, at the estimates, around what the numbers
// as released say (one step of Newton's from the estimate); then the first is widened so that no end of it rises.
// After the last step at which enough are at risk (enough), nothing is told of survival.
func (s *survival) lines(t tree, confidence float64) [][]float64 {
	c := curve{survival: s, z: math.Sqrt2 * math.Erfinv(confidence), tree: t, moves: make([]float64, len(t.counts))}
	c.without, c.with = side{t, 0}, side{t, t.Leaves() / 2}
	c.fit()
	before, first := 0.0, s.steps
	table := []lifeLine{c.line(0, s.steps, 0, s.steps)}
	for k := 1; k <= s.steps; k++ {
		r := s.steps + 1 - k
		c.step(r)
		before += c.hit[r+1] - c.hit[r]
		if time := float64(k) * s.step; math.Mod(time, s.every) == 0 || k == s.steps {
			table = append(table, c.line(time, r, before, first+1))
			before, first = 0, r-1
		}
	}
	return flatten(table)
}

// side is a half of the tree: the subjects without the event, or with it, from that bucket on.
type side struct {
	tree
	from int
}

// below is how many subjects of the side are in its first i buckets, and in how many nodes' noise.
func (s side) below(i int) (n, nodes float64) {
	n, deviation := s.tree.below(s.from+i, 0)
	before, outside := s.tree.below(s.from, 0)
	return n - before, deviation*deviation - outside*outside
}

// nodes calls fn for the nodes that below adds up.
func (s side) nodes(i int, fn func(node int)) {
	outside := s.from / (s.Leaves() / s.Branching) // of the coarsest level
	s.tree.nodes(s.from+i, func(node int) {
		if node >= outside {
			fn(node)
		}
	})
}

// between is how many nodes' noise the difference of below(i) and below(j) has.
func (s side) between(i, j int) int { return s.tree.between(s.from+i, s.from+j) }

// fit finds the numbers of subjects, and of those with the event, in the buckets below each edge.
func (c *curve) fit() {
	n := c.steps + 1
	with, without, weights, others := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		with[i], weights[i] = c.with.below(i + 1)
		without[i], others[i] = c.without.below(i + 1)
		weights[i], others[i] = 1/weights[i], 1/others[i]
	}
	c.hit = append([]float64{0}, estimate.Isotonic(with, weights, 0)...)
	c.left = append([]float64{0}, estimate.Isotonic(without, others, 0)...)
	for i := range c.left {
		c.left[i] += c.hit[i]
	}
}

// atRisk is how many subjects are in the first i buckets as released, and the deviation of its noise.
func (c *curve) atRisk(i int) (n, deviation float64) {
	with, nodes := c.with.below(i)
	without, others := c.without.below(i)
	return with + without, math.Sqrt(nodes+others) * c.tree.standardDeviation()
}

// enough is how many standard deviations of their noise the numbers at risk must be above 0 for survival to be told; found by
// TestSurvivalBandsCover.
const enough = 5

// curve goes along the steps of a life table.
type curve struct {
	*survival
	z             float64
	tree          tree
	without, with side
	left, hit     []float64 // fitted
	ended         bool      // too few are at risk
	log           float64   // of survival, by the fitted numbers
	raw           float64   // what the numbers as released add to it, to first order
	greenwood     float64
	moves         []float64 // how log survival moves with the noise on each node
}

// step takes the step of bucket r, in which the subjects below its upper edge are at risk.
func (c *curve) step(r int) {
	n, d := c.left[r+1], c.hit[r+1]-c.hit[r]
	atRisk, deviation := c.atRisk(r + 1)
	if c.ended = c.ended || n < 0.5 || n < enough*deviation; c.ended || math.IsInf(c.log, 0) {
		return
	}
	c.log += math.Log(math.Max(0, 1-d/n))
	if c.log < -700 { // as good as nobody: no logarithm moves
		c.log = math.Inf(-1)
		return
	}
	upTo, _ := c.with.below(r + 1)
	under, _ := c.with.below(r)
	byRisk, byEvents := d/(n*(n-d)), -1/(n-d)
	c.raw += (atRisk-n)*byRisk + (upTo-under-d)*byEvents
	c.greenwood += byRisk
	c.without.nodes(r+1, func(node int) { c.moves[node] += byRisk })
	c.with.nodes(r+1, func(node int) { c.moves[node] += byRisk + byEvents })
	c.with.nodes(r, func(node int) { c.moves[node] -= byEvents })
}

// lifeLine is one row of a life table.
type lifeLine struct {
	time                           float64
	atRisk, atRiskLow, atRiskHigh  float64
	events, eventsLow, eventsHigh  float64
	survival, low, high, deviation float64
	lower, upper                   float64
}

// line is the row of bucket r; events are those since the row before, which began at the edge top.
func (c *curve) line(time float64, r int, events float64, top int) lifeLine {
	noisy, deviation := c.atRisk(r + 1)
	upTo, _ := c.with.below(top)
	under, _ := c.with.below(r)
	l := lifeLine{time: time, atRisk: c.left[r+1], events: events}
	around := func(x, fitted, width float64) (low, high float64) {
		return math.Max(0, math.Min(fitted, x-width)), math.Max(fitted, x+width)
	}
	l.atRiskLow, l.atRiskHigh = around(noisy, l.atRisk, c.z*deviation)
	l.eventsLow, l.eventsHigh = around(upTo-under, events, c.z*c.tree.standardDeviation()*math.Sqrt(float64(c.with.between(r, top))))
	none := math.NaN()
	if c.ended {
		l.survival, l.low, l.high, l.deviation, l.lower, l.upper = none, none, none, none, none, none
		return l
	}
	noise := math.Pow(c.tree.standardDeviation(), 2) * squares(c.moves)
	l.survival = math.Exp(c.log)
	l.deviation = l.survival * math.Sqrt(noise+c.greenwood)
	ends := func(variance float64) (low, high float64) {
		if math.IsInf(c.log, 0) { // nobody left, as it seems: all that is told is that the curve does not rise
			return 0, 1
		}
		width := c.z * math.Sqrt(variance)
		return math.Min(l.survival, math.Exp(c.log+c.raw-width)), math.Min(1, math.Max(l.survival, math.Exp(c.log+c.raw+width)))
	}
	l.low, l.high = ends(noise)
	if l.lower, l.upper = ends(noise + c.greenwood); math.IsInf(c.log, 0) {
		l.deviation, l.lower, l.upper = none, none, none
	}
	return l
}

// flatten widens the noise's intervals so that no end rises, and writes the rows.
func flatten(table []lifeLine) (lines [][]float64) {
	low, high := 1.0, 0.0
	for i := range table {
		low = min(low, table[i].low) // NaN stays: it is at the end
		table[i].low = low
	}
	for i := len(table) - 1; i >= 0; i-- {
		if !math.IsNaN(table[i].high) {
			high = max(high, table[i].high)
			table[i].high = high
		}
	}
	none := math.NaN()
	for _, l := range table {
		lines = append(lines, []float64{
			l.time, l.atRisk, l.atRiskLow, l.atRiskHigh, l.events, l.eventsLow, l.eventsHigh,
			l.survival, l.low, l.high, l.deviation, none, none, l.lower, none, none, l.upper, none, none,
		})
	}
	return lines
}

// expected is the error to expect of a table: that of the numbers at risk and of events, the largest
// shown, and that of survival at the horizon beside the number at risk there, which only the answer tells.
func (s *survival) expected(p *Plan, confidence float64) []Expected {
	t := p.tree(s.partial, p.Fragment.Partials[s.partial].Coordinates(make([]int64, p.Fragment.Partials[s.partial].Buckets.Leaves())))
	c := curve{survival: s, tree: t, without: side{t, 0}, with: side{t, t.Leaves() / 2}}
	z, first := math.Sqrt2*math.Erfinv(confidence), s.steps
	_, deviation := c.atRisk(s.steps + 1)
	atRisk, hits, moves := z*deviation, 0.0, 0.0
	for k := 1; k <= s.steps; k++ {
		r := s.steps + 1 - k
		if math.Mod(float64(k)*s.step, s.every) != 0 && k < s.steps {
			continue
		}
		_, deviation = c.atRisk(r + 1)
		atRisk = math.Max(atRisk, z*deviation)
		hits = math.Max(hits, z*t.standardDeviation()*math.Sqrt(float64(c.with.between(r, first+1))))
		first = r - 1
	}
	for k := range s.steps {
		moves = math.Max(moves, float64(c.with.between(s.steps-k, s.steps+1)))
	}
	width := z * t.standardDeviation() * math.Sqrt(moves)
	none := math.NaN()
	return []Expected{
		{Column: "at_risk", HalfWidth: atRisk, Value: none}, {Column: "events", HalfWidth: hits, Value: none},
		{Column: "survival", HalfWidth: none, Value: none, Note: fmt.Sprintf("about %s divided by the number at risk, if few leave", number(width))},
	}
}

// String tells what is made of the release.
func (s *survival) String() string {
	last := float64(s.steps) * s.step
	strata := ""
	if len(s.strata) > 0 {
		strata = ", by " + strings.Join(s.strata, ", ")
	}
	return fmt.Sprintf("by Kaplan and Meier from 0 to %s in steps of %s, shown every %s%s", number(last), number(s.step), number(s.every), strata)
}

func squares(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x * x
	}
	return sum
}

// nodes calls fn for the nodes that below(i, 0) adds up.
func (t tree) nodes(i int, fn func(node int)) {
	span := t.Leaves() / t.Branching
	whole, offset, size := i/span, 0, t.Branching
	for node := range whole {
		fn(node)
	}
	for range t.sums[1:] {
		offset += size
		size *= t.Branching
		from := whole * t.Branching
		span /= t.Branching
		whole = i / span
		for node := from; node < whole; node++ {
			fn(offset + node)
		}
	}
}

// between is how many nodes' noise the difference of below(i, 0) and below(j, 0) has.
func (t tree) between(i, j int) int {
	odd := map[int]bool{}
	toggle := func(node int) {
		if odd[node] = !odd[node]; !odd[node] {
			delete(odd, node)
		}
	}
	t.nodes(i, toggle)
	t.nodes(j, toggle)
	return len(odd)
}

// incidence plans events per person-time: sum of events / sum of time, by stratum. The
// time of one subject counts up to the horizon.
func (c *programPlanner) incidence(t *syntax.Expr, options map[string]float64, within *scope) *derived {
	b, timeTerm, event, strata := c.subjects(t, within)
	at := t.At
	number := func(x float64) *syntax.Expr {
		literal := value.Float(x)
		if x == math.Trunc(x) {
			literal = value.Int(int64(x))
		}
		return &syntax.Expr{Kind: syntax.Literal, At: at, Literal: literal}
	}
	call := func(name string, args ...*syntax.Expr) *syntax.Expr {
		return &syntax.Expr{Kind: syntax.Call, Name: name, At: at, Args: args}
	}
	within01 := &syntax.Expr{Kind: syntax.Operator, Name: "case", At: at, Args: []*syntax.Expr{
		syntax.NewOperator("=", &syntax.Expr{Kind: syntax.Cast, At: at, Type: value.TypeInt, Args: []*syntax.Expr{event}}, &syntax.Expr{Kind: syntax.Literal, At: at, Literal: value.Int(1)}),
		{Kind: syntax.Literal, At: at, Literal: value.Int(1)}, {Kind: syntax.Literal, At: at, Literal: value.Int(0)},
	}}
	personTime := call("sum", call("clamp", timeTerm, number(0), number(options["horizon"])))
	hits := call("sum", within01)
	s := &syntax.Select{At: at, From: b.syntax.Select.From}
	s.Items = append(slices.Clone(strata), syntax.Item{Term: hits, Alias: "events"}, syntax.Item{Term: personTime, Alias: "person_time"},
		syntax.Item{Term: syntax.NewOperator(syntax.Divide, syntax.NewOperator("*", number(options["per"]), hits), personTime), Alias: "rate"})
	var keys []*syntax.Expr
	for _, i := range strata {
		keys = append(keys, i.Term)
	}
	if len(keys) > 0 {
		s.GroupBy = [][]*syntax.Expr{keys}
	}
	return c.table(c.release(&syntax.Query{At: at, Select: s}, within))
}
