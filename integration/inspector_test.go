package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inspectorCommand makes the test's own program a hospital's proxy, in a process of its own.
const inspectorCommand = "__inspector"

// inspect is a proxy like those of strict hospitals. It makes tunnels (CONNECT) to one port only, decrypts the TLS in
// them with a certificate of its own authority, and forwards only HTTP. It records what it reads in a file.
//
//	ADDRESS PORT FOLDER      FOLDER holds proxy.pem and proxy.key, its authority, and ca.pem, whom it believes
func inspect(args []string) error {
	address, port, folder := args[0], args[1], args[2]
	authority, err := tls.LoadX509KeyPair(filepath.Join(folder, "proxy.pem"), filepath.Join(folder, "proxy.key"))
	if err != nil {
		return err
	}
	believed := x509.NewCertPool()
	if b, err := os.ReadFile(filepath.Join(folder, "ca.pem")); err != nil || !believed.AppendCertsFromPEM(b) {
		return errors.Join(err, errors.New("ca.pem"))
	}
	seen, err := os.OpenFile(filepath.Join(folder, "seen"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	show := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return certify(hello.ServerName, &authority)
	}}
	inner := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: r.In.Host}) },
		Transport: &http.Transport{DialTLS: func(network, host string) (net.Conn, error) {
			c, err := tls.Dial(network, host, &tls.Config{RootCAs: believed, NextProtos: []string{"http/1.1"}})
			return recorded{c, seen}, err
		}},
	}
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, to, _ := net.SplitHostPort(r.Host); r.Method != http.MethodConnect || to != port {
			http.Error(w, "only CONNECT, and only to port "+port, http.StatusForbidden)
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		_ = http.Serve(&single{conn: tls.Server(c, show)}, inner)
	}))
}

// recorded keeps the decrypted bytes.
type recorded struct {
	net.Conn
	seen io.Writer
}

func (r recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	_, _ = r.seen.Write(b[:n])
	return n, err
}

func (r recorded) Write(b []byte) (int, error) {
	_, _ = r.seen.Write(b)
	return r.Conn.Write(b)
}

// single is a listener for one connection.
type single struct {
	conn net.Conn
	once sync.Once
}

