package coordinator

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
	"github.com/intramuros/intramuros/planner/syntax"
)

// The coordinator alone answers statements that ask for no data, at no cost. The result has the form of an answer, so
// every door can show it.

// hint applies the settings in a query's hints. They count as if they were given beside the query, with the same
// limits.
func (r *Request) hint(hints []syntax.Setting) error {
	for _, h := range hints {
		wrong := &Error{
			Code: Code(planner.CodeParameter), Position: h.Position, Message: fmt.Sprintf("%s cannot be %s", h.Name, h.Value),
			Hint: "hints are epsilon, delta, accuracy, max_groups and max_rows, with numbers, accuracy = '5% of 1000', weights = 'n=4, kg=1' and hospitals = 'all but lyon'",
		}
		text := h.Value.String()
		if h.Value.Type() == value.TypeText {
			text = h.Value.Str()
		}
		if known := settingOf(h.Name); known == nil || !known.hint || h.Value.IsNull() || r.Replace(h.Name, text) != nil {
			return wrong
		}
	}
	return nil
}

// headings are the columns of SHOW and EXPLAIN statements.
var headings = map[string][]string{
	"tables":      {"table", "patients", "rows a patient", "description"},
	"hospitals":   {"hospital", "state", "data version"},
	"budget":      {"budget", "granted", "left"},
	"functions":   {"function", "kind"},
	"permissions": {"hospital", "study", "tables", "aggregates", "budget", "left", "one query", "limits"},
	"describe":    {"column", "type", "nullable", "bounds", "values", "references", "description"},
	"explain":     {"plan"},
	"privacy":     {"what", "value", "where it comes from"},
}

// metadata returns the columns of a statement that asks for no data, or nil for any other text.
func (q parsedRequest) metadata() []planner.Column {
	if q.statement == nil {
		return nil
	}
	name := q.statement.Name
	switch q.statement.Kind {
	case syntax.KindSelect:
		columns, _ := constants(q.statement)
		return columns
	case syntax.KindDescribe:
		name = "describe"
	case syntax.KindExplain:
		name = "explain"
	case syntax.KindExplainPrivacy:
		name = "privacy"
	}
	var columns []planner.Column
	for _, heading := range headings[name] {
		columns = append(columns, planner.Column{Name: heading, Type: value.TypeText})
	}
	return columns
}

// inform answers a statement that asks for no data.
func (c *Coordinator) inform(ctx context.Context, who Researcher, req parsedRequest) (*Answer, error) {
	s := req.statement
	var rows [][]string
	switch {
	case s.Kind == syntax.KindSet:
		return nil, &Error{
			Code: Code(planner.CodeNotSupported), Position: s.Position, Message: "this connection keeps no settings",
			Hint: "give it beside the query, or as a hint: SELECT /*+ " + s.Name + " = … */",
		}
	case s.Kind == syntax.KindExplain, s.Kind == syntax.KindExplainPrivacy:
		e, err := c.explain(ctx, who, req)
		if err != nil {
			return nil, err
		}
		if rows = e.lines(); s.Kind == syntax.KindExplainPrivacy {
			rows = e.privacy()
		}
	case s.Kind == syntax.KindDescribe:
		t, ok := c.catalog.Table(s.Name)
		if !ok {
			hint := "SHOW TABLES lists them"
			if parts := c.catalog.Parts(s.Name); len(parts) > 0 {
				hint = "describe one of the parts that a query of it reads, such as " + parts[0].Name
			}
			return nil, &Error{Code: Code(planner.CodeTable), Position: s.Position, Message: "the catalog has no table " + s.Name, Hint: hint}
		}
		rows = describe(c.catalog.Shown(t))
	case s.Name == "tables":
		for _, t := range c.catalog.Tables {
			patients, limit := "yes", strconv.Itoa(c.catalog.RowLimit(t))
			if t.Public {
				patients, limit = "no: public", ""
			}
			rows = append(rows, []string{t.Name, patients, limit, t.Description})
		}
	case s.Name == "hospitals":
		for _, h := range c.Federation().Hospitals {
			state := "answers"
			if h.Absent != nil {
				state = h.Absent.Why
			}
			rows = append(rows, []string{h.Name, state, h.DataVersion})
		}
	case s.Name == "budget":
		a, err := c.Budget(ctx, who, req.Study)
		if err != nil {
			return nil, err
		}
		rows = a.rows()
	case s.Name == "permissions":
		all, err := c.Permits(ctx, who, req.Study)
		if err != nil {
			return nil, err
		}
		rows = permitRows(all)
	case s.Name == "functions":
		for _, f := range planner.Functions() {
			kind := "of a row"
			switch {
			case f.Aggregate:
				kind = "aggregate"
			case f.Table:
				kind = "in FROM"
			}
			rows = append(rows, []string{f.Usage, kind})
		}
	}
	a := &Answer{Answer: planner.Answer{Columns: req.metadata()}, Confidence: c.config.Confidence, Informs: true}
	if _, row := constants(s); row != nil {
		a.Rows = append(a.Rows, row)
	}
	for _, row := range rows {
		var estimates []planner.Estimate
		for _, text := range row {
			estimates = append(estimates, planner.Estimate{Value: value.Text(text)})
		}
		a.Rows = append(a.Rows, estimates)
	}
	return a, nil
}

