package relational

import (
	"github.com/intramuros/intramuros/planner/syntax"
)

// NewScope is the scope of a statement: no query of WITH, and no rows that have been read.
func NewScope() *Scope { return &Scope{memory: &memory{kept: map[*syntax.Query]*Resolver{}}} }

// Taken returns the rows of a query that has been read already, once, or nil.
func (s *Scope) Taken(q *syntax.Query) *Resolver {
	in := s.kept[q]
	delete(s.kept, q)
	return in
}

// HandOver gives the rows of a query that has been read to another one, which takes its place.
func (s *Scope) HandOver(from, to *syntax.Query) {
	if in := s.Taken(from); in != nil {
		s.kept[to] = in
	}
}

// Read reads the rows of a SELECT over patients that stands so deep within others, and keeps them for its plan. Without
// FROM there are none.
func (s *Scope) Read(q *syntax.Query, v *Vocabulary, depth int) *Resolver {
	in := s.kept[q]
	if in == nil {
		in = &Resolver{Catalog: v, Scope: s.Extend(q.With), Depth: depth}
		if len(q.Select.From) > 0 {
			in.Read(q.Select)
			s.kept[q] = in
		}
	}
	return in
}

// find returns the query of the name, or nil.
func (s *Scope) find(name string) *Scope {
	for ; s != nil; s = s.next {
		if s.Query != nil && s.Name == name {
			return s
		}
	}
	return nil
}

// maxReads bounds how often names of WITH are read while a statement is planned: each stands for its whole query, so a
// chain in which each reads the one before twice would grow by powers of two.
const maxReads = 2000

func (s *Scope) meant(at syntax.Position) *syntax.Query {
	if s.reads++; s.reads > maxReads {
		syntax.Refuse(syntax.CodeTooLarge, at, "ask it in fewer steps, or in several queries", "the queries of WITH stand for more than %d queries, since they read one another", maxReads)
	}
	return s.Query
}

// QueryOf is the query that a table of FROM stands for, and where it is planned; nil where it is a table.
func (s *Scope) QueryOf(f syntax.From) (*syntax.Query, *Scope) {
	if w := s.find(f.Table); f.Query == nil && w != nil {
		return w.Query, w.within
	}
	return f.Query, s
}

// Extend puts the queries of WITH in scope: each sees those before it.
func (s *Scope) Extend(queries []syntax.With) *Scope {
	for _, w := range queries {
		s = &Scope{With: w, within: s, next: s, memory: s.memory}
	}
	return s
}
