package trino

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trinodb/trino-go-client/trino"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// grace is how long the server may take to report that a query has run out of time.
const grace = 30 * time.Second

// Engine runs fragments over one hospital's data. It is safe for concurrent use.
type Engine struct {
	*engine.Engine
	driver  *driver
	version string
}

// Open connects and maps the tables of the catalog. key is the node's secret, of at least 16 bytes. Whoever knows it
// knows which groups of a patient are kept. Trino's operators can read it in the text of queries. It must stay the
// same, so that the same query on the same data gives the same answer. Errors wrap engine.ErrConfig or
// engine.ErrDatabase.
func Open(ctx context.Context, cfg Config, c *catalog.Catalog, hospital string, key []byte) (*Engine, error) {
	groups, version, err := engine.Keys(key)
	if err != nil {
		return nil, err
	}
	if err := engine.ValidateTables(cfg.Tables, c); err != nil {
		return nil, err
	}
	d, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{driver: d}
	d.key = hex.EncodeToString(groups[:16])
	if err := e.attach(ctx, cfg, c, hospital, version[:]); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Close closes the connections. No Run may be in progress.
func (e *Engine) Close() error { return e.driver.close() }

// DataVersion returns 32 hex digits that change with the custodian's name for the data, and with the sources of the
// catalog's tables.
func (e *Engine) DataVersion(context.Context) (string, error) { return e.version, nil }

func (e *Engine) attach(ctx context.Context, cfg Config, c *catalog.Catalog, hospital string, dataKey []byte) error {
	local, err := e.driver.places(ctx, cfg)
	if err != nil {
		return err
	}
	views, closed, err := engine.Map(ctx, c, cfg.Tables, local)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, dataKey)
	fmt.Fprintf(mac, "%q\n", cfg.DataVersion)
	for _, v := range views {
		fmt.Fprintf(mac, "%q %q\n", v.Table.Name, v.Select(e.driver, compile.Trino, nil))
	}
	e.version = hex.EncodeToString(mac.Sum(nil)[:16])
	e.Engine = engine.New(e.driver, compile.Trino, c, hospital, views, closed, nil)
	return nil
}

// Describe lists the contents of the database, to begin a catalog with: the sources of cfg.Tables by the catalog's
// names, or else all tables of the schema. It reads all rows.
func Describe(ctx context.Context, cfg Config) ([]engine.Table, error) {
	d, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	defer d.close()
	local, err := d.places(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return engine.Describe(ctx, d, compile.Trino, cfg.Tables, local)
}

// driver implements engine.Driver for Trino.
type driver struct {
	zone   string // the hospital's
	db     *sql.DB
	client *http.Client
	name   string // the name of the HTTP client in Trino's client
	key    string // chooses which groups of a patient are kept, in hex digits
}

func connect(cfg Config) (*driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := cfg.client()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: `url`: %w", engine.ErrConfig, err)
	}
	u.User = url.User(cfg.User)
	if cfg.Password != (config.Secret{}) {
		secret, err := cfg.Password.Read("")
		if err != nil {
			return nil, fmt.Errorf("%w: password: %w", engine.ErrConfig, err)
		}
		u.User = url.UserPassword(cfg.User, string(secret))
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = time.Hour
	}
	patience := timeout + grace
	var id [8]byte
	rand.Read(id[:])
	d := &driver{zone: csv.ZoneOr(cfg.Timezone), client: client, name: "intramuros-" + hex.EncodeToString(id[:])}
	t := trino.Config{ServerURI: u.String(), Source: "intramuros", Catalog: cfg.Catalog, Schema: cfg.Schema, CustomClientName: d.name, QueryTimeout: &patience,
		SessionProperties: map[string]string{"query_max_run_time": fmt.Sprintf("%dms", timeout.Milliseconds()), "query_max_stage_count": strconv.Itoa(maxStages)}}
	if err := trino.RegisterCustomClient(d.name, client); err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	dsn, err := t.FormatDSN()
	if err != nil {
		return nil, fmt.Errorf("%w: the connection's settings do not fit together", engine.ErrConfig) // the cause may show a secret
	}
	if d.db, err = sql.Open("trino", dsn); err != nil {
		return nil, fmt.Errorf("%w: the connection's settings do not fit together", engine.ErrConfig)
	}
	return d, nil
}

