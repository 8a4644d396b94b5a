package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var unguard = []string{
	"DROP TRIGGER entries_append", "DROP TRIGGER entries_update", "DROP TRIGGER entries_delete",
	"DROP TRIGGER head_update", "DROP TRIGGER head_delete",
}

// seven makes a closed ledger of seven entries.
func seven(t *testing.T) (string, *clock) {
	t.Helper()
	l, c := fresh(t)
	ctx := t.Context()
	cap := Cap{"node", pure(2000)}
	check(t, l.Charge(ctx, reserve(t, l, reservation("heart", "ana", 600, cap)), json.RawMessage(`{"rows":2}`)))
	check(t, l.Record(ctx, Entry{Kind: KindAnswer, Study: "heart", Researcher: "ana", Query: "0a1b", Text: "Two rows left."}))
	check(t, l.Charge(ctx, reserve(t, l, reservation("heart", "ben", 500, cap)), nil))
	check(t, l.Record(ctx, Entry{Kind: KindConfig, Text: "The policy changed."}))
	check(t, l.Close())
	return l.path, c
}

func TestTampering(t *testing.T) {
	const swap = `UPDATE entries SET sequence = -1 WHERE sequence = %[1]d;
		UPDATE entries SET sequence = %[1]d WHERE sequence = %[2]d;
		UPDATE entries SET sequence = %[2]d WHERE sequence = -1`
	cases := []struct {
		name     string
		sql      string
		sequence int64
		finding  string
	}{
		{"time", `UPDATE entries SET time = '2026-11-23T12:00:01.000000000Z' WHERE sequence = 3`, 3, "was changed"},
		{"time, spelled otherwise", `UPDATE entries SET time = '2026-11-23T12:00:00Z' WHERE sequence = 3`, 3, "no ledger writes"},
		{"kind", `UPDATE entries SET kind = 'answer' WHERE sequence = 3`, 3, "was changed"},
		{"study", `UPDATE entries SET study = 'lung' WHERE sequence = 3`, 3, "was changed"},
		{"researcher", `UPDATE entries SET researcher = 'ben' WHERE sequence = 3`, 3, "was changed"},
		{"query", `UPDATE entries SET query = '0a1c' WHERE sequence = 3`, 3, "was changed"},
		{"reservation", `UPDATE entries SET reservation = 'x' WHERE sequence = 3`, 3, "was changed"},
		{"expires", `UPDATE entries SET expires = '' WHERE sequence = 2`, 2, "was changed"},
		{"epsilon", `UPDATE entries SET epsilon = epsilon - 1 WHERE sequence = 3`, 3, "was changed"},
		{"rho", `UPDATE entries SET rho = 0 WHERE sequence = 3`, 3, "was changed"},
		{"noise_delta", `UPDATE entries SET noise_delta = 1 WHERE sequence = 3`, 3, "was changed"},
		{"delta", `UPDATE entries SET delta = 0 WHERE sequence = 3`, 3, "was changed"},
		{"two fields for each other", `UPDATE entries SET noise_delta = delta, delta = noise_delta WHERE sequence = 3`, 3, "was changed"},
		{"text", `UPDATE entries SET text = text || ' ' WHERE sequence = 3`, 3, "was changed"},
		{"text moved to the next field", `UPDATE entries SET study = 'hear', researcher = 'tana' WHERE sequence = 3`, 3, "was changed"},
		{"detail", `UPDATE entries SET detail = '{"rows":1}' WHERE sequence = 3`, 3, "was changed"},
		{"previous", `UPDATE entries SET previous = hash WHERE sequence = 3`, 3, "was changed"},
		{"hash", `UPDATE entries SET hash = previous WHERE sequence = 3`, 3, "was changed"},
		{"hash in capitals", `UPDATE entries SET hash = upper(hash) WHERE sequence = 3`, 3, "no ledger writes"},
		{"first entry", `UPDATE entries SET text = 'x' WHERE sequence = 1`, 1, "was changed"},
		{"last entry", `UPDATE entries SET text = 'x' WHERE sequence = 7`, 7, "was changed"},
		{"first removed", `DELETE FROM entries WHERE sequence = 1`, 1, "was removed"},
		{"one removed", `DELETE FROM entries WHERE sequence = 4`, 4, "was removed"},
		{"one removed and the rest renumbered", `DELETE FROM entries WHERE sequence = 4;
			UPDATE entries SET sequence = sequence - 1 WHERE sequence > 4;
			UPDATE head SET sequence = 6`, 4, "was entry 5"},
		{"two swapped", fmt.Sprintf(swap, 4, 5), 4, "was entry 5"},
		{"the last swapped", fmt.Sprintf(swap, 6, 7), 6, "was entry 7"},
		{"last cut off", `DELETE FROM entries WHERE sequence = 7`, 7, "knows 7 entries"},
		{"all cut off", `DELETE FROM entries`, 1, "knows 7 entries"},
		{"an entry added", `INSERT INTO entries SELECT 8, time, kind, study, researcher, query, reservation, expires,
			epsilon, rho, noise_delta, delta, text, detail, hash, hash, salt FROM entries WHERE sequence = 7`, 8, "was changed"},
		{"head moved back", `UPDATE head SET sequence = 6, hash = (SELECT hash FROM entries WHERE sequence = 6)`, 7, "was added"},
		{"head's hash", `UPDATE head SET hash = (SELECT hash FROM entries WHERE sequence = 6)`, 7, "was replaced"},
		{"head removed", `DELETE FROM head`, 0, "head row was removed"},
		{"owner", `UPDATE head SET owner = 'node brest'`, 1, "does not follow entry 0"},
		{"guards only", ``, 0, "CREATE TRIGGER entries_append"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path, clock := seven(t)
			raw(t, path, append(unguard, c.sql)...)
			checkBroken(t, path, c.sequence, c.finding)
			owner := owner
			if c.name == "owner" {
				owner = "node brest"
			}
			l, err := Open(t.Context(), path, owner, clock.now)
			if broken := (*BrokenError)(nil); !errors.As(err, &broken) {
				l.Close()
				t.Errorf("the ledger opens for writing all the same: %v", err)
			}
		})
	}
}

