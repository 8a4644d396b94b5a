package fragment

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/expr/exprtest"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// TestClosure draws dependencies, and compares their closure with the result of adding them one after the other.
func TestClosure(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		d, n := newDependencies(3), 3+r.IntN(5)
		for range n - 3 {
			d.attribute()
		}
		type one struct {
			from []int
			to   int
		}
		var all []one
		for range r.IntN(10) {
			o := one{to: r.IntN(n)}
			for range r.IntN(4) {
				o.from = append(o.from, r.IntN(n)) // sometimes twice the same
			}
			d.add(o.to, o.from...)
			all = append(all, o)
		}
		of := []int{r.IntN(n), r.IntN(n)}[:r.IntN(3)]
		want := make([]bool, n)
		for _, a := range of {
			want[a] = true
		}
		for range all {
			for _, o := range all {
				holds := true
				for _, a := range o.from {
					holds = holds && want[a]
				}
				want[o.to] = want[o.to] || holds
			}
		}
		if got := d.closure(of...); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v: closure of %v is %v, not %v", all, of, got, want)
		}
	}
}

// joins draws selects over small tables, and rows of these tables that keep the promises of the catalog.
type joins struct {
	*rand.Rand
	t       *testing.T
	catalog *catalog.Catalog
}

func newJoins(t *testing.T, seed uint64) *joins {
	return &joins{rand.New(rand.NewPCG(seed, 5)), t, testcatalog.Parse(t, testcatalog.YAML("catalog: test",
		testcatalog.Person("a: {type: int}"), testcatalog.Keyed("stay", "a: {type: int}"), testcatalog.Rows("lab", "a: {type: int}"),
		testcatalog.Public("place", "place", "a: {type: int}")))}
}

// table draws rows of a table: ints up to 2, and NULLs where they are allowed.
func (j *joins) table(name string) Rows {
	var out Rows
	t, _ := j.catalog.Table(name)
	for _, c := range t.Columns {
		out.Names = append(out.Names, c.Name)
	}
	seen := map[string]bool{}
	for range 2 + j.IntN(6) {
		var row, key []value.Value
		for _, c := range t.Columns {
			v := value.Int(int64(j.IntN(3)))
			if c.Nullable && j.IntN(4) == 0 {
				v = value.Null(value.TypeInt)
			}
			row = append(row, v)
			if containsFold(t.Key, c.Name) {
				key = append(key, v)
			}
		}
		if len(key) > 0 && seen[rowKey(key)] {
			continue
		}
		seen[rowKey(key)] = true
		out.Values = append(out.Values, row)
	}
	return out
}

// query is a derived relation: plain rows, groups, or a list of values.
func (j *joins) query() *Query {
	at := []string{"stay", "lab", "person"}[j.IntN(3)]
	id, a := col(at, "id", value.TypeInt), col(at, "a", value.TypeInt)
	d := &Query{Relations: []Relation{{Name: at, Table: at}}, Patient: "id", Columns: []Output{plainOutput("id", id), plainOutput("a", a)}}
	switch j.IntN(7) {
	case 0: // as LATERAL groups by what ties it
		d.Grouped = true
	case 1:
		d.Grouped, d.Columns[1] = true, Output{Name: "a", Function: FunctionMin, Expr: a}
	case 2:
		d.Columns[1] = plainOutput("a", exprtest.Int(int64(j.IntN(3))))
	case 3:
		return j.list()
	case 4:
		return j.fullJoin(at, []string{"stay", "lab", "person"}[j.IntN(3)])
	}
	return d
}

// list is a list of values, each once, of which some may be NULL.
func (j *joins) list() *Query {
	d := &Query{SetOp: SetOpUnion}
	for range 2 + j.IntN(2) {
		row := &Query{}
		for _, name := range []string{"id", "a"} {
			v := value.Int(int64(j.IntN(3)))
			if j.IntN(2) == 0 {
				v = value.Null(value.TypeInt)
			}
			row.Columns = append(row.Columns, plainOutput(name, expr.Literal(v)))
		}
		d.Inputs = append(d.Inputs, row)
	}
	return d
}

// fullJoin is what FULL JOIN is written out as.
func (j *joins) fullJoin(one, other string) *Query {
	sameA := j.IntN(2) == 0
	arm := func(first, second string) *Query {
		id, a := col("first", "id", value.TypeInt), col("first", "a", value.TypeInt)
		on := eq(j.t, id, col("second", "id", value.TypeInt))
		if sameA {
			on = exprtest.New(j.t, expr.OpAnd, on, eq(j.t, a, col("second", "a", value.TypeInt)))
		}
		return &Query{Relations: []Relation{{Name: "first", Table: first}, {Name: "second", Table: second, Join: JoinLeft, On: on}}, Patient: "id",
			Columns: []Output{plainOutput("id", id), plainOutput("a", a)}}
	}
	left, right := arm(one, other), arm(other, one)
	right.Filter = exprtest.New(j.t, expr.OpIsNull, col("second", "id", value.TypeInt))
	if j.IntN(2) == 0 { // the column of the other side
		left.Columns[1].Expr, right.Columns[1].Expr = col("second", "a", value.TypeInt), col("first", "a", value.TypeInt)
	}
	return &Query{SetOp: SetOpUnionAll, Inputs: []*Query{left, right}, Patient: "id"}
}

