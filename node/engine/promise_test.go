package engine_test

import (
	"context"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
	"github.com/intramuros/intramuros/internal/testcatalog"
	"github.com/intramuros/intramuros/internal/value"
	"github.com/intramuros/intramuros/node/engine"
	"github.com/intramuros/intramuros/node/engine/compile"
	"github.com/intramuros/intramuros/node/engine/enginetest"
)

// nowhere is a database that has every table and answers nothing.
type nowhere struct{ catalog *catalog.Catalog }

func (nowhere) Query(context.Context, string, bool, func([]any) error) error { return nil }

func (nowhere) Convert(l engine.Local, t value.Type) (string, bool) {
	return `"` + l.Name + `"`, l.Type == t
}

func (n nowhere) Find(_ context.Context, table string, _ engine.Source) (engine.Place, bool, error) {
	t, _ := n.catalog.Table(table)
	at := engine.Place{Name: table, SQL: table}
	for _, c := range t.Columns {
		at.Columns = append(at.Columns, engine.Local{Name: c.Name, Kind: string(c.Type), Type: c.Type})
	}
	return at, true, nil
}

func (nowhere) All(context.Context) ([]engine.Place, error) { return nil, nil }

func (nowhere) Reader() string { return "" }

// Databases behind Trino do not compare texts that identify patients.
func TestIdentityBehindTrino(t *testing.T) {
	c := testcatalog.Parse(t, "catalog: c\ntables:\n  stay:\n    patient: id\n    columns:\n      id: {type: text}\n      ward: {type: text}\n")
	views, _, err := engine.Map(t.Context(), c, nil, nowhere{c})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := views[0].Select(nowhere{c}, compile.Trino, nil), `SELECT ("id" || '') AS "id", "ward" FROM stay`; got != want {
		t.Errorf("%s", got)
	}
}

// If a database has no name for its state and enforces nothing, such as Trino, no statement relies on a promise.
func TestNothingSure(t *testing.T) {
	c := testcatalog.Parse(t, enginetest.Promising)
	d := nowhere{c}
	views, _, err := engine.Map(t.Context(), c, nil, d)
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(d, compile.Trino, c, "A", views, nil, nil)
	const look = `(EXISTS (SELECT 1 FROM (SELECT "visit" FROM visit) AS t GROUP BY "t"."visit" HAVING count(*) > 1)) AS broken`
	for name, text := range enginetest.Promised(t, e, c) {
		// the first row of each is one row
		if !strings.Contains(text, "GROUP BY patient") && !strings.Contains(text, `PARTITION BY "visit"."id"`) {
			t.Errorf("%s: it does not group by the patient\n%s", name, text)
		}
		if strings.Contains(text, look) != strings.HasPrefix(name, "a key") {
			t.Errorf("%s: it looks at a key that it does not need, or not at one that it needs\n%s", name, text)
		}
	}
}