func checkBroken(t *testing.T, path string, sequence int64, finding string) {
	t.Helper()
	l, err := OpenReadOnly(t.Context(), path)
	if err == nil {
		defer l.Close()
		_, err = l.Verify(t.Context())
	}
	var broken *BrokenError
	if !errors.As(err, &broken) || broken.Sequence != sequence || !strings.Contains(broken.Finding, finding) {
		t.Errorf("found %v, want entry %d %s", err, sequence, finding)
	}
}

// rehash gives an entry a hash that fits its changed fields, as a forger who knows the format would.
func rehash(t *testing.T, path string, from int64) {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn(path, "mode=rw"))
	check(t, err)
	defer db.Close()
	for ; ; from++ {
		e, err := scan(db.QueryRow(`SELECT `+columns+` FROM entries WHERE sequence = ?`, from))
		if errors.Is(err, sql.ErrNoRows) {
			return
		}
		check(t, err)
		sum := e.sum()
		_, err = db.Exec(`UPDATE entries SET hash = ? WHERE sequence = ?`, hex.EncodeToString(sum[:]), from)
		check(t, err)
		_, err = db.Exec(`UPDATE entries SET previous = ? WHERE sequence = ?`, hex.EncodeToString(sum[:]), from+1)
		check(t, err)
	}
}

func TestTamperingWithSalt(t *testing.T) {
	path, _ := seven(t)
	raw(t, path, append(unguard, `UPDATE entries SET salt = '' WHERE sequence = 4`)...)
	checkBroken(t, path, 4, "was changed")
}

func TestTamperingThatRecomputes(t *testing.T) {
	path, _ := seven(t)
	raw(t, path, append(unguard, `UPDATE entries SET text = 'x' WHERE sequence = 4`)...)
	rehash(t, path, 4)
	checkBroken(t, path, 7, "head row has another hash")

	// A reduced loss does not agree with the reserved one, whatever the hashes say.
	path, _ = seven(t)
	raw(t, path, append(unguard, `UPDATE entries SET epsilon = 1 WHERE sequence = 3`)...)
	rehash(t, path, 3)
	checkBroken(t, path, 3, "something else than entry 2 reserved")

	path, _ = seven(t)
	raw(t, path, append(unguard, `UPDATE entries SET kind = 'answer' WHERE sequence = 2`)...)
	rehash(t, path, 2)
	checkBroken(t, path, 3, "what was not reserved")
}

