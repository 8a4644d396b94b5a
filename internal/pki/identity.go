package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Roles of the parties of a federation.
const (
	RoleNode        = "node"        // a hospital's daemon
	RoleCoordinator = "coordinator" // plans, merges and releases
	RoleClient      = "client"      // a researcher's program
	RoleOperator    = "operator"    // a person who administers a daemon
)

const scheme = "intramuros"

// ErrIdentity is wrapped by every refusal of a peer because of its identity.
var ErrIdentity = errors.New("peer identity refused")

// Identity names one party of a federation. Federation and Name are 1 to 63 lower-case letters, digits and hyphens, not
// beginning with a hyphen. Role is one of the Role constants.
type Identity struct {
	Federation, Role, Name string
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Validate says what is wrong with the identity, or returns nil.
func (id Identity) Validate() error {
	if err := validateName("federation", id.Federation); err != nil {
		return err
	}
	switch id.Role {
	case RoleNode, RoleCoordinator, RoleClient, RoleOperator:
	default:
		return fmt.Errorf("role %q is unknown; it is one of %s, %s, %s, %s",
			id.Role, RoleNode, RoleCoordinator, RoleClient, RoleOperator)
	}
	return validateName("name", id.Name)
}

func validateName(what, s string) error {
	if !namePattern.MatchString(s) {
		return fmt.Errorf("%s %q must be 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit", what, s)
	}
	return nil
}

// String is the identity as the URI in its certificate.
func (id Identity) String() string {
	return scheme + "://" + id.Federation + "/" + id.Role + "/" + id.Name
}

// ParseIdentity is the inverse of Identity.String. It accepts no other spelling: no escapes, port, user, query or
// fragment.
func ParseIdentity(uri string) (Identity, error) {
	rest, ok := strings.CutPrefix(uri, scheme+"://")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return Identity{}, fmt.Errorf("identity %q must look like %s://federation/role/name", uri, scheme)
	}
	id := Identity{Federation: parts[0], Role: parts[1], Name: parts[2]}
	if err := id.Validate(); err != nil {
		return Identity{}, fmt.Errorf("identity %q: %w", uri, err)
	}
	return id, nil
}

// url is String in the type of a certificate template.
func (id Identity) url() *url.URL {
	return &url.URL{Scheme: scheme, Host: id.Federation, Path: "/" + id.Role + "/" + id.Name}
}

// PeerIdentity returns the identity of the other end of a connection under ServerTLS or ClientTLS, which have verified
// the peer's certificate. Under any other TLS configuration the result is not verified.
func PeerIdentity(state tls.ConnectionState) (Identity, error) {
	if len(state.PeerCertificates) == 0 {
		return Identity{}, fmt.Errorf("%w: it has shown no certificate", ErrIdentity)
	}
	id, err := certIdentity(state.PeerCertificates[0])
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return id, nil
}

// certIdentity reads the identity from a certificate. There must be exactly one URI: with two, different readers could
// see different peers.
func certIdentity(cert *x509.Certificate) (Identity, error) {
	if len(cert.URIs) != 1 {
		return Identity{}, fmt.Errorf("the certificate must name one %s:// identity, it names %d", scheme, len(cert.URIs))
	}
	return ParseIdentity(cert.URIs[0].String())
}
