package bias_test

import (
	"fmt"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/planner/bias"
)

func noisy(amount, scale float64) bias.Number {
	return bias.Number{Amount: amount, Noise: dp.RatioTerm{Distribution: dp.Distribution{Mechanism: dp.Gaussian, Scale: scale}, Numerator: 1, Count: 1}}
}

var rows = bias.Limit{What: "the rows", Are: "are", Limit: "the limit", Times: 4, Instead: "ask for less"}

// LeftOut describes the part that was left out as a share of all.
func ExamplePart_LeftOut() {
	kept := noisy(6500, 30)
	for _, wide := range []float64{120, 12000} {
		fmt.Println(strings.ReplaceAll(bias.Left(noisy(3500, wide), &kept, 0.95).LeftOut(rows), ": ", ":\n"))
	}
	// Output:
	// about 35 % ± 2.1 % of the rows are beyond the limit and left out (more, if some have over 4 times the limit):
	// intervals hold the value without that part; ask for less
	// a part of the rows may be beyond the limit and left out:
	// noise hides how much, a larger epsilon would tell, and intervals hold the value without that part; ask for less
}

// Outside says nothing if the moved part is certainly negligible.
func ExamplePart_Outside() {
	all := noisy(10000, 3)
	for _, moved := range []float64{800, 0} {
		fmt.Println(strings.ReplaceAll(bias.Moved(noisy(moved, 2), &all, 0.95).Outside("CLAMP (age from 0 to 90)"), ": ", ":\n"))
	}
	// Output:
	// about 8 % ± 0.1 % of the values are outside of CLAMP (age from 0 to 90) and count as the nearest bound:
	// sums and averages are of what it makes of them
}
