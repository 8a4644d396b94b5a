package adversary

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

// statement is a random query in parts that can be removed one by one.
type statement struct {
	from, where string
	keys, items []string
}

func (s statement) String() string {
	text := "SELECT " + strings.Join(slices.Concat(s.keys, s.items), ", ") + " FROM " + s.from
	if s.where != "" {
		text += " WHERE " + s.where
	}
	if len(s.keys) > 0 {
		text += " GROUP BY " + strings.Join(s.keys, ", ")
	}
	return text
}

// field is something that a statement can read: its text, and whether the planner knows bounds for it.
type field struct {
	sql     string
	of      value.Type
	bounded bool
	nonzero bool // by its bounds
}

// writer writes statements that rely on known facts. Computed values have bounds by the catalog, a filter or
// arithmetic, and data that break the promise do not keep them.
type writer struct {
	*rand.Rand
	catalog *catalog.Catalog
	names   int
	hostile bool // it also writes growth and multiplication
	fields  []field
}

func (w *writer) pick(of ...string) string { return of[w.IntN(len(of))] }
func (w *writer) one(in int) bool          { return w.IntN(in) == 0 }
func (w *writer) name(prefix string) string {
	w.names++
	return fmt.Sprintf("%s%d", prefix, w.names)
}

// relation is an element of FROM.
type relation struct {
	sql    string
	id     string // the column of the patient's id; "" if there is none
	name   string
	fields []field
}

func (w *writer) table(name string) relation {
	t, _ := w.catalog.Table(name)
	alias := w.name(name[:1])
	r := relation{sql: name + " " + alias, name: alias}
	for _, c := range t.Columns {
		f := field{sql: alias + "." + c.Name, of: c.Type, bounded: c.Lower.Valid()}
		f.nonzero = f.bounded && c.Type == value.TypeFloat && (c.Lower.Float64() > 0 || c.Upper.Float64() < 0) || f.bounded && c.Type == value.TypeInt && c.Lower.Float64() > 0
		switch {
		case c.Name == "id":
			r.id = f.sql
		case c.Name != "event" && c.Name != "place":
			r.fields = append(r.fields, f)
		}
	}
	return r
}

// source makes a relation of patients.
func (w *writer) source(depth int) relation {
	if depth == 0 || w.one(3) {
		if w.one(6) {
			l, e := w.table("lab"), w.table("event")
			return relation{sql: l.sql + " JOIN " + e.sql + " ON " + e.name + ".event = " + l.name + ".event", id: e.id, fields: slices.Concat(l.fields, e.fields)}
		}
		return w.table(w.pick("person", "person", "person", "event", "event", "last", "stay"))
	}
	return w.derived(depth)
}

// within calls write with the fields of a relation.
func within[T any](w *writer, fields []field, write func() T) T {
	before := w.fields
	w.fields = fields
	defer func() { w.fields = before }()
	return write()
}

