package compile

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// column is one column of a step.
type column struct{ sql, name string }

func (c *compiler) statement(f *fragment.Fragment, p *fragment.Proof) string {
	rows := []column{{c.strict(f.Patient), "patient"}}
	var keys []string
	var tests []string
	for i, k := range f.Keys {
		name := "k" + strconv.Itoa(i)
		keys = append(keys, name)
		rows = append(rows, column{c.strict(k.Expr), name})
		if len(k.Domain) > 0 {
			tests = append(tests, c.domainTest(name, k.Domain))
		}
	}
	inputs := map[string]string{} // SQL to column of rows
	input := func(sql string) string {
		if _, ok := inputs[sql]; !ok {
			inputs[sql] = "x" + strconv.Itoa(len(inputs))
			rows = append(rows, column{sql, inputs[sql]})
		}
		return inputs[sql]
	}
	counts, sums := c.inputs(f, input)
	steps := []string{c.rows(f, rows, tests, p)}

	var answer []column
	for _, k := range keys {
		answer = append(answer, column{k, k})
	}
	source, where := "rows", ""
	if p.OneRow {
		for i, partial := range f.Partials {
			if partial.Buckets == nil {
				answer = append(answer, column{oneRow(partial, counts[i], sums[i]), partialName(i)})
			}
		}
	} else {
		columns := []column{{"patient", "patient"}}
		columns = append(columns, answer...)
		parts, shares := parts(f, p, counts, sums)
		for i, share := range shares {
			if share != "" {
				answer = append(answer, column{share, partialName(i)})
			}
		}
		columns = append(columns, parts...)
		from := "rows"
		if p.Truncates {
			columns = append(columns, column{"any_value(choice)", "choice"})
			if p.Groups <= maxReach {
				steps = append(steps, step("reach", fmt.Sprintf("SELECT patient, len(regexp_extract(reverse(bin(bit_or(1::UBIGINT << (choice >> 58)))), '^(0*1){%d}')) AS reach\nFROM rows\nGROUP BY patient", p.Groups)))
				from = "rows JOIN reach USING (patient)"
				where = "reach = 0 OR choice >> 58 < reach"
			}
		}
		group := append([]string{"patient"}, keys...)
		steps = append(steps, step("parts", selectFrom(columns, from, where, group)))
		source, where = "parts", ""
		if p.Truncates {
			order := append([]string{"choice"}, keys...)
			steps = append(steps, step("kept", fmt.Sprintf("SELECT *, row_number() OVER (PARTITION BY patient ORDER BY %s) AS place\nFROM parts", strings.Join(order, ", "))))
			source, where = "kept", fmt.Sprintf("place <= %d", p.Groups)
		}
	}
	final := selectFrom(answer, source, where, keys)
	if trees := buckets(f, p, keys, counts); len(trees.steps) > 0 {
		if len(answer) == 0 {
			final = selectFrom([]column{{"count(*)", "n"}}, source, where, nil)
		}
		steps = append(append(steps, step("answer", final)), trees.steps...)
		final = trees.join(f, keys)
	}
	if len(keys) > 0 {
		var order []string // by place: the names may be those of several steps
		for i := range keys {
			order = append(order, strconv.Itoa(i+1))
		}
		final += "\nORDER BY " + strings.Join(order, ", ")
	}
	return "WITH " + strings.Join(steps, ",\n") + "\n" + final
}

func partialName(i int) string { return "p" + strconv.Itoa(i) }

// maxReach is the largest number of groups a patient for which the step `reach`
// pays.
//
// Ranking all groups of all patients costs far more than the sums over those
// that are kept. So `reach` first finds, in one cheap pass, a limit for each
// patient that the groups to be kept do not exceed: it marks in 64 bits which
// 64ths of the range of `choice` the patient's groups fall into; as many marks as
// groups are to be kept, counted from the lowest, cover the lowest choices. It is
// 0 where there are fewer marks. Which groups are kept in the end is the same.
const maxReach = 16

