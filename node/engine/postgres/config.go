package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// DefaultConnections is the default of Config.Connections.
const DefaultConnections = 4

// Config is the key `engine.postgres` of a node's file.
type Config struct {
	// Host is a name, an address, or the folder of a Unix socket.
	Host string `yaml:"host"`
	// Port is the TCP port; 0: 5432.
	Port     int    `yaml:"port,omitempty"`
	Database string `yaml:"database"`
	// User is a role with the rights of docs/postgresql-role.sql and no others.
	User string `yaml:"user"`
	// Password is the role's password. Unset: the server asks for none (a Unix socket, or a certificate).
	Password config.Secret `yaml:"password,omitempty"`
	TLS      TLS           `yaml:"tls,omitempty"`
	// Schema is the schema of tables that are named without one; empty: public.
	Schema string `yaml:"schema,omitempty"`
	// Tables says where the local source of a catalog's table differs from it in its name or columns. A table that is
	// neither here nor found in Schema is not offered.
	Tables map[string]engine.Source `yaml:"tables,omitempty"`
	// Timezone is the hospital's time zone, such as Europe/Paris. A timestamp with a zone is read as the time of day
	// there. Empty: UTC.
	Timezone string `yaml:"timezone,omitempty"`
	// Connections is the largest number of connections of the node; 0: DefaultConnections. More than the node's
	// limits.concurrent are not used.
	Connections int `yaml:"connections,omitempty"`
	// Queries is the number of concurrent queries, which share the memory for rows; 0: one.
	Queries int `yaml:"-"`
	// Timeout limits one statement at the server, in case the node itself is gone; 0: 1 hour.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// WorkMem is the memory of one step of a query before it spills to disk, such as "256MB"; empty: the server's
	// setting.
	WorkMem string `yaml:"work_mem,omitempty"`
	// Workers is the number of parallel workers of a query; absent: the server's setting.
	Workers *int `yaml:"workers,omitempty"`
	// RowsToNode: with RowsNever the server's SQL computes everything. Empty: if a patient has several rows, the node
	// reads the rows that count, without names, over its connection and adds them up in its own memory. That is several
	// times as fast.
	RowsToNode string `yaml:"rows_to_node,omitempty"`
	// DataVersion names the state of the data until the custodian changes it, as after each nightly load. Empty: the
	// server's own counters of changes name it, so each change does.
	DataVersion string `yaml:"data_version,omitempty"`
}

// RowsNever is the value of RowsToNode with which no row of a patient leaves the server.
const RowsNever = "never"

// TLS says how the connection to the server is secured.
type TLS struct {
	// Mode is "verify" (the server's certificate is checked), or "off"; empty: verify, unless Host is a socket's folder
	// or this machine.
	Mode string `yaml:"mode,omitempty"`
	// CA is a PEM file of the trusted authorities; empty: the system's.
	CA string `yaml:"ca,omitempty"`
	// Certificate and Key are PEM files that authenticate the node to the server; empty: none.
	Certificate string `yaml:"certificate,omitempty"`
	Key         string `yaml:"key,omitempty"`
}

// The modes of TLS.
const (
	tlsVerify = "verify"
	tlsOff    = "off"
)

// Resolve makes paths relative to the directory of the file at path.
func (c *Config) Resolve(path string) {
	for _, p := range []*string{&c.Password.File, &c.TLS.CA, &c.TLS.Certificate, &c.TLS.Key} {
		*p = config.Resolve(path, *p)
	}
}

// Validate returns an error that lists every problem, one per line.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{engine.ErrConfig}, args...)...))
	}
	for _, n := range []struct{ key, value string }{{"host", c.Host}, {"database", c.Database}, {"user", c.User}} {
		if n.value == "" {
			problem("`%s` is not set", n.key)
		}
	}
	if err := csv.Zone(c.Timezone); err != nil {
		problem("`timezone`: %w", err)
	}
	if c.Port < 0 || c.Port > 65535 {
		problem("`port` is out of range")
	}
	if c.Connections < 0 || c.Connections > 1000 {
		problem("`connections` must be from 1 to 1000, or 0 for 4")
	}
	if c.Timeout < 0 || c.Workers != nil && *c.Workers < 0 {
		problem("`timeout` and `workers` must not be below 0")
	}
	if c.TLS.Mode != "" && c.TLS.Mode != tlsVerify && c.TLS.Mode != tlsOff {
		problem("`tls.mode` is %q; write verify or off", c.TLS.Mode)
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		problem("`tls.certificate` and `tls.key` go together")
	}
	if c.RowsToNode != "" && c.RowsToNode != RowsNever {
		problem("`rows_to_node` is %q; write never, or leave it out", c.RowsToNode)
	}
	for name, s := range c.Tables {
		if s.File != "" {
			problem("table %s names a file; PostgreSQL has `table` and `select`", name)
		}
		if s.CSV != nil {
			problem("table %s has `csv`, and there is no file here", name)
		}
	}
	return errors.Join(problems...)
}

