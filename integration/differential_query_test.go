package integration

import (
	"fmt"
	"slices"
	"strings"
)

// The grammar of the differential tests: random queries of the supported SQL, over the tables of differentialCatalog.
// Every choice is read from a tape, and an empty tape chooses the simplest. So a query shrinks when its tape is cut,
// and go's fuzzer can write one.

type tape struct {
	bytes []byte
	at    int
}

// n chooses from 0 to k-1.
func (t *tape) n(k int) int {
	if t.at >= len(t.bytes) || k < 2 {
		return 0
	}
	t.at++
	return int(t.bytes[t.at-1]) % k
}

func (t *tape) pick(of ...string) string { return of[t.n(len(of))] }

type kind int

const (
	kindPatient kind = iota
	kindVisit        // the key of a visit, never NULL
	kindInt
	kindFloat
	kindText
	kindDate
)

type field struct {
	name string // in a query's form: t1.born
	kind kind
}

// from is what a SELECT reads.
type from struct {
	tables  string // what follows FROM
	where   string // the condition that a comma join needs
	fields  []field
	patient string // the field with the patient's id; "" if there is none
}

func (f from) of(kinds ...kind) []field {
	var all []field
	for _, x := range f.fields {
		if slices.Contains(kinds, x.kind) {
			all = append(all, x)
		}
	}
	return all
}

// named lists the fields whose names end in one of these.
func (f from) named(ends ...string) []string {
	var all []string
	for _, x := range f.fields {
		for _, end := range ends {
			if strings.HasSuffix(x.name, end) {
				all = append(all, x.name)
			}
		}
	}
	return all
}

type generator struct {
	tape
	names int
	with  []string // queries for WITH
}

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// statement writes one query, and says whether its rows are ordered.
func (g *generator) statement() (text string, ordered bool) {
	switch g.n(12) {
	case 10:
		text = g.pivot()
	case 11:
		text = g.joinedLast()
	case 0, 1, 2, 3, 4, 5:
		text, ordered = g.ordered(g.aggregate(false))
	case 6:
		text = g.aggregate(true).text // its order has ties: a NULL may be a key's or a total's
	case 7: // UNION ALL of counts
		a, b := g.aggregateOf([]string{"'a'"}), g.aggregateOf([]string{"'b'"})
		text = a + " UNION ALL " + b
	case 8:
		text = g.outer()
	case 9:
		text = g.percentages()
	}
	if len(g.with) > 0 {
		text = "WITH " + strings.Join(g.with, ", ") + " " + text
	}
	return text, ordered
}

// joinedLast joins patients to public rows, or to their largest groups.
func (g *generator) joinedLast() string {
	t := g.table()
	for len(t.of(kindInt)) == 0 || t.patient == "" {
		t = from{tables: "visit AS v0", patient: "v0.id", fields: []field{{"v0.kind", kindInt}, {"v0.began", kindDate}}}
	}
	x := t.of(kindInt)[g.n(len(t.of(kindInt)))].name
	if g.n(3) == 2 {
		k := g.pick("kind", "kind + 1")
		return "SELECT t.kind, " + k + " AS k, COUNT(*) AS n FROM visit AS t JOIN (SELECT kind AS top, COUNT(*) AS size FROM visit GROUP BY kind ORDER BY kind" +
			g.pick("", " DESC") + " LIMIT 2) AS largest ON t.kind = largest.top" + g.pick("", " WHERE t.began > DATE '2020-03-01'") + " GROUP BY t.kind, " + k
	}
	public := g.pick("(VALUES (1, 'one'), (2, 'two'), (9, NULL), (2, 'more')) AS p (code, label)", "code AS p")
	key := g.pick("p.code", "p.label", "p.code, p.label")
	numbers := g.pick("COUNT("+x+")", "COUNT("+t.patient+")", "COUNT(DISTINCT "+t.patient+")", "SUM("+x+")", "COUNT("+x+") FILTER (WHERE "+g.simple(t)+")")
	// For a group without a released row, which is NULL, the exact number is known here: none.
	return "SELECT " + strings.ReplaceAll(key, "p.", "") + ", COALESCE(n, 0) AS n FROM (SELECT " + key + ", " + numbers + " AS n FROM " + public + " LEFT JOIN " + t.tables + " ON " + x + g.pick(" = ", " >= ") + "p.code" +
		g.pick("", " AND "+g.simple(t)) + g.pick("", " WHERE p.code > 1") + " GROUP BY " + key + ") AS joined"
}

