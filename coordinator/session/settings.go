package session

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// The names of settings.
const (
	Study     = "study"
	Epsilon   = "epsilon"
	Delta     = "delta"
	Accuracy  = "accuracy"
	MaxGroups = "max_groups"
	MaxRows   = "max_rows"
	Weights   = "weights"
	Dialect   = "dialect"
	Hospitals = "hospitals"
	Intervals = "intervals"
)

// Names are all names, in the order in which people read them.
var Names = []string{Study, Epsilon, Delta, Accuracy, MaxGroups, MaxRows, Weights, Dialect, Hospitals, Intervals}

// Settings stand for what a request leaves out. The zero value takes the defaults of
// study and catalog.
type Settings struct {
	Study          string
	Epsilon, Delta float64
	Accuracy       *planner.Accuracy
	MaxGroups      int
	MaxRows        int
	Weights        map[string]int // of columns of the answer
	Dialect        syntax.Dialect // whose SQL is written; empty: PostgreSQL's
	Hospitals      coordinator.Selection
	Intervals      bool // as columns x_low and x_high
}

// Request asks the SQL, with values for its parameters, under these settings.
func (s Settings) Request(sql string, parameters map[string]value.Value) coordinator.Request {
	return coordinator.Request{
		SQL: sql, Dialect: s.Dialect, Study: s.Study, Epsilon: s.Epsilon, Delta: s.Delta, Accuracy: s.Accuracy, MaxGroups: s.MaxGroups, MaxRows: s.MaxRows, Weights: s.Weights, Hospitals: s.Hospitals.String(), Parameters: parameters,
	}
}

// Known tells whether there is a setting of that name, in any letter case.
func Known(name string) bool { return slices.Contains(Names, strings.ToLower(name)) }

// Set changes one setting; an empty text or DEFAULT takes it back. Whether study and
// researcher may have it is settled when a query comes. The error is a *coordinator.Error.
func (s *Settings) Set(name, text string) error {
	text = strings.TrimSpace(text)
	unset := text == "" || strings.EqualFold(text, "default")
	wrong := func(hint string) error {
		return &coordinator.Error{Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("%s cannot be %q", name, text), Hint: hint}
	}
	switch strings.ToLower(name) {
	case Study:
		if s.Study = text; unset {
			s.Study = ""
		}
	case Epsilon:
		return setReal(&s.Epsilon, text, unset, wrong("give a number above 0, such as 0.5"))
	case Delta:
		return setReal(&s.Delta, text, unset, wrong("give a number above 0 and well below one over the number of patients, such as 1e-9"))
	case Accuracy:
		if s.Accuracy = nil; !unset {
			a, err := planner.ParseAccuracy(text)
			if err != nil {
				return wrong(err.Error())
			}
			s.Accuracy = a
		}
	case MaxGroups:
		return setWhole(&s.MaxGroups, text, unset, wrong("give a whole number from 1 up"))
	case MaxRows:
		return setWhole(&s.MaxRows, text, unset, wrong("give a whole number from 1 up"))
	case Weights:
		if s.Weights = nil; !unset {
			weights, err := planner.ParseWeights(text)
			if err != nil {
				return wrong(err.Error())
			}
			s.Weights = weights
		}
	case Dialect:
		d, ok := syntax.ParseDialect(text)
		if s.Dialect = ""; unset {
			return nil
		}
		if !ok {
			return wrong("give " + spellDialects())
		}
		s.Dialect = d
	case Hospitals:
		if unset {
			text = ""
		}
		chosen, err := coordinator.ParseSelection(text)
		if err != nil {
			return wrong(err.Error())
		}
		s.Hospitals = chosen
	case Intervals:
		switch strings.ToLower(text) {
		case "columns", "on", "true":
			s.Intervals = true
		case "", "default", "none", "off", "false":
			s.Intervals = false
		default:
			return wrong("give columns, for x_low and x_high beside each noisy x, or none")
		}
	default:
		return &coordinator.Error{
			Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("there is no setting %q", name), Hint: "the settings are " + strings.Join(Names, ", "),
		}
	}
	return nil
}

// spellDialects lists the dialects for a person.
func spellDialects() string {
	var names []string
	for _, d := range syntax.Dialects {
		names = append(names, string(d))
	}
	return strings.Join(names, ", ")
}

func setReal(into *float64, text string, unset bool, wrong error) error {
	if unset {
		*into = 0
		return nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x > 0) || math.IsInf(x, 0) {
		return wrong
	}
	*into = x
	return nil
}

func setWhole(into *int, text string, unset bool, wrong error) error {
	if unset {
		*into = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return wrong
	}
	*into = n
	return nil
}

// Get is a setting as a text; what is not set is empty.
func (s Settings) Get(name string) string {
	real := func(x float64) string {
		if x == 0 {
			return ""
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	whole := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	switch strings.ToLower(name) {
	case Study:
		return s.Study
	case Epsilon:
		return real(s.Epsilon)
	case Delta:
		return real(s.Delta)
	case Accuracy:
		if s.Accuracy == nil {
			return ""
		}
		return s.Accuracy.String()
	case MaxGroups:
		return whole(s.MaxGroups)
	case MaxRows:
		return whole(s.MaxRows)
	case Weights:
		return planner.FormatWeights(s.Weights)
	case Dialect:
		return string(s.Dialect)
	case Hospitals:
		return s.Hospitals.String()
	case Intervals:
		if s.Intervals {
			return "columns"
		}
		return "none"
	}
	return ""
}
