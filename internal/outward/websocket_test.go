package outward

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/intramuros/intramuros/internal/pki"
)

// webDoor is a door without an address of its own, on an HTTPS server whose authority is in the file ca.
func (a *authority) webDoor(expected ...string) (d *Door, host, ca string) {
	a.t.Helper()
	conf, err := pki.DoorTLS(a.files(pki.RoleCoordinator, "hub"))
	if err != nil {
		a.t.Fatal(err)
	}
	if d, err = Open(a.t.Context(), "", conf, expected, slog.New(slog.DiscardHandler)); err != nil {
		a.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(Path, d)
	server := httptest.NewUnstartedServer(mux)
	server.EnableHTTP2 = true
	server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second // as a server for researchers has; a line outlives these limits
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.StartTLS()
	a.t.Cleanup(func() { d.Close(); server.Close() })
	ca = filepath.Join(a.t.TempDir(), "web.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return d, strings.TrimPrefix(server.URL, "https://"), ca
}

// calling is a node that dials a WebSocket, until the test ends.
func (a *authority) calling(name, door string, conf *tls.Config, files ...string) (*Listener, *record) {
	a.t.Helper()
	return a.answers(name, Config{Door: door, Proxy: ProxyNone, CA: files, TLS: conf})
}

// A line over a WebSocket behaves like any other: it is taken and replaced, outlives the server's time limits and cuts,
// receives updates, and ends.
func TestWebSocket(t *testing.T) {
	a := newAuthority(t, "gironde")
	d, host, ca := a.webDoor("bordeaux")
	between := newCable(t, host)
	l, _ := a.calling("bordeaux", "wss://"+between.listener.Addr().String(), a.caller("bordeaux"), ca)
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") && l.Connected() })
	if d.Addr() != nil {
		t.Error("the door has an address of its own")
	}
	first := says(t, d, "bordeaux")
	for range 4 {
		says(t, d, "bordeaux").Close()
	}
	news := member("bordeaux")
	news.DataVersion = "v2"
	if err := l.Update(t.Context(), news); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new data is known", func() bool { return d.Members()[0].DataVersion == "v2" })
	time.Sleep(1500 * time.Millisecond) // beyond the server's limits for a request
	if _, err := io.WriteString(first, "still"); err != nil {
		t.Error(err)
	}
	first.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 5)
	if _, err := io.ReadFull(first, b); err != nil || string(b) != "still" {
		t.Errorf("a line ends with the server's time limits: %q %v", b, err)
	}
	first.Close()
	for range 5 {
		between.cut()
		if !there(d, "bordeaux") {
			t.Error("a cut line loses the hospital")
		}
		says(t, d, "bordeaux").Close()
	}
	between.quiet(true)
	within, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := d.Dial(within, "bordeaux"); err == nil {
		t.Error("a silent line is taken")
	}
	eventually(t, "both ends notice the silence", func() bool { return !l.Connected() && !there(d, "bordeaux") })
	between.quiet(false)
	between.cut()
	eventually(t, "bordeaux is back", func() bool { return there(d, "bordeaux") })
	says(t, d, "bordeaux").Close()
	eventually(t, "a line is parked", l.Connected)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bordeaux has left", func() bool { return !there(d, "bordeaux") })
}

// The outer HTTPS proves nothing inside: a server with a valid certificate is still not the coordinator, and a caller
// through it is still unidentified.
func TestWebSocketStrangers(t *testing.T) {
	a, other := newAuthority(t, "gironde"), newAuthority(t, "landes")
	d, host, ca := a.webDoor("bordeaux")
	_, foreign, foreignCA := other.webDoor("bordeaux")
	plain := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	plainCA := filepath.Join(t.TempDir(), "plain.pem")
	if err := os.WriteFile(plainCA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: plain.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	stranger := other.caller("bordeaux")
	stranger.VerifyConnection = nil
	for _, c := range []struct {
		door, ca, cause string
		conf            *tls.Config
	}{
		{foreign, foreignCA, "the door's TLS", a.caller("bordeaux")},
		{host, ca, "does not accept this node's certificate", stranger},
		{host, filepath.Join(a.dir, "ca.pem"), "outward.ca", a.caller("bordeaux")}, // the node does not trust this HTTPS
		{strings.TrimPrefix(plain.URL, "https://"), plainCA, "404 Not Found: `door.websocket` is not set", a.caller("bordeaux")},
	} {
		l, log := a.calling("bordeaux", "wss://"+c.door, c.conf, c.ca)
		eventually(t, "it says "+c.cause, func() bool { return log.holds(c.cause) })
		if l.Connected() || there(d, "bordeaux") {
			t.Errorf("a stranger is let in: %s", c.cause)
		}
		l.Close()
	}
	// A browser, and a client that requests a page.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	r, err := client.Get("https://" + host + Path)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusUpgradeRequired {
		t.Error(r.Status)
	}
}

func TestParseDoor(t *testing.T) {
	for text, want := range map[string][2]string{
		"query.example.org:8444":              {"query.example.org:8444", ""},
		"wss://query.example.org":             {"query.example.org:443", "wss://query.example.org/v1/door"},
		"wss://query.example.org:8443/":       {"query.example.org:8443", "wss://query.example.org:8443/v1/door"},
		"wss://[2001:db8::1]/federation/door": {"[2001:db8::1]:443", "wss://[2001:db8::1]/federation/door"},
	} {
		address, u, err := ParseDoor(text)
		if err != nil || address != want[0] || (u == nil) != (want[1] == "") || u != nil && u.String() != want[1] {
			t.Errorf("%s: %s, %v, %v", text, address, u, err)
		}
	}
	for _, text := range []string{"query.example.org", "ws://query.example.org", "https://query.example.org", "wss://", "wss://:443", "wss://me:secret@query.example.org", "wss://query.example.org/?x=1"} {
		if address, u, err := ParseDoor(text); err == nil {
			t.Errorf("%s is taken for a door: %s %v", text, address, u)
		}
	}
}
