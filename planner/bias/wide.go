package bias

import (
	"fmt"

	"github.com/intramuros/intramuros/planner/estimate"
)

// Wide is a column whose bounds are so far apart that noise drowns its mean.
type Wide struct {
	Column       string
	Lower, Upper float64
	Values       float64 // of which the mean is
	HalfWidth    float64 // to expect of the mean
	// From and To are where a profile says that nearly all values lie, and Taken its day; empty: none does.
	From, To float64
	Taken    string
}

// String says how wide the mean is, and what CLAMP would give.
func (w Wide) String() string {
	text := fmt.Sprintf("%s may be from %s to %s, and noise follows from that: a mean of %s values is expected to err by ± %s; in CLAMP(%s, lowest, highest) of a tenth of that range it errs by a tenth",
		w.Column, estimate.Plain(w.Lower), estimate.Plain(w.Upper), estimate.Plain(w.Values), estimate.Plain(w.HalfWidth), w.Column)
	if w.Taken == "" {
		return text
	}
	return text + fmt.Sprintf("; by the profile of %s nearly all values lie in CLAMP(%s, %s, %s), of which it errs by ± %s",
		w.Taken, w.Column, estimate.Plain(w.From), estimate.Plain(w.To), estimate.Plain(w.HalfWidth*(w.To-w.From)/(w.Upper-w.Lower)))
}