// derived makes a relation from another.
func (w *writer) derived(depth int) relation {
	inner := w.source(depth - 1)
	alias := w.name("d")
	out := relation{name: alias, id: alias + ".id"}
	var columns []string
	add := func(sql string, of value.Type, bounded bool) {
		name := fmt.Sprintf("c%d", len(columns))
		columns = append(columns, sql+" AS "+name)
		out.fields = append(out.fields, field{sql: alias + "." + name, of: of, bounded: bounded})
	}
	return within(w, inner.fields, func() relation {
		where := ""
		if w.one(2) {
			where = " WHERE " + w.condition(1)
		}
		finish := func(rest string) relation {
			out.sql = "(SELECT " + inner.id + " AS id, " + strings.Join(columns, ", ") + " FROM " + inner.sql + where + rest + ") " + alias
			return out
		}
		switch w.IntN(9) {
		case 0: // one row for each patient
			for range 1 + w.IntN(3) {
				switch w.IntN(7) {
				case 5:
					add(w.pick("MIN_BY(", "MAX_BY(")+w.bounded(1)+", "+w.number(0)+")", value.TypeFloat, true)
				case 6:
					add("STRING_AGG("+w.text(0)+", '-' ORDER BY "+w.number(0)+")", value.TypeText, false)
				case 0:
					add("COUNT(*)", value.TypeInt, false)
				case 1:
					add("SUM("+w.bounded(1)+")", value.TypeFloat, false)
				case 2:
					add(w.pick("BOOL_OR(", "BOOL_AND(")+w.condition(1)+")", value.TypeBool, false)
				case 3:
					add("COUNT(DISTINCT "+w.text(1)+")", value.TypeInt, false)
				default:
					add(w.pick("MAX(", "MIN(", "AVG(")+w.bounded(1)+")", value.TypeFloat, true)
				}
			}
			if w.one(3) {
				key := w.key()
				add(key, value.TypeText, false)
				return finish(" GROUP BY " + inner.id + ", " + key)
			}
			return finish(" GROUP BY " + inner.id)
		case 1: // windows
			over := " OVER (PARTITION BY " + inner.id + " ORDER BY " + w.number(0) + w.pick("", " DESC") + ")"
			add(w.pick("LAG(", "LEAD(", "FIRST_VALUE(", "MAX(", "MIN(")+w.bounded(1)+")"+over, value.TypeFloat, true)
			add(w.pick("ROW_NUMBER()", "RANK()", "COUNT(*)", "DENSE_RANK()")+over, value.TypeInt, false)
			add(w.bounded(1), value.TypeFloat, true)
			return finish("")
		case 2: // distinct
			add(w.bounded(0), value.TypeFloat, true)
			add(w.text(1), value.TypeText, false)
			r := finish("")
			r.sql = strings.Replace(r.sql, "SELECT", "SELECT DISTINCT", 1)
			return r
		case 3: // combined
			other := w.source(0)
			arm := within(w, other.fields, func() string {
				return "SELECT " + other.id + ", CAST(" + w.bounded(1) + " AS float), " + w.text(0) + " FROM " + other.sql
			})
			add("CAST("+w.bounded(1)+" AS float)", value.TypeFloat, true)
			add(w.text(0), value.TypeText, false)
			return finish(" " + w.pick("UNION ALL", "UNION", "EXCEPT", "INTERSECT") + " " + arm)
		case 4: // the patient's id comes from an optional side
			l, r := w.table(w.pick("event", "stay")), w.table("event")
			cond := within(w, slices.Concat(l.fields, r.fields), func() string { return w.condition(1) })
			out.sql = fmt.Sprintf("(SELECT %s AS id, %s AS other, COUNT(*) AS c0, MAX(%s) AS c1 FROM %s LEFT JOIN %s ON %s = %s AND %s GROUP BY %s, %s) %s",
				l.id, r.id, r.fields[1].sql, l.sql, r.sql, r.id, l.id, cond, l.id, r.id, alias)
			out.fields = []field{{sql: alias + ".c0", of: value.TypeInt}, {sql: alias + ".c1", of: value.TypeInt, bounded: true}}
			return out
		}
		// Columns with bounds from the filter.
		f := w.any(value.TypeInt, value.TypeFloat, value.TypeDate)
		low, high := "1", w.pick("1", "2", "7", "10", "100", "3000000000")
		switch f.of {
		case value.TypeDate:
			low, high = "DATE '2019-01-01'", "DATE '2020-12-31'"
		case value.TypeFloat:
			low, high = w.pick("1", "0.5", "1e-155", "1e-160", "-1", "0"), w.pick("2", "1", "1e3", "1e154")
		}
		narrow := f.sql + " BETWEEN " + low + " AND " + high
		if f.of == value.TypeInt && w.one(2) {
			// some engines test these last
			narrow = f.sql + w.pick(" IN (1, 2, 3, 5, 7)", " IN (1, 3, 5, 7, 9, 11, 13, 15)", " IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)")
		}
		add(f.sql, f.of, true)
		out.fields[0].nonzero = low[0] != '-' && low[0] != '0'
		if w.one(2) {
			add(w.bounded(1), value.TypeFloat, true)
		}
		if w.one(2) {
			add(w.text(1), value.TypeText, false)
		}
		if where != "" {
			narrow += " AND " + strings.TrimPrefix(where, " WHERE ")
		}
		where = " WHERE " + narrow
		return finish("")
	})
}

