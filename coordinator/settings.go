package coordinator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Settings are what a researcher sets for a query, or once for a connection. The zero value means the defaults of study
// and catalog. Every door embeds them. Their JSON form is that of the HTTP API.
type Settings struct {
	Study string `json:"study"`
	planner.Ask
	// Dialect is the dialect of the SQL. Empty: PostgreSQL's.
	Dialect syntax.Dialect `json:"dialect,omitempty"`
	// Hospitals says which of the study's hospitals are asked, in the form of ParseSelection. Empty: all.
	Hospitals string `json:"hospitals,omitempty"`
}

// setting is one of the settings, in its text form.
type setting struct {
	name string
	// usage describes it in one line, for --help; its `quoted` word stands for the value.
	usage string
	hint  bool // a query may set it for itself: SELECT /*+ name = value */
	// set reads a text. An empty text restores the default. The error says which values are allowed.
	set func(s *Settings, text string) error
	get func(s Settings) string // empty if it is not set
}

// settings lists all settings, in the order for people.
var settings = []setting{
	{
		name: "study", usage: "the `study` that pays",
		set: func(s *Settings, text string) error { s.Study = text; return nil },
		get: func(s Settings) string { return s.Study },
	},
	{
		name: "epsilon", usage: "privacy `loss` to spend; without it, the study's default", hint: true,
		set: func(s *Settings, text string) error {
			return setReal(&s.Epsilon, text, "give a number above 0, such as 0.5")
		},
		get: func(s Settings) string { return formatReal(s.Epsilon) },
	},
	{
		name:  "delta",
		usage: "the `probability` with which a group of one patient may be shown, where keys are undeclared; without it, the study's default", hint: true,
		set: func(s *Settings, text string) error {
			return setReal(&s.Delta, text, "give a number above 0 and well below one over the number of patients, such as 1e-9")
		},
		get: func(s Settings) string { return formatReal(s.Delta) },
	},
	{
		name: "accuracy", usage: "in place of epsilon, the `half-width` to reach, such as 50, 5%, or '5% of 1000', at the least epsilon", hint: true,
		set: func(s *Settings, text string) (err error) {
			s.Accuracy = nil
			if text != "" {
				s.Accuracy, err = estimate.ParseAccuracy(text)
			}
			return err
		},
		get: func(s Settings) string {
			if s.Accuracy == nil {
				return ""
			}
			return s.Accuracy.String()
		},
	},
	{
		name:  "max_groups",
		usage: "in how many `groups` a patient may be at a hospital who counts in full, where patients are counted; without it, the catalog's", hint: true,
		set: func(s *Settings, text string) error { return setWhole(&s.MaxGroups, text) },
		get: func(s Settings) string { return formatWhole(s.MaxGroups) },
	},
	{
		name: "max_rows", usage: "how many `rows` in all a patient may have at a hospital who counts in full; without it, the catalog's", hint: true,
		set: func(s *Settings, text string) error { return setWhole(&s.MaxRows, text) },
		get: func(s Settings) string { return formatWhole(s.MaxRows) },
	},
	{
		name: "weights", usage: "`weights` of columns of the answer, such as 'n=4, kg=1': more budget for n, less for kg", hint: true,
		set: func(s *Settings, text string) (err error) {
			s.Weights = nil
			if text != "" {
				s.Weights, err = planner.ParseWeights(text)
			}
			return err
		},
		get: func(s Settings) string { return planner.FormatWeights(s.Weights) },
	},
	{
		name: "dialect", usage: "whose SQL it is, where databases differ: " + spellDialects() + "; without it, postgres",
		set: func(s *Settings, text string) error {
			d, ok := syntax.ParseDialect(text)
			if text != "" && !ok {
				return errors.New("give " + spellDialects())
			}
			s.Dialect = d
			if text == "" {
				s.Dialect = ""
			}
			return nil
		},
		get: func(s Settings) string { return string(s.Dialect) },
	},
	{
		name:  "hospitals",
		usage: "which `hospitals` are asked: 'all but lyon', or names with commas between them; without it, all of the study's", hint: true,
		set: func(s *Settings, text string) error {
			chosen, err := ParseSelection(text)
			if err != nil {
				return err
			}
			s.Hospitals = chosen.String()
			return nil
		},
		get: func(s Settings) string { return s.Hospitals },
	},
}

// SettingNames lists the names of all settings, in the order for people.
func SettingNames() []string {
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.name
	}
	return names
}

// Usage describes a setting in one line; its `quoted` word stands for the value. It is empty if there is no such
// setting.
func Usage(name string) string {
	if s := settingOf(name); s != nil {
		return s.usage
	}
	return ""
}

// Set changes one setting, by its name in any letter case. An empty text or DEFAULT restores the default. Whether study
// and researcher allow the value is checked with each query. The error is an *Error; the settings are then unchanged.
func (s *Settings) Set(name, text string) error {
	known := settingOf(name)
	if known == nil {
		return &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("there is no setting %q", name), Hint: "the settings are " + strings.Join(SettingNames(), ", ")}
	}
	text = strings.TrimSpace(text)
	given := text
	if strings.EqualFold(text, "default") {
		given = ""
	}
	changed := *s
	if err := known.set(&changed, given); err != nil {
		return &Error{Code: CodeInvalidRequest, Message: fmt.Sprintf("%s cannot be %q", name, text), Hint: err.Error()}
	}
	*s = changed
	return nil
}

// Replace is Set, but epsilon and accuracy, which exclude each other, replace each other.
func (s *Settings) Replace(name, text string) error {
	if err := s.Set(name, text); err != nil {
		return err
	}
	switch {
	case strings.EqualFold(name, "epsilon") && s.Epsilon != 0:
		s.Accuracy = nil
	case strings.EqualFold(name, "accuracy") && s.Accuracy != nil:
		s.Epsilon = 0
	}
	return nil
}

// Get returns a setting as a text; empty if it is not set.
func (s Settings) Get(name string) string {
	if known := settingOf(name); known != nil {
		return known.get(s)
	}
	return ""
}

// settingOf returns nil if there is no setting of that name.
func settingOf(name string) *setting {
	i := slices.IndexFunc(settings, func(s setting) bool { return strings.EqualFold(s.name, name) })
	if i < 0 {
		return nil
	}
	return &settings[i]
}

// spellDialects lists the dialects for a person.
func spellDialects() string {
	var names []string
	for _, d := range syntax.Dialects {
		names = append(names, string(d))
	}
	return strings.Join(names, ", ")
}

func setReal(into *float64, text, hint string) error {
	x, err := strconv.ParseFloat(text, 64)
	if text != "" && (err != nil || !(x > 0) || math.IsInf(x, 0)) {
		return errors.New(hint)
	}
	*into = x
	return nil
}

func setWhole(into *int, text string) error {
	n, err := strconv.Atoi(text)
	if text != "" && (err != nil || n < 1) {
		return errors.New("give a whole number from 1 up")
	}
	*into = n
	return nil
}

func formatReal(x float64) string {
	if x == 0 {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

func formatWhole(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
