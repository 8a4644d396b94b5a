package bias

import (
	"fmt"

	"github.com/intramuros/intramuros/planner/estimate"
)

// Wide is a column whose bounds are so far apart that its mean has too much noise.
type Wide struct {
	Column       string
	Lower, Upper float64
	Values       float64 // the number of values in the mean
	HalfWidth    float64 // the expected half-width of the mean's interval
	// A profile says that nearly all values lie between From and To. Taken is its day, empty if there is no profile.
	From, To float64
	Taken    string
}

// String says how far the mean may be off, and how much CLAMP would help.
func (w Wide) String() string {
	text := fmt.Sprintf("%s may be from %s to %s, and noise follows from that: a mean of %s values is expected to err by ± %s; in CLAMP(%s, lowest, highest) of a tenth of that range it errs by a tenth",
		w.Column, estimate.Plain(w.Lower), estimate.Plain(w.Upper), estimate.Plain(w.Values), estimate.Plain(w.HalfWidth), w.Column)
	if w.Taken == "" {
		return text
	}
	return text + fmt.Sprintf("; by the profile of %s nearly all values lie in CLAMP(%s, %s, %s), of which it errs by ± %s",
		w.Taken, w.Column, estimate.Plain(w.From), estimate.Plain(w.To), estimate.Plain(w.HalfWidth*(w.To-w.From)/(w.Upper-w.Lower)))
}
