package coordinator

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/intramuros/intramuros/internal/grid"
	"github.com/intramuros/intramuros/internal/ledger"
)

// Two answers of a hospital can arrive in another order than they left. An answer that was overtaken does not count as
// a lost ledger. A checkpoint behind the one known when the hospital was asked does.
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
		if err := d.keepCheckpoints(t.Context(), map[string]ledger.Checkpoint{"a": shown}, map[string]*ledger.Checkpoint{"a": known}, 0); err != nil {
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
	if now := d.keptCheckpoint(t.Context(), "a"); now == nil || now.Sequence != made[2].Sequence {
		t.Errorf("%v is kept, not the latest", now)
	}
}

// TestWhatVouchesIsKept checks that the checkpoint of a hospital that has computed is stored with the answer. It is
// also stored if no answer is released, because the client left before the tick or another hospital failed.
func TestWhatVouchesIsKept(t *testing.T) {
	for _, x := range []struct {
		name  string
		leave time.Duration // when the client leaves; 0: never
		fail  bool          // hospital b fails after a answers
		want  Code          // empty: there is an answer
	}{{"answered", 0, false, ""}, {"left", 300 * time.Millisecond, false, CodeCanceled}, {"failed", 0, true, CodeHospitalFailed}} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newPipedFederation(t, func(c *Config) { c.AnswerGrid = grid.Grid{First: 10 * time.Second, Ratio: 2} })
				f.hospital("a").vouches = vouching(t, "a")
				if x.fail {
					f.hospital("b").took = 100 * time.Millisecond
					f.hospital("b").half = true
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if x.leave > 0 {
					time.AfterFunc(x.leave, cancel)
				}
				_, err := f.ask(ctx, t, bySex)
				if x.want == "" {
					must(t, err)
				} else {
					wantCode(t, err, x.want)
				}
				if f.keptCheckpoint(t.Context(), "a") == nil {
					t.Error("no checkpoint is kept")
				}
			})
		})
	}
}

// vouching returns a checkpoint of a hospital's ledger as the hospital shows it.
func vouching(t *testing.T, hospital string) []byte {
	t.Helper()
	book, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "node.ledger"), nodeOwner(hospital), time.Now)
	must(t, err)
	defer book.Close()
	must(t, book.Record(t.Context(), ledger.Entry{Kind: ledger.KindConfig, Text: "Something."}))
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	c, err := book.Checkpoint(t.Context(), key)
	must(t, err)
	b, err := json.Marshal(c)
	must(t, err)
	return b
}
