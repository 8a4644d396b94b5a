package estimate

import (
	"math"
	"slices"
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
// bounds' range. For a mean, the data of docs/accuracy.md have 0.002 to 0.04. For a share, what is counted often
// decides how many rows there are, as a death does (informative cluster size; Hoffman, Sen & Weinberg 2001, Biometrika
// 88). There, a small effect is assumed (0.2 standard deviations; Cohen 1988) on a share of 7 %, whose standard
// deviation is half of half its range.
const (
	differingInMean  = 0.01
	differingInShare = 0.1
)

// BestOfMean is the row limit with which a mean has the smallest error, in halves of its bounds' range. A limit gives
// patients with more rows less weight. scale is the noise of a sum over all rows at a limit of one row.
func (l Ladder) BestOfMean(scale float64) int { return l.bestOfQuotient(scale, differingInMean) }

// BestOfShare is the row limit with which a share of 7 % of the rows has the smallest error. scale is the noise, at a
// limit of one row, of the rows in the share and of the rows outside it. In halves of the share's range that is
// 2√(0.07² + 0.93²) times scale.
func (l Ladder) BestOfShare(scale float64) int {
	return l.bestOfQuotient(2*math.Hypot(0.07, 0.93)*scale, differingInShare)
}

func (l Ladder) bestOfQuotient(scale, differing float64) int {
	return l.leastError(func(limit int) float64 {
		lost, all := l.Lost(limit)
		return math.Hypot(differing*lost/all, scale*float64(limit)/(all-lost))
	})
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
