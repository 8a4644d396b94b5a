package postgres

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/postgres/postgrestest"
)

// TestRightValues: an instant with a zone is the time of the day at the hospital, as of CSV, Parquet and DuckDB files
// (see there); numeric(19,0) is a whole number; codes keep their zeros.
func TestRightValues(t *testing.T) {
	s := postgrestest.Start(t)
	s.Exec(t, "CREATE SCHEMA zones", "GRANT USAGE ON SCHEMA zones TO intramuros", `CREATE TABLE zones.stay (id numeric(19,0), code text, "at" timestamptz)`,
		"SET TimeZone = 'UTC'", "INSERT INTO zones.stay VALUES (1, '007', '2023-03-05 13:30:00+00'), (9223372036854775807, '0712', '2023-07-01T16:59:59.5-05:00')", "GRANT SELECT ON ALL TABLES IN SCHEMA zones TO intramuros")
	c, err := catalog.Parse([]byte("catalog: z\ntables:\n  stay:\n    patient: id\n    columns:\n      id: {type: int}\n      code: {type: text}\n      at: {type: timestamp}\n"), "z.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := over(s, "zones")
	cfg.Timezone = "Europe/Paris"
	e := open(t, cfg, c, testKey)
	var got [][]any
	at, _ := e.driver.Convert(engine.Local{Name: "at", Kind: "timestamp with time zone", Type: suits("timestamp with time zone")}, value.TypeTimestamp)
	day, _ := e.driver.Convert(engine.Local{Name: "at", Kind: "timestamp with time zone", Type: suits("timestamp with time zone")}, value.TypeDate)
	id, _ := e.driver.Convert(engine.Local{Name: "id", Kind: "numeric(19,0)", Type: suits("numeric(19,0)")}, value.TypeInt)
	if err := e.driver.Query(context.Background(), "SELECT "+id+", code, CAST("+at+" AS TEXT), CAST("+day+" AS TEXT) FROM zones.stay ORDER BY 1", false, func(row []any) error {
		got = append(got, append([]any{}, row...))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]any{{int64(1), "007", "2023-03-05 14:30:00", "2023-03-05"}, {int64(9223372036854775807), "0712", "2023-07-01 23:59:59.5", "2023-07-01"}}, got); diff != "" {
		t.Error(diff)
	}
	if found, err := e.Verify(context.Background()); err != nil || len(found) > 0 {
		t.Errorf("%v %v", found, err)
	}
}
