package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	lyon        = Identity{"onco", RoleNode, "lyon"}
	nantes      = Identity{"onco", RoleNode, "nantes"}
	coordinator = Identity{"onco", RoleCoordinator, "main"}
	researcher  = Identity{"onco", RoleClient, "curie"}
	operator    = Identity{"onco", RoleOperator, "admin"}
)

// world is a directory with an authority, and certificates for everybody.
type world struct {
	dir       string
	authority *Authority
}

func newWorld(t *testing.T, federation string) world {
	t.Helper()
	dir := t.TempDir()
	a, err := CreateAuthority(dir, federation, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w := world{dir, a}
	for _, id := range []Identity{lyon, nantes, coordinator, researcher, operator} {
		id.Federation = federation
		if err := a.Issue(dir, id, []string{"localhost", "127.0.0.1"}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w world) files(id Identity) (ca, cert, key string) {
	base := filepath.Join(w.dir, id.Role+"-"+id.Name)
	return filepath.Join(w.dir, "ca.pem"), base + ".pem", base + ".key"
}

func (w world) server(t *testing.T, id Identity, roles ...string) *tls.Config {
	t.Helper()
	ca, cert, key := w.files(id)
	c, err := ServerTLS(ca, cert, key, roles...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w world) client(t *testing.T, id, peer Identity) *tls.Config {
	t.Helper()
	ca, cert, key := w.files(id)
	c, err := ClientTLS(ca, cert, key, peer)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// raw is a TLS configuration that shows id's certificate and checks nothing.
func (w world) raw(t *testing.T, id Identity) *tls.Config {
	t.Helper()
	_, cert, key := w.files(id)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		InsecureSkipVerify: true,
		Certificates:       []tls.Certificate{pair},
		// A client that ignores which authorities the server accepts.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}
}

type outcome struct {
	server, client         error
	seenClient, seenServer Identity
}

// handshake connects the two over loopback, and sends one byte from the server to the client: a TLS 1.3 client learns
// of a refusal only by reading.
func handshake(t *testing.T, server, client *tls.Config) outcome {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() { done <- o }()
		conn, err := l.Accept()
		if err != nil {
			o.server = err
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		s := tls.Server(conn, server)
		if o.server = s.Handshake(); o.server != nil {
			return
		}
		o.seenClient, o.server = PeerIdentity(s.ConnectionState())
		s.Write([]byte{1})
	}()
	var clientErr error
	var seen Identity
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	c := tls.Client(conn, client)
	if clientErr = c.Handshake(); clientErr == nil {
		seen, _ = PeerIdentity(c.ConnectionState())
		_, clientErr = io.ReadFull(c, make([]byte, 1))
	}
	conn.Close()
	o := <-done
	o.client, o.seenServer = clientErr, seen
	return o
}

func wants(t *testing.T, what string, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got error %v, want one with %q", what, err, text)
	}
}

func TestHandshakeOfRightPeers(t *testing.T) {
	w := newWorld(t, "onco")
	for _, c := range []struct{ server, client Identity }{
		{lyon, coordinator},
		{coordinator, researcher},
		{coordinator, operator},
	} {
		o := handshake(t, w.server(t, c.server, c.client.Role), w.client(t, c.client, c.server))
		if o.server != nil || o.client != nil || o.seenClient != c.client || o.seenServer != c.server {
			t.Errorf("%s to %s: %+v", c.client, c.server, o)
		}
	}
}

// Lines between daemons agree on keys by X25519 and ML-KEM-768 together, so a quantum computer cannot decrypt today's
// recordings later.
func TestHandshakeOutlastsQuantumComputers(t *testing.T) {
	w := newWorld(t, "onco")
	a, b := net.Pipe()
	server, client := tls.Server(a, w.server(t, lyon, RoleCoordinator)), tls.Client(b, w.client(t, coordinator, lyon))
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := client.ConnectionState().CurveID; got != tls.X25519MLKEM768 {
		t.Errorf("the handshake used %v", got)
	}
	a.Close()
	b.Close()
}

// While one authority replaces another, ca.pem has both, and certificates of either are accepted. When the old one is
// removed, its certificates are refused. The same holds for the door of nodes that dial out.
func TestTwoAuthorities(t *testing.T) {
	was, is := newWorld(t, "onco"), newWorld(t, "onco")
	var both []byte
	for _, w := range []world{was, is} {
		b, err := os.ReadFile(filepath.Join(w.dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	only, err := os.ReadFile(filepath.Join(is.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	configure := func(ca []byte) (flight, door outcome) {
		t.Helper()
		for _, w := range []world{was, is} {
			if err := os.WriteFile(filepath.Join(w.dir, "ca.pem"), ca, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// The hospital has its new certificate, the coordinator still has the old one.
		conf, err := DoorTLS(was.files(coordinator))
		if err != nil {
			return outcome{server: err}, outcome{server: err}
		}
		caller, err := CallerTLS(is.files(lyon))
		if err != nil {
			t.Fatal(err)
		}
		return handshake(t, is.server(t, lyon, RoleCoordinator), was.client(t, coordinator, lyon)), handshake(t, conf, caller)
	}
	for _, o := range func() []outcome { a, b := configure(both); return []outcome{a, b} }() {
		if o.server != nil || o.client != nil {
			t.Errorf("%+v", o)
		}
	}
	for _, o := range func() []outcome { a, b := configure(only); return []outcome{a, b} }() {
		if o.server == nil && o.client == nil {
			t.Error("a certificate of the old authority is taken")
		}
	}
}

func TestServerRefuses(t *testing.T) {
	w, other, stolen := newWorld(t, "onco"), newWorld(t, "cardio"), newWorld(t, "onco")
	expired := world{t.TempDir(), w.authority}
	now := time.Now()
	if err := w.authority.issue(expired.dir, coordinator, nil, now.Add(-2*time.Hour), now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := w.raw(t, coordinator)
	old.MaxVersion = tls.VersionTLS12

	server := w.server(t, lyon, RoleCoordinator)
	for name, c := range map[string]struct {
		client *tls.Config
		want   string
	}{
		"wrong role":           {w.client(t, operator, lyon), "only coordinator may connect here"},
		"a node":               {w.raw(t, nantes), "incompatible key usage"},
		"other federation":     {other.raw(t, coordinator), "unknown authority"},
		"same name, other key": {stolen.raw(t, coordinator), "certificate"},
		"expired":              {expired.raw(t, coordinator), "expired"},
		"no certificate":       {&tls.Config{InsecureSkipVerify: true}, "didn't provide a certificate"},
		"TLS 1.2":              {old, "unsupported versions"},
	} {
		t.Run(name, func(t *testing.T) {
			o := handshake(t, server, c.client)
			wants(t, "server", o.server, c.want)
			if o.client == nil {
				t.Error("the client could read")
			}
		})
	}
}

func TestClientRefuses(t *testing.T) {
	w, other, stolen := newWorld(t, "onco"), newWorld(t, "cardio"), newWorld(t, "onco")
	expired := world{t.TempDir(), w.authority}
	now := time.Now()
	if err := w.authority.issue(expired.dir, lyon, nil, now.Add(-2*time.Hour), now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	old := w.raw(t, lyon)
	old.MaxVersion = tls.VersionTLS12

	client := w.client(t, coordinator, lyon)
	for name, c := range map[string]struct {
		server *tls.Config
		want   string
	}{
		"wrong name":           {w.raw(t, nantes), "expected intramuros://onco/node/lyon, found intramuros://onco/node/nantes"},
		"wrong role":           {w.raw(t, coordinator), "found intramuros://onco/coordinator/main"},
		"a researcher":         {w.raw(t, researcher), "incompatible key usage"},
		"other federation":     {other.raw(t, lyon), "unknown authority"},
		"same name, other key": {stolen.raw(t, lyon), "certificate"},
		"expired":              {expired.raw(t, lyon), "expired"},
		"TLS 1.2":              {old, "protocol version"},
	} {
		t.Run(name, func(t *testing.T) {
			o := handshake(t, c.server, client)
			wants(t, "client", o.client, c.want)
			if name != "TLS 1.2" && !errors.Is(o.client, ErrIdentity) {
				t.Errorf("%v is not ErrIdentity", o.client)
			}
		})
	}
}

func TestRenewal(t *testing.T) {
	w := newWorld(t, "onco")
	server, client := w.server(t, lyon, RoleCoordinator), w.client(t, coordinator, lyon)
	serial := func() string {
		t.Helper()
		if o := handshake(t, server, client); o.server != nil || o.client != nil {
			t.Fatalf("%+v", o)
		}
		cert, err := server.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.String()
	}
	first := serial()
	if serial() != first {
		t.Error("the certificate changed by itself")
	}
	if err := w.authority.Issue(w.dir, lyon, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	second := serial()
	if second == first {
		t.Error("the renewed certificate is not in use")
	}

	// A broken renewal is ignored, and so is one that names another node.
	_, cert, key := w.files(lyon)
	_, otherCert, otherKey := w.files(nantes)
	if err := os.WriteFile(cert, []byte("not a certificate"), 0o644); err != nil {
		t.Fatal(err)
	}
	if serial() != second {
		t.Error("a broken file replaced the certificate")
	}
	for from, to := range map[string]string{otherCert: cert, otherKey: key} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if serial() != second {
		t.Error("another node's certificate replaced ours")
	}
	// After the repair, the next handshake uses it.
	if err := w.authority.Issue(w.dir, lyon, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	if s := serial(); s == second || s == first {
		t.Error("the mended certificate is not in use")
	}
}

// TestRenewalAfterExpiry: if a certificate has expired while its renewal is broken, a server still shows it, so that
// the refusing client can say why.
func TestRenewalAfterExpiry(t *testing.T) {
	w := newWorld(t, "onco")
	now := time.Now()
	if err := w.authority.issue(w.dir, lyon, nil, now.Add(-time.Hour), now.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	server := w.server(t, lyon, RoleCoordinator)
	_, cert, _ := w.files(lyon)
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if _, err := server.GetCertificate(nil); err != nil {
		t.Errorf("still valid: %v", err)
	}
	time.Sleep(time.Until(now.Add(2100 * time.Millisecond)))
	pair, err := server.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := w.client(t, coordinator, lyon)
	if err := client.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}}); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrIdentity) {
		t.Errorf("expired: %v", err)
	}
}

func TestConfigurationRefused(t *testing.T) {
	w, other := newWorld(t, "onco"), newWorld(t, "cardio")
	ca, cert, key := w.files(lyon)
	_, ccert, ckey := w.files(coordinator)
	otherCA, _, _ := other.files(lyon)

	server := func(want, ca, cert, key string, roles ...string) {
		t.Helper()
		_, err := ServerTLS(ca, cert, key, roles...)
		wants(t, "ServerTLS", err, want)
	}
	server("must name the roles", ca, cert, key)
	server(`role "king" is unknown`, ca, cert, key, "king")
	server("is of federation onco, and the authority", otherCA, cert, key, RoleCoordinator)
	_, ocert, okey := w.files(operator)
	server("incompatible key usage", ca, ocert, okey, RoleCoordinator)
	server("no such file", ca, cert+"x", key, RoleCoordinator)
	server("does not match", ca, cert, ckey, RoleCoordinator)
	server("is not the certificate of a federation's authority", cert, cert, key, RoleCoordinator)
	server("only certificates belong there", key, cert, key, RoleCoordinator)

	both := filepath.Join(t.TempDir(), "both.pem")
	var pems []byte
	for _, f := range []string{ca, otherCA} {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pems = append(pems, data...)
	}
	if err := os.WriteFile(both, pems, 0o644); err != nil {
		t.Fatal(err)
	}
	server("authorities of two federations", both, cert, key, RoleCoordinator)

	now := time.Now()
	if err := w.authority.issue(w.dir, nantes, nil, now.Add(-2*time.Hour), now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, ncert, nkey := w.files(nantes)
	server("issue a new one", ca, ncert, nkey, RoleCoordinator)
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	server("chmod 600", ca, cert, key, RoleCoordinator)

	client := func(want string, peer Identity, cert, key string) {
		t.Helper()
		_, err := ClientTLS(ca, cert, key, peer)
		wants(t, "ClientTLS", err, want)
	}
	client("is not of federation onco", Identity{"cardio", RoleNode, "lyon"}, ccert, ckey)
	client("name \"\" must be", Identity{"onco", RoleNode, ""}, ccert, ckey)
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	client("incompatible key usage", nantes, cert, key)
}

func TestAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	a, err := CreateAuthority(dir, "onco", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !a.cert.IsCA || a.cert.MaxPathLen != 0 || !a.cert.MaxPathLenZero || a.cert.KeyUsage&x509.KeyUsageDigitalSignature != 0 {
		t.Errorf("the authority's certificate allows more than it should: %+v", a.cert)
	}
	if info, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v, %v", info, err)
	}
	if _, err := CreateAuthority(dir, "onco", time.Hour); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "ca.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateAuthority(dir, "onco", time.Hour); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwriting the key: %v", err)
	}
	_, err = CreateAuthority(t.TempDir(), "Onco", time.Hour)
	wants(t, "bad name", err, "lower-case letters")
	_, err = CreateAuthority(t.TempDir(), "onco", 0)
	wants(t, "no validity", err, "must be positive")
	if _, err := CreateAuthority(t.TempDir(), strings.Repeat("o", 63), time.Hour); err != nil {
		t.Errorf("longest name: %v", err)
	}
}

func TestIssue(t *testing.T) {
	w := newWorld(t, "onco")
	a, err := LoadAuthority(w.dir)
	if err != nil || a.Federation() != "onco" {
		t.Fatal(a, err)
	}
	if err := a.Issue(w.dir, lyon, []string{"lyon.example.org", "::1"}, 1000*time.Hour); err != nil {
		t.Fatal(err)
	}
	_, cert, key := w.files(lyon)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := pair.Leaf
	if id, err := certIdentity(leaf); err != nil || id != lyon {
		t.Errorf("identity %v, %v", id, err)
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || leaf.NotAfter.After(a.cert.NotAfter) {
		t.Errorf("the certificate allows more than it should: %+v", leaf)
	}
	if len(leaf.DNSNames) != 1 || len(leaf.IPAddresses) != 1 {
		t.Errorf("hosts %v %v", leaf.DNSNames, leaf.IPAddresses)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.dir, ".*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
	wants(t, "host", a.Issue(w.dir, lyon, []string{"lyon:443"}, time.Hour), "neither a DNS name nor an IP")
	wants(t, "federation", a.Issue(w.dir, Identity{"cardio", RoleNode, "lyon"}, nil, time.Hour), "cannot issue a certificate for federation cardio")
	wants(t, "role", a.Issue(w.dir, Identity{"onco", "king", "lyon"}, nil, time.Hour), "unknown")
	wants(t, "path", a.Issue(w.dir, Identity{"onco", RoleNode, "../lyon"}, nil, time.Hour), "must be")
	wants(t, "validity", a.Issue(w.dir, lyon, nil, -time.Hour), "must be positive")
	if err := os.Chmod(filepath.Join(w.dir, "ca.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = LoadAuthority(w.dir)
	wants(t, "open key", err, "chmod 600")
}

func TestHTTPS(t *testing.T) {
	w, other := newWorld(t, "onco"), newWorld(t, "cardio")
	ca, cert, key := w.files(coordinator)
	serverConfig, err := HTTPServerTLS(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }),
		TLSConfig: serverConfig,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(l, "", "") }()
	defer func() { server.Close(); <-served }()

	get := func(ca, host string) (string, error) {
		clientConfig, err := HTTPClientTLS(ca)
		if err != nil {
			t.Fatal(err)
		}
		tr := &http.Transport{TLSClientConfig: clientConfig, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
			}}
		defer tr.CloseIdleConnections()
		resp, err := (&http.Client{Transport: tr, Timeout: 5 * time.Second}).Get("https://" + host)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	if got, err := get(ca, "127.0.0.1"); err != nil || got != "HTTP/2.0" {
		t.Errorf("got %q, %v", got, err)
	}
	otherCA, _, _ := other.files(coordinator)
	_, err = get(otherCA, "127.0.0.1")
	wants(t, "other authority", err, "unknown authority")
	_, err = get(ca, "lyon.example.org")
	wants(t, "other host", err, "not lyon.example.org")

	if err := w.authority.Issue(w.dir, coordinator, nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	_, err = HTTPServerTLS(cert, key)
	wants(t, "no hosts", err, "names no host")
}

func TestParseIdentity(t *testing.T) {
	if got, err := ParseIdentity("intramuros://onco/node/lyon"); err != nil || got != lyon {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{
		"", "intramuros://", "onco/node/lyon", "intramuros://onco/node", "intramuros://onco/node/lyon/",
		"intramuros://onco/node/lyon?x", "intramuros://onco/node/lyon#x", "intramuros://onco:1/node/lyon",
		"intramuros://u@onco/node/lyon", "intramuros://onco/node/ly%6fn", "intramuros://onco/king/lyon",
		"intramuros://Onco/node/lyon", "intramuros://onco/node/-lyon", "INTRAMUROS://onco/node/lyon",
		"intramuros://onco/node/" + strings.Repeat("a", 64), "intramuros://onco/node/lyon\n",
	} {
		if id, err := ParseIdentity(bad); err == nil {
			t.Errorf("%q accepted as %v", bad, id)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("intramuros://onco/node/lyon")
	f.Add("intramuros://onco/coordinator/main?x")
	f.Add("intramuros://a/client/%61")
	f.Fuzz(func(t *testing.T, uri string) {
		id, err := ParseIdentity(uri)
		if err != nil {
			return
		}
		if id.String() != uri || id.url().String() != uri || id.Validate() != nil {
			t.Errorf("%q becomes %q and %q", uri, id.String(), id.url().String())
		}
	})
}

// Neither end accepts a certificate that the authority has revoked. A list that is older, broken or missing changes
// nothing.
func TestRevoked(t *testing.T) {
	w := newWorld(t, "onco")
	server, client := w.server(t, lyon, RoleCoordinator), w.client(t, coordinator, lyon)
	_, cert, _ := w.files(coordinator)
	revoke := func(file string) {
		t.Helper()
		if err := w.authority.Revoke(w.dir, file, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	_, another, _ := w.files(nantes)
	revoke(another)
	list := filepath.Join(w.dir, revocationList)
	first, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if o := handshake(t, server, client); o.server != nil || o.client != nil {
		t.Fatalf("somebody else's certificate is revoked: %+v", o)
	}
	revoke(cert)
	wants(t, "server", handshake(t, server, client).server, "revoked")
	for name, b := range map[string][]byte{"older": first, "broken": []byte("no list")} {
		if err := os.WriteFile(list, b, 0o644); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Minute) // files of the same size and time are taken for the same
		if err := os.Chtimes(list, later, later); err != nil {
			t.Fatal(err)
		}
		wants(t, name+" list", handshake(t, server, client).server, "revoked")
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	wants(t, "no list", handshake(t, server, client).server, "revoked")

	other := newWorld(t, "onco")
	_, cert, _ = other.files(lyon)
	if err := other.authority.Revoke(other.dir, cert, time.Hour); err != nil {
		t.Fatal(err)
	}
	wants(t, "client", handshake(t, other.raw(t, lyon), other.client(t, coordinator, lyon)).client, "revoked")
	if err := w.authority.Revoke(w.dir, cert, time.Hour); err == nil {
		t.Error("an authority revokes another's certificate")
	}
}

// VerifyConnection repeats TLS's checks for an open connection: the certificate's time, and that it is of this
// federation, even if the authority itself named another one.
func TestVerifyConnectionAgain(t *testing.T) {
	w := newWorld(t, "onco")
	server := w.server(t, lyon, RoleCoordinator)
	shown := func(id Identity, from, to time.Duration) tls.ConnectionState {
		t.Helper()
		dir, now := t.TempDir(), time.Now()
		if err := w.authority.issue(dir, id, nil, now.Add(from), now.Add(to)); err != nil {
			t.Fatal(err)
		}
		pair := world{dir, w.authority}.raw(t, id).Certificates[0]
		return tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}}
	}
	if err := server.VerifyConnection(shown(coordinator, -time.Hour, time.Hour)); err != nil {
		t.Fatal(err)
	}
	wants(t, "expired", server.VerifyConnection(shown(coordinator, -time.Hour, -time.Minute)), "expired on")
	wants(t, "not yet", server.VerifyConnection(shown(coordinator, time.Minute, time.Hour)), "valid only from")
	wants(t, "another federation", server.VerifyConnection(shown(Identity{"cardio", RoleCoordinator, "main"}, -time.Hour, time.Hour)), "not of federation onco")
	wants(t, "no certificate", server.VerifyConnection(tls.ConnectionState{}), "no certificate")
}

// The chain of a connection is verified once, and again when the first of its certificates has ended, the authority's
// included.
func TestChainIsVerifiedOnce(t *testing.T) {
	w := newWorld(t, "onco")
	chain := w.raw(t, lyon).Certificates[0].Leaf
	other := w.raw(t, coordinator).Certificates[0].Leaf
	v := &verified{chain, time.Now().Add(time.Hour)}
	if !v.holds([]*x509.Certificate{chain}) {
		t.Error("it is verified again")
	}
	if v.holds([]*x509.Certificate{other}) || v.holds(nil) || (*verified)(nil).holds([]*x509.Certificate{chain}) {
		t.Error("what was never verified holds")
	}
	if (&verified{chain, time.Now().Add(-time.Second)}).holds([]*x509.Certificate{chain}) {
		t.Error("a chain holds after its time")
	}
	ca, cert, key := w.files(lyon)
	m, err := openMember(ca, cert, key, x509.ExtKeyUsageServerAuth)
	if err != nil {
		t.Fatal(err)
	}
	until, err := m.verify([]*x509.Certificate{chain}, x509.ExtKeyUsageServerAuth)
	if err != nil || until.After(chain.NotAfter) || until.Before(time.Now()) {
		t.Errorf("verified until %v, %v", until, err)
	}
}
