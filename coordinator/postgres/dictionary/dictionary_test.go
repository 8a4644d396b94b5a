package dictionary

import (
	"context"
	"testing"

	"github.com/intramuros/intramuros/coordinator/postgres/lex"
	"github.com/intramuros/intramuros/internal/catalog"
)

func TestOpen(t *testing.T) {
	ctx := context.Background()
	d, err := Open(ctx, catalog.OMOP())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	q, err := d.Prepare(ctx, lex.Statements("SELECT relname, c.oid::regclass, current_database(), 'person'::regclass FROM pg_catalog.pg_class c WHERE relname ~ 'pers'")[0], Session{User: "u", Database: "d"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := q.Run(ctx, nil)
	t.Log(q.Columns, rows, err)
}
