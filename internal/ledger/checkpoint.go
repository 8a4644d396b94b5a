package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/intramuros/intramuros/dp"
)

// Checkpoint is the present end of a ledger, signed by its owner. If somebody else keeps it, it vouches for every entry
// up to Sequence: an old copy of the ledger lacks that entry, and another history has a different entry there.
type Checkpoint struct {
	Owner    string    `json:"owner"`
	Sequence int64     `json:"sequence"` // of the last entry
	Head     string    `json:"head"`     // its hash, hexadecimal
	Time     time.Time `json:"time"`     // UTC
	Charged  dp.Loss   `json:"charged"`  // over all studies, with what was lost
	// Recovered is the head of the last checkpoint whose history was lost and acknowledged; usually empty.
	Recovered string            `json:"recovered,omitempty"`
	Key       ed25519.PublicKey `json:"key"`       // the owner's; a peer checks that the next checkpoint has the same key
	Signature []byte            `json:"signature"` // Ed25519, over the prefix and the JSON without the signature
}

const checkpointPrefix = "intramuros/ledger/checkpoint/1\n"

var (
	// ErrCheckpoint says that a checkpoint is malformed, or not signed by the expected key.
	ErrCheckpoint = errors.New("not a checkpoint of this ledger's owner")
	// ErrBehind says that a checkpoint is ahead of the ledger: entries were lost, for example by restoring an old
	// backup.
	ErrBehind = errors.New("the ledger lacks entries that its own checkpoint vouches for: an old copy was restored, or its end was cut off")
	// ErrDiverged says that a checkpoint belongs to another history.
	ErrDiverged = errors.New("the ledger has another history than its own checkpoint vouches for")
)

func (c Checkpoint) message() ([]byte, error) {
	c.Signature = nil
	b, err := json.Marshal(c)
	return append([]byte(checkpointPrefix), b...), err
}

// Verify returns nil if key, the owner's, signed the checkpoint.
func (c Checkpoint) Verify(key ed25519.PublicKey) error {
	if err := c.check(); err != nil {
		return err
	}
	m, err := c.message()
	if err != nil {
		return err
	}
	if len(key) != ed25519.PublicKeySize || !key.Equal(c.Key) || !ed25519.Verify(key, m, c.Signature) {
		return fmt.Errorf("%w: the signature is another's", ErrCheckpoint)
	}
	return nil
}

func (c Checkpoint) check() error {
	if _, err := parseHash(c.Head); err != nil || c.Owner == "" || c.Sequence < 1 || c.Time.IsZero() || len(c.Signature) != ed25519.SignatureSize {
		return fmt.Errorf("%w: it is incomplete", ErrCheckpoint)
	}
	if _, err := c.Charged.Plus(dp.Loss{}); err != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return nil
}

// ParseCheckpoint reads a checkpoint's JSON strictly. It does not check the signature.
func ParseCheckpoint(b []byte) (Checkpoint, error) { return parseCheckpoint(b) }

func parseCheckpoint(b []byte) (Checkpoint, error) {
	var c Checkpoint
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || d.More() {
		return Checkpoint{}, fmt.Errorf("%w: it cannot be read", ErrCheckpoint)
	}
	return c, c.check()
}

// Checkpoint signs the present end of the ledger.
func (l *Ledger) Checkpoint(ctx context.Context, key ed25519.PrivateKey) (Checkpoint, error) {
	if l.write == nil {
		return Checkpoint{}, ErrReadOnly
	}
	if err := l.take(ctx); err != nil {
		return Checkpoint{}, err
	}
	charged, err := l.balance.spent(scopeAll)
	c := Checkpoint{
		Owner: l.owner, Sequence: l.head.sequence, Head: hex.EncodeToString(l.head.hash[:]), Time: l.now().UTC(),
		Charged: charged, Recovered: l.balance.lost.until.Head, Key: key.Public().(ed25519.PublicKey),
	}
	l.give()
	if err != nil {
		return Checkpoint{}, err
	}
	m, err := c.message()
	if err != nil {
		return Checkpoint{}, err
	}
	c.Signature = ed25519.Sign(key, m)
	return c, nil
}

// Compare returns nil if a checkpoint of this ledger belongs to its history, or to one whose loss was acknowledged.
// Otherwise the error wraps ErrBehind or ErrDiverged. The caller must check the signature, and for a ledger of
// OpenReadOnly the chain too (Verify).
func (l *Ledger) Compare(ctx context.Context, c Checkpoint) error {
	if c.Owner != l.owner {
		return fmt.Errorf("%w: it is of %q", ErrCheckpoint, c.Owner)
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	until, end := l.balance.lost.until, l.head
	l.give()
	if l.write == nil {
		var err error
		if _, end, err = readHead(ctx, l.read); err != nil {
			return l.readError(err)
		}
	}
	err := l.compare(ctx, c, end)
	if err != nil && l.write == nil {
		var none error
		if until, none = l.acknowledged(ctx); none != nil {
			return none
		}
	}
	if err != nil && until.Head != "" && c.Sequence <= until.Sequence && !c.Time.After(until.Time) {
		return nil
	}
	return err
}

// acknowledged is the checkpoint of the last recover entry in the file.
func (l *Ledger) acknowledged(ctx context.Context) (Checkpoint, error) {
	var detail string
	err := l.read.QueryRowContext(ctx, `SELECT detail FROM entries WHERE kind = ? ORDER BY sequence DESC LIMIT 1`, string(KindRecover)).Scan(&detail)
	if errors.Is(err, sql.ErrNoRows) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, l.readError(err)
	}
	return parseCheckpoint([]byte(detail))
}

