package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/duckdb"
	"github.com/intramuros/intramuros/node/engine/postgres"
	"github.com/intramuros/intramuros/node/engine/trino"
)

// engineFile is the key `engine` of node.yaml. It names exactly one engine.
type engineFile struct {
	DuckDB   *duckdb.Config   `yaml:"duckdb,omitempty"`
	Postgres *postgres.Config `yaml:"postgres,omitempty"`
	Trino    *trino.Config    `yaml:"trino,omitempty"`
}

// database is an open engine.
type database interface {
	node.Engine
	node.Reader
	DataVersion(ctx context.Context) (string, error)
	Verify(ctx context.Context) ([]engine.Finding, error)
	Contradictions(ctx context.Context) ([]engine.Finding, error)
	Multiplicity(ctx context.Context, table string, columns []string) (float64, error)
	Close() error
}

func (f *engineFile) validate() error {
	n := 0
	for _, given := range []bool{f.DuckDB != nil, f.Postgres != nil, f.Trino != nil} {
		if given {
			n++
		}
	}
	if n != 1 {
		return errors.New("`engine` needs one of the keys duckdb, postgres and trino, and the engine's own keys below it")
	}
	return nil
}

// resolve makes paths relative to the directory of the file at path.
func (f *engineFile) resolve(path string) {
	if d := f.DuckDB; d != nil {
		for _, p := range []*string{&d.Database, &d.Folder, &d.SpillFolder} {
			*p = config.Resolve(path, *p)
		}
	}
	if f.Postgres != nil {
		f.Postgres.Resolve(path)
	}
	if f.Trino != nil {
		f.Trino.Resolve(path)
	}
}

// tables returns the sources of the tables that the file maps.
func (f *engineFile) tables() map[string]engine.Source {
	switch {
	case f.Postgres != nil:
		return f.Postgres.Tables
	case f.Trino != nil:
		return f.Trino.Tables
	case f.DuckDB != nil:
		return f.DuckDB.Tables
	}
	return nil
}

func (f *engineFile) kind() string {
	switch {
	case f.Postgres != nil:
		return "postgres"
	case f.Trino != nil:
		return "trino"
	}
	return "duckdb"
}

// start is open for a daemon. An embedded engine runs in processes of its own, one for each concurrent query. restarts
// counts the processes that end. A program that is not intramuros, such as a test of this package, has no workers, and
// its engine runs in its own process.
func (f *engineFile) start(ctx context.Context, cat *catalog.Catalog, hospital string, key []byte, concurrent int, restarts *restarts, log *slog.Logger) (database, error) {
	if f.Postgres != nil {
		f.Postgres.Queries = concurrent
	}
	if f.DuckDB == nil || !worker.Known() {
		return f.open(ctx, cat, hospital, key)
	}
	e, err := duckdb.Start(ctx, *f.DuckDB, duckdb.Workers{Most: concurrent, Log: log}, cat, hospital, key)
	if err != nil {
		return nil, inDetail(err)
	}
	restarts.add(e.Restarts)
	return e, nil
}

// open connects to the data. key is the node's secret.
func (f *engineFile) open(ctx context.Context, cat *catalog.Catalog, hospital string, key []byte) (database, error) {
	switch {
	case f.Postgres != nil:
		e, err := postgres.Open(ctx, *f.Postgres, cat, hospital, key)
		return e, inDetail(err)
	case f.Trino != nil:
		e, err := trino.Open(ctx, *f.Trino, cat, hospital, key)
		return e, inDetail(err)
	}
	e, err := duckdb.Open(ctx, *f.DuckDB, cat, hospital, key)
	return e, inDetail(err)
}

// describe lists the contents of the database, for a draft of a catalog.
func (f *engineFile) describe(ctx context.Context) (tables []engine.Table, err error) {
	switch {
	case f.Postgres != nil:
		tables, err = postgres.Describe(ctx, *f.Postgres)
	case f.Trino != nil:
		tables, err = trino.Describe(ctx, *f.Trino)
	default:
		tables, err = duckdb.Describe(ctx, *f.DuckDB)
	}
	return tables, inDetail(err)
}

// inDetail describes an error of the database in words that quote no value.
func inDetail(err error) error {
	var fault *engine.Fault
	if errors.As(err, &fault) {
		return fmt.Errorf("%w: %s", err, fault.Class())
	}
	return err
}
