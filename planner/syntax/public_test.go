package syntax

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestPublic reads testdata/public: statements as people write them elsewhere. Each is read, or its refusal is a
// golden. 95 % must be read.
func TestPublic(t *testing.T) {
	all, read := 0, 0
	datadriven.Walk(t, "testdata/public", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			all++
			s, err := Parse(d.Input)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("%s: %v is no *Error", d.Pos, err)
				}
				return fmt.Sprintf("%s\n%s\n", e.Caret(d.Input), err)
			}
			read++
			checkRoundTrip(t, s)
			return "read\n"
		})
	})
	t.Logf("%d of %d statements are read", read, all)
	if all < 60 || float64(read) < 0.95*float64(all) {
		t.Errorf("%d of %d statements are read", read, all)
	}
}
