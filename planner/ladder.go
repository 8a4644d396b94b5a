package planner

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/planner/syntax"
)

// Ladder tells about how many patients have how many rows of a table at a hospital, as was released before: of each step
// those with more rows than the step before, up to Rows. Steps are in order.
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

// beyond is about how many rows are left out if a patient of more than limit counts as one of limit, and how many there are, the
// patients of a step being spread evenly between it and half of it.
func (l Ladder) beyond(limit int) (lost, all float64) {
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

// With is the ladder and one step more, of as many patients as noise may have hidden, at most, and fewer than on its last: without
// it, who has very many rows would seem not to be there.
func (l Ladder) With(hidden float64) Ladder {
	n := len(l)
	if n == 0 || !(hidden > 0) {
		return l
	}
	return append(slices.Clone(l), Step{2 * l[n-1].Rows, math.Min(hidden, l[n-1].Patients/2)})
}

// best is the limit with which a total errs least: by what is left out, and by noise of that scale for a limit of one row.
func (l Ladder) best(scale float64) int {
	if len(l) == 0 {
		return 0
	}
	best, least := 0, math.Inf(1)
	for limit := 1; limit <= l[len(l)-1].Rows; limit += max(1, limit/4) {
		lost, _ := l.beyond(limit)
		if x := math.Hypot(lost, scale*float64(limit)); x < least {
			best, least = limit, x
		}
	}
	return best
}

// profiledRows is the limit of rows that the profile of the one table with patients advises: where totals are asked for, that with
// which they err least, and otherwise as many as half of the patients have. 0: there is no profile, or other tables besides.
func (b *builder) profiledRows() int {
	l := b.ladder()
	if len(l) == 0 {
		return 0
	}
	counts, sums := 0, 0
	for _, item := range b.syntax.Select.Items {
		n, s := totalsIn(item.Term)
		counts, sums = counts+n, sums+s
	}
	totals := counts + sums
	switch {
	case totals == 0:
		return l.Quantile(0.5)
	case !(b.query.Epsilon > 0) || b.query.Accuracy != nil:
		return l.Quantile(0.99)
	}
	sites := len(b.federation.Hospitals)
	if b.catalog.MaxSites > 0 {
		sites = min(sites, b.catalog.MaxSites)
	}
	scale := float64(sites) * math.Sqrt(float64(totals)) / b.query.Epsilon
	if counts == 0 {
		scale *= roomy
	}
	groups := b.cells // each has its part of what is left out, and noise of its own
	if groups == 0 {
		groups = undeclaredGroups
	}
	return max(1, l.best(scale*float64(groups)))
}

// What is supposed where nothing is known.
const (
	roomy            = 4  // times the bound of a sum is of the values that it adds up
	undeclaredGroups = 10 // that there are
)

// ladder is what a profile tells of the one table with patients that the query reads.
func (b *builder) ladder() Ladder {
	var l Ladder
	for _, s := range b.sources {
		switch {
		case s.table.Public || s.table.OneRowPerPatient || s.alias == "": // of no name: it is reached by keys
		case s.Derived != nil || l != nil:
			return nil
		default:
			if l = b.federation.Ladders[s.Table]; l == nil {
				return nil
			}
		}
	}
	return l
}

// totalsIn counts the counts and the sums of rows in a term that are not divided by one another.
func totalsIn(t *syntax.Expr) (counts, sums int) {
	switch {
	case t == nil:
		return 0, 0
	case t.IsAggregate():
		switch {
		case t.Distinct:
		case t.Name == "count" || t.Name == "histogram":
			counts = 1
		case t.Name == "sum":
			sums = 1
		}
		return counts, sums
	case t.Kind == syntax.Operator && t.Name == "/" && len(t.Args) == 2 && t.Args[0].Aggregate() != nil && t.Args[1].Aggregate() != nil:
		return 0, 0
	}
	for _, a := range t.Args {
		n, s := totalsIn(a)
		counts, sums = counts+n, sums+s
	}
	return counts, sums
}