func (d *driver) close() error {
	err := d.db.Close()
	trino.DeregisterCustomClient(d.name)
	d.client.CloseIdleConnections()
	return err
}

var errNotSelect = errors.New("the engine runs SELECT statements only")

// withKey replaces the placeholders of the secret key. It leaves quoted text alone, because a researcher's text may
// look like a placeholder.
func withKey(text, key string) string {
	var b strings.Builder
	for text != "" {
		end := strings.IndexAny(text, "'\"")
		if end < 0 {
			end = len(text)
		}
		b.WriteString(strings.ReplaceAll(text[:end], "$group_key", key))
		if text = text[end:]; text == "" {
			break
		}
		length := strings.IndexByte(text[1:], text[0]) + 2 // a doubled quote begins the next quoted text
		b.WriteString(text[:length])
		text = text[length:]
	}
	return b.String()
}

// Query implements engine.Driver. Trino's client sends parameters as text anyway.
func (d *driver) Query(ctx context.Context, text string, keyed bool, fn func(row []any) error) error {
	if !strings.HasPrefix(text, "SELECT ") && !strings.HasPrefix(text, "WITH ") {
		return errNotSelect
	}
	if keyed {
		text = withKey(text, "X'"+d.key+"'")
	}
	rows, err := d.db.QueryContext(ctx, text)
	if err != nil {
		return fault(ctx, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return fault(ctx, err)
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fault(ctx, err)
		}
		if err := fn(values); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fault(ctx, err)
	}
	return nil
}

// fault returns an error in our own words, because the server's message may quote values, and an error of HTTP the
// token.
func fault(ctx context.Context, err error) error {
	class := fmt.Sprintf("an error of type %T", err)
	var failed *trino.ErrTrino
	var query *trino.ErrQueryFailed
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &failed):
		class = "Trino's error " + failed.ErrorName
		switch failed.ErrorName {
		case "COMPILER_ERROR", "QUERY_HAS_TOO_MANY_STAGES":
			class = uncompiled
		case "GENERIC_INTERNAL_ERROR":
			if strings.Contains(failed.Message, "CompilationException") {
				class = uncompiled
			}
		case "TABLE_NOT_FOUND", "COLUMN_NOT_FOUND", "TYPE_MISMATCH", "SCHEMA_NOT_FOUND", "CATALOG_NOT_FOUND", "FUNCTION_NOT_FOUND":
			class += ": a table or column changed under the catalog; run intramuros catalog check, then start the node anew"
		case "PERMISSION_DENIED":
			class += ": the user lacks a right; docs/trino-rules.json shows those that it needs"
			if denied := denial.FindStringSubmatch(failed.Message); denied != nil {
				class += ". The server says: " + denied[1]
			}
		case "JDBC_ERROR":
			class += ": the database behind Trino did not answer, or the role with which Trino's connector reads it lacks a right"
		case "EXCEEDED_TIME_LIMIT":
			class += ": the query took longer than `timeout`, or than the server lets it"
		case "USER_CANCELED", "ADMINISTRATIVELY_KILLED", "ADMINISTRATIVELY_PREEMPTED":
			class += ": somebody cancelled the query at the server"
		case "EXCEEDED_LOCAL_MEMORY_LIMIT", "EXCEEDED_GLOBAL_MEMORY_LIMIT", "CLUSTER_OUT_OF_MEMORY":
			class += ": the server has too little memory for the query"
		}
	case errors.Is(err, engine.ErrConfig):
		class = "the token cannot be read; see `token`"
	case errors.As(err, &certificate):
		class = "the server's certificate is not trusted, or not for the host in `url`; see `ca`"
	case errors.As(err, &query) && (query.StatusCode == http.StatusUnauthorized || query.StatusCode == http.StatusForbidden):
		class = fmt.Sprintf("the server refused the user, or its password or token, which may have expired (HTTP status %d)", query.StatusCode)
	case errors.As(err, &query) && query.StatusCode > 0:
		class = fmt.Sprintf("the server answers with HTTP status %d; see `url`", query.StatusCode)
	case errors.Is(err, context.DeadlineExceeded):
		class = "the server did not answer within `timeout`"
	case errors.As(err, &query):
		class = "the server cannot be reached; see `url`"
	}
	return engine.NewFault(ctx, class, err)
}

