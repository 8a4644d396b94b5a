package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/intramuros/intramuros/internal/catalog"
)

// TestDescribeParts checks a table that queries can read although the catalog has only its parts: OMOP's cost. The
// refusal names a part, which can be described.
func TestDescribeParts(t *testing.T) {
	f := newFederation(t, nil)
	f.catalog = catalog.OMOP()
	_, err := f.ask(t.Context(), t, "DESCRIBE cost")
	var e *Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Hint, "describe one of the parts that a query of it reads, such as ") {
		t.Fatalf("%v", err)
	}
	part := e.Hint[strings.LastIndex(e.Hint, " ")+1:]
	if a := f.mustAsk(t, "DESCRIBE "+part); len(a.Rows) < 5 {
		t.Errorf("%s has %d columns", part, len(a.Rows))
	}
}
