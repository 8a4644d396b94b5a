package planner

import (
	"github.com/intramuros/intramuros/planner/syntax"
)

// taken returns the rows of a query that has been read already, once, or nil.
func (s *scope) taken(q *syntax.Query) *resolver {
	in := s.kept[q]
	delete(s.kept, q)
	return in
}

// hand gives the rows of a query that has been read to another one, which takes its place.
func (s *scope) hand(from, to *syntax.Query) {
	if in := s.taken(from); in != nil {
		s.kept[to] = in
	}
}

// find returns the query of the name, or nil.
func (s *scope) find(name string) *scope {
	for ; s != nil; s = s.next {
		if s.Query != nil && s.Name == name {
			return s
		}
	}
	return nil
}

// maxReads bounds how often names of WITH are read while a statement is planned: each stands for its whole query, so a chain
// in which each reads the one before twice would grow by powers of two.
const maxReads = 2000

func (s *scope) read(at Position) *syntax.Query {
	if s.reads++; s.reads > maxReads {
		refuse(CodeTooLarge, at, "ask it in fewer steps, or in several queries", "the queries of WITH stand for more than %d queries, since they read one another", maxReads)
	}
	return s.Query
}

// behind is the query that a table of FROM stands for, and where it is planned; nil where it is a table.
func (s *scope) behind(f syntax.From) (*syntax.Query, *scope) {
	if w := s.find(f.Table); f.Query == nil && w != nil {
		return w.Query, w.within
	}
	return f.Query, s
}

// with puts the queries of WITH in scope: each sees those before it.
func (s *scope) with(queries []syntax.With) *scope {
	for _, w := range queries {
		s = &scope{With: w, within: s, next: s, memory: s.memory}
	}
	return s
}