// rows writes the first step: the rows that count, and where groups are left
// out, the keyed hash by which they are chosen.
func (c *compiler) rows(f *fragment.Fragment, columns []column, tests []string, p *fragment.Proof) string {
	choice, hint := "", ""
	if p.Truncates && !p.OneRow {
		arguments := []string{"$group_key_1::UBIGINT", "$group_key_2::UBIGINT", "patient"}
		for i := range f.Keys {
			arguments = append(arguments, "k"+strconv.Itoa(i))
		}
		// The outer hash scatters what the inner one, which combines its arguments
		// by exclusive or, would leave in the same order for many patients.
		choice = ", hash(hash(" + strings.Join(arguments, ", ") + ")) AS choice"
		hint = " NOT MATERIALIZED"
	}
	query := "SELECT *" + choice + "\nFROM (\n  " + indent(c.selectRows(f.Relations, f.Filter, columns)) + "\n)\nWHERE patient IS NOT NULL" + strings.Join(prefixed(" AND ", tests), "")
	return "rows AS" + hint + " (\n  " + indent(query) + "\n)"
}

func step(name, query string) string {
	return name + " AS (\n  " + indent(query) + "\n)"
}

// indent shifts all lines but the first to the right.
func indent(sql string) string { return strings.ReplaceAll(sql, "\n", "\n  ") }

func prefixed(prefix string, list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, prefix+s)
	}
	return out
}

func selectFrom(columns []column, source, where string, group []string) string {
	var b strings.Builder
	b.WriteString("SELECT " + list(columns) + "\nFROM " + source)
	if where != "" {
		b.WriteString("\nWHERE " + where)
	}
	if len(group) > 0 {
		b.WriteString("\nGROUP BY " + strings.Join(group, ", "))
	}
	return b.String()
}

func list(columns []column) string {
	var parts []string
	for _, c := range columns {
		if c.sql == c.name {
			parts = append(parts, c.sql)
		} else {
			parts = append(parts, c.sql+" AS "+c.name)
		}
	}
	return strings.Join(parts, ", ")
}

// selectRows writes the rows of relations, joined and filtered.
func (c *compiler) selectRows(relations []fragment.Relation, filter *fragment.Expr, columns []column) string {
	var b strings.Builder
	b.WriteString("SELECT " + list(columns))
	for i, r := range relations {
		relation := c.relation(r) + " AS " + c.name(r.Name)
		if i == 0 {
			b.WriteString("\nFROM " + relation)
			continue
		}
		b.WriteString("\n" + strings.ToUpper(string(r.Join)) + " JOIN " + relation)
		if r.On != nil {
			b.WriteString(" ON " + c.strict(r.On))
		}
	}
	if filter != nil {
		b.WriteString("\nWHERE " + c.strict(filter))
	}
	return b.String()
}

// relation gives what stands after FROM.
func (c *compiler) relation(r fragment.Relation) string {
	if r.Derived != nil {
		return "(\n  " + indent(c.derivedSelect(r.Derived)) + "\n)"
	}
	sql, ok := c.target.Table(c.tables[r.Name])
	if !ok {
		c.fail(fmt.Errorf("%w %s", ErrNotOffered, c.tables[r.Name].Name))
	}
	return sql
}

// inputs gives, for each partial aggregate, the columns of rows that are counted
// where true (patients) or not NULL (values, sum), and that are added up (sum).
func (c *compiler) inputs(f *fragment.Fragment, input func(sql string) string) (counts, sums []string) {
	counts, sums = make([]string, len(f.Partials)), make([]string, len(f.Partials))
	summed := map[string]string{} // expression to the column of its grid values, NULL where it is
	for i, p := range f.Partials {
		if p.Kind == fragment.PartialSum {
			sums[i] = input(c.onGrid(p.Expr, *p.Grid))
			counts[i] = sums[i]
			summed[c.strict(p.Expr)] = sums[i]
		}
	}
	for i, p := range f.Partials {
		if p.Expr == nil || p.Kind == fragment.PartialSum {
			continue
		}
		if p.Buckets != nil {
			counts[i] = input(c.leaf(p.Expr, *p.Buckets))
			continue
		}
		sql := c.strict(p.Expr)
		if x, ok := summed[sql]; ok && p.Kind == fragment.PartialValues {
			counts[i] = x
		} else {
			counts[i] = input(sql)
		}
	}
	return counts, sums
}