// pool returns the configuration of the connections. Errors name files, never secrets.
func (c *Config) pool() (*pgxpool.Config, error) {
	port := c.Port
	if port == 0 {
		port = 5432
	}
	// Every setting that the driver would otherwise take from the environment or the home folder is given or emptied.
	p, err := pgxpool.ParseConfig("host=localhost port=1 user=u database=d password='' sslmode=disable passfile='' servicefile=''")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	cc := p.ConnConfig
	cc.Host, cc.Port, cc.Database, cc.User, cc.Password = c.Host, uint16(port), c.Database, c.User, "" //nolint:gosec // Validate bounds it
	cc.Fallbacks = nil
	cc.ConnectTimeout = 15 * time.Second
	if c.Password != (config.Secret{}) {
		secret, err := c.Password.Read("")
		if err != nil {
			return nil, fmt.Errorf("%w: password: %w", engine.ErrConfig, err)
		}
		cc.Password = string(secret)
	}
	if cc.TLSConfig, err = c.tls(); err != nil {
		return nil, err
	}
	if cc.TLSConfig == nil && !c.near() {
		cc.RequireAuth = "!password" // in clear, that is; whoever answers could ask for it
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = time.Hour
	}
	schema := c.schema()
	cc.RuntimeParams = map[string]string{
		"application_name":                    "intramuros",
		"search_path":                         `"` + strings.ReplaceAll(schema, `"`, `""`) + `"`,
		"TimeZone":                            csv.ZoneOr(c.Timezone),
		"DateStyle":                           "ISO, YMD",
		"standard_conforming_strings":         "on",
		"default_transaction_read_only":       "on",
		"statement_timeout":                   strconv.FormatInt(timeout.Milliseconds(), 10),
		"idle_in_transaction_session_timeout": "60000",
		"lock_timeout":                        "10000",
		"client_min_messages":                 "error",
		// Compiling a fragment takes long and makes it no faster, and meanwhile it cannot be cancelled.
		"jit": "off",
	}
	if c.WorkMem != "" {
		cc.RuntimeParams["work_mem"] = c.WorkMem
	}
	if c.Workers != nil {
		cc.RuntimeParams["max_parallel_workers_per_gather"] = strconv.Itoa(*c.Workers)
	}
	cc.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec // nothing stays prepared
	cc.StatementCacheCapacity, cc.DescriptionCacheCapacity = 0, 0
	cc.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
	}
	p.AfterConnect = watched
	p.MaxConns, p.MinConns = DefaultConnections, 0
	if c.Connections > 0 {
		p.MaxConns = int32(c.Connections) //nolint:gosec // Validate bounds it
	}
	p.MaxConnIdleTime = time.Minute
	return p, nil
}

// watched records when the session began, which distinguishes it from others if it must be terminated. It also makes
// the server check each second whether the node is still connected, so that a statement ends with a node that could not
// cancel it. Before version 14, and on systems that cannot check, the server refuses or does not know the setting. The
// timeout remains.
func watched(ctx context.Context, conn *pgx.Conn) error {
	var start time.Time
	if err := conn.QueryRow(ctx, "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()").Scan(&start); err != nil {
		return err
	}
	conn.PgConn().CustomData()[begun] = start
	_, err := conn.Exec(ctx, "SELECT set_config(name, '1s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'")
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

func (c *Config) schema() string {
	if c.Schema == "" {
		return "public"
	}
	return c.Schema
}

// near reports whether the server is on this machine.
func (c *Config) near() bool {
	ip := net.ParseIP(c.Host)
	return filepath.IsAbs(c.Host) || c.Host == "localhost" || ip != nil && ip.IsLoopback()
}

// tls returns the TLS configuration, or nil for none.
func (c *Config) tls() (*tls.Config, error) {
	if c.TLS.Mode == tlsOff || c.TLS.Mode == "" && c.near() {
		return nil, nil
	}
	if filepath.IsAbs(c.Host) {
		return nil, fmt.Errorf("%w: `tls` does not apply to a Unix socket", engine.ErrConfig)
	}
	t := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.TLS.CA != "" {
		pem, err := os.ReadFile(c.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("%w: tls.ca: %w", engine.ErrConfig, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: tls.ca: %s holds no certificate", engine.ErrConfig, c.TLS.CA)
		}
	}
	if c.TLS.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: tls.certificate: %w", engine.ErrConfig, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
