package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgresDSN is the DSN with which the federation's researcher signs in at the PostgreSQL door of an address.
func (f *federation) postgresDSN(address string) string {
	host, port, _ := strings.Cut(address, ":")
	return fmt.Sprintf("host=%s port=%s user=ada password=%s dbname=%s sslmode=verify-full sslrootcert=%s", host, port, token, studyID, f.path("pki/ca.pem"))
}

// connectPostgres signs in until the test ends. said has a line for each notice so far.
func (f *federation) connectPostgres(t *testing.T, address string) (c *pgx.Conn, said *string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(f.postgresDSN(address))
	if err != nil {
		t.Fatal(err)
	}
	said = new(string)
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { *said += n.Severity + ": " + n.Message + "\n" }
	if c, err = pgx.ConnectConfig(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c, said
}
