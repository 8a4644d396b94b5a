package planner

import (
	"maps"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/planner/syntax"
)

// Kind is a kind of statement.
type Kind = syntax.Kind

// Setting is a setting and the value that it is given.
type Setting = syntax.Setting

// The kinds of statements. Only those that select cost anything.
const (
	KindSelect         = syntax.KindSelect
	KindExplain        = syntax.KindExplain
	KindExplainPrivacy = syntax.KindExplainPrivacy
	KindShow           = syntax.KindShow
	KindDescribe       = syntax.KindDescribe
	KindSet            = syntax.KindSet
)

// Statement is what a text asks for, before it is planned.
type Statement struct {
	Kind Kind
	Setting
	Hints []Setting
	// Parameters are the names of the query's parameters, each once, in the order in
	// which they appear: "1", "2" for ? and $1.
	Parameters []string
}

// Read tells what a text asks for. The error is always an *Error.
func Read(sql string) (statement *Statement, err error) {
	s, err := syntax.Parse(sql)
	if err != nil {
		return nil, err
	}
	statement = &Statement{Kind: s.Kind, Setting: s.Setting, Hints: s.Hints}
	for _, p := range s.Parameters {
		if !slices.Contains(statement.Parameters, p.Name) {
			statement.Parameters = append(statement.Parameters, p.Name)
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
