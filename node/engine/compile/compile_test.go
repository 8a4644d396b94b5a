package compile_test

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

func target(t *testing.T, d *compile.Dialect) *compile.Target {
	t.Helper()
	c := testcatalog.Parse(t, enginetest.WardCatalog)
	return &compile.Target{Dialect: d, Catalog: c, Hospital: "St. Mary's", Table: func(t *catalog.Table, columns []string) (string, bool) {
		if d == compile.DuckDB {
			return "logical." + t.Name, true
		}
		return "(SELECT " + strings.Join(columns, ", ") + " FROM " + t.Name + ")", true
	}}
}

// compiled returns the SQL of a fragment.
func compiled(t *testing.T, to *compile.Target, f *fragment.Fragment) string {
	t.Helper()
	p, err := fragment.Check(f, to.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	sql, err := to.Fragment(f, p)
	if err != nil {
		t.Fatal(err)
	}
	return sql
}

func TestFragment(t *testing.T) {
	for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
		to, fragments := target(t, d), enginetest.Shapes()
		datadriven.RunTest(t, "testdata/"+strings.ToLower(d.String()), func(t *testing.T, at *datadriven.TestData) string {
			f, ok := fragments[at.CmdArgs[0].Key]
			if !ok {
				t.Fatalf("there is no fragment %s", at.CmdArgs[0].Key)
			}
			delete(fragments, at.CmdArgs[0].Key)
			return compiled(t, to, f)
		})
		for name := range fragments {
			t.Errorf("testdata/%s lacks %s", d.String(), name)
		}
	}
}

