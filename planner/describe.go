package planner

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/planner/bias"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/scalar"
)

// halfWidthOf is how far noise moves a linear form of partial aggregates, with the confidence.
func (p *Plan) halfWidthOf(f estimate.Form, confidence float64) float64 {
	var noise []dp.Weighted
	for _, i := range estimate.LinearForm(f).Partials() {
		noise = append(noise, dp.Weighted{Weight: f.Weights[i], Distribution: p.noise[i]})
	}
	if len(noise) == 1 {
		return math.Abs(noise[0].Weight) * noise[0].Distribution.HalfWidth(confidence)
	}
	return dp.CombinedHalfWidth(confidence, noise)
}

// Warnings say what the answer will lack, before anything is paid for: how many patients a group needs to be shown, and
// which bias the catalog lets expect.
func (p *Program) Warnings() []string {
	var all []string
	add := func(text string) {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	for _, release := range p.Releases {
		if s := release.Selection; s != nil {
			noise := release.noise[s.Partial]
			if s.Local {
				noise = release.naming.Noise()
			}
			noise.Scale /= float64(release.Proof.Units[s.Partial])
			add(bias.Shown(s.Threshold, float64(s.Threshold)+noise.HalfWidth(0.95), s.Local))
		}
		for _, w := range release.Warnings {
			add(w)
		}
	}
	for _, name := range p.truncated() {
		add(fmt.Sprintf("%s divides two whole numbers, and what it gives is cut to a whole number, as in PostgreSQL: write 1.0 * before the first for the quotient itself", name))
	}
	return all
}

// truncated names the columns that divide whole numbers and drop the fraction, which is rarely intended.
func (p *Program) truncated() []string {
	var names []string
	if p.post == nil {
		for _, c := range p.Columns {
			if c.Noisy && scalar.Truncates(c.expr) {
				names = append(names, c.Name)
			}
		}
		return names
	}
	for _, o := range p.post.Query.Columns {
		for _, c := range p.post.columns {
			if c.name == o.Name && o.Function == "" && scalar.Truncates(o.Expr) {
				names = append(names, c.label)
			}
		}
	}
	return names
}

// mechanisms describe how noise is drawn.
var mechanisms = map[dp.Mechanism]string{
	dp.Laplace:  "Laplace, as two-sided geometric on a finer grid",
	dp.Gaussian: "Gaussian, discrete, on a finer grid",
}

// Describe writes the plan for a person: what each node computes, what bounds a patient's contribution, what is
// released and what it costs. It reads no data.
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
		share, unit := "", float64(p.Proof.Units[i])
		if p.measures(i) {
			share = fmt.Sprintf(", for %s %% of the budget", number(100*p.costOfMeasuring(i)))
		} else if partial.Share > 1 && partial.Share != p.commonShare() {
			share = fmt.Sprintf(", weight %s", number(float64(partial.Share)/float64(p.commonShare())))
		}
		of, scale := bias.Abridged(partial.String()), p.noise[i].Scale/unit
		if r := p.ranks[i]; r != nil {
			of, scale = of+", released as how many lie under each edge", scale*r.Spread()
		}
		line("node", "%s; size %s%s, noise of scale %s", of, whole(float64(p.Proof.Sizes[i])/unit), share, number(scale))
	}
	line("limits", "%s", p.limits())
	if p.Proof.Capped {
		line("limits", "rows of a patient that a join multiplies to more than %d are left out, chosen by a keyed hash", fragment.MaxPatientRows)
	}
	line("noise", "%s, for a length of %s a patient at each of %d %s", mechanisms[p.Noise.Mechanism], p.length(), p.Sites, plural(p.Sites, "hospital", "hospitals"))
	if p.Cover != nil {
		line("sealed", "%s", p.protection())
	}
	if s := p.Selection; s != nil {
		if s.Local {
			line("select", "groups whose noisy number of patients in one hospital is at least %d: each hospital names its own", s.Threshold)
		} else {
			line("select", "groups whose noisy number of patients is at least %d", s.Threshold)
		}
		if !p.Proof.Unclipped {
			line("select", "a patient of whom less than 1/%d is left counts in none", fragment.LeastPresence)
		}
	} else if len(p.Fragment.Keys) > 0 {
		line("select", "every declared group, %d in all, empty or not", p.Proof.Cells)
	}
	for _, w := range p.Warnings {
		line("bias", "%s", w)
	}
	delta := 0.0
	if p.Selection != nil {
		delta = p.Selection.Delta
	}
	line("cost", "epsilon %s, delta %s", number(p.Noise.Epsilon), number(delta))
	return b.String()
}

// commonShare is the share of a partial aggregate of weight 1.
func (p *Plan) commonShare() int {
	common := 0
	for i, partial := range p.Fragment.Partials {
		if !p.measures(i) {
			common = estimate.Divisor(common, max(1, partial.Share))
		}
	}
	return common
}

// costOfMeasuring is the part of the budget that a measuring partial aggregate takes.
func (p *Plan) costOfMeasuring(i int) float64 {
	asked := *p.Fragment
	asked.Partials = slices.Delete(slices.Clone(asked.Partials), i, i+1)
	return 1 - float64(asked.Weight())/float64(p.Fragment.Weight())
}

// protection says against whom a covered release is safe.
func (p *Plan) protection() string {
	const share = "each hospital adds its share before its numbers leave"
	if !p.Cover.Masked() {
		return share + ": nobody else, the coordinator and all other hospitals together included, sees more than such a share covers"
	}
	return fmt.Sprintf("%s, and masks them: safe against the coordinator and any %d of the hospitals; if all masks broke, at most %s times the price",
		share, p.Cover.Colluders, number(p.Cover.Exposure(p.asked)))
}

// limits says which patients are clipped.
func (p *Plan) limits() string {
	proof, rows, groups := p.Proof, false, false
	for _, partial := range p.Fragment.Partials {
		groups = groups || partial.Kind == fragment.PartialPatients
		rows = rows || partial.Kind != fragment.PartialPatients && partial.Of != fragment.PartialPatients
	}
	within := fmt.Sprintf("%d %s", proof.Groups, plural(proof.Groups, "group", "groups"))
	if in := fmt.Sprintf("%d %s in all", proof.Rows, plural(proof.Rows, "row", "rows")); rows && groups {
		within = in + " and " + within
	} else if rows {
		within = in
	}
	switch {
	case proof.OneRow:
		return "one row a patient; nobody is clipped"
	case proof.Unclipped:
		return "a patient is in " + within + " at most; nobody is clipped"
	}
	return "a patient beyond " + within + " is scaled down as a whole"
}

// length is the largest length of one patient's vector, in units of the partial aggregates' bounds.
func (p *Plan) length() string {
	weight := float64(p.Fragment.Weight()) / float64(p.commonShare())
	if p.Fragment.Norm == fragment.L2 {
		return number(math.Sqrt(weight)) + " (L2)"
	}
	return number(weight) + " (L1)"
}
