package membership

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
)

const keySize = 32 // bytes, for AES-256

// NewKey makes a gossip key in the form that ParseKey reads: 32 random bytes in base64. All daemons of a federation
// share one key.
func NewKey() string {
	var key [keySize]byte
	rand.Read(key[:]) // never returns an error
	return base64.StdEncoding.EncodeToString(key[:])
}

// ParseKey reads the text of a gossip key file: base64 of exactly 32 bytes, with white space around it ignored. The
// error does not show the text.
func ParseKey(text []byte) ([]byte, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != keySize {
		return nil, errors.New("a gossip key must be 32 random bytes in base64; make one with: head -c 32 /dev/urandom | base64")
	}
	return key, nil
}