func TestEveryOperation(t *testing.T) {
	for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
		for _, op := range expr.Ops() {
			if !d.Writes(op) {
				t.Errorf("%s has no way to write %s", d, op)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	to := target(t, compile.DuckDB)
	to.Table = func(*catalog.Table, []string) (string, bool) { return "", false }
	shape := enginetest.Shapes()["no-keys"]
	proof, err := fragment.Check(shape, to.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Fragment(shape, proof); !errors.Is(err, compile.ErrNotOffered) {
		t.Errorf("a fragment over a table without source gives %v", err)
	}
	to = target(t, compile.DuckDB)
	long := []*expr.Expr{expr.Column("p", "sex", value.TypeText)}
	for i := range 9_000 {
		long = append(long, expr.Literal(value.Text(strings.Repeat("x", 150)+strconv.Itoa(i))))
	}
	in := func(n int) *expr.Expr {
		x, err := expr.New(expr.OpIn, long[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	f := enginetest.Shapes()["count"]
	f.Filter = in(9_000)
	p, err := fragment.Check(f, to.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Fragment(f, p); !errors.Is(err, compile.ErrTooLarge) {
		t.Errorf("a very large expression gives %v", err)
	}
	// Many expressions that are each within the limit.
	d := &fragment.Query{Relations: f.Relations, Columns: []fragment.Output{{Name: "p", Expr: f.Patient}}, Patient: "p"}
	for i := range 24 {
		d.Columns = append(d.Columns, fragment.Output{Name: "c" + strconv.Itoa(i), Expr: in(4_000)})
	}
	f = &fragment.Fragment{
		Version: fragment.Version, Relations: []fragment.Relation{{Name: "d", Query: d}}, Patient: expr.Column("d", "p", f.Patient.Type),
		Partials: f.Partials[:1], Norm: fragment.L2, MaxGroups: 1, MaxRows: 1,
	}
	if p, err = fragment.Check(f, to.Catalog); err != nil {
		t.Fatal(err)
	}
	if s, err := to.Fragment(f, p); !errors.Is(err, compile.ErrTooLarge) {
		t.Errorf("many large expressions give %d bytes, %v", len(s), err)
	}
}

// TestBeside checks that on Trino a select of joined rows computes beside the joins, not inside them, unless all of it
// is short. A long condition that a left join must test itself is refused.
func TestBeside(t *testing.T) {
	in := func(relation, column string, n int) *expr.Expr {
		args := []*expr.Expr{expr.Column(relation, column, value.TypeText)}
		for i := range n {
			args = append(args, expr.Literal(value.Text(strings.Repeat("x", 20)+strconv.Itoa(i))))
		}
		x, err := expr.New(expr.OpIn, args...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	and := func(a, b *expr.Expr) *expr.Expr {
		x, err := expr.New(expr.OpAnd, a, b)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	on, err := expr.New(expr.OpEqual, expr.Column("e", "id", value.TypeInt), expr.Column("p", "id", value.TypeInt))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		join    fragment.Join
		n       int // the number of texts in each place
		arrays  int
		refused bool
	}{{fragment.JoinInner, 10, 0, false}, {fragment.JoinInner, 500, 3, false}, {fragment.JoinLeft, 10, 0, false}, {fragment.JoinLeft, 500, 0, true}} {
		to := target(t, compile.Trino)
		f := &fragment.Fragment{
			Version: fragment.Version, Relations: []fragment.Relation{{Name: "p", Table: "person"}, {Name: "e", Table: "event", Join: c.join, On: and(on, in("e", "kind", c.n))}},
			Patient: expr.Column("p", "id", value.TypeInt), Filter: in("p", "sex", c.n), Norm: fragment.L2, MaxGroups: 1, MaxRows: 1,
			Partials: []fragment.Partial{{Kind: fragment.PartialPatients}, {Kind: fragment.PartialPatients, Expr: in("e", "kind", c.n+1)}},
		}
		p, err := fragment.Check(f, to.Catalog)
		if err != nil {
			t.Fatal(err)
		}
		sql, err := to.Fragment(f, p)
		if errors.Is(err, compile.ErrTooLarge) != c.refused || err != nil && !c.refused {
			t.Errorf("%s join, %d texts: %v", c.join, c.n, err)
		}
		if n := strings.Count(sql, "ARRAY["); err == nil && n != c.arrays {
			t.Errorf("%s join, %d texts: %d are computed beside it, not %d:\n%.3000s", c.join, c.n, n, c.arrays, sql)
		}
		for _, line := range strings.Split(sql, "\n") {
			if c.arrays > 0 && len(line) > 600 && !strings.Contains(line, "CROSS JOIN UNNEST(") {
				t.Errorf("%s join: it computes in its own place: %.300s", c.join, line)
			}
		}
	}
}

// TestOnce nests operations whose guards read their operands several times. Their SQL must grow in proportion, not
// exponentially.
func TestOnce(t *testing.T) {
	n, x, s, day := expr.Column("p", "id", value.TypeInt), expr.Column("e", "free", value.TypeFloat), expr.Column("e", "kind", value.TypeText), expr.Column("e", "day", value.TypeDate)
	one, half := expr.Literal(value.Int(1)), expr.Literal(value.Float(0.5))
	op := func(op expr.Op, args ...*expr.Expr) *expr.Expr {
		e, err := expr.New(op, args...)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	cast := func(e *expr.Expr, to value.Type) *expr.Expr {
		c, err := expr.Cast(e, to)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const depth = 40
	for name, step := range map[string]struct {
		from *expr.Expr
		f    func(e *expr.Expr) *expr.Expr
	}{
		"abs": {n, func(e *expr.Expr) *expr.Expr { return op(expr.OpAbs, e) }}, "negate": {n, func(e *expr.Expr) *expr.Expr { return op(expr.OpNegate, e) }},
		"add":  {n, func(e *expr.Expr) *expr.Expr { return op(expr.OpAdd, e, one) }},
		"div":  {n, func(e *expr.Expr) *expr.Expr { return op(expr.OpIntDivide, e, n) }},
		"mod":  {n, func(e *expr.Expr) *expr.Expr { return op(expr.OpModulo, n, e) }},
		"sqrt": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpSqrt, e) }}, "exp": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpExp, e) }},
		"power": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpPower, e, half) }}, "of power": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpPower, half, e) }},
		"multiply": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpMultiply, e, x) }}, "divide": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpDivide, x, e) }},
		"round": {x, func(e *expr.Expr) *expr.Expr { return op(expr.OpRound, e, expr.Literal(value.Int(3))) }},
		"whole": {x, func(e *expr.Expr) *expr.Expr { return cast(cast(e, value.TypeInt), value.TypeFloat) }},
		"lower": {s, func(e *expr.Expr) *expr.Expr { return op(expr.OpLower, e) }},
		"replace": {s, func(e *expr.Expr) *expr.Expr {
			return op(expr.OpReplace, e, expr.Literal(value.Text("a")), expr.Literal(value.Text("bb")))
		}},
		"split": {s, func(e *expr.Expr) *expr.Expr {
			return op(expr.OpSplit, e, expr.Literal(value.Text("a")), one)
		}},
		"substring": {s, func(e *expr.Expr) *expr.Expr { return op(expr.OpSubstring, e, n, n) }},
		"digits":    {s, func(e *expr.Expr) *expr.Expr { return cast(cast(e, value.TypeInt), value.TypeText) }},
		"months": {day, func(e *expr.Expr) *expr.Expr {
			return op(expr.OpAddMonths, e, op(expr.OpMonths, e, day))
		}},
		"days": {day, func(e *expr.Expr) *expr.Expr { return op(expr.OpAdd, e, n) }},
		"make_date": {day, func(e *expr.Expr) *expr.Expr {
			return op(expr.OpMakeDate, op(expr.OpExtract, expr.Literal(value.Text("year")), e), n, n)
		}},
		"is null": {x, func(e *expr.Expr) *expr.Expr {
			return op(expr.OpCase, op(expr.OpIsNull, op(expr.OpMultiply, e, x)), x, op(expr.OpAdd, x, e))
		}},
		"nullif": {n, func(e *expr.Expr) *expr.Expr { // the planner's form of NULLIF(-e, 1)
			e = op(expr.OpNegate, e)
			return op(expr.OpCase, op(expr.OpEqual, e, one), n, e)
		}},
	} {
		e := step.from
		levels := depth
		if name == "months" || name == "is null" { // the expression itself doubles
			levels = 5
		}
		if name == "nullif" {
			levels = 12
		}
		for range levels {
			e = step.f(e)
		}
		relations := []fragment.Relation{{Name: "p", Table: "person"}, {Name: "e", Table: "event", Join: fragment.JoinCross}}
		for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
			sql, err := target(t, d).Expressions(relations, e)
			if err != nil {
				t.Errorf("%s on %s: %v", name, d, err)
				continue
			}
			if most := levels * 6_000; name != "months" && name != "is null" && len(sql[0]) > most {
				t.Errorf("%s on %s: %d bytes at %d levels", name, d, len(sql[0]), levels)
			}
			if name == "split" && strings.Contains(sql[0], "split_part(") != (d != compile.DuckDB) {
				t.Errorf("DuckDB's split_part is a macro that doubles, and others have no string_split: %s", sql[0])
			}
			t.Logf("%s on %s: %d bytes", name, d, len(sql[0]))
		}
	}
}

