package notify

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/intramuros/intramuros/internal/config"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// certificate is a certificate of localhost, with a file of its authority.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// server is an SMTP server on a real socket: STARTTLS or TLS, AUTH PLAIN, one message at a time. It records the
// messages, and whether they came over TLS and with a login.
type server struct {
	net.Listener
	tls    *tls.Config
	always bool

	mu       sync.Mutex
	away     bool     // answers 421 to everybody
	plain    bool     // offers no TLS
	letters  []string // whole messages
	insecure int      // letters or passwords that came without TLS
	logins   []string
}

func smtpServer(t *testing.T, always bool) (*server, string) {
	pair, ca := certificate(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "localhost:0")
	must(t, err)
	s := &server{Listener: l, tls: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, always: always}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.talk(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return s, ca
}

func (s *server) set(change func()) { s.mu.Lock(); defer s.mu.Unlock(); change() }

func (s *server) received() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.letters...)
}

func (s *server) talk(conn net.Conn) {
	defer func() { conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := s.always
	if s.always {
		conn = tls.Server(conn, s.tls)
	}
	in := bufio.NewReader(conn)
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	var away, plain bool
	s.set(func() { away, plain = s.away, s.plain })
	if away {
		say("421 localhost is not there")
		return
	}
	say("220 localhost")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " .")[0]); verb {
		case "EHLO", "HELO":
			say("250-localhost")
			if !secure && !plain {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			upgraded := tls.Server(conn, s.tls)
			conn, in, secure = upgraded, bufio.NewReader(upgraded), true
		case "AUTH":
			b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line[len("AUTH PLAIN "):]))
			s.set(func() {
				s.logins = append(s.logins, strings.ReplaceAll(string(b), "\x00", "/"))
				if !secure || err != nil {
					s.insecure++
				}
			})
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var letter strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				letter.WriteString(strings.TrimPrefix(l, "."))
			}
			s.set(func() {
				s.letters = append(s.letters, letter.String())
				if !secure {
					s.insecure++
				}
			})
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// watched runs a notifier over events that the test changes.
type watched struct {
	*Notifier
	mu     sync.Mutex
	events []Event
	end    func()
}

func (w *watched) list(events ...Event) { w.mu.Lock(); defer w.mu.Unlock(); w.events = events }

func watch(t *testing.T, c Config, file string, events ...Event) *watched {
	t.Helper()
	must(t, c.Validate())
	n, err := Open(c, "node lyon", file, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	n.every, n.wait = 20*time.Millisecond, 30*time.Millisecond
	w := &watched{Notifier: n, events: events}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Watch(ctx, func(context.Context) ([]Event, error) { w.mu.Lock(); defer w.mu.Unlock(); return w.events, nil })
	}()
	w.end = func() { cancel(); <-done }
	t.Cleanup(w.end)
	return w
}

func eventually(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen: " + what)
		}
	}
}

func secret(t *testing.T, text string) config.Secret {
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return config.Secret{File: file}
}

var (
	one = Event{Key: "proposal/copd/1", Kind: Proposal, Study: "copd", Subject: "olga proposes the study copd\r\nBcc: eve@example.org", Text: "“Poumons” waits for your decision."}
	two = Event{Key: "failure/copd/1/2", Kind: Failure, Study: "copd", Subject: "2 of 5 queries failed", Text: "See the log."}
)

// Mail reaches a real server over TLS, with a login, and only once, also over restarts. It is tried again until it is
// delivered. Without TLS it is not sent.
func TestMail(t *testing.T) {
	for _, always := range []bool{false, true} {
		s, ca := smtpServer(t, always)
		mode := map[bool]string{false: startTLS, true: alwaysTLS}[always]
		conf := Config{Mail: &Mail{Server: strings.Replace(s.Addr().String(), "127.0.0.1", "localhost", 1), TLS: mode, CA: ca, User: "node", Password: secret(t, "the password"),
			From: "Intramuros <node@chu.example>", To: []string{"dpo@chu.example", "claire@chu.example"}}}
		file := filepath.Join(t.TempDir(), "notified.json")
		s.set(func() { s.away = true })
		w := watch(t, conf, file, one)
		time.Sleep(100 * time.Millisecond)
		s.set(func() { s.away = false })
		eventually(t, "a letter", func() bool { return len(s.received()) == 1 })
		w.list(one, two)
		eventually(t, "a second letter", func() bool { return len(s.received()) == 2 })
		w.end()
		w = watch(t, conf, file, one, two) // after a restart
		time.Sleep(100 * time.Millisecond)
		w.list(one) // two is no longer listed …
		time.Sleep(100 * time.Millisecond)
		w.list(one, two) // … and comes again
		eventually(t, "a third letter", func() bool { return len(s.received()) == 3 })
		w.end()
		letter, err := mail.ReadMessage(strings.NewReader(s.received()[0]))
		must(t, err)
		body, err := io.ReadAll(letter.Body)
		must(t, err)
		h := letter.Header
		if h.Get("Subject") != "[node lyon] olga proposes the study copd Bcc: eve@example.org" || h.Get("Bcc") != "" || h.Get("Auto-Submitted") != "auto-generated" ||
			h.Get("To") == "" || !strings.Contains(string(body), "waits for your decision.") {
			t.Errorf("%v\n%s", h, body)
		}
		s.set(func() {
			if s.insecure > 0 || len(s.logins) != 3 || s.logins[0] != "/node/the password" {
				t.Errorf("%d came without TLS, with the logins %q", s.insecure, s.logins)
			}
		})
	}
	french, ca := smtpServer(t, false)
	w := watch(t, Config{Language: French, Mail: &Mail{Server: strings.Replace(french.Addr().String(), "127.0.0.1", "localhost", 1), CA: ca, From: "a@b.example", To: []string{"c@d.example"}}}, filepath.Join(t.TempDir(), "n"), one, two)
	eventually(t, "a French letter", func() bool { return len(french.received()) == 1 })
	w.end()
	if letter := french.received()[0]; !strings.Contains(letter, "(et 1 de plus)") || !strings.Contains(letter, "Un tel message ne contient jamais") {
		t.Errorf("%s", letter)
	}
	s, ca := smtpServer(t, false)
	s.set(func() { s.plain = true })
	w = watch(t, Config{Mail: &Mail{Server: strings.Replace(s.Addr().String(), "127.0.0.1", "localhost", 1), CA: ca, User: "node", Password: secret(t, "the password"), From: "a@b.example", To: []string{"c@d.example"}}}, filepath.Join(t.TempDir(), "n"), one)
	time.Sleep(200 * time.Millisecond)
	w.end()
	s.set(func() {
		if len(s.letters)+len(s.logins) > 0 {
			t.Errorf("without TLS it is told %q, %q", s.letters, s.logins)
		}
	})
}