func (s *single) Accept() (c net.Conn, err error) {
	err = net.ErrClosed
	s.once.Do(func() { c, err = s.conn, nil })
	return c, err
}
func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// certify makes a certificate: for a host, signed by the authority, or, without one, an authority's own.
func certify(host string, authority *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	parent, signer := template, any(key)
	if authority != nil {
		parent, signer = authority.Leaf, authority.PrivateKey
	} else {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage, template.DNSNames = true, true, x509.KeyUsageCertSign, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// inspected prepares the folder of a proxy with its own authority.
func inspected(t *testing.T, f *federation) (folder string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "inspector-") // only this user can read t.TempDir, and squid is another user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	pair, err := certify("the hospital's proxy", nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"proxy.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		"proxy.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"ca.pem":    []byte(readAll(t, f.path("pki/ca.pem"))),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// squid is the configuration of squid, which does what inspect does, without a record.
const squid = `
http_port %[1]s ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert=%[3]s/proxy.pem tls-key=%[3]s/proxy.key
sslcrtd_program %[4]s -s %[3]s/certificates -M 4MB
sslcrtd_children 1 startup=1
ssl_bump bump all
tls_outgoing_options cafile=%[3]s/ca.pem min-version=1.2
acl allowed port %[2]s
acl CONNECT method CONNECT
http_access deny CONNECT !allowed
http_access allow all
http_upgrade_request_protocols websocket allow all
cache deny all
cache_effective_user proxy
pid_filename %[3]s/pid
access_log stdio:%[3]s/seen
cache_log %[3]s/log
coredump_dir %[3]s
shutdown_lifetime 1 seconds
`

// inspectors start a proxy at the address that forwards HTTPS to the port only, and reads it.
var inspectors = map[string]func(t *testing.T, address, port, folder string) *process{
	"ours": func(t *testing.T, address, port, folder string) *process {
		return startProxy(t, folder, os.Args[0], inspectorCommand, address, port, folder)
	},
	// This is Debian's package squid-openssl, if it is installed and the test runs as root.
	"squid": func(t *testing.T, address, port, folder string) *process {
		program, err := exec.LookPath("squid")
		certgen := "/usr/lib/squid/security_file_certgen"
		if _, missing := os.Stat(certgen); err != nil || missing != nil || os.Getuid() != 0 {
			t.Skip("it takes squid-openssl, and root")
		}
		conf := filepath.Join(folder, "squid.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, squid, address, port, folder, certgen), 0o600); err != nil {
			t.Fatal(err)
		}
		// A squid that is killed leaves its shared memory behind, under its name.
		_, own, _ := net.SplitHostPort(address)
		forget := func() {
			left, _ := filepath.Glob("/dev/shm/inspector" + own + "-*")
			for _, file := range left {
				os.Remove(file)
			}
		}
		forget()
		t.Cleanup(forget)
		prepare := `rm -rf "$1/certificates" && "$2" -c -s "$1/certificates" -M 4MB && chown -R proxy "$1" && chmod 755 "$1"`
		if out, err := exec.Command("sh", "-c", prepare, "sh", folder, certgen).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return startProxy(t, folder, program, "-N", "-n", "inspector"+own, "-f", conf)
	},
}

func startProxy(t *testing.T, folder, program string, args ...string) *process {
	t.Helper()
	p, err := startProgram(program, filepath.Join(folder, "log"), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// The hospital's proxy forwards only HTTPS to one port, and reads it. The node says why it cannot get out, then reaches
// the coordinator by WebSocket, and the federation answers and charges as usual. The proxy sees that there is a
// WebSocket, but nothing that crosses it. It may die; when it is back, so are the node's connections.
func TestOutwardInspected(t *testing.T) {
	for name, start := range inspectors {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t, wards(t))
			folder, address := inspected(t, f), freeAddress(t)
			_, port, _ := net.SplitHostPort(f.address)
			proxy := start(t, address, port, folder)
			f.write("coordinator.yaml", readAll(t, f.path("coordinator.yaml"))+fmt.Sprintf("door: {listen: %q, websocket: true}\n", f.door))
			f.startCoordinator()
			f.startNode("east")
			f.startNode("west")

			node := readAll(t, f.path("mid.yaml"))
			begin, rest := strings.Index(node, "listen:"), strings.Index(node, "catalog:")
			try := func(door, ca, want string) {
				t.Helper()
				if f.nodes["mid"] != nil {
					f.killNode("mid")
				}
				way := fmt.Sprintf("outward: {door: %q, proxy: \"http://%s\"%s}\n", door, address, ca)
				f.write("mid.yaml", node[:begin]+way+node[rest:])
				f.startNode("mid")
				if !f.nodes["mid"].logged(want, 2*soon) {
					t.Fatalf("by %s it does not say %q:\n%s\nproxy: %s", door, want, f.nodes["mid"].tail(5), proxy.tail(5))
				}
			}
			refusal := "403 Forbidden"
			if name == "squid" {
				refusal = "the door's TLS" // it sends its refusal over TLS of its own
			}
			try(f.door, "", refusal)
			try("localhost:"+port, "", "the door's TLS") // what it would say where the door itself had the one port
			try("wss://localhost:"+port, "", "outward.ca")
			try("wss://localhost:"+port, fmt.Sprintf(", ca: %q", folder+"/proxy.pem"), "ready")
			f.await(f.hospitals...)
			f.expectAnswer()
			f.expectCharged(0.5)
			f.anew(1, exactEpsilon)
			if ports := listeners(t, f.nodes["mid"].command.Process.Pid); len(ports) > 0 {
				t.Errorf("it listens at %v", ports)
			}
			proxy.kill()
			f.awaitPresence(false, "mid")
			proxy = start(t, address, port, folder)
			f.await(f.hospitals...)
			f.anew(2, 0.1)

			proxy.signal(syscall.SIGTERM) // squid writes its log when it ends
			f.awaitPresence(false, "mid")
			<-proxy.ended
			seen := []byte(readAll(t, filepath.Join(folder, "seen")))
			if !bytes.Contains(seen, []byte("/v1/door")) {
				t.Error("it does not look into what crosses: the test shows nothing")
			}
			for _, plain := range []string{"reading", "prepare", "NODE_", "ward", `"catalog"`} {
				if bytes.Contains(seen, []byte(plain)) {
					t.Errorf("%q crosses in plain", plain)
				}
			}
		})
	}
}
