package syntax

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/internal/cputime"
	"github.com/intramuros/intramuros/internal/value"
)

// TestSyntax reads testdata/statements: SQL in, the tree or the refusal out. An accepted text is written with every
// parenthesis, and must give the same tree again.
func TestSyntax(t *testing.T) {
	datadriven.Walk(t, "testdata/statements", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s, err := Parse(d.Input)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("%s: %v is no *Error", d.Pos, err)
				}
				return fmt.Sprintf("%s\n%s\n", e.Caret(d.Input), err)
			}
			checkRoundTrip(t, s)
			return outline(s)
		})
	})
}

func checkRoundTrip(t *testing.T, s *Statement) {
	t.Helper()
	if len(s.Parameters) > 0 && s.Parameters[0].At.Length == 1 {
		return // ? in another order would be another parameter
	}
	sql := s.sql()
	again, err := Parse(sql)
	if err != nil {
		t.Fatalf("%s\nis refused when written out: %v", sql, err)
	}
	if got, want := outline(again), outline(s); got != want {
		t.Fatalf("%s\nreads differently when written out:\n%s\nwas\n%s", sql, got, want)
	}
}

// constantExpr is the constant of a setting as an expression.
func constantExpr(v value.Value) *Expr { return &Expr{Kind: Literal, Literal: v} }

// outline writes the tree, one clause per line.
func outline(s *Statement) string {
	var b strings.Builder
	switch s.Kind {
	case KindSelect, KindExplain, KindExplainPrivacy:
		if s.Kind != KindSelect {
			fmt.Fprintln(&b, s.Kind)
		}
		for _, h := range s.Hints {
			fmt.Fprintf(&b, "hint %s = %s\n", h.Name, constantExpr(h.Value).sexpr())
		}
		s.Query.outline(&b, "")
	default:
		fmt.Fprintf(&b, "%s %s", s.Kind, s.Name)
		if s.Kind == KindSet {
			fmt.Fprintf(&b, " = %s", constantExpr(s.Value).sexpr())
		}
		fmt.Fprintln(&b)
	}
	if len(s.Parameters) > 0 {
		var names []string
		for _, p := range s.Parameters {
			names = append(names, p.Name)
		}
		fmt.Fprintln(&b, "parameters", strings.Join(names, ", "))
	}
	return b.String()
}

func (q *Query) outline(b *strings.Builder, indent string) {
	line := func(clause, text string) {
		if text != "" {
			fmt.Fprintf(b, "%s%-8s %s\n", indent, clause, text)
		}
	}
	for _, w := range q.With {
		columns := ""
		if w.Columns != nil {
			columns = " (" + strings.Join(w.Columns, ", ") + ")"
		}
		line("with", w.Name+columns)
		w.Query.outline(b, indent+"  ")
	}
	if c := q.SetOperation; c != nil {
		all := ""
		if c.All {
			all = " all"
		}
		fmt.Fprintf(b, "%s%s\n", indent, c.Operator+all)
		c.Left.outline(b, indent+"  ")
		c.Right.outline(b, indent+"  ")
	}
	if s := q.Select; s != nil {
		clause := "select"
		if s.Distinct {
			clause = "distinct"
		}
		var items []string
		for _, i := range s.Items {
			item := i.Term.sexpr()
			if i.Alias != "" {
				item += " as " + i.Alias
			}
			items = append(items, item)
		}
		if s.Values != nil {
			clause, items = "values", nil
			for _, row := range s.Values {
				var cells []string
				for _, t := range row {
					cells = append(cells, t.sexpr())
				}
				items = append(items, strings.Join(cells, ", "))
			}
		}
		line(clause, strings.Join(items, "; "))
		for i, f := range s.From {
			f.outline(b, indent, i)
		}
		line("where", s.Where.sexpr())
		for _, set := range s.GroupBy {
			line("group", "("+strings.Join(sexprs(set), ", ")+")")
		}
		line("having", s.Having.sexpr())
		line("qualify", s.Qualify.sexpr())
	}
	line("order", ordersText(q.OrderBy))
	line("limit", q.Limit.sexpr())
	line("offset", q.Offset.sexpr())
}