// pivot has one column for each of some values.
func (g *generator) pivot() string {
	f := g.from(2)
	key, of := g.value(f, []kind{kindText, kindInt}[g.n(2)], 0), g.value(f, kindInt, 0)
	x := "1"
	if f.patient != "" && g.n(2) == 1 {
		x = f.patient
	}
	how := "COUNT(x)"
	if x != "1" {
		how = g.pick("COUNT(x)", "COUNT(DISTINCT x)")
	}
	return "SELECT * FROM (SELECT " + key + " AS k, " + of + " AS v, " + x + " AS x FROM " + f.tables + g.conditions(f) + ") AS rows_there PIVOT (" + how + " FOR v IN (1 AS one, 2 AS two, 7 AS seven)) AS p"
}

// released is an aggregating SELECT: the names of its keys and of its numbers.
type released struct {
	text          string
	keys, numbers []string
}

// ordered adds ORDER BY all keys, and sometimes a LIMIT.
func (g *generator) ordered(r released) (string, bool) {
	if len(r.keys) == 0 || g.n(3) > 0 {
		return r.text, false
	}
	var by []string
	for _, k := range r.keys {
		by = append(by, k+g.pick("", " DESC", " NULLS FIRST", " DESC NULLS LAST"))
	}
	return r.text + " ORDER BY " + strings.Join(by, ", ") + g.pick("", " LIMIT 3", " LIMIT 2 OFFSET 1"), true
}

func (g *generator) aggregate(sets bool) released {
	f := g.from(3)
	var keys []string
	for range g.n(3) {
		keys = append(keys, g.value(f, []kind{kindText, kindInt, kindDate}[g.n(3)], 1))
	}
	if sets && len(keys) == 0 {
		keys = append(keys, g.value(f, kindText, 0))
	}
	return g.released(f, keys, sets)
}

// aggregateOf is an aggregating SELECT of constants and two numbers.
func (g *generator) aggregateOf(constants []string) string {
	f := g.from(2)
	items := append(slices.Clone(constants), g.number(f)+" AS x", "COUNT(*) AS n")
	return "SELECT " + strings.Join(items, ", ") + " FROM " + f.tables + g.conditions(f)
}

func (g *generator) released(f from, keys []string, sets bool) released {
	var r released
	var items, by []string
	slices.Sort(keys)
	keys = slices.Compact(keys)
	style := g.n(3) // GROUP BY the expression, its name, or its position
	for i, k := range keys {
		name := g.name("k")
		r.keys = append(r.keys, name)
		items = append(items, k+" AS "+name)
		by = append(by, []string{k, name, fmt.Sprint(i + 1)}[style])
		if sets {
			by[i] = k // databases differ for grouping sets by name
		}
	}
	for range 1 + g.n(3) {
		name := g.name("n")
		r.numbers = append(r.numbers, name)
		items = append(items, g.number(f)+" AS "+name)
	}
	r.text = "SELECT " + strings.Join(items, ", ") + " FROM " + f.tables + g.conditions(f)
	switch {
	case len(by) == 0:
		return r
	case !sets:
		r.text += " GROUP BY " + strings.Join(by, ", ")
	case len(by) == 1:
		r.text += " GROUP BY " + g.pick("ROLLUP ("+by[0]+")", "CUBE ("+by[0]+")", "GROUPING SETS (("+by[0]+"), ())")
	default:
		list := strings.Join(by, ", ")
		r.text += " GROUP BY " + g.pick("ROLLUP ("+list+")", "CUBE ("+list+")", "GROUPING SETS (("+by[0]+"), ("+by[1]+"))", "GROUPING SETS (("+list+"), ())")
	}
	if g.n(4) == 1 {
		r.text += " HAVING COUNT(*) " + g.pick("> 1", "> 2", "< 9", "<> 2")
	}
	return r
}

// outer is a SELECT over released rows.
func (g *generator) outer() string {
	r := g.aggregate(false)
	// The mean of no values is NULL in SQL, and means nothing in the federation. So only counts are used in computations.
	n := g.name("n")
	r.text = strings.Replace(r.text, " AS "+r.numbers[0], " AS "+r.numbers[0]+", COUNT(*) AS "+n, 1)
	if len(r.keys) == 0 {
		return "SELECT " + n + ", " + n + " * 2 AS twice FROM (" + r.text + ") AS released"
	}
	return "SELECT " + g.pick("COUNT(*) AS rows_there, SUM("+n+") AS total", "MAX("+n+") AS highest", r.keys[0]+", "+n+" + 1 AS more", r.keys[0]+", "+n) +
		" FROM (" + g.limited(r) + ") AS released"
}

// limited keeps some of the groups, in an order of all keys.
func (g *generator) limited(r released) string {
	text, ordered := g.ordered(r)
	if !ordered {
		return r.text
	}
	return text
}

