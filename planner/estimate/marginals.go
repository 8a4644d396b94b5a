package estimate

import (
	"math"
	"math/bits"
	"slices"
)

// Marginals are tables of counts or sums over the same rows, each by some of the same keys, such as by sex, by year,
// and the total. Each number has noise. A table has every combination of its keys' values. The tables are estimated
// together by weighted least squares. An interaction of keys is a contrast that sums to 0 over each of them. Each table
// with these keys estimates the interaction independently of its other interactions. So the best estimate is the mean
// of these, weighted by inverse variance (as in the analysis of variance; Xiao et al. 2023 do it for private tables).
type Marginals struct {
	sizes  []int // the sizes of the keys' domains
	tables []margin
	shares map[uint][]float64 // by the keys of an interaction: the weight of each table's estimate
}

// margin is one table.
type margin struct {
	axes     []int // its keys in ascending order; the last changes fastest
	mask     uint
	cells    int
	variance float64
}

// MaxKeys bounds the number of keys.
const MaxKeys = 12

// NewMarginals describes tables by these keys. All numbers of a table have noise of the same variance, above 0.
func NewMarginals(sizes []int, axes [][]int, variances []float64) *Marginals {
	m := &Marginals{sizes: sizes, shares: map[uint][]float64{}}
	for i, a := range axes {
		t := margin{axes: a, cells: 1, variance: variances[i]}
		for _, k := range a {
			t.mask |= 1 << k
			t.cells *= sizes[k]
		}
		m.tables = append(m.tables, t)
	}
	for _, t := range m.tables {
		subsets(t.mask, func(s uint) {
			if m.shares[s] != nil {
				return
			}
			shares, sum := make([]float64, len(m.tables)), 0.0
			for i, u := range m.tables {
				if s&^u.mask == 0 {
					shares[i] = 1 / (u.variance * m.product(u.mask&^s))
					sum += shares[i]
				}
			}
			for i := range shares {
				shares[i] /= sum
			}
			m.shares[s] = shares
		})
	}
	return m
}

// subsets calls fn for each subset of a set of keys.
func subsets(mask uint, fn func(uint)) {
	for s := mask; ; s = (s - 1) & mask {
		fn(s)
		if s == 0 {
			return
		}
	}
}

// product is the number of combinations of values of these keys.
func (m *Marginals) product(mask uint) float64 {
	n := 1.0
	for k, size := range m.sizes {
		if mask&(1<<k) != 0 {
			n *= float64(size)
		}
	}
	return n
}

// Fit returns the best estimates of the tables. They agree with each other: each total is the sum of its parts.
func (m *Marginals) Fit(values [][]float64) [][]float64 {
	interactions := map[uint][]float64{}
	for s, shares := range m.shares {
		of := make([]float64, int(m.product(s)))
		for i, w := range shares {
			if w > 0 {
				for k, x := range m.contrast(values[i], m.tables[i].mask, s) {
					of[k] += w * x
				}
			}
		}
		interactions[s] = of
	}
	fit := make([][]float64, len(m.tables))
	for i, t := range m.tables {
		fit[i] = make([]float64, t.cells)
		subsets(t.mask, func(s uint) {
			place, share := m.places(t.mask, s), 1/m.product(t.mask&^s)
			for k := range fit[i] {
				fit[i][k] += share * interactions[s][place[k]]
			}
		})
	}
	return fit
}

// places returns, for each cell of a table by the keys of one set, the cell of a table by fewer keys that contains it.
func (m *Marginals) places(of, in uint) []int {
	places := []int{0}
	for k, size := range m.sizes {
		if of&(1<<k) == 0 {
			continue
		}
		next := make([]int, 0, len(places)*size)
		for _, p := range places {
			for v := range size {
				if in&(1<<k) != 0 {
					next = append(next, p*size+v)
				} else {
					next = append(next, p)
				}
			}
		}
		places = next
	}
	return places
}

