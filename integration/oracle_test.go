package integration

import (
	"database/sql"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the oracle's database
)

// oracle answers exactly, from the union of the hospitals' rows in one database.
type oracle struct {
	t  testing.TB
	db *sql.DB
}

// newOracle opens a database and runs the statements that fill it.
func newOracle(t testing.TB, statements ...string) *oracle {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	o := &oracle{t, db}
	o.do("CREATE MACRO clip(x, low, high) AS CASE WHEN x IS NULL THEN NULL WHEN x < low THEN low WHEN x > high THEN high ELSE x END")
	for _, s := range statements {
		o.do(s)
	}
	return o
}

func (o *oracle) do(statement string) {
	o.t.Helper()
	if _, err := o.db.Exec(statement); err != nil {
		o.t.Fatalf("%v\n%s", err, statement)
	}
}

// rows runs a query and gives its values: nil, bool, int64, float64 or string.
func (o *oracle) rows(query string) [][]any {
	o.t.Helper()
	rows, err := o.db.Query(query)
	if err != nil {
		o.t.Fatalf("%v\n%s", err, query)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		o.t.Fatal(err)
	}
	all := [][]any{}
	for rows.Next() {
		row := make([]any, len(names))
		into := make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			o.t.Fatal(err)
		}
		for i := range row {
			row[i] = plain(row[i])
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	return all
}

// number is a query for one number.
func (o *oracle) number(query string) float64 {
	o.t.Helper()
	return number(o.rows(query)[0][0])
}

func plain(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case *big.Int:
		return v.Int64() // sums here are far below 2^63
	case interface{ Float64() float64 }: // a decimal
		return v.Float64()
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return v
}

func number(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	panic(fmt.Sprintf("%v (%T) is no number", v, v))
}

// key writes a group key so that the API's and the oracle's forms are equal.
func key(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// bounded writes the query that counts at most k rows of a patient at a hospital in
// a group, as internal/fragment defines it, over a query for rows; see
// testdata/eicu.questions. The centers are those of x1, x2, …
func (o *oracle) bounded(rows string, k int, centers map[int]int64) string {
	o.t.Helper()
	var keys, parts, cells []string
	for _, column := range o.rows("DESCRIBE " + rows) {
		name, kind := column[0].(string), column[1].(string)
		switch {
		case regexp.MustCompile(`^k\d$`).MatchString(name):
			keys = append(keys, name)
		case regexp.MustCompile(`^x\d$`).MatchString(name):
			n, _ := strconv.Atoi(name[1:])
			p, c := partOf(n, k, kind, centers[n])
			parts, cells = append(parts, p...), append(cells, c...)
		case name != "hospital" && name != "patient":
			o.t.Fatalf("the rows have a column %s", name)
		}
	}
	list := func(all ...string) string { return strings.Join(all, ", ") }
	groups := list(append([]string{"hospital", "patient"}, keys...)...)
	by := ""
	if len(keys) > 0 {
		by = "GROUP BY " + list(keys...)
	}
	return fmt.Sprintf(`WITH
parts AS (SELECT %s FROM (%s) GROUP BY %s),
cells AS (SELECT %s FROM parts %s)
`,
		list(append([]string{groups, "count(*) AS r"}, parts...)...), rows, groups,
		list(append(slices.Clone(keys), append([]string{"count(*) AS patients", fmt.Sprintf("sum(least(r, %d))::BIGINT AS rows", k)}, cells...)...)...), by)
}

// partOf gives a patient's part of xN in a group, and how parts add up.
func partOf(n, k int, kind string, center int64) (parts, cells []string) {
	f := func(format string) string {
		return strings.NewReplacer("{n}", strconv.Itoa(n), "{k}", strconv.Itoa(k), "{c}", strconv.FormatInt(center, 10)).Replace(format)
	}
	parts = append(parts, f("count(x{n}) AS c{n}"))
	cells = append(cells, f("sum(least(c{n}, {k}))::BIGINT AS n{n}"))
	weighed := "{s} * least(1, {k} / c{n})"
	switch {
	case kind == "DOUBLE" || kind == "FLOAT" || strings.HasPrefix(kind, "DECIMAL"):
	case strings.HasSuffix(kind, "INT") || strings.HasSuffix(kind, "INTEGER"):
		weighed = "sign({s}) * ((abs({s}) * least({k}, c{n})) // c{n})"
	default: // only counted
		return parts, cells
	}
	parts = append(parts, f("sum(x{n}) AS t{n}"))
	sum := func(s string) string {
		return "coalesce(sum(CASE WHEN c{n} > 0 THEN " + strings.ReplaceAll(weighed, "{s}", s) + " END), 0)"
	}
	cells = append(cells,
		f(sum("t{n}")+" AS s{n}"),
		f("{c} + "+sum("(t{n} - {c} * c{n})")+" / sum(least(c{n}, {k})) AS m{n}"))
	return parts, cells
}
