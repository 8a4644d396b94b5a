package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/value"
)

// intervals is the name of a setting that only doors with flat tables have.
const intervals = "intervals"

// Names lists all names, in the order for people.
var Names = append(coordinator.SettingNames(), intervals)

// Settings are the defaults of a connection for what a request leaves out. The zero value means the defaults of study
// and catalog.
type Settings struct {
	coordinator.Settings
	Intervals bool // as columns x_low and x_high
}

// Request builds a request for the SQL, with values for its parameters, under these settings.
func (s Settings) Request(sql string, parameters map[string]value.Value) coordinator.Request {
	return coordinator.Request{SQL: sql, Settings: s.Settings, Parameters: parameters}
}

// Known reports whether there is a setting of that name, in any letter case.
func Known(name string) bool { return slices.Contains(Names, strings.ToLower(name)) }

// Set is coordinator.Settings.Set for these names. The error is a *coordinator.Error.
func (s *Settings) Set(name, text string) error {
	if !Known(name) {
		return &coordinator.Error{
			Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("there is no setting %q", name), Hint: "the settings are " + strings.Join(Names, ", "),
		}
	}
	if !strings.EqualFold(name, intervals) {
		return s.Settings.Set(name, text)
	}
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "columns", "on", "true":
		s.Intervals = true
	case "", "default", "none", "off", "false":
		s.Intervals = false
	default:
		return &coordinator.Error{
			Code: coordinator.CodeInvalidRequest, Message: fmt.Sprintf("%s cannot be %q", name, text), Hint: "give columns, for x_low and x_high beside each noisy x, or none",
		}
	}
	return nil
}

// Get returns a setting as a text; empty if it is not set.
func (s Settings) Get(name string) string {
	switch {
	case !strings.EqualFold(name, intervals):
		return s.Settings.Get(name)
	case s.Intervals:
		return "columns"
	}
	return "none"
}
