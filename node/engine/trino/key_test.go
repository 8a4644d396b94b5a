package trino

import "testing"

// TestWithKey puts the secret key in all its places, and in no text of a researcher.
func TestWithKey(t *testing.T) {
	text := `SELECT xxhash64($group_key || a), '$group_key it''s $group_key', "$group_key' $group_key", xxhash64($group_key || b)`
	want := `SELECT xxhash64(X'00' || a), '$group_key it''s $group_key', "$group_key' $group_key", xxhash64(X'00' || b)`
	if got := withKey(text, "X'00'"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
