package postgres

import "io"

// readAhead reads from a client while its query runs, so that the server notices a client that disconnects.
type readAhead struct {
	parts chan []byte
	rest  []byte
	err   error // once parts is closed
	quit  chan struct{}
	ended chan struct{}
}

func newReadAhead(from io.Reader, gone func()) *readAhead {
	a := &readAhead{parts: make(chan []byte, 16), quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		defer close(a.parts)
		for {
			b := make([]byte, 8<<10)
			n, err := from.Read(b)
			if n > 0 {
				select {
				case a.parts <- b[:n]:
				case <-a.quit:
					a.err = io.EOF
					return
				}
			}
			if err != nil {
				a.err = err
				gone()
				return
			}
		}
	}()
	return a
}

// Read returns what was read, in order.
func (a *readAhead) Read(into []byte) (int, error) {
	if len(a.rest) == 0 {
		part, ok := <-a.parts
		if !ok {
			return 0, a.err
		}
		a.rest = part
	}
	n := copy(into, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// wait waits for the reader to end. The connection must be closed.
func (a *readAhead) wait() {
	close(a.quit)
	<-a.ended
}
