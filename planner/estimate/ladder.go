package estimate

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// Ladder tells roughly how many patients at a hospital have how many rows of a table, from an earlier release. A step
// counts the patients with more rows than the previous public step and at most Rows. Steps are in ascending order.
type Ladder []Step

// Step is one step of a Ladder.
type Step struct {
	Rows     int     `json:"rows"`
	Patients float64 `json:"patients"` // above 0
}

// before is the previous public step, 0 for the first. Public steps are the powers of two.
func (s Step) before() int { return s.Rows / 2 }

// Middle is the average number of rows of the step's patients, if they are spread evenly over it.
func (s Step) Middle() float64 { return float64(s.before()+1+s.Rows) / 2 }

// Quantile is the number of rows, rounded up to a step, that the share q of the patients does not exceed; 0 for an
// empty ladder.
func (l Ladder) Quantile(q float64) int {
	total, sum := 0.0, 0.0
	for _, s := range l {
		total += s.Patients
	}
	for _, s := range l {
		if sum += s.Patients; sum >= q*total {
			return s.Rows
		}
	}
	return 0
}

// Lost is roughly how many rows are lost if a patient with more than limit rows counts as limit rows, and how many rows
// there are in all. The patients of a step are taken as spread evenly over it.
func (l Ladder) Lost(limit int) (lost, all float64) {
	for _, s := range l {
		n, c, b := float64(s.Rows), float64(limit), float64(s.before())
		all += s.Patients * s.Middle()
		switch {
		case c >= n:
		case c > b: // the sum of 1, 2, … n-c, for n-b patients
			lost += s.Patients * (n - c) * (n - c + 1) / 2 / (n - b)
		default:
			lost += s.Patients * (s.Middle() - c)
		}
	}
	return lost, all
}

// unseenSteps is the number of steps that With adds.
const unseenSteps = 2

// With adds two steps to the ladder, for patients with very many rows that noise may hide. A new step has at most
// hidden patients. Each has fewer than the step before, by the ratio of the last steps, and at most half. Otherwise
// such patients would seem not to exist.
func (l Ladder) With(hidden float64) Ladder {
	n := len(l)
	if n == 0 || !(hidden > 0) {
		return l
	}
	// a step has kept times the patients of the one before; kept is multiplied by faster at each step
	last, kept, faster := l[n-1], 0.5, 1.0
	if n > 1 {
		kept = l[n-1].Patients / l[n-2].Patients
	}
	if n > 2 {
		faster = math.Min(1, kept*l[n-3].Patients/l[n-2].Patients)
	}
	all := slices.Clone(l)
	for range unseenSteps {
		kept = math.Min(0.5, kept*faster)
		last = Step{2 * last.Rows, math.Min(hidden, last.Patients*kept)}
		if last.Patients < 1 {
			break
		}
		all = append(all, last)
	}
	return all
}

// Best is the row limit with which a total has the smallest error. The error is what is left out plus noise; scale is
// the noise at a limit of one row.
func (l Ladder) Best(scale float64) int {
	return l.leastError(func(limit int) float64 {
		lost, _ := l.Lost(limit)
		return math.Hypot(lost, scale*float64(limit))
	})
}

// leastError is the limit for which an error function is smallest, up to the last step. It tries limits that are an
// eighth apart. It is 0 if there are no steps.
func (l Ladder) leastError(of func(limit int) float64) int {
	if len(l) == 0 {
		return 0
	}
	best, least := 0, math.Inf(1)
	for limit := 1; limit <= l[len(l)-1].Rows; limit += max(1, limit/8) {
		if x := of(limit); x < least {
			best, least = limit, x
		}
	}
	return best
}

// These are assumed differences between patients with more rows than a limit and patients with fewer, in halves of the
// bounds' range.
//
// For a mean, the number of rows and the value are assumed to go together as two normal variables do. If a share q of
// the rows is left out, these rows then lie beyond the rest by differing·φ(z)/q, where z is the quantile of 1 - q (the
// intensity of selection; Falconer & Mackay 1996, Introduction to Quantitative Genetics, chapter 11). So the fewer are
// left out, the more they differ. Above half of the rows, the bias is assumed to grow with q. The data of
// docs/accuracy.md have differences of 0.003 to 0.02.
//
// For a share, what is counted often decides how many rows there are, as a death does (informative cluster size;
// Hoffman, Sen & Weinberg 2001, Biometrika 88). There, a small effect is assumed (0.2 standard deviations; Cohen 1988)
// on a share of 7 %, whose standard deviation is half of half its range.
const (
	differingInMean  = 0.0075
	differingInShare = 0.1
)

