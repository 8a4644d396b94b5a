package pki

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// revocationList is beside the authority's certificate (ca.pem), at the authority and at every daemon. It is an X.509
// list (RFC 5280) in PEM. A daemon without a list revokes nobody.
const revocationList = "crl.pem"

// Revoke adds a certificate, the file certFile, to the authority's list crl.pem in dir. Copy the list to every daemon,
// beside its ca.pem. Daemons apply it without a restart, also to open connections. validity says when the next list is
// due; daemons go on using an old one.
func (a *Authority) Revoke(dir, certFile string, validity time.Duration) error {
	b, err := os.ReadFile(certFile)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return fmt.Errorf("%s holds no certificate in PEM", certFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", certFile, err)
	}
	if err := cert.CheckSignatureFrom(a.cert); err != nil {
		return fmt.Errorf("%s is not a certificate of this authority: %w", certFile, err)
	}
	path := filepath.Join(dir, revocationList)
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-backdate), NextUpdate: now.Add(validity)}
	switch old, err := loadList(path, []*x509.Certificate{a.cert}); {
	case err == nil:
		list.RevokedCertificateEntries = old.RevokedCertificateEntries
		list.Number.Add(old.Number, list.Number)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return nil
		}
	}
	list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: now})
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	if err != nil {
		return err
	}
	return replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644)
}

// loadList reads a list that one of the authorities has signed.
func loadList(path string, authorities []*x509.Certificate) (*x509.RevocationList, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "X509 CRL" {
		return nil, fmt.Errorf("%s holds no list of revoked certificates", path)
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, a := range authorities {
		if list.CheckSignatureFrom(a) == nil {
			return list, nil
		}
	}
	return nil, fmt.Errorf("%s is not signed by the federation's authority", path)
}

// revoked follows the list beside the authority's certificate. It checks the file when a connection is made or used, so
// it needs no goroutine.
type revoked struct {
	path        string
	authorities []*x509.Certificate

	mu      sync.Mutex
	stamp   os.FileInfo
	number  *big.Int
	serials map[string]bool
}

// check refuses a revoked certificate. After a list was read, its entries hold until the authority's next list: a list
// that is removed, broken or older changes nothing.
func (r *revoked) check(cert *x509.Certificate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.refresh() // after an error the list in use stays
	if r.serials[cert.SerialNumber.String()] {
		return fmt.Errorf("%w: its certificate is revoked", ErrIdentity)
	}
	return nil
}

// open reads the list for the first time; the list may be missing.
func (r *revoked) open() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refresh()
}

func (r *revoked) refresh() error {
	stamp, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.stamp != nil && sameFile(stamp, r.stamp) {
		return nil
	}
	list, err := loadList(r.path, r.authorities)
	if err != nil {
		return err
	}
	r.stamp = stamp
	if r.number != nil && list.Number.Cmp(r.number) < 0 {
		return fmt.Errorf("%s is older than the list in use", r.path)
	}
	serials := map[string]bool{}
	for _, e := range list.RevokedCertificateEntries {
		serials[e.SerialNumber.String()] = true
	}
	r.number, r.serials = list.Number, serials
	return nil
}

// checkPeer refuses the other end of a connection if its certificate is revoked or has expired.
func (m *member) checkPeer(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it has shown no certificate", ErrIdentity)
	}
	leaf := state.PeerCertificates[0]
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		if now.After(leaf.NotAfter) {
			return fmt.Errorf("%w: %w on %s", ErrIdentity, ErrExpired, leaf.NotAfter.Format(time.RFC3339))
		}
		return fmt.Errorf("%w: its certificate is valid only from %s", ErrIdentity, leaf.NotBefore.Format(time.RFC3339))
	}
	return m.revoked.check(leaf)
}
