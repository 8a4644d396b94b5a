package coordinator

import (
	"context"
	"errors"
	"slices"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// Outline is what can be told of a query without asking a hospital: the form of its
// answer, its price, and what to know before paying it. Doors whose clients prepare a query before they run it show it.
type Outline struct {
	// Parameters are those of the text, in their order, where the request gives no values
	// for them; what else is told is then what some values of these types would give.
	Parameters []Parameter
	Columns    []planner.Column // nil where they depend on the parameters' values
	Cost       Cost             // of the answer, if it is not stored already
	Confidence float64
	Expected   []planner.Expected // error of each noisy number
	Stored     bool               // the answer is there already and would cost nothing
	Public     bool               // public tables alone would be read, which costs nothing
	Away       []Absence          // hospitals that would not be asked, as it is now
	Warnings   []string           // what the answer would say beside its numbers, as far as the plan tells
}

// Parameter is a place in a query for a value that comes later.
type Parameter struct {
	Name string     // "1" for ? and $1, else its name
	Type value.Type // that fits where it stands; text, where that is not known
	// Array: its value is a list of such, as PostgreSQL writes an array: {1,2}.
	Array bool
}

// Outline plans a query and prices it, looks whether its answer is stored, and does nothing else: it asks no hospital,
// and costs nothing. Errors are those of Query up to planning;
// of outlines ten times as many may be asked for as of queries.
func (c *Coordinator) Outline(ctx context.Context, who Researcher, req Request) (*Outline, error) {
	leave, err := c.outline(who)
	if err != nil {
		return nil, err
	}
	defer leave()
	var parameters []Parameter
	question := read(req)
	if columns := question.informs(); columns != nil {
		return &Outline{Columns: columns, Confidence: c.config.Confidence}, nil
	}
	if question.statement != nil && len(question.statement.Parameters) > 0 && len(req.Parameters) == 0 {
		parameters, question.Parameters = c.suppose(who, question)
	}
	q, err := c.plan(who, question)
	if err != nil && parameters != nil && slices.ContainsFunc(dependent, func(c planner.Code) bool { return errors.Is(err, Code(c)) }) {
		return &Outline{Parameters: parameters, Confidence: c.config.Confidence}, nil
	}
	if err != nil {
		return nil, err
	}
	o := &Outline{
		Parameters: parameters, Columns: q.program.Columns, Cost: cost(q.program.Releases, q.study.Budget.Accounting), Confidence: c.config.Confidence,
		Expected: q.program.Expected(c.config.Confidence), Away: q.missing, Warnings: q.program.Warnings(),
	}
	if o.Public = q.public(); o.Public {
		o.Away = nil
		return o, nil
	}
	if parameters == nil { // else the values are made up
		o.Stored, err = q.answered(ctx)
	}
	return o, err
}

// answered reports whether all releases of the query are stored.
func (q *query) answered(ctx context.Context) (bool, error) {
	for i := range q.program.Releases {
		if ok, err := q.c.ledger.Answered(ctx, q.of(i).cellsKey()); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// dependent are the refusals that other values of the parameters may not meet.
var dependent = []planner.Code{
	planner.CodeType, planner.CodeBounds, planner.CodeParameter, planner.CodeTooLarge, planner.CodeNotSupported, planner.CodeAccuracy,
}

// maxSupposed is how many parameters are tried one by one.
const maxSupposed = 20

// samples are values of each type, in the order in which they are tried; the i-th is
// above those before it, so that two of them make a range. A text comes last: it may stand
// where a date may.
var samples = []struct {
	of    value.Type
	value func(i int) value.Value
}{
	{value.TypeInt, func(i int) value.Value { return value.Int(int64(i + 1)) }},
	{value.TypeFloat, func(i int) value.Value { return value.Float(float64(i+1) + 0.5) }},
	{value.TypeDate, func(i int) value.Value { return value.Date(int64(18000 + i)) }},
	{value.TypeTimestamp, func(i int) value.Value { return value.Timestamp(int64(18000+i) * 86400e6) }},
	{value.TypeBool, func(int) value.Value { return value.Bool(true) }},
	{value.TypeText, func(int) value.Value { return value.Text("{x}") }}, // a list, too
}

// suppose finds types of parameters, and values of these, with which the query can
// be planned: one type for all, or else one for each while the others are NULL.
func (c *Coordinator) suppose(who Researcher, req question) ([]Parameter, map[string]value.Value) {
	names := req.statement.ParameterNames()
	parameters, values := make([]Parameter, len(names)), map[string]value.Value{}
	req.Parameters = values
	plans := func() bool {
		_, err := c.plan(who, req)
		return err == nil
	}
	for _, s := range samples {
		for i, name := range names {
			list := slices.ContainsFunc(req.statement.Parameters, func(p syntax.Parameter) bool { return p.Name == name && p.Array })
			parameters[i], values[name] = Parameter{name, s.of, list}, s.value(i)
		}
		if plans() {
			return parameters, values
		}
	}
	for _, name := range names {
		values[name] = value.Null(value.TypeText)
	}
	for i, name := range names[:min(len(names), maxSupposed)] {
		for _, s := range samples {
			values[name] = s.value(i)
			if plans() {
				parameters[i].Type = s.of
				break
			}
			values[name] = value.Null(value.TypeText)
		}
	}
	return parameters, values
}
