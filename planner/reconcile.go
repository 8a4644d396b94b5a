package planner

import (
	"math"
	"slices"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/estimate"
	"github.com/intramuros/intramuros/planner/overlap"
	"github.com/intramuros/intramuros/planner/scalar"
)

// If one query buys totals and their groups (GROUPING SETS, ROLLUP, CUBE, a scalar subquery, inputs of UNION ALL), it
// makes several releases of the same rows by different keys. The numbers are estimated together by least squares
// (estimate.Marginals). So totals agree with their groups, and both have smaller errors. This is computed from released
// numbers and costs nothing.
//
// Numbers add up over groups if every patient has one row, in one group, and every group is declared and released. Rows
// with a key outside the declared domain are in a total but in no group. If tables differ by more than noise explains,
// they stay as they were released, and the answer says so.

// family is the releases of one partial aggregate over the same rows, each by some of the same keys.
type family struct {
	members   []member
	cells     [][]Cell // by member; the cells are in the order of their positions
	marginals *estimate.Marginals
}

// member is a partial aggregate of a release.
type member struct{ release, partial int }

// fitted holds a release's partial aggregates as its family estimates them.
type fitted struct {
	positions overlap.Positions
	tables    map[int]*fittedTable // by partial
}

type fittedTable struct {
	family    *family
	table     int // index in the family's marginals
	estimates []float64
	shown     []float64 // rounded, and at least 0 for a count
	noise     []dp.RatioTerm
}

// of is the fitted table of a partial aggregate; nil if there is none.
func (f *fitted) of(partial int) *fittedTable {
	if f == nil {
		return nil
	}
	return f.tables[partial]
}

// terms is the noise on a partial aggregate, with these weights.
func (f *fitted) terms(p *Plan, partial int, numerator, denominator float64) []dp.RatioTerm {
	t := f.of(partial)
	if t == nil {
		return []dp.RatioTerm{{Distribution: p.noise[partial], Numerator: numerator, Denominator: denominator}}
	}
	terms := slices.Clone(t.noise)
	for i := range terms {
		terms[i].Numerator, terms[i].Denominator = terms[i].Numerator*numerator, terms[i].Numerator*denominator
	}
	return terms
}

// halfWidth is how far noise moves a partial aggregate, with the confidence.
func (g group) halfWidth(partial int, confidence float64) float64 {
	if g.fit.of(partial) == nil {
		return g.plan.noise[partial].HalfWidth(confidence)
	}
	ratio := dp.Ratio{Denominator: 1, Terms: g.fit.terms(g.plan, partial, 1, 0)}
	_, high := ratio.Interval(confidence, math.Inf(-1), math.Inf(1))
	return high
}

// fitOf returns the fitted tables of rows of one release.
func fitOf(rows []groupRow) *fitted {
	if len(rows) == 0 {
		return nil
	}
	return rows[0].fit
}

// maxFitted bounds the numbers of a family times the number of its key sets.
const maxFitted = 4_000_000

// tooFar is how many standard deviations tables may differ by. Normal noise differs by more once in 1e9 comparisons,
// Laplace noise once in 5,000.
const tooFar = 6

// reconcile finds the families and fits them.
func (c *derivedIntervals) reconcile() {
	if c.fits = make([]*fitted, len(c.cells)); len(c.cells) < 2 {
		return
	}
	var order []string
	families := map[string]*family{}
	for i, p := range c.program.Releases {
		if c.program.lifeTables[i+1] != nil || !p.addsUp(c.cells[i]) {
			continue
		}
		rows := overlap.Rows(p.Fragment)
		for k, partial := range p.Fragment.Partials {
			if partial.Share = 0; partial.Expr != nil {
				partial.Expr = overlap.Inlined(partial.Expr, p.Fragment.Relations)
			}
			name := rows + scalar.Canonical(partial)
			if families[name] == nil {
				families[name] = &family{}
				order = append(order, name)
			}
			if partial.Buckets == nil && c.sameRelease[i] == i {
				families[name].members = append(families[name].members, member{i, k})
			}
		}
	}
	for _, name := range order {
		if f := families[name]; len(f.members) > 1 {
			c.fit(f)
		}
	}
	for i, twin := range c.sameRelease {
		c.fits[i] = c.fits[twin]
	}
}

