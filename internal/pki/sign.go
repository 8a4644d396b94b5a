package pki

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Signing keys are Ed25519 keys. People sign studies with them, and daemons sign tokens and checkpoints of ledgers.
// They outlive certificates, because old signatures must stay verifiable. A pair is two PEM files, NAME.key (mode 0600)
// and NAME.pub.

const (
	privateSuffix = ".key"
	publicSuffix  = ".pub"
)

// CreateSigningKey makes a new pair, base.key and base.pub. It replaces nothing.
func CreateSigningKey(base string) (ed25519.PrivateKey, error) {
	for _, path := range []string{base + privateSuffix, base + publicSuffix} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fs.ErrExist
			}
			return nil, fmt.Errorf("%s: %w; a signing key is made once", path, err)
		}
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	// The public half is written last: if it exists, the key is complete.
	if err := createFile(base+privateSuffix, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return nil, err
	}
	return key, writePublic(base, public)
}

func writePublic(base string, key ed25519.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	return replaceFile(base+publicSuffix, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

// OpenSigningKey reads the pair base.key and base.pub, and makes it if neither exists.
func OpenSigningKey(base string) (ed25519.PrivateKey, error) {
	if _, err := os.Lstat(base + privateSuffix); errors.Is(err, fs.ErrNotExist) {
		return CreateSigningKey(base)
	}
	key, err := LoadSigningKey(base + privateSuffix)
	if err != nil {
		return nil, err
	}
	public := key.Public().(ed25519.PublicKey)
	switch have, err := LoadPublicKey(base + publicSuffix); {
	case errors.Is(err, fs.ErrNotExist):
		return key, writePublic(base, public)
	case err != nil:
		return nil, err
	case !have.Equal(public):
		return nil, fmt.Errorf("%s%s is not the public half of %s%s", base, publicSuffix, base, privateSuffix)
	}
	return key, nil
}

// LoadSigningKey reads a private key, which only its owner may be able to read.
func LoadSigningKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the signing key: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("the signing key %s is open to others (mode %04o); run: chmod 600 %s", path, perm, path)
	}
	der, err := readBlock(path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if key, ok := parsed.(ed25519.PrivateKey); ok && err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("%s is not an Ed25519 key; make one with: intramuros pki key --out %s", path, strings.TrimSuffix(path, privateSuffix))
}

// LoadPublicKey reads the public half of a signing key.
func LoadPublicKey(path string) (ed25519.PublicKey, error) {
	der, err := readBlock(path, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if key, ok := parsed.(ed25519.PublicKey); ok && err == nil {
		return key, nil
	}
	return nil, fmt.Errorf("%s is not the public half of an Ed25519 key", path)
}

func readBlock(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a signing key: %w", err)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != kind || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, fmt.Errorf("%s does not hold one %s in PEM", path, kind)
	}
	return block.Bytes, nil
}

// Fingerprint is a short form of a public key for people to compare: 32 hexadecimal digits of its SHA-256, in groups of
// four.
func Fingerprint(key ed25519.PublicKey) string { return short(key) }
