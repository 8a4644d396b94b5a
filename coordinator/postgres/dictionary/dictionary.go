package dictionary

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/sqltoken"
)

// ErrNotCovered reports that a question about the catalog uses something that is not known here.
var ErrNotCovered = errors.New("this question about the catalog is not covered")

const (
	memory  = "128MB"         // each of forty joins takes some, and pgAdmin asks for forty at once
	timeout = 4 * time.Second // of one question: of its preparation, and again of reading its rows
	maxRows = 100_000
	maxText = 64 << 10 // in bytes; rewriting takes quadratic time in the worst case
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

// Session describes the connection that asks.
type Session struct {
	User, Database string
	Process        uint32                   // the connection's id
	Setting        func(name string) string // of the session
}

// Dictionary is a federation's catalog as PostgreSQL would show it. It is safe for concurrent use.
type Dictionary struct {
	numbers
	host host
}

// host runs the database in this process or in workers.
type host interface {
	ask(ctx context.Context, a rewritten) (*result, error)
	close() error
}

// rewritten is a statement in DuckDB's SQL.
type rewritten struct {
	Person   string // who asks
	Database string // the session's
	SQL      string
	Run      bool // otherwise it is only described
	Args     []any
}

// result is the description of a statement before it runs, or its rows.
type result struct {
	Columns    []Column
	Parameters int
	Untyped    bool // the type of a column is open while the parameters have no values; Columns is empty then
	Rows       [][]any
}

// Open builds the database in this process, whose memory a question can take. A daemon uses Start. Every session sees
// one database, its own.
func Open(ctx context.Context, c *catalog.Catalog) (*Dictionary, error) {
	h, err := openInProcess(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Dictionary{number(c), h}, nil
}

// Close closes the database.
func (d *Dictionary) Close() error { return d.host.close() }

// inProcess is a database in this process.
type inProcess struct{ db *sql.DB }

func openInProcess(ctx context.Context, c *catalog.Catalog) (inProcess, error) {
	query := url.Values{
		"threads": {"1"}, "memory_limit": {memory}, "autoinstall_known_extensions": {"false"}, "autoload_known_extensions": {"false"}, "max_temp_directory_size": {"0B"}, "integer_division": {"true"},
	}
	connector, err := duckdb.NewConnector("?"+query.Encode(), nil)
	if err != nil {
		return inProcess{}, err
	}
	h := inProcess{sql.OpenDB(connector)}
	if err := h.fill(ctx, c); err != nil {
		return inProcess{}, errors.Join(err, h.close())
	}
	return h, nil
}

func (h inProcess) close() error { return h.db.Close() }

// lookup returns the OID of a name that is cast to regclass or regtype.
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

// Prepare parses and describes a question. Errors wrap ErrNotCovered.
func (d *Dictionary) Prepare(ctx context.Context, statement sqltoken.Statement, session Session) (*Question, error) {
	return d.prepare(ctx, statement, session, false)
}

// PrepareSchema describes the columns of a question about patients. The tables are empty, so the caller must only use
// it for questions whose answer has no row whatever the data is. Errors wrap ErrNotCovered.
func (d *Dictionary) PrepareSchema(ctx context.Context, statement sqltoken.Statement, session Session) (*Question, error) {
	return d.prepare(ctx, statement, session, true)
}

func (d *Dictionary) prepare(ctx context.Context, statement sqltoken.Statement, session Session, schemaOnly bool) (*Question, error) {
	if first := statement.Tokens[0]; !first.Is("select") && !first.Is("with") && !first.Is("values") && !first.Is("table") && !first.Is("(") {
		return nil, fmt.Errorf("%w: it is no SELECT", ErrNotCovered)
	}
	if len(statement.Text) > maxText {
		return nil, fmt.Errorf("%w: it has more than 64 KiB", ErrNotCovered)
	}
	text, err := d.rewrite(statement.Text, statement.Tokens, session, schemaOnly)
	if err != nil {
		return nil, err
	}
	q := &Question{d: d, sql: text, person: session.User, database: session.Database}
	t, err := d.ask(ctx, rewritten{Person: q.person, Database: q.database, SQL: q.sql})
	if err != nil {
		return nil, err
	}
	q.Columns, q.Parameters = t.Columns, t.Parameters
	if t.Untyped {
		// Some functions leave types open until the parameters have values. The values do not change the types here.
		if t, err = d.ask(ctx, rewritten{Person: q.person, Database: q.database, SQL: withoutParameters(text)}); err != nil {
			return nil, err
		}
		q.Columns = t.Columns
	}
	return q, nil
}

// ask runs a statement within the time limit of a question. Errors wrap ErrNotCovered.
func (d *Dictionary) ask(ctx context.Context, a rewritten) (*result, error) {
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

// notCovered wraps the first line of DuckDB's error. The database holds nothing but the catalog, so the line is safe to
// show.
func notCovered(err error) error {
	if errors.Is(err, ErrNotCovered) {
		return err
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%w: %s", ErrNotCovered, line)
}

// ask implements host.
func (h inProcess) ask(ctx context.Context, a rewritten) (t *result, err error) {
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SET VARIABLE here = "+quote(a.Database)+"; SET VARIABLE whom = "+quote(a.Person)); err != nil {
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

func run(ctx context.Context, s *duckdb.Stmt, args []any) (*result, error) {
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	r, err := s.QueryContext(ctx, named)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := &result{}
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
			if span, ok := v.(duckdb.Interval); ok {
				v = intervalText(span)
			}
			row[i] = v
		}
		if t.Rows = append(t.Rows, row); len(t.Rows) > maxRows {
			return nil, errors.New("the answer is too long")
		}
	}
}

// Run returns the rows. Values are nil, bool, integers, float64, string, time.Time, and []any of these. Errors wrap
// ErrNotCovered.
func (q *Question) Run(ctx context.Context, args []any) ([][]any, error) {
	t, err := q.d.ask(ctx, rewritten{Person: q.person, Database: q.database, SQL: q.sql, Run: true, Args: args})
	if err != nil {
		return nil, err
	}
	return t.Rows, nil
}
