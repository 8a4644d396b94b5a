package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Selection says which of the hospitals a query asks. The zero value means all.
type Selection struct {
	names string // separated by commas, sorted
	but   bool   // all except these
}

const allBut = "all but "

// ParseSelection reads "all", "all but lyon, lille" or "lyon, lille". Whether such hospitals exist is checked with each
// query.
func ParseSelection(text string) (Selection, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" || text == "all" {
		return Selection{}, nil
	}
	rest, but := strings.CutPrefix(text, allBut)
	var names []string
	for name := range strings.SplitSeq(rest, ",") {
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsAny(name, " \t") {
			return Selection{}, errors.New("give all, all but lyon, or the names of hospitals with commas between them")
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return Selection{strings.Join(slices.Compact(names), ", "), but}, nil
}

// String writes the form that ParseSelection reads; empty for all.
func (s Selection) String() string {
	if s.but {
		return allBut + s.names
	}
	return s.names
}

// includes reports whether the selection includes a hospital.
func (s Selection) includes(name string) bool {
	return s == Selection{} || slices.Contains(strings.Split(s.names, ", "), name) != s.but
}

// of returns the hospitals of a study that a query asks.
func (s Selection) of(hospitals []string, sealed bool) ([]string, error) {
	if s == (Selection{}) {
		return hospitals, nil
	}
	wrong := func(message, hint string) error {
		return &Error{Code: CodeInvalidRequest, Message: message, Hint: hint}
	}
	if sealed {
		return nil, wrong("a sealed study asks all of its hospitals", "leave the setting `hospitals` out")
	}
	for name := range strings.SplitSeq(s.names, ", ") {
		if !slices.Contains(hospitals, name) {
			return nil, wrong(fmt.Sprintf("the study asks no hospital %q", name), "its hospitals are "+strings.Join(hospitals, ", "))
		}
	}
	asked := slices.DeleteFunc(slices.Clone(hospitals), func(h string) bool { return !s.includes(h) })
	if len(asked) == 0 {
		return nil, wrong("no hospital is left to ask", "its hospitals are "+strings.Join(hospitals, ", "))
	}
	return asked, nil
}
