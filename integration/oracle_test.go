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

// rows runs a query and returns its values: nil, bool, int64, float64 or string.
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

// number runs a query for one number.
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

// cells writes the query that adds rows up by their keys k1, k2, …, over a query for rows, as testdata/eicu.questions
// describes. It also returns the largest number of rows of a patient at a hospital, and of groups. Of a patient's rows
// at a hospital, at most most count; 0: all.
func (o *oracle) cells(rows string, most int) (sql string, maxRows, maxGroups int) {
	o.t.Helper()
	var keys, sums []string
	for _, column := range o.rows("DESCRIBE " + rows) {
		name, kind := column[0].(string), column[1].(string)
		switch {
		case regexp.MustCompile(`^k\d$`).MatchString(name):
			keys = append(keys, name)
		case regexp.MustCompile(`^x\d$`).MatchString(name):
			n := strings.TrimPrefix(name, "x")
			sums = append(sums, fmt.Sprintf("count(x%[1]s) AS n%[1]s", n))
			if regexp.MustCompile(`INT|INTEGER|DOUBLE|FLOAT|DECIMAL`).MatchString(kind) {
				sums = append(sums, fmt.Sprintf("coalesce(sum(x%[1]s), 0) AS s%[1]s, avg(x%[1]s) AS m%[1]s", n))
			}
		case name != "hospital" && name != "patient":
			o.t.Fatalf("the rows have a column %s", name)
		}
	}
	by, group := "", "''"
	if len(keys) > 0 {
		by, group = "GROUP BY "+strings.Join(keys, ", "), "("+strings.Join(keys, ", ")+", 0)"
	}
	largest := o.rows(fmt.Sprintf("SELECT max(r), max(g) FROM (SELECT count(*) AS r, count(DISTINCT %s) AS g FROM (%s) GROUP BY hospital, patient)", group, rows))[0]
	if most > 0 {
		rows = fmt.Sprintf("SELECT * FROM (%s) QUALIFY row_number() OVER (PARTITION BY hospital, patient) <= %d", rows, most)
	}
	columns := append(slices.Clone(keys), append([]string{"count(DISTINCT (hospital, patient)) AS patients", "count(*) AS rows"}, sums...)...)
	return fmt.Sprintf("WITH cells AS (SELECT %s FROM (%s) %s)\n", strings.Join(columns, ", "), rows, by), int(number(largest[0])), int(number(largest[1]))
}
