package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A key is made where it is used. A signing request is made there, the authority signs it, and the key never travels.

const requestType = "CERTIFICATE REQUEST"

// CreateRequest writes <role>-<name>.csr into dir: a request to certify id for the key in <role>-<name>.key beside it.
// It makes that key (mode 0600) if there is none, so a request for a renewal uses the key in use. It returns the key's
// fingerprint, by which the authority's operator recognises the request.
func CreateRequest(dir string, id Identity) (fingerprint string, err error) {
	if err := id.Validate(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make a request: %w", err)
	}
	base := filepath.Join(dir, id.Role+"-"+id.Name)
	key, err := openTLSKey(base + ".key")
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{Organization: []string{id.Federation}, OrganizationalUnit: []string{id.Role}, CommonName: id.Name},
		URIs:    []*url.URL{id.url()},
	}, key)
	if err != nil {
		return "", err
	}
	if err := replaceFile(base+".csr", pem.EncodeToMemory(&pem.Block{Type: requestType, Bytes: der}), 0o644); err != nil {
		return "", err
	}
	return keyFingerprint(&key.PublicKey)
}

// openTLSKey reads a private key, or makes one if there is no file.
func openTLSKey(path string) (*ecdsa.PrivateKey, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		encoded, err := encodeKey(key)
		if err != nil {
			return nil, err
		}
		return key, createFile(path, encoded, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others than its owner; chmod 600 it, or move it away to make a new one", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s is not a PEM file", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is not a private key: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is not an ECDSA key on P-256; move it away to make one", path)
	}
	return key, nil
}

// Sign certifies a request's key for id, which the request must also name, and writes <role>-<name>.pem into dir. The
// caller must know who asked: Sign returns the key's fingerprint for comparing.
func (a *Authority) Sign(dir string, request []byte, id Identity, hosts []string, validity time.Duration) (fingerprint string, err error) {
	block, rest := pem.Decode(request)
	if block == nil || block.Type != requestType || len(strings.TrimSpace(string(rest))) > 0 {
		return "", errors.New("the request is not a PEM file of one certificate request; make it with: intramuros pki request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the request cannot be read: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return "", fmt.Errorf("the request is not signed by its own key: %w", err)
	}
	now := time.Now()
	if err := a.may(id, now, validity); err != nil {
		return "", err
	}
	if len(csr.URIs) != 1 || csr.URIs[0].String() != id.String() {
		return "", fmt.Errorf("the request is for %v, not for %s", csr.URIs, id)
	}
	public, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return "", errors.New("the request's key is not an ECDSA key on P-256; make it with: intramuros pki request")
	}
	der, err := a.certify(id, hosts, now.Add(-backdate), now.Add(validity), public)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot sign a request: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, id.Role+"-"+id.Name+".pem"), encodeCert(der), 0o644); err != nil {
		return "", err
	}
	return keyFingerprint(public)
}

func keyFingerprint(key *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return short(der), nil
}

// short is 32 hexadecimal digits of the SHA-256, in groups of four, for people to compare.
func short(b []byte) string {
	sum := sha256.Sum256(b)
	var groups []string
	for g := range slices.Chunk(sum[:16], 2) {
		groups = append(groups, hex.EncodeToString(g))
	}
	return strings.Join(groups, " ")
}
