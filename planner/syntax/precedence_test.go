package syntax

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // reads SQL with PostgreSQL's grammar

	"github.com/intramuros/intramuros/internal/value"
)

// TestPrecedence checks that we read expressions like an engine with PostgreSQL's grammar. Random expressions without
// parentheses, and the same written with all parentheses from our tree, must have one value.
func TestPrecedence(t *testing.T) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r := rand.New(rand.NewPCG(1, 2))
	read, refused := 0, 0
	for range 10000 {
		text := "SELECT " + randomExpression(r)
		want, err := evaluate(t.Context(), db, text)
		if err != nil {
			continue // not valid SQL, or its types do not fit
		}
		s, err := Parse(text)
		if err != nil {
			refused++
			continue
		}
		read++
		full := "SELECT " + duckdb.Replace(s.Query.Select.Items[0].Term.sql())
		if got, err := evaluate(t.Context(), db, full); err != nil || got != want {
			t.Errorf("%s\nis %s, but as we read it,\n%s\nis %s (%v)", text, want, full, got, err)
		}
	}
	t.Logf("%d read, %d refused", read, refused)
	if read < 1000 || refused > read/4 {
		t.Errorf("%d of the expressions were read and %d refused: too few are compared", read, refused)
	}
}

// duckdb renames functions that DuckDB calls differently.
var duckdb = strings.NewReplacer(`"coalesce"(`, `coalesce(`, `"extract"(`, `date_part(`, `"position"('b', 'ab')`, `strpos('ab', 'b')`, ` AS float)`, ` AS double)`)

func evaluate(ctx context.Context, db *sql.DB, query string) (string, error) {
	var x any
	err := db.QueryRowContext(ctx, query).Scan(&x)
	return fmt.Sprintf("%T %v", x, x), err
}

func randomExpression(r *rand.Rand) string {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	value := func() string {
		x := pick("1", "2", "3", "10", "'a'", "'ab'", "'1'", "NULL", "TRUE", "FALSE", "DATE '2020-01-31'", "TIMESTAMP '2020-03-01 10:00:00'",
			"INTERVAL '1' MONTH", "CASE WHEN 1 = 2 THEN 3 ELSE 4 END", "CASE 2 WHEN 1 THEN 'x' END", "(1 + 2)", "(SELECT 7)", "EXTRACT(MONTH FROM DATE '2020-01-31')",
			"LENGTH('abc')", "SUBSTRING('abcd' FROM 2 FOR 2)", "POSITION('b' IN 'ab')", "TRIM(BOTH 'a' FROM 'aba')", "EXISTS (SELECT 1)", "COALESCE(NULL, 2)")
		switch r.IntN(8) {
		case 0:
			x = pick("-", "+", "- -") + x
		case 1:
			x += pick("::int", "::text", "::varchar::int", "::boolean", "::double precision")
		}
		return x
	}
	var b strings.Builder
	for n := 1 + r.IntN(5); n > 0; n-- {
		b.WriteString(pick("", "", "", "", "NOT ") + value())
		switch r.IntN(9) {
		case 0:
			b.WriteString(pick(" IS NULL", " IS NOT NULL"))
		case 1:
			b.WriteString(pick(" IN (1, 2)", " NOT IN ('a', NULL)", " IN (SELECT 1)", " = ANY (SELECT 2)"))
		case 2:
			b.WriteString(pick(" BETWEEN ", " NOT BETWEEN ") + value() + " AND " + value())
		}
		if n > 1 {
			b.WriteString(" " + pick("+", "-", "*", "/", "%", "||", "||", "=", "<>", "<", ">=", "AND", "OR", "AND", "OR", "LIKE", "NOT LIKE", "ILIKE", "SIMILAR TO",
				"IS DISTINCT FROM", "IS NOT DISTINCT FROM") + " ")
		}
	}
	return b.String()
}

// TestSingleOperators checks that a single operator, which is read without sqlparser, is read as sqlparser reads it.
func TestSingleOperators(t *testing.T) {
	x := &Expr{Kind: Literal, Literal: value.Int(7)}
	for _, name := range []string{"and", "or", "+", "-", "*", "/", "%", "div", "not ", "- ", "+ "} {
		var s sequence
		if unary := strings.TrimSuffix(name, " "); unary != name {
			s.operator(unary)
		} else {
			s.operand(x)
			s.operator(name)
		}
		s.operand(x)
		s.frugal = true
		one := s.precedence()
		s.frugal = false
		if all := s.precedence(); one.sql() != all.sql() {
			t.Errorf("%s is read as %s and as %s", name, one.sql(), all.sql())
		}
	}
	text := "1"
	for range 90 {
		text = "(" + text + " + 1)"
	}
	text = "SELECT " + text + strings.Repeat(", "+text, 20)
	allocated := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			if _, err := Parse(text); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1000*int64(len(text)) {
		t.Errorf("%d bytes of SQL take %d bytes to read", len(text), allocated)
	}
}
