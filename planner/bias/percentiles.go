package bias

import (
	"fmt"
	"math"

	"github.com/intramuros/intramuros/planner/estimate"
)

// Percentiles puts the interval of a quantile into words, as percentiles of the values. from and to are shares in
// [0, 1]. The interval of the least or the greatest value ends at a bound.
func Percentiles(from, to float64, least, greatest bool) string {
	percentile := func(x float64) string { return estimate.Plain(math.Round(1000*x) / 10) }
	switch {
	case least:
		return fmt.Sprintf("between the lower bound and percentile %s of the values", percentile(to))
	case greatest:
		return fmt.Sprintf("between percentile %s of the values and the upper bound", percentile(from))
	}
	return fmt.Sprintf("between percentiles %s and %s of the values", percentile(from), percentile(to))
}
