package planner

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
)

// Ask is what a researcher settles for a query beside its SQL, as far as planning needs it. Every door embeds it, so
// that a setting is declared once; its JSON form is the HTTP API's.
type Ask struct {
	// Epsilon, in (0, inf), and Delta, in (0, 1), are the privacy loss that the answer may cost in all. Where a study has
	// defaults, 0 takes them.
	Epsilon float64 `json:"epsilon,omitempty"`
	Delta   float64 `json:"delta,omitempty"`
	// Accuracy, if not nil, takes the place of Epsilon: the plan spends the smallest epsilon, up to Query.MaxEpsilon, that
	// is expected to reach it.
	Accuracy *Accuracy `json:"accuracy,omitempty"`
	// MaxGroups and MaxRows, where above 0, override the catalog's: a patient's answer is clipped to the length of that of
	// a patient in MaxGroups groups, of MaxRows rows in all.
	MaxGroups int `json:"max_groups,omitempty"`
	MaxRows   int `json:"max_rows,omitempty"`
	// Weights, 1 to 1000 by the name of a column of the answer, say how the budget is split: the numbers
	// that a column of weight w is made of count for w numbers each. A column without has weight 1.
	Weights map[string]int `json:"weights,omitempty"`
}

// Accuracy is how far the interval of every noisy column may reach.
type Accuracy struct {
	// Relative: HalfWidth is a share of the answer, such as 0.05.
	Relative   bool
	HalfWidth  float64 // in the unit of the column where not Relative; above 0
	Confidence float64 // of the interval, in (0, 1)
	// Of is how many values are expected in each group, from what is public: errors of averages and the
	// like depend on it, and so does what a share of an answer is. 0: what the catalog's expected_patients tell.
	Of float64
}

// ErrAccuracy is of what is no accuracy. It is for the researcher to read.
var ErrAccuracy = errors.New("an accuracy is a half-width above 0, such as 50, or a share of the answer, such as 5%; 5% of 1000 expects 1000 values in each group")

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
		return nil, ErrAccuracy
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

// MarshalJSON writes a number in the unit of the answer, such as 50, or a text: a share of it, such as "5%", or either
// with what to expect, "5% of 1000".
func (a Accuracy) MarshalJSON() ([]byte, error) {
	if a.Relative || a.Of > 0 {
		return json.Marshal(a.String())
	}
	return json.Marshal(a.HalfWidth)
}

// UnmarshalJSON reads what MarshalJSON writes. The error is ErrAccuracy where it is another text or number.
func (a *Accuracy) UnmarshalJSON(b []byte) error {
	text := string(b)
	if b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		if !strings.Contains(text, "%") && !strings.Contains(text, " of ") {
			text = "" // numbers are written as such
		}
	}
	parsed, err := ParseAccuracy(text)
	if err != nil {
		return err
	}
	*a = *parsed
	return nil
}

// ParseWeights reads weights of columns, such as n=4, kg=1. The error is for the researcher.
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

// FormatWeights writes what ParseWeights reads, by name.
func FormatWeights(weights map[string]int) string {
	var parts []string
	for name, w := range weights {
		parts = append(parts, name+"="+strconv.Itoa(w))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// maxWeight is the largest of Query.Weights.
const maxWeight = fragment.MaxShare / 20
