package estimate

import (
	"math"
	"slices"
)

// Ladder tells about how many patients have how many rows of a table at a hospital, as was released before: of each
// step those with more rows than the public step before, up to Rows. Steps are in order.
type Ladder []Step

// Step is one step of a Ladder.
type Step struct {
	Rows     int     `json:"rows"`
	Patients float64 `json:"patients"` // above 0
}

// before is the public step before, 0 before the first: steps are the powers of two.
func (s Step) before() int { return s.Rows / 2 }

// Middle is how many rows a patient of the step has on average, if they are spread evenly over it.
func (s Step) Middle() float64 { return float64(s.before()+1+s.Rows) / 2 }

// Quantile is how many rows at most that part of the patients have, up to the step; 0 for an empty ladder.
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

// Lost is about how many rows are left out if a patient of more than limit counts as one of limit, and how many there
// are, the patients of a step being spread evenly over it.
func (l Ladder) Lost(limit int) (lost, all float64) {
	for _, s := range l {
		n, c, b := float64(s.Rows), float64(limit), float64(s.before())
		all += s.Patients * s.Middle()
		switch {
		case c >= n:
		case c > b: // the sum of 1, 2, … n-c, of n-b patients
			lost += s.Patients * (n - c) * (n - c + 1) / 2 / (n - b)
		default:
			lost += s.Patients * (s.Middle() - c)
		}
	}
	return lost, all
}

// unseenSteps is how many steps With adds.
const unseenSteps = 2

// With is the ladder and two steps more, of as many patients as noise may have hidden, at most, and so many fewer each
// as the last steps have, half at least: without them, who has very many rows would seem not to be there.
func (l Ladder) With(hidden float64) Ladder {
	n := len(l)
	if n == 0 || !(hidden > 0) {
		return l
	}
	last, kept, faster := l[n-1], 0.5, 1.0 // of the patients of a step, the next has so many; and that falls from step to step
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

// Best is the limit with which a total errs least: by what is left out, and by noise of that scale for a limit of one
// row.
func (l Ladder) Best(scale float64) int {
	return l.leastError(func(limit int) float64 {
		lost, _ := l.Lost(limit)
		return math.Hypot(lost, scale*float64(limit))
	})
}

// leastError is the limit with which an error is least, of limits that are an eighth apart, up to the last step; 0 of
// no steps.
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

// By how much, of half of the bounds' range, who has more rows than a limit is supposed to differ from who has fewer:
// in a mean, of which the data of docs/accuracy.md have 0.002 to 0.04; and in a share, where what is counted often
// decides how many rows there are, as a death does (informative cluster size; Hoffman, Sen & Weinberg 2001, Biometrika
// 88): a small effect (0.2 standard deviations; Cohen 1988) on a share of 7 %, whose standard deviation is half of half
// its range.
const (
	differingInMean  = 0.01
	differingInShare = 0.1
)

// BestOfMean is the limit with which a mean errs least, in units of half of its bounds' range: as it weighs who has
// more rows less, and by noise of that scale for a limit of one row in a sum of all rows.
func (l Ladder) BestOfMean(scale float64) int { return l.bestOfQuotient(scale, differingInMean) }

// BestOfShare is the limit with which a share of 7 % of the rows errs least: by noise of that scale, for a limit of one
// row, in each of those that it is of and those that it is not of; so by twice √(0.07² + 0.93²) as much of half its
// range.
func (l Ladder) BestOfShare(scale float64) int {
	return l.bestOfQuotient(2*math.Hypot(0.07, 0.93)*scale, differingInShare)
}

func (l Ladder) bestOfQuotient(scale, differing float64) int {
	return l.leastError(func(limit int) float64 {
		lost, all := l.Lost(limit)
		return math.Hypot(differing*lost/all, scale*float64(limit)/(all-lost))
	})
}

// Groups is in how many groups a patient may be and count in full, such that the number of patients in each of some
// groups errs least: by what is left out of those in more, and by noise of that scale for one group. Patients are
// supposed to be in as many groups as they have rows, and in no more than possible; euclidean is the length to which
// they are clipped, else the sum.
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
