package bias

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/planner/estimate"
)

// Limit describes the limit of a patient in words.
type Limit struct {
	What    string // what is clipped, such as "the rows"
	Are     string // "is" or "are"
	Limit   string // such as "the limit of 2 rows a patient (max_rows)"
	Times   int    // the measurement sees at most this many times the limit of one patient
	Instead string // what to ask for that has no such bias
}

// hidden is the share of the data from which on "0 to that share" says nothing useful.
const hidden = 0.5

// LeftOut says how much is left out. It returns an empty text if this is certainly less than a thousandth.
func (p Part) LeftOut(l Limit) string {
	const without = "intervals hold the value without that part"
	var much string
	switch {
	case math.IsNaN(p.Share) && math.Abs(p.Amount) <= p.HalfWidth:
		return fmt.Sprintf("a part of %s may be beyond %s and left out, up to %s either way: noise hides how much, a larger epsilon would tell, and %s; %s",
			l.What, l.Limit, estimate.Plain(math.Abs(p.Amount)+p.HalfWidth), without, l.Instead)
	case math.IsNaN(p.Share):
		much = fmt.Sprintf("about %s ± %s", estimate.Plain(p.Amount), estimate.Plain(p.HalfWidth))
	case p.Low <= 0 && p.Surely < 0.001:
		return ""
	case p.Low <= 0 && p.High >= hidden:
		return fmt.Sprintf("a part of %s may be beyond %s and left out: noise hides how much, a larger epsilon would tell, and %s; %s", l.What, l.Limit, without, l.Instead)
	default:
		much = p.share()
	}
	text := fmt.Sprintf("%s of %s %s beyond %s and left out (more, if some have over %d times the limit): %s", much, l.What, l.Are, l.Limit, l.Times, without)
	if math.IsNaN(p.High) || p.High > 0.01 {
		text += "; " + l.Instead
	}
	return text
}

// Outside says how many values are outside of a range and were moved to its nearest end. of is a range such as "CLAMP
// (age from 0 to 90)". It returns an empty text if this is certainly less than a thousandth of the values.
func (p Part) Outside(of string) string {
	var much string
	switch {
	case math.IsNaN(p.Share) && p.Amount > p.HalfWidth:
		much = fmt.Sprintf("about %s ± %s of the values", estimate.Plain(math.Round(p.Amount)), estimate.Plain(math.Ceil(p.HalfWidth)))
	case math.IsNaN(p.Share):
		much = fmt.Sprintf("0 to %s of the values", estimate.Plain(math.Ceil(p.Amount+p.HalfWidth)))
	case p.Low <= 0 && p.Surely < 0.001:
		return ""
	case p.Low <= 0 && p.High >= hidden:
		return fmt.Sprintf("some of the values may be outside of %s and count as the nearest bound: noise hides how many, and a larger epsilon would tell", of)
	default:
		much = p.share() + " of the values"
	}
	return fmt.Sprintf("%s are outside of %s and count as the nearest bound: sums and averages are of what it makes of them", much, of)
}

// percent formats a share as a percentage.
// share says how large the share is: its interval, from 0 if that may be.
func (p Part) share() string {
	if p.Low <= 0 {
		return upTo(p.High)
	}
	half := math.Max(p.High-p.Share, p.Share-p.Low)
	return fmt.Sprintf("about %s ± %s", percent(p.Share), percent(math.Ceil(1000*half)/1000))
}

func percent(x float64) string { return estimate.Plain(math.Round(1000*x)/10) + " %" }

// upTo formats a share between 0 and high. high counts as at least a thousandth, because smaller shares are not
// reported.
func upTo(high float64) string { return "0 to " + percent(math.Max(0.001, math.Ceil(1000*high)/1000)) }

// Unmeasured says that the part beyond a limit is not measured.
func Unmeasured(limit string) string {
	return "how much is beyond " + limit + " and left out is not measured: ask for a count beside it; intervals hold the value without that part"
}

// Shown says from how many patients on an undeclared group is shown, and from how many nearly always: of one hospital
// where each names its groups, and of all together otherwise.
func Shown(threshold int64, sure float64, each bool) string {
	where := ""
	if each {
		where = " in one hospital"
	}
	return fmt.Sprintf("a group that the catalog does not declare is shown from a noisy number of %d patients%s on: one of %.0f patients%s is shown with more than 97 %% probability, smaller ones more seldom", threshold, where, sure, where)
}

// Unseen says which undeclared groups are not among those that were released: of fewer than about threshold patients,
// at each hospital where each names its groups, or in all.
func Unseen(threshold int64, each bool) string {
	where := ""
	if each {
		where = " at each hospital"
	}
	return fmt.Sprintf("groups of fewer than about %d patients%s are not shown: counts, totals and shares over the groups are without them", threshold, where)
}

// TooFew says where numbers are missing because of noise: for each column of those names, in how many rows.
func TooFew(columns []string, unknown []int, rows int) (notes []string) {
	for i, n := range unknown {
		if n == 0 || slices.Index(unknown, n) < i {
			continue
		}
		var names []string
		for k, c := range columns {
			if unknown[k] == n {
				names = append(names, c)
			}
		}
		where, are := "", "is"
		if rows > 1 {
			where = fmt.Sprintf(" in %d of %d rows", n, rows)
		}
		if len(names) > 1 {
			are = "are"
		}
		notes = append(notes, fmt.Sprintf("too few%s: %s %s NULL where noise alone may be all there is; group more coarsely, or spend a larger epsilon",
			where, strings.Join(names, ", "), are))
	}
	return notes
}
