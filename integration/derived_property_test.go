package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/duckdb"
)

// Random fragments with derived relations, as a hostile coordinator might send, not made from SQL. Whatever Check
// accepts must keep its promises on any data that keeps the catalog's.

// ward is a random catalog with one hospital's data, in random order.
type ward struct {
	catalog *catalog.Catalog
	rows    map[string][][]datum
	clean   bool // values are in their columns' domains
}

// wardColumns are the tables as a database declares them, with the catalog's types.
var wardColumns = map[string]string{
	"person": "id BIGINT, sex VARCHAR, born BIGINT, place BIGINT",
	"stay":   "stay BIGINT, id BIGINT, days BIGINT, unit VARCHAR",
	"vital":  "stay BIGINT, kind BIGINT, x DOUBLE, y DOUBLE",
	"mark":   "id BIGINT, n BIGINT, t VARCHAR, y DOUBLE, b BOOLEAN",
	"place":  "place BIGINT, region VARCHAR, w DOUBLE",
}

const wardCatalog = `
catalog: ward
hospital_column: true
tables:
  person:
    columns: {id: {type: int}, sex: {type: text, domain: [f, m]}, born: {type: int, bounds: [1990, 1999]}, place: {type: int}}
    patient: id
    ?key: id
    ?one_row_per_patient: true
  stay:
    columns: {stay: {type: int, nullable: false}, id: {type: int}, days: {type: int, bounds: [0, 5]}, unit: {type: text}}
    patient: id
    key: stay
  vital:
    columns: {stay: {type: int, references: stay.stay}, kind: {type: int, bounds: [1, 3]}, x: {type: float, bounds: [-5, 200]}, y: {type: float}}
    patient: stay
  mark:
    columns: {id: {type: int}, n: {type: int}, t: {type: text}, y: {type: float}, b: {type: bool}}
    patient: id
    ?key: [id, n]
  place:
    public: true
    columns: {place: {type: int, nullable: false}, region: {type: text, domain: [north, south]}, w: {type: float, bounds: [0, 1]}}
    ?key: place
`

func newWard(r *rand.Rand) *ward {
	w := &ward{rows: map[string][][]datum{}, clean: r.IntN(2) == 0}
	declares := map[string]bool{}
	var lines []string
	table := ""
	for _, line := range strings.Split(wardCatalog, "\n") {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			table = strings.Trim(line, " :")
		}
		if optional := strings.TrimSpace(line); strings.HasPrefix(optional, "?") {
			if r.IntN(3) == 0 {
				continue
			}
			declares[table+strings.SplitN(optional, ":", 2)[0]] = true
			line = strings.Replace(line, "?", "", 1)
		}
		lines = append(lines, line)
	}
	c, err := catalog.Parse([]byte(strings.Join(lines, "\n")), "ward.yaml")
	if err != nil {
		panic(err) // a mistake of the generator
	}
	w.catalog = c
	pick := func(of ...datum) datum { return of[r.IntN(len(of))] }
	odd := datum("'x'")
	if w.clean {
		odd = "'f'"
	}
	stay, n := 0, 0
	for id := range 2 + r.IntN(4) {
		key := number64(id)
		for range 1 + r.IntN(3)*b2int(!declares["person?key"] && !declares["person?one_row_per_patient"]) {
			w.add("person", key, pick("'f'", "'m'", odd, "NULL"), pick("1990", "1995", "1800", "3000", "NULL"), pick("1", "2", "3", "NULL"))
		}
		for range r.IntN(4) {
			stay++
			w.add("stay", number64(stay), key, pick("0", "1", "5", "-9", "99", "NULL"), pick("'a'", "'b'", "''", "NULL"))
			for range r.IntN(4) {
				w.add("vital", number64(stay), pick("1", "2", "7", "NULL"), pick("0", "0.1", "199.99", "1e300", "'nan'::double", "'-inf'::double", "NULL"), pick("0.5", "-1", "1e308", "'inf'::double", "'nan'::double", "NULL"))
			}
		}
		marks := r.IntN(4)
		if r.IntN(5) == 0 {
			marks = r.IntN(50)
		}
		for range marks {
			n++
			number := pick("0", "1", "2", "9223372036854775807", "NULL")
			if declares["mark?key"] {
				number = number64(n)
			}
			w.add("mark", key, number, pick("'a'", "'A'", "'é'", "''", "NULL"), pick("0", "2.5", "'nan'::double", "'inf'::double", "NULL"), pick("true", "false", "NULL"))
		}
	}
	for range r.IntN(3) { // rows without a patient
		stay++
		w.add("stay", number64(stay), "NULL", pick("1", "NULL"), "'a'")
		if !declares["mark?key"] {
			w.add("mark", "NULL", pick("0", "1"), "'a'", "1", "true")
		}
	}
	for i := range r.IntN(4) {
		place := number64(1 + i)
		if !declares["place?key"] {
			place = pick("1", "2")
		}
		w.add("place", place, pick("'north'", "'south'", "NULL"), pick("0", "0.25", "7", "NULL"))
	}
	return w.shuffled(r)
}

