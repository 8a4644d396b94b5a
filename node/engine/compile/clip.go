package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// The steps that clip patients' contributions, for each block of partial aggregates by itself. Package
// internal/fragment has the definition, and says why no other step may stand between measuring and adding up.

// scalars lists the partial aggregates that are one integer.
func (c *compiler) scalars(f *fragment.Fragment) []int {
	var all []int
	for i, p := range f.Partials {
		if p.Buckets == nil {
			all = append(all, i)
		}
	}
	return all
}

// selecting returns the partial aggregate that every undeclared group must have to be answered, or -1 if there is none.
func selecting(f *fragment.Fragment, p *fragment.Proof) int {
	for i := range f.Partials {
		if p.Selects(f, i) {
			return i
		}
	}
	return -1
}

// clip writes the step that yields each patient's contributions to each group, a0, a1 …, and the patient's factor f.
func (c *compiler) clip(f *fragment.Fragment, p *fragment.Proof, keys []string, parts map[int]string) string {
	how := p.Single(f)
	var kept []string
	measured := plain(append([]string{"patient"}, keys...))
	for _, i := range c.scalars(f) {
		a := "a" + strconv.Itoa(i)
		kept, measured = append(kept, a), append(measured, column{parts[i], a})
	}
	inner := selectFrom(measured, "parts", "", nil) + c.barrier()
	counted := c.counted(f, p)
	if len(counted) > 1 { // written once: in each sum, it would make a long statement
		all := plain(slices.Concat([]string{"patient"}, keys, kept))
		all = append(all, column{"greatest(" + strings.Join(counted, ", ") + ")", "counted"})
		inner = selectFrom(all, "(\n  "+indent(inner)+"\n) AS p", "", nil) + c.barrier()
		counted = []string{"counted"}
	}
	var terms []string
	for _, i := range c.scalars(f) {
		if f.Partials[i].Kind != fragment.PartialBeyond {
			terms = append(terms, c.measure(f, p, i, counted))
		}
	}
	norm := strings.Join(terms, " + ")
	if len(keys) > 0 && !p.KeysPerPatient {
		norm = fmt.Sprintf(c.target.Dialect.sum, norm) + " OVER (PARTITION BY patient)"
	}
	columns := append(slices.Clone(keys), kept...)
	if selecting(f, p) >= 0 && len(kept) < len(f.Partials) { // trees leave out the patients that this step leaves out
		columns = append([]string{"patient"}, columns...)
	}
	inner = "SELECT " + strings.Join(columns, ", ") + ", " + norm + " AS norm\nFROM (\n  " + indent(inner) + "\n) AS p" + c.barrier()
	return step("clipped", "SELECT "+strings.Join(columns, ", ")+", "+c.factor(how)+" AS f\nFROM (\n  "+indent(inner)+"\n) AS p")
}

// barrier stops the optimizer from replacing columns by their definitions wherever they are read.
func (c *compiler) barrier() string {
	if !c.target.Dialect.inlines {
		return ""
	}
	return c.target.Dialect.apart
}

