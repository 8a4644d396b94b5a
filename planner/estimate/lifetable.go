package estimate

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/fragment"
)

// LifeTable makes of a tree of times a life table by Kaplan and Meier (1958).
//
// The tree counts subjects by their time. Its first half is of the subjects without the event, its second half of
// those with it, so that a subject is in one bucket alone. Bucket r of a half holds the subjects whose time is in the
// r-th step counted back from the horizon, (horizon - r*step, horizon - (r-1)*step]; bucket 0 those beyond the
// horizon. Hence the number at risk in a step is the count of all buckets up to its own, which the tree tells
// well, and events of adjacent steps telescope, so that the noise on the curve grows with the logarithm of the
// number of steps. Where the step is the unit of time, the table is exact but for the noise.
type LifeTable struct {
	Steps       int     // to the horizon
	Step, Every float64 // of time; Every is a multiple of Step, and how often a row is shown
}

// Buckets are one a step and one beyond the horizon, with the event and without, in as many levels as err least: more
// levels share the budget, as their number under L2 and its square under L1, and fewer tell less of sums of many
// buckets. The branching is even, so that each half is of whole nodes.
func (s LifeTable) Buckets(norm fragment.Norm) (best fragment.Buckets) {
	least := math.Inf(1)
	for levels := 1; levels <= 4; levels++ {
		branching := int(math.Ceil(math.Pow(2*float64(s.Steps+1), 1/float64(levels)) - 1e-9))
		b := fragment.Buckets{Branching: branching + branching%2, Levels: levels}
		forest := Forest{branching: b.Branching, own: ownErrors(b.Branching, levels), under: make([]float64, b.Leaves()+1)}
		// The variance of a sum from the beginning of a half, at most.
		variance := 0.0
		for i := 1; i <= s.Steps+1; i++ {
			variance = math.Max(variance, forest.Between(0, i))
		}
		if variance *= float64(levels); norm == fragment.L1 {
			variance *= float64(levels)
		}
		if variance < least {
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
// Estimates are those of least squares over the tree (Forest), and fit each other: subjects who have left, with the
// event and without, are each a series that never falls (the closest one, Isotonic), so that numbers at risk and
// survival never rise and no event is counted twice.
//
// The interval of survival is for the noise alone: it covers what the table would be
// without noise. lower and upper add to the variance of log survival that of Greenwood
// (1926), as R's survfit does. Both are by the delta method on the logarithm, at the estimates, around what all of the
// tree says by least squares (one step of Newton's from the estimate), of which the errors are known; then the ends of
// the first are made to fall as the curve does (flatten).
// After the last step at which enough are at risk (enough), nothing is told of survival.
func (s LifeTable) Lines(t Tree, confidence float64) [][]float64 {
	c := s.curve(t, confidence)
	c.moves = make([]float64, t.Leaves()+1)
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
	c, first, moves := s.curve(t, confidence), s.Steps, 0.0
	_, deviation := c.atRisk(s.Steps + 1)
	atRisk = c.z * deviation
	for k := 1; k <= s.Steps; k++ {
		r := s.Steps + 1 - k
		if math.Mod(float64(k)*s.Step, s.Every) != 0 && k < s.Steps {
			continue
		}
		_, deviation = c.atRisk(r + 1)
		atRisk = math.Max(atRisk, c.z*deviation)
		events = math.Max(events, c.z*c.deviation*math.Sqrt(c.with.between(r, first+1)))
		first = r - 1
	}
	for k := range s.Steps {
		moves = math.Max(moves, c.with.between(s.Steps-k, s.Steps+1))
	}
	return atRisk, events, c.z * c.deviation * math.Sqrt(moves)
}

// curve is at the beginning of a life table, of all of the tree by least squares.
func (s LifeTable) curve(t Tree, confidence float64) curve {
	fit := NewForest(t.Branching, t.Counts)
	return curve{
		LifeTable: s, z: math.Sqrt2 * math.Erfinv(confidence), forest: fit, deviation: t.standardDeviation(),
		without: side{fit, 0}, with: side{fit, t.Leaves() / 2},
	}
}

// side is a half of the tree: the subjects without the event, or with it, from that bucket on. Each half is of whole
// trees of the forest, so that the errors of the two are independent.
type side struct {
	*Forest
	from int
}

// below is how many subjects of the side are in its first i buckets, and the variance of its error in units of one
// count's.
func (s side) below(i int) (n, variance float64) {
	n, _ = s.Under(s.from+i, 0)
	before, _ := s.Under(s.from, 0)
	return n - before, s.between(0, i)
}

// between is the variance of the error of the number of subjects in buckets i to j-1.
func (s side) between(i, j int) float64 { return s.Between(s.from+i, s.from+j) }

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

// atRisk is how many subjects are in the first i buckets by least squares, and the deviation of its error.
func (c *curve) atRisk(i int) (n, deviation float64) {
	with, variance := c.with.below(i)
	without, other := c.without.below(i)
	return with + without, math.Sqrt(variance+other) * c.deviation
}

// enough is how many standard deviations of their noise the numbers at risk must be above 0 for survival to be told;
// found by TestSurvivalBandsCover.
const enough = 5

// curve goes along the steps of a life table.
type curve struct {
	LifeTable
	z             float64
	forest        *Forest
	deviation     float64 // of the noise of one count
	without, with side
	left, hit     []float64 // fitted
	ended         bool      // too few are at risk
	log           float64   // of survival, by the fitted numbers
	raw           float64   // what the numbers that need not fall add to it, to first order
	greenwood     float64
	moves         []float64 // how log survival moves with the error of the sum of the first 0, 1, ... buckets of the tree
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
	c.moves[r+1] += byRisk // without the event, and with it
	c.moves[c.with.from+r+1] += byRisk + byEvents
	c.moves[c.with.from+r] -= byEvents
	c.moves[c.with.from] -= byRisk
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
	width := c.z * c.deviation * math.Sqrt(c.with.between(r, top))
	l.eventsLow, l.eventsHigh = around(upTo-under, events, width)
	none := math.NaN()
	if c.ended {
		l.survival, l.low, l.high, l.deviation, l.lower, l.upper = none, none, none, none, none, none
		return l
	}
	noise := c.deviation * c.deviation * c.forest.Spread(c.moves)
	l.survival = math.Exp(c.log)
	l.deviation = l.survival * math.Sqrt(noise+c.greenwood)
	if math.IsInf(c.log, 0) { // nobody left, as it seems: all that is told is that the curve does not rise
		l.low, l.high, l.deviation, l.lower, l.upper = 0, 1, none, none, none
		return l
	}
	ends := func(variance float64) (low, high float64) {
		width := c.z * math.Sqrt(variance)
		return math.Exp(c.log + c.raw - width), math.Exp(c.log + c.raw + width)
	}
	l.low, l.high = ends(noise)
	l.lower, l.upper = ends(noise + c.greenwood)
	l.lower, l.upper = math.Min(l.survival, l.lower), math.Min(1, math.Max(l.survival, l.upper))
	return l
}

// flatten makes of the noise's intervals the closest that do not rise, and writes the rows. A mean of ends that rise
// lies as far from a curve that falls as these do, or less.
func flatten(table []lifeLine) (lines [][]float64) {
	told := slices.IndexFunc(table, func(l lifeLine) bool { return math.IsNaN(l.survival) })
	if told < 0 {
		told = len(table)
	}
	lows, highs, weights := make([]float64, told), make([]float64, told), make([]float64, told)
	for i, l := range table[:told] {
		lows[told-1-i], highs[told-1-i], weights[i] = l.low, l.high, 1
	}
	lows, highs = Isotonic(lows, weights, 0), Isotonic(highs, weights, 0)
	for i := range table[:told] {
		l := &table[i]
		l.low, l.high = math.Min(l.survival, lows[told-1-i]), math.Max(l.survival, math.Min(1, highs[told-1-i]))
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
