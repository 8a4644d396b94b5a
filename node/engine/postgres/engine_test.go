package postgres

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	// The noise library, which computes a request's price, links glog.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func open(t testing.TB, cfg Config, c *catalog.Catalog, key string) *Engine {
	t.Helper()
	e, err := Open(context.Background(), cfg, c, enginetest.Hospital, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func over(s *postgrestest.Server, schema string) Config {
	return Config{Host: s.Folder, Port: s.Port, Database: postgrestest.Database, User: postgrestest.Reader, Schema: schema}
}

// TestConformance runs the suite of all engines.
func TestConformance(t *testing.T) {
	s := postgrestest.Start(t)
	enginetest.Run(t, enginetest.Kind{
		NoNUL: true, Narrow: true, FirstDay: -2440588, LastDay: 2145031948, Queries: 0.5,
		Open: func(t testing.TB, c *catalog.Catalog, key string, tables ...enginetest.Table) enginetest.Engine {
			return open(t, over(s, s.Fill(t, tables...)), c, key)
		}})
}
