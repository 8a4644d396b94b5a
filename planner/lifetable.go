package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// These are the columns of a life table, after the strata.
var survivalColumns = []string{"time", "at_risk", "events", "survival", "std_err", "lower", "upper"}

// table gives the life table the columns of a plan, so that it can be read like a release.
func (s *survival) table(p *Plan) *Plan {
	shown := &Plan{Columns: slices.Clone(p.Columns)}
	for _, name := range survivalColumns {
		shown.Columns = append(shown.Columns, Column{Name: name, Type: value.TypeFloat, Noisy: name != "time", expr: expr.Column("life table", name, value.TypeFloat)})
	}
	return shown
}

// rows computes the life table of each stratum.
func (s *survival) rows(p *Plan, cells []Cell, confidence float64) fragment.Rows {
	var out fragment.Rows
	for _, name := range s.strata {
		out.Names = append(out.Names, strings.ToLower(name))
	}
	for _, name := range survivalColumns {
		out.Names = append(out.Names, name)
		if name != "time" {
			out.Names = append(out.Names, lowEnd(name), highEnd(name))
		}
	}
	ordered := slices.Clone(cells)
	slices.SortFunc(ordered, func(a, b Cell) int { return slices.CompareFunc(a.Keys, b.Keys, value.Compare) })
	for _, cell := range ordered {
		var keys []value.Value
		for _, k := range s.keys {
			keys = append(keys, cell.Keys[k])
		}
		at := p.places[s.partial]
		for _, line := range s.Lines(p.tree(s.partial, cell.Noisy[at.start:at.end]), confidence) {
			row := slices.Clone(keys)
			for _, x := range line {
				row = append(row, value.Float(x))
			}
			out.Values = append(out.Values, row)
		}
	}
	return out
}

// expected is the error to expect in a life table. The error of survival depends on the number at risk, which only the
// answer tells.
func (s *survival) expected(p *Plan, confidence float64) []Expected {
	of := p.Fragment.Partials[s.partial]
	t := p.tree(s.partial, of.Coordinates(make([]int64, of.Buckets.Leaves())))
	atRisk, events, survival := s.Errors(t, confidence)
	none, n := math.NaN(), fewValues
	for float64(n) < 10*survival {
		n *= 10
	}
	return []Expected{
		{Column: "at_risk", HalfWidth: atRisk, Value: none}, {Column: "events", HalfWidth: events, Value: none},
		{Column: "survival", HalfWidth: survival / float64(n), Value: none, Values: float64(n), Note: fmt.Sprintf("with %d at risk, if few leave; with a tenth of them ten times as wide", n)},
	}
}

// String describes what is computed from the release.
func (s *survival) String() string {
	last := float64(s.Steps) * s.Step
	strata := ""
	if len(s.strata) > 0 {
		strata = ", by " + strings.Join(s.strata, ", ")
	}
	return fmt.Sprintf("by Kaplan and Meier from 0 to %s in steps of %s, shown every %s%s", number(last), number(s.Step), number(s.Every), strata)
}
