package console

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/intramuros/intramuros/internal/identity"
	"github.com/intramuros/intramuros/internal/signin"
	"github.com/intramuros/intramuros/node"
)

// Admission says who may open the page. That alone decides nothing: a decision needs a custodian's signing key.
type Admission struct {
	Token []byte // admits whoever has it, without a name; nil if there is none
	// People are admitted by name: with a token, or if that is nil as a provider names them.
	People  map[string][]byte
	Issuers []identity.Issuer // providers; they also admit everybody with the role custodian
	SignIn  signin.Config     // for browsers
}

// nobody is the name in the log for visitors with the token without a name.
const nobody = "console.token"

// door checks visitors against an Admission.
type door struct {
	tokens    map[string][sha256.Size]byte // by name
	provided  map[string]bool              // who is admitted as a provider names them
	providers *identity.Verifier           // nil if there are none
}

func openDoor(e Admission) (*door, error) {
	d := &door{tokens: map[string][sha256.Size]byte{}, provided: map[string]bool{}}
	add := func(key, name string, token []byte) error {
		if len(token) < node.MinToken {
			return fmt.Errorf("`%s` is shorter than %d characters", key, node.MinToken)
		}
		sum := sha256.Sum256(token)
		for other, has := range d.tokens {
			if has == sum {
				return fmt.Errorf("`%s` is the token of %s as well; who comes with it, nobody could tell", key, other)
			}
		}
		d.tokens[name] = sum
		return nil
	}
	if e.Token != nil {
		if err := add("console.token", nobody, e.Token); err != nil {
			return nil, err
		}
	}
	for name, token := range e.People {
		if token == nil {
			d.provided[name] = true
		} else if err := add("console.people."+name, name, token); err != nil {
			return nil, err
		}
	}
	if len(e.Issuers) > 0 {
		var err error
		if d.providers, err = identity.Open(e.Issuers, time.Now); err != nil {
			return nil, err
		}
	}
	if len(d.tokens) == 0 && d.providers == nil {
		return nil, errors.New("`console` lets nobody in: give a token, people or providers")
	}
	return d, nil
}

var (
	errUnknown   = errors.New("the token is missing or not one of the node's configuration")
	errForbidden = errors.New("this person is not let in: neither named below console.people, nor with the role custodian at the provider")
)

// admit returns who sends a request. The token must be in a header, which a page of another site cannot send. Package
// signin adds it for those who have signed in with this browser.
func (d *door) admit(r *http.Request) (name string, err error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errUnknown
	}
	sum := sha256.Sum256([]byte(token))
	for who, has := range d.tokens { // all are compared, so that the time does not tell which one matches
		if subtle.ConstantTimeCompare(sum[:], has[:]) == 1 {
			name = who
		}
	}
	if name != "" || d.providers == nil || strings.Count(token, ".") != 2 {
		if name == "" {
			err = errUnknown
		}
		return name, err
	}
	return d.known(r.Context(), token)
}

// known returns the person that a provider names.
func (d *door) known(ctx context.Context, token string) (string, error) {
	who, err := d.providers.Verify(ctx, token)
	switch {
	case err != nil:
		return "", err
	case !who.Has(identity.RoleCustodian) && !d.provided[who.Name]:
		return who.Name, errForbidden
	}
	return who.Name, nil
}

// refuse answers why the visitor is not admitted.
func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errForbidden):
		fail(w, http.StatusForbidden, codeForbidden, err.Error())
	case errors.Is(err, identity.ErrUnavailable):
		fail(w, http.StatusServiceUnavailable, codeUnavailable, identity.ErrUnavailable.Error())
	default:
		fail(w, http.StatusUnauthorized, codeUnauthorized, errUnknown.Error())
	}
}
