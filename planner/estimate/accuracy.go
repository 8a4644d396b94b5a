package estimate

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// Accuracy is the half-width that the interval of every noisy column may have.
type Accuracy struct {
	// Relative: HalfWidth is a share of the answer, such as 0.05, and not a number in the column's unit.
	Relative   bool
	HalfWidth  float64 // in the unit of the column unless Relative; above 0
	Confidence float64 // of the interval, in (0, 1)
	// Of is the expected number of values in each group, from public knowledge. Errors of averages and of shares of an
	// answer depend on it. If it is 0, the catalog's expected_patients is used.
	Of float64
}

// ErrAccuracy is the error for a text or number that is not an accuracy. Its text is written for the researcher.
var ErrAccuracy = errors.New("an accuracy is a half-width above 0, such as 50, or a share of the answer, such as 5%; 5% of 1000 expects 1000 values in each group")

// ParseAccuracy reads a half-width in the unit of the answer, such as 50, or a share of the answer, such as 5%. Either
// may add how many values are expected in each group: 5% of 1000. The error is written for the researcher.
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

// String writes the form that ParseAccuracy reads.
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

// MarshalJSON writes a number if the half-width is in the unit of the answer, such as 50. Otherwise it writes a text: a
// share such as "5%", or either form with the expected number of values, "5% of 1000".
func (a Accuracy) MarshalJSON() ([]byte, error) {
	if a.Relative || a.Of > 0 {
		return json.Marshal(a.String())
	}
	return json.Marshal(a.HalfWidth)
}

// UnmarshalJSON reads what MarshalJSON writes. Anything else gives ErrAccuracy.
func (a *Accuracy) UnmarshalJSON(b []byte) error {
	text := string(b)
	if b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		if !strings.Contains(text, "%") && !strings.Contains(text, " of ") {
			text = "" // a JSON number gives the half-width without quotes
		}
	}
	parsed, err := ParseAccuracy(text)
	if err != nil {
		return err
	}
	*a = *parsed
	return nil
}
