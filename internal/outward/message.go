package outward

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
)

// ALPN is what a line calls itself in its outer TLS.
const ALPN = "intramuros-door/1"

// The messages; the package comment tells who says them.
const (
	msgHere   = '.'
	msgTake   = '!'
	msgHello  = 'h'
	msgQuit   = 'q'
	msgRefuse = 'x'
)

// Times that both sides keep to.
const (
	// Beat is how often the door asks whether a parked line is alive. Lower: dead lines are noticed sooner. Higher:
	// less traffic, and proxies may take a line for idle.
	Beat = 5 * time.Second
	// Lapse is how long a parked line may say nothing.
	Lapse = 12 * time.Second
	// Linger is how long a hospital without any line counts as there.
	Linger = 5 * time.Second

	callTime  = 5 * time.Second // for TLS and hello
	writeTime = time.Second     // of a message
	ackTime   = time.Second     // for a parked line that is taken to answer
)

// maxText bounds a message's text, in bytes.
const maxText = 1 << 10

// greeting is the JSON of a hello. Fields that a later version adds are ignored.
type greeting struct {
	Catalog     string `json:"catalog"`
	DataVersion string `json:"data,omitempty"`
	Wire        []int  `json:"w,omitempty"`
}

func hello(m membership.Member) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(greeting{m.Catalog, m.DataVersion, m.Wire.Numbers()})
	if err != nil {
		return nil, err
	}
	return text(msgHello, b)
}

// readHello reads what follows a hello's first byte, of a hospital whose name its certificate says.
func readHello(r io.Reader, name string) (membership.Member, error) {
	b, err := readText(r)
	if err != nil {
		return membership.Member{}, err
	}
	var g greeting
	if err := json.Unmarshal(b, &g); err != nil {
		return membership.Member{}, errors.New("a hello is not the expected JSON")
	}
	wire, err := membership.ParseWire(g.Wire)
	if err != nil {
		return membership.Member{}, err
	}
	m := membership.Member{Role: pki.RoleNode, Name: name, Outward: true, Catalog: g.Catalog, DataVersion: g.DataVersion, Wire: wire}
	return m, m.Validate()
}

func text(kind byte, b []byte) ([]byte, error) {
	if len(b) > maxText {
		return nil, fmt.Errorf("a message of %d bytes; at most %d are said on a line", len(b), maxText)
	}
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(b))), b...), nil
}

func readText(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n > maxText {
		return nil, fmt.Errorf("a message of %d bytes; at most %d are said on a line", n, maxText)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// next reads the kind of what the other side says next on a parked line, and waits no longer than Lapse.
func next(line net.Conn) (byte, error) {
	_ = line.SetReadDeadline(time.Now().Add(Lapse)) // where that fails, so does the reading
	return readKind(line)
}

// send writes a message within writeTime.
func send(line net.Conn, b []byte) error {
	_ = line.SetWriteDeadline(time.Now().Add(writeTime)) // where that fails, so does the writing
	defer func() { _ = line.SetWriteDeadline(time.Time{}) }()
	_, err := line.Write(b)
	return err
}

// readKind reads one byte, and no more: what follows may belong to whom the line is handed.
func readKind(r io.Reader) (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return b[0], err
}
