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

// ALPN is the protocol name of a line in its outer TLS.
const ALPN = "intramuros-door/1"

// The messages; the package comment says which side sends them.
const (
	msgHere   = '.'
	msgTake   = '!'
	msgHello  = 'h'
	msgQuit   = 'q'
	msgRefuse = 'x'
)

// Time limits for both sides.
const (
	// Beat is the interval at which the door checks that a parked line is alive. A lower value detects dead lines
	// sooner. A higher value means less traffic, and proxies may consider a line idle.
	Beat = 5 * time.Second
	// Lapse is how long a parked line may be silent.
	Lapse = 12 * time.Second
	// Linger is how long a hospital without any line counts as present.
	Linger = 5 * time.Second

	callTime  = 5 * time.Second // for TLS and hello
	writeTime = time.Second     // for one message
	ackTime   = time.Second     // for the answer of a parked line that is taken
)

// maxText bounds the text of a message, in bytes.
const maxText = 1 << 10

// greeting is the JSON of a hello. Fields of later versions are ignored.
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

// readHello reads the rest of a hello, after its first byte. The hospital's name comes from its certificate.
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

// next reads the kind of the next message on a parked line. It waits no longer than Lapse.
func next(line net.Conn) (byte, error) {
	_ = line.SetReadDeadline(time.Now().Add(Lapse)) // if this fails, so does the read
	return readKind(line)
}

// send writes a message within writeTime.
func send(line net.Conn, b []byte) error {
	_ = line.SetWriteDeadline(time.Now().Add(writeTime)) // if this fails, so does the write
	defer func() { _ = line.SetWriteDeadline(time.Time{}) }()
	_, err := line.Write(b)
	return err
}

// readKind reads one byte and no more, because the following bytes may be for the next owner of the line.
func readKind(r io.Reader) (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return b[0], err
}
