package planner

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/dp"
	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/planner/syntax"
)

// federation returns the federation that the golden files plan against.
func federation(t testing.TB, name string) Federation {
	t.Helper()
	c, err := catalog.Load("testdata/eicu.yaml")
	if name == "omop" {
		c, err = catalog.OMOP(), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return Federation{Catalog: c, Hospitals: []string{"lyon", "rennes", "lille"}, Accounting: dp.ZCDP}
}

// today is the day that the goldens assume.
var today = time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)

// TestGolden reads testdata/plan. Each section is one query against the catalog `eicu` or `omop`. The result is its
// plan, or its refusal with the position in the text.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata/plan", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			q := Query{SQL: d.Input, Ask: Ask{Epsilon: 1, Delta: 1e-6}, Today: today}
			for name, into := range map[string]*float64{"epsilon": &q.Epsilon, "delta": &q.Delta} {
				if d.HasArg(name) {
					var text string
					d.ScanArgs(t, name, &text)
					x, err := strconv.ParseFloat(text, 64)
					if err != nil {
						t.Fatal(err)
					}
					*into = x
				}
			}
			if d.HasArg("accuracy") { // half-width or share%, expected values (0: unknown)
				var target, of string
				d.ScanArgs(t, "accuracy", &target, &of)
				a := Accuracy{Confidence: 0.95, HalfWidth: numberOf(t, strings.TrimSuffix(target, "%")), Of: numberOf(t, of)}
				if strings.HasSuffix(target, "%") {
					a.Relative, a.HalfWidth = true, a.HalfWidth/100
				}
				q.Accuracy, q.MaxEpsilon = &a, 5
			}
			if d.HasArg("weights") { // column, weight, column, weight ...
				q.Weights = map[string]int{}
				for i, arg := range d.CmdArgs {
					if arg.Key == "weights" {
						for j := 0; j+1 < len(d.CmdArgs[i].Vals); j += 2 {
							q.Weights[arg.Vals[j]] = int(numberOf(t, arg.Vals[j+1]))
						}
					}
				}
			}
			if d.HasArg("max_groups") {
				d.ScanArgs(t, "max_groups", &q.MaxGroups)
			}
			if d.HasArg("max_rows") {
				d.ScanArgs(t, "max_rows", &q.MaxRows)
			}
			p, err := (*Program)(nil), error(nil)
			if q.Statement, err = syntax.ParseIn(q.SQL, dialectOf(t, d)); err == nil {
				fed := federation(t, d.Cmd)
				if d.HasArg("sealed") { // max_sites, hospitals, covered or masked
					var most, hospitals, how string
					d.ScanArgs(t, "sealed", &most, &hospitals, &how)
					fed.Accounting, fed.Covered, fed.Masked = dp.ZCDP, true, how == "masked"
					fed.Catalog.MaxSites, fed.Hospitals = int(numberOf(t, most)), nil
					for i := range int(numberOf(t, hospitals)) {
						fed.Hospitals = append(fed.Hospitals, fmt.Sprintf("h%d", i))
					}
				}
				p, err = Compose(q, fed)
			}
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("%s: %v is no *Error", d.Pos, err)
				}
				return fmt.Sprintf("%s\n%s\n", e.Caret(d.Input), err)
			}
			return describeProgram(p)
		})
	})
}

