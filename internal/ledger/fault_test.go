package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// survivors opens a copy of the files on the disk, and checks it against what was acknowledged. It returns the entries.
func survivors(t *testing.T, path string, charged []string) []Entry {
	t.Helper()
	l := open(t, copyFiles(t, path), new(clock))
	defer l.Close()
	entries := all(t, l)
	seen := map[string]int{}
	for _, e := range entries {
		seen[string(e.Kind)+" "+e.Reservation]++
	}
	for _, id := range charged {
		if seen["reserve "+id] != 1 {
			t.Errorf("reservation %s: recorded %d times", id, seen["reserve "+id])
		}
		if seen["charge "+id] != 1 {
			t.Errorf("charge %s: recorded %d times", id, seen["charge "+id])
		}
	}
	return entries
}

func TestDiskFull(t *testing.T) {
	l, _ := fresh(t)
	ctx := t.Context()
	cap := Cap{"node", pure(1_000_000)}
	var pages int
	check(t, l.write.QueryRow(`PRAGMA page_count`).Scan(&pages))
	check(t, l.write.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+3)).Scan(&pages))
	var charged []string
	failures := 0
	for range 100 {
		id, err := l.Reserve(ctx, reservation("heart", "ana", 1, cap))
		if err != nil {
			failures++
			continue
		}
		if err := l.Charge(ctx, id, nil); err != nil {
			failures++
			continue
		}
		charged = append(charged, id)
	}
	if failures == 0 || len(charged) == 0 {
		t.Fatalf("%d failed, %d were charged; the test shows nothing", failures, len(charged))
	}
	survivors(t, l.path, charged)

	// When there is room again, the ledger goes on.
	check(t, l.write.QueryRow(`PRAGMA max_page_count = 100000`).Scan(&pages))
	id := reserve(t, l, reservation("heart", "ana", 1, cap))
	check(t, l.Charge(ctx, id, nil))
	survivors(t, l.path, append(charged, id))
	if sum, _, _ := l.Spent(ctx, "node"); sum.Epsilon != int64(len(charged)+1)*loss(1).Epsilon {
		t.Errorf("charged %v after %d charges", sum, len(charged)+1)
	}
	if _, err := l.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// TestEveryWriteFails lets each operation write one more piece to the disk than the time before, until it succeeds. It
// runs in a process of its own, because the limit holds for every file of a process, and go test writes files too.
func TestEveryWriteFails(t *testing.T) {
	const inside = "INTRAMUROS_LEDGER_FAULTS"
	if os.Getenv(inside) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEveryWriteFails$")
		child.Env = append(os.Environ(), inside+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	check(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)

	ctx := context.Background()
	cap := Cap{"node", pure(1_000_000)}
	operations := map[string]func(l *Ledger, held string) (charged string, err error){
		"charge": func(l *Ledger, held string) (string, error) { return held, l.Charge(ctx, held, nil) },
		"record": func(l *Ledger, held string) (string, error) {
			return "", l.Record(ctx, Entry{Kind: KindAnswer, Text: "Two rows left."})
		},
	}
	for name, do := range operations {
		t.Run(name, func(t *testing.T) {
			failures := 0
			for extra := uint64(0); ; extra += 1500 {
				l, _ := fresh(t)
				first := reserve(t, l, reservation("heart", "ana", 1, cap))
				held := reserve(t, l, reservation("heart", "ana", 1, cap))
				check(t, l.Charge(ctx, first, nil))
				wal, err := os.Stat(l.path + "-wal")
				check(t, err)

				limit := before
				limit.Cur = uint64(wal.Size()) + extra
				check(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
				charged, failed := do(l, held)
				again := l.Record(ctx, Entry{Kind: KindConfig, Text: "Later."})
				check(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))

				mustCharge := []string{first}
				if failed == nil {
					if charged != "" {
						mustCharge = append(mustCharge, charged)
					}
				} else {
					failures++
					if !errors.Is(failed, ErrStopped) {
						t.Fatalf("with %d bytes: %v", extra, failed)
					}
					if !errors.Is(again, ErrStopped) {
						t.Fatalf("with %d bytes the ledger went on: %v", extra, again)
					}
				}
				survivors(t, l.path, mustCharge)
				check(t, l.Close())
				survivors(t, l.path, mustCharge)
				if failed == nil && again == nil {
					break
				}
				if extra > 200_000 {
					t.Fatal("the operation never succeeds")
				}
			}
			if failures == 0 {
				t.Error("nothing failed; the test shows nothing")
			}
		})
	}
}

// A ledger whose file was moved away must not go on writing to a place where nobody looks.
func TestMovedFile(t *testing.T) {
	l, _ := fresh(t)
	id := reserve(t, l, reservation("heart", "ana", 600, Cap{"node", pure(1000)}))
	check(t, os.Rename(l.path, filepath.Join(t.TempDir(), "old")))
	wantErr(t, l.Charge(t.Context(), id, nil), ErrStopped)
}

// A program that holds the file's write lock delays the ledger or makes it refuse, and does no harm.
func TestBusy(t *testing.T) {
	l, _ := fresh(t)
	_, err := l.write.Exec(`PRAGMA busy_timeout = 50`)
	check(t, err)
	other, err := sql.Open("sqlite3", dsn(l.path, "mode=rw&_txlock=immediate"))
	check(t, err)
	defer other.Close()
	id := reserve(t, l, reservation("heart", "ana", 600, Cap{"node", pure(1000)}))
	tx, err := other.Begin()
	check(t, err)
	start := time.Now()
	if err := l.Charge(t.Context(), id, nil); err == nil || errors.Is(err, ErrStopped) {
		t.Errorf("while another holds the file: %v", err)
	}
	if time.Since(start) > 5*time.Second {
		t.Error("waited too long")
	}
	check(t, tx.Rollback())
	check(t, l.Charge(t.Context(), id, nil))
}
