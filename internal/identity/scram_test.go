package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"
)

const scramToken = "a token of ada, 0123456789"

// card makes a certificate, signed by ECDSA with SHA-256 or by Ed25519.
func card(t *testing.T, edwards bool) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	var der []byte
	var err error
	if edwards {
		public, key, e := ed25519.GenerateKey(rand.Reader)
		if e != nil {
			t.Fatal(e)
		}
		der, err = x509.CreateCertificate(rand.Reader, template, template, public, key)
	} else {
		key, e := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if e != nil {
			t.Fatal(e)
		}
		der, err = x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bindingTo(t *testing.T, c *x509.Certificate) scram.ChannelBinding {
	t.Helper()
	b, err := scram.NewTLSServerEndpointBinding(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// converse leads a conversation with a client, and returns the client's result.
func converse(t *testing.T, c *Challenge, mechanism, token string, talk func(*scram.Client) *scram.ClientConversation) (serverFirst string, err error) {
	t.Helper()
	client, err := scram.SHA256.NewClient("", token, "")
	if err != nil {
		t.Fatal(err)
	}
	said := talk(client)
	message, err := said.Step("")
	if err != nil {
		t.Fatal(err)
	}
	if serverFirst, err = c.First(mechanism, message); err != nil {
		return "", err
	}
	if message, err = said.Step(serverFirst); err != nil {
		t.Fatal(err)
	}
	final, err := c.Final(message)
	if err != nil {
		return serverFirst, err
	}
	if _, err = said.Step(final); err == nil && !said.Valid() {
		err = errors.New("the client does not believe the server")
	}
	return serverFirst, err
}

func plainTalk(c *scram.Client) *scram.ClientConversation { return c.NewConversation() }

func TestScram(t *testing.T) {
	book := NewBook([]byte("a secret"))
	keys, err := NewScramKeys(scramToken)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseScramKeys(keys.String())
	if err != nil || read.String() != keys.String() {
		t.Fatalf("%v became %v, %v", keys, read, err)
	}
	book.Put("ada", read)
	if err := book.PutToken("bob", scramToken); err != nil {
		t.Fatal(err)
	}
	ours, theirs := card(t, false), card(t, false)
	bound := func(to *x509.Certificate) func(*scram.Client) *scram.ClientConversation {
		return func(c *scram.Client) *scram.ClientConversation {
			return c.NewConversationWithChannelBinding(bindingTo(t, to))
		}
	}
	couldBind := func(c *scram.Client) *scram.ClientConversation {
		return c.NewConversationAdvertisingChannelBinding()
	}
	for _, test := range []struct {
		what, name, mechanism, token string
		talk                         func(*scram.Client) *scram.ClientConversation
		right                        bool
	}{
		{"the keys of a configuration", "ada", Scram, scramToken, plainTalk, true},
		{"a token that is kept", "bob", Scram, scramToken, plainTalk, true},
		{"bound to the certificate", "ada", ScramPlus, scramToken, bound(ours), true},
		{"bound to the certificate of somebody in between", "ada", ScramPlus, scramToken, bound(theirs), false},
		{"a client that could bind, and was told of no binding by somebody in between", "ada", Scram, scramToken, couldBind, false},
		{"bound, by the other mechanism's name", "ada", Scram, scramToken, bound(ours), false},
		{"not bound, by the other mechanism's name", "ada", ScramPlus, scramToken, plainTalk, false},
		{"another mechanism", "ada", "SCRAM-SHA-1", scramToken, plainTalk, false},
		{"another token", "ada", Scram, scramToken + "!", plainTalk, false},
		{"nobody", "eve", Scram, scramToken, plainTalk, false},
	} {
		c := book.Challenge(test.name, ours)
		_, err := converse(t, c, test.mechanism, test.token, test.talk)
		switch {
		case test.right && (err != nil || c.Proved() != test.name):
			t.Errorf("%s: proved %q, %v", test.what, c.Proved(), err)
		case !test.right && (!errors.Is(err, ErrToken) || c.Proved() != ""):
			t.Errorf("%s: proved %q, %v", test.what, c.Proved(), err)
		}
	}
	if c := book.Challenge("ada", card(t, true)); strings.Join(c.Mechanisms(), " ") != Scram {
		t.Errorf("with a certificate to which nothing can be bound: %v", c.Mechanisms())
	}
	c := book.Challenge("ada", ours)
	if _, err := c.Final("c=biws,r=x,p=eA=="); err == nil || c.Proved() != "" {
		t.Error("a proof before the challenge is taken")
	}
}

// An unknown name is asked in the same way as a known one: with a salt that stays the same, also after a restart, and
// with the same number of rounds.
func TestScramOfNobody(t *testing.T) {
	salt := func(secret, name string) string {
		book := NewBook([]byte(secret))
		if err := book.PutToken("ada", scramToken); err != nil {
			t.Fatal(err)
		}
		first, _ := converse(t, book.Challenge(name, card(t, false)), Scram, scramToken, plainTalk)
		_, after, _ := strings.Cut(first, ",")
		return after // s=…,i=…
	}
	one := salt("secret", "eve")
	if one != salt("secret", "eve") {
		t.Error("the salt of nobody changes")
	}
	if one == salt("secret", "eva") || one == salt("another", "eve") {
		t.Error("the salt of nobody is another's")
	}
	if known := salt("secret", "ada"); len(known) != len(one) || !strings.HasSuffix(one, ",i=4096") || !strings.HasSuffix(known, ",i=4096") {
		t.Errorf("%s and %s differ in more than the salt", one, known)
	}
}

// The example of RFC 7677, section 3.
func TestScramExample(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := derived("pencil", salt)
	if err != nil {
		t.Fatal(err)
	}
	const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	message := "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonce
	if got := base64.StdEncoding.EncodeToString(mac(keys.stored.ServerKey, message)); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server's signature is %s", got)
	}
}

func TestScramKeysAreChecked(t *testing.T) {
	good, err := NewScramKeys(scramToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "md5abc", strings.Replace(good.String(), "4096", "10000", 1), strings.Replace(good.String(), "$", "#", 1), good.String() + "x",
		"SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5",
	} {
		if _, err := ParseScramKeys(text); err == nil || !strings.Contains(err.Error(), "intramuros pki token") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzScram(f *testing.F) {
	f.Add("n,,n=,r=abc", "c=biws,r=abc,p=eA==")
	f.Add("y,,n=ada,r=abc", "")
	f.Add("p=tls-server-end-point,,n=,r=abc", "c=,r=,p=")
	f.Fuzz(func(t *testing.T, first, final string) {
		book := NewBook([]byte("a secret"))
		if err := book.PutToken("ada", scramToken); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ada", "eve"} {
			for _, mechanism := range []string{Scram, ScramPlus} {
				c := book.Challenge(name, &x509.Certificate{SignatureAlgorithm: x509.ECDSAWithSHA256, Raw: []byte("certificate")})
				_, _ = c.First(mechanism, first)
				_, _ = c.Final(final)
				if c.Proved() != "" {
					t.Fatalf("%q and %q prove %s", first, final, name)
				}
			}
		}
	})
}
