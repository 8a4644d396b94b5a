package trino

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/enginetest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

func over(s *trinotest.Server, schema string) Config {
	return Config{URL: s.URL, Catalog: "memory", Schema: schema, User: "intramuros", DataVersion: "one"}
}

// TestConformance runs the suite of all engines.
func TestConformance(t *testing.T) {
	s := trinotest.Start(t)
	enginetest.Run(t, enginetest.Kind{
		NoInfinity: true, FirstDay: -719162 - 400, LastDay: 2932896 + 400, Queries: 0.1, Together: 2,
		Slow: true, // it compiles each expression into bytecode: six nested roots take 22 s
		Open: func(t testing.TB, c *catalog.Catalog, key string, tables ...enginetest.Table) enginetest.Engine {
			e, err := Open(context.Background(), over(s, s.Fill(t, tables...)), c, enginetest.Hospital, []byte(key))
			if err != nil {
				t.Fatal(err, errors.Unwrap(err))
			}
			t.Cleanup(func() { e.Close() })
			return e
		}})
}

// TestOpenRefuses needs no server.
func TestOpenRefuses(t *testing.T) {
	good := Config{URL: "https://trino.example", Catalog: "c", Schema: "s", User: "u", DataVersion: "v"}
	secret := config.Secret{Env: "TEST_SECRET"}
	for want, change := range map[string]func(*Config){
		"`url` must be":              func(c *Config) { c.URL = "trino.example:8080" },
		"names a user":               func(c *Config) { c.URL = "https://u:p@trino.example" },
		"needs https":                func(c *Config) { c.URL = "http://trino.example"; c.Token = secret },
		"not both":                   func(c *Config) { c.Token, c.Password = secret, secret },
		"`data_version` is not set":  func(c *Config) { c.DataVersion = "" },
		"`schema` is not set":        func(c *Config) { c.Schema = "" },
		"the environment variable":   func(c *Config) { c.Password = secret },
		"names a file":               func(c *Config) { c.Tables = map[string]engine.Source{"person": {File: "x"}} },
		"`certificate` and `key` go": func(c *Config) { c.Key = "x" },
	} {
		c := good
		change(&c)
		if _, err := connect(c); !errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
