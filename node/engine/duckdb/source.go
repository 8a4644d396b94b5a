package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// place is where a local table is.
type place struct {
	name string // as the hospital calls it
	sql  string // what stands after FROM
	file string // the absolute path or pattern of its files, or "" for a table of the database
}

// folder is the folder to be read if the files are a pattern, else "".
func (p place) folder() string {
	i := strings.IndexAny(p.file, "*?[")
	if i < 0 {
		return ""
	}
	return p.file[:strings.LastIndexByte(p.file[:i], filepath.Separator)+1]
}

func (s Source) String() string {
	switch {
	case s.Table != "":
		return "table " + s.Table
	case s.File != "":
		return "file " + s.File
	}
	return "table or file of that name"
}

// places are all local tables.
type places struct {
	config Config
	tables map[string]place // of the database, by schema.name and, in schema main, by name; lower case
}

func find(ctx context.Context, db *sql.DB, cfg Config) (*places, error) {
	p := &places{config: cfg, tables: map[string]place{}}
	if cfg.Database == "" {
		info, err := os.Stat(cfg.Folder)
		if err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%w: folder: there is no folder %s", ErrConfig, cfg.Folder)
		}
		return p, nil
	}
	rows, err := db.QueryContext(ctx, "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = '"+source+"' ORDER BY ALL")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s, t string
		if err := rows.Scan(&s, &t); err != nil {
			return nil, err
		}
		qs, err1 := compile.Name(s)
		qt, err2 := compile.Name(t)
		if err1 != nil || err2 != nil {
			continue
		}
		at := place{name: s + "." + t, sql: source + "." + qs + "." + qt}
		p.tables[strings.ToLower(s+"."+t)] = at
		if s == "main" {
			p.tables[strings.ToLower(t)] = at
		}
	}
	return p, rows.Err()
}

// of finds the source of a table of the catalog, and whether it exists.
func (p *places) of(table string, s Source) (place, bool, error) {
	if s.File != "" {
		file := s.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.config.Folder, file)
		}
		return files(file)
	}
	if p.config.Database != "" {
		if s.Table != "" {
			table = s.Table
		}
		at, ok := p.tables[strings.ToLower(table)]
		return at, ok, nil
	}
	for _, pattern := range []string{table + ".parquet", table + ".csv", filepath.Join(table, "*.parquet")} {
		if at, ok, err := files(filepath.Join(p.config.Folder, pattern)); ok || err != nil {
			return at, ok, err
		}
	}
	return place{}, false, nil
}

// files gives the place of files if at least one matches.
func files(pattern string) (place, bool, error) {
	pattern, err := filepath.Abs(pattern)
	if err != nil {
		return place{}, false, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return place{}, false, fmt.Errorf("%w: %s is no pattern of files", ErrConfig, pattern)
	}
	if len(matches) == 0 {
		return place{}, false, nil
	}
	if p := (place{file: pattern}); p.folder() == string(filepath.Separator) {
		return place{}, false, fmt.Errorf("%w: the pattern %s would open all of the machine's files to the engine; name a folder first", ErrConfig, pattern)
	}
	quoted, err := compile.DuckDB.Text(pattern)
	if err != nil {
		return place{}, false, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	at := place{name: pattern, file: pattern}
	switch strings.ToLower(filepath.Ext(pattern)) {
	case ".parquet":
		at.sql = "read_parquet(" + quoted + ")"
	case ".csv":
		// As text, and leniently: no line can make a query fail.
		at.sql = "read_csv(" + quoted + ", header = true, all_varchar = true, ignore_errors = true, null_padding = true)"
	default:
		return place{}, false, fmt.Errorf("%w: %s is neither .parquet nor .csv", ErrConfig, pattern)
	}
	return at, true, nil
}

// all lists the local tables: those of the database, or those that the folder
// holds under the names that of looks for.
func (p *places) all() ([]place, error) {
	list := map[string]place{}
	for _, at := range p.tables {
		list[at.name] = at
	}
	if p.config.Database == "" {
		entries, err := os.ReadDir(p.config.Folder)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		for _, entry := range entries {
			table := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), ".parquet"), ".csv")
			at, ok, err := p.of(table, Source{})
			if err != nil {
				return nil, err
			}
			if ok {
				list[at.name] = at
			}
		}
	}
	return slices.SortedFunc(maps.Values(list), func(a, b place) int { return strings.Compare(a.name, b.name) }), nil
}

