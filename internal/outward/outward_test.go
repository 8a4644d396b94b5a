package outward

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/intramuros/intramuros/internal/membership"
	"github.com/intramuros/intramuros/internal/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const digest = "0123456789abcdef0123456789abcdef"

// authority issues the certificates of a federation for tests.
type authority struct {
	t   *testing.T
	dir string
	ca  *pki.Authority
}

func newAuthority(t *testing.T, federation string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	if a.ca, err = pki.CreateAuthority(a.dir, federation, time.Hour); err != nil {
		t.Fatal(err)
	}
	a.issue(pki.RoleCoordinator, "hub")
	return a
}

func (a *authority) issue(role, name string) {
	a.t.Helper()
	if err := a.ca.Issue(a.dir, pki.Identity{Federation: a.ca.Federation(), Role: role, Name: name}, nil, time.Hour); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) files(role, name string) (ca, cert, key string) {
	file := func(s string) string { return filepath.Join(a.dir, s) }
	return file("ca.pem"), file(role + "-" + name + ".pem"), file(role + "-" + name + ".key")
}

func (a *authority) door(expected ...string) *Door {
	a.t.Helper()
	conf, err := pki.DoorTLS(a.files(pki.RoleCoordinator, "hub"))
	if err != nil {
		a.t.Fatal(err)
	}
	d, err := Open(a.t.Context(), "127.0.0.1:0", conf, expected, slog.New(slog.DiscardHandler))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { d.Close() })
	return d
}

// caller is the TLS configuration of a node, with a certificate that is issued now.
func (a *authority) caller(name string) *tls.Config {
	a.t.Helper()
	a.issue(pki.RoleNode, name)
	conf, err := pki.CallerTLS(a.files(pki.RoleNode, name))
	if err != nil {
		a.t.Fatal(err)
	}
	return conf
}

func member(name string) membership.Member {
	return membership.Member{Role: pki.RoleNode, Name: name, Outward: true, Catalog: digest, DataVersion: "v1"}
}

// record is a log for tests.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) holds(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(r.b.String(), text)
}

// echo is a node that dials out, first sends its name on each line, and then sends everything back.
func (a *authority) echo(name, door, proxy string) (*Listener, *record) {
	a.t.Helper()
	return a.answers(name, Config{Door: door, Proxy: proxy, TLS: a.caller(name)})
}

// answers is echo with a given configuration, until the test ends.
func (a *authority) answers(name string, conf Config) (*Listener, *record) {
	a.t.Helper()
	log := &record{}
	conf.Logger = slog.New(slog.NewTextHandler(log, nil))
	l, err := Listen(conf, member(name))
	if err != nil {
		a.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				fmt.Fprintf(c, "%s\n", name)
				_, _ = io.Copy(c, c)
			})
		}
	})
	a.t.Cleanup(func() { l.Close(); all.Wait() })
	return l, log
}

// says takes a line, and checks that it reaches the node.
func says(t *testing.T, d *Door, name string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := d.Dial(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	want := name + "\nhello"
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	return c
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 15 s: ", what)
		}
	}
}

func there(d *Door, name string) bool {
	return slices.ContainsFunc(d.Members(), func(m membership.Member) bool { return m.Name == name })
}

