package outward

import (
	"net"
	"sync"
	"testing"
	"time"
)

// slow is a connection of a peer that sends nothing and reads nothing, so that closing it waits, as closing TLS does.
type slow struct {
	net.Conn
	closed, let chan struct{}
	once        *sync.Once
}

func (s slow) Close() error {
	s.once.Do(func() { close(s.closed) })
	<-s.let
	return nil
}

// An unidentified caller that delays the closing of its connection delays no hospital. The oldest of too many
// connections was once closed with the door's lock held.
func TestEndsThatWait(t *testing.T) {
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux")
	a.echo("bordeaux", d.Addr().String(), ProxyNone)
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") })
	let := make(chan struct{})
	release := sync.OnceFunc(func() { close(let) })
	defer release()
	first := slow{closed: make(chan struct{}), let: let, once: &sync.Once{}}
	for i := range d.maxCallers() + 1 {
		c := first
		if i > 0 {
			c = slow{closed: make(chan struct{}), let: let, once: &sync.Once{}}
		}
		called := make(chan bool, 1)
		go func() { called <- d.addCaller(c) != nil }()
		select {
		case taken := <-called:
			if !taken {
				t.Fatal("the door is closed")
			}
			d.all.Done() // receive is not called for it
		case <-time.After(10 * time.Second):
			release()
			<-called
			d.all.Done()
			t.Fatal("the door waits for the end of a connection of nobody")
		}
	}
	<-first.closed
	says(t, d, "bordeaux")
}
