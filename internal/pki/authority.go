package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

const (
	authorityCert = "ca.pem"
	authorityKey  = "ca.key"

	// backdate is how far a certificate's validity reaches into the past, for hospitals whose clocks are slow.
	backdate = 5 * time.Minute
)

// Authority issues the certificates of one federation. A person who has its key can pose as any node, so keep ca.key
// offline, away from the daemons.
type Authority struct {
	federation string
	cert       *x509.Certificate
	key        *ecdsa.PrivateKey
}

// Federation is the name of the authority's federation.
func (a *Authority) Federation() string { return a.federation }

// CreateAuthority makes a new authority, valid for validity from now, and writes ca.pem and ca.key (mode 0600) into
// dir. It creates dir if needed. If either file exists, it refuses and changes nothing: a new authority would cut off
// everybody who has a certificate of the old one.
func CreateAuthority(dir, federation string, validity time.Duration) (*Authority, error) {
	if err := validateName("federation", federation); err != nil {
		return nil, err
	}
	if validity <= 0 {
		return nil, fmt.Errorf("the validity of an authority must be positive, not %v", validity)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create an authority: %w", err)
	}
	for _, name := range []string{authorityCert, authorityKey} {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			if err == nil {
				err = fs.ErrExist
			}
			return nil, fmt.Errorf("%s: %w; choose another directory, or move the old authority away if nobody depends on it", path, err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		// LoadAuthority reads the federation from the organization.
		Subject:               pkix.Name{Organization: []string{federation}, CommonName: "Intramuros authority of " + federation},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	// An ASN.1 string of more than 64 characters is not a valid common name.
	if len(template.Subject.CommonName) > 64 {
		template.Subject.CommonName = "Intramuros authority"
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := createFile(filepath.Join(dir, authorityKey), keyPEM, 0o600); err != nil {
		return nil, err
	}
	if err := createFile(filepath.Join(dir, authorityCert), encodeCert(der), 0o644); err != nil {
		return nil, err
	}
	return &Authority{federation: federation, cert: cert, key: key}, nil
}

// LoadAuthority reads the authority that CreateAuthority wrote into dir. It refuses a key that group or others can
// access.
func LoadAuthority(dir string) (*Authority, error) {
	pair, err := loadPair(filepath.Join(dir, authorityCert), filepath.Join(dir, authorityKey))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, authorityCert)
	federation, err := authorityFederation(path, pair.Leaf)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: the key of an authority must be ECDSA", path)
	}
	return &Authority{federation: federation, cert: pair.Leaf, key: key}, nil
}

// authorityFederation returns the federation of the authority cert, which was read from path.
func authorityFederation(path string, cert *x509.Certificate) (string, error) {
	if !cert.IsCA || len(cert.Subject.Organization) != 1 {
		return "", fmt.Errorf("%s is not the certificate of a federation's authority", path)
	}
	federation := cert.Subject.Organization[0]
	if err := validateName("federation", federation); err != nil {
		return "", fmt.Errorf("%s is not the certificate of a federation's authority: %w", path, err)
	}
	return federation, nil
}

// Issue makes a key and a certificate for id, and writes them into dir as <role>-<name>.pem and <role>-<name>.key (mode
// 0600). It replaces older ones, so issuing again renews a certificate. hosts are the DNS names and IP addresses under
// which browsers and other plain HTTPS clients reach it; peers in the federation do not need them. validity counts from
// now, and ends with the authority's own validity at the latest.
//
// A node's certificate is for servers. A client's and an operator's are for clients, and a coordinator's is for both.
func (a *Authority) Issue(dir string, id Identity, hosts []string, validity time.Duration) error {
	now := time.Now()
	if err := a.may(id, now, validity); err != nil {
		return err
	}
	return a.issue(dir, id, hosts, now.Add(-backdate), now.Add(validity))
}

// may refuses an identity or a validity that this authority cannot certify.
func (a *Authority) may(id Identity, now time.Time, validity time.Duration) error {
	if err := id.Validate(); err != nil {
		return err
	}
	if id.Federation != a.federation {
		return fmt.Errorf("this authority is of federation %s and cannot issue a certificate for federation %s", a.federation, id.Federation)
	}
	if validity <= 0 {
		return fmt.Errorf("the validity of a certificate must be positive, not %v", validity)
	}
	if !now.Before(a.cert.NotAfter) {
		return fmt.Errorf("the authority of federation %s ended on %s; create a new one", a.federation, a.cert.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// certify makes a certificate for the owner of a key.
func (a *Authority) certify(id Identity, hosts []string, from, to time.Time, public *ecdsa.PublicKey) (der []byte, err error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	if to.After(a.cert.NotAfter) {
		to = a.cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{a.federation}, OrganizationalUnit: []string{id.Role}, CommonName: id.Name},
		NotBefore:             from,
		NotAfter:              to,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	switch id.Role {
	case RoleNode:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case RoleCoordinator:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	default:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	template.URIs = append(template.URIs, id.url())
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if len(host) <= 253 && hostPattern.MatchString(host) {
			template.DNSNames = append(template.DNSNames, host)
		} else {
			return nil, fmt.Errorf("host %q is neither a DNS name nor an IP address; give it without a port", host)
		}
	}
	return x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
}

func (a *Authority) issue(dir string, id Identity, hosts []string, from, to time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := a.certify(id, hosts, from, to, &key.PublicKey)
	if err != nil {
		return err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot issue a certificate: %w", err)
	}
	// A daemon that reads between the two renames sees a pair that does not match. It then keeps its old pair until it
	// reads again.
	base := filepath.Join(dir, id.Role+"-"+id.Name)
	if err := replaceFile(base+".key", keyPEM, 0o600); err != nil {
		return err
	}
	return replaceFile(base+".pem", encodeCert(der), 0o644)
}

var hostPattern = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// newSerial draws 127 random bits: positive, unique without a record of issued certificates, and within the 20 octets
// of RFC 5280, 4.1.2.2.
func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// createFile writes a new file. It fails if the file exists.
func createFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return finish(f, data)
}

// replaceFile puts data at path in one step, so that no reader sees a part of it.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	if err := f.Chmod(mode); err != nil {
		f.Close()
		return err
	}
	if err := finish(f, data); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func finish(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