func TestLine(t *testing.T) {
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux", "langon")
	l, _ := a.echo("bordeaux", d.Addr().String(), ProxyNone)
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") && l.Connected() })
	if got := d.Members(); len(got) != 1 || got[0] != member("bordeaux") {
		t.Errorf("%+v", got)
	}
	for range 5 {
		says(t, d, "bordeaux") // each over its own line, because a taken one is replaced
	}
	news := member("bordeaux")
	news.DataVersion = "v2"
	if err := l.Update(t.Context(), news); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new data is known", func() bool { return d.Members()[0].DataVersion == "v2" })
	if _, err := d.Dial(t.Context(), "langon"); !errors.Is(err, errNoLine) {
		t.Error("a hospital that never came: ", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bordeaux has left", func() bool { return !there(d, "bordeaux") })
}

// The node's connections have different addresses, in its log and for code that uses them as keys.
func TestAddresses(t *testing.T) {
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux")
	l, err := Listen(Config{Door: d.Addr().String(), Proxy: ProxyNone, TLS: a.caller("bordeaux"), Logger: slog.New(slog.DiscardHandler)}, member("bordeaux"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := map[string]bool{}
	for range 3 {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			for {
				if c, err := d.Dial(ctx, "bordeaux"); err == nil {
					t.Cleanup(func() { c.Close() })
					return
				} else if ctx.Err() != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if at := c.RemoteAddr().String(); seen[at] {
			t.Errorf("two lines are %s", at)
		} else {
			seen[at] = true
		}
	}
}

// Without a certificate of the federation for a node nobody parks a line, and a node sends nothing to a door that is
// not its coordinator's.
func TestStrangers(t *testing.T) {
	a, other := newAuthority(t, "gironde"), newAuthority(t, "landes")
	d := a.door("bordeaux")
	refused := func(name string, conf *tls.Config, door *Door, cause string) {
		t.Helper()
		log := &record{}
		l, err := Listen(Config{Door: door.Addr().String(), Proxy: ProxyNone, TLS: conf, Logger: slog.New(slog.NewTextHandler(log, nil))}, member(name))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); _, _ = l.Accept() }()
		eventually(t, name+" is refused: "+cause, func() bool { return log.holds(cause) })
		if l.Connected() || len(door.Members()) > 0 {
			t.Errorf("%s is let in", name)
		}
		l.Close()
		<-done
	}
	// A node of another federation, with the same name, that trusts our door.
	stranger := other.caller("bordeaux")
	stranger.VerifyConnection = nil
	refused("bordeaux", stranger, d, "does not accept this node's certificate")
	// The coordinator's own certificate is not a node's.
	hub, err := pki.CallerTLS(a.files(pki.RoleCoordinator, "hub"))
	if err != nil {
		t.Fatal(err)
	}
	refused("bordeaux", hub, d, "does not accept this node's certificate")
	// A node of the federation that the coordinator does not expect.
	refused("pauillac", a.caller("pauillac"), d, "it knows no hospital pauillac")
	// The door of another federation.
	refused("bordeaux", a.caller("bordeaux"), other.door("bordeaux"), "the door's TLS")
	// A hospital whose certificate is revoked.
	conf := a.caller("bordeaux")
	_, cert, _ := a.files(pki.RoleNode, "bordeaux")
	if err := a.ca.Revoke(a.dir, cert, time.Hour); err != nil {
		t.Fatal(err)
	}
	refused("bordeaux", conf, d, "does not accept this node's certificate")
}

// The number of silent connections is bounded, and a hospital that comes after a flood of them is let in. If a hospital
// parks too many lines, the newest stay.
func TestFlood(t *testing.T) {
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux")
	for range 3 * minCallers {
		c, err := net.Dial("tcp", d.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	waiting := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.callers.Len()
	}
	eventually(t, "the flood is in", func() bool { return waiting() >= minCallers/2 })
	if n := waiting(); n > minCallers {
		t.Errorf("%d connections that say nothing are kept", n)
	}
	a.echo("bordeaux", d.Addr().String(), ProxyNone)
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") })
	says(t, d, "bordeaux")

	conf := a.caller("bordeaux")
	conf.NextProtos = []string{ALPN}
	greet, err := hello(member("bordeaux"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 * perHospital {
		c, err := tls.Dial("tcp", d.Addr().String(), conf)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write(greet); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.hospitals["bordeaux"].parked); n > perHospital {
		t.Errorf("%d parked lines", n)
	}
}

// cable is the network in between. It can be cut, and can fall silent. It records what passes.
type cable struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	open     []net.Conn
	silent   bool
	crossed  bytes.Buffer
	all      sync.WaitGroup
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &cable{listener: l, to: to}
	w.all.Go(w.run)
	t.Cleanup(func() { l.Close(); w.cut(); w.all.Wait() })
	return w
}

func (w *cable) run() {
	for {
		a, err := w.listener.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", w.to)
		if err != nil {
			a.Close()
			continue
		}
		w.mu.Lock()
		w.open = append(w.open, a, b)
		w.mu.Unlock()
		for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
			w.all.Go(func() { w.carry(way[0], way[1]) })
		}
	}
}

func (w *cable) carry(from, to net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		w.mu.Lock()
		silent := w.silent
		w.crossed.Write(b[:n])
		w.mu.Unlock()
		if !silent && n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (w *cable) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

func (w *cable) quiet(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = on
}

// A line that is cut is made again, and the hospital stays present. Nothing readable passes a relay.
func TestCut(t *testing.T) {
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux")
	w := newCable(t, d.Addr().String())
	a.echo("bordeaux", w.listener.Addr().String(), ProxyNone)
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") })
	for range 10 {
		c := says(t, d, "bordeaux")
		w.cut()
		if !there(d, "bordeaux") {
			t.Error("a cut line loses the hospital")
		}
		c.Close()
	}
	says(t, d, "bordeaux")
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.crossed.Len() == 0 || bytes.Contains(w.crossed.Bytes(), []byte("bordeaux")) || bytes.Contains(w.crossed.Bytes(), []byte("hello")) {
		t.Error("a relay reads what crosses")
	}
}

// A line that falls silent is noticed when it is wanted. Otherwise both ends notice within Lapse.
func TestSilence(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for Lapse")
	}
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux")
	w := newCable(t, d.Addr().String())
	l, _ := a.echo("bordeaux", w.listener.Addr().String(), ProxyNone)
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") && l.Connected() })
	w.quiet(true)
	within, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := d.Dial(within, "bordeaux"); err == nil {
		t.Error("a silent line is taken")
	}
	eventually(t, "both ends know", func() bool { return !l.Connected() && !there(d, "bordeaux") })
	w.quiet(false)
	w.cut() // TLS has lost what the silence swallowed
	eventually(t, "bordeaux is back", func() bool { return there(d, "bordeaux") })
	says(t, d, "bordeaux")
}

// The node connects through a proxy that makes tunnels. If a proxy refuses, the log has its reason.
func TestProxy(t *testing.T) {
	a := newAuthority(t, "gironde")
	d := a.door("bordeaux")
	var mu sync.Mutex
	status, asked := http.StatusBadGateway, ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		status, via := status, r.Header.Get("Proxy-Authorization")
		asked = r.Method + " " + r.Host
		mu.Unlock()
		if status == http.StatusProxyAuthRequired && via != "" {
			status = http.StatusOK
		}
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			to.Close()
			return
		}
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n")
		for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() { _, _ = io.Copy(way[0], way[1]); way[0].Close(); way[1].Close() }()
		}
	}))
	t.Cleanup(proxy.Close)
	_, log := a.echo("bordeaux", d.Addr().String(), proxy.URL)
	eventually(t, "the log tells of 502", func() bool { return log.holds("502") })
	mu.Lock()
	status = http.StatusProxyAuthRequired
	if asked != "CONNECT "+d.Addr().String() {
		t.Error(asked)
	}
	mu.Unlock()
	eventually(t, "the log tells of 407", func() bool { return log.holds("407") })
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	eventually(t, "bordeaux is there", func() bool { return there(d, "bordeaux") })
	says(t, d, "bordeaux")

	// A user and a password, which only the environment may give.
	mu.Lock()
	status = http.StatusProxyAuthRequired
	mu.Unlock()
	u, _ := url.Parse(proxy.URL)
	u.User = url.UserPassword("node", "secret")
	c, err := connect(t.Context(), d.Addr().String(), u)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, text := range []string{"ftp://proxy:21", "proxy:3128", "http://node:secret@proxy:3128"} {
		if _, err := ParseProxy(text, "door:443"); err == nil {
			t.Errorf("%s is taken for a proxy", text)
		}
	}
}

