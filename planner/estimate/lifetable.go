package estimate

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/internal/fragment"
)

// LifeTable computes a life table by Kaplan and Meier (1958) from a tree of times.
//
// The tree counts subjects by their time. Its first half holds the subjects without the event, its second half those
// with it, so each subject is in one bucket. Bucket r of a half holds the subjects whose time is in the r-th step
// counted back from the horizon, (horizon - r*step, horizon - (r-1)*step]. Bucket 0 holds those beyond the horizon. So
// the number at risk in a step is the count of all buckets up to its own, which the tree tells well. Events of adjacent
// steps telescope, so the noise on the curve grows only with the logarithm of the number of steps. If the step is the
// unit of time, the table is exact except for noise.
type LifeTable struct {
	Steps       int     // up to the horizon
	Step, Every float64 // in units of time; a row is shown every Every, a multiple of Step
}

// Buckets returns the tree's shape: one bucket for each step and one beyond the horizon, with and without the event.
// The number of levels is the one with the smallest error. More levels share the budget (their number under L2, its
// square under L1); fewer levels make sums of many buckets noisier. The branching is even, so that each half consists
// of whole nodes.
func (s LifeTable) Buckets(norm fragment.Norm) (best fragment.Buckets) {
	least := math.Inf(1)
	for levels := 1; levels <= 4; levels++ {
		branching := int(math.Ceil(math.Pow(2*float64(s.Steps+1), 1/float64(levels)) - 1e-9))
		b := fragment.Buckets{Branching: branching + branching%2, Levels: levels}
		forest := Forest{branching: b.Branching, own: ownErrors(b.Branching, levels), under: make([]float64, b.Leaves()+1)}
		// This is an upper bound of the variance of a sum from the beginning of a half.
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

// Lines returns the life table's rows: time; number at risk at the start of its step; events since the row before;
// survival with the ends of its interval; standard error; and the interval for the population that the subjects come
// from.
//
// Estimates are those of least squares over the tree (Forest), made consistent. The subjects who have left, with the
// event and without, are two series that never fall; each is replaced by the closest such series (Isotonic). So numbers
// at risk and survival never rise, and no event is counted twice.
//
// The interval of survival is for the noise alone: it covers what the table would be without noise. lower and upper add
// the variance of Greenwood (1926) to that of log survival, as R's survfit does. Both use the delta method on the
// logarithm. They are centred on the least-squares estimate over the whole tree, whose errors are known (one Newton
// step from the fitted estimate). Then the ends of the first interval are made to fall as the curve does (flatten).
// After the last step at which enough subjects are at risk (enough), the table gives no survival.
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

// Errors are the half-widths to expect in a table, whatever the counts. For numbers at risk and events they are the
// largest shown. That of survival is the one at the horizon, multiplied by the number at risk there.
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

// curve returns the state at the beginning of a life table, fitted to the whole tree by least squares.
func (s LifeTable) curve(t Tree, confidence float64) curve {
	fit := NewForest(t.Branching, t.Counts)
	return curve{
		LifeTable: s, z: math.Sqrt2 * math.Erfinv(confidence), forest: fit, deviation: t.standardDeviation(),
		without: side{fit, 0}, with: side{fit, t.Leaves() / 2},
	}
}

// side is one half of the tree from bucket from on: the subjects without the event, or with it. Each half consists of
// whole trees of the forest, so the errors of the halves are independent.
type side struct {
	*Forest
	from int
}

// below is the number of subjects of this side in its first i buckets, and the variance of its error in units of one
// count's variance.
func (s side) below(i int) (n, variance float64) {
	n, _ = s.Under(s.from+i, 0)
	before, _ := s.Under(s.from, 0)
	return n - before, s.between(0, i)
}

// between is the variance of the error of the number of subjects in buckets i to j-1.
func (s side) between(i, j int) float64 { return s.Between(s.from+i, s.from+j) }

// fit estimates how many subjects, and how many with the event, are in the buckets below each edge.
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

// atRisk is the number of subjects in the first i buckets by least squares, and the standard deviation of its error.
func (c *curve) atRisk(i int) (n, deviation float64) {
	with, variance := c.with.below(i)
	without, other := c.without.below(i)
	return with + without, math.Sqrt(variance+other) * c.deviation
}

// enough is how many standard deviations of their noise the numbers at risk must exceed 0 for survival to be shown.
// TestSurvivalBandsCover found the value.
const enough = 5

// curve is the state while the steps of a life table are computed.
type curve struct {
	LifeTable
	z             float64
	forest        *Forest
	deviation     float64 // of the noise on one count
	without, with side
	left, hit     []float64 // fitted
	ended         bool      // too few are at risk
	log           float64   // log survival by the fitted numbers
	raw           float64   // added to log by the unfitted numbers, to first order
	greenwood     float64
	moves         []float64 // how log survival changes with the errors of the sums of the first 0, 1, ... buckets
}

// step computes the step of bucket r. The subjects below its upper edge are at risk.
func (c *curve) step(r int) {
	n, d := c.left[r+1], c.hit[r+1]-c.hit[r]
	atRisk, deviation := c.atRisk(r + 1)
	if c.ended = c.ended || n < 0.5 || n < enough*deviation; c.ended || math.IsInf(c.log, 0) {
		return
	}
	c.log += math.Log(math.Max(0, 1-d/n))
	if c.log < -700 { // practically nobody: the logarithm cannot change
		c.log = math.Inf(-1)
		return
	}
	upTo, _ := c.with.below(r + 1)
	under, _ := c.with.below(r)
	byRisk, byEvents := d/(n*(n-d)), -1/(n-d)
	c.raw += (atRisk-n)*byRisk + (upTo-under-d)*byEvents
	c.greenwood += byRisk
	c.moves[r+1] += byRisk // for subjects without the event and with it
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

// line is the row of bucket r. events are those since the row before, which began at the edge top.
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
	if math.IsInf(c.log, 0) { // apparently nobody is left: only that the curve does not rise is known
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

// flatten replaces the ends of the noise's intervals by the closest series that do not rise, and writes the rows. If
// ends rise, their mean is at most as far from a falling curve as they are.
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
