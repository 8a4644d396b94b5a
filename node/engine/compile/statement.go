package compile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
)

// column is one column of a step.
type column struct{ sql, name string }

func (c *compiler) statement(f *fragment.Fragment, p *fragment.Proof) string {
	rows, tests := c.grouped(f)
	var keys []string
	for i := range f.Keys {
		keys = append(keys, "k"+strconv.Itoa(i))
	}
	in := inputs{rows: rows, kept: plain(append([]string{"patient"}, keys...)), names: map[string]string{}, numbers: map[string]int{}}
	counts, sums := c.inputs(f, p, &in)
	steps := []string{c.rows(f, in, tests)}

	var answer []column
	for _, k := range keys {
		answer = append(answer, column{k, k})
	}
	source := "rows"
	if p.OneRow {
		for i, partial := range f.Partials {
			if partial.Buckets == nil {
				answer = append(answer, column{c.oneRow(partial, counts[i], sums[i]), partialName(i)})
			}
		}
	} else if raw, parts := c.parts(f, p, counts, sums); len(parts) > 0 {
		steps = append(steps, step("parts", selectFrom(append(plain(append([]string{"patient"}, keys...)), raw...), "rows", "", append([]string{"patient"}, keys...))))
		source = "parts"
		if !p.Unclipped {
			steps = append(steps, c.clip(f, p, keys, parts))
			source = "clipped"
		}
		for _, i := range c.scalars(f) {
			answer = append(answer, column{c.total(c.scaled(f, p, i, parts[i])), partialName(i)})
		}
	}
	final := selectFrom(answer, source, present(f, p), keys)
	if trees := c.buckets(f, p, keys, counts); len(trees.steps) > 0 {
		if len(answer) > 0 {
			steps = append(steps, step("answer", final))
		}
		steps = append(steps, trees.steps...)
		final = c.joinBuckets(f, p, trees, keys, len(answer) > 0)
	}
	if c.target.Dialect.days && slices.ContainsFunc(f.Keys, func(k fragment.Key) bool { return isDay(k.Expr.Type) }) {
		final = c.daysAsText(f, final)
	}
	if len(keys) > 0 {
		var order []string // column positions: several steps may have the same names
		for i := range keys {
			order = append(order, strconv.Itoa(i+1))
		}
		final += "\nORDER BY " + strings.Join(order, ", ")
	}
	return "WITH " + strings.Join(steps, ",\n") + "\n" + final
}

// grouped returns the columns by which rows are grouped (the patient and the keys), and the tests that the keys are
// declared.
func (c *compiler) grouped(f *fragment.Fragment) (columns []column, tests []string) {
	columns = []column{{c.comparable(f.Patient), "patient"}}
	for i, k := range f.Keys {
		name := "k" + strconv.Itoa(i)
		columns = append(columns, column{c.key(k), name})
		if len(k.Domain) > 0 {
			tests = append(tests, c.domainTest(name, k.Domain))
		}
	}
	return columns, tests
}

// key writes a grouping key. A text that may be longer than the longest key is cut, unless only declared keys are kept.
func (c *compiler) key(k fragment.Key) string {
	s := c.comparable(k.Expr)
	if isText(k.Expr) && len(k.Domain) == 0 {
		s = c.cut(s, k.Expr, expr.MaxKey)
	}
	return c.byBytes(s, k.Expr.Type)
}

func isDay(t value.Type) bool { return t == value.TypeDate || t == value.TypeTimestamp }

// daysAsText writes dates and timestamps as texts, which have the same order.
func (c *compiler) daysAsText(f *fragment.Fragment, final string) string {
	var columns []column
	for i, k := range f.Keys {
		name := "k" + strconv.Itoa(i)
		if isDay(k.Expr.Type) {
			columns = append(columns, column{"CAST(" + name + " AS " + c.sqlType(value.TypeText) + ")", name})
		} else {
			columns = append(columns, column{name, name})
		}
	}
	for i := range f.Partials {
		columns = append(columns, column{partialName(i), partialName(i)})
	}
	return selectFrom(columns, "(\n  "+indent(final)+"\n) AS f", "", nil)
}

