package seal

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
)

// ErrSeal says that a member, or a list of members, cannot be sealed for.
var ErrSeal = errors.New("not to be sealed for")

// MaxMembers is the largest number of hospitals that seal together.
const MaxMembers = 1024

const (
	sessionPrefix = "intramuros seal session 1"
	memberPrefix  = "intramuros seal member 1"
)

// Key is a hospital's key for one execution.
type Key struct{ private *ecdh.PrivateKey }

// NewKey draws a key.
func NewKey() (Key, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	return Key{private}, err
}

// Member is a hospital that has finished, by its own statement.
type Member struct {
	Name      string `json:"name"`
	Key       []byte `json:"key"`       // X25519, 32 bytes
	Signature []byte `json:"signature"` // Ed25519, with the key of the hospital's ledger
}

// Request identifies what all members compute.
type Request struct {
	Federation, Study, Query string
	Digest                   [sha256.Size]byte // of the whole request, as each member received it
}

// Member states that the hospital of that name takes part in the request with the key.
func (r Request) Member(name string, key Key, signer ed25519.PrivateKey) Member {
	m := Member{Name: name, Key: key.private.PublicKey().Bytes()}
	m.Signature = ed25519.Sign(signer, r.message(m))
	return m
}

// Verify returns nil if key, the hospital's, signed the member for this request.
func (r Request) Verify(m Member, key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, r.message(m), m.Signature) {
		return fmt.Errorf("%w: the key of %q is signed by another, or for another query", ErrSeal, m.Name)
	}
	return nil
}

func (r Request) message(m Member) []byte {
	d := digest{sha256.New()}
	d.request(memberPrefix, r)
	d.text([]byte(m.Name))
	d.text(m.Key)
	return d.Sum(nil)
}

// ParseMembers reads the wire form of a list of members, which is JSON. They must be sorted by name, without
// duplicates.
func ParseMembers(b []byte) ([]Member, error) {
	var members []Member
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&members); err != nil || d.More() {
		return nil, fmt.Errorf("%w: no list of members", ErrSeal)
	}
	if len(members) == 0 || len(members) > MaxMembers {
		return nil, fmt.Errorf("%w: %d members", ErrSeal, len(members))
	}
	for i, m := range members {
		if m.Name == "" || len(m.Key) != 32 || len(m.Signature) != ed25519.SignatureSize {
			return nil, fmt.Errorf("%w: a member is incomplete", ErrSeal)
		}
		if i > 0 && members[i-1].Name >= m.Name {
			return nil, fmt.Errorf("%w: the members are not by name, each once", ErrSeal)
		}
	}
	return members, nil
}

// Mask adds to a vector the masks that the member of that name and key shares with all others. The caller must have
// verified the members.
func (r Request) Mask(vector []int64, name string, key Key, members []Member) error {
	at, ok := slices.BinarySearchFunc(members, name, func(m Member, name string) int { return cmp.Compare(m.Name, name) })
	if !ok || !bytes.Equal(members[at].Key, key.private.PublicKey().Bytes()) {
		return fmt.Errorf("%w: this hospital is no member, or with another key", ErrSeal)
	}
	session := r.session(members)
	for i, m := range members {
		if i == at {
			continue
		}
		public, err := ecdh.X25519().NewPublicKey(m.Key)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSeal, err)
		}
		secret, err := key.private.ECDH(public) // refuses points of low order
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSeal, err)
		}
		names := digest{sha256.New()}
		names.text([]byte(members[min(i, at)].Name))
		names.text([]byte(members[max(i, at)].Name))
		mask, err := hkdf.Key(sha256.New, secret, session, string(names.Sum(nil)), 32)
		if err != nil {
			return err
		}
		if err := add(vector, mask, i < at); err != nil {
			return err
		}
	}
	return nil
}

func (r Request) session(members []Member) []byte {
	d := digest{sha256.New()}
	d.request(sessionPrefix, r)
	for _, m := range members {
		d.text([]byte(m.Name))
		d.text(m.Key)
	}
	return d.Sum(nil)
}

// add adds the stream of a key to a vector, or subtracts it. A key gives one stream.
func add(vector []int64, key []byte, subtract bool) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	stream := cipher.NewCTR(block, make([]byte, aes.BlockSize))
	buffer := make([]byte, 8*min(len(vector), 4096))
	for part := range slices.Chunk(vector, 4096) {
		clear(buffer)
		stream.XORKeyStream(buffer, buffer)
		for i := range part {
			mask := int64(binary.LittleEndian.Uint64(buffer[8*i:])) //nolint:gosec // modulo 2^64
			if subtract {
				mask = -mask
			}
			part[i] += mask // wraps
		}
	}
	return nil
}

// digest writes texts so that different lists of texts are different bytes.
type digest struct{ hash.Hash }

func (d digest) text(b []byte) {
	d.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
	d.Write(b)
}

func (d digest) request(prefix string, r Request) {
	for _, s := range []string{prefix, r.Federation, r.Study, r.Query} {
		d.text([]byte(s))
	}
	d.text(r.Digest[:])
}
