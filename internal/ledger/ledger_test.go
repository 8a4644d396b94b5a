package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/dp"
)

const owner = "node rennes"

func TestMain(m *testing.M) {
	if path := os.Getenv("LEDGER_TEST_CHARGE_FOREVER"); path != "" {
		chargeForever(path)
	}
	// glog, a dependency of dp's noise library, starts one goroutine for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// clock is a clock that tests set.
type clock struct{ offset atomic.Int64 }

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func (c *clock) now() time.Time          { return epoch.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func open(t *testing.T, path string, c *clock) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), path, owner, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func fresh(t *testing.T) (*Ledger, *clock) {
	t.Helper()
	c := new(clock)
	return open(t, filepath.Join(t.TempDir(), "node.ledger"), c), c
}

// loss is the loss of one Laplace release: ε in thousandths, and ρ = ε²/2 rounded up.
func loss(thousandths int64) dp.Loss {
	return dp.Loss{Epsilon: thousandths * 1_000_000, Rho: (thousandths*thousandths*1_000 + 1) / 2, Delta: 1_000}
}

// pure caps epsilon in thousandths.
func pure(thousandths int64) dp.Budget {
	return dp.Budget{Accounting: dp.Pure, Epsilon: float64(thousandths) / 1000, Delta: 1e-6}
}

func reservation(study, researcher string, thousandths int64, caps ...Cap) Reservation {
	return Reservation{Study: study, Researcher: researcher, Query: "0a1b", Loss: loss(thousandths), Caps: caps,
		Text: researcher + " asked how many patients smoke.", Detail: json.RawMessage(`{"groups": 2}`),
		Expires: epoch.Add(time.Hour)}
}

func reserve(t *testing.T, l *Ledger, r Reservation) string {
	t.Helper()
	id, err := l.Reserve(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func all(t *testing.T, l *Ledger) []Entry {
	t.Helper()
	var out []Entry
	check(t, l.Entries(t.Context(), 1, func(e Entry) error { out = append(out, e); return nil }))
	return out
}

func kinds(entries []Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, string(e.Kind))
	}
	return strings.Join(out, " ")
}

// copyFiles copies the files as a crash at this moment would leave them.
func copyFiles(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.ledger")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if errors.Is(err, os.ErrNotExist) && suffix != "" {
			continue
		}
		check(t, err)
		check(t, os.WriteFile(to+suffix, b, 0o600))
	}
	return to
}