// contrast is a table's estimate of the interaction of keys s: its sums by these keys, with the mean along each
// subtracted.
func (m *Marginals) contrast(values []float64, mask, s uint) []float64 {
	sums := m.sums(values, mask, s)
	stride := 1
	for k := len(m.sizes) - 1; k >= 0; k-- {
		if s&(1<<k) == 0 {
			continue
		}
		size := m.sizes[k]
		for start := range sums {
			if start/stride%size != 0 {
				continue
			}
			mean := 0.0
			for v := range size {
				mean += sums[start+v*stride] / float64(size)
			}
			for v := range size {
				sums[start+v*stride] -= mean
			}
		}
		stride *= size
	}
	return sums
}

// sums adds a table up to a table by fewer keys.
func (m *Marginals) sums(values []float64, mask, s uint) []float64 {
	sums := make([]float64, int(m.product(s)))
	for k, p := range m.places(mask, s) {
		sums[p] += values[k]
	}
	return sums
}

// Part is the noise of Count numbers of a table. An estimate contains each of them Weight times.
type Part struct {
	Table  int
	Weight float64
	Count  int
}

// Parts is the noise of each number that Fit returns for a table. It is the same in all its cells.
func (m *Marginals) Parts(table int) (parts []Part) {
	t := m.tables[table]
	for i, u := range m.tables {
		common := t.mask & u.mask
		subsets(common, func(same uint) {
			n := m.product(u.mask &^ t.mask)
			for k, size := range m.sizes {
				if common&^same&(1<<k) != 0 {
					n *= float64(size - 1)
				}
			}
			if w := m.weight(t.mask, i, common, same); n > 0 && math.Abs(w) > 1e-15 {
				parts = append(parts, Part{i, w, int(n)})
			}
		})
	}
	return parts
}

// weight is the weight of a number of table i in an estimate of a table by the keys of mask. common are the keys that
// both have; same are the common keys with equal values.
func (m *Marginals) weight(mask uint, i int, common, same uint) float64 {
	w := 0.0
	subsets(common, func(s uint) {
		share := m.shares[s][i] / m.product(mask&^s)
		for k, size := range m.sizes {
			if s&(1<<k) == 0 {
				continue
			}
			if same&(1<<k) != 0 {
				share *= 1 - 1/float64(size)
			} else {
				share *= -1 / float64(size)
			}
		}
		w += share
	})
	return w
}

// Weights are the weights of all numbers of the table other in the estimate of one cell of a table.
func (m *Marginals) Weights(table, cell, other int) []float64 {
	t, u := m.tables[table], m.tables[other]
	common := t.mask & u.mask
	mine := m.values(t.mask, cell)
	known := map[uint]float64{}
	weights := make([]float64, u.cells)
	for c := range weights {
		same := uint(0)
		for k, v := range m.values(u.mask, c) {
			if common&(1<<k) != 0 && mine[k] == v {
				same |= 1 << k
			}
		}
		w, ok := known[same]
		if !ok {
			w = m.weight(t.mask, other, common, same)
			known[same] = w
		}
		weights[c] = w
	}
	return weights
}

// Within lists the cells of another table that make up a cell of this one. The other table's keys include this one's.
func (m *Marginals) Within(table, cell, other int) (cells []int) {
	for c, p := range m.places(m.tables[other].mask, m.tables[table].mask) {
		if p == cell {
			cells = append(cells, c)
		}
	}
	return cells
}

// Finest returns a table whose keys include those of all tables, if there is one.
func (m *Marginals) Finest() (table int, ok bool) {
	all := uint(0)
	for _, t := range m.tables {
		all |= t.mask
	}
	table = slices.IndexFunc(m.tables, func(t margin) bool { return t.mask == all })
	return table, table >= 0
}

