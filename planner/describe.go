package planner

import (
	"fmt"
	"math"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// Expected is the error to expect of one column before it is asked for.
type Expected struct {
	Column string
	// HalfWidth is that of the interval, in the column's unit; NaN where it depends
	// on the answer.
	HalfWidth float64
	Note      string
}

// Expected returns the error to expect of each noisy column, at that confidence.
// It depends on the plan alone.
func (p *Plan) Expected(confidence float64) []Expected {
	var all []Expected
	for _, c := range p.Columns {
		if !c.Noisy || !c.Type.Numeric() {
			continue
		}
		x := Expected{Column: c.Name, HalfWidth: math.NaN(), Note: "depends on the answer"}
		if c.expr.Op == fragment.OpColumn {
			a := &p.Aggregates[indexOf(c.expr.Column)]
			if scale, ok := a.linear(); ok {
				x.HalfWidth = math.Abs(scale) * p.Noise.Distribution(p.LInf(a.Partials[0])).HalfWidth(confidence)
				x.Note = ""
			} else if _, scale, ok := a.average(); ok && a.read == nil {
				width := scale * p.Noise.Distribution(p.LInf(a.Partials[0])).HalfWidth(confidence)
				x.Note = fmt.Sprintf("about %s divided by the number of values", number(width))
			}
		}
		all = append(all, x)
	}
	return all
}

// Describe writes the plan for a person: what each node computes, what bounds a
// patient's part, what is released and what it costs. It reads no data.
func (p *Plan) Describe() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	for i, r := range p.Fragment.Relations {
		what := "from"
		if i > 0 {
			what = string(r.Join)
		}
		line(what, "%s", strings.ReplaceAll(r.String(), "\n", "\n           "))
	}
	if p.Fragment.Filter != nil {
		line("where", "%s", p.Fragment.Filter)
	}
	line("patient", "%s, at up to %d of the hospitals", p.Fragment.Patient, p.Sites)
	for _, k := range p.Fragment.Keys {
		line("group by", "%s%s", k.Expr, domainText(k.Domain))
	}
	for i, partial := range p.Fragment.Partials {
		d := p.Noise.Distribution(p.LInf(i))
		line("node", "%s; a patient adds at most %d a group, noise of scale %s", partial, p.Proof.LInf[i], number(d.Scale))
	}
	switch {
	case p.Proof.OneRow:
		line("limits", "one row a patient")
	case p.Proof.Truncates:
		line("limits", "%d groups a patient, chosen by a keyed hash; %d rows a patient in each", p.Proof.Groups, p.Proof.Rows)
	default:
		line("limits", "a patient is in at most %d %s; %d rows count in each", p.Proof.Groups, plural(p.Proof.Groups, "group", "groups"), p.Proof.Rows)
	}
	line("noise", "%s, for %d %s a patient at each of %d %s", p.Noise.Mechanism, p.Noise.L0, plural(int(p.Noise.L0), "number", "numbers"), p.Sites, plural(p.Sites, "hospital", "hospitals"))
	if s := p.Selection; s != nil {
		line("select", "groups whose noisy number of patients is at least %d", s.Threshold)
	} else if len(p.Fragment.Keys) > 0 {
		line("select", "every declared group, %d in all, empty or not", p.Proof.Cells)
	}
	delta := p.Noise.Delta
	if p.Selection != nil {
		delta += p.Selection.Delta
	}
	line("cost", "epsilon %s, delta %s", number(p.Noise.Epsilon), number(delta))
	return b.String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func number(x float64) string { return fmt.Sprintf("%.4g", x) }

func domainText(d []value.Value) string {
	if d == nil {
		return ", undeclared: groups must be selected"
	}
	var names []string
	for _, v := range d {
		names = append(names, fragment.Literal(v).String())
	}
	if len(names) > 8 {
		names = append(append(names[:4:4], "…"), names[len(names)-3:]...)
	}
	return fmt.Sprintf(" in %d declared: %s", len(d), strings.Join(names, ", "))
}
