package duckdb

import (
	"fmt"

	"github.com/intramuros/intramuros/node/engine"
)

// Config is the `engine:` part of a node's file for DuckDB.
type Config struct {
	// Database is a .duckdb file. It is opened read-only, so several programs may
	// read it at once, but none may have it open for writing. Exactly one of
	// Database and Folder is given.
	Database string `yaml:"database,omitempty"`
	// Folder holds Parquet or CSV files: table t is <folder>/t.parquet, or
	// <folder>/t.csv, or all of <folder>/t/*.parquet, or all below <folder>/t, where folders
	// such as day=2027-01-31 are a column. Every query reads CSV files anew, as text, and
	// skips lines that are no CSV, so Parquet is much faster.
	Folder string `yaml:"folder,omitempty"`
	// Tables says, for a table of the catalog, where the local source differs from
	// it in name or columns. A table that is neither here nor found by its own name
	// is not offered.
	Tables map[string]engine.Source `yaml:"tables,omitempty"`
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

func (c *Config) validate() error {
	if (c.Database == "") == (c.Folder == "") {
		return fmt.Errorf("%w: give either `database`, a .duckdb file, or `folder`, with Parquet or CSV files", engine.ErrConfig)
	}
	if c.Threads < 0 {
		return fmt.Errorf("%w: threads is %d; give 0 for all cores, or their number", engine.ErrConfig, c.Threads)
	}
	for name, s := range c.Tables {
		if err := s.Validate(name); err != nil {
			return err
		}
		if s.Table != "" && c.Database == "" {
			return fmt.Errorf("%w: table %s names the table %s, and there is no `database` that could hold it", engine.ErrConfig, name, s.Table)
		}
	}
	return nil
}