func TestLifeOfALoss(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	cap := Cap{"study:heart", pure(1000)}
	node := Cap{"node", pure(1500)}

	first := reserve(t, l, reservation("heart", "ana", 600, cap, node))
	_, err := l.Reserve(ctx, reservation("heart", "ana", 600, cap, node))
	wantErr(t, err, dp.ErrBudgetExhausted)
	if !strings.Contains(err.Error(), "study heart") {
		t.Errorf("the error does not name the scope: %v", err)
	}
	check(t, l.Charge(ctx, first, json.RawMessage(`{"rows":2}`)))
	wantErr(t, l.Charge(ctx, first, nil), ErrAlreadyCharged)
	wantErr(t, l.Abandon(ctx, first), ErrAlreadyCharged)

	second := reserve(t, l, reservation("heart", "ana", 400, cap, node))
	check(t, l.Abandon(ctx, second))
	wantErr(t, l.Abandon(ctx, second), ErrUnknownReservation)
	wantErr(t, l.Charge(ctx, second, nil), ErrUnknownReservation)
	wantErr(t, l.Charge(ctx, "nobody", nil), ErrUnknownReservation)
	wantErr(t, l.Charge(ctx, "", nil), ErrUnknownReservation)

	// Another study has room, but the node has none.
	_, err = l.Reserve(ctx, reservation("lung", "ben", 950, Cap{"study:lung", pure(1000)}, node))
	wantErr(t, err, dp.ErrBudgetExhausted)
	third := reserve(t, l, reservation("lung", "ana", 300, Cap{"researcher:ana", pure(900)}))
	_, err = l.Reserve(ctx, reservation("skin", "ana", 1, Cap{"researcher:ana", pure(900)}))
	wantErr(t, err, dp.ErrBudgetExhausted)

	for scope, want := range map[string][2]dp.Loss{
		"node":           {loss(600), loss(300)},
		"study:heart":    {loss(600), {}},
		"study:lung":     {{}, loss(300)},
		"researcher:ana": {loss(600), loss(300)},
		"researcher:ben": {},
	} {
		charged, reserved, err := l.Spent(ctx, scope)
		check(t, err)
		if diff := cmp.Diff(want, [2]dp.Loss{charged, reserved}); diff != "" {
			t.Errorf("%s: %s", scope, diff)
		}
	}

	c.advance(2 * time.Hour)
	if _, reserved, _ := l.Spent(ctx, "node"); reserved != (dp.Loss{}) {
		t.Errorf("an expired reservation still holds %v", reserved)
	}
	wantErr(t, l.Charge(ctx, third, nil), ErrReservationExpired)
	c.advance(-2 * time.Hour)
	wantErr(t, l.Charge(ctx, third, nil), ErrUnknownReservation)

	want := "open reserve charge"
	if got := kinds(all(t, l)); got != want {
		t.Errorf("entries\n got %s\nwant %s", got, want)
	}
	if _, err := l.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// An expired reservation frees its room for good, even if the clock goes back.
func TestExpiryIsFinal(t *testing.T) {
	l, c := fresh(t)
	cap := Cap{"node", pure(1000)}
	first := reserve(t, l, reservation("heart", "ana", 1000, cap))
	c.advance(time.Hour) // exactly at expiry
	r := reservation("heart", "ben", 1000, cap)
	r.Expires = c.now().Add(time.Hour)
	second := reserve(t, l, r)
	c.advance(-time.Hour)
	wantErr(t, l.Charge(t.Context(), first, nil), ErrUnknownReservation)
	check(t, l.Charge(t.Context(), second, nil))
	if charged, _, _ := l.Spent(t.Context(), "node"); charged != loss(1000) {
		t.Errorf("charged %v", charged)
	}
}

func TestReserveRefusesWhatIsLeftOut(t *testing.T) {
	l, _ := fresh(t)
	for name, change := range map[string]func(*Reservation){
		"study":       func(r *Reservation) { r.Study = "" },
		"researcher":  func(r *Reservation) { r.Researcher = "" },
		"query":       func(r *Reservation) { r.Query = "" },
		"hexadecimal": func(r *Reservation) { r.Query = "xyz" },
		"loss":        func(r *Reservation) { r.Loss = dp.Loss{} },
		"negative":    func(r *Reservation) { r.Loss.Rho = -1 },
		"caps":        func(r *Reservation) { r.Caps = nil },
		"scope":       func(r *Reservation) { r.Caps[0].Scope = "study:lung" },
		"no scope":    func(r *Reservation) { r.Caps[0].Scope = "" },
		"text":        func(r *Reservation) { r.Text = "" },
		"NUL":         func(r *Reservation) { r.Text = "nothing\x00 to see" },
		"UTF-8":       func(r *Reservation) { r.Study = "a\xff"; r.Caps[0].Scope = "node" },
		"detail":      func(r *Reservation) { r.Detail = json.RawMessage(`{`) },
		"expires":     func(r *Reservation) { r.Expires = epoch },
		"no expiry":   func(r *Reservation) { r.Expires = time.Time{} },
	} {
		r := reservation("heart", "ana", 1, Cap{"study:heart", pure(1000)})
		change(&r)
		if _, err := l.Reserve(t.Context(), r); !errors.Is(err, ErrEntry) {
			t.Errorf("without a proper %s: %v", name, err)
		}
	}
	_, err := l.Reserve(t.Context(), reservation("heart", "ana", 1, Cap{Scope: "node"}))
	wantErr(t, err, dp.ErrBudget)
	if got := kinds(all(t, l)); got != "open" {
		t.Errorf("entries: %s", got)
	}
	wantErr(t, l.Record(t.Context(), Entry{Kind: KindCharge, Text: "x", Loss: loss(1)}), ErrEntry)
}

// A loss that cannot be counted is refused when it is reserved, never when it is charged.
func TestOverflowIsRefusedInTime(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	r := reservation("heart", "ana", 1, Cap{"study:heart", pure(1_000_000)})
	r.Loss = dp.Loss{Epsilon: 1, Rho: math.MaxInt64, NoiseDelta: math.MaxInt64, Delta: 0}
	r.Caps[0].Budget = dp.Budget{Accounting: dp.ZCDP, Epsilon: 1, Delta: 1e-6}
	_, err := l.Reserve(ctx, r)
	wantErr(t, err, dp.ErrBudgetExhausted)
	r.Loss.Rho, r.Loss.Epsilon = 1, math.MaxInt64
	check(t, l.Charge(ctx, reserve(t, l, r), nil))
	r.Study, r.Researcher, r.Caps[0].Scope = "lung", "ben", "study:lung"
	_, err = l.Reserve(ctx, r)
	wantErr(t, err, dp.ErrLossOverflow)
}

func TestHundredWantTheLastBudget(t *testing.T) {
	l, _ := fresh(t)
	var passed, refused atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			id, err := l.Reserve(context.Background(), reservation("heart", "ana", 600, Cap{"study:heart", pure(1000)}))
			switch {
			case err == nil && l.Charge(context.Background(), id, nil) == nil:
				passed.Add(1)
			case errors.Is(err, dp.ErrBudgetExhausted):
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1 || refused.Load() != 99 {
		t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
	}
}

// What costs nothing writes nothing: reservations that are given back or expire, reservations that a cap refuses, and
// closing the ledger while some are open.
func TestWhatIsFreeIsNotWritten(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	size := func() (bytes int64) {
		for _, suffix := range []string{"", "-wal"} {
			info, err := os.Stat(l.path + suffix)
			check(t, err)
			bytes += info.Size()
		}
		return bytes
	}
	before := size()
	r := reservation("heart", "ana", 600, Cap{"node", pure(1000)})
	r.Detail = json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)
	for range 1000 {
		id := reserve(t, l, r)
		_, err := l.Reserve(ctx, r)
		wantErr(t, err, dp.ErrBudgetExhausted)
		check(t, l.Abandon(ctx, id))
	}
	c.advance(time.Minute)
	r.Expires = c.now().Add(time.Second)
	for range 1000 {
		reserve(t, l, r)
		c.advance(time.Second)
		r.Expires = c.now().Add(time.Second)
	}
	if len(l.held) != 1 {
		t.Errorf("%d reservations are in memory", len(l.held))
	}
	if grown := size() - before; grown != 0 {
		t.Errorf("the ledger has grown by %d bytes", grown)
	}
	check(t, l.Close())
	l = open(t, l.path, c)
	if got := kinds(all(t, l)); got != "open open" {
		t.Errorf("entries are %s", got)
	}
}

// A ledger of the previous version, which recorded reservations by themselves, opens, verifies and adds up. Its open
// reservations are given back.
func TestEarlierVersion(t *testing.T) {
	b, err := os.ReadFile("testdata/recorded-reservations.ledger")
	check(t, err)
	path := filepath.Join(t.TempDir(), "node.ledger")
	check(t, os.WriteFile(path, b, 0o600))
	reader, err := OpenReadOnly(t.Context(), path)
	check(t, err)
	defer reader.Close()
	report, err := reader.Verify(t.Context())
	check(t, err)
	if got, want := kinds(all(t, reader)), "open reserve charge answer reserve abandon refuse reserve"; got != want || report.Charged != loss(600) {
		t.Fatalf("the file has %s and charged %+v", got, report.Charged)
	}
	l := open(t, path, new(clock))
	charged, reserved, err := l.Spent(t.Context(), "study:heart")
	check(t, err)
	if charged != loss(600) || reserved != (dp.Loss{}) {
		t.Errorf("charged %+v, reserved %+v", charged, reserved)
	}
	check(t, l.Charge(t.Context(), reserve(t, l, reservation("heart", "ana", 400, Cap{"study:heart", pure(1000)})), nil))
	if got, want := kinds(all(t, l)), "open reserve charge answer reserve abandon refuse reserve open abandon reserve charge"; got != want {
		t.Errorf("entries are %s", got)
	}
	_, err = l.Verify(t.Context())
	check(t, err)
	var format int // by this number an earlier version refuses the file, instead of calling a failure a broken chain
	check(t, l.write.QueryRow(`PRAGMA user_version`).Scan(&format))
	if format != version {
		t.Errorf("its format is still %d", format)
	}
	for i, e := range all(t, l) { // old entries keep their hash, new ones have a salt
		if salted := len(e.Salt) == 32; salted != (i >= 8) {
			t.Errorf("entry %d has the salt %q", e.Sequence, e.Salt)
		}
	}
}

// A hash tells nothing of the entry: even a correct guess of all fields, to the nanosecond, cannot be confirmed with a
// checkpoint.
func TestSalt(t *testing.T) {
	at := func() time.Time { return time.Unix(0, 0) }
	write := func() Entry {
		l, err := Open(t.Context(), filepath.Join(t.TempDir(), "node.ledger"), "node rennes", at)
		check(t, err)
		defer l.Close()
		check(t, l.Record(t.Context(), Entry{Kind: KindAnswer, Text: "17 groups left."}))
		entries := all(t, l)
		return entries[len(entries)-1]
	}
	one, two := write(), write()
	if one.Hash == two.Hash || one.Salt == two.Salt || len(one.Salt) != 32 {
		t.Errorf("the same entry twice has the salts %q, %q and the hashes %x, %x", one.Salt, two.Salt, one.Hash, two.Hash)
	}
	guess := one
	guess.Salt = ""
	if guess.sum() == one.Hash {
		t.Error("the hash does not depend on the salt")
	}
}

func TestCrash(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	node := Cap{"node", pure(1000)}
	charged := reserve(t, l, reservation("heart", "ana", 600, node))
	held := reserve(t, l, reservation("heart", "ana", 300, node))
	check(t, l.StoreAnswer(ctx, "key", []byte("42")))
	check(t, l.Charge(ctx, charged, nil))

	again := open(t, copyFiles(t, l.path), c)
	wantErr(t, again.Charge(ctx, charged, nil), ErrAlreadyCharged)
	wantErr(t, again.Charge(ctx, held, nil), ErrUnknownReservation)
	sum, reserved, err := again.Spent(ctx, "node")
	check(t, err)
	if sum != loss(600) || reserved != (dp.Loss{}) {
		t.Errorf("after the crash charged is %v and reserved %v", sum, reserved)
	}
	if got, want := kinds(all(t, again)), "open reserve charge open"; got != want {
		t.Errorf("entries are %s, want %s", got, want)
	}
	if v, ok, err := again.Answer(ctx, "key"); err != nil || !ok || string(v) != "42" {
		t.Errorf("answer %q, %v, %v", v, ok, err)
	}
	_, err = again.Reserve(ctx, reservation("heart", "ana", 401, node))
	wantErr(t, err, dp.ErrBudgetExhausted)
	reserve(t, again, reservation("heart", "ana", 400, node))
}

// chargeForever is the child process of TestKill. It prints the id of each charge that Charge acknowledged.
func chargeForever(path string) {
	l, err := Open(context.Background(), path, owner, time.Now)
	for err == nil {
		r := reservation("heart", "ana", 1, Cap{"node", pure(1_000_000)})
		r.Expires = time.Now().Add(time.Hour)
		var id string
		if id, err = l.Reserve(context.Background(), r); err == nil {
			if err = l.Charge(context.Background(), id, nil); err == nil {
				fmt.Println(id)
			}
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.ledger")
	acknowledged := 0
	for range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "LEDGER_TEST_CHARGE_FOREVER="+path)
		var out bytes.Buffer
		child.Stdout = &out
		check(t, child.Start())
		time.Sleep(200 * time.Millisecond)
		check(t, child.Process.Kill())
		child.Wait()
		l := open(t, path, new(clock))
		recorded := map[string]bool{}
		for _, e := range all(t, l) {
			if e.Kind == KindCharge {
				recorded[e.Reservation] = true
			}
		}
		for id := range strings.Lines(out.String()) {
			id = strings.TrimSpace(id)
			if len(id) == 26 {
				acknowledged++
				if !recorded[id] {
					t.Errorf("the charge %s was acknowledged and is lost", id)
				}
			} else {
				t.Errorf("the child says: %s", id)
			}
		}
		check(t, l.Close())
	}
	if acknowledged == 0 {
		t.Error("the child charged nothing; the test shows nothing")
	}
}

func TestOneWriter(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	_, err := Open(ctx, l.path, owner, c.now)
	wantErr(t, err, ErrLocked)
	link := filepath.Join(t.TempDir(), "link")
	check(t, os.Symlink(l.path, link))
	_, err = Open(ctx, link, owner, c.now)
	wantErr(t, err, ErrLocked)

	reader, err := OpenReadOnly(ctx, l.path)
	check(t, err)
	defer reader.Close()
	check(t, l.Charge(ctx, reserve(t, l, reservation("heart", "ana", 600, Cap{"node", pure(1000)})), nil))
	if got := kinds(all(t, reader)); got != "open reserve charge" {
		t.Errorf("beside the writer a reader sees %s", got)
	}
	if _, err := reader.Verify(ctx); err != nil {
		t.Error(err)
	}
	if reader.Owner() != owner {
		t.Errorf("owner %q", reader.Owner())
	}
	wantErr(t, reader.Record(ctx, Entry{Kind: KindAnswer, Text: "x"}), ErrReadOnly)
	_, err = reader.Reserve(ctx, reservation("heart", "ana", 1, Cap{"node", pure(1000)}))
	wantErr(t, err, ErrReadOnly)
	wantErr(t, reader.StoreAnswer(ctx, "k", []byte("v")), ErrReadOnly)
	if _, err := reader.read.Exec(`DELETE FROM answers`); err == nil {
		t.Error("a reader can write")
	}
}

func TestReadOnlyMedium(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write anywhere")
	}
	l, _ := fresh(t)
	check(t, l.Close())
	dir := filepath.Dir(l.path)
	check(t, os.Chmod(l.path, 0o400))
	check(t, os.Chmod(dir, 0o500))
	defer os.Chmod(dir, 0o700)
	reader, err := OpenReadOnly(t.Context(), l.path)
	check(t, err)
	defer reader.Close()
	if _, err := reader.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	check(t, l.Close())
	if _, err := Open(ctx, l.path, "node brest", c.now); err == nil || !strings.Contains(err.Error(), `"node rennes", not of "node brest"`) {
		t.Errorf("another's ledger: %v", err)
	}
	info, err := os.Stat(l.path)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	check(t, os.Chmod(l.path, 0o620))
	if _, err := Open(ctx, l.path, owner, c.now); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file others may write: %v", err)
	}
	other := filepath.Join(t.TempDir(), "notes.txt")
	check(t, os.WriteFile(other, []byte(strings.Repeat("not a ledger ", 100)), 0o600))
	if _, err := Open(ctx, other, owner, c.now); err == nil {
		t.Error("a text file was opened as a ledger")
	}
	if _, err := OpenReadOnly(ctx, filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(ctx, filepath.Join(t.TempDir(), "no", "dir"), owner, c.now); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := Open(ctx, filepath.Join(t.TempDir(), "x"), "", c.now); !errors.Is(err, ErrEntry) {
		t.Errorf("no owner: %v", err)
	}
	strange := filepath.Join(t.TempDir(), "a b?c#d%41.ledger")
	check(t, open(t, strange, c).Close())
	if _, err := os.Stat(strange); err != nil {
		t.Error(err)
	}
	wantErr(t, l.Record(ctx, Entry{Kind: KindAnswer, Text: "x"}), ErrClosed)
	_, _, err = l.Head(ctx)
	wantErr(t, err, ErrClosed)
	check(t, l.Close())
}