// column draws a column of a relation, often the one of the patient's id or of the key.
func (j *joins) column(r Relation) *expr.Expr {
	names := []string{"id", "id", "a"}
	switch r.Table {
	case "stay":
		names = append(names, "stay", "stay")
	case "place":
		names = []string{"place", "place", "a"}
	}
	return col(r.Name, names[j.IntN(len(names))], value.TypeInt)
}

func (j *joins) condition(r Relation, before []Relation) *expr.Expr {
	other := j.column(before[j.IntN(len(before))])
	switch j.IntN(8) {
	case 0:
		return eq(j.t, j.column(r), exprtest.Int(int64(j.IntN(3))))
	case 1:
		return exprtest.New(j.t, expr.OpLess, other, exprtest.Int(2))
	case 2:
		return exprtest.New(j.t, expr.OpIsNull, other)
	}
	return eq(j.t, j.column(r), other)
}

func (j *joins) relations() (all []Relation, filter *expr.Expr) {
	for i := range 2 + j.IntN(3) {
		r := Relation{Name: fmt.Sprint("r", i), Table: []string{"person", "stay", "stay", "lab", "place", ""}[j.IntN(6)]}
		if r.Table == "" {
			r.Query = j.query()
		}
		if i > 0 {
			r.Join = []Join{JoinInner, JoinLeft, JoinLeft, JoinCross}[j.IntN(4)]
		}
		if r.Join == JoinInner || r.Join == JoinLeft {
			r.On = j.condition(r, all)
			for range j.IntN(3) {
				r.On = exprtest.New(j.t, expr.OpAnd, r.On, j.condition(r, all))
			}
		}
		all = append(all, r)
		if j.IntN(3) == 0 {
			if c := j.condition(r, all); filter == nil {
				filter = c
			} else {
				filter = exprtest.New(j.t, expr.OpAnd, filter, c)
			}
		}
	}
	return all, filter
}

// TestDependenciesHold draws joins and rows: what Check says of any rows holds of these. It says of a relation that its
// rows are the patient's, and that the patient, rows of other relations or given columns determine its row. It says of
// a column that the patient determines its value, and of some columns of all relations that they are a key.
func TestDependenciesHold(t *testing.T) {
	t.Parallel()
	said := map[string]int{}
	for seed := range uint64(20_000) {
		j := newJoins(t, seed%50)
		j.Rand = rand.New(rand.NewPCG(seed, 7))
		relations, filter := j.relations()
		on := NewMemo(nil).assumed(j.catalog)
		s, err := newScope(relations, on, 0)
		if err != nil {
			t.Fatal(err)
		}
		conditions := conditionsOf(relations, filter)
		first := -1
		for i, r := range s.relations {
			if first < 0 && !r.table.Public && !r.optional {
				first = i
			}
		}
		if first < 0 || s.checkLinked(conditions) != nil {
			continue
		}
		links, single := s.links(conditions), s.singleRow(conditions)
		var given []*expr.Expr
		for range j.IntN(4) {
			given = append(given, j.column(relations[j.IntN(len(relations))]))
		}
		if r := s.relations[j.IntN(len(relations))]; j.IntN(4) == 0 {
			for _, c := range r.table.Columns {
				given = append(given, col(r.Name, c.Name, c.Type))
			}
		}
		of := s.strictDependencies(s.links(conditions, given...), given...)
		ofPatient, ofAll := of.rows(of.patient), of.rows()
		whole := &Query{Relations: relations, Filter: filter}
		for _, r := range s.relations {
			for _, c := range r.table.Columns {
				whole.Columns = append(whole.Columns, plainOutput(r.Name+"."+c.Name, col(r.Name, c.Name, c.Type)))
			}
		}
		keys := s.strictDependencies(links).keysOfSelect(whole)
		for range 3 {
			tables := map[string]Rows{}
			joined := (&evaluation{table: func(name string) Rows {
				if _, ok := tables[name]; !ok {
					tables[name] = j.table(name)
				}
				return tables[name]
			}}).joinRows(relations, filter, nil)
			holds := claims{t: t, said: said, seen: map[string]string{}, of: func() string { return describedJoins(relations, filter) }}
			for at, row := range joined.rows {
				values := func(exprs []*expr.Expr) (all []value.Value) {
					for _, e := range exprs {
						all = append(all, joined.evaluate(e, row))
					}
					return all
				}
				for k, key := range keys {
					var of []*expr.Expr
					for _, name := range key {
						relation, column, _ := strings.Cut(name, ".")
						of = append(of, col(relation, column, value.TypeInt))
					}
					holds.claim("key", fmt.Sprint(k, values(of)), fmt.Sprint(at))
				}
				patient := joined.evaluate(col(relations[first].Name, "id", value.TypeInt), row).String()
				present := make([]bool, len(relations))
				for i, r := range s.relations {
					present[i] = r.table.Public || row[i] >= 0
					if !r.table.Public && row[i] >= 0 {
						holds.claim("linked", fmt.Sprint(i, patient), patient, joined.evaluate(col(r.Name, "id", value.TypeInt), row).String())
					}
					if ofPatient[i] {
						holds.claim("given", fmt.Sprint(i, patient, values(given)), fmt.Sprint(row[i]))
					}
					if ofAll[i] {
						holds.claim("given of all", fmt.Sprint(i, values(given)), fmt.Sprint(row[i]))
					}
					if single[i] {
						holds.claim("single", fmt.Sprint(i, patient), fmt.Sprint(row[i]))
					}
					for _, c := range r.table.Columns {
						if s.determinedByPatient(r.Name, c.Name, single) {
							holds.claim("determined", fmt.Sprint(i, c.Name, patient), joined.evaluate(col(r.Name, c.Name, c.Type), row).String())
						}
					}
				}
				d := s.dependenciesAmong(links, present, false)
				for root, r := range s.relations {
					if r.table.Public || !present[root] {
						continue
					}
					for i, known := range d.rows(d.patient, root) {
						if known && present[i] && !s.relations[i].table.Public {
							holds.claim("by a root", fmt.Sprint(i, root, row[root], present, patient), fmt.Sprint(row[i]))
						}
					}
				}
			}
		}
	}
	for _, what := range []string{"linked", "single", "determined", "by a root", "given", "given of all", "key"} {
		if said[what] < 1000 {
			t.Errorf("%s: said %d times", what, said[what])
		}
	}
	t.Log(said)
}

