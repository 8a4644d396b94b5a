package duckdb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/intramuros/intramuros/node/engine/compile"
)

// setup describes how to start the DuckDB that answers, in this process or in each worker.
type setup struct {
	Options    string // of the connection, as a URL's query
	Threads    int
	Spill      string // folder; each worker has a folder of its own below it
	Statements []statement
	Final      bool   // there are no further statements: nothing else may be opened
	Database   string // the attached file, if there is one
	Attached   []byte // its digest, to be compared; nil: not compared
	Room       int64  // bytes for rows that are added up outside DuckDB
}

// database is a DuckDB of this process.
type database struct {
	*sql.DB
	csvTables *csvTables
	sinks     *sinks
	part      bool  // a view could not be made
	most      int   // threads; 0: all
	room      int64 // see setup.Room
}

// statement is a step of a setup.
type statement struct {
	SQL string
	// View: it makes the view of a table. If that fails in a later process, the table's files have changed. Then only
	// statements that read them should fail.
	View bool
}

// believing are the optimizers that trust statistics. The statistics in the footer of a Parquet file are whatever
// somebody wrote there. If a row is outside them, grouping may fail or put the row into another group, a comparison
// that seems needless may be dropped, and which rows a join reads may depend on other patients' ids.
const believing = "statistics_propagation,compressed_materialization,join_filter_pushdown"

// setup returns a new setup: with the database attached and nothing locked yet.
func (c *Config) setup() (setup, error) {
	options := url.Values{
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"allow_community_extensions":   {"false"},
		"preserve_insertion_order":     {"false"}, // nothing depends on the order, and keeping it costs memory
		"temp_directory":               {c.SpillFolder},
	}
	if c.Threads > 0 {
		options.Set("threads", strconv.Itoa(c.Threads))
	}
	if c.MemoryLimit != "" {
		options.Set("memory_limit", c.MemoryLimit)
	}
	s := setup{Options: options.Encode(), Threads: c.Threads, Statements: []statement{
		{SQL: "SET TimeZone = " + quote(c.zone())}, {SQL: "SET ieee_floating_point_ops = true"}, {SQL: "SET enable_progress_bar = false"},
		{SQL: "SET disabled_optimizers = '" + believing + "'"},
	}}
	if c.Database != "" {
		path, err := compile.DuckDB.Text(c.Database)
		if err != nil {
			return s, fmt.Errorf("database: %w", err)
		}
		s.Database = c.Database
		s.Statements = append(s.Statements, statement{SQL: "ATTACH " + path + " AS " + source + " (READ_ONLY)"})
	}
	return s, nil
}

// open starts DuckDB in this process.
func (s *setup) open(ctx context.Context) (_ *database, err error) {
	connector, err := duckdb.NewConnector("?"+s.Options, nil)
	if err != nil {
		return nil, err
	}
	db := &database{DB: sql.OpenDB(connector), csvTables: &csvTables{open: map[string]bool{}}, sinks: &sinks{}, most: s.Threads, room: s.Room}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if err := errors.Join(db.csvTables.register(ctx, db.DB, s.Threads), db.sinks.register(ctx, db.DB)); err != nil {
		return nil, err
	}
	for _, each := range s.Statements {
		switch _, err := db.ExecContext(ctx, each.SQL); {
		case err != nil && each.View:
			db.part = true
		case err != nil && strings.Contains(err.Error(), "version number"):
			return nil, fmt.Errorf("%s was written by a later version of DuckDB than this node reads; with that version, copy it into a file that this node reads: ATTACH 'copy.duckdb' AS copy (STORAGE_VERSION 'v1.4.0'); COPY FROM DATABASE … TO copy", s.Database)
		case err != nil:
			return nil, err
		}
	}
	if s.Attached != nil {
		now, err := fingerprint(s.Database)
		if err == nil && !bytes.Equal(now, s.Attached) {
			err = errors.New("the database is another file now; start the node anew")
		}
		if err != nil {
			return nil, err
		}
	}
	if s.Final {
		db.csvTables.close()
	}
	return db, nil
}

// fingerprint is a digest of a .duckdb file in its present state.
func fingerprint(database string) ([]byte, error) {
	h := sha256.New()
	for _, file := range []string{database, database + ".wal"} {
		if err := digest(h, file); err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
	}
	return h.Sum(nil), nil
}

// spillPrefix begins the name of a worker's folder in the spill folder; the process id follows.
const spillPrefix = "worker-"

// spillInto makes DuckDB spill into a folder of this process only. Two processes with one folder would overwrite each
// other's files.
func (s *setup) spillInto() error {
	if s.Spill == "" {
		return nil
	}
	options, err := url.ParseQuery(s.Options)
	if err != nil {
		return err
	}
	folder := spillFolder(s.Spill, os.Getpid())
	if err := errors.Join(os.RemoveAll(folder), os.MkdirAll(folder, 0o700)); err != nil {
		return fmt.Errorf("spill_folder: %w", err)
	}
	options.Set("temp_directory", folder)
	s.Options = options.Encode()
	return nil
}

func spillFolder(spill string, pid int) string {
	return filepath.Join(spill, spillPrefix+strconv.Itoa(pid))
}
