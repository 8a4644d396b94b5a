package integration

import (
	"math/rand/v2"
	"regexp"
	"strings"
)

// inquiry is a random query of the supported SQL, in parts that can be removed one by one.
type inquiry struct {
	with, from, where string
	keys, items       []string
}

func (q inquiry) String() string {
	s := q.with + "SELECT " + strings.Join(append(append([]string{}, q.keys...), q.items...), ", ") + " FROM " + q.from
	if q.where != "" {
		s += " WHERE " + q.where
	}
	if len(q.keys) > 0 {
		s += " GROUP BY " + strings.Join(q.keys, ", ")
	}
	return s
}

// source is something to ask about: tables, their numbers and keys, and conditions on them.
type source struct {
	with, from string
	numbers    []string
	keys       []string
	conditions []string
	heavy      bool // it joins the rows of a patient with each other
}

var sources = []source{
	{from: "person p", numbers: []string{"p.born", "2024 - p.born", "CAST(p.sex AS int)"}, keys: []string{"p.sex", "p.born", "FLOOR(p.born / 10) * 10", "p.place", "hospital"}},
	{from: "person p LEFT JOIN place c ON c.place = p.place", numbers: []string{"p.born % 7"}, keys: []string{"c.region", "p.sex", "c.place"}},
	{from: "stay s", numbers: []string{"s.days", "s.days * s.days", "YEAR(s.began)", "NULLIF(s.days, 7)"}, keys: []string{"s.unit", "s.days", "YEAR(s.began)", "MONTH(s.began)", "CASE WHEN s.days > 5 THEN 'long' ELSE 'short' END", "s.days > 5"}},
	{from: "stay s JOIN person p ON p.id = s.id", numbers: []string{"s.days - p.born", "LEAST(s.days, p.born)"}, keys: []string{"p.sex", "s.unit", "p.place"}},
	{from: "stay s JOIN stay r ON r.id = s.id", numbers: []string{"s.days - r.days"}, keys: []string{"r.unit", "s.unit"}, heavy: true},
	{from: "vital v", numbers: []string{"v.x", "CLAMP(v.y, -10, 10)", "v.x / v.kind", "ROUND(v.x, 1)", "CLAMP(1 / (v.wide - 42), -1, 1)", "CLAMP(v.wide * 2, 0, 100)", "CLAMP(v.wide, 576460752303423553, 576460752303423679)", "COALESCE(v.x, 0)", "ABS(v.x)"}, keys: []string{"v.kind", "v.kind % 3", "v.wide", "v.y > 0"}},
	{from: "stay s LEFT JOIN person p ON p.id = s.id AND s.days > 5", numbers: []string{"s.days"}, keys: []string{"p.sex", "p.born", "p.place"}},
	{from: "stay s LEFT JOIN person p ON p.id = s.id LEFT JOIN place c ON c.place = p.place AND s.days > 5", numbers: []string{"s.days"}, keys: []string{"c.region", "c.place", "p.sex"}},
	{from: "vital v JOIN stay s ON s.stay = v.stay LEFT JOIN person p ON p.id = s.id", numbers: []string{"v.x", "v.x + s.days"}, keys: []string{"s.unit", "p.sex", "v.kind"}},
	// Cohorts.
	{from: "person p", numbers: []string{"p.born"}, keys: []string{"p.sex", "p.place"}, conditions: []string{
		"p.id IN (SELECT s.id FROM stay s WHERE s.days > 5)", "p.id NOT IN (SELECT s.id FROM stay s WHERE s.unit = 'a')",
		"EXISTS (SELECT 1 FROM stay s WHERE s.id = p.id AND s.unit = 'b')", "NOT EXISTS (SELECT 1 FROM stay s WHERE s.id = p.id AND s.days >= 7)",
		"p.place IN (SELECT c.place FROM place c WHERE c.region = 'north')",
	}},
	// Derived tables: one row for each patient, or several.
	{from: "(SELECT s.id AS id, COUNT(*) AS n, MAX(s.days) AS longest, SUM(s.days) AS total, MIN(s.began) AS first FROM stay s GROUP BY s.id) d", numbers: []string{"CLAMP(d.n, 0, 5)", "d.longest", "CLAMP(d.total, 0, 100)"}, keys: []string{"d.longest", "YEAR(d.first)", "CASE WHEN d.n > 2 THEN 'many' ELSE 'few' END"}},
	{from: "person p LEFT JOIN (SELECT s.id AS id, s.unit AS unit, COUNT(*) AS n FROM stay s GROUP BY s.id, s.unit) d ON d.id = p.id", numbers: []string{"CLAMP(d.n, 0, 5)", "p.born"}, keys: []string{"d.unit", "p.sex"}},
	{with: "WITH long AS (SELECT s.id AS id, s.days AS days, s.unit AS unit FROM stay s WHERE s.days > 5) ", from: "long l", numbers: []string{"l.days"}, keys: []string{"l.unit"}},
	{from: "(SELECT s.id AS id, s.days AS days, ROW_NUMBER() OVER (PARTITION BY s.id ORDER BY s.began) AS place, LAG(s.days) OVER (PARTITION BY s.id ORDER BY s.began) AS before FROM stay s) d", numbers: []string{"d.days", "d.days - d.before"}, keys: []string{"CASE WHEN d.place = 1 THEN 'first' ELSE 'later' END"}, conditions: []string{"d.place <= 2"}},
	{from: "(SELECT p.id AS id, p.born AS x FROM person p UNION ALL SELECT s.id AS id, s.days AS x FROM stay s) u", numbers: []string{"CLAMP(u.x, 0, 100)"}, keys: []string{"u.x > 50"}},
	// Rows that the query itself contains: with a key, without one, with NULLs.
	{from: "person p JOIN (VALUES ('f', 1, 'one'), ('m', 2, 'two')) v (sex, k, label) ON v.sex = p.sex", numbers: []string{"v.k", "p.born + v.k"}, keys: []string{"v.label", "p.place", "v.k"}},
	{from: "person p JOIN (VALUES ('f', 1, 'one'), ('m', 2, 'two'), ('m', 30, 'two')) v (sex, k, label) ON v.sex = p.sex", numbers: []string{"v.k", "p.born + v.k"}, keys: []string{"v.label", "v.k"}},
	{from: "stay s LEFT JOIN (VALUES ('a', 1.5, 'x'), ('b', NULL, 'y'), (NULL, 3, NULL)) v (unit, w, label) ON v.unit = s.unit", numbers: []string{"v.w", "s.days * v.w", "COALESCE(v.w, 9)"}, keys: []string{"v.label", "v.unit", "v.w"}},
	{from: "(SELECT p.id AS id, NULL AS x FROM person p UNION ALL SELECT s.id, s.days FROM stay s UNION ALL SELECT s.id, CASE WHEN s.days > 5 THEN NULL END FROM stay s) u", numbers: []string{"CLAMP(u.x, 0, 100)", "COALESCE(CLAMP(u.x, 0, 9), 3)"}, keys: []string{"u.x > 50", "u.x IS NULL"}},
	{from: "(SELECT DISTINCT s.id AS id, s.unit AS unit FROM stay s) d", numbers: []string{"LENGTH(d.unit)"}, keys: []string{"d.unit"}},
}