// grown makes a relation of texts that grow from one derived relation to the next, under a condition.
func (w *writer) grown(inner relation) relation {
	seed := within(w, inner.fields, func() string { return "CASE WHEN " + w.condition(1) + " THEN 'x' ELSE '' END" })
	sql := "SELECT " + inner.id + " AS id, " + seed + " AS a FROM " + inner.sql
	for range 1 + w.IntN(5) {
		grow := w.pick("REPLACE(a, 'x', '"+strings.Repeat("x", 16+w.IntN(49))+"')", "CONCAT(a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a)", "a || a || a || a || a || a || a || a")
		sql = "SELECT id, " + grow + " AS a FROM (" + sql + ") " + w.name("g")
	}
	alias := w.name("g")
	return relation{sql: "(" + sql + ") " + alias, id: alias + ".id", name: alias, fields: []field{{sql: alias + ".a", of: value.TypeText}, {sql: "LENGTH(" + alias + ".a)", of: value.TypeInt}}}
}

// any is a field of one of the types, likely one with bounds.
func (w *writer) any(types ...value.Type) field {
	var found []field
	for _, f := range w.fields {
		if slices.Contains(types, f.of) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		switch types[0] {
		case value.TypeText:
			return field{sql: "'x'", of: value.TypeText}
		case value.TypeDate:
			return field{sql: "DATE '2020-01-31'", of: value.TypeDate, bounded: true}
		case value.TypeBool:
			return field{sql: "(1 = 1)", of: value.TypeBool}
		}
		return field{sql: "2", of: value.TypeInt, bounded: true, nonzero: true}
	}
	return found[w.IntN(len(found))]
}

func (w *writer) where(keep func(field) bool) []field {
	var all []field
	for _, f := range w.fields {
		if keep(f) {
			all = append(all, f)
		}
	}
	return all
}

func (w *writer) constant() string {
	return w.pick("0", "1", "2", "-1", "0.5", "3", "7", "100", "1e-160", "1e-155", "2e-151", "1e150", "1e154", "4e150", "1e300", "3037000500", "9007199254740993", "9223372036854775807")
}