// local is a column of a source.
type local struct{ name, kind string }

// view is how one table of the catalog reads its source.
type view struct {
	place
	columns map[string]local // by the catalog's name; a column that is missing here is absent
}

func newView(ctx context.Context, db *sql.DB, t *catalog.Table, at place, names map[string]string) (view, error) {
	have, err := describe(ctx, db, at)
	if err != nil {
		return view{}, fmt.Errorf("%w: table %s: %s cannot be read: %w", ErrConfig, t.Name, at.name, err)
	}
	for logical := range names {
		if c, ok := t.Column(logical); !ok || c.Name != logical {
			return view{}, fmt.Errorf("%w: columns of table %s: the catalog has no column %s (letter case counts here)", ErrConfig, t.Name, logical)
		}
	}
	v := view{at, map[string]local{}}
	for _, c := range t.Columns {
		want, renamed := names[c.Name]
		if !renamed {
			want = c.Name
		}
		i := slices.IndexFunc(have, func(l local) bool { return strings.EqualFold(l.name, want) })
		if i < 0 && renamed {
			return view{}, fmt.Errorf("%w: columns of table %s: %s has no column %s", ErrConfig, t.Name, at.name, want)
		}
		if i >= 0 {
			v.columns[c.Name] = have[i]
		}
	}
	return v, nil
}

func describe(ctx context.Context, db *sql.DB, at place) ([]local, error) {
	rows, err := db.QueryContext(ctx, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM "+at.sql+")")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []local
	for rows.Next() {
		var l local
		if err := rows.Scan(&l.name, &l.kind); err != nil {
			return nil, err
		}
		columns = append(columns, l)
	}
	return columns, rows.Err()
}

// create writes the view.
func (v view) create(t *catalog.Table) string {
	var columns []string
	for _, c := range t.Columns {
		sql := "CAST(NULL AS " + compile.DuckDB.Type(c.Type) + ")"
		if l, ok := v.columns[c.Name]; ok {
			sql = l.as(c.Type)
		}
		columns = append(columns, sql+` AS "`+c.Name+`"`)
	}
	return "CREATE VIEW " + schema + `."` + t.Name + "\" AS SELECT\n  " + strings.Join(columns, ",\n  ") + "\nFROM " + v.sql
}

// as converts a local column to a type; what does not convert is NULL.
func (l local) as(t value.Type) string {
	want := compile.DuckDB.Type(t)
	quoted, err := compile.Name(l.name)
	switch {
	case err != nil:
		return "CAST(NULL AS " + want + ")"
	case l.kind == want:
		return quoted
	case l.kind == "VARCHAR":
		return "TRY_CAST(NULLIF(trim(" + quoted + "), '') AS " + want + ")"
	}
	return "TRY_CAST(" + quoted + " AS " + want + ")"
}

// fits says whether every value of the local column converts as it is.
func (l local) fits(t value.Type) bool {
	switch t {
	case value.TypeInt:
		return slices.Contains([]string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}, l.kind)
	case value.TypeFloat:
		return slices.Contains([]string{"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}, l.kind) || strings.HasPrefix(l.kind, "DECIMAL")
	case value.TypeText:
		return l.kind == "VARCHAR" || strings.HasPrefix(l.kind, "ENUM") || l.kind == "UUID"
	case value.TypeTimestamp:
		return strings.HasPrefix(l.kind, "TIMESTAMP") || l.kind == "DATE"
	}
	return l.kind == compile.DuckDB.Type(t)
}