// counted writes the lengths of the counts. A sum is at least as long as its count. It writes none if there is no sum.
func (c *compiler) counted(f *fragment.Fragment, p *fragment.Proof) []string {
	var all []string
	if !slices.ContainsFunc(f.Partials, func(p fragment.Partial) bool { return p.Kind == fragment.PartialSum }) {
		return nil
	}
	for i, partial := range f.Partials {
		if u := c.length(f, p, i); partial.Counts() && !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	return all
}

// length writes the length of a contribution.
func (c *compiler) length(f *fragment.Fragment, p *fragment.Proof, i int) string {
	a, size := "a"+strconv.Itoa(i), p.Sizes[i]
	if f.Partials[i].Kind == fragment.PartialSum {
		a = "abs(" + a + ")"
	}
	switch size {
	case fragment.Steps:
		return a
	case 1:
		return fmt.Sprintf("(%s * %d)", a, fragment.Steps)
	}
	return fmt.Sprintf("((%s * %d + %d) %s %d)", a, fragment.Steps, size-1, c.target.Dialect.division, size)
}

// measure writes what a contribution adds to the norm.
func (c *compiler) measure(f *fragment.Fragment, p *fragment.Proof, i int, counted []string) string {
	weight, u := p.NormWeight(f, i), c.length(f, p, i)
	if f.Partials[i].Kind == fragment.PartialSum && len(counted) > 0 {
		u = "greatest(" + strings.Join(append([]string{u}, counted...), ", ") + ")"
	}
	if f.Norm == fragment.L2 {
		u += " * " + u
	}
	if weight > 1 {
		u = c.literal(value.Int(weight), false).sql + " * " + u
	}
	return u
}

// factor writes the factor of a patient's contributions, in units of 1/fragment.Whole of the column norm.
func (c *compiler) factor(how fragment.Clip) string {
	d := c.target.Dialect
	within := fmt.Sprintf("CASE WHEN norm <= %d THEN %d ", how.Limit, fragment.Whole)
	if how.Norm == fragment.L1 {
		part := fmt.Sprintf(d.quotient, fmt.Sprintf("(CAST(%d AS %s) * %d)", how.Limit, d.wide, fragment.Whole), "norm")
		return within + "ELSE CAST(" + part + " AS BIGINT) END"
	}
	root := func(k float64, norm string) string {
		return fmt.Sprintf("CAST(floor(%s / sqrt(CAST(%s AS %s))) AS BIGINT)", c.number(k), norm, c.sqlType(value.TypeFloat))
	}
	coarse := fmt.Sprintf(d.quotient, "norm", strconv.Itoa(fragment.Coarser))
	return within + fmt.Sprintf("WHEN norm <= %d THEN %s WHEN %s < %d THEN %s ELSE 0 END", fragment.Exact, root(how.Root(), "norm"),
		coarse, fragment.Exact, root(how.Root()/fragment.CoarserRoot, coarse+" + 1"))
}

// scaled writes a contribution as it is added up.
func (c *compiler) scaled(f *fragment.Fragment, p *fragment.Proof, i int, part string) string {
	if p.Unclipped {
		return part
	}
	a := "a" + strconv.Itoa(i)
	if f.Partials[i].Kind == fragment.PartialBeyond {
		return c.beyond(f.Partials[i], a)
	}
	return c.times(a, "f")
}

// beyond writes what clipping by the factor in column f cuts off a contribution, up to MostOrOne times what stays.
func (c *compiler) beyond(p fragment.Partial, a string) string {
	d := c.target.Dialect
	factor := fmt.Sprintf("least(%d - f, %d * f)", fragment.Whole, p.MostOrOne())
	part := fmt.Sprintf(d.quotient, fmt.Sprintf("(CAST(%s AS %s) * %s)", a, d.wide, factor), strconv.Itoa(fragment.Whole))
	return fmt.Sprintf("CASE WHEN f = %d THEN 0 ELSE CAST(%s AS BIGINT) END", fragment.Whole, part)
}

// present writes the test that a patient counts at all, if groups are not declared. A patient who is scaled down too
// far makes no group appear, and so does not count in groups that others make appear. Empty: all patients count.
func present(f *fragment.Fragment, p *fragment.Proof) string {
	i := selecting(f, p)
	if i < 0 || p.Unclipped {
		return ""
	}
	units := p.Units[i] // the part of each patient
	least := (units + fragment.LeastPresence - 1) / fragment.LeastPresence
	return fmt.Sprintf("f >= %d", (least*fragment.Whole+units-1)/units)
}

// times writes a contribution times a factor.
func (c *compiler) times(a, f string) string {
	d := c.target.Dialect
	part := fmt.Sprintf(d.quotient, fmt.Sprintf("(CAST(%s AS %s) * %s)", a, d.wide, f), strconv.Itoa(fragment.Whole))
	return fmt.Sprintf("CASE WHEN %s = %d THEN %s ELSE CAST(%s AS BIGINT) END", f, fragment.Whole, a, part)
}

// clipTree writes the steps that count values in the buckets of partial aggregate i by group.
func (c *compiler) clipTree(f *fragment.Fragment, p *fragment.Proof, i int, keys []string, leaf []column, name func(string) string) []string {
	d, leaves, group := c.target.Dialect, leaf[0].sql, append([]string{"patient"}, keys...)
	counted := []column{{leaves, "leaf"}, {fmt.Sprintf("least(count(*), %d)", fragment.MostCounted), "n"}}
	where := leaves + " IS NOT NULL"
	if counts := present(f, p); counts != "" {
		where += " AND patient IN (SELECT patient FROM clipped WHERE " + counts + ")"
	}
	steps := []string{step(name("leaves"), selectFrom(append(plain(group), counted...), "rows", where, append(slices.Clone(group), leaves)))}
	measure, from := "n", name("leaves")
	switch {
	case f.Norm == fragment.L1:
	case f.Partials[i].Buckets.Levels == 1:
		measure = "n * n"
	default:
		measure = "n * c"
		from = "(\n  SELECT *, " + fmt.Sprintf(d.sum, "n") + " OVER (PARTITION BY " + strings.Join(group, ", ") + ") AS c\n  FROM " + from + "\n) AS l"
	}
	normed := "SELECT " + strings.Join(append(slices.Clone(keys), "leaf", "n"), ", ") + ", " + fmt.Sprintf(d.sum, measure) + " OVER (PARTITION BY patient) AS norm\nFROM " + from + c.barrier()
	n := "n"
	if p.Units[i] > 1 {
		n = fmt.Sprintf("n * %d", p.Units[i])
	}
	columns := append(plain(keys), column{"leaf", "leaf"}, column{n, "n"}, column{c.factor(p.Tree(f)), "f"})
	return append(steps,
		step(name("clipped"), selectFrom(columns, "(\n  "+indent(normed)+"\n) AS l", "", nil)+c.barrier()),
		step(name("buckets"), selectFrom(append(plain(keys), column{"leaf", "leaf"}, column{fmt.Sprintf(d.sum, c.times("n", "f")), "n"}), name("clipped"), "", append(slices.Clone(keys), "leaf"))))
}
