package dictionary

import (
	"context"
	"database/sql"
	"database/sql/driver"
	_ "embed" // schema.sql
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/sqltoken"
	"github.com/intramuros/intramuros/internal/value"
)

// ErrNotCovered means that a question about the catalog uses what is not known here.
var ErrNotCovered = errors.New("this question about the catalog is not covered")

//go:embed schema.sql
var schema string

const (
	memory  = "64MB"
	timeout = 4 * time.Second // of one question: of its preparation, and again of its rows
	maxRows = 100_000
	maxText = 64 << 10 // bytes; rewriting takes time in proportion to its square at worst
)

// The OIDs of PostgreSQL's types.
const (
	OIDBool       uint32 = 16
	OIDInt8       uint32 = 20
	OIDInt2       uint32 = 21
	OIDInt4       uint32 = 23
	OIDText       uint32 = 25
	OIDOid        uint32 = 26
	OIDFloat4     uint32 = 700
	OIDFloat8     uint32 = 701
	OIDDate       uint32 = 1082
	OIDTimestamp  uint32 = 1114
	OIDInt2Vector uint32 = 22
	OIDOidVector  uint32 = 30
	OIDInt2Array  uint32 = 1005
	OIDInt4Array  uint32 = 1007
	OIDTextArray  uint32 = 1009
	OIDInt8Array  uint32 = 1016
	OIDOidArray   uint32 = 1028
)

// OIDOf is the type of a column of such values.
func OIDOf(t value.Type) uint32 {
	switch t {
	case value.TypeBool:
		return OIDBool
	case value.TypeInt:
		return OIDInt8
	case value.TypeFloat:
		return OIDFloat8
	case value.TypeDate:
		return OIDDate
	case value.TypeTimestamp:
		return OIDTimestamp
	}
	return OIDText
}

// Dictionary is one federation's catalog as PostgreSQL would show it. It may be used
// by any number of goroutines.
type Dictionary struct {
	numbers
	host host
}

// host is where the database is that answers: in this process, or in workers.
type host interface {
	ask(ctx context.Context, a ask) (*told, error)
	close() error
}

// ask is one statement, as DuckDB reads it.
type ask struct {
	Person   string // who asks
	Database string // the session's
	SQL      string
	Run      bool // else it is only to be described
	Args     []any
}

// told is what is known of a statement before it runs, or its rows.
type told struct {
	Columns    []Column
	Parameters int
	Untyped    bool // the type of a column is open while the parameters have no values; Columns is empty then
	Rows       [][]any
}

// numbers are the OIDs of what is in a catalog.
type numbers struct {
	tables  map[string]uint32
	indexes map[string]uint32 // those of their keys' indexes, by table
	next    uint32
}

func number(c *catalog.Catalog) numbers {
	n := numbers{map[string]uint32{}, map[string]uint32{}, firstOID}
	for _, t := range c.Tables {
		n.tables[t.Name] = n.oid()
		if len(t.Key) > 0 {
			n.indexes[t.Name] = n.oid()
		}
	}
	return n
}

func (n *numbers) oid() uint32 {
	n.next++
	return n.next
}

// firstOID is that of the first table; PostgreSQL's own objects have smaller ones.
const firstOID = 16384

// wellKnown are the OIDs of system catalogs that clients ask for by name.
var wellKnown = map[string]uint32{
	"pg_type": 1247, "pg_attribute": 1249, "pg_proc": 1255, "pg_class": 1259, "pg_database": 1262, "pg_namespace": 2615, "pg_constraint": 2606, "pg_trigger": 2620,
	"pg_rewrite": 2618, "pg_extension": 3079, "pg_authid": 1260, "pg_tablespace": 1213, "pg_attrdef": 2604, "pg_am": 2601, "pg_event_trigger": 3466,
	"pg_index": 2610, "pg_description": 2609, "pg_language": 2612, "pg_collation": 3456, "pg_operator": 2617, "pg_cast": 2605, "pg_opclass": 2616, "pg_opfamily": 2753,
	"pg_aggregate": 2600, "pg_enum": 3501, "pg_foreign_server": 1417, "pg_foreign_table": 3118, "pg_foreign_data_wrapper": 2328, "pg_policy": 3256, "pg_inherits": 2611,
	"pg_depend": 2608, "pg_ts_config": 3602, "pg_ts_dict": 3600, "pg_ts_parser": 3601, "pg_ts_template": 3764, "pg_sequence": 2224, "pg_conversion": 2607,
}