// A server that accepts the connection and stays silent does not keep the notifier from stopping.
func TestSilentServer(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "localhost:0")
	must(t, err)
	defer l.Close()
	held := make(chan net.Conn, 10)
	var accept sync.WaitGroup
	accept.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held <- c
		}
	})
	hook := Config{Webhook: &Webhook{URL: "http://" + l.Addr().String(), Secret: secret(t, "a secret of the webhook")}}
	letter := Config{Mail: &Mail{Server: l.Addr().String(), From: "a@b.example", To: []string{"c@d.example"}}}
	for _, c := range []Config{hook, letter} {
		w := watch(t, c, filepath.Join(t.TempDir(), "n"), one)
		conn := <-held
		begun := time.Now()
		w.end()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it ends after %v", took)
		}
		conn.Close()
	}
	l.Close()
	accept.Wait()
	for len(held) > 0 {
		(<-held).Close()
	}
}

// A webhook gets the signed events, and again with the same id until it accepts them. Nothing is sent elsewhere.
func TestWebhook(t *testing.T) {
	const key = "a secret of the webhook"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was sent elsewhere") }))
	defer elsewhere.Close()
	var mu sync.Mutex
	var ids []string
	var got []post
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		if err != nil || r.Header.Get("webhook-signature") != "v1,"+signature([]byte(key), id, at, body) || strings.Contains(string(body), key) {
			t.Errorf("%v: %s", r.Header, body)
		}
		ids = append(ids, id)
		switch len(ids) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		default:
			var p post
			if err := json.Unmarshal(body, &p); err != nil {
				t.Error(err)
			}
			got = append(got, p)
		}
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	w := watch(t, Config{Webhook: &Webhook{URL: s.URL, CA: ca, Secret: secret(t, key)}}, filepath.Join(t.TempDir(), "n"), one, two)
	eventually(t, "it is taken", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == 1 })
	time.Sleep(100 * time.Millisecond)
	w.end()
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 1 || len(got[0].Events) != 2 || got[0].Daemon != "node lyon" || got[0].Events[1].Key != two.Key || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("%q: %+v", ids, got)
	}
}

// The signature equals that of the standard's own example.
func TestSignature(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	must(t, err)
	if got := signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

func TestValidate(t *testing.T) {
	good := secret(t, "a secret of the webhook")
	for name, c := range map[string]Config{
		"plain HTTP":             {Webhook: &Webhook{URL: "http://chu.example/hook", Secret: good}},
		"a password in the URL":  {Webhook: &Webhook{URL: "https://a:b@chu.example/hook", Secret: good}},
		"no secret":              {Webhook: &Webhook{URL: "https://chu.example/hook"}},
		"no port":                {Mail: &Mail{Server: "smtp.chu.example", From: "a@b.example", To: []string{"c@d.example"}}},
		"no TLS":                 {Mail: &Mail{Server: "smtp.chu.example:25", TLS: "none", From: "a@b.example", To: []string{"c@d.example"}}},
		"another language":       {Language: "de"},
		"nobody":                 {Mail: &Mail{Server: "smtp.chu.example:25", From: "a@b.example"}},
		"no address":             {Mail: &Mail{Server: "smtp.chu.example:25", From: "a@b.example", To: []string{"claire"}}},
		"a user and no password": {Mail: &Mail{Server: "smtp.chu.example:25", User: "node", From: "a@b.example", To: []string{"c@d.example"}}},
	} {
		if c.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Open(Config{Webhook: &Webhook{URL: "https://chu.example/", Secret: secret(t, "short")}}, "node lyon", "", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a short secret is taken")
	}
	if n, err := Open(Config{}, "node lyon", "", nil); n != nil || err != nil {
		t.Errorf("nothing is configured: %v, %v", n, err)
	}
}