// bounded writes a number with bounds that the planner knows, or seems to know.
func (w *writer) bounded(depth int) string {
	numbers := w.where(func(f field) bool { return f.bounded && (f.of == value.TypeInt || f.of == value.TypeFloat) })
	if depth == 0 || w.one(6) {
		switch {
		case w.one(10):
			return w.pick("0", "1", "2", "-1", "0.5", "1e-160", "1e150")
		case w.one(8):
			return w.pick("YEAR(", "MONTH(", "DAY(") + w.date(0) + ")"
		case w.one(6) || len(numbers) == 0:
			lo := w.pick("0", "-1", "1", "0.5", "1e-160", "1e-152")
			hi := map[string]string{"0": "10", "-1": "1", "1": "3", "0.5": "0.50001", "1e-160": "1.0001e-160", "1e-152": "1"}[lo]
			if w.one(5) {
				lo, hi = "4e150", "4.00001e150"
			}
			return "CLAMP(" + w.number(0) + ", " + lo + ", " + hi + ")"
		}
		return numbers[w.IntN(len(numbers))].sql
	}
	b := func() string { return w.bounded(depth - 1) }
	switch w.IntN(18) {
	case 0, 1:
		return "GREATEST(LEAST(" + b() + ", " + w.number(depth-1) + "), " + b() + ")"
	case 2:
		return "LEAST(GREATEST(" + w.number(depth-1) + ", " + b() + "), " + b() + ")"
	case 3:
		return "LEAST(" + b() + ", ABS(" + w.number(depth-1) + "))"
	case 4:
		return "(" + b() + " + " + b() + ")"
	case 5:
		return "(" + b() + " - " + b() + ")"
	case 6, 7:
		return "(" + b() + " * " + b() + ")"
	case 8, 9:
		by := w.where(func(f field) bool { return f.nonzero })
		if len(by) == 0 {
			return "(" + b() + " / " + w.pick("2", "0.5", "4e150", "CLAMP("+w.number(0)+", 4e150, 4.00001e150)") + ")"
		}
		return "(" + b() + " / " + by[w.IntN(len(by))].sql + ")"
	case 10:
		return "CASE WHEN " + w.condition(depth-1) + " THEN " + b() + " ELSE " + b() + " END"
	case 11:
		return "COALESCE(" + b() + ", " + b() + ")"
	case 17:
		return w.chosen()
	case 12:
		return w.pick("ABS(", "-(", "FLOOR(", "CEIL(", "SQRT(", "EXP(", "ROUND(", "TRUNC(") + b() + ")"
	case 13:
		return "NULLIF(" + b() + ", " + w.constant() + ")"
	case 14:
		return "(" + w.date(0) + " - " + w.date(0) + ")"
	case 15:
		return w.pick("ROUND("+b()+", 1)", "CAST("+b()+" AS int) % 3", "(CAST("+b()+" AS int) DIV 2)", "POWER("+b()+", 2)", "LN("+b()+")", "CAST("+b()+" AS int)")
	}
	return "CLAMP(" + w.number(depth-1) + ", " + w.pick("0, 1", "-5, 200", "0.5, 0.6", "1e-160, 1e-159", "1, 1000000") + ")"
}

// chosen writes a value that has bounds by the conditions of a CASE, and an operation that would fail outside them.
func (w *writer) chosen() string {
	f := w.any(value.TypeInt, value.TypeFloat).sql
	return strings.ReplaceAll(w.pick("CASE WHEN $ BETWEEN 1 AND 7 THEN $ END", "CASE WHEN $ > 2000000000 THEN 1 WHEN $ < -5 THEN 2 ELSE $ END",
		"CASE WHEN $ * $ < 100 THEN $ * $ ELSE 3 END", "(10 / CASE WHEN $ > 0 THEN $ END)", "(1 / CASE WHEN $ >= 1e-155 THEN $ ELSE 1 END)",
		"CASE WHEN NOT ($ > 9) AND $ > -9 THEN 1 / ($ - 10) END", "(CASE WHEN $ < 3000000000 AND $ > 1 THEN CAST($ AS int) ELSE 2 END * 3000000000)",
		"CASE WHEN $ > 100 OR $ < -100 THEN 0 ELSE COALESCE($, 7) END"), "$", f)
}

// number writes any number.
func (w *writer) number(depth int) string {
	if depth == 0 || w.one(4) {
		if w.one(9) {
			return w.constant()
		}
		return w.any(value.TypeInt, value.TypeFloat).sql
	}
	n := func() string { return w.number(depth - 1) }
	switch w.IntN(10) {
	case 0, 1:
		return "(" + n() + w.pick(" + ", " - ", " * ", " * ", " / ") + n() + ")"
	case 2:
		return "(" + w.any(value.TypeInt).sql + w.pick(" * ", " + ", " % ", " - ", " DIV ") + w.any(value.TypeInt).sql + ")"
	case 3:
		return "CAST(" + w.text(depth-1) + " AS " + w.pick("int", "float") + ")"
	case 4:
		return "LENGTH(" + w.text(depth-1) + ")"
	case 5:
		return "COALESCE(" + n() + ", " + n() + ")"
	case 6:
		return "CASE WHEN " + w.condition(depth-1) + " THEN " + n() + " ELSE " + n() + " END"
	case 7:
		return w.pick("ABS(", "-(", "SQRT(", "EXP(", "FLOOR(", "LN(", "ROUND(") + n() + ")"
	case 8:
		return w.pick("POWER("+n()+", "+w.pick("2", "3", "-1", "0.5")+")", "NULLIF("+n()+", 0)", "(DATEDIFF(day, "+w.date(0)+", "+w.date(0)+"))")
	}
	return w.bounded(depth - 1)
}