// Open builds it, in this process, whose memory a question can take: a daemon uses Start. Every session sees one
// database, its own.
func Open(ctx context.Context, c *catalog.Catalog) (*Dictionary, error) {
	h, err := openHere(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Dictionary{number(c), h}, nil
}

// Close frees it.
func (d *Dictionary) Close() error { return d.host.close() }

// here is a database in this process.
type here struct{ db *sql.DB }

func openHere(ctx context.Context, c *catalog.Catalog) (here, error) {
	query := url.Values{
		"threads": {"1"}, "memory_limit": {memory}, "autoinstall_known_extensions": {"false"}, "autoload_known_extensions": {"false"}, "max_temp_directory_size": {"0B"}, "integer_division": {"true"},
	}
	connector, err := duckdb.NewConnector("?"+query.Encode(), nil)
	if err != nil {
		return here{}, err
	}
	h := here{sql.OpenDB(connector)}
	if err := h.fill(ctx, c); err != nil {
		return here{}, errors.Join(err, h.close())
	}
	return h, nil
}

func (h here) close() error { return h.db.Close() }

func (h here) fill(ctx context.Context, c *catalog.Catalog) error {
	if _, err := h.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	f := filler{ctx: ctx, tx: tx, numbers: number(c)}
	for _, t := range c.Tables {
		f.table(c, c.Shown(t))
	}
	if f.err != nil {
		return f.err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = h.db.ExecContext(ctx, "SET enable_external_access = false; SET lock_configuration = true")
	return err
}

// filler writes tables; after its first error it does nothing.
type filler struct {
	numbers
	ctx context.Context //nolint:containedctx // of the one transaction
	tx  *sql.Tx
	err error
}

func (f *filler) do(statement string, args ...any) {
	if f.err == nil {
		_, f.err = f.tx.ExecContext(f.ctx, statement, args...)
	}
}

func (f *filler) table(c *catalog.Catalog, t *catalog.Table) {
	oid := f.tables[t.Name]
	f.class(oid, t.Name, "r", 2, len(t.Columns), len(t.Key) > 0)
	f.describe(oid, 0, t.Description)
	f.hollow(t)
	place := map[string]int{}
	for i, column := range t.Columns {
		place[column.Name] = i + 1
		f.attribute(oid, column, i+1)
		f.describe(oid, i+1, column.Description)
	}
	if len(t.Key) > 0 {
		var places []string
		for _, k := range t.Key {
			places = append(places, fmt.Sprint(place[k]))
		}
		keys, index := "["+strings.Join(places, ", ")+"]", f.indexes[t.Name]
		for i, k := range t.Key { // an index has attributes of its own
			f.attribute(index, t.Columns[place[k]-1], i+1)
		}
		f.class(index, t.Name+"_pkey", "i", 403, len(t.Key), false)
		f.do(`INSERT INTO pgc.pg_index(indexrelid, indrelid, indnatts, indnkeyatts, indisunique, indnullsnotdistinct, indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid,
			indcheckxmin, indisready, indislive, indisreplident, indkey, indcollation, indclass, indoption, definition)
			VALUES (?, ?, ?, ?, true, false, true, false, true, false, true, false, true, true, false, `+keys+`, [], [], list_transform(`+keys+`, lambda x: 0), ?)`,
			index, oid, len(t.Key), len(t.Key), "CREATE UNIQUE INDEX "+t.Name+"_pkey ON public."+t.Name+" USING btree ("+strings.Join(t.Key, ", ")+")")
		f.constraint(t.Name+"_pkey", "p", oid, index, 0, keys, "NULL", "PRIMARY KEY ("+strings.Join(t.Key, ", ")+")")
	}
	for _, column := range t.Columns {
		to, key, ok := strings.Cut(column.References, ".")
		other, known := c.Table(to)
		if !ok || !known {
			continue
		}
		for i, candidate := range other.Columns {
			if candidate.Name == key {
				f.constraint(t.Name+"_"+column.Name+"_fkey", "f", oid, f.indexes[to], f.tables[to], fmt.Sprintf("[%d]", place[column.Name]), fmt.Sprintf("[%d]", i+1),
					"FOREIGN KEY ("+column.Name+") REFERENCES "+to+"("+key+")")
			}
		}
	}
}

// attribute writes a row of pg_attribute: the column at a place, from 1 up, of a table or index.
func (f *filler) attribute(of uint32, column *catalog.Column, place int) {
	f.do(`INSERT INTO pgc.pg_attribute(attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval, attalign, attstorage, attcompression,
		attnotnull, atthasdef, atthasmissing, attidentity, attgenerated, attisdropped, attislocal, attinhcount, attcollation)
		SELECT ?, ?, oid, -1, typlen, ?, 0, -1, -1, typbyval, typalign, typstorage, '', ?, false, false, '', '', false, true, 0, typcollation FROM pgc.pg_type WHERE oid = ?`,
		of, column.Name, place, !column.Nullable, OIDOf(column.Type))
}

// hollow makes the table, and leaves it empty.
func (f *filler) hollow(t *catalog.Table) {
	var columns []string
	for _, c := range t.Columns {
		kind := map[value.Type]string{value.TypeBool: "BOOLEAN", value.TypeInt: "BIGINT", value.TypeFloat: "DOUBLE", value.TypeDate: "DATE", value.TypeTimestamp: "TIMESTAMP"}[c.Type]
		if kind == "" {
			kind = "VARCHAR"
		}
		columns = append(columns, quoteName(c.Name)+" "+kind)
	}
	f.do("CREATE TABLE hollow." + quoteName(t.Name) + "(" + strings.Join(columns, ", ") + ")")
}

// class writes a row of pg_class. psql asks for foreign keys only where there may be triggers.
func (f *filler) class(oid uint32, name, kind string, method, columns int, indexed bool) {
	f.do(`INSERT INTO pgc.pg_class(oid, relname, relnamespace, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages, reltuples, relallvisible, reltoastrelid, relhasindex,
		relisshared, relpersistence, relkind, relnatts, relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident,
		relispartition, relrewrite, relfrozenxid, relminmxid, relhasoids)
		VALUES (?, ?, 2200, 0, 0, 10, ?, 0, 0, 0, -1, 0, 0, ?, false, 'p', ?, ?, 0, false, true, false, false, false, true, 'd', false, 0, 0, 0, false)`, oid, name, method, indexed, kind, columns)
}

func (f *filler) describe(oid uint32, column int, text string) {
	if text != "" {
		f.do("INSERT INTO pgc.pg_description VALUES (?, 1259, ?, ?)", oid, column, text)
	}
}

func (f *filler) constraint(name, kind string, table, index, other uint32, keys, otherKeys, definition string) {
	f.do(`INSERT INTO pgc.pg_constraint(oid, conname, connamespace, contype, condeferrable, condeferred, convalidated, conrelid, contypid, conindid, conparentid, confrelid, confupdtype,
		confdeltype, confmatchtype, conislocal, coninhcount, connoinherit, conkey, confkey, definition)
		VALUES (?, ?, 2200, ?, false, false, true, ?, 0, ?, 0, ?, 'a', 'a', 's', true, 0, true, `+keys+`, `+otherKeys+`, ?)`, f.oid(), name, kind, table, index, other, definition)
}

// lookup gives the OID of a name that is cast to regclass or regtype.
func (d *Dictionary) lookup(kind, name string) (uint32, bool) {
	name = strings.ReplaceAll(strings.ToLower(name), `"`, "")
	name = strings.TrimPrefix(strings.TrimPrefix(name, "public."), "pg_catalog.")
	if kind == "regclass" {
		if oid, ok := d.tables[name]; ok {
			return oid, true
		}
		oid, ok := wellKnown[name]
		return oid, ok
	}
	oid, ok := map[string]uint32{
		"bool": OIDBool, "boolean": OIDBool, "int8": OIDInt8, "bigint": OIDInt8, "int2": OIDInt2, "int4": OIDInt4, "integer": OIDInt4, "text": OIDText, "oid": OIDOid,
		"float4": OIDFloat4, "float8": OIDFloat8, "double precision": OIDFloat8, "date": OIDDate, "timestamp": OIDTimestamp, "varchar": 1043, "name": 19, "bpchar": 1042,
	}[name]
	return oid, ok
}

// Column is a column of an answer.
type Column struct {
	Name string
	OID  uint32
}

// Question is a statement that the dictionary answers.
type Question struct {
	Columns    []Column
	Parameters int
	d          *Dictionary
	sql        string
	person     string
	database   string
}

// Prepare reads a question. Errors wrap ErrNotCovered.
func (d *Dictionary) Prepare(ctx context.Context, statement sqltoken.Statement, session Session) (*Question, error) {
	return d.prepare(ctx, statement, session, false)
}

// PrepareHollow reads a question about patients, for the columns that its answer would have. The tables are
// empty, so it is for the caller to ask only what has no row whatever the data is. Errors wrap ErrNotCovered.
func (d *Dictionary) PrepareHollow(ctx context.Context, statement sqltoken.Statement, session Session) (*Question, error) {
	return d.prepare(ctx, statement, session, true)
}

func (d *Dictionary) prepare(ctx context.Context, statement sqltoken.Statement, session Session, hollow bool) (*Question, error) {
	if first := statement.Tokens[0]; !first.Is("select") && !first.Is("with") && !first.Is("values") && !first.Is("table") && !first.Is("(") {
		return nil, fmt.Errorf("%w: it is no SELECT", ErrNotCovered)
	}
	if len(statement.Text) > maxText {
		return nil, fmt.Errorf("%w: it has more than 64 KiB", ErrNotCovered)
	}
	text, err := d.rewrite(statement.Text, statement.Tokens, session, hollow)
	if err != nil {
		return nil, err
	}
	q := &Question{d: d, sql: text, person: session.User, database: session.Database}
	t, err := d.ask(ctx, ask{Person: q.person, Database: q.database, SQL: q.sql})
	if err != nil {
		return nil, err
	}
	q.Columns, q.Parameters = t.Columns, t.Parameters
	if t.Untyped {
		// Some functions leave types open until the parameters have values; none changes them here.
		if t, err = d.ask(ctx, ask{Person: q.person, Database: q.database, SQL: withoutParameters(text)}); err != nil {
			return nil, err
		}
		q.Columns = t.Columns
	}
	return q, nil
}

// ask has the database answer, within the time of one question. Errors wrap ErrNotCovered.
func (d *Dictionary) ask(ctx context.Context, a ask) (*told, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t, err := d.host.ask(ctx, a)
	switch {
	case err == nil:
		return t, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it takes more than %v; ask for less at once", timeout)
	case ctx.Err() != nil:
		err = errors.New("it was cancelled")
	}
	return nil, notCovered(err)
}

// describe reads what is known of the statement before it runs.
func describe(s *duckdb.Stmt) (*told, error) {
	kind, err := s.StatementType()
	if err != nil {
		return nil, err
	}
	if kind != duckdb.STATEMENT_TYPE_SELECT {
		return nil, errors.New("it is no SELECT")
	}
	t := &told{Parameters: s.NumInput()}
	n, err := s.ColumnCount()
	if err != nil {
		return nil, err
	}
	for i := range n {
		name, err := s.ColumnName(i)
		if err != nil {
			return nil, err
		}
		if kind, err := s.ColumnType(i); err == nil && kind == duckdb.TYPE_INVALID {
			return &told{Parameters: t.Parameters, Untyped: true}, nil
		}
		kind, err := s.ColumnTypeInfo(i)
		if err != nil {
			return nil, err
		}
		t.Columns = append(t.Columns, Column{columnName(name), oidOf(kind)})
	}
	return t, nil
}

// withoutParameters writes NULL for each.
func withoutParameters(text string) string {
	var b strings.Builder
	end := 0
	for _, t := range sqltoken.Tokens(text) {
		if t.Kind == sqltoken.Parameter {
			b.WriteString(text[end:t.Start] + "NULL")
			end = t.End
		}
	}
	return b.String() + text[end:]
}

// named finds the column's name in one that was cast to regclass.
var named = regexp.MustCompile(`^pgc\.regclass_name\((?:.*\.)?"?([a-z_]+)"?\)$`)

// called finds the function's name in the name that DuckDB gives a column without one.
var called = regexp.MustCompile(`(?s)^(?:pgc\.)?"?([a-z_]+)"?\(.*\)$`)

// ours are functions that stand for a cast or another name of PostgreSQL's.
var ours = map[string]string{"to_class": "regclass", "to_type": "regtype", "to_name": "text", "printf": "format", "count_star": "count"}

func columnName(name string) string {
	if m := named.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if strings.HasPrefix(name, "CAST(json_object(") {
		return "json_build_object"
	}
	if m := called.FindStringSubmatch(name); m != nil {
		if theirs, ok := ours[m[1]]; ok {
			return theirs
		}
		return m[1]
	}
	if name == "" || strings.IndexByte("'(0123456789", name[0]) >= 0 || strings.HasPrefix(name, "CAST(") || strings.HasPrefix(name, "CASE ") {
		return "?column?"
	}
	return name
}

func oidOf(t duckdb.TypeInfo) uint32 {
	switch t.InternalType() {
	case duckdb.TYPE_BOOLEAN:
		return OIDBool
	case duckdb.TYPE_TINYINT, duckdb.TYPE_SMALLINT, duckdb.TYPE_USMALLINT:
		return OIDInt2
	case duckdb.TYPE_INTEGER:
		return OIDInt4
	case duckdb.TYPE_BIGINT, duckdb.TYPE_HUGEINT:
		return OIDInt8
	case duckdb.TYPE_UINTEGER:
		return OIDOid
	case duckdb.TYPE_FLOAT:
		return OIDFloat4
	case duckdb.TYPE_DOUBLE, duckdb.TYPE_DECIMAL:
		return OIDFloat8
	case duckdb.TYPE_DATE:
		return OIDDate
	case duckdb.TYPE_TIMESTAMP:
		return OIDTimestamp
	case duckdb.TYPE_UBIGINT:
		return OIDOid
	case duckdb.TYPE_LIST:
		return listOID(t)
	}
	return OIDText
}

// listOID is that of a list. Lists of USMALLINT and UBIGINT stand for PostgreSQL's vectors (schema.sql).
func listOID(t duckdb.TypeInfo) uint32 {
	details, ok := t.Details().(*duckdb.ListDetails)
	if !ok {
		return OIDTextArray
	}
	switch details.Child.InternalType() {
	case duckdb.TYPE_USMALLINT:
		return OIDInt2Vector
	case duckdb.TYPE_UBIGINT:
		return OIDOidVector
	case duckdb.TYPE_SMALLINT:
		return OIDInt2Array
	case duckdb.TYPE_INTEGER:
		return OIDInt4Array
	case duckdb.TYPE_BIGINT:
		return OIDInt8Array
	case duckdb.TYPE_UINTEGER:
		return OIDOidArray
	}
	return OIDTextArray
}

// notCovered keeps the first line of what DuckDB says: it knows nothing but the catalog.
func notCovered(err error) error {
	if errors.Is(err, ErrNotCovered) {
		return err
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%w: %s", ErrNotCovered, line)
}

// ask is host's.
func (h here) ask(ctx context.Context, a ask) (t *told, err error) {
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET VARIABLE here = "+quote(a.Database)); err != nil {
		return nil, err
	}
	err = conn.Raw(func(raw any) error {
		prepared, err := raw.(driver.ConnPrepareContext).PrepareContext(ctx, a.SQL)
		if err != nil {
			return err
		}
		defer prepared.Close()
		s := prepared.(*duckdb.Stmt)
		if !a.Run {
			t, err = describe(s)
			return err
		}
		t, err = run(ctx, s, a.Args)
		return err
	})
	return t, err
}

func run(ctx context.Context, s *duckdb.Stmt, args []any) (*told, error) {
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	r, err := s.QueryContext(ctx, named)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := &told{}
	for {
		into := make([]driver.Value, len(r.Columns()))
		err := r.Next(into)
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		row := make([]any, len(into))
		for i, v := range into {
			row[i] = v
		}
		if t.Rows = append(t.Rows, row); len(t.Rows) > maxRows {
			return nil, errors.New("the answer is too long")
		}
	}
}

// Run gives the rows: nil, bool, integers, float64, string, time.Time, and []any of these. Errors wrap ErrNotCovered.
func (q *Question) Run(ctx context.Context, args []any) ([][]any, error) {
	t, err := q.d.ask(ctx, ask{Person: q.person, Database: q.database, SQL: q.sql, Run: true, Args: args})
	if err != nil {
		return nil, err
	}
	return t.Rows, nil
}
