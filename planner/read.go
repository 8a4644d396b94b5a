package planner

import (
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
)

// Kind is a kind of statement.
type Kind string

// The statements. Only those that select cost anything.
const (
	KindSelect         Kind = "select"
	KindExplain        Kind = "explain"
	KindExplainPrivacy Kind = "explain privacy"
	KindShow           Kind = "show"
	KindDescribe       Kind = "describe"
	KindSet            Kind = "set"
)

// Statement is what a text asks for, before it is planned.
type Statement struct {
	Kind Kind
	// Setting is what SET sets. Its name is also what SHOW shows (tables, hospitals,
	// budget or functions), and the table that DESCRIBE describes.
	Setting
	// Hints are the settings that the query has for itself.
	Hints []Setting
	// Parameters are the names of the query's parameters, each once, in the order in
	// which they appear: "1", "2" for ? and $1.
	Parameters []string
}

// Setting is a setting and the value that it is given.
type Setting struct {
	Name     string
	Value    value.Value // a number, a text or a boolean
	Position Position
}

// Read tells what a text asks for. The error is always an *Error.
func Read(sql string) (statement *Statement, err error) {
	defer catch(&err)
	s := parse(sql)
	kinds := map[statementKind]Kind{
		statementSelect: KindSelect, statementExplain: KindExplain, statementExplainPrivacy: KindExplainPrivacy,
		statementShow: KindShow, statementDescribe: KindDescribe, statementSet: KindSet,
	}
	statement = &Statement{Kind: kinds[s.kind], Setting: Setting{Name: s.name, Position: s.named}}
	if s.value != nil {
		statement.Setting.Value = s.value.literal
	}
	for _, h := range s.hints {
		statement.Hints = append(statement.Hints, Setting{h.name, h.value.literal, h.at})
	}
	for _, p := range s.parameters {
		if !slices.Contains(statement.Parameters, p.name) {
			statement.Parameters = append(statement.Parameters, p.name)
		}
	}
	return statement, nil
}

// Function is a function that queries may use.
type Function struct {
	Usage     string // as a person writes it
	Aggregate bool   // of rows of many patients; else of the values of one row
}

// Functions lists all functions, by name.
func Functions() []Function {
	var all []Function
	for _, name := range slices.Sorted(maps.Keys(aggregates)) {
		arguments := []string{"x", "y", "…", "…"}[:aggregates[name].arguments]
		all = append(all, Function{strings.ToUpper(name) + "(" + strings.Join(arguments, ", ") + ")", true})
	}
	for _, name := range slices.Sorted(maps.Keys(scalars)) {
		all = append(all, Function{scalars[name].usage, false})
	}
	return all
}

// Keywords lists the words that are never names unless quoted, in lower case, by name.
func Keywords() []string { return slices.Sorted(maps.Keys(reserved)) }