// This is the limit that the package's comment admits: only a head kept elsewhere shows it.
func TestWholeChainRecomputedShowsOnlyOutside(t *testing.T) {
	path, c := seven(t)
	l := open(t, path, c)
	_, noted, err := l.Head(t.Context())
	check(t, err)
	check(t, l.Close())
	raw(t, path, append(unguard, `UPDATE entries SET text = 'x' WHERE sequence = 4`)...)
	rehash(t, path, 4)
	raw(t, path, `UPDATE head SET hash = (SELECT hash FROM entries ORDER BY sequence DESC LIMIT 1)`)
	for _, s := range schema {
		if strings.HasPrefix(s, "CREATE TRIGGER") && !strings.Contains(s, "answers") {
			raw(t, path, s)
		}
	}
	reader, err := OpenReadOnly(t.Context(), path)
	check(t, err)
	defer reader.Close()
	report, err := reader.Verify(t.Context())
	check(t, err)
	if report.Head == noted {
		t.Error("the head is the one noted before")
	}
}

func TestGuards(t *testing.T) {
	path, _ := seven(t)
	db, err := sql.Open("sqlite3", dsn(path, "mode=rw"))
	check(t, err)
	defer db.Close()
	for _, s := range []string{
		`UPDATE entries SET text = ''`,
		`DELETE FROM entries WHERE sequence = 7`,
		`INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE sequence = 3`,
		`UPDATE head SET sequence = 1`,
		`UPDATE head SET owner = 'x', sequence = 8`,
		`DELETE FROM head`,
	} {
		if _, err := db.Exec(s); err == nil {
			t.Errorf("%s is possible", s)
		}
	}
}

// If the ledger's file changes under the daemon, the ledger stops.
func TestChangedWhileOpen(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	id := reserve(t, l, reservation("heart", "ana", 600, Cap{"node", pure(1000)}))
	raw(t, l.path, `UPDATE head SET sequence = 9`)
	wantErr(t, l.Charge(ctx, id, nil), ErrStopped)
	wantErr(t, l.Record(ctx, Entry{Kind: KindAnswer, Text: "x"}), ErrStopped)
}

// Each byte of a small ledger is flipped: either Verify finds it, or the byte means nothing and the ledger reads as
// before to the last field. Each entry is removed, and each two are swapped: Verify always finds that.
func TestEveryByteFlipped(t *testing.T) {
	source, _ := seven(t)
	path := filepath.Join(t.TempDir(), "small")
	db, err := sql.Open("sqlite3", dsn(source, "mode=rw"))
	check(t, err)
	_, err = db.Exec(`PRAGMA journal_mode = DELETE; PRAGMA page_size = 512`)
	check(t, err)
	_, err = db.Exec(`VACUUM INTO ?`, path)
	check(t, err)
	check(t, db.Close())
	whole, err := os.ReadFile(path)
	check(t, err)
	read := func() (string, error) {
		l, err := OpenReadOnly(context.Background(), path)
		if err != nil {
			return "", err
		}
		defer l.Close()
		if _, err := l.Verify(context.Background()); err != nil {
			return "", err
		}
		var b strings.Builder
		err = l.Entries(context.Background(), 1, func(e Entry) error { return WriteJSONLines(&b, e) })
		return l.owner + "\n" + b.String(), err
	}
	want, err := read()
	check(t, err)
	stride := 13
	if os.Getenv("INTRAMUROS_FULL") != "" {
		stride = 1
	}
	found := 0
	for i := 0; i < len(whole); i += stride {
		flipped := bytes.Clone(whole)
		flipped[i] ^= byte(1 << (i % 8))
		check(t, os.WriteFile(path, flipped, 0o600))
		got, err := read()
		switch {
		case err != nil:
			found++
		case got != want:
			t.Errorf("byte %d of %d: the ledger says something else, and that is not found", i, len(whole))
		}
	}
	if found < len(whole)/stride/3 {
		t.Errorf("only %d of %d changes are found: the test shows nothing", found, len(whole)/stride)
	}
	t.Logf("%d bytes, %d flipped: %d found, the others say nothing", len(whole), len(whole)/stride, found)
}

func TestEveryEntryRemovedOrSwapped(t *testing.T) {
	for i := 1; i <= 7; i++ {
		path, _ := seven(t)
		raw(t, path, append(unguard, fmt.Sprintf(`DELETE FROM entries WHERE sequence = %d`, i))...)
		checkBroken(t, path, int64(i), "was removed")
		for j := i + 1; j <= 7; j++ {
			path, _ := seven(t)
			raw(t, path, append(unguard, fmt.Sprintf(`UPDATE entries SET sequence = -1 WHERE sequence = %[1]d;
				UPDATE entries SET sequence = %[1]d WHERE sequence = %[2]d; UPDATE entries SET sequence = %[2]d WHERE sequence = -1`, i, j))...)
			checkBroken(t, path, int64(i), fmt.Sprintf("was entry %d", j))
		}
	}
}
