package estimate

import (
	"math"
	"slices"
)

// Ladder tells about how many patients have how many rows of a table at a hospital, as was released before: of each
// step those with more rows than the step before, up to Rows. Steps are in order.
type Ladder []Step

// Step is one step of a Ladder.
type Step struct {
	Rows     int     `json:"rows"`
	Patients float64 `json:"patients"` // above 0
}

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
// are, the patients of a step being spread evenly between it and half of it.
func (l Ladder) Lost(limit int) (lost, all float64) {
	for _, s := range l {
		n, c := float64(s.Rows), float64(limit)
		typical := n
		if s.Rows > 2 {
			typical = 0.75 * n
		}
		all += s.Patients * typical
		switch {
		case c >= n:
		case c > n/2: // (n-c)² / (2n) for each of twice the patients, who would be spread from 0 on
			lost += s.Patients * (n - c) * (n - c) / n
		default:
			lost += s.Patients * (typical - c)
		}
	}
	return lost, all
}

// With is the ladder and one step more, of as many patients as noise may have hidden, at most, and fewer than on its
// last: without it, who has very many rows would seem not to be there.
func (l Ladder) With(hidden float64) Ladder {
	n := len(l)
	if n == 0 || !(hidden > 0) {
		return l
	}
	return append(slices.Clone(l), Step{2 * l[n-1].Rows, math.Min(hidden, l[n-1].Patients/2)})
}

// Best is the limit with which a total errs least: by what is left out, and by noise of that scale for a limit of one
// row.
func (l Ladder) Best(scale float64) int {
	if len(l) == 0 {
		return 0
	}
	best, least := 0, math.Inf(1)
	for limit := 1; limit <= l[len(l)-1].Rows; limit += max(1, limit/4) {
		lost, _ := l.Lost(limit)
		if x := math.Hypot(lost, scale*float64(limit)); x < least {
			best, least = limit, x
		}
	}
	return best
}
