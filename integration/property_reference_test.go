package integration

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner"
)

// The reference computes what the nodes compute and the coordinator adds up, by the definition in doc.go of
// internal/fragment, without SQL. It is slow, and shares only fragment.Evaluate with the engines.

// defect is a mistake that a node or the coordinator could make, to check that the properties notice it.
type defect int

const (
	sound       defect = iota
	unclamped          // sums without their bounds, if a patient has one row
	unclipped          // nobody is clipped
	apart              // each group of a patient is clipped by itself
	looseSums          // sums are not scaled with the rest
	unmeasured         // the norm is that of counts, without sums
	present            // groups appear by patients who are hardly in them
	floatingSum        // a floating-point sum whose order depends on the other patients
)

// vectors computes the exact vector of each group, over all hospitals.
func vectors(p *planner.Plan, c *catalog.Catalog, w *world, d defect) map[string]planner.Cell {
	cells := map[string]planner.Cell{}
	if len(p.Fragment.Keys) == 0 {
		cells["[]"] = planner.Cell{Noisy: make([]int64, p.Fragment.Width())}
	}
	for _, h := range w.hospitals {
		for _, g := range partials(p, c, w, h, d) {
			k := fmt.Sprintf("%q", g.keys)
			cell, ok := cells[k]
			if !ok {
				cell = planner.Cell{Keys: g.keys, Noisy: make([]int64, len(g.parts))}
				cells[k] = cell
			}
			for i, x := range g.parts {
				cell.Noisy[i] += x
			}
		}
	}
	for k, cell := range cells {
		cells[k] = planner.Cell{Keys: cell.Keys, Noisy: coordinates(p, cell.Noisy)}
	}
	return cells
}

// contribution is one patient's part in one group, at one hospital.
type contribution struct {
	patient value.Value
	keys    []value.Value
	rows    [][]value.Value
	parts   []int64
}

func partials(p *planner.Plan, c *catalog.Catalog, w *world, hospital string, d defect) []*contribution {
	f := p.Fragment
	// It reads one row for each row that counts: the patient, the keys, each partial's argument.
	read := &fragment.Query{Relations: f.Relations, Filter: f.Filter}
	add := func(e *expr.Expr) {
		read.Columns = append(read.Columns, fragment.Output{Name: fmt.Sprint(len(read.Columns)), Expr: e})
	}
	add(f.Patient)
	for _, k := range f.Keys {
		add(k.Expr)
	}
	for _, partial := range f.Partials {
		if partial.Expr == nil {
			add(expr.Literal(value.Bool(true)))
		} else {
			add(partial.Expr)
		}
	}
	known := map[string]fragment.Rows{}
	rows := read.Evaluate(func(table string) fragment.Rows {
		if _, ok := known[table]; !ok {
			known[table] = w.rows(c, hospital, table)
		}
		return known[table]
	}, hospital, c)
	groups := map[string]*contribution{}
	var all []*contribution
rows:
	for _, r := range rows.Values {
		keys := r[1 : 1+len(f.Keys)]
		if r[0].IsNull() {
			continue
		}
		for i, k := range f.Keys {
			if k.Domain != nil && !slices.Contains(k.Domain, keys[i]) {
				continue rows
			}
		}
		id := fmt.Sprintf("%q %q", r[0], keys)
		g, ok := groups[id]
		if !ok {
			g = &contribution{patient: r[0], keys: keys}
			groups[id] = g
			all = append(all, g)
		}
		g.rows = append(g.rows, r[1+len(f.Keys):])
	}
	patients := map[value.Value][]*contribution{}
	for _, g := range all {
		patients[g.patient] = append(patients[g.patient], g)
	}
	for _, groups := range patients {
		clip(p, groups, d)
	}
	if d != present {
		appear(p, all)
	}
	if d == floatingSum {
		addFloating(f, all)
	}
	return all
}

