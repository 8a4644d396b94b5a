package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

var (
	// ErrLocked says that another process, or another Ledger of this one, has the ledger open for writing.
	ErrLocked = errors.New("the ledger is in use")
	// ErrClosed says that the ledger was closed.
	ErrClosed = errors.New("the ledger is closed")
	// ErrReadOnly says that a ledger of OpenReadOnly was asked to write.
	ErrReadOnly = errors.New("the ledger is open for reading only")
	// ErrStopped says that a write may or may not be on the disk, or that the file changed under the ledger. Nothing is
	// recorded, and so nothing may be executed, until the ledger is opened again.
	ErrStopped = errors.New("the ledger has stopped; look at the disk and restart the daemon")
	// ErrEntry says that an entry or a reservation lacks something or is malformed.
	ErrEntry = errors.New("not a ledger entry")
	// ErrUnknownReservation says that no reservation with this id is open, and none was charged.
	ErrUnknownReservation = errors.New("no such reservation is held: it ran out, was given back, or was never made; prepare the query again")
	// ErrReservationExpired says that the reservation has just run out; reserve again.
	ErrReservationExpired = errors.New("the reservation ran out; prepare the query again")
	// ErrAlreadyCharged says that the reservation was charged before: the request is a replay.
	ErrAlreadyCharged = errors.New("the reservation was charged before and executes only once")
	// ErrAnswerExists says that another answer is stored under this key; give out that one.
	ErrAnswerExists = errors.New("an answer is stored under this key")
)

// head is the last entry's sequence and hash.
type head struct {
	sequence int64
	hash     [sha256.Size]byte
}

// Ledger is an open ledger. Its methods may be called from any goroutine.
type Ledger struct {
	path  string
	owner string
	now   func() time.Time
	file  fs.FileInfo // the file at path when it was opened
	lock  *os.File    // nil if read-only
	write *sql.DB     // one connection; nil if read-only
	read  *sql.DB
	// prepared has the compiled statements; nil until the tables exist.
	prepared map[string]*sql.Stmt

	turn    chan struct{} // holds one token; its holder may use the fields below
	head    head
	balance balance
	held    reservations
	stopped error
	closed  bool
}

// Open opens the ledger at path for writing. If nothing is there, it creates the file, readable by its owner only.
// owner names the daemon, as in "node rennes"; a ledger of another owner is refused. now is the clock of entries and
// expiries.
//
// Open verifies the whole chain, since the sums of what was spent come from it: about 10 µs per entry. Errors:
// ErrLocked, *BrokenError.
func Open(ctx context.Context, path, owner string, now func() time.Time) (_ *Ledger, err error) {
	if owner == "" {
		return nil, fmt.Errorf("%w: the ledger's owner has no name", ErrEntry)
	}
	if path, err = resolve(path); err != nil {
		return nil, err
	}
	l := &Ledger{path: path, owner: owner, now: now, turn: make(chan struct{}, 1), balance: newBalance(), held: reservations{}}
	defer func() {
		if err != nil {
			_ = l.release() // the first error counts
		}
	}()
	if l.lock, err = lock(path); err != nil {
		return nil, err
	}
	if err = create(path); err != nil {
		return nil, err
	}
	if l.file, err = os.Stat(path); err != nil {
		return nil, err
	}
	if l.write, err = sql.Open("sqlite3", dsn(path, "mode=rw&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate&_busy_timeout=5000")); err != nil {
		return nil, err
	}
	l.write.SetMaxOpenConns(1)
	if l.read, err = sql.Open("sqlite3", dsn(path, "mode=ro&_busy_timeout=5000")); err != nil {
		return nil, err
	}
	if _, err = l.write.ExecContext(ctx, `PRAGMA fullfsync = ON`); err != nil {
		return nil, fmt.Errorf("%s cannot be opened as a ledger: %w", path, err)
	}
	if err = l.start(ctx); err != nil {
		return nil, err
	}
	if l.prepared, err = prepare(ctx, l.write); err != nil {
		return nil, fmt.Errorf("%s cannot be opened as a ledger: %w", path, err)
	}
	l.turn <- struct{}{}
	return l, nil
}

