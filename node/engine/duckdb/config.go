package duckdb

import (
	"fmt"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/csv"
)

// Config is the `engine:` part of a node's file for DuckDB.
type Config struct {
	// Database is a .duckdb file. It is opened read-only: several programs may read it at once, but none may have it
	// open for writing. Exactly one of Database and Folder is given.
	Database string `yaml:"database,omitempty"`
	// Folder holds Parquet or CSV files. Table t is <folder>/t.parquet, or <folder>/t.csv, or all files
	// <folder>/t/*.parquet, or all files below <folder>/t. There, folders such as day=2027-01-31 become a column. Every
	// query parses CSV files again, so Parquet is much faster.
	Folder string `yaml:"folder,omitempty"`
	// CSV says how the folder's CSV files are written. A table's own settings take precedence.
	CSV *csv.Settings `yaml:"csv,omitempty"`
	// Timezone is the hospital's time zone, such as Europe/Paris. An instant with a zone is read as the time of day
	// there. Empty: UTC.
	Timezone string `yaml:"timezone,omitempty"`
	// Tables says where the local source of a catalog's table differs from it in its name or columns. A table that is
	// neither here nor found under its own name is not offered.
	Tables map[string]engine.Source `yaml:"tables,omitempty"`
	// Threads is the number of cores that a query may use; 0: all of them.
	Threads int `yaml:"threads,omitempty"`
	// MemoryLimit is the memory that all queries may use together, such as "2GB"; empty: 80 % of the machine's memory.
	// A node gives each of its concurrent queries an equal part, whether the others use theirs or not. A query that
	// needs more spills to disk, or fails if there is no SpillFolder.
	MemoryLimit string `yaml:"memory_limit,omitempty"`
	// ProcessMemory is the limit of one query's process, such as "3GB". It includes memory that MemoryLimit does not
	// count, above all that of preparing a statement. A process above the limit is killed. Empty: the query's part of
	// MemoryLimit plus 1 GiB. Only Start runs processes.
	ProcessMemory string `yaml:"process_memory,omitempty"`
	// SpillFolder receives what does not fit in memory. These are rows of patients in plain form, until the query ends.
	// Choose an encrypted disk inside the hospital that only the node can read. Empty: nothing spills.
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

// settings returns the settings of a table's CSV files.
func (c *Config) settings(table string) *csv.Settings { return c.Tables[table].CSV.Over(c.CSV) }

func (c *Config) zone() string { return csv.ZoneOr(c.Timezone) }