// After authentication by TLS, the network may still send anything.
func FuzzHello(f *testing.F) {
	good, err := hello(member("bordeaux"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[1:])
	f.Add([]byte("\xff\xff{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := readHello(bytes.NewReader(b), "bordeaux")
		if err != nil {
			return
		}
		again, err := hello(m)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := readHello(bytes.NewReader(again[1:]), "bordeaux"); err != nil || back != m {
			t.Errorf("%+v, %+v, %v", m, back, err)
		}
	})
}

// If the coordinator moves to another address, the node follows: it looks up the name again for each line.
func TestNameMoves(t *testing.T) {
	a := newAuthority(t, "gironde")
	conf, err := pki.DoorTLS(a.files(pki.RoleCoordinator, "hub"))
	if err != nil {
		t.Fatal(err)
	}
	names := newNames(t, "127.0.0.1")
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		// A lookup may continue after its caller, so it must not read the default resolver, which is restored.
		return (&net.Dialer{Resolver: before}).DialContext(ctx, "udp", names.conn.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before })
	open := func(address string) *Door {
		t.Helper()
		d, err := Open(t.Context(), address, conf, []string{"bordeaux"}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	first := open("127.0.0.1:0")
	_, port, err := net.SplitHostPort(first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a.echo("bordeaux", "door.gironde.example.:"+port, ProxyNone)
	eventually(t, "bordeaux is there", func() bool { return there(first, "bordeaux") })
	second := open("127.0.0.2:" + port)
	names.move("127.0.0.2")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bordeaux has followed", func() bool { return there(second, "bordeaux") })
	says(t, second, "bordeaux")
}

// names is a name server that gives every name the same address, which may change.
type names struct {
	conn net.PacketConn
	mu   sync.Mutex
	ip   net.IP
}

func newNames(t *testing.T, ip string) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn, ip: net.ParseIP(ip).To4()}
	done := make(chan struct{})
	go func() { defer close(done); n.serve() }()
	t.Cleanup(func() { conn.Close(); <-done })
	return n
}

func (n *names) move(ip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ip = net.ParseIP(ip).To4()
}

func (n *names) serve() {
	b := make([]byte, 512)
	for {
		length, from, err := n.conn.ReadFrom(b)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(b[:length]) != nil || len(q.Questions) != 1 {
			continue
		}
		n.mu.Lock()
		answer := dnsmessage.AResource{A: [4]byte(n.ip)}
		n.mu.Unlock()
		q.Response, q.Authoritative, q.Additionals = true, true, nil
		if q.Questions[0].Type == dnsmessage.TypeA {
			q.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, Body: &answer}}
		}
		if out, err := q.Pack(); err == nil {
			_, _ = n.conn.WriteTo(out, from)
		}
	}
}