// TestTextLikeVariable writes texts and names that look like the names of let. If one were replaced, the replacement
// would stand outside its quotes, and the researcher could write SQL.
func TestTextLikeVariable(t *testing.T) {
	op := func(op expr.Op, args ...*expr.Expr) *expr.Expr {
		e, err := expr.New(op, args...)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	text := func(s string) *expr.Expr { return expr.Literal(value.Text(s)) }
	injected := op(expr.OpConcat, text(" || (SELECT current_user) || "), text(strings.Repeat(" ", 200)))
	kind := expr.Column("p", "sex", value.TypeText)
	quotes := regexp.MustCompile(`'(?:[^']|'')*'`)
	for n := 1; n <= 4; n++ {
		like := text("let" + strconv.Itoa(n) + "_")
		marked := text("\x00let" + strconv.Itoa(n) + "_")
		for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
			relations := []fragment.Relation{{Name: "p", Table: "person"}}
			for _, e := range []*expr.Expr{
				op(expr.OpConcat, injected, like), op(expr.OpConcat, like, injected),
				op(expr.OpEqual, op(expr.OpConcat, injected, kind), like),
				op(expr.OpCase, op(expr.OpEqual, kind, like), injected, op(expr.OpConcat, injected, like, kind)),
			} {
				sql, err := target(t, d).Expressions(relations, e)
				if err != nil {
					t.Fatal(err)
				}
				if bare := quotes.ReplaceAllString(sql[0], ""); strings.Contains(bare, "current_user") || strings.Contains(bare, "'") || strings.Contains(bare, "\x00") {
					t.Errorf("%s: %s", d, sql[0])
				}
			}
			if _, err := target(t, d).Expressions(relations, op(expr.OpConcat, kind, marked)); !errors.Is(err, compile.ErrLiteral) {
				t.Errorf("%s: a text with the mark of a name gives %v", d, err)
			}
		}
	}
}

