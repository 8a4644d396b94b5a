package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
)

// folder is the folder that a pattern searches; "" if file is not a pattern.
func folder(file string) string {
	i := strings.IndexAny(file, "*?[")
	if i < 0 {
		return ""
	}
	return file[:strings.LastIndexByte(file[:i], filepath.Separator)+1]
}

// places are all local tables. They implement engine.Finder.
type places struct {
	driver *driver
	config Config
	// tables of the database, by schema.name and, in schema main, also by name; lower case
	tables map[string]engine.Place
	// inside are the tables of the folder by name, if a `select` may read them as source.main.NAME.
	inside map[string]engine.Place
	// drafts: settings of CSV files that are not declared are guessed, for a draft of a catalog.
	drafts bool
}

func find(ctx context.Context, d *driver, cfg Config) (*places, error) {
	p := &places{driver: d, config: cfg, tables: map[string]engine.Place{}}
	if cfg.Database == "" {
		info, err := os.Stat(cfg.Folder)
		if err != nil || !info.IsDir() {
			return nil, fmt.Errorf("%w: folder: there is no folder %s", engine.ErrConfig, cfg.Folder)
		}
		return p, p.selectable(ctx)
	}
	err := d.look(ctx, "SELECT table_schema, table_name, table_type = 'BASE TABLE' FROM information_schema.tables WHERE table_catalog = '"+source+"' ORDER BY ALL", nil, func(row []any) error {
		s, _ := row[0].(string)
		t, _ := row[1].(string)
		stored, _ := row[2].(bool)
		qs, err1 := compile.Name(s)
		qt, err2 := compile.Name(t)
		if err1 != nil || err2 != nil {
			return nil
		}
		at := engine.Place{Name: s + "." + t, SQL: source + "." + qs + "." + qt, Lasting: stored}
		p.tables[strings.ToLower(s+"."+t)] = at
		if s == "main" {
			p.tables[strings.ToLower(t)] = at
		}
		return nil
	})
	return p, err
}

// Find implements engine.Finder.
func (p *places) Find(ctx context.Context, table string, s engine.Source) (engine.Place, bool, error) {
	at, ok, err := p.place(ctx, table, s)
	if !ok || err != nil {
		return at, ok, err
	}
	if at.Columns != nil {
		return at, true, nil
	}
	if err = p.columns(ctx, &at); err != nil {
		return at, false, fmt.Errorf("%w: %s, for table %s, cannot be read: %s", engine.ErrConfig, at.Name, table, inDetail(ctx, err))
	}
	return at, true, nil
}

func (p *places) columns(ctx context.Context, at *engine.Place) (err error) {
	if at.File != "" {
		return p.parquet(ctx, at)
	}
	at.Columns, err = p.driver.describe(ctx, *at)
	return err
}

// place is Find without the columns.
func (p *places) place(ctx context.Context, table string, s engine.Source) (engine.Place, bool, error) {
	if s.Select != "" {
		if !single(s.Select) {
			return engine.Place{}, false, fmt.Errorf("%w: table %s: a `select` reads source.main.TABLE, and is one SELECT without a semicolon", engine.ErrConfig, table)
		}
		at := engine.Place{Name: "the select of table " + table, SQL: "(" + s.Select + "\n) AS source"}
		for name, from := range p.inside {
			if mentions(s.Select, name) {
				at.Rejected = max(at.Rejected, from.Rejected)
			}
		}
		return at, true, nil
	}
	if s.File != "" {
		file := s.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.config.Folder, file)
		}
		return p.files(ctx, table, file)
	}
	if p.config.Database != "" {
		if s.Table != "" {
			table = s.Table
		}
		at, ok := p.tables[strings.ToLower(table)]
		if names := slices.Sorted(maps.Keys(p.tables)); !ok && s.Table == "" {
			if i := engine.PlainTable(table, names); i >= 0 {
				at, ok = p.tables[names[i]], true
			}
		}
		return at, ok, nil
	}
	at, ok, err := p.named(ctx, table, table)
	if ok || err != nil {
		return at, ok, err
	}
	// This finds a file whose Plain name is the table's: Décès 2023.csv is deces_2023.
	names, err := p.names()
	if err != nil {
		return engine.Place{}, false, err
	}
	same := slices.DeleteFunc(names, func(n string) bool { return engine.Plain(n) != engine.Plain(table) })
	if len(same) != 1 {
		return engine.Place{}, false, nil
	}
	return p.named(ctx, same[0], table)
}

