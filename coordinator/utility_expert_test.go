package coordinator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/intramuros/intramuros/planner/estimate"
)

// This file computes the error of what an expert would release for one question at the same price, with the best simple
// mechanism known for it. The expert has hindsight: the clip and the split of the budget are the best for these very
// data. So a ratio of 1 needs luck.
//
// Nobody knows without paying how many rows a patient has at most, and totals depend on it: their bias is the part
// beyond the clip. The best clip leaves about as many patients beyond it as the noise is wide (Amin, Kulesza, Muñoz
// Medina & Vassilvitskii 2019, Bounding User Contributions, ICML). So totals have a second error, that of an expert who
// pays. This expert takes the clip from a noisy histogram of the norms of the question's own rows, at the price of our
// profile, which is of the whole table.
//
// For means, and what is made of them, the bias of a clip depends on how much patients with many rows differ from
// others. Nobody knows that either, and with hindsight a clip may be found at which biases of both signs cancel. So
// they have a second error too: that of an expert who supposes, of the same histogram, that the number of rows and the
// values go together as two normal variables do (estimate.Ladder.BestOfMean). Without a profile, and for shares and
// quantiles, the clip is the one with hindsight.
//
// An expert clips each patient's rows at a hospital, over all groups, to an L2 norm C (by scaling, as in Abadi et al.
// 2016), and adds Gaussian noise to the sums. Let m be the number of hospitals at which a patient may be. Let B_i be
// the upper bound of component i in each row, and split the budget so that Σ 1/s_i² is kept. Then noise
// s_i·m·C·B_i/√(2ρ) is rho-zCDP (Bun & Steinke 2016, Proposition 1.6). By the delta method and with the best split, the
// error of a smooth function f of the sums is
//
//	m·C/√(2ρ) · Σ |∂f/∂S_i| B_i
//
// If the components are indicators of which exactly one is 1, the error is m·C/√(2ρ) · √Σ(∂f/∂S_i)², because they form
// one vector of norm 1. The part that clipping removes is bias and belongs to the error: RMSE² = bias² + variance.
//
// Quantiles use the exponential mechanism (Smith 2011) over a public grid with ε = √(8ρ), which is rho-zCDP because it
// is ε-bounded-range (Cesar & Rogers 2021). One draw has no interval. An expert who owes an interval buys its two ends
// as quantiles too (Drechsler, Globus-Harris, McMillan, Sarathy & Smith 2022), so that each of the three gets ρ/3.
// Survival curves are computed from a noisy histogram of steps and events (Gondara & Wang 2020, with Gaussian noise),
// which this file draws.

// estimand is a number that is computed from rows, and how an expert would release it.
type estimand struct {
	components []string  // SQL of x and y
	reach      []float64 // B of each: the least upper bound of its absolute value
	value      func(n float64, s []float64) float64
	exclusive  bool // components are indicators, exactly one of which is 1

	quantile *quantileOf
	survival *survivalTable

	// kind is what other libraries are asked: "count", "mean", "share" or "sum" of x within [low, high]; "" for nothing.
	kind      string
	low, high float64
}

type quantileOf struct{ q, low, high, unit float64 }

type survivalTable struct{ horizon, step, every int }

var (
	counted = estimand{kind: "count", value: func(n float64, _ []float64) float64 { return n }}
	// share is the percentage of the rows in which x is 1.
	share = estimand{
		kind: "share", high: 1,
		components: []string{"x", "1 - x"}, reach: []float64{1, 1}, exclusive: true,
		value: func(_ float64, s []float64) float64 { return 100 * s[0] / (s[0] + s[1]) },
	}
)

// unit maps x from [low, high] to [-1, 1].
func unit(x string, low, high float64) string {
	return fmt.Sprintf("((%s - %v) / %v)", x, (low+high)/2, (high-low)/2)
}

func mean(low, high float64) estimand {
	return estimand{
		kind: "mean", low: low, high: high,
		components: []string{unit("x", low, high)}, reach: []float64{1},
		value: func(n float64, s []float64) float64 { return (low+high)/2 + (high-low)/2*s[0]/n },
	}
}

func total(high float64) estimand {
	return estimand{
		kind: "sum", high: high,
		components: []string{fmt.Sprintf("x / %v", high)}, reach: []float64{1},
		value: func(_ float64, s []float64) float64 { return high * s[0] },
	}
}