// onGrid gives the whole number that a value counts as: see fragment.Grid. The
// arithmetic is that of float64 unless the value is an int on a grid of shift 0.
func (c *compiler) onGrid(e *fragment.Expr, g fragment.Grid) string {
	facts := c.facts(e)
	lower, upper := facts.Lower, facts.Upper
	var x, bound string
	if e.Type == value.TypeInt && g.Shift == 0 {
		x, bound = c.expr(e).sql, "%d"
	} else {
		scale := math.Ldexp(1, g.Shift)
		onGrid := func(x float64) float64 { return math.Floor(x*scale + 0.5) }
		lower, upper = onGrid(lower), onGrid(upper)
		x = c.f("floor(%s * %s + 0.5e0)", c.finite(c.real(e)).sql, number(scale)).sql
		bound = "%de0"
	}
	if !(lower >= float64(g.Lower) && upper <= float64(g.Upper)) {
		x = c.f("CASE WHEN %[1]s < %[2]s THEN %[2]s WHEN %[1]s > %[3]s THEN %[3]s ELSE %[1]s END", x,
			fmt.Sprintf("("+bound+")", g.Lower), fmt.Sprintf("("+bound+")", g.Upper)).sql
	}
	x = c.f("CAST(%s AS BIGINT)", x).sql
	if g.Center != 0 {
		x = c.f("%s - (%s)", x, strconv.FormatInt(g.Center, 10)).sql
	}
	return x
}

// leaf gives the bucket of a value: see fragment.Buckets.
func (c *compiler) leaf(e *fragment.Expr, b fragment.Buckets) string {
	x := c.finite(c.real(e)).sql
	place := c.f("floor((%s - %s) * %s)", x, number(b.Lower), number(b.Density())).sql
	return c.f("CAST(CASE WHEN %[1]s < 0e0 THEN 0e0 WHEN %[1]s > %[2]de0 THEN %[2]de0 ELSE %[1]s END AS INTEGER)", place, b.Leaves()-1).sql
}

// trees are the steps that count values in buckets. Each ends in a step of one row
// a group, with the counts above 0 as a text like "3:10 7:2": bucket 3 holds 10.
type trees struct {
	steps []string
	names map[int]string // of the last step of each partial
}

func buckets(f *fragment.Fragment, p *fragment.Proof, keys, counts []string) trees {
	t := trees{names: map[int]string{}}
	for i, partial := range f.Partials {
		if partial.Buckets == nil {
			continue
		}
		name := func(what string) string { return what + "_" + partialName(i) }
		leaf := []column{{counts[i], "leaf"}, {"count(*)", "n"}}
		if p.OneRow {
			t.steps = append(t.steps, step(name("buckets"), selectFrom(append(plain(keys), leaf...), "rows", counts[i]+" IS NOT NULL", append(append([]string{}, keys...), "leaf"))))
		} else {
			group := append([]string{"patient"}, keys...)
			t.steps = append(t.steps, step(name("leaves"), selectFrom(append(plain(group), leaf...), "rows", counts[i]+" IS NOT NULL", append(append([]string{}, group...), "leaf"))))
			from := name("leaves") + " AS l"
			if p.Truncates {
				from += fmt.Sprintf(" SEMI JOIN (SELECT * FROM kept WHERE place <= %d) AS k ON %s", p.Groups, same("l", "k", group))
			}
			t.steps = append(t.steps,
				step(name("weighed"), fmt.Sprintf("SELECT *, sum(n) OVER (PARTITION BY %s) AS c\nFROM %s", strings.Join(group, ", "), from)),
				step(name("buckets"), selectFrom(append(plain(keys), column{"leaf", "leaf"}, column{fmt.Sprintf("sum(CASE WHEN c <= %[1]d THEN n ELSE n * %[1]d // c END)", p.Rows), "n"}),
					name("weighed"), "", append(append([]string{}, keys...), "leaf"))))
		}
		t.names[i] = name("packed")
		t.steps = append(t.steps, step(t.names[i], selectFrom(append(plain(keys), column{"string_agg(leaf || ':' || n, ' ')", "packed"}), name("buckets"), "", keys)))
	}
	return t
}

