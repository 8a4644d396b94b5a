package planner

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

// What a researcher may ask of the noise, as texts of settings and hints.

// ParseAccuracy reads a half-width in the unit of the answer, such as 50, or a share of it, such
// as 5%; either may say how many values to expect in each group: 5% of 1000. The error is for the researcher.
func ParseAccuracy(text string) (*Accuracy, error) {
	target, of, given := strings.Cut(strings.ToLower(text), " of ")
	number, relative := strings.CutSuffix(strings.TrimSpace(target), "%")
	positive := func(text string) (float64, bool) {
		x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		return x, err == nil && x > 0 && !math.IsInf(x, 0)
	}
	x, ok := positive(number)
	expected := 0.0
	if given {
		var known bool
		expected, known = positive(of)
		ok = ok && known
	}
	if !ok {
		return nil, errors.New("an accuracy is a half-width above 0, such as 50, or a share of the answer, such as 5%; 5% of 1000 expects 1000 values in each group")
	}
	if relative {
		x /= 100
	}
	return &Accuracy{Relative: relative, HalfWidth: x, Of: expected}, nil
}

// String writes what ParseAccuracy reads.
func (a Accuracy) String() string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	text := number(a.HalfWidth)
	if a.Relative {
		text = number(100*a.HalfWidth) + "%"
	}
	if a.Of > 0 {
		text += " of " + number(a.Of)
	}
	return text
}

// ParseWeights reads weights of columns, such as n=4, kg=1. The error is for the researcher.
func ParseWeights(text string) (map[string]int, error) {
	weights := map[string]int{}
	for _, part := range strings.Split(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		w, err := strconv.Atoi(strings.TrimSpace(number))
		if name = strings.TrimSpace(name); name == "" || err != nil || w < 1 || w > fragment.MaxShare {
			return nil, errors.New("weights are whole numbers from 1 to 1000 by the names of columns, such as n=4, kg=1")
		}
		weights[name] = w
	}
	return weights, nil
}

// FormatWeights writes what ParseWeights reads, by name.
func FormatWeights(weights map[string]int) string {
	var parts []string
	for name, w := range weights {
		parts = append(parts, name+"="+strconv.Itoa(w))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
