package enginetest

import (
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
)

// WardCatalog is a small catalog for tests.
var WardCatalog = testcatalog.YAML(`catalog: ward
hospital_column: true`,
	testcatalog.Person("sex: {type: text, domain: [F, M]}", "age: {type: int, bounds: [0, 120]}"),
	testcatalog.Rows("event",
		"unit: {type: int, bounds: [1, 6]}",
		"kind: {type: text}",
		"x: {type: float, bounds: [-10, 10]}",
		"n: {type: int, bounds: [0, 1000]}",
		"day: {type: date, bounds: [2000-01-01, 2030-12-31]}",
		"urgent: {type: bool}",
		"free: {type: float}",
	),
	`  kinds:
    public: true
    key: kind
    columns:
      kind: {type: text, nullable: false}
      label: {type: text}
`,
)

// KindsCatalog has a column of each type, for tests of how an engine converts its own types.
const KindsCatalog = `
catalog: kinds
tables:
  t:
    patient: id
    columns:
      id: {type: int, nullable: false}
      i: {type: int}
      f: {type: float}
      s: {type: text}
      d: {type: date}
      ts: {type: timestamp}
      b: {type: bool}
`

var (
	evID     = expr.Column("e", "id", value.TypeInt)
	evUnit   = expr.Column("e", "unit", value.TypeInt)
	evKind   = expr.Column("e", "kind", value.TypeText)
	evX      = expr.Column("e", "x", value.TypeFloat)
	evN      = expr.Column("e", "n", value.TypeInt)
	evFree   = expr.Column("e", "free", value.TypeFloat)
	evDay    = expr.Column("e", "day", value.TypeDate)
	evUrgent = expr.Column("e", "urgent", value.TypeBool)
	pID      = expr.Column("p", "id", value.TypeInt)
	pSex     = expr.Column("p", "sex", value.TypeText)
	pAge     = expr.Column("p", "age", value.TypeInt)
	kKind    = expr.Column("k", "kind", value.TypeText)
	kLabel   = expr.Column("k", "label", value.TypeText)

	events  = []fragment.Relation{{Name: "e", Table: "event"}}
	persons = []fragment.Relation{{Name: "p", Table: "person"}}
	both    = append(persons[:1:1], fragment.Relation{Name: "e", Table: "event", Join: fragment.JoinInner, On: op(expr.OpEqual, evID, pID)})
)

func op(o expr.Op, args ...*expr.Expr) *expr.Expr { return must(expr.New(o, args...)) }

func integer(i int64) *expr.Expr { return expr.Literal(value.Int(i)) }
func str(s string) *expr.Expr    { return expr.Literal(value.Text(s)) }

func grid(lower, upper float64, whole, centered bool, maxRows int) *fragment.Grid {
	g, err := fragment.NewGrid(lower, upper, whole, centered, maxRows)
	if err != nil {
		panic(err)
	}
	return &g
}

func domain(values ...value.Value) []value.Value { return values }

