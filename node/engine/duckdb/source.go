package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// folder is the folder to be read if a file is a pattern, else "".
func folder(file string) string {
	i := strings.IndexAny(file, "*?[")
	if i < 0 {
		return ""
	}
	return file[:strings.LastIndexByte(file[:i], filepath.Separator)+1]
}

// places are all local tables, as engine.Finder has them.
type places struct {
	db     *sql.DB
	config Config
	tables map[string]engine.Place // of the database, by schema.name and, in schema main, by name; lower case
}

func find(ctx context.Context, db *sql.DB, cfg Config) (*places, error) {
	p := &places{db: db, config: cfg, tables: map[string]engine.Place{}}
	if cfg.Database == "" {
		info, err := os.Stat(cfg.Folder)
		if err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%w: folder: there is no folder %s", engine.ErrConfig, cfg.Folder)
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
		at := engine.Place{Name: s + "." + t, SQL: source + "." + qs + "." + qt}
		p.tables[strings.ToLower(s+"."+t)] = at
		if s == "main" {
			p.tables[strings.ToLower(t)] = at
		}
	}
	return p, rows.Err()
}

// Find is engine.Finder's.
func (p *places) Find(ctx context.Context, table string, s engine.Source) (engine.Place, bool, error) {
	at, ok, err := p.place(table, s)
	if !ok || err != nil {
		return at, ok, err
	}
	if at.Columns, err = describe(ctx, p.db, at); err != nil {
		return at, false, fmt.Errorf("%w: %s, for table %s, cannot be read: %w", engine.ErrConfig, at.Name, table, err)
	}
	return at, true, nil
}

// place is Find's, without the columns.
func (p *places) place(table string, s engine.Source) (engine.Place, bool, error) {
	if s.Select != "" {
		if p.config.Database == "" || !single(s.Select) {
			return engine.Place{}, false, fmt.Errorf("%w: table %s: a `select` needs a `database`, of which it reads source.main.TABLE, and is one SELECT without a semicolon", engine.ErrConfig, table)
		}
		return engine.Place{Name: "the select of table " + table, SQL: "(" + s.Select + "\n) AS source"}, true, nil
	}
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
	for _, pattern := range []string{table + ".parquet", table + ".csv", filepath.Join(table, "*.parquet"), filepath.Join(table, "**", "*.parquet"),
		filepath.Join(table, "*.csv"), filepath.Join(table, "**", "*.csv")} {
		if at, ok, err := files(filepath.Join(p.config.Folder, pattern)); ok || err != nil {
			return at, ok, err
		}
	}
	return engine.Place{}, false, nil
}

// files gives the place of files if at least one matches.
func files(pattern string) (engine.Place, bool, error) {
	pattern, err := filepath.Abs(pattern)
	if err != nil {
		return engine.Place{}, false, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	matches, err := glob(pattern)
	if err != nil {
		return engine.Place{}, false, fmt.Errorf("%w: %s is no pattern of files: %w", engine.ErrConfig, pattern, err)
	}
	if len(matches) == 0 {
		return engine.Place{}, false, nil
	}
	if folder(pattern) == string(filepath.Separator) {
		return engine.Place{}, false, fmt.Errorf("%w: the pattern %s would open all of the machine's files to the engine; name a folder first", engine.ErrConfig, pattern)
	}
	quoted, err := compile.DuckDB.Text(pattern)
	if err != nil {
		return engine.Place{}, false, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	at := engine.Place{Name: pattern, File: pattern}
	switch strings.ToLower(filepath.Ext(pattern)) {
	case ".parquet":
		// What folders such as day=2027-01-31 say are texts: none can change the type of a column.
		at.SQL = "read_parquet(" + quoted + ", hive_types_autocast = false)"
	case ".csv":
		// As text, and leniently: no line can make a query fail. Files' columns are told apart by their
		// headers, not by their order.
		at.SQL = "read_csv(" + quoted + ", header = true, all_varchar = true, ignore_errors = true, null_padding = true"
		if strings.ContainsAny(pattern, "*?[") {
			at.SQL += ", union_by_name = true, hive_types_autocast = false"
		}
		at.SQL += ")"
	default:
		return engine.Place{}, false, fmt.Errorf("%w: %s is neither .parquet nor .csv", engine.ErrConfig, pattern)
	}
	return at, true, nil
}

// glob lists the files of a pattern, sorted by name, as DuckDB does: ** stands for any folders, or none.
func glob(pattern string) ([]string, error) {
	const deep = string(filepath.Separator) + "**" + string(filepath.Separator)
	root, rest, ok := strings.Cut(pattern, deep)
	if !ok {
		return filepath.Glob(pattern)
	}
	if strings.Contains(rest, "**") {
		return nil, errors.New("it has more than one **")
	}
	roots, err := filepath.Glob(root)
	if err != nil {
		return nil, err
	}
	levels := strings.Count(rest, string(filepath.Separator)) + 1
	var files []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			inside, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			parts := strings.Split(inside, string(filepath.Separator))
			tail := filepath.Join(parts[max(0, len(parts)-levels):]...)
			if ok, err := filepath.Match(rest, tail); !ok {
				return err
			}
			files = append(files, path)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return files, nil
}

// All is engine.Finder's: the tables of the database, or those that the folder
// holds under the names that Find looks for.
func (p *places) All(ctx context.Context) ([]engine.Place, error) {
	list := map[string]engine.Place{}
	for _, at := range p.tables {
		list[at.Name] = at
	}
	if p.config.Database == "" {
		entries, err := os.ReadDir(p.config.Folder)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
		}
		for _, entry := range entries {
			table := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), ".parquet"), ".csv")
			at, ok, err := p.place(table, engine.Source{})
			if err != nil {
				return nil, err
			}
			if ok {
				list[at.Name] = at
			}
		}
	}
	all := slices.SortedFunc(maps.Values(list), func(a, b engine.Place) int { return strings.Compare(a.Name, b.Name) })
	for i, at := range all {
		var err error
		if all[i].Columns, err = describe(ctx, p.db, at); err != nil {
			return nil, fmt.Errorf("%w: %s cannot be read: %w", engine.ErrConfig, at.Name, err)
		}
	}
	return all, nil
}

