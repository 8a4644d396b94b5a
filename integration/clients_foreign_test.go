package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// foreign lets another PostgreSQL reach the federation through postgres_fdw. Tables are imported, a question is passed
// on whole with its conditions, and rows are refused.
func foreign(t *testing.T, address, authority string, expected [][]any) {
	s := postgrestest.Start(t)
	ca := filepath.Join(s.Folder, "federation.pem")
	if err := os.WriteFile(ca, []byte(readAll(t, authority)), 0o644); err != nil { //nolint:gosec // a certificate, for the server's account
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(address, ":")
	s.Exec(t,
		"CREATE EXTENSION postgres_fdw",
		fmt.Sprintf("CREATE SERVER federation FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '%s', port '%s', dbname 'trial', sslmode 'verify-full', sslrootcert '%s')", host, port, ca),
		// not in the home folder of the user
		"CREATE USER MAPPING FOR CURRENT_USER SERVER federation OPTIONS (user 'ada', password '"+token+"', sslcert '/nowhere', sslkey '/nowhere')",
		"IMPORT FOREIGN SCHEMA public LIMIT TO (person, death) FROM SERVER federation INTO public",
	)
	rows, err := s.Admin.Query(t.Context(), "SELECT gender_concept_id, COUNT(*) AS n FROM person GROUP BY 1 ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	type line struct{ Key, N int64 }
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
	if err != nil || len(got) != len(expected) {
		t.Fatalf("%v, %v", got, err)
	}
	for i, l := range got {
		if fmt.Sprint(l.Key, l.N) != fmt.Sprint(expected[i][0], expected[i][1]) {
			t.Errorf("%v, not %v", l, expected[i])
		}
	}
	var n int64
	if err := s.Admin.QueryRow(t.Context(), "SELECT COUNT(*) FROM death WHERE death_date >= '2020-01-01' AND cause_concept_id IS NOT NULL").Scan(&n); err != nil {
		t.Error(err)
	}
	_, err = s.Admin.Exec(t.Context(), "SELECT person_id FROM person")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "ROW_LEVEL") {
		t.Errorf("rows: %v", err)
	}

	// The keys that pki token prints work in PostgreSQL itself: it accepts them and lets the token's owner in.
	keys, err := identity.NewScramKeys(token)
	if err != nil {
		t.Fatal(err)
	}
	s.Exec(t, "CREATE ROLE carol LOGIN PASSWORD '"+keys.String()+"'")
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=carol password=%s dbname=%s sslmode=disable", s.Port, token, postgrestest.Database))
	if err != nil {
		t.Fatalf("PostgreSQL does not take our keys: %v", err)
	}
	conn.Close(context.Background())
}