// ask writes a random query. A light one joins no rows of a patient with each other.
func ask(r *rand.Rand, light bool) inquiry {
	s := sources[r.IntN(len(sources))]
	for light && (s.heavy || strings.Contains(s.from, "(")) {
		s = sources[r.IntN(len(sources))]
	}
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	number := func() string { return pick(s.numbers...) }
	aggregate := func() string {
		switch r.IntN(13) {
		case 0:
			return "COUNT(*)"
		case 1:
			return "COUNT(" + number() + ")"
		case 2:
			return "COUNT(DISTINCT patient)"
		case 3:
			return "SUM(CASE WHEN " + number() + " > 5 THEN 1 ELSE 0 END)"
		case 4:
			return "SUM(" + number() + ")"
		case 5:
			return pick("VAR_POP(", "VAR_SAMP(", "STDDEV_POP(", "STDDEV_SAMP(") + number() + ")"
		case 6:
			return pick("COVAR_POP(", "COVAR_SAMP(", "CORR(", "REGR_SLOPE(", "REGR_INTERCEPT(") + number() + ", " + number() + ")"
		case 7:
			return pick("MEDIAN(", "MIN(", "MAX(") + number() + ")"
		case 8:
			return pick("QUANTILE("+number()+", 0.9)", "HISTOGRAM("+number()+", 0, 50, 4)")
		case 9:
			return pick("COUNT(DISTINCT "+pick(append(s.keys, number())...)+")", pick("SUM(DISTINCT ", "AVG(DISTINCT ")+number()+")")
		case 10:
			return "APPROX_BOUNDS(" + number() + ")"
		}
		return "AVG(" + number() + ")"
	}
	q := inquiry{with: s.with, from: s.from}
	for range r.IntN(3) {
		q.keys = append(q.keys, pick(s.keys...))
	}
	for range 1 + r.IntN(3) {
		q.items = append(q.items, aggregate())
	}
	if r.IntN(2) == 0 {
		q.where = number() + pick(" > 1", " <= 90", " IS NOT NULL", " <> 7")
	}
	if len(s.conditions) > 0 && r.IntN(3) > 0 {
		q.where = pick(s.conditions...)
	}
	return q
}

var withoutUnion = regexp.MustCompile(`hospital|QUANTILE|HISTOGRAM|APPROX_BOUNDS|STDDEV|CORR|REGR|COVAR|VAR|DISTINCT [^p]|SELECT .*\(SELECT|WITH|OVER|LENGTH`)
