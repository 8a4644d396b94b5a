package planner

import (
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// order is the order that ORDER BY asks for: NULLs are the largest values unless it
// says otherwise.
func (o orderSyntax) order(e *fragment.Expr) fragment.Order {
	return fragment.Order{Expr: e, Descending: o.descending, NullsFirst: o.nulls == "first" || o.nulls == "" && o.descending}
}

// bound returns what puts each parameter's value in its place, and the day in that of CURRENT_DATE.
func (s *statementSyntax) bound(values map[string]value.Value, today time.Time) func(*termSyntax) *termSyntax {
	for _, p := range s.parameters {
		v, ok := values[p.name]
		if !ok {
			refuse(CodeParameter, p.at, "give it beside the query", "the parameter %s has no value", p.name)
		}
		if v.Type() == value.TypeText && strings.ContainsRune(v.Str(), 0) {
			refuse(CodeParameter, p.at, "leave it out", "the parameter %s holds the character U+0000, which some databases' texts cannot hold", p.name)
		}
	}
	for name := range values {
		if !slices.ContainsFunc(s.parameters, func(p parameterSyntax) bool { return p.name == name }) {
			refuse(CodeParameter, Position{Line: 1, Column: 1}, "leave it out", "the query has no parameter %s", name)
		}
	}
	return func(t *termSyntax) *termSyntax {
		if t.kind != termParameter {
			return nil
		}
		if t.name == clockDay || t.name == clockMoment {
			return dayOf(t, today)
		}
		v := values[t.name]
		if v.IsNull() {
			v = value.Value{} // takes its type from where it stands
		}
		// A text may stand for a date or a number, as a string in the query does.
		return &termSyntax{kind: termLiteral, at: t.at, literal: v, text: v.Type() == value.TypeText}
	}
}

// dayOf is the constant that CURRENT_DATE or NOW() stands for. It is part of the plan, so that tomorrow's question is another
// one, with an answer and a charge of its own.
func dayOf(t *termSyntax, today time.Time) *termSyntax {
	if today.IsZero() {
		refuse(CodeNotSupported, t.at, "write the date, such as DATE '2024-12-31'", "nobody told which day it is")
	}
	y, m, d := today.UTC().Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	literal := value.Date(day.Unix() / (24 * 60 * 60))
	if t.name == clockMoment {
		literal = value.Timestamp(day.UnixMicro())
	}
	return &termSyntax{kind: termLiteral, at: t.at, literal: literal}
}

// bind replaces terms throughout a query, in place.
func (q *querySyntax) bind(fn func(*termSyntax) *termSyntax) {
	for i := range q.with {
		q.with[i].query.bind(fn)
	}
	bindTerms(fn, &q.limit, &q.offset)
	for i := range q.orderBy {
		bindTerms(fn, &q.orderBy[i].term)
	}
	if q.combined != nil {
		q.combined.left.bind(fn)
		q.combined.right.bind(fn)
		return
	}
	s := q.selected
	bindTerms(fn, &s.where, &s.having, &s.qualify)
	for i := range s.items {
		bindTerms(fn, &s.items[i].term)
	}
	for i := range s.values {
		for k := range s.values[i] {
			bindTerms(fn, &s.values[i][k])
		}
	}
	for i := range s.groupBy {
		for k := range s.groupBy[i] {
			bindTerms(fn, &s.groupBy[i][k])
		}
	}
	for i := range s.from {
		f := &s.from[i]
		bindTerms(fn, &f.on, &f.function)
		if f.query != nil {
			f.query.bind(fn)
		}
	}
}

func bindTerms(fn func(*termSyntax) *termSyntax, terms ...**termSyntax) {
	for _, t := range terms {
		if *t == nil {
			continue
		}
		if r := fn(*t); r != nil {
			*t = r
			continue
		}
		at := *t
		for i := range at.args {
			bindTerms(fn, &at.args[i])
		}
		bindTerms(fn, &at.filter)
		if at.query != nil {
			at.query.bind(fn)
		}
		if at.over != nil {
			for i := range at.over.partition {
				bindTerms(fn, &at.over.partition[i])
			}
			for i := range at.over.orderBy {
				bindTerms(fn, &at.over.orderBy[i].term)
			}
		}
	}
}