// BestOfMean is the row limit with which a mean has the smallest error, in halves of its bounds' range. A limit gives
// patients with more rows less weight. scale is the noise of a sum over all rows at a limit of one row.
func (l Ladder) BestOfMean(scale float64) int {
	return l.bestOfQuotient(scale, func(lost float64) float64 { return differingInMean * selected(lost) })
}

// selected is φ(z), where z is the quantile of 1 - q of a normal variable. Above q = 1/2 it grows in proportion to q.
func selected(q float64) float64 {
	const atHalf = 0.3989422804014327 // φ(0)
	if q >= 0.5 {
		return 2 * atHalf * q
	}
	return distuv.UnitNormal.Prob(distuv.UnitNormal.Quantile(q))
}

// BestOfShare is the row limit with which a share of 7 % of the rows has the smallest error. scale is the noise, at a
// limit of one row, of the rows in the share and of the rows outside it. In halves of the share's range that is
// 2√(0.07² + 0.93²) times scale.
func (l Ladder) BestOfShare(scale float64) int {
	return l.bestOfQuotient(2*math.Hypot(0.07, 0.93)*scale, func(lost float64) float64 { return differingInShare * lost })
}

// bestOfQuotient takes the bias where a share of the rows is left out.
func (l Ladder) bestOfQuotient(scale float64, bias func(lost float64) float64) int {
	return l.leastError(func(limit int) float64 {
		lost, all := l.Lost(limit)
		return math.Hypot(bias(lost/all), scale*float64(limit)/(all-lost))
	})
}

// Spreading is roughly how much wider the noise of functions, divided by the number of rows, is than that of a count. A
// mean has the noise of a sum and of a count. Standard deviations and quantiles have a few times more. Correlations
// have still more: their sums are divided by two standard deviations, each a quarter of the range or less.
func Spreading(functions []string) float64 {
	spreading := 5 * math.Sqrt2
	for _, f := range functions {
		switch {
		case f == "avg": // with shares of 2 and 1, anywhere within its bounds: 3/2 + 3/3
			spreading = math.Min(spreading, math.Sqrt(2.5))
		case f == "count" || f == "sum":
			return math.Sqrt2
		case f == "corr" || strings.HasPrefix(f, "covar") || strings.HasPrefix(f, "regr"):
			spreading = 20
		}
	}
	return spreading
}

// Groups is the largest number of groups in which a patient should count in full, so that the number of patients in
// each group has the smallest error. The error is what is left out of patients in more groups, plus noise; scale is the
// noise for one group. A patient is assumed to be in as many groups as they have rows, but in at most possible.
// euclidean: patients are clipped to a Euclidean length, otherwise to a sum.
func (l Ladder) Groups(scale float64, groups, possible int, euclidean bool) int {
	if len(l) == 0 {
		return 0
	}
	best, least := 0, math.Inf(1)
	for limit := 1; limit <= min(possible, l[len(l)-1].Rows); limit += max(1, limit/4) {
		lost, length := 0.0, float64(limit)
		for _, s := range l {
			in := math.Min(s.Middle(), float64(possible))
			kept := float64(limit)
			if euclidean {
				kept = math.Sqrt(in * float64(limit))
			}
			lost += s.Patients * math.Max(0, in-kept)
		}
		if euclidean {
			length = math.Sqrt(length)
		}
		if x := math.Hypot(lost/float64(groups), scale*length); x < least {
			best, least = limit, x
		}
	}
	return best
}

// Apportion divides shares, of which one below 1 counts as 1, by what they have in common. Equal ones are the default,
// all 0.
func Apportion(shares []int) []int {
	all, common, equal := make([]int, len(shares)), 0, true
	for i, s := range shares {
		all[i] = max(1, s)
		common, equal = Divisor(common, all[i]), equal && all[i] == all[0]
	}
	for i := range all {
		if all[i] /= common; equal {
			all[i] = 0
		}
	}
	return all
}
