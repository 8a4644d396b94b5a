// Package outward lets a hospital take part that accepts no connections. Its node dials out to the coordinator's door
// and parks connections there (lines). Over a line the coordinator speaks to it as to a node that listens.
//
//	node   Listener, a net.Listener whose connections are dialed out     listener.go, proxy.go, websocket.go
//	door   Door: who is there, and Dial, which takes a parked line       door.go
//
// A line is TCP, possibly through a proxy (HTTP CONNECT). Over it runs TLS 1.3, in which both sides show the
// federation's certificates (pki.DoorTLS, pki.CallerTLS). So nobody parks lines in another hospital's name, and a node
// sends nothing to a door that is not its coordinator's. When the coordinator takes the line, the TLS and the Flight of
// listening nodes run over it, with both certificates once more. Some networks let only HTTPS out, through a proxy that
// inspects it. There the bytes of the line are the messages of a WebSocket to the coordinator's HTTPS server, whose own
// TLS proves nothing. So authentication does not depend on what lies in between: relays and proxies see only
// ciphertext.
//
// # Messages on a line before it is taken
//
// Messages have one byte, except two that also have a length of two bytes and a text:
//
//	.  door: identify yourself; later: the line is parked; then, every Beat: are you alive? node: yes
//	h  node: hello, in JSON, with the data that gossip would carry; again whenever they change
//	!  door: I take the line. node: from now on it is the coordinator's
//	q  node: I stop; it is gone at once
//	x  door: refused, and why
//
// # Contract
//
// The node dials for ever. The pause between attempts doubles from 50 ms to 2 s, with jitter, and each attempt looks up
// names and proxy again. Each line begins with everything that the door must know. Both ends give up a line on which
// they hear nothing for Lapse, so a line that breaks silently costs at most that. A line that is taken must answer
// within a second, otherwise the next one is taken. A hospital whose lines have all broken counts as present for
// Linger, during which a broken line is made again. The door keeps at most perHospital parked lines of a hospital, the
// newest ones. It keeps at most as many unidentified connections as all hospitals may have lines (at least 256), and
// drops the oldest of them.
package outward
