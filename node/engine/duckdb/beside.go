package duckdb

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/intramuros/intramuros/node/engine"
)

// kindsOfFiles are endings of file names that may hold a table's rows.
var kindsOfFiles = strings.Fields(".parquet .parq .pq .csv .tsv .xls .xlsx .xlsm .ods .sas7bdat .xpt .sav .dta .rds .orc .avro .feather .arrow .gz .zip .bz2 .xz .zst .7z .duckdb .sqlite")

// holdsRows reports whether a file's name is that of a file of rows, in a format that is read or in another.
func holdsRows(name string) bool {
	return slices.Contains(kindsOfFiles, strings.ToLower(filepath.Ext(name)))
}

// unfinished reports whether one element of a path is no part of a table by its name. Spark and Hive write unfinished
// files under names that begin with a point or an underscore (_temporary, ._part). Excel writes a lock file beside an
// open file.
func unfinished(step string) bool {
	return step != "." && step != ".." && (strings.HasPrefix(step, ".") || strings.HasPrefix(step, "_") && !strings.Contains(step, "=") || strings.HasPrefix(step, "~$"))
}

// lake names the table format whose log in a folder says which files still count, or "". Delta Lake, Hudi and Iceberg
// leave files of deleted rows in the folder.
func lake(folder string) string {
	for what, pattern := range map[string]string{"Delta Lake": "_delta_log", "Hudi": ".hoodie", "Iceberg": filepath.Join("metadata", "*.metadata.json")} {
		if found, err := filepath.Glob(filepath.Join(literal(folder), pattern)); err == nil && len(found) > 0 {
			return what
		}
	}
	return ""
}

// literal escapes a path, so that as a pattern it matches itself only.
func literal(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}

// unsettled says why the files of a pattern are not the rows of a table, or returns "". Either a file is not finished,
// or a log beside the files says which of them count.
func unsettled(pattern string, matches []string) string {
	root := folder(pattern)
	if root == "" {
		return ""
	}
	for _, dir := range []string{root, filepath.Dir(filepath.Clean(root))} {
		if what := lake(dir); what != "" {
			return fmt.Sprintf("its files are those of a table of %s, whose log in %s says which of them count: read it through Trino, or let the load write its rows out as Parquet elsewhere", what, dir)
		}
	}
	for _, file := range matches {
		inside, err := filepath.Rel(root, file)
		if err == nil && slices.ContainsFunc(strings.Split(inside, string(filepath.Separator)), unfinished) {
			return file + " has the name of a file that is hidden, or not finished: move it away"
		}
	}
	return ""
}

// beside holds the contents of the folder, apart from the files of its tables.
type beside struct {
	folder  string // absolute, as the files that were found are named
	entries []fs.DirEntry
}

// beside reads the folder.
func (c *Config) beside() (*beside, error) {
	folder, err := filepath.Abs(c.Folder)
	if err != nil {
		return nil, fmt.Errorf("%w: folder: %w", engine.ErrConfig, err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrConfig, err)
	}
	return &beside{folder, entries}, nil
}

// unread reports whether the files of a table of the folder are all that may hold its rows. The error names one that is
// not read. A CSV file beside a Parquet file is only noted.
func (b *beside) unread(name string, at *engine.Place) error {
	var matches []string
	if at.File != "" {
		var err error
		if matches, err = glob(at.File); err != nil {
			return err
		}
	}
	read := whereRead(matches)
	for _, entry := range b.entries {
		path := filepath.Join(b.folder, entry.Name())
		rest, mine := strings.CutPrefix(entry.Name(), name)
		if !mine || !strings.HasPrefix(rest, ".") || !holdsRows(rest) || read[path] {
			continue
		}
		if !isParquet(at.File) || !strings.EqualFold(rest, ".csv") {
			return errUnread(path, at)
		}
		at.Note = path + " is not read: of a table's Parquet and CSV files the Parquet files are"
	}
	root := filepath.Join(b.folder, name)
	if _, err := os.Stat(root); err != nil {
		return nil // no folder of that name
	}
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", engine.ErrConfig, err)
		case path == root || unfinished(entry.Name()) && !entry.IsDir():
			return nil
		case entry.IsDir() && unfinished(entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || read[path]:
			return nil
		}
		// A search for files below a folder does not follow links to other folders.
		if info, err := os.Stat(path); holdsRows(path) || err == nil && info.IsDir() {
			return errUnread(path, at)
		}
		return nil
	})
}

// besideNow says which files beside those of the folder's tables are not read now. It skips tables that node.yaml
// names.
func (e *Engine) besideNow() string {
	all := ""
	var b *beside // once there is a table to look for
	for _, v := range e.views {
		if s := e.config.Tables[v.Table.Source()]; v.File == "" || s.File != "" || s.Select != "" {
			continue
		}
		if b == nil {
			var err error
			if b, err = e.config.beside(); err != nil {
				return err.Error() + "\n"
			}
		}
		inside, err := filepath.Rel(b.folder, v.File)
		if err == nil {
			name, _, below := strings.Cut(inside, string(filepath.Separator))
			if !below {
				name = strings.TrimSuffix(name, filepath.Ext(name))
			}
			at := v.Place
			err = b.unread(name, &at)
		}
		if err != nil {
			all += err.Error() + "\n"
		}
	}
	return all
}

func errUnread(path string, at *engine.Place) error {
	beside := ""
	if at.File != "" {
		beside = " beside " + at.File
	}
	return fmt.Errorf("%w: %s is not read%s: let all files of the table be of one kind (.parquet, or .csv in one letter case, not compressed) in folders of one depth, name them in node.yaml (`file`), or move it away", engine.ErrConfig, path, beside)
}

// whereRead returns the paths of files, and their real paths if one of their folders is a link.
func whereRead(files []string) map[string]bool {
	read, folders := map[string]bool{}, map[string]string{}
	for _, file := range files {
		read[file] = true
		dir, name := filepath.Dir(file), filepath.Base(file)
		if _, known := folders[dir]; !known {
			folders[dir] = dir
			if at, err := filepath.EvalSymlinks(dir); err == nil {
				folders[dir] = at
			}
		}
		read[filepath.Join(folders[dir], name)] = true
	}
	return read
}
