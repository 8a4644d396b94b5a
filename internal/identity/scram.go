package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/xdg-go/scram"
)

// The mechanisms with which a local account proves its identity, by their SASL names (RFC 7677). The first one also
// binds the proof to the server's certificate, so that nobody in between can pass it on.
const (
	ScramPlus = "SCRAM-SHA-256-PLUS"
	Scram     = "SCRAM-SHA-256"
)

const (
	// scramRounds is the number of hash iterations: that of PostgreSQL, and the least of RFC 7677. Tokens are long and
	// random, so more iterations would not protect them better.
	scramRounds = 4096
	saltSize    = 16 // bytes
)

// ScramKeys are stored in place of a token. With them the server can verify by SCRAM-SHA-256 that a client has the
// token, and they alone do not allow anybody to sign in. Their text has the form of PostgreSQL's own,
// SCRAM-SHA-256$4096:salt$StoredKey:ServerKey.
type ScramKeys struct{ stored scram.StoredCredentials }

// NewScramKeys makes a token's keys, with a new salt.
func NewScramKeys(token string) (ScramKeys, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	return derived(token, salt)
}

func derived(token string, salt []byte) (ScramKeys, error) {
	client, err := scram.SHA256.NewClient("", token, "")
	if err != nil {
		return ScramKeys{}, errors.New("the token holds characters that no client can send")
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: scramRounds})
	return ScramKeys{keys}, err
}

var scramPattern = regexp.MustCompile(`^SCRAM-SHA-256\$4096:([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$`)

// ParseScramKeys reads the text of keys. The number of rounds must be 4096: another number would reveal who has an
// account.
func ParseScramKeys(text string) (ScramKeys, error) {
	wrong := errors.New("it must be SCRAM-SHA-256$4096:salt$StoredKey:ServerKey; intramuros pki token makes it")
	parts := scramPattern.FindStringSubmatch(text)
	if parts == nil {
		return ScramKeys{}, wrong
	}
	var bytes [3][]byte
	for i := range bytes {
		var err error
		if bytes[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return ScramKeys{}, wrong
		}
	}
	if len(bytes[0]) != saltSize || len(bytes[1]) != sha256.Size || len(bytes[2]) != sha256.Size {
		return ScramKeys{}, wrong
	}
	return ScramKeys{scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(bytes[0]), Iters: scramRounds}, StoredKey: bytes[1], ServerKey: bytes[2],
	}}, nil
}

// String is the text of the keys. It is less secret than a token. But anybody who has it can test guessed tokens with
// it, and can pose as the coordinator to this researcher. Protect it like the token's SHA-256.
func (k ScramKeys) String() string {
	in := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", k.stored.Iters, in([]byte(k.stored.Salt)), in(k.stored.StoredKey), in(k.stored.ServerKey))
}

// Book has the keys of a coordinator's local accounts.
type Book struct {
	secret   []byte // salts are derived from it
	accounts map[string]ScramKeys
}

// NewBook makes an empty book. The secret must stay the same after a restart. Otherwise changed salts would reveal
// which accounts exist.
func NewBook(secret []byte) *Book {
	return &Book{secret: mac(secret, "salts of scram"), accounts: map[string]ScramKeys{}}
}

// Put adds an account.
func (b *Book) Put(name string, k ScramKeys) { b.accounts[name] = k }

// Has reports whether there is an account of that name.
func (b *Book) Has(name string) bool {
	_, ok := b.accounts[name]
	return ok
}

// PutToken adds an account by its token, with a salt that is always the same.
func (b *Book) PutToken(name, token string) error {
	k, err := derived(token, b.salt(name))
	if err == nil {
		b.Put(name, k)
	}
	return err
}

func (b *Book) salt(name string) []byte { return mac(b.secret, "salt "+name)[:saltSize] }

// Challenge begins to ask a client for a proof. A name without an account is asked in the same way, with a salt that is
// always the same, and cannot prove anything. certificate is the one that the server has shown over TLS.
func (b *Book) Challenge(name string, certificate *x509.Certificate) *Challenge {
	k, known := b.accounts[name]
	if !known {
		k = ScramKeys{scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(b.salt(name)), Iters: scramRounds},
			StoredKey:  mac(b.secret, "stored "+name), ServerKey: mac(b.secret, "server "+name),
		}}
	}
	c := &Challenge{name: name, known: known, keys: k}
	// If the certificate's signature has no hash of its own (Ed25519), RFC 5929 defines no binding, and clients have
	// none.
	if binding, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}); err == nil {
		c.binding = binding
	}
	return c
}

// Challenge is one client's attempt to prove, with a SASL mechanism, that it has the token of a local account. Both
// ends prove something: the last message shows the client that the server knows the account's keys.
type Challenge struct {
	name    string
	known   bool
	keys    ScramKeys
	binding scram.ChannelBinding
	talk    *scram.ServerConversation
	proved  bool
}

// Mechanisms lists the mechanisms that the client may choose, the best first.
func (c *Challenge) Mechanisms() []string {
	if c.binding.IsSupported() {
		return []string{ScramPlus, Scram}
	}
	return []string{Scram}
}

// errProof is the only refusal, whatever was wrong.
var errProof = fmt.Errorf("%w: it was not proved", ErrToken)

// First takes the client's first message, and returns the answer.
func (c *Challenge) First(mechanism, message string) (string, error) {
	lookup := func(string) (scram.StoredCredentials, error) { return c.keys.stored, nil } // whichever user the message names
	server, err := scram.SHA256.NewServer(lookup)
	if err != nil || c.talk != nil || !slices.Contains(c.Mechanisms(), mechanism) {
		return "", errProof
	}
	switch {
	case mechanism == ScramPlus:
		c.talk = server.NewConversationWithChannelBindingRequired(c.binding)
	case strings.HasPrefix(message, "p="): // this belongs to the other mechanism
		return "", errProof
	case c.binding.IsSupported(): // a client that could bind, but did not see the offer, has somebody in between
		c.talk = server.NewConversationWithChannelBinding(c.binding)
	default:
		c.talk = server.NewConversation()
	}
	answer, err := c.talk.Step(message)
	if err != nil {
		return "", errProof
	}
	return answer, nil
}

// Final takes the client's proof, and returns the server's.
func (c *Challenge) Final(message string) (string, error) {
	if c.talk == nil {
		return "", errProof
	}
	answer, err := c.talk.Step(message)
	if err != nil || !c.talk.Valid() || !c.known {
		return "", errProof
	}
	c.proved = true
	return answer, nil
}

// Proved names the account whose token the client has; empty if it has proved nothing.
func (c *Challenge) Proved() string {
	if !c.proved {
		return ""
	}
	return c.name
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