// The statements that write. Their triggers make them slow to compile.
const (
	addEntry  = `INSERT INTO entries (` + columns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	moveHead  = `UPDATE head SET sequence = ?, hash = ? WHERE sequence = ? AND hash = ?`
	addAnswer = `INSERT INTO answers (key, created, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
)

// prepare compiles the statements for the only connection that writes. They are closed with it.
func prepare(ctx context.Context, write *sql.DB) (map[string]*sql.Stmt, error) {
	all := map[string]*sql.Stmt{}
	for _, text := range []string{addEntry, moveHead, addAnswer} {
		s, err := write.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		all[text] = s
	}
	return all, nil
}

// exec runs a statement in a transaction, compiled if it can be: the first entries are written together with the
// tables. It does not end with ctx, for the same reason as append.
func (l *Ledger) exec(ctx context.Context, tx *sql.Tx, text string, args ...any) (sql.Result, error) {
	ctx = context.WithoutCancel(ctx)
	if s := l.prepared[text]; s != nil {
		return tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	}
	return tx.ExecContext(ctx, text, args...)
}

// OpenReadOnly opens a ledger to show or verify it. The ledger may be broken, and a daemon may be writing it. Expiries
// follow the machine's clock.
func OpenReadOnly(ctx context.Context, path string) (_ *Ledger, err error) {
	if path, err = resolve(path); err != nil {
		return nil, err
	}
	if _, err = os.Stat(path); err != nil {
		return nil, err
	}
	l := &Ledger{path: path, now: time.Now, turn: make(chan struct{}, 1), balance: newBalance(), held: reservations{}}
	defer func() {
		if err != nil {
			_ = l.release() // the first error counts
		}
	}()
	if l.read, err = sql.Open("sqlite3", dsn(path, "mode=ro&_busy_timeout=5000")); err != nil {
		return nil, err
	}
	err = checkVersion(ctx, l.read, path)
	if code := (sqlite3.Error{}); errors.As(err, &code) && (code.Code == sqlite3.ErrReadonly || code.Code == sqlite3.ErrCantOpen) {
		// SQLite wants to create a "-shm" companion file. On a read-only medium it may not. If there is no write-ahead
		// log either, nobody writes and the file is complete.
		if _, statErr := os.Stat(path + "-wal"); errors.Is(statErr, fs.ErrNotExist) {
			l.read.Close()
			if l.read, err = sql.Open("sqlite3", dsn(path, "mode=ro&immutable=1")); err != nil {
				return nil, err
			}
			err = checkVersion(ctx, l.read, path)
		}
	}
	if err != nil {
		return nil, err
	}
	if l.owner, _, err = readHead(ctx, l.read); err != nil {
		return nil, err
	}
	l.turn <- struct{}{}
	return l, nil
}

// dsn writes a path, with any characters, as an SQLite URI.
func dsn(path, parameters string) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: parameters}).String()
}

// start creates the tables or verifies the chain, then records that the ledger is open.
func (l *Ledger) start(ctx context.Context) error {
	found, err := statements(ctx, l.write)
	if err != nil {
		return fmt.Errorf("%s cannot be read as a ledger: %w", l.path, err)
	}
	if len(found) == 0 {
		return l.initialize(ctx)
	}
	if err := checkVersion(ctx, l.write, l.path); err != nil {
		return err
	}
	// From here on the file may contain things that an earlier version does not know and would call broken.
	upgrade := func(tx *sql.Tx) error {
		v, err := formatOf(ctx, tx)
		if err == nil && v < salted {
			_, err = tx.Exec(addSalt)
		}
		if err == nil {
			_, err = tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, version))
		}
		return err
	}
	owner, head, err := readHead(ctx, l.write)
	if err != nil {
		return err
	}
	if owner != l.owner {
		return fmt.Errorf("%s is the ledger of %q, not of %q; give each daemon a ledger of its own", l.path, owner, l.owner)
	}
	if _, l.balance, err = walk(ctx, l.read); err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	l.head = head
	text := fmt.Sprintf("The ledger of %s was opened again.", l.owner)
	entries := []Entry{{Kind: KindOpen, Text: text}}
	for _, id := range slices.SortedFunc(maps.Keys(l.balance.live), func(a, b string) int {
		return cmp.Compare(l.balance.live[a].Sequence, l.balance.live[b].Sequence)
	}) {
		entries = append(entries, abandonment(l.balance.live[id], "was open when the ledger stopped, and nothing had run"))
	}
	return l.append(ctx, upgrade, entries...)
}

// initialize writes the schema and the first entry in one transaction: a file has both or is empty.
func (l *Ledger) initialize(ctx context.Context) error {
	l.head = head{hash: genesis(l.owner)}
	return l.append(ctx, func(tx *sql.Tx) error {
		for _, s := range append(slices.Clone(schema), addSalt) {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, version)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO head VALUES (1, ?, 0, ?)`, l.owner, hex.EncodeToString(l.head.hash[:]))
		return err
	}, Entry{Kind: KindOpen, Text: fmt.Sprintf("The ledger of %s was created.", l.owner)})
}