func partialName(i int) string { return "p" + strconv.Itoa(i) }

// rows writes the first step: the rows that count.
func (c *compiler) rows(f *fragment.Fragment, in inputs, tests []string) string {
	kept := "*"
	if in.bounded {
		kept = list(in.kept)
	}
	query := "SELECT " + kept + "\nFROM (\n  " + indent(c.selectRows(f.Relations, f.Filter, in.rows)) + "\n) AS r\nWHERE patient IS NOT NULL" + strings.Join(prefixed(" AND ", tests), "")
	return step("rows", query)
}

func step(name, query string) string {
	return name + " AS (\n  " + indent(query) + "\n)"
}

// indent indents all lines but the first.
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

// selectRows writes the rows of relations, joined and filtered. Rows of relations with caps are capped.
func (c *compiler) selectRows(relations []fragment.Relation, filter *expr.Expr, columns []column) string {
	return c.caps(relations, filter) + c.selectAll(relations, filter, columns)
}

// selectAll writes the rows of relations that are joined and filtered, and that pass further tests.
func (c *compiler) selectAll(relations []fragment.Relation, filter *expr.Expr, columns []column, tests ...string) string {
	var b strings.Builder
	j := c.join(relations, filter, columns)
	b.WriteString("SELECT " + list(j.columns))
	for i, r := range relations {
		relation := c.relation(r) + " AS " + c.name(r.Name)
		if i == 0 {
			b.WriteString("\nFROM " + relation)
			continue
		}
		b.WriteString("\n" + strings.ToUpper(string(r.Join)) + " JOIN " + relation)
		if r.On != nil {
			b.WriteString(" ON " + j.on[i])
		}
	}
	b.WriteString(j.unnest())
	if where := slices.Concat(j.where, tests); len(where) > 0 {
		b.WriteString("\nWHERE " + strings.Join(where, " AND "))
	}
	return b.String()
}

// relation returns a relation for a FROM clause.
func (c *compiler) relation(r fragment.Relation) string {
	if sql, ok := c.instead[r.Name]; ok {
		return sql
	}
	if r.Query != nil {
		sql, sizes := c.derivedSelect(r.Query)
		if t := c.tables[r.Name]; t != nil {
			for i, col := range t.Columns[:min(len(t.Columns), len(sizes))] {
				c.sizes[c.name(r.Name)+"."+c.name(col.Name)] = sizes[i]
			}
		}
		return "(\n  " + indent(sql) + "\n)"
	}
	sql, ok := c.target.Table(c.tables[r.Name], c.columns(r.Name))
	if !ok {
		c.fail(fmt.Errorf("%w %s", ErrNotOffered, c.tables[r.Name].Name))
	}
	return sql
}

// inputs are the columns of the step rows: how each is computed for a row of the data, and what is kept of it. A
// summand or a bucket is clamped there, after all other computation on a row.
type inputs struct {
	rows, kept []column
	bounded    bool              // kept differs from the plain rows
	names      map[string]string // of columns, by their kind and SQL
	numbers    map[string]int    // of names, by their kind
}

// add adds a column with this SQL and returns its name.
func (in *inputs) add(sql string) string {
	name, fresh := in.column(&in.rows, "x", sql)
	if fresh {
		in.kept = append(in.kept, column{name, name})
	}
	return name
}

// last adds a column with this integer, clamped to [lower, upper], less center. NULL stays NULL. Every integer passes
// this clamp last, before it enters a sum. Nothing that is believed about the integer may remove the clamp
// (internal/fragment has the rule).
func (c *compiler) last(in *inputs, sql string, lower, upper, center int64) string {
	in.bounded = true
	x, _ := in.column(&in.rows, "v", sql)
	bounded := c.clamp(x, lower, upper)
	if center != 0 {
		bounded += " - " + c.literal(value.Int(center), true).sql
	}
	name, _ := in.column(&in.kept, "x", bounded)
	return name
}

// hide hides the range of an integer from the optimizer: see Dialect.hidden.
func (c *compiler) hide(sql string) string {
	if c.target.Dialect.hidden == "" {
		return sql
	}
	return c.f(c.target.Dialect.hidden, sql).sql
}