func b2int(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (w *ward) add(table string, row ...datum) { w.rows[table] = append(w.rows[table], row) }

// shuffled is the same data in another order.
func (w *ward) shuffled(r *rand.Rand) *ward {
	o := &ward{w.catalog, map[string][][]datum{}, w.clean}
	for _, table := range sortedKeys(w.rows) {
		rows := slices.Clone(w.rows[table])
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		o.rows[table] = rows
	}
	return o
}

func sortedKeys[V any](m map[string]V) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func (w *ward) filter(keep func(table string, row []datum, i int) bool) *ward {
	o := &ward{w.catalog, map[string][][]datum{}, w.clean}
	for table, rows := range w.rows {
		for i, row := range rows {
			if keep(table, row, i) {
				o.rows[table] = append(o.rows[table], row)
			}
		}
	}
	return o
}

func (w *ward) without(patient datum) *ward {
	stays := map[datum]bool{}
	for _, s := range w.rows["stay"] {
		stays[s[0]] = s[1] == patient
	}
	return w.filter(func(table string, row []datum, _ int) bool {
		switch table {
		case "person", "mark":
			return row[0] != patient
		case "stay":
			return row[1] != patient
		case "vital":
			return !stays[row[0]]
		}
		return true
	})
}

// table reads a table as the catalog says.
func (w *ward) table(name string) fragment.Rows {
	t, _ := w.catalog.Table(name)
	out := fragment.Rows{}
	for _, c := range strings.Split(wardColumns[name], ", ") {
		column, _, _ := strings.Cut(c, " ")
		out.Names = append(out.Names, column)
	}
	for _, row := range w.rows[name] {
		values := make([]value.Value, len(row))
		for i, d := range row {
			c, _ := t.Column(out.Names[i])
			values[i] = read(c, d)
		}
		out.Values = append(out.Values, values)
	}
	return out
}

func (w *ward) open(t *testing.T) *duckdb.Engine {
	t.Helper()
	folder := t.TempDir()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for table, columns := range wardColumns {
		statements := []string{fmt.Sprintf("CREATE TABLE %s (%s)", table, columns)}
		for _, row := range w.rows[table] {
			var cells []string
			for _, d := range row {
				cells = append(cells, string(d))
			}
			statements = append(statements, fmt.Sprintf("INSERT INTO %s VALUES (%s)", table, strings.Join(cells, ", ")))
		}
		statements = append(statements, fmt.Sprintf("COPY %s TO '%s' (FORMAT parquet)", table, filepath.Join(folder, table+".parquet")))
		if _, err := db.Exec(strings.Join(statements, ";")); err != nil {
			t.Fatal(err)
		}
	}
	e, err := duckdb.Open(context.Background(), duckdb.Config{Folder: folder, Threads: 1}, w.catalog, "h0", []byte("the key of the property test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func (w *ward) String() string {
	var b strings.Builder
	for _, table := range sortedKeys(w.rows) {
		t, _ := w.catalog.Table(table)
		fmt.Fprintf(&b, "  %s, key %v, one row %v\n", table, t.Key, t.OneRowPerPatient)
		for _, row := range w.rows[table] {
			fmt.Fprintf(&b, "    %v\n", row)
		}
	}
	return b.String()
}

// forger makes fragments, most of them sound and some hostile.
type forger struct {
	*rand.Rand
	ward *ward
	// size estimates how many rows the reference would read.
	size map[*fragment.Query]int
}

// seen is a relation with its columns.
type seen struct {
	fragment.Relation
	table *catalog.Table
	id    string // the column of the patient's id, if any
	size  int
}

func (f *forger) one(in int) bool { return f.IntN(in) == 0 }

const mostRows = 2000

// relations joins some relations; nil if there would be too many rows.
func (f *forger) relations(depth int) []seen {
	var all []seen
	size := 1
	for i := range 1 + f.IntN(3) {
		s := seen{Relation: fragment.Relation{Name: fmt.Sprintf("r%d", i)}}
		if depth > 0 && f.one(2) {
			d := f.derived(depth-1, nil)
			if d == nil {
				return nil
			}
			t, err := d.Table(s.Name, f.ward.catalog, fragment.NewMemo(expr.NewBudget()))
			if err != nil {
				return nil
			}
			s.Query, s.table, s.id, s.size = d, t, d.Patient, f.size[d]
		} else {
			name := []string{"person", "person", "stay", "stay", "vital", "mark", "mark", "place"}[f.IntN(8)]
			s.table, _ = f.ward.catalog.Table(name)
			s.Table, s.size = name, len(f.ward.rows[name])
			if f.ward.catalog.IsPatientID(name, s.table.Patient) {
				s.id = s.table.Patient
			}
		}
		if size *= max(s.size, 1); size > mostRows {
			return nil
		}
		all = append(all, s)
		if i == 0 {
			continue
		}
		last := &all[i]
		if last.Join = []fragment.Join{fragment.JoinInner, fragment.JoinLeft, fragment.JoinLeft, fragment.JoinCross}[f.IntN(4)]; last.Join == fragment.JoinCross && !last.table.Public && !f.one(8) {
			last.Join = fragment.JoinInner
		}
		if last.Join != fragment.JoinCross {
			last.On = f.on(all)
		}
	}
	return all
}

// on links the last relation to the earlier ones, or does not.
func (f *forger) on(all []seen) *expr.Expr {
	last := all[len(all)-1]
	var conditions []*expr.Expr
	for _, s := range all[:len(all)-1] {
		if s.id != "" && last.id != "" && !f.one(6) {
			conditions = append(conditions, f.equal(s, s.id, last, last.id))
			break
		}
	}
	for _, s := range all[:len(all)-1] {
		for _, key := range []string{"stay", "place"} {
			_, mine := s.table.Column(key)
			_, theirs := last.table.Column(key)
			if mine && theirs && !f.one(4) {
				conditions = append(conditions, f.equal(s, key, last, key))
			}
		}
	}
	if len(conditions) == 0 || f.one(3) {
		if f.one(3) {
			conditions = append(conditions, f.fixed(all))
		} else {
			conditions = append(conditions, f.expr(all, value.TypeBool, 2))
		}
	}
	return f.all(conditions)
}

func (f *forger) all(conditions []*expr.Expr) *expr.Expr {
	if len(conditions) == 1 {
		return conditions[0]
	}
	op := expr.OpAnd
	if f.one(20) {
		op = expr.OpOr
	}
	return f.apply(op, conditions...)
}

func (f *forger) equal(a seen, x string, b seen, y string) *expr.Expr {
	p, _ := a.table.Column(x)
	q, _ := b.table.Column(y)
	if p == nil || q == nil || p.Type != q.Type {
		return expr.Literal(value.Bool(true))
	}
	return f.apply(expr.OpEqual, expr.Column(a.Name, p.Name, p.Type), expr.Column(b.Name, q.Name, q.Type))
}

// fixed equates a column with a constant or with another column.
func (f *forger) fixed(all []seen) *expr.Expr {
	s := all[f.IntN(len(all))]
	c := s.table.Columns[f.IntN(len(s.table.Columns))]
	with := f.literal(c.Type)
	if f.one(3) {
		with = f.expr(all, c.Type, 0)
	}
	return f.apply(expr.OpEqual, expr.Column(s.Name, c.Name, c.Type), with)
}

func (f *forger) apply(op expr.Op, args ...*expr.Expr) *expr.Expr {
	e, err := expr.New(op, args...)
	if err != nil {
		panic(fmt.Sprint(op, args, err)) // a mistake of the generator
	}
	return e
}

func (f *forger) literal(t value.Type) *expr.Expr {
	if f.one(12) {
		return expr.Literal(value.Null(t))
	}
	switch t {
	case value.TypeInt:
		return expr.Literal(value.Int([]int64{0, 1, 1, 2, 5, -3, 1995}[f.IntN(7)]))
	case value.TypeFloat:
		return expr.Literal(value.Float([]float64{0, 0.5, 1, -2.25, 1e300}[f.IntN(5)]))
	case value.TypeBool:
		return expr.Literal(value.Bool(f.one(2)))
	}
	return expr.Literal(value.Text([]string{"", "a", "A", "f", "north"}[f.IntN(5)]))
}

func (f *forger) column(all []seen, t value.Type) *expr.Expr {
	var found []*expr.Expr
	for _, s := range all {
		for _, c := range s.table.Columns {
			if c.Type == t {
				found = append(found, expr.Column(s.Name, c.Name, t))
			}
		}
	}
	if len(found) == 0 {
		return f.literal(t)
	}
	return found[f.IntN(len(found))]
}

func (f *forger) expr(all []seen, t value.Type, depth int) *expr.Expr {
	if depth == 0 || f.one(3) && t != value.TypeBool {
		if f.one(6) {
			return f.literal(t)
		}
		return f.column(all, t)
	}
	sub := func(t value.Type) *expr.Expr { return f.expr(all, t, depth-1) }
	if f.one(8) {
		return f.apply(expr.OpCase, sub(value.TypeBool), sub(t), sub(t))
	}
	if f.one(8) {
		return f.apply([]expr.Op{expr.OpCoalesce, expr.OpLeast, expr.OpGreatest}[f.IntN(3)], sub(t), sub(t))
	}
	switch t {
	case value.TypeInt:
		op := []expr.Op{expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpIntDivide, expr.OpModulo, expr.OpAbs, expr.OpLength, expr.OpCast}[f.IntN(8)]
		switch op {
		case expr.OpAbs:
			return f.apply(op, sub(t))
		case expr.OpLength:
			return f.apply(op, sub(value.TypeText))
		case expr.OpCast:
			e, _ := expr.Cast(sub(value.TypeFloat), t)
			return e
		}
		return f.apply(op, sub(t), sub(t))
	case value.TypeFloat:
		return f.apply([]expr.Op{expr.OpAdd, expr.OpSubtract, expr.OpMultiply, expr.OpDivide}[f.IntN(4)], sub(t), sub(t))
	case value.TypeText:
		return f.apply(expr.OpLower, sub(t))
	}
	of := []value.Type{value.TypeInt, value.TypeInt, value.TypeFloat, value.TypeText}[f.IntN(4)]
	switch f.IntN(7) {
	case 0:
		return f.apply(expr.OpIsNull, sub(of))
	case 1:
		return f.apply(expr.OpNot, sub(t))
	case 2:
		return f.apply([]expr.Op{expr.OpAnd, expr.OpOr}[f.IntN(2)], sub(t), sub(t))
	case 3:
		return f.apply(expr.OpDistinct, sub(of), sub(of))
	case 4:
		return f.apply(expr.OpIn, sub(of), f.literal(of), f.literal(of))
	}
	return f.apply([]expr.Op{expr.OpEqual, expr.OpEqual, expr.OpLess, expr.OpLessOrEqual, expr.OpNotEqual}[f.IntN(5)], sub(of), sub(of))
}

// patientOf is the id of a relation that has one, and seldom something else.
func (f *forger) patientOf(all []seen) *expr.Expr {
	if f.one(20) {
		return f.expr(all, value.TypeInt, 1)
	}
	for _, s := range all {
		if s.id != "" && !f.one(5) {
			c, _ := s.table.Column(s.id)
			return expr.Column(s.Name, c.Name, c.Type)
		}
	}
	return nil
}

func (f *forger) filter(all []seen) *expr.Expr {
	switch f.IntN(4) {
	case 0:
		return nil
	case 1:
		return f.fixed(all)
	}
	return f.expr(all, value.TypeBool, 2)
}

var kinds = []value.Type{value.TypeInt, value.TypeInt, value.TypeFloat, value.TypeText, value.TypeBool}

// derived makes a relation with columns of these types, the first being the patient; nil: any types.
func (f *forger) derived(depth int, types []value.Type) *fragment.Query {
	if types == nil && f.one(6) || f.one(20) {
		return f.list(types)
	}
	if depth > 0 && types == nil && f.one(4) {
		types = []value.Type{value.TypeInt}
		for range f.IntN(3) {
			types = append(types, kinds[f.IntN(len(kinds))])
		}
		d := &fragment.Query{SetOp: []fragment.SetOp{fragment.SetOpUnionAll, fragment.SetOpUnion, fragment.SetOpIntersect, fragment.SetOpExcept}[f.IntN(4)]}
		for range 2 + f.IntN(2) {
			arm := f.derived(depth-1, types)
			if arm == nil {
				return nil
			}
			d.Inputs = append(d.Inputs, arm)
			f.size[d] += f.size[arm]
		}
		d.Patient = d.Inputs[0].Patient
		return d
	}
	all := f.relations(depth)
	if all == nil {
		return nil
	}
	d := &fragment.Query{Filter: f.filter(all), Grouped: f.one(3)}
	private := false
	f.size[d] = 1
	for _, s := range all {
		d.Relations = append(d.Relations, s.Relation)
		private = private || !s.table.Public
		f.size[d] *= max(1, s.size)
	}
	patient := f.patientOf(all)
	if patient == nil {
		patient = f.column(all, value.TypeInt)
	}
	if private {
		d.Patient = "p"
	}
	d.Columns = []fragment.Output{{Name: "p", Expr: patient}}
	windowed := !d.Grouped && !f.one(3)
	for i := range max(len(types)-1, b2int(types == nil)*f.IntN(4)) {
		t := kinds[f.IntN(len(kinds))]
		if types != nil {
			t = types[i+1]
		}
		o := fragment.Output{Expr: f.expr(all, t, 1)}
		if (d.Grouped || windowed) && f.one(2) {
			o = f.function(all, t, patient, windowed)
		}
		o.Name = fmt.Sprintf("c%d", i)
		d.Columns = append(d.Columns, o)
	}
	if !f.one(4) {
		tie(d)
	}
	return d
}

// list makes rows of constants. The first is a number, like the patient's. Seldom something is wrong with them.
func (f *forger) list(types []value.Type) *fragment.Query {
	for range b2int(types == nil) * f.IntN(4) {
		types = append(types, kinds[f.IntN(len(kinds))])
	}
	d := &fragment.Query{SetOp: fragment.SetOpUnionAll}
	for range 1 + f.IntN(4) {
		row := &fragment.Query{Columns: []fragment.Output{{Name: "p", Expr: f.literal(value.TypeInt)}}}
		for i := range max(0, len(types)-1) {
			row.Columns = append(row.Columns, fragment.Output{Name: fmt.Sprintf("c%d", i), Expr: f.literal(types[i+1])})
		}
		if f.one(40) {
			row.Patient = "p"
		}
		f.size[row] = 1
		d.Inputs = append(d.Inputs, row)
	}
	if f.size[d] = len(d.Inputs); len(d.Inputs) == 1 {
		return d.Inputs[0]
	}
	if f.one(10) {
		d.SetOp = fragment.SetOpUnion
	}
	return d
}

// function makes an output of type t from several rows.
func (f *forger) function(all []seen, t value.Type, patient *expr.Expr, windowed bool) fragment.Output {
	choices := []fragment.Function{fragment.FunctionMin, fragment.FunctionMax}
	switch t {
	case value.TypeInt:
		choices = append(choices, fragment.FunctionRows, fragment.FunctionCount, fragment.FunctionDistinct, fragment.FunctionSum)
		if windowed {
			choices = append(choices, fragment.FunctionRowNumber, fragment.FunctionRank, fragment.FunctionDenseRank)
		}
	case value.TypeFloat:
		choices = append(choices, fragment.FunctionSum, fragment.FunctionAverage)
	case value.TypeBool:
		choices = append(choices, fragment.FunctionEvery, fragment.FunctionAny)
	}
	if windowed {
		choices = append(choices, fragment.FunctionLag, fragment.FunctionLead, fragment.FunctionFirst, fragment.FunctionLast)
	}
	o := fragment.Output{Function: choices[f.IntN(len(choices))]}
	switch o.Function {
	case fragment.FunctionRows, fragment.FunctionRowNumber, fragment.FunctionRank, fragment.FunctionDenseRank:
	case fragment.FunctionCount, fragment.FunctionDistinct:
		o.Expr = f.expr(all, kinds[f.IntN(len(kinds))], 1)
	default:
		o.Expr = f.expr(all, t, 1)
	}
	if t == value.TypeFloat && (o.Function == fragment.FunctionSum || o.Function == fragment.FunctionAverage) {
		if o.Grid = f.grid(0); f.one(20) {
			o.Grid = nil
		}
	}
	if !windowed {
		return o
	}
	w := &fragment.Window{Partition: []*expr.Expr{patient}}
	if f.one(3) {
		w.Partition = append(w.Partition, f.expr(all, kinds[f.IntN(len(kinds))], 0))
	}
	if f.one(15) {
		w.Partition = w.Partition[1:]
	}
	for range f.IntN(3) {
		w.Order = append(w.Order, fragment.Order{Expr: f.expr(all, kinds[f.IntN(len(kinds))], 0), Descending: f.one(2), NullsFirst: f.one(2)})
	}
	if o.Function == fragment.FunctionLag || o.Function == fragment.FunctionLead {
		w.Offset = 1 + f.IntN(2)
	}
	if o.Function == fragment.FunctionDistinct {
		w.Order = nil
	} else if len(w.Order) > 0 && f.one(3) {
		w.Frame = &fragment.Frame{From: []int{-fragment.Unbounded, -1, 0, 1}[f.IntN(4)], To: []int{0, 1, fragment.Unbounded}[f.IntN(3)], Values: f.one(3)}
	}
	o.Window = w
	return o
}

// grid is a grid for the numbers at hand, or any grid: a coordinator's grid clamps in any case.
func (f *forger) grid(center int64) *fragment.Grid {
	if f.one(3) {
		lower := int64(f.IntN(100) - 50)
		return &fragment.Grid{Shift: f.IntN(60) - 30, Lower: lower, Upper: lower + int64(f.IntN(1000)), Center: center * lower}
	}
	g, err := fragment.NewGrid(-5, 200, false, center > 0, 3)
	if err != nil {
		panic(err)
	}
	return &g
}

// tie gives the outputs one order, as the planner does, so that they do not depend on the database's order.
func tie(d *fragment.Query) {
	var read []*expr.Expr
	var order *fragment.Window
	for _, o := range d.Columns {
		if o.Expr != nil {
			read = append(read, o.Expr)
		}
		if o.Window != nil {
			if read = append(read, o.Window.Partition...); o.Tied() && order == nil {
				order = o.Window
			}
			for _, by := range o.Window.Order {
				read = append(read, by.Expr)
			}
		}
	}
	for i := range d.Columns {
		if o := &d.Columns[i]; o.Window != nil && o.Tied() {
			o.Window.Partition, o.Window.Order, o.Window.Ties = order.Partition, order.Order, read
		}
	}
}

// fragment makes a fragment, or nil.
func (f *forger) fragment() *fragment.Fragment {
	all := f.relations(2)
	if all == nil {
		return nil
	}
	out := &fragment.Fragment{Version: fragment.Version, Patient: f.patientOf(all), Filter: f.filter(all), Norm: []fragment.Norm{fragment.L1, fragment.L2}[f.IntN(2)], MaxGroups: 1 + f.IntN(3), MaxRows: 1 + f.IntN(3)}
	for _, s := range all {
		out.Relations = append(out.Relations, s.Relation)
	}
	scope, err := fragment.NewScope(out.Relations, f.ward.catalog)
	if err != nil || out.Patient == nil {
		return nil
	}
	for range f.IntN(3) {
		of := all
		if f.one(2) {
			of = all[len(all)-1:]
		}
		e := f.expr(of, kinds[f.IntN(len(kinds))], f.IntN(2))
		k := fragment.Key{Expr: e}
		if f.one(2) {
			k.Domain = scope.Range(e).Domain
		}
		out.Keys = append(out.Keys, k)
	}
	for range 1 + f.IntN(3) {
		switch f.IntN(4) {
		case 0:
			out.Partials = append(out.Partials, fragment.Partial{Kind: fragment.PartialRows})
		case 1:
			out.Partials = append(out.Partials, fragment.Partial{Kind: fragment.PartialPatients, Expr: f.expr(all, value.TypeBool, 1)})
		case 2:
			out.Partials = append(out.Partials, fragment.Partial{Kind: fragment.PartialValues, Expr: f.expr(all, value.TypeFloat, 1)})
		default:
			out.Partials = append(out.Partials, fragment.Partial{Kind: fragment.PartialSum, Expr: f.expr(all, []value.Type{value.TypeInt, value.TypeFloat}[f.IntN(2)], 1), Grid: f.grid(1)})
		}
	}
	if f.one(2) { // what clipping leaves out of one
		beyond := out.Partials[f.IntN(len(out.Partials))]
		beyond.Kind, beyond.Of, beyond.Most = fragment.PartialBeyond, beyond.Kind, 1+f.IntN(4)
		out.Partials = append(out.Partials, beyond)
	}
	return out
}

// forgery is a case: data, a fragment that Check accepts, and a patient.
type forgery struct {
	ward     *ward
	fragment *fragment.Fragment
	proof    *fragment.Proof
	patient  datum
	order    uint64 // of the rows of the data without the patient
}

// forge makes the case of a seed, or reports that a fragment was refused.
func forge(w *ward, r *rand.Rand) (c *forgery, refused bool) {
	f := &forger{r, w, map[*fragment.Query]int{}}
	made := f.fragment()
	if made == nil {
		return nil, false
	}
	b, err := json.Marshal(fragment.Request{Fragment: *made})
	if err != nil {
		panic(err)
	}
	request, err := fragment.DecodeRequest(b) // as a node receives it
	if err != nil {
		panic(err)
	}
	proof, err := fragment.Check(&request.Fragment, w.catalog)
	if err != nil {
		return nil, true
	}
	return &forgery{w, &request.Fragment, proof, number64(r.IntN(5)), r.Uint64()}, false
}

// readRows evaluates what a fragment reads: the patient, the keys, the partials' arguments.
func (c *forgery) readRows(w *ward) [][]value.Value {
	f := c.fragment
	d := &fragment.Query{Relations: f.Relations, Filter: f.Filter, Columns: []fragment.Output{{Name: "patient", Expr: f.Patient}}}
	for i, k := range f.Keys {
		d.Columns = append(d.Columns, fragment.Output{Name: fmt.Sprint("k", i), Expr: k.Expr})
	}
	for i, p := range f.Partials {
		e := p.Expr
		if e == nil {
			e = expr.Literal(value.Bool(true))
		}
		d.Columns = append(d.Columns, fragment.Output{Name: fmt.Sprint("p", i), Expr: e})
	}
	rows := d.Evaluate(w.table, "h0", w.catalog).Values
	return slices.DeleteFunc(rows, func(row []value.Value) bool {
		for i, k := range f.Keys {
			if len(k.Domain) > 0 && !slices.Contains(k.Domain, row[1+i]) {
				return true
			}
		}
		return row[0].IsNull()
	})
}

// vector adds up each group's parts, as the package comment of internal/fragment says.
func (c *forgery) vector(rows [][]value.Value) (cells map[string][]int64, parts map[string]map[string]int) {
	f := c.fragment
	found := map[string]map[string][][]value.Value{} // rows by patient and group
	parts = map[string]map[string]int{}
	for _, row := range rows {
		patient, group := fmt.Sprint(row[0]), fmt.Sprintf("%q", row[1:1+len(f.Keys)])
		if parts[patient] == nil {
			parts[patient], found[patient] = map[string]int{}, map[string][][]value.Value{}
		}
		found[patient][group] = append(found[patient][group], row[1+len(f.Keys):])
		parts[patient][group]++
	}
	cells = map[string][]int64{}
	for _, groups := range found {
		var raw [][]*big.Int
		names := slices.Collect(maps.Keys(groups))
		for _, group := range names {
			var part []*big.Int
			for i, partial := range f.Partials {
				part = append(part, sums(partial, groups[group], i, sound)...)
			}
			raw = append(raw, part)
		}
		for g, part := range c.proof.Clip(f, raw) {
			if cells[names[g]] == nil {
				cells[names[g]] = make([]int64, len(f.Partials))
			}
			for i, x := range part {
				cells[names[g]][i] += x
			}
		}
	}
	for i := range f.Partials {
		if c.proof.Selects(f, i) {
			maps.DeleteFunc(cells, func(_ string, part []int64) bool { return part[i] == 0 })
		}
	}
	return cells, parts
}

// broken says which promise the case breaks; "" if none.
func (c *forgery) broken() string {
	fewer := c.ward.without(c.patient).shuffled(rand.New(rand.NewPCG(c.order, 0)))
	with, without := c.readRows(c.ward), c.readRows(fewer)
	a, parts := c.vector(with)
	b, _ := c.vector(without)
	for patient, groups := range parts {
		rows := 0
		for _, n := range groups {
			rows += n
		}
		switch {
		case c.proof.OneRow && rows > 1:
			return fmt.Sprintf("patient %s has %d rows, and was to have one", patient, rows)
		case c.proof.KeysPerPatient && len(groups) > 1, c.proof.Unclipped && len(groups) > c.proof.Groups:
			return fmt.Sprintf("patient %s is in %d groups, and was to be in at most %d", patient, len(groups), c.proof.Groups)
		}
	}
	length := 0.0
	for _, k := range sortedKeys(merged(a, b)) {
		zero := make([]int64, len(c.fragment.Partials))
		x, y := zero, zero
		if a[k] != nil {
			x = a[k]
		}
		if b[k] != nil {
			y = b[k]
		}
		for i := range x {
			v := math.Abs(float64(x[i]-y[i])) / float64(c.proof.Sizes[i])
			if c.fragment.Norm == fragment.L2 {
				v *= v
			}
			length += float64(c.proof.NormWeight(c.fragment, i)) * v
		}
	}
	if limit := float64(c.proof.NormLimit(c.fragment)); length > limit*(1+1e-12) {
		return fmt.Sprintf("the vector changes by a length of %g, more than %g", length, limit)
	}
	if x, y := c.others(with, 0), c.others(without, 0); !slices.Equal(x, y) {
		return fmt.Sprintf("others' rows change\nfrom %v\nto   %v", x, y)
	}
	return c.belied(c.fragment.Relations, fewer)
}

// others lists the rows of all patients except one, whose ids are in a column; below 0, all.
func (c *forgery) others(rows [][]value.Value, id int) []string {
	var all []string
	for _, row := range rows {
		if id < 0 || !row[id].IsNull() && fmt.Sprint(row[id]) != string(c.patient) {
			all = append(all, fmt.Sprintf("%q", row))
		}
	}
	slices.Sort(all)
	return all
}

func merged(a, b map[string][]int64) map[string][]int64 {
	all := map[string][]int64{}
	for _, m := range []map[string][]int64{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// belied searches a derived relation whose rows contradict what is known of it.
func (c *forgery) belied(relations []fragment.Relation, fewer *ward) string {
	for _, r := range relations {
		if r.Query == nil {
			continue
		}
		if why := c.denied(r.Query, fewer); why != "" {
			return why + "\n" + r.Query.String()
		}
	}
	return ""
}

func (c *forgery) denied(d *fragment.Query, fewer *ward) string {
	t, err := d.Table("d", c.ward.catalog, fragment.NewMemo(expr.NewBudget()))
	if err != nil {
		return err.Error()
	}
	scope, err := fragment.NewScope([]fragment.Relation{{Name: "d", Query: d}}, c.ward.catalog)
	if err != nil {
		return err.Error()
	}
	rows := d.Evaluate(c.ward.table, "h0", c.ward.catalog)
	patients, keys := map[value.Value]int{}, map[string]int{}
	for i, column := range t.Columns {
		facts := scope.Range(expr.Column("d", column.Name, column.Type))
		for _, row := range rows.Values {
			v := row[i]
			outside := !v.IsNull() && column.Type != value.TypeText && (v.Float64() < facts.Lower || v.Float64() > facts.Upper)
			if v.Type() != column.Type || v.IsNull() && !facts.Nullable || outside || c.ward.clean && facts.Domain != nil && !slices.Contains(facts.Domain, v) {
				return fmt.Sprintf("%s is %s, and was to be %+v", column.Name, v, facts)
			}
			if !t.Public && column.Name == t.Patient && !v.IsNull() {
				patients[v]++
			}
		}
	}
	for _, row := range rows.Values {
		key := ""
		null := false
		for i, column := range t.Columns {
			if slices.Contains(t.Key, column.Name) {
				key += fmt.Sprintf("%q", row[i])
				null = null || row[i].IsNull()
			}
		}
		if !null {
			keys[key]++
		}
	}
	for v, n := range patients {
		if n > 1 && t.OneRowPerPatient {
			return fmt.Sprintf("patient %s has %d rows, and was to have one", v, n)
		}
	}
	for k, n := range keys {
		if n > 1 && len(t.Key) > 0 {
			return fmt.Sprintf("%d rows have the key %v %s", n, t.Key, k)
		}
	}
	for _, arm := range d.Inputs {
		if why := c.denied(arm, fewer); why != "" {
			return why
		}
	}
	id := slices.IndexFunc(t.Columns, func(c *catalog.Column) bool { return c.Name == d.Patient })
	if x, y := c.others(rows.Values, id), c.others(d.Evaluate(fewer.table, "h0", fewer.catalog).Values, id); !slices.Equal(x, y) {
		return fmt.Sprintf("others' rows change\nfrom %v\nto   %v", x, y)
	}
	return c.belied(d.Relations, fewer)
}

// shrink removes rows, and parts of the fragment, as long as the case fails.
func (c *forgery) shrink(fails func(*forgery) bool) *forgery {
	attempt := func(smaller *forgery) bool {
		p, err := fragment.Check(smaller.fragment, smaller.ward.catalog)
		if smaller.proof = p; err == nil && fails(smaller) {
			c = smaller
			return true
		}
		return false
	}
	for again := true; again; {
		again = false
		for _, table := range sortedKeys(c.ward.rows) {
			for size := len(c.ward.rows[table]); size > 0; size /= 2 {
				for from := 0; from < len(c.ward.rows[table]); {
					smaller := *c
					smaller.ward = c.ward.filter(func(t string, _ []datum, k int) bool { return t != table || k < from || k >= from+size })
					if attempt(&smaller) {
						again = true
					} else {
						from += size
					}
				}
			}
		}
		change := func(edit func(f *fragment.Fragment)) {
			smaller, f := *c, *c.fragment
			edit(&f)
			smaller.fragment = &f
			again = attempt(&smaller) || again
		}
		if c.fragment.Filter != nil {
			change(func(f *fragment.Fragment) { f.Filter = nil })
		}
		if len(c.fragment.Keys) > 0 {
			change(func(f *fragment.Fragment) { f.Keys = f.Keys[1:] })
		}
		if len(c.fragment.Partials) > 1 {
			change(func(f *fragment.Fragment) { f.Partials = f.Partials[1:] })
			change(func(f *fragment.Fragment) { f.Partials = f.Partials[:1] })
		}
		if n := len(c.fragment.Relations); n > 1 {
			change(func(f *fragment.Fragment) { f.Relations = f.Relations[:n-1] })
		}
	}
	return c
}

func (c *forgery) String() string {
	var b strings.Builder
	for i, r := range c.fragment.Relations {
		fmt.Fprintf(&b, "%s %s AS %s\n", strings.ToUpper(string(r.Join)), r, r.Name)
		if i == 0 {
			continue
		}
	}
	if c.fragment.Filter != nil {
		fmt.Fprintf(&b, "WHERE %s\n", c.fragment.Filter)
	}
	for _, k := range c.fragment.Keys {
		fmt.Fprintf(&b, "GROUP BY %s %v\n", k.Expr, k.Domain)
	}
	for _, p := range c.fragment.Partials {
		fmt.Fprintf(&b, "%s %s\n", p.Kind, p)
	}
	fmt.Fprintf(&b, "patient %s; %+v; without patient %s\n%s", c.fragment.Patient, *c.proof, c.patient, c.ward)
	return b.String()
}

// TestSensitivityOfDerived checks every fragment that Check accepts. Leaving out one patient and reordering the rest
// changes no more than the proof says, and no row of another patient. What is known of derived relations holds on the
// data.
func TestSensitivityOfDerived(t *testing.T) {
	seed, n := newSeed(t), 10*triples(t) // about 10 s; each of a dozen holes cut into Check was found within this
	accepted, refused := 0, 0
	for i := 0; accepted < n; i++ {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		w := newWard(r)
		for range 10 {
			c, no := forge(w, r)
			if no {
				refused++
			}
			if c == nil {
				continue
			}
			accepted++
			if c.broken() != "" {
				small := c.shrink(func(c *forgery) bool { return c.broken() != "" })
				t.Fatalf("repeat with INTRAMUROS_SEED=%d; ward %d: %s\n%s", seed, i, small.broken(), small)
			}
		}
	}
	t.Logf("seed %d: %d fragments accepted, %d refused", seed, accepted, refused)
	if refused < accepted/10 {
		t.Error("hardly any was refused: the generator is stale")
	}
}

// differs says where the engine and the reference disagree; "" if nowhere.
func (c *forgery) differs(engine *duckdb.Engine) string {
	got := map[string][]int64{}
	err := engine.Run(context.Background(), c.fragment, c.proof, memory.DefaultAllocator, func(r arrow.Record) error {
		return fragment.ReadRecord(c.fragment, r, func(keys []value.Value, partials []int64) error {
			got[fmt.Sprintf("%q", keys)] = slices.Clone(partials)
			return nil
		})
	})
	if err != nil {
		return fmt.Sprintf("the engine says %v: %v", err, errors.Unwrap(err))
	}
	want, _ := c.vector(c.readRows(c.ward))
	for k := range merged(got, want) {
		zero := make([]int64, len(c.fragment.Partials))
		if x, y := slices.Concat(got[k], zero[len(got[k]):]), slices.Concat(want[k], zero[len(want[k]):]); !slices.Equal(x, y) {
			return fmt.Sprintf("of group %s the engine says %v, the reference %v", k, x, y)
		}
	}
	return ""
}

// TestEngineEqualsReferenceOfDerived checks on a sample that DuckDB computes what the reference does.
func TestEngineEqualsReferenceOfDerived(t *testing.T) {
	seed, compared := newSeed(t), 0
	for i := 0; compared < max(200, triples(t)/20); i++ {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		w := newWard(r)
		engine := w.open(t)
		for range 200 {
			c, _ := forge(w, r)
			if c == nil {
				continue
			}
			if compared++; c.differs(engine) != "" {
				small := c.shrink(func(c *forgery) bool { return c.differs(c.ward.open(t)) != "" })
				t.Fatalf("repeat with INTRAMUROS_SEED=%d; ward %d: %s\n%s", seed, i, small.differs(small.ward.open(t)), small)
			}
		}
	}
	t.Logf("seed %d: %d fragments compared", seed, compared)
}
