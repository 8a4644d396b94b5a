package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/cockroachdb/datadriven"
	_ "github.com/duckdb/duckdb-go/v2"
	"golang.org/x/text/encoding/charmap"

	"github.com/intramuros/intramuros/internal/expr"
	"github.com/intramuros/intramuros/internal/fragment"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
	"github.com/intramuros/intramuros/node/engine/trino/trinotest"
)

// TestSources drafts and checks catalogs over sources that a hospital maps by table, by its own SELECT and by file. It
// changes the sources after the catalog is made. The commands of testdata/sources:
//
//	sql       what the hospital does to its database, as its owner; to files, by COPY to FOLDER
//	file      writes a file of the folder, with lines that end with a line feed, in UTF-8 or windows-1252
//	engine    the part `engine` of node.yaml from now on, below the connection
//	catalog   the catalog from now on
//	init      intramuros catalog init --config node.yaml
//	check     intramuros catalog check --config node.yaml
//	fix       intramuros catalog check --fix --config node.yaml, and the engine's part of the file after it
//	start     opens the engine and compares the data, as a node that starts, and keeps it open
//	query     counts the rows of each patient of the table in the engine that is open
func TestSources(t *testing.T) {
	datadriven.Walk(t, "testdata/sources", func(t *testing.T, path string) {
		h := &hospital{t: t, folder: t.TempDir()}
		if strings.HasPrefix(filepath.Base(path), "postgres") {
			h.server = postgrestest.Start(t)
			h.server.Exec(t, "CREATE SCHEMA cdm")
			h.server.Role(t, "../../docs/postgresql-role.sql", "node", "cdm")
		}
		if strings.HasPrefix(filepath.Base(path), "trino") {
			h.trino = trinotest.Start(t)
			h.trino.Exec(t, "CREATE SCHEMA memory.cdm")
			t.Cleanup(trinotest.Stop)
		}
		t.Cleanup(h.stop)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			h.t = t
			if d.Cmd == "file" {
				var name, encoding string
				d.ScanArgs(t, "name", &name)
				if d.HasArg("encoding") {
					d.ScanArgs(t, "encoding", &encoding)
				}
				text := d.Input + "\n"
				if encoding != "" {
					var err error
					if text, err = charmap.Windows1252.NewEncoder().String(text); err != nil {
						t.Fatal(err)
					}
				}
				h.write(name, text)
				return ""
			}
			out := h.do(d.Cmd, d.Input)
			return strings.ReplaceAll(out, h.folder, "FOLDER")
		})
	})
}

// hospital is a database that its owner changes, and a node's configuration over it.
type hospital struct {
	t       *testing.T
	folder  string
	server  *postgrestest.Server // nil: DuckDB, or
	trino   *trinotest.Server
	engine  string
	running database // nil: no engine is open
}

func (h *hospital) stop() {
	if h.running != nil {
		if err := h.running.Close(); err != nil {
			h.t.Error(err)
		}
		h.running = nil
	}
}

func (h *hospital) do(command, input string) string {
	switch command {
	case "sql":
		h.sql(strings.ReplaceAll(input, "FOLDER", h.folder))
		return ""
	case "engine":
		h.engine = strings.ReplaceAll(input, "FOLDER", h.folder)
		return ""
	case "catalog":
		h.write("catalog.yaml", input)
		return ""
	case "init", "check", "fix":
		var out, messages bytes.Buffer
		args := []string{"catalog", command, "--config", h.config()}
		if command == "fix" {
			args = []string{"catalog", "check", "--fix", "--config", h.config()}
		}
		code := Run(h.t.Context(), args, strings.NewReader(""), &out, &messages)
		text := out.String() + messages.String()
		if command == "fix" {
			b, err := os.ReadFile(filepath.Join(h.folder, "node.yaml"))
			if err != nil {
				h.t.Fatal(err)
			}
			_, engine, _ := strings.Cut(string(b), "engine:")
			text += "engine:" + engine
		}
		if code != 0 {
			text += fmt.Sprintf("exit %d\n", code)
		}
		return text
	case "start":
		return h.start()
	case "query":
		return h.query(input)
	}
	h.t.Fatalf("unknown command %s", command)
	return ""
}

