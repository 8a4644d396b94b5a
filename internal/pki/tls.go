package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ServerTLS configures a server that admits only the given roles of its own federation. caFile has the federation's
// authority (PEM; two certificates while one replaces the other). certFile and keyFile have the server's certificate.
// These are errors: no role, an unknown role, or a certificate that is not from the authority, not for a server, or not
// valid now.
//
// TLS 1.3 servers check the client's certificate after the client considers the handshake complete. So a refused client
// learns of it from its first read.
func ServerTLS(caFile, certFile, keyFile string, roles ...string) (*tls.Config, error) {
	if len(roles) == 0 {
		return nil, errors.New("a server must name the roles that it admits")
	}
	m, err := openMember(caFile, certFile, keyFile, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		if err := (Identity{Federation: m.self.Federation, Role: role, Name: "any"}).Validate(); err != nil {
			return nil, err
		}
	}
	conf := m.server()
	conf.ClientAuth, conf.ClientCAs = tls.RequireAndVerifyClientCert, m.authorities
	roles = slices.Clone(roles)
	conf.VerifyConnection = func(state tls.ConnectionState) error { return m.admit(state, roles...) }
	return conf, nil
}

// DoorTLS configures the coordinator's door for nodes that accept no connection (package outward). The files are as in
// ServerTLS. A node calls with its certificate for servers, because over the line that it makes here the node is the
// server. So DoorTLS requires that usage. It checks everything else like ServerTLS.
func DoorTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	m, err := openMember(caFile, certFile, keyFile, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	conf := m.server()
	conf.ClientAuth = tls.RequireAnyClientCert // VerifyConnection verifies it, for another usage than crypto/tls would require
	conf.VerifyConnection = func(state tls.ConnectionState) error { return m.meet(state, RoleNode) }
	return conf, nil
}

// CallerTLS configures a node that calls at the door of its federation's coordinator with its own certificate; see
// DoorTLS.
func CallerTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	m, err := openMember(caFile, certFile, keyFile, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		InsecureSkipVerify:   true, // as in ClientTLS: VerifyConnection verifies the peer
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return m.pair.get() },
		VerifyConnection:     func(state tls.ConnectionState) error { return m.meet(state, RoleCoordinator) },
	}, nil
}

// server is the common configuration of all servers of a federation.
func (m *member) server() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true, // each connection must show its certificate
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return m.pair.shown() },
	}
}

// meet verifies a peer that shows a server's certificate and must have the given role.
func (m *member) meet(state tls.ConnectionState, role string) error {
	if _, err := m.verify(state.PeerCertificates, x509.ExtKeyUsageServerAuth); err != nil {
		return fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return m.admit(state, role)
}

// admit refuses a peer with a verified chain whose certificate is revoked or expired, or whose federation or role is
// wrong.
func (m *member) admit(state tls.ConnectionState, roles ...string) error {
	if err := m.checkPeer(state); err != nil {
		return err
	}
	peer, err := PeerIdentity(state)
	if err != nil {
		return err
	}
	if peer.Federation != m.self.Federation {
		return fmt.Errorf("%w: %s is not of federation %s", ErrIdentity, peer, m.self.Federation)
	}
	if !slices.Contains(roles, peer.Role) {
		return fmt.Errorf("%w: %s has the role %s, and only %s may connect here", ErrIdentity, peer, peer.Role, strings.Join(roles, ", "))
	}
	return nil
}

// ClientTLS configures a client for one given peer, which must be of the client's own federation. The files are as in
// ServerTLS, with a certificate for clients.
func ClientTLS(caFile, certFile, keyFile string, peer Identity) (*tls.Config, error) {
	if err := peer.Validate(); err != nil {
		return nil, err
	}
	m, err := openMember(caFile, certFile, keyFile, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, err
	}
	if peer.Federation != m.self.Federation {
		return nil, fmt.Errorf("the peer %s is not of federation %s", peer, m.self.Federation)
	}
	var last atomic.Pointer[verified]
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// crypto/tls can verify a server only by host name, and here the identity is in a URI. So its own verification
		// is switched off, and VerifyConnection does the same work: chain, period, key usage, identity. It runs on
		// every handshake and can only refuse.
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return m.pair.get()
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			if v := last.Load(); !v.holds(state.PeerCertificates) {
				until, err := m.verify(state.PeerCertificates, x509.ExtKeyUsageServerAuth)
				if err != nil {
					return fmt.Errorf("%w: %w", ErrIdentity, err)
				}
				last.Store(&verified{state.PeerCertificates[0], until})
			}
			if err := m.checkPeer(state); err != nil {
				return err
			}
			got, err := PeerIdentity(state)
			if err != nil {
				return err
			}
			if got != peer {
				return fmt.Errorf("%w: expected %s, found %s", ErrIdentity, peer, got)
			}
			return nil
		},
	}, nil
}

