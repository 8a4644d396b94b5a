package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A backup is made and updated while the ledger is written. It is complete each time, with its answers.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "node.ledger"), filepath.Join(dir, "backup.ledger")
	l, err := Open(t.Context(), path, "node rennes", time.Now)
	check(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := l.Record(context.Background(), Entry{Kind: KindData, Text: fmt.Sprintf("News %d.", i)}); err != nil {
				t.Error(err)
			}
			if err := l.StoreAnswer(context.Background(), fmt.Sprint(i), []byte("an answer")); err != nil {
				t.Error(err)
			}
		}
	})
	reader, err := OpenReadOnly(t.Context(), path)
	check(t, err)
	var entries int64
	for range 20 {
		added, err := reader.Backup(t.Context(), copied)
		check(t, err)
		entries += added
		report, err := verifyFile(t.Context(), copied)
		check(t, err)
		if report.Entries != entries {
			t.Fatalf("%d entries, after %d were added", report.Entries, entries)
		}
		time.Sleep(2 * time.Millisecond)
	}
	stop()
	writing.Wait()
	_, err = reader.Backup(t.Context(), copied)
	check(t, err)
	if added, err := reader.Backup(t.Context(), copied); err != nil || added != 0 {
		t.Errorf("nothing happened, and %d entries were added (%v)", added, err)
	}
	sequence, hash, err := l.Head(t.Context())
	check(t, err)
	info, err := os.Stat(copied)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}

	// The restored ledger continues where the backup ended.
	restored := filepath.Join(dir, "new", "node.ledger")
	check(t, os.Mkdir(filepath.Dir(restored), 0o700))
	report, err := Restore(t.Context(), copied, restored)
	check(t, err)
	if report.Entries != sequence || report.Head != hash {
		t.Errorf("%d entries of %d", report.Entries, sequence)
	}
	again, err := Open(t.Context(), restored, "node rennes", time.Now)
	check(t, err)
	defer again.Close()
	for i := range 3 {
		if b, ok, err := again.Answer(t.Context(), fmt.Sprint(i)); err != nil || !ok || string(b) != "an answer" {
			t.Errorf("answer %d: %q, %v, %v", i, b, ok, err)
		}
	}
	if _, err := Restore(t.Context(), copied, restored); !errors.Is(err, ErrLocked) {
		t.Error("over a running daemon's: ", err)
	}

	// A ledger with another history does not continue a backup, and a backup that is ahead is kept.
	if _, err := again.Backup(t.Context(), path); !errors.Is(err, ErrLocked) {
		t.Error("onto a running daemon's: ", err)
	}
	check(t, l.Record(t.Context(), Entry{Kind: KindData, Text: "One more."}))
	if _, err := reader.Backup(t.Context(), copied); err != nil {
		t.Error(err)
	}
	if _, err := again.Backup(t.Context(), copied); !errors.Is(err, ErrBackup) {
		t.Error("another history: ", err)
	}
	if _, err := l.Backup(t.Context(), path); !errors.Is(err, ErrBackup) {
		t.Error("onto itself: ", err)
	}
	check(t, reader.Close())
	check(t, l.Close())
	if _, err := Restore(t.Context(), copied, path); !errors.Is(err, fs.ErrExist) {
		t.Error("over a ledger that is there: ", err)
	}
	for _, suffix := range []string{"", "-shm"} {
		_ = os.Remove(path + suffix)
	}
	check(t, os.WriteFile(path+"-wal", nil, 0o600))
	if _, err := Restore(t.Context(), copied, path); !errors.Is(err, fs.ErrExist) {
		t.Error("beside another's companion: ", err)
	}
}

// A changed entry is not copied.
func TestBackupOfABrokenLedger(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "node.ledger"), filepath.Join(dir, "backup.ledger")
	l, err := Open(t.Context(), path, "node rennes", time.Now)
	check(t, err)
	_, err = l.Backup(t.Context(), copied)
	check(t, err)
	for i := range 3 {
		check(t, l.Record(t.Context(), Entry{Kind: KindData, Text: fmt.Sprintf("News %d.", i)}))
	}
	for _, s := range []string{`DROP TRIGGER entries_update`, `UPDATE entries SET text = 'Nothing happened.' WHERE sequence = 3`} {
		_, err = l.write.ExecContext(t.Context(), s)
		check(t, err)
	}
	var broken *BrokenError
	if _, err := l.Backup(t.Context(), copied); !errors.As(err, &broken) || broken.Sequence != 3 {
		t.Error(err)
	}
	if report, err := verifyFile(t.Context(), copied); err != nil || report.Entries != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := l.Backup(t.Context(), filepath.Join(dir, "other.ledger")); !errors.As(err, &broken) {
		t.Error(err)
	}
	check(t, l.Close())
}
