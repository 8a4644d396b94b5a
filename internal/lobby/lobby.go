package lobby

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// MaxWaiting is the largest number of open connections on which nobody has signed in. A client signs in within a
	// second.
	MaxWaiting = 500
	// MaxSignedIn is the largest number of open connections on which somebody has signed in.
	MaxSignedIn = 1000
	// MaxPersonal is the largest number of them for one person.
	MaxPersonal = 64
)

var (
	// ErrFull says that the door accepts no more connections.
	ErrFull = errors.New("this door has as many connections as it takes")
	// ErrPersonal says that the person may have no more connections.
	ErrPersonal = fmt.Errorf("you have %d connections here, the most that one person may have", MaxPersonal)
)

// Lobby has the connections of one door. Its methods may be called from any goroutine.
type Lobby struct {
	patience time.Duration

	mu       sync.Mutex
	waiting  map[string]*list.List // of *Guest, oldest first, by the address without its port; no list is empty
	waits    int
	people   map[string]int // number of connections, by name
	signedIn int
}

// New makes a lobby. It closes a connection on which nobody signs in within patience; 0: the door must do that itself.
func New(patience time.Duration) *Lobby {
	return &Lobby{patience: patience, waiting: map[string]*list.List{}, people: map[string]int{}}
}

// Listen returns a listener whose connections are guests of the lobby. It takes over from.
func (l *Lobby) Listen(from net.Listener) net.Listener { return listener{from, l} }

type listener struct {
	net.Listener
	lobby *Lobby
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.lobby.enter(c), nil
}

// Guest is a connection. Its methods may be called from any goroutine.
type Guest struct {
	net.Conn
	lobby *Lobby
	from  string // its address, without the port

	// Guarded by lobby.mu.
	place  *list.Element // among the waiting guests; nil: it does not wait
	person string        // who signed in; empty: nobody
	gone   bool
	timer  *time.Timer // nil: there is none
}

// Of returns the guest under a connection, which may be TLS. It returns nil if the connection came through no lobby.
func Of(c net.Conn) *Guest {
	for {
		switch under := c.(type) {
		case *Guest:
			return under
		case interface{ NetConn() net.Conn }:
			c = under.NetConn()
		default:
			return nil
		}
	}
}

// enter adds a connection, and closes another one if too many wait.
func (l *Lobby) enter(c net.Conn) *Guest {
	g := &Guest{Conn: c, lobby: l, from: c.RemoteAddr().String()}
	if host, _, err := net.SplitHostPort(g.from); err == nil {
		g.from = host
	}
	l.mu.Lock()
	l.wait(g)
	out := l.surplus()
	l.mu.Unlock()
	if out != nil {
		out.Conn.Close()
	}
	return g
}

// wait adds a guest to those that wait. It must be called with the lock held.
func (l *Lobby) wait(g *Guest) {
	if l.waiting[g.from] == nil {
		l.waiting[g.from] = list.New()
	}
	g.place = l.waiting[g.from].PushBack(g)
	l.waits++
	if l.patience > 0 {
		g.timer = time.AfterFunc(l.patience, g.expire)
	}
}

// surplus removes the guest that must go, or returns nil if none must. It must be called with the lock held.
func (l *Lobby) surplus() *Guest {
	if l.waits <= MaxWaiting {
		return nil
	}
	var most *list.List
	for _, of := range l.waiting {
		if most == nil || of.Len() > most.Len() {
			most = of
		}
	}
	out := most.Front().Value.(*Guest)
	l.remove(out)
	return out
}

// remove removes a guest, waiting or signed in. It must be called with the lock held.
func (l *Lobby) remove(g *Guest) {
	l.admit(g)
	if g.person != "" {
		l.signedIn--
		if l.people[g.person]--; l.people[g.person] == 0 {
			delete(l.people, g.person)
		}
		g.person = ""
	}
	g.gone = true
}

// admit removes a guest from those that wait. It must be called with the lock held.
func (l *Lobby) admit(g *Guest) {
	if g.place == nil {
		return
	}
	of := l.waiting[g.from]
	of.Remove(g.place)
	if of.Len() == 0 {
		delete(l.waiting, g.from)
	}
	g.place = nil
	l.waits--
	if g.timer != nil {
		g.timer.Stop()
	}
}

// expire closes a connection on which nobody has signed in for too long.
func (g *Guest) expire() {
	g.lobby.mu.Lock()
	tired := g.place != nil
	if tired {
		g.lobby.remove(g)
	}
	g.lobby.mu.Unlock()
	if tired {
		g.Conn.Close()
	}
}

// SignIn assigns the connection to a person, or returns ErrFull or ErrPersonal and changes nothing. A nil guest accepts
// everybody.
func (g *Guest) SignIn(name string) error {
	if g == nil {
		return nil
	}
	l := g.lobby
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case g.gone || g.person == name:
		return nil // it is closed, or already this person's
	case l.people[name] >= MaxPersonal:
		return ErrPersonal
	case g.person == "" && l.signedIn >= MaxSignedIn:
		return ErrFull
	}
	l.remove(g)
	g.gone, g.person = false, name
	l.people[name]++
	l.signedIn++
	return nil
}

// Leave removes the connection from the lobby and leaves it open, because somebody else limits it.
func (g *Guest) Leave() {
	if g == nil {
		return
	}
	g.lobby.mu.Lock()
	defer g.lobby.mu.Unlock()
	g.lobby.remove(g)
}

// Close closes the connection.
func (g *Guest) Close() error {
	g.Leave()
	return g.Conn.Close()
}