func describe(t *catalog.Table) [][]string {
	var rows [][]string
	for _, c := range t.Columns {
		bounds, nullable := "", "no"
		if c.Lower.Valid() {
			bounds = c.Lower.String() + " to " + c.Upper.String()
		}
		if c.Nullable {
			nullable = "yes"
		}
		var values []string
		for _, v := range c.Domain {
			values = append(values, v.String())
		}
		if len(values) > 20 {
			values = append(values[:20:20], fmt.Sprintf("… %d in all", len(c.Domain)))
		}
		rows = append(rows, []string{c.Name, string(c.Type), nullable, bounds, strings.Join(values, ", "), c.References, c.Description})
	}
	return rows
}

func (a *Account) rows() [][]string {
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
	whose := "study " + a.Study
	if a.whole {
		whose = "all studies"
	}
	if a.At != "" {
		whose += ", at " + a.At
	}
	rows := [][]string{{whose, fmt.Sprintf("epsilon %s, delta %s", number(a.Budget.Epsilon), number(a.Budget.Delta)), fmt.Sprintf("%.4g %%", 100*(1-a.Remaining.Spent))}}
	if r := a.Researcher; r != nil {
		rows = append(rows, []string{"you, in all studies", fmt.Sprintf("epsilon %s, delta %s", number(r.Budget.Epsilon), number(r.Budget.Delta)), fmt.Sprintf("%.4g %%", 100*(1-r.Remaining.Spent))})
	}
	leaves := "exact sums; the coordinator adds the noise"
	if a.Sealed {
		leaves = "sealed: numbers with the hospital's own noise"
	}
	rows = append(rows, []string{"what leaves a hospital", leaves, ""})
	return append(rows, []string{"one query", "epsilon " + number(a.MaxEpsilon), ""}, []string{"one release, at least", "epsilon " + number(a.MinEpsilon), ""}, []string{"until", a.Expires, ""})
}

func (e *Explanation) lines() [][]string {
	text := strings.TrimSuffix(e.Plan, "\n")
	line := func(what, format string, args ...any) {
		text += fmt.Sprintf("\n%-10s ", what) + fmt.Sprintf(format, args...)
	}
	for _, x := range e.Expected {
		line("expected", "%s: %s", x.Column, x)
	}
	switch {
	case e.Public:
	case e.Stored:
		line("budget", "the answer is there already, and costs nothing")
	case !e.Allowed:
		line("budget", "this is more than is left")
	}
	for _, k := range e.Keys {
		line("sealed", "%s", k.Told())
	}
	if len(e.Keys) > 0 {
		line("sealed", "%s", KeysNote)
	}
	for _, p := range e.Problems {
		line("absent", "%s %s", p.Name, p.Why)
	}
	for _, w := range e.Warnings {
		if !strings.Contains(e.Plan, w) {
			line("mind", "%s", w)
		}
	}
	for _, s := range e.Engines {
		text += fmt.Sprintf("\n%s at %s runs\n%s", s.Engine, strings.Join(s.Hospitals, ", "), s.SQL)
	}
	var rows [][]string
	for _, line := range strings.Split(text, "\n") {
		rows = append(rows, []string{line})
	}
	return rows
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// halfWidth is "" if it is not known before the answer.
func halfWidth(x planner.Expected) string {
	if math.IsNaN(x.HalfWidth) {
		return ""
	}
	return "± " + number(x.HalfWidth)
}

func (e *Explanation) privacy() [][]string {
	rows := [][]string{
		{"epsilon", number(e.Cost.Epsilon), "asked for, or the study's default"},
		{"delta", number(e.Cost.Delta), "of the noise and of the selection of groups"},
		{"noise", string(e.Cost.Mechanism), "whichever errs less at this cost"},
		{"accounting", string(e.Cost.Accounting), "of the study"},
		{"stored", strconv.FormatBool(e.Stored), "an answer that is there already costs nothing"},
	}
	for _, x := range e.Expected {
		rows = append(rows, []string{"error of " + x.Column, halfWidth(x), x.Note})
	}
	for _, line := range strings.Split(strings.TrimSuffix(e.Plan, "\n"), "\n") {
		what, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains([]string{"node", "limits", "patient", "select"}, what) {
			rows = append(rows, []string{what, strings.TrimSpace(text), "the catalog's bounds and limits, narrowed by the query"})
		}
	}
	return rows
}
