package duckdb

import (
	"errors"
	"fmt"
)

// Config is the `engine:` part of a node's file for DuckDB.
type Config struct {
	// Database is a .duckdb file. It is opened read-only, so several programs may
	// read it at once, but none may have it open for writing. Exactly one of
	// Database and Folder is given.
	Database string `yaml:"database,omitempty"`
	// Folder holds Parquet or CSV files: table t is <folder>/t.parquet, or
	// <folder>/t.csv, or all of <folder>/t/*.parquet. Every query reads CSV files
	// anew, as text, and skips lines that are no CSV, so Parquet is much faster.
	Folder string `yaml:"folder,omitempty"`
	// Tables says, for a table of the catalog, where the local source differs from
	// it in name or columns. A table that is neither here nor found by its own name
	// is not offered.
	Tables map[string]Source `yaml:"tables,omitempty"`
	// Threads is how many cores a query may use; 0: all of them.
	Threads int `yaml:"threads,omitempty"`
	// MemoryLimit is how much memory all queries may use together, such as "2GB";
	// empty: 80 % of the machine's. A query that needs more spills, or fails where
	// there is no SpillFolder.
	MemoryLimit string `yaml:"memory_limit,omitempty"`
	// SpillFolder receives what does not fit in memory: rows of patients, as they
	// are, until the query ends. Choose an encrypted disk inside the hospital that
	// only the node can read. Empty: nothing spills.
	SpillFolder string `yaml:"spill_folder,omitempty"`
}

// Source is where one table of the catalog is, at this hospital. At most one of
// Table and File is given.
type Source struct {
	// Table is a table or view of Database, as "name" or "schema.name".
	Table string `yaml:"table,omitempty"`
	// File is a Parquet or CSV file, or a pattern such as "labs/*.parquet",
	// relative to Folder unless absolute.
	File string `yaml:"file,omitempty"`
	// Columns gives the local column of a catalog's column where names differ.
	Columns map[string]string `yaml:"columns,omitempty"`
}

// ErrConfig means that the configuration does not fit the data or the catalog.
var ErrConfig = errors.New("the engine's configuration is wrong")

func (c *Config) validate() error {
	if (c.Database == "") == (c.Folder == "") {
		return fmt.Errorf("%w: give either `database`, a .duckdb file, or `folder`, with Parquet or CSV files", ErrConfig)
	}
	if c.Threads < 0 {
		return fmt.Errorf("%w: threads is %d; give 0 for all cores, or their number", ErrConfig, c.Threads)
	}
	for name, s := range c.Tables {
		if s.Table != "" && s.File != "" {
			return fmt.Errorf("%w: table %s has both `table` and `file`; give one", ErrConfig, name)
		}
		if s.Table != "" && c.Database == "" {
			return fmt.Errorf("%w: table %s names the table %s, and there is no `database` that could hold it", ErrConfig, name, s.Table)
		}
	}
	return nil
}
