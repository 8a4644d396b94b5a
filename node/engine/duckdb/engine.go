package duckdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// schema holds the view of each table that is offered; source is the attached
// database.
const (
	schema = "logical"
	source = "source"
)

// Engine runs fragments over one hospital's data. It may be used by any number
// of goroutines.
type Engine struct {
	*engine.Engine
	driver   *driver
	config   Config
	catalog  *catalog.Catalog
	dataKey  [32]byte // keys DataVersion, so that it tells nothing of the data
	attached []byte   // digest of the .duckdb file as it was attached, if it is one
	database identity // the same file's
	views    []*engine.View
	closed   []engine.Closed
	inside   map[string]engine.Place // the folder's tables that a `select` may read
	gate     *gate
	counted  counted
}

// Open attaches the sources and makes a view of each table that they offer. key
// is the node's secret, of at least 16 bytes: whoever knows it knows which groups
// of a patient are kept. It must stay the same, so that the same query on the
// same data gives the same answer. Errors wrap engine.ErrConfig or are of the database.
func Open(ctx context.Context, cfg Config, c *catalog.Catalog, hospital string, key []byte) (*Engine, error) {
	groups, version, err := engine.Keys(key)
	if err != nil {
		return nil, err
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := engine.ValidateTables(cfg.Tables, c); err != nil {
		return nil, err
	}
	db, g, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	d, err := newDriver(db, cfg)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	d.key = [2]uint64{binary.LittleEndian.Uint64(groups[:]), binary.LittleEndian.Uint64(groups[8:])}
	e := &Engine{driver: d, config: cfg, catalog: c, dataKey: version, gate: g}
	if err := e.attach(ctx, cfg); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	e.Engine = engine.New(d, compile.DuckDB, c, hospital, e.views, e.closed, e.state)
	return e, nil
}

// Close releases the database. No Run may be under way.
func (e *Engine) Close() error { return e.driver.db.Close() }

// open starts DuckDB with the database attached and nothing locked yet.
func open(ctx context.Context, cfg Config) (*sql.DB, *gate, error) {
	options := url.Values{
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"allow_community_extensions":   {"false"},
		"preserve_insertion_order":     {"false"}, // nothing depends on it, and it costs memory
		"temp_directory":               {cfg.SpillFolder},
	}
	if cfg.Threads > 0 {
		options.Set("threads", strconv.Itoa(cfg.Threads))
	}
	if cfg.MemoryLimit != "" {
		options.Set("memory_limit", cfg.MemoryLimit)
	}
	connector, err := duckdb.NewConnector("?"+options.Encode(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	db := sql.OpenDB(connector)
	setup := []string{"SET TimeZone = " + quote(cfg.zone()), "SET ieee_floating_point_ops = true", "SET enable_progress_bar = false"}
	if cfg.Database != "" {
		path, err := compile.DuckDB.Text(cfg.Database)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("%w: database: %w", engine.ErrConfig, err), db.Close())
		}
		setup = append(setup, "ATTACH "+path+" AS "+source+" (READ_ONLY)")
	}
	for _, s := range setup {
		if _, err := db.ExecContext(ctx, s); err != nil {
			if strings.Contains(err.Error(), "version number") {
				err = fmt.Errorf("%s was written by a later version of DuckDB than this node reads; with that version, copy it into a file that this node reads: ATTACH 'copy.duckdb' AS copy (STORAGE_VERSION 'v1.4.0'); COPY FROM DATABASE … TO copy", cfg.Database)
			}
			return nil, nil, errors.Join(fmt.Errorf("%w: %w", engine.ErrConfig, err), db.Close())
		}
	}
	g := &gate{open: map[string]bool{}}
	if err := g.register(ctx, db, cfg.Threads); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, g, nil
}

// attach makes the views, then locks the database.
func (e *Engine) attach(ctx context.Context, cfg Config) error {
	local, err := find(ctx, e.driver.db, cfg)
	if err != nil {
		return err
	}
	if cfg.Database != "" {
		h := sha256.New()
		for _, file := range []string{cfg.Database, cfg.Database + ".wal"} {
			if err := digest(h, file); err != nil {
				return fmt.Errorf("%w: database: %w", engine.ErrConfig, err)
			}
		}
		e.attached = h.Sum(nil)
		if e.database, err = stat(cfg.Database); err != nil {
			return fmt.Errorf("%w: database: %w", engine.ErrConfig, err)
		}
	}
	if _, err := e.driver.db.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return err
	}
	views, closed, err := engine.Map(ctx, e.catalog, cfg.Tables, local)
	if err != nil {
		return err
	}
	e.closed, e.inside = closed, local.inside
	var paths, folders []string
	for _, at := range local.inside {
		if f := folder(at.File); f != "" {
			folders = append(folders, f)
		} else {
			paths = append(paths, at.File)
		}
	}
	for _, v := range views {
		v.Stored = schema + `."` + v.Table.Name + `"`
		if _, err := e.driver.db.ExecContext(ctx, "CREATE VIEW "+v.Stored+" AS "+v.Select(e.driver, compile.DuckDB, nil)); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			e.closed = append(e.closed, engine.Close(v.Table.Name, fmt.Errorf("%s cannot be read: %s", v.Name, inWords(ctx, err))))
			continue
		}
		e.views = append(e.views, v)
		if f := folder(v.File); f != "" {
			folders = append(folders, f)
		} else if v.File != "" {
			paths = append(paths, v.File)
		}
	}
	if err := lock(ctx, e.driver.db, paths, folders); err != nil {
		return err
	}
	e.gate.mu.Lock()
	e.gate.shut = true
	e.gate.mu.Unlock()
	// A view of the database may read what only an open door lets it.
	e.views = slices.DeleteFunc(e.views, func(v *engine.View) bool {
		err := e.driver.Query(ctx, "SELECT 1 FROM "+v.Stored+" LIMIT 0", false, func([]any) error { return nil })
		if err != nil {
			e.closed = append(e.closed, engine.Close(v.Table.Name, fmt.Errorf("%s cannot be read: %s", v.Name, inWords(ctx, err))))
		}
		return err != nil
	})
	return ctx.Err()
}

// inDetail is inWords, and what the database says of the text of a statement, which names no value of the data.
func inDetail(ctx context.Context, err error) string {
	var cause *duckdb.Error
	if errors.As(err, &cause) && (cause.Type == duckdb.ErrorTypeBinder || cause.Type == duckdb.ErrorTypeCatalog || cause.Type == duckdb.ErrorTypeParser) {
		return cause.Error()
	}
	return inWords(ctx, err)
}

// inWords tells what an error of the database is, and quotes nothing of it.
func inWords(ctx context.Context, err error) string {
	var f *engine.Fault
	if errors.As(err, &f) || errors.As(fault(ctx, err), &f) {
		return f.Class()
	}
	return "it did not answer in time"
}

// lock leaves DuckDB able to read the given files, and the database that is
// attached, and to do nothing else outside of its memory.
func lock(ctx context.Context, db *sql.DB, paths, folders []string) error {
	statements := []string{}
	for setting, list := range map[string][]string{"allowed_paths": paths, "allowed_directories": folders} {
		quoted := make([]string, len(list))
		for i, s := range list {
			q, err := compile.DuckDB.Text(s)
			if err != nil {
				return err
			}
			quoted[i] = q
		}
		statements = append(statements, "SET "+setting+" = ["+strings.Join(quoted, ", ")+"]")
	}
	for _, s := range append(statements, "SET enable_external_access = false", "SET lock_configuration = true") {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%w: %w", engine.ErrConfig, err)
		}
	}
	return nil
}
