package planner

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/planner/syntax"
)

// hint is a kind of hint that a test can apply to a statement.
type hint struct {
	pattern *regexp.Regexp
	apply   func(sql string, at Position, found []string) string
}

// replaced replaces the marked text.
func replaced(sql string, at Position, by string) string {
	return sql[:at.Offset] + by + sql[at.Offset+at.Length:]
}

// joined adds a condition to the ON after a table, or to WHERE if there is none.
func joined(sql string, at Position, condition string) string {
	rest := sql[at.Offset:]
	on := regexp.MustCompile(`(?i)^[^()]*? ON `).FindString(rest)
	if on == "" || strings.Contains(rest, " OR ") || regexp.MustCompile(`(?i) JOIN `).MatchString(on) {
		return conditioned(sql, at, condition)
	}
	return sql[:at.Offset] + on + condition + " AND " + rest[len(on):]
}

// conditioned adds a condition to the innermost query around a position.
func conditioned(sql string, at Position, condition string) string {
	upper := strings.ToUpper(sql)
	start, depth := 0, 0
	for i := at.Offset - 1; i >= 0 && start == 0; i-- {
		switch {
		case sql[i] == ')':
			depth++
		case sql[i] == '(' && depth > 0:
			depth--
		case sql[i] == '(' && strings.HasPrefix(upper[i+1:], "SELECT"):
			start = i + 1
		}
	}
	where, end := -1, len(sql)
	depth = 0
	for i := start; i < len(sql); i++ {
		switch {
		case sql[i] == '(':
			depth++
		case sql[i] == ')' && depth == 0:
			end = i
		case sql[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(upper[i:], " WHERE ") && where < 0:
			where = i + len(" WHERE ")
		case depth == 0 && regexp.MustCompile(`^ (GROUP BY|ORDER BY|HAVING|LIMIT|UNION|EXCEPT|INTERSECT) `).MatchString(upper[i:]):
			end = i
		}
		if end < len(sql) {
			break
		}
	}
	if where < 0 {
		return sql[:end] + " WHERE " + condition + sql[end:]
	}
	return sql[:where] + "(" + sql[where:end] + ") AND " + condition + sql[end:]
}

// hints are the hints that say exactly what to write. Other hints only suggest what to consider.
var hints = []hint{
	{regexp.MustCompile(`^did you mean ([a-z_]+)`), func(sql string, at Position, f []string) string {
		marked := sql[at.Offset : at.Offset+at.Length]
		word := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(marked[strings.LastIndexByte(marked, '.')+1:]) + `\b`)
		return word.ReplaceAllString(sql, f[1]) // everywhere
	}},
	{regexp.MustCompile(`^(\w+) before it is read as a name; did you mean (\w+)\?`), func(sql string, _ Position, f []string) string {
		return regexp.MustCompile(`(?i)\b`+f[1]+`\b`).ReplaceAllString(sql, f[2])
	}},
	{regexp.MustCompile(`^write [A-Z_]+\(CLAMP\(([a-z_.]+), lowest, highest\)\)`), func(sql string, at Position, f []string) string {
		return sql[:at.Offset] + "CLAMP(" + f[1] + ", 0, 20)" + sql[at.Offset+len(f[1]):]
	}},
	{regexp.MustCompile(`^write WHERE (\S+ BETWEEN \S+ '[^']*' AND \S+ '[^']*')`), func(sql string, at Position, f []string) string {
		return conditioned(sql, at, f[1])
	}},
	{regexp.MustCompile(`^add (?:WHERE )?([a-z_.]+ (?:= [a-z_.]+|IS NOT NULL))( to the subquery.*)?$`), func(sql string, at Position, f []string) string {
		if i := strings.Index(sql[at.Offset:], "(SELECT"); f[2] != "" && i >= 0 {
			at.Offset += i + len("(SELECT")
		}
		return joined(sql, at, f[1])
	}},
	{regexp.MustCompile(`such as ([a-z_.]+ = '\w+')$`), func(sql string, at Position, f []string) string { return conditioned(sql, at, f[1]) }},
	{regexp.MustCompile(`^write (CAST\([a-z][a-z_.]{2,} AS [a-z]+\)|[a-z_]+ - DATE '[^']*'|DATEDIFF\(day, DATE '[^']*', [a-z_]+\)|YEAR\([a-z_]+\))`),
		func(sql string, at Position, f []string) string { return replaced(sql, at, f[1]) }},
	{regexp.MustCompile(`^add it to GROUP BY, or aggregate it, such as ([A-Z]+\([a-z_.]+\))$`), func(sql string, at Position, f []string) string {
		return replaced(sql, at, f[1])
	}},
	{regexp.MustCompile(`^write COUNT\(\*\)$`), func(sql string, at Position, _ []string) string {
		rest := sql[at.Offset+at.Length:]
		return sql[:at.Offset] + "COUNT(*)" + rest[strings.IndexByte(rest, ')')+1:]
	}},
	{regexp.MustCompile(`^write (IS NULL)$`), func(sql string, at Position, f []string) string {
		rest := strings.TrimLeft(sql[at.Offset+at.Length:], "=<>! ")
		return strings.TrimRight(sql[:at.Offset], " ") + " " + f[1] + strings.TrimPrefix(rest, "NULL")
	}},
}

// TestHints applies the hint of each refusal in the goldens and plans the result. It must be planned, or refused for
// another reason. A hint that leads to the same refusal is useless.
func TestHints(t *testing.T) {
	applied, planned := 0, 0
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "omop" && d.Cmd != "eicu" || len(d.CmdArgs) > 0 {
				return d.Expected
			}
			fed := federation(t, d.Cmd)
			refusal := refused(t, d.Input, fed)
			if refusal == nil {
				return d.Expected
			}
			for _, h := range hints {
				found := h.pattern.FindStringSubmatch(refusal.Hint)
				if found == nil {
					continue
				}
				applied++
				sql := h.apply(d.Input, refusal.Position, found)
				switch again := refused(t, sql, fed); {
				case again == nil:
					planned++
				case again.Message == refusal.Message || again.Code == syntax.CodeSyntax:
					t.Errorf("%s: %s\n%v\nwritten as the hint says:\n%s\n%v", d.Pos, d.Input, refusal, sql, again)
				}
				break
			}
			return d.Expected
		})
	})
	if applied < 40 || planned < 25 {
		t.Errorf("%d hints were applied, and %d of the statements planned: the patterns are stale", applied, planned)
	}
	t.Logf("%d hints applied, %d of the statements planned", applied, planned)
}

// refused returns how a statement is refused; nil if it is planned.
func refused(t *testing.T, sql string, f Federation) *Error {
	_, err := Compose(Query{SQL: sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}, Today: today}, f)
	if err == nil {
		return nil
	}
	refusal := new(Error)
	if !errors.As(err, &refusal) {
		t.Fatalf("%s: %v", sql, err)
	}
	return refusal
}
