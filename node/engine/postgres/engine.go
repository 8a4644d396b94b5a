package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// oldest is the oldest supported version of PostgreSQL.
const oldest = 130000

// Engine runs fragments over one hospital's data. It is safe for concurrent use.
type Engine struct {
	*engine.Engine
	driver  *driver
	dataKey [32]byte // keys DataVersion, so that it tells nothing of the data
	label   string   // the custodian's name of the data; else empty
	views   string   // what the tables of the catalog read
	oids    []uint32 // of the tables and views that they read; nil if unknown
}

// Open connects, checks that the role can only read, and maps the tables of the catalog. key is the node's secret, of
// at least 16 bytes. Whoever knows it knows which groups of a patient are kept. It must stay the same, so that the same
// query on the same data gives the same answer. Errors wrap engine.ErrConfig or engine.ErrDatabase.
func Open(ctx context.Context, cfg Config, c *catalog.Catalog, hospital string, key []byte) (*Engine, error) {
	groups, version, err := engine.Keys(key)
	if err != nil {
		return nil, err
	}
	if err := engine.ValidateTables(cfg.Tables, c); err != nil {
		return nil, err
	}
	d, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d.key = [2]int64{int64(binary.LittleEndian.Uint64(groups[:])), int64(binary.LittleEndian.Uint64(groups[8:]))} //nolint:gosec // any bits will do
	e := &Engine{driver: d, label: cfg.DataVersion, dataKey: version}
	if err := e.attach(ctx, cfg, c, hospital); err != nil {
		d.pool.Close()
		return nil, err
	}
	return e, nil
}

// Close closes the connections. No Run may be in progress.
func (e *Engine) Close() error {
	e.driver.endings.Wait()
	e.driver.pool.Close()
	return nil
}

// connect opens the connections and refuses a server or a role that does not fit.
func connect(ctx context.Context, cfg Config) (*driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p, err := cfg.pool()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	d := &driver{pool: pool, zone: csv.ZoneOr(cfg.Timezone), rooms: make(chan struct{}, max(1, cfg.Queries))}
	if err := d.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return d, nil
}

// check refuses a server that is too old or not in UTF8. It refuses a role that can do more than read, by itself or as
// another role that it may become.
func (d *driver) check(ctx context.Context) error {
	return d.look(ctx, `WITH own AS (SELECT * FROM pg_roles WHERE pg_has_role(oid, 'MEMBER'))
SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_encoding'),
	CASE WHEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN 'is a superuser'
		WHEN pg_has_role('pg_read_server_files', 'MEMBER') THEN 'may read files of the server'
		WHEN pg_has_role('pg_write_server_files', 'MEMBER') THEN 'may write files of the server'
		WHEN pg_has_role('pg_execute_server_program', 'MEMBER') THEN 'may run programs on the server'
		WHEN (SELECT bool_or(rolsuper) FROM own) THEN 'may become a superuser'
		WHEN (SELECT bool_or(rolreplication) FROM own) THEN 'may replicate'
		WHEN (SELECT bool_or(rolcreaterole) FROM own) THEN 'may make roles'
		WHEN (SELECT bool_or(rolbypassrls) FROM own) THEN 'may bypass row-level security' ELSE '' END,
	coalesce((SELECT format('%I.%I', n.nspname, c.relname) FROM own, pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		AND (has_table_privilege(own.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') OR has_any_column_privilege(own.oid, c.oid, 'INSERT, UPDATE')) LIMIT 1), '')`, func(row []any) error {
		version, _ := row[0].(int64)
		encoding, _ := row[1].(string)
		right, _ := row[2].(string)
		writes, _ := row[3].(string)
		switch {
		case version < oldest:
			return fmt.Errorf("%w: the server is PostgreSQL %d; it needs %d or later", engine.ErrConfig, version/10000, oldest/10000)
		case encoding != "UTF8":
			return fmt.Errorf("%w: the database is encoded in %s; it needs UTF8", engine.ErrConfig, encoding)
		case right != "":
			return fmt.Errorf("%w: the role %s; give the node one that can only read (docs/postgresql-role.sql makes it)", engine.ErrConfig, right)
		case writes != "":
			return fmt.Errorf("%w: the role may write to the table %s; give the node one that can only read (docs/postgresql-role.sql makes it)", engine.ErrConfig, writes)
		}
		return nil
	})
}

