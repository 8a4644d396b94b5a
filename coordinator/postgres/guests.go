package postgres

import (
	"fmt"
	"strings"
	"sync"

	"github.com/intramuros/intramuros/coordinator"
)

const (
	// maxWaiting is how many clients may be connected that have not signed in. One more sends the oldest of them
	// away, so that connections that never sign in shut nobody out: a client signs in within a second.
	maxWaiting = 500
	// maxConnections is how many clients may be signed in at once.
	maxConnections = 1000
	// maxPersonal is how many of them one person may have.
	maxPersonal = 64
	// maxHeld is how many bytes of statements, parameters and answers the connections of one person may hold.
	maxHeld = 64 << 20
)

const stateTooMany = "53300" // too_many_connections

// guests are the clients of the door: those that have not signed in, in the order in which they came, and what
// each person has of those that have.
type guests struct {
	mu       sync.Mutex
	waiting  []*conn
	people   map[string]*person
	signedIn int
}

// person is what all connections of one person take.
type person struct {
	connections int
	held        int // bytes
}

// wait takes in a client that has not signed in, and gives the one that must leave for it, or nil.
func (g *guests) wait(c *conn) (out *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting = append(g.waiting, c); len(g.waiting) > maxWaiting {
		out, g.waiting = g.waiting[0], g.waiting[1:]
	}
	return out
}

// signIn makes a waiting client a person's, unless there are too many.
func (g *guests) signIn(c *conn, name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.people[name]
	switch {
	case g.signedIn >= maxConnections:
		return tooMany("this door has as many connections as it takes", "try again in a moment")
	case p != nil && p.connections >= maxPersonal:
		return tooMany(fmt.Sprintf("%s has %d connections, the most that one person may have", name, maxPersonal), "close some, or let your tool share fewer")
	case p == nil:
		p = &person{}
		g.people[name] = p
	}
	g.forget(c)
	p.connections++
	g.signedIn++
	c.person = p
	return nil
}

func tooMany(message, hint string) error {
	return &stated{&coordinator.Error{Code: coordinator.CodeTooMany, Message: message, Hint: hint}, stateTooMany}
}

// leave lets a client go, with all that it held.
func (g *guests) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(c)
	if c.person == nil {
		return
	}
	g.signedIn--
	c.person.held -= c.held
	if c.person.connections--; c.person.connections == 0 {
		delete(g.people, c.who.Name)
	}
}

// forget takes a client out of those that wait.
func (g *guests) forget(c *conn) {
	for i, w := range g.waiting {
		if w == c {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
}

// hold notes bytes that a connection keeps, or no longer keeps where they are below 0.
func (g *guests) hold(c *conn, bytes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.held += bytes
	c.person.held += bytes
}

// room refuses what would add to too much.
func (g *guests) room(c *conn, bytes int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.person.held+bytes <= maxHeld {
		return nil
	}
	return &coordinator.Error{
		Code:    coordinator.CodeTooLong,
		Message: fmt.Sprintf("your connections hold more than %d MiB of statements and answers", maxHeld>>20),
		Hint:    "close cursors and prepared statements (DEALLOCATE ALL), or other connections",
	}
}

// maxNamed is how many statements, and portals, one connection may hold.
const maxNamed = 1000

// putStatement keeps a prepared statement, in place of another of its name.
func (c *conn) putStatement(name string, s *statement) error {
	c.dropStatement(name)
	if s.size = s.weigh(); len(c.statements) >= maxNamed {
		return &coordinator.Error{Code: coordinator.CodeTooLong, Message: "too many prepared statements", Hint: "close some, or DEALLOCATE ALL"}
	}
	if err := c.server.guests.room(c, s.size); err != nil {
		return err
	}
	c.server.guests.hold(c, s.size)
	c.statements[strings.Clone(name)] = s
	return nil
}

func (c *conn) dropStatement(name string) {
	if s, ok := c.statements[name]; ok {
		c.server.guests.hold(c, -s.size)
		delete(c.statements, name)
	}
}

// putPortal keeps a portal, in place of another of its name.
func (c *conn) putPortal(name string, p *portal) error {
	c.dropPortal(name)
	if len(c.portals) >= maxNamed {
		return &coordinator.Error{Code: coordinator.CodeTooLong, Message: "too many portals or cursors", Hint: "close some"}
	}
	if err := c.server.guests.room(c, p.size); err != nil {
		return err
	}
	c.server.guests.hold(c, p.size)
	p.kept = true
	c.portals[strings.Clone(name)] = p
	return nil
}

func (c *conn) dropPortal(name string) {
	if p, ok := c.portals[name]; ok {
		c.server.guests.hold(c, -p.size)
		delete(c.portals, name)
	}
}
