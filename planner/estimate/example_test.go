package estimate_test

import (
	"fmt"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/estimate"
)

// A quantile and its interval are read from a tree of noisy counts. Here there are 40 values in 4 buckets of width 10.
func ExampleTree_Quantile() {
	buckets := fragment.Buckets{Lower: 0, Upper: 40, Branching: 4, Levels: 1}
	tree := estimate.NewTree(buckets, 1, []int64{5, 15, 15, 5}, dp.Distribution{Mechanism: dp.Gaussian, Scale: 2})
	x, low, high := tree.Quantile(0.5, 0.95)
	fmt.Printf("%.0f, in [%.0f, %.0f]\n", x, low, high)
	// Output: 20, in [10, 30]
}

// After the fit, two groups and their total agree. They have the same noise, so the difference of 6 is shared by all
// three.
func ExampleMarginals_Fit() {
	m := estimate.NewMarginals([]int{2}, [][]int{{0}, nil}, []float64{9, 9})
	fit := m.Fit([][]float64{{40, 60}, {106}})
	fmt.Printf("%.0f %.0f\n", fit[0], fit[1])
	// Output: [42 62] [104]
}
