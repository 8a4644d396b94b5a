package httpapi

import (
	"math"

	"github.com/intramuros/intramuros/planner"
)

// Expected is the expected error of a column.
type Expected struct {
	Column    string   `json:"column"`
	HalfWidth *float64 `json:"half_width"` // null if it is not known in advance, as for a quantile
	// Percentiles are the percentiles between which a quantile's interval reaches; null for other columns.
	Percentiles *[2]float64 `json:"percentiles"`
	Values      *float64    `json:"values"` // the assumed number in each group; null: the error does not depend on it
	Note        string      `json:"note"`
}

func newExpected(x planner.Expected) Expected {
	w := Expected{Column: x.Column, Note: x.Note}
	if !math.IsNaN(x.HalfWidth) && !math.IsInf(x.HalfWidth, 0) {
		w.HalfWidth = &x.HalfWidth
	}
	if x.To > 0 {
		w.Percentiles = &[2]float64{math.Round(1000*x.From) / 10, math.Round(1000*x.To) / 10}
	}
	if x.Values > 0 {
		w.Values = &x.Values
	}
	return w
}