// clamp clamps an integer to [lower, upper]. NULL stays NULL.
func (c *compiler) clamp(x string, lower, upper int64) string {
	untypedLiteral := func(i int64) string { return c.literal(value.Int(i), true).sql }
	return c.f("%s", c.target.Dialect.clamp(x, untypedLiteral(lower), untypedLiteral(upper), value.TypeInt)).sql
}

func (in *inputs) column(of *[]column, prefix, sql string) (name string, fresh bool) {
	name, known := in.names[prefix+sql]
	if !known {
		name = prefix + strconv.Itoa(in.numbers[prefix])
		in.numbers[prefix]++
		in.names[prefix+sql] = name
		*of = append(*of, column{sql, name})
	}
	return name, !known
}

// inputs computes, for each partial aggregate, the columns of rows that are counted where true (patients) or not NULL
// (values, sum), and that are added up (sum).
func (c *compiler) inputs(f *fragment.Fragment, proof *fragment.Proof, in *inputs) (counts, sums []string) {
	counts, sums = make([]string, len(f.Partials)), make([]string, len(f.Partials))
	summed := map[string]string{} // expression to the column of its grid values, which may be NULL
	for i, p := range f.Partials {
		if p.Grid != nil {
			g := *p.Grid
			number := c.onGrid(p.Expr, g)
			if proof.OneRow { // otherwise a patient's part is clamped again, after the file's statistics have no effect
				number = c.hide(number)
			}
			sums[i] = c.last(in, number, g.Lower, g.Upper, g.Center)
			counts[i] = sums[i]
			summed[c.finiteOrNull(p.Expr)] = sums[i]
		}
	}
	for i, p := range f.Partials {
		if p.Expr == nil || p.Grid != nil {
			continue
		}
		if p.Buckets != nil {
			counts[i] = c.last(in, c.hide(c.leaf(p.Expr, *p.Buckets)), 0, int64(p.Buckets.Leaves()-1), 0)
			continue
		}
		sql := c.comparable(p.Expr)
		if x, ok := summed[sql]; ok && (p.Kind == fragment.PartialValues || p.Of == fragment.PartialValues) {
			counts[i] = x
		} else {
			counts[i] = in.add(sql)
		}
	}
	return counts, sums
}

// trees are the steps that count values in buckets. Each tree ends in a step with one row per group. It holds the
// counts above 0 as a text such as "3:10 7:2": bucket 3 holds 10.
type trees struct {
	steps []string
	names map[int]string // of the last step of each partial
}

func (c *compiler) buckets(f *fragment.Fragment, p *fragment.Proof, keys, counts []string) trees {
	t := trees{names: map[int]string{}}
	for i, partial := range f.Partials {
		if partial.Buckets == nil {
			continue
		}
		name := func(what string) string { return what + "_" + partialName(i) }
		leaf := []column{{counts[i], "leaf"}, {"count(*)", "n"}}
		if p.OneRow {
			t.steps = append(t.steps, step(name("buckets"), selectFrom(append(plain(keys), leaf...), "rows", counts[i]+" IS NOT NULL", append(slices.Clone(keys), counts[i]))))
		} else {
			t.steps = append(t.steps, c.clipTree(f, p, i, keys, leaf, name)...)
		}
		t.names[i] = name("packed")
		t.steps = append(t.steps, step(t.names[i], selectFrom(append(plain(keys), column{c.target.Dialect.pack, "packed"}), name("buckets"), "", keys)))
	}
	return t
}

