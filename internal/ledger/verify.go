package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"time"

	"github.com/intramuros/intramuros/dp"
)

// BrokenError says what is wrong with a ledger that was tampered with or damaged.
type BrokenError struct {
	Sequence int64 // the first bad entry; 0 if the fault is not in an entry
	Finding  string
}

func (e *BrokenError) Error() string {
	if e.Sequence == 0 {
		return "the ledger is broken: " + e.Finding
	}
	return fmt.Sprintf("the ledger is broken: entry %d %s", e.Sequence, e.Finding)
}

// Report is the result of Verify for an intact ledger.
type Report struct {
	Owner       string
	Entries     int64
	First, Last time.Time         // of the entries, UTC
	Head        [sha256.Size]byte // hash of the last entry; compare it with one noted elsewhere
	Charged     dp.Loss           // over all studies
}

// Verify walks the whole chain, as the file has it at the time of the call. If the ledger was tampered with, the error
// is a *BrokenError that names the first bad entry. The package's comment says what this proves, and what it does not.
func (l *Ledger) Verify(ctx context.Context) (Report, error) {
	report, _, err := walk(ctx, l.read)
	if err != nil {
		return Report{}, l.readError(err)
	}
	// The chain covers the contents of the entries. This check covers the file.
	var finding string
	if err := l.read.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&finding); err != nil {
		return Report{}, l.readError(err)
	}
	if finding != "ok" {
		return Report{}, &BrokenError{Finding: "the file is damaged: " + firstLine(finding)}
	}
	return report, nil
}

// walk verifies the ledger in one snapshot, and adds it up.
func walk(ctx context.Context, db *sql.DB) (Report, balance, error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Report{}, balance{}, err
	}
	defer tx.Rollback()
	owner, end, err := readHead(ctx, tx)
	if err != nil {
		return Report{}, balance{}, err
	}
	at := head{hash: genesis(owner)}
	sums := newBalance()
	report := Report{Owner: owner}
	whole, err := selectEntries(ctx, tx)
	if err != nil {
		return Report{}, balance{}, err
	}
	rows, err := tx.QueryContext(ctx, whole+`ORDER BY sequence`)
	if err != nil {
		return Report{}, balance{}, err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scan(rows)
		if e.Sequence != at.sequence+1 {
			return Report{}, balance{}, &BrokenError{at.sequence + 1, "was removed"}
		}
		if err != nil {
			return Report{}, balance{}, &BrokenError{e.Sequence, "was changed: it holds what no ledger writes"}
		}
		if e.sum() != e.Hash {
			return Report{}, balance{}, &BrokenError{e.Sequence, changed(e, end.sequence)}
		}
		if e.Previous != at.hash {
			return Report{}, balance{}, &BrokenError{e.Sequence, fmt.Sprintf("does not follow entry %d: one of the two was replaced", at.sequence)}
		}
		if err := sums.apply(e); err != nil {
			return Report{}, balance{}, &BrokenError{e.Sequence, "cannot stand where it does: " + err.Error()}
		}
		at = head{e.Sequence, e.Hash}
		if report.First.IsZero() {
			report.First = e.Time
		}
		report.Last = e.Time
	}
	if err := rows.Err(); err != nil {
		return Report{}, balance{}, err
	}
	switch {
	case at.sequence < end.sequence:
		return Report{}, balance{}, &BrokenError{at.sequence + 1, fmt.Sprintf("was removed, with all after it: the head row knows %d entries", end.sequence)}
	case at.sequence > end.sequence:
		return Report{}, balance{}, &BrokenError{end.sequence + 1, "was added: the head row does not know it"}
	case at.hash != end.hash:
		return Report{}, balance{}, &BrokenError{at.sequence, "was replaced: the head row has another hash"}
	}
	if err := checkSchema(ctx, tx); err != nil {
		return Report{}, balance{}, err
	}
	if report.Charged, err = sums.spent(scopeAll); err != nil {
		return Report{}, balance{}, err
	}
	report.Entries, report.Head = at.sequence, at.hash
	return report, sums, nil
}

// changed says what is wrong with an entry whose hash does not match its fields: it was moved, if it matches under
// another number, or it was changed.
func changed(e Entry, last int64) string {
	moved := e
	for moved.Sequence = 1; moved.Sequence <= last+1; moved.Sequence++ {
		if moved.sum() == e.Hash {
			return fmt.Sprintf("was moved: it was entry %d", moved.Sequence)
		}
	}
	return "was changed: its hash is not that of its fields"
}
