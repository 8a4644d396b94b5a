package relational

import (
	"github.com/intramuros/intramuros/planner/syntax"
)

// NewScope returns the outermost scope of a statement: without WITH, and without rows that were read.
func NewScope() *Scope { return &Scope{memory: &memory{kept: map[*syntax.Query]*Resolver{}}} }

// TakeRows returns the rows of a query that were read to classify it, or nil. It returns them only once.
func (s *Scope) TakeRows(q *syntax.Query) *Resolver {
	in := s.kept[q]
	delete(s.kept, q)
	return in
}

// MoveRows passes the rows of a query on to the query that replaces it.
func (s *Scope) MoveRows(from, to *syntax.Query) {
	if in := s.TakeRows(from); in != nil {
		s.kept[to] = in
	}
}

// Read reads the rows of a SELECT over patients at a nesting depth, and keeps them for its plan. Without FROM there are
// none.
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

// find returns the query of that name, or nil.
func (s *Scope) find(name string) *Scope {
	for ; s != nil; s = s.next {
		if s.Query != nil && s.Name == name {
			return s
		}
	}
	return nil
}

// maxReads bounds how often names of WITH are read while a statement is planned. Each stands for its whole query, so a
// chain of queries that each read the one before twice would grow exponentially.
const maxReads = 2000

func (s *Scope) countedQuery(at syntax.Position) *syntax.Query {
	if s.reads++; s.reads > maxReads {
		syntax.Refuse(syntax.CodeTooLarge, at, "ask it in fewer steps, or in several queries", "the queries of WITH stand for more than %d queries, since they read one another", maxReads)
	}
	return s.Query
}

// QueryOf returns the query that a FROM table stands for and its scope; nil if it is a table.
func (s *Scope) QueryOf(f syntax.From) (*syntax.Query, *Scope) {
	if w := s.find(f.Table); f.Query == nil && w != nil {
		return w.Query, w.within
	}
	return f.Query, s
}

// Extend puts the queries of WITH in scope. Each sees the earlier ones.
func (s *Scope) Extend(queries []syntax.With) *Scope {
	for _, w := range queries {
		s = &Scope{With: w, within: s, next: s, memory: s.memory}
	}
	return s
}