// TestLinesOfTexts checks that texts with several lines are not indented with the SQL around them.
func TestLinesOfTexts(t *testing.T) {
	text := "first\nsecond\n\n third"
	for _, d := range []*compile.Dialect{compile.DuckDB, compile.PostgreSQL, compile.Trino} {
		f := enginetest.Shapes()["count"]
		f.Relations = []fragment.Relation{{Name: "d", Query: &fragment.Query{
			Relations: f.Relations, Patient: "id",
			Columns: []fragment.Output{{Name: "id", Expr: f.Patient}, {Name: "t", Expr: expr.Literal(value.Text(text))}},
		}}}
		f.Patient = expr.Column("d", "id", f.Patient.Type)
		equal, err := expr.New(expr.OpEqual, expr.Column("d", "t", value.TypeText), expr.Literal(value.Text(text)))
		if err != nil {
			t.Fatal(err)
		}
		f.Filter = equal
		to := target(t, d)
		sql := compiled(t, to, f)
		if n := strings.Count(sql, "'"+text+"'"); n != 2 || strings.Contains(sql, "\x00") {
			t.Errorf("%s: the text stands %d times in\n%s", d, n, sql)
		}
	}
}

// TestPulled checks that a select is kept apart if a column would grow exponentially from one derived relation to the
// next, because the engine replaces columns by their definitions.
func TestPulled(t *testing.T) {
	for name, d := range map[string]*compile.Dialect{"DuckDB": compile.DuckDB, "PostgreSQL": compile.PostgreSQL} {
		for levels, apart := range map[int]bool{1: false, 4: true} {
			f := enginetest.Shapes()["undeclared"]
			relations, patient, kind := f.Relations, f.Patient, f.Keys[0].Expr
			for range levels {
				grown, err := expr.New(expr.OpConcat, kind, kind, kind, kind, kind, kind, kind, kind)
				if err != nil {
					t.Fatal(err)
				}
				relations = []fragment.Relation{{Name: "d", Query: &fragment.Query{Relations: relations, Patient: "p",
					Columns: []fragment.Output{{Name: "p", Expr: patient}, {Name: "k", Expr: grown}}}}}
				patient, kind = expr.Column("d", "p", patient.Type), expr.Column("d", "k", value.TypeText)
			}
			f = &fragment.Fragment{Version: fragment.Version, Relations: relations, Patient: patient, Keys: []fragment.Key{{Expr: kind}}, Partials: f.Partials[:1], Norm: fragment.L2, MaxGroups: 1, MaxRows: 1}
			to := target(t, d)
			p, err := fragment.Check(f, to.Catalog)
			if err != nil {
				t.Fatal(err)
			}
			sql, err := to.Fragment(f, p)
			if err != nil || strings.Contains(sql, "OFFSET 0\n") != (apart || d == compile.PostgreSQL) {
				t.Errorf("%s, %d levels: %v\n%.3000s", name, levels, err, sql)
			}
		}
	}
}

// Each sum is at least as long as all that is counted, which is written once for all of them: the statement of 40 means
// is about 4 times as long as that of 10.
func TestManyMeans(t *testing.T) {
	to := target(t, compile.Trino)
	length := func(n int) int {
		f := enginetest.Shapes()["no-keys"]
		var sum fragment.Partial
		for _, p := range f.Partials {
			if p.Kind == fragment.PartialSum {
				sum = p
			}
		}
		f.Partials = nil
		for i := range n {
			x := sum.Expr
			is := &expr.Expr{Op: expr.OpGreater, Type: value.TypeBool, Args: []*expr.Expr{x, expr.Literal(value.Int(int64(i)))}}
			one := &expr.Expr{Op: expr.OpCase, Type: x.Type, Args: []*expr.Expr{is, x, expr.Literal(value.Null(x.Type))}}
			of := sum
			of.Expr = one
			f.Partials = append(f.Partials, fragment.Partial{Kind: fragment.PartialValues, Expr: one, Share: 1}, of)
		}
		return len(compiled(t, to, f))
	}
	if few, many := length(10), length(40); many > 5*few {
		t.Errorf("10 means make a statement of %d bytes, and 40 one of %d", few, many)
	}
}