// uncompiled explains the several errors of Trino for a statement that it cannot compile. They come before it reads
// data.
const uncompiled = "Trino compiles no statement so large, or of so many joins (its query.max-stage-count): the researcher may join less in one query, or compute less"

// denial matches the server's refusal of a right that the user lacks, as far as it quotes only names of tables, columns
// and settings.
var denial = regexp.MustCompile(`^Access Denied: (Cannot (?:select from (?:columns \[[\w$, ]*\] in )?(?:table or view|table|view) [\w$.]+|access catalog [\w$]+|set system session property [\w$]+|(?:execute|view) query))(?:$|:)`)

// places are all tables of Trino's catalog, sorted by name. They implement engine.Finder.
type places struct {
	driver *driver
	schema string
	all    []engine.Place
}

func (d *driver) places(ctx context.Context, cfg Config) (*places, error) {
	in, err := compile.Name(cfg.Catalog)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	var all []engine.Place
	err = d.Query(ctx, "SELECT table_schema, table_name, column_name, data_type FROM "+in+".information_schema.columns WHERE table_schema <> 'information_schema' ORDER BY 1, 2, ordinal_position", false, func(row []any) error {
		schema, _ := row[0].(string)
		table, _ := row[1].(string)
		if name := schema + "." + table; len(all) == 0 || all[len(all)-1].Name != name {
			qs, err1 := compile.Name(schema)
			qt, err2 := compile.Name(table)
			if err1 != nil || err2 != nil {
				return nil
			}
			all = append(all, engine.Place{Name: name, SQL: in + "." + qs + "." + qt})
		}
		at := &all[len(all)-1]
		column, _ := row[2].(string)
		kind, _ := row[3].(string)
		at.Columns = append(at.Columns, engine.Local{Name: column, Kind: kind, Type: suits(kind)})
		return nil
	})
	return &places{d, cfg.Schema, all}, err
}

// Find implements engine.Finder. Trino's names are in lower case.
func (p *places) Find(ctx context.Context, table string, s engine.Source) (engine.Place, bool, error) {
	if s.Select != "" {
		at := engine.Place{Name: "the select of table " + table, SQL: "(" + s.Select + "\n) AS source"}
		// This reads no row: the types of the columns come with the answer.
		rows, err := p.driver.db.QueryContext(ctx, "SELECT * FROM "+at.SQL+" LIMIT 0")
		if err != nil {
			return at, false, fmt.Errorf("%w: the select of table %s cannot be run: %w", engine.ErrConfig, table, err) // no row is read: it quotes no value
		}
		defer rows.Close()
		columns, err := rows.ColumnTypes()
		if err != nil {
			return at, false, fault(ctx, err)
		}
		for _, c := range columns {
			kind := strings.ToLower(c.DatabaseTypeName())
			at.Columns = append(at.Columns, engine.Local{Name: c.Name(), Kind: kind, Type: suits(kind)})
		}
		return at, true, rows.Err()
	}
	plain := table
	if s.Table != "" {
		table = s.Table
	}
	if !strings.Contains(table, ".") {
		table = p.schema + "." + table
	}
	i := slices.IndexFunc(p.all, func(at engine.Place) bool { return strings.EqualFold(at.Name, table) })
	if i < 0 && s.Table == "" {
		names := make([]string, len(p.all))
		for i, at := range p.all {
			if name, ok := strings.CutPrefix(at.Name, p.schema+"."); ok {
				names[i] = name
			}
		}
		i = engine.PlainTable(plain, names)
	}
	if i < 0 {
		return engine.Place{}, false, nil
	}
	return p.all[i], true, nil
}