// HTTPServerTLS configures the coordinator's HTTPS for researchers. The server shows its certificate, and researchers
// are authenticated above TLS. Clients verify the server by host name, so its certificate must have been issued with
// hosts.
func HTTPServerTLS(certFile, keyFile string) (*tls.Config, error) {
	pair, err := openKeyPair(certFile, keyFile, func(pair *tls.Certificate) error {
		if len(pair.Leaf.DNSNames)+len(pair.Leaf.IPAddresses) == 0 {
			return fmt.Errorf("the certificate %s names no host, so no browser would accept it; issue it again with its host names", certFile)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.shown() },
	}, nil
}

// HTTPClientTLS configures a client of HTTPServerTLS. It verifies the server's host name against the federation's
// authority and no other.
func HTTPClientTLS(caFile string) (*tls.Config, error) {
	authorities, _, err := loadAuthorities(caFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: authorities}, nil
}

// member is the state of either end of a mutual TLS connection.
type member struct {
	self        Identity
	authorities *x509.CertPool
	pair        *keyPair
	revoked     *revoked
}

func openMember(caFile, certFile, keyFile string, usage x509.ExtKeyUsage) (*member, error) {
	authorities, federation, certificates, err := readAuthorities(caFile)
	if err != nil {
		return nil, err
	}
	m := &member{authorities: authorities, revoked: &revoked{path: filepath.Join(filepath.Dir(caFile), revocationList), authorities: certificates}}
	if err := m.revoked.open(); err != nil {
		return nil, err
	}
	m.pair, err = openKeyPair(certFile, keyFile, func(pair *tls.Certificate) error {
		id, err := certIdentity(pair.Leaf)
		if err != nil {
			return fmt.Errorf("%s: %w", certFile, err)
		}
		if id.Federation != federation {
			return fmt.Errorf("the certificate %s is of federation %s, and the authority %s of federation %s", certFile, id.Federation, caFile, federation)
		}
		if m.self != (Identity{}) && id != m.self {
			return fmt.Errorf("the certificate %s has changed from %s to %s; restart to become another", certFile, m.self, id)
		}
		chain := []*x509.Certificate{pair.Leaf}
		for _, der := range pair.Certificate[1:] {
			cert, err := x509.ParseCertificate(der)
			if err != nil {
				return fmt.Errorf("%s: %w", certFile, err)
			}
			chain = append(chain, cert)
		}
		if _, err := m.verify(chain, usage); err != nil {
			return fmt.Errorf("the certificate %s cannot be used here: %w", certFile, err)
		}
		if m.self == (Identity{}) { // written only once, because handshakes read it
			m.self = id
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// verified is the leaf of a connection with a verified chain, and the time when the first certificate of that chain
// ends. A connection is checked again with each call. Its signatures do not change in between, and verifying them costs
// more than the call.
type verified struct {
	leaf  *x509.Certificate
	until time.Time
}

func (v *verified) holds(chain []*x509.Certificate) bool {
	return v != nil && len(chain) > 0 && v.leaf == chain[0] && time.Now().Before(v.until)
}

// verify checks the chain that begins with the leaf, at the present time, and returns when it ends.
func (m *member) verify(chain []*x509.Certificate, usage x509.ExtKeyUsage) (until time.Time, err error) {
	if len(chain) == 0 {
		return until, errors.New("no certificate was shown")
	}
	options := x509.VerifyOptions{
		Roots:         m.authorities,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{usage},
	}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	chains, err := chain[0].Verify(options)
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().After(chain[0].NotAfter) {
		return until, fmt.Errorf("%w: %w", ErrExpired, err)
	}
	if err != nil {
		return until, err
	}
	first := slices.MinFunc(chains[0], func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return first.NotAfter, nil
}

// loadAuthorities reads the authorities in caFile. All must be of one federation: with two federations in one pool, the
// authority of one could name a member of the other.
func loadAuthorities(caFile string) (pool *x509.CertPool, federation string, err error) {
	pool, federation, _, err = readAuthorities(caFile)
	return pool, federation, err
}

func readAuthorities(caFile string) (pool *x509.CertPool, federation string, all []*x509.Certificate, err error) {
	rest, err := os.ReadFile(caFile)
	if err != nil {
		return nil, "", nil, fmt.Errorf("cannot read the authority: %w", err)
	}
	pool = x509.NewCertPool()
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, "", nil, fmt.Errorf("%s holds a %s; only certificates belong there", caFile, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, "", nil, fmt.Errorf("%s: %w", caFile, err)
		}
		of, err := authorityFederation(caFile, cert)
		if err != nil {
			return nil, "", nil, err
		}
		if federation != "" && of != federation {
			return nil, "", nil, fmt.Errorf("%s holds authorities of two federations, %s and %s; keep one", caFile, federation, of)
		}
		federation = of
		pool.AddCert(cert)
		all = append(all, cert)
	}
	if federation == "" {
		return nil, "", nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return pool, federation, all, nil
}