// attach maps the tables of the catalog.
func (e *Engine) attach(ctx context.Context, cfg Config, c *catalog.Catalog, hospital string) error {
	local, err := e.driver.places(ctx, cfg)
	if err != nil {
		return err
	}
	views, closed, err := engine.Map(ctx, c, cfg.Tables, local)
	if err != nil {
		return err
	}
	var text strings.Builder
	e.oids = []uint32{}
	for _, v := range views {
		fmt.Fprintf(&text, "%q %q\n", v.Table.Name, v.Select(e.driver, compile.PostgreSQL, nil))
		if i := slices.IndexFunc(local.all, func(at place) bool { return at.SQL == v.SQL }); i < 0 {
			e.oids = nil // a SELECT
		} else if e.oids != nil {
			e.oids = append(e.oids, local.all[i].oid)
		}
	}
	if e.label == "" {
		name, err := e.driver.foreign(ctx, e.oids)
		if err != nil {
			return err
		}
		if name != "" {
			return fmt.Errorf("%w: the foreign table %s is read, and this server cannot tell when its data change; name them by `data_version`, and change the name with each load", engine.ErrConfig, name)
		}
	}
	e.views = text.String()
	var through engine.Driver = e.driver
	if cfg.RowsToNode == RowsNever {
		through = struct{ engine.Driver }{e.driver} // hides Stream, so that it is no Streamer
	}
	e.Engine = engine.New(through, compile.PostgreSQL, c, hospital, views, closed, nil)
	return nil
}

// Describe lists the contents of the database, to begin a catalog with: the sources of cfg.Tables by the catalog's
// names, or else all tables and views that the role may read. It reads all rows, or samples of very large tables.
func Describe(ctx context.Context, cfg Config) ([]engine.Table, error) {
	d, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer d.pool.Close()
	local, err := d.places(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return engine.Describe(ctx, d, compile.PostgreSQL, cfg.Tables, local)
}

// DataVersion returns 32 hex digits that change when the data changes. They are a digest of the sources of the
// catalog's tables, and of the custodian's label if there is one. Without a label they cover the server's counters of
// inserted, updated and deleted rows of the tables that are read, through views and partitions as well, and the names
// of their files. The node's secret is the digest's key, so it reveals nothing of the data. The counters follow a
// commit within ten seconds, and before version 15 when the writing session ends. They restart when the server crashes,
// and count rolled-back rows as well. They do not cover foreign tables, for which Open requires a label.
func (e *Engine) DataVersion(ctx context.Context) (string, error) {
	mac := hmac.New(sha256.New, e.dataKey[:])
	fmt.Fprintf(mac, "%q %q\n", e.views, e.label)
	if e.label == "" {
		if err := e.driver.counters(ctx, e.oids, func(line string) { fmt.Fprintln(mac, line) }); err != nil {
			return "", fmt.Errorf("the data's version cannot be told: %w", err)
		}
	}
	return hex.EncodeToString(mac.Sum(nil)[:16]), nil
}

// reading begins a statement with the relation read(oid): the tables, or all that match a condition if oids is nil, and
// all that they read as views and partitioned tables.
func reading(oids []uint32, all string) string {
	from := "relkind IN ('r', 'p', 'v', 'm', 'f') AND oid >= 16384 AND " + all // those below are PostgreSQL's own
	if oids != nil {
		list := []string{"0"}
		for _, oid := range oids {
			list = append(list, fmt.Sprint(oid))
		}
		from = "oid IN (" + strings.Join(list, ", ") + ")"
	}
	return `WITH RECURSIVE read(oid) AS (
	SELECT oid FROM pg_class WHERE ` + from + `
	UNION
	SELECT next FROM read, LATERAL (
		SELECT d.refobjid FROM pg_rewrite AS w JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass WHERE w.ev_class = read.oid
		UNION ALL SELECT i.inhrelid FROM pg_inherits AS i WHERE i.inhparent = read.oid) AS n(next)
)
`
}

// foreign returns the name of a foreign table among the tables that are read, or "".
func (d *driver) foreign(ctx context.Context, oids []uint32) (name string, err error) {
	err = d.look(ctx, reading(oids, "has_table_privilege(oid, 'SELECT')")+`SELECT format('%I.%I', n.nspname, c.relname) FROM read JOIN pg_class AS c USING (oid) JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'f' ORDER BY 1 LIMIT 1`, func(row []any) error {
		name, _ = row[0].(string)
		return nil
	})
	return name, err
}

// counters passes the state of tables, or of all if oids is nil, to line, in a fixed order.
func (d *driver) counters(ctx context.Context, oids []uint32, line func(string)) error {
	return d.look(ctx, reading(oids, "true")+`SELECT state FROM (SELECT concat_ws(' ', c.oid, c.relkind, c.relfilenode, pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid), pg_get_viewdef(CASE WHEN c.relkind IN ('v', 'm') THEN c.oid END)) AS state
FROM read JOIN pg_class AS c USING (oid)
UNION ALL SELECT concat('reset ', pg_stat_get_db_stat_reset_time(oid)) FROM pg_database WHERE datname = current_database()
UNION ALL SELECT concat('started ', pg_postmaster_start_time())) AS s
ORDER BY state COLLATE "C"`, func(row []any) error {
		s, _ := row[0].(string)
		line(s)
		return nil
	})
}
