package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/intramuros/intramuros/internal/config"
)

const minGroupKey = 16 // bytes

// groupKey is the file beside the ledger that holds the key if none is configured.
const groupKey = "group.key"

// ReadGroupKey returns the secret of the keyed hash that chooses which rows of a patient are kept where a join makes
// too many. If `group_key` is not set it is made once, beside the ledger. It must not change while a study runs, or the
// chosen rows would change too.
func (c *Config) ReadGroupKey() ([]byte, error) {
	secret := c.GroupKey
	if secret == (config.Secret{}) {
		secret.File = filepath.Join(filepath.Dir(c.Ledger), groupKey)
		if err := makeKey(secret.File); err != nil {
			return nil, fmt.Errorf("the key for choosing groups cannot be made: %w", err)
		}
	}
	key, err := secret.Read("")
	if err != nil {
		return nil, fmt.Errorf("`group_key`: %w", err)
	}
	if len(key) < minGroupKey {
		return nil, fmt.Errorf("`group_key` is shorter than %d bytes", minGroupKey)
	}
	return key, nil
}

// makeKey writes a new key, unless the file exists, whole or not at all.
func makeKey(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var key [32]byte
	rand.Read(key[:])                                          // never fails
	f, err := os.CreateTemp(filepath.Dir(path), groupKey+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // another process made it first
}