func (w *writer) date(depth int) string {
	d := w.any(value.TypeDate).sql
	if depth == 0 || w.one(3) {
		return d
	}
	whole := w.any(value.TypeInt).sql
	return w.pick(d+" + "+whole, d+" - "+whole, "DATE_ADD("+d+", INTERVAL "+whole+" MONTH)", "DATE_TRUNC('month', "+d+")",
		"MAKE_DATE("+whole+", "+w.any(value.TypeInt).sql+", 1)", "CAST("+w.text(0)+" AS date)", "LAST_DAY("+d+")", "COALESCE("+d+", DATE '2020-01-31')")
}

// text writes a text; a hostile one grows.
func (w *writer) text(depth int) string {
	t := w.any(value.TypeText).sql
	if depth == 0 || w.one(3) {
		return t
	}
	s := w.text(depth - 1)
	if w.hostile && w.one(2) {
		return w.pick("REPLACE("+s+", 'x', '"+strings.Repeat("x", 1+w.IntN(64))+"')", "CONCAT("+s+", "+s+", "+s+")", s+" || "+s)
	}
	return w.pick("UPPER("+s+")", "LOWER("+s+")", "SUBSTRING("+s+", 1, 2)", "TRIM("+s+")", "REPLACE("+s+", 'a', 'bb')", "CONCAT("+s+", "+w.text(0)+")",
		"CASE WHEN "+w.condition(0)+" THEN "+s+" ELSE 'x' END", "COALESCE("+s+", 'none')", "LEFT("+s+", 3)", "CAST("+w.any(value.TypeInt).sql+" AS text)", "SPLIT_PART("+s+", 'e', 1)",
		"TO_CHAR("+w.any(value.TypeInt).sql+", '000')")
}

func (w *writer) condition(depth int) string {
	sub := max(0, depth-1)
	switch w.IntN(13) {
	case 12: // with a number over all patients
		inner := w.table(w.pick("person", "event"))
		of := within(w, inner.fields, func() string {
			return w.pick("COUNT(*)", "AVG("+w.bounded(0)+")", "MAX("+w.bounded(0)+")", "SUM("+w.bounded(0)+")")
		})
		return w.number(0) + w.pick(" > ", " <= ", " = ") + "(SELECT " + of + " FROM " + inner.sql + ")"
	case 0, 1, 2:
		return w.number(depth) + w.pick(" > ", " < ", " = ", " <= ", " >= ", " <> ") + w.pick("0", "1", "2", "5", "20", "-1", "1e300", "1e-155", "9000000000000000000")
	case 3:
		return w.number(sub) + w.pick(" > ", " < ", " = ") + w.number(sub)
	case 4:
		return w.any(value.TypeInt, value.TypeFloat, value.TypeText, value.TypeDate).sql + w.pick(" IS NULL", " IS NOT NULL")
	case 5:
		return w.text(depth) + w.pick(" = 'a'", " = 'x'", " LIKE '%x%'", " IN ('a', 'b', 'hba1c')", " > 'b'", " LIKE 'h_a1c'", " <> ''")
	case 6:
		return w.date(depth) + w.pick(" > ", " < ", " >= ") + w.pick("DATE '2020-01-03'", "DATE '2015-06-01'", w.date(0))
	case 7:
		return "(" + w.condition(sub) + w.pick(" AND ", " OR ") + w.condition(sub) + ")"
	case 8:
		return "NOT (" + w.condition(sub) + ")"
	case 9:
		return w.any(value.TypeBool).sql
	case 10: // it fits by a filter elsewhere
		f := w.any(value.TypeInt)
		if narrowed := w.where(func(f field) bool { return f.bounded && f.of == value.TypeInt }); len(narrowed) > 0 {
			f = narrowed[w.IntN(len(narrowed))]
		}
		return w.pick(f.sql+" * "+f.sql+" > 20", f.sql+" + "+f.sql+" > 5", w.date(0)+" + "+f.sql+" > DATE '2020-01-03'", "1 / "+f.sql+" > 0.2", "10 % "+f.sql+" = 1")
	}
	return w.bounded(sub) + " BETWEEN " + w.pick("0 AND 10", "1e-160 AND 1", "-1 AND 5")
}