// values returns the values of the keys in a cell, by key; -1 for keys that the table does not have.
func (m *Marginals) values(mask uint, cell int) []int {
	values := make([]int, len(m.sizes))
	for k := len(m.sizes) - 1; k >= 0; k-- {
		if values[k] = -1; mask&(1<<k) != 0 {
			values[k], cell = cell%m.sizes[k], cell/m.sizes[k]
		}
	}
	return values
}

// Misfit is the largest difference between two tables' sums by their common keys, in standard deviations of its noise.
func (m *Marginals) Misfit(values [][]float64) float64 {
	worst := 0.0
	for i, t := range m.tables {
		for j, u := range m.tables[:i] {
			common := t.mask & u.mask
			deviation := math.Sqrt(t.variance*m.product(t.mask&^common) + u.variance*m.product(u.mask&^common))
			other := m.sums(values[j], u.mask, common)
			for k, x := range m.sums(values[i], t.mask, common) {
				worst = max(worst, math.Abs(x-other[k])/deviation)
			}
		}
	}
	return worst
}

// Settle rounds what Fit returns to whole numbers that still agree, not below 0 if positive. Each table's parts sum to
// the numbers of its nearest total. There is one nearest total unless the tables are by sets of keys that overlap, as
// with CUBE. Then they agree with other totals except for rounding and numbers below 0. Parts are the closest ones with
// that sum (the projection onto a simplex: Held et al. 1974), rounded by the largest remainders.
func (m *Marginals) Settle(fit [][]float64, positive bool) [][]float64 {
	order := make([]int, len(m.tables))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return bits.OnesCount(m.tables[i].mask) - bits.OnesCount(m.tables[j].mask)
	})
	settled := make([][]float64, len(fit))
	for at, i := range order {
		t := m.tables[i]
		parent, total := uint(0), []float64{m.sums(fit[i], t.mask, 0)[0]}
		if total[0] = math.Round(total[0]); positive {
			total[0] = max(0, total[0])
		}
		for _, j := range order[:at] { // the last that holds some of the keys has the most of them
			if u := m.tables[j]; u.mask&^t.mask == 0 {
				parent, total = u.mask, settled[j]
			}
		}
		settled[i] = make([]float64, t.cells)
		children := make([][]int, len(total))
		for k, p := range m.places(t.mask, parent) {
			children[p] = append(children[p], k)
		}
		for p, cells := range children {
			parts := make([]float64, len(cells))
			for k, c := range cells {
				parts[k] = fit[i][c]
			}
			for k, x := range split(parts, total[p], positive) {
				settled[i][cells[k]] = x
			}
		}
	}
	return settled
}

// split changes parts as little as possible into whole numbers that sum to the total, none below 0 if positive.
func split(parts []float64, total float64, positive bool) []float64 {
	out := make([]float64, len(parts))
	shift := -total / float64(len(parts))
	for _, x := range parts {
		shift += x / float64(len(parts))
	}
	if positive {
		shift = simplexShift(parts, total)
	}
	for i, x := range parts {
		if out[i] = x - shift; positive {
			out[i] = max(0, out[i])
		}
	}
	return largestRemainders(out, total)
}

// simplexShift is how far all parts are moved down before negative ones are raised to 0.
func simplexShift(parts []float64, total float64) float64 {
	sorted := slices.Clone(parts)
	slices.Sort(sorted)
	slices.Reverse(sorted)
	sum, shift := 0.0, 0.0
	for i, x := range sorted {
		sum += x
		if s := (sum - total) / float64(i+1); i == 0 || x-s > 0 {
			shift = s
		}
	}
	return shift
}

// largestRemainders rounds numbers so that they sum to a whole total.
func largestRemainders(out []float64, total float64) []float64 {
	order := make([]int, len(out))
	left := total
	for i, x := range out {
		order[i] = i
		left -= math.Floor(x)
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := out[i]-math.Floor(out[i]), out[j]-math.Floor(out[j])
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	for n, i := range order {
		out[i] = math.Floor(out[i])
		if float64(n) < math.Round(left) {
			out[i]++
		}
	}
	return out
}