// spread is the standard deviation. A square is in [0, 1], so it is measured from 1/2.
func spread(low, high float64) estimand {
	u := unit("x", low, high)
	return estimand{
		components: []string{u, u + " * " + u + " - 0.5"}, reach: []float64{1, 0.5},
		value: func(n float64, s []float64) float64 {
			return (high - low) / 2 * math.Sqrt(math.Max(0, s[1]/n+0.5-s[0]/n*s[0]/n))
		},
	}
}

func correlation(xLow, xHigh, yLow, yHigh float64) estimand {
	u, v := unit("x", xLow, xHigh), unit("y", yLow, yHigh)
	return estimand{
		components: []string{u, v, u + " * " + u + " - 0.5", v + " * " + v + " - 0.5", u + " * " + v},
		reach:      []float64{1, 1, 0.5, 0.5, 1},
		value: func(n float64, s []float64) float64 {
			a, b := s[0]/n, s[1]/n
			return (s[4]/n - a*b) / math.Sqrt(math.Max(1e-12, (s[2]/n+0.5-a*a)*(s[3]/n+0.5-b*b)))
		},
	}
}

func quantile(q, low, high, unit float64) estimand {
	return estimand{quantile: &quantileOf{q, low, high, unit}}
}

func survivalOf(horizon, step, every int) estimand {
	return estimand{survival: &survivalTable{horizon, step, every}}
}

// rowsOf are a patient's rows in a group at one hospital: their number, and the sums of the components.
type rowsOf struct {
	patient string // includes the hospital
	group   string
	n       float64
	sums    []float64
}

// expert returns the exact numbers by group, and the root mean square error of the mechanism above over those groups,
// with noise of m/epsilon for a norm of 1. kept says which groups count. profiled is the noise of a profile's steps,
// for the expert who pays for the clip; with 0 there is none, and the paid error is 0.
func (e estimand) expert(all []rowsOf, sigma, profiled float64, groups []string, kept func(n float64) bool) (exact map[string]float64, rmse, paid float64) {
	switch {
	case e.quantile != nil:
		exact, rmse = e.quantile.expert(all, sigma)
		return exact, rmse, 0
	case e.survival != nil:
		exact, rmse = e.survival.expert(all, sigma)
		return exact, rmse, 0
	}
	norms := map[string]float64{}
	for _, r := range all {
		norms[r.patient] += r.n * r.n
	}
	largest := 1.0
	for p, squares := range norms {
		norms[p] = math.Sqrt(squares)
		largest = math.Max(largest, norms[p])
	}
	whole := e.sums(all, norms, math.Inf(1))
	exact = map[string]float64{}
	for _, g := range groups {
		if s := whole[g]; s == nil {
			whole[g] = make([]float64, 1+len(e.components))
		}
		if kept(whole[g][0]) {
			exact[g] = e.value(whole[g][0], whole[g][1:])
		}
	}
	at := func(c float64) float64 { // the mean square error with a clip
		clipped, squares := e.sums(all, norms, c), 0.0
		for g, x := range exact {
			s := clipped[g]
			if s == nil {
				s = whole[g]
			}
			bias := e.value(s[0], s[1:]) - x
			deviation := c * sigma * e.sensitivity(s)
			squares += bias*bias + deviation*deviation
		}
		return squares / float64(len(exact))
	}
	best := math.Inf(1)
	for c := 1.0; ; c = math.Min(largest, c*1.15) {
		if best = math.Min(best, at(c)); c >= largest {
			break
		}
	}
	if totals := len(e.components) == 0 || e.kind == "sum"; profiled > 0 && largest > 1 && !e.exclusive {
		r := rand.New(rand.NewPCG(1, 2))
		const draws = 20
		for range draws {
			seen := histogram(norms, profiled, r)
			c := advised(seen, sigma, len(exact))
			if !totals {
				c = e.advised(seen, sigma, exact, whole)
			}
			paid += at(c) / draws
		}
	}
	return exact, math.Sqrt(best), math.Sqrt(paid)
}

// histogram is a noisy histogram of norms over the public steps of a profile: a step counts if noise alone would
// not reach it, and further steps are assumed, as for a profile.
func histogram(norms map[string]float64, profiled float64, r *rand.Rand) estimate.Ladder {
	var counts [16]float64
	for _, n := range norms {
		counts[max(0, int(math.Ceil(math.Log2(n)-1e-9)))]++
	}
	var seen estimate.Ladder
	for k, n := range counts {
		if n += profiled * r.NormFloat64(); n > 1.96*surely*profiled {
			seen = append(seen, estimate.Step{Rows: 1 << k, Patients: n})
		}
	}
	return seen.With(1.96 * profiled / 3)
}

