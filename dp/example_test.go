package dp_test

import (
	"fmt"

	"github.com/intramuros/intramuros/dp"
)

// A study with zcdp accounting and a budget of (10, 1e-6) pays for counts of epsilon 0.5.
func ExampleBudget() {
	budget := dp.Budget{Accounting: dp.ZCDP, Epsilon: 10, Delta: 1e-6}
	count := dp.Choose(1, 0.5, budget.Accounting)
	loss, err := count.Loss(0) // declared keys: no threshold
	if err != nil {
		fmt.Println(err)
		return
	}
	var spent dp.Loss
	queries := 0
	for budget.Check(spent, loss) == nil {
		if spent, err = spent.Plus(loss); err != nil {
			fmt.Println(err)
			return
		}
		queries++
	}
	fmt.Printf("%s noise: rho %g a query, %d queries\n", count.Mechanism, float64(loss.Rho)/1e9, queries)
	// Output:
	// gaussian noise: rho 0.125 a query, 11 queries
}

// The width of a count's interval, where a patient may be at one hospital or at three.
func ExampleNoise_Distribution() {
	noise := dp.Choose(1, 1, dp.ZCDP)
	for _, sites := range []int64{1, 3} {
		d := noise.Distribution(dp.Coordinate{Size: sites, Weight: 1})
		width := dp.CombinedHalfWidth(0.95, []dp.Weighted{{Weight: 1, Distribution: d}})
		fmt.Printf("%d: ± %.1f\n", sites, width)
	}
	// Output:
	// 1: ± 2.0
	// 3: ± 6.0
}
