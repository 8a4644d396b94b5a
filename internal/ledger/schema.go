package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// version is the file's PRAGMA user_version. earliest is the first version that this release reads. Version 1 has no
// failures, and version 2 has no salts; salted is the first with salts. A file is upgraded when it is opened for
// writing.
const version, salted, earliest = 3, 3, 1

// addSalt upgrades the table of entries of an earlier version.
const addSalt = `ALTER TABLE entries ADD COLUMN salt TEXT NOT NULL DEFAULT ''`

// schema has each statement as SQLite stores it, so that a ledger with missing guards is recognised. addSalt comes
// after.
var schema = []string{
	`CREATE TABLE entries (
	sequence        INTEGER PRIMARY KEY,
	time            TEXT NOT NULL,    -- UTC
	kind            TEXT NOT NULL,    -- open, study, reserve, charge, …: the Kind constants of this package
	study           TEXT NOT NULL,
	researcher      TEXT NOT NULL,
	query           TEXT NOT NULL,    -- hexadecimal
	reservation     TEXT NOT NULL,    -- what a reserve, its charge and its abandon have in common
	expires         TEXT NOT NULL,    -- of a reservation, UTC
	epsilon         INTEGER NOT NULL, -- privacy loss, in units of 1e-9; only that of a charge was spent
	rho             INTEGER NOT NULL, -- in units of 1e-9; 9223372036854775807 means infinite
	noise_delta     INTEGER NOT NULL, -- in units of 1e-18
	delta           INTEGER NOT NULL, -- in units of 1e-18
	text            TEXT NOT NULL,    -- in plain words
	detail          TEXT NOT NULL,    -- JSON, or empty
	previous        TEXT NOT NULL,    -- hash of the entry before, SHA-256
	hash            TEXT NOT NULL     -- of all of the above
) STRICT`,
	`CREATE INDEX entries_by_reservation ON entries (reservation, sequence) WHERE reservation <> ''`,
	`CREATE TABLE head (
	one             INTEGER PRIMARY KEY CHECK (one = 1),
	owner           TEXT NOT NULL,
	sequence        INTEGER NOT NULL, -- of the last entry
	hash            TEXT NOT NULL     -- of the last entry
) STRICT`,
	`CREATE TABLE answers (
	key             TEXT PRIMARY KEY,
	created         TEXT NOT NULL,    -- UTC
	value           BLOB NOT NULL
) STRICT`,
	`CREATE TRIGGER entries_append BEFORE INSERT ON entries
	WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM entries)
	BEGIN SELECT RAISE(ABORT, 'entries are only added at the end'); END`,
	`CREATE TRIGGER entries_update BEFORE UPDATE ON entries
	BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END`,
	`CREATE TRIGGER entries_delete BEFORE DELETE ON entries
	BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END`,
	`CREATE TRIGGER head_update BEFORE UPDATE ON head
	WHEN NEW.owner IS NOT OLD.owner OR NEW.sequence <= OLD.sequence
	BEGIN SELECT RAISE(ABORT, 'the head only moves forward'); END`,
	`CREATE TRIGGER head_delete BEFORE DELETE ON head
	BEGIN SELECT RAISE(ABORT, 'the head is never removed'); END`,
	`CREATE TRIGGER answers_update BEFORE UPDATE ON answers
	BEGIN SELECT RAISE(ABORT, 'an answer is never changed'); END`,
}

// schemaOf is the schema of a file of that version, as SQLite stores it.
func schemaOf(version int) []string {
	if version < salted {
		return schema
	}
	all := slices.Clone(schema)
	_, added, _ := strings.Cut(addSalt, "ADD COLUMN ")
	all[0] = strings.TrimSuffix(all[0], ") STRICT") + ", " + added + ") STRICT"
	return all
}

// querier has the common methods of a connection pool and a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// statements lists the schema of a file.
func statements(ctx context.Context, q querier) ([]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT sql FROM sqlite_master WHERE sql IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		found = append(found, s)
	}
	return found, rows.Err()
}

// checkSchema returns a *BrokenError if the file's tables or guards are not exactly ours.
func checkSchema(ctx context.Context, q querier) error {
	found, err := statements(ctx, q)
	if err != nil {
		return err
	}
	v, err := formatOf(ctx, q)
	if err != nil {
		return err
	}
	schema := schemaOf(v)
	for _, s := range schema {
		if !slices.Contains(found, s) {
			return &BrokenError{Finding: fmt.Sprintf("the table or guard %q was removed or changed", firstLine(s))}
		}
	}
	for _, s := range found {
		if !slices.Contains(schema, s) {
			return &BrokenError{Finding: fmt.Sprintf("%q was added to the file", firstLine(s))}
		}
	}
	return nil
}

// checkVersion refuses a file that is not a ledger, or that has a later version.
func checkVersion(ctx context.Context, q querier, path string) error {
	v, err := formatOf(ctx, q)
	if err != nil {
		return fmt.Errorf("%s cannot be read as a ledger: %w", path, err)
	}
	if v < earliest || v > version {
		return fmt.Errorf("%s is not a ledger that this version reads (its format is %d, not one of up to %d); give the path of a ledger, or use the version that wrote it", path, v, version)
	}
	return nil
}

func formatOf(ctx context.Context, q querier) (v int, err error) {
	err = q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&v)
	return v, err
}

// selectEntries is the beginning of a query for whole entries, whatever the file's version.
func selectEntries(ctx context.Context, q querier) (string, error) {
	v, err := formatOf(ctx, q)
	if v < salted {
		return `SELECT ` + unsalted + ` FROM entries `, err
	}
	return `SELECT ` + columns + ` FROM entries `, err
}
