package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// StoreAnswer keeps a released answer, so that the same query on the same data version gets it again at no cost. The
// key stands for both. The answer is on the disk when StoreAnswer returns nil. An answer is never replaced: if another
// one is stored, the error is ErrAnswerExists.
func (l *Ledger) StoreAnswer(ctx context.Context, key string, value []byte) error {
	if key == "" || len(value) == 0 {
		return fmt.Errorf("%w: an answer needs a key and a value", ErrEntry)
	}
	if err := l.takeToWrite(ctx); err != nil {
		return err
	}
	defer l.give()
	return l.commit(ctx, func(tx *sql.Tx) error {
		if another, err := l.store(ctx, tx, key, value); err != nil || !another {
			return err
		}
		return ErrAnswerExists
	})
}

// store keeps an answer. It reports whether another one is stored under the key.
func (l *Ledger) store(ctx context.Context, tx *sql.Tx, key string, value []byte) (another bool, err error) {
	done, err := l.exec(ctx, tx, addAnswer, key, formatTime(l.now()), value)
	if err != nil {
		return false, err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return false, err
	}
	var stored []byte
	err = tx.QueryRow(`SELECT value FROM answers WHERE key = ?`, key).Scan(&stored)
	return err == nil && !bytes.Equal(stored, value), err
}

// Release combines three writes in one: StoreAnswer, Record of the entry, which has kind answer, and Keep of the
// checkpoints. All of this must be on the disk before an answer leaves. If another answer is stored under the key, that
// one stays, everything else is recorded, and the error is ErrAnswerExists.
func (l *Ledger) Release(ctx context.Context, key string, value []byte, e Entry, peers ...Checkpoint) error {
	if key == "" || len(value) == 0 || e.Kind != KindAnswer {
		return fmt.Errorf("%w: an answer needs a key, a value and an entry", ErrEntry)
	}
	e.Expires = time.Time{}
	if err := e.check(); err != nil {
		return err
	}
	if err := l.takeToWrite(ctx); err != nil {
		return err
	}
	defer l.give()
	kept, err := l.later(peers)
	if err != nil {
		return err
	}
	another := false
	err = l.append(ctx, func(tx *sql.Tx) error {
		another, err = l.store(ctx, tx, key, value)
		return err
	}, append(kept, e)...)
	if err == nil && another {
		return ErrAnswerExists
	}
	return err
}

// Answer returns the answer stored under a key, and whether there is one.
func (l *Ledger) Answer(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = l.read.QueryRowContext(ctx, `SELECT value FROM answers WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return value, err == nil, l.readError(err)
}

// AnswersOf returns the answers whose keys have a prefix, in the order in which they were stored.
func (l *Ledger) AnswersOf(ctx context.Context, prefix string) ([][]byte, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT value FROM answers WHERE substr(key, 1, length(?1)) = ?1 ORDER BY created, key`, prefix)
	if err != nil {
		return nil, l.readError(err)
	}
	defer rows.Close()
	var all [][]byte
	for rows.Next() {
		var value []byte
		if err := rows.Scan(&value); err != nil {
			return nil, l.readError(err)
		}
		all = append(all, value)
	}
	return all, l.readError(rows.Err())
}

// Answered reports whether an answer is stored under a key.
func (l *Ledger) Answered(ctx context.Context, key string) (ok bool, err error) {
	err = l.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM answers WHERE key = ?)`, key).Scan(&ok)
	return ok, l.readError(err)
}