// advised is the clip with which a total errs least, as a histogram of norms tells.
func advised(seen estimate.Ladder, sigma float64, groups int) float64 {
	best, least := 1.0, math.Inf(1)
	for c := 1.0; len(seen) > 0 && c < 1.1*float64(seen[len(seen)-1].Rows); c *= 1.1 {
		lost := 0.0
		for _, s := range seen {
			lost += s.Patients * math.Max(0, s.Middle()-c)
		}
		if x := math.Hypot(lost/float64(groups), c*sigma); x < least {
			best, least = c, x
		}
	}
	return best
}

// advised is the clip with which a function of means errs least, as a histogram of norms tells: if each mean moves by
// what is left out, as much as differing of its bound for each standard deviation, and all in the worst directions.
func (e estimand) advised(seen estimate.Ladder, sigma float64, exact map[string]float64, whole map[string][]float64) float64 {
	const differing = 0.0075 // as our limits suppose
	moves, noise := 0.0, 0.0
	for g := range exact {
		s := whole[g]
		all, alone := e.sensitivity(s), e
		alone.reach = make([]float64, len(e.reach)) // of the count
		of := s[0] * (all - alone.sensitivity(s))
		moves, noise = moves+of*of/float64(len(exact)), noise+all*all/float64(len(exact))
	}
	best, least := 1.0, math.Inf(1)
	for c := 1.0; len(seen) > 0 && c < 1.1*float64(seen[len(seen)-1].Rows); c *= 1.1 {
		lost, rows := 0.0, 0.0
		for _, s := range seen {
			lost += s.Patients * math.Max(0, s.Middle()-c)
			rows += s.Patients * s.Middle()
		}
		share := lost / rows
		selected := math.Sqrt(2/math.Pi) * share
		if z := math.Sqrt2 * math.Erfinv(1-2*share); share < 0.5 {
			selected = math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
		}
		if x := math.Hypot(differing*selected*math.Sqrt(moves), c*sigma*math.Sqrt(noise)/(1-share)); x < least {
			best, least = c, x
		}
	}
	return best
}

// sums adds up by group, with each patient scaled to a norm of at most c: first the rows, then the components.
func (e estimand) sums(all []rowsOf, norms map[string]float64, c float64) map[string][]float64 {
	by := map[string][]float64{}
	for _, r := range all {
		s := by[r.group]
		if s == nil {
			s = make([]float64, 1+len(e.components))
			by[r.group] = s
		}
		scale := math.Min(1, c/norms[r.patient])
		s[0] += scale * r.n
		for i, x := range r.sums {
			s[1+i] += scale * x
		}
	}
	return by
}

// sensitivity is Σ |∂f/∂S_i| B_i, or the root of the sum of squares.
func (e estimand) sensitivity(s []float64) float64 {
	reach := append([]float64{1}, e.reach...)
	linear, squares := 0.0, 0.0
	for i := range s {
		if i == 0 && e.exclusive {
			continue
		}
		h := math.Max(1e-3, 1e-4*s[0])
		up, down := slices.Clone(s), slices.Clone(s)
		up[i] += h
		down[i] -= h
		g := (e.value(up[0], up[1:]) - e.value(down[0], down[1:])) / (2 * h) * reach[i]
		linear += math.Abs(g)
		squares += g * g
	}
	if e.exclusive {
		return math.Sqrt(squares)
	}
	return linear
}

// expert is the error of the exponential mechanism with ε = √(8ρ), which is 2m/sigma, for each of three quantiles at a
// third of ρ. A candidate's score is how far its rank is from q of all, and changes by at most max(q, 1-q)·m·C. The
// error is at least that of rounding to the grid's unit, unit/√12.
func (q quantileOf) expert(all []rowsOf, sigma float64) (map[string]float64, float64) {
	slices.SortFunc(all, func(a, b rowsOf) int { return compareFloats(a.sums[0], b.sums[0]) })
	rows := map[string]float64{}
	most, n := 1.0, 0.0
	for _, r := range all {
		rows[r.patient] += r.n
		most = math.Max(most, rows[r.patient])
		n += r.n
	}
	truth, at := 0.0, 0.0
	for _, r := range all {
		if at += r.n; at >= q.q*n {
			truth = r.sums[0]
			break
		}
	}
	third := sigma * math.Sqrt(3)
	best := math.Inf(1)
	for c := 1.0; ; c = math.Min(most, c*1.3) {
		best = math.Min(best, q.exponential(all, rows, c, 1/(max(q.q, 1-q.q)*c*third), truth))
		if c >= most {
			return map[string]float64{"": truth}, math.Max(best, q.unit/math.Sqrt(12))
		}
	}
}

