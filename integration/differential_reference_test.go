package integration

import (
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/intramuros/intramuros/planner"
)

// TestReference runs the examples of docs/sql.md. Each is answered like one database answers it, or refused with the
// stated code.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```sql ?([A-Z_]*)\n(.+?)\n```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 25 {
		t.Errorf("%d examples, not 25", len(examples))
	}
	p := syntheticPairing(t, 300)
	for _, e := range examples {
		code, sql := e[1], e[2]
		if code == "" {
			recipe{sql: sql}.run(t, p)
			continue
		}
		_, err := p.compose(sql)
		var refused *planner.Error
		if !errors.As(err, &refused) || string(refused.Code) != code {
			t.Errorf("%s\n%v, not %s", sql, err, code)
		}
	}
}
