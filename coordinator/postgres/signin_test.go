package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/intramuros/intramuros/coordinator"
	"github.com/intramuros/intramuros/internal/identity"
)

// Challenge and Proved behave like a coordinator's: an account in the book proves its token, and so does an unknown
// name. bob shows his token.
func (f *fake) Challenge(name string, certificate *x509.Certificate) *identity.Challenge {
	if f.book == nil || name == "bob" {
		return nil
	}
	return f.book.Challenge(name, certificate)
}

func (f *fake) Proved(met *identity.Challenge) (coordinator.Researcher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if met.Proved() == "" || f.expired {
		return coordinator.Researcher{}, &coordinator.Error{Code: coordinator.CodeUnauthorized, Message: "the name or the token is not right", Hint: "try another"}
	}
	return coordinator.Researcher{Name: met.Proved()}, nil
}

// proving starts a door where ada proves her token.
func proving(t *testing.T) *house {
	t.Helper()
	h := start(t)
	book := identity.NewBook([]byte("a secret"))
	keys, err := identity.NewScramKeys(adaToken)
	if err != nil {
		t.Fatal(err)
	}
	book.Put("ada", keys)
	h.book, h.others = book, true
	return h
}

// tap keeps what a client sends over TLS.
type tap struct {
	*tls.Conn
	mu   *sync.Mutex
	sent *strings.Builder
}

func (t tap) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent.Write(b)
	return t.Conn.Write(b)
}

// knock starts a connection and stops when the server asks for authentication.
func (h *house) knock(t *testing.T, user string) (*pgproto3.Frontend, *tls.Conn, *strings.Builder, []string) {
	t.Helper()
	conn, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.roots, ServerName: "localhost", NextProtos: []string{"postgresql"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	sent := &strings.Builder{}
	front := pgproto3.NewFrontend(conn, tap{conn, &sync.Mutex{}, sent})
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": user, "database": "trial"}})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	m, err := front.Receive()
	if err != nil {
		t.Fatal(err)
	}
	switch m := m.(type) {
	case *pgproto3.AuthenticationSASL:
		return front, conn, sent, append([]string(nil), m.AuthMechanisms...)
	case *pgproto3.AuthenticationCleartextPassword:
		return front, conn, sent, nil
	}
	t.Fatalf("the server says %+v", m)
	return nil, nil, nil, nil
}

// converse runs a proof by a mechanism, and returns the server's last message.
func converse(t *testing.T, front *pgproto3.Frontend, mechanism string, talk *scram.ClientConversation) pgproto3.BackendMessage {
	t.Helper()
	say := func(m pgproto3.FrontendMessage) pgproto3.BackendMessage {
		front.Send(m)
		if err := front.Flush(); err != nil {
			t.Fatal(err)
		}
		answer, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	first, err := talk.Step("")
	if err != nil {
		t.Fatal(err)
	}
	m := say(&pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte(first)})
	next, ok := m.(*pgproto3.AuthenticationSASLContinue)
	if !ok {
		return m
	}
	proof, err := talk.Step(string(next.Data))
	if err != nil {
		t.Fatal(err)
	}
	m = say(&pgproto3.SASLResponse{Data: []byte(proof)})
	if final, ok := m.(*pgproto3.AuthenticationSASLFinal); ok {
		if _, err := talk.Step(string(final.Data)); err != nil || !talk.Valid() {
			t.Errorf("the server has proved nothing: %v", err)
		}
	}
	return m
}

// A token is proved and never sent. The proof is valid for this server's certificate only, and the server proves that
// it knows the account.
func TestProof(t *testing.T) {
	h := proving(t)
	client, err := scram.SHA256.NewClient("", adaToken, "")
	if err != nil {
		t.Fatal(err)
	}
	front, conn, sent, offered := h.knock(t, "ada")
	if strings.Join(offered, " ") != "SCRAM-SHA-256-PLUS SCRAM-SHA-256" {
		t.Fatalf("offered are %v", offered)
	}
	state := conn.ConnectionState()
	binding, err := scram.NewTLSServerEndpointBinding(&state)
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := converse(t, front, identity.ScramPlus, client.NewConversationWithChannelBinding(binding)).(*pgproto3.AuthenticationSASLFinal); !ok {
		t.Fatalf("the last word is %+v", m)
	}
	if m, err := front.Receive(); err != nil {
		t.Fatal(err)
	} else if _, ok := m.(*pgproto3.AuthenticationOk); !ok {
		t.Fatalf("then comes %+v", m)
	}
	if !strings.Contains(sent.String(), "p=tls-server-end-point") || strings.Contains(sent.String(), adaToken) {
		t.Errorf("sent was %q", sent)
	}

	// A proof bound to another server's certificate, as with somebody in between, is refused.
	front, _, _, _ = h.knock(t, "ada")
	binding.Data = append([]byte(nil), binding.Data...)
	binding.Data[0] ^= 1
	if e, ok := converse(t, front, identity.ScramPlus, client.NewConversationWithChannelBinding(binding)).(*pgproto3.ErrorResponse); !ok || e.Code != "28P01" {
		t.Errorf("a proof for another certificate: %+v", e)
	}
	// A client that could bind but was not offered it, because of somebody in between, is refused.
	front, _, _, _ = h.knock(t, "ada")
	if e, ok := converse(t, front, identity.Scram, client.NewConversationAdvertisingChannelBinding()).(*pgproto3.ErrorResponse); !ok || e.Code != "28P01" {
		t.Errorf("a client that was told of no binding: %+v", e)
	}

	// pgx signs in and asks. If the account is removed, its connections end.
	c := h.connect(t, nil)
	if _, err := c.Exec(t.Context(), "SELECT … FROM person"); err != nil {
		t.Error(err)
	}
	h.expire(true)
	_, err = c.Exec(t.Context(), "SELECT 1")
	wantState(t, err, "28P01")
}

// An unknown user is asked and refused with the same messages as somebody with a wrong token.
func TestNobody(t *testing.T) {
	h := proving(t)
	told := map[string]string{}
	for _, user := range []string{"ada", "eve", "Robert'); --", ""} {
		client, err := scram.SHA256.NewClient("", "a wrong token, 0123456789", "")
		if err != nil {
			t.Fatal(err)
		}
		front, _, _, offered := h.knock(t, user)
		m := converse(t, front, identity.Scram, client.NewConversation())
		e, ok := m.(*pgproto3.ErrorResponse)
		if !ok {
			t.Fatalf("%q: %+v", user, m)
		}
		if _, err := front.Receive(); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Errorf("%q: the connection goes on: %v", user, err)
		}
		told[user] = fmt.Sprintf("%v %+v", offered, e)
	}
	for user, text := range told {
		if text != told["ada"] {
			t.Errorf("%q is told %s, and ada %s", user, text, told["ada"])
		}
	}
}