// key writes a grouping key.
func (w *writer) key() string {
	switch w.IntN(7) {
	case 0, 1:
		return w.any(value.TypeText).sql
	case 2:
		return w.text(2)
	case 3:
		return "CASE WHEN " + w.condition(1) + " THEN 'yes' ELSE 'no' END"
	case 4:
		return w.any(value.TypeInt, value.TypeFloat).sql
	case 5:
		return w.pick("YEAR("+w.date(1)+")", w.date(1))
	}
	return w.bounded(1)
}

// known writes a text with few values.
func (w *writer) known() string {
	for _, f := range w.fields {
		if (strings.HasSuffix(f.sql, ".grade") || strings.HasSuffix(f.sql, ".sex")) && w.one(2) {
			return f.sql
		}
	}
	return "CASE WHEN " + w.condition(2) + " THEN 'yes' " + w.pick("", "ELSE 'no' ") + "END"
}

// aggregate writes a released aggregate.
func (w *writer) aggregate() string {
	b := func() string { return w.bounded(1 + w.IntN(3)) }
	filter := ""
	if w.one(5) {
		filter = " FILTER (WHERE " + w.condition(1) + ")"
	}
	switch w.IntN(16) {
	case 14:
		return w.pick("MODE(", "ANY_VALUE(", "MIN(", "MAX(") + w.known() + ")"
	case 15:
		return w.pick("BOOL_OR(", "BOOL_AND(", "EVERY(") + w.condition(2) + ")" + filter
	case 0:
		return "COUNT(*)" + filter
	case 1:
		return "COUNT(" + w.number(2) + ")" + filter
	case 2:
		return "COUNT(DISTINCT patient)"
	case 3:
		return w.pick("VAR_POP(", "STDDEV_SAMP(") + b() + ")"
	case 4:
		return w.pick("COVAR_POP(", "CORR(", "REGR_SLOPE(", "REGR_INTERCEPT(") + b() + ", " + b() + ")"
	case 5:
		return w.pick("MEDIAN(", "MAX(", "MIN(", "APPROX_BOUNDS(") + b() + ")"
	case 6:
		return w.pick("HISTOGRAM("+b()+", 0, 50, 4)", "QUANTILE("+b()+", 0.9)", "COUNT(DISTINCT "+w.any(value.TypeText, value.TypeInt).sql+")")
	case 7, 8, 9:
		return "AVG(" + b() + ")" + filter
	}
	return "SUM(" + b() + ")" + filter
}

// beside joins what is computed for each row from others of the patient, or a list.
func (w *writer) beside(s *statement, all *relation) {
	name := w.name("b")
	number := field{sql: name + ".v", of: value.TypeInt, bounded: true}
	switch inner := w.table("event"); {
	case all.id == "" || w.one(3):
		s.from += w.pick(" CROSS JOIN UNNEST(ARRAY[1, 2, 3]) AS "+name+" (v)", " JOIN GENERATE_SERIES(1, 5) AS "+name+" (v) ON "+within(w, all.fields, func() string { return w.condition(1) }))
	case w.one(2):
		cond := within(w, slices.Concat(inner.fields, all.fields), func() string { return w.condition(1) })
		s.from += w.pick(" CROSS JOIN", " LEFT JOIN") + " LATERAL (SELECT " + inner.name + ".k AS v FROM " + inner.sql + " WHERE " + inner.id + " = " + all.id + " AND " + cond +
			" ORDER BY " + inner.name + ".k, " + inner.name + ".event LIMIT " + w.pick("1", "2") + ") " + name
	default:
		of := within(w, inner.fields, func() string { return w.pick("COUNT(*)", "SUM("+w.bounded(1)+")", "MAX("+w.bounded(1)+")") })
		s.from += " CROSS JOIN LATERAL (SELECT " + of + " AS v FROM " + inner.sql + " WHERE " + inner.id + " = " + all.id + ") " + name
		number.bounded = false
	}
	if strings.Contains(s.from, " LEFT JOIN LATERAL") {
		s.from += " ON TRUE"
	}
	all.fields = append(slices.Clone(all.fields), number)
}