// percentages has windows over released rows.
func (g *generator) percentages() string {
	f := g.from(2)
	key := g.value(f, []kind{kindText, kindInt}[g.n(2)], 0)
	return "SELECT " + key + " AS k, COUNT(*) AS n, " + g.pick("100.0 * COUNT(*) / SUM(COUNT(*)) OVER ()", "SUM(COUNT(*)) OVER (ORDER BY "+key+")", "RANK() OVER (ORDER BY COUNT(*) DESC)", "MAX(COUNT(*)) OVER ()") +
		" AS x FROM " + f.tables + g.conditions(f) + " GROUP BY " + key
}

// number is an aggregate of released rows.
func (g *generator) number(f from) string {
	x := func() string { return "CLAMP(" + g.value(f, []kind{kindInt, kindFloat}[g.n(2)], 1) + ", -50, 250)" }
	switch g.n(13) {
	case 10:
		return g.pick("BOOL_OR(", "BOOL_AND(", "MAX(") + g.condition(f, 1) + ")"
	case 11: // with few values, which are known
		if of := f.named(".sex", ".kind"); len(of) > 0 {
			return g.pick("COUNT(DISTINCT ", "MIN(", "MAX(") + of[g.n(len(of))] + ")"
		}
		return "COUNT(*)"
	case 12:
		if of := f.named(".kind"); len(of) > 0 {
			return "SUM(DISTINCT " + of[0] + ")"
		}
		return "COUNT(*)"
	case 0:
		return "COUNT(*)"
	case 1:
		return "COUNT(" + g.value(f, kindInt, 1) + ")"
	case 2:
		if f.patient != "" {
			return "COUNT(DISTINCT " + f.patient + ")"
		}
		return "COUNT(*)"
	case 3:
		if f.patient != "" {
			return "COUNT(DISTINCT CASE WHEN " + g.condition(f, 1) + " THEN " + f.patient + " END)"
		}
		return "COUNT(*)"
	case 4:
		return "SUM(" + x() + ")"
	case 5:
		return "AVG(" + x() + ")"
	case 6:
		return "SUM(CASE WHEN " + g.condition(f, 1) + " THEN 1 ELSE 0 END)"
	case 7:
		return "COUNT(*) FILTER (WHERE " + g.condition(f, 1) + ")"
	case 8:
		return "100.0 * SUM(CASE WHEN " + g.condition(f, 1) + " THEN 1 ELSE 0 END) / COUNT(*)"
	}
	return "SUM(" + x() + ") FILTER (WHERE " + g.condition(f, 1) + ")"
}