func TestDurability(t *testing.T) {
	l, _ := fresh(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2"} {
		var got string
		check(t, l.write.QueryRow("PRAGMA "+pragma).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", pragma, got, want)
		}
	}
}

func TestCancelledBefore(t *testing.T) {
	l, _ := fresh(t)
	id := reserve(t, l, reservation("heart", "ana", 600, Cap{"node", pure(1000)}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, l.Charge(ctx, id, nil), context.Canceled)
	check(t, l.Charge(t.Context(), id, nil))
}

func TestAnswers(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	if _, ok, err := l.Answer(ctx, "q1@v1"); ok || err != nil {
		t.Errorf("an answer that nobody stored: %v, %v", ok, err)
	}
	check(t, l.StoreAnswer(ctx, "q1@v1", []byte("a\x00b")))
	check(t, l.StoreAnswer(ctx, "q1@v1", []byte("a\x00b")))
	wantErr(t, l.StoreAnswer(ctx, "q1@v1", []byte("other")), ErrAnswerExists)
	wantErr(t, l.StoreAnswer(ctx, "", []byte("x")), ErrEntry)
	check(t, l.Close())
	l = open(t, l.path, c)
	if v, ok, err := l.Answer(ctx, "q1@v1"); !ok || err != nil || string(v) != "a\x00b" {
		t.Errorf("%q, %v, %v", v, ok, err)
	}
}

// One write puts everything on the disk before an answer leaves: the answer, its entry, and the checkpoints of other
// ledgers.
func TestRelease(t *testing.T) {
	l, c := fresh(t)
	other, _ := fresh(t)
	ctx := t.Context()
	peer, err := other.Checkpoint(ctx, signer)
	check(t, err)
	left := Entry{Kind: KindAnswer, Text: "It left."}
	check(t, l.Release(ctx, "q1@v1", []byte("one"), left, peer))
	wantErr(t, l.Release(ctx, "q1@v1", []byte("two"), left, peer), ErrAnswerExists)
	check(t, l.Release(ctx, "q1@v1", []byte("one"), left, peer))
	for _, refused := range []error{
		l.Release(ctx, "", []byte("one"), left), l.Release(ctx, "q2@v1", nil, left), l.Release(ctx, "q2@v1", []byte("one"), Entry{Kind: KindRefuse, Text: "-"}),
		l.Release(ctx, "q2@v1", []byte("one"), Entry{Kind: KindAnswer}), l.Release(ctx, "q2@v1", []byte("one"), left, Checkpoint{Owner: "x"}),
	} {
		if !errors.Is(refused, ErrEntry) && !errors.Is(refused, ErrCheckpoint) {
			t.Errorf("error is %v", refused)
		}
	}
	check(t, l.Close())
	l = open(t, l.path, c)
	if v, ok, err := l.Answer(ctx, "q1@v1"); !ok || err != nil || string(v) != "one" {
		t.Errorf("%q, %v, %v", v, ok, err)
	}
	if _, ok, err := l.Answer(ctx, "q2@v1"); ok || err != nil {
		t.Errorf("a refused answer is there: %v, %v", ok, err)
	}
	if kept, ok, err := l.Kept(ctx, peer.Owner); !ok || err != nil || kept.Head != peer.Head {
		t.Errorf("%v, %v, %v", kept, ok, err)
	}
	count := map[Kind]int{}
	check(t, l.Entries(ctx, 1, func(e Entry) error { count[e.Kind]++; return nil }))
	if count[KindAnswer] != 3 || count[KindCheckpoint] != 1 {
		t.Errorf("it has %v", count)
	}
}

// The sums in memory equal those of the entries, and stay fast to maintain.
func TestSumsAreIncremental(t *testing.T) {
	l, c := fresh(t)
	ctx := t.Context()
	const charges = 5_000
	var entries []Entry
	for i := range charges {
		e := Entry{Kind: KindReserve, Study: fmt.Sprint("s", i%7), Researcher: fmt.Sprint("r", i%3), Query: "00", Reservation: fmt.Sprint(i),
			Loss: loss(int64(i%10 + 1)), Text: "x", Expires: epoch.Add(time.Hour)}
		entries = append(entries, e)
		e.Kind, e.Expires = KindCharge, time.Time{}
		entries = append(entries, e)
	}
	check(t, l.append(ctx, nil, entries...))
	reserve(t, l, reservation("s1", "r1", 5, Cap{"node", pure(1_000_000)}))

	reader, err := OpenReadOnly(ctx, l.path)
	check(t, err)
	defer reader.Close()
	_, fromDisk, err := walk(ctx, reader.read)
	check(t, err)
	if diff := cmp.Diff(l.balance.charged, fromDisk.charged); diff != "" {
		t.Errorf("charged, memory and disk: %s", diff)
	}
	if diff := cmp.Diff(l.balance.live, fromDisk.live); diff != "" {
		t.Errorf("live, memory and disk: %s", diff)
	}
	check(t, l.Close())
	again := open(t, l.path, c)
	if diff := cmp.Diff(l.balance.charged, again.balance.charged); diff != "" {
		t.Errorf("charged, before and after: %s", diff)
	}
}

func TestListings(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	id := reserve(t, l, reservation("heart", "ana", 600, Cap{"node", pure(1000)}))
	check(t, l.Charge(ctx, id, json.RawMessage(`{"rows":2}`)))
	check(t, l.Record(ctx, Entry{Kind: KindAnswer, Study: "heart", Researcher: "ana", Query: "0a1b", Text: "Two\nrows \x1b[2Jleft, \"quoted\", \u202eneltit."}))
	entries := all(t, l)

	var text bytes.Buffer
	check(t, WriteText(&text, entries...))
	want := `1  2026-11-23 12:00:00 UTC  open
    The ledger of node rennes was created.
2  2026-11-23 12:00:00 UTC  reserve  study heart  ana  (ε = 0.6, ρ = 0.18, δ = 1e-15)
    ana asked how many patients smoke.
3  2026-11-23 12:00:00 UTC  charge  study heart  ana  ε = 0.6, ρ = 0.18, δ = 1e-15
    ana asked how many patients smoke.
4  2026-11-23 12:00:00 UTC  answer  study heart  ana
    Two
    rows �[2Jleft, "quoted", �neltit.
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Error(diff)
	}

	var lines bytes.Buffer
	check(t, WriteJSONLines(&lines, entries...))
	for i, s := range strings.Split(strings.TrimSpace(lines.String()), "\n") {
		var got line
		check(t, json.Unmarshal([]byte(s), &got))
		if got.Hash != hex.EncodeToString(entries[i].Hash[:]) || got.Text != entries[i].Text || got.Loss != entries[i].Loss {
			t.Errorf("line %d: %s", i, s)
		}
	}

	var table bytes.Buffer
	check(t, WriteCSV(&table, ',', entries...))
	unmarked, marked := strings.CutPrefix(table.String(), "\ufeff")
	records, err := csv.NewReader(strings.NewReader(unmarked)).ReadAll()
	check(t, err)
	if !marked || len(records) != 5 || records[4][12] != entries[3].Text || records[3][8] != "0.6" || records[3][11] != "0.000000000000001" {
		t.Errorf("%q", records)
	}
}

// No cell of the table is a formula, whichever separator a spreadsheet uses. Other texts stay as they are.
func TestSpreadsheet(t *testing.T) {
	for in, want := range map[string]string{
		"=HYPERLINK(\"http://x\")": "'=HYPERLINK(\"http://x\")", "+1": "'+1", "-1+cmd|' /C calc'!A0": "'-1+cmd|' /C calc'!A0", "@SUM(A1)": "'@SUM(A1)",
		"＝1": "'＝1", "a;=1": "a;'=1", "a; -1": "a;' -1", "a,=1": "a,'=1", "a\t=1": "a\t'=1", "\t=1": "'\t=1",
		"claire approved it; reason: none.": "claire approved it; reason: none.", `{"x":[1,-5],"y":"a=b"}`: `{"x":[1,-5],"y":"a=b"}`, "": "",
	} {
		if got := inert(in); got != want {
			t.Errorf("%q is written as %q, not %q", in, got, want)
		}
	}
	for _, separator := range []rune{',', ';', '\t'} {
		var table bytes.Buffer
		check(t, WriteCSV(&table, separator, Entry{Sequence: 1, Kind: KindStudy, Study: "copd", Text: "claire suspended it; reason: =1;=2,=3\t=4\nand a line."}))
		for _, other := range []rune{',', ';', '\t'} {
			in := csv.NewReader(strings.NewReader(strings.TrimPrefix(table.String(), "\ufeff")))
			in.Comma, in.LazyQuotes, in.FieldsPerRecord = other, true, -1
			records, err := in.ReadAll()
			check(t, err)
			for _, cell := range slices.Concat(records...) {
				if cell = strings.TrimSpace(cell); cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
					t.Errorf("written with %q and read with %q there is a cell %q", separator, other, cell)
				}
			}
		}
	}
}

func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn(path, "mode=rw"))
	check(t, err)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