func (h *hospital) sql(text string) {
	if h.server != nil {
		h.server.Session(h.t, text)
		return
	}
	if h.trino != nil {
		h.trino.Exec(h.t, strings.Split(text, ";\n")...)
		return
	}
	db, err := sql.Open("duckdb", filepath.Join(h.folder, "data.duckdb"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(text); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hospital) write(name, text string) string {
	path := filepath.Join(h.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// config writes node.yaml.
func (h *hospital) config() string {
	text := "  duckdb:\n"
	if h.server != nil {
		text = fmt.Sprintf("  postgres:\n    host: %s\n    port: %d\n    database: %s\n    user: node\n    schema: cdm\n", h.server.Folder, h.server.Port, postgrestest.Database)
	}
	if h.trino != nil {
		text = "  trino:\n    url: " + h.trino.URL + "\n    catalog: memory\n    schema: cdm\n    user: intramuros\n    data_version: one\n"
	}
	for line := range strings.Lines(h.engine) {
		text += "    " + strings.TrimRight(line, "\n") + "\n"
	}
	return h.write("node.yaml", `
name: lyon
federation: france
listen: 127.0.0.1:0
catalog: catalog.yaml
tls: {ca: ca.pem, certificate: node.pem, key: node.key}
gossip: {listen: "127.0.0.1:0", key: {env: GOSSIP}}
ledger: node.ledger
coordinator_key: coordinator.ledger.pub
budget: {accounting: zcdp, epsilon: 10, delta: 1.0e-6}
engine:
`+text)
}

// start does with the data what a node does at its start.
func (h *hospital) start() string {
	h.stop()
	f, err := loadNode(h.config())
	if err != nil {
		return err.Error() + "\n"
	}
	cat, err := loadCatalog(f.Catalog)
	if err != nil {
		h.t.Fatal(err)
	}
	e, err := f.Engine.open(h.t.Context(), cat, f.Name, []byte("a secret of the node, for tests only"))
	if err != nil {
		return "does not start: " + err.Error() + "\n"
	}
	h.running = e
	var log bytes.Buffer
	d := data{e, f.Engine.DuckDB != nil, "node.yaml", slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))}
	wrong, err := d.Verify(h.t.Context())
	if err != nil {
		return "does not start: " + inDetail(err).Error() + "\n"
	}
	return fmt.Sprintf("%sstarted; no answers over: %v\n", log.String(), wrong)
}

// query counts rows by patient, one line for each.
func (h *hospital) query(table string) string {
	table, column, _ := strings.Cut(strings.TrimSpace(table), ".")
	cat, err := loadCatalog(filepath.Join(h.folder, "catalog.yaml"))
	if err != nil {
		h.t.Fatal(err)
	}
	found, _ := cat.Table(table)
	c, _ := found.Column(column)
	f := &fragment.Fragment{Version: fragment.Version, Relations: []fragment.Relation{{Name: "t", Table: table}}, Patient: expr.Column("t", found.Patient, value.TypeInt), Norm: fragment.L2, MaxGroups: 9, MaxRows: 9,
		Keys: []fragment.Key{{Expr: expr.Column("t", c.Name, c.Type)}}, Partials: []fragment.Partial{{Kind: fragment.PartialRows}}}
	p, err := fragment.Check(f, cat)
	if err != nil {
		h.t.Fatal(err)
	}
	var lines []string
	err = h.running.Run(h.t.Context(), f, p, memory.DefaultAllocator, func(r arrow.Record) error {
		for i := range int(r.NumRows()) {
			rows := r.Column(1).(*array.Int64).Value(i) / p.Units[0]
			lines = append(lines, fmt.Sprintf("%s: %d", r.Column(0).ValueStr(i), rows))
		}
		return nil
	})
	if err != nil {
		if c := new(engine.Fault); errors.As(err, &c) {
			return "no answer: " + c.Class() + "\n"
		}
		return "no answer: " + err.Error() + "\n"
	}
	return strings.Join(lines, "\n") + "\n"
}
