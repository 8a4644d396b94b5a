package pki

import (
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// loadPair reads a certificate and its key. Group and others must have no access to the key.
func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	info, err := os.Stat(keyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return nil, fmt.Errorf("the key %s is open to others (mode %04o); run: chmod 600 %s", keyFile, perm, keyFile)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot use certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}

// keyPair is a certificate with its key, which follows changes of its two files. It checks the files when a handshake
// needs the certificate, so it needs no goroutine.
type keyPair struct {
	certFile, keyFile string
	accept            func(*tls.Certificate) error

	mu      sync.Mutex
	stamp   [2]os.FileInfo
	current *tls.Certificate
}

// openKeyPair reads the pair. accept must agree with it, now and after each change of the files.
func openKeyPair(certFile, keyFile string, accept func(*tls.Certificate) error) (*keyPair, error) {
	p := &keyPair{certFile: certFile, keyFile: keyFile, accept: accept}
	_, err := p.get()
	if err != nil {
		return nil, err
	}
	return p, nil
}

// get returns the certificate, read again if its files have changed. If the new files are unusable, the certificate in
// use stays as long as it is valid.
func (p *keyPair) get() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.refresh()
	if p.current != nil && (err == nil || checkPeriod(p.certFile, p.current) == nil) {
		return p.current, nil
	}
	return nil, err
}

// shown is the certificate that a server shows: the result of get, or else the last one although it has expired, so
// that the other side can say why it refuses. The other side verifies it like any other.
func (p *keyPair) shown() (*tls.Certificate, error) {
	pair, err := p.get()
	if err == nil {
		return pair, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return nil, err
	}
	return p.current, nil
}

func (p *keyPair) refresh() error {
	// Take the stamp before reading: then a change in between is seen as a change the next time, and never missed.
	var stamp [2]os.FileInfo
	for i, path := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("cannot read the certificate: %w", err)
		}
		stamp[i] = info
	}
	if p.current != nil && slices.EqualFunc(stamp[:], p.stamp[:], sameFile) {
		return nil
	}
	pair, err := loadPair(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	if err := checkPeriod(p.certFile, pair); err != nil {
		return err
	}
	if err := p.accept(pair); err != nil {
		return err
	}
	p.current, p.stamp = pair, stamp
	return nil
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func checkPeriod(file string, pair *tls.Certificate) error {
	switch now := time.Now(); {
	case now.Before(pair.Leaf.NotBefore):
		return fmt.Errorf("the certificate %s is valid only from %s; check the clock", file, pair.Leaf.NotBefore.Format(time.RFC3339))
	case now.After(pair.Leaf.NotAfter):
		return fmt.Errorf("the certificate %s expired on %s; issue a new one", file, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}
