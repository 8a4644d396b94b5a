package coordinator

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/ledger"
)

// Two answers of a hospital can arrive in another order than they left. What was overtaken is not
// taken for a lost ledger; what is behind that which was known when the hospital was asked, is.
func TestOvertakenCheckpoints(t *testing.T) {
	d := newFederation(t, nil)
	book, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "node.ledger"), "node a", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var made []ledger.Checkpoint
	for range 3 {
		if err := book.Record(t.Context(), ledger.Entry{Kind: ledger.KindConfig, Text: "Something."}); err != nil {
			t.Fatal(err)
		}
		c, err := book.Checkpoint(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, c)
	}
	keep := func(shown ledger.Checkpoint, known *ledger.Checkpoint) string {
		t.Helper()
		if err := d.keep(t.Context(), map[string]ledger.Checkpoint{"a": shown}, map[string]*ledger.Checkpoint{"a": known}, 0); err != nil {
			t.Fatal(err)
		}
		d.custody.mu.Lock()
		defer d.custody.mu.Unlock()
		return d.custody.alarms["a"]
	}
	for _, step := range []struct {
		shown, known int
		lost         bool
	}{{0, -1, false}, {2, 0, false}, {1, 0, false}, {0, 2, true}, {2, 2, false}} {
		var known *ledger.Checkpoint
		if step.known >= 0 {
			known = &made[step.known]
		}
		if alarm := keep(made[step.shown], known); (alarm != "") != step.lost {
			t.Errorf("checkpoint %d, asked when %d was known: %q", step.shown, step.known, alarm)
		}
	}
	if now := d.known(t.Context(), "a"); now == nil || now.Sequence != made[2].Sequence {
		t.Errorf("%v is kept, not the latest", now)
	}
}
