package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// TestValuesInPostgres compares PostgreSQL's values with those of planner/scalar/testdata/functions/postgres, which
// package planner computes.
func TestValuesInPostgres(t *testing.T) {
	golden, err := os.ReadFile("../planner/scalar/testdata/functions/postgres")
	if err != nil {
		t.Fatal(err)
	}
	_, answers, ok := strings.Cut(string(golden), "\n----\n")
	if !ok {
		t.Fatal("there are no answers")
	}
	server := postgrestest.Start(t)
	config, err := pgx.ParseConfig("")
	if err != nil {
		t.Fatal(err)
	}
	config.Host, config.Port, config.Database, config.User, config.TLSConfig = server.Folder, uint16(server.Port), postgrestest.Database, postgrestest.Reader, nil
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	compared := 0
	for line := range strings.Lines(answers) {
		line = strings.TrimSpace(line)
		at := strings.LastIndex(line, " = ")
		if at < 0 {
			continue
		}
		expression, ours := line[:at], line[at+len(" = "):strings.LastIndex(line, " (")]
		var text *string
		if err := c.QueryRow(t.Context(), "SELECT to_jsonb("+expression+") #>> '{}'").Scan(&text); err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		theirs := "NULL"
		if text != nil {
			theirs = *text
		}
		if strings.HasPrefix(ours, "'") {
			theirs = "'" + theirs + "'"
		}
		if compared++; ours != theirs {
			t.Errorf("%s is %s here, and %s in PostgreSQL", expression, ours, theirs)
		}
	}
	if compared < 40 {
		t.Errorf("only %d values were compared", compared)
	}
}