// Reader is engine.Finder's: a file has no roles that could lack a right.
func (p *places) Reader() string { return "" }

func describe(ctx context.Context, db *sql.DB, at engine.Place) ([]engine.Local, error) {
	rows, err := db.QueryContext(ctx, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM "+at.SQL+")")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []engine.Local
	for rows.Next() {
		var l engine.Local
		if err := rows.Scan(&l.Name, &l.Kind); err != nil {
			return nil, err
		}
		l.Type = suits(l.Kind)
		columns = append(columns, l)
	}
	return columns, rows.Err()
}

// Convert is engine.Driver's.
func (d *driver) Convert(l engine.Local, t value.Type) (sql string, fits bool) {
	want := compile.DuckDB.Type(t)
	quoted, err := compile.Name(l.Name)
	switch {
	case err != nil:
		return "CAST(NULL AS " + want + ")", false
	case t == value.TypeText && l.Kind == want:
		return "(" + quoted + " COLLATE C)", true // a column may be declared to compare otherwise than by its bytes
	case l.Kind == want:
		return quoted, true
	case l.Kind == "VARCHAR":
		return "TRY_CAST(NULLIF(trim(" + quoted + "), '') AS " + want + ")", false
	}
	return "TRY_CAST(" + quoted + " AS " + want + ")", converts(l.Kind, t)
}

// converts says whether every value of a local column converts as it is.
func converts(kind string, t value.Type) bool {
	switch t {
	case value.TypeInt:
		return slices.Contains([]string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}, kind) || whole.MatchString(kind)
	case value.TypeFloat:
		return slices.Contains([]string{"FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}, kind) || strings.HasPrefix(kind, "DECIMAL")
	case value.TypeText:
		return kind == "VARCHAR" || strings.HasPrefix(kind, "ENUM") || kind == "UUID"
	case value.TypeTimestamp:
		return strings.HasPrefix(kind, "TIMESTAMP") || kind == "DATE"
	}
	return kind == compile.DuckDB.Type(t)
}

// whole are the decimals that are whole numbers of 64 bits.
var whole = regexp.MustCompile(`^DECIMAL\((\d|1[0-8]),0\)$`)

// suits gives the catalog's type for a local column.
func suits(kind string) value.Type {
	switch {
	case kind == "BOOLEAN":
		return value.TypeBool
	case converts(kind, value.TypeInt) || kind == "HUGEINT" || kind == "UBIGINT":
		return value.TypeInt
	case converts(kind, value.TypeFloat):
		return value.TypeFloat
	case kind == "DATE":
		return value.TypeDate
	case converts(kind, value.TypeTimestamp):
		return value.TypeTimestamp
	}
	return value.TypeText
}

// Describe lists what the sources hold, to begin a catalog with: those of cfg.Tables by
// the catalog's names, and else all tables or files that are found. It reads all of them.
func Describe(ctx context.Context, cfg Config) ([]engine.Table, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	db, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	local, err := find(ctx, db, cfg)
	if err != nil {
		return nil, err
	}
	return engine.Describe(ctx, &driver{db: db}, compile.DuckDB, cfg.Tables, local)
}
