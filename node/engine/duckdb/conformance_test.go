package duckdb

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/internal/worker"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

func TestMain(m *testing.M) {
	worker.Main(map[string]worker.Role{RoleName: Role})
	// The noise library, which computes a request's price, links glog.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

var testKey = []byte("a secret of the node, for tests only")

// TestConformance runs the suite of all engines.
func TestConformance(t *testing.T) {
	enginetest.Run(t, enginetest.Kind{Open: func(t testing.TB, c *catalog.Catalog, key string, tables ...enginetest.Table) enginetest.Engine {
		var statements []string
		for _, table := range tables {
			statements = append(statements, create(table)...)
		}
		e, err := Open(context.Background(), Config{Database: newDatabase(t, statements...)}, c, enginetest.Hospital, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}})
}

// create fills a table.
func create(t enginetest.Table) []string {
	var columns, rows []string
	for _, c := range t.Columns {
		columns = append(columns, c.Name+" "+compile.DuckDB.Type(c.Type))
	}
	for _, r := range t.Rows {
		var cells []string
		for _, cell := range r {
			cells = append(cells, sqlOf(cell))
		}
		rows = append(rows, "("+strings.Join(cells, ", ")+")")
	}
	statements := []string{"CREATE TABLE " + t.Name + "(" + strings.Join(columns, ", ") + ")"}
	if len(rows) > 0 {
		statements = append(statements, "INSERT INTO "+t.Name+" VALUES "+strings.Join(rows, ", "))
	}
	return statements
}

func sqlOf(cell any) string {
	switch v := cell.(type) {
	case nil:
		return "NULL"
	case float64:
		return fmt.Sprintf("'%g'::DOUBLE", v)
	case string:
		return "('" + strings.NewReplacer("'", "''", "\x00", "' || chr(0) || '").Replace(v) + "')"
	case enginetest.Day:
		switch v {
		case enginetest.PastDay:
			return "'-infinity'::DATE"
		case enginetest.FutureDay:
			return "'infinity'::DATE"
		}
		return fmt.Sprintf("DATE '1970-01-01' + (%d)::INTEGER", v)
	case enginetest.Instant:
		switch v {
		case enginetest.PastInstant:
			return "'-infinity'::TIMESTAMP"
		case enginetest.FutureInstant:
			return "'infinity'::TIMESTAMP"
		}
		return fmt.Sprintf("make_timestamp((%d)::BIGINT)", v)
	}
	return fmt.Sprint(cell)
}

// engineWith opens an engine over a new database that the statements fill.
func engineWith(t testing.TB, yaml string, statements ...string) *Engine {
	t.Helper()
	path := newDatabase(t, statements...)
	e, err := Open(context.Background(), Config{Database: path}, testcatalog.Parse(t, yaml), enginetest.Hospital, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func newDatabase(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.duckdb")
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
	return path
}

var (
	evID   = expr.Column("e", "id", value.TypeInt)
	evKind = expr.Column("e", "kind", value.TypeText)
	pID    = expr.Column("p", "id", value.TypeInt)
	pAge   = expr.Column("p", "age", value.TypeInt)

	events  = []fragment.Relation{{Name: "e", Table: "event"}}
	persons = []fragment.Relation{{Name: "p", Table: "person"}}
)

func op(o expr.Op, args ...*expr.Expr) *expr.Expr {
	e, err := expr.New(o, args...)
	if err != nil {
		panic(err)
	}
	return e
}

// run returns the partial aggregates by group.
func run(t testing.TB, e *Engine, f *fragment.Fragment) map[string][]int64 {
	t.Helper()
	got, _, _ := enginetest.Partials(t, e, e.catalog, f)
	return got
}
