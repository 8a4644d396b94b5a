package duckdb

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// Config is the `engine:` part of a node's file for DuckDB.
type Config struct {
	// Database is a .duckdb file. It is opened read-only, so several programs may
	// read it at once, but none may have it open for writing. Exactly one of
	// Database and Folder is given.
	Database string `yaml:"database,omitempty"`
	// Folder holds Parquet or CSV files: table t is <folder>/t.parquet, or
	// <folder>/t.csv, or all of <folder>/t/*.parquet, or all below <folder>/t, where folders
	// such as day=2027-01-31 are a column. Every query reads CSV files anew, as text, so
	// Parquet is much faster.
	Folder string `yaml:"folder,omitempty"`
	// CSV says how the folder's CSV files are written; a table's own settings go before it.
	CSV *csv.Settings `yaml:"csv,omitempty"`
	// Timezone is the hospital's, such as Europe/Paris: an instant that comes with a zone is read as
	// the time of the day there. Empty: UTC.
	Timezone string `yaml:"timezone,omitempty"`
	// Tables says, for a table of the catalog, where the local source differs from
	// it in name or columns. A table that is neither here nor found by its own name
	// is not offered.
	Tables map[string]engine.Source `yaml:"tables,omitempty"`
	// Threads is how many cores a query may use; 0: all of them.
	Threads int `yaml:"threads,omitempty"`
	// MemoryLimit is how much memory all queries may use together, such as "2GB";
	// empty: 80 % of the machine's. In a node each of the queries that run at once has
	// an equal part, whether the others need theirs or not. A query that needs more
	// spills, or fails where there is no SpillFolder.
	MemoryLimit string `yaml:"memory_limit,omitempty"`
	// ProcessMemory is the ceiling of one query's process, such as "3GB": what MemoryLimit does not count,
	// above all what a statement takes while it is prepared, included. A process above it is killed. Empty: the
	// query's part of MemoryLimit, and 1 GiB. Only Start has processes.
	ProcessMemory string `yaml:"process_memory,omitempty"`
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
	if _, err := c.settings("").Dialect(); err != nil {
		return fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	if _, err := (&csv.Settings{Timezone: c.Timezone}).Reading(""); err != nil {
		return fmt.Errorf("%w: timezone: %w", engine.ErrConfig, err)
	}
	if _, ok := config.ParseSize(c.ProcessMemory); c.ProcessMemory != "" && !ok {
		return fmt.Errorf("%w: process_memory is %q; write such as 4GB", engine.ErrConfig, c.ProcessMemory)
	}
	for name, s := range c.Tables {
		if err := s.Validate(name); err != nil {
			return err
		}
		if _, err := c.settings(name).Dialect(); err != nil {
			return fmt.Errorf("%w: table %s: %w", engine.ErrConfig, name, err)
		}
		if s.Table != "" && c.Database == "" {
			return fmt.Errorf("%w: table %s names the table %s, and there is no `database` that could hold it", engine.ErrConfig, name, s.Table)
		}
	}
	return nil
}

// settings are those of a table's CSV files.
func (c *Config) settings(table string) *csv.Settings { return c.Tables[table].CSV.Over(c.CSV) }

func (c *Config) zone() string { return csv.ZoneOr(c.Timezone) }