func (f From) outline(b *strings.Builder, indent string, i int) {
	clause := []string{"from", "cross", "join", "left"}[f.Join]
	if (i == 0) != (f.Join == NoJoin) {
		clause += "?" // this would be a defect
	}
	text := f.Table
	switch {
	case f.Function != nil:
		text = f.Function.sexpr()
	case f.Query != nil:
		text = "…"
	}
	if f.Alias != f.Table {
		text += " " + f.Alias
	}
	if f.Columns != nil {
		text += " (" + strings.Join(f.Columns, ", ") + ")"
	}
	if f.Natural {
		text += " natural"
	}
	if f.Using != nil {
		text += " using " + strings.Join(sexprs(f.Using), ", ")
	}
	if f.On != nil {
		text += " on " + f.On.sexpr()
	}
	fmt.Fprintf(b, "%s%-8s %s\n", indent, clause, text)
	if f.Query != nil {
		f.Query.outline(b, indent+"  ")
	}
}

func ordersText(orders []Order) string {
	var texts []string
	for _, o := range orders {
		text := o.Term.sexpr()
		if o.Descending {
			text += " desc"
		}
		if o.Nulls != "" {
			text += " nulls " + o.Nulls
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func sexprs(terms []*Expr) []string {
	var texts []string
	for _, t := range terms {
		texts = append(texts, t.sexpr())
	}
	return texts
}

// sexpr writes a term: (operator argument …), function(argument, …).
func (t *Expr) sexpr() string {
	if t == nil {
		return ""
	}
	inline := func(q *Query) string {
		var b strings.Builder
		q.outline(&b, "")
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		for i, l := range lines {
			lines[i] = strings.Join(strings.Fields(l), " ")
		}
		return "{" + strings.Join(lines, " | ") + "}"
	}
	args := strings.Join(sexprs(t.Args), " ")
	switch t.Kind {
	case Column:
		if t.Qualifier != "" {
			return t.Qualifier + "." + t.Name
		}
		return t.Name
	case Literal:
		switch {
		case !t.Literal.Valid():
			return "null"
		case t.Literal.Type() == value.TypeText:
			return "'" + t.Literal.Str() + "'"
		case t.Literal.Type() == value.TypeFloat:
			return strconv.FormatFloat(t.Literal.Float64(), 'e', -1, 64)
		case t.Literal.Type() == value.TypeDate || t.Literal.Type() == value.TypeTimestamp:
			return string(t.Literal.Type()) + " " + t.Literal.String()
		}
		return t.Literal.String()
	case Operator:
		return "(" + t.Name + " " + args + ")"
	case Star:
		if t.Qualifier != "" {
			return t.Qualifier + ".*"
		}
		return "*"
	case Cast:
		return "(cast " + args + " " + string(t.Type) + ")"
	case Interval:
		return "(interval " + args + " " + t.Name + ")"
	case Subquery:
		return inline(t.Query)
	case Exists:
		return "(exists " + inline(t.Query) + ")"
	case InSubquery:
		return "(in " + args + " " + inline(t.Query) + ")"
	case Placeholder:
		return ":" + t.Name // also ": day" for CURRENT_DATE
	}
	text := t.Name + "("
	if t.Distinct {
		text += "distinct "
	}
	if t.Star {
		text += "*"
	}
	text += strings.Join(sexprs(t.Args), ", ")
	if t.Order != nil {
		text += "; " + ordersText(t.Order)
	}
	if t.Place != 0 {
		text += "; " + strconv.Itoa(t.Place)
	}
	text += ")"
	if t.Filter != nil {
		text += " filter " + t.Filter.sexpr()
	}
	if w := t.Over; w != nil {
		text += " over [" + strings.Join(sexprs(w.Partition), ", ") + "; " + ordersText(w.OrderBy) + "; "
		if w.Frame != nil {
			text += fmt.Sprintf("%s to %s", rowsText(w.Frame.From), rowsText(w.Frame.To))
			if w.Frame.Values {
				text += " by value"
			}
		}
		text += "]"
	}
	return text
}

func rowsText(n int) string {
	switch n {
	case math.MinInt:
		return "start"
	case math.MaxInt:
		return "end"
	}
	return strconv.Itoa(n)
}

// sql writes a statement with every parenthesis.
func (s *Statement) sql() string {
	switch s.Kind {
	case KindShow:
		return "SHOW " + s.Name
	case KindDescribe:
		return "DESCRIBE " + quoted(s.Name)
	case KindSet:
		return "SET " + quoted(s.Name) + " = " + constantExpr(s.Value).sql()
	}
	text := map[Kind]string{KindExplain: "EXPLAIN ", KindExplainPrivacy: "EXPLAIN PRIVACY "}[s.Kind] + s.Query.sql()
	if len(s.Hints) > 0 {
		var hints []string
		for _, h := range s.Hints {
			hints = append(hints, quoted(h.Name)+" = "+constantExpr(h.Value).sql())
		}
		depth, i := 0, 0
		for ; ; i++ { // the first SELECT outside parentheses
			if depth == 0 && strings.HasPrefix(text[i:], "SELECT ") {
				break
			}
			depth += map[byte]int{'(': 1, ')': -1}[text[i]]
		}
		text = text[:i+7] + "/*+ " + strings.Join(hints, ", ") + " */ " + text[i+7:]
	}
	return text
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quotedAll(names []string) string {
	var all []string
	for _, n := range names {
		all = append(all, quoted(n))
	}
	return strings.Join(all, ", ")
}

func sqls(terms []*Expr) string {
	var texts []string
	for _, t := range terms {
		texts = append(texts, t.sql())
	}
	return strings.Join(texts, ", ")
}

func (q *Query) sql() string {
	var b strings.Builder
	for i, w := range q.With {
		b.WriteString(map[bool]string{true: "WITH ", false: ", "}[i == 0] + quoted(w.Name))
		if w.Columns != nil {
			b.WriteString(" (" + quotedAll(w.Columns) + ")")
		}
		b.WriteString(" AS (" + w.Query.sql() + ")")
	}
	if q.With != nil {
		b.WriteString(" ")
	}
	if c := q.SetOperation; c != nil {
		all := ""
		if c.All {
			all = " ALL"
		}
		b.WriteString("(" + c.Left.sql() + ") " + strings.ToUpper(c.Operator) + all + " (" + c.Right.sql() + ")")
	}
	if s := q.Select; s != nil && s.Values != nil {
		for i, row := range s.Values {
			b.WriteString(map[bool]string{true: "VALUES (", false: ", ("}[i == 0])
			for k, t := range row {
				b.WriteString(map[bool]string{true: "", false: ", "}[k == 0] + t.sql())
			}
			b.WriteString(")")
		}
	} else if s != nil {
		b.WriteString("SELECT ")
		if s.Distinct {
			b.WriteString("DISTINCT ")
		}
		for i, item := range s.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(item.Term.sql())
			if item.Alias != "" {
				b.WriteString(" AS " + quoted(item.Alias))
			}
		}
		for i, f := range s.From {
			b.WriteString(f.sql(i))
		}
		clause := func(name string, t *Expr) {
			if t != nil {
				b.WriteString(" " + name + " " + t.sql())
			}
		}
		clause("WHERE", s.Where)
		if s.GroupBy != nil {
			var sets []string
			for _, set := range s.GroupBy {
				sets = append(sets, "("+sqls(set)+")")
			}
			b.WriteString(" GROUP BY GROUPING SETS (" + strings.Join(sets, ", ") + ")")
		}
		clause("HAVING", s.Having)
		clause("QUALIFY", s.Qualify)
	}
	if q.OrderBy != nil {
		b.WriteString(" ORDER BY " + ordersSQL(q.OrderBy))
	}
	if q.Limit != nil {
		b.WriteString(" LIMIT " + q.Limit.sql())
	}
	if q.Offset != nil {
		b.WriteString(" OFFSET " + q.Offset.sql())
	}
	return b.String()
}

func ordersSQL(orders []Order) string {
	var texts []string
	for _, o := range orders {
		text := o.Term.sql()
		if o.Descending {
			text += " DESC"
		}
		if o.Nulls != "" {
			text += " NULLS " + o.Nulls
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func (f From) sql(i int) string {
	text := []string{" FROM ", " CROSS JOIN ", " JOIN ", " LEFT JOIN "}[f.Join]
	if f.Natural {
		text = " NATURAL" + text
	}
	switch {
	case f.Function != nil:
		text += quoted(f.Function.Name) + "(" + sqls(f.Function.Args) + ")"
	case f.Query != nil:
		text += "(" + f.Query.sql() + ")"
	default:
		text += quoted(f.Table)
	}
	if f.Alias != f.Table || f.Columns != nil {
		text += " AS " + quoted(f.Alias)
	}
	if f.Columns != nil {
		text += " (" + quotedAll(f.Columns) + ")"
	}
	if f.Using != nil {
		text += " USING (" + sqls(f.Using) + ")"
	}
	if f.On != nil {
		text += " ON " + f.On.sql()
	}
	return text
}

func (t *Expr) sql() string {
	switch t.Kind {
	case Column:
		if t.Qualifier != "" {
			return quoted(t.Qualifier) + "." + quoted(t.Name)
		}
		return quoted(t.Name)
	case Literal:
		switch {
		case !t.Literal.Valid():
			return "NULL"
		case t.Literal.Type() == value.TypeText:
			return "'" + strings.ReplaceAll(t.Literal.Str(), "'", "''") + "'"
		case t.Literal.Type() == value.TypeFloat:
			return strconv.FormatFloat(t.Literal.Float64(), 'e', -1, 64)
		case t.Literal.Type() == value.TypeDate || t.Literal.Type() == value.TypeTimestamp:
			return string(t.Literal.Type()) + " '" + t.Literal.String() + "'"
		}
		return t.Literal.String()
	case Star:
		if t.Qualifier != "" {
			return quoted(t.Qualifier) + ".*"
		}
		return "*"
	case Cast:
		return "CAST(" + t.Args[0].sql() + " AS " + string(t.Type) + ")"
	case Interval:
		if len(t.Args) > 1 {
			text := ""
			for i := t; ; i = i.Args[1] {
				text += " " + i.Args[0].sql() + " " + i.Name
				if len(i.Args) == 1 {
					return "INTERVAL '" + strings.ReplaceAll(strings.NewReplacer("(", "", ")", "").Replace(text[1:]), "- ", "-") + "'"
				}
			}
		}
		return "INTERVAL (" + t.Args[0].sql() + ") " + t.Name
	case Subquery:
		return "(" + t.Query.sql() + ")"
	case Exists:
		return "(EXISTS (" + t.Query.sql() + "))"
	case InSubquery:
		var row []string
		for _, a := range t.Args {
			row = append(row, a.sql())
		}
		return "((" + strings.Join(row, ", ") + ") IN (" + t.Query.sql() + "))"
	case Placeholder:
		switch t.Name {
		case clockDay:
			return "CURRENT_DATE"
		case clockMoment:
			return "NOW()"
		}
		if isDigit(t.Name[0]) {
			return "$" + t.Name
		}
		return ":" + t.Name
	case Operator:
		return t.operatorSQL()
	}
	if t.Place > 0 {
		list := *t
		list.Name, list.Place = "array_agg", 0
		return "(" + list.sql() + ")[" + strconv.Itoa(t.Place) + "]"
	}
	text := quoted(t.Name) + "("
	if t.Distinct {
		text += "DISTINCT "
	}
	if t.Star {
		text += "*"
	}
	text += sqls(t.Args)
	if t.Order != nil {
		text += " ORDER BY " + ordersSQL(t.Order)
	}
	if t.Place < 0 {
		text += " LIMIT " + strconv.Itoa(-t.Place)
	}
	text += ")"
	if t.Filter != nil {
		text += " FILTER (WHERE " + t.Filter.sql() + ")"
	}
	if w := t.Over; w != nil {
		text += " OVER ("
		if len(w.Partition) > 0 {
			text += "PARTITION BY " + sqls(w.Partition)
		}
		if len(w.OrderBy) > 0 {
			text += " ORDER BY " + ordersSQL(w.OrderBy)
		}
		if w.Frame != nil {
			unit, bound := " ROWS BETWEEN ", boundSQL
			if w.Frame.Values {
				unit = " RANGE BETWEEN "
			}
			if w.Frame.Days {
				bound = daysSQL
			}
			text += unit + bound(w.Frame.From) + " AND " + bound(w.Frame.To)
		}
		text += ")"
	}
	return text
}

func daysSQL(n int) string {
	if n == math.MinInt || n == math.MaxInt {
		return boundSQL(n)
	}
	count, side, _ := strings.Cut(boundSQL(n), " ")
	return "INTERVAL '" + count + " days' " + side
}

func boundSQL(n int) string {
	switch {
	case n == math.MinInt:
		return "UNBOUNDED PRECEDING"
	case n == math.MaxInt:
		return "UNBOUNDED FOLLOWING"
	case n < 0:
		return strconv.Itoa(-n) + " PRECEDING"
	}
	return strconv.Itoa(n) + " FOLLOWING"
}

func (t *Expr) operatorSQL() string {
	if t.Name == "=>" {
		return t.Args[0].sql() + " => " + t.Args[1].sql()
	}
	if t.Name == "case" {
		text := "(CASE"
		for i := 0; i+1 < len(t.Args); i += 2 {
			text += " WHEN " + t.Args[i].sql() + " THEN " + t.Args[i+1].sql()
		}
		if len(t.Args)%2 == 1 {
			text += " ELSE " + t.Args[len(t.Args)-1].sql()
		}
		return text + " END)"
	}
	x := t.Args[0].sql()
	switch t.Name {
	case "in":
		return "(" + x + " IN (" + sqls(t.Args[1:]) + "))"
	case "is null":
		return "(" + x + " IS NULL)"
	case "not":
		return "(NOT " + x + ")"
	case "neg":
		return "(- " + x + ")"
	}
	name := t.Name
	switch name {
	case "and", "or":
		var args []string
		for _, a := range t.Args {
			args = append(args, a.sql())
		}
		return "(" + strings.Join(args, " "+name+" ") + ")"
	case "regexp":
		name = "~"
	case "iregexp":
		name = "~*"
	}
	return "(" + x + " " + name + " " + t.Args[1].sql() + ")"
}

// FuzzParse checks that any text gives a tree, or an *Error within the text, never a panic. A tree, written with every
// parenthesis, gives the same tree again.
func FuzzParse(f *testing.F) {
	for _, sql := range []string{
		"WITH a AS (SELECT 1 x), b (y) AS (SELECT x FROM a) SELECT DISTINCT y FROM b UNION ALL (SELECT 2 LIMIT 1) ORDER BY 1 NULLS LAST FETCH FIRST 3 ROWS ONLY;",
		"SELECT a::varchar(3)::int, EXTRACT(year FROM b), TRIM(BOTH 'x' FROM c), INTERVAL '3 days' * n, -x || 'y' ~ 'z' FROM cdm.t AS t (a, b)",
		"SELECT SUM(x) FILTER (WHERE y) OVER (w ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM t WINDOW w AS (PARTITION BY z ORDER BY u DESC)",
		"SELECT a FROM t RIGHT JOIN (u NATURAL JOIN v) USING (k), w WHERE a NOT IN (SELECT b FROM c) AND EXISTS (SELECT 1) GROUP BY ROLLUP (a, (b, c)), GROUPING SETS ((), d)",
		"SELECT /*+ epsilon = 0.5 */ CASE x WHEN 1 THEN 'a' ELSE NULL END FROM KAPLAN_MEIER((SELECT 1), bins => 3) k WHERE a IS NOT DISTINCT FROM $1 QUALIFY a BETWEEN SYMMETRIC 1 AND 2",
		"EXPLAIN PRIVACY SELECT PERCENTILE_CONT(.5) WITHIN GROUP (ORDER BY x DESC) FROM @cdm.t", "SET epsilon = -1e-3", "DESC t", "SHOW BUDGET;",
		"SELECT ((((SELECT 1) + 2))), (SELECT 1), x LIKE 'a!%' ESCAPE '!', y SIMILAR TO '[ab]%' FROM t", "SELECT 'a'' or 1=1 -- ' \"b\" FROM `c`",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		s, err := Parse(sql)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			if e.Offset < 0 || e.Length < 0 || e.Offset+e.Length > len(sql) {
				t.Fatalf("the place %+v is outside of the text", e.Position)
			}
			_ = e.Caret(sql)
			return
		}
		if strings.Count(sql, "(")+strings.Count(sql, "[")+strings.Count(strings.ToLower(sql), "case") < maxNesting/6 && len(sql) < 2000 {
			checkRoundTrip(t, s) // the written form has more parentheses
		}
	})
}

// A console parses while a person types.
func TestParseIsFast(t *testing.T) {
	sql := longQuery()
	var took []time.Duration
	for range 30 {
		start := cputime.Used(t)
		if _, err := Parse(sql); err != nil {
			t.Fatal(err)
		}
		took = append(took, cputime.Used(t)-start)
	}
	slices.Sort(took)
	t.Logf("%d bytes in %s", len(sql), took[0])
	if took[0] > 5*time.Millisecond*cputime.Slowness { // the goal is 1 ms
		t.Errorf("%d bytes took %s", len(sql), took[0])
	}
}

// Texts of the largest length must not keep the coordinator busy.
func TestLongTexts(t *testing.T) {
	long := func(s string) string { return strings.Repeat(s, (MaxSQL-100)/len(s)) }
	for _, sql := range []string{
		"SELECT a" + long("+a"), "SELECT a" + long("||a"), "SELECT a FROM t WHERE a" + long(" OR a = 1"), "SELECT a" + long(",a"), "SELECT 1 FROM t" + long(",t"),
		"SELECT 1 FROM t" + long(" JOIN t ON a"), "SELECT a IN (1" + long(",1") + ")", "SELECT " + long("CASE WHEN "), "SELECT a" + long(" UNION SELECT a"),
		"SELECT CASE WHEN a THEN 1" + long(" WHEN a THEN 1") + " END", long("("), "SELECT " + long("NOT "), "SELECT " + long("- "), "SELECT " + long("f(1)::int,") + "1",
		"SELECT " + strings.Repeat("f(", 50) + "a" + strings.Repeat("::int", 60) + strings.Repeat(")", 50),
		"SELECT 1 FROM t GROUP BY CUBE (a, b, c, d, e, f)" + long(",a"), "SELECT 1 FROM t GROUP BY GROUPING SETS ((a" + long(",a") + "))",
	} {
		start := cputime.Used(t)
		_, err := Parse(sql)
		if took := cputime.Used(t) - start; took > time.Second*cputime.Slowness { // a tenth of a second on an idle machine
			t.Errorf("%s… took %s (%v)", sql[:40], took, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	sql := longQuery()
	b.SetBytes(int64(len(sql)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(sql); err != nil {
			b.Fatal(err)
		}
	}
}

// longQuery is about 2 kB of typical SQL.
func longQuery() string {
	sql := `WITH first_diagnosis AS (
	SELECT person_id, MIN(condition_start_date) AS first_date, COUNT(*) FILTER (WHERE condition_concept_id = 201826) AS n
	FROM cdm.condition_occurrence co JOIN cdm.concept c ON c.concept_id = co.condition_concept_id
	WHERE c.concept_name ILIKE '%diabetes%' AND condition_start_date BETWEEN DATE '2015-01-01' AND DATE '2020-12-31'
	GROUP BY person_id
), visits AS (
	SELECT person_id, visit_start_date, ROW_NUMBER() OVER (PARTITION BY person_id ORDER BY visit_start_date NULLS LAST) AS rn
	FROM cdm.visit_occurrence
)
SELECT EXTRACT(YEAR FROM first_date)::int AS year, `
	for i := 10; i < 100; i += 10 {
		sql += fmt.Sprintf("\n\tSUM(CASE WHEN p.year_of_birth BETWEEN 2020 - %d AND 2020 - %d AND p.gender_concept_id IN (8507, 8532) THEN 1 ELSE 0 END) AS \"age %d\",", i+9, i, i)
	}
	return sql + `
	AVG(CAST(n AS DOUBLE PRECISION)) AS mean
FROM first_diagnosis f JOIN cdm.person p USING (person_id) LEFT JOIN visits v ON v.person_id = f.person_id AND v.rn = 1
WHERE NOT EXISTS (SELECT 1 FROM cdm.death d WHERE d.person_id = f.person_id AND d.death_date < f.first_date + INTERVAL '30 days')
GROUP BY 1 HAVING COUNT(*) > 10 ORDER BY year DESC LIMIT 20`
}
