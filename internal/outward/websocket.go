package outward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/coder/websocket"
)

// Path is the path of the door on the coordinator's HTTPS server, where it is a WebSocket.
const Path = "/v1/door"

// scheme begins the address of a door that is reached by WebSocket.
const scheme = "wss://"

// stream carries the bytes of a line in the messages of a WebSocket.
type stream struct {
	net.Conn
	socket *websocket.Conn
	end    context.CancelFunc
}

func newStream(socket *websocket.Conn) *stream {
	ctx, end := context.WithCancel(context.Background()) // a line outlives the request that opened it
	return &stream{Conn: websocket.NetConn(ctx, socket, websocket.MessageBinary), socket: socket, end: end}
}

// Close ends the line at once. WebSocket's own closing handshake waits for an answer, which a silent line does not
// give.
func (s *stream) Close() error {
	s.end()
	return s.socket.CloseNow()
}

// ServeHTTP accepts a line that comes as a WebSocket. It returns when the line was taken or has ended.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	conn := newStream(socket) //nolint:contextcheck // a line outlives the request
	if e := d.addCaller(conn); e != nil {
		d.receive(d.ctx, conn, e) //nolint:contextcheck // until the door closes
	}
}

// ParseDoor reads Config.Door. It returns the address to dial and, for a WebSocket, its URL, otherwise nil.
func ParseDoor(text string) (address string, socket *url.URL, err error) {
	if !strings.Contains(text, "://") {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return "", nil, errors.New("a door is host:port, or wss://host where only HTTPS and WebSocket get out")
		}
		return text, nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(text, scheme) || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", nil, errors.New("a door that is reached by WebSocket is wss://host, wss://host:port or wss://host/path")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = Path
	}
	if address = u.Host; u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	return address, u, nil
}

// webTLS is the outer TLS of a WebSocket. The line's own TLS authenticates both sides, so any server with a certificate
// for the host is accepted: the coordinator, a server in front of it, or an inspecting proxy whose authority is in
// files.
func webTLS(host string, files []string) (*tls.Config, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without trusted authorities
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read an authority: %w", err)
		}
		if !roots.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s holds no certificate", file)
		}
	}
	return &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// upgrade turns a connection to an HTTPS server into a WebSocket, and the WebSocket into a connection.
func upgrade(ctx context.Context, raw net.Conn, door *url.URL, conf *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	outer := tls.Client(raw, conf)
	if err := outer.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("the door's HTTPS: %w; where a proxy looks into it, its authority belongs into `outward.ca`", err)
	}
	once := &http.Client{
		Transport:     &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return outer, nil }},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	socket, response, err := websocket.Dial(ctx, door.String(), &websocket.DialOptions{HTTPClient: once}) //nolint:bodyclose // Dial closes it
	if err == nil {
		return newStream(socket), nil //nolint:contextcheck // a line outlives its dialling
	}
	if response != nil {
		return nil, fmt.Errorf("no WebSocket at %s, but %s: `door.websocket` is not set at the coordinator, or what lies between lets none through", door, response.Status)
	}
	return nil, fmt.Errorf("no WebSocket at %s: %w", door, err)
}
