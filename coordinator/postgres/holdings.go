package postgres

import (
	"fmt"
	"strings"
	"sync"

	"github.com/intramuros/intramuros/coordinator"
)

// maxHeld is the limit, in bytes, of the statements, parameters and answers that one person's connections hold.
const maxHeld = 64 << 20

// holdings counts the bytes that each person's connections hold.
type holdings struct {
	mu    sync.Mutex
	bytes map[string]int // by name; none is 0
}

// leave gives back all that a connection held.
func (h *holdings) leave(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(c, -c.held)
}

// hold adds bytes that a connection keeps. A negative number is given back.
func (h *holdings) hold(c *conn, bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(c, bytes)
}

// add must be called with the lock held.
func (h *holdings) add(c *conn, bytes int) {
	c.held += bytes
	if h.bytes[c.who.Name] += bytes; h.bytes[c.who.Name] == 0 {
		delete(h.bytes, c.who.Name)
	}
}

// room refuses bytes that would exceed the limit.
func (h *holdings) room(c *conn, bytes int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bytes[c.who.Name]+bytes <= maxHeld {
		return nil
	}
	return &coordinator.Error{
		Code:    coordinator.CodeTooLong,
		Message: fmt.Sprintf("your connections hold more than %d MiB of statements and answers", maxHeld>>20),
		Hint:    "close cursors and prepared statements (DEALLOCATE ALL), or other connections",
	}
}

// maxNamed is the largest number of statements, and of portals, of one connection.
const maxNamed = 1000

// putStatement stores a prepared statement, and replaces another of its name.
func (c *conn) putStatement(name string, s *statement) error {
	c.dropStatement(name)
	if s.size = s.weigh(); len(c.statements) >= maxNamed {
		return &coordinator.Error{Code: coordinator.CodeTooLong, Message: "too many prepared statements", Hint: "close some, or DEALLOCATE ALL"}
	}
	if err := c.server.holdings.room(c, s.size); err != nil {
		return err
	}
	c.server.holdings.hold(c, s.size)
	c.statements[strings.Clone(name)] = s
	return nil
}

func (c *conn) dropStatement(name string) {
	if s, ok := c.statements[name]; ok {
		c.server.holdings.hold(c, -s.size)
		delete(c.statements, name)
	}
}

// putPortal stores a portal, and replaces another of its name.
func (c *conn) putPortal(name string, p *portal) error {
	c.dropPortal(name)
	if len(c.portals) >= maxNamed {
		return &coordinator.Error{Code: coordinator.CodeTooLong, Message: "too many portals or cursors", Hint: "close some"}
	}
	if err := c.server.holdings.room(c, p.size); err != nil {
		return err
	}
	c.server.holdings.hold(c, p.size)
	p.kept = true
	c.portals[strings.Clone(name)] = p
	return nil
}

func (c *conn) dropPortal(name string) {
	if p, ok := c.portals[name]; ok {
		c.server.holdings.hold(c, -p.size)
		delete(c.portals, name)
	}
}
