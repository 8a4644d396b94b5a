package planner

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/estimate"
)

// Ask holds the settings of a query beside its SQL, as far as planning needs them. Every door embeds it, so a setting
// is declared once. Its JSON form is that of the HTTP API.
type Ask struct {
	// Epsilon, in (0, inf), and Delta, in (0, 1), are the most privacy loss that the whole answer may cost. 0 means the
	// study's default.
	Epsilon float64 `json:"epsilon,omitempty"`
	Delta   float64 `json:"delta,omitempty"`
	// Accuracy, if not nil, replaces Epsilon: the plan spends the smallest epsilon, at most Query.MaxEpsilon, that is
	// expected to reach it.
	Accuracy *Accuracy `json:"accuracy,omitempty"`
	// MaxGroups and MaxRows, if above 0, replace the catalog's limits. A patient's contribution is clipped to the length
	// that MaxRows rows in MaxGroups groups would have.
	MaxGroups int `json:"max_groups,omitempty"`
	MaxRows   int `json:"max_rows,omitempty"`
	// Weights, 1 to 1000 by column name of the answer, say how the budget is split: a number that a column of weight w
	// reads counts as w numbers. A column that is not named has weight 1.
	Weights map[string]int `json:"weights,omitempty"`
}

// Accuracy is the half-width that the interval of every noisy column may have.
type Accuracy = estimate.Accuracy

// ParseWeights reads weights of columns, such as n=4, kg=1. The error is written for the researcher.
func ParseWeights(text string) (map[string]int, error) {
	weights := map[string]int{}
	for _, part := range strings.Split(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		w, err := strconv.Atoi(strings.TrimSpace(number))
		if name = strings.TrimSpace(name); name == "" || err != nil || w < 1 || w > maxWeight {
			return nil, errors.New("weights are whole numbers from 1 to 1000 by the names of columns, such as n=4, kg=1")
		}
		weights[name] = w
	}
	return weights, nil
}

// FormatWeights writes the form that ParseWeights reads, ordered by name.
func FormatWeights(weights map[string]int) string {
	var parts []string
	for name, w := range weights {
		parts = append(parts, name+"="+strconv.Itoa(w))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// maxWeight is the largest weight in Query.Weights.
const maxWeight = fragment.MaxShare / 20