// join puts the buckets beside the other partial aggregates of each group.
func (t trees) join(f *fragment.Fragment, keys []string) string {
	var columns []column
	for _, k := range keys {
		columns = append(columns, column{"answer." + k, k})
	}
	from := "answer"
	for i := range f.Partials {
		if name, ok := t.names[i]; ok {
			columns = append(columns, column{name + ".packed", partialName(i)})
			from += fmt.Sprintf("\nLEFT JOIN %s ON %s", name, same("answer", name, keys))
		} else {
			columns = append(columns, column{"answer." + partialName(i), partialName(i)})
		}
	}
	return selectFrom(columns, from, "", nil)
}

// same is the condition that two steps' columns are equal, NULLs included.
func same(a, b string, names []string) string {
	conditions := []string{"true"}
	for _, n := range names {
		conditions = append(conditions, fmt.Sprintf("%s.%s IS NOT DISTINCT FROM %s.%s", a, n, b, n))
	}
	return strings.Join(conditions[min(1, len(names)):], " AND ")
}

func plain(names []string) []column {
	var columns []column
	for _, n := range names {
		columns = append(columns, column{n, n})
	}
	return columns
}

// oneRow gives a partial aggregate where every row is a patient's only one.
func oneRow(p fragment.Partial, count, sum string) string {
	switch {
	case p.Kind == fragment.PartialSum:
		return total("sum(" + sum + ")")
	case p.Kind == fragment.PartialValues:
		return "count(" + count + ")"
	case p.Expr != nil:
		return "count(*) FILTER (WHERE " + count + ")"
	}
	return "count(*)"
}

// parts gives the columns of the step `parts`, and of each partial aggregate the
// sum over parts.
func parts(f *fragment.Fragment, p *fragment.Proof, counts, sums []string) (columns []column, shares []string) {
	add := func(sql, name string) string {
		if c := (column{sql, name}); !slices.Contains(columns, c) {
			columns = append(columns, c)
		}
		return name
	}
	for i, partial := range f.Partials {
		share := "count(*)"
		switch {
		case partial.Kind == fragment.PartialSum:
			n := add("count("+counts[i]+")", "n_"+counts[i])
			s := add("sum("+sums[i]+")", "s_"+sums[i])
			share = total(fmt.Sprintf("sum(CAST(CASE WHEN %s <= %d THEN %s ELSE %s * %d // %s END AS BIGINT))", n, p.Rows, s, s, p.Rows, n))
		case partial.Kind == fragment.PartialRows:
			share = total(fmt.Sprintf("sum(least(%s, %d))", add("count(*)", "n"), p.Rows))
		case partial.Kind == fragment.PartialValues:
			share = total(fmt.Sprintf("sum(least(%s, %d))", add("count("+counts[i]+")", "n_"+counts[i]), p.Rows))
		case partial.Buckets != nil:
			share = "" // see buckets
		case partial.Expr != nil:
			share = "count(*) FILTER (WHERE " + add("bool_or("+counts[i]+")", "b_"+counts[i]) + ")"
		}
		shares = append(shares, share)
	}
	return columns, shares
}

// total clamps a sum over patients to what cannot overflow over nodes. Clamping
// moves no two sums further apart, so it costs no privacy.
func total(sum string) string {
	return "CAST(least(greatest(coalesce(" + sum + ", 0), -4611686018427387904), 4611686018427387904) AS BIGINT)"
}