// joinBuckets joins the buckets to the other partial aggregates of each group. Each step yields rows with NULL for the
// columns of the others, and the groups merge them.
func (c *compiler) joinBuckets(f *fragment.Fragment, p *fragment.Proof, t trees, keys []string, answer bool) string {
	columns := plain(keys)
	rows := func(from string, column func(i int) string) string {
		list := slices.Clone(keys)
		for i := range f.Partials {
			list = append(list, column(i)+" AS "+partialName(i))
		}
		return "SELECT " + strings.Join(list, ", ") + " FROM " + from
	}
	null := func(i int) string {
		if _, tree := t.names[i]; tree {
			return "CAST(NULL AS " + c.sqlType(value.TypeText) + ")"
		}
		return "CAST(NULL AS BIGINT)"
	}
	var all []string
	if answer {
		all = append(all, rows("answer", func(i int) string {
			if _, tree := t.names[i]; tree {
				return null(i)
			}
			return partialName(i)
		}))
	}
	for i := range f.Partials {
		columns = append(columns, column{"max(" + partialName(i) + ")", partialName(i)})
		if name, tree := t.names[i]; tree {
			all = append(all, rows(name, func(k int) string {
				if k == i {
					return "packed"
				}
				return null(k)
			}))
		}
	}
	gathered := selectFrom(columns, "(\n  "+strings.Join(all, "\n  UNION ALL ")+"\n) AS a", "", keys)
	if i := selecting(f, p); i >= 0 { // buckets may have groups that were left out
		gathered += "\nHAVING max(" + partialName(i) + ") IS NOT NULL"
	}
	return gathered
}

func plain(names []string) []column {
	var columns []column
	for _, n := range names {
		columns = append(columns, column{n, n})
	}
	return columns
}

// oneRow writes a partial aggregate if each patient has one row.
func (c *compiler) oneRow(p fragment.Partial, count, sum string) string {
	switch {
	case p.Kind == fragment.PartialBeyond:
		return "CAST(0 AS BIGINT)"
	case p.Kind == fragment.PartialSum:
		return c.total(sum)
	case p.Kind == fragment.PartialValues:
		return "count(" + count + ")"
	case p.Expr != nil:
		return "count(*) FILTER (WHERE " + count + ")"
	}
	return "count(*)"
}

// parts returns the columns of the step `parts`: the sums over a patient's rows in a group. For each partial aggregate
// of one integer it also returns the patient's contribution, bounded if it may be clipped.
func (c *compiler) parts(f *fragment.Fragment, p *fragment.Proof, counts, sums []string) (raw []column, parts map[int]string) {
	add := func(sql, name string) string {
		if c := (column{sql, name}); !slices.Contains(raw, c) {
			raw = append(raw, c)
		}
		return name
	}
	clip := p.Single(f)
	parts = map[int]string{}
	for i, partial := range f.Partials {
		patient := c.literal(value.Int(p.Units[i]), false).sql
		unit, most := strconv.FormatInt(p.Units[i], 10), strconv.FormatInt(clip.Cap(p.Sizes[i]/partial.MostOrOne()), 10)
		kind := partial.Kind
		if kind == fragment.PartialBeyond {
			kind = partial.Of
		}
		times := func(n string) string {
			if p.Units[i] == 1 {
				return n
			}
			return n + " * " + unit
		}
		switch {
		case partial.Buckets != nil: // see clipTree
		case partial.Kind == fragment.PartialBeyond && p.Unclipped:
			parts[i] = "0"
		case kind == fragment.PartialSum:
			s := add(fmt.Sprintf(c.target.Dialect.sum, sums[i]), "s_"+sums[i])
			parts[i] = c.f("CAST(least(greatest(coalesce(%s, 0), -"+most+"), "+most+") AS BIGINT)", times(s)).sql
		case kind == fragment.PartialRows:
			parts[i] = "least(" + times(add("count(*)", "n")) + ", " + most + ")"
		case kind == fragment.PartialValues:
			parts[i] = "least(" + times(add("count("+counts[i]+")", "n_"+counts[i])) + ", " + most + ")"
		case partial.Expr != nil:
			parts[i] = "CASE WHEN " + add("bool_or("+counts[i]+")", "b_"+counts[i]) + " THEN " + patient + " ELSE 0 END"
		default:
			parts[i] = patient
		}
	}
	return raw, parts
}

// total adds up over patients, and clamps the sum to what cannot overflow over
// nodes. Clamping moves no two sums further apart, so it costs no privacy.
func (c *compiler) total(terms string) string {
	return "CAST(least(greatest(coalesce(" + fmt.Sprintf(c.target.Dialect.sum, terms) + ", 0), -4611686018427387904), 4611686018427387904) AS BIGINT)"
}
