package syntax

import "testing"

// TestJointColumns checks that COALESCE of columns that a FULL JOIN says are equal becomes one column. For columns of
// one side that may differ, the order matters, so COALESCE stays.
func TestJointColumns(t *testing.T) {
	const from = "SELECT COUNT(*) FROM a FULL JOIN b ON a.id = b.id AND COALESCE(a.x, a.y) = b.z WHERE "
	for where, joint := range map[string]bool{
		"COALESCE(a.id, b.id) = 7":        true,
		"COALESCE(b.id, a.id) = 7":        true,
		"COALESCE(a.x, a.y, b.z) = 7":     false,
		"COALESCE(a.y, a.x, b.z) = 7":     false,
		"COALESCE(b.z, b.z, a.id) = 7":    false,
		"COALESCE(a.id, b.id, b.z) = 7":   false,
		"COALESCE(a.id + 1, b.id) = 7":    false,
		"COALESCE(a.id, b.id, 8) IS NULL": false,
	} {
		s, err := Parse(from + where)
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		s.Query.Select.Where.Walk(func(e *Expr) bool {
			if e.Kind == Call {
				calls++
			}
			return true
		})
		if joint != (calls == 0) {
			t.Errorf("%s: it is one column: %t", where, calls == 0)
		}
	}
}