func heldOff(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == stateTooMany
}

// After too many failures a client must wait, and nobody else must.
func TestFailuresAreFew(t *testing.T) {
	h := proving(t)
	wrong := func(user string) error {
		conf := h.config(t, nil)
		conf.User, conf.Password = user, "a wrong token, 0123456789"
		c, err := pgx.ConnectConfig(t.Context(), conf)
		if err == nil {
			c.Close(context.Background())
		}
		return err
	}
	for _, user := range []string{"ada", "eve", "bob"} {
		state := ""
		for n := 0; n < maxFailed+10 && state != stateTooMany; n++ {
			var e *pgconn.PgError
			if err := wrong(user); !errors.As(err, &e) || n < maxFailed && e.Code != "28P01" {
				t.Fatalf("%s, attempt %d: %v", user, n, err)
			} else if state = e.Code; state == stateTooMany && !strings.Contains(e.Message, "too often") {
				t.Error(e.Message)
			}
		}
		if state != stateTooMany {
			t.Errorf("%s may guess for ever", user)
		}
	}
	// This also holds with the right token; otherwise guessing could go on. Every two seconds one attempt is free again,
	// which on a slow machine may be this one.
	conf := h.config(t, nil)
	refused := false
	for n := 0; n < maxFailed+10 && !refused; n++ {
		for k := 0; k < maxFailed+10 && !heldOff(wrong("ada")); k++ {
		}
		c, err := pgx.ConnectConfig(t.Context(), conf)
		if refused = heldOff(err); err == nil {
			c.Close(context.Background())
		}
	}
	if !refused {
		t.Error("the right token is taken after too many wrong ones")
	}
	h.book.Put("dan", must(identity.NewScramKeys(adaToken)))
	conf.User = "dan"
	c, err := pgx.ConnectConfig(t.Context(), conf)
	if err != nil {
		t.Fatalf("somebody else is shut out: %v", err)
	}
	c.Close(context.Background())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
