package coordinator

import (
	"context"
	"errors"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Outline describes a query without asking a hospital: the columns of its answer, its price, and the warnings to know
// before paying. Doors show it if their clients prepare a query before they run it.
type Outline struct {
	// Parameters are those of the text, in order, if the request gives no values for them. The other fields then assume
	// some values of these types.
	Parameters []Parameter
	Columns    []planner.Column // nil if they depend on the parameters' values
	Cost       Cost             // of the answer, if it is not stored already
	Confidence float64
	Expected   []planner.Expected // the expected error of each noisy number
	Stored     bool               // the answer is stored and would cost nothing
	Public     bool               // only public tables would be read, which costs nothing
	Away       []Absence          // hospitals that would not be asked now
	Warnings   []string           // what the answer would say beside its numbers, as far as the plan tells
}

// Parameter is a placeholder in a query for a value that comes later.
type Parameter struct {
	Name string     // "1" for ? and $1, else its name
	Type value.Type // the type that fits there; text if unknown
	// Array: its value is a list in PostgreSQL's form, {1,2}.
	Array bool
}

// Outline plans a query, prices it, and checks whether its answer is stored. It asks no hospital, and costs nothing.
// Errors are those of Query up to planning. Ten times as many outlines may be asked for as queries.
func (c *Coordinator) Outline(ctx context.Context, who Researcher, req Request) (*Outline, error) {
	leave, err := c.outline(who)
	if err != nil {
		return nil, err
	}
	defer leave()
	var parameters []Parameter
	question := read(req)
	if columns := question.metadata(); columns != nil {
		return &Outline{Columns: columns, Confidence: c.config.Confidence}, nil
	}
	if question.statement != nil && len(question.statement.Parameters) > 0 && len(req.Parameters) == 0 {
		parameters, question.Parameters = c.inferParameters(who, question)
	}
	q, err := c.plan(who, question)
	if err != nil && parameters != nil && slices.ContainsFunc(dependent, func(c planner.Code) bool { return errors.Is(err, Code(c)) }) {
		return &Outline{Parameters: parameters, Confidence: c.config.Confidence}, nil
	}
	if err != nil {
		return nil, err
	}
	o := q.outline()
	o.Parameters = parameters
	if parameters == nil && !o.Public { // otherwise the values are only assumed
		o.Stored, err = q.answered(ctx)
	}
	if err != nil {
		return nil, err
	}
	due, err := q.due(ctx)
	if err != nil {
		return nil, q.explainFailure(ctx, err)
	}
	o.Warnings = append(o.Warnings, due.sentences()...)
	return o, nil
}

// outline describes the planned query, except whether its answer is stored.
func (q *query) outline() *Outline {
	confidence := q.c.config.Confidence
	o := &Outline{
		Columns: q.program.Columns, Cost: cost(q.program.Releases, q.study.Budget.Accounting), Confidence: confidence,
		Expected: q.program.Expected(confidence), Away: q.missing, Warnings: q.program.Warnings(),
	}
	if o.Public = q.public(); o.Public {
		o.Away = nil
	}
	return o
}

// Forewarned is Query with a warning before anything is spent: it calls before once with the query's outline. before
// must return soon. Canceling ctx then costs nothing. before is not called for statements that ask for no data, nor for
// queries that planning refuses.
func (c *Coordinator) Forewarned(ctx context.Context, who Researcher, req Request, before func(*Outline)) (*Answer, error) {
	return c.query(ctx, who, req, before, nil)
}

// forewarn passes the outline of the planned query to before.
func (q *query) forewarn(ctx context.Context, before func(*Outline)) error {
	o := q.outline()
	if !o.Public {
		var err error
		if o.Stored, err = q.answered(ctx); err != nil {
			return err
		}
	}
	before(o)
	return ctx.Err()
}

// answered reports whether all releases of the query are stored.
func (q *query) answered(ctx context.Context) (bool, error) {
	of := *q
	var all []released
	for i := range of.program.Releases {
		one := of.forRelease(i)
		if ok, err := q.c.ledger.Answered(ctx, one.cellsKey()); !ok || err != nil {
			return false, err
		}
		if !of.program.Awaits() {
			continue
		}
		cells, ok, err := one.storedCells(ctx, one.cellsKey())
		if !ok || err != nil {
			return false, err
		}
		if all = append(all, released{one, cells, true}); of.given(all) != nil {
			return false, nil
		}
	}
	return true, nil
}

// dependent are the refusals that depend on the parameters' values: other values may be accepted.
var dependent = []planner.Code{
	planner.CodeType, planner.CodeBounds, planner.CodeParameter, planner.CodeTooLarge, planner.CodeNotSupported, planner.CodeAccuracy,
}

// maxSupposed is how many parameters are tried one by one.
const maxSupposed = 20

// samples are values of each type, in the order in which they are tried. Each value of a type is above the earlier
// ones, so that two of them make a range. Text comes last, because a text may stand for a date.
var samples = []struct {
	of    value.Type
	value func(i int) value.Value
}{
	{value.TypeInt, func(i int) value.Value { return value.Int(int64(i + 1)) }},
	{value.TypeFloat, func(i int) value.Value { return value.Float(float64(i+1) + 0.5) }},
	{value.TypeDate, func(i int) value.Value { return value.Date(int64(18000 + i)) }},
	{value.TypeTimestamp, func(i int) value.Value { return value.Timestamp(int64(18000+i) * 86400e6) }},
	{value.TypeBool, func(int) value.Value { return value.Bool(true) }},
	{value.TypeText, func(int) value.Value { return noValue }},
}

// noValue is a text that no other type can be read from, and a list of one text.
var noValue = value.Text("{x}")

// typeInference searches for types that the parameters of a query may have.
type typeInference struct {
	parameters []Parameter
	values     map[string]value.Value
	found      []bool
	plan       func() error // plans with these values
}

// inferParameters finds types for the parameters, and values of these types with which the query can be planned. It
// tries one type for all; otherwise it tries each parameter while the others are NULL. If a text takes the type of what
// it is compared with, that type is used.
func (c *Coordinator) inferParameters(who Researcher, req parsedRequest) ([]Parameter, map[string]value.Value) {
	s := typeInference{values: map[string]value.Value{}}
	req.Parameters = s.values
	s.plan = func() error {
		_, err := c.plan(who, req)
		return err
	}
	for _, name := range req.statement.ParameterNames() {
		list := slices.ContainsFunc(req.statement.Parameters, func(p syntax.Parameter) bool { return p.Name == name && p.Array })
		s.parameters = append(s.parameters, Parameter{name, value.TypeText, list})
	}
	s.found = make([]bool, len(s.parameters))
	if s.inferCommon() {
		for i := range s.parameters[:min(len(s.parameters), maxSupposed)] {
			if wanted := s.expectedType(i); wanted != "" {
				s.parameters[i].Type = wanted
			}
		}
		return s.parameters, s.values
	}
	for _, p := range s.parameters {
		s.values[p.Name] = value.Null(value.TypeText)
	}
	if s.inferEach() {
		s.inferEach() // what the first round has found may help to find more
	}
	return s.parameters, s.values
}

// inferCommon searches for one type for all parameters.
func (s *typeInference) inferCommon() bool {
	for _, sample := range samples {
		for i, p := range s.parameters {
			s.parameters[i].Type, s.values[p.Name] = sample.of, sample.value(i)
		}
		if s.plan() == nil {
			return true
		}
	}
	return false // they are texts unless something else is found
}

// inferEach searches for a type for each parameter without one. again reports whether it found some but not all.
func (s *typeInference) inferEach() (again bool) {
	some, all := false, true
	for i := range s.parameters[:min(len(s.parameters), maxSupposed)] {
		s.found[i] = s.found[i] || s.infer(i)
		some, all = some || s.found[i], all && s.found[i]
	}
	return some && !all
}

// infer searches for a type for one parameter, and a value unless only the value is refused.
func (s *typeInference) infer(i int) bool {
	p := &s.parameters[i]
	wanted := s.expectedType(i)
	for _, sample := range samples {
		if wanted != "" && wanted != sample.of {
			continue
		}
		if s.values[p.Name] = sample.value(i); s.plan() == nil {
			p.Type = sample.of
			return true
		}
	}
	s.values[p.Name] = value.Null(value.TypeText)
	if wanted != "" {
		p.Type = wanted
	}
	return wanted != ""
}

// expectedType is the type that a text at the parameter's place is read as, or "".
func (s *typeInference) expectedType(i int) value.Type {
	name := s.parameters[i].Name
	before := s.values[name]
	s.values[name] = noValue
	err := s.plan()
	s.values[name] = before
	var refused *planner.Error
	if errors.As(err, &refused) {
		return refused.Wanted
	}
	return ""
}