func newSalt() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// take waits for the ledger's token; give must follow. It fails if ctx ends first or the ledger is closed.
func (l *Ledger) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.closed {
		l.give()
		return ErrClosed
	}
	return nil
}

func (l *Ledger) give() { l.turn <- struct{}{} }

// takeToWrite is take for methods that write.
func (l *Ledger) takeToWrite(ctx context.Context) error {
	if l.write == nil {
		return ErrReadOnly
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	if l.stopped != nil {
		l.give()
		return l.stopped
	}
	return nil
}

// append records entries in one transaction, after first has run in it. The caller holds the token.
//
// It does not end with ctx: after an interrupted write nobody would know whether it was recorded.
func (l *Ledger) append(ctx context.Context, first func(*sql.Tx) error, entries ...Entry) error {
	next := l.head
	now := l.now()
	for i := range entries {
		e := &entries[i]
		e.Sequence = next.sequence + 1
		e.Time = now.UTC()
		e.Previous = next.hash
		e.Salt = newSalt()
		e.Hash = e.sum()
		next = head{e.Sequence, e.Hash}
	}
	err := l.commit(ctx, func(tx *sql.Tx) error {
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		for _, e := range entries {
			if _, err := l.exec(ctx, tx, addEntry, e.row()...); err != nil {
				return err
			}
		}
		moved, err := l.exec(ctx, tx, moveHead, next.sequence, hex.EncodeToString(next.hash[:]), l.head.sequence, hex.EncodeToString(l.head.hash[:]))
		if err != nil {
			return err
		}
		if n, err := moved.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("%w: another program changed %s", l.stop(), l.path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.head = next
	for _, e := range entries {
		if err := l.balance.apply(e); err != nil {
			return fmt.Errorf("%w: entry %d: %w", l.stop(), e.Sequence, err)
		}
	}
	return nil
}

// commit runs one transaction until it is durable. After an error nothing of it is recorded, or the ledger has stopped.
func (l *Ledger) commit(ctx context.Context, do func(*sql.Tx) error) error {
	// SQLite would go on writing to a file that was moved or deleted, and everything written would be lost.
	if info, err := os.Stat(l.path); err != nil || !os.SameFile(info, l.file) {
		return fmt.Errorf("%w: %s was moved or replaced", l.stop(), l.path)
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("the ledger %s cannot be written now: %w", l.path, err)
	}
	if err := do(tx); err != nil {
		// If the disk is full, SQLite rolls back by itself and then refuses another rollback.
		if undo := tx.Rollback(); undo != nil && !full(err) {
			return fmt.Errorf("%w: %w, %w", l.stop(), err, undo)
		}
		return fmt.Errorf("the ledger %s was not written: %w", l.path, err)
	}
	if err := tx.Commit(); err != nil {
		// A full disk is reported before the end of the transaction is written. After any other failure, such as a
		// failed sync, the transaction may be on the disk or not.
		if !full(err) {
			return fmt.Errorf("%w: %w", l.stop(), err)
		}
		return fmt.Errorf("the ledger %s was not written: %w", l.path, err)
	}
	return nil
}

// full reports whether an error means that the disk is full.
func full(err error) bool {
	code := sqlite3.Error{}
	return errors.As(err, &code) && code.Code == sqlite3.ErrFull
}

// stop makes every later write fail.
func (l *Ledger) stop() error {
	l.stopped = ErrStopped
	return ErrStopped
}

// Owner names the daemon whose ledger this is.
func (l *Ledger) Owner() string { return l.owner }

// Record adds an entry that says what happened and spends nothing. Its kind is study, refuse, answer, failure, config
// or data. The caller sets Kind, Text and whatever else applies; the ledger sets Sequence, Time and the hashes. An
// answer or a failure may name the reservation that it ends. The entry is on the disk when Record returns nil. Errors:
// ErrEntry, ErrReadOnly, ErrStopped, ErrClosed.
func (l *Ledger) Record(ctx context.Context, e Entry) error {
	switch e.Kind {
	case KindAnswer, KindFailure:
	case KindStudy, KindRefuse, KindConfig, KindData:
		e.Reservation = ""
	default:
		return fmt.Errorf("%w: kind %q is not recorded this way", ErrEntry, e.Kind)
	}
	e.Expires = time.Time{}
	if err := e.check(); err != nil {
		return err
	}
	if err := l.takeToWrite(ctx); err != nil {
		return err
	}
	defer l.give()
	return l.append(ctx, nil, e)
}

// Entries calls fn for each entry from the given sequence on, in order, as the file has them at the time of the call.
// It does not verify them. It stops at the first error of fn, and returns that error.
func (l *Ledger) Entries(ctx context.Context, from int64, fn func(Entry) error) error {
	whole, err := selectEntries(ctx, l.read)
	if err != nil {
		return l.readError(err)
	}
	rows, err := l.read.QueryContext(ctx, whole+`WHERE sequence >= ? ORDER BY sequence`, from)
	if err != nil {
		return l.readError(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return &BrokenError{Sequence: e.Sequence, Finding: "cannot be read: it was changed"}
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Head returns the last entry's sequence and hash, as the file has them. Kept elsewhere, they vouch for all entries up
// to this one; see the package's comment.
func (l *Ledger) Head(ctx context.Context) (sequence int64, hash [sha256.Size]byte, err error) {
	_, h, err := readHead(ctx, l.read)
	return h.sequence, h.hash, l.readError(err)
}

// readError returns ErrClosed for a read after Close.
func (l *Ledger) readError(err error) error {
	if err == nil {
		return nil
	}
	<-l.turn
	defer l.give()
	if l.closed {
		return ErrClosed
	}
	return err
}

func readHead(ctx context.Context, q querier) (owner string, h head, err error) {
	var sum string
	err = q.QueryRowContext(ctx, `SELECT owner, sequence, hash FROM head`).Scan(&owner, &h.sequence, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return "", head{}, &BrokenError{Finding: "its head row was removed"}
	}
	if err != nil {
		return "", head{}, err
	}
	if h.hash, err = parseHash(sum); err != nil {
		return "", head{}, &BrokenError{Finding: "its head row was changed"}
	}
	return owner, h, nil
}

// Close waits for a running write, and closes the file. A second Close does nothing.
func (l *Ledger) Close() error {
	<-l.turn
	defer l.give()
	if l.closed {
		return nil
	}
	l.closed = true
	return l.release()
}

// release closes what is open. The writer comes after the readers, so that it folds the write-ahead log into the file,
// and the lock comes last.
func (l *Ledger) release() error {
	var errs []error
	if l.read != nil {
		errs = append(errs, l.read.Close())
	}
	if l.write != nil {
		errs = append(errs, l.write.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}
