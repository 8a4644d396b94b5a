package syntax

import (
	"slices"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/value"
)

// Bind returns the statement's query with the values of its parameters, and with today for CURRENT_DATE and the like.
// If today is zero, these are refused. The statement does not change. The error is always an *Error.
func (s *Statement) Bind(values map[string]value.Value, today time.Time) (bound *Query, err error) {
	defer Catch(&err)
	for _, p := range s.Parameters {
		v, ok := values[p.Name]
		if !ok {
			Refuse(CodeParameter, p.At, "give it beside the query", "the parameter %s has no value", p.Name)
		}
		if v.Type() == value.TypeText && strings.ContainsRune(v.Str(), 0) {
			Refuse(CodeParameter, p.At, "leave it out",
				"the parameter %s holds the character U+0000, which some databases' texts cannot hold", p.Name)
		}
	}
	for name := range values {
		if !slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.Name == name }) {
			Refuse(CodeParameter, Position{Line: 1, Column: 1}, "leave it out", "the query has no parameter %s", name)
		}
	}
	if !s.placeholders {
		return s.Query, nil
	}
	bound = s.Query.Rewrite(func(t *Expr) *Expr {
		if t.Kind != Placeholder {
			return nil
		}
		if t.Name == clockDay || t.Name == clockMoment {
			return dayOf(t, today)
		}
		v := values[t.Name]
		if v.IsNull() {
			v = value.Value{} // takes its type from the context
		}
		// A text may stand for a date or a number, like a string in the query.
		return &Expr{Kind: Literal, At: t.At, Literal: v, Text: v.Type() == value.TypeText, Array: t.Array}
	})
	if slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.Array }) {
		bound = bound.Rewrite(bindArrays)
	}
	return bound, nil
}

// dayOf is the constant for CURRENT_DATE or NOW(). It is part of the plan. So the same question asked tomorrow is
// another question, with its own answer and charge.
func dayOf(t *Expr, today time.Time) *Expr {
	if today.IsZero() {
		Refuse(CodeNotSupported, t.At, "write the date, such as DATE '2024-12-31'", "nobody told which day it is")
	}
	y, m, d := today.UTC().Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	literal := value.Date(day.Unix() / (24 * 60 * 60))
	if t.Name == clockMoment {
		literal = value.Timestamp(day.UnixMicro())
	}
	return NewLiteral(t.At, literal)
}
