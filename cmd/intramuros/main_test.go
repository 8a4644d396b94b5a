package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/intramuros/intramuros/internal/config"
	"github.com/intramuros/intramuros/node"
	"github.com/intramuros/intramuros/node/engine/postgres"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"intramuros": main})
}

// TestScripts runs the command lines of testdata/script. Beyond testscript's own
// commands, `eventually PROGRAM ARG...` runs a program until it succeeds.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": func(ts *testscript.TestScript, _ bool, args []string) {
				var err error
				for range 500 {
					if err = ts.Exec(args[0], args[1:]...); err == nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
				ts.Fatalf("%v never succeeded: %v", args, err)
			},
		},
	})
}

// If numbers are covered, one connection is kept for reads that are not queries.
func TestNodeConnections(t *testing.T) {
	for _, c := range []struct {
		connections, concurrent int
		sealed                  node.Sealed
		refused                 bool
	}{
		{0, 3, node.Sealed{Required: true, Hospitals: 3}, false}, {0, 4, node.Sealed{Hospitals: 3}, true}, {0, 4, node.Sealed{}, false},
		{2, 2, node.Sealed{Peers: map[string]string{"b": "b.pub"}}, true}, {3, 2, node.Sealed{Hospitals: 3}, false},
	} {
		f := nodeFile{Engine: engineFile{Postgres: &postgres.Config{Connections: c.connections}}}
		f.Limits.Concurrent, f.Sealed = c.concurrent, c.sealed
		if err := f.connections(); (err != nil) != c.refused {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestNodeSample checks that docs/node.yaml is a configuration, and shows the
// defaults.
func TestNodeSample(t *testing.T) {
	const sample = "../../docs/node.yaml"
	f, err := loadNode(sample)
	if err != nil {
		t.Fatal(err)
	}
	if f.Limits != node.DefaultConfig().Limits {
		t.Errorf("the sample's limits are %+v, the defaults %+v", f.Limits, node.DefaultConfig().Limits)
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	misspelt := strings.Replace(string(text), "  per_minute:", "  per_minuet:", 1)
	err = config.Decode(strings.NewReader(misspelt), "node.yaml", &nodeFile{})
	if err == nil || !strings.Contains(err.Error(), "did you mean `per_minute`?") {
		t.Errorf("a misspelt key gives %v", err)
	}
}
