package ledger

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrBackup says that a file is not an earlier state of the ledger, so it does not become its backup.
var ErrBackup = errors.New("the file there is no earlier state of this ledger")

// Backup brings the file at path to the present state of the ledger, also while a daemon writes the ledger. It returns
// the number of entries that it added. An existing file must be an earlier state, and Backup adds what is newer, so
// frequent backups cost only what happened in between. A missing file is created. The added entries are verified, and
// are on the disk when Backup returns nil.
//
// Errors: ErrBackup, ErrLocked (a daemon uses the file at path), *BrokenError.
func (l *Ledger) Backup(ctx context.Context, path string) (added int64, err error) {
	path, err = resolve(path)
	if err != nil {
		return 0, err
	}
	if path == l.path {
		return 0, fmt.Errorf("%w: it is the ledger itself", ErrBackup)
	}
	held, err := lock(path)
	if err != nil {
		return 0, err
	}
	defer held.Close()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		report, err := l.copyTo(ctx, path)
		return report.Entries, err
	}
	if err != nil {
		return 0, err
	}
	format, err := formatOf(ctx, l.read)
	if err != nil {
		return 0, l.readError(err)
	}
	copied, err := sql.Open("sqlite3", dsn(path, "mode=rw&_synchronous=FULL&_txlock=immediate&_busy_timeout=5000"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	copied.SetMaxOpenConns(1)
	if err := checkVersion(ctx, copied, path); err != nil {
		return 0, err
	}
	there, err := formatOf(ctx, copied)
	if err != nil {
		return 0, err
	}
	at, err := l.earlier(ctx, copied)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if there != format {
		if err := copied.Close(); err != nil {
			return 0, err
		}
		report, err := l.copyTo(ctx, path)
		return report.Entries - at.sequence, err
	}
	end, err := l.add(ctx, copied, at)
	return end.sequence - at.sequence, err
}

// earlier returns the last entry of a copy, which must be an entry of the ledger.
func (l *Ledger) earlier(ctx context.Context, copied *sql.DB) (head, error) {
	owner, at, err := readHead(ctx, copied)
	if err != nil {
		return head{}, err
	}
	if owner != l.owner {
		return head{}, fmt.Errorf("%w: it is the ledger of %q", ErrBackup, owner)
	}
	var have string
	err = l.read.QueryRowContext(ctx, `SELECT hash FROM entries WHERE sequence = ?`, at.sequence).Scan(&have)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return head{}, fmt.Errorf("%w: it has entry %d, which this ledger lacks; an old copy of the ledger may be in use", ErrBackup, at.sequence)
	case err != nil:
		return head{}, l.readError(err)
	case have != hex.EncodeToString(at.hash[:]):
		return head{}, fmt.Errorf("%w: its entry %d is another one", ErrBackup, at.sequence)
	}
	return at, nil
}

// clockSlack is the largest step back of the clock for which no answer is left out of a backup.
const clockSlack = 24 * time.Hour

// add copies everything after an entry, in one transaction.
func (l *Ledger) add(ctx context.Context, copied *sql.DB, at head) (head, error) {
	tx, err := copied.BeginTx(ctx, nil)
	if err != nil {
		return at, err
	}
	defer tx.Rollback()
	// Answers come first: then an answer that an entry names is there, or comes with the next backup.
	if err := l.addAnswers(ctx, tx); err != nil {
		return at, err
	}
	end := at
	if err := l.Entries(ctx, at.sequence+1, func(e Entry) error {
		if e.Sequence != end.sequence+1 || e.Previous != end.hash || e.sum() != e.Hash {
			return &BrokenError{e.Sequence, "does not follow the one before it, or was changed"}
		}
		end = head{e.Sequence, e.Hash}
		_, err := tx.ExecContext(ctx, addEntry, e.row()...)
		return err
	}); err != nil {
		return at, err
	}
	if end != at {
		if _, err := tx.ExecContext(ctx, `UPDATE head SET sequence = ?, hash = ?`, end.sequence, hex.EncodeToString(end.hash[:])); err != nil {
			return at, err
		}
	}
	return end, tx.Commit()
}

func (l *Ledger) addAnswers(ctx context.Context, tx *sql.Tx) error {
	var latest sql.NullString
	if err := tx.QueryRowContext(ctx, `SELECT max(created) FROM answers`).Scan(&latest); err != nil {
		return err
	}
	since := ""
	if t, err := parseTime(latest.String); err == nil && latest.Valid {
		since = formatTime(t.Add(-clockSlack))
	}
	rows, err := l.read.QueryContext(ctx, `SELECT key, created, value FROM answers WHERE created >= ?`, since)
	if err != nil {
		return l.readError(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, created string
		var value []byte
		if err := rows.Scan(&key, &created, &value); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO answers (key, created, value) VALUES (?, ?, ?)`, key, created, value); err != nil {
			return err
		}
	}
	return rows.Err()
}

// copyTo writes a whole copy and verifies it before it renames it to path.
func (l *Ledger) copyTo(ctx context.Context, path string) (Report, error) {
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Report{}, err
	}
	defer os.Remove(part) // fails after the rename
	defer f.Close()
	if _, err := l.read.ExecContext(ctx, `VACUUM INTO ?`, part); err != nil {
		return Report{}, l.readError(err)
	}
	report, err := verifyFile(ctx, part)
	if err != nil {
		return Report{}, err
	}
	if err := f.Sync(); err != nil {
		return Report{}, err
	}
	if err := os.Rename(part, path); err != nil {
		return Report{}, err
	}
	return report, syncFolder(path)
}

func verifyFile(ctx context.Context, path string) (_ Report, err error) {
	l, err := OpenReadOnly(ctx, path)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return l.Verify(ctx)
}

func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Restore copies the backup at from to path and verifies it. There must be nothing at path: neither a ledger, which
// would be lost, nor SQLite's companion file of one, which would be taken for the copy's. Errors: fs.ErrExist,
// ErrLocked, *BrokenError.
func Restore(ctx context.Context, from, path string) (_ Report, err error) {
	if path, err = resolve(path); err != nil {
		return Report{}, err
	}
	held, err := lock(path)
	if err != nil {
		return Report{}, err
	}
	defer held.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fmt.Errorf("%s%s: %w; move it and its companions (-wal, -shm) away, and keep them: they may be newer than the backup", path, suffix, fs.ErrExist)
			}
			return Report{}, err
		}
	}
	l, err := OpenReadOnly(ctx, from)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return l.copyTo(ctx, path)
}
