package duckdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// The view of each offered table is in schema logical; source is the attached database.
const (
	schema = "logical"
	source = "source"
)

// Engine runs fragments over one hospital's data. It may be used by any number of goroutines.
type Engine struct {
	*engine.Engine
	driver    *driver
	config    Config
	catalog   *catalog.Catalog
	dataKey   [32]byte // keys DataVersion, so that it reveals nothing about the data
	attached  []byte   // digest of the .duckdb file when it was attached, if there is one
	database  identity // identity of the same file
	views     []*engine.View
	closed    []engine.Closed
	inside    map[string]engine.Place // the folder's tables that a `select` may read
	csvTables *csvTables
	counted   counted
	version   atomic.Pointer[versioned] // the last version, if the files had settled
}

// Open attaches the sources and makes a view of each offered table. key is the node's secret, of at least 16 bytes.
// Whoever knows it knows which groups of a patient are kept. It must stay the same, so that the same query on the same
// data gives the same answer. Errors wrap engine.ErrConfig or come from the database.
//
// DuckDB runs in this process. A statement can take the process's memory, and one that ignores an interrupt cannot be
// ended. So a daemon uses Start.
func Open(ctx context.Context, cfg Config, c *catalog.Catalog, hospital string, key []byte) (*Engine, error) {
	e, err := newEngine(cfg, c, key)
	if err != nil {
		return nil, err
	}
	if e.driver.db, err = open(ctx, cfg); err != nil {
		return nil, err
	}
	e.csvTables = e.driver.db.csvTables
	if err := e.attach(ctx, cfg); err != nil {
		return nil, errors.Join(err, e.driver.db.Close())
	}
	e.Engine = engine.New(e.driver, compile.DuckDB, c, hospital, e.views, e.closed, e.state)
	return e, nil
}

// newEngine returns an engine without a database.
func newEngine(cfg Config, c *catalog.Catalog, key []byte) (*Engine, error) {
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
	d, err := newDriver(cfg)
	if err != nil {
		return nil, err
	}
	d.key = [2]uint64{binary.LittleEndian.Uint64(groups[:]), binary.LittleEndian.Uint64(groups[8:])}
	return &Engine{driver: d, config: cfg, catalog: c, dataKey: version}, nil
}

// Close releases the database. No Run may be in progress.
func (e *Engine) Close() error {
	if e.driver.workers != nil {
		e.driver.workers.Close()
		return nil
	}
	return e.driver.db.Close()
}

// open starts DuckDB in this process, with the database attached and not locked yet.
func open(ctx context.Context, cfg Config) (*database, error) {
	s, err := cfg.setup()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	s.Room = leastRoom
	db, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	return db, nil
}

// attach makes the views, then locks the database.
func (e *Engine) attach(ctx context.Context, cfg Config) error {
	local, err := find(ctx, e.driver, cfg)
	if err != nil {
		return err
	}
	if cfg.Database != "" {
		if e.attached, err = fingerprint(cfg.Database); err != nil {
			return fmt.Errorf("%w: %w", engine.ErrConfig, err)
		}
		if e.database, err = stat(cfg.Database); err != nil {
			return fmt.Errorf("%w: database: %w", engine.ErrConfig, err)
		}
	}
	if err := e.driver.execute(ctx, statement{SQL: "CREATE SCHEMA " + schema}); err != nil {
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
		if err := e.driver.execute(ctx, statement{SQL: "CREATE VIEW " + v.Stored + " AS " + v.Select(e.driver, compile.DuckDB, nil), View: true}); err != nil {
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
	if err := e.driver.lock(ctx, paths, folders); err != nil {
		return err
	}
	if e.csvTables != nil { // the workers have their own gate
		e.csvTables.close()
	}
	// A view in the database may read files that are readable only while the gate is open.
	e.views = slices.DeleteFunc(e.views, func(v *engine.View) bool {
		err := e.driver.Query(ctx, "SELECT 1 FROM "+v.Stored+" LIMIT 0", false, func([]any) error { return nil })
		if err != nil {
			e.closed = append(e.closed, engine.Close(v.Table.Name, fmt.Errorf("%s cannot be read: %s", v.Name, inWords(ctx, err))))
		}
		return err != nil
	})
	return ctx.Err()
}

// inDetail is inWords, with what the database says about a statement's text. That text contains no value of the data.
func inDetail(ctx context.Context, err error) string {
	var cause *duckdb.Error
	if errors.As(err, &cause) && (cause.Type == duckdb.ErrorTypeBinder || cause.Type == duckdb.ErrorTypeCatalog || cause.Type == duckdb.ErrorTypeParser) {
		said, _, _ := strings.Cut(cause.Error(), "\n\nLINE ") // the rest is our own statement
		return strings.Join(strings.Fields(said), " ")
	}
	return inWords(ctx, err)
}

// inWords says what kind of error the database reports, without quoting it.
func inWords(ctx context.Context, err error) string {
	var f *engine.Fault
	if errors.As(err, &f) || errors.As(fault(ctx, err), &f) {
		return f.Class()
	}
	return "it did not answer in time"
}

// lock leaves DuckDB able to read the given files and the attached database, and to do nothing else outside its memory.
func (d *driver) lock(ctx context.Context, paths, folders []string) error {
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
		if err := d.execute(ctx, statement{SQL: s}); err != nil {
			return fmt.Errorf("%w: %w", engine.ErrConfig, err)
		}
	}
	return nil
}
