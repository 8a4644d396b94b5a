package planner

import (
	"errors"
	"testing"
)

// A query can neither read nor write names that planning makes for itself.
func TestMadeNamesAreNotWritten(t *testing.T) {
	for sql, want := range map[string]Code{
		`SELECT a.n, b.n FROM (SELECT COUNT(*) AS n FROM patient) a, "release 1" b`:               CodeTable,
		`SELECT a.n, b.x FROM (SELECT COUNT(*) AS n FROM patient) a JOIN "public 1" b ON b.x = 1`: CodeTable,
		`SELECT COUNT(*) AS " order" FROM patient`:                                                CodeSyntax,
		`SELECT " released".n FROM (SELECT COUNT(*) AS n FROM patient) a`:                         CodeSyntax,
		"SELECT COUNT(*) FROM patient ` derived`":                                                 CodeSyntax,
	} {
		_, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}, federation(t, "eicu"))
		if refused := new(Error); !errors.As(err, &refused) || refused.Code != want {
			t.Errorf("%s: %v, not %s", sql, err, want)
		}
	}
}

// Columns with the same name get different names in the relation that reads them, whatever the other columns are
// called.
func TestColumnsOfOneName(t *testing.T) {
	const rows = 100
	p := compose(t, `SELECT a, b, c FROM (SELECT COUNT(*) AS "x 3", COUNT(*) * 2 AS x, COUNT(*) * 3 AS x FROM patient) t (a, b, c)`, 1)
	answer, err := p.Finish(exactCells(t, p, rows), 0.95)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{rows, 2 * rows, 3 * rows} {
		if got := answer.Rows[0][i].Value.Int64(); got != want {
			t.Errorf("column %d is %d, not %d", i, got, want)
		}
	}
}
