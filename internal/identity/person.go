package identity

import (
	"errors"
	"regexp"
	"slices"
	"time"
)

// Role says what a person may do.
type Role string

// The roles.
const (
	RoleResearcher Role = "researcher" // asks, under studies that name the person
	RoleCustodian  Role = "custodian"  // is responsible for a hospital's data
	RoleOperator   Role = "operator"   // runs a coordinator, proposes studies
)

// ParseRole reads a role's name.
func ParseRole(s string) (Role, bool) {
	r := Role(s)
	return r, r == RoleResearcher || r == RoleCustodian || r == RoleOperator
}

// Person is the bearer of a token.
type Person struct {
	Name    string // as in studies and ledgers: see ValidName
	Roles   []Role
	Issuer  string // the provider that says so
	Token   string // the token's own id (jti), if it has one; safe to log
	Nonce   string // of the login that the token answers, if it names one
	Expires time.Time
}

// Has reports whether the person has the role.
func (p Person) Has(r Role) bool { return slices.Contains(p.Roles, r) }

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9._@-]{0,126}[a-z0-9])?$`)

// ValidName reports whether a text can be a person's name in studies, ledgers and URLs: up to 128 lower-case letters,
// digits, '.', '_', '-' and '@'.
func ValidName(s string) bool { return namePattern.MatchString(s) }

var (
	// ErrToken is wrapped by every refusal of a token.
	ErrToken = errors.New("the token is not accepted")
	// ErrUnavailable says that a provider's keys could not be fetched. The token may be valid.
	ErrUnavailable = errors.New("the identity provider cannot be reached")
)
