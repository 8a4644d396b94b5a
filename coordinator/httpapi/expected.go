package httpapi

import (
	"math"

	"github.com/intramuros/intramuros/planner"
)

// Expected is the error to expect of a column.
type Expected struct {
	Column    string   `json:"column"`
	HalfWidth *float64 `json:"half_width"` // null where none can be told, as of a quantile
	// Percentiles are those of the values between which a quantile's interval reaches; null of others.
	Percentiles *[2]float64 `json:"percentiles"`
	Values      *float64    `json:"values"` // in each group; null: it does not depend on them
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
