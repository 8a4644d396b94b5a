package planner

import (
	"fmt"
	"slices"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/relational"
)

// Finish turns the cells of every release and the rows of every lookup into the answer. What it computes from them is
// post-processing and costs nothing. Intervals are described at computed.
func (p *Program) Finish(cells [][]Cell, confidence float64, found ...fragment.Rows) (*Answer, error) {
	if len(cells) != len(p.Releases) || len(found) != len(p.Lookups) {
		return nil, fmt.Errorf("the cells of %d releases and rows of %d lookups where the query has %d and %d", len(cells), len(found), len(p.Releases), len(p.Lookups))
	}
	if p.post == nil {
		answer, err := p.Releases[0].Finish(cells[0], confidence)
		if s := p.Releases[0].Selection; err == nil && s != nil && len(answer.Rows) > 0 && !slices.ContainsFunc(p.Columns, func(c Column) bool { return c.Noisy }) {
			answer.Notes = append(answer.Notes, bias.Unseen(s.Threshold, s.Local))
		}
		return answer, err
	}
	c, err := p.compute(cells, confidence)
	if err != nil {
		return nil, err
	}
	rows, err := p.post.Trace(p.tables(c, found), "")
	if err != nil { // released numbers decide how many rows are computed
		return nil, tooMuchComputed()
	}
	answer := p.post.answer(p.Columns, rows, c)
	answer.Notes = append(append(answer.Notes, c.notes...), p.told()...)
	for i, release := range p.Releases {
		said := release.biases(cells[i], confidence)
		if s := release.Selection; s != nil && relational.Gathers(p.post.Query, i+1) {
			said = append(said, bias.Unseen(s.Threshold, s.Local))
		}
		for _, text := range said {
			if !slices.Contains(answer.Bias, text) {
				answer.Bias = append(answer.Bias, text)
			}
		}
	}
	return answer, nil
}

// rows writes a release's answer as a table.
func (p *Plan) rows(a *Answer) fragment.Rows {
	var rows fragment.Rows
	names := p.released()
	for i, c := range p.Columns {
		rows.Names = append(rows.Names, names[i])
		if c.Ranged() {
			rows.Names = append(rows.Names, lowEnd(names[i]), highEnd(names[i]))
		}
	}
	for _, row := range a.Rows {
		var values []value.Value
		for i, e := range row {
			values = append(values, e.Value)
			if p.Columns[i].Ranged() {
				values = append(values, e.Low, e.High)
			}
		}
		rows.Values = append(rows.Values, values)
	}
	return rows
}

// answer orders and limits the rows.
func (a *postProcessing) answer(columns []Column, rows fragment.Rows, c *derivedIntervals) *Answer {
	at := map[string]int{}
	for i, name := range rows.Names {
		at[name] = i
	}
	places := make([]int, len(rows.Values))
	for i := range places {
		places[i] = i
		for k, s := range a.columns {
			if columns[k].Ranged() {
				rows.Values[i][at[s.name]] = c.possible(rows.Origins[i][at[s.name]], rows.Values[i][at[s.name]])
			}
		}
	}
	slices.SortStableFunc(places, func(i, j int) int {
		x, y := rows.Values[i], rows.Values[j]
		for _, o := range a.order {
			if c := o.Compare(x[at[o.Expr.Column]], y[at[o.Expr.Column]]); c != 0 {
				return c
			}
		}
		return 0
	})
	places = places[min(a.offset, len(places)):]
	if a.limit >= 0 && a.limit < len(places) {
		places = places[:a.limit]
	}
	out := &Answer{Columns: columns, Rows: make([][]Estimate, len(places))}
	unknown := make([]int, len(columns))
	for r, place := range places {
		row := rows.Values[place]
		for i, s := range a.columns {
			e := Estimate{Value: row[at[s.name]]}
			if columns[i].Ranged() {
				origin := rows.Origins[place][at[s.name]]
				e.Low, e.High = c.interval(origin, e.Value)
				if e.Value.IsNull() && c.unknown(origin) {
					unknown[i]++
				}
			}
			out.Rows[r] = append(out.Rows[r], e)
		}
	}
	out.Notes = bias.TooFew(names(columns), unknown, len(places))
	return out
}
