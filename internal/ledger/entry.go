package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/intramuros/intramuros/dp"
)

// Kind says what an entry records.
type Kind string

// The kinds. The ledger itself writes Open, Reserve, Charge, Abandon, Checkpoint and Recover; Record
// writes the others.
const (
	KindOpen       Kind = "open"       // the ledger was created, or opened again
	KindStudy      Kind = "study"      // a study was opened, changed or closed
	KindReserve    Kind = "reserve"    // a loss was set aside, and for what; recorded with its charge
	KindCharge     Kind = "charge"     // a loss was spent; the only kind whose loss counts
	KindAbandon    Kind = "abandon"    // a reservation that an earlier version recorded was given back; its loss is zero
	KindRefuse     Kind = "refuse"     // a query was refused; earlier versions noted as loss what it would have cost
	KindAnswer     Kind = "answer"     // something left this machine, or a charged query was ended by the person who asked
	KindFailure    Kind = "failure"    // a query failed after its charge; the failure is told, and counts against the study's allowance
	KindConfig     Kind = "config"     // the configuration changed
	KindData       Kind = "data"       // the data changed
	KindCheckpoint Kind = "checkpoint" // another daemon sent a checkpoint of its own ledger
	KindRecover    Kind = "recover"    // the loss of a part of this ledger was acknowledged; it counts in every scope
)

// Entry is one line of the ledger. Study, Researcher, Query and Reservation are empty if they do not apply.
type Entry struct {
	Sequence    int64     // 1, 2, 3, …; set by the ledger
	Time        time.Time // UTC; set by the ledger
	Kind        Kind
	Study       string
	Researcher  string
	Query       string    // the query's id, hexadecimal
	Reservation string    // links a reserve with its charge or abandon; set by the ledger
	Expires     time.Time // of a reserve, UTC; otherwise zero
	Loss        dp.Loss
	Text        string          // one sentence for a custodian, in plain words
	Detail      json.RawMessage // the fragment, the SQL that ran, sizes; never private values; may be empty
	// Salt is 32 random hexadecimal digits, set by the ledger. Other daemons see hashes. Without a salt, a hash would
	// confirm a guess of the entry, such as an exact number of groups or a time. Entries before format 3 have none.
	Salt     string
	Previous [sha256.Size]byte // set by the ledger
	Hash     [sha256.Size]byte // set by the ledger
}

// Bytes estimates the size of the entry on the disk. It is never too low.
func (e Entry) Bytes() int {
	const fixed = 600 // numbers, times, hashes, and the overhead of the row and the index
	return fixed + len(e.Study) + len(e.Researcher) + len(e.Query) + len(e.Reservation) + len(e.Text) + len(e.Detail)
}

// stamp writes times with a fixed width, so that they sort as text.
const stamp = "2006-01-02T15:04:05.000000000Z"

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(stamp)
}

func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(stamp, s)
	if err != nil || formatTime(t) != s {
		return time.Time{}, fmt.Errorf("a time that no ledger writes")
	}
	return t, nil
}

func parseHash(s string) (sum [sha256.Size]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(sum) || hex.EncodeToString(b) != s {
		return sum, fmt.Errorf("a hash that no ledger writes")
	}
	return [sha256.Size]byte(b), nil
}

// check refuses an entry that could not be read back as it was written.
func (e Entry) check() error {
	for _, f := range [...]struct{ name, value string }{
		{"study", e.Study}, {"researcher", e.Researcher}, {"query", e.Query}, {"text", e.Text}, {"detail", string(e.Detail)},
	} {
		if !utf8.ValidString(f.value) || strings.ContainsRune(f.value, 0) {
			return fmt.Errorf("%w: the %s is not plain UTF-8 text", ErrEntry, f.name)
		}
	}
	if _, err := hex.DecodeString(e.Query); err != nil {
		return fmt.Errorf("%w: the query id is not hexadecimal", ErrEntry)
	}
	if e.Text == "" {
		return fmt.Errorf("%w: it has no text; say in one sentence what happened", ErrEntry)
	}
	if len(e.Detail) > 0 && !json.Valid(e.Detail) {
		return fmt.Errorf("%w: the detail is not JSON", ErrEntry)
	}
	if _, err := e.Loss.Plus(dp.Loss{}); err != nil {
		return fmt.Errorf("%w: %w", ErrEntry, err)
	}
	return nil
}