// addsUp reports whether the release's numbers add up to those of coarser groups.
func (p *Plan) addsUp(cells []Cell) bool {
	n := 1
	for _, k := range p.Fragment.Keys {
		n *= len(k.Domain)
	}
	return p.Proof.OneRow && p.Selection == nil && n > 0 && n == len(cells)
}

// fit estimates a family's numbers. It does nothing if the keys have different domains, there are too many numbers, or
// the tables contradict each other.
func (c *derivedIntervals) fit(f *family) {
	var keys []string
	for _, m := range f.members {
		for _, k := range overlap.PositionsOf(c.program.Releases[m.release].Fragment) {
			if !slices.Contains(keys, k.Name) {
				keys = append(keys, k.Name)
			}
		}
	}
	if len(keys) > estimate.MaxKeys {
		return
	}
	slices.Sort(keys) // positions are ordered like this
	sizes := make([]int, len(keys))
	domains := map[string][]value.Value{}
	numbers, axes := 0, make([][]int, len(f.members))
	values, variances := make([][]float64, len(f.members)), make([]float64, len(f.members))
	for i, m := range f.members {
		p := c.program.Releases[m.release]
		cells, positions := make([]Cell, len(c.cells[m.release])), overlap.PositionsOf(p.Fragment)
		for _, k := range positions {
			domain := p.Fragment.Keys[k.Key].Domain
			if known, ok := domains[k.Name]; ok && !slices.Equal(known, domain) {
				return
			}
			domains[k.Name] = domain
			axis := slices.Index(keys, k.Name)
			axes[i], sizes[axis] = append(axes[i], axis), len(k.Places)
		}
		for _, cell := range c.cells[m.release] {
			if at := positions.Of(cell.Keys); at >= 0 {
				cells[at] = cell
			}
		}
		for _, cell := range cells {
			if cell.Noisy == nil {
				return // a group is missing
			}
			values[i] = append(values[i], float64(cell.Noisy[p.places[m.partial].start]))
		}
		f.cells = append(f.cells, cells)
		variances[i] = math.Pow(p.noise[m.partial].StandardDeviation(), 2)
		numbers += len(cells)
	}
	if numbers<<len(keys) > maxFitted || slices.Min(variances) <= 0 {
		return
	}
	f.marginals = estimate.NewMarginals(sizes, axes, variances)
	if f.marginals.Misfit(values) > tooFar {
		const note = "groups and their total differ by more than noise explains, and are shown as released: rows may hold values that the catalog does not declare, which are in the total alone"
		if !slices.Contains(c.notes, note) {
			c.notes = append(c.notes, note)
		}
		return
	}
	c.show(f, f.marginals.Fit(values))
}

// show replaces the released numbers of a family by its estimates.
func (c *derivedIntervals) show(f *family, estimates [][]float64) {
	first := f.members[0]
	partial := c.program.Releases[first.release].Fragment.Partials[first.partial]
	shown := estimates // nobody sees the number of a sum from a centre
	if partial.Kind != fragment.PartialSum || partial.Grid.Center == 0 {
		shown = f.marginals.Settle(estimates, partial.Kind != fragment.PartialSum || partial.Grid.Lower >= 0)
	}
	for i, m := range f.members {
		t := &fittedTable{family: f, table: i, estimates: estimates[i], shown: shown[i]}
		for _, part := range f.marginals.Parts(i) {
			of := f.members[part.Table]
			t.noise = append(t.noise, dp.RatioTerm{Distribution: c.program.Releases[of.release].noise[of.partial], Numerator: part.Weight, Count: part.Count})
		}
		if c.fits[m.release] == nil {
			c.fits[m.release] = &fitted{positions: overlap.PositionsOf(c.program.Releases[m.release].Fragment), tables: map[int]*fittedTable{}}
		}
		c.fits[m.release].tables[m.partial] = t
	}
}