func (l *Ledger) compare(ctx context.Context, c Checkpoint, end head) error {
	if c.Sequence > end.sequence {
		return fmt.Errorf("%w: it ends with entry %d, and the checkpoint of %s is of entry %d",
			ErrBehind, end.sequence, c.Time.Format(time.RFC3339), c.Sequence)
	}
	var have string
	err := l.read.QueryRowContext(ctx, `SELECT hash FROM entries WHERE sequence = ?`, c.Sequence).Scan(&have)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return l.readError(err)
	}
	if have != c.Head {
		return fmt.Errorf("%w: entry %d differs from that of %s", ErrDiverged, c.Sequence, c.Time.Format(time.RFC3339))
	}
	return nil
}

// Keep records the latest checkpoints of other ledgers. The caller must have checked their signatures. A checkpoint
// that is kept already, or is older than the kept one, is left out.
func (l *Ledger) Keep(ctx context.Context, peers ...Checkpoint) error {
	if err := l.takeToWrite(ctx); err != nil {
		return err
	}
	defer l.give()
	entries, err := l.later(peers)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	return l.append(ctx, nil, entries...)
}

// later returns entries for those checkpoints that are later than the kept ones.
func (l *Ledger) later(peers []Checkpoint) ([]Entry, error) {
	var entries []Entry
	for _, c := range peers {
		if have, ok := l.balance.peers[c.Owner]; ok && !c.Follows(have) {
			continue
		}
		e, err := c.entry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Follows reports whether c is later than an earlier checkpoint of the same owner and key: further in the same history,
// or after the loss of a history was acknowledged.
func (c Checkpoint) Follows(earlier Checkpoint) bool {
	if c.Owner != earlier.Owner || !c.Key.Equal(earlier.Key) {
		return false
	}
	if c.Recovered == earlier.Recovered {
		return c.Sequence > earlier.Sequence
	}
	return c.Recovered != "" && c.Time.After(earlier.Time)
}

func (c Checkpoint) entry() (Entry, error) {
	if err := c.check(); err != nil {
		return Entry{}, err
	}
	detail, err := json.Marshal(c)
	return Entry{Kind: KindCheckpoint, Text: fmt.Sprintf("The ledger of %s is at entry %d.", c.Owner, c.Sequence), Detail: detail}, err
}

// Kept returns the latest checkpoint of another ledger, and whether there is one. For a ledger of OpenReadOnly, use
// Checkpoints.
func (l *Ledger) Kept(ctx context.Context, owner string) (c Checkpoint, ok bool, err error) {
	if err := l.take(ctx); err != nil {
		return Checkpoint{}, false, err
	}
	defer l.give()
	c, ok = l.balance.peers[owner]
	return c, ok, nil
}

// Recover acknowledges that this ledger lost the history that its own checkpoint vouches for. Charges of that history
// that are missing here count from now on in every scope, since nobody knows whose they were. An old copy is restored
// after the checkpoint was signed, so both histories share the entries from before that time. by and reason are the
// custodian's.
func (l *Ledger) Recover(ctx context.Context, c Checkpoint, by, reason string) (dp.Loss, error) {
	found := l.Compare(ctx, c)
	if !errors.Is(found, ErrBehind) && !errors.Is(found, ErrDiverged) {
		if found == nil {
			found = fmt.Errorf("%w: nothing is lost, the checkpoint is of this history", ErrEntry)
		}
		return dp.Loss{}, found
	}
	if err := l.takeToWrite(ctx); err != nil {
		return dp.Loss{}, err
	}
	defer l.give()
	loss, e, err := l.recovery(ctx, c, dp.Loss{}, by, reason)
	if err != nil {
		return dp.Loss{}, err
	}
	return loss, l.append(ctx, nil, e)
}

// recovery is the entry that acknowledges the loss that a checkpoint vouches for beyond what is here and what was found
// elsewhere.
func (l *Ledger) recovery(ctx context.Context, c Checkpoint, found dp.Loss, by, reason string) (loss dp.Loss, e Entry, err error) {
	have := found
	if err := l.Entries(ctx, 1, func(e Entry) (err error) {
		if (e.Kind == KindCharge || e.Kind == KindRecover) && !e.Time.After(c.Time) {
			have, err = have.Plus(e.Loss)
		}
		return err
	}); err != nil {
		return loss, e, err
	}
	loss = dp.Loss{
		Epsilon: max(0, c.Charged.Epsilon-have.Epsilon), Rho: max(0, c.Charged.Rho-have.Rho),
		NoiseDelta: max(0, c.Charged.NoiseDelta-have.NoiseDelta), Delta: max(0, c.Charged.Delta-have.Delta),
	}
	detail, err := json.Marshal(c)
	if err != nil {
		return loss, e, err
	}
	e = Entry{Kind: KindRecover, Loss: loss, Detail: detail, Text: fmt.Sprintf(
		"%s acknowledged that entries up to %d of %s were lost; what they had charged counts in every study. Reason: %s",
		by, c.Sequence, c.Time.Format(time.RFC3339), reason)}
	return loss, e, e.check()
}

// Checkpoints returns all checkpoints of an owner that this ledger keeps, oldest first.
func (l *Ledger) Checkpoints(ctx context.Context, owner string) ([]Checkpoint, error) {
	var all []Checkpoint
	err := l.Entries(ctx, 1, func(e Entry) error {
		if e.Kind != KindCheckpoint {
			return nil
		}
		c, err := parseCheckpoint(e.Detail)
		if err == nil && c.Owner == owner {
			all = append(all, c)
		}
		return err
	})
	return all, err
}
