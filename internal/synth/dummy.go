package synth

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
)

const (
	dummyPatients = 1000
	dummyRows     = 4  // rows per patient in a table for which the catalog gives no number
	dummyMostRows = 50 // the most rows per patient, whatever the catalog says
	dummyPublic   = 50 // rows of a public table
	dummyOnly     = 0.7
	dummyNull     = 0.1
)

// Dummy is a federation of dummy data to generate: rows that a catalog allows, without any other knowledge.
type Dummy struct {
	// Catalog is the only source of the data: types, bounds, domains, keys, references, the path to the patient, and
	// what may be NULL.
	Catalog *catalog.Catalog
	// Seed, Hospitals and Patients are as in Config; 0 patients means 1000. Each patient is at one hospital.
	Seed      uint64
	Hospitals []string
	Patients  int
	// Out is a folder, or a file whose name ends in .duckdb. A folder receives <hospital>/<table>.parquet; the parts of
	// a table become the one file of the hospitals' table. A file becomes a database of all hospitals' rows, with the
	// column `hospital` if the catalog has it. What exists already is replaced.
	Out string
}

// Generate writes the data. It calls progress, which may be nil, after each table. Values that refer to a patient's row
// refer to the same patient. Dates are independent of each other, and codes mean nothing. The same Dummy gives the same
// rows in the same order. Errors are as those of the function Generate.
func (d Dummy) Generate(ctx context.Context, progress func(table string, done, total int)) error {
	conf := Config{Seed: d.Seed, Hospitals: d.Hospitals, Patients: d.Patients, Folder: d.Out}
	if conf.Patients == 0 {
		conf.Patients = dummyPatients
	}
	if err := conf.check(); err != nil {
		return err
	}
	d.Hospitals = conf.Hospitals
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return fmt.Errorf("starting the embedded DuckDB: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // temporary tables belong to a connection
	conn, err := session(ctx, db, d.Seed, map[string]any{"patients": conf.Patients, "sites": len(d.Hospitals)})
	if err != nil {
		return err
	}
	defer conn.Close()
	g := &dummy{Dummy: d, conn: conn, needed: needed(d.Catalog), made: map[string]bool{}}
	for _, step := range []string{query("macros"), `CREATE TEMP TABLE people AS
SELECT n AS patient, 1 + floor(uniform(n, 0, 'site') * getvariable('sites'))::INTEGER AS site
FROM range(1, getvariable('patients') + 1) AS t(n)`} {
		if err := g.run(ctx, "patients", step); err != nil {
			return err
		}
	}
	for _, t := range d.Catalog.Tables {
		if err := g.skeleton(ctx, t); err != nil {
			return err
		}
	}
	if strings.HasSuffix(d.Out, ".duckdb") {
		return g.database(ctx, progress)
	}
	return g.folders(ctx, progress)
}

// dummy is the state of generating. For each table it first makes a skeleton, which has a row for each of the table's
// rows: its number n, the hospital's number, the patient's number (0 in a public table), its rank among the patient's
// rows from 0 on, and their total; its key k; and the value that leads to its patient.
type dummy struct {
	Dummy
	conn   *sql.Conn
	needed map[string]bool // tables in which every patient has a row
	made   map[string]bool // skeletons that exist
}

func (g *dummy) run(ctx context.Context, what, statement string) error {
	if _, err := g.conn.ExecContext(ctx, statement); err != nil {
		return stopped(ctx, fmt.Errorf("drawing %s: %w", what, err))
	}
	return nil
}

// needed lists the private tables to which a column that is never NULL refers, and the tables on their path to the
// patient.
func needed(c *catalog.Catalog) map[string]bool {
	all := map[string]bool{}
	for _, t := range c.Tables {
		for _, col := range t.Columns {
			if x := referred(c, col); x != nil && !t.Public && !x.Public && !col.Nullable && !strings.EqualFold(col.Name, t.Patient) {
				for x != nil && !all[x.Name] {
					all[x.Name] = true
					x = parent(c, x)
				}
			}
		}
	}
	return all
}

// referred is the table that a column refers to; nil: none.
func referred(c *catalog.Catalog, col *catalog.Column) *catalog.Table {
	name, _, ok := strings.Cut(col.References, ".")
	if !ok {
		return nil
	}
	t, _ := c.Table(name)
	return t
}

// parent is the table through which a private table reaches its patient; nil: it has the patient's id itself.
func parent(c *catalog.Catalog, t *catalog.Table) *catalog.Table {
	col, ok := t.Column(t.Patient)
	if !ok {
		return nil
	}
	return referred(c, col)
}

// key is the column that is the table's key; nil: the key has several columns, or there is none.
func key(t *catalog.Table) *catalog.Column {
	if len(t.Key) != 1 {
		return nil
	}
	col, _ := t.Column(t.Key[0])
	return col
}

func named(prefix string, t *catalog.Table) string { return `"` + prefix + t.Name + `"` }

// skeleton draws a table's rows, after the rows of the tables that it depends on.
func (g *dummy) skeleton(ctx context.Context, t *catalog.Table) error {
	if g.made[t.Name] {
		return nil
	}
	g.made[t.Name] = true
	k := key(t)
	for _, col := range []*catalog.Column{k, patientColumn(t)} {
		if col == nil {
			continue
		}
		if x := referred(g.Catalog, col); x != nil {
			if err := g.skeleton(ctx, x); err != nil {
				return err
			}
		}
	}
	rows, keyed := g.rows(t), "NULL::BIGINT"
	from, where := "SELECT *, row_number() OVER (ORDER BY patient, rank) AS n FROM ("+rows+")", ""
	switch {
	case k == nil:
	case !t.Public && strings.EqualFold(k.Name, t.Patient):
		keyed = "leads"
	case referred(g.Catalog, k) != nil:
		x := referred(g.Catalog, k)
		from = "SELECT r.*, x.k AS other FROM (" + from + ") r JOIN " + named("rows of ", x) + " x ON x.n = r.n"
		keyed = "other"
	default:
		var most int64
		if keyed, most = g.numbered(t, k); most > 0 {
			where = " WHERE n <= " + strconv.FormatInt(most, 10)
		}
	}
	return g.run(ctx, t.Name, fmt.Sprintf("CREATE TEMP TABLE %s AS SELECT site, patient, rank, leads, n, %s AS k, count(*) OVER (PARTITION BY patient) AS total FROM (%s)%s ORDER BY n",
		named("rows of ", t), keyed, from, where))
}

func patientColumn(t *catalog.Table) *catalog.Column {
	if t.Public {
		return nil
	}
	col, _ := t.Column(t.Patient)
	return col
}

// rows is the query for a table's rows, with the columns site, patient, rank and leads: the value of the table's
// patient column.
func (g *dummy) rows(t *catalog.Table) string {
	if t.Public {
		most := dummyPublic
		if k := key(t); k != nil && len(k.Domain) > 0 {
			most = len(k.Domain)
		}
		most += len(g.meant(t))
		return fmt.Sprintf("SELECT 0 AS site, 0::BIGINT AS patient, i AS rank, NULL::BIGINT AS leads FROM range(%d) AS t(i)", most)
	}
	k := key(t)
	isKey := k != nil && strings.EqualFold(k.Name, t.Patient)
	purpose := quote("rows of " + t.Name)
	x := parent(g.Catalog, t)
	if x == nil {
		count := g.count(t, "uniform(patient, 0, "+purpose+")")
		if isKey {
			count = "1"
		}
		id := "patient"
		if col := patientColumn(t); col.Type == value.TypeText {
			id = "'p' || lpad(patient::VARCHAR, 7, '0')"
		}
		return fmt.Sprintf(`SELECT site, patient, rank, %s AS leads
FROM (SELECT *, unnest(range(%s)) AS rank FROM people)`, id, count)
	}
	of := named("rows of ", x)
	if isKey { // each row of this table belongs to one row of that table
		keep := fmt.Sprintf("uniform(n, 0, %s) < %g", purpose, dummyOnly)
		if g.needed[t.Name] {
			keep = "true"
		}
		if t.OneRowPerPatient {
			keep += " AND rank = 0"
		}
		return fmt.Sprintf("SELECT site, patient, row_number() OVER (PARTITION BY patient ORDER BY rank) - 1 AS rank, k AS leads FROM %s WHERE %s", of, keep)
	}
	return fmt.Sprintf(`SELECT d.site, d.patient, d.rank, x.k AS leads
FROM (SELECT *, unnest(range(%s)) AS rank FROM (SELECT site, patient, count(*) AS total FROM %s GROUP BY site, patient)) d
JOIN %s x ON x.patient = d.patient AND x.rank = floor(uniform(d.patient, d.rank, %s) * d.total)::BIGINT`,
		g.count(t, "uniform(patient, 0, "+purpose+")"), of, of, quote("which of "+t.Name))
}

// count is an SQL expression for the number of rows of a patient; u is an expression that is uniform in [0, 1).
func (g *dummy) count(t *catalog.Table, u string) string {
	least := 0
	if g.needed[t.Name] {
		least = 1
	}
	if t.OneRowPerPatient {
		if least == 1 {
			return "1"
		}
		return fmt.Sprintf("(%s < %g)::BIGINT", u, dummyOnly)
	}
	most := t.TypicalRows
	if most == 0 {
		most = min(g.Catalog.RowLimit(t), dummyRows)
	}
	most = max(min(most, dummyMostRows), 1)
	return fmt.Sprintf("(%d + floor(%s * %d))::BIGINT", least, u, most-least+1)
}

// meant are the declared values of columns that refer to a public table, which has rows for them. They are sorted.
func (g *dummy) meant(x *catalog.Table) []value.Value {
	var all []value.Value
	for _, t := range g.Catalog.Tables {
		for _, col := range t.Columns {
			if x.Public && referred(g.Catalog, col) == x {
				all = append(all, col.Domain...)
			}
		}
	}
	slices.SortFunc(all, value.Compare)
	return slices.CompactFunc(all, func(a, b value.Value) bool { return value.Compare(a, b) == 0 })
}

// numbered is an SQL expression for the n-th key of a table, and the number of keys; 0: any number.
func (g *dummy) numbered(t *catalog.Table, k *catalog.Column) (expression string, most int64) {
	if len(k.Domain) > 0 {
		return "list_extract(" + list(k.Domain) + ", n)", int64(len(k.Domain))
	}
	if known := g.meant(t); len(known) > 0 && !k.Lower.Valid() && (k.Type == value.TypeInt || k.Type == value.TypeText) {
		other := quote(t.Name+"-") + " || n"
		if k.Type == value.TypeInt {
			other = fmt.Sprintf("%s + n", literal(known[len(known)-1]))
		}
		return fmt.Sprintf("CASE WHEN n <= %d THEN list_extract(%s, n) ELSE %s END", len(known), list(known), other), 0
	}
	first := "1"
	if k.Lower.Valid() {
		first = literal(k.Lower)
		if k.Type == value.TypeInt {
			if most = k.Upper.Int64() - k.Lower.Int64() + 1; most < 1 {
				most = 0 // all whole numbers
			}
		}
	}
	switch k.Type {
	case value.TypeBool:
		return "n = 1", 2
	case value.TypeText:
		return quote(t.Name+"-") + " || n", 0
	case value.TypeDate:
		return "DATE '2000-01-01' + n::INTEGER", 0
	case value.TypeTimestamp:
		return "TIMESTAMP '2000-01-01 00:00:00' + to_hours(n)", 0
	case value.TypeFloat:
		return "(" + first + " + n - 1)::DOUBLE", most
	}
	if t.Part != nil && most == 0 { // the parts belong to one table
		parts := g.Catalog.Parts(t.Part.Of)
		return fmt.Sprintf("(1 + (n - 1) * %d + %d)::BIGINT", len(parts), slices.Index(parts, t)), 0
	}
	return "(" + first + " + n - 1)::BIGINT", most
}

// whole is the query for a table's rows with all their columns, and their site and n.
func (g *dummy) whole(t *catalog.Table) string {
	var columns, joins, where []string
	k := key(t)
	for i, col := range t.Columns {
		purpose := t.Name + "." + col.Name
		x := referred(g.Catalog, col)
		expression := ""
		switch {
		case col == k:
			expression = "r.k"
		case !t.Public && strings.EqualFold(col.Name, t.Patient):
			expression = "r.leads"
		case t.Part != nil && strings.EqualFold(col.Name, t.Part.Column):
			only, _ := value.Parse(col.Type, t.Part.Value) // the catalog was checked before
			expression = literal(only)
		case x != nil && len(col.Domain) == 0 && (x.Public || !t.Public) && key(x) != nil:
			alias := fmt.Sprintf("x%d", i)
			whose := "r.patient"
			if x.Public {
				whose = "0"
			}
			joins = append(joins, fmt.Sprintf("LEFT JOIN %s %s ON %s.patient = %s AND %s.rank = floor(uniform(r.n, 0, %s) * %s.total)::BIGINT",
				named("rows of ", x), alias, alias, whose, alias, quote(purpose), alias))
			if expression = alias + ".k"; !col.Nullable {
				where = append(where, expression+" IS NOT NULL")
			}
		default:
			expression = drawn(col, purpose)
		}
		if col.Nullable && col != k && !strings.EqualFold(col.Name, t.Patient) {
			expression = fmt.Sprintf("CASE WHEN uniform(r.n, 1, %s) >= %g THEN %s END", quote(purpose), dummyNull, expression)
		}
		columns = append(columns, fmt.Sprintf(`CAST(%s AS %s) AS "%s"`, expression, kinds[col.Type], col.Name))
	}
	text := "SELECT " + strings.Join(columns, ",\n  ") + ", r.site AS \"site of row\", r.n AS \"number of row\"\nFROM " + named("rows of ", t) + " r"
	if len(joins) > 0 {
		text += "\n" + strings.Join(joins, "\n")
	}
	if len(where) > 0 {
		text += "\nWHERE " + strings.Join(where, " AND ")
	}
	if len(t.Key) > 1 {
		text = "SELECT * FROM (" + text + `)
QUALIFY row_number() OVER (PARTITION BY "` + strings.Join(t.Key, `", "`) + `" ORDER BY "number of row") = 1`
	}
	return text
}

var kinds = map[value.Type]string{
	value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE", value.TypeText: "VARCHAR", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP",
}

// drawn is an SQL expression for a value that the column allows. Within bounds, the middle is more likely than the
// ends.
func drawn(col *catalog.Column, purpose string) string {
	u := func(k int) string { return fmt.Sprintf("uniform(r.n, %d, %s)", k, quote(purpose)) }
	switch {
	case len(col.Domain) > 0:
		return fmt.Sprintf("list_extract(%s, 1 + floor(%s * %d)::BIGINT)", list(col.Domain), u(0), len(col.Domain))
	case col.Identifier && col.Type == value.TypeText:
		return quote(col.Name+"-") + " || r.n"
	case col.Identifier && col.Type == value.TypeInt:
		return "r.n"
	}
	lower, upper := col.Lower, col.Upper
	if !lower.Valid() {
		lower, upper = usual(col.Type)
	}
	middle := "(" + u(0) + " + " + u(2) + ") / 2"
	if !col.Lower.Valid() {
		middle = u(0)
	}
	switch col.Type {
	case value.TypeBool:
		return u(0) + " < 0.5"
	case value.TypeText: // every second one is a number, because hospitals often store numbers as texts
		return fmt.Sprintf("CASE WHEN r.n %% 2 = 0 THEN floor(%s * 100)::BIGINT::VARCHAR ELSE %s || floor(%s * 20)::BIGINT END", u(0), quote(col.Name+" "), u(2))
	case value.TypeFloat:
		return fmt.Sprintf("%s + %s * (%s - %s)", literal(lower), middle, literal(upper), literal(lower))
	case value.TypeDate:
		return fmt.Sprintf("%s + floor(%s * (%s - %s + 1))::INTEGER", literal(lower), middle, literal(upper), literal(lower))
	case value.TypeTimestamp:
		return fmt.Sprintf("%s + to_seconds(floor(%s * (epoch(%s) - epoch(%s))))", literal(lower), middle, literal(upper), literal(lower))
	}
	return fmt.Sprintf("least(%s::HUGEINT + floor(%s * (%s::HUGEINT - %s::HUGEINT + 1)::DOUBLE)::HUGEINT, %s::HUGEINT)",
		literal(lower), middle, literal(upper), literal(lower), literal(upper))
}

// usual are the bounds of drawn values if the catalog gives none.
func usual(t value.Type) (lower, upper value.Value) {
	texts := map[value.Type][2]string{
		value.TypeInt: {"0", "99"}, value.TypeFloat: {"0", "100"}, value.TypeDate: {"2015-01-01", "2025-12-31"}, value.TypeTimestamp: {"2015-01-01T00:00:00", "2025-12-31T23:59:59"},
	}[t]
	lower, _ = value.Parse(t, texts[0]) // texts and booleans have none, and need none
	upper, _ = value.Parse(t, texts[1])
	return lower, upper
}

func literal(v value.Value) string {
	switch v.Type() {
	case value.TypeText:
		return quote(v.Str())
	case value.TypeDate:
		return "DATE " + quote(v.String())
	case value.TypeTimestamp:
		return "TIMESTAMP " + quote(v.String())
	case value.TypeFloat:
		return "(" + v.String() + ")::DOUBLE"
	}
	return "(" + v.String() + ")"
}

func list(values []value.Value) string {
	var all []string
	for _, v := range values {
		all = append(all, literal(v))
	}
	return "[" + strings.Join(all, ", ") + "]"
}