// genesis is the previous hash of the first entry. It binds the chain to its owner.
func genesis(owner string) [sha256.Size]byte {
	d := digest{sha256.New()}
	d.text("intramuros/ledger/owner/1")
	d.text(owner)
	return d.sum()
}

// sum is the hash that the entry must have: SHA-256 over its fields in the order of the table. A number is 8 bytes,
// big-endian. A text is preceded by its length as such a number, so that no two entries have the same encoding.
//
// An entry without a salt, from formats 1 and 2, keeps its old hash.
func (e Entry) sum() [sha256.Size]byte {
	d := digest{sha256.New()}
	if e.Salt == "" {
		d.text("intramuros/ledger/entry/1")
	} else {
		d.text("intramuros/ledger/entry/2")
		d.text(e.Salt)
	}
	d.number(e.Sequence)
	d.text(formatTime(e.Time))
	d.text(string(e.Kind))
	d.text(e.Study)
	d.text(e.Researcher)
	d.text(e.Query)
	d.text(e.Reservation)
	d.text(formatTime(e.Expires))
	d.number(e.Loss.Epsilon)
	d.number(e.Loss.Rho)
	d.number(e.Loss.NoiseDelta)
	d.number(e.Loss.Delta)
	d.text(e.Text)
	d.text(string(e.Detail))
	d.text(string(e.Previous[:]))
	return d.sum()
}

type digest struct{ hash.Hash }

func (d digest) number(n int64) {
	d.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func (d digest) text(s string) {
	d.number(int64(len(s)))
	d.Write([]byte(s))
}

func (d digest) sum() [sha256.Size]byte { return [sha256.Size]byte(d.Sum(nil)) }

const columns = `sequence, time, kind, study, researcher, query, reservation, expires,
	epsilon, rho, noise_delta, delta, text, detail, previous, hash, salt`

// unsalted are the columns of a file without the column salt.
var unsalted = strings.TrimSuffix(columns, "salt") + "''"

// row gives the entry's columns.
func (e Entry) row() []any {
	return []any{e.Sequence, formatTime(e.Time), string(e.Kind), e.Study, e.Researcher, e.Query, e.Reservation,
		formatTime(e.Expires), e.Loss.Epsilon, e.Loss.Rho, e.Loss.NoiseDelta, e.Loss.Delta, e.Text, string(e.Detail),
		hex.EncodeToString(e.Previous[:]), hex.EncodeToString(e.Hash[:]), e.Salt}
}

// scan reads what row wrote. Any other spelling of the same entry is an error, because the hash would not cover it. If
// the sequence can be read, it is set even then.
func scan(rows interface{ Scan(...any) error }) (Entry, error) {
	var e Entry
	var at, kind, expires, detail, previous, sum string
	if err := rows.Scan(&e.Sequence, &at, &kind, &e.Study, &e.Researcher, &e.Query, &e.Reservation,
		&expires, &e.Loss.Epsilon, &e.Loss.Rho, &e.Loss.NoiseDelta, &e.Loss.Delta, &e.Text, &detail,
		&previous, &sum, &e.Salt); err != nil {
		return e, err
	}
	var err error
	if e.Time, err = parseTime(at); err != nil {
		return e, err
	}
	if e.Expires, err = parseTime(expires); err != nil {
		return e, err
	}
	if e.Previous, err = parseHash(previous); err != nil {
		return e, err
	}
	if e.Hash, err = parseHash(sum); err != nil {
		return e, err
	}
	e.Kind = Kind(kind)
	if detail != "" {
		e.Detail = json.RawMessage(detail)
	}
	return e, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
