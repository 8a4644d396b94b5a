package ledger

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var signer = func() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return key
}()

func public() ed25519.PublicKey { return signer.Public().(ed25519.PublicKey) }

func spendOne(t *testing.T, l *Ledger, thousandths int64) {
	t.Helper()
	check(t, l.Charge(t.Context(), reserve(t, l, reservation("heart", "ana", thousandths, Cap{"node", pure(1_000_000)})), nil))
}

func checkpoint(t *testing.T, l *Ledger) Checkpoint {
	t.Helper()
	c, err := l.Checkpoint(t.Context(), signer)
	check(t, err)
	return c
}

func TestCheckpoint(t *testing.T) {
	l, _ := fresh(t)
	spendOne(t, l, 100)
	c := checkpoint(t, l)
	check(t, c.Verify(public()))
	check(t, l.Compare(t.Context(), c))
	b, err := json.Marshal(c)
	check(t, err)
	again, err := ParseCheckpoint(b)
	check(t, err)
	check(t, again.Verify(public()))
	spendOne(t, l, 100)
	check(t, l.Compare(t.Context(), c)) // of an earlier entry

	// The signature covers every field.
	for name, change := range map[string]func(*Checkpoint){
		"owner":     func(c *Checkpoint) { c.Owner = "node brest" },
		"sequence":  func(c *Checkpoint) { c.Sequence++ },
		"head":      func(c *Checkpoint) { c.Head = checkpoint(t, l).Head },
		"time":      func(c *Checkpoint) { c.Time = c.Time.Add(time.Second) },
		"charged":   func(c *Checkpoint) { c.Charged.Epsilon-- },
		"recovered": func(c *Checkpoint) { c.Recovered = c.Head },
		"key":       func(c *Checkpoint) { c.Key = make([]byte, 32) },
		"signature": func(c *Checkpoint) { c.Signature = append([]byte{c.Signature[0] ^ 1}, c.Signature[1:]...) },
	} {
		altered := c
		change(&altered)
		if err := altered.Verify(public()); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, _, err := ed25519.GenerateKey(nil)
	check(t, err)
	wantErr(t, c.Verify(other), ErrCheckpoint)
	wantErr(t, l.Compare(t.Context(), Checkpoint{Owner: "node brest"}), ErrCheckpoint)
	for _, bad := range []string{"", "{}", "[]", `{"owner": "x", "more": 1}`, string(b) + "x"} {
		if _, err := ParseCheckpoint([]byte(bad)); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// backup copies the ledger's file.
func backup(t *testing.T, l *Ledger) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup")
	_, err := l.write.Exec(`VACUUM INTO ?`, path)
	check(t, err)
	return path
}

func TestRollbackAndFork(t *testing.T) {
	for name, more := range map[string]int{"behind": 0, "diverged": 9} {
		l, clock := fresh(t)
		spendOne(t, l, 100)
		old := backup(t, l)
		clock.advance(time.Minute)
		spendOne(t, l, 200)
		c := checkpoint(t, l)
		check(t, l.Close())

		b, err := os.ReadFile(old)
		check(t, err)
		path := filepath.Join(t.TempDir(), "restored")
		check(t, os.WriteFile(path, b, 0o600))
		clock.advance(time.Minute)
		l = open(t, path, clock)
		for range more {
			spendOne(t, l, 10)
		}
		want := ErrBehind
		if more > 0 {
			want = ErrDiverged
		}
		wantErr(t, l.Compare(t.Context(), c), want)
		reader, err := OpenReadOnly(t.Context(), path)
		check(t, err)
		wantErr(t, reader.Compare(t.Context(), c), want)
		check(t, reader.Close())

		before, _, err := l.Spent(t.Context(), "study:lung") // another study
		check(t, err)
		lost, err := l.Recover(t.Context(), c, "claire", "the disk failed")
		check(t, err)
		if lost != loss(200) {
			t.Errorf("%s: %+v was lost, not %+v", name, lost, loss(200))
		}
		after, _, err := l.Spent(t.Context(), "study:lung")
		check(t, err)
		if want, _ := before.Plus(loss(200)); after != want {
			t.Errorf("%s: what was lost does not count in every study: %+v", name, after)
		}
		check(t, l.Compare(t.Context(), c))
		next := checkpoint(t, l)
		if next.Recovered != c.Head || !next.Follows(c) || c.Follows(next) {
			t.Errorf("%s: %+v", name, next)
		}
		// It holds after a restart, and only once.
		check(t, l.Close())
		l = open(t, path, clock)
		check(t, l.Compare(t.Context(), c))
		if _, err := l.Recover(t.Context(), c, "claire", "again"); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: acknowledged twice: %v", name, err)
		}
		report, err := l.Verify(t.Context())
		check(t, err)
		if sum, _, _ := l.Spent(t.Context(), "node"); report.Charged != sum {
			t.Errorf("%s: verify tells %+v, and %+v counts", name, report.Charged, sum)
		}
		check(t, l.Close())
	}
}

func TestKeep(t *testing.T) {
	mine, _ := fresh(t)
	theirs, clock := fresh(t)
	first := checkpoint(t, theirs)
	spendOne(t, theirs, 100)
	clock.advance(time.Second)
	second := checkpoint(t, theirs)
	count := func() int64 {
		s, _, err := mine.Head(t.Context())
		check(t, err)
		return s
	}
	before := count()
	check(t, mine.Keep(t.Context(), second))
	check(t, mine.Keep(t.Context(), first, second)) // older, or already known
	if count() != before+1 {
		t.Errorf("%d entries for one checkpoint", count()-before)
	}
	check(t, mine.Charge(t.Context(), reserve(t, mine, reservation("heart", "ana", 1, Cap{"node", pure(10)})), nil, first))
	kept, ok, err := mine.Kept(t.Context(), owner)
	check(t, err)
	if !ok || kept.Head != second.Head {
		t.Errorf("an old checkpoint replaces a new one: %+v", kept)
	}
	path := mine.path
	check(t, mine.Close())
	reader, err := OpenReadOnly(t.Context(), path)
	check(t, err)
	defer reader.Close()
	all, err := reader.Checkpoints(t.Context(), owner)
	check(t, err)
	if len(all) != 1 || all[0].Verify(public()) != nil {
		t.Errorf("%+v", all)
	}
}

func TestReconcile(t *testing.T) {
	dir := t.TempDir()
	make := func(owner string) *Ledger {
		l, err := Open(t.Context(), filepath.Join(dir, owner[:4]), owner, time.Now)
		check(t, err)
		t.Cleanup(func() { l.Close() })
		return l
	}
	node, hub := make("node lyon"), make("coordinator france")
	charge := func(l *Ledger, query, who string, thousandths int64, detail string) {
		r := reservation("heart", who, thousandths, Cap{"node", pure(1_000_000)})
		r.Query, r.Expires = query, time.Now().Add(time.Hour)
		id, err := l.Reserve(t.Context(), r)
		check(t, err)
		check(t, l.Charge(t.Context(), id, json.RawMessage(detail)))
	}
	const both, elsewhere = `{"hospitals": ["lyon", "lille"]}`, `{"hospitals": ["lille"]}`
	charge(hub, "01", "ana", 100, both)
	charge(node, "01", "ana", 100, "")
	charge(hub, "02", "ana", 100, elsewhere)
	if found, err := Reconcile(t.Context(), node, hub); err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
	charge(hub, "03", "ana", 100, both) // it failed
	charge(node, "04", "ana", 100, "")  // never charged
	charge(hub, "05", "ana", 100, both) // in another's name
	charge(node, "05", "ben", 100, "")  //
	charge(hub, "06", "ana", 100, both) // the coordinator's charge is smaller
	charge(node, "06", "ana", 101, "")  //
	charge(node, "01", "ana", 100, "")  // charged again
	charge(node, "02", "ana", 100, "")  // the coordinator's charge does not name this hospital
	found, err := Reconcile(t.Context(), node, hub)
	check(t, err)
	var got []string
	for _, d := range found {
		harmless := ""
		if d.Harmless {
			harmless = " harmless"
		}
		got = append(got, d.Query+harmless)
	}
	if want := []string{"01", "02", "03 harmless", "04", "05", "06"}; !equal(got, want) {
		t.Errorf("%q\n%+v", got, found)
	}
	if _, err := Reconcile(t.Context(), hub, node); err == nil {
		t.Error("the two are told apart by nothing")
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