// All implements engine.Finder. It returns the tables of the schema.
func (p *places) All(context.Context) ([]engine.Place, error) {
	return slices.DeleteFunc(slices.Clone(p.all), func(at engine.Place) bool { return !strings.HasPrefix(at.Name, p.schema+".") }), nil
}

// Reader implements engine.Finder.
func (p *places) Reader() string { return " that the user may read" }

var precision = regexp.MustCompile(`\([\d, ]+\)`)

// whole matches the DECIMAL types without decimals that fit in 64 bits.
var whole = regexp.MustCompile(`^decimal\((\d|1[0-8]), ?0\)$`)

// base removes the length or precision of a type.
func base(kind string) string { return precision.ReplaceAllString(kind, "") }

// wholeDecimal matches all DECIMAL types without decimals.
var wholeDecimal = regexp.MustCompile(`^decimal\(\d+, ?0\)$`)

// suits returns the catalog's type for a local type.
func suits(kind string) value.Type {
	if wholeDecimal.MatchString(kind) {
		return value.TypeInt
	}
	switch base(kind) {
	case "boolean":
		return value.TypeBool
	case "tinyint", "smallint", "integer", "bigint":
		return value.TypeInt
	case "real", "double", "decimal":
		return value.TypeFloat
	case "date":
		return value.TypeDate
	case "timestamp", "timestamp with time zone":
		return value.TypeTimestamp
	}
	return value.TypeText
}

// Convert implements engine.Driver.
func (d *driver) Convert(l engine.Local, t value.Type) (sql string, fits bool) {
	want := compile.Trino.Type(t)
	none := "CAST(NULL AS " + want + ")"
	q, err := compile.Name(l.Name)
	if err != nil {
		return none, false
	}
	kind := base(l.Kind)
	local := suits(l.Kind)
	switch {
	case t == value.TypeText && (kind == "varchar" || kind == "char" || kind == "uuid" || kind == "ipaddress"):
		switch {
		case l.Kind == want:
			return q, true
		case kind == "char": // its padding is no part of it
			return "rtrim(CAST(" + q + " AS VARCHAR))", true
		}
		return "CAST(" + q + " AS VARCHAR)", true
	case kind == "varchar" || kind == "char":
		return d.read("NULLIF(trim(CAST("+q+" AS VARCHAR)), '')", t), false
	case t == value.TypeText && kind == "json":
		return "json_format(" + q + ")", true
	case local == value.TypeText && (t != value.TypeText || !strings.HasPrefix(kind, "time") && !strings.HasPrefix(kind, "interval")):
		return none, false // a map, an array, bytes: no text, so that a query with CAST would be refused
	case t == value.TypeTimestamp && kind == "timestamp with time zone":
		return "CAST(" + q + " AT TIME ZONE '" + d.zone + "' AS TIMESTAMP(6))", true
	case t == value.TypeDate && kind == "timestamp with time zone":
		return "CAST(" + q + " AT TIME ZONE '" + d.zone + "' AS DATE)", false
	case l.Kind == strings.ToLower(want):
		return q, true
	case t == value.TypeInt && local == value.TypeInt && (kind != "decimal" || whole.MatchString(l.Kind)), t == value.TypeFloat && (local == value.TypeFloat || local == value.TypeInt), t == value.TypeTimestamp && (kind == "timestamp" || kind == "date"):
		return "CAST(" + q + " AS " + want + ")", true
	case temporal(t) != temporal(local) && t != value.TypeText:
		return none, false // a date is no number
	}
	return "TRY_CAST(" + q + " AS " + want + ")", false
}

func temporal(t value.Type) bool { return t == value.TypeDate || t == value.TypeTimestamp }
