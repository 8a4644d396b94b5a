package main

import (
	"slices"
	"strings"
	"unicode"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// complete returns the completions of the word before the cursor, from commands, the catalog, keywords and functions.
// They stand between head and tail.
func (s *shellSession) complete(before, after string) (head string, options []string, tail string) {
	start := strings.LastIndexFunc(before, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }) + 1
	head, word := before[:start], before[start:]
	switch {
	case s.buffer == "" && strings.HasPrefix(before, `\`) && !strings.Contains(before, " "):
		for _, c := range commands() {
			options = append(options, c.name)
		}
		return "", beginning(before, options), after
	case s.buffer == "" && strings.HasPrefix(before, `\d `):
		options = s.tables()
	case s.buffer == "" && strings.HasPrefix(before, `\set `):
		options = coordinator.SettingNames()
	case s.buffer == "" && strings.HasPrefix(before, `\chart `):
		options = []string{"bar", "line"}
		if s.last != nil {
			for _, c := range s.last.Columns {
				options = append(options, c.Name)
			}
		}
	case s.buffer == "" && strings.HasPrefix(before, `\`) && !strings.HasPrefix(before, `\explain `):
		return head, nil, after
	default:
		options = s.names(s.buffer+head, s.buffer+before+after, word)
	}
	return head, beginning(word, options), after
}

// beginning returns the options that begin with a word, in any letter case, without duplicates.
func beginning(word string, options []string) []string {
	var all []string
	for _, o := range options {
		if len(o) >= len(word) && strings.EqualFold(o[:len(word)], word) && !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return all
}

// names returns the completions in SQL after before. text is the whole statement.
func (s *shellSession) names(before, text, word string) []string {
	tokens := sqltoken.Tokens(before)
	here := s.mentioned(sqltoken.Tokens(text))
	if n := len(tokens); n > 0 {
		last := tokens[n-1]
		if last.Is(".") && n > 1 {
			return here[strings.ToLower(tokens[n-2].Name())]
		}
		if last.Is("from") || last.Is("join") {
			return s.tables()
		}
	}
	var all []string
	for _, columns := range here {
		all = append(all, columns...)
	}
	slices.Sort(all)
	if len(here) == 0 { // the tables are not known yet
		for _, t := range s.catalogTables() {
			all = append(all, t.columns...)
		}
		slices.Sort(all)
	}
	if word == "" {
		return slices.Compact(all)
	}
	all = append(all, s.tables()...)
	upper := word == strings.ToUpper(word)
	cased := func(s string) string {
		if upper {
			return strings.ToUpper(s)
		}
		return strings.ToLower(s)
	}
	for _, f := range planner.Functions() {
		name, _, _ := strings.Cut(f.Usage, "(")
		all = append(all, cased(name)+"(")
	}
	for _, k := range syntax.Keywords() {
		all = append(all, cased(k))
	}
	return all
}

type knownTable struct {
	name    string
	columns []string
}

func (s *shellSession) catalogTables() []knownTable {
	var all []knownTable
	if s.catalog == nil {
		return nil
	}
	for _, t := range s.catalog.Tables {
		k := knownTable{name: t.Name}
		for _, c := range t.Columns {
			k.columns = append(k.columns, c.Name)
		}
		all = append(all, k)
	}
	return all
}

func (s *shellSession) tables() []string {
	var all []string
	for _, t := range s.catalogTables() {
		all = append(all, t.name)
	}
	return all
}

// mentioned returns the columns of a statement's tables, by the names and aliases that the statement uses.
func (s *shellSession) mentioned(tokens []sqltoken.Token) map[string][]string {
	found := map[string][]string{}
	for i, t := range tokens {
		at := slices.IndexFunc(s.catalogTables(), func(k knownTable) bool { return strings.EqualFold(k.name, t.Name()) })
		if at < 0 || i == 0 || !(tokens[i-1].Is("from") || tokens[i-1].Is("join") || tokens[i-1].Is(",")) {
			continue
		}
		columns := s.catalogTables()[at].columns
		found[strings.ToLower(t.Name())] = columns
		next := i + 1
		if next < len(tokens) && tokens[next].Is("as") {
			next++
		}
		if next < len(tokens) && tokens[next].Name() != "" && !slices.Contains(syntax.Keywords(), tokens[next].Name()) {
			found[strings.ToLower(tokens[next].Name())] = columns
		}
	}
	return found
}