// claims records, for each thing that must be unique, the value that was found.
type claims struct {
	t    *testing.T
	said map[string]int
	seen map[string]string
	of   func() string
}

func (c claims) claim(what, of string, values ...string) {
	c.said[what]++
	for _, v := range values {
		before, ok := c.seen[what+" "+of]
		if ok && before != v {
			c.t.Fatalf("%s: %s is %s and %s in\n%s", what, of, before, v, c.of())
		}
		c.seen[what+" "+of] = v
	}
}

func describedJoins(relations []Relation, filter *expr.Expr) string {
	d := &Query{Relations: relations, Filter: filter, Columns: []Output{plainOutput("id", exprtest.Int(1))}}
	return strings.ReplaceAll(d.String(), "\n", "\n  ")
}

// TestNullKeys asks what a key says where it is NULL: of a table, that a left join found no row; of a list, which may
// hold a row of NULLs, nothing.
func TestNullKeys(t *testing.T) {
	j := newJoins(t, 1)
	few := exprtest.New(t, expr.OpLess, col("x", "a", value.TypeInt), exprtest.Int(1))
	for _, tc := range []struct {
		right Relation
		key   []string
		want  bool
	}{
		{Relation{Table: "place"}, []string{"place"}, true},
		{Relation{Query: j.list()}, []string{"id", "a"}, false},
	} {
		tc.right.Name, tc.right.Join, tc.right.On = "y", JoinLeft, few
		s, err := NewScope([]Relation{{Name: "x", Table: "lab"}, tc.right}, j.catalog)
		if err != nil {
			t.Fatal(err)
		}
		var given []*expr.Expr
		for _, name := range tc.key {
			given = append(given, col("y", name, value.TypeInt))
		}
		if got := s.Determines("y", nil, given...); got != tc.want {
			t.Errorf("%v determine their row: %v", tc.key, got)
		}
	}
}

// TestOptionalPublicRows joins rows that multiply with a public row, which some of them may not find. The condition of
// such a join only says something of the rows that find it.
func TestOptionalPublicRows(t *testing.T) {
	j := newJoins(t, 1)
	number := func(relation, column string) *expr.Expr { return col(relation, column, value.TypeInt) }
	relations := []Relation{
		{Name: "x", Table: "stay"},
		{Name: "y", Table: "stay", Join: JoinInner, On: eq(t, number("x", "id"), number("y", "id"))},
		{Name: "p", Table: "place", Join: JoinLeft, On: exprtest.New(t, expr.OpAnd,
			eq(t, number("p", "place"), exprtest.Int(1)), eq(t, number("p", "a"), number("x", "stay")))},
	}
	caps, err := Caps(relations, nil, j.catalog, NewMemo(nil))
	if err != nil || len(caps) != 2 {
		t.Errorf("%d relations are capped, %v, not 2", len(caps), err)
	}
}