// files returns the place of a table's files if at least one matches.
func (p *places) files(ctx context.Context, table, pattern string) (engine.Place, bool, error) {
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
	if why := unsettled(pattern, matches); why != "" {
		return engine.Place{}, false, fmt.Errorf("%w: %s", engine.ErrConfig, why)
	}
	quoted, err := compile.DuckDB.Text(pattern)
	if err != nil {
		return engine.Place{}, false, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	at := engine.Place{Name: pattern, File: pattern, Lasting: true}
	switch strings.ToLower(filepath.Ext(pattern)) {
	case ".parquet":
		// Values from folders such as day=2027-01-31 are read as texts, so none can change a column's type.
		at.SQL = "read_parquet(" + quoted + ", hive_types_autocast = false)"
	case ".csv", ".tsv", ".txt":
		at, err = p.csv(ctx, pattern, matches[0], p.config.settings(table))
		if err != nil {
			return at, false, fmt.Errorf("%w: %s: %w", engine.ErrConfig, pattern, err)
		}
	default:
		return engine.Place{}, false, fmt.Errorf("%w: %s is none of .parquet, .csv, .tsv and .txt", engine.ErrConfig, pattern)
	}
	return at, true, nil
}

// glob lists the files that match a pattern, sorted by name, as DuckDB does. ** stands for any number of folders.
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

// selectable makes views of the folder's tables if a `select` may read them.
func (p *places) selectable(ctx context.Context) error {
	selects := map[string]engine.Source{}
	for table, s := range p.config.Tables {
		if s.Select != "" {
			selects[table] = s
		}
	}
	if len(selects) == 0 {
		return nil
	}
	names, err := p.names()
	if err != nil {
		return err
	}
	if err := p.driver.execute(ctx, statement{SQL: "ATTACH ':memory:' AS " + source}); err != nil {
		return err
	}
	p.inside = map[string]engine.Place{}
	for _, name := range names {
		settings := name
		for table, s := range selects {
			if s.CSV != nil && mentions(s.Select, name) {
				settings = table
			}
		}
		quoted, err := compile.Name(name)
		if err != nil {
			continue
		}
		at, ok, err := p.named(ctx, name, settings)
		if err == nil && ok && at.Columns == nil {
			err = p.columns(ctx, &at)
		}
		if err == nil && ok {
			err = p.driver.execute(ctx, statement{SQL: "CREATE VIEW " + source + ".main." + quoted + " AS SELECT * FROM " + at.SQL, View: true})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && ok { // otherwise a `select` that reads it finds no such table
			at.Settings = settings
			p.inside[name] = at
		}
	}
	return nil
}

// mentions reports whether a SELECT may read a table of that name.
func mentions(text, name string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(strings.ReplaceAll(name, `"`, `""`)))
}

// names lists the names of the folder's tables.
func (p *places) names() ([]string, error) {
	entries, err := os.ReadDir(p.config.Folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if ext := filepath.Ext(name); slices.Contains([]string{".parquet", ".csv"}, strings.ToLower(ext)) {
			name = strings.TrimSuffix(name, ext)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// named returns the folder's table of that name. settings is the table of node.yaml whose CSV settings apply.
func (p *places) named(ctx context.Context, name, settings string) (engine.Place, bool, error) {
	b, err := p.config.beside()
	if err != nil {
		return engine.Place{}, false, err
	}
	var files, folders []string
	for _, kind := range []string{".parquet", ".csv", ".PARQUET", ".CSV"} {
		files = append(files, name+kind)
		folders = append(folders, filepath.Join(name, "*"+kind), filepath.Join(name, "**", "*"+kind))
	}
	for _, pattern := range append(files, folders...) {
		at, ok, err := p.files(ctx, settings, filepath.Join(b.folder, pattern))
		switch {
		case err != nil:
			return at, ok, err
		case ok:
			return at, true, b.unread(name, &at)
		}
	}
	return engine.Place{}, false, b.unread(name, &engine.Place{})
}

// All implements engine.Finder. It returns the tables of the database, or those in the folder under the names that Find
// searches.
func (p *places) All(ctx context.Context) ([]engine.Place, error) {
	list := map[string]engine.Place{}
	for _, at := range p.tables {
		list[at.Name] = at
	}
	if p.config.Database == "" {
		names, err := p.names()
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			at, ok, err := p.named(ctx, name, engine.Plain(name))
			if err != nil && (ctx.Err() != nil || !errors.Is(err, engine.ErrConfig)) {
				return nil, err
			}
			if err != nil {
				at.Name, at.Fault, ok = name, engine.Close(name, err).Why, true
			}
			if ok {
				list[at.Name] = at
			}
		}
	}
	all := slices.SortedFunc(maps.Values(list), func(a, b engine.Place) int { return strings.Compare(a.Name, b.Name) })
	for i, at := range all {
		if at.Columns != nil || at.Fault != "" {
			continue
		}
		if err := p.columns(ctx, &all[i]); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			all[i].Fault = "it cannot be read: " + inDetail(ctx, err)
		}
	}
	return all, nil
}

// Reader implements engine.Finder. Files have no roles that could lack a right.
func (p *places) Reader() string { return "" }

func (d *driver) describe(ctx context.Context, at engine.Place) (columns []engine.Local, err error) {
	err = d.look(ctx, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM "+at.SQL+")", nil, func(row []any) error {
		var l engine.Local
		l.Name, _ = row[0].(string)
		l.Kind, _ = row[1].(string)
		l.Type = suits(l.Kind)
		columns = append(columns, l)
		return nil
	})
	return columns, err
}

// Describe lists the contents of the sources, to begin a catalog with: those in cfg.Tables by the catalog's names, or
// else all tables or files that it finds. It reads all of them.
func Describe(ctx context.Context, cfg Config) ([]engine.Table, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	db, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	d, err := newDriver(cfg)
	if err != nil {
		return nil, err
	}
	d.db = db
	local, err := find(ctx, d, cfg)
	if err != nil {
		return nil, err
	}
	local.drafts = true
	return engine.Describe(ctx, d, compile.DuckDB, cfg.Tables, local)
}
