package lobby

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// from is one end of a connection from an address. The client has the other end.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr { return named(f.address) }

type named string

func (n named) Network() string { return "tcp" }
func (n named) String() string  { return string(n) }

// came lets a client in. It returns its guest, and a function that reports whether that has been closed.
func came(l *Lobby, address string) (g *Guest, closed func() bool) {
	own, other := net.Pipe()
	g = l.enter(from{own, address})
	return g, func() bool {
		_ = other.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := other.Read(make([]byte, 1))
		var timeout net.Error
		return !errors.As(err, &timeout) || !timeout.Timeout()
	}
}

// TestFloodOfOneAddress: a flood from one address replaces its own connections, oldest first.
func TestFloodOfOneAddress(t *testing.T) {
	l := New(0)
	_, lone := came(l, "10.0.0.1:4000")
	_, first := came(l, "10.0.0.2:1")
	var last func() bool
	for i := range MaxWaiting + 10 {
		_, last = came(l, fmt.Sprintf("10.0.0.2:%d", i+2))
	}
	if lone() || !first() || last() {
		t.Errorf("closed: another address %v, the oldest %v, the newest %v", lone(), first(), last())
	}
	if l.waits != MaxWaiting {
		t.Errorf("%d wait", l.waits)
	}
}

func TestPeople(t *testing.T) {
	l := New(0)
	var guests []*Guest
	for i := range MaxSignedIn {
		g, _ := came(l, fmt.Sprintf("10.0.0.1:%d", i))
		if err := g.SignIn(fmt.Sprint("p", i/MaxPersonal)); err != nil {
			t.Fatal(err)
		}
		guests = append(guests, g)
	}
	beyond, closed := came(l, "10.0.0.1:2000")
	if err := beyond.SignIn("p0"); !errors.Is(err, ErrPersonal) {
		t.Errorf("one person's connection too many: %v", err)
	}
	if err := beyond.SignIn("late"); !errors.Is(err, ErrFull) {
		t.Errorf("one connection too many: %v", err)
	}
	if closed() {
		t.Error("who is not let in is closed by the lobby, not told")
	}
	if err := guests[0].SignIn("late"); err != nil { // another person asks over the connection of a proxy
		t.Error(err)
	}
	if err := guests[1].SignIn("p0"); err != nil {
		t.Errorf("again: %v", err)
	}
	guests[1].Close()
	guests[1].Close() // closing counts only once
	if err := beyond.SignIn("p0"); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
	for _, g := range append(guests, beyond) {
		g.Close()
	}
	if l.signedIn != 0 || l.waits != 0 || len(l.people) != 0 || len(l.waiting) != 0 {
		t.Errorf("all have gone, and %d, %d, %v, %v are there", l.signedIn, l.waits, l.people, l.waiting)
	}
}

// TestPatience: a connection on which nobody signs in is closed. A signed-in connection stays open, and so does one
// that was passed on.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(time.Minute)
		_, silent := came(l, "10.0.0.1:1")
		signed, kept := came(l, "10.0.0.1:2")
		handed, bounded := came(l, "10.0.0.1:3")
		if err := signed.SignIn("ada"); err != nil {
			t.Fatal(err)
		}
		handed.Leave()
		time.Sleep(59 * time.Second)
		if silent() {
			t.Error("closed too early")
		}
		time.Sleep(2 * time.Second)
		if !silent() || kept() || bounded() {
			t.Errorf("closed: silent %v, signed in %v, handed on %v", silent(), kept(), bounded())
		}
		if err := handed.SignIn("ada"); err != nil || l.people["ada"] != 1 {
			t.Errorf("one that was handed on is counted again: %v, %v", err, l.people)
		}
	})
}

// TestOf finds the guest under TLS, and returns nil if there is none.
func TestOf(t *testing.T) {
	l := New(0)
	g, _ := came(l, "10.0.0.1:1")
	if Of(over{g}) != g {
		t.Error("not found under another connection")
	}
	own, _ := net.Pipe()
	none := Of(own)
	none.Leave()
	if err := none.SignIn("ada"); none != nil || err != nil {
		t.Errorf("found %v, %v", none, err)
	}
}

// over wraps a connection as tls.Conn does.
type over struct{ net.Conn }

func (o over) NetConn() net.Conn { return o.Conn }