// clip computes what counts of one patient.
func clip(p *planner.Plan, groups []*contribution, d defect) {
	raw := func(without bool) [][]*big.Int {
		var all [][]*big.Int
		for _, g := range groups {
			var part []*big.Int
			for i, partial := range p.Fragment.Partials {
				sums := sums(partial, g.rows, i, d)
				if without && partial.Grid != nil {
					sums[0].SetInt64(0)
				}
				part = append(part, sums...)
			}
			all = append(all, part)
		}
		return all
	}
	wide := *p.Proof
	wide.Unclipped = true
	parts := p.Proof.Clip(p.Fragment, raw(d == unmeasured))
	whole := wide.Clip(p.Fragment, raw(false))
	for g := range groups {
		if d == apart {
			parts[g] = p.Proof.Clip(p.Fragment, raw(false)[g:g+1])[0]
		}
		at := 0
		for _, partial := range p.Fragment.Partials {
			for k := at; k < at+partial.Width(); k++ {
				if d == unclipped || partial.Grid != nil && (d == looseSums || d == unmeasured) {
					parts[g][k] = whole[g][k]
				}
			}
			at += partial.Width()
		}
		groups[g].parts = parts[g]
	}
}

// appear leaves out the groups that do not appear.
func appear(p *planner.Plan, all []*contribution) {
	at := 0
	for i, partial := range p.Fragment.Partials {
		if p.Proof.Selects(p.Fragment, i) {
			patients := map[string]int64{}
			for _, g := range all {
				patients[fmt.Sprintf("%q", g.keys)] += g.parts[at]
			}
			for _, g := range all {
				if patients[fmt.Sprintf("%q", g.keys)] == 0 {
					clear(g.parts)
				}
			}
		}
		at += partial.Width()
	}
}

// sums adds up a patient's rows in one group for a partial aggregate.
func sums(p fragment.Partial, rows [][]value.Value, column int, d defect) []*big.Int {
	if p.Kind == fragment.PartialBeyond { // over the same rows
		p.Kind = p.Of
	}
	sums := make([]*big.Int, p.Width())
	for i := range sums {
		sums[i] = new(big.Int)
	}
	c := int64(0)
	for _, r := range rows {
		v := r[column]
		if v.IsNull() || p.Kind == fragment.PartialPatients && !v.True() {
			continue
		}
		c++
		switch {
		case p.Grid != nil:
			x := math.Floor(math.Ldexp(v.Float64(), p.Grid.Shift) + 0.5)
			if d != unclamped {
				x = math.Max(float64(p.Grid.Lower), math.Min(float64(p.Grid.Upper), x))
			} else {
				x = math.Max(-1e15, math.Min(1e15, 8*x)) // as if the catalog's bounds were wrong too
			}
			sums[0].Add(sums[0], big.NewInt(int64(x)-p.Grid.Center))
		case p.Buckets != nil:
			n := sums[p.Buckets.Leaf(v.Float64())]
			n.Add(n, big.NewInt(1))
		}
	}
	switch p.Kind {
	case fragment.PartialPatients:
		sums[0].SetInt64(min(c, 1))
	case fragment.PartialRows, fragment.PartialValues:
		sums[0].SetInt64(c)
	}
	return sums
}

// addFloating adds each sum in floating point over the patients of a group, in an order that depends on their number,
// and gives all of it to the first. It has 8 binary digits (bfloat16), so that rounding is visible in worlds of a few
// patients, who seldom reach the norm's limit exactly.
func addFloating(f *fragment.Fragment, all []*contribution) {
	groups := map[string][]*contribution{}
	for _, g := range all {
		k := fmt.Sprintf("%q", g.keys)
		groups[k] = append(groups[k], g)
	}
	for _, group := range groups {
		at := 0
		for _, p := range f.Partials {
			if p.Grid != nil {
				sum := float32(0)
				for i := range group {
					g := group[i]
					if len(group)%2 == 0 {
						g = group[len(group)-1-i]
					}
					sum = math.Float32frombits(math.Float32bits(sum+float32(g.parts[at])) &^ 0xffff)
					g.parts[at] = 0
				}
				group[0].parts[at] = int64(sum)
			}
			at += p.Width()
		}
	}
}

// coordinates is the vector that would be released for one group.
func coordinates(p *planner.Plan, partials []int64) []int64 {
	var all []int64
	for i, partial := range p.Fragment.Partials {
		all = append(all, p.Coordinates(i, partials[:partial.Width()])...)
		partials = partials[partial.Width():]
	}
	return all
}
