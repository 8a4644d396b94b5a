package identity

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/intramuros/intramuros/internal/config"
)

// Issuer is a trusted identity provider. docs/node.yaml explains each key.
type Issuer struct {
	Issuer   string `yaml:"issuer"`   // as the tokens name it; its https:// address if it has no Keys
	Audience string `yaml:"audience"` // the audience that its tokens must have; with OpenID Connect the client's id
	Keys     string `yaml:"keys"`     // file of its public keys, JWKS or PEM; empty: fetched by discovery
	CA       string `yaml:"ca"`       // PEM file of the authorities for its HTTPS; empty: the system's
	// Name is the claim that names a person. Empty: sub.
	Name string `yaml:"name"`
	// Suffix is added to each name, such as @chu-lyon, so that names of two providers never collide.
	Suffix string `yaml:"suffix"`
	// RolesClaim is the claim that lists a person's roles, with dots into objects, such as realm_access.roles. Empty:
	// everybody is a researcher.
	RolesClaim string `yaml:"roles_claim"`
	// Roles maps the provider's roles to ours. Empty: both have the same names.
	Roles map[string]string `yaml:"roles"`
}

var suffixPattern = regexp.MustCompile(`^@[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`)

// Validate lists the faults of the providers, one per line.
func Validate(issuers []Issuer) error {
	var problems []error
	names, suffixes := map[string]bool{}, map[string]bool{}
	for _, i := range issuers {
		problem := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("issuer %s: %w", i.Issuer, fmt.Errorf(format, args...)))
		}
		if i.Issuer == "" || i.Audience == "" {
			problem("`issuer` and `audience` are needed")
		}
		if u, err := url.Parse(i.Issuer); i.Keys == "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			problem("without `keys`, `issuer` must be the https:// address of the provider")
		}
		if names[i.Issuer] {
			problem("is given twice")
		}
		if suffixes[i.Suffix] {
			problem("`suffix` %q is another provider's too, so that one could name a person of the other", i.Suffix)
		}
		names[i.Issuer], suffixes[i.Suffix] = true, true
		if i.Suffix != "" && !suffixPattern.MatchString(i.Suffix) {
			problem("`suffix` must look like @chu-lyon")
		}
		for theirs, ours := range i.Roles {
			if _, ok := ParseRole(ours); !ok {
				problem("`roles`: %s becomes %q; give %s, %s or %s", theirs, ours, RoleResearcher, RoleCustodian, RoleOperator)
			}
		}
		if len(i.Roles) > 0 && i.RolesClaim == "" {
			problem("`roles` without `roles_claim`")
		}
	}
	return errors.Join(problems...)
}

// Resolve makes paths relative to the directory of the file at path.
func Resolve(path string, issuers []Issuer) {
	for i := range issuers {
		issuers[i].Keys = config.Resolve(path, issuers[i].Keys)
		issuers[i].CA = config.Resolve(path, issuers[i].CA)
	}
}
