package identity

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/intramuros/intramuros/internal/config"
)

// Issuer is an identity provider that is believed. docs/node.yaml explains each key.
type Issuer struct {
	Issuer   string `yaml:"issuer"`   // as the tokens name it; of a provider without Keys, its https:// address
	Audience string `yaml:"audience"` // for whom its tokens must be: with OpenID Connect the client's id
	Keys     string `yaml:"keys"`     // file of its public keys, JWKS or PEM; empty: fetched by discovery
	CA       string `yaml:"ca"`       // PEM file of the authorities that its HTTPS is checked against; empty: the system's
	// Name is the claim that names a person. Empty: sub.
	Name string `yaml:"name"`
	// Suffix is added to each name, such as @chu-lyon, so that no two providers' names meet.
	Suffix string `yaml:"suffix"`
	// RolesClaim is the claim that lists a person's roles, with dots into objects, such as
	// realm_access.roles. Empty: everybody is a researcher.
	RolesClaim string `yaml:"roles_claim"`
	// Roles gives our role for each of the provider's; empty: its are named as ours.
	Roles map[string]string `yaml:"roles"`
}

var suffixPattern = regexp.MustCompile(`^@[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$`)

// Validate lists what is wrong with the providers, one a line.
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