func numberOf(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func describeProgram(p *Program) string {
	if p.post == nil {
		return describeAll(p.Releases[0])
	}
	var b strings.Builder
	b.WriteString(p.Describe())
	for i, c := range p.Columns {
		fmt.Fprintf(&b, "%-10s %s %s: %s\n", "column", c.Name, c.Type, p.post.columns[i].name)
	}
	for _, o := range p.post.order {
		fmt.Fprintf(&b, "%-10s %s\n", "order by", o.Expr.Column)
	}
	if p.post.limit >= 0 || p.post.offset > 0 {
		fmt.Fprintf(&b, "%-10s %d from %d\n", "limit", p.post.limit, p.post.offset)
	}
	for _, e := range p.Expected(0.95) {
		b.WriteString(expected(e))
	}
	return b.String()
}

func describeAll(p *Plan) string {
	var b strings.Builder
	b.WriteString(p.Describe())
	for _, c := range p.Columns {
		fmt.Fprintf(&b, "%-10s %s %s: %s\n", "column", c.Name, c.Type, c.expr)
	}
	if p.having != nil {
		fmt.Fprintf(&b, "%-10s %s\n", "having", p.having)
	}
	for _, o := range p.order {
		direction := ""
		if o.Descending {
			direction = " DESC"
		}
		fmt.Fprintf(&b, "%-10s %s%s\n", "order by", o.Expr, direction)
	}
	if p.limit >= 0 || p.offset > 0 {
		fmt.Fprintf(&b, "%-10s %d from %d\n", "limit", p.limit, p.offset)
	}
	for _, e := range p.Expected(0.95) {
		b.WriteString(expected(e))
	}
	return b.String()
}

func expected(e Expected) string {
	half := ""
	if !math.IsNaN(e.HalfWidth) {
		half = fmt.Sprintf(" ±%.4g", e.HalfWidth)
	}
	return fmt.Sprintf("%-10s %s%s %s\n", "expected", e.Column, half, e.Note)
}

// TestGoldensAreMany counts the queries whose plan or refusal is a golden.
func TestGoldensAreMany(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*")
	if err != nil {
		t.Fatal(err)
	}
	sections, refusals := len(goldenQueries(t)), 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		refusals += strings.Count(string(text), " at line ")
	}
	t.Logf("%d goldens, %d of them refusals", sections, refusals)
	if sections < 400 {
		t.Errorf("%d goldens, not 400", sections)
	}
}

// goldenQueries lists the SQL of every golden.
func goldenQueries(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/plan/*")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?ms)^(?:eicu|omop)[^\n]*\n(.*?)\n----$`).FindAllStringSubmatch(string(text), -1) {
			all = append(all, m[1])
		}
	}
	return all
}

// A text that some databases cannot store is refused wherever it occurs, by name and position.
func TestRefusesNUL(t *testing.T) {
	fed := federation(t, "eicu")
	for _, c := range []struct {
		sql  string
		code Code
		at   int
	}{
		{"SELECT COUNT(*) FROM patient WHERE gender = 'a\x00b'", CodeSyntax, 46},
		{"SELECT COUNT(*) AS \"a\x00b\" FROM patient", CodeSyntax, 21},
		{"SELECT COUNT(*) FROM patient WHERE gender = $1", CodeParameter, 44},
	} {
		q := Query{SQL: c.sql, Ask: Ask{Epsilon: 1, Delta: 1e-6}}
		if strings.Contains(c.sql, "$1") {
			q.Parameters = map[string]value.Value{"1": value.Text("\x00")}
		}
		_, err := Compose(q, fed)
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Offset != c.at || strings.Contains(e.Error(), "\x00") {
			t.Errorf("%q: %v", c.sql, err)
		}
	}
}

// TestStaysByUnit checks that rows by groups have the same noise as the total, whatever the number of groups. It is the
// noise of an expert who clips patients to the length of three rows, plus 1/40 for measuring what was left out.
func TestStaysByUnit(t *testing.T) {
	fed := federation(t, "eicu")
	fed.Hospitals, fed.Accounting = fed.Hospitals[:2], dp.ZCDP
	for sql, want := range map[string]float64{"SELECT COUNT(*) FROM patient": 25, "SELECT unittype, COUNT(*) FROM patient GROUP BY unittype": 25} {
		p, err := Build(Query{SQL: sql, Ask: Ask{Epsilon: 0.5, Delta: 1e-6, MaxRows: 3}}, fed)
		if err != nil {
			t.Fatal(err)
		}
		if p.Sites != 2 || p.Expected(0.95)[0].HalfWidth != want {
			t.Errorf("%s: ± %v at %d hospitals, want ± %v", sql, p.Expected(0.95)[0].HalfWidth, p.Sites, want)
		}
	}
}

// dialectOf is the dialect of a section.
func dialectOf(t *testing.T, d *datadriven.TestData) syntax.Dialect {
	name := ""
	if d.HasArg("dialect") {
		d.ScanArgs(t, "dialect", &name)
	}
	return syntax.Dialect(name)
}