// exponential is the root mean square error if a candidate x has the weight exp(-rate·distance).
func (q quantileOf) exponential(all []rowsOf, rows map[string]float64, c, rate, truth float64) float64 {
	weights := make([]float64, len(all))
	sum := 0.0
	for i, r := range all {
		weights[i] = r.n * math.Min(1, c/rows[r.patient])
		sum += weights[i]
	}
	type candidate struct{ x, distance float64 }
	var candidates []candidate
	nearest := math.Inf(1)
	below, i := 0.0, 0
	for k := 0; ; k++ {
		x := q.low + float64(k)*q.unit
		if x > q.high+1e-9 {
			break
		}
		for i < len(all) && all[i].sums[0] < x-1e-9 {
			below += weights[i]
			i++
		}
		upTo := below
		for j := i; j < len(all) && all[j].sums[0] <= x+1e-9; j++ {
			upTo += weights[j]
		}
		d := math.Max(0, math.Max(below-q.q*sum, q.q*sum-upTo))
		nearest = math.Min(nearest, d)
		candidates = append(candidates, candidate{x, d})
	}
	mass, squares := 0.0, 0.0
	for _, k := range candidates {
		w := math.Exp(-rate * (k.distance - nearest))
		mass += w
		squares += w * (k.x - truth) * (k.x - truth)
	}
	return math.Sqrt(squares / mass)
}

// expert draws histograms of (step, event), in which a patient changes one count, and computes survival from them. It
// takes the best of the steps that divide the times shown.
func (v survivalTable) expert(all []rowsOf, sigma float64) (map[string]float64, float64) {
	exact := v.curve(v.histogram(all, 1), 1)
	best := math.Inf(1)
	for step := v.step; step <= v.every; step += v.step {
		if v.every%step == 0 {
			best = math.Min(best, v.draw(v.histogram(all, step), step, sigma, exact))
		}
	}
	return exact, best
}

// draw is the root mean square error of the curve from noisy steps.
func (v survivalTable) draw(steps [][2]float64, step int, sigma float64, exact map[string]float64) float64 {
	r := rand.New(rand.NewPCG(1, uint64(step)))
	const draws = 400
	squares := 0.0
	for range draws {
		noisy := make([][2]float64, len(steps))
		for i, s := range steps {
			noisy[i] = [2]float64{s[0] + sigma*r.NormFloat64(), s[1] + sigma*r.NormFloat64()}
		}
		for t, s := range v.curve(noisy, step) {
			squares += (s - exact[t]) * (s - exact[t])
		}
	}
	return math.Sqrt(squares / float64(draws*len(exact)))
}

// histogram counts by step, from 0, the subjects whose time ended without and with the event. The last step is beyond
// the horizon.
func (v survivalTable) histogram(all []rowsOf, step int) [][2]float64 {
	counts := make([][2]float64, v.horizon/step+2)
	for _, r := range all {
		at := min(int(math.Ceil(r.sums[0]/float64(step))), len(counts)-1)
		counts[max(at, 0)][int(r.sums[1])] += r.n
	}
	return counts
}

// curve is the product-limit estimate (Kaplan & Meier 1958) at the times that are shown, kept monotone within [0, 1].
func (v survivalTable) curve(steps [][2]float64, step int) map[string]float64 {
	risk := 0.0
	for _, s := range steps {
		risk += s[0] + s[1]
	}
	shown, survival := map[string]float64{}, 1.0
	for i, s := range steps[:len(steps)-1] {
		survival *= math.Min(1, math.Max(0, 1-s[1]/math.Max(1, risk)))
		risk -= s[0] + s[1]
		if t := i * step; t > 0 && t%v.every == 0 {
			shown[strconv.Itoa(t)] = survival
		}
	}
	return shown
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
