package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// TestPostgresCatalog drafts a catalog from a PostgreSQL database that node.yaml
// names, and compares the data with one.
func TestPostgresCatalog(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA cdm", "GRANT USAGE ON SCHEMA cdm TO "+postgrestest.Reader,
		"CREATE TABLE cdm.person AS SELECT i AS person_id, 1920 + i % 100 AS year_of_birth FROM generate_series(1, 50) AS i",
		"CREATE TABLE cdm.lab AS SELECT i AS lab_id, i % 50 + 1 AS person_id, i / 10.0 AS result FROM generate_series(1, 200) AS i",
		"GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO "+postgrestest.Reader)
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("password", postgrestest.Password+"\n")
	node := fmt.Sprintf(`
name: lyon
federation: france
listen: 127.0.0.1:0
catalog: catalog.yaml
engine:
  postgres: {host: 127.0.0.1, port: %d, database: %s, user: %s, schema: cdm, password: {file: password}}
tls: {ca: ca.pem, certificate: node.pem, key: node.key}
gossip: {listen: "127.0.0.1:0", key: {env: GOSSIP}}
ledger: node.ledger
coordinator_key: coordinator.ledger.pub
budget: {accounting: zcdp, epsilon: 10, delta: 1.0e-6}
`, s.Port, postgrestest.Database, postgrestest.Reader)
	path := write("node.yaml", node)
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errors bytes.Buffer
		if code := Run(t.Context(), args, strings.NewReader(""), &out, &errors); code != want {
			t.Fatalf("%v exits with %d: %s%s", args, code, out.Bytes(), errors.Bytes())
		}
		return out.String() + errors.String()
	}
	draft := run(0, "catalog", "init", "--config", path, "--name", "lab")
	for _, want := range []string{"person_id: {type: int, nullable: false}", "result: {type: float, bounds: [0, 50]}", "one_row_per_patient: true"} {
		if !strings.Contains(draft, want) {
			t.Errorf("the draft lacks %q:\n%s", want, draft)
		}
	}
	write("catalog.yaml", draft)
	if got := run(0, "catalog", "check", "--config", path); got != "lab: 0 errors, 0 warnings\n" {
		t.Errorf("the check says %s", got)
	}
	s.Exec(t, "INSERT INTO cdm.person SELECT * FROM cdm.person LIMIT 1", "ALTER TABLE cdm.lab DROP COLUMN result")
	got := run(1, "catalog", "check", "--config", path)
	for _, want := range []string{"error    person the key person_id has values that are in several rows", "warning  lab.result does not exist here and reads as NULL"} {
		if !strings.Contains(got, want) {
			t.Errorf("the check lacks %q:\n%s", want, got)
		}
	}
	for change, want := range map[string]string{
		"another key":    "unknown key `shema`",
		"wrong password": "the server refused the user, the password or the certificate",
		"two engines":    "`engine` needs one of the keys duckdb, postgres and trino",
	} {
		text := node
		switch change {
		case "another key":
			text = strings.Replace(node, "schema:", "shema:", 1)
		case "wrong password":
			write("password", "wrong")
		case "two engines":
			text = strings.Replace(node, "engine:", "engine:\n  duckdb: {folder: data}", 1)
		}
		if got := run(1, "catalog", "check", "--config", write("other.yaml", text)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", change, got, want)
		}
		write("password", postgrestest.Password)
	}
}

// TestPatientByOwnName checks that --patient finds a column by its name in the file and by its name in the draft.
func TestPatientByOwnName(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "sejour.csv"), []byte("N° patient;Sexe;Poids\n00000001;F;60\n00000002;M;70\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"N° patient": "patient: n_patient", "n_patient": "patient: n_patient", "N° dossier": "no table has a column"} {
		var out, errors bytes.Buffer
		Run(t.Context(), []string{"catalog", "init", "--folder", folder, "--name", "icu", "--patient", name}, strings.NewReader(""), &out, &errors)
		if got := out.String() + errors.String(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
