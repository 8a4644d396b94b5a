package duckdb

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// script returns statements for a database of the catalog enginetest.Promising.
func script(more ...string) []string {
	var all []string
	for name, columns := range enginetest.PromisingTables {
		all = append(all, "CREATE TABLE "+name+" ("+columns+")")
	}
	return append(append(all, enginetest.Promise...), more...)
}

// One patient breaks what the catalog promises, in files of an open engine that has verified them: see
// enginetest.Promises.
func TestPromises(t *testing.T) {
	t.Run("as streams", func(t *testing.T) { promises(t, func(e *Engine) enginetest.Engine { return e }) })
	t.Run("in SQL", func(t *testing.T) { promises(t, func(e *Engine) enginetest.Engine { return compiled{e} }) })
}

func promises(t *testing.T, by func(*Engine) enginetest.Engine) {
	t.Helper()
	c := testcatalog.Parse(t, enginetest.Promising)
	for _, breaking := range enginetest.Breaking {
		t.Run(breaking, func(t *testing.T) {
			folder := t.TempDir()
			db, err := sql.Open("duckdb", "")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			run := func(statements ...string) {
				for _, s := range statements {
					if _, err := db.Exec(s); err != nil {
						t.Fatalf("%s: %v", s, err)
					}
				}
			}
			save := func() {
				for name := range enginetest.PromisingTables {
					run("COPY " + name + " TO '" + filepath.Join(folder, name) + ".parquet' (FORMAT parquet)")
				}
			}
			run(script()...)
			save()
			e, err := Open(t.Context(), Config{Folder: folder}, c, enginetest.Hospital, testKey)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if _, err := e.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			enginetest.Promises(t, by(e), c, func() { run(breaking); save() })
			found, err := e.Contradictions(t.Context())
			if err != nil || len(found) == 0 {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

// The name of a state depends on what nobody can set. A file that is rewritten with the same size and its old time is
// another state.
func TestState(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "person.csv")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("id,ward,x\n1,north,50\n")
	e, err := Open(t.Context(), Config{Folder: folder}, testcatalog.Parse(t, enginetest.Promising), enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	state := func() string {
		s, err := e.state(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := state()
	if state() != before {
		t.Error("the state changes by itself")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write("id,ward,x\n2,north,50\n")
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if state() == before {
		t.Error("other rows have the same state")
	}
}

// A database that is written to while it is open is refused. A file that replaces it is not read.
func TestDatabaseWrittenTo(t *testing.T) {
	c := testcatalog.Parse(t, enginetest.Promising)
	path := newDatabase(t, script()...)
	e, err := Open(t.Context(), Config{Database: path}, c, enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	before, err := e.state(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	other := newDatabase(t, script(enginetest.Breaking...)...)
	data, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if after, err := e.state(context.Background()); err != nil || after != before {
		t.Errorf("%v, %v", after, err)
	}
	enginetest.Promises(t, e, c, func() {})
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.state(context.Background()); err == nil || !strings.Contains(err.Error(), "written to while it was open") {
		t.Errorf("%v", err)
	}
}

// Views may read the clock, so each statement looks at their rows itself.
func TestPromisesOfViews(t *testing.T) {
	c := testcatalog.Parse(t, enginetest.Promising)
	views := func(statements ...string) []string {
		all := script(statements...)
		for name := range enginetest.PromisingTables {
			all = append(all, "CREATE SCHEMA IF NOT EXISTS stored", "CREATE TABLE stored."+name+" AS FROM "+name, "DROP TABLE "+name, "CREATE VIEW "+name+" AS SELECT * FROM stored."+name)
		}
		return all
	}
	for _, breaking := range enginetest.Breaking {
		whole := engineWith(t, enginetest.Promising, views()...)
		other := engineWith(t, enginetest.Promising, views(breaking)...)
		e := &turning{Engine: whole}
		enginetest.Promises(t, e, c, func() { e.Engine = other })
	}
}

// turning is an engine that can be replaced by another.
type turning struct{ *Engine }
