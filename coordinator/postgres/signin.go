package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/identity"
)

// maxFailed is the number of failed sign-ins per minute, and at once, under one name from one address.
const maxFailed = 30

var (
	errNoPassword = errors.New("no password")
	errNoCard     = errors.New("the server has shown no certificate")
)

// credential returns who has signed in. It checks the token each time, because it may have expired or been withdrawn.
type credential func(ctx context.Context) (coordinator.Researcher, error)

// rememberCertificate remembers the certificate that the client is shown, to which it may bind its proof.
func (c *conn) rememberCertificate(conf *tls.Config) *tls.Config {
	conf = conf.Clone()
	get := conf.GetCertificate
	conf.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		shown, err := get(hello)
		if err != nil {
			return nil, err
		}
		if c.card = shown.Leaf; c.card == nil {
			c.card, err = x509.ParseCertificate(shown.Certificate[0])
		}
		return shown, err
	}
	return conf
}

// identify authenticates a client, within limits. The client is told an *Error.
func (c *conn) identify(user string) (coordinator.Researcher, error) {
	failed, now := c.server.failed, time.Now()
	from := clientKey(c.client, user)
	if failed.Spent(from, now) {
		return coordinator.Researcher{}, tooMany("signing in under this name has failed too often from this address", "wait a minute, and look at the user and the token")
	}
	who, err := c.prove(user)
	var told *coordinator.Error
	if errors.As(err, &told) && told.Code == coordinator.CodeUnauthorized && failed.Enter(from, now) == nil {
		failed.Leave(from)
	}
	return who, err
}

func tooMany(message, hint string) error {
	return &stated{&coordinator.Error{Code: coordinator.CodeTooMany, Message: message, Hint: hint}, stateTooMany}
}

const stateTooMany = "53300" // too_many_connections

// clientKey is the key by which failures are counted: the address, and the name if it can be one.
func clientKey(client net.Conn, user string) string {
	host, _, err := net.SplitHostPort(client.RemoteAddr().String())
	if err != nil {
		host = client.RemoteAddr().String()
	}
	if !identity.ValidName(user) {
		user = ""
	}
	return host + " " + user
}

// prove has the client prove that it has the user's token, or show it.
func (c *conn) prove(user string) (coordinator.Researcher, error) {
	if c.card == nil {
		return coordinator.Researcher{}, errNoCard
	}
	var err error
	if challenge := c.server.admitter.Challenge(user, c.card); challenge != nil {
		if err = c.scram(challenge); err != nil {
			return coordinator.Researcher{}, err
		}
		c.credential = func(context.Context) (coordinator.Researcher, error) { return c.server.admitter.Proved(challenge) }
	} else if c.credential, err = c.shown(user); err != nil {
		return coordinator.Researcher{}, err
	}
	return c.credential(c.ctx)
}

// shown reads the token itself, which TLS protects.
func (c *conn) shown(user string) (credential, error) {
	c.backend.Send(&pgproto3.AuthenticationCleartextPassword{})
	m, err := c.reply(pgproto3.AuthTypeCleartextPassword)
	if err != nil {
		return nil, err
	}
	password, ok := m.(*pgproto3.PasswordMessage)
	if !ok {
		return nil, errNoPassword
	}
	token := strings.Clone(password.Password)
	return func(ctx context.Context) (coordinator.Researcher, error) {
		who, err := c.server.admitter.Authenticate(ctx, token)
		if err == nil && who.Name != user {
			err = &coordinator.Error{
				Code: coordinator.CodeUnauthorized, Message: fmt.Sprintf("the token is not that of the user %q", user), Hint: "connect as user with your own name, and your token as the password",
			}
		}
		return who, err
	}, nil
}

// scram runs SCRAM-SHA-256 (RFC 7677). A wrong proof and an unknown user get the same answer, at the end.
func (c *conn) scram(challenge *identity.Challenge) error {
	c.backend.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: challenge.Mechanisms()})
	m, err := c.reply(pgproto3.AuthTypeSASL)
	if err != nil {
		return err
	}
	first, ok := m.(*pgproto3.SASLInitialResponse)
	if !ok {
		return errNoPassword
	}
	answer, err := challenge.First(first.AuthMechanism, string(first.Data))
	if err != nil {
		return c.refuseUnproved(challenge)
	}
	c.backend.Send(&pgproto3.AuthenticationSASLContinue{Data: []byte(answer)})
	if m, err = c.reply(pgproto3.AuthTypeSASLContinue); err != nil {
		return err
	}
	final, ok := m.(*pgproto3.SASLResponse)
	if !ok {
		return errNoPassword
	}
	if answer, err = challenge.Final(string(final.Data)); err != nil {
		return c.refuseUnproved(challenge)
	}
	c.backend.Send(&pgproto3.AuthenticationSASLFinal{Data: []byte(answer)})
	return nil
}

// refuseUnproved returns the coordinator's refusal of a client without a valid proof.
func (c *conn) refuseUnproved(challenge *identity.Challenge) error {
	_, err := c.server.admitter.Proved(challenge)
	return err
}

// reply sends the buffered messages, and reads the answer to a request for authentication.
func (c *conn) reply(to uint32) (pgproto3.FrontendMessage, error) {
	if err := c.backend.SetAuthType(to); err != nil {
		return nil, err
	}
	if err := c.flush(); err != nil {
		return nil, err
	}
	return c.backend.Receive()
}
