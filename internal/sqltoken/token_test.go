package sqltoken

import (
	"strings"
	"testing"
	"time"
)

func TestStatements(t *testing.T) {
	for _, test := range []struct {
		sql  string
		want []string // statements
	}{
		{"", nil}, {" ; ;-- nothing", nil}, {"SELECT 1", []string{"SELECT 1"}}, {"BEGIN; SELECT ';' ;", []string{"BEGIN", "SELECT ';'"}},
		{`SELECT "a;b"; SELECT $x$;$x$; SELECT E'\';'`, []string{`SELECT "a;b"`, "SELECT $x$;$x$", `SELECT E'\';'`}},
		{"SELECT /* ; /* ; */ ; */ 1 -- ;\n; SELECT 2", []string{"SELECT /* ; /* ; */ ; */ 1 -- ;", "SELECT 2"}}, {"SELECT 'open; ", []string{"SELECT 'open;"}},
	} {
		var got []string
		for _, s := range Statements(test.sql) {
			got = append(got, s.Text)
			if !strings.HasPrefix(test.sql[s.Start:], s.Text) {
				t.Errorf("%q: the statement %q does not begin at %d", test.sql, s.Text, s.Start)
			}
		}
		if strings.Join(got, "|") != strings.Join(test.want, "|") {
			t.Errorf("%q has the statements %q, not %q", test.sql, got, test.want)
		}
	}
}

func TestTokens(t *testing.T) {
	for sql, want := range map[string]string{
		"a.b::int4>=-1":        "a . b :: int4 >= - 1",
		"x !~* 'y'||$1":        "x !~* 'y' || $1",
		"1e3 .5 a-1":           "1e3 .5 a - 1",
		"a--b\n+c":             "a + c",
		`"A""b" É$1`:           `"A""b" é$1`,
		"a<>/* c */b":          "a <> b",
		"f(x)->>'y'":           "f ( x ) ->> 'y'",
		"SELECT*FROM t":        "select * from t",
		"relname OPERATOR(~) ": "relname operator ( ~ )",
	} {
		var got []string
		for _, token := range Tokens(sql) {
			got = append(got, token.Text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q has the tokens %q, not %q", sql, strings.Join(got, " "), want)
		}
	}
	for text, want := range map[string]string{`'it''s'`: "it's", `E'a\'b\\'`: `a'b\`, "$t$x'y$t$": "x'y", "''": ""} {
		if got := Tokens(text)[0].Value(); got != want {
			t.Errorf("%s stands for %q, not %q", text, got, want)
		}
	}
}

// TestTokensAreFast: no text of the allowed length takes the lexer long, because nothing can interrupt it.
func TestTokensAreFast(t *testing.T) {
	const most = 64 << 10
	for _, part := range []string{"+", "-", "/", "~+", "/\x00+", "/*", "/*/", "--", "--\n", "$a$", "$a", "$", "E'", "'", "''", "\"", "\"\"", "(", "::", ".", "1e", "1.", "1e+", "a.", "\\", "E'\\", "U&'", "é", "\xff", "?", ":a", "$1", "[", "@", "#", "\x00"} {
		for _, before := range []string{"", "'", "/*", "$b$", "a", "/\x00"} {
			sql := before + strings.Repeat(part, most/len(part))
			started := time.Now()
			Tokens(sql)
			Statements(sql)
			if d := time.Since(started); d > time.Second {
				t.Errorf("%q and then %q, repeated, take %v", before, part, d)
			}
		}
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"SELECT 1; SELECT 'a", "$a$b", "E'\\", "/*/**/", `"`, "a::b", "$1$", "\xff;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		end := 0
		for _, token := range Tokens(sql) {
			if token.Start < end || token.End <= token.Start || token.End > len(sql) {
				t.Fatalf("a token from %d to %d after %d, of %d bytes", token.Start, token.End, end, len(sql))
			}
			end = token.End
			// A byte that is not UTF-8 becomes three bytes in lower case.
			if len(token.Name()) > 3*len(sql) || len(token.Value()) > 3*len(sql) {
				t.Fatalf("the token %+v stands for more than there is", token)
			}
		}
		for _, s := range Statements(sql) {
			if len(s.Tokens) == 0 || !strings.HasPrefix(sql[s.Start:], s.Text) {
				t.Fatalf("the statement %+v", s)
			}
		}
	})
}
