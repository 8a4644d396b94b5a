package expr_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/expr"
)

func TestRegexp(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`^I2[0-5]\.\d`, `^I2[0-5]\.[0-9]`}, {`a.b`, "a[^\n]b"}, {`(?s)a.b`, "a(?:[^\n]|\n)b"}, {`(?i)é1`, `[Éé]1`}, {`[^a]`, `[^a]`},
		{`[[:alpha:]_-]`, `[\-A-Z_a-z]`}, {`\w+?`, `[0-9A-Z_a-z]+`}, {`(a|b)*c{2,}`, `[ab]*c{2,}`}, {`(?:ab|c|)d`, `(?:ab|c)?d`}, {`(ab)?`, `(?:ab)?`},
		{`a$|^b`, `a$|^b`}, {`x(a|bc)`, `x(?:a|bc)`}, {`\Aa\z`, `^a$`}, {`[\]\\^]`, `[\\-\^]`}, {`\$5`, `\$5`}, {`(?P<n>ab){3}`, `(?:ab){3}`},
		{`((a+)+)`, `(?:a+)+`}, {`[\s\S]`, "(?:[^\n]|\n)"}, {`\Q.*\E`, `\.\*`}, {`a{0}b`, `a{0}b`}, {`a{0,1}`, `a{0,1}`}, {`(?i)k`, "[Kk\u212a]"},
	} {
		if got, err := expr.Regexp(c.pattern, false); got != c.want || err != nil {
			t.Errorf("%s is written %s, %v, want %s", c.pattern, got, err, c.want)
		}
	}
	for _, pattern := range []string{``, `(`, `\bx`, `x\B`, `(?m)^x`, `(?=x)`, `(x)\1`, `x**`, `x{101}`, `(?:x{50}){50}`, `[^\x00-\x{10ffff}]`, "a\x00", `\x00`, `[\x00-\x1f]`,
		`^*`, `()`, `(|)`, `x||()*`, `\pL`, strings.Repeat("x", 1001), `\C`, "a\xff"} {
		if got, err := expr.Regexp(pattern, false); !errors.Is(err, expr.ErrExpression) {
			t.Errorf("%q is written %q, %v, want ErrExpression", pattern, got, err)
		}
	}
}

func TestLikeRegexp(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`a%_\%b`, "^a(?:[^\n]|\n)*(?:[^\n]|\n)%b$"}, {`%`, "^(?:[^\n]|\n)*$"}, {`.`, `^\.$`}, {``, `^$`},
	} {
		if got, err := expr.LikeRegexp(c.pattern); got != c.want || err != nil {
			t.Errorf("%s is written %q, %v, want %q", c.pattern, got, err, c.want)
		}
	}
}

// FuzzRegexp: the printed pattern is its own portable form, and matches the same texts as the original.
func FuzzRegexp(f *testing.F) {
	for _, p := range []string{`^I2[0-5]\.\d`, `(?i)a|[^b-y]+$`, `((a?){3}|b|)*c`, `[\]\\^&-]`, `(?s).{2,5}$`, `\D\S\W`} {
		f.Add(p, "I21.9 aXé\n", true)
	}
	f.Fuzz(func(t *testing.T, pattern, text string, fold bool) {
		printed, err := expr.Regexp(pattern, fold)
		if err != nil {
			return
		}
		if again, err := expr.Regexp(printed, false); err != nil || again != printed {
			t.Fatalf("%q is printed %q, and that %q, %v", pattern, printed, again, err)
		}
		flags := ""
		if fold {
			flags = "(?i)"
		}
		meant, err := regexp.Compile(flags + pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := regexp.MustCompile(printed).MatchString(text), meant.MatchString(text); got != want {
			t.Fatalf("%q, printed %q, matches %q: %t, want %t", pattern, printed, text, got, want)
		}
	})
}
