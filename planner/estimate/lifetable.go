package estimate

import (
	"math"

	"github.com/intramuros/intramuros/internal/fragment"
)

// LifeTable makes of a tree of times a life table by Kaplan and Meier (1958).
//
// The tree counts subjects by their time. Its first half is of the subjects without the event, its second half of
// those with it, so that a subject is in one bucket alone. Bucket r of a half holds the subjects whose time is in the
// r-th step counted back from the horizon, (horizon - r*step, horizon - (r-1)*step]; bucket 0 those beyond the
// horizon. Hence the number at risk in a step is the count of all buckets up to its own, which the tree gives from
// few nodes, and events of adjacent steps telescope, so that the noise on the curve grows with the logarithm of the
// number of steps. Where the step is the unit of time, the table is exact but for the noise.
type LifeTable struct {
	Steps       int     // to the horizon
	Step, Every float64 // of time; Every is a multiple of Step, and how often a row is shown
}

// Buckets are one a step and one beyond the horizon, with the event and without, in as many levels as err least: more
// levels share the budget, and fewer add up more nodes. The branching is even, so that each half is of whole nodes.
func (s LifeTable) Buckets() (best fragment.Buckets) {
	least := math.Inf(1)
	for levels := 1; levels <= 4; levels++ {
		branching := int(math.Ceil(math.Pow(2*float64(s.Steps+1), 1/float64(levels)) - 1e-9))
		b := fragment.Buckets{Branching: branching + branching%2, Levels: levels}
		// The variance of a sum from the beginning of a half, at most.
		if variance := float64(levels * (b.Branching/2 + (levels-1)*(b.Branching-1))); variance < least {
			least, best = variance, b
		}
	}
	best.Upper = float64(best.Leaves())
	return best
}

// Lines are the life table's rows: time, at risk at the start of its step, events since
// the row before, survival and the ends of its interval, standard error, and the interval
// for the population from which the subjects come.
//
// Estimates fit each other: subjects who have left, with the event and without, are each a series that never falls (the
// closest one, Isotonic), so that numbers at risk and survival never rise and no event is counted twice.
//
// The interval of survival is for the noise alone: it covers what the table would be
// without noise. lower and upper add to the variance of log survival that of Greenwood
// (1926), as R's survfit does. Both are by the delta method on the logarithm, at the estimates, around what the numbers
// as released say (one step of Newton's from the estimate); then the first is widened so that no end of it rises.
// After the last step at which enough are at risk (enough), nothing is told of survival.
func (s LifeTable) Lines(t Tree, confidence float64) [][]float64 {
	c := curve{LifeTable: s, z: math.Sqrt2 * math.Erfinv(confidence), tree: t, moves: make([]float64, len(t.Counts))}
	c.without, c.with = side{t, 0}, side{t, t.Leaves() / 2}
	c.fit()
	before, first := 0.0, s.Steps
	table := []lifeLine{c.line(0, s.Steps, 0, s.Steps)}
	for k := 1; k <= s.Steps; k++ {
		r := s.Steps + 1 - k
		c.step(r)
		before += c.hit[r+1] - c.hit[r]
		if time := float64(k) * s.Step; math.Mod(time, s.Every) == 0 || k == s.Steps {
			table = append(table, c.line(time, r, before, first+1))
			before, first = 0, r-1
		}
	}
	return flatten(table)
}

// Errors are the half-widths to expect of a table, whatever the counts: that of the numbers at risk and that of events,
// the largest shown; and that of survival at the horizon, times the number at risk there.
func (s LifeTable) Errors(t Tree, confidence float64) (atRisk, events, survival float64) {
	c := curve{LifeTable: s, tree: t, without: side{t, 0}, with: side{t, t.Leaves() / 2}}
	z, first := math.Sqrt2*math.Erfinv(confidence), s.Steps
	_, deviation := c.atRisk(s.Steps + 1)
	atRisk, moves := z*deviation, 0.0
	for k := 1; k <= s.Steps; k++ {
		r := s.Steps + 1 - k
		if math.Mod(float64(k)*s.Step, s.Every) != 0 && k < s.Steps {
			continue
		}
		_, deviation = c.atRisk(r + 1)
		atRisk = math.Max(atRisk, z*deviation)
		events = math.Max(events, z*t.standardDeviation()*math.Sqrt(float64(c.with.between(r, first+1))))
		first = r - 1
	}
	for k := range s.Steps {
		moves = math.Max(moves, float64(c.with.between(s.Steps-k, s.Steps+1)))
	}
	return atRisk, events, z * t.standardDeviation() * math.Sqrt(moves)
}

func squares(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x * x
	}
	return sum
}

// side is a half of the tree: the subjects without the event, or with it, from that bucket on.
type side struct {
	Tree
	from int
}

// below is how many subjects of the side are in its first i buckets, and in how many nodes' noise.
func (s side) below(i int) (n, nodes float64) {
	n, deviation := s.Tree.Below(s.from+i, 0)
	before, outside := s.Tree.Below(s.from, 0)
	return n - before, deviation*deviation - outside*outside
}

// nodes calls fn for the nodes that below adds up.
func (s side) nodes(i int, fn func(node int)) {
	outside := s.from / (s.Leaves() / s.Branching) // of the coarsest level
	s.Tree.nodes(s.from+i, func(node int) {
		if node >= outside {
			fn(node)
		}
	})
}

// between is how many nodes' noise the difference of below(i) and below(j) has.
func (s side) between(i, j int) int { return s.Tree.between(s.from+i, s.from+j) }

// fit finds the numbers of subjects, and of those with the event, in the buckets below each edge.
func (c *curve) fit() {
	n := c.Steps + 1
	with, without, weights, others := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		with[i], weights[i] = c.with.below(i + 1)
		without[i], others[i] = c.without.below(i + 1)
		weights[i], others[i] = 1/weights[i], 1/others[i]
	}
	c.hit = append([]float64{0}, Isotonic(with, weights, 0)...)
	c.left = append([]float64{0}, Isotonic(without, others, 0)...)
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

// enough is how many standard deviations of their noise the numbers at risk must be above 0 for survival to be told;
// found by TestSurvivalBandsCover.
const enough = 5

// curve goes along the steps of a life table.
type curve struct {
	LifeTable
	z             float64
	tree          Tree
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
	width := c.z * c.tree.standardDeviation() * math.Sqrt(float64(c.with.between(r, top)))
	l.eventsLow, l.eventsHigh = around(upTo-under, events, width)
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