// Shapes are fragments over WardCatalog, one for each shape of the generated SQL.
func Shapes() map[string]*fragment.Fragment {
	sex := fragment.Key{Expr: pSex, Domain: domain(value.Text("F"), value.Text("M"))}
	patients, rows := fragment.Partial{Kind: fragment.PartialPatients}, fragment.Partial{Kind: fragment.PartialRows}
	sumX := fragment.Partial{Kind: fragment.PartialSum, Expr: evX, Grid: grid(-10, 10, false, true, 4)}
	m := map[string]*fragment.Fragment{
		"count":        {Relations: persons, Patient: pID, Partials: []fragment.Partial{patients}},
		"one-row":      {Relations: persons, Patient: pID, Keys: []fragment.Key{sex}, Partials: []fragment.Partial{patients, {Kind: fragment.PartialValues, Expr: pAge}, {Kind: fragment.PartialSum, Expr: pAge, Grid: grid(0, 120, true, true, 1)}}},
		"no-keys":      {Relations: events, Patient: evID, Filter: op(expr.OpGreaterOrEqual, evDay, expr.Literal(value.Date(18262))), Partials: []fragment.Partial{patients, rows, {Kind: fragment.PartialValues, Expr: evX}, sumX}},
		"declared":     {Relations: events, Patient: evID, Keys: []fragment.Key{{Expr: evUnit, Domain: domain(value.Int(1), value.Int(2), value.Int(3), value.Int(4), value.Int(5), value.Int(6), value.Null(value.TypeInt))}}, Partials: []fragment.Partial{rows, sumX}},
		"few-groups":   {Relations: events, Patient: evID, Keys: []fragment.Key{{Expr: evKind, Domain: domain(value.Text("it's"), value.Text("b"))}}, Partials: []fragment.Partial{rows}},
		"undeclared":   {Relations: events, Patient: evID, Keys: []fragment.Key{{Expr: evKind}, {Expr: op(expr.OpExtract, expr.Literal(value.Text("year")), evDay)}}, Partials: []fragment.Partial{patients, rows}},
		"person-keys":  {Relations: both, Patient: pID, Keys: []fragment.Key{sex}, Partials: []fragment.Partial{{Kind: fragment.PartialPatients, Expr: evUrgent}, rows}},
		"public-join":  {Relations: append(events[:1:1], fragment.Relation{Name: "k", Table: "kinds", Join: fragment.JoinLeft, On: op(expr.OpEqual, kKind, evKind)}), Patient: evID, Keys: []fragment.Key{{Expr: kLabel}}, Partials: []fragment.Partial{patients}},
		"values":       {Relations: append(events[:1:1], fragment.Relation{Name: "list", Query: values(false), Join: fragment.JoinInner, On: op(expr.OpEqual, expr.Column("list", "k", value.TypeText), evKind)}), Patient: evID, Keys: []fragment.Key{{Expr: expr.Column("list", "label", value.TypeText)}}, Partials: []fragment.Partial{rows, {Kind: fragment.PartialValues, Expr: expr.Column("list", "n", value.TypeInt)}}},
		"overflow":     {Relations: events, Patient: evID, Filter: op(expr.OpLess, op(expr.OpMultiply, evID, evN), integer(10)), Partials: []fragment.Partial{rows}},
		"total":        {Relations: events, Patient: evID, Filter: op(expr.OpGreater, op(expr.OpDivide, op(expr.OpAdd, evFree, evX), op(expr.OpSubtract, evFree, evX)), expr.Literal(value.Float(37.5))), Partials: []fragment.Partial{rows}},
		"text":         {Relations: events, Patient: evID, Filter: op(expr.OpAnd, op(expr.OpLike, evKind, str(`10\% o'%`)), op(expr.OpIn, evKind, str("a"), str("it's; DROP"))), Partials: []fragment.Partial{{Kind: fragment.PartialValues, Expr: must(expr.Cast(evKind, value.TypeFloat))}}},
		"narrow-grid":  {Relations: events, Patient: evID, Partials: []fragment.Partial{{Kind: fragment.PartialSum, Expr: evFree, Grid: grid(0, 50, false, false, 4)}, {Kind: fragment.PartialSum, Expr: evN, Grid: grid(0, 50, true, false, 4)}}},
		"bounds-count": {Relations: events, Patient: evID, Filter: op(expr.OpOr, op(expr.OpEqual, evUnit, integer(6)), op(expr.OpEqual, evUnit, integer(3))), Partials: []fragment.Partial{rows}},
		"hospital":     {Relations: persons, Patient: pID, Keys: []fragment.Key{{Expr: expr.Hospital(), Domain: domain(value.Text("St. Mary's"))}}, Partials: []fragment.Partial{patients}},
	}
	for _, f := range m {
		f.Version, f.Norm, f.MaxGroups, f.MaxRows = fragment.Version, fragment.L2, 3, 4
	}
	return m
}