// pivoted writes a table with one column for each value.
func (w *writer) pivoted() statement {
	e := w.table("event")
	of := within(w, e.fields, func() string {
		return "(SELECT " + e.id + " AS id, " + e.name + ".grade AS g, " + w.bounded(1) + " AS v FROM " + e.sql + " WHERE " + w.condition(2) + ")"
	})
	return statement{items: []string{"*"}, from: of + " PIVOT (" + w.pick("COUNT(id)", "SUM(v)", "AVG(v)") + " FOR g IN ('a' AS x, 'b' AS y)) AS p"}
}

// write makes a statement.
func write(r *rand.Rand, c *catalog.Catalog, hostile bool) statement {
	w := &writer{Rand: r, catalog: c, hostile: hostile}
	var s statement
	all := w.source(w.IntN(3))
	if hostile && w.one(3) {
		all = w.grown(all)
	}
	s.from = all.sql
	if w.one(3) {
		more := w.source(w.IntN(2))
		fields := slices.Concat(all.fields, more.fields)
		on := more.id + " = " + all.id
		if w.one(2) {
			on += " AND " + within(w, fields, func() string { return w.condition(2) })
		}
		if !strings.Contains(more.sql, " JOIN ") || strings.HasPrefix(more.sql, "(") {
			if w.one(4) { // its columns are not to be read
				s.from += w.pick(" LEFT SEMI JOIN ", " LEFT ANTI JOIN ") + more.sql + " ON " + on
			} else {
				s.from += w.pick(" JOIN ", " LEFT JOIN ") + more.sql + " ON " + on
				all.fields = fields
			}
		}
	}
	if w.one(8) {
		w.beside(&s, &all)
	}
	w.fields = all.fields
	if w.one(12) {
		p := w.table("place")
		s.from += w.pick(" CROSS JOIN "+p.sql, " JOIN "+p.sql+" ON "+p.name+".place = "+w.any(value.TypeInt).sql, " LEFT JOIN "+p.sql+" ON "+p.name+".w > "+w.number(1))
		w.fields = slices.Concat(w.fields, p.fields)
	}
	if hostile {
		for range w.IntN(6) { // lists that multiply a row
			name := w.name("v")
			var rows []string
			for i := range 2 + w.IntN(100) {
				rows = append(rows, fmt.Sprintf("(%d)", i))
			}
			s.from += " JOIN (VALUES " + strings.Join(rows, ", ") + ") " + name + " (v) ON " + w.condition(1)
			w.fields = append(slices.Clone(w.fields), field{sql: name + ".v", of: value.TypeInt, bounded: true})
		}
	}
	if w.one(2) {
		s.where = w.condition(2)
		if w.one(6) && all.id != "" {
			inner := w.table(w.pick("person", "event"))
			cond := within(w, inner.fields, func() string { return w.condition(2) })
			s.where = all.id + w.pick(" IN ", " IN ", " NOT IN ") + "(SELECT " + inner.id + " FROM " + inner.sql + " WHERE " + cond + ")"
		}
	}
	for range w.IntN(3) {
		s.keys = append(s.keys, w.key())
	}
	for range 2 + w.IntN(5) {
		s.items = append(s.items, w.aggregate())
	}
	if w.one(30) {
		return w.pivoted()
	}
	return s
}
