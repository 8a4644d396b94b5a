// Package outward lets a hospital take part that accepts no connection: its node dials out to the coordinator's door
// and parks connections there (lines), and the coordinator speaks over a line what it speaks to a node that listens.
//
//	node   Listener, a net.Listener whose connections are dialed out     listener.go, proxy.go, websocket.go
//	door   Door: who is there, and Dial, which takes a parked line       door.go
//
// A line is TCP, perhaps through a proxy (HTTP CONNECT), and over it TLS 1.3 in which both sides show the federation's
// certificates (pki.DoorTLS, pki.CallerTLS): nobody parks lines in another hospital's name, and no node says anything
// to a door that is not its coordinator's. Once the coordinator takes the line, the TLS and the Flight of listening
// nodes run over it, with both certificates once more. Where nothing but HTTPS gets out, and a proxy looks into that,
// the bytes of the line are the messages of a WebSocket to the coordinator's HTTPS server, whose own TLS proves
// nothing. So who is who does not rest on what lies between, which sees ciphertext: a relay may be dumb, and a proxy
// curious.
//
// # What is said on a line before it is taken
//
// Messages of one byte, but for two that have a length of two bytes and a text:
//
//	.  door: say who you are; then: the line is parked; then, every Beat: are you there. node: I am.
//	h  node: hello, in JSON, what gossip would carry of it; again whenever its data change
//	!  door: the line is wanted. node: what follows is the coordinator's and the node's
//	q  node: it stops, and is gone at once
//	x  door: refused, and why
//
// # Contract
//
// The node dials for ever: after a pause that doubles from 50 ms to 2 s, with jitter, each time with a new look-up of
// names and proxy, and each line begins with all that the door must know. A line on which nothing is heard for Lapse is
// given up at both ends, so one that broke without a word costs at most that; one that is taken must answer within a
// second, else the next is taken. A hospital whose lines have all broken counts as there for Linger, in which a line
// that breaks is made anew. The door holds at most perHospital parked lines of a hospital, the newest, and at most as
// many connections that have not yet said who they are as all hospitals may have lines (256 at least), of which the
// oldest goes.
package outward