// conditions is WHERE, if there is one.
func (g *generator) conditions(f from) string {
	var all []string
	if f.where != "" {
		all = append(all, f.where)
	}
	for range g.n(3) {
		all = append(all, g.condition(f, 2))
	}
	if len(all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(all, " AND ")
}

// from reads a table, a join or a query, nested up to depth.
func (g *generator) from(depth int) from {
	if depth == 0 {
		return g.table()
	}
	switch g.n(8) {
	case 0:
		return g.table()
	case 1, 2, 3:
		return g.join(g.from(depth-1), depth-1)
	case 4:
		return g.public(g.from(depth - 1))
	}
	return g.query(depth)
}

func (g *generator) table() from {
	name := g.name("t")
	of := func(column string, k kind) field { return field{name + "." + column, k} }
	switch g.n(5) {
	case 0, 1:
		return from{tables: "visit AS " + name, patient: name + ".id", fields: []field{
			of("id", kindPatient), of("visit", kindVisit), of("kind", kindInt), of("began", kindDate), of("ended", kindDate)}}
	case 2:
		return from{tables: "person AS " + name, patient: name + ".id", fields: []field{
			of("id", kindPatient), of("born", kindInt), of("sex", kindText), of("died", kindDate)}}
	case 3:
		return from{tables: "drug AS " + name, patient: name + ".id", fields: []field{
			of("id", kindPatient), of("code", kindInt), of("days", kindInt), of("began", kindDate), of("unit", kindText)}}
	}
	return from{tables: "lab AS " + name, fields: []field{
		of("visit", kindVisit), of("code", kindInt), of("x", kindFloat)}}
}

// join joins another table or query by the patient or the visit.
func (g *generator) join(left from, depth int) from {
	right := g.table()
	if g.n(3) == 2 && depth > 0 {
		right = g.query(depth)
	}
	if right.where != "" || left.where != "" { // a comma binds looser than JOIN
		return left
	}
	out := from{where: left.where, fields: append(slices.Clone(left.fields), right.fields...), patient: left.patient}
	a, b := left.patient, right.patient
	if a == "" || b == "" || g.n(4) == 3 {
		v, w := left.of(kindVisit), right.of(kindVisit)
		if len(v) == 0 || len(w) == 0 {
			if a == "" || b == "" {
				return left
			}
		} else {
			a, b = v[0].name, w[0].name
		}
	}
	equal := a + " = " + b
	style := g.n(9)
	if style > 6 {
		return g.apart(left, right, equal, style == 7)
	}
	if out.patient == "" && style != 1 {
		out.patient = right.patient
	}
	switch style {
	case 0:
		out.tables = left.tables + " JOIN " + right.tables + " ON " + equal
	case 1:
		out.tables = left.tables + " LEFT JOIN " + right.tables + " ON " + equal
		if g.n(2) == 1 {
			out.tables += " AND " + g.simple(right)
		}
	case 2:
		out.tables = left.tables + " JOIN " + right.tables + " ON " + g.pick(b+" = "+a, equal+" AND "+g.simple(out))
	case 3:
		out.tables = left.tables + ", " + right.tables
		out.where = conjoin(left.where, equal)
	case 4:
		out.tables = left.tables + " CROSS JOIN " + right.tables
		out.where = conjoin(left.where, equal)
	case 5:
		column := a[strings.IndexByte(a, '.')+1:]
		if column != b[strings.IndexByte(b, '.')+1:] || strings.Count(left.tables, " AS t") > 1 {
			out.tables = left.tables + " JOIN " + right.tables + " ON " + equal
			break
		}
		out.tables = left.tables + " JOIN " + right.tables + " USING (" + column + ")"
	case 6:
		out.tables = left.tables + " FULL JOIN " + right.tables + " ON " + equal
		if strings.Contains(left.tables, " JOIN ") || strings.Contains(left.tables, ", ") || a != left.patient || b != right.patient {
			out.tables = left.tables + " JOIN " + right.tables + " ON " + equal
			break
		}
		if g.n(2) == 1 {
			out.tables += " AND " + g.simple(right)
		}
		out.patient = "COALESCE(" + a + ", " + b + ")"
	}
	return out
}

// apart keeps the rows that have or lack a match, or reads rows of another table for each row.
func (g *generator) apart(left, right from, equal string, semi bool) from {
	out := left
	if semi {
		out.tables += g.pick(" SEMI JOIN ", " ANTI JOIN ") + right.tables + " ON " + equal
		if g.n(2) == 1 {
			out.tables += " AND " + g.simple(right)
		}
		return out
	}
	if right.where != "" {
		return left
	}
	var all []string
	for _, x := range right.of(kindInt, kindDate, kindText, kindFloat, kindVisit) {
		all = append(all, x.name)
	}
	where := " FROM " + right.tables + " WHERE " + equal + g.pick("", " AND "+g.simple(right))
	name, column := g.name("t"), g.name("c")
	out.fields = append(slices.Clone(left.fields), field{name + "." + column, kindInt})
	if g.n(2) == 0 || len(all) == 0 {
		x := g.value(right, kindInt, 0)
		out.tables += g.pick(" CROSS JOIN LATERAL ", " LEFT JOIN LATERAL ") + "(SELECT " + g.pick("COUNT(*)", "COUNT("+x+")", "MAX("+x+")", "SUM("+x+")") + " AS " + column + where + ") AS " + name
		if strings.Contains(out.tables[len(left.tables):], " LEFT JOIN LATERAL ") {
			out.tables += " ON TRUE"
		}
		return out
	}
	all[0] += g.pick("", " DESC")
	rows := "(SELECT " + g.value(right, kindInt, 0) + " AS " + column + where + " ORDER BY " + strings.Join(all, ", ") + " LIMIT " + g.pick("1", "2") + ") AS " + name
	if g.n(2) == 0 {
		out.tables += " CROSS JOIN LATERAL " + rows
	} else {
		out.tables += " LEFT JOIN LATERAL " + rows + " ON TRUE"
	}
	return out
}

func conjoin(a, b string) string {
	if a == "" {
		return b
	}
	return a + " AND " + b
}

// public joins the public table of codes.
func (g *generator) public(left from) from {
	ints := left.of(kindInt)
	if len(ints) == 0 || left.where != "" {
		return left
	}
	name := g.name("t")
	x := ints[g.n(len(ints))].name
	codes := "code AS " + name
	if g.n(3) == 2 {
		codes = "(VALUES " + g.pick("(1, 'one', 3), (2, 'two', NULL), (30, 'It''s', 0)", "(2, NULL, 1), (2, 'a', 1), (NULL, 'b', 7)", "(7, 'seven', 1)") + ") AS " + name + " (code, label, level)"
	}
	left.tables += g.pick(" JOIN ", " LEFT JOIN ") + codes + " ON " + name + ".code = " + x
	left.fields = append(slices.Clone(left.fields), field{name + ".label", kindText}, field{name + ".level", kindInt})
	return left
}

// query is a query in place of a table, or in WITH.
func (g *generator) query(depth int) from {
	text, fields := g.rows(depth - 1)
	name := g.name("t")
	out := from{tables: "(" + text + ") AS " + name}
	if g.n(4) == 3 {
		with := g.name("w")
		g.with = append(g.with, with+" AS ("+text+")")
		out.tables = with + " AS " + name
	}
	for _, f := range fields {
		f.name = name + "." + f.name
		if f.kind == kindPatient {
			out.patient = f.name
		}
		out.fields = append(out.fields, f)
	}
	return out
}

// rows is a SELECT whose rows each belong to one patient.
func (g *generator) rows(depth int) (string, []field) {
	f := g.from(depth)
	if f.patient == "" {
		v := f.of(kindVisit)[0]
		name := g.name("c")
		return "SELECT " + v.name + " AS visit, " + g.function(f) + " AS " + name + " FROM " + f.tables + g.conditions(f) + " GROUP BY " + v.name,
			[]field{{"visit", kindVisit}, {name, kindFloat}}
	}
	fields := []field{{"id", kindPatient}}
	items := []string{f.patient + " AS id"}
	add := func(text string, k kind) {
		name := g.name("c")
		fields = append(fields, field{name, k})
		items = append(items, text+" AS "+name)
	}
	end := func() string { return " FROM " + f.tables + g.conditions(f) }
	switch g.n(6) {
	case 0: // grouped by the patient
		by := f.patient
		if g.n(3) == 1 {
			k := []kind{kindInt, kindText, kindDate}[g.n(3)]
			key := g.value(f, k, 0)
			add(key, k)
			by += ", " + key
		}
		for range 1 + g.n(2) {
			g.aggregated(f, add)
		}
		having := ""
		if g.n(3) == 1 {
			having = " HAVING " + g.pick("COUNT(*) > 1", "COUNT(*) < 3", "MIN("+g.value(f, kindInt, 0)+") > 1")
		}
		return "SELECT " + strings.Join(items, ", ") + end() + " GROUP BY " + by + having, fields
	case 1: // window functions
		g.plain(f, add)
		for range 1 + g.n(2) {
			g.window(f, add)
		}
	case 2:
		g.plain(f, add)
		return "SELECT DISTINCT " + strings.Join(items, ", ") + end(), fields
	case 3: // rows of two queries
		k := []kind{kindInt, kindDate, kindText}[g.n(3)]
		add(g.value(f, k, 1), k)
		other := g.from(max(0, depth-1))
		if other.patient == "" {
			break
		}
		operator := g.pick(" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ")
		text := "SELECT " + strings.Join(items, ", ") + end() + operator +
			"SELECT " + other.patient + ", " + g.pick(g.value(other, k, 1), "NULL") + " FROM " + other.tables + g.conditions(other)
		if third := g.table(); g.n(3) == 2 && third.patient != "" && !strings.Contains(operator, "INTERSECT") { // a chain
			text += g.pick(operator, " UNION ") + "SELECT " + third.patient + ", " + g.pick(g.value(third, k, 1), "NULL") + " FROM " + third.tables
		}
		return text, fields
	default:
		g.plain(f, add)
		for range g.n(2) {
			k := []kind{kindInt, kindDate, kindText, kindFloat}[g.n(4)]
			add(g.value(f, k, 2), k)
		}
	}
	return "SELECT " + strings.Join(items, ", ") + end(), fields
}

// plain adds one or two columns unchanged.
func (g *generator) plain(f from, add func(string, kind)) {
	for range 1 + g.n(2) {
		some := f.of(kindInt, kindDate, kindText, kindFloat)
		if len(some) == 0 {
			return
		}
		x := some[g.n(len(some))]
		add(x.name, x.kind)
	}
}

// function is a numeric aggregate of one patient's rows.
func (g *generator) function(f from) string {
	x := g.value(f, kindInt, 1)
	return g.pick("COUNT(*)", "COUNT("+x+")", "SUM("+x+")", "MAX("+x+")", "MIN("+x+")", "COUNT(DISTINCT "+x+")", "AVG("+x+")", "COUNT(*) FILTER (WHERE "+g.condition(f, 0)+")")
}

func (g *generator) aggregated(f from, add func(string, kind)) {
	switch g.n(5) {
	case 4: // ordered by everything that is read
		var all []string
		for _, x := range f.of(kindInt, kindDate, kindText, kindFloat, kindVisit) {
			all = append(all, x.name)
		}
		at := g.n(len(all))
		all[0], all[at] = all[at], all[0]
		order := " ORDER BY " + all[0] + g.pick("", " DESC", " NULLS FIRST") + strings.Join(append([]string{""}, all[1:]...), ", ")
		k := []kind{kindInt, kindText, kindDate}[g.n(3)]
		x, filter := g.value(f, k, 0), g.pick("", " FILTER (WHERE "+g.simple(f)+")")
		listed := !strings.Contains(f.tables, "JOIN") && !strings.Contains(f.tables, ", ") // of not too many
		switch g.n(4) {
		case 1:
			add("LAST("+x+order+")"+filter, k)
		case 2:
			add("(ARRAY_AGG("+x+order+")"+filter+")["+g.pick("1", "2")+"]", k)
		case 3:
			if listed {
				add(g.pick("STRING_AGG("+g.value(f, kindText, 0)+", '-'"+order+")", "STRING_AGG(DISTINCT "+all[0]+"::text, '/' ORDER BY "+all[0]+"::text)")+filter, kindText)
				break
			}
			fallthrough
		default:
			add("FIRST("+x+order+")"+filter, k)
		}
	case 1:
		add(g.pick("MIN(", "MAX(")+g.value(f, kindDate, 0)+")", kindDate)
	case 2:
		add(g.pick("MIN(", "MAX(")+g.value(f, kindText, 0)+")", kindText)
	default:
		add(g.function(f), kindFloat)
	}
}

func (g *generator) window(f from, add func(string, kind)) {
	var all []string
	for _, x := range f.of(kindInt, kindDate, kindText, kindFloat, kindVisit) {
		all = append(all, x.name)
	}
	at := g.n(len(all))
	all[0], all[at] = all[at], all[0]
	total := all[0] + g.pick("", " DESC") + ", " + strings.Join(all[1:], ", ") // tied rows are equal
	total = strings.TrimSuffix(total, ", ")
	partition := "PARTITION BY " + f.patient
	if g.n(4) == 3 {
		partition += ", " + g.value(f, kindInt, 0)
	}
	over := " OVER (" + partition + " ORDER BY " + total + ")"
	date, x := g.value(f, kindDate, 0), g.value(f, kindInt, 0)
	switch g.n(13) {
	case 11:
		add("NTILE("+g.pick("2", "3")+")"+over, kindInt)
	case 12:
		add(g.pick("PERCENT_RANK()", "CUME_DIST()")+" OVER ("+partition+" ORDER BY "+date+")", kindFloat)
	case 0:
		add("ROW_NUMBER()"+over, kindInt)
	case 1:
		add("LAG("+date+g.pick("", ", 1, DATE '2020-03-01'", ", 2, NULL")+")"+over, kindDate)
	case 2:
		add("LEAD("+date+g.pick("", ", 2", ", 1, "+g.value(f, kindDate, 0))+")"+over, kindDate)
	case 3:
		add("FIRST_VALUE("+x+")"+over, kindInt)
	case 4:
		add(g.pick("RANK()", "DENSE_RANK()")+" OVER ("+partition+" ORDER BY "+date+")", kindInt)
	case 5:
		add("COUNT(*) OVER ("+partition+")", kindInt)
	case 6:
		add(g.pick("SUM(", "MAX(", "COUNT(")+x+") OVER ("+partition+" ORDER BY "+date+")", kindInt)
	case 7:
		add("SUM("+x+") OVER ("+partition+" ORDER BY "+total+" ROWS BETWEEN "+g.pick("UNBOUNDED PRECEDING AND CURRENT ROW", "1 PRECEDING AND CURRENT ROW", "1 PRECEDING AND 1 FOLLOWING", "UNBOUNDED PRECEDING AND 1 PRECEDING")+")", kindInt)
	case 8:
		add("LAST_VALUE("+x+") OVER ("+partition+" ORDER BY "+total+" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)", kindInt)
	case 9:
		add(g.pick("COUNT(*)", "SUM("+x+")", "MAX("+x+")")+" OVER ("+partition+" ORDER BY "+date+g.pick("", " DESC", " NULLS FIRST")+" RANGE BETWEEN INTERVAL '30 days' PRECEDING AND "+
			g.pick("CURRENT ROW", "INTERVAL '1 week' FOLLOWING", "UNBOUNDED FOLLOWING", "INTERVAL '2 days' PRECEDING")+")", kindInt)
	case 10:
		add(g.pick("COUNT(*)", "SUM("+x+")")+" OVER ("+partition+" ORDER BY "+x+g.pick("", " DESC")+" RANGE BETWEEN "+g.pick("1 PRECEDING", "2 FOLLOWING")+" AND 3 FOLLOWING)", kindInt)
	}
}

// constant is a constant of a kind.
func (g *generator) constant(k kind) string {
	switch k {
	case kindInt:
		return g.pick("1", "2", "0", "7", "30", "1950")
	case kindFloat:
		return g.pick("1.5", "0.0", "20.0", "-3.5")
	case kindText:
		return g.pick("'a'", "'f'", "'b'", "''", "'It''s'")
	}
	return g.pick("DATE '2020-03-01'", "DATE '2020-02-29'", "DATE '2021-12-31'")
}

// value is an expression of a kind.
func (g *generator) value(f from, k kind, depth int) string {
	some := f.of(k)
	if depth == 0 || g.n(3) == 0 {
		if len(some) > 0 {
			return some[g.n(len(some))].name
		}
		return g.derived(f, k)
	}
	x := func() string { return g.value(f, k, depth-1) }
	switch g.n(4) {
	case 1:
		return "CASE WHEN " + g.condition(f, depth-1) + " THEN " + x() + " ELSE " + g.pick(g.constant(k), "NULL") + " END"
	case 2:
		return g.pick("COALESCE(", "NULLIF(") + x() + ", " + g.constant(k) + ")"
	}
	switch k {
	case kindInt:
		return g.pick("("+x()+" + "+x()+")", "("+x()+" - "+x()+")", "ABS("+x()+")", "("+x()+" * 2)", "("+x()+" % 3)", "EXTRACT(YEAR FROM "+g.value(f, kindDate, 0)+")",
			"("+g.value(f, kindDate, 0)+" - "+g.value(f, kindDate, 0)+")", "LEAST("+x()+", 5)", "LENGTH("+g.value(f, kindText, 0)+")")
	case kindFloat:
		return g.pick("("+x()+" + 0.5)", "("+x()+" * 2)", "("+g.value(f, kindInt, 0)+" / 4)", "GREATEST("+x()+", 0)")
	case kindText:
		return g.pick("UPPER("+x()+")", "LOWER("+x()+")", x()+" || '!'", "SUBSTRING("+x()+", 1, 1)")
	}
	return g.pick("("+x()+" + 7)", "("+x()+" - 1)", "GREATEST("+x()+", DATE '2020-06-01')")
}

// derived is a value of a kind that no field has.
func (g *generator) derived(f from, k kind) string {
	ints, dates := f.of(kindInt), f.of(kindDate)
	switch k {
	case kindInt:
		if len(dates) > 0 {
			return "EXTRACT(MONTH FROM " + dates[0].name + ")"
		}
		return g.constant(kindInt)
	case kindFloat:
		if len(ints) > 0 {
			return "(" + ints[g.n(len(ints))].name + " * 0.5)"
		}
		return g.constant(kindFloat)
	case kindText:
		if len(ints) > 0 {
			return "CASE WHEN " + ints[g.n(len(ints))].name + " > 2 THEN 'more' ELSE 'less' END"
		}
		return g.constant(kindText)
	}
	return g.constant(kindDate)
}

// simple is a condition on one field.
func (g *generator) simple(f from) string {
	some := f.of(kindInt, kindDate, kindText, kindFloat)
	if len(some) == 0 {
		return "1 = 1"
	}
	x := some[g.n(len(some))]
	switch g.n(6) {
	case 1:
		return x.name + g.pick(" IS NOT NULL", " IS NULL")
	case 2:
		return x.name + g.pick(" IN (", " NOT IN (") + g.constant(x.kind) + ", " + g.constant(x.kind) + ")"
	case 3:
		return x.name + " BETWEEN " + g.constant(x.kind) + " AND " + g.constant(x.kind)
	case 4:
		if x.kind == kindText {
			return x.name + g.pick(" LIKE 'a%'", " LIKE '%b'", " ILIKE 'F'", " SIMILAR TO '(a|f)%'", " NOT LIKE '_b'", " LIKE ANY ('a%', '%b')")
		}
	}
	return x.name + g.pick(" > ", " <= ", " = ", " <> ") + g.constant(x.kind)
}

func (g *generator) condition(f from, depth int) string {
	if depth == 0 {
		return g.simple(f)
	}
	switch g.n(9) {
	case 0, 1:
		return g.simple(f)
	case 2:
		return "(" + g.condition(f, depth-1) + g.pick(" OR ", " AND ") + g.condition(f, depth-1) + ")"
	case 3:
		return "NOT (" + g.condition(f, depth-1) + ")"
	case 4:
		k := []kind{kindInt, kindDate, kindText}[g.n(3)]
		return g.value(f, k, depth-1) + g.pick(" < ", " >= ", " = ", " IS DISTINCT FROM ") + g.value(f, k, depth-1)
	}
	return g.subquery(f)
}

// subquery is a condition with a query in it.
func (g *generator) subquery(f from) string {
	in := g.table()
	if f.patient == "" || in.patient == "" {
		v, w := f.of(kindVisit), in.of(kindVisit)
		if len(v) == 0 || len(w) == 0 {
			return g.simple(f)
		}
		return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM " + in.tables + " WHERE " + w[0].name + " = " + v[0].name + " AND " + g.simple(in) + ")"
	}
	switch g.n(13) {
	case 12: // of all patients, released first
		of := g.pick("COUNT(*) % 5", "COUNT(*) / 20", "COUNT(*) - 10")
		return g.value(f, kindInt, 0) + g.pick(" > ", " <= ", " = ") + "(SELECT " + of + " FROM " + in.tables + " WHERE " + g.simple(in) + ")"
	case 10: // not correlated by patient: refused, or right
		if a, b := in.of(kindDate), f.of(kindDate); len(a) > 0 && len(b) > 0 {
			return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM " + in.tables + " WHERE " + a[0].name + g.pick(" > ", " <= ") + b[g.n(len(b))].name + ")"
		}
		return g.simple(f)
	case 11: // of a public table
		if b := f.of(kindInt); len(b) > 0 {
			return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM code WHERE code.level" + g.pick(" > ", " = ", " <> ") + b[g.n(len(b))].name + ")"
		}
		return g.simple(f)
	case 8, 9: // NULLs and empty results decide differently in each
		k := []kind{kindInt, kindDate}[g.n(2)]
		return g.value(f, k, 0) + g.pick(" > ", " >= ", " < ", " <= ") + g.pick("ALL", "ANY") + " (SELECT " + g.value(in, k, 0) + " FROM " + in.tables + " WHERE " + in.patient + " = " + f.patient + " AND " + g.simple(in) + ")"
	case 5: // the first row in an order of everything that is read
		var all []string
		for _, x := range in.of(kindInt, kindDate, kindText, kindFloat, kindVisit) {
			all = append(all, x.name)
		}
		all[0] += g.pick("", " DESC")
		return "(SELECT " + g.value(in, kindInt, 0) + " FROM " + in.tables + " WHERE " + in.patient + " = " + f.patient + " AND " + g.simple(in) +
			" ORDER BY " + strings.Join(all, ", ") + " LIMIT 1)" + g.pick(" > 1", " = 0", " <= 2", " IS NULL")
	// rows of values; with a NULL in one, DuckDB says NULL even if the other value is in no row, against the standard
	case 6:
		k := []kind{kindInt, kindDate}[g.n(2)]
		return "(" + f.patient + ", COALESCE(" + g.value(f, k, 0) + ", " + g.constant(k) + ")) IN (SELECT " + in.patient + ", " + g.value(in, k, 0) + " FROM " + in.tables + " WHERE " + g.simple(in) + ")"
	case 0:
		return f.patient + g.pick(" IN", " NOT IN") + " (SELECT " + in.patient + " FROM " + in.tables + " WHERE " + g.simple(in) + ")"
	case 1:
		return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM " + in.tables + " WHERE " + in.patient + " = " + f.patient + " AND " + g.simple(in) + ")"
	case 2: // compared with the outer row
		a, b := in.of(kindDate), f.of(kindDate)
		if len(b) == 0 || len(a) == 0 {
			return g.simple(f)
		}
		return g.pick("EXISTS", "NOT EXISTS") + " (SELECT 1 FROM " + in.tables + " WHERE " + in.patient + " = " + f.patient + " AND " + a[g.n(len(a))].name + g.pick(" > ", " < ", " = ") + b[g.n(len(b))].name + ")"
	case 3:
		return "(SELECT " + g.pick("COUNT(*)", "MAX("+g.value(in, kindInt, 0)+")", "SUM("+g.value(in, kindInt, 0)+")", "COUNT(DISTINCT "+g.value(in, kindInt, 0)+")") + " FROM " + in.tables +
			" WHERE " + in.patient + " = " + f.patient + ")" + g.pick(" > 1", " = 0", " <= 2", " IS NULL")
	case 4:
		other := g.table()
		if other.patient == "" {
			return g.simple(f)
		}
		return f.patient + " IN (SELECT " + in.patient + " FROM " + in.tables + g.pick(" UNION", " INTERSECT", " EXCEPT") + " SELECT " + other.patient + " FROM " + other.tables + " WHERE " + g.simple(other) + ")"
	}
	return f.patient + " IN (SELECT " + in.patient + " FROM " + in.tables + " GROUP BY " + in.patient + " HAVING COUNT(*) > 1)"
}
